"""The sink of ticks that records.

A tick only hands over what came (:meth:`Recorder.write`); one thread of the recorder's own does the rest: it lets
samples wait for about a second a bed, the beds one after the other, and commits what the ward said once a second,
with the number of the tick. Another waits now and then until the disk has it all. So a slow disk stalls no tick.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sqlite3
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from monitor.ecg import check_bed
from monitor.events import Alarm, Beat, Event, Gap, Quality, Rhythm, take_rhythm
from monitor.exceptions import ConfigError
from monitor.recorder.annotations import encode
from monitor.recorder.database import State, Store, pack_p
from monitor.recorder.growing import FOLDER_MODE, Growing
from monitor.recorder.headers import Recording, lead_names
from monitor.recorder.mending import unfinished
from monitor.recorder.retention import clear_up
from monitor.recorder.track import Track
from monitor.sequencer import Run
from monitor.tick import Tick
from monitor.views import BedView

log = logging.getLogger(__name__)

HOUR: Final = 3600.0
WAKE: Final = 0.25
"""Seconds between two looks for what is to be done: to be woken by each tick would cost more than the work."""
COMMIT: Final = 1.0
"""Seconds between two transactions."""
LATE: Final = 2.0
"""Seconds after which samples are written though there is not a second of them."""
SILENT: Final = 600.0
"""Seconds without samples after which a record ends."""
SETTLE: Final = 5.0
"""Seconds after a record's end in which beats of it may still be named."""
SYNC: Final = 10.0
"""Seconds between two waits for the disk."""
CLEAR_UP: Final = 60.0
"""Seconds between two looks for what is too old."""
MOST_TICKS: Final = 400
"""Ticks that wait for the thread, some 20 s; the ticks of a disk slower than that are lost."""
STUCK: Final = 1.5
"""Seconds after which a step that does not end counts as failed."""
MOST_ROWS: Final = 200_000
"""Rows that wait for a database that cannot be written."""
_GOLDEN: Final = 0.618
_FAILURES: Final = (OSError, sqlite3.Error)


@dataclass(slots=True)
class _Job:
    number: int
    now: float
    unix: float
    events: Sequence[Event]
    released: Sequence[tuple[str, Run]]


