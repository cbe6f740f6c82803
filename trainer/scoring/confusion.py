"""Counts of right and wrong beats, and the scores that follow from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import AAMI_CLASSES

ROWS: Final = (*AAMI_CLASSES, "O")
"""Rows of a confusion matrix: the reference's class; O, no reference beat (an extra detection)."""

COLUMNS: Final = (*(name.lower() for name in AAMI_CLASSES), "o", "x")
"""Columns: the test's class; o, missed; x, missed while the test had declared a shutdown."""

_CLASSES: Final = len(AAMI_CLASSES)


class Score(NamedTuple):
    """Right and wrong decisions about one kind of beat. A ratio of nothing is NaN."""

    tp: int
    fn: int
    fp: int

    @property
    def se(self) -> float:
        """Sensitivity, 0 to 1."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def ppv(self) -> float:
        """Positive predictive value, 0 to 1."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def f1(self) -> float:
        """Harmonic mean of sensitivity and positive predictive value, 0 to 1."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fn + self.fp)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """The counts of one comparison, or the sum of several.

    Attributes:
        counts: (6, 7) int64, :data:`ROWS` by :data:`COLUMNS`.
        rr_squares: sum of squared RR interval errors, ms^2.
        rr_count: how many RR intervals were compared.
    """

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((len(ROWS), len(COLUMNS)), np.int64))
    rr_squares: float = 0.0
    rr_count: int = 0

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(self.counts + other.counts, self.rr_squares + other.rr_squares, self.rr_count + other.rr_count)

    def __getitem__(self, cell: str) -> int:
        """A cell by its EC57 name: ``confusion["Vn"]``, V in the reference and N in the test."""
        return int(self.counts[ROWS.index(cell[0]), COLUMNS.index(cell[1])])

    @property
    def beats(self) -> int:
        """Reference beats."""
        return int(self.counts[:_CLASSES].sum())

    @property
    def qrs(self) -> Score:
        """Detection, whatever the labels. Beats missed in a shutdown are missed."""
        found = int(self.counts[:_CLASSES, :_CLASSES].sum())
        return Score(found, self.beats - found, int(self.counts[_CLASSES, :_CLASSES].sum()))

    def of(self, label: str, *, strict: bool = False) -> Score:
        """Detection of the beats of one class.

        Args:
            label: one of :data:`monitor.ecg.AAMI_CLASSES`.
            strict: count an F called V as a false positive. EC57 and ``bxb`` do not: a fusion beat is partly
                ventricular. They do not count a Q called V either, and that holds here in both cases.
        """
        k = AAMI_CLASSES.index(label)
        called = self.counts[:, k].copy()
        hits = int(called[k])
        called[k] = 0
        if label == "V":
            called[AAMI_CLASSES.index("Q")] = 0
            if not strict:
                called[AAMI_CLASSES.index("F")] = 0
        return Score(hits, int(self.counts[k].sum()) - hits, int(called.sum()))

    @property
    def accuracy(self) -> float:
        """Share of the reference's N, S, V and F beats that were found and named rightly."""
        named = self.counts[: AAMI_CLASSES.index("Q")]
        return _ratio(int(np.trace(named)), int(named.sum()))

    @property
    def accuracy_with_q(self) -> float:
        """The same over all five classes."""
        named = self.counts[:_CLASSES]
        return _ratio(int(np.trace(named)), int(named.sum()))

    @property
    def kappa(self) -> float:
        """Cohen's kappa of the names of the beats found, five classes: agreement beyond that of chance.

        Source: Cohen J, Educational and Psychological Measurement 20(1):37-46 (1960).
        """
        both = self.counts[:_CLASSES, :_CLASSES].astype(np.float64)
        total = both.sum()
        if not total:
            return math.nan
        agreed, by_chance = np.trace(both) / total, both.sum(0) @ both.sum(1) / total**2
        return _ratio(float(agreed - by_chance), float(1.0 - by_chance))

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes N, S, V (strict) and F that occur."""
        return mean([self.of(label, strict=True).f1 for label in AAMI_CLASSES if label != "Q"])

    @property
    def rr_error(self) -> float:
        """Root mean square difference of reference and test RR intervals, ms."""
        return math.sqrt(self.rr_squares / self.rr_count) if self.rr_count else math.nan

    def condensed(self) -> dict[str, int]:
        """The 19 cells of ``bxb``'s line format, in its order, without the primes of its headings.

        Reference F and Q share a row, test n, f and q a column, o and x another.
        """
        rows = {"N": "N", "S": "S", "V": "V", "F": "FQ", "O": "O"}
        columns = {"n": "nfq", "s": "s", "v": "v", "o": "ox"}
        return {
            row + column: sum(self[a + b] for a in parts for b in columns[column])
            for column in columns
            for row, parts in rows.items()
            if row + column != "Oo"
        }


def gross(records: Iterable[Confusion]) -> Confusion:
    """The sum over records: every beat weighs the same."""
    return sum(records, Confusion())


def mean(values: Iterable[float]) -> float:
    """Mean of the values that are defined; NaN if none is. Over records: every record weighs the same."""
    defined = [value for value in values if not math.isnan(value)]
    return _ratio(sum(defined), len(defined))


def bootstrap(
    records: Sequence[Confusion],
    statistic: Callable[[Confusion], float],
    *,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of a gross statistic over records drawn with replacement.

    Records, not beats, are drawn: beats of one patient are not independent.

    Args:
        records: one confusion a record.
        statistic: of the drawn records' sum, for instance ``lambda c: c.qrs.f1``.
        level: coverage, 0 to 1.
        draws: resamples.
        seed: of the draws, so that a report can be repeated.

    Returns:
        Lower and upper bound; NaN for both if the statistic is defined in no draw.
    """
    if not records:
        return math.nan, math.nan
    counts = np.stack([record.counts for record in records])
    times = np.random.default_rng(seed).multinomial(len(records), [1 / len(records)] * len(records), size=draws)
    values = np.array([statistic(Confusion(sums)) for sums in np.tensordot(times, counts, axes=1)])
    values = values[np.isfinite(values)]
    if not values.size:
        return math.nan, math.nan
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
