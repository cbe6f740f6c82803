"""Candidates of the detector's judge: where they are, what they are called, and that no judge has a say in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb

from monitor import filters, judge, qrs
from monitor.ecg import FS
from monitor.exceptions import RecordError
from monitor.records import Annotations, find_database, read_annotations, read_record
from simulators.noise import Muscle
from simulators.synthetic import Strip, render
from trainer.weights import candidates
from trainer.weights.candidates import KINDS, NOISES, ROW, collect, label, load


def strip_of(seconds: float = 20.0, **options: object) -> Strip:
    """Normal beats, every sixth of them ventricular and early."""
    beats = [
        (0.5 + 0.8 * n - (0.2 if n % 6 == 5 else 0.0), "V" if n % 6 == 5 else "N") for n in range(int(seconds / 0.8))
    ]
    return render(beats, seconds, **options)  # type: ignore[arg-type]


def annotations(strip: Strip) -> Annotations:
    return Annotations(strip.r_peaks.astype(np.int64), list(strip.symbols), [""] * len(strip.symbols))


def rows_at(*rows: tuple[float, float, int]) -> np.ndarray:
    """Candidates for R peaks at the given samples, with a size, and whether nothing exceeded them."""
    made = np.zeros(len(rows), ROW)
    made["at"], made["size"], made["survived"] = np.array(rows).T
    made["at"] += qrs.LAG
    return made


# -- collecting


@pytest.mark.parametrize("leads", [1, 2])
def test_every_beat_after_the_learning_time_is_a_candidate(leads: int) -> None:
    strip = strip_of()
    rows = collect(strip.signal[:, :leads].astype(np.float64))
    beats = strip.r_peaks[(strip.r_peaks > 3 * FS) & (strip.r_peaks < 19 * FS)]
    distance = np.abs(rows["at"] - qrs.LAG - beats[:, np.newaxis]).min(1)
    assert distance.max() <= 0.1 * FS
    assert np.all(np.diff(rows["at"]) > 0)
    width = judge.ONE if leads == 1 else judge.MOST
    features = rows["features"][:, :width]
    assert np.isfinite(features).all()
    assert (features.std(0) > 0.0).sum() > 0.8 * width, "few features say the same of every candidate"
    survived = rows["survived"] == 1
    assert not rows["later"][~survived].any()
    later = rows["later"][survived, : judge.NETWORKS["one_later" if leads == 1 else "two_later"]]
    assert np.isfinite(later).all()
    assert np.all(later[:, width:].std(0) > 0.0), "what the second look sees besides tells candidates apart"
    beats_there = np.abs(rows["at"][survived, np.newaxis] - qrs.LAG - strip.r_peaks).min(1) < 0.1 * FS
    late = rows["at"][survived] > 5 * FS
    assert later[late & beats_there, width].min() > later[late & ~beats_there, width].max(), "beats are alike for long"


def test_gain_does_not_matter() -> None:
    """But for what is too small to be a candidate at all: it may be one in the larger signal."""
    signal = strip_of().signal.astype(np.float64)
    small, large = (rows[rows["at"] > 10 * FS] for rows in (collect(signal), collect(4.0 * signal)))
    distance = np.abs(small["at"][:, np.newaxis] - large["at"])
    assert distance.min(1).max() <= 2, "leads are weighed by noise, and none has less than a floor"
    large = large[distance.argmin(1)]
    names = [*judge.LEAD_FEATURES, *judge.LEAD_FEATURES, *judge.CONTEXT_FEATURES]
    chosen = [i for i, name in enumerate(names) if name in ("likeness", "projection", "shape", "steepness", "size")]
    assert np.abs(small["features"][:, chosen] - large["features"][:, chosen]).max() < 0.05


@pytest.mark.parametrize("answer", [-20.0, 20.0, None], ids=["never", "always", "by noise"])
def test_no_judge_has_a_say_in_what_the_next_one_learns_from(
    monkeypatch: pytest.MonkeyPatch, answer: float | None
) -> None:
    """The kernels as plain Python, with a judge of another opinion: the same candidates, to the bit."""
    signal = strip_of(12.0, disturbances=[Muscle(0.05)], seed=2).signal.astype(np.float64)
    expected = collect(signal)
    assert len(expected) > 12
    for module in (filters, judge, qrs, candidates):
        for name, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, value.py_func)
    rng = np.random.default_rng(5)
    asked = []

    def ask(weights: object, features: object) -> float:
        asked.append(1)
        return float(rng.normal(0.0, 5.0)) if answer is None else answer

    monkeypatch.setattr(judge, "_ask", ask)
    assert collect(signal).tobytes() == expected.tobytes()
    assert len(asked) >= len(expected)


# -- labels


def test_the_candidate_near_an_annotation_is_the_beat() -> None:
    reference = Annotations(np.array([1000, 1300]), ["N", "V"], ["", ""])
    rows = rows_at((900, 0.2, 1), (1000, 1.0, 1), (1150, 0.3, 1), (1300 + 54, 1.0, 1), (1300 + 55, 1.0, 1))
    assert label(rows, reference).tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        ([(990, 0.5, 1), (1010, 1.0, 1)], [-1, 1]),
        ([(990, 0.5, 1), (1010, 1.0, 0)], [1, -1]),
        ([(1010, 1.0, 0)], [-1]),
        ([(970, 0.9, 1), (1000, 0.8, 1), (1030, 0.7, 1)], [1, -1, -1]),
    ],
    ids=["the largest", "that nothing exceeded", "none of them", "of three"],
)
def test_of_several_near_one_annotation(rows: list[tuple[float, float, int]], labels: list[int]) -> None:
    reference = Annotations(np.array([1000, 2000]), ["N", "N"], ["", ""])
    assert label(rows_at(*rows), reference).tolist() == labels


def test_flutter_and_marks_that_are_no_beats_teach_nothing() -> None:
    samples = np.array([500, 1000, 1100, 1600, 1700, 2000])
    reference = Annotations(samples, ["N", "[", "N", "]", "+", "N"], [""] * 6)
    rows = rows_at((500, 1.0, 1), (1100, 1.0, 1), (1400, 1.0, 1), (1700, 1.0, 1), (2000, 1.0, 1))
    assert label(rows, reference).tolist() == [1, -1, -1, 0, 1]


def test_every_beat_of_a_clean_record_is_labelled_once() -> None:
    strip = strip_of()
    rows = collect(strip.signal.astype(np.float64))
    labels = label(rows, annotations(strip))
    assert np.count_nonzero(labels == 1) >= np.count_nonzero(strip.r_peaks > 3 * FS) - 1
    found = rows["at"][labels == 1] - qrs.LAG
    assert len({int(np.abs(strip.r_peaks - at).argmin()) for at in found}) == len(found)


# -- records


@pytest.fixture
def records(tmp_path: Path) -> list[Path]:
    """Two records of half a minute, one of them at 250 Hz with a second lead that shows nothing; and noise."""
    paths = []
    for name, fs in (("one", 360.0), ("two", 250.0)):
        strip = strip_of(30.0, fs=fs)
        signal = strip.signal.astype(float)
        if name == "two":
            signal[:, 1] = np.random.default_rng(1).normal(0.0, 0.02, len(signal))
        options = {"fmt": ["16", "16"], "write_dir": str(tmp_path)}
        wfdb.wrsamp(name, fs, ["mV", "mV"], ["MLII", "V1"], signal, **options)
        wfdb.wrann(name, "atr", strip.r_peaks, np.array(strip.symbols), fs=fs, write_dir=str(tmp_path))
        paths.append(tmp_path / name)
    rng = np.random.default_rng(0)
    for name in ("ma", "bw"):
        noise = rng.normal(0.0, 0.3, (60 * FS, 2))
        wfdb.wrsamp(name, FS, ["mV", "mV"], ["n1", "n2"], noise, fmt=["16", "16"], write_dir=str(tmp_path))
    return paths


def test_versions_of_records(records: list[Path], tmp_path: Path) -> None:
    """Each lead that shows beats alone, both, and both and one in noise where noise may be added."""
    done = []
    found = load(records, tmp_path, 0, noisy=lambda name: name == "one", progress=lambda: done.append(1))
    assert len(done) == 2
    assert list(found) == list(judge.NETWORKS)
    for network, width in judge.NETWORKS.items():
        c = found[network]
        assert c.features.shape == (len(c.beats), width)
        assert c.features.dtype == np.float32
        assert len(c.records) == len(c.kinds) == len(c.beats)
        assert set(c.records.tolist()) == {"one", "two"}
        clean = c.kinds == KINDS.index("clean")
        assert set(c.kinds[c.records == "two"].tolist()) == {KINDS.index("clean")}
        assert np.count_nonzero(c.beats & clean) > 60
    for network in ("one", "two"):
        first, second = found[network], found[f"{network}_later"]
        assert second.beats.sum() == first.beats.sum(), "every beat is seen twice"
        assert len(second.beats) < len(first.beats), "but not what is exceeded"
    alone = found["one"].kinds == KINDS.index("clean, second lead alone")
    assert set(found["one"].records[alone].tolist()) == {"one"}, "the second lead of the other shows nothing"
    noisy = np.isin(found["two"].kinds, [KINDS.index("noisy"), KINDS.index("mildly noisy")])
    assert np.count_nonzero(noisy & found["two"].beats) > 0.5 * len(NOISES) * 30


def test_a_seed_decides_all_of_it(records: list[Path], tmp_path: Path) -> None:
    def features(seed: int) -> np.ndarray:
        return load(records[:1], tmp_path, seed, noisy=lambda name: True, progress=lambda: None)["two"].features

    first = features(3)
    assert np.array_equal(first, features(3))
    assert not np.array_equal(first, features(4))


@pytest.mark.database
def test_nearly_every_beat_of_a_record_is_taught() -> None:
    try:
        path = find_database("mitdb") / "100"
    except RecordError as error:
        pytest.skip(f"CANDIDATES NOT COUNTED: {error}")
    record, reference = read_record(path, (0, 1)), read_annotations(path)
    minutes = 5 * 60 * FS
    kept = reference.samples < minutes
    part = Annotations(
        reference.samples[kept], [s for s, k in zip(reference.symbols, kept, strict=True) if k], [""] * kept.sum()
    )
    labels = label(collect(record.signal[:minutes].astype(np.float64)), part)
    beats = len(part.beats()[0])
    assert beats - 5 <= np.count_nonzero(labels == 1) <= beats
    assert np.count_nonzero(labels == 0) > 100, "T waves and the like"
