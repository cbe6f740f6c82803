"""Beats beside beats: how alike the shapes are that a detector calls beats, and the cycles around them.

A beat's shape is compared with each of the last few, so that beats of two kinds are each like their own, and so is the
cycle around it, from P to T, once all of that has been seen. In noise neither repeats.

Source of the idea: template matching as a measure of quality; Orphanidou C et al., IEEE J Biomed Health Inform
19(3):832-838 (2015), doi:10.1109/JBHI.2014.2338351, who compare with the mean beat of ten seconds.
"""

from __future__ import annotations

from math import log, sqrt
from typing import Final

import numpy as np

from monitor import qrs
from monitor.ecg import FS
from monitor.judge import MASK
from monitor.kernel import kernel

BEATS: Final = 16
"""Beats that are remembered."""
BEATS_FOR: Final = round(3.5 * FS)
"""Those told in the last so many samples are measured..."""

SHAPE: Final = 24
"""Points of a beat's shape, every fourth sample."""
_STRIDE: Final = 4
_FROM: Final = -72
_UNTIL: Final = _FROM + _STRIDE * SHAPE
SHAPES: Final = 4
"""Beats whose shapes are remembered."""

CYCLE: Final = 24
"""Points of a cycle from P to T, every tenth sample."""
_CYCLE_STRIDE: Final = 10
_CYCLE_FROM: Final = -100
_CYCLE_UNTIL: Final = _CYCLE_FROM + _CYCLE_STRIDE * CYCLE

LEAST: Final = 1e-6
"""mV; what is smaller counts as that."""

BEAT: Final = np.dtype(
    [
        ("at", np.int64),  # its energy peak
        ("told", np.int64),
        ("likeness", np.float64),
        ("height", np.float64),  # mV
        ("misfit", np.float64),  # of the cycle before it
        ("logit", np.float64),
    ],
    align=True,
)


@kernel
def ratio(a, b):  # type: ignore[no-untyped-def]
    """Half the logarithm of a ratio of powers, which is that of sizes."""
    return 0.5 * log((a + LEAST * LEAST) / (b + LEAST * LEAST))


@kernel
def note_beats(state, shown, detections, count, first):  # type: ignore[no-untyped-def]
    """Look at the beats that were told before the next sample; to be asked where a half second or a block ends.

    Args:
        state: a record of :data:`monitor.measures.STATE`.
        shown: (RING,) float32, the lead's display signal as the detector remembers it.
        detections: :data:`monitor.qrs.DETECTION` records of a block, by `emitted`.
        count: how many there are.
        first: the first that was not looked at yet.

    Returns:
        The first that is still to be looked at.
    """
    while first < count and detections[first]["emitted"] < state["time"]:
        found = detections[first]
        # One told before its shape is over would be compared by what a block happens to hold.
        if found["kind"] == qrs.BEAT and found["peak"] + _UNTIL <= found["emitted"]:
            _note_beat(state, shown, found)
        first += 1
    return first


@kernel
def _note_beat(state, shown, detection):  # type: ignore[no-untyped-def]
    """Keep the shape of a beat, how large it is, and how like the best of the last few, shifted by up to 11 ms."""
    at = detection["peak"]
    cut = np.empty(SHAPE + 2)
    low, high = np.inf, -np.inf
    for i in range(SHAPE + 2):
        x = np.float64(shown[(at + _FROM + _STRIDE * (i - 1)) & MASK])
        cut[i] = x
        low, high = min(low, x), max(high, x)
    best, known = 0.0, min(state["beat_count"], SHAPES)
    middle, middle_size = 0.0, 1.0
    for shift in range(3):
        total, squares = 0.0, 0.0
        for i in range(SHAPE):
            x = cut[shift + i]
            total += x
            squares += x * x
        size = sqrt(max(squares - total * total / SHAPE, LEAST))
        if shift == 1:
            middle, middle_size = total / SHAPE, size
        for other in range(known):  # these have mean 0 and size 1
            shared = 0.0
            for i in range(SHAPE):
                shared += cut[shift + i] * state["shapes"][other, i]
            best = max(best, shared / size)
    shape = state["shapes"][state["beat_count"] % SHAPES]
    for i in range(SHAPE):
        shape[i] = (cut[i + 1] - middle) / middle_size
    beat = state["beat"][state["beat_count"] % BEATS]
    beat["at"] = at
    beat["told"] = detection["emitted"]
    beat["likeness"] = best
    beat["height"] = high - low
    beat["logit"] = min(max(detection["logit"], -4.0), 8.0)
    before = state["beat"][(state["beat_count"] - 1) % BEATS]
    beat["misfit"] = before["misfit"]
    if detection["emitted"] >= before["at"] + _CYCLE_UNTIL and at - before["at"] < BEATS_FOR:
        beat["misfit"] = _compare_cycle(state, shown, before["at"], before["height"])
    state["beat_count"] += 1


@kernel
def _compare_cycle(state, shown, at, height):  # type: ignore[no-untyped-def]
    """Log of what the best of the last few cycles leaves unexplained of the one around `at`, over its beat's height."""
    cut = np.empty(CYCLE)
    total = 0.0
    for i in range(CYCLE):
        cut[i] = np.float64(shown[(at + _CYCLE_FROM + _CYCLE_STRIDE * i) & MASK])
        total += cut[i]
    known = min(state["cycle_count"], SHAPES)
    least = np.inf if known else 0.0
    for other in range(known):
        left = 0.0
        for i in range(CYCLE):
            difference = cut[i] - total / CYCLE - state["cycles"][other, i]
            left += difference * difference
        least = min(least, left)
    place = state["cycle_count"] % SHAPES
    for i in range(CYCLE):
        state["cycles"][place, i] = cut[i] - total / CYCLE
    state["cycle_count"] += 1
    return min(max(ratio(least / CYCLE, height * height), -5.0), 2.0)
