"""Rhythms scored by duration and by episode, as ANSI/AAMI EC57 does for atrial fibrillation and for VF and VT.

- By duration: of the time that the reference calls so, the share that the test does (Se); of the test's, the share that
  the reference does (PPV); of the time that the reference calls otherwise, the share that the test does too (Sp).
- By episode: an episode is found if the other has one that overlaps it, however little.

Time that the reference calls noise is left out, and so is what belongs to a :class:`Group` only for some annotators.

Source: ANSI/AAMI EC57:2012, 5.3; the manual page of WFDB's ``epicmp``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.events import Beat, Event, Rhythm, take_rhythm
from monitor.records import Annotations, read_annotations, read_record
from trainer.reporting.tables import Table, percent, sparse
from trainer.scoring.run_comparison import LENGTHS, SUPRAVENTRICULAR, VENTRICULAR, RunScore, compare_runs
from trainer.scoring.runs import Model, events_of
from trainer.scoring.scores import PERIODS
from trainer.splits import splits

NOISE: Final = "NOISE"


class Group(NamedTuple):
    """Rhythm strings that are scored as one.

    Attributes:
        reference: of the annotators.
        test: of the monitor.
        aside: of the annotators, whose time is left out.
    """

    reference: tuple[str, ...]
    test: tuple[str, ...]
    aside: tuple[str, ...] = ()


GROUPS: Final = {
    "AFIB (AFL left out)": Group(("AFIB",), ("AFIB",), ("AFL",)),
    "AFIB and AFL": Group(("AFIB", "AFL"), ("AFIB", "AFL")),
    "VT, VFL and VF": Group(("VT", "VFL", "VF", "VFIB"), ("VT", "VFL", "VF")),
    "VT": Group(("VT",), ("VT",)),
    "VT, short runs too": Group(("VT",), ("VT", "HGEA")),
    "VFL and VF": Group(("VFL", "VF", "VFIB"), ("VFL", "VF")),
    "IVR": Group(("IVR",), ("IVR",)),
    "B": Group(("B",), ("B",)),
    "T": Group(("T",), ("T",)),
    "SVTA": Group(("SVTA",), ("SVTA",)),
}
"""What is scored: name -> rhythm strings."""


class Span(NamedTuple):
    """A rhythm from sample `start` up to `end`, not included."""

    start: int
    end: int
    label: str


class RhythmScore(NamedTuple):
    """How two annotators agree on one group; times in s."""

    both: float = 0.0
    missed: float = 0.0
    extra: float = 0.0
    neither: float = 0.0
    found: int = 0
    episodes: int = 0
    right: int = 0
    told: int = 0

    def __add__(self, other: object) -> RhythmScore:
        assert isinstance(other, RhythmScore)
        return RhythmScore._make(a + b for a, b in zip(self, other, strict=True))

    @property
    def se(self) -> float:
        return _share(self.both, self.both + self.missed)

    @property
    def ppv(self) -> float:
        return _share(self.both, self.both + self.extra)

    @property
    def sp(self) -> float:
        return _share(self.neither, self.neither + self.extra)

    @property
    def episode_se(self) -> float:
        return _share(self.found, self.episodes)

    @property
    def episode_ppv(self) -> float:
        return _share(self.right, self.told)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What the annotators and the monitor said of one record's rhythm; samples are the record's own.

    Attributes:
        record: its name.
        fs: Hz.
        length: samples.
        reference, test: annotations of every kind of both; the test's are final beats alone.
        rhythms: the monitor's, in order.
    """

    record: str
    fs: float
    length: int
    reference: Annotations
    test: Annotations
    rhythms: list[Span]

    def reference_rhythms(self) -> list[Span]:
        """The annotators' rhythms, in order."""
        marks = zip(self.reference.samples.tolist(), self.reference.symbols, self.reference.notes, strict=True)
        return spans([(sample, note[1:]) for sample, symbol, note in marks if symbol == "+" and note[:1] == "("], self)


