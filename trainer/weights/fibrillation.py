"""Training of the network that tells fibrillation (:mod:`monitor.fibrillation`), and of those that score it.

One network judges either lead; what it learns from is the mean of what it says of both, and each by itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file
from torch import nn

from monitor import fibrillation, waves
from monitor.exceptions import ConfigError
from monitor.fibrillation_weights import FINAL, MADE_FOR, parts
from trainer.splits import folds
from trainer.weights.fibrillation_looks import Looks

FOLDS: Final = 6
"""Parts of the cross-validation; records of each database are spread over them."""

Network = dict[str, NDArray[np.float32]]
"""Tensors of a network by name."""

_BATCH: Final = 512
_DROPOUT: Final = 0.2
_SIZE: Final = waves.FEATURES.index("size")
_ALONE: Final = 0.5  # weight of each lead by itself beside both


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained.

    Attributes:
        epochs: passes over the looks.
        learning_rate: the highest of one cycle.
        decay: weight decay.
        gain: spread of the logarithm of a random gain: absolute size is a weak hint.
    """

    epochs: int = 4
    learning_rate: float = 5e-3
    decay: float = 0.1
    gain: float = 0.5


def batches_of(count: int, recipe: Recipe) -> int:
    """Steps that training on `count` looks takes."""
    return recipe.epochs * -(-count // _BATCH)


def fit(looks: Looks, recipe: Recipe, seed: int, step: Callable[[int], None]) -> Network:
    """Train a network.

    Args:
        looks: to learn from.
        recipe: how.
        seed: of weights, order and gains.
        step: called with 1 after every batch.

    Returns:
        The tensors of :data:`monitor.fibrillation.WEIGHTS`; the scaling of the features is folded in.
    """
    torch.manual_seed(seed)
    flat = looks.features.reshape(-1, len(waves.FEATURES))
    mean, scale = flat.mean(0, dtype=np.float64), flat.std(0, dtype=np.float64) + 1e-3
    x = torch.from_numpy(((looks.features - mean) / scale).astype(np.float32))
    loud = torch.from_numpy((looks.features[:, :, _SIZE] >= np.log(fibrillation.SMALLEST_MV)).astype(np.float32))
    y = torch.from_numpy(looks.positive.astype(np.float32))
    weights = torch.from_numpy(looks.weights)
    first, second = fibrillation.HIDDEN
    layers = nn.Linear(x.shape[2], first), nn.Linear(first, second), nn.Linear(second, 1)
    net = nn.Sequential(layers[0], nn.ReLU(), nn.Dropout(_DROPOUT), layers[1], nn.ReLU(), layers[2])
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=batches_of(len(y), recipe)
    )
    for _ in range(recipe.epochs):
        for batch in torch.split(torch.randperm(len(y)), _BATCH):
            heard = x[batch].clone()
            heard[:, :, _SIZE] += torch.randn(len(batch), 1) * (recipe.gain / scale[_SIZE])
            optimiser.zero_grad()
            loss = _loss(net(heard)[:, :, 0], loud[batch], y[batch])
            (loss * weights[batch]).mean().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            step(1)
    w1, b1, w2, b2, w3, b3 = (
        part.detach().numpy().astype(np.float64) for layer in layers for part in (layer.weight.T, layer.bias)
    )
    b1 = b1 - (mean / scale) @ w1
    w1 = w1 / scale[:, np.newaxis]
    made = zip(parts(), (w1, b1, w2, b2, w3[:, 0], b3[0]), strict=True)
    return {name: np.array(values, np.float32, order="C") for name, values in made}


def _loss(logits: torch.Tensor, loud: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(n,) loss of the leads together and of each alone, where there is anything to see, from (n, leads) logits."""
    entropy = nn.functional.binary_cross_entropy_with_logits
    count = loud.sum(1)
    together = (logits * loud).sum(1) / count.clamp(min=1.0)
    alone = (entropy(logits, y[:, None].expand_as(logits), reduction="none") * loud).sum(1)
    return entropy(together, y, reduction="none") * (count > 0) + _ALONE * alone


def ask(network: Mapping[str, NDArray[np.float32]], features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log odds of (..., len(FEATURES)) features."""
    w1, b1, w2, b2, w3, b3 = (network[part].astype(np.float64) for part in parts())
    hidden = np.maximum(np.maximum(features @ w1 + b1, 0.0) @ w2 + b2, 0.0)
    odds: NDArray[np.float64] = hidden @ w3 + b3
    return odds


def left_out(records: Sequence[str]) -> list[list[str]]:
    """The records, ``database/record``, that each fold's network does not see."""
    groups: list[list[str]] = [[] for _ in range(FOLDS)]
    for database in sorted({name.split("/")[0] for name in records}):
        own = [name for name in records if name.split("/")[0] == database]
        for group, names in zip(groups, folds(own, FOLDS), strict=True):
            group.extend(names)
    return groups


def fit_folds(
    looks: Looks, records: Sequence[str], recipe: Recipe, seed: int, step: Callable[[int], None]
) -> list[Network]:
    """A network for each fold of :func:`left_out`, that has not seen its records."""
    return [fit(looks.chosen(~np.isin(looks.records, names)), recipe, seed, step) for names in left_out(records)]


def save(final: Network, others: Sequence[Network], names: Sequence[Sequence[str]], path: Path, facts: Any) -> None:
    """Write a weights file that :mod:`monitor.fibrillation_weights` accepts.

    Args:
        final: the network that has seen all records.
        others: those of the folds.
        names: the records these have not seen.
        path: of the file.
        facts: what the card says beside that.

    Raises:
        ConfigError: the file cannot be written.
    """
    named = {FINAL: final} | {f"fold{number}": network for number, network in enumerate(others)}
    tensors = {f"{name}.{part}": values for name, network in named.items() for part, values in network.items()}
    card = MADE_FOR | {"folds": [sorted(group) for group in names]} | facts
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path, {"card": json.dumps(card)})
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"cannot be written ({error})", where=str(path)) from None


def card_of(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON values."""
    return {"recipe": asdict(recipe)}
