"""Disturbances are as strong as asked, where asked."""

import numpy as np
import pytest

from simulators.noise import Baseline, Flat, LeadOff, Mains, Motion, Muscle, Saturation, Step, Wander, When

FS = 360.0


def noise(disturbance, seconds, block=360):
    """Two leads of a disturbance alone, drawn in blocks."""
    apply = disturbance.start(FS, 2, np.random.default_rng(0))
    blocks = []
    for first in range(0, round(seconds * FS), block):
        signal = np.zeros((block, 2))
        apply(np.arange(first, first + block), signal)
        blocks.append(signal)
    return np.concatenate(blocks)


@pytest.mark.parametrize(
    ("disturbance", "hz"), [(Baseline(4.0, hz=0.1), 0.1), (Mains(0.1), 50.0), (Mains(0.1, hz=60.0), 60.0)]
)
def test_sinusoids_have_their_amplitude_and_frequency(disturbance, hz):
    signal = noise(disturbance, 20)
    spectrum = np.abs(np.fft.rfft(signal[:, 0])) * 2 / len(signal)
    k = round(hz * 20)
    assert spectrum.argmax() == k
    assert spectrum[k] == pytest.approx(disturbance.mv, rel=1e-6)
    assert np.delete(spectrum, k).max() < 1e-9


def test_mains_is_in_phase_on_all_leads():
    signal = noise(Mains(0.1), 1)
    np.testing.assert_array_equal(signal[:, 0], signal[:, 1])


def test_muscle_has_its_rms_and_band_and_differs_between_leads():
    signal = noise(Muscle(0.2), 120)
    np.testing.assert_allclose(signal.std(axis=0), 0.2, rtol=0.03)
    assert abs(np.corrcoef(signal.T)[0, 1]) < 0.03
    power = np.abs(np.fft.rfft(signal[:, 0])) ** 2
    hz = np.fft.rfftfreq(len(signal), 1 / FS)
    assert power[(hz > 15) & (hz < 130)].sum() > 0.95 * power.sum()


def test_muscle_has_no_seams_between_blocks():
    signal = noise(Muscle(1.0), 600)[:, 0]
    steps = np.diff(signal)
    assert steps[359::360].std() == pytest.approx(steps.std(), rel=0.1)


def test_motion_has_its_rms_and_band_and_comes_in_jerks():
    signal = noise(Motion(0.3), 300)
    np.testing.assert_allclose(signal.std(axis=0), 0.3, rtol=0.1)
    assert abs(np.corrcoef(signal.T)[0, 1]) < 0.1
    power = np.abs(np.fft.rfft(signal[:, 0])) ** 2
    hz = np.fft.rfftfreq(len(signal), 1 / FS)
    assert power[(hz > 0.5) & (hz < 10)].sum() > 0.95 * power.sum()
    kurtosis = ((signal / signal.std(axis=0)) ** 4).mean(axis=0)
    assert (kurtosis > 3.3).all()


def test_wander_is_slow_and_of_its_rms():
    signal = noise(Wander(0.4), 600)
    np.testing.assert_allclose(signal.std(axis=0), 0.4, rtol=0.15)
    power = np.abs(np.fft.rfft(signal[:, 0])) ** 2
    hz = np.fft.rfftfreq(len(signal), 1 / FS)
    assert power[hz < 0.55].sum() > 0.98 * power.sum()


@pytest.mark.parametrize(
    ("disturbance", "value"),
    [(Step(-0.5, When(2, 1.5)), -0.5), (Saturation((0, 1), When(2, 1.5)), np.inf), (Flat((0, 1), When(2, 1.5)), 0.0)],
)
def test_levels_hold_in_their_episode_alone(disturbance, value):
    signal = noise(Step(1e-3), 6) + 0.0
    disturbance.start(FS, 2, np.random.default_rng(0))(np.arange(len(signal)), signal)
    inside = slice(720, 1260)
    expected = value + 1e-3 if value == -0.5 else value
    assert (signal[inside] == np.float64(expected)).all()
    assert (np.delete(signal, np.r_[inside], axis=0) == 1e-3).all()


def test_lead_off_leaves_no_sample_on_its_lead_alone():
    signal = noise(LeadOff((1,), When(at=2, seconds=1.5)), 6)
    assert not np.isnan(signal[:, 0]).any()
    assert np.flatnonzero(np.isnan(signal[:, 1])).tolist() == list(range(720, 1260))


def test_when_repeats_to_the_sample():
    active = When(at=1.0, seconds=0.5, every=2.0).active(np.arange(2520), FS)
    edges = np.flatnonzero(np.diff(active.astype(int)))
    assert (edges + 1).tolist() == [360, 540, 1080, 1260, 1800, 1980]


def test_when_envelope_swells_and_fades_inside_the_episode():
    when = When(at=1.0, seconds=2.0)
    k = np.arange(4 * 360)
    gain = when.envelope(k, FS)
    assert not gain[~when.active(k, FS)].any()
    assert np.abs(np.diff(gain)).max() <= 1.0 / 90 + 1e-12
    assert gain[450:990].min() == 1.0


def test_when_always_is_always():
    assert (When().envelope(np.arange(1000), FS) == 1.0).all()
