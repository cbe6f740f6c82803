"""When a heart beats: rhythms as small frozen descriptions that yield timed events.

A *story* is a sequence of parts. Each part continues from where the last one left the :class:`Clock`, so
parts join as a heart would join them: an early beat couples to the beat before it, and a ventricular beat
leaves the sinus node's grid alone (the compensatory pause). What is not sinus rhythm with its early beats lies in
:mod:`simulators.atrial`, :mod:`simulators.conduction` and :mod:`simulators.ventricular`.

Heart rate variability: a respiratory band around 0.25 Hz and a low-frequency one around 0.1 Hz (Mayer waves), each
Gaussian, as in the spectrum of McSharry PE et al., "A dynamical model for generating synthetic electrocardiogram
signals", IEEE Trans Biomed Eng 50(3):289-294 (2003), doi:10.1109/TBME.2003.808805. Departure: the bands are sums of
sines of equal size at the quantiles of the Gaussian, with random phases, so the interval at any time is known without
a Fourier transform of the whole.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from simulators.heart import Heart
from simulators.limits import Level, Rate, RateOrNone, Seconds, Share

SYMBOLS: Final = ("N", "S", "V", "F", "E", "j", "/")
"""Beats that can be drawn, by their annotation symbols: normal, atrial premature, ventricular, fusion of normal and
ventricular; ventricular and junctional escape; paced."""

SHAPES: Final = 4
"""How many shapes ventricular beats have."""

RESPIRATION_HZ: Final = 0.25
MAYER_HZ: Final = 0.1

ASYSTOLE_S: Final = 4.0
"""A silence of at least this long is an asystole (PhysioNet/CinC Challenge 2015), a shorter one a pause."""

PR_S: Final = 0.154
"""From the peak of a P wave to the R peak that it leads to, unless a part says otherwise, s."""

LEAD_S: Final = 0.3
"""How far before the last event the next may lie, s: less than a beat's waves reach before its R peak."""

_BANDS_HZ: Final = ((RESPIRATION_HZ, 0.02), (MAYER_HZ, 0.01))  # centre and standard deviation
_QUANTILES: Final = (-1.2816, -0.5244, 0.0, 0.5244, 1.2816)  # of the Gaussian, at 0.1, 0.3 ... 0.9
_SILENCE_SEEN_S: Final = 0.5  # an asystole begins once the T wave of the last beat is over
_COUPLING: Final = {"V": 0.60, "S": 0.68, "F": 0.95}  # RR before an early beat, in sinus intervals
_MIN_RR_S: Final = 0.24  # no two beats closer: the ventricles are refractory

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Beat:
    """One heartbeat.

    Attributes:
        time: s since the start, of the R peak.
        symbol: one of :data:`SYMBOLS`.
        shape: which of the ventricular shapes; other beats ignore it.
        p_wave: a P wave precedes the beat; only normal beats are asked (a ventricular one never has a P wave).
        wide: conducted with aberration; only atrial premature beats are asked.
        drawn: false: the beat is in a :class:`Stretch` already, here is its truth.

    Raises:
        ValueError: the time is negative or not finite, or there is no such symbol or shape.
    """

    time: float
    symbol: str
    shape: int = 0
    p_wave: bool = True
    wide: bool = False
    drawn: bool = True

    def __post_init__(self) -> None:
        if not 0.0 <= self.time < math.inf:
            raise ValueError(f"beat at {self.time} s")
        if self.symbol not in SYMBOLS:
            raise ValueError(f"symbol {self.symbol!r} is none of {' '.join(SYMBOLS)}")
        if not 0 <= self.shape < SHAPES:
            raise ValueError(f"shape {self.shape} is none of 0 to {SHAPES - 1}")


@dataclass(frozen=True, slots=True)
class Onset:
    """From `time` (s) on the rhythm is `rhythm`, a WFDB rhythm string without the parenthesis."""

    time: float
    rhythm: str


@dataclass(frozen=True, slots=True)
class PWave:
    """A P wave by itself: its peak is at `time` s."""

    time: float


@dataclass(frozen=True, slots=True)
class Spike:
    """A pacemaker's pulse at `time` s, `mv` high after the device's input."""

    time: float
    mv: float


Wave = Callable[[Floats, Heart], Floats]
"""Draws times (n,), s since the stretch began, as (n, leads) mV."""


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """A wave that goes on from `time` to `end` (s), coming and going within `ramp` s."""

    time: float
    end: float
    wave: Wave
    ramp: float


Event = Beat | Onset | PWave | Spike | Stretch


