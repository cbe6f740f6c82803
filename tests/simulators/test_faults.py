"""Faults: each does what it says, tells the truth, and does the same again."""

import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.exceptions import ConfigError
from simulators.faults import KINDS, Message, parse_fault, with_faults

MESSAGES = [Message(i / 10, i, bytes([i % 256, 1, 2])) for i in range(1000)]


def put(*faults, seed=0, messages=MESSAGES):
    truth = []
    return list(with_faults(messages, [parse_fault(fault) for fault in faults], seed, truth.append)), truth


def numbers(messages):
    return [message.number for message in messages]


def test_no_fault_changes_nothing():
    assert put() == (MESSAGES, [])


def test_drop_tells_what_is_missing():
    out, truth = put("drop:p=0.1")
    assert 50 < len(truth) < 150
    assert sorted(numbers(out) + [entry["number"] for entry in truth]) == list(range(1000))


@pytest.mark.parametrize("kind", ["drop", "stop"])
def test_a_period_takes_the_end_of_it(kind):
    out, truth = put(f"{kind}:every=20,for=2")
    assert [m.number for m in MESSAGES if m.due % 20 < 18] == numbers(out)
    assert {entry["kind"] for entry in truth} == {kind}


def test_duplicate_sends_again_as_often_as_it_says():
    out, truth = put("duplicate:p=0.2,times=3")
    counted = collections.Counter(numbers(out))
    again = {entry["number"] for entry in truth}
    assert all(counted[i] == (4 if i in again else 1) for i in range(1000))
    assert numbers(out) == sorted(numbers(out))


def test_reorder_lets_others_pass_and_loses_none():
    out, truth = put("reorder:p=0.01,by=4")
    order = numbers(out)
    assert sorted(order) == list(range(1000))
    for entry in truth:
        passed = order[: order.index(entry["number"])]
        struck = {other["number"] for other in truth}
        assert len([n for n in passed if n > entry["number"] and n not in struck]) == 4 or entry["number"] > 990


def test_jitter_keeps_the_order_and_its_bound():
    out, truth = put("jitter:p=0.3,max=0.25")
    assert numbers(out) == list(range(1000))
    late = [message.due - i / 10 for i, message in enumerate(out)]
    assert min(late) >= 0
    assert 0.2 < max(late) < 0.26
    assert {entry["number"] for entry in truth} == {i for i, by in enumerate(late) if by > 0}


def test_corrupt_flips_the_bits_it_tells():
    out, truth = put("corrupt:p=0.05,bits=3")
    told = {entry["number"]: entry["bits"] for entry in truth}
    for before, after in zip(MESSAGES, out, strict=True):
        differs = int.from_bytes(before.payload, "little") ^ int.from_bytes(after.payload, "little")
        assert [bit for bit in range(24) if differs >> bit & 1] == told.get(before.number, [])


@given(
    st.lists(st.sampled_from([f"{kind}:p=0.2" for kind in KINDS] + ["stop:every=7,for=1"]), max_size=4), st.integers()
)
def test_faults_repeat_with_their_seed_and_time_never_runs_back(faults, seed):
    once, again = put(*faults, seed=seed, messages=MESSAGES[:200]), put(*faults, seed=seed, messages=MESSAGES[:200])
    assert once == again
    dues = [message.due for message in once[0]]
    assert dues == sorted(dues)


def test_another_seed_gives_other_faults():
    assert put("drop:p=0.1", seed=1) != put("drop:p=0.1", seed=2)


@pytest.mark.parametrize(
    "text",
    [
        *("", "drip", "drop:p", "drop:p=2", "drop:p=nan", "drop:times=2", "duplicate:times=0", "duplicate:times=1.5"),
        *("stop:every=5", "stop:for=2", "stop:every=2,for=5", "jitter:max=-1", "corrupt:bits=x", "drop:q=1"),
    ],
)
def test_what_is_no_fault_is_answered(text):
    with pytest.raises(ConfigError, match="fault"):
        parse_fault(text)
