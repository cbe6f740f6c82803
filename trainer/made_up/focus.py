"""Made-up ventricular beats: where they come from, and the shape that they have from there.

Of DS1's 3788 ventricular beats nearly all are a dozen patients'. Here a focus is drawn: a wide QRS of a few lobes,
other in each lead, as large as the patient's own beats or larger, and a T wave against it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

BEFORE: Final = 0.10
"""Seconds before R at which a beat of a focus begins."""

_AFTER: Final = 0.50
_LARGEST: Final = 0.35  # spread, log, of a focus's size over the patient's


class Focus:
    """Where ventricular beats of one shape come from, give or take."""

    def __init__(self, rng: np.random.Generator, size: NDArray[np.float64], fs: float) -> None:
        """Draw a focus.

        Args:
            rng: decides all.
            size: (leads,) mV, peak to peak, of the patient's normal beats.
            fs: Hz.
        """
        self.rng, leads = rng, len(size)
        self.time = np.arange(-round(BEFORE * fs), round(_AFTER * fs))[:, np.newaxis] / fs
        width = rng.uniform(0.07, 0.15)
        lobes = int(rng.integers(2, 5))
        self.centres = np.sort(rng.uniform(-0.02, width, lobes))
        self.widths = width * rng.uniform(0.14, 0.32, lobes)
        self.heights = rng.normal(size=(lobes, leads)) + rng.normal(size=(lobes, 1))
        self.t_centre, self.t_width = width + rng.uniform(0.14, 0.24), rng.uniform(0.035, 0.075)
        qrs = self._qrs(self.centres, self.widths, self.heights)
        self.heights *= size * np.exp(rng.normal(0.25, _LARGEST, leads)) / np.ptp(qrs, axis=0)
        qrs = self._qrs(self.centres, self.widths, self.heights)
        against = rng.choice([-1.0, 1.0], p=[0.92, 0.08]) * np.sign(qrs.sum(0))
        self.t_height = against * rng.uniform(0.15, 0.5, leads) * np.ptp(qrs, axis=0)

    def _qrs(
        self, centres: NDArray[np.float64], widths: NDArray[np.float64], heights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        bells = np.exp(-0.5 * ((self.time - centres) / widths) ** 2)
        found: NDArray[np.float64] = bells @ heights
        return found

    def beat(self) -> NDArray[np.float64]:
        """(n, leads) mV from BEFORE seconds before R: the next beat, a little other than the last."""
        rng = self.rng
        heights = self.heights * (1.0 + 0.05 * rng.normal(size=self.heights.shape)) * (1.0 + 0.05 * rng.normal())
        stretch = 1.0 + 0.03 * rng.normal()
        qrs = self._qrs(self.centres * stretch, self.widths * stretch, heights)
        away = (self.time - self.t_centre * stretch) / self.t_width
        away = np.where(away < 0.0, 0.75 * away, away)  # rises slower than it falls
        t_wave = np.exp(-0.5 * away**2) * self.t_height * (1.0 + 0.08 * rng.normal())
        found: NDArray[np.float64] = qrs + t_wave
        return found
