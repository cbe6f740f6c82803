"""What outlives the process: a run that is cut anywhere goes on as if nothing had been (FAULTS: monitor killed)."""

from __future__ import annotations

import errno
import logging
import os
import random
from collections import namedtuple
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from streams import cut, sinus, story

from monitor.alarm_log import AlarmLog, read_alarm_log
from monitor.commands import AcknowledgeAll, Command, Describe, PauseAudio, RecorderState, Resumed, SetLimits
from monitor.events import Alarm, Event
from monitor.exceptions import ConfigError
from monitor.journal import Entry, Journal
from monitor.messages import Chunk, decode, encode
from monitor.store import Store, tick_of
from monitor.ward import Ward

TICK = 0.1
START = 1000.0
UNIX = 1.6e9


def wired(chunk: Chunk) -> Chunk:
    """A chunk as it comes over the wire."""
    return decode(chunk.bed, encode(chunk))


def script() -> list[Entry]:
    """40 s of three beds: all that a story has, messages in disorder and lost, people at work, a bed yet to come."""
    signals = {"a": cut(story(), 36, bed="a"), "b": cut(sinus(40, fs=250.0), 25, bed="b", fs=250.0)}
    late = cut(sinus(20), 36, bed="c")
    rng = random.Random(1)
    told: dict[int, list[Command]] = {
        20: [Describe("c", ("II", "V5"), "Bay 3"), SetLimits("b", low=85.0, by="Ada")],
        150: [PauseAudio(None, by="Ada")],
        270: [AcknowledgeAll("a", "Ada")],
    }
    entries, waiting = [], []
    for number in range(1, 401):
        chunks = [wired(chunks[number - 1]) for chunks in signals.values() if number <= len(chunks)]
        if number > 190:
            chunks.append(wired(late[number - 191])) if number - 191 < len(late) else None
        if number % 50 == 7 and number < 350:  # b's message comes three ticks later
            waiting.append((number + 3, chunks.pop(1)))
        if number % 90 == 40 and number < 350:  # and here never
            chunks.pop(1)
        chunks += [chunk for due, chunk in waiting if due == number]
        rng.shuffle(chunks)
        now = START + TICK * number
        entries.append(Entry(number, now, UNIX + TICK * number, chunks, told.get(number, [])))
    return entries


@dataclass
class Run:
    """What an uninterrupted run was."""

    entries: list[Entry]
    events: list[list[Event]]
    states: list[tuple[bytes, bytes]]


def state_of(ward: Ward) -> tuple[bytes, bytes]:
    text, rows = ward.snapshot_all()
    return text, rows.tobytes()


@pytest.fixture(scope="module")
def whole() -> Run:
    ward, entries = Ward(), script()
    events, states = [], []
    for entry in entries:
        events.append(ward.feed(entry.chunks, entry.commands, entry.now))
        states.append(state_of(ward))
    raised = {event.code for batch in events for event in batch if isinstance(event, Alarm) and event.state == "raised"}
    assert {"ASYSTOLE", "VTACH", "BRADY", "NO_DATA", "GAP"} <= raised, "the story is one worth cutting"
    acknowledged = [e for batch in events for e in batch if isinstance(e, Alarm) and e.state == "acknowledged"]
    assert acknowledged
    return Run(entries, events, states)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def play(store: Store, ward: Ward, entries: Sequence[Entry], sinks: Sequence[AlarmLog], clock: Clock) -> list[Event]:
    """Ticks as the app makes them."""
    events: list[Event] = []
    for entry in entries:
        clock.now = entry.now
        store.append(entry, ward)
        tick = tick_of(entry, ward.feed(entry.chunks, entry.commands, entry.now), ward)
        for sink in sinks:
            sink.write(tick)
        store.keep(ward, sinks)
        store.settle()  # the clock of these tests is faster than the disk
        events += tick.events
    return events


def alarms(path: Path) -> list[tuple[int, str, str, int]]:
    return [(line["tick"], line["type"], line.get("state", ""), line["emitted"]) for line in read_alarm_log(path)]


def logged(run: Run, path: Path) -> list[tuple[int, str, str, int]]:
    with AlarmLog(path) as log:
        for entry, events in zip(run.entries, run.events, strict=True):
            log.write(tick_of(entry, events, Ward()))
    return alarms(path)


