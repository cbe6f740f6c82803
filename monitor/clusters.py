"""Clusters of beats with alike shape on one lead; two of them stand for the patient's normal and ventricular beat.

Each keeps a running shape and what its beats have in common: timing, the P wave before them, how the rhythm goes on
after them. So one beat is judged by all that look like it: a ventricular one that comes late, or into noise, by its
mates that were early and had no P wave.

Source: beats matched to a few running templates, as open rule-based classifiers do (Hamilton 2002, Open Source ECG
Analysis).
"""

from __future__ import annotations

from math import sqrt
from typing import Final

import numpy as np

from monitor.kernel import kernel
from monitor.window import EPSILON, FIT_AFTER, FIT_BEFORE, QRS, SHIFT, WIDTH, R, fit, size_of

ALIKE: Final = 0.90
"""Likeness from which a beat belongs to a cluster."""
COUNT: Final = 6
_MEMORY: Final = 0.996  # of a cluster's weight, a beat: half is forgotten in 170 beats
_SLOWEST: Final = 16.0  # beats a running mean goes back
_MOSTLY: Final = 0.6  # share of beats that the rule calls V from which a cluster is ventricular
_SEEN: Final = 1.5  # weight from which it counts

MEMBER: Final = np.dtype(
    [
        ("spread", np.float64),  # QRS width, s
        ("timing", np.float64),  # log of the interval before it over the mean of 8
        ("early", np.float64),  # 1 if that is early
        ("ventricular", np.float64),  # 1 if the rule calls it V
        ("likeness", np.float64),  # with the normal beat
        ("p_likeness", np.float64),  # of the P wave with the usual one
        ("p_projection", np.float64),
        ("tail", np.float64),  # log of what deforms the T and TP segment before it over the usual
    ],
    align=True,
)
"""What is noted of a beat, and what a cluster keeps the running mean of."""

CLUSTER: Final = np.dtype(
    [
        ("shape", np.float64, (WIDTH,)),  # mV
        ("weight", np.float64),  # beats, older ones less; 0: there is no such cluster
        ("mean", MEMBER),
        ("next", np.float64),  # running mean timing of the beats that follow its beats
    ],
    align=True,
)

STATE: Final = np.dtype(
    [
        ("all", CLUSTER, (COUNT,)),
        ("last", np.int64),  # the cluster of the beat before
    ],
    align=True,
)


@kernel
def normal(clusters):  # type: ignore[no-untyped-def]
    """Number of the cluster that stands for the patient's normal beat.

    Narrow and timely ones are preferred, so that a bigeminal rhythm does not make a ventricular beat the normal one.
    """
    best, best_score = -1, 0.0
    for k in range(COUNT):
        one = clusters["all"][k]
        spread = one["mean"]["spread"]
        score = one["weight"] / (spread * spread + 1e-6)
        if one["mean"]["timing"] < -0.15:
            score *= 0.3
        if score > best_score:
            best, best_score = k, score
    return best


@kernel
def ventricular(clusters, usual):  # type: ignore[no-untyped-def]
    """Number of the heaviest ventricular cluster that is not the `usual` one; -1 where there is none."""
    best, best_weight = -1, _SEEN
    for k in range(COUNT):
        one = clusters["all"][k]
        if k != usual and one["mean"]["ventricular"] > _MOSTLY and one["weight"] > best_weight:
            best, best_weight = k, one["weight"]
    return best


@kernel
def nearest(clusters, window):  # type: ignore[no-untyped-def]
    """The cluster a window resembles most: its number, likeness and shift; -1 where there is none.

    One whose size is not within a factor of two does not count.
    """
    best, best_r, best_shift = -1, -2.0, 0
    size = size_of(window)
    for k in range(COUNT):
        one = clusters["all"][k]
        if one["weight"] > 0.0:
            other = size_of(one["shape"])
            if 0.5 < size / other < 2.0:
                r, shift = fit(one["shape"], window, SHIFT, FIT_BEFORE, FIT_AFTER)
                if r > best_r:
                    best, best_r, best_shift = k, r, shift
    return best, best_r, best_shift


