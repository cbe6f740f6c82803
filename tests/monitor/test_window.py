"""Windows of beats: how two are compared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import frontend, window
from monitor.ecg import FS
from monitor.window import AFTER, BEFORE, STRIDE, WIDTH, R
from tests.monitor import naive


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([(3, 14, 14), (3, 32, 45), (14, 32, 45)]), st.integers(-3, 3))
def test_fit_is_the_best_correlation_over_shifts(seed, reach, moved):
    reach, before, after = reach
    rng = np.random.default_rng(seed)
    shape = np.convolve(rng.normal(size=WIDTH + 20), np.hanning(9), "same")
    other = shape[10 - moved : 10 - moved + WIDTH] + 0.1 * rng.normal(size=WIDTH)
    shape = shape[10 : 10 + WIDTH].copy()
    likeness, shift = window.fit(shape, other, reach, before, after)
    expected, at = naive.best_fit(shape, other, reach, R - before, R + after)
    assert likeness == pytest.approx(expected, abs=1e-9)
    assert shift == at


def test_a_flat_line_fits_nothing():
    assert window.fit(np.zeros(WIDTH), np.ones(WIDTH), 3, 14, 14)[0] == 0.0


def test_a_window_is_seven_tenths_of_a_second():
    assert WIDTH * STRIDE == BEFORE + AFTER == round(0.7 * FS)


def test_a_block_of_the_front_end_fits_what_is_kept():
    assert frontend._SCRATCH <= window.BLOCK < window.RING
