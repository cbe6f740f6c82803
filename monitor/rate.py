"""The heart rate as bedside monitors average it, and what it breaks.

The rate is the mean of the last 12 intervals without the longest and the shortest, so that one beat missed or one too
many does not show; of the last 4 when each of the last three is longer than 1.2 s, for 12 slow ones would take too
long; and of as many as a ventricular run holds, 4 to 8, while one stands. The number is always even: in bigeminy every
second interval is short. Until there are 8 the mean is that of all, and there is none before the fourth.

Conditions on it end HYSTERESIS within their limit, so that a rate about its limit alarms once.

Source: the averaging that makers of bedside monitors publish in their manuals after IEC 60601-2-27, 201.7.9.2.9.101 b.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor.kernel import kernel

INTERVALS: Final = 16
"""Intervals kept: extreme tachycardia is about 17 beats."""
AVERAGED: Final = 12
TRIMMED: Final = 8
"""Intervals from which the longest and the shortest are left out."""
SLOW: Final = 1.2
"""Seconds; three longer intervals in a row are a slow rhythm."""
FEW: Final = 4
RUN_MOST: Final = 8
HYSTERESIS: Final = 3.0
"""Per minute."""
LONGEST: Final = 4.3
"""Seconds; longer intervals are a standstill and not a rate. It is that of 14 per minute: 15 can be shown."""

STATE: Final = np.dtype(
    [
        ("intervals", np.float64, (INTERVALS,)),  # s, a ring
        ("count", np.int64),
        ("shown", np.float64),  # per minute; 0: unknown
    ],
    align=True,
)


@kernel
def forget(rate):  # type: ignore[no-untyped-def]
    """Begin anew: nothing is known of the rate."""
    rate["count"] = 0
    rate["shown"] = 0.0


@kernel
def _back(rate, i):  # type: ignore[no-untyped-def]
    """The interval `i` before the last, s."""
    return rate["intervals"][(rate["count"] - 1 - i) % INTERVALS]


@kernel
def mean_of(rate, most):  # type: ignore[no-untyped-def]
    """Mean of the last `most` intervals, s; 0 when there are fewer."""
    if rate["count"] < most:
        return 0.0
    total = 0.0
    for i in range(most):
        total += _back(rate, i)
    return total / most


@kernel
def of_last(rate, most):  # type: ignore[no-untyped-def]
    """Rate over the last `most` intervals, per minute; 0 when there are fewer."""
    mean = mean_of(rate, most)
    return 60.0 / mean if mean > 0.0 else 0.0


@kernel
def _average(rate, run):  # type: ignore[no-untyped-def]
    """The heart rate, per minute; 0: unknown."""
    known = min(rate["count"], AVERAGED)
    if known < FEW:
        return 0.0
    if min(_back(rate, 0), _back(rate, 1), _back(rate, 2)) > SLOW:
        return of_last(rate, FEW)
    known -= known % 2
    if run >= 3:
        most = min(max(run - run % 2, FEW), RUN_MOST)
        return of_last(rate, min(most, known))
    if known < TRIMMED:
        return of_last(rate, known)
    total, shortest, longest = 0.0, _back(rate, 0), _back(rate, 0)
    for i in range(known):
        interval = _back(rate, i)
        total += interval
        shortest = min(shortest, interval)
        longest = max(longest, interval)
    return 60.0 * (known - 2) / (total - shortest - longest)


@kernel
def add(rate, interval, run):  # type: ignore[no-untyped-def]
    """Take an interval, s, while the last `run` beats are ventricular; one that is no rate makes it unknown."""
    if interval > LONGEST:
        forget(rate)
        return
    rate["intervals"][rate["count"] % INTERVALS] = interval
    rate["count"] += 1
    rate["shown"] = _average(rate, run)


@kernel
def is_above(rate, limit, stands):  # type: ignore[no-untyped-def]
    """Whether a rate is above its limit, or still near it after it was; 0 is no rate."""
    return 1 if rate > limit - (HYSTERESIS if stands else 0.0) else 0


@kernel
def is_below(rate, limit, stands):  # type: ignore[no-untyped-def]
    """Whether a rate is below its limit, or still near it after it was; 0 is no rate."""
    return 1 if 0.0 < rate < limit + (HYSTERESIS if stands else 0.0) else 0
