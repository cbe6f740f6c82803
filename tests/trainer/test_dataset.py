"""Labelled beats come out of the monitor's own front end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import wfdb

from monitor.beats import CHANNELS, FEATURES, WIDTH
from monitor.ecg import AAMI_CLASSES
from monitor.events import Beat
from monitor.records import read_record
from monitor.replay import analyse
from trainer.dataset import join, load, segment


def test_beats_get_the_labels_of_their_annotations(database: Path) -> None:
    beats = segment(database / "106")
    annotation = wfdb.rdann(str(database / "106"), "atr")
    truth = dict(zip(annotation.sample.tolist(), annotation.symbol, strict=True))
    assert len(beats) >= len(truth) - 3
    assert set(beats.records) == {"106"}
    for sample, label in zip(beats.samples.tolist(), beats.labels.tolist(), strict=True):
        nearest = min(truth, key=lambda at: abs(at - sample))
        assert abs(nearest - sample) <= 0.150 * 360
        assert AAMI_CLASSES[label] == truth[nearest]


def test_a_beat_that_no_annotation_confirms_is_left_out(database: Path, tmp_path: Path) -> None:
    for suffix in ("dat", "hea"):
        (tmp_path / f"106.{suffix}").write_bytes((database / f"106.{suffix}").read_bytes())
    annotation = wfdb.rdann(str(database / "106"), "atr")
    kept = np.arange(len(annotation.sample)) % 2 == 0
    wfdb.wrann(
        "106", "atr", annotation.sample[kept], np.array(annotation.symbol)[kept], fs=360, write_dir=str(tmp_path)
    )
    everything, half = segment(database / "106"), segment(tmp_path / "106")
    assert len(half) == sum(int(sample) in set(half.samples.tolist()) for sample in everything.samples)
    assert len(half) <= int(kept.sum())


def test_what_is_stored_is_what_the_ward_computes_live_to_the_bit(database: Path) -> None:
    class Live:
        """A classifier that sees one beat at a time, as a live ward with short messages would show them."""

        def __init__(self) -> None:
            self.windows: list[np.ndarray] = []
            self.features: list[np.ndarray] = []

        def classify(self, windows: np.ndarray, features: np.ndarray) -> np.ndarray:
            self.windows += list(windows.copy())
            self.features += list(features.copy())
            return np.tile(np.eye(5, dtype=np.float32)[0], (len(windows), 1))

    live = Live()
    record = read_record(database / "119", [0])
    from monitor.messages import Chunk
    from monitor.ward import Ward

    ward = Ward(live)
    events = []
    for seq, first in enumerate(range(0, len(record.signal), 17)):
        events += ward.feed(
            [Chunk("119", 1, seq, first, record.fs, record.signal[first : first + 17])], (), first / 360
        )
    at = {event.sample: i for i, event in enumerate(e for e in events if isinstance(e, Beat))}
    stored = segment(database / "119")
    assert len(stored) > 50
    for i, sample in enumerate(stored.samples.tolist()):
        assert stored.windows[i].tobytes() == live.windows[at[sample]].tobytes()
        assert stored.features[i].tobytes() == live.features[at[sample]].tobytes()


def test_shapes_and_finite_values(database: Path) -> None:
    told: list[None] = []
    beats = load(database, ["101", "119"], progress=lambda: told.append(None))
    assert len(told) == 2
    assert beats.windows.shape == (len(beats), len(CHANNELS), WIDTH)
    assert beats.features.shape == (len(beats), len(FEATURES))
    assert np.isfinite(beats.windows).all()
    assert np.isfinite(beats.features).all()
    assert sum(beats.counts().values()) == len(beats)


def test_the_second_lead_is_another_view_of_the_same_beats(database: Path) -> None:
    first, second = segment(database / "101", 0), segment(database / "101", 1)
    assert abs(len(first) - len(second)) <= 3
    assert first.windows[20].tobytes() != second.windows[20].tobytes()


def test_take_and_join_are_inverse(database: Path) -> None:
    beats = segment(database / "101")
    chosen = np.arange(len(beats)) < 10
    again = join([beats.take(chosen), beats.take(~chosen)])
    assert again.windows.tobytes() == beats.windows.tobytes()
    assert again.labels.tolist() == beats.labels.tolist()


def test_the_replayed_record_has_every_beat_once(database: Path) -> None:
    events = [event for batch in analyse(read_record(database / "101")) for event in batch]
    samples = [event.sample for event in events if isinstance(event, Beat)]
    assert samples == sorted(set(samples))
