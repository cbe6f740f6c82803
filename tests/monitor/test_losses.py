"""When a lead is lost and when it is back: exact at both edges, and at any cut."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import SIZES

from monitor import losses
from monitor.align import LEAD_OFF, MISSING, OK, SATURATED
from monitor.losses import BACK, LOST


def follow(flags, sizes=(10_000,)):
    """(sample, reason) of each change of one lead, in blocks of the given sizes; `usable` must agree with them."""
    state = np.zeros(1, losses.STATE)
    flags = np.asarray(flags, np.int64)
    found, usable, at, turn = [], [], 0, 0
    while at < len(flags):
        block = flags[at : at + sizes[turn % len(sizes)]]
        changes = np.zeros(len(block) // LOST + 2, losses.CHANGE)
        good = np.full(len(block), -1)
        count = losses.step(state[0], block, len(block), 1, good, changes, 0)
        assert set(changes["lead"][:count].tolist()) <= {1}
        found += naive.as_tuples(changes[:count], "emitted", "reason")
        usable += good.tolist()
        at, turn = at + len(block), turn + 1
    expected = np.ones(len(flags), np.int64)
    for sample, reason in found:
        expected[sample:] = reason == OK
    assert usable == expected.tolist()
    return found


@pytest.mark.parametrize("reason", [LEAD_OFF, MISSING, SATURATED])
def test_lost_after_100_ms(reason):
    assert LOST == 36
    assert follow([OK] * 10 + [reason] * (LOST - 1) + [OK] * 10) == []
    assert follow([OK] * 10 + [reason] * LOST) == [(10 + LOST - 1, reason)]


def test_back_after_500_ms():
    assert BACK == 180
    lost = [MISSING] * LOST
    assert follow(lost + [OK] * (BACK - 1)) == [(LOST - 1, MISSING)]
    assert follow(lost + [OK] * BACK) == [(LOST - 1, MISSING), (LOST + BACK - 1, OK)]


def test_one_bad_sample_starts_the_wait_anew():
    flags = [MISSING] * LOST + [OK] * (BACK - 1) + [SATURATED] + [OK] * BACK
    assert follow(flags) == [(LOST - 1, MISSING), (len(flags) - 1, OK)]


def test_the_reason_is_that_of_the_last_sample_that_counted():
    assert follow([MISSING] * (LOST - 1) + [LEAD_OFF]) == [(LOST - 1, LEAD_OFF)]


def test_another_reason_takes_over_when_it_has_lasted():
    flags = [MISSING] * LOST + [LEAD_OFF] * (LOST - 1) + [MISSING] + [LEAD_OFF] * LOST
    assert follow(flags) == [(LOST - 1, MISSING), (len(flags) - 1, LEAD_OFF)]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([OK, OK, MISSING, SATURATED, LEAD_OFF]), st.integers(1, 400)), min_size=1, max_size=12
    ),
    SIZES,
)
def test_the_obvious_way_says_the_same_at_any_cut(stretches, sizes):
    flags = [flag for flag, n in stretches for _ in range(n)]
    assert follow(flags, sizes) == naive.loss_changes(flags)
