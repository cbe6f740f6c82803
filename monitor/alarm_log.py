"""What alarms there were, on disk: a line of JSON for each thing that happened to one, in order.

A line is an ``alarm``, ``shown`` or ``audio`` event as :mod:`monitor.events` has it, ``time``, seconds since 1970, and
``tick``, by which a tick that is told again after a crash is known.
A batch is on the disk before anybody is told of it: a monitor that is killed has told of no alarm that is not
there. What it was writing when it was killed may be torn; such a line is passed over, and the next process begins
a new one.

The file grows to :data:`LARGEST` bytes and is then put aside as ``<name>.1``, the one before as ``<name>.2``, up to
:data:`KEPT`; what is older goes.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from monitor.events import Alarm, Audio, Shown
from monitor.exceptions import ConfigError
from monitor.tick import Tick

log = logging.getLogger(__name__)

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a file: some 40 000 lines, days of a restless ward."""

KEPT: Final = 4
"""Files that were put aside."""

MOST_WAITING: Final = 100_000
"""Lines that wait for a disk that cannot be written, some 40 MB; beyond that the oldest are lost."""

RETRY_AFTER: Final = 1.0
"""Seconds after which lines that wait are tried again, though nothing was added to them."""

_LOGGED: Final = (Alarm, Shown, Audio)


class AlarmLog:
    """Appends alarms to a file; a context manager.

    When the disk is full or gone, monitoring goes on: that is logged once, and lines wait until there is room.

    Attributes:
        path: of the file; its folder is made if it is not there.
        failed: why the last batch could not be written; None: it was.
        kept: number of the last tick that the file has, with nothing to say or something.
    """

    def __init__(self, path: Path, *, largest: int = LARGEST, kept: int = KEPT) -> None:
        """Open the file, or make it.

        Raises:
            ConfigError: it cannot be opened.
        """
        self.path = path
        self.failed: str | None = None
        self._waiting: deque[bytes] = deque()  # lines that could not be written
        self._tried = 0.0  # monotonic time of the tick that last tried, s
        self._largest = largest
        self._kept = kept
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._open()
            ticks = Counter(line.get("tick", 0) for line in read_alarm_log(path))
            self.kept = max(ticks, default=0)
            self._there = ticks[self.kept]  # lines of that tick: a killed process may not have written all
        except OSError as error:
            raise ConfigError(
                f"the alarm log cannot be written ({error.strerror})",
                where=str(path),
                remedy="give another file as alarm_log",
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._waiting:
            self._write_out()
        self._file.close()

    def settle(self) -> None:
        """Return at once: what was written is on the disk."""

    def write(self, tick: Tick) -> None:
        """Append what concerns alarms, and wait until the disk has it."""
        if tick.number < self.kept:  # told again after a crash
            return
        about = {"time": tick.unix, "tick": tick.number}
        lines = [{**event.as_dict(), **about} for event in tick.events if isinstance(event, _LOGGED)]
        new = lines[self._there if tick.number == self.kept else 0 :]
        if new or (self._waiting and not 0.0 <= tick.now - self._tried < RETRY_AFTER):
            self._tried = tick.now
            self._waiting.extend(
                f"{json.dumps(line, allow_nan=False, separators=(',', ':'))}\n".encode() for line in new
            )
            self._write_out()
        if self.failed is None:
            self.kept, self._there = tick.number, len(lines)

    def _write_out(self) -> None:
        """Write what waits, or keep it."""
        try:
            self._append(b"".join(self._waiting))
        except OSError as error:
            if self.failed is None:
                log.error("the alarm log %s cannot be written: %s", self.path, error.strerror)
            self.failed = error.strerror or repr(error)
            if (lost := len(self._waiting) - MOST_WAITING) > 0:
                log.error("the alarm log %s cannot be written: its %d oldest lines are lost", self.path, lost)
                for _ in range(lost):
                    self._waiting.popleft()
        else:
            self._waiting.clear()
            if self.failed is not None:
                log.info("the alarm log can be written again")
                self.failed = None

    def _append(self, data: bytes) -> None:
        if self._file.closed:
            self._file = self._open()
        elif self._file.tell() and self._file.tell() + len(data) > self._largest:
            self._rotate()
        end = os.fstat(self._file.fileno()).st_size
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError:
            os.ftruncate(self._file.fileno(), end)  # all of it is going to be tried again
            raise

    def _open(self) -> BinaryIO:
        """Open for appending, at the beginning of a line; nothing is buffered."""
        with open(self.path, "a+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\n":
                    file.write(b"\n")
        return open(self.path, "ab", buffering=0)

    def _rotate(self) -> None:
        self._file.close()
        for number in range(self._kept - 1, 0, -1):
            older = _aside(self.path, number)
            if older.exists():
                older.replace(_aside(self.path, number + 1))
        if self.path.exists():
            self.path.replace(_aside(self.path, 1))
        self._file = self._open()


def _aside(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def read_alarm_log(path: Path) -> Iterator[dict[str, Any]]:
    """Every line of an alarm log in order, what was put aside first.

    Lines that are torn are passed over.

    Args:
        path: the file that is written.
    """
    numbers = sorted(int(p.suffix[1:]) for p in path.parent.glob(f"{path.name}.*") if p.suffix[1:].isdigit())
    for file in [*(_aside(path, number) for number in reversed(numbers)), path]:
        if not file.exists():
            continue
        for line in file.read_bytes().split(b"\n"):
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if isinstance(told, dict) and "type" in told:
                yield told
