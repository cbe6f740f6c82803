"""What the monitor's verdicts on signal quality suppress: recordings, rhythms, and beats in and out of noise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitor.align import REASONS as LOSSES
from monitor.ecg import AAMI_CLASSES, AAMI_OF_SYMBOL
from monitor.events import Event, Quality
from monitor.quality import FLAT, REASONS
from monitor.records import read_annotations, read_record
from trainer.scoring.confusion import COLUMNS, ROWS, Confusion
from trainer.scoring.outcome import Outcome, outcome_of
from trainer.scoring.runs import Job, models_of, read

NOISY: Final = 0.15
"""A recording is flagged if more than this share of it is noisy: none is flagged for being short..."""
READABLE: Final = 15.0
"""... and what is free of noise is less than so many seconds in all..."""
IN_A_ROW: Final = 9.0
"""... or nowhere so many in a row. The three were chosen on all recordings of `challenge2017` at hand."""

NOISES: Final = REASONS[FLAT + 1 :]
"""Verdicts that are noise."""

Spans = NDArray[np.int64]
"""(k, 2) first sample, sample after; increasing, not overlapping."""


def is_flagged(noise: Spans, length: int, fs: float) -> bool:
    """Whether a recording of `length` samples with that noise is called too noisy to read.

    >>> [is_flagged(np.array([[0, noisy]]), length, 1.0) for noisy, length in ((10, 30), (16, 30), (1, 10), (3, 10))]
    [False, True, False, True]
    """
    noisy = length_of(noise)
    edges = np.concatenate([[0], noise.ravel(), [length]])
    longest = int((edges[1::2] - edges[::2]).max())
    return noisy > NOISY * length and (length - noisy < READABLE * fs or longest < IN_A_ROW * fs)


@dataclass(slots=True, eq=False)
class Marked:
    """Where the monitor marked a record, as its events told: each span begins and ends where the screen changed.

    Attributes:
        leads: by lead, noise on it.
        noise: no lead that can be analysed is good, and one is noisy.
        reasons: by verdict, seconds of it on any lead.
    """

    leads: dict[str, Spans] = field(default_factory=dict)
    noise: Spans = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    reasons: dict[str, float] = field(default_factory=dict)


def marked(events: Iterable[Event], leads: Sequence[str], length: int, fs: float) -> Marked:
    """Where a record of `length` samples was marked."""
    said: dict[str, str | None] = dict.fromkeys(leads)
    changes = [(event.emitted, event) for event in events if isinstance(event, Quality) and event.emitted < length]
    since = 0
    open_leads: dict[str, list[tuple[int, int]]] = {lead: [] for lead in leads}
    together: list[tuple[int, int]] = []
    reasons = dict.fromkeys(NOISES, 0.0)
    for at, event in [*changes, (length, None)]:
        for lead, reason in said.items():
            if reason in NOISES:
                open_leads[lead].append((since, at))
                reasons[str(reason)] += (at - since) / fs
        if _disturbed(said.values()):
            together.append((since, at))
        since = at
        if event is not None:
            said[event.lead] = event.reason
    return Marked({lead: _joined(spans) for lead, spans in open_leads.items()}, _joined(together), reasons)


def _disturbed(said: Iterable[str | None]) -> bool:
    """As the front end has it: of the leads that are not lost none is good and one is noisy."""
    left = [reason for reason in said if reason not in LOSSES]
    return None not in left and any(reason in NOISES for reason in left)


def _joined(spans: Iterable[tuple[int, int]]) -> Spans:
    found: list[list[int]] = []
    for first, last in spans:
        if found and found[-1][1] == first:
            found[-1][1] = last
        elif last > first:
            found.append([first, last])
    return np.array(found, np.int64).reshape(-1, 2)


def inside(samples: NDArray[np.int64], spans: Spans) -> NDArray[np.bool_]:
    """(n,) whether each sample is in one of the spans."""
    place = np.searchsorted(spans[:, 0], samples, "right") - 1
    return (place >= 0) & (samples < spans[np.maximum(place, 0), 1]) if len(spans) else np.zeros(len(samples), np.bool_)


def length_of(spans: Spans) -> int:
    """Samples in all spans together."""
    return int(np.diff(spans).sum())


def overlap(spans: Spans, first: int, last: int) -> int:
    """Samples of the spans from `first` to before `last`."""
    return length_of(np.clip(spans, first, last)) if len(spans) else 0


def is_read(database: Path) -> bool:
    """Whether a database says of its recordings whether they can be read, as `challenge2017` does."""
    return (database / "REFERENCE.csv").is_file()


def is_rhythms(database: Path) -> bool:
    """Whether a database has annotated rhythms and no beats, as `vfdb` has."""
    for file in sorted(database.glob("*.atr"))[:1]:
        return not read_annotations(file.with_suffix("")).beats()[1]
    return False


@dataclass(frozen=True, slots=True, eq=False)
class Analysed:
    """A record and what was marked of it.

    Attributes:
        record: its name.
        fs: Hz.
        length: samples.
        marked: what was marked.
        outcome: its beats, where they are annotated and were asked for.
    """

    record: str
    fs: float
    length: int
    marked: Marked
    outcome: Outcome | None = None


def analyse_signal(path: Path) -> Analysed:
    """What is marked of a record whose beats nobody annotated.

    Raises:
        RecordError: it cannot be read.
    """
    from monitor.replay import analyse

    record = read_record(path)
    events = [event for events in analyse(record) for event in events]
    found = marked(events, record.leads, len(record.signal), record.fs)
    return Analysed(record.name, record.fs, len(record.signal), found)


def analyse_beats(job: Job) -> Analysed:
    """What is marked of a record under a condition, and its beats.

    Raises:
        RecordError: the record or its annotations cannot be read, or the condition makes no sense for it.
    """
    from monitor.replay import analyse

    record, reference = read(job)
    one, two = (None, None) if job.model is None else models_of(job.model)
    events = [event for events in analyse(record, one, two_leads=two) for event in events]
    found = marked(events, record.leads, len(record.signal), record.fs)
    return Analysed(record.name, record.fs, len(record.signal), found, outcome_of(record, reference, events))


def in_and_out(analysed: Analysed, start: float) -> tuple[Confusion, Confusion]:
    """Right and wrong beats where the monitor had marked noise, and elsewhere, from `start` (s) on.

    A beat is where its annotation is; an extra one where it was found.
    """
    outcome = analysed.outcome
    assert outcome is not None
    found = outcome.compare(start)
    classes = {symbol: AAMI_CLASSES.index(name) for symbol, name in AAMI_OF_SYMBOL.items()}
    counts = np.zeros((2, len(ROWS), len(COLUMNS)), np.int64)

    def add(rows: Sequence[int], columns: Sequence[int], samples: NDArray[np.int64]) -> None:
        where = inside(samples, analysed.marked.noise).astype(np.intp)
        np.add.at(counts, (where, np.array(rows, np.intp), np.array(columns, np.intp)), 1)

    true = [classes[outcome.reference_symbols[i]] for i in found.reference.tolist()]
    add(true, [classes[outcome.symbols[j]] for j in found.test.tolist()], outcome.reference_samples[found.reference])
    missed = [classes[outcome.reference_symbols[i]] for i in found.missed.tolist()]
    add(missed, [COLUMNS.index("o")] * len(missed), outcome.reference_samples[found.missed])
    extra = [classes[outcome.symbols[j]] for j in found.extra.tolist()]
    add([ROWS.index("O")] * len(extra), extra, outcome.samples[found.extra])
    return Confusion(counts[1]), Confusion(counts[0])


def by_reading(analysed: Iterable[Analysed], readings: dict[str, str]) -> dict[str, dict[str, Any]]:
    """By what cardiologists called a recording: how many there are, how many are flagged, and the time called noisy."""
    found: dict[str, dict[str, Any]] = {}
    for one in analysed:
        line = found.setdefault(readings[one.record], {"recordings": 0, "flagged": 0, "seconds": 0.0, "noisy_s": 0.0})
        line["recordings"] += 1
        line["flagged"] += is_flagged(one.marked.noise, one.length, one.fs)
        line["seconds"] += one.length / one.fs
        line["noisy_s"] += length_of(one.marked.noise) / one.fs
    return found


def by_rhythm(analysed: Iterable[tuple[Analysed, Sequence[tuple[int, int, str]]]]) -> dict[str, dict[str, float]]:
    """By annotated rhythm: seconds, seconds in which every lead was called noisy, and those of each lead (mean)."""
    found: dict[str, dict[str, float]] = {}
    for one, spans in analysed:
        for first, last, name in spans:
            line = found.setdefault(name, {"seconds": 0.0, "noisy_s": 0.0, "lead_noisy_s": 0.0})
            line["seconds"] += (last - first) / one.fs
            line["noisy_s"] += overlap(one.marked.noise, first, last) / one.fs
            leads = one.marked.leads.values()
            line["lead_noisy_s"] += sum(overlap(lead, first, last) for lead in leads) / one.fs / len(leads)
    return found
