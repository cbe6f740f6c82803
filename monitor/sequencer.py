"""From messages to one stream a bed: order, and gaps of known length.

:class:`Sequencer` puts chunks in order on the device's sample clock: duplicates are dropped, chunks up to eight
messages out of order are put back, and what never came is a gap.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, Final

from monitor.messages import Chunk, decode, encode

REORDER_WINDOW: Final = 8
"""Messages held while an earlier one is awaited."""

REORDER_PATIENCE: Final = 1.0
"""Seconds after which a missing message is taken as lost even if nothing follows."""

FORMERS: Final = 8
"""Streams of the past that are remembered, to tell a second device from a restart."""

BEGAN_ANEW: Final = 2.0
"""Seconds of nothing but samples already known, in order, after which the device is taken to have begun anew."""

MAX_FILL: Final = 60
"""Seconds; a longer gap restarts the detector instead of being filled."""


@dataclass(slots=True)
class Run:
    """What the sequencer releases: `missing` absent samples, then the samples of a chunk.

    Attributes:
        chunk: the chunk the samples come from.
        skip: leading samples of the chunk that were already taken.
        missing: samples that never came, directly before `chunk.first + skip`.
        restart: the device's stream begins anew, or so much is missing that the detector must.
    """

    chunk: Chunk
    skip: int = 0
    missing: int = 0
    restart: bool = False


@dataclass(slots=True)
class Sequencer:
    """Puts one bed's chunks in order. At most REORDER_WINDOW chunks are held.

    Attributes:
        stream: id of the running stream; None before the first.
        formers: ids of the last streams before it, oldest first; their chunks are dropped.
        fs, leads: the format of the running stream: a change of either restarts it.
        next: index of the next sample expected.
        joining: nothing of the running stream has been released yet.
        held: chunks that wait for an earlier one, with their arrival in monotonic seconds.
        since: when the running stream began, monotonic seconds.
        duplicates: chunks dropped because all their samples were known.
        stragglers: chunks dropped because they belong to a stream that had just been replaced.
        strays: chunks put aside because they lie far ahead and nothing followed them within REORDER_PATIENCE.
        conflicts: chunks dropped because they belong to a stream replaced a while ago: two devices send.
    """

    stream: int | None = None
    formers: list[int] = field(default_factory=list)
    fs: float = 0.0
    leads: int = 0
    next: int = 0
    joining: bool = False
    held: list[tuple[Chunk, float]] = field(default_factory=list)
    since: float = 0.0
    duplicates: int = 0
    stragglers: int = 0
    strays: int = 0
    conflicts: int = 0
    _known: tuple[int, float] | None = None  # a run of known samples: where it goes on, when it began
    _stray: Chunk | None = None  # the last one put aside; long messages may follow one another slowly

    def push(self, chunk: Chunk, now: float) -> list[Run]:
        """Take one chunk; return what can be analysed now, in order."""
        leads = chunk.samples.shape[1]
        if (
            chunk.first == self.next
            and chunk.stream == self.stream
            and chunk.fs == self.fs
            and leads == self.leads
            and not (self.joining or self.held)
        ):  # the usual case: the next message, and none is awaited
            self.next = chunk.end
            self._known = self._stray = None
            return [Run(chunk)]
        released: list[Run] = []
        if chunk.stream in self.formers:
            if now - self.since > REORDER_PATIENCE:
                self.conflicts += 1
            else:
                self.stragglers += 1
            return released
        # A device that measures its own rate may say 360.0001: what counts is what the header can hold.
        if chunk.stream != self.stream or leads != self.leads or round(chunk.fs * 1000) != round(self.fs * 1000):
            released += self._drain()
            if chunk.stream != self.stream:
                if self.stream is not None:
                    self.formers = [*self.formers, self.stream][-FORMERS:]
                self.since = now
            self.stream, self.fs, self.leads = chunk.stream, chunk.fs, leads
            self._join()
        if self.joining and chunk.seq == 0:
            self.next = chunk.first
        if self.next >= 0 and chunk.end <= self.next and self._began_anew(chunk, now):
            released += self._drain()
            self._join()
            self.next = chunk.first
        if chunk.end <= self.next or any(chunk.first == other.first for other, _ in self.held):
            self.duplicates += 1
            return released
        if self._stray is not None and self._stray.end == chunk.first:
            self.held.append((self._stray, now))
        self.held.append((chunk, now))
        self.held.sort(key=lambda pair: pair[0].first)
        return released + self._release(patient=True)

    def _join(self) -> None:
        """Begin a stream: the first message to arrive may not be the first in order, so wait and see."""
        self.joining = True
        self.next = -1
        self._known = self._stray = None

    def _began_anew(self, chunk: Chunk, now: float) -> bool:
        """Whether a device counts its samples from the beginning under its old stream id.

        Duplicates look the same at first; but they do not go on, one after the other, for BEGAN_ANEW seconds
        in which nothing new comes.
        """
        if self._known is None or self._known[0] != chunk.first:
            self._known = (chunk.end, now)
            return False
        self._known = (chunk.end, self._known[1])
        return now - self._known[1] >= BEGAN_ANEW

    def expire(self, now: float) -> list[Run]:
        """Give up on what has been awaited for REORDER_PATIENCE; return what can be analysed now."""
        if self.held and now - min(arrival for _, arrival in self.held) > REORDER_PATIENCE:
            return self._release(patient=False)
        return []

    def _drain(self) -> list[Run]:
        released = []
        while self.held:
            released += self._release(patient=False)
        return released

    def _release(self, patient: bool) -> list[Run]:
        """Release in order; when not `patient`, or the window is full, the first gap is taken as lost."""
        released: list[Run] = []
        while self.held:
            chunk, _ = self.held[0]
            wait = self.next < 0 or chunk.first > self.next
            if wait and patient and len(self.held) <= REORDER_WINDOW:
                break
            if wait:
                patient = True
            del self.held[0]
            if chunk.end <= self.next:
                self.duplicates += 1
                continue
            far = not self.joining and chunk.first - self.next > MAX_FILL * chunk.fs
            if far and not any(other.first == chunk.end for other, _ in self.held):
                self.strays += 1
                self._stray = chunk
                continue
            run = Run(chunk, restart=self.joining or far)
            if self.joining:
                self.joining = False
            elif chunk.first > self.next:
                run.missing = chunk.first - self.next
            else:
                run.skip = self.next - chunk.first
            self.next = chunk.end
            self._known = self._stray = None
            released.append(run)
        return released

    def be_patient(self, now: float) -> None:
        """Wait for what is missing as if what follows it had come just now."""
        self.held = [(chunk, now) for chunk, _ in self.held]
        self._known = None  # what a broker delivers again is no device that began anew

    def waiting(self) -> dict[str, Any]:
        """What waits, and since when, as JSON values; :meth:`wait_for` takes it."""
        return {
            "held": [(_text_of(chunk), arrival) for chunk, arrival in self.held],
            "stray": None if self._stray is None else _text_of(self._stray),
            "known": self._known,
            "since": self.since,
            "counts": [getattr(self, name) for name in _COUNTS],
        }

    def wait_for(self, bed: str, told: dict[str, Any]) -> None:
        """Go on by what :meth:`waiting` told of the same bed's sequencer."""
        self.held = [(_chunk_of(bed, text), arrival) for text, arrival in told["held"]]
        self._stray = None if told["stray"] is None else _chunk_of(bed, told["stray"])
        self._known = None if told["known"] is None else (told["known"][0], told["known"][1])
        self.since = told["since"]
        for name, count in zip(_COUNTS, told["counts"], strict=True):
            setattr(self, name, count)


_COUNTS: Final = ("duplicates", "stragglers", "strays", "conflicts")


def _text_of(chunk: Chunk) -> str:
    return base64.b64encode(chunk.payload or encode(chunk, chunk.uv)).decode()


def _chunk_of(bed: str, text: str) -> Chunk:
    return decode(bed, base64.b64decode(text))
