"""From samples in order to a clean signal at 360 Hz: settling, then resampling."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal as scipy_signal
from streams import SIZES, cut

from monitor import align
from monitor.align import LEAD_OFF, MISSING, OK, REASONS, SATURATED
from monitor.ecg import FS, MAX_LEADS

RATES = (100.0, 128.0, 249.0, 250.0, 359.999, 360.0, 361.0, 500.0, 1000.0)


# -- settling


def align_all(samples, fs=360.0, *, sizes=100, lead_off=0):
    """Run a whole signal through `step` in blocks; return mV and flags of each lead at 360 Hz."""
    state = np.zeros(1, align.STATE)
    table, half = align.design(fs)
    state["fs_mhz"], state["half"] = round(fs * 1000), half
    leads = samples.shape[1]
    padded = np.zeros((len(samples), MAX_LEADS), np.float32)
    padded[:, :leads] = samples
    made = [(np.empty((leads, 0)), np.empty((leads, 0), np.int64))]
    for chunk in cut(padded, sizes):
        n = len(chunk.samples)
        room = int(n * FS / fs) + 2
        out, flags = np.empty((MAX_LEADS, room)), np.empty((MAX_LEADS, room), np.int64)
        count = align.step(state[0], chunk.samples, 0, n, 0, lead_off, leads, table, out, flags)
        made.append((out[:leads, :count], flags[:leads, :count]))
    return np.concatenate([out for out, _ in made], 1), np.concatenate([flags for _, flags in made], 1)


HOLD = int(align.HOLD * FS)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.5, -3.0, np.nan, np.inf, -np.inf, 2e6, 1e30, 1e-40]), st.integers(1, 30)),
        min_size=1,
        max_size=12,
    ),
    SIZES,
)
def test_what_is_no_measurement_is_settled_as_the_rules_say(stretches, sizes):
    values = np.concatenate([np.full(n, value) for value, n in stretches]).astype(np.float32)
    values[::3] += np.float32(0.1)
    out, flags = align_all(values[:, None], sizes=sizes)
    expected, reasons = naive.settle(values.astype(np.float64), HOLD)
    assert np.array_equal(out[0], expected)
    assert [REASONS[flag] for flag in flags[0]] == reasons
    assert np.isfinite(out).all()


def test_a_stream_starts_at_zero_wherever_its_baseline_is():
    out, _ = align_all(np.full((5, 2), 7.25, np.float32))
    assert not out.any()


def test_a_signal_returns_at_the_level_where_it_was_lost():
    values = np.zeros((300, 1), np.float32)
    values[:100] = np.linspace(0, 1, 100)[:, None]
    values[100:200] = np.nan
    values[200:] = 40.0
    out, flags = align_all(values)
    assert np.all(out[0, 100:] == out[0, 99])
    assert flags[0, 99:201].tolist() == [OK] + [MISSING] * 100 + [OK]


def test_a_glitch_is_bridged_at_the_devices_own_level():
    """Shifting the level for a lost sample or two would add a random walk to the baseline."""
    values = np.zeros((60, 1), np.float32)
    values[20:30] = np.nan
    values[30:] = 0.5
    out, _ = align_all(values)
    assert out[0, 29] == 0.0
    assert np.all(out[0, 30:] == 0.5)


def test_an_electrode_off_outweighs_whatever_the_lead_sends():
    values = np.array([[1.0, 1.0], [np.inf, np.inf]], np.float32)
    _, flags = align_all(values, lead_off=0b10)
    assert flags.tolist() == [[OK, SATURATED], [LEAD_OFF, LEAD_OFF]]


# -- resampling


def tone(hz, fs, seconds=4.0):
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * fs)) / fs).astype(np.float32)[:, None]


@pytest.mark.parametrize("fs", RATES)
def test_resampling_agrees_with_the_obvious_way(fs):
    rng = np.random.default_rng(1)
    values = rng.normal(0.0, 1.0, (round(fs), 1)).astype(np.float32)
    values[0] = 0.0  # the first sample is the zero of a stream
    out, _ = align_all(values, fs)
    if fs == FS:
        assert np.array_equal(out[0], values[:, 0]), "360 Hz passes untouched"
        return
    expected = naive.resample(values[:, 0].astype(np.float64), fs)
    assert len(out[0]) == len(expected)
    assert np.abs(out[0] - expected).max() < 1e-4


@pytest.mark.parametrize(
    ("fs", "hz"),
    [(fs, hz) for fs in RATES for hz in (0.5, 5.0, 17.0, 30.0, 40.0) if fs >= 120 or hz <= 30],
)
def test_the_pass_band_comes_through_with_no_delay_at_all(fs, hz):
    """Sample k at 360 Hz is the signal at k / 360 s, to 1 %: a phase error of 1 % at 40 Hz were 40 us."""
    out, _ = align_all(tone(hz, fs), fs)
    k = np.arange(len(out[0]))
    expected = np.sin(2 * np.pi * hz * k / FS)
    assert np.abs(out[0] - expected)[36:].max() < 0.01  # the first 100 ms have no past


@pytest.mark.parametrize("fs", [720.0, 1000.0])
def test_what_would_alias_into_the_band_is_taken_out(fs):
    for hz in (320.0, 340.0, 355.0):
        out, _ = align_all(tone(hz, fs), fs)
        assert np.abs(out[0, 36:]).max() < 0.003, f"{hz} Hz"


@pytest.mark.parametrize("fs", [180.0, 720.0])
def test_resampling_by_two_agrees_with_scipy(fs):
    """Two ways of band-limited interpolation agree where both pass: below 30 Hz."""
    rng = np.random.default_rng(2)
    band = scipy_signal.butter(6, 30.0, fs=fs, output="sos")
    values = scipy_signal.sosfilt(band, rng.normal(size=round(4 * fs))).astype(np.float32)
    values -= values[0]
    up, down = (2, 1) if fs < FS else (1, 2)
    expected = scipy_signal.resample_poly(values.astype(np.float64), up, down)
    out, _ = align_all(values[:, None], fs)
    middle = slice(FS, len(out[0]) - FS)
    assert np.abs(out[0, middle] - expected[middle]).max() < 0.01 * np.abs(expected).max()


@pytest.mark.parametrize("fs", RATES)
def test_an_output_sample_comes_with_its_last_input_and_not_before(fs):
    """`emitted_input` names the input whose arrival makes an output; half as many more would be a longer delay."""
    state = np.zeros(1, align.STATE)
    table, half = align.design(fs)
    fs_mhz = round(fs * 1000)
    state["fs_mhz"], state["half"] = fs_mhz, half
    out, flags = np.empty((MAX_LEADS, 8)), np.empty((MAX_LEADS, 8), np.int64)
    samples = np.zeros((1, MAX_LEADS), np.float32)
    k = 0
    for index in range(1500):
        for _ in range(align.step(state[0], samples, 0, 1, 0, 0, 1, table, out, flags)):
            assert align.emitted_input(k, fs_mhz, half) == index
            k += 1
    assert k > 1490 * min(1.0, FS / fs) - 50


@pytest.mark.parametrize("fs", RATES)
@settings(max_examples=15, deadline=None)
@given(sizes=SIZES, seed=st.integers(0, 1000))
def test_blocks_do_not_show(fs, sizes, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(0.0, 1.0, (700, 2)).astype(np.float32)
    values[rng.random((700, 2)) < 0.1] = np.nan
    for one, other in zip(align_all(values, fs, sizes=len(values)), align_all(values, fs, sizes=sizes), strict=True):
        assert np.array_equal(one, other)


def test_no_rate_needs_more_than_a_ring_of_inputs():
    for fs in np.arange(100.0, 1000.5, 2.5):
        table, half = align.design(float(fs))
        assert half <= align.TAPS // 2
        if half:
            assert np.allclose(table.sum(1), 1.0)
            assert not table[:, : align.TAPS - 2 * half].any()
