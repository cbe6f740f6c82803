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
from collections import Counter
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

_LOGGED: Final = (Alarm, Shown, Audio)


class AlarmLog:
    """Appends alarms to a file; a context manager.

    When the disk is full or gone, monitoring goes on: that is logged once, and each batch tries again.

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
        self._file.close()

    def settle(self) -> None:
        """Return at once: what was written is on the disk."""

    def write(self, tick: Tick) -> None:
        """Append what concerns alarms, and wait until the disk has it."""
        if tick.number < self.kept:  # told again after a crash
            return
        about = {"time": tick.unix, "tick": tick.number}
        lines = [{**event.as_dict(), **about} for event in tick.events if isinstance(event, _LOGGED)]
        if new := lines[self._there if tick.number == self.kept else 0 :]:
            text = "".join(f"{json.dumps(line, allow_nan=False, separators=(',', ':'))}\n" for line in new)
            try:
                self._append(text.encode())
                self.failed = None
            except OSError as error:
                if self.failed is None:
                    log.error("the alarm log %s cannot be written: %s", self.path, error.strerror)
                self.failed = error.strerror or repr(error)
        if self.failed is None:
            self.kept, self._there = tick.number, len(lines)

    def _append(self, data: bytes) -> None:
        if self._file.closed:
            self._file = self._open()
        elif self._file.tell() and self._file.tell() + len(data) > self._largest:
            self._rotate()
        if self.failed:  # half a line of the batch that failed may be there
            data = b"\n" + data
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        os.fsync(self._file.fileno())

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
