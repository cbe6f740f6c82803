"""What else reaches the electrodes: baseline wander, mains, muscle, motion, steps, and electrodes that come off.

Powers and bands are those that Friesen GM et al., IEEE Trans Biomed Eng 37(1):85-98 (1990), doi:10.1109/10.43620, and
the MIT-BIH Noise Stress Test Database (baseline wander, muscle artefact, electrode motion) describe.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from simulators.heart import LEADS
from simulators.limits import Frequency, Level, Millivolts, Seconds

Apply = Callable[[NDArray[np.int64], NDArray[np.float64]], None]
"""Disturbs a block in place: (n,) consecutive sample indices, (n, leads) mV."""

Leads = tuple[Annotated[int, Field(ge=0, lt=len(LEADS))], ...]
"""Numbers of leads."""

_RAMP_S: Final = 0.25  # an episode swells and fades, a step would be an artefact of its own
_MUSCLE_BAND_HZ: Final = (20.0, 120.0)
_MUSCLE_SPAN_S: Final = 0.05  # length of the filter that shapes the noise
_MOTION_BAND_HZ: Final = (0.8, 9.0)  # where QRS complexes and T waves lie too
_MOTION_SPAN_S: Final = 1.2
_JERK: Final = (0.02, 6.0)  # share of the samples that are larger, and how much
_WANDER_HZ: Final = (0.05, 0.5)
_WANDER_SINES: Final = 12


@dataclass(frozen=True)
class When:
    """Episodes, s: from `at` for `seconds`, again `every` so often (None: once)."""

    at: Annotated[float, Field(ge=0.0)] = 0.0
    seconds: Annotated[float, Field(gt=0.0)] = math.inf
    every: Seconds | None = None

    def _phase(self, k: NDArray[np.int64], fs: float) -> NDArray[np.int64]:
        phase = k - round(self.at * fs)
        return phase if self.every is None else np.where(phase < 0, phase, phase % round(self.every * fs))

    def active(self, k: NDArray[np.int64], fs: float) -> NDArray[np.bool_]:
        """Tell for each sample index of `k` (n,) whether it lies in an episode."""
        phase = self._phase(k, fs)
        return (phase >= 0) & (phase < self.seconds * fs)

    def envelope(self, k: NDArray[np.int64], fs: float) -> NDArray[np.float64]:
        """Return the gain 0-1 of each sample index of `k` (n,), with a ramp at both ends of an episode."""
        if self.seconds == math.inf:
            return self.active(k, fs).astype(np.float64)
        phase = self._phase(k, fs)
        ramp = _RAMP_S * fs
        gain: NDArray[np.float64] = np.clip(np.minimum(phase, self.seconds * fs - phase) / ramp, 0.0, 1.0)
        return gain


ALWAYS: Final = When()


class Disturbance(Protocol):
    """One source of disturbance, described; :meth:`start` makes it run."""

    def start(self, fs: float, leads: int, rng: np.random.Generator) -> Apply: ...


@dataclass(frozen=True)
class Baseline:
    """A sinusoidal wander of `mv` amplitude; respiration by default. Also serves as slow drift."""

    mv: Millivolts
    hz: Frequency = 0.25
    when: When = ALWAYS

    def start(self, fs: float, leads: int, rng: np.random.Generator) -> Apply:
        phases = rng.uniform(0.0, 2.0 * math.pi, leads)

        def apply(k: NDArray[np.int64], signal: NDArray[np.float64]) -> None:
            angle = (2.0 * math.pi * self.hz / fs) * k
            signal += self.mv * self.when.envelope(k, fs)[:, None] * np.sin(angle[:, None] + phases)

        return apply


@dataclass(frozen=True)
class Mains:
    """The power line: `mv` amplitude at 50 or 60 Hz, in phase on all leads."""

    mv: Millivolts
    hz: Frequency = 50.0
    when: When = ALWAYS

    def start(self, fs: float, leads: int, rng: np.random.Generator) -> Apply:
        phase = rng.uniform(0.0, 2.0 * math.pi)

        def apply(k: NDArray[np.int64], signal: NDArray[np.float64]) -> None:
            angle = (2.0 * math.pi * self.hz / fs) * k + phase
            signal += (self.mv * self.when.envelope(k, fs) * np.sin(angle))[:, None]

        return apply


@dataclass(frozen=True)
class Muscle:
    """Muscle noise: Gaussian, 20-120 Hz, `mv` RMS, independent from lead to lead."""

    mv: Millivolts
    when: When = ALWAYS

    def start(self, fs: float, leads: int, rng: np.random.Generator) -> Apply:
        return _shaped(self.mv, self.when, _taps(_MUSCLE_BAND_HZ, _MUSCLE_SPAN_S, fs), leads, rng.standard_normal, fs)


@dataclass(frozen=True)
class Motion:
    """Motion of the electrodes: `mv` RMS, 0.8-9 Hz, in jerks, independent from lead to lead."""

    mv: Millivolts
    when: When = ALWAYS

    def start(self, fs: float, leads: int, rng: np.random.Generator) -> Apply:
        share, larger = _JERK
        rms = math.sqrt(1.0 + share * (larger**2 - 1.0))

        def jerks(shape: tuple[int, int]) -> NDArray[np.float64]:
            size = np.where(rng.random(shape) < share, larger, 1.0)
            drawn: NDArray[np.float64] = rng.standard_normal(shape) * size / rms
            return drawn

        return _shaped(self.mv, self.when, _taps(_MOTION_BAND_HZ, _MOTION_SPAN_S, fs), leads, jerks, fs)


def _taps(band: tuple[float, float], seconds: float, fs: float) -> NDArray[np.float64]:
    """A band-pass filter of so many seconds that leaves white noise at its variance."""
    half = round(seconds * fs / 2.0)
    t = np.arange(-half, half + 1) / fs
    low, high = band[0], min(band[1], 0.45 * fs)
    taps = (high * np.sinc(2.0 * high * t) - low * np.sinc(2.0 * low * t)) * np.hanning(t.size + 2)[1:-1]
    taps /= np.sqrt(np.sum(taps**2))
    return taps


def _shaped(
    mv: float,
    when: When,
    taps: NDArray[np.float64],
    leads: int,
    draw: Callable[[tuple[int, int]], NDArray[np.float64]],
    fs: float,
) -> Apply:
    """White noise as `draw` makes it, filtered."""
    tail = draw((taps.size - 1, leads))

    def apply(k: NDArray[np.int64], signal: NDArray[np.float64]) -> None:
        nonlocal tail
        white = np.concatenate([tail, draw((k.size, leads))])
        tail = white[k.size :]
        gain = mv * when.envelope(k, fs)
        for lead in range(leads):
            signal[:, lead] += gain * np.convolve(white[:, lead], taps, "valid")

    return apply


@dataclass(frozen=True)
class Wander:
    """An irregular wander of the baseline, `mv` RMS, 0.05-0.5 Hz."""

    mv: Millivolts
    when: When = ALWAYS

    def start(self, fs: float, leads: int, rng: np.random.Generator) -> Apply:
        low, high = _WANDER_HZ
        hz = np.exp(rng.uniform(math.log(low), math.log(high), (_WANDER_SINES, 1)))
        phases = rng.uniform(0.0, 2.0 * math.pi, (_WANDER_SINES, leads))
        size = self.mv * math.sqrt(2.0 / _WANDER_SINES)

        def apply(k: NDArray[np.int64], signal: NDArray[np.float64]) -> None:
            angle = 2.0 * math.pi * hz * (k / fs)  # (sines, n)
            wave = np.sin(angle[:, :, np.newaxis] + phases[:, np.newaxis]).sum(0)
            signal += size * self.when.envelope(k, fs)[:, np.newaxis] * wave

        return apply


@dataclass(frozen=True)
class Step:
    """Another level, by `mv`, in an episode: it begins and ends with a step."""

    mv: Level
    when: When = ALWAYS

    def start(self, fs: float, leads: int, rng: np.random.Generator) -> Apply:
        def apply(k: NDArray[np.int64], signal: NDArray[np.float64]) -> None:
            signal[self.when.active(k, fs)] += self.mv

        return apply


@dataclass(frozen=True)
class Saturation:
    """The converter at its rail: the leads (by number) are infinite, of the sign of their level."""

    leads: Leads = (0, 1)
    when: When = ALWAYS

    def start(self, fs: float, leads: int, rng: np.random.Generator) -> Apply:
        def apply(k: NDArray[np.int64], signal: NDArray[np.float64]) -> None:
            at_rail = self.when.active(k, fs)
            for lead in self.leads:
                signal[at_rail, lead] = np.copysign(np.inf, signal[at_rail, lead])

        return apply


@dataclass(frozen=True)
class Flat:
    """A dead input that nothing reports: the leads (by number) are at 0 mV."""

    leads: Leads = (0, 1)
    when: When = ALWAYS

    def start(self, fs: float, leads: int, rng: np.random.Generator) -> Apply:
        def apply(k: NDArray[np.int64], signal: NDArray[np.float64]) -> None:
            dead = self.when.active(k, fs)
            for lead in self.leads:
                signal[dead, lead] = 0.0

        return apply


@dataclass(frozen=True)
class LeadOff:
    """Electrodes off: the leads (by number) have no sample, NaN."""

    leads: Leads = (0, 1)
    when: When = ALWAYS

    def start(self, fs: float, leads: int, rng: np.random.Generator) -> Apply:
        def apply(k: NDArray[np.int64], signal: NDArray[np.float64]) -> None:
            off = self.when.active(k, fs)
            for lead in self.leads:
                signal[off, lead] = np.nan

        return apply
