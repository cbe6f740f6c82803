"""Fibrillation, flutter, torsades: their frequencies, sizes and bounds."""

import numpy as np
import pytest

from simulators.rhythms import Silence, Sinus
from simulators.synthetic import Patient
from simulators.ventricular import Chaos, Torsades, VentricularFibrillation, VentricularFlutter

FS = 360


def chaos(mv, seed, seconds=120.0):
    t = np.arange(round(seconds * FS)) / FS
    return Chaos(mv).start(2, np.random.default_rng(seed)).at(t)


@pytest.mark.parametrize("mv", [1.0, 0.2])
@pytest.mark.parametrize("seed", range(4))
def test_fibrillation_is_narrow_banded_and_as_large_as_asked(mv, seed):
    signal = chaos(mv, seed)
    hz = np.fft.rfftfreq(len(signal), 1 / FS)
    for lead in signal.T:
        power = np.abs(np.fft.rfft(lead)) ** 2
        assert power[(hz > 3.5) & (hz < 7.5)].sum() > 0.9 * power.sum()
        assert 4.0 < hz[power.argmax()] < 7.0
        waves = np.ptp(lead[: len(lead) // 72 * 72].reshape(-1, 72), axis=1)  # of a fifth of a second each
        assert 0.7 * mv < np.quantile(waves, 0.75) < 1.4 * mv
        assert np.quantile(waves, 0.1) < 0.5 * np.quantile(waves, 0.9)


def test_fibrillation_drifts_and_differs_between_leads_and_seeds():
    signal = chaos(1.0, 1)
    assert abs(np.corrcoef(signal.T)[0, 1]) < 0.8
    assert np.abs(signal - chaos(1.0, 2)).max() > 0.5
    first, later = signal[:3600, 0], signal[3600:7200, 0]
    correlation = np.abs(np.fft.irfft(np.fft.rfft(first) * np.conj(np.fft.rfft(later)))).max()
    assert correlation < 0.8 * np.linalg.norm(first) * np.linalg.norm(later)  # a steady tone would come back


def test_fibrillation_dies_away():
    strip = Patient([Sinus(5), VentricularFibrillation(40, mv=1.2, to_mv=0.15)], repeat=False).strip(46 * FS)
    (start, end, _) = next(span for span in strip.rhythms if span.rhythm == "VF")
    assert (end - start) / FS == pytest.approx(40.0, abs=0.01)
    assert not ((strip.r_peaks > start) & (strip.r_peaks < end)).any()
    sizes = [strip.signal[a : a + 5 * FS, 0].std() for a in (start + FS, end - 6 * FS)]
    assert sizes[0] > 3 * sizes[1] > 0.06


def test_silence_after_fibrillation_is_asystole_from_its_end():
    strip = Patient([Sinus(5), VentricularFibrillation(10), Silence(6), Sinus(5)], repeat=False).strip(24 * FS)
    assert [span.rhythm for span in strip.rhythms] == ["N", "VF", "ASYS", "N"]
    vf = strip.rhythms[1]
    assert strip.r_peaks[strip.r_peaks > vf.end][0] == pytest.approx(vf.end + 6 * FS, abs=1)
    assert not strip.signal[vf.end + 1 : vf.end + 5 * FS].any()


def test_flutter_is_regular_at_its_rate():
    strip = Patient([Sinus(5), VentricularFlutter(20, rate=270, mv=1.6)], repeat=False).strip(24 * FS)
    (start, _, rhythm) = strip.rhythms[1]
    assert rhythm == "VFL"
    wave = strip.signal[start + FS : start + 17 * FS, 0]
    spectrum = np.abs(np.fft.rfft(wave))
    assert np.fft.rfftfreq(len(wave), 1 / FS)[spectrum.argmax()] == pytest.approx(4.5, abs=0.05)
    assert np.ptp(wave) == pytest.approx(1.6, rel=0.2)


def test_torsades_twists_around_the_line():
    strip = Patient([Sinus(5), Torsades(24, rate=220, mv=2.0, twist=2.4)], repeat=False).strip(28 * FS)
    (start, _, rhythm) = strip.rhythms[1]
    assert rhythm == "VT"
    beats = strip.r_peaks[(strip.r_peaks >= start) & (strip.r_peaks < start + 22 * FS)]
    np.testing.assert_allclose(np.diff(beats), 60 / 220 * FS, atol=1)
    at_beats = strip.signal[beats[2:-2], 0]
    assert at_beats.max() > 0.6
    assert at_beats.min() < -0.6
    turns = np.count_nonzero(np.diff(np.sign(at_beats)))
    assert turns == pytest.approx(21 / 2.4, abs=2)
