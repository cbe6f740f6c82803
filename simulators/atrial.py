"""What the atria do instead of a sinus rhythm: fibrillation and flutter."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from simulators.heart import Heart
from simulators.limits import Rate, Seconds
from simulators.rhythms import Beat, Clock, Event, Onset, Stretch

Floats = NDArray[np.float64]

_RAMP_S: Final = 0.5  # f waves come and go smoothly
_RR_RANGE_S: Final = (0.3, 2.0)
_FLUTTER_PR: Final = 0.75  # from the last flutter wave that is conducted to R, in flutter intervals


@dataclass(frozen=True)
class AtrialFibrillation:
    """Atrial fibrillation: RR without any order, no P waves, f waves instead.

    RR intervals are drawn independently from a log-normal distribution. The f waves are a sawtooth of three harmonics
    whose frequency is modulated.

    Attributes:
        seconds: how long, s.
        rate: mean beats per minute of the ventricles.
        spread: standard deviation of log RR.

    Source of the f waves: Stridh M, Sornmo L, IEEE Trans Biomed Eng 48(1):105-111 (2001), doi:10.1109/10.900266.
    """

    seconds: Seconds
    rate: Rate = 90.0
    spread: Annotated[float, Field(ge=0.0, le=0.6)] = 0.22

    def events(self, clock: Clock, rng: np.random.Generator) -> Iterator[Event]:
        yield Onset(clock.due, "AFIB")
        end = clock.due + self.seconds
        yield Stretch(clock.due, end, _f_waves, _RAMP_S)
        while clock.due < end:
            clock.last = clock.due
            factor = math.exp(self.spread * rng.standard_normal() - 0.5 * self.spread**2)
            low, high = _RR_RANGE_S
            clock.due += min(max(60.0 / self.rate * factor, low), high)
            yield Beat(clock.last, "N", p_wave=False)


def _f_waves(t: Floats, heart: Heart) -> Floats:
    theta = 2.0 * math.pi * 6.0 * t + (0.5 / 0.1) * np.sin(2.0 * math.pi * 0.1 * t)
    sawtooth = sum(np.sin(harmonic * theta) / harmonic for harmonic in (1, 2, 3))
    breath = 1.0 + 0.2 * np.sin(2.0 * math.pi * 0.23 * t)
    drawn: Floats = (-0.7 * heart.f_mv * breath * sawtooth)[:, np.newaxis] * np.array([0.5, 1.0])
    return drawn


@dataclass(frozen=True)
class AtrialFlutter:
    """Atrial flutter: a sawtooth in MLII, small upright waves in V1; the ventricles answer every few of them.

    Attributes:
        seconds: how long, s.
        rate: flutter waves a minute.
        conduction: flutter waves a beat: one number for a regular rhythm, several to choose from at random.
    """

    seconds: Seconds
    rate: Rate = 300.0
    conduction: tuple[Annotated[int, Field(ge=1, le=8)], ...] = (4,)

    def __post_init__(self) -> None:
        if not self.conduction:
            raise ValueError("conduction names no number")

    def events(self, clock: Clock, rng: np.random.Generator) -> Iterator[Event]:
        yield Onset(clock.due, "AFL")
        wave = 60.0 / self.rate
        end = clock.due + self.seconds

        def sawtooth(t: Floats, heart: Heart) -> Floats:
            angle = 2.0 * math.pi * (t / wave + _FLUTTER_PR)
            line = sum(np.sin(harmonic * angle) / harmonic for harmonic in (1, 2, 3, 4))
            upright = np.maximum(np.cos(angle - 0.6), 0.0) ** 2
            return heart.f_mv * np.stack([-1.3 * line, 1.2 * upright - 0.3], 1)

        yield Stretch(clock.due, end, sawtooth, _RAMP_S)
        while clock.due < end:
            clock.last = clock.due
            clock.due += wave * self.conduction[int(rng.integers(len(self.conduction)))]
            yield Beat(clock.last, "N", p_wave=False)
