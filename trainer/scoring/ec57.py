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
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import AAMI_CLASSES, AAMI_OF_SYMBOL
from trainer.scoring.confusion import COLUMNS, ROWS, Confusion

Samples = NDArray[np.int64]

WINDOW: Final = 0.150
"""EC57's match window, s: the largest distance of two beats that are one."""

LEARNING_PERIOD: Final = 300.0
"""EC57's learning period, s: beats before it are not scored."""

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


class Comparison(NamedTuple):
    """What :func:`compare` found.

    Attributes:
        confusion: counts by class.
        reference: (k,) int64, indices of the matched beats in the reference annotations.
        test: (k,) int64, indices of their partners in the test annotations.
        missed: (a,) int64, indices of the reference beats that have none.
        extra: (b,) int64, indices of the test beats that have none.
    """

    confusion: Confusion
    reference: Samples
    test: Samples
    missed: Samples
    extra: Samples


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
) -> Comparison:
    """Count matches, misses and extras by class over one record.

    Args:
        reference_samples: (n,) int64, annotations of every kind, the beats strictly increasing.
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

    Source: ANSI/AAMI EC57:2012; WFDB ``bxb``. The rules in detail are at the top of this module.
    """
    flutter = flutter_intervals(reference_samples, reference_symbols)
    ours, classes = _beats(reference_samples, reference_symbols, flutter, stop, escape)
    theirs, calls = _beats(test_samples, test_symbols, flutter, stop, escape)
    reference, test = reference_samples[ours], test_samples[theirs]
    first, first_test = int(np.searchsorted(reference, start)), int(np.searchsorted(test, start))
    pairs = match_beats(reference[first:], test[first_test:], window * fs)
    found, missed = pairs.reference + first, pairs.missed + first
    called, extra = pairs.test + first_test, pairs.extra + first_test

    counts = np.zeros((len(ROWS), len(COLUMNS)), np.int64)
    np.add.at(counts, (classes[found], calls[called]), 1)
    asleep = _inside(reference[missed], shutdown)
    np.add.at(counts, (classes[missed], np.where(asleep, COLUMNS.index("x"), COLUMNS.index("o"))), 1)
    counts[ROWS.index("O"), : len(AAMI_CLASSES)] = np.bincount(calls[extra], minlength=len(AAMI_CLASSES))

    # The two beats each decision was about. An unpaired beat is always the earlier of its two.
    decided = np.concatenate([found, missed, np.searchsorted(reference, test[extra])])
    decided_test = np.concatenate([called, np.searchsorted(test, reference[missed]), extra])
    breaks = flutter if unreadable is None else np.concatenate([flutter, unreadable])
    errors = (_intervals(reference, breaks)[decided] - _intervals(test)[decided_test]) * 1000.0 / fs
    errors = errors[np.isfinite(errors)]
    confusion = Confusion(counts, float(np.sum(errors**2)), errors.size)
    return Comparison(confusion, ours[found], theirs[called], ours[missed], theirs[extra])


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
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices and class indices of the beats before `stop` and outside flutter."""
    class_of = {symbol: AAMI_CLASSES.index(aami) for symbol, aami in AAMI_OF_SYMBOL.items()}
    class_of.update(dict.fromkeys(_ESCAPE_BEATS, AAMI_CLASSES.index(escape)))
    classes = np.array([class_of.get(symbol, -1) for symbol in symbols], np.intp)
    keep = (classes >= 0) & ~_inside(samples, flutter)
    if stop is not None:
        keep &= samples < stop
    return np.flatnonzero(keep), classes[keep]


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
