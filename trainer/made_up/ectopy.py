"""Made-up ectopy: real beats of a patient, told in another order, with beats of a made-up focus among them.

DS1 has 944 supraventricular ectopic beats, most of them of three patients, and nine in ten of its fusion beats are one
patient's: from so few a network learns patients. Here a record's own normal beats are cut out, from before the P wave
to the end of T, and laid down again as one of :mod:`trainer.made_up.rhythms`. An atrial premature beat's P wave is
scaled, turned over, shifted or missing; fibrillating atria have none. Ventricular beats are those of a
:mod:`trainer.made_up.focus`; a fusion beat is a mixture of one with the patient's own. Where each beat lies, and what
it is, is known exactly.

Nothing of one patient reaches another.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import AAMI_OF_SYMBOL
from monitor.records import Annotations, Record
from trainer.made_up import focus
from trainer.made_up.rhythms import BLOCKED, ECTOPIC, FIBRILLATING, FUSED, OTHER, VENTRICULAR, Pattern, rhythm

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
_SYMBOLS: Final = {ECTOPIC: "A", VENTRICULAR: "V", OTHER: "V", FUSED: "F"}


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
    """A made-up record of the patient of `record`, and its annotations: N, A for an atrial premature beat, V or F.

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
    foci = {kind: focus.Focus(rng, size, fs) for kind in (VENTRICULAR, OTHER, BLOCKED)}
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
            unit, first = foci[kind].beat(), r - round(focus.BEFORE * fs)
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
        symbols.append(_SYMBOLS.get(kind, "N"))
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
    at = round((BEFORE - focus.BEFORE + rng.uniform(-0.03, 0.02)) * fs)
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
