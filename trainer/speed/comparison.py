"""wardbeat's kernels beside other detectors: processor time and accuracy on the same records, one after the other.

Everything runs in this process, on this thread; were a package to start threads, their time would be counted.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import FS
from monitor.exceptions import RecordError
from monitor.machine import describe
from monitor.records import Annotations, Record, read_annotations, read_record
from trainer.scoring.confusion import Confusion, Score, gross
from trainer.scoring.ec57 import compare
from trainer.scoring.scores import PERIODS, score_json
from trainer.speed.kernels import BEDS, CHUNK, LEADS, BedsOfAWard, WholeRecord, r_peaks
from trainer.speed.peers import Peer

WARM_UP: Final = 20.0
"""Seconds of the first record that everything runs over before anything is timed."""
_IN_THE_WARD: Final = f"{BEDS} beds, {CHUNK}-sample chunks"


class Subject(NamedTuple):
    """A record and what its annotators say of it."""

    record: Record
    reference: Annotations


class Work(NamedTuple):
    """Something ready to be timed.

    Attributes:
        samples: that it takes; a sample of two leads counts once.
        run: does it, once; returns R peaks, (k,) whole numbers, or None if that is not its business.
    """

    samples: int
    run: Callable[[], Any]


class Contender(NamedTuple):
    """Something that is compared.

    Attributes:
        name: of it.
        causal: whether it needs nothing of the future.
        repetitions: passes over all records.
        prepare: makes the work of one record ready; not timed.
        r_peaks: finds the R peaks of a record where the work returns none; not timed. None: they are not scored.
    """

    name: str
    causal: bool
    repetitions: int
    prepare: Callable[[Record], Work]
    r_peaks: Callable[[Record], NDArray[np.int64]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """What was measured of one contender.

    Attributes:
        name: of it.
        causal: whether it needs nothing of the future.
        nanoseconds: processor time a sample, ns, of each repetition.
        wall_over_cpu: of all its repetitions.
        confusions: by key of :data:`trainer.scoring.scores.PERIODS`, then by record; empty: not scored.
    """

    name: str
    causal: bool
    nanoseconds: tuple[float, ...]
    wall_over_cpu: float
    confusions: dict[str, dict[str, Confusion]]

    @property
    def median(self) -> float:
        """Processor time a sample, ns."""
        return median(self.nanoseconds)

    def score(self, period: str) -> Score:
        """Detection over all records together."""
        return gross(self.confusions[period].values()).qrs


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What was measured.

    Attributes:
        records: names.
        samples: in all of them.
        yardstick: name of the row that the others' time is compared with.
        rows: one a contender, in their order.
        wall_over_cpu: 1 on a quiet machine.
        machine: what it ran on, and versions.
    """

    records: tuple[str, ...]
    samples: int
    yardstick: str
    rows: list[Row]
    wall_over_cpu: float
    machine: dict[str, Any]

    def ratio(self, row: Row) -> float:
        """Time of a row over that of the yardstick."""
        return row.median / next(other.median for other in self.rows if other.name == self.yardstick)

    def to_json(self) -> dict[str, Any]:
        """JSON values: shares from 0 to 1, null where a value is not defined."""
        return {
            "records": list(self.records),
            "samples": self.samples,
            "yardstick": self.yardstick,
            "wall_over_cpu": self.wall_over_cpu,
            "machine": self.machine,
            "rows": [
                {
                    "name": row.name,
                    "causal": row.causal,
                    "ns_per_sample": row.median,
                    "repetitions_ns": list(row.nanoseconds),
                    "ratio": self.ratio(row),
                    "wall_over_cpu": row.wall_over_cpu,
                    "periods": {
                        period: score_json(row.score(period))
                        | {"records": {name: score_json(one.qrs) for name, one in confusions.items()}}
                        for period, confusions in row.confusions.items()
                    },
                }
                for row in self.rows
            ],
        }


