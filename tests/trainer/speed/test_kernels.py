"""The kernels are called as the monitor calls them: what they find is what a ward finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from monitor import qrs
from monitor.ecg import FS
from monitor.events import Beat, Qrs, Trigger
from monitor.messages import Chunk
from monitor.records import Record, read_record
from monitor.replay import analyse
from monitor.ward import Ward
from trainer.speed import kernels
from trainer.speed.kernels import BEDS, CHUNK, LEAD_IN, LEADS, BedsOfAWard, WholeRecord, r_peaks


@pytest.fixture
def record(database: Path) -> Record:
    return read_record(database / "106")


@pytest.mark.parametrize("leads", LEADS)
def test_a_whole_record_gives_the_detections_of_a_ward(record: Record, leads: int) -> None:
    part = Record(record.name, record.fs, record.leads[:leads], record.signal[:, :leads])
    whole = WholeRecord(part.signal)
    whole.both()
    found = whole._found[: np.count_nonzero(whole._found["emitted"])]
    events = [event for batch in analyse(part) for event in batch if event.emitted < len(part.signal)]
    for kind, event_type in ((qrs.TRIGGER, Trigger), (qrs.BEAT, Qrs)):
        expected = [event.emitted for event in events if isinstance(event, event_type)]
        assert len(expected) > 50
        assert found["emitted"][found["kind"] == kind].tolist() == expected


@pytest.mark.parametrize("leads", [1, 2])
def test_scipy_filters_as_the_kernel_does(record: Record, monkeypatch: pytest.MonkeyPatch, leads: int) -> None:
    made = []
    real = kernels.sosfilt
    monkeypatch.setattr(kernels, "sosfilt", lambda *arguments: made.append(real(*arguments)))
    whole = WholeRecord(record.signal[:, :leads])
    whole.filters()
    whole.sosfilt()
    kernel = [band[lead] for lead in range(leads) for band in (whole._display, whole._band)]
    for ours, theirs in zip(kernel, made, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_every_call_starts_anew(record: Record) -> None:
    whole = WholeRecord(record.signal)
    whole.both()
    band, found = whole._band.copy(), whole._found.copy()
    whole.both()
    np.testing.assert_array_equal(whole._band, band)
    np.testing.assert_array_equal(whole._found, found)


@pytest.mark.parametrize("leads", [1, 2])
def test_the_beds_of_a_ward_play_the_record_once(record: Record, leads: int) -> None:
    signal = record.signal[:, :leads]
    ward = BedsOfAWard(signal)
    each = len(signal) // BEDS
    messages = each // CHUNK
    assert ward.samples == messages * BEDS * CHUNK
    assert ward._messages.shape == (LEAD_IN + messages, BEDS * CHUNK, 2)
    for bed in (0, 1, BEDS - 1):
        rows = ward._messages[:, bed * CHUNK : (bed + 1) * CHUNK].reshape(-1, 2)
        played = np.take(signal, np.arange(-LEAD_IN * CHUNK, messages * CHUNK) + bed * each, axis=0, mode="wrap")
        np.testing.assert_array_equal(rows[:, :leads], played)
    assert set(ward._beds["front"]["qrs"]["time"].tolist()) == {LEAD_IN * CHUNK}
    ward.play()
    assert set(ward._beds["front"]["qrs"]["time"].tolist()) == {(LEAD_IN + messages) * CHUNK}
    assert set(ward._segments["made"].tolist()) == {CHUNK}


def test_the_beds_come_to_the_state_of_beds_in_a_ward(record: Record) -> None:
    beds, ward = BedsOfAWard(record.signal), Ward()
    beds.play()
    chosen = (0, 5, BEDS - 1)
    for bed in chosen:
        for seq, samples in enumerate(beds._messages[:, bed * CHUNK : (bed + 1) * CHUNK]):
            ward.feed([Chunk(f"bed-{bed}", 1, seq, seq * CHUNK, float(FS), samples)])
    for row, bed in enumerate(chosen):
        assert beds._beds[bed]["front"].tobytes() == ward.state[row]["front"].tobytes(), bed


@pytest.mark.parametrize("leads", [1, 2])
def test_filters_and_detector_alone_come_to_the_same_state(record: Record, leads: int) -> None:
    beds = BedsOfAWard(record.signal[:, :leads])
    beds.play()
    beds.detect()
    assert beds._others["filters"].tobytes() == beds._beds["front"]["filters"].tobytes()
    assert beds._others["qrs"].tobytes() == beds._beds["front"]["qrs"].tobytes()


def test_r_peaks_are_those_of_the_beats_of_a_ward(record: Record) -> None:
    found = r_peaks(record)
    beats = {event.sample for batch in analyse(record) for event in batch if isinstance(event, Beat)}
    assert found.tolist() == sorted(beats)
    assert found.dtype == np.int64