def kill_and_go_on(run: Run, folder: Path, seed: int) -> None:
    """Cut the run at a random tick, in one of the ways a kill can fall, and restore; twice, then play it to the end."""
    rng = random.Random(seed)
    clock, every = Clock(), rng.choice([1.0, 3.0, 1e9])
    log = folder / "alarms.jsonl"
    at = 0
    for end in [*sorted(rng.sample(range(1, 400), 2)), 400]:
        ward = Ward()
        with AlarmLog(log) as sink, Store(folder / "store", every=every, clock=clock) as store:
            store.restore(ward, [sink])
            assert store.number == at, "what was in the journal whole is there"
            if at:
                assert state_of(ward) == run.states[at - 1]
            events = play(store, ward, run.entries[at:end], [sink], clock)
            assert events == [event for batch in run.events[at:end] for event in batch]
            at = end
            if end == 400:
                break
            how, entry = rng.choice(["between", "torn", "unfed", "untold"]), run.entries[end]
            if how in ("unfed", "untold"):  # in the journal; whether it was fed, nobody was told
                store.append(entry, ward)
                if how == "untold":
                    ward.feed(entry.chunks, entry.commands, entry.now)
                at += 1
            elif how == "torn":
                store.append(entry, ward)
                newest = store.journal.files()[-1]
                before = sum(8 + len(body) for body in bodies(newest)[:-1])
                os.truncate(newest, before + rng.randrange(newest.stat().st_size - before))
    assert state_of(ward) == run.states[-1]


def bodies(path: Path) -> list[bytes]:
    from monitor.journal import _bodies

    return list(_bodies(path))


@pytest.mark.parametrize("seed", range(20))
def test_a_monitor_killed_anywhere_goes_on_as_if_nothing_had_been(whole, tmp_path, seed):
    kill_and_go_on(whole, tmp_path, seed)
    found = alarms(tmp_path / "alarms.jsonl")
    assert found == logged(whole, tmp_path / "whole.jsonl"), "every alarm is in the log, once and in order"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20, 110))
def test_180_more_kills(whole, tmp_path, seed):
    kill_and_go_on(whole, tmp_path, seed)


def start(folder: Path, entries: Sequence[Entry], *, every: float = 1e9, log: Path | None = None) -> None:
    clock = Clock()
    with Store(folder, every=every, clock=clock) as store:
        ward = Ward()
        store.restore(ward)
        play(store, ward, entries, [], clock)


def test_a_damaged_snapshot_gives_way_to_the_one_before(whole, tmp_path, caplog):
    start(tmp_path, whole.entries[:200], every=3.0)
    newest = max((tmp_path / "snapshots").iterdir())
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    ward = Ward()
    with Store(tmp_path) as store:
        store.restore(ward)
    assert state_of(ward) == whole.states[199]
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR] == [
        f"snapshot {newest.name} is passed over: the snapshot is damaged"
    ]


def test_without_a_snapshot_the_beds_learn_anew_from_what_the_journal_has(whole, tmp_path, caplog):
    start(tmp_path, whole.entries[:200], every=3.0)
    for path in (tmp_path / "snapshots").iterdir():
        path.write_bytes(b"of another version")
    ward = Ward()
    with Store(tmp_path) as store:
        store.restore(ward)
        assert store.number == 200
    assert {view.bed for view in ward.beds()} == {"a", "b", "c"}
    assert "every bed learns anew, from tick" in caplog.text


def test_a_tick_that_cannot_be_fed_again_is_left_out(whole, tmp_path, caplog, monkeypatch):
    start(tmp_path, whole.entries[:50])
    ward = Ward()
    feed = ward.feed

    def fail(chunks=(), commands=(), now=0.0):
        if now == whole.entries[49].now:
            feed(chunks, commands, now)  # halfway in
            raise ZeroDivisionError("a bug")
        return feed(chunks, commands, now)

    monkeypatch.setattr(ward, "feed", fail)
    with Store(tmp_path) as store:
        store.restore(ward)
        assert store.number == 50, "its number is not given again"
    assert state_of(ward) == whole.states[48]
    assert "tick 50 cannot be fed again: it is left out" in caplog.text
    again = Ward()
    with Store(tmp_path) as store:
        store.restore(again)
    assert state_of(again) == state_of(ward), "nor does it come back"


def test_only_what_is_needed_stays_on_the_disk(whole, tmp_path):
    start(tmp_path, whole.entries, every=2.0)
    snapshots = sorted(path.stem for path in (tmp_path / "snapshots").iterdir())
    files = sorted(path.stem for path in (tmp_path / "journal").iterdir())
    assert len(snapshots) == 2
    assert len(files) <= 3
    assert int(files[0]) <= int(snapshots[0]) + 1


def test_the_journal_stays_for_a_sink_that_is_behind(whole, tmp_path):
    class Behind:
        kept, failed = 5, None

        def write(self, tick):
            pass

    clock = Clock()
    with Store(tmp_path, every=2.0, clock=clock) as store:
        play(store, Ward(), whole.entries, [Behind()], clock)
        assert next(store.journal.read_after(5)).number == 6


def test_the_clock_goes_on_where_it_was(whole, tmp_path, monkeypatch):
    start(tmp_path, whole.entries[:10])
    monkeypatch.setattr("time.time", lambda: UNIX + 1.0 + 25.0)
    with Store(tmp_path) as store:
        assert store.restore(Ward()) == pytest.approx(START + 1.0 + 25.0)
    monkeypatch.setattr("time.time", lambda: UNIX - 3600.0)  # set back meanwhile
    with Store(tmp_path) as store:
        assert store.restore(Ward()) == pytest.approx(START + 1.0)


