"""What the monitor said of the recordings, in SQLite: one database below ``recordings/``, in WAL mode.

A row of `beats`, `rhythms`, `alarms`, `gaps`, `quality` and `leads_off` belongs to a record. `sample` and `emitted` are
the device's indices, as in :mod:`monitor.events`; in the record a sample is at ``sample - records.first``. What a tick
said is written in one transaction with the tick's number.
"""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from monitor.ecg import AAMI_CLASSES
from monitor.exceptions import ConfigError
from monitor.recorder.headers import Recording

FILE: Final = "recordings.sqlite"
VERSION: Final = 1
"""Of the tables; noted in the database as ``user_version``."""

_TABLES: Final = """
CREATE TABLE state (kept INTEGER NOT NULL, events INTEGER NOT NULL, since REAL NOT NULL, until REAL NOT NULL);
INSERT INTO state VALUES (0, 0, 0, 0);
CREATE TABLE records (
    id INTEGER PRIMARY KEY, bed TEXT NOT NULL, name TEXT NOT NULL, stream TEXT NOT NULL, first INTEGER NOT NULL,
    fs REAL NOT NULL, uv REAL NOT NULL, leads TEXT NOT NULL, begun REAL NOT NULL, unix REAL NOT NULL,
    alias TEXT NOT NULL, simulated INTEGER NOT NULL, length INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0, closed INTEGER NOT NULL DEFAULT 0, UNIQUE (bed, name));
CREATE TABLE beats (
    record INTEGER NOT NULL, sample INTEGER NOT NULL, emitted INTEGER NOT NULL, symbol TEXT NOT NULL,
    final INTEGER NOT NULL, p BLOB, PRIMARY KEY (record, sample, final)) WITHOUT ROWID;
CREATE TABLE rhythms (
    record INTEGER NOT NULL, sample INTEGER NOT NULL, emitted INTEGER NOT NULL, label TEXT NOT NULL,
    PRIMARY KEY (record, emitted, sample)) WITHOUT ROWID;
CREATE TABLE alarms (
    number INTEGER PRIMARY KEY, record INTEGER NOT NULL, bed TEXT NOT NULL, unix REAL NOT NULL,
    sample INTEGER NOT NULL, emitted INTEGER NOT NULL, id TEXT NOT NULL, code TEXT NOT NULL, priority TEXT NOT NULL,
    kind TEXT NOT NULL, state TEXT NOT NULL, value REAL, "limit" REAL, text TEXT NOT NULL, reason TEXT, by TEXT);
CREATE INDEX alarms_of_record ON alarms (record);
CREATE TABLE gaps (
    record INTEGER NOT NULL, sample INTEGER NOT NULL, count INTEGER NOT NULL, emitted INTEGER NOT NULL,
    reason TEXT NOT NULL, PRIMARY KEY (record, sample, reason)) WITHOUT ROWID;
CREATE TABLE quality (
    record INTEGER NOT NULL, sample INTEGER NOT NULL, emitted INTEGER NOT NULL, lead TEXT NOT NULL,
    ok INTEGER NOT NULL, reason TEXT, PRIMARY KEY (record, emitted, lead, sample)) WITHOUT ROWID;
CREATE TABLE leads_off (
    record INTEGER NOT NULL, sample INTEGER NOT NULL, leads INTEGER NOT NULL,
    PRIMARY KEY (record, sample)) WITHOUT ROWID;
"""

OF_RECORD: Final = ("beats", "rhythms", "alarms", "gaps", "quality", "leads_off")
"""Tables whose rows go with their record."""

_INSERTS: Final = {
    "beats": "INSERT OR REPLACE INTO beats VALUES (?, ?, ?, ?, ?, ?)",
    "rhythms": "INSERT OR REPLACE INTO rhythms VALUES (?, ?, ?, ?)",
    "alarms": "INSERT INTO alarms VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "gaps": "INSERT OR REPLACE INTO gaps VALUES (?, ?, ?, ?, ?)",
    "quality": "INSERT OR REPLACE INTO quality VALUES (?, ?, ?, ?, ?, ?)",
    "leads_off": "INSERT OR REPLACE INTO leads_off VALUES (?, ?, ?)",
}
_P: Final = struct.Struct(f"<{len(AAMI_CLASSES)}H")
_P_SCALE: Final = 10_000
"""Probabilities are kept to four decimals, as events have them."""

_BUSY: Final = 5.0
"""Seconds for which a reader waits for a lock."""


@dataclass(slots=True)
class State:
    """How far the database is.

    Attributes:
        kept: every tick up to this one is kept, samples and events.
        events: every tick's events up to this one are.
        since, until: times of the first tick of this count and of tick `events`, seconds since 1970.
    """

    kept: int = 0
    events: int = 0
    since: float = 0.0
    until: float = 0.0


def pack_p(p: Mapping[str, float] | None) -> bytes | None:
    """Probabilities of the classes N S V F Q, in ten-thousandths, two bytes each.

    >>> pack_p({"N": 0.5, "S": 0.25, "V": 0.25, "F": 0.0, "Q": 0.0}).hex()
    '8813c409c40900000000'
    """
    return None if p is None else _P.pack(*(round(_P_SCALE * p[name]) for name in AAMI_CLASSES))


