"""How to train: everything that decides what a network becomes, except the beats and the seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final, get_type_hints

from monitor.ecg import AAMI_CLASSES
from monitor.exceptions import ConfigError
from trainer.beats.model import Architecture

LOSSES: Final = ("cross_entropy", "focal", "class_balanced")
STOPS: Final = ("score", "loss")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train.

    Attributes:
        name: for tables and the model card.
        architecture: of the network.
        members: networks with different seeds whose probabilities are averaged.
        learn_from: lead sets of the data set to learn from; none: all of as many leads as the network has.
        databases: those to learn from; none: all.
        noisy: whether to learn from copies with noise, too.
        provisional: share of beats shown as for their provisional names while training: nothing is known of the next.
        epochs: passes over the beats, at most.
        patience: epochs without a better score on held-out patients after which training stops; the best epoch is
            kept. 0: no patient is held out, the last epoch is kept.
        held_out: share of the patients held out for that.
        stop_on: what is better on them: ``score`` or ``loss``.
        batch: beats a step.
        rate: peak learning rate of the one-cycle schedule, AdamW.
        decay: weight decay.
        loss: ``cross_entropy``, ``focal`` (Lin 2017, doi:10.1109/ICCV.2017.324), or ``class_balanced``: weights by
            the effective number of beats (Cui 2019, doi:10.1109/CVPR.2019.00949).
        gamma: exponent of the focal loss.
        beta: of the effective number.
        smoothing: share of each label that is spread over all classes.
        balance: exponent of the inverse class frequency in the loss weights: 0 none, 1 full balance.
        sampling: the same for how often beats are drawn.
        patient_balance: the same for how many beats of a class a patient has, in the loss weights.
        made_up: weight of all made-up beats of each class over that of the real ones, in the order of the classes; a
            class with no real beats weighs as recorded. Priors stay those of real records.
        distill: share of the loss that goes by soft labels where some are given.
        noise: standard deviation of noise added to the windows, in units of the normal beat.
        feature_noise: the same for the features, in their standard deviations.
        jitter: largest shift of the window, points at 180 Hz.
        gain: largest relative change of amplitude.
        warp: largest relative change of duration.
        inversion: share of beats turned over: a lead's sign is the electrodes' affair.
    """

    name: str = "recipe"
    architecture: Architecture = field(default_factory=Architecture)
    members: int = 1
    learn_from: tuple[str, ...] = ()
    databases: tuple[str, ...] = ()
    noisy: bool = True
    provisional: float = 0.5
    epochs: int = 4
    patience: int = 0
    held_out: float = 0.15
    stop_on: str = "score"
    batch: int = 256
    rate: float = 3e-3
    decay: float = 1e-2
    loss: str = "cross_entropy"
    gamma: float = 2.0
    beta: float = 0.999
    smoothing: float = 0.0
    balance: float = 0.25
    sampling: float = 0.0
    patient_balance: float = 0.0
    made_up: tuple[float, ...] = (0.6, 0.5, 0.5, 0.3, 0.0)
    distill: float = 0.0
    noise: float = 0.03
    feature_noise: float = 0.0
    jitter: int = 2
    gain: float = 0.2
    warp: float = 0.0
    inversion: float = 0.5

    def __post_init__(self) -> None:
        """See that it can be followed.

        Raises:
            ConfigError: it cannot.
        """
        rules = {
            "members": self.members >= 1,
            "epochs": self.epochs >= 1,
            "patience": self.patience >= 0,
            "held_out": 0.0 < self.held_out < 1.0,
            "stop_on": self.stop_on in STOPS,
            "batch": self.batch >= 2,
            "rate": self.rate > 0.0,
            "provisional": 0.0 <= self.provisional <= 1.0,
            "loss": self.loss in LOSSES,
            "beta": 0.0 <= self.beta < 1.0,
            "smoothing": 0.0 <= self.smoothing < 1.0,
            "distill": 0.0 <= self.distill <= 1.0,
            "jitter": self.jitter >= 0,
            "made_up": len(self.made_up) == len(AAMI_CLASSES) and min(self.made_up) >= 0.0,
        }
        for name, good in rules.items():
            if not good:
                raise ConfigError(
                    f"{getattr(self, name)} makes no sense", where=name, remedy="see trainer/beats/recipes.py"
                )

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Recipe:
        """A recipe from the values of a TOML table; those that are missing are as they are by default.

        Raises:
            ConfigError: a name is unknown or a value is of another kind.
        """
        values = dict(given)
        inner = values.pop("architecture", {})
        if not isinstance(inner, Mapping):
            raise ConfigError("not a table", where="architecture", remedy="give its values by name")
        return cls(architecture=Architecture(**_fitting(Architecture, inner, "architecture.")), **_fitting(cls, values))

    def with_leads(self, leads: int) -> Recipe:
        """The same for another number of leads."""
        return replace(self, architecture=replace(self.architecture, leads=leads))

    def as_dict(self) -> dict[str, Any]:
        """For the model card, and for :meth:`of`."""
        found: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return found

    def digest(self) -> str:
        """The same for recipes that train the same network, whatever their name."""
        values = {key: value for key, value in self.as_dict().items() if key != "name"}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _fitting(kind: type[Any], given: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by the names of a dataclass's fields; whole numbers serve as fractions, lists as tuples."""
    hints = get_type_hints(kind)
    known = [one.name for one in fields(kind) if one.name != "architecture"]
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise ConfigError("no such setting", where=f"{prefix}{name}", remedy=f"there are {', '.join(known)}")
        wanted = hints[name]
        if isinstance(value, list):
            value = tuple(value)
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        plain = getattr(wanted, "__origin__", wanted)
        inner = getattr(wanted, "__args__", (object,))[0]
        good = type(value) is plain and (plain is not tuple or all(type(part) is inner for part in value))
        if not good:
            expected = f"tuple of {inner.__name__}" if plain is tuple else plain.__name__
            raise ConfigError(f"{value!r} is no {expected}", where=f"{prefix}{name}", remedy="give such a value")
        found[name] = value
    return found
