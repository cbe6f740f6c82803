"""Blocks and pacemakers: P waves, pulses and beats stand to each other as the textbook says."""

import numpy as np
import pytest

from simulators.conduction import Block, Paced
from simulators.rhythms import Beat, Onset, PWave, Silence, Sinus, Spike, play
from simulators.synthetic import Patient


def tell(*story, seed=0):
    events = list(play(story, np.random.default_rng(seed), repeat=False))
    kinds = Beat, PWave, Spike
    beats, p_waves, spikes = ([event for event in events if isinstance(event, kind)] for kind in kinds)
    onsets = [event.rhythm for event in events if isinstance(event, Onset)]
    return beats, np.array([p.time for p in p_waves]), np.array([spike.time for spike in spikes]), onsets


def pr_intervals(beats, p_waves):
    """From the last P wave before each beat, s."""
    return np.array([beat.time - p_waves[p_waves < beat.time][-1] for beat in beats])


def test_first_degree_answers_every_p_wave_late():
    beats, p_waves, _, onsets = tell(Block(60, rate=70))
    assert len(beats) == len(p_waves) == pytest.approx(70, abs=1)
    np.testing.assert_allclose(pr_intervals(beats, p_waves), 0.28)
    assert onsets == ["BI"]


def test_wenckebach_lengthens_until_a_beat_is_dropped():
    beats, p_waves, _, onsets = tell(Block(60, degree="wenckebach", conducted=3))
    assert len(p_waves) / len(beats) == pytest.approx(4 / 3, abs=0.04)
    pr = pr_intervals(beats, p_waves)[:9].reshape(3, 3)
    assert (np.diff(pr, axis=1) > 0.03).all()
    np.testing.assert_allclose(pr[0], pr[1])
    assert onsets == ["BII"]


@pytest.mark.parametrize(("conducted", "ratio"), [(1, 2.0), (3, 4 / 3)])
def test_mobitz_drops_beats_at_a_constant_pr(conducted, ratio):
    beats, p_waves, _, _ = tell(Block(120, degree="mobitz", conducted=conducted))
    assert len(p_waves) / len(beats) == pytest.approx(ratio, abs=0.03)
    assert np.ptp(pr_intervals(beats, p_waves)) < 1e-9


@pytest.mark.parametrize(("focus", "symbol"), [("ventricular", "E"), ("junctional", "j")])
def test_complete_block_parts_atria_from_ventricles(focus, symbol):
    beats, p_waves, _, onsets = tell(Sinus(5), Block(60, rate=80, degree="complete", escape=36, focus=focus))
    escapes = [beat.time for beat in beats if beat.symbol == symbol]
    np.testing.assert_allclose(np.diff(escapes), 60 / 36)
    assert len(p_waves) == pytest.approx(80, abs=1)
    pr = np.array([time - p_waves[p_waves < time][-1] for time in escapes if time > p_waves[0]])
    assert np.ptp(pr) > 0.5
    assert onsets == ["N", "B3"]


def test_ventricle_is_paced_wide_after_each_pulse():
    beats, _, spikes, onsets = tell(Paced(60, rate=70))
    assert {beat.symbol for beat in beats} == {"/"}
    np.testing.assert_allclose([beat.time for beat in beats] - spikes, 0.055)
    assert onsets == ["P"]


def test_atrium_is_paced_and_conducted_normally():
    beats, _, spikes, _ = tell(Paced(30, chamber="atrium"))
    assert {(beat.symbol, beat.p_wave) for beat in beats} == {("N", True)}
    assert len(spikes) == len(beats)
    assert ([beat.time for beat in beats] - spikes > 0.154).all()


def test_dual_has_two_pulses_and_a_p_wave_a_beat():
    beats, p_waves, spikes, _ = tell(Paced(30, chamber="dual"))
    assert len(spikes) == 2 * len(beats) == 2 * len(p_waves)


def test_capture_is_lost_in_its_share():
    beats, _, spikes, _ = tell(Paced(1200, capture=0.7))
    assert len(beats) / len(spikes) == pytest.approx(0.7, abs=0.04)


def test_without_capture_only_pulses_remain():
    beats, _, spikes, onsets = tell(Sinus(5), Paced(20, capture=0.0))
    assert {beat.symbol for beat in beats} == {"N"}
    assert len(spikes) == pytest.approx(20 * 70 / 60, abs=1)
    assert onsets == ["N", "ASYS"]


def test_pulses_are_drawn_where_the_strip_says():
    strip = Patient([Paced(4), Silence(6, spike_rate=60)], repeat=False).strip(9 * 360)
    lone = strip.spikes[strip.spikes > strip.r_peaks[-1] + 300]
    assert len(lone) >= 3
    for at in lone:
        around = np.abs(strip.signal[at - 20 : at + 20, 0])
        assert abs(int(around.argmax()) - 20) <= 1
        assert around.max() > 0.3