def spans(changes: Sequence[tuple[int, str]], told: Told | int) -> list[Span]:
    """Rhythms from where they begin, (sample, label), to the next or to the end."""
    length = told if isinstance(told, int) else told.length
    ends = [sample for sample, _ in changes[1:]] + [length]
    return [Span(sample, end, label) for (sample, label), end in zip(changes, ends, strict=True) if end > sample]


def score(
    reference: Iterable[Span], test: Iterable[Span], group: Group, *, fs: float, start: int, end: int
) -> RhythmScore:
    """Score one group of rhythms from sample `start` up to `end`, not included.

    >>> told = [Span(0, 100, "N"), Span(100, 160, "AFIB"), Span(160, 300, "N")]
    >>> truth = [Span(0, 120, "N"), Span(120, 200, "AFIB"), Span(200, 300, "N")]
    >>> found = score(truth, told, GROUPS["AFIB and AFL"], fs=1.0, start=0, end=300)
    >>> found.both, found.missed, found.extra, found.neither, found.episode_se
    (40.0, 40.0, 20.0, 200.0, 1.0)
    """
    truth = list(reference)
    counted = ~_marked(truth, (*group.aside, NOISE), end)
    counted[:start] = False
    ours = _marked(truth, group.reference, end) & counted
    theirs = _marked(test, group.test, end) & counted
    durations = (ours & theirs, ours & ~theirs, theirs & ~ours, counted & ~ours & ~theirs)
    times = [float(np.count_nonzero(part)) / fs for part in durations]
    mine, its = _episodes(ours), _episodes(theirs)
    found, right = (sum(bool(other[a:b].any()) for a, b in one) for one, other in ((mine, theirs), (its, ours)))
    return RhythmScore._make((*times, found, len(mine), right, len(its)))


def _marked(rhythms: Iterable[Span], labels: Sequence[str], end: int) -> NDArray[np.bool_]:
    mask = np.zeros(end, np.bool_)
    for span in rhythms:
        if span.label in labels:
            mask[span.start : span.end] = True
    return mask


