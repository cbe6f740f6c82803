"""The waveforms by which bedside monitors are tested, drawn from public descriptions.

Modelled on what IEC 60601-2-27 and ANSI/AAMI EC13 describe of their test signals - a complex of a given height and
width, a T wave of a given height, pacer pulses, drift, mains, four irregular rhythms, two ventricular tachycardias in
three sizes - and on what monitors' manuals say of their results. No conformity is claimed and nothing of a standard's
data is copied: shapes are built here of straight lines with rounded corners, times are stated below.

Every waveform is a :class:`~simulators.synthetic.Strip` of one lead. `phase`, a fraction of a beat, moves all of its
events by that much, and with them the places where a monitor's messages, samples and clocks fall.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from monitor.ecg import FS
from simulators.shapes import CORNER_S, STEP_S, Floats, Shape, polygon
from simulators.synthetic import Span, Strip, render
from simulators.ventricular import Chaos

LEADS: Final = ("MLII",)

RATE: Final = 80.0
"""Beats per minute before anything happens."""

LEARN_S: Final = 20.0
"""Seconds of steady beats before anything happens."""

QT_S: Final = 0.350
T_S: Final = 0.180
"""From the onset of the QRS to the end of T, and the length of T, s."""

_SEEN: Final = 0.01  # a QRS begins where it leaves the line by this fraction of its height


def triangle(mv: float, ms: float) -> Shape:
    """A QRS complex as a triangle of `ms` at its foot and `mv` in height."""
    half = 0.5e-3 * ms
    return polygon([(-half, 0.0), (0.0, mv), (half, 0.0)], min(CORNER_S, 0.5 * half))


def biphasic(mv: float, ms: float) -> Shape:
    """A QRS complex of R and S, `ms` from foot to foot and `mv` from top to bottom, an eighth of it below the line."""
    d = 1e-3 * ms
    shape = polygon([(-0.4 * d, 0.0), (0.0, 0.875), (0.4 * d, -0.125), (0.6 * d, 0.0)], min(CORNER_S, 0.2 * d))
    return shape.scaled(mv / np.ptp(shape.mv))


def t_wave(mv: float, qrs: Shape) -> Shape:
    """A T wave that ends :data:`QT_S` after the onset of a QRS complex, a raised cosine."""
    onset = qrs.t[int(np.argmax(np.abs(qrs.mv) > _SEEN * np.abs(qrs.mv).max()))]
    t = np.arange(0.0, T_S + STEP_S, STEP_S)
    return Shape(onset + QT_S - T_S + t, mv * 0.5 * (1.0 - np.cos(2.0 * math.pi * t / T_S)))


_EARLY_S: Final = 0.4  # from a beat to a ventricular one
_COMPENSATION_S: Final = 0.9  # from a ventricular beat to the next normal one
_AFTER_S: Final = 12.0  # of steady beats after what happened

_NORMAL: Final = polygon([(-0.05, 0.0), (-0.030, -0.08), (0.0, 1.0), (0.028, -0.22), (0.045, 0.0)])
_NORMAL_T: Final = t_wave(0.25, _NORMAL)
_UP: Final = polygon(
    [(-0.085, 0.0), (-0.02, 0.95), (0.0, 1.0), (0.075, -0.15), (0.11, -0.1), (0.22, -0.38), (0.33, 0.0)], 0.03
)
_DOWN: Final = polygon(
    [(-0.080, 0.0), (-0.06, 0.12), (0.0, -1.0), (0.02, -0.9), (0.085, 0.1), (0.2, 0.4), (0.32, 0.0)], 0.03
)
_BEATS: Final = {"N": _NORMAL, "V": _UP, "W": _DOWN}  # W: a ventricular beat of the other shape


class Tape:
    """A lead being drawn, with its truth."""

    def __init__(self, seconds: float, fs: float = FS) -> None:
        self.fs = fs
        self.mv = np.zeros(round(seconds * fs))
        self.t = np.arange(self.mv.size) / fs
        self._beats: list[tuple[float, str]] = []
        self._onsets: list[tuple[float, str]] = [(0.0, "N")]

    def add(self, shape: Shape, at: float) -> None:
        """Draw a wave whose fiducial point lies at `at` s: no sample need fall on it."""
        shape.add_to(self.mv, at, self.fs)

    def beat(self, at: float, symbol: str, *shapes: Shape) -> None:
        self._beats.append((at, symbol))
        for shape in shapes:
            self.add(shape, at)

    def rhythm(self, at: float, label: str) -> None:
        """From `at` s on the rhythm is this WFDB string."""
        self._onsets.append((at, label))

    def strip(self) -> Strip:
        size = self.mv.size
        beats = [(round(at * self.fs), symbol) for at, symbol in sorted(self._beats)]
        beats = [(r, symbol) for r, symbol in beats if 0 <= r < size]
        bounds = [round(at * self.fs) for at, _ in self._onsets] + [size]
        spans = tuple(
            Span(bounds[i], bounds[i + 1], label)
            for i, (_, label) in enumerate(self._onsets)
            if bounds[i] < bounds[i + 1]
        )
        peaks = np.array([r for r, _ in beats], np.int64)
        signal = self.mv.astype(np.float32)[:, np.newaxis]
        return Strip(self.fs, LEADS, 0, signal, peaks, tuple(symbol for _, symbol in beats), spans)


def ticks(rate: float, start: float, end: float) -> Iterable[float]:
    """Times from `start` to before `end` s, `rate` a minute."""
    return (start + i * 60.0 / rate for i in range(max(math.ceil((end - start) * rate / 60.0 - 1e-9), 0)))


def steady(
    rate: float,
    mv: float = 1.0,
    ms: float = 100.0,
    *,
    t_mv: float = 0.0,
    seconds: float = 40.0,
    phase: float = 0.0,
    fs: float = FS,
) -> Strip:
    """Triangles of one size at one rate, with or without T wave."""
    return with_t(triangle(mv, ms), t_mv, rate=rate, seconds=seconds, phase=phase, fs=fs)


def with_t(
    qrs: Shape,
    t_mv: float,
    *,
    rate: float = RATE,
    seconds: float = 40.0,
    phase: float = 0.0,
    fs: float = FS,
) -> Strip:
    """A QRS complex of any shape at one rate, with a T wave of `t_mv`, 0: none."""
    tape = Tape(seconds, fs)
    shapes = [qrs, t_wave(t_mv, qrs)] if t_mv else [qrs]
    for at in ticks(rate, 0.3 + phase * 60.0 / rate, seconds):
        tape.beat(at, "N", *shapes)
    return tape.strip()


def change(to: float, *, phase: float = 0.0, seconds: float = LEARN_S + 20.0, fs: float = FS) -> Strip:
    """:data:`RATE` for :data:`LEARN_S`, then `to` per minute; the first interval at the new rate follows the last beat.

    The last of the old beats lies within a beat of :data:`LEARN_S`.
    """
    tape = Tape(seconds, fs)
    at = 0.3 + phase * 60.0 / RATE
    while at < seconds:
        tape.beat(at, "N", _NORMAL, _NORMAL_T)
        at += 60.0 / (RATE if at < LEARN_S else to)
    return tape.strip()


def stop(
    *,
    phase: float = 0.0,
    residue: Shape | None = None,
    residue_rate: float = RATE,
    seconds: float = LEARN_S + 12.0,
    fs: float = FS,
) -> Strip:
    """:data:`RATE` for :data:`LEARN_S`, then no more beats; `residue` of a pacemaker goes on at its own rate."""
    tape = Tape(seconds, fs)
    last = 0.0
    for last in ticks(RATE, 0.3 + phase * 60.0 / RATE, LEARN_S):
        tape.beat(last, "N", _NORMAL, _NORMAL_T)
    if residue is not None:
        for at in ticks(residue_rate, last + 60.0 / residue_rate, seconds):
            tape.add(residue, at)
    tape.rhythm(last + 0.5, "ASYS")
    return tape.strip()


IRREGULAR: Final = {
    # name: true rate, then beats with the interval that follows each, s
    "ventricular bigeminy": (80.0, (("N", 0.55), ("V", 0.95))),
    "slow alternating ventricular bigeminy": (60.0, (("N", 0.6), ("V", 1.2), ("N", 0.7), ("W", 1.5))),
    "rapid alternating ventricular bigeminy": (120.0, (("N", 0.4), ("V", 0.6), ("N", 0.4), ("W", 0.6))),
    "bidirectional systoles": (90.0, (("V", 0.64), ("W", 0.693333333333))),
}
"""The four irregular rhythms: every beat, normal or ventricular, counts."""


def irregular(name: str, *, mv: float = 1.0, phase: float = 0.0, seconds: float = 50.0, fs: float = FS) -> Strip:
    """One of :data:`IRREGULAR` from the start on."""
    tape = Tape(seconds, fs)
    _, cycle = IRREGULAR[name]
    at = 0.3 + phase * sum(interval for _, interval in cycle)
    at -= sum(interval for _, interval in cycle)
    i = 0
    while at < seconds:
        kind, interval = cycle[i % len(cycle)]
        shapes = (_NORMAL, _NORMAL_T) if kind == "N" else (_BEATS[kind].scaled(1.4),)
        tape.beat(at, "N" if kind == "N" else "V", *(shape.scaled(mv) for shape in shapes))
        at += interval
        i += 1
    return tape.strip()


TACHYCARDIAS: Final = {"206 bpm, 1 mV": (206.0, 1.0), "195 bpm, 2 mV": (195.0, 2.0)}
"""Ventricular tachycardias: rate per minute and mV peak to peak at normal size."""


def tachycardia(
    name: str, size: float = 1.0, *, phase: float = 0.0, seconds: float = LEARN_S + 15.0, fs: float = FS
) -> Strip:
    """:data:`RATE` for :data:`LEARN_S`, then one of :data:`TACHYCARDIAS`, `size` times as large as normal."""
    rate, mv = TACHYCARDIAS[name]
    tape = Tape(seconds, fs)
    last = 0.0
    for last in ticks(RATE, 0.3 + phase * 60.0 / RATE, LEARN_S):
        tape.beat(last, "N", _NORMAL, _NORMAL_T)
    rr = 60.0 / rate
    # A wide complex runs into a T wave of the other sign: no line between them.
    wave = polygon([(-0.30 * rr, 0.0), (0.0, 0.62), (0.32 * rr, -0.38), (0.70 * rr, 0.0)], 0.25 * rr)
    wave = wave.scaled(size * mv / np.ptp(wave.mv))
    start = last + 0.42  # early, as a ventricular beat is
    tape.rhythm(start, "VT")
    for at in ticks(rate, start, seconds):
        tape.beat(at, "V", wave)
    return tape.strip()


def fibrillation(
    mv: float, *, seed: int = 0, phase: float = 0.0, seconds: float = LEARN_S + 15.0, fs: float = FS
) -> Strip:
    """:data:`RATE` for :data:`LEARN_S`, then fibrillation of `mv` peak to peak."""
    tape = Tape(seconds, fs)
    last = 0.0
    for last in ticks(RATE, 0.3 + phase * 60.0 / RATE, LEARN_S):
        tape.beat(last, "N", _NORMAL, _NORMAL_T)
    start = last + 0.45
    tape.rhythm(start, "VF")
    on = tape.t >= start
    swell = np.clip((tape.t[on] - start) / 0.15, 0.0, 1.0)  # from the line, not with a step
    tape.mv[on] += swell * Chaos(mv).start(1, np.random.default_rng(seed)).at(tape.t[on])[:, 0]
    return tape.strip()


def drift(t: Floats, mv: float = 4.0, hz: float = 0.1) -> Floats:
    """A triangular wander of `mv` peak to peak at times `t` (n,) s."""
    return 0.5 * mv * (2.0 * np.abs(2.0 * ((t * hz) % 1.0) - 1.0) - 1.0)


def mains(t: Floats, mv: float = 0.1, hz: float = 50.0) -> Floats:
    """The power line, `mv` peak to peak, at times `t` (n,) s."""
    return 0.5 * mv * np.sin(2.0 * math.pi * hz * t)


def with_noise(strip: Strip, noise: Floats) -> Strip:
    """Add a wave of (n,) mV to a strip."""
    return replace(strip, signal=(strip.signal + noise[:, np.newaxis]).astype(np.float32))


def alone(shape: Shape, *, rate: float = RATE, phase: float = 0.0, seconds: float = 20.0, fs: float = FS) -> Strip:
    """Nothing but a wave that is no QRS complex, again and again."""
    tape = Tape(seconds, fs)
    for at in ticks(rate, 0.3 + phase * 60.0 / rate, seconds):
        tape.add(shape, at)
    return tape.strip()


def lost(value: float, lost_s: float, *, phase: float = 0.0, seconds: float = LEARN_S + 20.0, fs: float = FS) -> Strip:
    """:data:`RATE`, but from :data:`LEARN_S` on the line is at `value` for `lost_s`: at a rail, at zero, not there."""
    tape = Tape(seconds, fs)
    for at in ticks(RATE, 0.3 + phase * 60.0 / RATE, seconds):
        tape.beat(at, "N", _NORMAL, _NORMAL_T)
    off = (tape.t >= LEARN_S) & (tape.t < LEARN_S + lost_s)
    tape.mv[off] = value
    return tape.strip()


def pause(seconds: float, *, phase: float = 0.0, fs: float = FS) -> Strip:
    """:data:`RATE`, one interval of `seconds`, and :data:`RATE` again."""
    return _edge([seconds], "N", 0.0, phase, fs)


def burst(count: int, rate: float, symbol: str = "N", *, phase: float = 0.0, fs: float = FS) -> Strip:
    """`count` beats in a row at `rate`, of one symbol, between beats at :data:`RATE`.

    Of normal beats the first is the last at :data:`RATE`: there are ``count - 1`` intervals. Ventricular ones come
    early and are followed by a pause.
    """
    if symbol == "N":
        return _edge([60.0 / rate] * (count - 1), "N", 60.0 / RATE, phase, fs)
    return _edge([_EARLY_S, *[60.0 / rate] * (count - 1)], symbol, _COMPENSATION_S, phase, fs)


def _edge(intervals: Sequence[float], symbol: str, pause_s: float, phase: float, fs: float) -> Strip:
    """Steady beats, then one of `symbol` after each interval, and after `pause_s` steady ones again."""
    beats = [(at, "N") for at in ticks(RATE, 0.5 + phase * 60.0 / RATE, LEARN_S)]
    at = beats[-1][0]
    for interval in intervals:
        at += interval
        beats.append((at, symbol))
    start = at + (pause_s or 60.0 / RATE)
    end = start + _AFTER_S
    beats += [(at, "N") for at in ticks(RATE, start, end)]
    return render(beats, end, fs=fs)
