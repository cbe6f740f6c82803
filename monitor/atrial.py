"""The P wave of a beat: what lies before its QRS over the tail - T wave and baseline - of the beat before.

The tail is learnt from normal beats up to where the next P wave may begin, so that an early P wave on a T wave shows.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

import numpy as np

from monitor.ecg import FS
from monitor.kernel import kernel
from monitor.window import EPSILON, NEVER, STRIDE, at

_TAIL_FIRST: Final = round(0.150 * FS) // STRIDE  # points after R where the tail of a beat begins
_TAIL: Final = round(1.000 * FS) // STRIDE - _TAIL_FIRST
P_FIRST: Final = -(round(0.260 * FS) // STRIDE)
P_LAST: Final = -(round(0.060 * FS) // STRIDE)
P: Final = P_LAST - P_FIRST
"""Points of the P region, which lies from P_FIRST to P_LAST before R."""
P_SHIFT: Final = 5
"""Points a P wave may be shifted to fit."""

STATE: Final = np.dtype(
    [
        ("tail", np.float64, (_TAIL,)),  # running T wave and what follows, no P wave in it, mV
        ("tail_count", np.int64, (_TAIL,)),
        ("p", np.float64, (P,)),  # running P wave of normal beats, mV
        ("p_count", np.int64),
        ("p_noise", np.float64),  # running rms of how beats differ from it, mV
    ],
    align=True,
)


@kernel
def _level(ring, r):  # type: ignore[no-untyped-def]
    """The isoelectric level before the QRS of `r`, mV."""
    low, high = -(round(0.090 * FS) // STRIDE), -(round(0.060 * FS) // STRIDE)
    total = 0.0
    for i in range(low, high):
        total += at(ring, r, i)
    return total / (high - low)


@kernel
def residual(atrial, ring, r, last_r, p):  # type: ignore[no-untyped-def]
    """What lies in the P region over what the tail of the beat before leaves there.

    Args:
        p: (P,) receives it, mV, its trend removed.

    Returns:
        The rms of what deforms the T wave before it and the P region, mV.
    """
    interval = (r - last_r) // STRIDE if last_r != NEVER else 1 << 20
    for i in range(P):
        phase = interval + P_FIRST + i - _TAIL_FIRST
        expected = atrial["tail"][min(max(phase, 0), _TAIL - 1)]
        p[i] = at(ring, r, P_FIRST + i) - expected
    ends = 4
    a, b = 0.0, 0.0
    for i in range(ends):
        a += p[i]
        b += p[P - 1 - i]
    a /= ends
    b /= ends
    for i in range(P):
        p[i] -= a + (b - a) * (i - 1.5) / (P - ends)
    # from 150 ms after the beat before to the P region's end
    total, first, count = 0.0, 0.0, 0
    if last_r == NEVER:
        return 0.0
    low = max(_TAIL_FIRST, interval - round(0.400 * FS) // STRIDE)
    high = min(interval + P_LAST, _TAIL + _TAIL_FIRST)
    for phase in range(low, high):
        value = at(ring, last_r, phase) - atrial["tail"][phase - _TAIL_FIRST]
        first += value
        total += value * value
        count += 1
    if count < 8:
        return 0.0
    return sqrt(max(total / count - (first / count) * (first / count), 0.0))


@kernel
def learn_tail(atrial, ring, r, last_r, worth):  # type: ignore[no-untyped-def]
    """Learn what follows a normal beat until the next P wave may begin."""
    interval = (r - last_r) // STRIDE
    level = _level(ring, last_r)
    until = min(interval - round(0.300 * FS) // STRIDE, _TAIL + _TAIL_FIRST)
    value = 0.0
    for phase in range(_TAIL_FIRST, until):
        i = phase - _TAIL_FIRST
        count = min(atrial["tail_count"][i] + 1, 16)
        atrial["tail_count"][i] = count
        atrial["tail"][i] += worth * (at(ring, last_r, phase) - level - atrial["tail"][i]) / count
        value = atrial["tail"][i]
    for i in range(max(until - _TAIL_FIRST, 0), _TAIL):
        if atrial["tail_count"][i] == 0:
            atrial["tail"][i] = value


@kernel
def fit_p(atrial, p):  # type: ignore[no-untyped-def]
    """Correlation of a P region with the running normal one, its shift, projection and rms."""
    best, best_shift, best_projection = -2.0, 0, 0.0
    total = 0.0
    for i in range(P):
        total += p[i] * p[i]
    for shift in range(-P_SHIFT, P_SHIFT + 1):
        xx, yy, xy = EPSILON, EPSILON, 0.0
        for i in range(max(0, shift), min(P, P + shift)):
            x, y = atrial["p"][i - shift], p[i]
            xx += x * x
            yy += y * y
            xy += x * y
        r = xy / sqrt(xx * yy)
        if r > best:
            best, best_shift, best_projection = r, shift, xy / xx
    return best, best_shift, min(max(best_projection, -3.0), 3.0), sqrt(total / P)


@kernel
def learn_p(atrial, p, worth):  # type: ignore[no-untyped-def]
    """Learn the P wave of a normal beat after a normal beat."""
    atrial["p_count"] += 1
    rate = worth / min(atrial["p_count"], 32)
    away = 0.0
    for i in range(P):
        d = p[i] - atrial["p"][i]
        away += d * d
        atrial["p"][i] += rate * d
    atrial["p_noise"] += rate * (sqrt(away / P) - atrial["p_noise"])


@kernel
def usual_size(atrial):  # type: ignore[no-untyped-def]
    """Root mean square of the running P wave, mV."""
    total = 0.0
    for i in range(P):
        total += atrial["p"][i] * atrial["p"][i]
    return sqrt(total / P)


@kernel
def bump(p):  # type: ignore[no-untyped-def]
    """Largest deflection of a P region, mV."""
    largest = 0.0
    for i in range(P):
        largest = max(largest, abs(p[i]))
    return largest
