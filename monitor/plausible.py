"""What cannot be a QRS complex, whatever its energy: the too small, the too narrow, and the tall T wave.

A detector whose thresholds follow the patient would in the end take anything for a beat. Three physical limits,
modelled on what bedside monitors promise, stand before it:

- **small**: less than SMALL peak to peak in the display band, on every lead. Standards for monitors ask that QRS
  complexes of 0.15 mV are not counted. A small beat among larger ones stays one: the limit holds once there has
  been no larger one for SMALL_AFTER;
- **spike**: some 15 ms wide at most, or a jump: a pacing pulse, with or without the slow tail that some pacemakers
  leave, or a switch. Told by second differences of the unfiltered signal over 17 and over 44 ms, which for a QRS
  differ. If beside the spike there is more than it and its decay, that may be the paced beat;
- **tall T**: within T_PEAK of a beat, and much blunter than the beats.

No such thing is a candidate, and none triggers. Bounds were set on synthetic waveforms; what they cost on DS1 is in
`trainer/LOG.md`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor.ecg import FS
from monitor.kernel import kernel

RAW: Final = 256
"""Samples of each lead's unfiltered signal that are remembered: BEFORE a peak that is looked at for the last time."""
_RAW_MASK: Final = RAW - 1

BEFORE: Final = 70
"""Samples before an energy peak in which its QRS lies."""
AFTER: Final = 8
"""Samples after it that still belong."""

SMALL: Final = 0.20
"""mV, peak to peak: what a complex with an R wave of 0.15 mV has, its Q and S waves included."""
SMALL_AFTER: Final = round(2.5 * FS)

NARROW: Final = 0.90
"""Second difference over _NEAR samples over that over _FAR: triangles up to 15 ms wide at their foot have 1.0, one of
20 ms has 0.82, one of 40 ms 0.40, and beats of DS1 0.3."""
_NEAR: Final = 3
_FAR: Final = 8
HALF: Final = 0.4
"""Of all that the signal moves, a spike has at least so much, a jump half: noise on a small beat may be as narrow."""
_LOBE: Final = 4
"""Samples on either side of a spike that belong to it."""
BESIDE: Final = 0.2
"""mV, peak to peak, beside a spike and beyond its decay: there is a beat."""

T_PEAK: Final = round(0.240 * FS)
"""Samples after a beat up to which a T wave's energy may peak while it is taller than the QRS."""
BLUNT: Final = 0.4
"""Of the beats' sharpest bend."""


@kernel
def _kink(raw, i, reach):  # type: ignore[no-untyped-def]
    """How far sample `i` lies off the middle of its neighbours at a distance of `reach`."""
    a, b, c = raw[(i - reach) & _RAW_MASK], raw[i & _RAW_MASK], raw[(i + reach) & _RAW_MASK]
    return abs(np.float64(b) - 0.5 * (np.float64(a) + np.float64(c)))


@kernel
def _spread(ring, mask, first, last):  # type: ignore[no-untyped-def]
    """Peak to peak from sample `first` up to `last`, included; 0 if there are none."""
    if first > last:
        return 0.0
    low = high = np.float64(ring[first & mask])
    for i in range(first + 1, last + 1):
        x = np.float64(ring[i & mask])
        low, high = min(low, x), max(high, x)
    return high - low


@kernel
def is_small(shown, mask, first, last):  # type: ignore[no-untyped-def]
    """Whether the display signal moves less than SMALL from sample `first` to `last`.

    Args:
        shown: (n,) ring of one lead, mV.
        mask: n - 1.
        first, last: samples, included.
    """
    return _spread(shown, mask, first, last) < SMALL


@kernel
def is_spike(raw, first, last):  # type: ignore[no-untyped-def]
    """Whether all there is from sample `first` to `last` is a spike or a jump, and its decay.

    Args:
        raw: (RAW,) ring of one lead, unfiltered, mV; it has seen _FAR samples after `last`.
        first, last: samples, included; no more than RAW - 2 * _FAR of them.
    """
    at, sharpest = first, 0.0
    for i in range(first, last + 1):
        kink = _kink(raw, i, _FAR)
        if kink > sharpest:
            at, sharpest = i, kink
    narrow = 0.0
    for i in range(max(first, at - _LOBE), min(last, at + _LOBE) + 1):
        narrow = max(narrow, _kink(raw, i, _NEAR))
    if narrow < NARROW * sharpest or sharpest <= HALF * _spread(raw, _RAW_MASK, first, last):
        return False
    jump = abs(np.float64(raw[(at + _LOBE) & _RAW_MASK]) - np.float64(raw[(at - _LOBE) & _RAW_MASK]))
    before = _spread(raw, _RAW_MASK, first, at - _LOBE)
    after = _spread(raw, _RAW_MASK, at + _LOBE, last) - jump
    return max(before, after) < BESIDE
