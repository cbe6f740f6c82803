"""What viewers may have missed: the last seconds of every bed's waveform, and of what was told."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from monitor.ecg import FS
from monitor.feed import HISTORY, Segment, encode_frame
from monitor.messages import NO_SAMPLE

KEPT_SECONDS: Final = 30.0
"""Seconds that are kept: longer than it takes a page to find its monitor again."""

FIRST_SECONDS: Final = 10.0
"""Seconds that a new viewer is given: a sweep of its screen."""

CAPACITY: Final = round(KEPT_SECONDS * FS)

TOLD_BYTES: Final = 32 * 1024 * 1024
"""Bytes of events kept: those of 30 s of a thousand beds take 25 MB."""

PIECE: Final = 48 * 1024
"""Bytes from which a frame of back-fill is sent: small beside what a viewer may have unsent."""

_GAP: Final = NO_SAMPLE.to_bytes(2, "little", signed=True)


class WaveRing:
    """The newest samples of one stream of a bed, 43 kB for two leads; where none came, NO_SAMPLE.

    Attributes:
        leads: how many.
        first, end: index of the oldest sample held, and of the one that comes next; equal while there is none.
    """

    def __init__(self, leads: int) -> None:
        self.leads = leads
        self.first = self.end = 0
        self._width = 2 * leads
        self._units = bytearray(CAPACITY * self._width)

    def write(self, first: int, units: bytes | memoryview) -> None:
        """Append the samples from index `first` on; what came before is passed over, what never came is a gap."""
        if self.first == self.end:
            self.first = self.end = first
        elif first > self.end:
            missing = min(first - self.end, CAPACITY)
            self._put(first - missing, _GAP * (missing * self.leads))
        known = max(self.end - first, 0)
        last = first + len(units) // self._width
        first = max(first + known, last - CAPACITY)
        if last > first:
            self._put(first, units[len(units) - (last - first) * self._width :])
        self.end = max(self.end, last)
        self.first = max(self.first, self.end - CAPACITY)

    def read(self, first: int, end: int) -> tuple[int, bytes]:
        """The samples [first, end) as far as they are held: index of the first one, and the units."""
        first, end = max(first, self.first), min(end, self.end)
        if first >= end:
            return end, b""
        at, until = (first % CAPACITY) * self._width, ((end - 1) % CAPACITY + 1) * self._width
        if at < until:
            return first, bytes(self._units[at:until])
        return first, bytes(self._units[at:]) + bytes(self._units[:until])

    def _put(self, first: int, units: bytes | memoryview) -> None:
        """Write units, at most a lap of them, into their places."""
        at = (first % CAPACITY) * self._width
        here = min(len(units), len(self._units) - at)
        self._units[at : at + here] = units[:here]
        self._units[: len(units) - here] = units[here:]


class ToldRing:
    """The events of the last ticks, as the JSON in which they were told; bounded by seconds and by bytes."""

    def __init__(self) -> None:
        self._ticks: deque[tuple[int, float, bytes]] = deque()
        self._size = 0

    def add(self, tick: int, now: float, events: bytes) -> None:
        """Keep the events of a tick.

        Args:
            now: monotonic, s.
            events: JSON of each, joined by commas, at least one.
        """
        self._ticks.append((tick, now, events))
        self._size += len(events)
        while self._ticks and (self._ticks[0][1] < now - KEPT_SECONDS or self._size > TOLD_BYTES):
            self._size -= len(self._ticks.popleft()[2])

    def after(self, tick: int, upto: int) -> Iterator[tuple[int, bytes]]:
        """Number and events of the ticks after `tick`, up to `upto`."""
        return ((number, events) for number, _, events in list(self._ticks) if tick < number <= upto)

    def since(self, now: float) -> int:
        """Number of the last tick before `now`, of those held; 0: there is none."""
        return max((number for number, at, _ in self._ticks if at < now), default=0)


def history_frames(
    waves: Iterable[tuple[int, WaveRing, int, int]],
    events: Iterable[tuple[int, bytes]],
    *,
    after: int,
    now_unix: float,
) -> Iterator[bytes]:
    """Frames of back-fill, waveforms first: a beat's letter wants something to stand on. Each is made when asked for.

    Each has the number of the tick up to which events are complete with it: one who loses the connection in the middle
    can say that it has those.

    Args:
        waves: index of a bed, its samples, and which of them: [first, end).
        events: number of a tick and its events, of the ticks after `after`.
        after: number of a tick.
        now_unix: seconds since 1970.
    """
    segments: list[Segment] = []
    size = 0
    for index, ring, first, end in waves:
        first, units = ring.read(first, end)
        if units:
            segments.append(Segment(index, ring.leads, first, units))
            size += len(units)
        if size >= PIECE:
            yield encode_frame(segments, tick=after, now_unix=now_unix, flags=HISTORY)
            segments, size = [], 0
    if segments:
        yield encode_frame(segments, tick=after, now_unix=now_unix, flags=HISTORY)
    told: list[bytes] = []
    size = 0
    for after, text in events:
        told.append(text)
        size += len(text)
        if size >= PIECE:
            yield _told(told, after, now_unix)
            told, size = [], 0
    if told:
        yield _told(told, after, now_unix)


def _told(events: list[bytes], tick: int, now_unix: float) -> bytes:
    text = b'{"events":[' + b",".join(events) + b"]}"
    return encode_frame((), text, tick=tick, now_unix=now_unix, flags=HISTORY)
