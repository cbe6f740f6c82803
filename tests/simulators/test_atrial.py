"""Atrial fibrillation and flutter: no P waves, waves of their own, beats as irregular as they should be."""

import numpy as np
import pytest

from simulators.atrial import AtrialFibrillation, AtrialFlutter
from simulators.morphology import Heart
from simulators.rhythms import Beat, Onset, play
from simulators.synthetic import Patient

QUIET = Heart(qrs_mv=1e-6, pvc_mv=1e-6, p_mv=0.0, t_mv=0.0, f_mv=0.1)


def tell(*story, seed=0):
    events = list(play(story, np.random.default_rng(seed), repeat=False))
    beats = [event for event in events if isinstance(event, Beat)]
    assert not any(beat.p_wave for beat in beats)
    onsets = [(event.time, event.rhythm) for event in events if isinstance(event, Onset)]
    return np.array([beat.time for beat in beats]), onsets


def test_fibrillation_is_irregular_at_its_mean_rate():
    times, onsets = tell(AtrialFibrillation(1200, rate=95), seed=2)
    rr = np.diff(times)
    assert rr.mean() == pytest.approx(60 / 95, rel=0.03)
    assert rr.std() / rr.mean() == pytest.approx(0.22, rel=0.1)
    assert abs(np.corrcoef(rr[1:], rr[:-1])[0, 1]) < 0.07
    assert onsets == [(times[0], "AFIB")]


@pytest.mark.parametrize("conduction", [(4,), (2,), (2, 3, 4)])
def test_flutter_conducts_whole_numbers_of_its_waves(conduction):
    times, onsets = tell(AtrialFlutter(300, rate=300, conduction=conduction))
    waves = np.diff(times) / 0.2
    np.testing.assert_allclose(waves, np.round(waves), atol=1e-9)
    assert set(np.round(waves).astype(int)) == set(conduction)
    assert onsets == [(times[0], "AFL")]


def test_flutter_waves_have_their_rate_and_are_seen_best_in_mlii():
    signal = Patient([AtrialFlutter(60, rate=288)], heart=QUIET).take(40 * 360)[720:]
    spectrum = np.abs(np.fft.rfft(signal[:, 0]))
    assert np.fft.rfftfreq(len(signal), 1 / 360)[spectrum.argmax()] == pytest.approx(4.8, abs=0.05)
    assert np.ptp(signal[:, 0]) > 1.5 * np.ptp(signal[:, 1])


def test_flutter_conducts_something():
    with pytest.raises(ValueError, match="names no number"):
        AtrialFlutter(10, conduction=())
