"""The last seconds of waveforms and events: what is held, and what of it is given."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.backfill import CAPACITY, KEPT_SECONDS, PIECE, TOLD_BYTES, ToldRing, WaveRing, history_frames
from monitor.feed import HISTORY, decode_frame
from monitor.messages import NO_SAMPLE

NOTHING = NO_SAMPLE.to_bytes(2, "little", signed=True)


def numbered(first: int, end: int, leads: int = 2) -> bytes:
    """Samples that carry their own index, modulo 30 000; the second lead its negative."""
    k = np.arange(first, end) % 30_000
    return np.stack([k, -k], 1)[:, :leads].astype("<i2").tobytes()


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 3 * CAPACITY),
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 4000)), min_size=1, max_size=30),
    st.integers(1, 2),
)
def test_the_ring_holds_the_newest_samples(start: int, pieces: list[tuple[int, int]], leads: int) -> None:
    ring, expected, k = WaveRing(leads), {}, start
    for number, (gap, n) in enumerate(pieces):
        k += gap if number else 0
        ring.write(k, numbered(k, k + n, leads))
        expected |= {i: numbered(i, i + 1, leads) for i in range(k, k + n)}
        k += n
    assert (ring.first, ring.end) == (max(start, k - CAPACITY), k)
    first, units = ring.read(0, k + 5)
    assert first == ring.first
    width = 2 * leads
    found = [units[i : i + width] for i in range(0, len(units), width)]
    assert found == [expected.get(i, NOTHING * leads) for i in range(ring.first, k)]


def test_what_came_before_is_passed_over() -> None:
    ring = WaveRing(2)
    ring.write(100, numbered(100, 120))
    ring.write(110, numbered(110, 130))
    ring.write(90, numbered(90, 100))
    assert ring.read(0, 1000) == (100, numbered(100, 130))
    assert ring.read(105, 107) == (105, numbered(105, 107))
    assert ring.read(130, 140)[1] == b""


def test_a_gap_longer_than_the_ring_leaves_only_what_follows() -> None:
    ring = WaveRing(1)
    ring.write(0, numbered(0, 10, 1))
    ring.write(5 * CAPACITY, numbered(0, 10, 1))
    first, units = ring.read(0, 6 * CAPACITY)
    assert first == 4 * CAPACITY + 10
    assert units == NOTHING * (CAPACITY - 10) + numbered(0, 10, 1)


def test_events_are_kept_for_some_seconds() -> None:
    ring = ToldRing()
    for tick in range(1, 101):
        ring.add(tick, float(tick), b"%d" % tick)
    assert [number for number, _ in ring.after(0, 1000)] == [*range(100 - int(KEPT_SECONDS), 101)]
    assert list(ring.after(97, 99)) == [(98, b"98"), (99, b"99")]
    assert ring.since(90.0) == 89
    assert ring.since(0.0) == 0


def test_events_are_bounded_by_bytes_too() -> None:
    ring = ToldRing()
    for tick in range(8):
        ring.add(tick, 0.0, bytes(TOLD_BYTES // 4))
    assert [number for number, _ in ring.after(0, 100)] == [4, 5, 6, 7]


def test_history_comes_in_pieces_waveforms_first() -> None:
    rings = [WaveRing(2) for _ in range(3)]
    for ring in rings:
        ring.write(0, numbered(0, CAPACITY))
    waves = [(i, ring, 5, CAPACITY) for i, ring in enumerate(rings)]
    events = [(tick, b'{"tick":%d,"text":"%s"}' % (tick, b"x" * 1000)) for tick in range(8, 108)]
    frames = [decode_frame(data) for data in history_frames(waves, events, after=7, now_unix=1.0)]
    assert {frame.flags for frame in frames} == {HISTORY}
    assert [len(frame.segments) for frame in frames] == [2, 1, 0, 0, 0]
    assert [segment.index for frame in frames for segment in frame.segments] == [0, 1, 2]
    assert all(s.first == 5 and s.units == numbered(5, CAPACITY) for frame in frames for s in frame.segments)
    told = [event["tick"] for frame in frames for event in frame.told.get("events", [])]
    assert told == [*range(8, 108)]
    assert [frame.tick for frame in frames[:2]] == [7, 7]
    assert all(frame.tick == frame.told["events"][-1]["tick"] for frame in frames[2:])
    assert max(len(frame.told.get("events", [])) for frame in frames) * 1000 < PIECE + 1100


def test_nothing_lacking_is_no_frame() -> None:
    assert list(history_frames([(0, WaveRing(2), 0, 0)], [], after=0, now_unix=0.0)) == []
