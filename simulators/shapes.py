"""Waves of straight lines with rounded corners, as tables that are drawn at any time and rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

STEP_S: Final = 1e-4
"""Of the tables, s."""

CORNER_S: Final = 0.006
"""Within which corners are rounded, s: what a bandwidth of some 150 Hz leaves of them."""

_APERTURE_S: Final = 0.004  # over which a device of some 300 samples a second averages a pulse

Floats = NDArray[np.float64]


class Shape(NamedTuple):
    """A wave around its fiducial point at 0: `t` (n,) s, increasing, and `mv` (n,); zero outside."""

    t: Floats
    mv: Floats

    def scaled(self, factor: float) -> Shape:
        return Shape(self.t, self.mv * factor)

    def add_to(self, line: Floats, at: float, fs: float) -> None:
        """Draw it into a line (n,) that begins at 0 s: its fiducial point at `at` s, on a sample or between two."""
        first = max(math.ceil((at + self.t[0]) * fs), 0)
        last = min(math.floor((at + self.t[-1]) * fs) + 1, line.size)
        if first < last:
            line[first:last] += np.interp(np.arange(first, last) / fs - at, self.t, self.mv)


def polygon(corners: Sequence[tuple[float, float]], corner_s: float = CORNER_S) -> Shape:
    """Straight lines from corner (s, mV) to corner, rounded within `corner_s`; the highest point is restored."""
    at, mv = np.array(corners, np.float64).T
    t = np.arange(at[0] - corner_s, at[-1] + corner_s, STEP_S)
    window = np.hanning(max(round(corner_s / STEP_S), 3))
    drawn = np.convolve(np.interp(t, at, mv), window / window.sum(), "same")
    drawn *= np.abs(mv).max() / np.abs(drawn).max()
    return Shape(t, drawn)


def pacer(mv: float, ms: float, tail_mv: float = 0.0, tail_ms: float = 4.0) -> Shape:
    """What a device's input leaves of a pacemaker's pulse: the pulse, then a tail that decays with `tail_ms`."""
    t = np.arange(-0.010, 1e-3 * (ms + 6.0 * tail_ms) + 0.010, STEP_S)
    after = t - 1e-3 * ms
    raw = np.where((t >= 0.0) & (after < 0.0), mv, 0.0)
    raw += np.where(after >= 0.0, -tail_mv * np.exp(-np.maximum(after, 0.0) / (1e-3 * tail_ms)), 0.0)
    window = np.hanning(round(_APERTURE_S / STEP_S))
    return Shape(t, np.convolve(raw, window / window.sum(), "same"))
