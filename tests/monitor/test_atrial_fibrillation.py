"""Atrial fibrillation from intervals and P waves given to the kernel."""

from __future__ import annotations

import itertools
from statistics import mean, median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import atrial_fibrillation as af


def follow(intervals, p):
    """The state after each interval, s; `p` tells how every beat shows P waves."""
    state = np.zeros(1, af.STATE)[0]
    at, states = 0, []
    for interval in intervals:
        at += round(interval * 360)
        af.take(state, at, interval, p)
        states.append(state.copy())
    return states


def stands(intervals, p):
    """Whether it is found in the end."""
    return bool(follow(intervals, p)[-1]["on"])


def fibrillating(count, seed=0, spread=0.22):
    """Intervals in no order, 0.4 to 1.4 s."""
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(0.7, spread * 0.7, count), 0.35, 1.4).tolist()


def sinus(count, seed=0):
    """Intervals that breathing lengthens and shortens."""
    rng = np.random.default_rng(seed)
    return (0.85 + 0.06 * np.sin(np.arange(count) * 1.3) + rng.normal(0, 0.01, count)).tolist()


def test_fibrillation_without_p_waves_is_found_within_twenty_beats():
    """In 20 intervals of 19 of 20 patients; and in 40 of all of them."""
    assert sum(stands(fibrillating(20, seed), p=-1.2) for seed in range(100)) >= 95
    assert all(stands(fibrillating(40, seed), p=-1.2) for seed in range(100))


@pytest.mark.parametrize("seed", range(20))
def test_a_sinus_rhythm_is_none_whatever_shows_of_its_p_waves(seed):
    for p in (-1.5, 0.0, 1.0):
        assert not any(state["on"] for state in follow(sinus(60, seed), p))


@pytest.mark.parametrize(
    "pattern",
    [
        [0.8] * 7 + [0.5, 1.1],  # lone premature beats
        [0.8, 0.84, 0.88, 0.93, 1.6],  # second-degree block, Mobitz I
        [0.8, 0.8, 0.8, 1.6],  # blocked beats
        [0.8, 0.5, 1.1],  # atrial trigeminy
        [0.55, 0.95],  # atrial bigeminy
    ],
)
def test_rhythms_that_repeat_are_none_while_p_waves_show(pattern):
    assert not any(state["on"] for state in follow(pattern * 12, 0.9))


def test_it_begins_and_ends_half_a_window_before_that_shows():
    before, during, after = sinus(40), fibrillating(60), sinus(60, 1)
    states = follow(before + during, -1.2)
    at = np.cumsum([round(interval * 360) for interval in before + during + after])
    (begun,) = {int(state["since"]) for state in states if state["on"]}
    assert abs(int(np.flatnonzero(at == begun)[0]) - len(before)) <= 8
    states = follow(before + during + after, -1.2)
    assert states[len(before) + len(during) - 1]["on"]
    assert not states[-1]["on"]
    ended = int(np.flatnonzero(at == int(states[-1]["since"]))[0])
    assert abs(ended - len(before) - len(during)) <= af.WINDOW + 4


def test_there_is_no_answer_before_eight_intervals_and_pauses_say_nothing():
    state = follow(fibrillating(7), 0.0)[-1]
    assert state["weighed"] == 0
    assert follow([*fibrillating(7), 2.6], 0.0)[-1]["weighed"] == 0
    assert follow([*fibrillating(7), 2.4], 0.0)[-1]["weighed"] == 1


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0.25, 2.4), min_size=8, max_size=16), st.floats(-2, 2))
def test_measures_are_those_of_the_obvious_way(intervals, p):
    usual = median(intervals)

    def lagged(lag):
        return median(abs(b - a) for a, b in zip(intervals, intervals[lag:], strict=False)) / usual

    changes = [abs(b - a) / usual for a, b in itertools.pairwise(intervals)]
    pairs = list(itertools.pairwise(intervals))
    again = [
        abs(a[0] - b[0]) < 0.05 * usual and abs(a[1] - b[1]) < 0.05 * usual
        for n, a in enumerate(pairs)
        for b in pairs[:n]
    ]
    expected = [
        np.log(lagged(1) + 0.01),
        mean(change > 0.1 for change in changes),
        mean(again),
        np.log(min(lagged(1), lagged(2), lagged(3)) + 0.01),
        min(max(p, -1.0), 0.0),
    ]
    x, measures = np.zeros(af.WINDOW), np.zeros(len(af.MEASURES))
    x[: len(intervals)] = intervals
    af.measure(x, len(intervals), p, measures)
    close = [c for c in (0.1, 0.05) if any(abs(change - c) < 1e-9 for change in changes)]
    if not close:
        assert measures == pytest.approx(expected)
