"""Training of the detector's judge (:mod:`monitor.judge`): small networks, for one lead and for two, for each look."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file
from torch import nn

from monitor import judge
from monitor.exceptions import ConfigError
from trainer.splits import folds
from trainer.weights.candidates import KINDS, Candidates

_BY_RULE: Final = {
    width: (judge.ONE if name.startswith("one") else judge.MOST) - 1 for name, width in judge.NETWORKS.items()
}
"""Width of the features -> which of them says that the rule takes the candidate."""

_BATCH: Final = 1024
_DROPOUT: Final = 0.1


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a judge is trained.

    Attributes:
        hidden: sizes of the two hidden layers.
        epochs: passes over the candidates.
        learning_rate: the highest of one cycle.
        decay: weight decay.
        weights: of a candidate in the loss, by its kind. Clean signals are what a monitor hears most of the time.
    """

    hidden: tuple[int, int] = (32, 16)
    epochs: int = 6
    learning_rate: float = 6e-3
    decay: float = 1e-4
    weights: tuple[float, ...] = (1.0, 20.0, 6.0, 3.0)


@dataclass(frozen=True, slots=True)
class Validation:
    """Candidates of records left out of training, judged: beats missed and extra beats, in per cent of the beats."""

    kind: str
    beats: int
    missed: float
    extra: float


def batches_of(count: int, recipe: Recipe) -> int:
    """Steps that training on `count` candidates takes."""
    return recipe.epochs * -(-count // _BATCH)


def fit(candidates: Candidates, recipe: Recipe, seed: int, step: Callable[[int], None]) -> list[NDArray[np.float32]]:
    """Train a network.

    Args:
        candidates: to learn from.
        recipe: how.
        seed: of weights and order.
        step: called with 1 after every batch.

    Returns:
        w1, b1, w2, b2, w3, b3 as :mod:`monitor.judge` reads them; the scaling of the features is folded in.
    """
    torch.manual_seed(seed)
    mean = candidates.features.mean(0, dtype=np.float64)
    scale = candidates.features.std(0, dtype=np.float64) + 1e-3
    x = torch.from_numpy(((candidates.features - mean) / scale).astype(np.float32))
    y = torch.from_numpy(candidates.beats.astype(np.float32))
    weight = torch.from_numpy(np.array(recipe.weights, np.float32)[candidates.kinds])
    first, second = recipe.hidden
    layers = nn.Linear(x.shape[1], first), nn.Linear(first, second), nn.Linear(second, 1)
    net = nn.Sequential(layers[0], nn.ReLU(), nn.Dropout(_DROPOUT), layers[1], nn.ReLU(), layers[2])
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=batches_of(len(y), recipe)
    )
    for _ in range(recipe.epochs):
        for batch in torch.split(torch.randperm(len(y)), _BATCH):
            optimiser.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(net(x[batch])[:, 0], y[batch], weight[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            step(1)
    made = [part.detach().numpy().astype(np.float64) for layer in layers for part in (layer.weight.T, layer.bias)]
    made[1] = made[1] - (mean / scale) @ made[0]
    made[0] = made[0] / scale[:, np.newaxis]
    return [part.astype(np.float32) for part in made]


def ask(parts: Sequence[NDArray[np.float32]], features: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n,) logits of (n, width) features, as the detector uses them in a calm signal whose rhythm is irregular: a bonus
    where its rule agrees."""
    w1, b1, w2, b2, w3, b3 = (part.astype(np.float64) for part in parts)
    hidden = np.maximum(np.maximum(features @ w1 + b1, 0.0) @ w2 + b2, 0.0)
    by_rule = features[:, _BY_RULE[features.shape[1]]]
    logits: NDArray[np.float64] = (hidden @ w3)[:, 0] + b3[0] + judge.RULE_BONUS * by_rule
    return logits


def cross_validate(
    candidates: Candidates, scored: Sequence[str], recipe: Recipe, seed: int, step: Callable[[int], None]
) -> list[Validation]:
    """Judge each of the `scored` records by a network that has not seen it; five folds by record."""
    logits = np.full(len(candidates.beats), np.nan)
    for left_out in filter(None, folds(sorted(scored))):
        held = np.isin(candidates.records, left_out)
        rest = Candidates(
            candidates.features[~held], candidates.beats[~held], candidates.records[~held], candidates.kinds[~held]
        )
        logits[held] = ask(fit(rest, recipe, seed, step), candidates.features[held])
    found = []
    for index, kind in enumerate(KINDS):
        chosen = (candidates.kinds == index) & np.isfinite(logits)
        beats, taken = candidates.beats[chosen], logits[chosen] > 0.0
        if not beats.any():
            continue
        total = int(beats.sum())
        missed, extra = int((beats & ~taken).sum()), int((taken & ~beats).sum())
        found.append(Validation(kind, total, 100.0 * missed / total, 100.0 * extra / total))
    return found


def save(networks: dict[str, list[NDArray[np.float32]]], path: Path, facts: dict[str, Any]) -> None:
    """Write a weights file that :mod:`monitor.judge` accepts.

    Args:
        networks: by name, as :func:`fit` makes them.
        path: of the file.
        facts: what the card says beside the features.

    Raises:
        ConfigError: the file cannot be written.
    """
    tensors = {
        f"{name}.{part}": np.ascontiguousarray(values)
        for name, parts in networks.items()
        for part, values in zip(judge.PARTS, parts, strict=True)
    }
    card = {"features": judge.FEATURES} | facts
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path, {"card": json.dumps(card)})
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"cannot be written ({error})", where=str(path)) from None


def card_of(recipe: Recipe, validations: dict[str, list[Validation]]) -> dict[str, Any]:
    """The recipe and what cross-validation said, as JSON values."""
    return {
        "recipe": asdict(recipe),
        "cross_validation": {name: [asdict(one) for one in found] for name, found in validations.items()},
    }
