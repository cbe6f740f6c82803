"""Made-up rhythms: when beats come, and of what kind they are.

- Atrial: premature beats, lone, in couplets, in bigeminy, in runs, in long-short rhythms with pauses. Others hold none,
  so that irregularity alone is no ectopy: atrial fibrillation, sinus arrhythmia, a rate that drifts.
- Ventricular: premature beats of one focus, now and then of another, with pauses that compensate or do not; bigeminy,
  couplets, tachycardia; a focus at its own slow pace, with fusion where it meets the sinus node's; ectopy in atrial
  fibrillation. And bundle branch block that comes and goes, so that a strange shape alone is no ventricular beat.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

NORMAL, ECTOPIC, FIBRILLATING = "N", "S", "A"
VENTRICULAR, OTHER, FUSED, BLOCKED = "V", "U", "F", "B"
"""What beats are: of the sinus node; atrial and premature; of fibrillating atria; of a ventricular focus and of another
one; of that focus and the sinus node together; of the sinus node behind bundle branch block."""

Rhythm = list[tuple[float, str]]
"""Intervals before the beats, s, and what they are."""

_CLOSEST: Final = 0.3  # s


class Pace:
    """How a patient's rhythm goes: sinus intervals of about `base` s, and how ectopic beats come."""

    def __init__(self, rng: np.random.Generator, base: float, restless: float) -> None:
        self.rng, self.base, self.restless = rng, base, restless
        self.phase, self.breathing = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.01, 0.06)
        self.early = rng.uniform(0.45, 0.65), rng.uniform(0.70, 0.88)
        self.pause = rng.uniform(1.0, 1.3)
        self.often = float(rng.choice([0.02, 0.05, 0.1, 0.25]))
        self.coupling = rng.uniform(0.4, 0.75)
        self.compensates = rng.random() < 0.7
        self.drift, self.time = 0.0, 0.0

    def sinus(self) -> float:
        """The next sinus interval, s: it breathes and it wanders."""
        self.drift = 0.9 * self.drift + 0.03 * self.restless * self.rng.normal()
        breathing = self.breathing * self.restless * np.sin(np.pi * self.time / 2.0 + self.phase)
        interval = float(self.base * (1.0 + breathing + self.drift))
        self.time += interval
        return interval

    def premature(self) -> float:
        return self.base * float(self.rng.uniform(*self.early))

    def after(self) -> float:
        """The interval that follows an ectopic beat."""
        return self.base * float(self.rng.uniform(0.95, self.pause))

    def sinuses(self, low: int, high: int) -> Rhythm:
        return [(self.sinus(), NORMAL) for _ in range(self.rng.integers(low, high))]


def _lone(pace: Pace) -> Rhythm:
    if pace.rng.random() > pace.often:
        return [(pace.sinus(), NORMAL)]
    return [(pace.premature(), ECTOPIC), (pace.after(), NORMAL)]


def _every_second(pace: Pace) -> Rhythm:
    """Bigeminy, less often trigeminy or quadrigeminy, then sinus rhythm."""
    found: Rhythm = []
    between = int(pace.rng.choice([1, 1, 2, 3])) - 1
    for _ in range(pace.rng.integers(5, 25)):
        found += [(pace.sinus(), NORMAL) for _ in range(between)]
        found += [(pace.after(), NORMAL), (pace.premature(), ECTOPIC)]
    return found + pace.sinuses(5, 40)


def _runs(pace: Pace) -> Rhythm:
    """Runs of two to a hundred and more ectopic beats."""
    rng = pace.rng
    early = rng.uniform(pace.early[0], pace.early[1] - 0.05)
    found = pace.sinuses(1, 60) if rng.random() < 0.7 else []
    length = max(2, int(rng.choice([2, 3, 5, 10, 30, 80]) * rng.uniform(0.6, 1.4)))
    found += [(pace.base * early * (1.0 + 0.03 * rng.normal()), ECTOPIC) for _ in range(length)]
    return [*found, (pace.base * rng.uniform(1.0, 1.5), NORMAL)]


def _long_short(pace: Pace) -> Rhythm:
    """A sinus beat after a pause, then a few ectopic ones; the pause may be the patient's rule."""
    rng = pace.rng
    short = pace.base * rng.uniform(0.7, 1.0)
    long = short * rng.uniform(1.3, 2.6)
    count = 1 + (int(rng.integers(1, 6)) if rng.random() < 0.25 else 0)
    found = [(long * (1.0 + 0.05 * rng.normal()), NORMAL) for _ in range(count)]
    length = int(rng.choice([1, 2, 3, 4, 6, 10]))
    return found + [(short * (1.0 + 0.07 * rng.normal()), ECTOPIC) for _ in range(length)]


def fibrillation(pace: Pace) -> Rhythm:
    rng = pace.rng
    spread, mean = rng.uniform(0.12, 0.3), pace.base * rng.uniform(0.7, 1.0)
    found = [(max(0.32, mean * np.exp(spread * rng.normal())), FIBRILLATING) for _ in range(rng.integers(40, 200))]
    return found + (pace.sinuses(20, 60) if rng.random() < 0.4 else [])


