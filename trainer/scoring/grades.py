"""Scores of named beats whose true class is known, without the detector's misses: what cross-validation compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import AAMI_CLASSES
from trainer.scoring.confusion import COLUMNS, ROWS, Confusion

_CLASSES: Final = len(AAMI_CLASSES)


@dataclass(frozen=True, slots=True)
class Grade:
    """Scores over matched beats, per cent; kappa 0 to 1. A class that neither occurs nor is called has F1 0.

    Attributes:
        v_f1, s_f1, f_f1: F1 as EC57 counts: an F or Q called V is not held against V.
        accuracy: share of the N, S, V and F beats named right.
        macro_f1: mean F1 of those classes, V strict.
        kappa: Cohen's, over all five classes.
    """

    v_f1: float
    s_f1: float
    f_f1: float
    accuracy: float
    macro_f1: float
    kappa: float

    @property
    def score(self) -> float:
        """What chooses: V counts twice, because runs and their alarms rest on it."""
        return (2 * self.v_f1 + self.s_f1) / 3

    def as_dict(self) -> dict[str, Any]:
        """For files and the model card."""
        values = {name: round(getattr(self, name), 4) for name in self.__dataclass_fields__}
        return values | {"score": round(self.score, 4)}


def counts_of(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> NDArray[np.int64]:
    """(classes, classes) beats, true class by named class."""
    flat = np.bincount(labels * _CLASSES + predicted, minlength=_CLASSES * _CLASSES)
    return flat.reshape(_CLASSES, _CLASSES).astype(np.int64)


def grade(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> Grade:
    """Scores of (n,) class numbers against (n,) true ones."""
    return grade_counts(counts_of(labels, predicted))


def grade_counts(counts: NDArray[np.int64]) -> Grade:
    """Scores from (classes, classes) counts, true class by named class."""
    full = np.zeros((len(ROWS), len(COLUMNS)), np.int64)
    full[:_CLASSES, :_CLASSES] = counts
    confusion = Confusion(full)
    f1 = {name: 100.0 * float(np.nan_to_num(confusion.of(name).f1)) for name in "VSF"}
    kappa = float(np.nan_to_num(confusion.kappa))
    accuracy, macro = (100.0 * float(np.nan_to_num(value)) for value in (confusion.accuracy, confusion.macro_f1))
    return Grade(f1["V"], f1["S"], f1["F"], accuracy, macro, kappa)
