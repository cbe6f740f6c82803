"""What the transport may do to a bed's messages, and what must come of it: rows of the table of faults.

Bad payloads, conflicting devices and bad ids (rows 29 to 35): tests/monitor/test_messages.py, test_mqtt.py and
test_ward_properties.py.
"""

from __future__ import annotations

import random
import time

import numpy as np
import pytest

from monitor.ecg import FS
from monitor.events import Alarm, Beat, Event, Gap
from monitor.messages import Chunk
from monitor.ward import Ward
from simulators.faults import Message, parse_fault, with_faults
from simulators.synthetic import render

BED = "bed-01"
SEED = 20


def signal(seconds: float, rate: float = 80.0) -> np.ndarray:
    beats = [(t, "N") for t in np.arange(0.5, seconds, 60.0 / rate)]
    return render(beats, seconds, fs=FS).signal


def cut(samples: np.ndarray, size: int = 36, bed: str = BED) -> list[Chunk]:
    return [Chunk(bed, 1, k, k * size, FS, samples[k * size : (k + 1) * size]) for k in range(len(samples) // size)]


def play(chunks: list[Chunk], ward: Ward | None = None) -> list[Event]:
    """Feed each message when it is due; one that is out of order comes with the one it follows."""
    ward, now, events = ward or Ward(capacity=1), 0.0, []
    for chunk in chunks:
        now = max(now, chunk.end / FS)
        events += ward.feed([chunk], now=now)
    return events


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return signal(60)


@pytest.mark.parametrize("missing", [1, 2, 35, 36, 359, 1000, 4321, 10_000])
def test_row_19_a_gap_is_told_to_the_sample_and_makes_no_beat(samples: np.ndarray, missing: int) -> None:
    at = 20 * FS + random.Random(SEED + missing).randrange(FS)
    before = [Chunk(BED, 1, 0, k, FS, samples[k : min(k + 36, at)]) for k in range(0, at, 36)]
    after = [Chunk(BED, 1, 9, k, FS, samples[k : k + 36]) for k in range(at + missing, len(samples), 36)]
    events = play(before + after)
    gaps = [(gap.first, gap.count) for gap in events if isinstance(gap, Gap)]
    assert gaps == [(at, missing)]
    assert not [alarm for alarm in events if isinstance(alarm, Alarm) and alarm.code == "ASYSTOLE"]
    found = {beat.sample for beat in events if isinstance(beat, Beat)}
    whole = {beat.sample for beat in play(cut(samples)) if isinstance(beat, Beat)}
    made = [r for r in found if min(abs(r - s) for s in whole) > FS // 20]
    assert made == [], "beats that the join made"


@pytest.mark.parametrize(
    "faults",
    [
        *([f"duplicate:p=0.3,times={times}"] for times in (1, 4, 9)),
        ["reorder:p=0.1,by=1"],
        ["reorder:p=0.1,by=4"],
        ["reorder:p=0.03,by=8"],  # a missing message is awaited for 1 s, ten messages: one more may wait in between
        ["duplicate:p=0.2,times=2", "reorder:p=0.05,by=3"],
    ],
)
def test_row_20_duplicates_and_reordering_change_nothing(samples: np.ndarray, faults: list[str]) -> None:
    chunks = cut(samples)
    sent = [Message(chunk.end / FS, k, b"") for k, chunk in enumerate(chunks)]
    done: list[dict] = []
    arrived = with_faults(sent, [parse_fault(text) for text in faults], SEED, done.append)
    events = play([chunks[message.number] for message in arrived])
    assert done, "a fault struck"
    assert events == play(chunks)


def test_row_24_past_alarms_of_a_back_log_are_late_and_it_is_live_at_once() -> None:
    whole = np.concatenate([signal(30), signal(60, 200.0), signal(30)])
    ward, late, live = Ward(capacity=1), [], []
    for chunk in cut(whole):
        now = chunk.end / FS
        if now > 30.0:  # an outage of 80 s, then everything at once
            now = max(now, 110.0)
        events = [alarm for alarm in ward.feed([chunk], now=now) if isinstance(alarm, Alarm) and alarm.code == "TACHY"]
        (late if now == 110.0 else live).extend(events)
        if now > 115.0:
            assert ward.beds()[0].late_s == 0.0
    assert [alarm.state for alarm in late][:1] == ["raised"]
    assert all(alarm.late for alarm in late)
    assert not any(alarm.late for alarm in live)


def test_row_28_wall_and_device_clocks_do_not_matter_to_alarms(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(wall: float, device_us: int) -> list[Event]:
        monkeypatch.setattr(time, "time", lambda: 1e9 + wall)
        chunks = cut(np.concatenate([signal(20), signal(20, 180.0)]))
        for k, chunk in enumerate(chunks):
            chunk.time_us = device_us + k * 100_000
        return [event for event in play(chunks) if isinstance(event, Alarm)]

    right = told(0.0, 10**15)
    assert right
    for wall in (-3600.0, 3600.0):
        assert told(wall, 10**15) == right
    for skew in (-10_000_000, 10_000_000):
        assert told(0.0, 10**15 + skew) == right
