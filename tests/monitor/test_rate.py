"""The heart rate as it is averaged: from intervals given to the kernel."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from monitor import rate


def shown(*intervals: float, run: int = 0) -> float:
    """The rate shown after these intervals, s."""
    state = np.zeros(1, rate.STATE)[0]
    for interval in intervals:
        rate.add(state, interval, run)
    return float(state["shown"])


@pytest.mark.parametrize("per_minute", [15, 20, 30, 40, 49, 51, 60, 80, 120, 180, 250, 300])
def test_a_steady_rate_is_right_from_the_fourth_interval_on(per_minute):
    interval = 60.0 / per_minute
    assert shown(*[interval] * 3) == 0.0
    for count in range(4, 20):
        assert shown(*[interval] * count) == pytest.approx(per_minute)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [((0.55, 0.95), 80), ((0.7, 1.3), 60), ((0.42, 0.58), 120), ((0.6, 0.733333), 90)],
    ids=["bigeminy", "slow", "fast", "bidirectional"],
)
def test_alternating_rhythms_have_one_rate(pattern, expected):
    """Those of IEC 60601-2-27: as many long intervals as short ones are averaged, at every beat."""
    intervals = list(itertools.islice(itertools.cycle(pattern), 30))
    for count in range(5, 30):
        assert abs(shown(*intervals[:count]) - expected) <= (1 if count >= 8 else 0.2 * expected)
        for run in (count, 5) if count >= 8 else ():
            assert abs(shown(*intervals[:count], run=run) - expected) <= 1


@pytest.mark.parametrize("wrong", [0.1, 0.3, 1.6, 2.4])
def test_one_wrong_interval_does_not_show(wrong):
    """A beat missed, or one too many."""
    for place in range(12):
        intervals = [0.8] * 20
        intervals[19 - place] = wrong
        assert shown(*intervals) == pytest.approx(75)


def test_a_slow_rhythm_takes_four_intervals_and_needs_three():
    assert shown(*[0.75] * 12, 1.5, 1.5) == pytest.approx(60 / np.mean([0.75] * 9 + [1.5]))
    assert shown(*[0.75] * 12, 1.5, 1.5, 1.5) == pytest.approx(60 / np.mean([0.75, 1.5, 1.5, 1.5]))
    assert shown(*[1.2] * 20, 1.21, 1.21) == shown(*[1.2] * 20, 1.21, 1.21, 1.2)


def test_a_ventricular_run_takes_what_it_holds():
    """As far as it is even, four at least and eight at most."""
    slow, fast = [0.8] * 12, 0.4
    assert shown(*slow, *[fast] * 5, run=5) == pytest.approx(150)
    assert shown(*slow, *[fast] * 7, run=8) == pytest.approx(60 / np.mean([0.8] + [fast] * 7))
    assert shown(*slow, *[fast] * 8, run=20) == pytest.approx(150)


def test_a_standstill_is_no_rate():
    assert shown(*[0.8] * 12, 4.31) == 0.0
    assert shown(*[4.0] * 4) == pytest.approx(15)


@pytest.mark.parametrize(("after", "limit", "most"), [(0.5, 100, 8), (1.5, 60, 3)])
def test_how_many_beats_a_step_takes(after, limit, most):
    """From 80 per minute past the limit, s: 8 beats at 120 are 4 s, 3 at 40 are 4.5 s."""
    for count in range(1, 13):
        value = shown(*[0.75] * 12, *[after] * count)
        assert (value > limit if after < 0.75 else value < limit) == (count >= most)


@pytest.mark.parametrize("stands", [0, 1])
def test_limits_have_a_margin_once_they_are_broken(stands):
    margin = rate.HYSTERESIS * stands
    assert rate.is_above(120.0 - margin, 120.0, stands) == 0
    assert rate.is_above(120.1 - margin, 120.0, stands) == 1
    assert rate.is_below(50.0 + margin, 50.0, stands) == 0
    assert rate.is_below(49.9 + margin, 50.0, stands) == 1
    assert rate.is_below(0.0, 50.0, stands) == 0
