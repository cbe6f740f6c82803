"""The causal filters: what scipy computes, at any cut, and with a delay that is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal as scipy_signal
from streams import SIZES

from monitor import filters
from monitor.ecg import FS, MAX_LEADS
from monitor.filters import DETECTOR_SOS, DISPLAY_DELAY, DISPLAY_SOS
from simulators.morphology import Heart
from simulators.synthetic import render


def filter_all(leads, sizes):
    """Display and detector band of every lead, filtered in blocks of the given sizes."""
    state = np.zeros(1, filters.STATE)
    display, detector = np.empty_like(leads), np.empty_like(leads)
    at, turn = 0, 0
    while at < leads.shape[1]:
        block = np.ascontiguousarray(leads[:, at : at + sizes[turn % len(sizes)]])
        n = block.shape[1]
        shown, band = np.empty((MAX_LEADS, n)), np.empty((MAX_LEADS, n))
        filters.step(state[0], block, n, MAX_LEADS, shown, band)
        display[:, at : at + n], detector[:, at : at + n] = shown, band
        at, turn = at + n, turn + 1
    return display, detector


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1000), SIZES)
def test_scipy_computes_the_same(seed, sizes):
    """Close, not equal: scipy is free to add in another order."""
    leads = np.random.default_rng(seed).normal(0.0, 1.0, (MAX_LEADS, 1500))
    display, detector = filter_all(leads, sizes)
    assert np.allclose(display, scipy_signal.sosfilt(DISPLAY_SOS, leads), rtol=0, atol=1e-12)
    assert np.allclose(detector, scipy_signal.sosfilt(DETECTOR_SOS, leads), rtol=0, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1000), SIZES)
def test_blocks_do_not_show(seed, sizes):
    leads = np.random.default_rng(seed).normal(0.0, 1.0, (MAX_LEADS, 1500))
    for one, other in zip(filter_all(leads, [1500]), filter_all(leads, sizes), strict=True):
        assert np.array_equal(one, other)


def test_a_flat_line_decays_to_nothing_and_never_to_denormals():
    leads = np.zeros((MAX_LEADS, 600 * FS))
    leads[:, 0] = 1.0
    for shown in filter_all(leads, [leads.shape[1]]):
        tail = np.abs(shown[..., -FS:])
        assert np.all((tail == 0.0) | (tail > 1e-300))


@pytest.mark.parametrize("hz", [0.05, 0.5, 1.0, 10.0, 40.0, 100.0])
def test_display_band(hz):
    """-3 dB at 0.5 and 40 Hz; baseline wander and muscle noise go."""
    k = np.arange(60 * FS)
    leads = np.tile(np.sin(2 * np.pi * hz * k / FS), (MAX_LEADS, 1))
    gain = np.abs(filter_all(leads, [len(k)])[0][0, 40 * FS :]).max()
    expected = {0.05: (0.0, 0.011), 0.5: (0.69, 0.72), 1.0: (0.95, 1.0), 10.0: (0.99, 1.01)}
    expected |= {40.0: (0.69, 0.72), 100.0: (0.0, 0.02)}
    assert expected[hz][0] <= gain <= expected[hz][1]


@pytest.mark.parametrize("qrs_ms", [60, 80, 100, 120])
@pytest.mark.parametrize("sign", [1, -1])
def test_display_delays_an_r_peak_by_the_stated_samples(qrs_ms, sign):
    strip = render([(2.0, "N")], 4.0, heart=Heart(qrs_ms=qrs_ms))
    leads = np.ascontiguousarray(strip.signal.T.astype(np.float64)) * sign
    display, _ = filter_all(leads, [leads.shape[1]])
    assert abs(int(np.abs(display[0]).argmax()) - strip.r_peaks[0] - DISPLAY_DELAY) <= 1
