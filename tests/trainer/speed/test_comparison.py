"""Everything is run over every record, timed and scored; how fast it is is not tested here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb

from monitor.exceptions import RecordError
from monitor.records import Record, read_annotations
from trainer.speed import comparison
from trainer.speed.comparison import Contender, Subject, Work, contenders, measure, read
from trainer.speed.kernels import LEADS
from trainer.speed.peers import Peer, Signal

RATE = 360.0


def annotated(path: Path) -> Peer:
    """A detector that finds what is annotated in a record, whatever it is given; its sixth beat it misses."""

    def detect(signal: Signal, fs: float) -> list[int]:
        assert signal.dtype == np.float64
        assert signal.ndim == 1
        assert fs == RATE
        beats = read_annotations(path).beats()[0].tolist()
        return [*beats[:5], *beats[6:]]

    return Peer("knowing", "numpy", (), detect)


def blind(name: str = "blind") -> Peer:
    """A detector that finds nothing."""
    return Peer(name, "scipy", (), lambda signal, fs: np.array([], np.float64))


def test_read(database: Path) -> None:
    subject = read(database / "101")
    assert subject.record.name == "101"
    assert subject.record.signal.shape == (21600, 2)
    assert len(subject.reference.beats()[0]) > 50


@pytest.mark.parametrize(
    ("fs", "samples", "gap", "says"),
    [
        (250, 5000, False, "sampled at 250 Hz; detectors are compared at 360 Hz"),
        (360, 5000, True, "samples are missing, and not every detector can do without"),
        (360, 2303, False, "2303 samples; at least 2304 are needed"),
    ],
)
def test_records_that_cannot_be_compared_on(tmp_path: Path, fs: int, samples: int, gap: bool, says: str) -> None:
    signal = np.sin(np.arange(samples) / 50.0)[:, np.newaxis]
    signal[100 : 100 + 10 * gap] = np.nan
    wfdb.wrsamp("x", fs, ["mV"], ["MLII"], signal, fmt=["16"], write_dir=str(tmp_path))
    with pytest.raises(RecordError) as caught:
        read(tmp_path / "x")
    assert (caught.value.what, caught.value.where) == (says, str(tmp_path / "x"))


def test_the_yardstick_is_repeated_as_we_are_and_the_other_peers_as_asked() -> None:
    found = {c.name: c.repetitions for c in contenders([blind("one"), blind("two"), blind("three")], 1, 5, 2)}
    assert (found.pop("two"), found.pop("three")) == (2, 2)
    assert set(found.values()) == {5}
    assert [name for name in found if not name.startswith("wardbeat")] == ["scipy sosfilt, the same filters", "one"]


def test_two_leads_are_measured_when_the_records_have_them() -> None:
    both = "wardbeat filters + detector"
    for leads, names in ((1, [both]), (2, [both, f"{both}, 2 leads"])):
        found = [c.name for c in contenders([blind()], leads, 1, 1) if c.name in (both, f"{both}, 2 leads")]
        assert found == names


@pytest.mark.parametrize("count", LEADS)
def test_only_the_leads_that_are_meant_are_given(database: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    shapes = []
    monkeypatch.setattr(comparison, "r_peaks", lambda record: shapes.append((record.leads, record.signal.shape)))
    scored = [c for c in contenders([blind()], 2, 1, 1) if c.r_peaks is not None]
    for contender in scored:
        assert contender.r_peaks is not None
        contender.r_peaks(read(database / "101").record)
    assert shapes[count - 1] == (("MLII", "V1")[:count], (21600, count))


def test_measure(database: Path) -> None:
    subjects = [read(database / name) for name in ("101", "106")]
    told: list[tuple[str, float]] = []
    result = measure(subjects, [annotated(database / "101"), blind()], 2, 1, lambda *now: told.append(now))
    assert (result.records, result.samples, result.yardstick) == (("101", "106"), 43200, "knowing")
    rows = {row.name: row for row in result.rows}
    assert list(rows) == [
        "wardbeat filters",
        "wardbeat detector",
        "wardbeat filters + detector",
        "wardbeat filters + detector, 64 beds, 36-sample chunks",
        "wardbeat front end, 64 beds, 36-sample chunks",
        "wardbeat filters + detector, 2 leads",
        "wardbeat filters + detector, 64 beds, 36-sample chunks, 2 leads",
        "wardbeat front end, 64 beds, 36-sample chunks, 2 leads",
        "scipy sosfilt, the same filters",
        "knowing",
        "blind",
    ]
    assert {name: len(row.nanoseconds) for name, row in rows.items()} == dict.fromkeys(rows, 2) | {"blind": 1}
    assert all(value > 0 for row in result.rows for value in row.nanoseconds)
    assert {name for name, row in rows.items() if not row.causal} == {"knowing", "blind"}
    assert {name for name, row in rows.items() if row.confusions} == {
        "wardbeat filters + detector",
        "wardbeat filters + detector, 2 leads",
        "knowing",
        "blind",
    }
    assert result.ratio(rows["knowing"]) == 1.0
    assert {"processor", "wardbeat", "numpy", "scipy", "numba"} <= result.machine.keys()

    beats = [len(subject.reference.beats()[0]) for subject in subjects]
    for name in ("wardbeat filters + detector", "wardbeat filters + detector, 2 leads"):
        assert rows[name].score("from t = 0").f1 > 0.98
    assert rows["blind"].score("from t = 0") == (0, sum(beats), 0)
    alone = rows["knowing"].confusions["from t = 0"]["101"].qrs
    assert alone == (beats[0] - 1, 1, 0), "what it was given does not matter: all but one were right"
    assert rows["knowing"].score("after 5 min") == (0, 0, 0), "the records last a minute"

    names = [what for what, _ in told]
    shares = [share for _, share in told]
    assert names[0] == "warm-up: wardbeat filters"
    assert (names.count("knowing: 106"), names.count("blind: 106")) == (2, 1)
    assert shares == sorted(shares)
    assert 0.9 < shares[-1] < 1.0


def test_json(database: Path) -> None:
    result = measure([read(database / "101")], [annotated(database / "101"), blind()], 1, 1)
    document = result.to_json()
    knowing = next(row for row in document["rows"] if row["name"] == "knowing")
    assert knowing["ratio"] == 1.0
    assert knowing["ns_per_sample"] == knowing["repetitions_ns"][0]
    first, later = knowing["periods"].values()
    assert first["fn"] == first["records"]["101"]["fn"] == 1
    assert (first["ppv"], later["f1"]) == (1.0, None)
    assert next(row for row in document["rows"] if row["name"] == "wardbeat filters")["periods"] == {}


def test_flutter_is_left_out(database: Path) -> None:
    subject = read(database / "101")
    reference = subject.reference
    reference.samples = np.insert(reference.samples, [3, 8], reference.samples[[3, 7]] + [-1, 1])
    reference.symbols[8:8], reference.symbols[3:3] = ["]"], ["["]
    result = measure([subject], [annotated(database / "101")], 1, 1)
    score = result.rows[-1].score("from t = 0")
    assert (score.fn, score.fp) == (0, 0), "the beat that is missed lies in it"


@pytest.mark.parametrize("peaks", [[100, 900, 900], [100, 900, 500]])
def test_peaks_that_cannot_be_scored_are_not_repaired(database: Path, peaks: list[int]) -> None:
    peer = Peer("careless", "numpy", (), lambda signal, fs: peaks)
    with pytest.raises(RecordError) as caught:
        measure([read(database / "101")], [peer], 1, 1)
    assert (caught.value.what, caught.value.where) == ("the R peaks of careless are not strictly increasing", "101")


def test_only_the_work_is_timed(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(comparison.time, "process_time", lambda: clock[0])
    monkeypatch.setattr(comparison.time, "perf_counter", lambda: 3 * clock[0])

    def prepare(record: Record) -> Work:
        clock[0] += 100.0

        def run() -> None:
            clock[0] += 0.5

        return Work(1_000_000, run)

    def peaks(record: Record) -> np.ndarray:
        clock[0] += 100.0
        return np.array([10, 20], np.int64)

    slow = Contender("slow", True, 2, prepare, peaks)
    monkeypatch.setattr(comparison, "contenders", lambda *arguments: [slow])
    subject = read(database / "101")
    result = measure([subject, Subject(subject.record, subject.reference)], [blind("slow")], 2, 1)
    (row,) = result.rows
    assert row.nanoseconds == (pytest.approx(500.0), pytest.approx(500.0))
    assert (row.wall_over_cpu, result.wall_over_cpu) == (pytest.approx(3.0), pytest.approx(3.0))
