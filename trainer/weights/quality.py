"""Training of the verdict on signal quality (:mod:`monitor.quality`): one small network, and what it says of records
that it has not seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file
from torch import nn

from monitor import quality
from monitor.align import OK
from monitor.ecg import FS
from monitor.exceptions import ConfigError
from monitor.kernel import kernel
from monitor.measures import FEATURES, HALF, WIDTH
from trainer.scoring.quality_scores import is_flagged
from trainer.splits import folds
from trainer.weights.quality_examples import KINDS, READINGS, Stretch

Parts = dict[str, NDArray[np.float32]]
"""A network as :mod:`monitor.quality` reads it, by the names in its PARTS."""

_BATCH: Final = 2048
_DROPOUT: Final = 0.1

WEIGHTS: Final = {
    ("N", 0): 4.0,
    ("A", 0): 2.0,
    ("O", 0): 2.5,
    ("~", 1): 4.0,
    ("VF", 0): 0.8,
    ("VT", 0): 1.5,
    ("ASYS", 0): 0.8,
    ("NOISE", 1): 0.15,  # much of it can be read
    ("other rhythm", 0): 0.5,
    ("clean", 0): 1.5,
    ("noise added", 0): 1.2,
    ("noise added", 1): 1.2,
}
"""What all half seconds of a kind and label count together in the loss."""

SHARES: Final = {"clean": 0.12, "noise added": 0.12, "other rhythm": 0.3}
"""Of those there are more than are needed: so many are drawn."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the network is trained.

    Attributes:
        members: networks of which the mean is taken; together they are one with as many times the units. What one
            says of a recording that it has not seen depends on its first weights.
        hidden: units of each.
        epochs: passes over the half seconds.
        learning_rate: the highest of one cycle.
        decay: weight decay.
    """

    members: int = 4
    hidden: int = 16
    epochs: int = 12
    learning_rate: float = 1e-2
    decay: float = 1e-2


def _drawn(
    stretches: Sequence[Stretch], seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Features, labels and weights of the half seconds to learn from."""
    rng = np.random.default_rng(seed)
    features, labels, kinds = [], [], []
    for stretch in stretches:
        shares = np.array([SHARES.get(kind, 1.0) for kind in KINDS])[stretch.kinds]
        keep = (stretch.labels >= 0) & (rng.uniform(size=shares.size) < shares)
        features.append(stretch.features[keep])
        labels.append(stretch.labels[keep])
        kinds.append(stretch.kinds[keep])
    label, kind = np.concatenate(labels), np.concatenate(kinds)
    weight = np.zeros(label.size, np.float32)
    for (name, value), total in WEIGHTS.items():
        chosen = (kind == KINDS.index(name)) & (label == value)
        if chosen.any():
            weight[chosen] = total / np.count_nonzero(chosen)
    used = weight > 0.0
    return np.concatenate(features)[used], label[used].astype(np.float32), weight[used] / weight[used].mean()


def fit(stretches: Sequence[Stretch], recipe: Recipe, seed: int) -> Parts:
    """Train a network.

    Args:
        stretches: to learn from.
        recipe: how.
        seed: of weights, order and draws.
    """
    features, labels, weights = _drawn(stretches, seed)
    mean = features.mean(0, dtype=np.float64).astype(np.float32)
    scale = (1.0 / (features.std(0, dtype=np.float64) + 1e-3)).astype(np.float32)
    x = torch.from_numpy(_scaled(features, mean, scale))
    torch.manual_seed(seed)
    members = [_member(x, torch.from_numpy(labels), torch.from_numpy(weights), recipe) for _ in range(recipe.members)]
    w1, b1, w2, b2 = zip(*members, strict=True)
    joined = np.concatenate(w1, 1), np.concatenate(b1), np.concatenate(w2) / len(w2), np.mean(b2, 0, dtype=np.float32)
    return dict(zip(quality.PARTS, (mean, scale, *joined), strict=True))


