"""What the ventricles show when they beat in no order: fibrillation, flutter, torsades de pointes.

Fibrillation is narrow-band: a few oscillations between 4 and 7 Hz whose frequencies drift and whose amplitudes wax and
wane, so that they meet and cancel at random, with a mixture of its own for each lead. Modulations are sums of slow
sines with phases that are drawn once: any stretch of time can be drawn by itself, the same however time is cut.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.heart import LEADS, Heart
from simulators.limits import Frequency, Millivolts, Rate, Seconds
from simulators.rhythms import Beat, Clock, Event, Onset, Stretch, Wave

Floats = NDArray[np.float64]

_SLOW_HZ: Final = (0.07, 0.19, 0.43)  # of the modulations: seconds, as strips show it
_VOICES: Final = (1.0, 0.7, 0.5)  # weights of the oscillations
_RATIOS: Final = (1.0, 1.21, 0.82)  # their frequencies, in parts of the dominant one
_DRIFT: Final = 0.08  # each modulation's share in the drift of a frequency, as a fraction
_SWELL: Final = 0.28  # each modulation's share in the logarithm of an amplitude
_LARGE: Final = 1.86  # the larger waves, half of peak to peak, in RMS
_COUPLING_S: Final = 0.42  # from the last beat to the first early one
_RAMP_S: Final = 0.15
_AFTER_S: Final = 1.2  # from the end of an episode to the first beat


@dataclass(frozen=True)
class Chaos:
    """The wave of ventricular fibrillation.

    Attributes:
        mv: peak to peak, of the larger waves, mV: 0.5 and more is called coarse, 0.2 and less fine.
        hz: mean dominant frequency.
    """

    mv: float = 1.0
    hz: float = 5.3

    def start(self, leads: int, rng: np.random.Generator) -> Waves:
        """Draw the phases."""
        return Waves(self, leads, rng)


class Waves:
    """One episode of :class:`Chaos`, :meth:`at` any time."""

    def __init__(self, chaos: Chaos, leads: int, rng: np.random.Generator) -> None:
        voices, slow = len(_VOICES), len(_SLOW_HZ)
        self._chaos = chaos
        self._drift = rng.uniform(0.0, 2.0 * math.pi, (voices, slow))
        self._swell = rng.uniform(0.0, 2.0 * math.pi, (voices, leads, slow))
        self._start = rng.uniform(0.0, 2.0 * math.pi, (voices, leads))

    def at(self, t: Floats) -> Floats:
        """Draw the times `t` (n,), s; returns (n, leads) mV."""
        slow = 2.0 * math.pi * np.array(_SLOW_HZ)
        angles = np.multiply.outer(t, slow)
        drawn = np.zeros((t.size, self._start.shape[1]))
        for voice, (weight, ratio) in enumerate(zip(_VOICES, _RATIOS, strict=True)):
            # The integral of hz * (1 + drift * sum of sines).
            bend = (np.cos(angles + self._drift[voice]) / slow).sum(1)
            phase = 2.0 * math.pi * self._chaos.hz * ratio * (t - _DRIFT * bend)
            for lead in range(drawn.shape[1]):
                swell = np.exp(_SWELL * np.sin(angles + self._swell[voice, lead]).sum(1))
                drawn[:, lead] += weight * swell * np.sin(phase + self._start[voice, lead])
        rms = math.sqrt(0.5 * sum(weight**2 for weight in _VOICES))
        return drawn * (0.5 * self._chaos.mv / (_LARGE * rms))


@dataclass(frozen=True)
class VentricularFibrillation:
    """Ventricular fibrillation.

    Attributes:
        seconds: how long, s.
        mv: peak to peak, of the larger waves, mV: 0.5 and more is called coarse, 0.2 and less fine.
        to_mv: the same at its end, for one that dies away; None: as at the beginning.
        hz: mean dominant frequency; it drifts.
    """

    seconds: Seconds
    mv: Millivolts = 1.0
    to_mv: Millivolts | None = None
    hz: Frequency = 5.3

    def events(self, clock: Clock, rng: np.random.Generator) -> Iterator[Event]:
        waves = Chaos(1.0, self.hz).start(len(LEADS), rng)
        last = self.mv if self.to_mv is None else self.to_mv

        def wave(t: Floats, heart: Heart) -> Floats:
            size = self.mv * (last / self.mv) ** np.clip(t / self.seconds, 0.0, 1.0)
            return size[:, np.newaxis] * waves.at(t)

        yield from _episode(clock, "VF", self.seconds, wave)


@dataclass(frozen=True)
class VentricularFlutter:
    """Ventricular flutter: a wave without a line between its ups and downs.

    Attributes:
        seconds: how long, s.
        rate: waves a minute.
        mv: peak to peak, mV, in the first lead.
    """

    seconds: Seconds
    rate: Rate = 270.0
    mv: Millivolts = 1.6

    def events(self, clock: Clock, rng: np.random.Generator) -> Iterator[Event]:
        phase = rng.uniform(0.0, 2.0 * math.pi)

        def wave(t: Floats, heart: Heart) -> Floats:
            angle = 2.0 * math.pi * self.rate / 60.0 * t
            line = np.sin(angle) + 0.18 * np.sin(2.0 * angle + 0.5)
            breath = 1.0 + 0.06 * np.sin(2.0 * math.pi * 0.4 * t + phase)
            drawn: Floats = (0.5 * self.mv * breath * line)[:, np.newaxis] * np.array([1.0, -0.7])
            return drawn

        yield from _episode(clock, "VFL", self.seconds, wave)


@dataclass(frozen=True)
class Torsades:
    """Polymorphic ventricular tachycardia that twists around the line: torsades de pointes.

    Attributes:
        seconds: how long, s.
        rate: beats per minute.
        mv: peak to peak, mV, where it is largest.
        twist: s from one narrow place to the next.
    """

    seconds: Seconds
    rate: Rate = 220.0
    mv: Millivolts = 2.0
    twist: Seconds = 2.4

    def events(self, clock: Clock, rng: np.random.Generator) -> Iterator[Event]:
        start = max(clock.last + _COUPLING_S, clock.free)
        turn = rng.uniform(0.1, 0.4) * math.pi
        rr = 60.0 / self.rate
        yield Onset(start, "VT")

        def wave(t: Floats, heart: Heart) -> Floats:
            angle = 2.0 * math.pi * t / rr
            # A pointed wave: steep on one side, its peaks at whole intervals.
            point = np.cos(angle + 0.35 * np.sin(angle)) + 0.22 * np.cos(2.0 * angle)
            axis = math.pi * t / self.twist + turn
            leads = np.stack([np.sin(axis), 0.7 * np.cos(axis)], 1)
            drawn: Floats = (0.42 * self.mv * point)[:, np.newaxis] * leads
            return drawn

        yield Stretch(start, start + self.seconds, wave, _RAMP_S)
        for i in range(max(round(self.seconds / rr), 1)):
            clock.last = start + i * rr
            yield Beat(clock.last, "V", drawn=False)
        clock.due = start + self.seconds + _AFTER_S
        yield Onset(start + self.seconds, "N")


def _episode(clock: Clock, rhythm: str, seconds: float, wave: Wave) -> Iterator[Event]:
    """A stretch without beats, from just after the last one."""
    start = max(clock.last + _COUPLING_S, clock.free)
    yield Onset(start, rhythm)
    yield Stretch(start, start + seconds, wave, _RAMP_S)
    clock.last = clock.over = start + seconds
    clock.due = clock.last + _AFTER_S
    yield Onset(clock.over, "N")
