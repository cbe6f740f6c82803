"""The features of timing: a beat's interval compared with those before it, at several scales.

Intervals are compared with the same patient's last 8, 40 and 120; the last 400 were left out, for they taught networks
the patient instead of the beat (leave-records-out S F1 60 with them, 66 without). The state is that of
:data:`monitor.beats.STATE`, which one beat after the other passes through.

Source: RR ratios: de Chazal 2004, doi:10.1109/TBME.2004.827359.
"""

from __future__ import annotations

from math import log, sqrt
from typing import Final

import numpy as np

from monitor import ordered
from monitor.kernel import kernel

NEXT_FEATURES: Final = (
    "next_known",  # 1: the interval after the beat is measured
    "next_awaited",  # 1: none came in time; what follows is then of the time waited, which the interval exceeds
    "next_to_mean8",  # log of that interval over the mean of the 8 before the beat
    "next_to_median40",
    "next_to_mean120",
    "next_to_normal",
    "next_to_interval",  # over the interval before the beat
    "pair_to_median40",  # the mean of the intervals before and after it, over the median
)
"""What is known of the next beat: :func:`fill_next` fills them in a final row; in a provisional one they are 0."""

CONTEXT_FEATURES: Final = (
    "rr_to_mean8",  # log of the interval before the beat over the mean of the 8 before it
    "rr_to_mean40",
    "rr_to_mean120",
    "rr_to_median8",  # over the median
    "rr_to_median40",
    "rr_to_median120",
    "rr_to_short40",  # over the shortest tenth of the last 40
    "rr_to_long40",  # over the longest tenth
    "rr_to_short120",
    "rr_to_long120",
    "rr_to_normal",  # over the running interval of beats that rule and timing call normal
    "rr_to_shortest8",
    "rr_to_longest8",
    "rr_to_previous",
    "previous_rr1",  # the intervals before it, over the median of 40
    "previous_rr2",
    "previous_rr3",
    "previous_rr4",
    "previous_rr5",
    "previous_rr6",
    "previous_rr7",
    "irregularity",  # standard deviation of the last 8 over their mean
    "change16",  # median change, log, between neighbouring intervals of the last 16
    "change64",
    "jumps16",  # share of them above a tenth
    "jumps64",
    "turns32",  # share of turning points
    "spread40",  # log of the upper over the lower quartile
    "reach40",  # log of the longest over the shortest tenth
    "spread120",
    "reach120",
    "early_run",  # early beats in a row before this one, 1 from 8 on
    "experience",  # beats seen, 1 from 32 on
    "certainty",  # log odds that the detector's judge gives it
    "calm",  # 1 in a calm signal, 0 in a restless one
    "calm_enough",  # the same for more restlessness
    *NEXT_FEATURES,
)
"""Features of timing, and what the detector says of the beat: the same whatever the leads."""

CONTEXT: Final = len(CONTEXT_FEATURES)
NEXT: Final = CONTEXT - len(NEXT_FEATURES)
"""Where those of the next beat begin."""

LONGEST_WAIT: Final = 1.2
"""Seconds after R for which the next beat is awaited."""

MOST: Final = 120
"""Intervals that are kept."""
HISTORY: Final = 64
"""Changes of the interval that are kept."""
EARLY: Final = -0.12
"""Log of an interval over the usual, from which a beat is early."""
TO_NORMAL: Final = CONTEXT_FEATURES.index("rr_to_normal")
_SCALES: Final = np.array([8, 40, MOST])
"""Beats over which intervals are compared."""

REFERENCES: Final = np.dtype(
    [
        ("interval", np.float64),  # before the beat, s; 0: unknown
        ("mean8", np.float64),
        ("median40", np.float64),
        ("mean120", np.float64),
        ("normal", np.float64),
    ],
    align=True,
)
"""What a beat's interval, and later the one after it, are compared with: as it was before the beat."""


@kernel
def log_ratio(a, b):  # type: ignore[no-untyped-def]
    if a <= 0.0 or b <= 0.0:
        return 0.0
    return min(max(log(a / b), -3.0), 3.0)


@kernel
def keep(state, interval):  # type: ignore[no-untyped-def]
    """Add an interval to the ring and to each sorted window; drop what leaves the window."""
    total = state["interval_count"]
    for s in range(3):
        most = _SCALES[s]
        values = state["sorted"][s]
        count = min(total, most)
        if total >= most:
            ordered.remove(values, count, state["intervals"][(total - most) % MOST])
            count -= 1
        ordered.insert(values, count, interval)
    if total > 0:
        before = state["intervals"][(total - 1) % MOST]
        state["changes"][state["change_count"] % HISTORY] = abs(log(interval / before))
        state["change_count"] += 1
    state["intervals"][total % MOST] = interval
    state["interval_count"] = total + 1


