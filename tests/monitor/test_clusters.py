"""Clusters of beats: which one a beat joins, what it then tells of its mates, and which stand for the patient."""

from __future__ import annotations

import numpy as np
import pytest

from monitor import clusters
from monitor.clusters import MEMBER, STATE
from monitor.window import WIDTH, R


def shape(width: float, size: float = 1.0) -> np.ndarray:
    wave = size * np.exp(-((np.arange(WIDTH) - R) ** 2) / (2.0 * width**2))
    return wave - wave.mean()


NARROW, WIDE = shape(3.0), -shape(9.0)


def beat(**facts: float) -> np.void:
    found = np.zeros(1, MEMBER)[0]
    found["spread"] = 0.02
    for name, value in facts.items():
        found[name] = value
    return found


@pytest.fixture
def state() -> np.void:
    return np.zeros(1, STATE)[0]


def join(state: np.void, window: np.ndarray, worth: float = 1.0, **facts: float) -> int:
    """A beat joins; the number of its cluster."""
    clusters.join(state, window, beat(**facts), worth, *clusters.nearest(state, window))
    return int(state["last"])


def test_alike_beats_are_one_cluster(state):
    assert clusters.nearest(state, NARROW) == (-1, -2.0, 0)
    first = join(state, NARROW)
    assert join(state, 1.3 * NARROW) == first
    other = join(state, WIDE)
    assert other != first
    assert join(state, NARROW) == first
    near, likeness, shift = clusters.nearest(state, np.roll(NARROW, 2))
    assert (near, shift) == (first, 2)
    assert likeness > 0.99
    assert clusters.nearest(state, 5.0 * NARROW)[0] != first, "size tells, beyond a factor of two"
    assert clusters.total_weight(state) == pytest.approx(4.0, abs=0.05)


def test_a_cluster_tells_what_its_beats_have_in_common(state):
    for timing, p in ((-0.4, 0.1), (-0.2, -0.1), (-0.3, 0.3)):
        mine = join(state, WIDE, timing=timing, p_projection=p)
        join(state, NARROW, p_projection=1.0)
    mean = state["all"][mine]["mean"]
    assert mean["timing"] == pytest.approx(-0.3, abs=1e-3)
    assert mean["p_projection"] == pytest.approx(0.1, abs=1e-3)
    assert mean["spread"] == pytest.approx(0.02)


def test_it_tells_how_the_rhythm_goes_on_after_its_beats(state):
    for _ in range(8):
        narrow = join(state, NARROW)
        clusters.follow(state, -0.3)
        wide = join(state, WIDE)
        clusters.follow(state, 0.25)
    assert state["all"][narrow]["next"] == pytest.approx(-0.3, abs=0.1)
    assert state["all"][wide]["next"] == pytest.approx(0.25, abs=0.1)


def test_following_no_beat_is_not_noted(state):
    clusters.follow(state, 0.5)
    assert not state["all"]["next"].any()


def test_the_lightest_makes_room(state):
    rng = np.random.default_rng(0)
    first = join(state, NARROW)
    for _ in range(10):
        join(state, NARROW)
    for _ in range(2 * clusters.COUNT):
        join(state, rng.normal(size=WIDTH))
    assert clusters.nearest(state, NARROW)[0] == first, "what many beats made is kept"
    fresh = join(state, WIDE, timing=-0.5)
    assert state["all"][fresh]["mean"]["timing"] == pytest.approx(-0.5)
    assert state["all"][fresh]["next"] == 0.0, "nothing is left of the cluster before"


def test_what_is_worth_little_weighs_little(state):
    mine = join(state, NARROW)
    join(state, WIDE, worth=0.05)
    assert state["all"]["weight"].max() == state["all"][mine]["weight"]
    assert sorted(state["all"]["weight"])[-2] == pytest.approx(0.05)


def test_the_normal_beat_is_narrow_and_timely(state):
    for _ in range(6):
        narrow = join(state, NARROW)
        wide = join(state, WIDE, spread=0.05, timing=-0.3, ventricular=1.0)
        join(state, WIDE, spread=0.05, timing=-0.3, ventricular=1.0)
    assert clusters.normal(state) == narrow, "though there are twice as many others"
    assert clusters.ventricular(state, narrow) == wide
    assert clusters.ventricular(state, wide) == -1


def test_one_ventricular_beat_makes_no_ventricular_cluster(state):
    narrow = join(state, NARROW)
    join(state, WIDE, ventricular=1.0)
    assert clusters.ventricular(state, narrow) == -1


def test_a_mixture_is_taken_apart():
    rng = np.random.default_rng(1)
    other = np.convolve(rng.normal(size=WIDTH), np.hanning(15), "same")
    usual, ventricular, rest, gain = clusters.mixture(NARROW, other, 0.6 * NARROW + 0.5 * other)
    assert (usual, ventricular) == (pytest.approx(0.6, abs=1e-6), pytest.approx(0.5, abs=1e-6))
    assert rest == pytest.approx(0.0, abs=1e-4)
    assert gain > 0.1
    assert clusters.mixture(NARROW, 2.0 * NARROW, NARROW) == (0.0, 0.0, 1.0, 0.0), "alike beats cannot be told apart"
