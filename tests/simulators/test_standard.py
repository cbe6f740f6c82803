"""The standard waveforms: sizes, places and rates are what they are called."""

import numpy as np
import pytest

from simulators import standard as draw
from simulators.shapes import pacer

FS = 1000.0


@pytest.mark.parametrize("mv", [0.15, 0.5, 5.0])
@pytest.mark.parametrize("ms", [10.0, 40.0, 100.0, 120.0])
def test_triangle_has_its_height_and_width(mv, ms):
    strip = draw.steady(60.0, mv, ms, seconds=3.0, fs=10_000.0)
    signal = strip.signal[:, 0]
    assert signal.max() == pytest.approx(mv, rel=1e-3)
    above = np.flatnonzero(signal[:6000] > 0.5 * mv)
    assert (above[-1] - above[0]) / 10.0 == pytest.approx(0.5 * ms, rel=0.12)  # rounded at its top
    assert above.mean() / 1e4 == pytest.approx(strip.r_peaks[0] / 1e4, abs=1e-4)


def test_biphasic_complex_is_as_large_from_top_to_bottom_as_asked():
    shape = draw.biphasic(1.0, 100.0)
    assert np.ptp(shape.mv) == pytest.approx(1.0)
    assert -shape.mv.min() == pytest.approx(0.125, abs=0.03)
    seen = shape.t[np.abs(shape.mv) > 0.02]
    assert seen[-1] - seen[0] == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("mv", [0.2, 1.4])
@pytest.mark.parametrize(("qrs", "before_r"), [(draw.triangle(1.0, 100.0), 50), (draw.biphasic(1.0, 100.0), 40)])
def test_t_wave_ends_350_ms_after_the_onset_of_the_qrs(mv, qrs, before_r):
    strip = draw.with_t(qrs, mv, seconds=2.0, fs=FS)
    onset = strip.r_peaks[0] - before_r
    t = strip.signal[onset + 110 : onset + 600, 0]
    assert t.max() == pytest.approx(mv, rel=1e-3)
    seen = np.flatnonzero(t > 0.005 * mv) + 110
    assert seen[-1] == pytest.approx(350, abs=9)
    assert seen[0] == pytest.approx(170, abs=9)


@pytest.mark.parametrize("rate", [20.0, 80.0, 300.0])
@pytest.mark.parametrize("phase", [0.0, 0.37])
def test_steady_keeps_its_rate_and_phase(rate, phase):
    strip = draw.steady(rate, seconds=30.0, phase=phase, fs=360.0)
    times = strip.r_peaks / 360.0
    np.testing.assert_allclose(np.diff(times), 60.0 / rate, atol=1 / 360.0)
    assert times[0] == pytest.approx(0.3 + phase * 60.0 / rate, abs=1 / 360.0)


@pytest.mark.parametrize("name", draw.IRREGULAR)
@pytest.mark.parametrize("phase", [0.0, 0.5])
def test_irregular_rhythms_have_their_true_rate(name, phase):
    rate, cycle = draw.IRREGULAR[name]
    strip = draw.irregular(name, phase=phase, seconds=60.0)
    assert 60.0 * len(cycle) / sum(interval for _, interval in cycle) == pytest.approx(rate)
    inside = strip.r_peaks[(strip.r_peaks >= 6 * 360) & (strip.r_peaks < 54 * 360)]
    assert len(inside) == pytest.approx(48 * rate / 60, abs=2)
    assert set(strip.symbols) == ({"V"} if name.startswith("bidirectional") else {"N", "V"})


@pytest.mark.parametrize("to", [40.0, 120.0])
def test_change_comes_once_after_the_learning_time(to):
    strip = draw.change(to, phase=0.4, fs=FS)
    intervals = np.diff(strip.r_peaks) / FS
    new = int(np.flatnonzero(np.abs(intervals - 0.75) > 0.1)[0])
    np.testing.assert_allclose(intervals[new:], 60.0 / to, atol=0.0011)
    assert strip.r_peaks[new] / FS == pytest.approx(draw.LEARN_S, abs=0.76)