def test_a_monitor_that_was_away_does_not_call_its_beds_silent(whole):
    ward = Ward()
    for entry in whole.entries[:100]:
        ward.feed(entry.chunks, entry.commands, entry.now)
    now = START + 600.0
    assert ward.feed((), [Resumed()], now) == []
    assert ward.feed((), (), now + 1.9) == []
    silent = {event.bed for event in ward.feed((), (), now + 2.1) if isinstance(event, Alarm)}
    assert silent == {"a", "b"}


def test_a_new_store_is_empty(tmp_path):
    ward = Ward()
    with Store(tmp_path / "new") as store:
        assert store.restore(ward) == 0.0
        assert (store.number, store.failed, ward.beds()) == (0, None, [])
    assert list((tmp_path / "new" / "snapshots").iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"the journal cannot be written.*give another folder as store"):
        Store(tmp_path / "file" / "store")


def test_a_disk_that_fails_is_told_and_nothing_of_what_follows_is_lost(whole, tmp_path, monkeypatch, caplog):
    """Monitoring goes on; when there is room again a snapshot comes first, for the journal has a hole."""
    clock, ward = Clock(), Ward()
    real, full = os.write, [False]

    def write(fd, data):
        if full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    with Store(tmp_path, clock=clock) as store:
        play(store, ward, whole.entries[:50], [], clock)
        full[0] = True
        play(store, ward, whole.entries[50:80], [], clock)
        assert store.failed == "No space left on device"
        full[0] = False
        play(store, ward, whole.entries[80:120], [], clock)
        assert store.failed is None
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert "monitoring goes on without it" in errors[0]
    again = Ward()
    with Store(tmp_path) as store:
        store.restore(again)
    assert state_of(again) == whole.states[119]


def test_every_bed_says_that_nothing_is_recorded_until_it_is():
    ward = Ward()
    ward.feed([wired(chunk) for chunk in cut(sinus(0.1), 36, bed="a")], (), 0.0)
    (alarm,) = ward.feed((), [RecorderState(False, "No space left on device")], 0.1)
    assert (alarm.code, alarm.state, alarm.kind) == ("RECORDER", "raised", "technical")
    assert alarm.reason == "No space left on device"
    new = ward.feed([wired(chunk) for chunk in cut(sinus(0.1), 36, bed="b")], (), 0.2)
    assert [(e.bed, e.code) for e in new if isinstance(e, Alarm)] == [("b", "RECORDER")]
    ended = ward.feed((), [RecorderState(True)], 0.3)
    assert [(e.bed, e.state) for e in ended] == [("a", "cleared"), ("b", "cleared")]
    assert np.all(ward.state["alarms"]["condition"][:2] == 0)


def test_restoring_is_refused_where_an_entry_is_of_another_version(whole, tmp_path, monkeypatch):
    start(tmp_path, whole.entries[:10])
    monkeypatch.setattr("monitor.journal.command_of", lambda values: {}["no such command"])
    start_again = Store(tmp_path)
    bad = Entry(11, 0.0, 0.0, (), [SetLimits("a", low=50.0)])
    with Journal(tmp_path / "journal") as journal:
        journal.begin(11)
        journal.append(bad)
    with start_again as store, pytest.raises(ConfigError, match="the journal's tick 11 cannot be read"):
        store.restore(Ward())


def test_what_follows_a_hole_is_dropped_before_its_ticks_are_counted_again(whole, tmp_path, caplog):
    clock, ward = Clock(), Ward()
    with Store(tmp_path, clock=clock) as store:
        play(store, ward, whole.entries[:60], [], clock)
        store.journal.begin(81)
        play(store, ward, whole.entries[80:100], [], clock)
    again = Ward()
    with Store(tmp_path) as store:
        store.restore(again)
        assert store.number == store.restored == 60
        assert [int(path.stem) for path in store.journal.files()][-1] == 61
        assert [entry.number for entry in store.journal.read_after(60)] == []
    assert "follows a hole" in caplog.text


def test_a_snapshot_that_does_not_fit_leaves_nothing_and_is_not_tried_without_room(whole, tmp_path, monkeypatch):
    clock, ward = Clock(), Ward()
    (tmp_path / "snapshots").mkdir(parents=True)
    (tmp_path / "snapshots" / "1.part").write_bytes(b"torn")
    with Store(tmp_path, clock=clock) as store:
        assert not list((tmp_path / "snapshots").iterdir())
        play(store, ward, whole.entries[:10], [], clock)

        def full(descriptor):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        store.settle()
        there = list((tmp_path / "snapshots").iterdir())
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            assert not store._begin_anew(ward)
        assert (store.snapshots_failed, list((tmp_path / "snapshots").iterdir())) == (1, there)
        with monkeypatch.context() as patch:
            patch.setattr("monitor.store.shutil.disk_usage", lambda path: namedtuple("usage", "free")(1000))
            assert not store._begin_anew(ward)
        assert store.snapshots_failed == 1
        assert store._begin_anew(ward)
        assert store.snapshot == 10
