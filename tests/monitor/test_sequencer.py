"""From messages to one stream: order, duplicates, gaps, and what waits."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.messages import Chunk
from monitor.sequencer import REORDER_WINDOW, Sequencer


def message(number, *, n=10, first=None, stream=1, fs=360.0, leads=2):
    """Message `number` of a stream of n samples each."""
    first = number * n if first is None else first
    return Chunk("bed", stream, number, first, fs, np.zeros((n, leads), np.float32))


def push(sequencer, *messages, now=0.0):
    """The runs that messages release, as (number, skip, missing, restart)."""
    runs = [run for m in messages for run in sequencer.push(m, now)]
    return [(run.chunk.seq, run.skip, run.missing, run.restart) for run in runs]


def started():
    """A sequencer that has released message 0: samples 0-9."""
    sequencer = Sequencer()
    assert push(sequencer, message(0)) == [(0, 0, 0, True)]
    return sequencer


def test_messages_in_order_pass():
    assert push(started(), message(1), message(2)) == [(1, 0, 0, False), (2, 0, 0, False)]


def test_a_duplicate_is_dropped_and_counted():
    sequencer = started()
    assert push(sequencer, message(0), message(1), message(1)) == [(1, 0, 0, False)]
    assert sequencer.duplicates == 2


def test_a_duplicate_of_a_waiting_message_is_dropped():
    sequencer = started()
    assert push(sequencer, message(2), message(2)) == []
    assert push(sequencer, message(1)) == [(1, 0, 0, False), (2, 0, 0, False)]
    assert sequencer.duplicates == 1


def test_of_an_overlap_only_the_new_samples_are_taken():
    assert push(started(), message(1, first=6)) == [(1, 4, 0, False)]


def test_messages_eight_late_are_put_back():
    later = [message(number) for number in range(2, 2 + REORDER_WINDOW)]
    sequencer = started()
    assert push(sequencer, *later) == []
    assert [run[0] for run in push(sequencer, message(1))] == list(range(1, 2 + REORDER_WINDOW))


def test_the_ninth_later_message_turns_the_missing_one_into_a_gap():
    later = [message(number) for number in range(2, 3 + REORDER_WINDOW)]
    sequencer = started()
    runs = push(sequencer, *later)
    assert runs[0] == (2, 0, 10, False)
    assert [run[2] for run in runs[1:]] == [0] * REORDER_WINDOW
    assert push(sequencer, message(1)) == [], "it is too late now"


def test_only_the_first_of_two_gaps_is_given_up():
    sequencer = started()
    assert push(sequencer, *map(message, (2, 4, 5, 6, 7, 8, 9, 10))) == []
    assert push(sequencer, message(11)) == [(2, 0, 10, False)]
    assert [run[0] for run in push(sequencer, message(3))] == list(range(3, 12))


def test_a_missing_message_is_awaited_for_a_second():
    sequencer = started()
    assert push(sequencer, message(2), now=5.0) == []
    assert sequencer.expire(6.0) == []
    (run,) = sequencer.expire(6.001)
    assert (run.chunk.seq, run.missing) == (2, 10)


def test_joining_under_way_waits_for_the_first_in_order():
    sequencer = Sequencer()
    assert push(sequencer, message(7), message(6), message(8), now=1.0) == []
    runs = sequencer.expire(2.001)
    assert [(run.chunk.seq, run.missing, run.restart) for run in runs] == [
        (6, 0, True),
        (7, 0, False),
        (8, 0, False),
    ]


def test_a_gap_of_a_minute_is_filled_and_a_longer_one_restarts():
    for extra, restart in ((0, False), (1, True)):
        first = 10 + 60 * 360 + extra
        sequencer = started()
        push(sequencer, message(1, first=first), message(2, first=first + 10))
        run, after = sequencer.expire(2.0)
        assert (run.missing, run.restart) == (60 * 360 + extra, restart)
        assert (after.missing, after.restart) == (0, False)


def test_a_lone_message_from_far_ahead_is_dropped():
    sequencer = started()
    push(sequencer, message(1, first=1 << 50))
    assert sequencer.expire(2.0) == []
    assert sequencer.strays == 1
    assert push(sequencer, message(1)) == [(1, 0, 0, False)]


def test_long_messages_far_ahead_follow_one_another_slowly():
    """After a gap of minutes, from a device that sends every eleven seconds: two messages, and it is heard again."""
    sequencer = started()
    first = 10_000_000
    assert push(sequencer, message(1, n=4000, first=first)) == []
    assert sequencer.expire(1.1) == []
    assert push(sequencer, message(2, n=4000, first=first + 4000), now=11.0) == []
    run, after = sequencer.expire(12.1)
    assert (run.chunk.seq, run.missing, run.restart) == (1, first - 10, True)
    assert (after.chunk.seq, after.missing, after.restart) == (2, 0, False)


def test_a_stray_is_forgotten_once_the_stream_goes_on():
    """What lies where it lay, hours later, does not bring it back."""
    sequencer = started()
    assert push(sequencer, message(7, first=10_000_000)) == []
    assert sequencer.expire(1.1) == []
    assert push(sequencer, message(1), now=2.0) == [(1, 0, 0, False)]
    assert push(sequencer, message(8, first=10_000_010), message(9, first=10_000_020), now=3.0) == []
    assert [run.chunk.seq for run in sequencer.expire(4.1)] == [8, 9]


def test_a_device_that_begins_anew_under_its_old_stream_id_is_heard_after_two_seconds():
    sequencer = Sequencer()
    for i in range(50):
        assert sequencer.push(message(i), now=i * 0.1)
    again = [bool(sequencer.push(message(i), now=10 + i * 0.1)) for i in range(40)]
    assert again == [False] * 20 + [True] * 20
    assert sequencer.duplicates == 20


def test_many_duplicates_at_once_are_no_new_beginning():
    sequencer = Sequencer()
    for i in range(50):
        sequencer.push(message(i), now=i * 0.1)
    assert not any(sequencer.push(message(i), now=10.0) for i in range(50))
    assert sequencer.push(message(50), now=13.0)


@pytest.mark.parametrize("change", [{"stream": 2}, {"fs": 250.0}, {"leads": 3}])
def test_a_new_stream_or_format_restarts_after_what_was_held(change):
    sequencer = started()
    push(sequencer, message(2))
    assert push(sequencer, message(0, **change)) == [(2, 0, 10, False), (0, 0, 0, True)]


def test_a_straggler_of_the_stream_before_is_dropped_quietly():
    sequencer = started()
    push(sequencer, message(0, stream=2))
    assert push(sequencer, message(1, stream=1), message(1, stream=2)) == [(1, 0, 0, False)]
    assert (sequencer.stragglers, sequencer.conflicts) == (1, 0)


def test_two_devices_that_send_as_one_bed_are_a_conflict_and_never_mixed():
    sequencer = started()
    push(sequencer, message(0, stream=2), now=1.0)
    push(sequencer, message(0, stream=3), now=2.0)
    for stream in (1, 2):
        assert push(sequencer, message(1, stream=stream), now=4.0) == []
    assert sequencer.conflicts == 2
    assert push(sequencer, message(1, stream=3), now=4.0) == [(1, 0, 0, False)]


def test_a_rate_that_differs_by_less_than_the_header_can_say_is_the_same():
    assert push(started(), message(1, fs=360.0001)) == [(1, 0, 0, False)]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_every_sample_is_released_once_in_order_or_reported_missing(data):
    """Messages of random sizes; some are lost, some come again, each up to eight messages late."""
    sizes = data.draw(st.lists(st.integers(1, 50), min_size=1, max_size=40))
    firsts = np.concatenate([[0], np.cumsum(sizes)])
    sent = [message(i, n=n, first=int(first)) for i, (n, first) in enumerate(zip(sizes, firsts[:-1], strict=True))]
    lost = data.draw(st.sets(st.integers(1, len(sent)), max_size=10))
    arrivals = []
    for m in sent:
        if m.seq not in lost:
            delays = data.draw(st.lists(st.floats(0, REORDER_WINDOW), min_size=1, max_size=4))
            arrivals += [(m.seq + min(delay, REORDER_WINDOW), m) for delay in delays]
    arrivals.sort(key=lambda pair: pair[0])
    sequencer = Sequencer()
    runs = [run for _, m in arrivals for run in sequencer.push(m, 0.0)]
    while sequencer.held:
        runs += sequencer.expire(10.0)
    at = 0
    missing = set()
    for run in runs:
        first = run.chunk.first + run.skip
        assert first == at + run.missing
        missing |= set(range(at, first))
        at = run.chunk.end
    arrived = {k for m in sent if m.seq not in lost for k in range(m.first, m.end)}
    assert missing == set(range(at)) - arrived
    assert at == max(arrived) + 1


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_what_waits_can_be_told_and_gone_on_with(data):
    """Told at any moment and put into another sequencer, it releases what the first one would have."""
    order = data.draw(st.permutations(range(12)))
    lost = data.draw(st.sets(st.integers(1, 11), max_size=3))
    numbers = [n for n in order if n not in lost] + [500]
    at = data.draw(st.integers(0, len(numbers)))
    one = started()
    for i, number in enumerate(numbers[:at]):
        push(one, message(number), now=0.1 * i)
    other = Sequencer(one.stream, list(one.formers), one.fs, one.leads, one.next, one.joining)
    other.wait_for("bed", json.loads(json.dumps(one.waiting())))
    for i, number in enumerate(numbers[at:], at):
        assert push(one, message(number), now=0.1 * i) == push(other, message(number), now=0.1 * i)
    assert [run.chunk.seq for run in one.expire(9.0)] == [run.chunk.seq for run in other.expire(9.0)]
    assert (one.duplicates, one.strays, one.since) == (other.duplicates, other.strays, other.since)


def test_patience_begins_anew():
    sequencer = started()
    assert push(sequencer, message(2), now=5.0) == []
    sequencer.be_patient(20.0)
    assert sequencer.expire(20.9) == []
    assert [run.missing for run in sequencer.expire(21.1)] == [10]
