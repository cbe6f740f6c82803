"""The alarm log: what is written, what a killed process leaves, and that it does not grow for ever."""

from __future__ import annotations

import itertools
import json
import logging
import os
import random
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from monitor.alarm_log import AlarmLog, read_alarm_log
from monitor.events import Alarm, Audio, Beat, Shown
from monitor.exceptions import ConfigError
from monitor.tick import Tick

WRITER = Path(__file__).with_name("alarm_log_writer.py")


def alarm(n, state="raised"):
    return Alarm("bed", n, n, "TACHY", "medium", state=state, id=f"bed:1:TACHY:{n}")


NUMBERS = itertools.count(1)


def tick(events, unix=0.0):
    return Tick(next(NUMBERS), 0.0, unix, events)


def ids(path):
    return [line["id"] for line in read_alarm_log(path)]


def test_what_concerns_alarms_is_written_in_order(tmp_path):
    path = tmp_path / "folder" / "alarms.jsonl"
    with AlarmLog(path) as log:
        log.write(tick([Beat("bed", 1, 2)], 1.0))
        assert path.read_bytes() == b""
        log.write(tick([alarm(3), Beat("bed", 1, 2), Shown("bed", 3, 4, "TACHY", "bed:1:TACHY:3", "wall")], 2.0))
        log.write(tick([Audio("bed", 5, 5, True, 120.0, "Ada")], 3.0))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["type"], line["time"]) for line in lines] == [("alarm", 2.0), ("shown", 2.0), ("audio", 3.0)]
    assert lines[0] == {**alarm(3).as_dict(), "time": 2.0, "tick": lines[0]["tick"]}
    assert lines[2]["tick"] > lines[1]["tick"] == lines[0]["tick"]
    assert list(read_alarm_log(path)) == lines


def test_a_batch_is_on_the_disk_when_write_returns(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    with AlarmLog(tmp_path / "a") as log:
        log.write(tick([alarm(1), alarm(2)]))
        log.write(tick([]))
    assert synced == [(tmp_path / "a").stat().st_size], "once a batch"


def test_a_torn_line_is_passed_over_and_the_next_one_is_whole(tmp_path):
    path = tmp_path / "a"
    with AlarmLog(path) as log:
        log.write(tick([alarm(1), alarm(2)]))
    path.write_bytes(path.read_bytes()[:-20])
    assert ids(path) == ["bed:1:TACHY:1"]
    with AlarmLog(path) as log:
        log.write(tick([alarm(3)]))
    assert ids(path) == ["bed:1:TACHY:1", "bed:1:TACHY:3"]


def test_ticks_told_again_are_passed_over_and_a_torn_one_is_completed(tmp_path):
    path = tmp_path / "a"
    ticks = [Tick(n, 0.0, 0.0, [alarm(10 * n + i) for i in range(n)]) for n in range(1, 5)]
    with AlarmLog(path) as log:
        for each in ticks[:3]:
            log.write(each)
        assert log.kept == 3
    whole = ids(path)
    path.write_bytes(path.read_bytes()[:-30])  # into the last of the three alarms of tick 3
    assert ids(path) == whole[:-1]
    with AlarmLog(path) as log:
        assert log.kept == 3
        for each in ticks:
            log.write(each)
        log.write(Tick(5, 0.0, 0.0, []))
        assert log.kept == 5
    assert ids(path) == [event.id for each in ticks for event in each.events]


def test_other_things_in_the_file_do_no_harm(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b'\xff\xfe\n[1]\n{"type":"alarm","id":"x"}\n{"a":1}\n\n"type"\n')
    assert ids(path) == ["x"]
    assert list(read_alarm_log(tmp_path / "none")) == []


def test_it_rotates_and_the_oldest_goes(tmp_path):
    path = tmp_path / "a.jsonl"
    with AlarmLog(path, largest=1000, kept=3) as log:
        for n in range(100):
            log.write(tick([alarm(n)]))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.jsonl", *(f"a.jsonl.{i}" for i in (1, 2, 3))]
    assert all(file.stat().st_size <= 1000 for file in tmp_path.iterdir())
    numbers = [int(id_.split(":")[3]) for id_ in ids(path)]
    assert numbers == list(range(numbers[0], 100))
    assert 10 < len(numbers) < 30


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="the alarm log cannot be written"):
        AlarmLog(tmp_path / "file" / "alarms.jsonl")


def test_a_full_disk_is_logged_once_and_monitoring_goes_on(tmp_path, monkeypatch, caplog):
    path = tmp_path / "a"
    with AlarmLog(path) as log:
        log.write(tick([alarm(1)]))
        with monkeypatch.context() as patch:

            def full(_fd):
                raise OSError(28, "No space left on device")

            patch.setattr(os, "fsync", full)
            log.write(tick([alarm(2)]))
            log.write(tick([alarm(3)]))
            assert log.failed
        log.write(tick([alarm(4)]))
        assert not log.failed
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert ids(path)[-1] == "bed:1:TACHY:4"


def test_a_killed_process_leaves_every_alarm_it_told_of(tmp_path):
    """SIGKILL at twenty random moments, each process going on in the same file."""
    rng = random.Random(18)
    path = tmp_path / "alarms.jsonl"
    told: list[str] = []
    for round_ in range(20):
        command = [sys.executable, str(WRITER), str(path), "3000", str(1000 * round_)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            told += writer.stdout.readline().split()
            for _ in range(rng.randrange(12)):
                told += writer.stdout.readline().split()
            writer.send_signal(signal.SIGKILL)
            told += writer.stdout.read().split()
        assert writer.returncode == -signal.SIGKILL
    written = ids(path)
    assert set(told) <= set(written)
    assert [id_ for id_ in written if id_ in set(told)] == told, "in order"
    assert all(tuple(map(int, a.split("."))) < tuple(map(int, b.split("."))) for a, b in pairwise(written))


def test_lines_wait_for_a_full_disk(tmp_path, monkeypatch, caplog):
    path = tmp_path / "a"
    fsync, full = os.fsync, [False]

    def sync(descriptor):
        if full[0]:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr("monitor.alarm_log.MOST_WAITING", 3)
    with AlarmLog(path) as log:
        log.write(Tick(1, 0.0, 1.0, [alarm(1)]))
        full[0] = True
        for number in range(2, 7):
            log.write(Tick(number, 0.1 * number, 1.0, [alarm(number)]))
        assert (log.failed, log.kept) == ("No space left on device", 1)
        assert ids(path) == ["bed:1:TACHY:1"]
        full[0] = False
        log.write(Tick(7, 0.7, 1.0, []))
        assert log.failed is not None
        log.write(Tick(8, 5.0, 1.0, []))
        assert (log.failed, log.kept) == (None, 8)
    assert ids(path) == [f"bed:1:TACHY:{number}" for number in (1, 4, 5, 6)]
    assert "oldest lines are lost" in caplog.text