class Recorder:
    """Keeps samples and events; a context manager.

    When the disk is full or gone, monitoring goes on: that is logged once and tried again each second, samples wait for
    ten seconds, and what is lost then is a gap in the recording.

    Attributes:
        root: the folder ``recordings``.
        kept: every tick up to this one is on the disk for good.
        failed: why recording fails; None: it does not.
    """

    def __init__(
        self,
        store: Path,
        *,
        rotation: float = HOUR,
        days: float | None = None,
        size: int | None = None,
        resume: bool = False,
    ) -> None:
        """Open what is there, and mend it.

        Args:
            store: the folder in which ``recordings`` lies or is made.
            rotation: seconds of signal in a record.
            days: age at which records go; None: they stay.
            size: bytes that all may have; None: any.
            resume: ticks are counted on from those of the process before: some may come again.

        Raises:
            ConfigError: another version of wardbeat made the database.
        """
        self.root = store / "recordings"
        self.kept = 0
        self.failed: str | None = None
        self._rotation, self._days, self._size, self._resume = rotation, days, size, resume
        self._jobs: deque[_Job] = deque()
        self._views: Sequence[BedView] = ()
        self._wake = threading.Condition()
        self._stopping = False
        self._hurry = False  # somebody waits for the thread
        self._busy_since: float | None = None  # monotonic
        self._overrun = False
        self._store: Store | None = None
        self._state = State()
        self._replaying = False
        self._tracks: dict[str, Track] = {}
        self._places: dict[str, int] = {}  # of beds in the views
        self._begun: list[tuple[int, Recording]] = []
        self._rows: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self._whole: deque[tuple[Growing, float]] = deque()  # with when they ended
        self._restarted: list[Track] = []  # in this tick
        self._changed: dict[int, Growing] = {}
        self._sound = True  # nothing has failed since the last commit
        self._last_commit = self._last_clear_up = float("-inf")
        self._written = 0  # the tick up to which everything is written
        self._try_open()
        self.kept = self._state.kept
        self._threads = [
            threading.Thread(target=self._run, name="recorder", daemon=True),
            threading.Thread(target=self._sync, name="recorder-sync", daemon=True),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        for thread in self._threads:
            thread.join(timeout=30.0)

    # -- in the tick

    def write(self, tick: Tick) -> None:
        """Hand over a tick."""
        self._views = tick.views
        if len(self._jobs) >= MOST_TICKS:
            if time.time() - tick.unix > STUCK:  # a tick of the past: they come faster than they once did
                self._wait_for(lambda: len(self._jobs) < MOST_TICKS)
            if len(self._jobs) >= MOST_TICKS:
                self._overrun = True
                self._fail("writing does not keep up")
                return
        self._jobs.append(_Job(tick.number, tick.now, tick.unix, tick.events, tick.released))
        if self._is_stuck():
            self._fail("the disk does not answer")

    def settle(self) -> None:
        """Wait until the thread has done what it was given."""
        self._wait_for(lambda: not self._jobs and self._busy_since is None)

    def _wait_for(self, reached: Callable[[], bool]) -> None:
        """Have the thread work without a pause until something is reached, or it is stuck."""
        with self._wake:
            self._hurry = True
            self._wake.notify_all()
            while not (reached() or self._is_stuck()):
                self._wake.wait(STUCK)
            self._hurry = False

    def _is_stuck(self) -> bool:
        since = self._busy_since
        return since is not None and time.monotonic() - since > STUCK

    # -- in the thread

    def _run(self) -> None:
        while not self._stopping:
            with self._wake:
                self._wake.wait_for(lambda: self._stopping or (self._hurry and bool(self._jobs)), timeout=WAKE)
            self._work_off()
        self._work_off()
        self._end()

    def _work_off(self) -> None:
        """Do what there is to do."""
        while self._jobs:
            self._busy_since = time.monotonic()
            try:
                self._take(self._jobs.popleft())
            except Exception as error:
                if self.failed is None:
                    log.exception("recording failed")
                self._fail(repr(error))
            if self._hurry:
                with self._wake:
                    self._wake.notify_all()
        with self._wake:
            self._busy_since = None
            self._wake.notify_all()

    def _take(self, job: _Job) -> None:
        if self._replaying:
            self._replaying = job.number <= self._state.events and (
                self._resume and self._state.since <= job.unix <= self._state.until
            )
            if not self._replaying and job.number <= self._state.events:
                self.kept = self._written = 0
                self._state = State(since=job.unix)
        if self._replaying and job.number <= self._state.kept:
            return
        if not self._state.since:
            self._state.since = job.unix
        tracks, number, now = self._tracks, job.number, job.now
        for bed, run in job.released:
            track = None if run.skip or run.restart or self._replaying else tracks.get(bed)
            if track is None or not track.follow(run.chunk, number, now):
                self._take_run(job, bed, run)
            elif track.due:
                self._flush(track)
        if not (self._replaying and job.number <= self._state.events):
            for event in job.events:
                self._take_event(job, event)
            self._state.events, self._state.until = job.number, job.unix
        for track in self._restarted:
            track.restarted = None
        self._restarted.clear()
        if not 0.0 <= job.now - self._last_commit < COMMIT:
            self._commit(job)

    def _take_run(self, job: _Job, bed: str, run: Run) -> None:
        track = self._tracks.get(bed)
        if track is None:
            track = self._tracks[bed] = self._track(bed)
        before = track.growing
        due = track.take(run, job.number, job.now, job.unix, self._view(bed), self._replaying)
        first, end = run.chunk.first + run.skip, run.chunk.end
        if run.restart and track.growing is not before and before is not None:
            track.restarted = (first, end)
            self._restarted.append(track)
        elif track.restarted is not None:
            track.restarted = (track.restarted[0], end)
        if track.growing is not None and track.lead_off(run.chunk.lead_off):
            self._rows["leads_off"].append((track.growing.number, first, run.chunk.lead_off))
        for growing in track.ended:
            self._whole.append((growing, job.now))
        track.ended.clear()
        if due:
            self._flush(track)

    def _track(self, bed: str) -> Track:
        phase = len(self._tracks) * _GOLDEN % 1.0
        return Track(check_bed(bed), self.root / bed, self._rotation, self._begin, phase)

    def _begin(self, recording: Recording) -> int:
        number = self._store.next_number() if self._store is not None else 0
        self._begun.append((number, recording))
        return number

    def _view(self, bed: str) -> BedView | None:
        """The bed as the ward saw it last; beds keep their order."""
        views, place = self._views, self._places.get(bed, 0)
        if place < len(views) and views[place].bed == bed:
            return views[place]
        self._places = {view.bed: i for i, view in enumerate(views)}
        return views[self._places[bed]] if bed in self._places else None

    def _flush(self, track: Track) -> None:
        if self._store is None:
            track.give_up()
            return
        try:
            self._describe(track)
            track.flush()
        except OSError as error:
            track.give_up()
            self._fail(error.strerror or str(error))
        for growing, first, end in track.lost:
            self._rows["gaps"].append((growing.number, first, end - first, end, "not recorded"))
        track.lost.clear()
        for written in (track.before, track.growing):
            if written is not None and written.created and not written.whole:
                self._changed[written.number] = written

    def _describe(self, track: Track) -> None:
        """Take over a name that a device has only told since its record began."""
        view, growing = self._view(track.bed), track.growing
        if view is None or growing is None:
            return
        now = growing.recording
        leads = lead_names(view.lead_names, len(now.leads)) if view.lead_names else now.leads
        if (view.alias, view.simulated, leads) != (now.alias, now.simulated, now.leads):
            growing.describe(view.alias, leads, view.simulated)
            self._begun.append((growing.number, growing.recording))

    def _take_event(self, job: _Job, event: Event) -> None:
        track = self._tracks.get(event.bed)
        by_sample = event.emitted if isinstance(event, Alarm) else event.sample
        growing = track.place(by_sample, event.emitted) if track is not None else None
        record = growing.number if growing is not None else 0
        where = (record, event.sample, event.emitted)
        match event:
            case Beat():
                self._rows["beats"].append((*where, event.symbol, int(event.final), pack_p(event.p)))
            case Rhythm():
                self._rows["rhythms"].append((*where, event.label))
            case Alarm():
                head = (record, event.bed, job.unix, event.sample, event.emitted, event.id, event.code)
                body = (event.priority, event.kind, event.state, event.value, event.limit)
                self._rows["alarms"].append((*head, *body, event.text, event.reason, event.by))
            case Gap():
                self._rows["gaps"].append((record, event.first, event.count, event.emitted, "missing"))
            case Quality():
                self._rows["quality"].append((*where, event.lead, int(event.ok), event.reason))

    # -- once a second

    def _commit(self, job: _Job) -> None:
        self._last_commit = job.now
        if self._store is None:
            self._try_open()
        for track in self._tracks.values():
            oldest = track.oldest
            if oldest is not None and (not 0.0 <= job.now - oldest.now < LATE or not oldest.growing.created):
                self._flush(track)
            if track.growing is not None and job.now - track.last_now > SILENT:
                track.leave()
                self._whole += [(growing, job.now) for growing in track.ended]
                track.ended.clear()
        self._finish_one(job.now)
        waiting = [oldest.tick - 1 for track in self._tracks.values() if (oldest := track.oldest) is not None]
        self._state.kept = max(self._state.kept, min([self._state.events, *waiting]))
        self._transact()
        if self._store is not None and not 0.0 <= job.now - self._last_clear_up < CLEAR_UP:
            self._last_clear_up = job.now
            try:
                clear_up(self.root, self._store, job.unix, days=self._days, size=self._size)
            except _FAILURES as error:
                self._fail(str(error))

    def _transact(self) -> None:
        if self._store is None:
            self._limit_rows()
            self._sound = True
            return
        try:
            lengths = [_length(growing, False) for growing in self._changed.values()]
            self._store.commit(self._state, self._begun, self._rows, lengths)
        except _FAILURES as error:
            self._limit_rows()
            self._fail(str(error))
        else:
            self._begun.clear()
            self._rows.clear()
            self._changed.clear()
            self._written = self._state.kept
            if self._sound and not self._overrun and self.failed is not None:
                log.info("recording goes on")
                self.failed = None
        self._sound, self._overrun = True, False

    def _limit_rows(self) -> None:
        for values in self._rows.values():
            del values[: max(len(values) - MOST_ROWS, 0)]

    def _finish_one(self, now: float, all_of_them: bool = False) -> None:
        """Finish records that have ended, one at a time: each costs some milliseconds."""
        while self._whole and self._store is not None:
            growing, ended = self._whole[0]
            if not all_of_them and 0.0 <= now - ended < SETTLE:
                return
            try:
                self._annotate(growing)
                growing.finish()
                if growing.created:
                    self._changed.pop(growing.number, None)
                    self._store.commit(self._state_kept(), [], {}, [_length(growing, True)])
            except _FAILURES as error:
                self._fail(str(error))
                return
            self._whole.popleft()
            if not all_of_them:
                return

    def _state_kept(self) -> State:
        """The state that is in the database: what has been taken since is not."""
        assert self._store is not None
        return self._store.state

    def _annotate(self, growing: Growing) -> None:
        assert self._store is not None
        growing.annotate(annotations_bytes(growing.recording, *self._store.annotations(growing.number)))

    def _end(self) -> None:
        """Leave whole records behind."""
        for track in self._tracks.values():
            self._flush(track)
            track.leave()
            self._whole += [(growing, 0.0) for growing in track.ended]
        if self._state.events and not any(track.oldest for track in self._tracks.values()):
            self._state.kept = self._state.events
        self._transact()
        self._finish_one(0.0, all_of_them=True)
        for track in self._tracks.values():
            for growing in (track.before, track.growing):
                if growing is not None:
                    growing.release()
        if self._store is not None:
            self._store.close()
        self.kept = self._written

    # -- the disk

    def _try_open(self) -> None:
        try:
            self.root.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            self._store = Store(self.root)
            left = unfinished(self.root, self._store)
        except ConfigError:
            raise
        except _FAILURES as error:
            self._store = None
            self._fail(str(error))
            return
        self._state = State(**{name: getattr(self._store.state, name) for name in State.__slots__})
        self._replaying = self._state.events > 0
        for bed, several in left.items():
            track = self._tracks[bed] = self._track(bed)
            for growing in several:
                self._begun.append((growing.number, growing.recording))
                self._changed[growing.number] = growing
                self._annotate(growing)
                track.leave()
                track.growing = growing
            track.next, track.reopened, track.last_now = several[-1].end, True, time.monotonic()
            self._whole += [(growing, float("-inf")) for growing in track.ended]
            track.ended.clear()
        self._transact()

    def _fail(self, reason: str) -> None:
        self._sound = False
        if self.failed is None:
            log.error("recording to %s fails: %s", self.root, reason)
            self.failed = reason

    def _sync(self) -> None:
        """Wait for the disk, now and then; only then a tick is kept for good."""
        while not self._stopping:
            written = self._written
            if written > self.kept:
                try:
                    _sync_disk(self.root)
                    self.kept = written
                except OSError as error:
                    self._fail(error.strerror or str(error))
            with self._wake:
                self._wake.wait_for(lambda: self._stopping, timeout=SYNC)


def annotations_bytes(
    recording: Recording, beats: Sequence[tuple[int, str]], rhythms: Sequence[tuple[int, str]]
) -> bytes:
    """The annotation file of a record: a rhythm's mark stands at the beat it begins with."""
    changes: list[Rhythm] = []
    for sample, label in rhythms:
        take_rhythm(changes, Rhythm(recording.bed, sample, sample, label))
    rows = [(max(sample - recording.first, 0), 1, symbol, "") for sample, symbol in beats]
    taken = {row[0] for row in rows}
    for change in changes:
        at = max(change.sample - recording.first, 0)
        while at in taken and at > 0:  # one annotation a sample
            at -= 1
        rows.append((at, 0, "+", f"({change.label}"))
    return encode([(at, symbol, note) for at, _, symbol, note in sorted(rows)], recording.fs)


def _length(growing: Growing, whole: bool) -> tuple[int, int, bool, int]:
    length = growing.end - growing.recording.first if growing.created else 0
    return length, growing.size, whole, growing.number


def _sync_disk(folder: Path) -> None:
    """Wait until everything written to a folder's file system is on the disk."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "syncfs"):
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if libc.syncfs(descriptor):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(descriptor)
