"""How well fibrillation and tachycardia are told, sample by sample, by a monitor that knows a thing when it is told it.

A verdict counts from the sample at which it was emitted, so its delay costs sensitivity when an episode begins and
specificity when it ends. With an allowance, what differs within so many seconds after each change of the annotated
rhythm is forgiven; EC57 asks for no delay but for a tolerance of this kind in its run-by-run comparisons.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import FS
from monitor.fibrillation import FIBRILLATION, NONE, TACHYCARDIA
from monitor.fibrillation_weights import Networks
from monitor.records import read_annotations, read_record
from trainer.weights.fibrillation_looks import follow, name_of, reference

ALLOWANCE_S: Final = 5.0
LONG_S: Final = 10.0
"""An episode that lasts so long must be told."""


@dataclass(slots=True)
class Durations:
    """Samples by what they are and what they are told to be."""

    tp: int = 0
    fn: int = 0
    fp: int = 0
    tn: int = 0

    def add(self, told: NDArray[np.bool_], true: NDArray[np.bool_]) -> None:
        hits = int((told & true).sum())
        self.tp += hits
        self.fn += int(true.sum()) - hits
        self.fp += int(told.sum()) - hits
        self.tn += int((~told & ~true).sum())

    @property
    def sensitivity(self) -> float:
        """Per cent; NaN where there is none."""
        return _percent(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        return _percent(self.tn, self.tn + self.fp)

    @property
    def ppv(self) -> float:
        return _percent(self.tp, self.tp + self.fp)


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else float("nan")


@dataclass(slots=True)
class Score:
    """Of several records together.

    Attributes:
        both: VF, flutter and VT together.
        allowed: the same with :data:`ALLOWANCE_S`.
        readable: the same as `both`, without what is annotated as noise.
        fibrillation, tachycardia: each alone.
        episodes, found: annotated stretches of either that last LONG_S at least, and how many are told within.
        delays: s, from an annotated onset to the first verdict, of those found.
        told, told_fibrillation: verdicts that begin, of either kind and of fibrillation.
        hours: of signal.
    """

    both: Durations = field(default_factory=Durations)
    allowed: Durations = field(default_factory=Durations)
    readable: Durations = field(default_factory=Durations)
    fibrillation: Durations = field(default_factory=Durations)
    tachycardia: Durations = field(default_factory=Durations)
    episodes: int = 0
    found: int = 0
    delays: list[float] = field(default_factory=list)
    told: int = 0
    told_fibrillation: int = 0
    hours: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The figures of a model card: per cent, seconds, counts."""
        names = ("both", "allowed", "readable", "fibrillation", "tachycardia")
        found: dict[str, Any] = {}
        for name in names:
            durations: Durations = getattr(self, name)
            for figure in ("sensitivity", "specificity", "ppv"):
                value = getattr(durations, figure)
                found[f"{name}_{figure}"] = None if np.isnan(value) else round(value, 2)
        delay = round(float(np.median(self.delays)), 2) if self.delays else None
        return found | {
            "episodes": self.episodes,
            "episodes_found": self.found,
            "median_delay_s": delay,
            "verdicts": self.told,
            "fibrillation_verdicts": self.told_fibrillation,
            "hours": round(self.hours, 2),
        }


def spread(changes: NDArray[np.void], count: int) -> NDArray[np.int64]:
    """(count,) the verdict known at each sample."""
    found = np.full(count, NONE, np.int64)
    for change in changes:
        found[change["emitted"] :] = change["verdict"]
    return found


def forgive(told: NDArray[np.bool_], true: NDArray[np.bool_], allowance: int) -> NDArray[np.bool_]:
    """What is told, with the `allowance` of samples after each change of the truth taken as right."""
    found = told.copy()
    for change in np.flatnonzero(np.diff(true)) + 1:
        found[change : change + allowance] = true[change : change + allowance]
    return found


def compare(score: Score, told: NDArray[np.int64], true: NDArray[np.int64], unreadable: NDArray[np.bool_]) -> None:
    """Add a record's verdicts, sample by sample at 360 Hz, to a score."""
    any_told, any_true = told != NONE, true != NONE
    score.both.add(any_told, any_true)
    score.allowed.add(forgive(any_told, any_true, round(ALLOWANCE_S * FS)), any_true)
    score.readable.add(any_told[~unreadable], any_true[~unreadable])
    score.fibrillation.add(told == FIBRILLATION, true == FIBRILLATION)
    score.tachycardia.add(told == TACHYCARDIA, true == TACHYCARDIA)
    edges = np.flatnonzero(np.diff(any_true, prepend=False, append=False))
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        if last - first < LONG_S * FS:
            continue
        score.episodes += 1
        at = np.flatnonzero(any_told[first:last])
        if at.size:
            score.found += 1
            score.delays.append(float(at[0]) / FS)
    score.told += int(np.count_nonzero(np.diff(any_told, prepend=False) & any_told))
    is_fibrillation = told == FIBRILLATION
    score.told_fibrillation += int(np.count_nonzero(np.diff(is_fibrillation, prepend=False) & is_fibrillation))
    score.hours += len(told) / FS / 3600


def evaluate(paths: Iterable[Path], networks: Networks) -> Score:
    """Score records, each with weights that have not seen it."""
    score = Score()
    for path in paths:
        record, annotations = read_record(path, (0, 1)), read_annotations(path)
        count = int(len(record.signal) * FS / record.fs)
        told = spread(follow(record.signal, record.fs, networks.unseen(name_of(path))), count)
        compare(score, told, *reference(annotations, record.fs, count))
    return score
