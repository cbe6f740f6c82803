"""A bed's way through its recordings: which sample belongs to which, and what is still to be written.

Nothing is written when samples come (:meth:`Track.take`): they are told their recording, and wait. What waits is
written a second at a time (:meth:`Track.flush`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.messages import Chunk, units_sent
from monitor.recorder.growing import Growing
from monitor.recorder.headers import Recording, begun_of, lead_names, name_of
from monitor.sequencer import Run
from monitor.views import BedView

RETRY: Final = 10.0
"""Seconds of signal that wait for a disk that fails; older ones are lost and become a gap."""

KNOWN: Final = 300.0
"""Seconds of known samples that are passed over after a start: what the broker or the journal gives again. An index
further back is a device that counts from the beginning again."""


@dataclass(slots=True)
class Piece:
    """Samples that wait, without a gap.

    Attributes:
        growing: where they belong.
        index: of the first, at the device.
        end: the index after the last one.
        chunks: that they are in, each beginning where the one before ends.
        tick: number of the tick that brought the first of them.
        now: monotonic time of it, s.
    """

    growing: Growing
    index: int
    end: int
    chunks: list[Chunk]
    tick: int
    now: float

    def units(self) -> NDArray[np.int16]:
        """Its samples as the device sent them, (end - index, leads)."""
        chunks, leads = self.chunks, self.chunks[0].samples.shape[1]
        units = np.frombuffer(b"".join([units_sent(chunk) for chunk in chunks]), "<i2").reshape(-1, leads)
        return units[self.index - chunks[0].first : self.end - chunks[0].first]


@dataclass(slots=True)
class Track:
    """What the recorder keeps of a bed.

    Attributes:
        bed: its id.
        folder: of its recordings.
        rotation: seconds of signal in a record.
        begin: told of each new recording, gives the number of its row.
        phase: part of a second by which this bed's writing is shifted against the other beds'.
        growing: the recording that samples come into.
        before: the one before it, to which late events may belong.
        ended: recordings that are to be finished.
        next: the device's index of the sample that comes next.
        reopened: nothing has come yet since a process that was killed.
        last_now: when samples last came, monotonic s.
        lost: index of the first sample that a failing disk lost, and of the one after; none if equal.
    """

    bed: str
    folder: Path
    rotation: float
    begin: Callable[[Recording], int]
    phase: float = 0.0
    growing: Growing | None = None
    before: Growing | None = None
    ended: list[Growing] = field(default_factory=list)
    next: int = 0
    reopened: bool = False
    last_now: float = 0.0
    lost: list[tuple[Growing, int, int]] = field(default_factory=list)
    restarted: tuple[int, int] | None = None  # in this tick: first sample and the one after of the new stream
    _pending: deque[Piece] = field(default_factory=deque)
    _open: Piece | None = None  # the last of them, if more can be added to it
    _last: Chunk | None = None  # that came, if it was taken to its end
    _limit: int = 0  # index at which the growing recording is full
    _waiting: int = 0  # samples of it
    _target: int = 0  # samples that are worth writing
    _bits: int = 0  # electrodes off

    # -- taking

    def follow(self, chunk: Chunk, tick: int, now: float) -> bool:
        """Take a chunk if all of it simply goes on what came last: the usual case, at a tenth of the cost of `take`.

        It must be of a run that skips nothing and begins nothing anew; `tick` and `now` are of the tick.
        """
        last = self._last
        if (
            last is None
            or chunk.first != self.next
            or chunk.lead_off != self._bits
            or chunk.stream != last.stream
            or chunk.fs != last.fs
            or chunk.uv != last.uv
            or self.restarted is not None
        ):
            return False
        count, leads = chunk.samples.shape
        end = chunk.first + count
        if end > self._limit or leads != last.samples.shape[1] or self.growing is None:
            return False
        piece = self._open
        if piece is None:
            self._open = Piece(self.growing, chunk.first, end, [chunk], tick, now)
            self._pending.append(self._open)
        else:
            piece.chunks.append(chunk)
            piece.end = end
        self._last, self.next, self.last_now = chunk, end, now
        self._waiting += count
        return True

    @property
    def due(self) -> bool:
        """Whether it is time to write."""
        return self._waiting >= self._target

    def take(self, run: Run, tick: int, now: float, unix: float, view: BedView | None, replaying: bool) -> bool:
        """Let samples wait for their recording.

        Args:
            tick, now, unix: of the tick that released them.
            view: the bed as the ward sees it.
            replaying: the tick may be one that was recorded before.

        Returns:
            Whether it is time to write.
        """
        chunk, index = run.chunk, run.chunk.first + run.skip
        self.last_now = now
        if self.growing is not None:
            known = self._known(run, index, tick, replaying)
            if known is None:
                self.leave()
            else:
                index = max(index, known)
        while index < chunk.end:
            growing = self.growing
            if growing is None:
                growing = self._begin(chunk, index, tick, unix, view)
            end = min(chunk.end, growing.recording.first + self._most(chunk.fs))
            if index >= end:
                self.leave()
                continue
            piece = Piece(growing, index, end, [chunk], tick, now)
            self._pending.append(piece)
            whole = end == chunk.end
            self._open, self._last = (piece, chunk) if whole else (None, None)
            self._limit = growing.recording.first + self._most(chunk.fs)
            self._waiting += end - index
            self.next, index = end, end
            self.reopened = False
        return self.due or bool(self._pending and not self._pending[0].growing.created)

    def _known(self, run: Run, index: int, tick: int, replaying: bool) -> int | None:
        """Index before which a run's samples are known; None: it does not belong to the growing recording."""
        assert self.growing is not None
        recording, chunk = self.growing.recording, run.chunk
        if replaying and tick < recording.tick:
            return chunk.end
        if (chunk.stream, round(chunk.fs * 1000), chunk.samples.shape[1], chunk.uv) != (
            recording.stream,
            round(recording.fs * 1000),
            len(recording.leads),
            recording.uv,
        ):
            return None
        if index < self.next:
            again = run.restart and (not self.reopened or (replaying and tick > recording.tick))
            if again or self.next - index > KNOWN * chunk.fs:
                return None
        return self.next

    def _most(self, fs: float) -> int:
        return max(round(self.rotation * fs), 1)

    def _begin(self, chunk: Chunk, index: int, tick: int, unix: float, view: BedView | None) -> Growing:
        unix -= (chunk.end - index) / chunk.fs  # a tick comes when the last sample has come
        begun = begun_of(chunk.time_us and chunk.time_us + round((index - chunk.first) / chunk.fs * 1e6), unix)
        leads = chunk.samples.shape[1]
        recording = Recording(
            self.bed,
            self._free_name(unix),
            chunk.stream,
            index,
            round(chunk.fs * 1000) / 1000,
            chunk.uv,
            lead_names(() if view is None else view.lead_names, leads),
            begun,
            unix,
            tick,
            "" if view is None else view.alias,
            False if view is None else view.simulated,
        )
        self.growing = Growing(self.folder, recording, self.begin(recording))
        self._target = max(round(self.phase * chunk.fs), 1)
        return self.growing

    def _free_name(self, unix: float) -> str:
        last = self.growing or self.before
        name = name_of(unix)
        while (last is not None and name == last.recording.name) or any(self.folder.glob(f"{name}*")):
            unix += 0.001
            name = name_of(unix)
        return name

    def leave(self) -> None:
        """Let the growing recording end with what waits for it."""
        self._open = self._last = None
        if self.growing is not None:
            self.ended.append(self.growing)
            self.before, self.growing = self.growing, None

    def lead_off(self, bits: int) -> bool:
        """Note which electrodes are off; whether that has changed."""
        changed, self._bits = bits != self._bits, bits
        return changed

    def place(self, sample: int, emitted: int) -> Growing | None:
        """The recording that an event belongs to: by its sample, and by `emitted` where a new stream began."""
        if self.growing is None or self.before is None:
            return self.growing or self.before
        if self.restarted is not None and not self.restarted[0] <= emitted < self.restarted[1]:
            return self.before
        same = self.before.recording.stream == self.growing.recording.stream
        return (
            self.before
            if same and self.before.recording.first <= sample < self.growing.recording.first
            else self.growing
        )

    # -- writing

    @property
    def oldest(self) -> Piece | None:
        """What has waited longest."""
        return self._pending[0] if self._pending else None

    def flush(self) -> None:
        """Write what waits.

        Raises:
            OSError: it cannot be written; it still waits.
        """
        self._open = None
        while self._pending:
            piece = self._pending[0]
            piece.growing.append(piece.index, piece.units())
            self._pending.popleft()
            self._waiting -= piece.end - piece.index
            self._target = round(piece.growing.recording.fs)

    def give_up(self) -> None:
        """Lose what has waited for longer than a failing disk is waited for."""
        self._open = None
        while self._pending and self._waiting > RETRY * self._pending[0].growing.recording.fs:
            piece = self._pending.popleft()
            self._waiting -= piece.end - piece.index
            if self.lost and self.lost[-1][0] is piece.growing and self.lost[-1][2] == piece.index:
                self.lost[-1] = (piece.growing, self.lost[-1][1], piece.end)
            else:
                self.lost.append((piece.growing, piece.index, piece.end))
