"""Beat-by-beat comparison of a test annotator with a reference, as ANSI/AAMI EC57 asks for.

Counts equal those of WFDB's ``bxb`` cell by cell on all MIT-BIH records (``tests/trainer/test_ec57.py``).

Rules the standard and the manual leave open, found by experiment against the program's output:

* A beat at the first sample of the test period belongs to it. Beats before it are ignored, but the last of
  them still starts the first RR interval.
* Two candidates at the same distance: the later one is paired.
* Between ``[`` and ``]`` (ventricular flutter or fibrillation) in the reference, beats of both annotators are
  left out, those on the brackets' own samples included.
* RR intervals are compared at every match, miss and extra: the interval that ends in the next reference beat
  with the one that ends in the next test beat. Reference intervals that span flutter or an unreadable stretch
  are passed over; test intervals are not.

Sources: ANSI/AAMI EC57:2012, beat-by-beat comparison; the manual page of ``bxb`` and G. B. Moody, "Evaluating
ECG Analyzers", in the WFDB Applications Guide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import AAMI_CLASSES, AAMI_OF_SYMBOL

Samples = NDArray[np.int64]

WINDOW: Final = 0.150
"""EC57's match window, s: the largest distance of two beats that are one."""

LEARNING_PERIOD: Final = 300.0
"""EC57's learning period, s: beats before it are not scored."""

ROWS: Final = (*AAMI_CLASSES, "O")
"""Rows of a confusion matrix: the reference's class; O, no reference beat (an extra detection)."""

COLUMNS: Final = (*(name.lower() for name in AAMI_CLASSES), "o", "x")
"""Columns: the test's class; o, missed; x, missed while the test had declared a shutdown."""

_O, _X = COLUMNS.index("o"), COLUMNS.index("x")
_CLASSES: Final = len(AAMI_CLASSES)
_ESCAPE_BEATS: Final = ("e", "j")
_SHUTDOWN_BITS: Final = 48


class Pairing(NamedTuple):
    """Which beats are the same beat, as indices into the arrays given to :func:`match_beats`.

    Attributes:
        reference: (k,) int64, matched reference beats, increasing.
        test: (k,) int64, the test beats they are matched with, increasing.
        missed: (a,) int64, reference beats without a test beat.
        extra: (b,) int64, test beats without a reference beat.
    """

    reference: Samples
    test: Samples
    missed: Samples
    extra: Samples


def match_beats(reference: Samples, test: Samples, tolerance: float) -> Pairing:
    """Pair detected R peaks with annotated beats, one to one.

    Both annotators are walked in time order. Of the next beat of each, the earlier one stays alone if the
    distance exceeds the tolerance, or if the beat that follows it is no farther from the other one.

    Args:
        reference: (n,) int64, sample indices, strictly increasing.
        test: (m,) int64, same clock.
        tolerance: samples, need not be whole; a distance equal to it is a match.

    Raises:
        ValueError: either array is not strictly increasing.

    Source: ANSI/AAMI EC57:2012, beat-by-beat comparison; WFDB ``bxb``.

    >>> match_beats(np.array([100, 400]), np.array([90, 120, 600]), 54)
    Pairing(reference=array([0]), test=array([0]), missed=array([1]), extra=array([1, 2]))
    """
    for name, samples in (("reference", reference), ("test", test)):
        if np.any(np.diff(samples) <= 0):
            raise ValueError(f"{name} beats are not strictly increasing")
    ours, theirs = reference.tolist(), test.tolist()  # plain integers: several times faster to walk
    matched: list[tuple[int, int]] = []
    missed: list[int] = []
    extra: list[int] = []
    i = j = 0
    while i < len(ours) and j < len(theirs):
        distance = theirs[j] - ours[i]
        if distance < 0:
            following = abs(theirs[j + 1] - ours[i]) if j + 1 < len(theirs) else math.inf
        else:
            following = abs(theirs[j] - ours[i + 1]) if i + 1 < len(ours) else math.inf
        if abs(distance) <= tolerance and abs(distance) < following:
            matched.append((i, j))
            i += 1
            j += 1
        elif distance < 0:
            extra.append(j)
            j += 1
        else:
            missed.append(i)
            i += 1
    missed.extend(range(i, len(ours)))
    extra.extend(range(j, len(theirs)))
    pairs = np.array(matched, np.int64).reshape(-1, 2)
    return Pairing(pairs[:, 0], pairs[:, 1], np.array(missed, np.int64), np.array(extra, np.int64))


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
        return Confusion(
            self.counts + other.counts, self.rr_squares + other.rr_squares, self.rr_count + other.rr_count
        )

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


