"""Training of one network, or of several that are averaged.

All that is random in an epoch follows from the seed and the number of the epoch, so that a training that was
interrupted goes on to the bit as if it had not been. On one CPU thread the same seed gives the same network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monitor.ecg import AAMI_CLASSES
from monitor.exceptions import ConfigError
from monitor.timing import CONTEXT, NEXT
from monitor.window import R
from trainer.beats import checkpoint
from trainer.beats.dataset import Beats
from trainer.beats.model import BeatNet, Named
from trainer.beats.recipes import Recipe
from trainer.scoring.grades import grade
from trainer.splits import refuse_test_records

CPU: Final = torch.device("cpu")
DEVICES: Final = ("auto", "cpu", "cuda")

Progress = Callable[[int], None]
"""Called with the number of batches done."""

Rows = NDArray[np.int64]
"""Indices into :class:`trainer.beats.dataset.Beats`."""

_CLASSES: Final = len(AAMI_CLASSES)
_FEW: Final = 50
"""Beats of a class that a patient is taken to have besides."""
_SPAN: Final = 1 << 20  # epochs a seed is good for


def device_of(name: str) -> torch.device:
    """Where to train: ``auto`` takes a GPU if there is one.

    Raises:
        ConfigError: there is no such device.
    """
    if name not in DEVICES:
        raise ConfigError(f"no device {name}", where="--device", remedy=f"choose {', '.join(DEVICES)}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("this machine, or this torch, has no GPU", where="--device", remedy="choose cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def rows_for(beats: Beats, recipe: Recipe) -> Rows:
    """The beats that a recipe learns from.

    Raises:
        ConfigError: there are none.
    """
    lead_sets = recipe.learn_from or np.unique(beats.lead_sets).tolist()
    chosen = beats.taken_from(lead_sets, databases=recipe.databases, noisy=recipe.noisy)
    if not chosen.any():
        there = ", ".join(np.unique(beats.lead_sets).tolist())
        raise ConfigError("no beat to learn from", where=recipe.name, remedy=f"the data set's lead sets are {there}")
    return np.flatnonzero(chosen)


def check_classes(beats: Beats, rows: Rows, without: Sequence[str] = ()) -> None:
    """See that every class can be learnt.

    Raises:
        ConfigError: one is missing.
    """
    missing = [name for name, count in beats.counts(rows).items() if not count and name not in without]
    if missing:
        names = ",".join(missing)
        remedy = f"build a data set that has some, or one that says --without {names}"
        raise ConfigError(f"no beat of class {names} to learn from", where="data set", remedy=remedy)


def class_weights(labels: NDArray[np.int64], recipe: Recipe) -> NDArray[np.float64]:
    """(classes,) loss weights, mean 1 over the beats; a class that is absent or rare counts as 200 beats."""
    counts = np.maximum(np.bincount(labels, minlength=_CLASSES), 200).astype(np.float64)
    weights = counts**-recipe.balance
    if recipe.loss == "class_balanced":
        weights = (1.0 - recipe.beta) / (1.0 - recipe.beta**counts)
    found: NDArray[np.float64] = weights * counts.sum() / (weights * counts).sum()
    return found


def beat_weights(beats: Beats, rows: Rows, recipe: Recipe) -> NDArray[np.float32]:
    """(n,) loss weights of the beats in `rows`: of their class, of their patient, of being made up or not; mean 1."""
    labels, made_up = beats.labels[rows], beats.made_up[rows]
    weights = np.zeros(len(rows))
    for part in (~made_up, made_up):
        weights[part] = _balanced(labels[part], beats.patients[rows[part]], recipe)
    for number, share in enumerate(recipe.made_up):
        real, other = (labels == number) & ~made_up, (labels == number) & made_up
        if real.any() and other.any():
            weights[other] *= share * weights[real].sum() / weights[other].sum()
    found: NDArray[np.float32] = (weights / weights.mean()).astype(np.float32)
    return found


def _balanced(labels: NDArray[np.int64], patients: NDArray[np.str_], recipe: Recipe) -> NDArray[np.float64]:
    """(n,) loss weights by class and patient; those of a class add up to what :func:`class_weights` gives it."""
    if not len(labels):
        return np.zeros(0)
    each = class_weights(labels, recipe)[labels]
    groups = np.unique(patients, return_inverse=True)[1] * _CLASSES + labels
    _, which, counts = np.unique(groups, return_inverse=True, return_counts=True)
    weights = (counts.astype(np.float64)[which] + _FEW) ** -recipe.patient_balance
    for number in range(_CLASSES):
        mine = labels == number
        if mine.any():
            weights[mine] *= each[mine].sum() / weights[mine].sum()
    found: NDArray[np.float64] = weights
    return found


def loss_of(logits: Tensor, labels: Tensor, weights: Tensor, recipe: Recipe, soft: Tensor | None = None) -> Tensor:
    """Mean loss of a batch.

    Args:
        logits: (n, classes).
        labels: (n,) int64.
        weights: (n,) of the beats.
        recipe: which loss, smoothing, how much of it goes by soft labels.
        soft: (n, classes) probabilities to learn from as well.
    """
    log_p = torch.log_softmax(logits, 1)
    target = torch.nn.functional.one_hot(labels, _CLASSES).to(log_p.dtype)
    target = target * (1.0 - recipe.smoothing) + recipe.smoothing / _CLASSES
    if soft is not None:
        target = target * (1.0 - recipe.distill) + recipe.distill * soft
    each = -(target * log_p).sum(1)
    if recipe.loss == "focal":
        each = each * (1.0 - log_p.gather(1, labels[:, None])[:, 0].exp()) ** recipe.gamma
    return (each * weights).sum() / weights.sum()


def augment(windows: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Shift, stretch, scale, turn over and roughen a batch of windows, (n, channels, width)."""
    n, channels, width = windows.shape
    shift = int(torch.randint(-recipe.jitter, recipe.jitter + 1, (1,), generator=generator))
    moved = torch.roll(windows, shift, 2)
    if recipe.warp > 0.0:
        stretch = 1 + recipe.warp * (2 * torch.rand(n, 1, generator=generator) - 1)
        at = (R + (torch.arange(width) - R) * stretch).clamp(0, width - 1.001)
        low = at.long()
        share = (at - low)[:, None]
        places = low[:, None].expand(n, channels, width)
        moved = moved.gather(2, places) * (1 - share) + moved.gather(2, places + 1) * share
    gain = 1 + recipe.gain * (2 * torch.rand(n, 1, 1, generator=generator) - 1)
    gain *= 1 - 2 * (torch.rand(n, 1, 1, generator=generator) < recipe.inversion).float()
    # The same noise on a beat and on its difference to the normal beat, as a noisy signal would have it.
    noise = recipe.noise * torch.randn(n, 1, width, generator=generator)
    return moved * gain + noise


