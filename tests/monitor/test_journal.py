"""The journal: entries as they were, torn ones cut off, and what it costs to lack one."""

from __future__ import annotations

import dataclasses
import logging
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.commands import (
    Acknowledge,
    AcknowledgeAll,
    Command,
    Describe,
    PauseAudio,
    RecorderState,
    Relearn,
    Resumed,
    SetLimits,
    SetPaced,
    SetProfile,
    Shown,
    as_dict,
    command_of,
)
from monitor.exceptions import ConfigError
from monitor.journal import Entry, Journal, pack, unpack
from monitor.messages import Chunk, decode, encode

COMMANDS: tuple[Command, ...] = (
    Acknowledge("a", "a:1:TACHY:5", "Ada"),
    AcknowledgeAll("a"),
    Shown("a", "x", "wall"),
    PauseAudio(None, True, 60.0, "Ada"),
    SetLimits("a", low=45.5, vt_count=6),
    SetProfile("a", "neonatal"),
    SetPaced("a", True),
    Relearn("a"),
    Describe("a", ("II", "V5"), "Bettina \u2764", True),
    Resumed(),
    RecorderState(False, "disk full"),
)


def chunk(seq=0, bed="bed-01", n=25):
    samples = np.full((n, 2), 0.005 * seq, np.float32)
    return decode(bed, encode(Chunk(bed, 7, seq, n * seq, 250.0, samples)))


def entry(number, chunks=1):
    return Entry(number, 0.05 * number, 1e9 + number, [chunk(number + i) for i in range(chunks)])


def same(one, other):
    """Chunks have arrays, so entries do not compare."""
    plain = [dataclasses.replace(each, chunks=(), commands=tuple(each.commands)) for each in (one, other)]
    assert plain[0] == plain[1]
    assert [(c.bed, c.payload) for c in one.chunks] == [(c.bed, c.payload) for c in other.chunks]
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(one.chunks, other.chunks, strict=True))


def test_every_command_goes_there_and_back():
    assert {type(command) for command in COMMANDS} == set(Command.__args__)
    for command in COMMANDS:
        assert command_of(as_dict(command)) == command
    for wrong in ({"command": "Explode"}, {"command": "Relearn"}, {"command": "Relearn", "bed": "a", "x": 1}, {}):
        with pytest.raises(ValueError, match=r"."):
            command_of(wrong)


def test_an_entry_goes_there_and_back():
    written = Entry(2**60, 1e-9, 1.7e9, [chunk(1), chunk(2, "b" * 64)], COMMANDS)
    same(unpack(pack(written)[8:]), dataclasses.replace(written, commands=list(COMMANDS)))


def test_a_chunk_made_here_is_journalled_as_it_would_be_sent():
    made = Chunk("a", 7, 3, 75, 250.0, np.array([[1.0], [np.nan], [np.inf], [-np.inf]], np.float32), 1, 5)
    (found,) = unpack(pack(Entry(1, 0.0, 0.0, [made]))[8:]).chunks
    assert np.array_equal(found.samples, made.samples, equal_nan=True)
    assert (found.stream, found.seq, found.first, found.fs, found.lead_off, found.time_us) == (7, 3, 75, 250.0, 1, 5)


def test_entries_are_read_after_a_number_across_files(tmp_path):
    with Journal(tmp_path) as journal:
        for number in range(1, 31):
            if number in (11, 21):
                journal.begin(number)
            assert journal.append(entry(number, number % 3))
        assert [path.stem.lstrip("0") for path in journal.files()] == ["1", "11", "21"]
    with Journal(tmp_path) as journal:
        for after in (0, 1, 9, 10, 11, 20, 29, 30, 99):
            found = list(journal.read_after(after))
            assert [each.number for each in found] == list(range(after + 1, 31))
            for each in found:
                same(each, entry(each.number, each.number % 3))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_what_is_torn_is_cut_off_and_what_is_damaged_ends_it(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("journal")
    ends = [0]
    with Journal(folder) as journal:
        for number in range(1, 8):
            journal.append(entry(number))
            ends.append(journal.bytes_written)
        (path,) = journal.files()
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:at]
    else:
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    whole = max(i for i, end in enumerate(ends) if end <= at)
    with Journal(folder) as journal:
        assert [each.number for each in journal.read_after(0)] == list(range(1, whole + 1))
        assert path.stat().st_size == ends[whole]


def test_a_hole_ends_what_can_be_read(tmp_path, caplog):
    with Journal(tmp_path) as journal:
        for number in (1, 2, 5):
            journal.append(entry(number))
        assert [each.number for each in journal.read_after(0)] == [1, 2]
    assert "the journal lacks ticks 3 to 4" in caplog.text


def test_files_are_dropped_by_what_is_needed_and_by_size(tmp_path, caplog):
    with Journal(tmp_path) as journal:
        for number in range(1, 31):
            if number % 10 == 1:
                journal.begin(number)
            journal.append(entry(number))
        journal.drop_before(10)
        assert len(journal.files()) == 3
        journal.drop_before(11)
        assert [int(path.stem) for path in journal.files()] == [11, 21]
        assert not caplog.records
        journal.drop_beyond(1)
        assert [int(path.stem) for path in journal.files()] == [21], "the one that is written stays"
    assert "too large" in caplog.text


def test_an_entry_is_there_when_append_returns_and_flushed_within_a_second(tmp_path, monkeypatch):
    flushed = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (flushed.append(os.fstat(fd).st_size), real(fd)))
    monkeypatch.setattr("monitor.journal.FLUSH_EVERY", 0.01)
    with Journal(tmp_path) as journal:
        journal.append(entry(1))
        assert next(journal.read_after(0)).number == 1
    assert flushed[-1] == journal.bytes_written


def test_torn_bytes_are_told(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    (tmp_path / "0000000000000001.wbj").write_bytes(pack(entry(1)) + b"torn")
    (tmp_path / "notes.wbj").write_text("not ours")
    with Journal(tmp_path) as journal:
        assert [each.number for each in journal.read_after(0)] == [1]
    assert "4 bytes at its end were torn" in caplog.text


def test_a_version_that_cannot_be_read_is_refused(tmp_path):
    with Journal(tmp_path) as journal:
        data = pack(Entry(1, 0.0, 0.0, (), [Relearn("a")])).replace(b"Relearn", b"Dismiss")
        import struct
        import zlib

        (tmp_path / "0000000000000001.wbj").write_bytes(
            struct.pack("<II", len(data) - 8, zlib.crc32(data[8:])) + data[8:]
        )
        with pytest.raises(ConfigError, match=r"tick 1 cannot be read \(no command 'Dismiss'\)"):
            list(journal.read_after(0))


def test_what_could_not_be_flushed_is_a_hole(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(5, "Input/output error")

    with Journal(tmp_path) as journal:
        assert journal.append(entry(1))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", fail)
            journal._flush()
        assert not journal.append(entry(2))
        assert journal.failed == "Input/output error"
        journal.begin(3)
        assert journal.append(entry(3))
        assert journal.failed is None
