"""Atrial fibrillation: intervals that follow no order, and no P waves.

After every beat the last 16 intervals are weighed, causally; those from or to a ventricular, fusion or unclear beat are
set aside. Five measures of them go into a logistic regression:

- ``change``: log of the median change from interval to interval, over the median interval;
- ``jumps``: share of changes above a tenth of the median;
- ``repeats``: share of pairs of neighbouring intervals that come again within 5 %, as sample entropy counts them;
- ``order``: log of the smallest median difference to the interval one, two or three before;
- ``p_waves``: log of the learnt P wave's size over what varies there, on the lead that shows it best: the mean over
  the beats, held within P_LEAST and P_MOST, so that no deflection before the QRS outweighs intervals in no order.

Intervals that come again after two, three or four, as in atrial bigeminy and where beats are blocked, are in order
whatever the regression says. Its log odds, held within 4, are averaged over about four beats; fibrillation begins above
BEGINS and ends below ENDS, half a window before the beat that showed it.

The weights were fitted on DS1 of the MIT-BIH Arrhythmia Database, the Malignant Ventricular Ectopy Database, the QT
Database and the PhysioNet/CinC Challenge 2017, each record weighed by the root of its length; measures and limits were
chosen with records left out (``trainer/weights/train_af.py``).

Sources: median changes and their order, Petrenas et al., Comput Biol Med 65:184-191 (2015); matches, Lake and Moorman,
Am J Physiol Heart Circ Physiol 300:H319-H325 (2011).
"""

from __future__ import annotations

from math import exp, log
from typing import Final

import numpy as np

from monitor.kernel import kernel

WINDOW: Final = 16
"""Intervals weighed."""
FEWEST: Final = 8
"""Intervals from which there is an answer."""
LONGEST: Final = 2.5
"""Seconds; longer intervals say nothing of the atria."""
JUMP: Final = 0.1
LIKE: Final = 0.05
ORDERLY: Final = 0.2
"""Of the median change: where intervals two, three or four apart differ by less they repeat with a period."""
P_LEAST, P_MOST = -1.0, 0.0
_LEAST: Final = 0.01  # added before a logarithm is taken: smaller differences are the detector's

MEASURES: Final = ("change", "jumps", "repeats", "order", "p_waves")
WEIGHTS: Final = (0.310, 4.768, -1.142, 0.053, -2.551)
BIAS: Final = -1.026
HELD: Final = 4.0
SHARE: Final = 0.25
"""Weight of the last answer in the average."""
FIRST: Final = -2.0
"""The average before there is one."""
BEGINS, ENDS = 1.5, 0.5
"""Averaged log odds."""
PROBABILITY: Final = 100.0 / (1.0 + exp(-BEGINS))
"""The same as BEGINS, %."""

STATE: Final = np.dtype(
    [
        ("intervals", np.float64, (WINDOW,)),  # s, a ring
        ("p", np.float64, (WINDOW,)),  # how well the beat that ends each shows P waves
        ("at", np.int64, (WINDOW,)),  # and its R peak
        ("count", np.int64),
        ("odds", np.float64),  # averaged log odds
        ("weighed", np.int64),  # whether there are any
        ("on", np.int64),
        ("since", np.int64),  # where it began or ended
    ],
    align=True,
)


@kernel
def _median(values, count):  # type: ignore[no-untyped-def]
    """Median of the first values; they are put in order."""
    part = values[:count]
    part.sort()
    return 0.5 * (part[(count - 1) // 2] + part[count // 2])


@kernel
def _difference(x, count, lag, scratch):  # type: ignore[no-untyped-def]
    """Median absolute difference of values `lag` apart."""
    for i in range(lag, count):
        scratch[i - lag] = abs(x[i] - x[i - lag])
    return _median(scratch, count - lag)


@kernel
def measure(x, count, p_waves, measures):  # type: ignore[no-untyped-def]
    """The measures of some intervals.

    Args:
        x: (WINDOW,) float64, intervals, s, the oldest first.
        count: how many there are, FEWEST to WINDOW.
        p_waves: how well their beats show P waves, the mean.
        measures: (len(MEASURES),) float64, receives them.

    Returns:
        Whether the intervals repeat with a period.
    """
    scratch = np.empty(WINDOW)
    scratch[:count] = x[:count]
    usual = _median(scratch, count)
    one = _difference(x, count, 1, scratch) / usual
    two, three = _difference(x, count, 2, scratch) / usual, _difference(x, count, 3, scratch) / usual
    jumps, repeats = 0, 0
    for i in range(1, count):
        jumps += abs(x[i] - x[i - 1]) > JUMP * usual
        for j in range(1, i):
            repeats += abs(x[i] - x[j]) < LIKE * usual and abs(x[i - 1] - x[j - 1]) < LIKE * usual
    measures[0] = log(one + _LEAST)
    measures[1] = jumps / (count - 1)
    measures[2] = repeats / ((count - 1) * (count - 2) / 2)
    measures[3] = log(min(one, two, three) + _LEAST)
    measures[4] = min(max(p_waves, P_LEAST), P_MOST)
    four = _difference(x, count, 4, scratch) / usual
    return min(two, min(three, four)) < ORDERLY * one


@kernel
def forget(af):  # type: ignore[no-untyped-def]
    """Begin anew: nothing is known, and none is there."""
    af["count"] = 0
    af["odds"] = 0.0
    af["weighed"] = 0
    af["on"] = 0


@kernel
def take(af, r, interval, p):  # type: ignore[no-untyped-def]
    """Take an interval between two beats of the atria's, s, that ends at `r`; `p` tells how its beat shows P waves."""
    if interval > LONGEST:
        return
    count = af["count"]
    af["intervals"][count % WINDOW] = interval
    af["p"][count % WINDOW] = p
    af["at"][count % WINDOW] = r
    count += 1
    af["count"] = count
    known = min(count, WINDOW)
    if known < FEWEST:
        return
    x, measures = np.empty(WINDOW), np.empty(len(MEASURES))
    p_waves = 0.0
    for i in range(known):
        x[i] = af["intervals"][(count - known + i) % WINDOW]
        p_waves += af["p"][(count - known + i) % WINDOW]
    orderly = measure(x, known, p_waves / known, measures)
    odds = BIAS
    for i in range(len(MEASURES)):
        odds += WEIGHTS[i] * measures[i]
    odds = -HELD if orderly else min(max(odds, -HELD), HELD)
    if not af["weighed"]:
        af["odds"], af["weighed"] = FIRST, 1
    af["odds"] += SHARE * (odds - af["odds"])
    becomes = 1 if af["odds"] > (ENDS if af["on"] else BEGINS) else 0
    if becomes != af["on"]:
        af["on"] = becomes
        af["since"] = af["at"][(count - known // 2) % WINDOW]


@kernel
def probability(af):  # type: ignore[no-untyped-def]
    """How likely it is, %."""
    return 100.0 / (1.0 + exp(-af["odds"]))