@dataclass(slots=True)
class Clock:
    """Where a story stands.

    Attributes:
        last: time of the last R peak, s.
        due: when the sinus node's next beat is due, s.
        free: nothing comes before: up to here the story has been told, s.
        over: when the last stretch without beats ended, s.
    """

    last: float = 0.0
    due: float = 0.5
    free: float = 0.0
    over: float = -1.0


class Part(Protocol):
    """A stretch of one rhythm."""

    def events(self, clock: Clock, rng: np.random.Generator) -> Iterator[Event]:
        """Yield events in order of time, and leave `clock` where the next part begins.

        An onset may be followed by what leads up to it: by a P wave or a pulse up to :data:`LEAD_S` before it.
        """


def play(story: Sequence[Part], rng: np.random.Generator, *, repeat: bool) -> Iterator[Event]:
    """Yield the events of a story; with `repeat` it starts over for ever.

    Raises:
        ValueError: a repeated story without a single beat would never yield one.
    """
    if repeat and all(type(part) is Silence for part in story):
        raise ValueError("a story of silences alone cannot repeat")
    clock, latest = Clock(), 0.0
    for part in itertools.cycle(story) if repeat else story:
        clock.free = max(clock.free, latest)
        for event in part.events(clock, rng):
            latest = max(latest, event.time)
            yield event


@dataclass(frozen=True)
class Script:
    """Exactly these beats, increasing in time."""

    beats: Sequence[Beat]

    def __post_init__(self) -> None:
        if any(after.time <= before.time for before, after in itertools.pairwise(self.beats)):
            raise ValueError("beat times increase")

    def events(self, clock: Clock, rng: np.random.Generator) -> Iterator[Event]:
        for beat in self.beats:
            clock.due = 2.0 * beat.time - clock.last  # the last interval once more
            clock.last = beat.time
            yield beat


class SinusNode:
    """The sinus node: its rate, and how its intervals vary.

    Args:
        rate: beats per minute.
        respiratory, low_frequency: depth of the two bands, as a fraction of RR: the amplitude of the one sine that
            has their power; 0 and 0: exact RR.
    """

    def __init__(self, rate: float, respiratory: float, low_frequency: float, rng: np.random.Generator) -> None:
        self._mean = 60.0 / rate
        sines = [
            (centre + deviation * quantile, depth / math.sqrt(len(_QUANTILES)))
            for (centre, deviation), depth in zip(_BANDS_HZ, (respiratory, low_frequency), strict=True)
            for quantile in _QUANTILES
        ]
        self._hz, self._depth = np.array(sines).T
        self._phase = rng.uniform(0.0, 2.0 * math.pi, len(sines))

    def rr(self, time: float) -> float:
        """The interval that begins at `time`, s."""
        swing = self._depth @ np.sin(2.0 * math.pi * self._hz * time + self._phase)
        return self._mean * (1.0 + float(swing))


@dataclass(frozen=True)
class Sinus:
    """Sinus rhythm at any rate, alone or with ectopic beats.

    Attributes:
        seconds: how long, s.
        rate: beats per minute of the sinus node.
        respiratory, low_frequency: as for :class:`SinusNode`.
        pattern: repeated beat by beat, begins with N: ``NV`` is bigeminy, ``NNV`` trigeminy.
        ectopy: beats per minute of each extra run, for instance ``{"V": 6, "VV": 1, "S": 2}``; at least two
            normal beats lie between them.
        shapes: ventricular beats are drawn from this many shapes.
        coupling: from the beat before to an early ventricular one, in sinus intervals; 0.4 falls on the T wave.
        aberrant: share of atrial premature beats that are conducted with aberration.
    """

    seconds: Seconds
    rate: Rate = 72.0
    respiratory: Share = 0.03
    low_frequency: Share = 0.02
    pattern: str = "N"
    ectopy: Mapping[str, Rate] = field(default_factory=dict)
    shapes: int = 1
    coupling: Share = _COUPLING["V"]
    aberrant: Share = 0.0

    def __post_init__(self) -> None:
        if not self.pattern.startswith("N"):
            raise ValueError(f"pattern {self.pattern!r} does not begin with N")
        for run in (self.pattern, *self.ectopy):
            if not run or set(run) - {"N", *_COUPLING}:
                raise ValueError(f"{run!r} is not made of N {' '.join(_COUPLING)}")
        if not 1 <= self.shapes <= SHAPES:
            raise ValueError(f"{self.shapes} shapes; there are 1 to {SHAPES}")

    def events(self, clock: Clock, rng: np.random.Generator) -> Iterator[Event]:
        yield Onset(clock.due, {"NV": "B", "NNV": "T"}.get(self.pattern, "N"))
        end = clock.due + self.seconds
        node = SinusNode(self.rate, self.respiratory, self.low_frequency, rng)
        waiting = {run: clock.due + 60.0 / rate * rng.uniform(0.3, 1.0) for run, rate in self.ectopy.items()}
        pattern, inserted, normal = itertools.cycle(self.pattern), deque[str](), 0
        anchor = clock.due  # the sinus node's own grid, which ventricular beats leave alone
        rr = node.rr(clock.due)
        while clock.due < end or inserted:
            if not inserted and normal >= 2:
                run = next((run for run, time in waiting.items() if time <= clock.due), "")
                inserted.extend(run)
                if run:  # from the time it was due, not from now: the mean rate is kept
                    waiting[run] += 60.0 / self.ectopy[run] * rng.uniform(0.7, 1.3)
            symbol = inserted.popleft() if inserted else next(pattern)
            if symbol == "N":
                time = anchor = clock.due
                rr = node.rr(time)
                clock.due = time + rr
                normal += 1
            else:
                coupling = self.coupling if symbol == "V" else _COUPLING[symbol]
                time = clock.last + max(coupling * rr, _MIN_RR_S)
                normal = 0
                if symbol == "S":  # resets the sinus node; a ventricular beat does not reach it
                    anchor = time
                    clock.due = time + 1.05 * rr
                else:  # the first beat of the grid that finds the ventricles rested
                    clock.due = anchor + math.ceil((time - anchor) / rr + 0.85 - 1e-9) * rr
            clock.last = time
            shape = int(rng.integers(self.shapes)) if symbol == "V" else 0
            wide = symbol == "S" and rng.random() < self.aberrant
            yield Beat(time, symbol, shape, wide=wide)


