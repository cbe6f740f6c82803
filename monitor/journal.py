"""What the ward was given, on disk before it is acknowledged: an append-only log, an entry a tick.

The ward is a function of what it is given, so a snapshot and the entries after it are the ward. An entry::

    u32  length of what follows the CRC
    u32  CRC-32 of it
    u64  number of the tick
    f64  the ward's time, s
    f64  seconds since 1970
    u16  number of commands; of each: u32 length, JSON (monitor.commands.as_dict)
    u32  number of messages; of each: u8 length of the bed's id, u32 length of the payload, id, payload as it came

Files are named by the number of their first tick. An entry is written by one call, before the ward is fed: a process
that is killed at any moment loses nothing that it acknowledged. What a power failure may take is the last second: the
file is flushed to the disk once a second, by a thread, since a disk may take its time. A torn entry at the end is what
was being written when the monitor was killed; nothing of it was acknowledged, and it is cut off.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Self

from monitor.commands import Command, as_dict, command_of
from monitor.exceptions import ConfigError, WardbeatError
from monitor.messages import Chunk, decode, encode

log = logging.getLogger(__name__)

FLUSH_EVERY: Final = 1.0
"""Seconds between two flushes to the disk."""

SUFFIX: Final = ".wbj"
_FRAME: Final = struct.Struct("<II")
_HEAD: Final = struct.Struct("<Qdd")
_COUNT: Final = struct.Struct("<HI")
_COMMAND: Final = struct.Struct("<I")
_MESSAGE: Final = struct.Struct("<BI")
_LONGEST: Final = 1 << 30
"""Bytes; a longer entry is none."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one tick gave the ward.

    Attributes:
        number: of the tick.
        now: the ward's time, s.
        unix: seconds since 1970.
        chunks: in order of arrival.
        commands: in order.
    """

    number: int
    now: float
    unix: float
    chunks: Sequence[Chunk] = ()
    commands: Sequence[Command] = ()


def pack(entry: Entry) -> bytes:
    """An entry as bytes."""
    parts = [_HEAD.pack(entry.number, entry.now, entry.unix), _COUNT.pack(len(entry.commands), len(entry.chunks))]
    for command in entry.commands:
        text = json.dumps(as_dict(command)).encode()
        parts += (_COMMAND.pack(len(text)), text)
    for chunk in entry.chunks:
        bed, payload = chunk.bed.encode(), chunk.payload or encode(chunk, chunk.uv)
        parts += (_MESSAGE.pack(len(bed), len(payload)), bed, payload)
    body = b"".join(parts)
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def unpack(body: bytes) -> Entry:
    """An entry from its bytes, without the frame.

    Raises:
        ValueError, WardbeatError: it is none, or of another version.
    """
    number, now, unix = _HEAD.unpack_from(body)
    commands, messages = _COUNT.unpack_from(body, _HEAD.size)
    at = _HEAD.size + _COUNT.size
    told: list[Command] = []
    for _ in range(commands):
        (length,) = _COMMAND.unpack_from(body, at)
        at += _COMMAND.size
        told.append(command_of(json.loads(body[at : at + length])))
        at += length
    chunks = []
    for _ in range(messages):
        name, length = _MESSAGE.unpack_from(body, at)
        at += _MESSAGE.size
        chunks.append(decode(body[at : at + name].decode(), body[at + name : at + name + length]))
        at += name + length
    return Entry(number, now, unix, chunks, told)


class Journal:
    """Appends entries to files in a folder; a context manager.

    Attributes:
        folder: of the files.
        failed: why the last entry could not be written; None: it was.
        bytes_written: since the start.
    """

    def __init__(self, folder: Path) -> None:
        """Open the folder, or make it, and cut off what is torn.

        Raises:
            ConfigError: it cannot be written.
        """
        self.folder = folder
        self.failed: str | None = None
        self.bytes_written = 0
        self._file: int | None = None
        self._old: list[int] = []  # files that are full: the flusher alone closes files, so what it flushes is open
        self._dirty = False
        self._begun = False  # a file that its folder may not have on the disk
        self._unflushed: OSError | None = None  # told to the next append: what the flusher could not flush is gone
        self._ended = threading.Event()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for path in self.files()[
                -1:
            ]:  # the only one that may be gone on with; torn entries of others are passed over
                _cut_torn(path)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(13, os.strerror(13))
        except OSError as error:
            raise ConfigError(
                f"the journal cannot be written ({error.strerror})",
                where=str(folder),
                remedy="give another folder as store, or --no-store to keep nothing",
            ) from None
        self._flusher = threading.Thread(target=self._flush_on_and_on, name="journal", daemon=True)

    def __enter__(self) -> Self:
        self._flusher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._flusher.join()
        self._retire()
        self._flush()

    def files(self) -> list[Path]:
        """The files there are, oldest first."""
        return sorted(path for path in self.folder.glob(f"*{SUFFIX}") if path.stem.isdecimal())

    def append(self, entry: Entry) -> bool:
        """Write an entry; tell whether it is there. If not there is a hole: a snapshot and a new file must follow."""
        try:
            if (error := self._unflushed) is not None:
                self._unflushed = None
                raise error
            if self._file is None:
                self.begin(entry.number)
            data = memoryview(pack(entry))
            assert self._file is not None
            while data:
                written = os.write(self._file, data)
                self.bytes_written += written
                data = data[written:]
            self._dirty = True
        except OSError as error:
            self._fail(error)
            return False
        if self.failed is not None:
            log.info("the journal can be written again")
            self.failed = None
        return True

    def begin(self, number: int) -> None:
        """Begin a new file, with the tick of that number.

        Raises:
            OSError: that is not possible.
        """
        self._retire()
        name = f"{number:016d}{SUFFIX}"
        self._file = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._begun = True

    def drop_before(self, number: int) -> None:
        """Remove the files that have only ticks before that number."""
        files = self.files()
        for path, following in pairwise(files):
            if int(following.stem) <= number:
                path.unlink(missing_ok=True)

    def drop_after(self, number: int) -> None:
        """Remove the files that begin after that tick."""
        for path in self.files():
            if int(path.stem) > number:
                log.error("%s follows a hole in the journal and is dropped", path)
                path.unlink(missing_ok=True)

    def drop_beyond(self, largest: int) -> None:
        """Remove the oldest files until all of them together have at most `largest` bytes; the last one stays."""
        files = self.files()
        total = sum(path.stat().st_size for path in files)
        for path in files[:-1]:
            if total <= largest:
                break
            log.error("the journal is too large: %s is dropped, and what had not been kept of it is lost", path.name)
            total -= path.stat().st_size
            path.unlink(missing_ok=True)

    def read_after(self, number: int) -> Iterator[Entry]:
        """The entries after a tick, in order, up to the first one that is missing.

        Raises:
            ConfigError: an entry is of another version.
        """
        expected = number + 1
        files = self.files()
        for i, path in enumerate(files):
            if i + 1 < len(files) and int(files[i + 1].stem) <= expected:
                continue
            for body in _bodies(path):
                (found,) = struct.unpack_from("<Q", body)
                if found < expected:
                    continue
                if found > expected:
                    log.error("the journal lacks ticks %d to %d: what came after them is left out", expected, found - 1)
                    return
                try:
                    yield unpack(body)
                except (ValueError, KeyError, TypeError, struct.error, WardbeatError) as error:
                    remedy = f"put {self.folder} aside; what it holds is lost to this version"
                    raise ConfigError(f"the journal's tick {found} cannot be read ({error})", remedy=remedy) from None
                expected += 1

    def _fail(self, error: OSError) -> None:
        reason = error.strerror or repr(error)
        if self.failed is None:
            log.error("the journal in %s cannot be written: %s; monitoring goes on without it", self.folder, reason)
        self.failed = reason
        self._retire()

    def _retire(self) -> None:
        if self._file is not None:
            self._old.append(self._file)
            self._file = None

    def _flush_on_and_on(self) -> None:
        while not self._ended.wait(FLUSH_EVERY):
            self._flush()

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, False
        begun, self._begun = self._begun, False
        current = self._file
        try:
            if dirty and current is not None:
                os.fdatasync(current)
            while self._old:
                descriptor = self._old.pop(0)
                try:
                    os.fdatasync(descriptor)
                finally:
                    os.close(descriptor)
            if begun:
                sync_folder(self.folder)
        except OSError as error:
            self._unflushed = error


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names of a folder's files.

    Raises:
        OSError: it does not take them.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _bodies(path: Path) -> Iterator[bytes]:
    """The entries of a file, whole ones only."""
    for at, end in _entries(data := path.read_bytes()):
        yield data[at:end]


def _entries(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each whole entry's body lies, up to the first that is torn or damaged."""
    at = 0
    while at + _FRAME.size <= len(data):
        length, check = _FRAME.unpack_from(data, at)
        begin, end = at + _FRAME.size, at + _FRAME.size + length
        if not _HEAD.size <= length <= _LONGEST or end > len(data) or zlib.crc32(data[begin:end]) != check:
            return
        yield begin, end
        at = end


def _cut_torn(path: Path) -> None:
    data = path.read_bytes()
    end = max((end for _, end in _entries(data)), default=0)
    if end < len(data):
        log.warning("%s: %d bytes at its end were torn and are cut off", path, len(data) - end)
        os.truncate(path, end)
