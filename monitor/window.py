"""The window of a beat on one lead: how it is cut from the display signal, and how two are compared.

A window lies around R, takes every second sample (the display signal ends at 40 Hz) and has no mean level.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

import numpy as np

from monitor.ecg import FS
from monitor.filters import DISPLAY_DELAY
from monitor.kernel import kernel

BEFORE: Final = round(0.300 * FS)
AFTER: Final = round(0.400 * FS)
STRIDE: Final = 2
WIDTH: Final = (BEFORE + AFTER) // STRIDE
"""Points in a window, 180 Hz."""
R: Final = BEFORE // STRIDE
"""The point of the R peak."""
QRS: Final = round(0.080 * FS) // STRIDE
"""Points either side of R that are the QRS."""
FIT_BEFORE: Final = round(0.180 * FS) // STRIDE
FIT_AFTER: Final = round(0.250 * FS) // STRIDE
"""Points around R by which beats are compared."""
SHIFT: Final = 3
"""Points a shape may be shifted to fit."""
_TOGETHER: Final = 4  # shifts that are tried in one loop

RING: Final = 2048
"""Samples of display signal kept a lead: a search-back beat and a block fit."""
BLOCK: Final = 512
"""More samples than the front end ever writes at a time."""
NEVER: Final = -(1 << 40)
"""The sample of a beat that there was not."""

EPSILON: Final = 1e-9
_SMALLEST: Final = 0.05  # mV; amplitudes below are taken as this


@kernel
def at(ring, r, point):  # type: ignore[no-untyped-def]
    """Display signal so many window points from R."""
    source = r + DISPLAY_DELAY + STRIDE * point
    return np.float64(ring[source % RING]) if source >= 0 else 0.0


@kernel
def cut(ring, r, window):  # type: ignore[no-untyped-def]
    """Copy the window around `r` from the ring, its mean removed."""
    mean = 0.0
    for i in range(WIDTH):
        window[i] = at(ring, r, i - R)
        mean += window[i]
    mean /= WIDTH
    for i in range(WIDTH):
        window[i] -= mean


@kernel
def size_of(window):  # type: ignore[no-untyped-def]
    """Largest deflection, mV."""
    largest = 0.0
    for i in range(WIDTH):
        largest = max(largest, abs(window[i]))
    return max(largest, _SMALLEST)


@kernel
def rms(values, low, high):  # type: ignore[no-untyped-def]
    """Root mean square of some values, at most 5."""
    total = 0.0
    for i in range(low, high):
        value = np.float64(values[i])
        total += value * value
    return min(sqrt(total / (high - low)), 5.0)


@kernel
def spread_of(window):  # type: ignore[no-untyped-def]
    """Spread of the squared slope within 150 ms of R, s."""
    reach = round(0.150 * FS) // STRIDE
    total, first = EPSILON, 0.0
    for i in range(R - reach, R + reach):
        slope = window[i + 1] - window[i]
        total += slope * slope
        first += slope * slope * i
    centre = first / total
    second = 0.0
    for i in range(R - reach, R + reach):
        slope = window[i + 1] - window[i]
        second += slope * slope * (i - centre) * (i - centre)
    return sqrt(second / total) * STRIDE / FS


@kernel
def fit(shape, window, reach, before, after):  # type: ignore[no-untyped-def]
    """Best correlation of a window with a shape over shifts up to `reach` points.

    Args:
        shape, window: (WIDTH,) mV.
        reach: points the shape may be shifted either way.
        before, after: points around R that are compared; ``R - before - reach >= _TOGETHER - 1``.

    Returns:
        The correlation, -1 to 1, and the shift of the shape in points.
    """
    low, high = R - before, R + after
    n = high - low
    sy, syy = 0.0, 0.0
    for i in range(low, high):
        y = window[i]
        sy += y
        syy += y * y
    vy = syy - sy * sy / n
    best, best_shift = -2.0, 0
    y = window[low:high]
    for first in range(-reach, reach + 1, _TOGETHER):
        # Four shifts in one loop: their chains of additions run side by side, each in its own order.
        x = shape[low - first - _TOGETHER + 1 : high - first]  # begins with the largest of them
        sa, sb, sc, sd = 0.0, 0.0, 0.0, 0.0
        saa, sbb, scc, sdd = 0.0, 0.0, 0.0, 0.0
        say, sby, scy, sdy = 0.0, 0.0, 0.0, 0.0
        for i in range(n):
            d, c, b, a = x[i], x[i + 1], x[i + 2], x[i + 3]
            sd += d
            sc += c
            sb += b
            sa += a
            sdd += d * d
            scc += c * c
            sbb += b * b
            saa += a * a
            sdy += d * y[i]
            scy += c * y[i]
            sby += b * y[i]
            say += a * y[i]
        found = (
            _correlation(n, sa, saa, say, sy, vy),
            _correlation(n, sb, sbb, sby, sy, vy),
            _correlation(n, sc, scc, scy, sy, vy),
            _correlation(n, sd, sdd, sdy, sy, vy),
        )
        for k in range(min(_TOGETHER, reach + 1 - first)):
            if found[k] > best:
                best, best_shift = found[k], first + k
    return best, best_shift


@kernel
def _correlation(n, sx, sxx, sxy, sy, vy):  # type: ignore[no-untyped-def]
    """From sums over `n` points of x, its squares and its products with y; `sy` and `vy`: of y, and n variances."""
    vx = sxx - sx * sx / n
    return (sxy - sx * sy / n) / sqrt(vx * vy) if vx > EPSILON and vy > EPSILON else 0.0


@kernel
def projection(shape, window, shift, low, high):  # type: ignore[no-untyped-def]
    """How much of a shape is in a window: the factor that fits best, -3 to 3."""
    mx, my = 0.0, 0.0
    for i in range(low, high):
        mx += shape[i - shift]
        my += window[i]
    mx /= high - low
    my /= high - low
    xx, xy = EPSILON, 0.0
    for i in range(low, high):
        x = shape[i - shift] - mx
        xx += x * x
        xy += x * (window[i] - my)
    return min(max(xy / xx, -3.0), 3.0)
