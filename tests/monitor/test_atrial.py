"""P waves: what lies before a QRS over the tail of the beat before, and how it compares with the usual one."""

from __future__ import annotations

import numpy as np
import pytest

from monitor import atrial
from monitor.atrial import P_FIRST, P_SHIFT, STATE, P
from monitor.filters import DISPLAY_DELAY
from monitor.window import NEVER, RING, STRIDE

INTERVAL = 300  # samples from beat to beat
R = 900  # the beat that is looked at


def p_wave(shift: float = 0.0) -> np.ndarray:
    wave = np.exp(-((np.arange(P) - P / 2 - shift) ** 2) / (2 * 5.0**2))
    return wave - wave[0]


def ring_with(beats: list[int], p_at: float | None = -0.16, p_mv: float = 0.1) -> np.ndarray:
    """Display signal with a T wave after each beat and a P wave so many seconds from it."""
    ring = np.zeros(RING, np.float32)
    t = np.arange(RING)
    for r in beats:
        at = r + DISPLAY_DELAY
        ring += (0.3 * np.exp(-((t - at - 90) ** 2) / (2 * 18.0**2))).astype(np.float32)
        if p_at is not None:
            ring += (p_mv * np.exp(-((t - at - p_at * 360) ** 2) / (2 * 9.0**2))).astype(np.float32)
    return ring


@pytest.fixture
def state() -> np.void:
    """After some beats that are all alike."""
    state = np.zeros(1, STATE)[0]
    ring = ring_with([R - INTERVAL, R])
    p = np.empty(P)
    for _ in range(12):
        atrial.residual(state, ring, R, R - INTERVAL, p)
        atrial.learn_p(state, p, 1.0)
        atrial.learn_tail(state, ring, R, R - INTERVAL, 1.0)
    return state


def seen(state: np.void, ring: np.ndarray, last_r: int = R - INTERVAL) -> tuple[np.ndarray, float]:
    p = np.empty(P)
    return p, atrial.residual(state, ring, R, last_r, p)


def test_the_usual_p_wave_is_known_again(state):
    p, deformed = seen(state, ring_with([R - INTERVAL, R]))
    likeness, shift, projection, _ = atrial.fit_p(state, p)
    assert likeness > 0.98
    assert shift == 0
    assert projection == pytest.approx(1.0, abs=0.1)
    assert deformed < 0.04
    assert atrial.usual_size(state) > 5 * state["p_noise"]


def test_a_p_wave_that_is_missing_is_missed(state):
    p, _ = seen(state, ring_with([R - INTERVAL, R], p_at=None))
    assert abs(atrial.fit_p(state, p)[2]) < 0.3
    assert atrial.bump(p) < 0.3 * atrial.bump(seen(state, ring_with([R - INTERVAL, R]))[0])


@pytest.mark.parametrize("points", [-3, 2])
def test_one_that_comes_early_or_late_is_shifted(state, points):
    p, _ = seen(state, ring_with([R - INTERVAL, R], p_at=-0.16 + points * STRIDE / 360))
    assert atrial.fit_p(state, p)[1] == points


def test_one_upside_down_is_unlike(state):
    p, _ = seen(state, ring_with([R - INTERVAL, R], p_mv=-0.1))
    likeness, _, projection, _ = atrial.fit_p(state, p)
    assert likeness < 0.3
    assert projection < 0.5


def test_an_early_p_wave_on_a_t_wave_deforms_it(state):
    """The beat is early: its P region lies on the T wave of the beat before, which is known."""
    last = R - 150
    _, plain = seen(state, ring_with([last, R], p_at=None), last)
    p, deformed = seen(state, ring_with([last, R]), last)
    assert deformed > plain + 0.01
    assert atrial.bump(p) > 0.05


def test_without_a_beat_before_nothing_is_deformed(state):
    assert seen(state, ring_with([R]), NEVER)[1] == 0.0


def test_what_is_worth_nothing_teaches_nothing(state):
    before = state["p"].copy()
    atrial.learn_p(state, 5.0 * p_wave(), 0.0)
    assert np.array_equal(state["p"], before)


def test_the_p_region_ends_before_the_qrs():
    assert P_FIRST < 0
    assert P_FIRST + P < 0
    assert 0 < P_SHIFT < P