def _episodes(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First sample of each stretch, and the sample after its last."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0)).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


@dataclass(frozen=True, slots=True)
class RhythmJob:
    """One record to analyse: its path, leads by name or number (none: its first two ECG leads), and the model."""

    path: Path
    leads: tuple[str, ...] = ()
    model: Model = field(default_factory=lambda: Model(None, None))


def listen(job: RhythmJob) -> Told:
    """Run the monitor over one record; what tells fibrillation has not learnt from it.

    Raises:
        RecordError: the record or its annotations cannot be read, or it has no such lead.
    """
    record = read_record(job.path, list(job.leads) or None)
    reference = read_annotations(job.path)
    events = events_of(job.path, record, job.model)
    return told_of(job.path.name, record.fs, len(record.signal), reference, events)


def told_of(name: str, fs: float, length: int, reference: Annotations, events: Iterable[Event]) -> Told:
    """Sort out a record's events: its final beats, and its rhythms as they stand in the end."""
    rhythms: list[Rhythm] = []
    beats: dict[int, str] = {}
    for event in events:
        if isinstance(event, Rhythm):
            take_rhythm(rhythms, event)
        elif isinstance(event, Beat) and event.final:
            beats[event.sample] = event.symbol
    samples = sorted(beats)
    symbols = [beats[sample] for sample in samples]
    test = Annotations(np.array(samples, np.int64), symbols, [""] * len(symbols))
    changes = [(rhythm.sample, rhythm.label) for rhythm in rhythms]
    return Told(name, fs, length, reference, test, spans(changes, length))


@dataclass(frozen=True, slots=True)
class SetScore:
    """A set of records over one period.

    Attributes:
        period: which part of the records.
        title: of the set.
        records: how many.
        rhythms: by group.
        runs: by kind of ectopy, then by length.
    """

    period: str
    title: str
    records: int
    rhythms: dict[str, RhythmScore]
    runs: dict[str, dict[str, RunScore]]


def score_sets(told: Sequence[Told]) -> list[SetScore]:
    """Every period, all records together and each set of them."""
    by_name = {one.record: one for one in told}
    scores = []
    for period, seconds in PERIODS.items():
        rhythms = {name: _score_record(one, seconds) for name, one in by_name.items()}
        runs = {name: _score_runs(one, seconds) for name, one in by_name.items()}
        for title, names in splits(by_name, classes=False).items():
            scores.append(
                SetScore(
                    period,
                    title,
                    len(names),
                    {group: sum((rhythms[name][group] for name in names), RhythmScore()) for group in GROUPS},
                    {
                        kind: {
                            length: sum((runs[name][kind][length] for name in names), RunScore(0, 0, 0, 0))
                            for length in LENGTHS
                        }
                        for kind in (VENTRICULAR, SUPRAVENTRICULAR)
                    },
                )
            )
    return scores


def _score_record(told: Told, seconds: float) -> dict[str, RhythmScore]:
    start, reference = round(seconds * told.fs), told.reference_rhythms()
    return {
        name: score(reference, told.rhythms, group, fs=told.fs, start=start, end=told.length)
        for name, group in GROUPS.items()
    }


def _score_runs(told: Told, seconds: float) -> dict[str, dict[str, RunScore]]:
    start = round(seconds * told.fs)
    return {
        kind: compare_runs(told.reference, told.test, kind, fs=told.fs, start=start)
        for kind in (VENTRICULAR, SUPRAVENTRICULAR)
    }


def rhythm_tables(told: Sequence[Told], scores: Sequence[SetScore]) -> list[Table]:
    """Rhythms of each set, of each record where there are any, and runs."""
    columns = ("s", "Se %", "PPV %", "Sp %", "episodes", "Se %", "PPV %")
    tables = []
    for period, seconds in PERIODS.items():
        these = [one for one in scores if one.period == period]
        rows = [
            (group, f"{one.title} ({one.records})", *_figures(one.rhythms[group])) for group in GROUPS for one in these
        ]
        tables.append(Table(f"Rhythms, {period}", ("rhythm", "records", *columns), sparse(rows, 1), names=2))
        by_record = [
            (group, one.record, *_figures(found))
            for group in GROUPS
            for one in told
            if (found := _score_record(one, seconds)[group]).episodes or found.extra
        ]
        tables.append(
            Table(f"Rhythms per record, {period}", ("rhythm", "record", *columns), sparse(by_record, 1), names=2)
        )
        runs = [
            (kind, length, f"{one.title} ({one.records})", *map(str, found), percent(found.se), percent(found.ppv))
            for kind in (VENTRICULAR, SUPRAVENTRICULAR)
            for length in LENGTHS
            for one in these
            for found in [one.runs[kind][length]]
        ]
        heading = ("beats", "runs", "records", "found", "missed", "right", "wrong", "Se %", "PPV %")
        tables.append(Table(f"Runs, {period}", heading, sparse(runs, 2), names=3))
    return tables


def _figures(found: RhythmScore) -> tuple[str, ...]:
    shares = (found.se, found.ppv, found.sp)
    seconds = f"{found.both + found.missed:.0f}"
    episodes = percent(found.episode_se), percent(found.episode_ppv)
    return seconds, *map(percent, shares), str(found.episodes), *episodes


def rhythm_json(scores: Sequence[SetScore]) -> dict[str, Any]:
    """Every figure by period, set of records and rhythm; None where there is none."""
    document: dict[str, Any] = {}
    for one in scores:
        rhythms = {group: found._asdict() | _shares(found) for group, found in one.rhythms.items()}
        runs = {
            kind: {length: found._asdict() | _shares(found) for length, found in by_length.items()}
            for kind, by_length in one.runs.items()
        }
        document.setdefault(one.period, {})[one.title] = {"records": one.records, "rhythms": rhythms, "runs": runs}
    return {"periods": document}


def _shares(found: RhythmScore | RunScore) -> dict[str, float | None]:
    names = ("se", "ppv", "sp", "episode_se", "episode_ppv")
    shares = {name: float(getattr(found, name)) for name in names if hasattr(found, name)}
    return {name: None if math.isnan(value) else value for name, value in shares.items()}
