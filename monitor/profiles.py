"""What a bed is set to: alarm limits, a preset of them for each age, whether the patient has a pacemaker.

The presets are starting points such as bedside monitors leave the factory with, rounded; the adult one has the
definitions of the PhysioNet/CinC Challenge 2015. :data:`RANGES` are about those that manuals print. Whoever
uses this for more than a demonstration sets limits for the patient.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Limits:
    """What one bed is set to.

    Attributes:
        low, high: heart rate, per minute: below or above is BRADY or TACHY.
        extreme_low, extreme_high: the same for EXTREME_BRADY and EXTREME_TACHY.
        asystole_s: seconds without a QRS that are an asystole.
        pause_s: seconds without a QRS that are a pause.
        vt_rate: ventricular beats per minute above which a run is a tachycardia.
        vt_count: beats in a row from which it is one.
        pvc_limit: ventricular beats in a minute that are too many.
        paced: the patient has a pacemaker.
    """

    low: float = 50.0
    high: float = 120.0
    extreme_low: float = 40.0
    extreme_high: float = 140.0
    asystole_s: float = 4.0
    pause_s: float = 3.0
    vt_rate: float = 100.0
    vt_count: int = 5
    pvc_limit: int = 10
    paced: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


PROFILES: Final = {
    "adult": Limits(),
    "paediatric": Limits(75.0, 160.0, 55.0, 180.0, 4.0, 2.0, 120.0, 5, 5),
    "neonatal": Limits(100.0, 200.0, 80.0, 220.0, 3.0, 1.5, 150.0, 5, 5),
}
ADULT: Final = "adult"

RANGES: Final[dict[str, tuple[float, float]]] = {
    "low": (15, 300),
    "high": (15, 300),
    "extreme_low": (15, 300),
    "extreme_high": (15, 300),
    "asystole_s": (2.5, 10),
    "pause_s": (1.5, 5),
    "vt_rate": (60, 250),
    "vt_count": (3, 16),
    "pvc_limit": (1, 100),
}
"""Lowest and highest value of each limit; the kernels remember runs of :data:`monitor.conditions.LONGEST_RUN` beats."""

WHOLE: Final = ("vt_count", "pvc_limit")
"""Limits that count something."""


def check(name: str, value: object) -> float:
    """One limit as a number.

    Raises:
        ValueError: there is no such limit, or the value is none that it can have.
    """
    if name not in RANGES:
        raise ValueError(f"{name[:20]} is no limit")
    lowest, highest = RANGES[name]
    right = isinstance(value, int | float) and not isinstance(value, bool)
    if not isinstance(value, int | float) or not right or not lowest <= value <= highest:
        raise ValueError(f"{name} is not a number from {lowest:g} to {highest:g}")
    if name in WHOLE:
        if value != int(value):
            raise ValueError(f"{name} is not a whole number")
        return int(value)
    return float(value)


def with_changes(limits: Limits, **changes: float | None) -> Limits:
    """Limits with some of them changed.

    An extreme limit that is not among the changes gives way where the heart-rate limit would cross it.

    Args:
        limits: what holds so far.
        changes: new values by name; None leaves one as it is.

    Raises:
        ValueError: one is out of its range, or they are out of order:
            extreme_low <= low < high <= extreme_high, and pause_s <= asystole_s.

    >>> with_changes(Limits(), high=150.0).extreme_high
    150.0
    """
    given = {name: check(name, value) for name, value in changes.items() if value is not None}
    new: Limits = replace(limits, **given)  # type: ignore[arg-type]  # whole ones are whole
    if not new.low < new.high:
        raise ValueError(f"low {new.low:g} is not below high {new.high:g}")
    if "extreme_low" not in given:
        new = replace(new, extreme_low=min(new.extreme_low, new.low))
    if "extreme_high" not in given:
        new = replace(new, extreme_high=max(new.extreme_high, new.high))
    if not new.extreme_low <= new.low:
        raise ValueError(f"extreme_low {new.extreme_low:g} is above low {new.low:g}")
    if not new.high <= new.extreme_high:
        raise ValueError(f"extreme_high {new.extreme_high:g} is below high {new.high:g}")
    if not new.pause_s <= new.asystole_s:
        raise ValueError(f"pause_s {new.pause_s:g} is above asystole_s {new.asystole_s:g}")
    return new


def write_settings(record: Any, limits: Limits) -> None:
    """Tell the kernels what a bed is set to, in a record of :data:`monitor.conditions.SETTINGS`."""
    for field in fields(limits):
        record[field.name] = getattr(limits, field.name)
