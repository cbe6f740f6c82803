"""The recordings of a store, for those who read them; the monitor may be writing meanwhile."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from monitor.ecg import BED_PATTERN
from monitor.exceptions import ConfigError
from monitor.recorder.database import FILE, annotations_of, check_version
from monitor.recorder.headers import Recording
from monitor.recorder.mending import read_recording


@dataclass(slots=True)
class Entry:
    """One recording, as a list shows it.

    Attributes:
        number: of its row.
        bed, name, fs, leads, begun, alias, simulated: as in :class:`Recording`.
        length: samples a lead, gaps included.
        bytes: of signal.
        whole: whether it is finished.
        gaps: how many.
        beats: final ones.
        alarms: that were raised.
    """

    number: int
    bed: str
    name: str
    fs: float
    leads: list[str]
    begun: float
    alias: str
    simulated: bool
    length: int
    bytes: int
    whole: bool
    gaps: int
    beats: int
    alarms: int


def entries(store: Path, bed: str | None = None) -> list[Entry]:
    """The recordings of a store by bed and time.

    Raises:
        ConfigError: there are none, or another version wrote them.
    """
    query = """
        SELECT id, bed, name, fs, leads, begun, alias, simulated, length, bytes, closed,
            (SELECT count(*) FROM gaps WHERE record = id), (SELECT count(*) FROM beats WHERE record = id AND final = 1),
            (SELECT count(*) FROM alarms WHERE record = id AND state = 'raised')
        FROM records WHERE length > 0 AND (?1 IS NULL OR bed = ?1) ORDER BY bed, begun"""
    with closing(_open(store)) as db:
        found = db.execute(query, (bed,)).fetchall()
    return [
        Entry(row[0], row[1], row[2], row[3], json.loads(row[4]), row[5], row[6], bool(row[7]), row[8], row[9],
              bool(row[10]), row[11], row[12], row[13])
        for row in found
    ]  # fmt: skip


def find(store: Path, path: str) -> Entry:
    """The recording that a person calls ``bed/name``.

    Raises:
        ConfigError: it is not of that form, or there is no such recording.
    """
    bed, _, name = path.partition("/")
    if BED_PATTERN.fullmatch(bed) and name.isalnum():
        for entry in entries(store, bed):
            if entry.name == name:
                return entry
    raise ConfigError("no such recording", where=path[:80], remedy="wardbeat recordings list shows what there is")


def recording_of(store: Path, entry: Entry) -> Recording:
    """What a recording's header says.

    Raises:
        ConfigError: its files are not there.
    """
    folder = store / "recordings" / entry.bed
    recording = None if folder.is_symlink() else read_recording(folder, entry.name)
    if recording is None:
        raise ConfigError("its files are gone or damaged", where=f"{entry.bed}/{entry.name}")
    return recording


def beats_and_rhythms(store: Path, entry: Entry) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Beats and rhythms of a recording, by the device's sample."""
    with closing(_open(store)) as db:
        return annotations_of(db, entry.number)


def _open(store: Path) -> sqlite3.Connection:
    path = store / "recordings" / FILE
    if not path.is_file():
        raise ConfigError("no recordings here", where=str(store), remedy="name the monitor's store with --store")
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        check_version(db, path)
    except sqlite3.Error as error:
        raise ConfigError(f"cannot be read ({error})", where=str(path)) from None
    return db
