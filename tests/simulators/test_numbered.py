"""A lead that counts: any loss, repetition or gap is found where it was made."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.messages import MAX_SAMPLES, NO_SAMPLE, RAIL, Chunk, decode, encode
from monitor.ward import Ward
from simulators.numbered import MODULUS, Loss, check, in_units, number

FIRSTS = st.integers(0, 1 << 40)


def sent(first: int, n: int) -> np.ndarray:
    """The lead as floats, as long as wanted."""
    return np.concatenate([number(first + i, min(n - i, 500)) for i in range(0, n, 500)]).astype(float)


def test_numbers_keep_off_the_rails_and_no_sample():
    values = sent(0, MODULUS)
    assert len(set(values.tolist())) == MODULUS
    assert max(abs(values)) < RAIL < -NO_SAMPLE


@given(FIRSTS, st.integers(1, MAX_SAMPLES))
def test_what_was_sent_has_no_loss_also_after_its_way_through_a_message(first, n):
    mv = number(first, n).astype(np.float32) * np.float32(0.005)
    chunk = decode("b", encode(Chunk("b", 1, 0, first, 360.0, mv[:, None])))
    assert check(in_units(chunk.samples[:, 0], chunk.uv), first) == []


@settings(max_examples=300)
@given(FIRSTS, st.lists(st.tuples(st.integers(1, 60), st.integers(1, 3000), st.booleans()), max_size=6))
def test_losses_are_located_to_the_sample(first, parts):
    """Samples, then a loss, and again; the receiver knows of some losses (and leaves room) and not of others."""
    pieces, truth, at = [], [], first
    for n, lost, told in parts:
        pieces.append(sent(at, n))
        at += n
        truth.append(Loss(at, lost, told))
        pieces += [np.full(lost, np.nan)] if told else []
        at += lost
    pieces.append(sent(at, 5))
    assert check(np.concatenate(pieces), first) == truth


@given(FIRSTS, st.integers(1, 400), st.integers(1, 400))
def test_samples_that_come_again_are_told(first, n, again):
    again = min(again, n)
    twice = np.concatenate([sent(first, n), sent(first + n - again, again + 3)])
    assert check(twice, first) == [Loss(first + n - again, -again, False)]


def test_what_the_receiver_counts_wrongly_from_the_beginning_is_told():
    assert check(sent(100, 10), 90) == [Loss(90, 10, False)]


def test_of_a_gap_too_small_the_rest_is_told_too():
    samples = np.concatenate([sent(0, 10), np.full(30, np.nan), sent(46, 5)])
    assert check(samples, 0) == [Loss(10, 30, True), Loss(40, 6, False)]


def test_room_at_the_ends_is_a_loss():
    assert check(np.concatenate([np.full(3, np.nan), sent(3, 4), np.full(2, np.nan)]), 0) == [
        Loss(0, 3, True),
        Loss(7, 2, True),
    ]
    assert check(np.full(4, np.nan), 7) == [Loss(7, 4, True)]
    assert check(np.array([]), 7) == []


@pytest.mark.parametrize("lost", [(), (7,), (3, 4, 5, 20)])
def test_through_the_ward_the_ecg_is_as_without_it_and_losses_are_found(lost):
    """The third lead is released and not analysed: what the ward says of the bed is the same."""
    rng = np.random.default_rng(0)
    ecg = rng.normal(0, 0.1, (3600, 2)).astype(np.float32)
    said, found, taken = [], [], [np.empty(0)]
    for numbered in (False, True):
        ward = Ward(None, capacity=1)
        events = []
        for m in range(100):
            if m in lost:
                continue
            part = ecg[36 * m : 36 * m + 36]
            if numbered:
                part = np.column_stack([part, number(36 * m, 36) * np.float32(0.005)])
            events += ward.feed([Chunk("b", 1, m, 36 * m, 360.0, part)], now=m / 10)
            if numbered:
                for _, run in ward.released():
                    lead = in_units(run.chunk.samples[run.skip :, 2], run.chunk.uv)
                    taken += [np.full(run.missing, np.nan), lead]
        said.append([event.as_dict() for event in events])
    found = check(np.concatenate(taken), 0)
    assert said[0] == said[1]
    runs = np.split(np.array(lost), np.flatnonzero(np.diff(lost) != 1) + 1) if lost else []
    assert found == [Loss(36 * int(run[0]), 36 * len(run), True) for run in runs]
