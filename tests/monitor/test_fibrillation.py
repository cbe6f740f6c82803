"""Fibrillation from the signal: told when it is there, soon, and of nothing else; whatever the stream is cut into."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from scipy import signal as filters_of
from streams import SIZES, hostile_signals, sinus, steady
from test_frontend import FrontEnd

from monitor import fibrillation, frontend, waves
from monitor.ecg import FS, MAX_LEADS
from monitor.fibrillation import FIBRILLATION, HOLD, LAG, NONE, TACHYCARDIA
from monitor.fibrillation_weights import shipped
from monitor.frontend import QRS, SIGNAL, TRIGGER
from simulators.synthetic import render

LATEST_S = 6.0


def fibrillating(seconds, size, rng, rate=5.0):
    """Ventricular fibrillation, (n, 2) mV: a narrow band of noise around `rate` Hz; `size` from peak to peak."""
    band = filters_of.butter(2, [rate - 1.2, rate + 1.2], "bandpass", fs=FS, output="sos")
    n = round(seconds * FS)
    waves_ = filters_of.sosfilt(band, rng.normal(size=n + 5 * FS))[5 * FS :]
    waves_ *= size / 2.0 / np.percentile(np.abs(waves_), 95)
    return np.stack([waves_, 0.7 * np.roll(waves_, 10)], 1).astype(np.float32)


def modulated(seconds, size, rate=4.5):
    """Another model of it: sines whose size and frequency swell, as defibrillator testers play them."""
    t = np.arange(round(seconds * FS)) / FS
    phase = 2.0 * np.pi * (rate * t + 0.35 * np.sin(2.0 * np.pi * 0.4 * t) + 0.2 * np.sin(2.0 * np.pi * 0.9 * t))
    wave = size / 2.0 * (0.65 + 0.35 * np.sin(2.0 * np.pi * 0.55 * t)) * np.sin(phase)
    wave += 0.15 * size * np.sin(1.7 * phase)
    return np.stack([wave, 0.6 * wave], 1).astype(np.float32)


def joined(*parts):
    return np.concatenate(parts).astype(np.float32)


def verdicts(signal, leads=MAX_LEADS):
    """(sample, emitted, value) of the FIBRILLATION marks, s."""
    marks, _, _ = FrontEnd(360.0, leads=leads).tick((0, signal, 0))
    own = marks[marks["kind"] == frontend.FIBRILLATION]
    return [(m["sample"] / FS, m["emitted"] / FS, int(m["value"])) for m in own]


def first_of(found, value):
    return next((emitted for _, emitted, told in found if told == value), None)


@pytest.mark.parametrize("leads", [1, 2])
@pytest.mark.parametrize("size", [1.5, 0.6, 0.25])
@pytest.mark.parametrize("seed", range(3))
def test_fibrillation_is_told_soon(size, seed, leads):
    """Coarse and fine, from noise in a band."""
    rng = np.random.default_rng(seed)
    found = verdicts(joined(sinus(20.0), fibrillating(20.0, size, rng)), leads)
    told = first_of(found, FIBRILLATION)
    assert told is not None
    assert 20.0 < told <= 20.0 + LATEST_S
    assert found[-1][2] == FIBRILLATION
    assert all(emitted > 20.0 for _, emitted, _ in found)
    assert found[0][0] == pytest.approx(20.0, abs=2.0), "where it began"


@pytest.mark.parametrize("size", [1.0, 0.2])
def test_fibrillation_of_modulated_sines_is_told_soon(size):
    told = first_of(verdicts(joined(sinus(20.0), modulated(20.0, size))), FIBRILLATION)
    assert told is not None
    assert 20.0 < told <= 20.0 + LATEST_S


def test_in_most_phases_fibrillation_is_told_as_soon():
    """Coarse fibrillation after beats of any rate, cut in anywhere: alarms have seven seconds."""
    late = []
    for seed in range(40):
        rng = np.random.default_rng(100 + seed)
        before = 8.0 + rng.uniform(0.0, 1.0)
        signal = joined(sinus(before, rng.uniform(50, 120)), fibrillating(10.0, 1.0, rng, rng.uniform(4.0, 6.5)))
        told = first_of(verdicts(signal), FIBRILLATION)
        late.append(np.inf if told is None else told - len(signal) / FS + 10.0)
    assert np.median(late) <= 4.5
    assert np.percentile(late, 95) <= LATEST_S
    assert max(late) <= 7.0


def test_the_end_is_told_too():
    rng = np.random.default_rng(3)
    found = verdicts(joined(sinus(20.0), fibrillating(15.0, 1.0, rng), sinus(20.0)))
    assert found[-1][2] == NONE
    assert found[-1][0] == pytest.approx(35.0, abs=2.5)
    assert found[-1][1] <= 35.0 + LATEST_S


def test_fibrillation_that_goes_out_is_no_longer_told():
    """It ends in asystole, and the clock of that must not be stopped by it."""
    rng = np.random.default_rng(4)
    found = verdicts(joined(sinus(10.0), fibrillating(15.0, 0.5, rng), np.zeros((15 * FS, 2))))
    assert first_of(found, FIBRILLATION) is not None
    assert found[-1][2] == NONE
    assert found[-1][1] <= 25.0 + LATEST_S


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("rate", [195, 206])
def test_regular_tachycardia_is_not_called_fibrillation(rate, gain):
    strip = render([*steady(80, 0.5, 15.0), *steady(rate, 15.2, 35.0, "V")], 35.0)
    assert FIBRILLATION not in [value for _, _, value in verdicts((gain * strip.signal).astype(np.float32))]


def pulses(seconds, rate, width, size):
    """Pacer spikes: rectangles."""
    n = np.arange(round(seconds * FS))
    wave = np.where(n % round(FS * 60 / rate) < round(width * FS), size, 0.0)
    return np.stack([wave, wave], 1)


def af(seconds, rng):
    times = np.cumsum(rng.uniform(0.35, 1.0, 200))
    return render([(float(t), "N") for t in times[times < seconds - 0.5]], seconds).signal


def ectopic(seconds):
    beats = [(t, "V" if i % 2 else "N") for i, (t, _) in enumerate(steady(100, 0.5, seconds - 0.5))]
    return render(beats, seconds).signal


RNG = np.random.default_rng(7)
QUIET = {
    "sinus": sinus(60.0),
    "sinus of 180": sinus(60.0, 180.0),
    "irregular": af(60.0, RNG),
    "bigeminy": ectopic(60.0),
    "flat": np.zeros((60 * FS, 2)),
    "asystole with a little noise": RNG.normal(0.0, 0.02, (60 * FS, 2)),
    "asystole with mains": 0.1 * np.sin(2.0 * np.pi * 50.0 * np.arange(60 * FS) / FS)[:, None].repeat(2, 1),
    "asystole with drift": 1.0 * np.sin(2.0 * np.pi * 0.25 * np.arange(60 * FS) / FS)[:, None].repeat(2, 1),
    "pacer spikes": pulses(60.0, 80.0, 0.003, 2.0),
    "wide pacer residue": pulses(60.0, 80.0, 0.01, 1.0),
    "muscle noise": sinus(60.0) + RNG.normal(0.0, 0.15, (60 * FS, 2)),
}


@pytest.mark.parametrize("name", QUIET)
@pytest.mark.parametrize("leads", [1, 2])
def test_nothing_is_told_of_what_is_neither(name, leads):
    assert verdicts(joined(sinus(10.0), QUIET[name]), leads) == []


def test_lost_leads_hold_the_verdict_for_a_while():
    """A verdict outlives a short loss and not a long one; a lead is judged again when it was good for four seconds."""
    rng = np.random.default_rng(5)
    before = fibrillating(15.0, 1.0, rng)
    lost = np.full((60 * FS, 2), np.nan)
    short = verdicts(joined(sinus(10.0), before, lost[: 3 * FS], fibrillating(10.0, 1.0, rng)))
    assert [value for _, _, value in short if value == NONE] == []
    long = verdicts(joined(sinus(10.0), before, lost))
    assert long[-1][2] == NONE
    assert long[-1][1] == pytest.approx(25.0 + 0.5 * HOLD, abs=1.1)
    assert len(verdicts(lost.astype(np.float32))) == 0


def test_a_lead_that_is_flat_or_lost_does_not_hide_the_other():
    rng = np.random.default_rng(6)
    signal = joined(sinus(10.0), fibrillating(15.0, 1.0, rng))
    for other in (0, 1):
        for value in (0.0, np.nan):
            changed = signal.copy()
            changed[:, other] = value
            told = first_of(verdicts(changed), FIBRILLATION)
            assert told is not None
            assert told <= 10.0 + LATEST_S


def mixed(seed=0):
    """A stream in which every verdict comes and goes."""
    rng = np.random.default_rng(seed)
    vt = render(steady(210, 0.1, 12.0, "V"), 12.0).signal
    return joined(sinus(8.0), fibrillating(8.0, 1.0, rng), sinus(8.0), vt, sinus(6.0), fibrillating(9.0, 0.4, rng))


def test_all_verdicts_come_in_the_order_of_their_samples():
    found = verdicts(mixed())
    assert {value for _, _, value in found} == {NONE, TACHYCARDIA, FIBRILLATION}
    assert all(a[0] <= b[0] and a[1] < b[1] and a[2] != b[2] for a, b in itertools.pairwise(found))
    assert all(sample <= emitted for sample, emitted, _ in found)
    assert all(emitted * FS % waves.LOOK == pytest.approx(waves.LOOK - 1) for _, emitted, _ in found)


@settings(max_examples=25, deadline=None)
@given(SIZES)
def test_how_a_stream_is_cut_does_not_show(sizes):
    signal = mixed()
    whole, _, _ = FrontEnd(360.0).tick((0, signal, 0))
    front, parts, at = FrontEnd(360.0), [], 0
    for size in itertools.cycle(sizes):
        parts.append(front.tick((0, signal[at : at + size], 0))[0])
        at += size
        if at >= len(signal):
            break
    assert np.array_equal(np.concatenate(parts), whole)
    assert np.count_nonzero(whole["kind"] == frontend.FIBRILLATION) > 4


@settings(max_examples=30, deadline=None)
@given(hostile_signals())
def test_marks_of_hostile_signals_are_in_order_and_the_state_stays_finite(signal):
    front = FrontEnd(360.0)
    marks, _, _ = front.tick((0, joined(signal, mixed()), 0))
    assert np.all(np.diff(marks["emitted"]) >= 0)
    state = front.states[0]["fibrillation"]
    assert np.isfinite(state["odds"])
    assert fibrillation.LEAST_ODDS <= state["odds"] <= fibrillation.MOST_ODDS


def test_other_marks_and_beats_do_not_depend_on_the_weights(monkeypatch):
    """Detections, windows and features are those of a monitor that knows of no fibrillation."""
    deaf = np.zeros(1, fibrillation.WEIGHTS)[0]
    deaf["b3"] = -9.0
    signal = mixed()
    first = FrontEnd(360.0).tick((0, signal, 0))
    monkeypatch.setattr("test_frontend.shipped", lambda: type("Deaf", (), {"final": deaf}))
    second = FrontEnd(360.0).tick((0, signal, 0))
    kinds = [QRS, TRIGGER, SIGNAL]
    assert np.array_equal(first[0][np.isin(first[0]["kind"], kinds)], second[0][np.isin(second[0]["kind"], kinds)])
    assert np.array_equal(first[1], second[1])
    assert not (second[0]["kind"] == frontend.FIBRILLATION).any()


def test_the_network_computes_what_numpy_does():
    weights = shipped().final
    hidden = np.empty(sum(fibrillation.HIDDEN), np.float32)
    rng = np.random.default_rng(0)
    for _ in range(20):
        f = rng.normal(0.0, 1.0, len(waves.FEATURES)).astype(np.float32)
        first = np.maximum(f.astype(float) @ weights["w1"].astype(float) + weights["b1"], 0.0)
        second = np.maximum(first @ weights["w2"].astype(float) + weights["b2"], 0.0)
        expected = second @ weights["w3"].astype(float) + weights["b3"]
        assert fibrillation._answer(weights, f, hidden) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_an_onset_is_dated_back_and_never_before_the_stream():
    rng = np.random.default_rng(8)
    found = verdicts(fibrillating(12.0, 1.0, rng))
    assert found[0][0] >= 0.0
    assert found[0][1] - found[0][0] >= min(LAG / FS, found[0][1]) - 0.01