def test_stop_leaves_nothing_or_the_residue():
    strip = draw.stop(phase=0.2)
    after = strip.r_peaks[-1] + round(0.4 * 360)
    assert not strip.signal[after:].any()
    assert strip.rhythms[-1].rhythm == "ASYS"
    with_pulses = draw.stop(phase=0.2, residue=pacer(2.0, 2.0))
    assert with_pulses.r_peaks.tolist() == strip.r_peaks.tolist()
    peaks = np.flatnonzero(with_pulses.signal[after:, 0] > 0.3)
    assert len(np.flatnonzero(np.diff(peaks) > 100)) + 1 == pytest.approx(11 / 0.75, abs=1.5)


@pytest.mark.parametrize("name", draw.TACHYCARDIAS)
@pytest.mark.parametrize("size", [0.5, 1.0, 2.0])
def test_tachycardia_has_its_rate_and_size(name, size):
    rate, mv = draw.TACHYCARDIAS[name]
    strip = draw.tachycardia(name, size)
    vt = strip.rhythms[-1]
    assert vt.rhythm == "VT"
    beats = strip.r_peaks[strip.r_peaks >= vt.start]
    assert 60.0 * 360.0 / np.diff(beats).mean() == pytest.approx(rate, rel=1e-3)
    assert np.ptp(strip.signal[vt.start + 720 :, 0]) == pytest.approx(size * mv, rel=0.12)
    assert {strip.symbols[i] for i in np.flatnonzero(strip.r_peaks >= vt.start)} == {"V"}


def test_fibrillation_begins_without_a_step_and_has_no_beats():
    strip = draw.fibrillation(1.0, seed=3)
    vf = strip.rhythms[-1]
    assert vf.rhythm == "VF"
    assert strip.r_peaks.max() < vf.start
    around = strip.signal[vf.start - 36 : vf.start + 72, 0]
    assert np.abs(np.diff(around)).max() < 0.06
    assert strip.signal[vf.start + 360 :, 0].std() == pytest.approx(0.3, rel=0.3)


def test_drift_and_mains_have_their_size_and_frequency():
    t = np.arange(60_000) / FS
    for wave, hz, mv in ((draw.drift(t), 0.1, 4.0), (draw.mains(t), 50.0, 0.1), (draw.mains(t, hz=60.0), 60.0, 0.1)):
        assert np.ptp(wave) == pytest.approx(mv, rel=0.01)
        spectrum = np.abs(np.fft.rfft(wave - wave.mean()))
        assert np.fft.rfftfreq(t.size, 1 / FS)[spectrum.argmax()] == pytest.approx(hz)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 0.0])
def test_lost_is_lost_for_its_time_only(value):
    strip = draw.lost(value, 1.0)
    off = slice(20 * 360, 21 * 360)
    np.testing.assert_array_equal(strip.signal[off, 0], np.full(360, value, np.float32))
    rest = np.delete(strip.signal[:, 0], np.r_[off])
    assert np.isfinite(rest).all()


def test_pause_is_exact():
    intervals = np.diff(draw.pause(3.9, phase=0.3).r_peaks)
    assert intervals.max() == pytest.approx(3.9 * 360, abs=1)
    assert np.count_nonzero(intervals > 400) == 1


@pytest.mark.parametrize(("count", "rate", "symbol"), [(17, 145.0, "N"), (5, 36.0, "N"), (4, 180.0, "V")])
def test_burst_is_exact(count, rate, symbol):
    strip = draw.burst(count, rate, symbol)
    intervals = np.diff(strip.r_peaks) / 360.0
    assert np.count_nonzero(np.abs(intervals - 60.0 / rate) < 0.01) == count - 1
    assert strip.symbols.count("V") == (count if symbol == "V" else 0)