def read(path: Path) -> Subject:
    """Read a record and its reference annotations.

    Raises:
        RecordError: either cannot be read, or the record cannot be compared on: another rate, samples missing,
            too short.
    """
    record = read_record(path)
    what = ""
    if record.fs != FS:
        what = f"sampled at {record.fs:g} Hz; detectors are compared at {FS} Hz"
    elif np.isnan(record.signal).any():
        what = "samples are missing, and not every detector can do without"
    elif len(record.signal) < BEDS * CHUNK:
        what = f"{len(record.signal)} samples; at least {BEDS * CHUNK} are needed"
    if what:
        raise RecordError(what, where=str(path), remedy="leave the record out")
    return Subject(record, read_annotations(path))


def contenders(peers: Sequence[Peer], leads: int, repetitions: int, peer_repetitions: int) -> list[Contender]:
    """What is compared: wardbeat's kernels, scipy with their coefficients, and the peers.

    Args:
        peers: the first is the yardstick, and is repeated as often as wardbeat.
        leads: the records have at least; more than the detector can look at are not used.
        repetitions: passes of wardbeat, of scipy and of the yardstick.
        peer_repetitions: passes of each other peer.
    """

    def ours(name: str, prepare: Callable[[Record], Work], *, lead_count: int, scored: bool = False) -> Contender:
        def chosen(record: Record) -> Record:
            return Record(record.name, record.fs, record.leads[:lead_count], record.signal[:, :lead_count])

        return Contender(
            name if lead_count == 1 else f"{name}, {lead_count} leads",
            True,
            repetitions,
            lambda record: prepare(chosen(record)),
            (lambda record: r_peaks(chosen(record))) if scored else None,
        )

    found = [
        ours("wardbeat filters", _filters, lead_count=1),
        ours("wardbeat detector", _detector, lead_count=1),
    ]
    for count in (number for number in LEADS if number <= leads):
        found += [
            ours("wardbeat filters + detector", _both, lead_count=count, scored=True),
            ours(f"wardbeat filters + detector, {_IN_THE_WARD}", _ward_detector, lead_count=count),
            ours(f"wardbeat front end, {_IN_THE_WARD}", _ward, lead_count=count),
        ]
    found.append(ours("scipy sosfilt, the same filters", _sosfilt, lead_count=1))
    for number, peer in enumerate(peers):
        found.append(_peer(peer, peer_repetitions if number else repetitions))
    return found


def _filters(record: Record) -> Work:
    return Work(len(record.signal), WholeRecord(record.signal).filters)


def _detector(record: Record) -> Work:
    whole = WholeRecord(record.signal)
    whole.filters()
    return Work(len(record.signal), whole.detector)


def _both(record: Record) -> Work:
    return Work(len(record.signal), WholeRecord(record.signal).both)


def _ward(record: Record) -> Work:
    beds = BedsOfAWard(record.signal)
    return Work(beds.samples, beds.play)


def _ward_detector(record: Record) -> Work:
    beds = BedsOfAWard(record.signal)
    return Work(beds.samples, beds.detect)


def _sosfilt(record: Record) -> Work:
    return Work(len(record.signal), WholeRecord(record.signal).sosfilt)


def _peer(peer: Peer, repetitions: int) -> Contender:
    def prepare(record: Record) -> Work:
        signal = record.signal[:, 0].astype(np.float64)
        return Work(len(signal), lambda: peer.detect(signal, record.fs))

    return Contender(peer.name, False, repetitions, prepare)


