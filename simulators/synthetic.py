"""Synthetic ECG with exact truth: a :class:`Patient` plays for ever, :func:`render` draws given beats.

Events come from the parts of a story (:mod:`simulators.rhythms` and its neighbours), the looks of beats from
:mod:`simulators.morphology`, disturbances from :mod:`simulators.noise`. Everything is drawn in blocks of a fixed size,
whatever is asked for, so the samples are bit-equal however a patient's stream is cut.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import FS
from simulators.heart import LEADS, Heart
from simulators.morphology import Morphology
from simulators.noise import Disturbance
from simulators.rhythms import RESPIRATION_HZ, Beat, Event, Onset, Part, PWave, Script, Spike, Stretch, play
from simulators.shapes import pacer

_SPIKE_MS: Final = 2.0
_SPIKE_LEADS: Final = (1.0, -0.6)
_SPIKE_TAIL: Final = (0.06, 12.0)  # what follows a pulse: its height in parts of the pulse, and how it decays, ms
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
        symbols: (b,) one of :data:`simulators.rhythms.SYMBOLS` per beat.
        rhythms: spans that cover the strip.
        spikes: (s,) int64, sample indices of pacemaker's pulses.
    """

    fs: float
    leads: tuple[str, ...]
    first: int
    signal: NDArray[np.float32]
    r_peaks: NDArray[np.int64]
    symbols: tuple[str, ...]
    rhythms: tuple[Span, ...]
    spikes: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))


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
        self._stretches: list[Stretch] = []  # not over

        self._given = 0  # samples given so far
        self._ready = np.empty((0, len(LEADS)), np.float32)  # drawn, not given
        self._beats: deque[tuple[int, str]] = deque()  # not given
        self._onsets: deque[tuple[int, str]] = deque()  # not given
        self._spikes: deque[int] = deque()  # not given
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
        spikes = []
        while self._spikes and self._spikes[0] < self._given:
            spikes.append(self._spikes.popleft())
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
        at, pulses = np.array(r_peaks, np.int64), np.array(spikes, np.int64)
        return Strip(self.fs, self.leads, first, signal, at, tuple(symbols), tuple(spans), pulses)

    def _draw_block(self) -> NDArray[np.float32]:
        end = self._drawn + self._block
        while self._next is not None:
            sample = round(self._next.time * self.fs)
            if sample - self._morphology.before >= end:
                break
            self._take_up(sample, self._next)
            self._next = next(self._events, None)
        signal = self._pending[: self._block].copy()
        self._pending[: -self._block] = self._pending[self._block :]
        self._pending[-self._block :] = 0.0
        k = np.arange(self._drawn, end)
        self._add_stretches(k, signal)
        for disturb in self._disturb:
            disturb(k, signal)
        self._drawn = end
        return signal.astype(np.float32)

    def _take_up(self, sample: int, event: Event) -> None:
        match event:
            case Beat():
                self._draw_beat(sample, event)
            case PWave():
                self._add(sample, self._gain(sample) * self._morphology.draw_p_wave(self._rr))
            case Spike():
                self._draw_spike(sample, event)
            case Stretch():
                self._stretches.append(event)
            case Onset():
                self._onsets.append((sample, event.rhythm))

    def _draw_beat(self, sample: int, beat: Beat) -> None:
        if self._last_r >= 0:
            rr = min(max((sample - self._last_r) / self.fs, _RR_RANGE_S[0]), _RR_RANGE_S[1])
            self._rr += _RR_SMOOTHING * (rr - self._rr)
        self._last_r = sample
        if beat.drawn:
            self._add(sample, self._gain(sample) * self._morphology.draw(beat, self._rr))
        self._beats.append((sample, beat.symbol))

    def _gain(self, sample: int) -> float:
        return 1.0 + self._heart.breathing * math.sin(2.0 * math.pi * RESPIRATION_HZ * sample / self.fs)

    def _add(self, sample: int, drawn: NDArray[np.float64]) -> None:
        """Add what has its fiducial point in row `before` of `drawn` to what is pending."""
        at = sample - self._morphology.before - self._drawn
        skip = max(0, -at)  # the part of the first beat that lies before the start
        self._pending[at + skip : at + self._morphology.length] += drawn[skip:]

    def _draw_spike(self, sample: int, spike: Spike) -> None:
        tail, decay = _SPIKE_TAIL
        shape = pacer(spike.mv, _SPIKE_MS, tail * spike.mv, decay)
        for lead, share in enumerate(_SPIKE_LEADS):
            line = np.zeros(len(self._pending))
            shape.scaled(share).add_to(line, spike.time - self._drawn / self.fs, self.fs)
            self._pending[:, lead] += line
        self._spikes.append(sample)

    def _add_stretches(self, k: NDArray[np.int64], signal: NDArray[np.float64]) -> None:
        t = k / self.fs
        for stretch in self._stretches:
            since, left = t - stretch.time, stretch.end - t
            on = (since >= 0.0) & (left > 0.0)
            if on.any():
                gain = np.minimum(np.minimum(since[on], left[on]) / stretch.ramp, 1.0)
                signal[on] += gain[:, None] * stretch.wave(since[on], self._heart)
        self._stretches = [stretch for stretch in self._stretches if stretch.end > t[-1]]


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
        ValueError: times do not increase, or there is no such symbol.

    >>> strip = render([(1.0, "N"), (1.8, "N"), (2.3, "V")], fs=250)
    >>> strip.r_peaks.tolist(), strip.symbols, strip.signal.shape
    ([250, 450, 575], ('N', 'N', 'V'), (825, 2))
    """
    script = Script([beat if isinstance(beat, Beat) else Beat(*beat) for beat in beats])
    if seconds is None:
        seconds = 1.0 + max((beat.time for beat in script.beats), default=0.0)
    patient = Patient([script], fs=fs, heart=heart, disturbances=disturbances, seed=seed, repeat=False)
    return patient.strip(round(seconds * fs))
