"""Run-by-run comparison of ectopic beats, as ANSI/AAMI EC57 asks for.

Every run of the reference - a couplet, a short run of 3 to 5 beats, a long one of more - asks for the longest run of
the test within its time, 150 ms added at either end; it is found if that is a couplet, of 3, or of 6 beats or more.
The test's runs ask the reference likewise, for the positive predictivity. Counts equal those of WFDB's ``rxr`` cell by
cell on all MIT-BIH records (``tests/trainer/test_run_comparison.py``).

Rules the standard and the manual leave open, found by experiment against the program's output:

* Fusion beats are ventricular, escape beats supraventricular.
* What the annotator brackets as ventricular flutter, ``[`` to ``]``, is a long ventricular run, and so is the beginning
  of atrial fibrillation or flutter a long supraventricular one; a run in progress there goes on as it is. Beats that
  follow continue the run. Normal beats in fibrillation are supraventricular.
* What is asked within flutter, or within atrial fibrillation or flutter, finds a long run.
* A run that begins within 150 ms of the record's beginning is found.
* Fibrillation that lasts at the beginning of the test period begins there.

Sources: ANSI/AAMI EC57:2012, run sensitivity and positive predictivity; the manual page of ``rxr``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import AAMI_OF_SYMBOL
from monitor.records import Annotations
from trainer.scoring.ec57 import WINDOW

VENTRICULAR, SUPRAVENTRICULAR = "ventricular", "supraventricular"
_ECTOPIC: Final = {VENTRICULAR: frozenset("VEF"), SUPRAVENTRICULAR: frozenset("AaJSej")}
_CONDUCTED: Final = frozenset("NLRB")
_FIBRILLATION: Final = ("(AFIB", "(AFL")
_LONG: Final = 6
LENGTHS: Final = {"couplets": (2, 2), "short runs": (3, 5), "long runs": (_LONG, _LONG)}
"""Names of runs, and the fewest and most beats of each; longer ones count as the longest."""


class RunScore(NamedTuple):
    """One length of runs: found and missed ones of the reference, right and wrong ones of the test."""

    found: int
    missed: int
    right: int
    wrong: int

    def __add__(self, other: object) -> RunScore:
        assert isinstance(other, RunScore)
        return RunScore(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def se(self) -> float:
        return self.found / (self.found + self.missed) if self.found + self.missed else float("nan")

    @property
    def ppv(self) -> float:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else float("nan")


_OTHER, _BEAT, _BEGIN, _END = range(4)


@dataclass(frozen=True, slots=True)
class _Track:
    """One annotator's ectopy: when what happens, in order, and where fibrillation lasts."""

    at: list[int]
    what: list[int]
    fibrillation: list[tuple[int, int]]

    def longest(self, low: int, high: int) -> int:
        """Length of the longest run from sample `low` to `high`."""
        if any(first <= high and last >= low for first, last in self.fibrillation):
            return _LONG
        i, j = bisect_left(self.at, low), bisect_right(self.at, high)
        return max((run.beats for run in _runs(self.at[i:j], self.what[i:j])), default=0)


class _Run(NamedTuple):
    first: int
    last: int
    beats: int


def compare_runs(
    reference: Annotations, test: Annotations, kind: str, *, fs: float, start: int = 0, window: float = WINDOW
) -> dict[str, RunScore]:
    """Count couplets, short and long runs.

    Args:
        reference, test: annotations of every kind.
        kind: VENTRICULAR or SUPRAVENTRICULAR.
        fs: Hz.
        start: first sample of the test period.
        window: what is added to a run at either end, s.

    Returns:
        A score for each of LENGTHS.
    """
    ours, theirs = _track(reference, kind, start), _track(test, kind, start)
    reach = round(window * fs)
    asked, told = _matrix(ours, theirs, reach), _matrix(theirs, ours, reach)
    scores = {}
    for name, (fewest, most) in LENGTHS.items():
        found, right = asked[fewest : most + 1], told[fewest : most + 1]
        counts = (part.sum() for part in (found[:, fewest:], found[:, :fewest], right[:, fewest:], right[:, :fewest]))
        scores[name] = RunScore(*(int(count) for count in counts))
    return scores


def _track(annotations: Annotations, kind: str, start: int) -> _Track:
    ectopic = _ECTOPIC[kind]
    track = _Track([], [], [])
    begun: int | None = None

    def note(sample: int, what: int) -> None:
        if sample >= start:
            if not track.at and begun is not None and begun < start and what != _END:
                track.at.append(start)
                track.what.append(_BEGIN)
            track.at.append(sample)
            track.what.append(what)

    for sample, symbol, text in zip(annotations.samples.tolist(), annotations.symbols, annotations.notes, strict=True):
        begins, ends = _marks(kind, symbol, text)
        if begins and begun is None:
            note(sample, _BEGIN)
            begun = sample
        elif ends and begun is not None:
            track.fibrillation.append((begun, sample))
            if kind == VENTRICULAR:
                note(sample, _END)
            begun = None
        elif symbol in AAMI_OF_SYMBOL:
            fibrillating = kind == SUPRAVENTRICULAR and begun is not None and symbol in _CONDUCTED
            note(sample, _BEAT if symbol in ectopic or fibrillating else _OTHER)
    if begun is not None:
        track.fibrillation.append((begun, np.iinfo(np.int64).max))
    return track


def _marks(kind: str, symbol: str, text: str) -> tuple[bool, bool]:
    """Whether an annotation begins fibrillation, and whether it ends it."""
    if kind == VENTRICULAR:
        return symbol == "[", symbol == "]"
    return symbol == "+" and text in _FIBRILLATION, symbol == "+" and text not in _FIBRILLATION


def _runs(at: Sequence[int], what: Sequence[int]) -> Iterator[_Run]:
    first = last = beats = 0
    for sample, event in zip(at, what, strict=True):
        if event == _OTHER:
            if beats:
                yield _Run(first, last, beats)
            beats = 0
            continue
        if event == _BEGIN:
            first, beats = (first, beats) if beats else (sample, _LONG)
        elif event == _BEAT:
            first, beats = first if beats else sample, beats + 1
        last = sample
    if beats:
        yield _Run(first, last, beats)


def _matrix(ours: _Track, theirs: _Track, reach: int) -> NDArray[np.int64]:
    """(7, 7) runs by their length and the other's longest run at their time; 6 stands for 6 and more."""
    counts = np.zeros((_LONG + 1, _LONG + 1), np.int64)
    for run in _runs(ours.at, ours.what):
        if run.beats >= 2:
            low, high = run.first - reach, run.last + reach
            longest = _LONG if low < 0 else theirs.longest(low, high)
            counts[min(run.beats, _LONG), min(longest, _LONG)] += 1
    return counts