@dataclass(slots=True)
class Trained:
    """A network and how it came about.

    Attributes:
        net: in evaluation mode.
        history: one entry an epoch: mean loss, and on held-out patients score and loss.
        best: the epoch that was kept, from 1.
    """

    net: BeatNet
    history: list[dict[str, float]]
    best: int


def held_out_patients(beats: Beats, rows: Rows, recipe: Recipe, seed: int) -> list[str]:
    """Patients left out of training to tell when to stop; none without patience."""
    if not recipe.patience:
        return []
    patients = np.unique(beats.patients[rows])
    if len(patients) < 2:
        what = "early stopping needs beats of two patients"
        raise ConfigError(what, where="patience", remedy="name more records, or set patience to 0")
    count = min(max(round(recipe.held_out * len(patients)), 1), len(patients) - 1)
    chosen: list[str] = np.random.default_rng((seed, 1)).choice(patients, count, replace=False).tolist()
    return sorted(chosen)


def batches_of(beats: int, recipe: Recipe) -> int:
    """How often :func:`train` will report progress at most."""
    return max(beats // recipe.batch, 1) * recipe.epochs


def train(
    beats: Beats,
    rows: Rows,
    recipe: Recipe,
    seed: int,
    progress: Progress = lambda batches: None,
    *,
    soft: NDArray[np.float32] | None = None,
    device: torch.device = CPU,
    keep: Path | None = None,
) -> Trained:
    """Train one network.

    Args:
        beats: labelled beats.
        rows: those to learn from; patients held out for early stopping are among them.
        recipe: how.
        seed: of the weights, the order of the beats, the augmentation, and who is held out.
        progress: called once a batch.
        soft: (n, classes) probabilities of all `beats`, which the recipe's `distill` learns from.
        device: where to.
        keep: folder for a checkpoint an epoch; the same training goes on from the one there.

    Raises:
        ConfigError: test records are among the rows, a checkpoint cannot be written, or there is no patient to hold
            out.
    """
    refuse_test_records(np.unique(beats.records[rows]).tolist(), "training")
    key = _key_of(beats, rows, recipe, seed, soft)
    held = np.isin(beats.patients[rows], held_out_patients(beats, rows, recipe, seed))
    watched = rows[held & ~beats.noisy[rows] & ~beats.made_up[rows]]
    rows = rows[~held]
    torch.manual_seed(seed)
    net = BeatNet(recipe.architecture)
    net.standardise(torch.from_numpy(np.asarray(beats.features[rows])))
    net.to(device)
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    steps = batches_of(len(rows), recipe) // recipe.epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=recipe.epochs * steps)
    batches = _Batches(beats, rows, recipe, soft, device)
    run = _Run(net, optimiser, schedule)
    if keep is not None and (found := checkpoint.read(keep, key)) is not None:
        run.restore(*found)
        progress(len(run.history) * steps)
    while not run.over(recipe):
        epoch = len(run.history)
        torch.manual_seed(seed * _SPAN + epoch)
        net.train()
        total = 0.0
        for windows, features, labels, weights, targets in batches.epoch(seed * _SPAN + epoch, steps):
            optimiser.zero_grad()
            value = loss_of(net(windows, features), labels, weights, recipe, targets)
            value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += float(value.detach())
            progress(1)
        run.note({"loss": total / steps} | (_watch(net, beats, watched, device) if len(watched) else {}), recipe)
        if keep is not None:
            checkpoint.write(keep, key, run.facts(), run.tensors())
    net.load_state_dict(run.best_weights)
    return Trained(net.eval().cpu(), run.history, run.best + 1)


def train_members(
    beats: Beats,
    rows: Rows,
    recipe: Recipe,
    seed: int,
    progress: Progress = lambda batches: None,
    *,
    soft: NDArray[np.float32] | None = None,
    device: torch.device = CPU,
    keep: Path | None = None,
) -> tuple[Named, list[Trained]]:
    """Train all members of a recipe, with seeds that follow each other; the arguments are those of :func:`train`."""
    made = []
    for member in range(recipe.members):
        place = None if keep is None else keep / f"member-{member}"
        own = seed * recipe.members + member
        made.append(train(beats, rows, recipe, own, progress, soft=soft, device=device, keep=place))
    return Named([one.net for one in made]).eval(), made


class _Batches:
    """Batches of beats, gathered from where they lie."""

    def __init__(
        self, beats: Beats, rows: Rows, recipe: Recipe, soft: NDArray[np.float32] | None, device: torch.device
    ) -> None:
        self.beats, self.rows, self.recipe, self.device = beats, rows, recipe, device
        labels = beats.labels[rows]
        self.features = torch.from_numpy(np.asarray(beats.features[rows]))
        self.spread = self.features.std(0).clamp_min(1e-3)
        self.labels = torch.from_numpy(labels)
        self.weights = torch.from_numpy(beat_weights(beats, rows, recipe))
        self.soft = None if soft is None else torch.from_numpy(np.asarray(soft[rows], np.float32))
        counts = np.maximum(np.bincount(labels, minlength=_CLASSES), 1).astype(np.float64)
        self.chances = torch.from_numpy(counts[labels] ** -recipe.sampling)

    def epoch(self, seed: int, steps: int) -> Any:
        """Windows, features, labels, weights and soft labels or None of each batch."""
        recipe, device = self.recipe, self.device
        generator = torch.Generator().manual_seed(seed)
        if recipe.sampling:
            order = torch.multinomial(self.chances, len(self.rows), True, generator=generator)
        else:
            order = torch.randperm(len(self.rows), generator=generator)
        for step in range(steps):
            chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
            windows = torch.empty(len(chosen), 0, 0)  # features alone are named: no need to gather what is not seen
            if recipe.architecture.channels:
                windows = torch.from_numpy(self.beats.windows[self.rows[chosen.numpy()]])
                windows = augment(windows, recipe, generator)
            features = self.features[chosen]
            if recipe.feature_noise:
                rough = torch.randn(features.shape, generator=generator)
                features = features + recipe.feature_noise * self.spread * rough
            if recipe.provisional:
                provisional = torch.rand(len(chosen), generator=generator) < recipe.provisional
                features[provisional, NEXT:CONTEXT] = 0.0
            targets = None if self.soft is None else self.soft[chosen].to(device)
            batch = windows, features, self.labels[chosen], self.weights[chosen]
            yield (*(part.to(device) for part in batch), targets)


class _Run:
    """A training under way: what a checkpoint keeps of it."""

    def __init__(self, net: BeatNet, optimiser: torch.optim.Optimizer, schedule: Any) -> None:
        self.net, self.optimiser, self.schedule = net, optimiser, schedule
        self.history: list[dict[str, float]] = []
        self.best = -1
        self.best_weights: dict[str, Tensor] = {}

    def over(self, recipe: Recipe) -> bool:
        done = len(self.history)
        return done >= recipe.epochs or bool(recipe.patience and done and done - 1 - self.best >= recipe.patience)

    def note(self, facts: dict[str, float], recipe: Recipe) -> None:
        """An epoch is over; it is the best if no patient is held out, or it names theirs better than any before."""
        self.history.append(facts)
        name, sign = ("held_out_loss", -1.0) if recipe.stop_on == "loss" else ("held_out_score", 1.0)
        if self.best < 0 or name not in facts or sign * facts[name] > sign * self.history[self.best][name]:
            self.best = len(self.history) - 1
            self.best_weights = {key: value.detach().clone() for key, value in self.net.state_dict().items()}

    def facts(self) -> dict[str, Any]:
        state = self.schedule.state_dict()
        schedule = {key: value for key, value in state.items() if isinstance(value, int | float | list)}
        groups = self.optimiser.state_dict()["param_groups"]
        return {"history": self.history, "best": self.best, "schedule": schedule, "groups": groups}

    def tensors(self) -> dict[str, Tensor]:
        found = {f"net.{key}": value for key, value in self.net.state_dict().items()}
        found |= {f"best.{key}": value for key, value in self.best_weights.items()}
        for number, state in self.optimiser.state_dict()["state"].items():
            found |= {f"optimiser.{number}.{key}": value for key, value in state.items()}
        return found

    def restore(self, facts: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        parts: dict[str, dict[str, Tensor]] = {"net": {}, "best": {}, "optimiser": {}}
        for key, value in tensors.items():
            part, _, name = key.partition(".")
            parts[part][name] = value
        self.net.load_state_dict(parts["net"])
        self.best_weights = parts["best"]
        self.history, self.best = facts["history"], facts["best"]
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in parts["optimiser"].items():
            number, _, name = key.partition(".")
            state.setdefault(int(number), {})[name] = value
        groups = [group | {"betas": tuple(group["betas"])} for group in facts["groups"]]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})
        self.schedule.load_state_dict(facts["schedule"])


