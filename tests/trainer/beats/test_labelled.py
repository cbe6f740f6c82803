"""Labelled beats come out of the monitor's own front end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb

from monitor.beats import FEATURES, channels_of, features_of
from monitor.ecg import AAMI_CLASSES, FS
from monitor.events import Beat
from monitor.exceptions import ConfigError
from monitor.messages import Chunk
from monitor.records import Annotations, Record, read_record
from monitor.ward import Ward
from monitor.window import WIDTH
from simulators.synthetic import render
from trainer.beats.labelled import NOISES, Collector, Noise, _labels, inputs_of, labelled_beats
from trainer.made_up.disturbance import MOTION, RECORDED

Q = AAMI_CLASSES.index("Q")


def test_beats_get_the_labels_of_their_annotations(database: Path) -> None:
    found = labelled_beats(database / "106")
    annotation = wfdb.rdann(str(database / "106"), "atr")
    truth = dict(zip(annotation.sample.tolist(), annotation.symbol, strict=True))
    assert len(found.rows) >= len(truth) - 3
    assert (found.annotated, found.leads, found.fs) == (len(truth), ("MLII",), 360)
    for row in found.rows:
        nearest = min(truth, key=lambda at: abs(at - row["sample"]))
        assert abs(nearest - row["sample"]) <= 0.150 * 360
        assert AAMI_CLASSES[row["label"]] == truth[nearest]
        assert row["emitted"] > row["sample"]


def test_a_detection_that_no_annotation_confirms_is_q(database: Path, tmp_path: Path) -> None:
    for suffix in ("dat", "hea"):
        (tmp_path / f"106.{suffix}").write_bytes((database / f"106.{suffix}").read_bytes())
    annotation = wfdb.rdann(str(database / "106"), "atr")
    kept = np.arange(len(annotation.sample)) % 2 == 0
    symbols = np.array(annotation.symbol)[kept]
    wfdb.wrann("106", "atr", annotation.sample[kept], symbols, fs=360, write_dir=str(tmp_path))
    everything, half = labelled_beats(database / "106"), labelled_beats(tmp_path / "106")
    assert np.array_equal(half.rows["sample"], everything.rows["sample"])
    confirmed = half.rows["label"] != Q
    assert 0 < confirmed.sum() <= int(kept.sum())
    assert np.array_equal(half.rows["label"][confirmed], everything.rows["label"][confirmed])
    assert half.found == everything.found


@pytest.mark.parametrize("leads", [[0], [1], [0, 1]])
def test_what_is_stored_is_what_the_ward_computes_live_to_the_bit(database: Path, leads: list[int]) -> None:
    live = Collector()  # sees a few beats at a time, as a ward with short messages shows them
    record = read_record(database / "119", leads)
    ward = Ward(live)
    events = []
    for seq, first in enumerate(range(0, len(record.signal), 17)):
        chunk = Chunk("119", 1, seq, first, record.fs, record.signal[first : first + 17])
        events += ward.feed([chunk], (), first / 360)
    beats = [event for event in events if isinstance(event, Beat)]
    at = {(event.sample, event.final): i for i, event in enumerate(beats)}
    windows = np.concatenate(live.windows)[:, : len(channels_of(len(leads)))]
    features = np.concatenate(live.features)[:, : len(features_of(len(leads)))]
    stored = labelled_beats(database / "119", leads)
    assert len(stored.rows) > 50
    for i, row in enumerate(stored.rows):
        k = at[int(row["sample"]), True]
        assert stored.windows[i].tobytes() == windows[k].tobytes()
        assert stored.features[i].tobytes() == features[k].tobytes()
        assert row["emitted"] == beats[k].emitted


def test_shapes_and_finite_values(database: Path) -> None:
    for leads in ([0], [1], [0, 1]):
        found = labelled_beats(database / "101", leads)
        assert found.windows.shape == (len(found.rows), len(channels_of(len(leads))), WIDTH)
        assert found.features.shape == (len(found.rows), len(features_of(len(leads))))
        assert np.isfinite(found.windows).all()
        assert np.isfinite(found.features).all()


def test_a_record_without_beats_gives_none() -> None:
    windows, features, beats = inputs_of(Record("flat", 360.0, ("MLII", "V1"), np.zeros((3600, 2), np.float32)))
    assert (len(windows), len(features), beats) == (0, 0, [])


def test_labels_are_those_of_the_annotations() -> None:
    reference = Annotations(np.array([1000, 2000, 3000]), ["N", "V", "N"], [""] * 3)
    beats = [Beat("x", sample, sample + 400) for sample in (1001, 2010, 2500, 3000)]
    assert _labels(reference, beats, 360.0).tolist() == [0, 2, Q, 0], "what no annotation confirms is Q"


@pytest.mark.parametrize(("after", "known"), [(0.2, 0), (0.8, 0), (1.6, 1)])
def test_of_each_beat_there_is_the_final_row(after: float, known: int) -> None:
    """The last beat knows of no next one, unless that was awaited for long enough before the record ended."""
    times = np.arange(0.5, 12.0, 0.8)
    strip = render([(float(t), "N") for t in times], float(times[-1]) + after)
    windows, features, beats = inputs_of(Record("rec", 360.0, ("MLII", "V1"), strip.signal))
    assert len(windows) == len(features) == len(beats) == len(times)
    assert all(beat.final for beat in beats)
    flags = features[:, [FEATURES.index("next_known"), FEATURES.index("next_awaited")]].astype(int).tolist()
    assert flags == [[1, 0]] * (len(times) - 1) + [[0, known]]


def test_flutter_teaches_nothing() -> None:
    reference = Annotations(np.array([1000, 1900, 2000, 2100, 3000]), ["N", "[", "V", "]", "N"], [""] * 5)
    beats = [Beat("x", sample, sample + 150, "N", "N") for sample in (1000, 2000, 3000)]
    assert _labels(reference, beats, 360.0).tolist() == [0, -1, 0]


@pytest.fixture(scope="module")
def nstdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("noise")
    for seed, name in enumerate(RECORDED):
        signal = np.random.default_rng(seed).normal(0.0, 0.2, (16 * 60 * FS, 2))
        wfdb.wrsamp(name, FS, ["mV", "mV"], ["n1", "n2"], signal, fmt=["16", "16"], write_dir=str(folder))
    return folder


@pytest.mark.parametrize("kind", NOISES)
def test_noise_is_the_same_each_time_and_another_with_another_seed(database: Path, nstdb: Path, kind: str) -> None:
    seeds = (1, 1, 4) if kind == MOTION else (2, 2, 5)  # with these, noise is heard within the record's minute
    first, again, other = (labelled_beats(database / "101", [0], Noise(kind, 6.0, nstdb, seed)) for seed in seeds)
    clean = labelled_beats(database / "101")
    assert first.windows.tobytes() == again.windows.tobytes()
    assert first.windows.tobytes() != other.windows.tobytes() != clean.windows.tobytes()


def test_records_kept_for_scores_in_noise_get_none(database: Path, nstdb: Path) -> None:
    with pytest.raises(ConfigError, match="119: noise on it is for scores alone"):
        labelled_beats(database / "119", [0], Noise("ma", 6.0, nstdb))