@kernel
def _quantile(state, scale, share):  # type: ignore[no-untyped-def]
    count = min(state["interval_count"], _SCALES[scale])
    if count == 0:
        return 0.0
    at = share * (count - 1)
    low = int(at)
    high = min(low + 1, count - 1)
    values = state["sorted"][scale]
    return values[low] + (at - low) * (values[high] - values[low])


@kernel
def _past(state, back):  # type: ignore[no-untyped-def]
    """The interval so many before; 0 where there is none."""
    total = state["interval_count"]
    return state["intervals"][(total - back) % MOST] if total >= back and back <= MOST else 0.0


@kernel
def _mean(state, most):  # type: ignore[no-untyped-def]
    count = min(state["interval_count"], most)
    if count == 0:
        return 0.0
    total = 0.0
    for i in range(1, count + 1):
        total += _past(state, i)
    return total / count


@kernel
def _changes(state, most):  # type: ignore[no-untyped-def]
    """Median change, log, between neighbouring intervals of the last so many, and the share above a tenth."""
    count = min(state["change_count"], most)
    if count == 0:
        return 0.0, 0.0
    values = np.empty(count)
    jumps = 0
    for i in range(count):
        values[i] = state["changes"][(state["change_count"] - 1 - i) % HISTORY]
        if values[i] > 0.1:
            jumps += 1
    values.sort()
    return ordered.median(values, count), jumps / count


@kernel
def refer(state, interval, references):  # type: ignore[no-untyped-def]
    """Note what a beat with that interval before it is compared with; `state` knows nothing of this beat yet."""
    references["interval"] = interval
    references["mean8"] = _mean(state, 8)
    references["median40"] = _quantile(state, 1, 0.5)
    references["mean120"] = _mean(state, 120)
    references["normal"] = state["normal_rr"]


@kernel
def fill_next(references, interval, awaited, f):  # type: ignore[no-untyped-def]
    """Fill in the features of the next beat.

    Args:
        references: a REFERENCES record.
        interval: after the beat, s; 0: unknown.
        awaited: whether that is only how long the next beat has been awaited.
        f: (len(NEXT_FEATURES),) receives them.
    """
    before, median40 = references["interval"], references["median40"]
    f[0] = 1.0 if interval > 0.0 and not awaited else 0.0
    f[1] = 1.0 if interval > 0.0 and awaited else 0.0
    f[2] = log_ratio(interval, references["mean8"])
    f[3] = log_ratio(interval, median40)
    f[4] = log_ratio(interval, references["mean120"])
    f[5] = log_ratio(interval, references["normal"])
    f[6] = log_ratio(interval, before)
    f[7] = log_ratio(0.5 * (before + interval), median40) if before > 0.0 and interval > 0.0 else 0.0


@kernel
def fill(state, references, f):  # type: ignore[no-untyped-def]
    """Fill in the features of timing up to the beat itself; `state` knows nothing of this beat yet."""
    interval, mean8, median40 = references["interval"], references["mean8"], references["median40"]
    f[0] = log_ratio(interval, mean8)
    f[1] = log_ratio(interval, _mean(state, 40))
    f[2] = log_ratio(interval, references["mean120"])
    f[3] = log_ratio(interval, _quantile(state, 0, 0.5))
    f[4] = log_ratio(interval, median40)
    f[5] = log_ratio(interval, _quantile(state, 2, 0.5))
    for s in range(1, 3):
        f[4 + 2 * s] = log_ratio(interval, _quantile(state, s, 0.1))
        f[5 + 2 * s] = log_ratio(interval, _quantile(state, s, 0.9))
    f[10] = log_ratio(interval, references["normal"])
    f[11] = log_ratio(interval, _quantile(state, 0, 0.0))
    f[12] = log_ratio(interval, _quantile(state, 0, 1.0))
    f[13] = log_ratio(interval, _past(state, 1))
    for k in range(7):
        f[14 + k] = log_ratio(_past(state, k + 1), median40)
    deviation = 0.0
    count = min(state["interval_count"], 8)
    for i in range(count):
        d = _past(state, i + 1) - mean8
        deviation += d * d
    f[21] = sqrt(deviation / count) / mean8 if count > 1 else 0.0
    f[22], f[24] = _changes(state, 16)
    f[23], f[25] = _changes(state, 64)
    turns, count = 0, min(state["interval_count"], 32) - 2
    for i in range(1, count + 1):
        a, b, c = _past(state, i), _past(state, i + 1), _past(state, i + 2)
        if (b > a and b > c) or (b < a and b < c):
            turns += 1
    f[26] = turns / count if count > 0 else 0.0
    for s in range(1, 3):
        f[25 + 2 * s] = log_ratio(_quantile(state, s, 0.75), _quantile(state, s, 0.25))
        f[26 + 2 * s] = log_ratio(_quantile(state, s, 0.9), _quantile(state, s, 0.1))
    f[31] = min(state["early_run"], 8) / 8.0
    f[32] = min(state["beat_count"], 32) / 32.0