def _key_of(beats: Beats, rows: Rows, recipe: Recipe, seed: int, soft: NDArray[np.float32] | None) -> str:
    """What decides a training: another key, another network."""
    digest = sha256(f"{recipe.digest()} {seed} {torch.__version__}".encode())
    for values in (rows, beats.labels[rows], beats.features[rows], beats.samples[rows]):
        digest.update(np.ascontiguousarray(values).data)
    if soft is not None:
        digest.update(np.ascontiguousarray(soft).data)
    return digest.hexdigest()


def _watch(net: BeatNet, beats: Beats, rows: Rows, device: torch.device) -> dict[str, float]:
    """Score and loss on held-out patients."""
    probabilities = predict(Named([net]).eval(), beats, rows, device)
    labels = beats.labels[rows]
    right = probabilities[np.arange(len(rows)), labels]
    loss = float(-np.log(np.maximum(right, 1e-9)).mean())
    return {"held_out_score": grade(labels, probabilities.argmax(1)).score, "held_out_loss": loss}


@torch.inference_mode()
def predict(
    net: Named, beats: Beats, rows: Rows, device: torch.device = CPU, *, provisional: bool = False
) -> NDArray[np.float32]:
    """(n, classes) probabilities of the beats in `rows`, for their final or their provisional names."""
    found = np.empty((len(rows), _CLASSES), np.float32)
    net.to(device)
    for first in range(0, len(rows), 1024):
        part = rows[first : first + 1024]
        windows = torch.from_numpy(beats.windows[part]).to(device)
        features = torch.from_numpy(np.asarray(beats.features[part])).to(device)
        if provisional:
            features[:, NEXT:CONTEXT] = 0.0
        found[first : first + 1024] = net(windows, features).cpu().numpy()
    return found
