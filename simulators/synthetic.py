"""Synthetic ECG with exact truth: a :class:`Patient` plays for ever, :func:`render` draws given beats.

Beats come from :mod:`simulators.rhythms`, their looks from :mod:`simulators.morphology`, disturbances from
:mod:`simulators.noise`. Everything is drawn in blocks of a fixed size, whatever is asked for, so the samples
are bit-equal however a patient's stream is cut.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import FS
from simulators.morphology import LEADS, Heart, Morphology
from simulators.noise import Disturbance
from simulators.rhythms import RESPIRATION_HZ, Beat, Event, Onset, Part, Script, play

_F_RAMP_S: Final = 0.5  # f waves come and go smoothly
_RR_START_S: Final = 1.0
_RR_RANGE_S: Final = (0.25, 1.5)  # cycle lengths that PR and QT follow
_RR_SMOOTHING: Final = 0.1  # QT follows the rate over some ten beats


class Span(NamedTuple):
    """A rhythm (WFDB string without the parenthesis) from sample `start` up to `end`, not included."""

    start: int
    end: int
    rhythm: str


@dataclass(frozen=True, eq=False)
class Strip:
    """Consecutive samples and the truth about them.

    Attributes:
        fs: Hz.
        leads: names.
        first: sample index of ``signal[0]`` since the patient's start.
        signal: (n, leads) float32, mV; NaN where an electrode is off.
        r_peaks: (b,) int64, sample indices since the patient's start.
        symbols: (b,) one of N S V F per beat.
        rhythms: spans that cover the strip.
    """

    fs: float
    leads: tuple[str, ...]
    first: int
    signal: NDArray[np.float32]
    r_peaks: NDArray[np.int64]
    symbols: tuple[str, ...]
    rhythms: tuple[Span, ...]


class Patient:
    """An endless synthetic patient.

    Args:
        story: parts of :mod:`simulators.rhythms`, in order.
        fs: Hz.
        heart: the look of the beats.
        disturbances: of :mod:`simulators.noise`.
        seed: the same seed, the same patient.
        repeat: start the story over at its end; otherwise the line stays flat.
    """

    def __init__(
        self,
        story: Sequence[Part],
        *,
        fs: float = FS,
        heart: Heart | None = None,
        disturbances: Sequence[Disturbance] = (),
        seed: int = 0,
        repeat: bool = True,
    ) -> None:
        self.fs = fs
        self.leads = LEADS
        self._heart = heart or Heart()
        self._morphology = Morphology(self._heart, fs)
        own, *others = np.random.default_rng(seed).spawn(1 + len(disturbances))
        self._disturb = [
            disturbance.start(fs, len(LEADS), rng) for disturbance, rng in zip(disturbances, others, strict=True)
        ]
        self._events = play(story, own, repeat=repeat)
        self._next: Event | None = next(self._events, None)
        self._rr = _RR_START_S
        self._last_r = -1

        self._block = round(fs)  # samples drawn at a time
        self._drawn = 0  # samples drawn so far
        self._pending = np.zeros((self._block + self._morphology.length, len(LEADS)))  # from sample `_drawn` on
        self._gates: deque[tuple[int, float]] = deque([(0, 0.0)])  # corners of the gain of the f waves

        self._given = 0  # samples given so far
        self._ready = np.empty((0, len(LEADS)), np.float32)  # drawn, not given
        self._beats: deque[tuple[int, str]] = deque()  # not given
        self._onsets: deque[tuple[int, str]] = deque()  # not given
        self._rhythm = "N"  # at sample `_given`

    def take(self, n: int) -> NDArray[np.float32]:
        """Return the next `n` samples, (n, leads) mV."""
        return self.strip(n).signal

    def strip(self, n: int) -> Strip:
        """Return the next `n` samples with their beats and rhythms."""
        blocks = [self._ready]
        while self._drawn < self._given + n:
            blocks.append(self._draw_block())
        ready = np.concatenate(blocks) if len(blocks) > 1 else self._ready
        signal, self._ready = ready[:n], ready[n:]
        first, self._given = self._given, self._given + n
        r_peaks, symbols = [], []
        while self._beats and self._beats[0][0] < self._given:
            r_peak, symbol = self._beats.popleft()
            r_peaks.append(r_peak)
            symbols.append(symbol)
        spans, start = [], first
        while self._onsets and self._onsets[0][0] < self._given:
            onset, rhythm = self._onsets.popleft()
            if rhythm == self._rhythm:
                continue
            if onset > start:
                spans.append(Span(start, onset, self._rhythm))
            start, self._rhythm = onset, rhythm
        if self._given > start:
            spans.append(Span(start, self._given, self._rhythm))
        return Strip(self.fs, self.leads, first, signal, np.array(r_peaks, np.int64), tuple(symbols), tuple(spans))

    def _draw_block(self) -> NDArray[np.float32]:
        end = self._drawn + self._block
        while self._next is not None:
            sample = round(self._next.time * self.fs)
            if sample - self._morphology.before >= end:
                break
            if isinstance(self._next, Beat):
                self._draw_beat(sample, self._next)
            else:
                self._begin(sample, self._next)
            self._next = next(self._events, None)
        signal = self._pending[: self._block].copy()
        self._pending[: -self._block] = self._pending[self._block :]
        self._pending[-self._block :] = 0.0
        k = np.arange(self._drawn, end)
        self._add_f_waves(k, signal)
        for disturb in self._disturb:
            disturb(k, signal)
        self._drawn = end
        return signal.astype(np.float32)

    def _draw_beat(self, sample: int, beat: Beat) -> None:
        if self._last_r >= 0:
            rr = min(max((sample - self._last_r) / self.fs, _RR_RANGE_S[0]), _RR_RANGE_S[1])
            self._rr += _RR_SMOOTHING * (rr - self._rr)
        self._last_r = sample
        gain = 1.0 + self._heart.breathing * math.sin(2.0 * math.pi * RESPIRATION_HZ * sample / self.fs)
        drawn = gain * self._morphology.draw(beat.symbol, beat.shape, beat.p_wave, self._rr)
        at = sample - self._morphology.before - self._drawn
        skip = max(0, -at)  # the part of the first beat that lies before the start
        self._pending[at + skip : at + self._morphology.length] += drawn[skip:]
        self._beats.append((sample, beat.symbol))

    def _begin(self, sample: int, onset: Onset) -> None:
        self._onsets.append((sample, onset.rhythm))
        target = 1.0 if onset.rhythm == "AFIB" else 0.0
        corner, gain = self._gates[-1]
        if gain != target:
            self._gates.append((max(sample, corner), gain))
            self._gates.append((max(sample, corner) + round(_F_RAMP_S * self.fs), target))

    def _add_f_waves(self, k: NDArray[np.int64], signal: NDArray[np.float64]) -> None:
        """Add the f waves of atrial fibrillation: a sawtooth of three harmonics, its frequency modulated.

        Source: Stridh M, Sornmo L, IEEE Trans Biomed Eng 48(1):105-111 (2001), doi:10.1109/10.900266.
        """
        while len(self._gates) > 1 and self._gates[1][0] <= k[0]:
            self._gates.popleft()
        corners, gains = zip(*self._gates, strict=True)
        if not any(gains):
            return
        t = k / self.fs
        theta = 2.0 * math.pi * 6.0 * t + (0.5 / 0.1) * np.sin(2.0 * math.pi * 0.1 * t)
        sawtooth = sum(np.sin(harmonic * theta) / harmonic for harmonic in (1, 2, 3))
        breath = 1.0 + 0.2 * np.sin(2.0 * math.pi * 0.23 * t)
        wave = -0.7 * self._heart.f_mv * np.interp(k, corners, gains) * breath * sawtooth
        signal += wave[:, None] * (0.5, 1.0)


def render(
    beats: Sequence[tuple[float, str] | Beat],
    seconds: float | None = None,
    *,
    fs: float = FS,
    heart: Heart | None = None,
    disturbances: Sequence[Disturbance] = (),
    seed: int = 0,
) -> Strip:
    """Draw exactly the given beats.

    Args:
        beats: ``(time in s, symbol)`` or :class:`~simulators.rhythms.Beat`, increasing in time; the R peak of
            each lies at sample ``round(time * fs)``.
        seconds: length; by default one second more than the last beat.
        fs, heart, disturbances, seed: as for :class:`Patient`.

    Raises:
        ValueError: times do not increase, or a symbol is none of N S V F.

    >>> strip = render([(1.0, "N"), (1.8, "N"), (2.3, "V")], fs=250)
    >>> strip.r_peaks.tolist(), strip.symbols, strip.signal.shape
    ([250, 450, 575], ('N', 'N', 'V'), (825, 2))
    """
    script = Script([beat if isinstance(beat, Beat) else Beat(*beat) for beat in beats])
    if seconds is None:
        seconds = 1.0 + max((beat.time for beat in script.beats), default=0.0)
    patient = Patient([script], fs=fs, heart=heart, disturbances=disturbances, seed=seed, repeat=False)
    return patient.strip(round(seconds * fs))
