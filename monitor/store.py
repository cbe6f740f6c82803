"""What outlives the process: journal and snapshots, and a ward made of them again.

A ward is its newest snapshot and the journal's ticks after it, fed again as they were: the same numbers, times, events.
The ticks so made are given to the sinks once more, and each sink passes over what it already has.

Every :data:`EVERY` seconds the state is copied between two ticks and written by a thread; the last two snapshots are
kept, so that a damaged one leaves another. A snapshot of another layout is refused: the ward then learns anew from
what the journal still has, and says so.

When the disk fails monitoring goes on, without: :attr:`Store.failed` says so. Once it works again a snapshot comes
first, since the journal has a hole.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from monitor.exceptions import ConfigError
from monitor.journal import Entry, Journal, sync_folder
from monitor.tick import Sink, Tick

if TYPE_CHECKING:
    from monitor.ward import Ward

log = logging.getLogger(__name__)

EVERY: Final = 30.0
"""Seconds between two snapshots: 9 MB for 64 beds. Restoring feeds as many again, at thousands of times real time."""

KEPT: Final = 2
"""Snapshots kept."""

RETRY_AFTER: Final = 1.0
"""Seconds after which a disk that failed is tried again."""

SETTLE_EVERY: Final = 100
"""Ticks fed again after which the sinks are waited for: they come faster than ever while living."""

LARGEST: Final = 4 << 30
"""Bytes of journal kept for sinks that are behind; a sink further behind than that loses ticks."""

_SUFFIX: Final = ".wbs"
_PART: Final = ".part"
_Pack = Callable[[bytes, NDArray[np.void]], tuple[bytes, memoryview]]


class Store:
    """The journal and the snapshots of a ward, in a folder; a context manager.

    Attributes:
        journal: the journal.
        number: of the last tick that was restored or appended.
        restored: the tick at which it went on from what was there; 0: nothing was.
        snapshot: tick of the newest snapshot that this process wrote.
        snapshots_failed: how many could not be written.
        failed: why something could not be written when it was last tried; None: all is well.
    """

    def __init__(self, folder: Path, *, every: float = EVERY, clock: Callable[[], float] = time.monotonic) -> None:
        """Open the folder, or make it.

        Args:
            folder: of ``journal`` and ``snapshots``.
            every: seconds between two snapshots.
            clock: monotonic seconds, for the snapshots.

        Raises:
            ConfigError: it cannot be written.
        """
        self.journal = Journal(folder / "journal")
        self.number = self.restored = self.snapshot = self.snapshots_failed = 0
        self._folder = folder / "snapshots"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for torn in self._folder.glob(f"*{_PART}"):
                torn.unlink()
        except OSError as error:
            raise ConfigError(f"no snapshots can be written ({error.strerror})", where=str(self._folder)) from None
        self._every = every
        self._clock = clock
        self._due = clock() + every
        self._retry = 0.0
        self._unix = 0.0
        self._writer: threading.Thread | None = None
        self._rows: NDArray[np.void] | None = None
        self._snapshot_failed: str | None = None

    @property
    def failed(self) -> str | None:
        return self.journal.failed or self._snapshot_failed

    def __enter__(self) -> Self:
        self.journal.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.settle()
        self.journal.__exit__()

    def restore(self, ward: Ward, sinks: Sequence[Sink] = ()) -> float:
        """Make a new ward what it was: the newest snapshot, and the ticks after it as they were.

        A tick that cannot be fed again - the one at which the monitor failed - is left out: nothing of it was
        acknowledged, and the broker delivers it again.

        Args:
            ward: that nothing has been fed to.
            sinks: are given those ticks once more.

        Returns:
            What the ward's time is now, s: it goes on where it was, by as much as the wall clock did.

        Raises:
            ConfigError: the journal is of another version.
        """
        begin, nothing = self._clock(), b"".join(ward.pack_all(*ward.snapshot_all()))
        told, poison = 0, None
        while True:
            now, failed = self._base(ward, nothing, sinks), None
            for entry in self.journal.read_after(self.number):
                if entry.number == poison:
                    break
                try:
                    events = ward.feed(entry.chunks, entry.commands, entry.now)
                except Exception:
                    log.exception("tick %d cannot be fed again: it is left out", entry.number)
                    failed = entry.number
                    break
                self.number, self._unix, now = entry.number, entry.unix, entry.now
                if entry.number > told:
                    told = entry.number
                    tick = tick_of(entry, events, ward)
                    for sink in sinks:
                        sink.write(tick)
                        if told % SETTLE_EVERY == 0:
                            sink.settle()
            if failed is None:
                break
            poison = failed  # once more, up to there: the ward is halfway into it
        if not (self.number or poison or self.journal.files()):
            return now
        log.info("restored tick %d, %d beds, in %.1f s", self.number, len(ward.beds()), self._clock() - begin)
        self.restored = self.number
        self.number = max(self.number, poison or 0, *(sink.kept for sink in sinks))
        self._drop_after(self.number)
        self._begin_anew(ward)
        return now + max(time.time() - self._unix, 0.0)

    def append(self, entry: Entry, ward: Ward) -> None:
        """Write what the ward is about to be given."""
        well = self.journal.failed is None or (self._clock() >= self._retry and self._begin_anew(ward))
        if well and not self.journal.append(entry):
            self._retry = self._clock() + RETRY_AFTER
        self.number, self._unix = entry.number, entry.unix

    def keep(self, ward: Ward, sinks: Sequence[Sink]) -> None:
        """After a tick: begin a snapshot if one is due. It is written while the ward goes on.

        Args:
            ward: between two ticks.
            sinks: what they have not kept stays in the journal.
        """
        writing = self._writer is not None and self._writer.is_alive()
        if self._clock() < self._due or self.journal.failed is not None or writing:
            return
        self._due = self._clock() + self._every
        text, rows = ward.snapshot_all(tick=self.number, unix=self._unix)
        if self._rows is None or len(self._rows) < len(rows):
            self._rows = np.zeros(len(ward.state), rows.dtype)
        copied = self._rows[: len(rows)]
        copied[:] = rows
        try:
            self.journal.begin(self.number + 1)
        except OSError as error:
            self._snapshot_failed = error.strerror or repr(error)
            return
        needed = min([self.number, *(sink.kept for sink in sinks)])
        work = (ward.pack_all, self.number, text, copied, needed)
        self._writer = threading.Thread(target=self._write, args=work, name="snapshot", daemon=True)
        self._writer.start()

    def _begin_anew(self, ward: Ward) -> bool:
        """A snapshot now, and a new file of the journal after it; whether that was possible."""
        self.settle()
        self._retry = self._clock() + RETRY_AFTER
        text, rows = ward.snapshot_all(tick=self.number, unix=self._unix)
        if not self._has_room(len(text) + rows.nbytes):  # not to write for nothing what may be large
            return False
        if not self._write(ward.pack_all, self.number, text, rows, 0):
            return False
        try:
            self.journal.begin(self.number + 1)
        except OSError as error:
            self.journal.failed = error.strerror or repr(error)
            return False
        return True

    def _has_room(self, size: int) -> bool:
        try:
            return shutil.disk_usage(self._folder).free >= size
        except OSError:
            return False

    def _drop_after(self, number: int) -> None:
        """Remove what is of ticks that are going to be counted again: it follows a hole and cannot be reached."""
        self.journal.drop_after(number)
        for path in self._files():
            if int(path.stem) > number:
                log.error("snapshot %s follows a hole in the journal and is dropped", path.name)
                path.unlink(missing_ok=True)

    def _write(self, pack: _Pack, number: int, text: bytes, rows: NDArray[np.void], needed: int) -> bool:
        """Write a tick's snapshot whole or not at all, then drop what it makes needless."""
        path = self._folder / f"{number:016d}{_SUFFIX}"
        part = path.with_suffix(_PART)
        try:
            with open(part, "wb") as file:
                for piece in pack(text, rows):
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            sync_folder(self._folder)  # before what it makes needless goes
            for old in self._files()[:-KEPT]:
                old.unlink(missing_ok=True)
            self.journal.drop_before(min(needed, int(self._files()[0].stem)) + 1)
            self.journal.drop_beyond(LARGEST)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            self.snapshots_failed += 1
            if self._snapshot_failed is None:
                log.error("no snapshot can be written in %s: %s", self._folder, error.strerror)
            self._snapshot_failed = error.strerror or repr(error)
            return False
        self.snapshot = number
        self._snapshot_failed = None
        return True

    def _files(self) -> list[Path]:
        return sorted(path for path in self._folder.glob(f"*{_SUFFIX}") if path.stem.isdecimal())

    def _base(self, ward: Ward, nothing: bytes, sinks: Sequence[Sink]) -> float:
        """Put a snapshot back, or nothing; the ward's time then.

        The newest one at which every sink had kept all before; else the oldest, so that they lack as little as can be.
        """
        files = self._files()
        early = [path for path in files if all(int(path.stem) <= sink.kept for sink in sinks)]
        for path in [*reversed(early), *(path for path in files if path not in early)]:
            try:
                head = ward.restore_all(path.read_bytes())
            except (OSError, ConfigError) as error:
                log.error("snapshot %s is passed over: %s", path.name, getattr(error, "what", error))
                continue
            self.number, self._unix = head["tick"], head["unix"]
            return float(head["now"])
        ward.restore_all(nothing)
        first = next(iter(self.journal.files()), None)
        self.number = 0 if first is None else int(first.stem) - 1
        if self.number:
            log.error("no snapshot can be used: every bed learns anew, from tick %d on", self.number + 1)
        return 0.0

    def settle(self) -> None:
        """Wait until a snapshot that is being written is on the disk."""
        if self._writer is not None:
            self._writer.join()


def tick_of(entry: Entry, events: Sequence[Any], ward: Ward) -> Tick:
    """The tick that an entry makes: what the ward said, and what it shows."""
    return Tick(entry.number, entry.now, entry.unix, events, ward.released(), ward.waves(), ward.beds())
