"""Training, and the leave-records-out cross-validation that chooses how to train.

Every choice is made inside the training records: each fold leaves whole records out, so no patient is on both sides,
and the score that chooses is taken on the records left out. The test records are never opened here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from monitor.ecg import AAMI_CLASSES
from trainer.dataset import Beats, join
from trainer.model import Architecture, BeatNet

_N, _S, _V, _F, _Q = range(len(AAMI_CLASSES))

Progress = Callable[[int], None]
"""Called with the number of batches done."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train.

    Attributes:
        name: for tables and the model card.
        architecture: sizes of the network.
        epochs: passes over the beats.
        batch: beats a step.
        rate: peak learning rate of the one-cycle schedule, AdamW.
        decay: weight decay.
        balance: exponent of the inverse class frequency in the loss weights: 0 none, 1 full balance.
        noise: standard deviation of noise added to the windows, in units of the normal beat.
        jitter: largest shift of the window, points at 180 Hz.
        gain: largest relative change of amplitude.
    """

    name: str
    architecture: Architecture = field(default_factory=Architecture)
    epochs: int = 4
    batch: int = 256
    rate: float = 3e-3
    decay: float = 1e-2
    balance: float = 0.25
    noise: float = 0.03
    jitter: int = 2
    gain: float = 0.2

    def with_epochs(self, epochs: int) -> Recipe:
        """The same recipe, trained longer or shorter."""
        return replace(self, epochs=epochs)

    def as_dict(self) -> dict[str, Any]:
        """For the model card."""
        return asdict(self)


def class_weights(labels: NDArray[np.int64], balance: float) -> Tensor:
    """(classes,) loss weights, mean 1 over the beats; a class that is absent or rare counts as 200 beats."""
    counts = np.maximum(np.bincount(labels, minlength=len(AAMI_CLASSES)), 200).astype(np.float64)
    weights = counts**-balance
    weights *= counts.sum() / (weights * counts).sum()
    return torch.tensor(weights, dtype=torch.float32)


def augment(windows: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Shift, scale, turn over and roughen a batch of windows, (n, channels, width)."""
    n = len(windows)
    shift = int(torch.randint(-recipe.jitter, recipe.jitter + 1, (1,), generator=generator))
    moved = torch.roll(windows, shift, 2)
    gain = 1 + recipe.gain * (2 * torch.rand(n, 1, 1, generator=generator) - 1)
    gain *= 1 - 2 * (torch.rand(n, 1, 1, generator=generator) < 0.5).float()  # a lead's sign is the electrodes' affair
    # The same noise on the beat and on its difference to the normal beat, as a noisy signal would have it.
    noise = recipe.noise * torch.randn(n, 1, windows.shape[2], generator=generator)
    return moved * gain + noise


def train(beats: Beats, recipe: Recipe, seed: int, progress: Progress = lambda batches: None) -> BeatNet:
    """Train one network; the same seed gives the same network on the same machine.

    Args:
        beats: what to learn from.
        recipe: how.
        seed: of the weights, the order of the beats and the augmentation.
        progress: called once a batch.

    Returns:
        The network after the last epoch, in evaluation mode.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    net = BeatNet(recipe.architecture)
    features = torch.from_numpy(beats.features)
    net.feature_mean.copy_(features.mean(0))
    net.feature_scale.copy_(features.std(0).clamp_min(1e-3))
    windows, labels = torch.from_numpy(beats.windows), torch.from_numpy(beats.labels)
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    steps = len(beats) // recipe.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=recipe.epochs * steps)
    loss = nn.CrossEntropyLoss(weight=class_weights(beats.labels, recipe.balance))
    net.train()
    for _ in range(recipe.epochs):
        order = torch.randperm(len(beats), generator=generator)
        for step in range(steps):
            chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
            optimiser.zero_grad()
            logits = net(augment(windows[chosen], recipe, generator), features[chosen])
            value = loss(logits, labels[chosen])
            value.backward()
            optimiser.step()
            schedule.step()
            progress(1)
    return net.eval()


def batches_of(beats: int, recipe: Recipe) -> int:
    """How often :func:`train` will report progress."""
    return beats // recipe.batch * recipe.epochs


@torch.inference_mode()
def predict(net: BeatNet, beats: Beats) -> NDArray[np.int64]:
    """(n,) class numbers of the beats."""
    parts = []
    for first in range(0, len(beats), 1024):
        windows = torch.from_numpy(beats.windows[first : first + 1024])
        features = torch.from_numpy(beats.features[first : first + 1024])
        parts.append(net(windows, features).argmax(1).numpy())
    return np.concatenate(parts)


def f1_of(labels: NDArray[np.int64], predicted: NDArray[np.int64], aami: int) -> float:
    """F1 of one class over matched beats, per cent; an F or Q called V is not held against V, as EC57 has it."""
    is_class, called = labels == aami, predicted == aami
    forgiven = np.isin(labels, (_F, _Q)) if aami == _V else np.zeros(len(labels), bool)
    true = int(np.sum(is_class & called))
    false = int(np.sum(called & ~is_class & ~forgiven))
    missed = int(np.sum(is_class & ~called))
    return 200.0 * true / max(2 * true + false + missed, 1)


@dataclass(frozen=True, slots=True)
class Validation:
    """What cross-validation says of a recipe.

    Attributes:
        recipe: the recipe.
        v_f1, s_f1: F1 of V and S over all beats, each named by the network that had not seen its record.
        accuracy: share of beats named right.
    """

    recipe: Recipe
    v_f1: float
    s_f1: float
    accuracy: float

    @property
    def score(self) -> float:
        """What chooses: V counts twice, because runs and their alarms rest on it."""
        return (2 * self.v_f1 + self.s_f1) / 3

    def as_dict(self) -> dict[str, Any]:
        """For the model card."""
        return {
            "recipe": self.recipe.name,
            "v_f1": round(self.v_f1, 2),
            "s_f1": round(self.s_f1, 2),
            "accuracy": round(self.accuracy, 2),
        }


FOLDS: Final = 5


def folds(records: Sequence[str], count: int = FOLDS, together: Sequence[str] = ()) -> list[list[str]]:
    """Split records into `count` folds by turns; those of one patient in `together` stay in one fold."""
    groups: list[list[str]] = [[] for _ in range(count)]
    for i, name in enumerate(sorted(set(records) - set(together))):
        groups[i % count].append(name)
    groups[0].extend(sorted(set(records) & set(together)))
    return groups


def cross_validate(
    beats: Beats,
    extra: Beats,
    recipe: Recipe,
    seed: int,
    progress: Progress = lambda batches: None,
    count: int = FOLDS,
) -> Validation:
    """Train once a fold and name the records left out.

    Args:
        beats: what is named, and learnt from in the other folds.
        extra: learnt from only, where its record is not left out: other leads of the same records.
        recipe, seed, progress: as for :func:`train`.
        count: how many folds; fewer if there are fewer records.
    """
    predicted = np.empty(len(beats), np.int64)
    records = np.unique(beats.records).tolist()
    for number, left_out in enumerate(folds(records, min(count, len(records)))):
        held = np.isin(beats.records, left_out)
        learnt = join([beats.take(~held), extra.take(~np.isin(extra.records, left_out))])
        net = train(learnt, recipe, seed + number, progress)
        predicted[held] = predict(net, beats.take(held))
    return Validation(
        recipe,
        f1_of(beats.labels, predicted, _V),
        f1_of(beats.labels, predicted, _S),
        100.0 * float(np.mean(beats.labels == predicted)),
    )