@kernel
def total_weight(clusters):  # type: ignore[no-untyped-def]
    """Beats in all clusters, older ones less."""
    total = 0.0
    for k in range(COUNT):
        total += clusters["all"][k]["weight"]
    return total


@kernel
def follow(clusters, timing):  # type: ignore[no-untyped-def]
    """Note how the rhythm goes on after the beat that joined last.

    Args:
        clusters: a STATE record.
        timing: log of the interval after that beat over the usual one.
    """
    one = clusters["all"][clusters["last"]]
    if one["weight"] > 0.0:
        one["next"] += (timing - one["next"]) / min(one["weight"] + 0.5, _SLOWEST)


@kernel
def _mix(mean, beat, rate):  # type: ignore[no-untyped-def]
    mean["spread"] += rate * (beat["spread"] - mean["spread"])
    mean["timing"] += rate * (beat["timing"] - mean["timing"])
    mean["early"] += rate * (beat["early"] - mean["early"])
    mean["ventricular"] += rate * (beat["ventricular"] - mean["ventricular"])
    mean["likeness"] += rate * (beat["likeness"] - mean["likeness"])
    mean["p_likeness"] += rate * (beat["p_likeness"] - mean["p_likeness"])
    mean["p_projection"] += rate * (beat["p_projection"] - mean["p_projection"])
    mean["tail"] += rate * (beat["tail"] - mean["tail"])


@kernel
def join(clusters, window, beat, worth, near, likeness, shift):  # type: ignore[no-untyped-def]
    """Add a beat to the cluster it resembles, or start one in the lightest cluster's place.

    Args:
        clusters: a STATE record.
        window: (WIDTH,) mV.
        beat: a MEMBER record.
        worth: how much there is to be learnt, 0 to 1.
        near, likeness, shift: what :func:`nearest` says of the window.
    """
    lightest = 0
    memory = 1.0 - worth * (1.0 - _MEMORY)
    for k in range(COUNT):
        clusters["all"][k]["weight"] *= memory
        if clusters["all"][k]["weight"] < clusters["all"][lightest]["weight"]:
            lightest = k
    if near < 0 or likeness <= ALIKE:
        one = clusters["all"][lightest]
        one["weight"] = worth
        one["next"] = 0.0
        _mix(one["mean"], beat, 1.0)
        for i in range(WIDTH):
            one["shape"][i] = window[i]
        clusters["last"] = lightest
        return
    one = clusters["all"][near]
    one["weight"] += worth
    rate = worth / min(one["weight"], _SLOWEST)
    _mix(one["mean"], beat, rate)
    for i in range(max(0, -shift), min(WIDTH, WIDTH - shift)):
        one["shape"][i] += rate * (window[i + shift] - one["shape"][i])
    clusters["last"] = near


@kernel
def mixture(usual, other, window):  # type: ignore[no-untyped-def]
    """A beat as a mixture of the usual and another one.

    Args:
        usual, other, window: (WIDTH,) mV.

    Returns:
        The share of each, the rms of the rest over that of the beat, and how much less that is than with one alone.
    """
    low, high = R - QRS, R + FIT_AFTER
    n = high - low
    ma, mb, mx = 0.0, 0.0, 0.0
    for i in range(low, high):
        ma += usual[i]
        mb += other[i]
        mx += window[i]
    ma /= n
    mb /= n
    mx /= n
    aa, ab, bb, ax, bx, xx = EPSILON, 0.0, EPSILON, 0.0, 0.0, EPSILON
    for i in range(low, high):
        a, b, x = usual[i] - ma, other[i] - mb, window[i] - mx
        aa += a * a
        ab += a * b
        bb += b * b
        ax += a * x
        bx += b * x
        xx += x * x
    determinant = aa * bb - ab * ab
    if determinant < 0.02 * aa * bb:
        return 0.0, 0.0, 1.0, 0.0
    u, v = (ax * bb - bx * ab) / determinant, (bx * aa - ax * ab) / determinant
    rest = max(xx - u * ax - v * bx, 0.0) / xx
    alone = min(max(xx - ax * ax / aa, 0.0), max(xx - bx * bx / bb, 0.0)) / xx
    return min(max(u, -2.0), 2.0), min(max(v, -2.0), 2.0), sqrt(rest), sqrt(alone) - sqrt(rest)