def _member(x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, recipe: Recipe) -> list[NDArray[np.float32]]:
    """One network: w1, b1, w2, b2."""
    layers = nn.Linear(WIDTH, recipe.hidden), nn.Linear(recipe.hidden, 1)
    net = nn.Sequential(layers[0], nn.ReLU(), nn.Dropout(_DROPOUT), layers[1])
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.decay)
    steps = recipe.epochs * -(-len(y) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, total_steps=steps)
    for _ in range(recipe.epochs):
        for batch in torch.split(torch.randperm(len(y)), _BATCH):
            optimiser.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(net(x[batch])[:, 0], y[batch], weight[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return [part.detach().numpy() for layer in layers for part in (layer.weight.T, layer.bias)]


def _scaled(
    features: NDArray[np.float32], mean: NDArray[np.float32], scale: NDArray[np.float32]
) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = np.clip((features - mean) * scale, -quality.FARTHEST, quality.FARTHEST)
    return scaled


def ask(parts: Parts, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n,) logits of (n, WIDTH) features."""
    x = _scaled(features, parts["mean"], parts["scale"]).astype(np.float64)
    hidden = np.maximum(x @ parts["w1"].astype(np.float64) + parts["b1"], 0.0)
    logits: NDArray[np.float64] = (hidden @ parts["w2"].astype(np.float64))[:, 0] + parts["b2"][0]
    return logits


@kernel
def _follow(state, logits, features, verdicts):  # type: ignore[no-untyped-def]
    for i in range(logits.size):
        verdicts[i] = state["verdict"] = quality.follow(state, logits[i], features[i])


def verdicts_of(parts: Parts, stretch: Stretch) -> NDArray[np.int64]:
    """(n,) the monitor's verdict at the end of each half second of a stretch."""
    verdicts = np.full(len(stretch.features), OK, np.int64)
    measured = stretch.features.any(1)
    features = stretch.features[measured].astype(np.float64)
    told = np.empty(len(features), np.int64)
    _follow(np.zeros(1, quality.STATE)[0], ask(parts, stretch.features[measured]), features, told)
    verdicts[measured] = told
    return verdicts


@dataclass(frozen=True, slots=True)
class Validation:
    """What networks say of records that they have not seen.

    Attributes:
        noisy: per cent of the half seconds of each kind that are called noisy; noise added apart by label.
        flagged: per cent of the recordings of `challenge2017`, by what they were called, that are flagged.
    """

    noisy: dict[str, float]
    flagged: dict[str, float]


def cross_validate(
    stretches: Sequence[Stretch], recipe: Recipe, seed: int, done: Callable[[], None] = lambda: None
) -> Validation:
    """Judge each record by a network that has not seen it; five folds by record, the kinds of records spread evenly."""
    said: list[NDArray[np.int64] | None] = [None] * len(stretches)
    for left_out in _folds(stretches):
        parts = fit([stretch for stretch in stretches if stretch.record not in left_out], recipe, seed)
        for i, stretch in enumerate(stretches):
            if stretch.record in left_out:
                said[i] = verdicts_of(parts, stretch)
        done()
    return _validation(stretches, [verdicts for verdicts in said if verdicts is not None])


def _folds(stretches: Iterable[Stretch]) -> list[set[str]]:
    """Records left out together: every kind of record is dealt out by itself."""
    kinds: dict[int, set[str]] = {}
    for stretch in stretches:
        kinds.setdefault(_dealt_as(stretch), set()).add(stretch.record)
    dealt = [folds(sorted(names)) for _, names in sorted(kinds.items())]
    return [set().union(*parts) for parts in zip(*dealt, strict=True)]


def _dealt_as(stretch: Stretch) -> int:
    """A reading of `challenge2017`, rhythms, or beats."""
    kind = int(stretch.kinds[0])
    beats = KINDS.index("clean")
    return kind if kind < len(READINGS) else len(READINGS) if kind < beats else beats


def _validation(stretches: Sequence[Stretch], said: Sequence[NDArray[np.int64]]) -> Validation:
    noisy: dict[str, list[NDArray[np.bool_]]] = {}
    flagged: dict[str, list[bool]] = {}
    for stretch, verdicts in zip(stretches, said, strict=True):
        called = verdicts > quality.FLAT
        for kind in np.unique(stretch.kinds):
            for label in (0, 1):
                title = KINDS[kind] + (", too noisy" if (KINDS[kind], label) == ("noise added", 1) else "")
                noisy.setdefault(title, []).append(called[(stretch.kinds == kind) & (stretch.labels == label)])
        if stretch.kinds[0] < len(READINGS):
            reading = KINDS[stretch.kinds[0]]
            flagged.setdefault(reading, []).append(is_flagged(_spans(called), len(called), FS / HALF))
    return Validation(
        {title: 100.0 * float(np.concatenate(parts).mean()) for title, parts in noisy.items()},
        {reading: 100.0 * float(np.mean(flags)) for reading, flags in flagged.items()},
    )


def _spans(called: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(k, 2) half seconds at which a verdict was reached, and at which it ended."""
    edges = np.flatnonzero(np.diff(called.astype(np.int8), prepend=0, append=0))
    return edges.reshape(-1, 2).astype(np.int64)


def save(parts: Parts, path: Path, facts: dict[str, Any]) -> None:
    """Write a weights file that :mod:`monitor.quality` accepts.

    Args:
        parts: as :func:`fit` makes them.
        path: of the file.
        facts: what the card says beside the names of the measures.

    Raises:
        ConfigError: the file cannot be written.
    """
    card = {"features": list(FEATURES)} | facts
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: np.ascontiguousarray(part) for name, part in parts.items()}, path, {"card": json.dumps(card)})
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"cannot be written ({error})", where=str(path)) from None


def card_of(recipe: Recipe, validation: Validation | None) -> dict[str, Any]:
    """The recipe and what cross-validation said, as JSON values."""
    return {"recipe": asdict(recipe), "cross_validation": None if validation is None else asdict(validation)}
