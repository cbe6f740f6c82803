"""Recordings: what was sent is read back bit by bit, while it grows, after a kill, and around a full disk."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import wfdb
from recorder_writer import SIZE, numbered

from monitor.app import Ticker
from monitor.commands import RecorderState
from monitor.events import Alarm, Beat, Rhythm
from monitor.inbox import Inbox
from monitor.messages import Chunk, decode, encode, units_sent
from monitor.recorder.database import FILE
from monitor.recorder.recorder import Recorder
from monitor.sequencer import Run
from monitor.settings import Settings
from monitor.tick import Tick
from monitor.ward import Ward

WRITER = Path(__file__).with_name("recorder_writer.py")
UNIX = 1.79e9


def tick(number, released=(), events=(), now=None):
    now = number * 0.1 if now is None else now
    return Tick(number, now, UNIX + now, events, [(run.chunk.bed, run) for run in released])


def names(store, bed="bed"):
    return sorted(p.stem for p in (store / "recordings" / bed).glob("*.hea") if "_" not in p.stem)


def units(store, name, bed="bed"):
    return wfdb.rdrecord(str(store / "recordings" / bed / name), physical=False).d_signal


def all_units(store):
    return np.concatenate([units(store, name) for name in names(store)])


def rows(store, query):
    with sqlite3.connect(store / "recordings" / FILE) as db:
        return db.execute(query).fetchall()


def expected(first, end):
    at = np.arange(first, end) % 30000
    return np.stack([at, -at], 1)


def feed(recorder, chunks, start=1):
    for number, chunk in enumerate(chunks, start):
        recorder.write(tick(number, [Run(chunk)]))
    recorder.settle()


def test_what_a_ward_heard_is_read_back_bit_by_bit(tmp_path):
    rng = np.random.default_rng(1)
    sent = rng.integers(-32768, 32768, (7200, 3)).astype("<i2")
    sent[100:200, 1], sent[300], sent[301] = -32768, 32767, -32767
    sent[0] = 5
    ward = Ward(capacity=1)
    uv = float(np.float32(2.44))
    with Recorder(tmp_path) as recorder:
        for i in range(200):
            part = sent[36 * i : 36 * (i + 1)]
            with np.errstate(invalid="ignore"):
                mv = np.where(part == -32768, np.nan, part * (uv / 1000)).astype(np.float32)
            chunk = decode("bed", encode(Chunk("bed", 1 << 63, i, 36 * i, 250.0, mv), uv))
            events = ward.feed([chunk], now=0.1 * i)
            recorder.write(Tick(i + 1, 0.1 * i, UNIX + 0.1 * i, events, ward.released(), ward.waves(), ward.beds()))
        recorder.settle()
        growing = wfdb.rdrecord(str(tmp_path / "recordings" / "bed" / names(tmp_path)[0]), physical=False)
        assert growing.sig_len >= 7200 - 250 - 36
    (name,) = names(tmp_path)
    record = wfdb.rdrecord(str(tmp_path / "recordings" / "bed" / name), physical=False)
    assert (record.d_signal == sent).all()
    assert record.fs == 250
    assert record.adc_gain[0] == 1000 / uv
    assert record.units == ["mV"] * 3
    assert record.base_datetime is not None
    assert recorder.kept == 200


def test_gaps_are_gaps(tmp_path):
    with Recorder(tmp_path) as recorder:
        chunks = [numbered(SIZE * i) for i in range(400) if not 50 <= i < 60 and not 100 <= i < 350]
        feed(recorder, chunks)
        (name,) = names(tmp_path)
        assert len(units(tmp_path, name)) >= 350 * SIZE
    found = units(tmp_path, name)
    wanted = expected(0, 400 * SIZE)
    for first, end in ((50, 60), (100, 350)):
        wanted[first * SIZE : end * SIZE] = -32768
    assert (found == wanted).all()
    assert np.isnan(wfdb.rdrecord(str(tmp_path / "recordings" / "bed" / name)).p_signal[120 * SIZE]).all()


def test_records_begin_anew(tmp_path):
    with Recorder(tmp_path, rotation=10.0) as recorder:
        chunks = [numbered(SIZE * i) for i in range(250)] + [numbered(SIZE * i, stream=8) for i in range(30)]
        feed(recorder, chunks)
    lengths = [len(units(tmp_path, name)) for name in names(tmp_path)]
    assert lengths == [3600, 3600, 1800, 1080]
    assert (all_units(tmp_path)[:9000] == expected(0, 9000)).all()


def test_events_are_kept_once_and_annotated(tmp_path):
    def events(i):
        yield Beat("bed", 36 * i + 5, 36 * i + 30, "V", "V", True, {"N": 0, "S": 0, "V": 1, "F": 0, "Q": 0})
        if i == 2:
            yield Rhythm("bed", 36 * i + 5, 36 * i + 30, "VT")
            yield Alarm("bed", 77, 80, "VTACH", "high", state="raised", id="x", value=150.0, limit=100.0)

    def play(recorder, first):
        for i in range(first, 60):
            recorder.write(tick(i + 1, [Run(numbered(36 * i))], list(events(i))))

    with Recorder(tmp_path) as recorder:
        play(recorder, 0)
    with Recorder(tmp_path, resume=True) as again:
        assert again.kept == 60
        play(again, 20)
    assert rows(tmp_path, "SELECT count(*) FROM beats") == [(60,)]
    assert rows(tmp_path, "SELECT code, state, value FROM alarms") == [("VTACH", "raised", 150.0)]
    (name,) = names(tmp_path)
    assert (units(tmp_path, name) == expected(0, 60 * 36)).all()
    found = wfdb.rdann(str(tmp_path / "recordings" / "bed" / name), "atr")
    assert found.symbol == ["V", "V", "+", *"V" * 58]
    assert found.sample[3] == 77
    assert found.aux_note[2] == "(VT"
    assert found.fs == 360


def killed_writer(store, first, moments):
    """Let a writer go on for some lines, and kill it; the last sample that it told."""
    command = [sys.executable, str(WRITER), str(store), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        last = 0
        for _ in range(moments):
            last = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
    return int(rest[-1]) if rest else last


@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.slow)])
def test_every_record_can_be_read_after_kill_9(tmp_path, kills):
    rng = random.Random(kills)
    first = 0
    for _ in range(kills):
        last = killed_writer(tmp_path, first, rng.randrange(2, 40))
        for name in names(tmp_path):
            found = units(tmp_path, name)
            there = found[:, 0] != -32768
            start = int(found[0, 0])
            assert (found[there] == expected(start, start + len(found))[there]).all()
        first = last // SIZE + 1
    with Recorder(tmp_path):
        pass
    for name in names(tmp_path):
        assert (tmp_path / "recordings" / "bed" / f"{name}.atr").exists()
        assert wfdb.rdheader(str(tmp_path / "recordings" / "bed" / name)).sig_len


def test_a_tick_again_after_a_kill_is_recorded_once(tmp_path):
    last = killed_writer(tmp_path, 0, 12)
    with Recorder(tmp_path, rotation=20.0, resume=True) as recorder:
        assert recorder.kept > 0
        for i in range(recorder.kept - 5, last // SIZE + 50):
            recorder.write(tick(i + 1, [Run(numbered(i * SIZE))], now=i * 0.1))
    assert (all_units(tmp_path) == expected(0, (last // SIZE + 50) * SIZE)).all()


def test_a_full_disk_is_a_gap_and_what_was_written_stays(tmp_path, monkeypatch, caplog):
    with Recorder(tmp_path) as recorder:
        feed(recorder, [numbered(SIZE * i) for i in range(100)])
        with monkeypatch.context() as patch:

            def full(*_):
                raise OSError(28, "No space left on device")

            patch.setattr(os, "pwrite", full)
            for i in range(100, 320):
                recorder.write(tick(i + 1, [Run(numbered(SIZE * i))]))
            recorder.settle()
            assert recorder.failed == "No space left on device"
            (name,) = names(tmp_path)
            assert (units(tmp_path, name) == expected(0, len(units(tmp_path, name)))).all()
        feed(recorder, [numbered(SIZE * i) for i in range(320, 360)], 321)
        assert recorder.failed is None
    found = units(tmp_path, name)
    there = found[:, 0] != -32768
    assert len(found) == 360 * SIZE
    assert (found[there] == expected(0, 360 * SIZE)[there]).all()
    assert 0 < np.count_nonzero(~there) < 130 * SIZE
    assert sum("fails" in r.getMessage() for r in caplog.records) == 1
    assert rows(tmp_path, "SELECT reason FROM gaps")[0] == ("not recorded",)


async def test_a_full_disk_is_an_alarm_at_the_bed_until_there_is_room(tmp_path, monkeypatch):
    """From the file that cannot be written to what viewers are told, and on with monitoring (FAULTS: disk full)."""
    full, told, acknowledged = [True], [], []
    real = os.pwrite

    def pwrite(*arguments):
        if full[0]:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    class Viewers:
        def publish(self, events, *_):
            told.extend((e.bed, e.state, e.reason) for e in events if isinstance(e, Alarm) and e.code == "RECORDER")

    async def send():
        for i in range(1000):
            await inbox.hold(numbered(SIZE * i))
            acknowledged.append(i)
            await asyncio.sleep(0.02)

    async def until(condition):
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110  a poll of the code under test
                await asyncio.sleep(0.01)

    monkeypatch.setattr(os, "pwrite", pwrite)
    inbox = Inbox()
    with Recorder(tmp_path) as recorder:
        ticker = Ticker(Ward(), inbox, Viewers(), asyncio.Queue(), Settings(tick=0.02), [recorder])
        tasks = [asyncio.create_task(ticker.run()), asyncio.create_task(send())]
        await until(lambda: ("bed", "raised", "No space left on device") in told)
        before = len(acknowledged)
        await until(lambda: len(acknowledged) > before + 5)
        assert len(told) == 1
        full[0] = False
        await until(lambda: [state for _, state, _ in told] == ["raised", "cleared"])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await inbox.abandon()
    (name,) = names(tmp_path)
    found = units(tmp_path, name)
    assert (found == expected(0, len(found))).all()
    assert len(found) >= before * SIZE


@pytest.mark.skipif(os.geteuid() != 0, reason="LOUD: a tmpfs needs root; the simulated full disk runs above")
def test_a_full_tmpfs(tmp_path):
    store = tmp_path / "small"
    store.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", store], capture_output=True, check=False)
    if mount.returncode:
        pytest.skip(f"LOUD: no tmpfs can be mounted here: {mount.stderr.decode()}")
    try:
        with Recorder(store) as recorder:
            told = None
            for i in range(10_000):
                recorder.write(tick(i + 1, [Run(numbered(SIZE * i))]))
                recorder.settle()
                if recorder.failed:
                    told = i
                    break
            assert told is not None
            (name,) = names(store)
            found = units(store, name)
            assert (found == expected(0, len(found))).all()
            assert told * SIZE - len(found) <= 2 * 360, "told within 2 s"
    finally:
        subprocess.run(["umount", store], check=True)


def test_old_records_go_and_the_growing_one_stays(tmp_path):
    with Recorder(tmp_path, rotation=10.0, size=60_000) as recorder:
        feed(recorder, [numbered(SIZE * i) for i in range(2000)])
        recorder.settle()
        left = names(tmp_path)
    assert 1 < len(left) < 20
    assert sorted(rows(tmp_path, "SELECT name FROM records")) == [(name,) for name in left]


def test_a_bed_folder_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "recordings").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "recordings" / "bed").symlink_to(tmp_path / "elsewhere")
    with Recorder(tmp_path) as recorder:
        feed(recorder, [numbered(SIZE * i) for i in range(30)])
        assert recorder.failed
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_ward_alarms_on_every_bed_and_clears():
    ward = Ward(capacity=1)
    ward.feed([numbered(0)])
    told = ward.feed([numbered(SIZE)], [RecorderState(False, "full")], 0.1)
    alarm = next(e for e in told if isinstance(e, Alarm) and e.code == "RECORDER")
    assert (alarm.state, alarm.reason, alarm.kind) == ("raised", "full", "technical")
    other = numbered(0)
    other.bed = "other"
    assert [e.bed for e in ward.feed([other], now=0.2) if isinstance(e, Alarm) and e.code == "RECORDER"] == ["other"]
    ended = ward.feed([], [RecorderState(True)], 0.3)
    assert [(e.bed, e.state) for e in ended if isinstance(e, Alarm)] == [("bed", "cleared"), ("other", "cleared")]


def test_a_recording_that_is_deleted_meanwhile_is_told(tmp_path):
    with Recorder(tmp_path) as recorder:
        feed(recorder, [numbered(SIZE * i) for i in range(30)])
        assert recorder.failed is None
        (tmp_path / "recordings" / "bed" / f"{names(tmp_path)[0]}.dat").unlink()
        feed(recorder, [numbered(SIZE * i) for i in range(30, 60)], 31)
        assert recorder.failed is not None


def test_units_are_those_of_the_message_in_either_form():
    units = np.array([[1, -32768], [32767, -32767], [0, 5]], "<i2")
    made = Chunk("bed", 7, 0, 0, 250.0, np.where(units == -32768, np.nan, units * 0.005).astype(np.float32))
    binary = decode("bed", encode(made, 5.0))
    told = {"v": 1, "stream": 7, "seq": 0, "first": 0, "fs": 250, "uv": 5, "off": [], "time": 0}
    text = decode("bed", json.dumps(told | {"samples": [[1, 32767, 0], [None, -32767, 5]]}).encode())
    assert units_sent(binary) == units_sent(text) == units.tobytes()
