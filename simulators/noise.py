"""What else reaches the electrodes: baseline wander, mains, muscle, and electrodes that come off."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Apply = Callable[[NDArray[np.int64], NDArray[np.float64]], None]
"""Disturbs a block in place: (n,) consecutive sample indices, (n, leads) mV."""

_RAMP_S: Final = 0.25  # an episode swells and fades, a step would be an artefact of its own
_MUSCLE_BAND_HZ: Final = (20.0, 120.0)
_MUSCLE_SPAN_S: Final = 0.05  # length of the filter that shapes the noise


@dataclass(frozen=True)
class When:
    """Episodes, s: from `at` for `seconds`, again `every` so often (None: once)."""

    at: float = 0.0
    seconds: float = math.inf
    every: float | None = None

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

    mv: float
    hz: float = 0.25
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

    mv: float
    hz: float = 50.0
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

    mv: float
    when: When = ALWAYS

    def start(self, fs: float, leads: int, rng: np.random.Generator) -> Apply:
        half = round(_MUSCLE_SPAN_S * fs / 2.0)
        t = np.arange(-half, half + 1) / fs
        low, high = _MUSCLE_BAND_HZ[0], min(_MUSCLE_BAND_HZ[1], 0.45 * fs)
        taps = (high * np.sinc(2.0 * high * t) - low * np.sinc(2.0 * low * t)) * np.hanning(t.size + 2)[1:-1]
        taps /= np.sqrt(np.sum(taps**2))  # white noise of unit variance stays of unit variance
        tail = rng.standard_normal((2 * half, leads))

        def apply(k: NDArray[np.int64], signal: NDArray[np.float64]) -> None:
            nonlocal tail
            white = np.concatenate([tail, rng.standard_normal(signal.shape)])
            tail = white[-2 * half :]
            gain = self.mv * self.when.envelope(k, fs)
            for lead in range(leads):
                signal[:, lead] += gain * np.convolve(white[:, lead], taps, "valid")

        return apply


@dataclass(frozen=True)
class LeadOff:
    """Electrodes off: the leads (by number) have no sample, NaN."""

    leads: tuple[int, ...]
    when: When = ALWAYS

    def start(self, fs: float, leads: int, rng: np.random.Generator) -> Apply:
        def apply(k: NDArray[np.int64], signal: NDArray[np.float64]) -> None:
            off = self.when.active(k, fs)
            for lead in self.leads:
                signal[off, lead] = np.nan

        return apply