def changing_rate(pace: Pace) -> Rhythm:
    """Sinus rhythm that speeds up or slows down, stays, and comes back."""
    rng = pace.rng
    ratio, steps = rng.uniform(0.72, 1.3), int(rng.integers(6, 25))
    there = [(pace.sinus() * (1.0 + (ratio - 1.0) * i / steps), NORMAL) for i in range(steps)]
    stays = [(pace.sinus() * ratio, NORMAL) for _ in range(rng.integers(0, 30))]
    back = [(pace.sinus() * (ratio + (1.0 - ratio) * i / steps), NORMAL) for i in range(steps)]
    return there + stays + back


def _coupled(pace: Pace) -> float:
    """The interval before a premature ventricular beat."""
    return pace.base * pace.coupling * (1.0 + 0.04 * float(pace.rng.normal()))


def _paused(pace: Pace, early: float) -> float:
    """The interval after one: the sinus node was not reset, or was."""
    full = 2.0 * pace.base - early if pace.compensates else pace.base * pace.pause
    return full * (1.0 + 0.03 * float(pace.rng.normal()))


def _focus(pace: Pace) -> str:
    return VENTRICULAR if pace.rng.random() < 0.8 else OTHER


def _premature_ventricular(pace: Pace) -> Rhythm:
    if pace.rng.random() > pace.often:
        return [(pace.sinus(), NORMAL)]
    early = _coupled(pace)
    return [(early, _focus(pace)), (_paused(pace, early), NORMAL)]


def _ventricular_bigeminy(pace: Pace) -> Rhythm:
    """And trigeminy."""
    found: Rhythm = []
    between = int(pace.rng.choice([0, 0, 1]))
    for _ in range(pace.rng.integers(4, 25)):
        early = _coupled(pace)
        found += [(early, VENTRICULAR), (_paused(pace, early), NORMAL)]
        found += [(pace.sinus(), NORMAL) for _ in range(between)]
    return found + pace.sinuses(5, 40)


def _ventricular_runs(pace: Pace) -> Rhythm:
    """Couplets and tachycardia."""
    rng = pace.rng
    length = int(rng.choice([1, 1, 2, 4, 8]) * rng.uniform(1.0, 1.5))
    kind, early = _focus(pace), _coupled(pace)
    fast = pace.base * rng.uniform(0.42, 0.65)
    run = [(fast * (1.0 + 0.05 * rng.normal()), kind if rng.random() < 0.85 else OTHER) for _ in range(length)]
    return [*pace.sinuses(4, 60), (early, kind), *run, (_paused(pace, early), NORMAL)]


def _own_pace(pace: Pace) -> Rhythm:
    """The focus at about the sinus node's pace, with fusion where the two meet; or fusion alone."""
    rng = pace.rng
    found = pace.sinuses(3, 40)
    if rng.random() < 0.4:
        return [*found, (pace.base * rng.uniform(0.88, 1.0), FUSED), (pace.base * rng.uniform(0.98, 1.08), NORMAL)]
    slow = pace.base * rng.uniform(0.8, 1.1)
    found += [(pace.base * rng.uniform(0.85, 1.0), FUSED) for _ in range(rng.integers(0, 3))]
    found += [(slow * (1.0 + 0.03 * rng.normal()), VENTRICULAR) for _ in range(rng.integers(1, 12))]
    return found + [(slow, FUSED) for _ in range(rng.integers(0, 3))]


def _fibrillation_with_ventricular(pace: Pace) -> Rhythm:
    rng = pace.rng
    found: Rhythm = []
    for interval, kind in fibrillation(pace):
        found.append((interval, kind))
        if kind == FIBRILLATING and rng.random() < pace.often:
            found += [(_coupled(pace), _focus(pace)), (pace.base * rng.uniform(0.9, 1.5), FIBRILLATING)]
    return found


def _block(pace: Pace) -> Rhythm:
    """Bundle branch block that comes and goes."""
    rng = pace.rng
    quicker = rng.uniform(0.85, 1.1)
    found = pace.sinuses(5, 60)
    return found + [(pace.sinus() * quicker, BLOCKED) for _ in range(int(rng.choice([1, 3, 10, 40])))]


Pattern = Callable[[Pace], Rhythm]
VENTRICULAR_RHYTHMS: Final[tuple[Pattern, ...]] = (
    _premature_ventricular,
    _premature_ventricular,
    _ventricular_bigeminy,
    _ventricular_runs,
    _own_pace,
    _own_pace,
    _fibrillation_with_ventricular,
    _block,
)
ATRIAL_RHYTHMS: Final[tuple[Pattern, ...]] = (
    _lone,
    _lone,
    _lone,
    _every_second,
    _runs,
    _runs,
    _long_short,
    _long_short,
    fibrillation,
    changing_rate,
)
"""One of these, drawn, is a made-up record's rhythm."""

KINDS: Final = {"atrial": ATRIAL_RHYTHMS, "ventricular": VENTRICULAR_RHYTHMS}
"""Kinds of made-up records."""


def rhythm(rng: np.random.Generator, base: float, seconds: float, patterns: tuple[Pattern, ...]) -> Rhythm:
    """Intervals and beats of so many seconds, at a sinus interval of about `base` s."""
    pattern = patterns[rng.integers(len(patterns))]
    pace = Pace(rng, base, restless=2.5 if pattern is changing_rate else 1.0)
    found: Rhythm = []
    length = 0.0
    while length < seconds:
        part = [(max(interval, _CLOSEST), kind) for interval, kind in pattern(pace)]
        length += sum(interval for interval, _ in part)
        found += part
    return found
