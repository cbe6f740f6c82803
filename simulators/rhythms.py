"""When a heart beats: rhythms as small frozen descriptions that yield timed beats.

A *story* is a sequence of parts. Each part continues from where the last one left the :class:`Clock`, so
parts join as a heart would join them: an early beat couples to the beat before it, and a ventricular beat
leaves the sinus node's grid alone (the compensatory pause).

Heart rate variability: a respiratory and a low-frequency (Mayer wave, 0.1 Hz) oscillation of the RR
interval, the two peaks of the spectrum in McSharry PE et al., "A dynamical model for generating synthetic
electrocardiogram signals", IEEE Trans Biomed Eng 50(3):289-294 (2003), doi:10.1109/TBME.2003.808805.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

SYMBOLS: Final = ("N", "S", "V", "F")
"""Beats that can be drawn: normal, atrial premature, ventricular, fusion of normal and ventricular."""

RESPIRATION_HZ: Final = 0.25
MAYER_HZ: Final = 0.1

ASYSTOLE_S: Final = 4.0
"""A silence of at least this long is an asystole (PhysioNet/CinC Challenge 2015), a shorter one a pause."""

_SILENCE_SEEN_S: Final = 0.5  # an asystole begins once the T wave of the last beat is over
_COUPLING: Final = {"V": 0.60, "S": 0.68, "F": 0.95}  # RR before an early beat, in sinus intervals
_MIN_RR_S: Final = 0.24  # no two beats closer: the ventricles are refractory


@dataclass(frozen=True, slots=True)
class Beat:
    """One heartbeat.

    Attributes:
        time: s since the start, of the R peak.
        symbol: one of :data:`SYMBOLS`.
        shape: which of the ventricular shapes (0 or 1); other beats ignore it.
        p_wave: a P wave precedes the beat; only normal beats are asked (a ventricular one never has a P wave).

    Raises:
        ValueError: the time is negative or not finite, or there is no such symbol or shape.
    """

    time: float
    symbol: str
    shape: int = 0
    p_wave: bool = True

    def __post_init__(self) -> None:
        if not 0.0 <= self.time < math.inf:
            raise ValueError(f"beat at {self.time} s")
        if self.symbol not in SYMBOLS:
            raise ValueError(f"symbol {self.symbol!r} is none of {' '.join(SYMBOLS)}")
        if self.shape not in (0, 1):
            raise ValueError(f"shape {self.shape} is neither 0 nor 1")


@dataclass(frozen=True, slots=True)
class Onset:
    """From `time` (s) on the rhythm is `rhythm`, a WFDB rhythm string without the parenthesis."""

    time: float
    rhythm: str


Event = Beat | Onset


@dataclass(slots=True)
class Clock:
    """Where a story stands.

    Attributes:
        last: time of the last R peak, s.
        due: when the sinus node's next beat is due, s.
    """

    last: float = 0.0
    due: float = 0.5


class Part(Protocol):
    """A stretch of one rhythm."""

    def events(self, clock: Clock, rng: np.random.Generator) -> Iterator[Event]:
        """Yield events in order of time, and leave `clock` where the next part begins."""


def play(story: Sequence[Part], rng: np.random.Generator, *, repeat: bool) -> Iterator[Event]:
    """Yield the events of a story; with `repeat` it starts over for ever.

    Raises:
        ValueError: a repeated story without a single beat would never yield one.
    """
    if repeat and all(isinstance(part, Silence) for part in story):
        raise ValueError("a story of silences alone cannot repeat")
    clock = Clock()
    for part in itertools.cycle(story) if repeat else story:
        yield from part.events(clock, rng)


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


@dataclass(frozen=True)
class Sinus:
    """Sinus rhythm at any rate, alone or with ectopic beats.

    Attributes:
        seconds: how long, s.
        rate: beats per minute of the sinus node.
        respiratory, low_frequency: depth of the two oscillations of RR, as a fraction; 0 and 0: exact RR.
        pattern: repeated beat by beat, begins with N: ``NV`` is bigeminy, ``NNV`` trigeminy.
        ectopy: beats per minute of each extra run, for instance ``{"V": 6, "VV": 1, "S": 2}``; at least two
            normal beats lie between them.
        shapes: ventricular beats are drawn from this many shapes, 1 or 2.
    """

    seconds: float
    rate: float = 72.0
    respiratory: float = 0.03
    low_frequency: float = 0.02
    pattern: str = "N"
    ectopy: Mapping[str, float] = field(default_factory=dict)
    shapes: int = 1

    def __post_init__(self) -> None:
        if not self.pattern.startswith("N"):
            raise ValueError(f"pattern {self.pattern!r} does not begin with N")

    def events(self, clock: Clock, rng: np.random.Generator) -> Iterator[Event]:
        yield Onset(clock.due, {"NV": "B", "NNV": "T"}.get(self.pattern, "N"))
        end = clock.due + self.seconds
        phases = rng.uniform(0.0, 2.0 * math.pi, 2)
        waiting = {run: clock.due + 60.0 / rate * rng.uniform(0.3, 1.0) for run, rate in self.ectopy.items()}
        pattern, inserted, normal = itertools.cycle(self.pattern), deque[str](), 0
        anchor = clock.due  # the sinus node's own grid, which ventricular beats leave alone
        rr = self._rr(clock.due, phases)
        while clock.due < end or inserted:
            if not inserted and normal >= 2:
                run = next((run for run, time in waiting.items() if time <= clock.due), "")
                inserted.extend(run)
                if run:  # from the time it was due, not from now: the mean rate is kept
                    waiting[run] += 60.0 / self.ectopy[run] * rng.uniform(0.7, 1.3)
            symbol = inserted.popleft() if inserted else next(pattern)
            if symbol == "N":
                time = anchor = clock.due
                rr = self._rr(time, phases)
                clock.due = time + rr
                normal += 1
            else:
                time = clock.last + max(_COUPLING[symbol] * rr, _MIN_RR_S)
                normal = 0
                if symbol == "S":  # resets the sinus node; a ventricular beat does not reach it
                    anchor = time
                    clock.due = time + 1.05 * rr
                else:  # the first beat of the grid that finds the ventricles rested
                    clock.due = anchor + math.ceil((time - anchor) / rr + 0.85 - 1e-9) * rr
            clock.last = time
            yield Beat(time, symbol, int(rng.integers(self.shapes)) if symbol == "V" else 0)

    def _rr(self, time: float, phases: NDArray[np.float64]) -> float:
        breath = self.respiratory * math.sin(2.0 * math.pi * RESPIRATION_HZ * time + phases[0])
        slow = self.low_frequency * math.sin(2.0 * math.pi * MAYER_HZ * time + phases[1])
        return 60.0 / self.rate * (1.0 + breath + slow)


@dataclass(frozen=True)
class Run:
    """Beats of one kind, exact in number and rate: a ventricular tachycardia, or a burst of any other symbol.

    Attributes:
        count: beats.
        rate: beats per minute; the first comes one such interval after the beat before.
        symbol: one of :data:`SYMBOLS`.
        shape: which ventricular shape.
        pause: s from the last beat to the next sinus beat.
    """

    count: int
    rate: float
    symbol: str = "V"
    shape: int = 0
    pause: float = 1.0

    def events(self, clock: Clock, rng: np.random.Generator) -> Iterator[Event]:
        rr = 60.0 / self.rate
        start = clock.last + rr
        if self.count >= 3:
            yield Onset(start, self._rhythm())
        for i in range(self.count):
            clock.last = start + i * rr
            yield Beat(clock.last, self.symbol, self.shape)
        clock.due = clock.last + self.pause

    def _rhythm(self) -> str:
        if self.symbol == "V":
            return "VT" if self.rate > 100.0 else "IVR"
        return "SVTA" if self.symbol == "S" else "N"


@dataclass(frozen=True)
class Fibrillation:
    """Atrial fibrillation: RR without any order, no P waves, f waves instead.

    RR intervals are drawn independently from a log-normal distribution.

    Attributes:
        seconds: how long, s.
        rate: mean beats per minute of the ventricles.
        spread: standard deviation of log RR.
    """

    seconds: float
    rate: float = 90.0
    spread: float = 0.22

    def events(self, clock: Clock, rng: np.random.Generator) -> Iterator[Event]:
        yield Onset(clock.due, "AFIB")
        end = clock.due + self.seconds
        while clock.due < end:
            clock.last = clock.due
            factor = math.exp(self.spread * rng.standard_normal() - 0.5 * self.spread**2)
            clock.due += min(max(60.0 / self.rate * factor, 0.3), 2.0)
            yield Beat(clock.last, "N", p_wave=False)


@dataclass(frozen=True)
class Silence:
    """No beat for exactly `seconds` from the last R peak to the next: a pause or an asystole."""

    seconds: float

    def events(self, clock: Clock, rng: np.random.Generator) -> Iterator[Event]:
        clock.due = clock.last + self.seconds
        if self.seconds >= ASYSTOLE_S:
            yield Onset(clock.last + _SILENCE_SEEN_S, "ASYS")
