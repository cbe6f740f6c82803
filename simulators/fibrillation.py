"""What the ventricles show without beats: fibrillation and flutter, as functions of time.

Fibrillation is narrow-band: a few oscillations between 4 and 7 Hz whose frequencies drift and whose amplitudes wax and
wane, so that they meet and cancel at random, with a mixture of its own for each lead. Modulations are sums of slow
sines with phases that are drawn once: any stretch of time can be drawn by itself, the same however time is cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SLOW_HZ: Final = (0.07, 0.19, 0.43)  # of the modulations: seconds, as strips show it
_VOICES: Final = (1.0, 0.55, 0.35)  # weights of the oscillations
_RATIOS: Final = (1.0, 1.17, 0.86)  # their frequencies, in parts of the dominant one
_DRIFT: Final = 0.06  # each modulation's share in the drift of a frequency, as a fraction
_SWELL: Final = 0.28  # each modulation's share in the logarithm of an amplitude
_RMS_TO_PEAK: Final = 2.6
"""Half of what a person reads off the strip as "amplitude peak to peak", in RMS: of the larger waves, not of all."""


@dataclass(frozen=True)
class Chaos:
    """Fibrillation of the ventricles.

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
        drawn = np.zeros((t.size, self._start.shape[1]))
        for voice, (weight, ratio) in enumerate(zip(_VOICES, _RATIOS, strict=True)):
            hz = self._chaos.hz * ratio
            # The integral of hz * (1 + drift * sum of sines).
            bend = (np.cos(np.multiply.outer(t, slow) + self._drift[voice]) / slow).sum(1)
            phase = 2.0 * math.pi * hz * (t - _DRIFT * bend)
            for lead in range(drawn.shape[1]):
                swell = np.sin(np.multiply.outer(t, slow) + self._swell[voice, lead]).sum(1)
                drawn[:, lead] += weight * np.exp(_SWELL * swell) * np.sin(phase + self._start[voice, lead])
        norm = math.sqrt(0.5 * sum(weight**2 for weight in _VOICES))
        return drawn * (0.5 * self._chaos.mv / (_RMS_TO_PEAK * norm) * 1.4)


def flutter(t: Floats, rate: float, mv: float) -> Floats:
    """Draw ventricular flutter, a wave of `rate` a minute without a line between its ups and downs.

    Args:
        t: (n,) s from its beginning.
        rate: waves a minute.
        mv: peak to peak, mV, of the first lead; 0.7 of it in the second.

    Returns:
        (n, 2) mV.
    """
    angle = 2.0 * math.pi * rate / 60.0 * t
    wave = np.sin(angle) + 0.18 * np.sin(2.0 * angle + 0.5)
    return (0.5 * mv / 1.05) * wave[:, np.newaxis] * np.array([1.0, -0.7])
