"""How far a network's probabilities may be believed, and what another threshold would bring.

A beat's confidence is the largest of its probabilities. Were it calibrated, nine of ten beats of confidence 0.9 would
be named rightly. Its numbers:

- the expected calibration error (ECE): the distance of confidence and share of right names in each of :data:`BINS`
  equal intervals of confidence, weighed by their beats;
- the Brier score: the mean squared distance of the five probabilities from 1 for the annotated class and 0 for the
  others, 0 to 2.

Both are of the beats that were found and are annotated. Precision and recall of a class are of all beats: a missed
one is never recalled, and one that nobody annotated is a false positive.

Sources: Guo C et al., On Calibration of Modern Neural Networks, ICML (2017); Brier GW, Monthly Weather Review
78(1):1-3 (1950).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import AAMI_CLASSES

BINS: Final = 10
"""Intervals of confidence."""

NOTHING: Final = -1
"""Stands for the class of a beat that nobody annotated."""

_NOT_HELD_AGAINST: Final = {"V": ("F", "Q")}
"""EC57: a fusion beat or an unclassifiable one called V is no false positive."""


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """What a network thought of beats.

    Attributes:
        truth: (k,) int64, index of the annotated class in :data:`monitor.ecg.AAMI_CLASSES`, or :data:`NOTHING`.
        probabilities: (k, 5) float32.
        unnamed: (5,) int64, annotated beats of each class that were missed, or that no network named.
    """

    truth: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    unnamed: NDArray[np.int64]

    @classmethod
    def of(cls, truth: NDArray[np.int64], probabilities: NDArray[np.float32], missed: NDArray[np.int64]) -> Decisions:
        """Set apart what no network named.

        Args:
            truth: (n,) int64, class of every beat found, or :data:`NOTHING`.
            probabilities: (n, 5) float32; a row with NaN stands for a beat that no network named.
            missed: (m,) int64, class of every beat missed.
        """
        named = np.isfinite(probabilities).all(1)
        without = np.concatenate([truth[~named & (truth != NOTHING)], missed])
        return cls(truth[named], probabilities[named], np.bincount(without, minlength=len(AAMI_CLASSES)))

    def __len__(self) -> int:
        return len(self.truth)


def joined(parts: Sequence[Decisions]) -> Decisions:
    """The decisions of several records."""
    classes = len(AAMI_CLASSES)
    return Decisions(
        np.concatenate([np.zeros(0, np.int64), *(part.truth for part in parts)]),
        np.concatenate([np.zeros((0, classes), np.float32), *(part.probabilities for part in parts)]),
        sum((part.unnamed for part in parts), np.zeros(classes, np.int64)),
    )


class Bin(NamedTuple):
    """Beats of like confidence.

    Attributes:
        low, high: limits of the confidence.
        beats: how many.
        confidence: their mean confidence; NaN if there are none.
        right: share of them that were named rightly; NaN if there are none.
    """

    low: float
    high: float
    beats: int
    confidence: float
    right: float


class Calibration(NamedTuple):
    """How far probabilities may be believed; NaN where no network named a beat.

    Attributes:
        beats: how many.
        ece: expected calibration error, 0 to 1.
        brier: Brier score, 0 to 2.
        bins: from the lowest confidence up.
    """

    beats: int
    ece: float
    brier: float
    bins: tuple[Bin, ...]


def calibration_of(decisions: Decisions) -> Calibration:
    """Of the annotated beats among some decisions."""
    there = decisions.truth != NOTHING
    truth, p = decisions.truth[there], decisions.probabilities[there].astype(np.float64)
    bins = reliability(p.max(1), p.argmax(1) == truth)
    if not truth.size:
        return Calibration(0, math.nan, math.nan, bins)
    ece = sum(b.beats * abs(b.confidence - b.right) for b in bins if b.beats) / truth.size
    brier = float(np.mean(np.sum((p - np.eye(len(AAMI_CLASSES))[truth]) ** 2, 1)))
    return Calibration(int(truth.size), float(ece), brier, bins)


def reliability(said: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[Bin, ...]:
    """Beats by what was said of them.

    Args:
        said: (n,) probabilities.
        right: (n,) whether it came true.
    """
    numbers = np.clip((said * BINS).astype(np.int64), 0, BINS - 1)
    bins = []
    for k in range(BINS):
        chosen = numbers == k
        count = int(chosen.sum())
        means = (float(said[chosen].mean()), float(right[chosen].mean())) if count else (math.nan, math.nan)
        bins.append(Bin(k / BINS, (k + 1) / BINS, count, *means))
    return tuple(bins)


def reliability_of(decisions: Decisions, label: str) -> tuple[Bin, ...]:
    """Annotated beats by the probability of one class."""
    k = AAMI_CLASSES.index(label)
    there = decisions.truth != NOTHING
    return reliability(decisions.probabilities[there, k].astype(np.float64), decisions.truth[there] == k)


class Curve(NamedTuple):
    """What each threshold of a class's probability would bring.

    Attributes:
        recall: (n,) sensitivity, increasing, 0 to 1.
        precision: (n,) positive predictive value.
        area: average precision, the area under the steps; NaN if the class does not occur.
    """

    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    area: float


def precision_recall(decisions: Decisions, label: str) -> Curve:
    """Precision and recall of a class over every threshold of its probability, equal probabilities together."""
    k = AAMI_CLASSES.index(label)
    spared = [AAMI_CLASSES.index(other) for other in _NOT_HELD_AGAINST.get(label, ())]
    kept = ~np.isin(decisions.truth, spared)
    truth, said = decisions.truth[kept] == k, decisions.probabilities[kept, k]
    total = int(truth.sum()) + int(decisions.unnamed[k])
    if not total or not said.size:
        return Curve(np.zeros(0), np.zeros(0), 0.0 if total else math.nan)
    order = np.argsort(-said, kind="stable")
    said, hits = said[order], np.cumsum(truth[order])
    last = np.append(np.flatnonzero(np.diff(said)), said.size - 1)  # of each group of equal probabilities
    recall, precision = hits[last] / total, hits[last] / (last + 1)
    return Curve(recall, precision, float(np.sum(np.diff(recall, prepend=0.0) * precision)))
