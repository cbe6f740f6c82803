"""Looks to learn from: what the monitor sees of a record, and what the annotator said at that time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb

from monitor import align, frontend, waves
from monitor.ecg import FS
from monitor.fibrillation import FIBRILLATION, NONE, TACHYCARDIA
from monitor.fibrillation_weights import shipped
from monitor.records import Annotations, read_record
from simulators.synthetic import render
from trainer.weights import fibrillation_looks as looks_of
from trainer.weights.fibrillation_looks import EVERY, described, displayed, follow, load, name_of, reference


@pytest.fixture(autouse=True)
def little_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of noise alone a second a size will do, and making up motion takes long."""
    monkeypatch.setattr(looks_of, "_ALONE_S", 45)
    monkeypatch.setattr(looks_of, "MOTION", "ma")
    monkeypatch.setattr(looks_of, "NOISES", ("ma", "bw", "ma"))


def annotations(*notes: tuple[int, str]) -> Annotations:
    return Annotations(np.array([n for n, _ in notes], np.int64), ["+"] * len(notes), [note for _, note in notes])


def front_end(signal: np.ndarray, fs: float) -> tuple[np.ndarray, np.ndarray]:
    """The marks and the wave that the front end makes of a whole signal."""
    states = np.zeros(1, frontend.STATE)
    table, half = align.design(fs)
    frontend.start(states[0], signal.shape[1], round(fs * 1000), half)
    segments = np.array([(0, 0, len(signal), 0, 0, 0, 0, 0)], frontend.SEGMENT)
    room = frontend.room(int(len(signal) * FS / fs) + 2, 1)
    count, _ = frontend.tick(states, segments, signal, table[np.newaxis], *room, shipped().final)
    return room.marks[:count], room.wave[: segments["made"][0]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A record of 40 s with VT from 20 s on; another without; the noise records, two minutes each."""
    root = tmp_path_factory.mktemp("databases")
    made = {name: root / name for name in ("vfdb", "mitdb", "nstdb")}
    beats = [(0.5 + 0.75 * i, "N") for i in range(26)] + [(20.2 + 0.28 * i, "V") for i in range(68)]
    strip = render(beats, 40.0)
    for folder in made.values():
        folder.mkdir()
    for name, note in (("vfdb", "(VT"), ("mitdb", "(SVTA")):
        signal = strip.signal.astype(float)
        wfdb.wrsamp("7", FS, ["mV", "mV"], ["MLII", "V1"], signal, fmt=["16", "16"], write_dir=str(made[name]))
        at = [0, *strip.r_peaks[:20], 20 * FS]
        symbols, notes = ["+", *["N"] * 20, "+"], ["(N", *[""] * 20, note]
        wfdb.wrann("7", "atr", np.array(at), np.array(symbols), aux_note=notes, fs=FS, write_dir=str(made[name]))
    rng = np.random.default_rng(0)
    for name in ("ma", "bw"):
        noise = 0.1 * rng.normal(size=(120 * FS, 2))
        wfdb.wrsamp(name, FS, ["mV", "mV"], ["noise1", "noise2"], noise, fmt=["16", "16"], write_dir=str(made["nstdb"]))
    return made


def test_the_reference_says_what_the_annotator_did() -> None:
    given = annotations(
        (0, "(N"), (100, "(VT"), (200, "(VFL"), (250, "(VFIB"), (300, "(VF"), (350, "(NOISE"), (400, "")
    )
    verdicts, unreadable = reference(given, 180.0, 1000)
    expected = [NONE] * 200 + [TACHYCARDIA] * 200 + [FIBRILLATION] * 300 + [NONE] * 300
    assert verdicts.tolist() == expected
    assert unreadable.tolist() == [False] * 700 + [True] * 300


@pytest.mark.parametrize("fs", [250.0, 360.0])
def test_a_record_is_shown_as_a_ward_shows_it(fs: float) -> None:
    rng = np.random.default_rng(0)
    signal = rng.normal(0.0, 0.3, (round(7 * fs), 2)).astype(np.float32)
    _, wave = front_end(signal, fs)
    assert np.array_equal(displayed(signal, fs).T.astype(np.float32), wave)


def test_a_record_becomes_looks_with_its_rhythm(folders: dict[str, Path]) -> None:
    done: list[int] = []
    looks = load([folders["vfdb"] / "7"], [], folders["nstdb"], 0, lambda: done.append(1))
    own = looks.records == "vfdb/7"
    assert len(done) == 1
    assert own.sum() == 40 * 2 - waves.BLOCKS + 1
    ends = 4.0 + 0.5 * np.arange(own.sum())
    assert np.array_equal(looks.positive[own], ends - 1.0 > 20.0)
    assert np.array_equal(looks.weights[own] < 1.0, (ends > 20.0) & (ends <= 23.0))
    signal = read_record(folders["vfdb"] / "7").signal
    assert np.array_equal(looks.features[own], described(displayed(signal, FS)))
    assert not looks.positive[~own].any()
    assert {name.split("/")[0] for name in looks.records[~own]} == {"nstdb"}


def test_other_records_are_heard_in_noise_and_thinned(folders: dict[str, Path]) -> None:
    looks, again = (load([], [folders["mitdb"] / "7"], folders["nstdb"], 0, lambda: None) for _ in range(2))
    assert np.array_equal(looks.features, again.features)
    own = looks.records == "mitdb/7"
    in_all = (40 * 2 - waves.BLOCKS + 1) * (1 + 3)
    assert in_all / EVERY - 6 <= own.sum() <= in_all / EVERY + 6
    assert not looks.positive.any()
    assert np.isfinite(looks.features).all()
    other = load([], [folders["mitdb"] / "7"], folders["nstdb"], 1, lambda: None)
    assert not np.array_equal(looks.features[:200], other.features[:200])


def test_noise_is_never_added_to_records_of_the_stress_test(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks_of.stress, "RECORDS", ("7",))
    looks = load([], [folders["mitdb"] / "7"], folders["nstdb"], 0, lambda: None)
    assert (looks.records == "mitdb/7").sum() <= 73 / EVERY + 1


def test_verdicts_are_those_of_a_ward(folders: dict[str, Path]) -> None:
    """The marks of the front end, for the same signal and weights."""
    record = read_record(folders["vfdb"] / "7")
    changes = follow(record.signal, record.fs, shipped().final)
    marks, _ = front_end(record.signal, record.fs)
    own = marks[marks["kind"] == frontend.FIBRILLATION]
    assert len(changes) > 0
    assert changes.tolist() == own[["sample", "emitted", "value"]].tolist()
    assert name_of(folders["vfdb"] / "7") == "vfdb/7"