@dataclass(frozen=True)
class Run:
    """Beats of one kind, exact in number and rate: a ventricular tachycardia, or a burst of any other symbol.

    Attributes:
        count: beats.
        rate: beats per minute; the first comes one such interval after the beat before.
        symbol: one of :data:`SYMBOLS`.
        shape: which ventricular shape.
        shapes: so many of them from there on, at random: a polymorphic tachycardia.
        pause: s from the last beat to the next sinus beat.
    """

    count: int
    rate: Rate
    symbol: str = "V"
    shape: int = 0
    shapes: int = 1
    pause: Seconds = 1.0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"{self.count} beats")
        if self.shapes < 1:
            raise ValueError(f"{self.shapes} shapes; there are 1 to {SHAPES}")
        Beat(0.0, self.symbol, self.shape)  # raises, as the next does
        Beat(0.0, self.symbol, self.shape + self.shapes - 1)

    def events(self, clock: Clock, rng: np.random.Generator) -> Iterator[Event]:
        rr = 60.0 / self.rate
        start = max(clock.last + rr, clock.free)
        if self.count >= 3:
            yield Onset(start, self._rhythm())
        for i in range(self.count):
            clock.last = start + i * rr
            yield Beat(clock.last, self.symbol, self.shape + int(rng.integers(self.shapes)))
        clock.due = clock.last + self.pause

    def _rhythm(self) -> str:
        if self.symbol in ("V", "E"):
            return "VT" if self.rate > 100.0 else "IVR"
        return "SVTA" if self.symbol == "S" else "N"


@dataclass(frozen=True)
class Silence:
    """No beat for exactly `seconds` from the last R peak to the next: a pause or an asystole.

    Attributes:
        seconds: from R to R.
        p_rate: P waves a minute that go on without an answer (ventricular standstill); 0: none.
        spike_rate: pacemaker's pulses a minute that go on without an answer; 0: none.
        spike_mv: their height after the device's input, mV.
    """

    seconds: Seconds
    p_rate: RateOrNone = 0.0
    spike_rate: RateOrNone = 0.0
    spike_mv: Level = 2.0

    def events(self, clock: Clock, rng: np.random.Generator) -> Iterator[Event]:
        first, begun = clock.last, clock.free
        clock.due = clock.free = max(first + self.seconds, begun)  # later only if the last beat is long ago
        lone: list[Event] = []
        for rate, event in ((self.p_rate, PWave), (self.spike_rate, lambda time: Spike(time, self.spike_mv))):
            number = math.ceil((self.seconds - 2.0 * PR_S) * rate / 60.0)  # none into the next beat's own
            lone += [event(first + i * 60.0 / rate - PR_S) for i in range(1, number)]
        if self.seconds >= ASYSTOLE_S:
            lone.append(Onset(max(first if clock.over == first else first + _SILENCE_SEEN_S, begun), "ASYS"))
        yield from sorted((event for event in lone if event.time >= begun), key=lambda event: event.time)