def compare(
    reference_samples: Samples,
    reference_symbols: Sequence[str],
    test_samples: Samples,
    test_symbols: Sequence[str],
    *,
    fs: float,
    start: int = 0,
    stop: int | None = None,
    window: float = WINDOW,
    escape: str = "N",
    unreadable: Samples | None = None,
    shutdown: Samples | None = None,
) -> Confusion:
    """Count matches, misses and extras by class over one record.

    Args:
        reference_samples: (n,) int64, annotations of every kind, strictly increasing beats.
        reference_symbols: (n,) annotation symbols; ``[`` and ``]`` bracket flutter.
        test_samples: (m,) int64, same clock.
        test_symbols: (m,) annotation symbols; those that name no beat are ignored.
        fs: Hz.
        start: first sample of the test period; EC57 leaves out :data:`LEARNING_PERIOD`.
        stop: the sample after the last one, normally the record's length; None: no end.
        window: match window, s.
        escape: class of the escape beats e and j: ``N``, or ``S`` where ``bxb`` has them.
        unreadable: (k, 2) stretches the reference declares unreadable, from :func:`noise_intervals`; they
            only keep RR intervals out of the RR error.
        shutdown: (k, 2) stretches in which the test says it did not analyse; beats missed there go to x.

    Raises:
        ValueError: the beats of either annotator are not strictly increasing.

    Source: ANSI/AAMI EC57:2012; WFDB ``bxb``. See the module's text for the rules in detail.
    """
    flutter = flutter_intervals(reference_samples, reference_symbols)
    reference, classes = _beats(reference_samples, reference_symbols, flutter, stop, escape)
    test, calls = _beats(test_samples, test_symbols, flutter, stop, escape)
    first, first_test = (int(np.searchsorted(beats, start)) for beats in (reference, test))
    pairs = match_beats(reference[first:], test[first_test:], window * fs)
    found, missed = pairs.reference + first, pairs.missed + first
    called, extra = pairs.test + first_test, pairs.extra + first_test

    counts = np.zeros((len(ROWS), len(COLUMNS)), np.int64)
    np.add.at(counts, (classes[found], calls[called]), 1)
    counts[_CLASSES, :_CLASSES] = np.bincount(calls[extra], minlength=_CLASSES)
    asleep = _inside(reference[missed], shutdown)
    np.add.at(counts, (classes[missed], np.where(asleep, _X, _O)), 1)

    # The two beats each decision was about. An unpaired beat is always the earlier of its two.
    pending = np.concatenate([found, missed, np.searchsorted(reference, test[extra])])
    pending_test = np.concatenate([called, np.searchsorted(test, reference[missed]), extra])
    breaks = flutter if unreadable is None else np.concatenate([flutter, unreadable])
    rr, rr_test = _intervals(reference, breaks)[pending], _intervals(test)[pending_test]
    errors = (rr - rr_test) * 1000.0 / fs
    errors = errors[np.isfinite(errors)]
    return Confusion(counts, float(np.sum(errors**2)), errors.size)


def flutter_intervals(samples: Samples, symbols: Sequence[str]) -> NDArray[np.int64]:
    """(k, 2) samples of each ``[`` and the ``]`` that ends it; one that is not ended lasts for ever."""
    return _spans((int(t), s == "[") for t, s in zip(samples, symbols, strict=True) if s in ("[", "]"))


def noise_intervals(samples: Samples, symbols: Sequence[str], subtypes: Sequence[int]) -> NDArray[np.int64]:
    """(k, 2) stretches that an annotator declares unreadable, or itself to be shut down.

    They begin with a ``~`` whose subtype has bits 4 and 5 set and end with the next ``~`` that has not.

    Source: the manual page of ``bxb``; the convention of the European ST-T Database.
    """
    marks = zip(samples, symbols, subtypes, strict=True)
    return _spans((int(t), sub & _SHUTDOWN_BITS == _SHUTDOWN_BITS) for t, s, sub in marks if s == "~")


def _spans(marks: Iterable[tuple[int, bool]]) -> NDArray[np.int64]:
    spans: list[tuple[int, int]] = []
    begin: int | None = None
    for sample, begins in marks:
        if begins and begin is None:
            begin = sample
        elif not begins and begin is not None:
            spans.append((begin, sample))
            begin = None
    if begin is not None:
        spans.append((begin, np.iinfo(np.int64).max))
    return np.array(spans, np.int64).reshape(-1, 2)


def _beats(
    samples: Samples, symbols: Sequence[str], flutter: Samples, stop: int | None, escape: str
) -> tuple[Samples, NDArray[np.intp]]:
    """Samples and class indices of the beats before `stop` and outside flutter."""
    class_of = {symbol: AAMI_CLASSES.index(aami) for symbol, aami in AAMI_OF_SYMBOL.items()}
    class_of.update(dict.fromkeys(_ESCAPE_BEATS, AAMI_CLASSES.index(escape)))
    classes = np.array([class_of.get(symbol, -1) for symbol in symbols], np.intp)
    keep = (classes >= 0) & ~_inside(samples, flutter)
    if stop is not None:
        keep &= samples < stop
    return samples[keep], classes[keep]


def _inside(samples: Samples, spans: Samples | None) -> NDArray[np.bool_]:
    """(n,) whether each sample is in one of the (k, 2) spans, ends included."""
    if spans is None:
        return np.zeros(samples.shape, np.bool_)
    after, before = samples[:, None] >= spans[:, 0], samples[:, None] <= spans[:, 1]
    inside: NDArray[np.bool_] = np.any(after & before, axis=1)
    return inside


def _intervals(beats: Samples, breaks: Samples | None = None) -> NDArray[np.float64]:
    """(n + 1,) RR interval before each beat, samples; NaN for the first, past the last and across a break."""
    intervals = np.full(beats.size + 1, np.nan)
    intervals[1:-1] = np.diff(beats)
    if breaks is not None and beats.size:
        broken = (beats[:-1, None] < breaks[:, 1]) & (beats[1:, None] > breaks[:, 0])
        intervals[1:-1][broken.any(axis=1)] = np.nan
    return intervals


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
    draws: int = 2000,
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
    chosen = np.random.default_rng(seed).integers(len(records), size=(draws, len(records)))
    values = np.array([statistic(Confusion(counts[draw].sum(axis=0))) for draw in chosen])
    values = values[np.isfinite(values)]
    if not values.size:
        return math.nan, math.nan
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
