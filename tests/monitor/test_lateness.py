"""Late data: its alarms are logged as such, and what stands when it is live again is told once more."""

from __future__ import annotations

import numpy as np
import pytest
from streams import BED, cut, of, sinus

from monitor.commands import Resumed
from monitor.ecg import FS
from monitor.events import Alarm
from monitor.lateness import LATE, PATIENCE, Lateness
from monitor.ward import Ward

OUTAGE = 60


def taken(lateness: Lateness, seconds: range, *, arrival, stream: int = 1, rate: float = 1.0) -> list[float]:
    """Behind after each message of a second."""
    late = []
    for second in seconds:
        first = int(second * FS * rate)
        lateness.take(stream, FS, first, first + FS, arrival(second))
        late.append(lateness.late_s)
    return late


def test_live_data_is_never_late_though_its_clock_is_off_by_100_ppm() -> None:
    assert set(taken(Lateness(), range(48 * 3600), arrival=lambda s: s * (1 + 100e-6))) == {0.0}


def test_a_back_log_is_as_late_as_its_oldest_sample_and_live_when_it_is_worked_off() -> None:
    lateness = Lateness()
    assert set(taken(lateness, range(100), arrival=lambda s: s + 0.1)) == {0.0}
    late = taken(lateness, range(100, 161), arrival=lambda s: 160.1)
    assert late[0] == pytest.approx(60.0, abs=0.1)
    assert [s for s, behind in enumerate(late, 100) if behind] == [*range(100, 158)]
    assert lateness.late_before == 158 * FS
    assert set(taken(lateness, range(161, 200), arrival=lambda s: s + 0.1)) == {0.0}


def test_a_device_that_stood_still_is_live_again_soon() -> None:
    """Its samples do not come nearer: there is no back-log, and its alarms must sound."""
    lateness = Lateness()
    taken(lateness, range(100), arrival=float)
    late = taken(lateness, range(100, 120), arrival=lambda s: s + 30.0)
    assert late[0] > LATE
    assert all(behind == 0.0 for behind in late[int(PATIENCE) + 2 :])


def test_another_stream_and_one_that_begins_anew_are_live() -> None:
    lateness = Lateness()
    taken(lateness, range(100), arrival=float)
    assert taken(lateness, range(1), arrival=lambda s: 100.0, stream=2) == [0.0]
    taken(lateness, range(100), arrival=lambda s: 100.0 + s, stream=2)
    assert taken(lateness, range(1), arrival=lambda s: 200.0, stream=2) == [0.0]


def story():
    """80 per minute, 200 for the outage's middle, 80; then 200 from its last seconds on."""
    return np.concatenate([sinus(30, 80.0), sinus(25, 80.0), sinus(15, 200.0), sinus(10, 80.0), sinus(30, 200.0)])


def played(size: int = 36, again: int = 1, rows: int = 1000, restored: bool = False):
    """Feed the story with an outage from 30 s to 90 s: (now, event) of every alarm, and the ward."""
    ward = Ward(capacity=1)
    heard = []

    def feed(chunks, now, *commands):
        heard.extend((now, event) for event in of(ward.feed(chunks, commands, now), Alarm))

    chunks = cut(story(), size)
    waiting = []
    for chunk in chunks:
        now = chunk.end / FS
        if not 30.0 < now <= 90.0:
            if waiting:
                for k in range(int(OUTAGE / 0.05)):
                    feed([], 30.0 + k * 0.05)
                if restored:
                    data = b"".join(Ward.pack_all(*ward.snapshot_all()))
                    ward = Ward(capacity=1)
                    ward.restore_all(data)
                    feed([], 90.0, Resumed())
                for k in range(0, len(waiting), rows):
                    feed(waiting[k : k + rows], 90.0)
                waiting = []
            feed([chunk] * again, now)
        else:
            waiting += [chunk] * again
    return heard, ward


@pytest.fixture(scope="module")
def heard():
    return played()[0]


def physiological(heard):
    return [(now, alarm) for now, alarm in heard if alarm.kind == "physiological"]


def test_past_alarms_are_late_and_what_stands_is_told_live(heard) -> None:
    mine = physiological(heard)
    past = [alarm for _, alarm in mine if alarm.emitted < 88 * FS]
    assert past
    assert all(alarm.late and alarm.as_dict()["late"] for alarm in past)
    live = [(now, alarm) for now, alarm in mine if not alarm.late]
    assert live
    now, again = live[0]
    assert (again.state, again.reason) == ("raised", "live")
    assert 90.0 <= now <= 95.0
    assert again.id in {alarm.id for alarm in past if alarm.state == "raised"}
    assert all("late" not in alarm.as_dict() for _, alarm in live)
    assert len([1 for _, alarm in live if alarm.reason == "live" and alarm.id == again.id]) == 1
    assert not any(alarm.late for _, alarm in heard if alarm.code == "NO_DATA")


@pytest.mark.parametrize("how", [{"size": 90}, {"again": 2}, {"rows": 7}, {"restored": True}])
def test_cutting_duplicates_ticks_and_a_restored_ward_change_nothing(heard, how) -> None:
    def told(all_):
        return [(a.id, a.state, a.late) for _, a in physiological(all_) if a.emitted < 86 * FS or a.reason == "live"]

    assert told(played(**how)[0]) == told(heard)


def test_the_view_says_how_late() -> None:
    ward = Ward(capacity=1)
    chunks = cut(sinus(40), 360)
    for chunk in chunks[:20]:
        ward.feed([chunk], now=chunk.end / FS)
    ward.feed(chunks[20:25], now=40.0)
    (view,) = ward.beds()
    assert view.bed == BED
    assert view.late_s == pytest.approx(15.0, abs=0.1)
    ward.feed(chunks[25:], now=40.0)
    assert ward.beds()[0].late_s == 0.0