def unpack_p(data: bytes | None) -> dict[str, float] | None:
    """What :func:`pack_p` packed."""
    if data is None:
        return None
    return {name: value / _P_SCALE for name, value in zip(AAMI_CLASSES, _P.unpack(data), strict=True)}


class Store:
    """The database, as the recorder writes it."""

    def __init__(self, folder: Path) -> None:
        """Open or make it.

        Raises:
            ConfigError: another version of wardbeat made it.
            OSError, sqlite3.Error: it cannot be opened.
        """
        path = folder / FILE
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            check_version(self._db, path, or_empty=True)
            if self._db.execute("PRAGMA user_version").fetchone()[0] == 0:
                self._db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
            path.chmod(0o640)
            self.state = State(*self._db.execute("SELECT kept, events, since, until FROM state").fetchone())
            self._last = self._db.execute("SELECT coalesce(max(id), 0) FROM records").fetchone()[0]
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close it."""
        self._db.close()

    def next_number(self) -> int:
        """A number for a new record's row."""
        self._last += 1
        return int(self._last)

    def commit(
        self,
        state: State,
        begun: Iterable[tuple[int, Recording]],
        rows: Mapping[str, Sequence[tuple[Any, ...]]],
        lengths: Iterable[tuple[int, int, bool, int]],
    ) -> None:
        """Write everything in one transaction.

        Args:
            state: how far that brings the database.
            begun: new records or such as are described anew, with their numbers.
            rows: of the tables, by table.
            lengths: samples, bytes, whether it is whole, and number, of records.

        Raises:
            sqlite3.Error: nothing was written.
        """
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for number, recording in begun:
                self._note(number, recording)
            for table, values in rows.items():
                self._db.executemany(_INSERTS[table], values)
            self._db.executemany("UPDATE records SET length = ?, bytes = ?, closed = ? WHERE id = ?", lengths)
            told = (state.kept, state.events, state.since, state.until)
            self._db.execute("UPDATE state SET kept = ?, events = ?, since = ?, until = ?", told)
            self._db.execute("COMMIT")
            self.state = State(*told)
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _note(self, number: int, recording: Recording) -> None:
        fields = {
            "bed": recording.bed,
            "name": recording.name,
            "stream": f"{recording.stream:x}",
            "first": recording.first,
            "fs": recording.fs,
            "uv": recording.uv,
            "leads": json.dumps(recording.leads),
            "begun": recording.begun,
            "unix": recording.unix,
            "alias": recording.alias,
            "simulated": int(recording.simulated),
        }
        changes = ", ".join(f"{name} = excluded.{name}" for name in fields)
        self._db.execute(
            f"INSERT INTO records (id, {', '.join(fields)}) VALUES (?{', ?' * len(fields)}) "
            f"ON CONFLICT (id) DO UPDATE SET {changes}",
            (number, *fields.values()),
        )

    def numbers(self) -> dict[tuple[str, str], tuple[int, bool]]:
        """Bed and name of every record, with its number and whether it is whole."""
        rows = self._db.execute("SELECT bed, name, id, closed FROM records")
        return {(bed, name): (number, bool(closed)) for bed, name, number, closed in rows}

    def annotations(self, number: int) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
        """Final beats, and rhythms in the order in which they were told: sample and symbol or label."""
        return annotations_of(self._db, number)

    def size(self) -> int:
        """Bytes of all signals and of the database."""
        (signals,) = self._db.execute("SELECT coalesce(sum(bytes), 0) FROM records").fetchone()
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
        (page,) = self._db.execute("PRAGMA page_size").fetchone()
        return int(signals + (pages - free) * page)

    def oldest(self, count: int) -> list[tuple[int, str, str, int, float]]:
        """Whole records, the oldest first: number, bed, name, bytes, beginning (seconds since 1970)."""
        query = "SELECT id, bed, name, bytes, unix FROM records WHERE closed = 1 ORDER BY unix, id LIMIT ?"
        return self._db.execute(query, (count,)).fetchall()

    def forget(self, number: int) -> None:
        """Delete a record's rows."""
        self._db.execute("BEGIN IMMEDIATE")
        for table in OF_RECORD:
            self._db.execute(f"DELETE FROM {table} WHERE record = ?", (number,))
        self._db.execute("DELETE FROM records WHERE id = ?", (number,))
        self._db.execute("COMMIT")


def check_version(db: sqlite3.Connection, path: Path, *, or_empty: bool = False) -> None:
    """See that this version of wardbeat can read a database.

    Raises:
        ConfigError: it cannot.
    """
    with closing(db.execute("PRAGMA user_version")) as found:
        version = found.fetchone()[0]
    if version != VERSION and not (or_empty and version == 0):
        raise ConfigError(
            f"its tables are of version {version}; this wardbeat knows version {VERSION}",
            where=str(path),
            remedy="use the wardbeat that wrote it, or another store",
        )


def annotations_of(db: sqlite3.Connection, number: int) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """As :meth:`Store.annotations` says."""
    beats = db.execute("SELECT sample, symbol FROM beats WHERE record = ? AND final = 1 ORDER BY sample", (number,))
    rhythms = db.execute("SELECT sample, label FROM rhythms WHERE record = ? ORDER BY emitted, sample", (number,))
    return beats.fetchall(), rhythms.fetchall()
