"""Made-up atrial ectopy: real beats of a patient, told in another order.

DS1 has 944 supraventricular ectopic beats, most of them of three patients: from so few a network learns patients. Here
a record's own normal beats are cut out, from before the P wave to the end of T, and laid down again as a rhythm with
premature atrial beats: lone, in couplets, in bigeminy, in runs, in long-short rhythms with pauses. An ectopic beat's P
wave is scaled, turned over, shifted or missing. Other rhythms hold none, so that irregularity alone is no ectopy:
atrial fibrillation without P waves, sinus arrhythmia, a rate that drifts. Where each beat lies, and what it is, is
known exactly.

Nothing of one patient reaches another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import AAMI_OF_SYMBOL
from monitor.records import Annotations, Record
from trainer.ventricular import BEFORE as BEFORE_FOCUS
from trainer.ventricular import Focus

SECONDS: Final = 480.0
"""Length of a made-up record."""

FEWEST: Final = 60
"""Normal beats that a record must lend."""

BEFORE: Final = 0.28
"""Seconds before R at which a beat begins."""

P_WAVE: Final = 0.22
"""Seconds of it that hold the P wave."""

_RAMP: Final = 0.03
_LONGEST_T: Final = 0.45  # of the square root of the interval, s from R
_CLOSEST: Final = 0.3
NORMAL, ECTOPIC, FIBRILLATING = "N", "S", "A"
VENTRICULAR, OTHER, FUSED, BLOCKED = "V", "U", "F", "B"
SYMBOLS: Final = {ECTOPIC: "A", VENTRICULAR: "V", OTHER: "V", FUSED: "F"}
Rhythm = list[tuple[float, str]]
"""Intervals before the beats, s, and what they are."""


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


def rhythm(
    rng: np.random.Generator, base: float, seconds: float, patterns: tuple[Pattern, ...]
) -> Rhythm:
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


def units(record: Record, reference: Annotations) -> tuple[list[NDArray[np.float64]], float]:
    """Normal beats among normal beats, and the median interval between such, s.

    Returns:
        (n, leads) mV each, from BEFORE seconds before R to the end of T; both ends are zero.
    """
    signal, fs = record.signal.astype(np.float64), record.fs
    at, symbols = reference.beats()
    normal = np.array([AAMI_OF_SYMBOL[symbol] == "N" for symbol in symbols], bool)
    inner = np.flatnonzero(normal[1:-1] & normal[:-2] & normal[2:]) + 1
    intervals = np.diff(at) / fs
    if not len(inner):
        return [], 1.0
    usual = float(np.median(intervals[inner]))
    found = []
    for i in inner.tolist():
        before, after = intervals[i - 1], intervals[i]
        if after < 0.8 * usual or not 0.85 * usual <= before <= 1.2 * usual:
            continue
        length = min(_LONGEST_T * np.sqrt(max(after, 0.5)), after - BEFORE)
        first, last = at[i] - round(BEFORE * fs), at[i] + round(length * fs)
        if length < 0.2 or first < 0 or last > len(signal) or not np.isfinite(signal[first:last]).all():
            continue
        found.append(_taper(signal[first:last].copy(), round(_RAMP * fs)))
    return found, usual


def _taper(unit: NDArray[np.float64], ramp: int) -> NDArray[np.float64]:
    """Take out the line between the ends, and fade both."""
    low, high = unit[:ramp].mean(0), unit[-ramp:].mean(0)
    unit -= low + (high - low) * np.linspace(0.0, 1.0, len(unit))[:, np.newaxis]
    fade = 0.5 - 0.5 * np.cos(np.pi * np.arange(ramp) / ramp)
    unit[:ramp] *= fade[:, np.newaxis]
    unit[-ramp:] *= fade[::-1, np.newaxis]
    return unit


def make(
    record: Record,
    reference: Annotations,
    rng: np.random.Generator,
    patterns: tuple[Pattern, ...],
    seconds: float = SECONDS,
) -> tuple[Record, Annotations] | None:
    """A made-up record of the patient of `record`, and its annotations: N, or A for an atrial premature beat.

    Args:
        record: real, with its own rate and leads.
        reference: its annotations.
        rng: decides all.
        seconds: how long, about.

    Returns:
        None where the record has fewer than FEWEST normal beats to lend.
    """
    lent, usual = units(record, reference)
    if len(lent) < FEWEST:
        return None
    fs, leads = record.fs, record.signal.shape[1]
    script = rhythm(rng, float(np.clip(usual * rng.uniform(0.85, 1.2), 0.5, 1.3)), seconds, patterns)
    times = np.cumsum([interval for interval, _ in script])
    count = round((times[-1] + 3.0) * fs)
    signal = _background(lent, count, fs, rng)
    before, p_wave = round(BEFORE * fs), round(P_WAVE * fs)
    scale, second = float(rng.choice([0.0, -0.5, 0.4, 0.8, 1.2, 1.5])), 1.0 + rng.uniform(-0.5, 0.5)
    shift = int(rng.uniform(-0.03, 0.03) * fs)
    by_lead = np.array([1.0, second])[:leads]
    flutter = rng.uniform(0.02, 0.09) * float(np.ptp(lent[0], axis=0).mean())
    turn = int(rng.integers(len(lent)))
    fibrillating = np.zeros(count)
    size = np.median([np.ptp(unit, axis=0) for unit in lent[:60]], axis=0)
    foci = {kind: Focus(rng, size, fs) for kind in (VENTRICULAR, OTHER, BLOCKED)}
    samples, symbols = [], []
    for number, (time, (_, kind)) in enumerate(zip(times.tolist(), script, strict=True)):
        unit = lent[(turn + number) % len(lent)].copy()
        p = unit[:p_wave].copy()
        p -= p[0] + (p[-1] - p[0]) * np.linspace(0.0, 1.0, p_wave)[:, np.newaxis]
        if kind == FIBRILLATING:
            unit[:p_wave] -= p
        elif kind == ECTOPIC:
            own = np.clip(scale + 0.1 * rng.normal(), -1.5, 2.0)
            unit[:p_wave] += np.roll(p, shift, 0) * own * by_lead - p
        r = round(time * fs)
        first = r - before
        if kind in (VENTRICULAR, OTHER):
            unit, first = foci[kind].beat(), r - round(BEFORE_FOCUS * fs)
        elif kind in (FUSED, BLOCKED):
            share = rng.uniform(0.25, 0.75) if kind == FUSED else 1.0
            unit = _fused(unit, p, foci[VENTRICULAR if kind == FUSED else BLOCKED].beat(), share, fs, rng)
        if first < 0:
            continue
        last = min(first + len(unit), count)
        signal[first:last] += unit[: last - first]
        if kind == FIBRILLATING:
            fibrillating[max(0, first - round(0.3 * fs)) : last] = 1.0
        samples.append(r)
        symbols.append(SYMBOLS.get(kind, "N"))
    if fibrillating.any():
        phase = np.cumsum(2.0 * np.pi * (6.0 + 0.8 * np.sin(0.6 * np.pi * np.arange(count) / fs)) / fs)
        waves = flutter * (np.sin(phase) + 0.4 * np.sin(2.0 * phase)) * fibrillating
        signal += waves[:, np.newaxis] * np.array([1.0, 0.8])[:leads]
    made = Record(record.name, fs, record.leads, signal.astype(np.float32))
    return made, Annotations(np.array(samples, np.int64), symbols, [""] * len(symbols))


def _fused(
    unit: NDArray[np.float64],
    p: NDArray[np.float64],
    other: NDArray[np.float64],
    share: float,
    fs: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """A normal beat, its P wave `p` untouched, of which a share has given way to a beat of a focus."""
    found = (1.0 - share) * unit
    found[: len(p)] += share * p
    at = round((BEFORE - BEFORE_FOCUS + rng.uniform(-0.03, 0.02)) * fs)
    longer = max(at + len(other) - len(unit), 0)
    found = np.concatenate([found, np.zeros((longer, unit.shape[1]))])
    found[at : at + len(other)] += share * other
    return found


def _background(
    lent: list[NDArray[np.float64]], count: int, fs: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(count, leads) mV: noise as large as between the patient's beats, and breathing."""
    quiet = np.concatenate([np.diff(unit[: round(0.08 * fs)], axis=0) for unit in lent[:100]])
    leads = quiet.shape[1]
    found: NDArray[np.float64] = 0.7 * quiet.std(0) * rng.normal(size=(count, leads))
    t = np.arange(count)[:, np.newaxis] / fs
    for hertz in (0.15, 0.28):
        phases = rng.uniform(0.0, 2.0 * np.pi, leads)
        found += 0.03 * rng.uniform(0.3, 1.5) * np.sin(2.0 * np.pi * hertz * t + phases)
    return found