@dataclass(slots=True, eq=False)
class _Tally:
    """What a contender has been measured at so far; times in s."""

    contender: Contender
    nanoseconds: list[float] = field(default_factory=list)
    cpu: float = 0.0
    wall: float = 0.0
    confusions: dict[str, dict[str, Confusion]] = field(default_factory=dict)

    def go(self, subjects: Sequence[Subject], progress: Callable[[str, float], None], share: float) -> None:
        """Pass over all records once; the first time, score too. `share`: of everything that is done already."""
        cpu, samples = 0.0, 0
        for subject in subjects:
            progress(f"{self.contender.name}: {subject.record.name}", share)
            work = self.contender.prepare(subject.record)
            wall_before, cpu_before = time.perf_counter(), time.process_time()
            peaks = work.run()
            spent = time.process_time() - cpu_before
            self.wall += time.perf_counter() - wall_before
            cpu += spent
            samples += work.samples
            if not self.nanoseconds:
                self._score(subject, peaks)
        self.cpu += cpu
        self.nanoseconds.append(1e9 * cpu / samples)

    def _score(self, subject: Subject, peaks: Any) -> None:
        if self.contender.r_peaks is not None:
            peaks = self.contender.r_peaks(subject.record)
        if peaks is not None:
            for period, confusion in _compare(self.contender.name, subject, peaks).items():
                self.confusions.setdefault(period, {})[subject.record.name] = confusion

    def row(self) -> Row:
        name, causal, *_ = self.contender
        return Row(name, causal, tuple(self.nanoseconds), self.wall / self.cpu, self.confusions)


def measure(
    subjects: Sequence[Subject],
    peers: Sequence[Peer],
    repetitions: int,
    peer_repetitions: int,
    progress: Callable[[str, float], None] = lambda what, share: None,
) -> Result:
    """Run everything over every record, keep time, and score what was found.

    The contenders take turns, so that a machine that slows down does so for all of them.

    Args:
        subjects: at least one record.
        peers: to compare with; the first is the yardstick.
        repetitions: passes of wardbeat, of scipy and of the yardstick.
        peer_repetitions: passes of each other peer.
        progress: called before each piece of work with what it is and the share done, 0 to 1.

    Raises:
        RecordError: a detector's R peaks of some record are not strictly increasing: they cannot be scored.
    """
    leads = min(record.signal.shape[1] for record, _ in subjects)
    tallies = [_Tally(contender) for contender in contenders(peers, leads, repetitions, peer_repetitions)]
    first = subjects[0].record
    excerpt = Record(first.name, first.fs, first.leads, first.signal[: round(WARM_UP * first.fs)])
    for tally in tallies:
        progress(f"warm-up: {tally.contender.name}", 0.0)
        tally.contender.prepare(excerpt).run()
    turns = [
        tally
        for turn in range(max(repetitions, peer_repetitions))
        for tally in tallies
        if turn < tally.contender.repetitions
    ]
    gc.collect()
    gc.freeze()  # a collection within someone's time looks at what he made, not at all that is loaded
    try:
        for number, tally in enumerate(turns):
            tally.go(subjects, progress, number / len(turns))
    finally:
        gc.unfreeze()
    return Result(
        records=tuple(subject.record.name for subject in subjects),
        samples=sum(len(subject.record.signal) for subject in subjects),
        yardstick=peers[0].name,
        rows=[tally.row() for tally in tallies],
        wall_over_cpu=sum(tally.wall for tally in tallies) / sum(tally.cpu for tally in tallies),
        machine=describe("wardbeat", "numpy", "scipy", "numba", *dict.fromkeys(peer.package for peer in peers)),
    )


def _compare(name: str, subject: Subject, peaks: Any) -> dict[str, Confusion]:
    """Counts by key of PERIODS."""
    record, reference = subject
    samples = np.asarray(peaks, np.int64)
    if np.any(np.diff(samples) <= 0):
        raise RecordError(
            f"the R peaks of {name} are not strictly increasing", where=record.name, remedy="leave it out"
        )
    return {
        period: compare(
            reference.samples,
            reference.symbols,
            samples,
            ["N"] * samples.size,
            fs=record.fs,
            start=round(start * record.fs),
            stop=len(record.signal),
        ).confusion
        for period, start in PERIODS.items()
    }
