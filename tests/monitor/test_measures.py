"""What is measured, against numpy on the same two seconds; beats, against what was drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import sinus, steady

from monitor import filters, likeness, measures, qrs
from monitor.ecg import FS, MAX_LEADS
from monitor.measures import FEATURES, HALF, HALVES, LENGTH, PIECE, PIECES
from simulators.synthetic import render

N = HALVES * HALF
LONGEST = 462
"""Samples of the front end's longest block; the detector remembers no more than it needs beside that."""


def run(signal, sizes=(PIECE,)):
    """The state after one lead of (n,) mV, taken in blocks of those sizes as the front end does."""
    count = len(signal) // HALF * HALF
    samples = np.zeros((MAX_LEADS, count))
    samples[0] = signal[:count] - signal[0]
    display, band = np.empty_like(samples), np.zeros_like(samples)
    filters.step(np.zeros(1, filters.STATE)[0], samples, count, 1, display, band)
    usable = np.zeros((MAX_LEADS, count), np.int64)
    usable[0] = 1
    detector = np.zeros(1, qrs.STATE)[0]
    qrs.start(detector)
    state = np.zeros(1, measures.STATE)[0]
    measures.start(state)
    detections = np.empty(count // qrs.REFRACTORY + 80, qrs.DETECTION)
    at, turn = 0, 0
    while at < count:
        size = min(sizes[turn % len(sizes)], count - at)
        block = slice(at, at + size)
        found = qrs.step(
            detector, samples[:, block], band[:, block], display[:, block], usable[:, block], 1, size, detections
        )
        first, beat = 0, 0
        while first < size:
            to = min(size, first + PIECE - int(state["time"]) % PIECE)
            measures.take(state, samples[0, block], display[0, block], band[0, block], usable[0, block], first, to)
            first = to
            if state["time"] % HALF == 0 or first == size:
                beat = likeness.note_beats(state, detector["shown"][0], detections, found, beat)
        at, turn = at + size, turn + 1
    measures.describe(state)
    return state, samples[0], display[0], band[0]


def features(state):
    return dict(zip(FEATURES, state["features"].tolist(), strict=True))


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(3)
    return rng.normal(0.0, 0.5, 6 * FS)


def test_sums_are_those_of_the_last_two_seconds(noise):
    state, raw, shown, band = run(noise)
    found = features(state)
    x, b = shown[-N:], band[-N:]
    d = np.diff(shown)[-N:]
    c = np.diff(shown, 2)[-N:]
    h = np.diff(raw, 2)[-N:]
    expected = {
        "range": np.log(np.ptp(x)),
        "size": np.log(x.std()),
        "mobility": np.log(np.sqrt(np.mean(d * d)) / x.std()),
        "sharpness": 0.5 * np.log(np.sum(c * c) / np.sum(d * d)),
        "hiss": 0.5 * np.log(np.sum(h * h) / np.sum(d * d)),
        "band": np.log(np.sqrt(np.mean(b * b)) / x.std()),
        "kurtosis": np.log(np.mean(b**4) / np.mean(b * b) ** 2),
        "slope_kurtosis": np.log(np.mean(d**4) / np.mean(d * d) ** 2),
        "crest": np.log(np.abs(b).max() / np.sqrt(np.mean(b * b))),
        "drift": np.log(np.ptp(raw[-N:]) / np.ptp(x)),
        "crossings": np.mean((shown[-N:] < 0) != (shown[-N - 1 : -1] < 0)),
        "turns": np.mean((d < 0) != (np.diff(shown)[-N - 1 : -1] < 0)),
        "surge": 0.5 * np.log(np.sum(d[-HALF:] ** 2) * HALVES / np.sum(d * d)),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-4, abs=1e-4), name


def test_quiet_and_medium_are_quartile_and_median_of_eighths_of_a_second(noise):
    state, _, shown, band = run(noise)
    for name, values in (("", band), ("slope_", np.diff(shown))):
        pieces = np.sort(np.sum(values[-N:].reshape(PIECES, PIECE) ** 2, 1))
        for which, place in (("quiet", PIECES // 4), ("medium", PIECES // 2)):
            assert features(state)[name + which] == pytest.approx(0.5 * np.log(pieces[place] / pieces[-1]), abs=1e-4)


@pytest.mark.parametrize("hz", [50.0, 60.0])
def test_a_hum_is_mains_and_nothing_else_is(hz, noise):
    t = np.arange(6 * FS) / FS
    assert features(run(np.sin(2 * np.pi * hz * t))[0])["mains"] == pytest.approx(1.0, abs=1e-3)
    assert features(run(np.sin(2 * np.pi * (hz + 10.0) * t + 0.3 * (hz == 50.0)))[0])["mains"] == pytest.approx(
        1.0 if hz == 50.0 else 0.0, abs=1e-3
    )
    assert features(run(noise)[0])["mains"] < 0.1


def test_levels_that_move_are_a_shift():
    level = np.repeat(np.tile([0.0, 3.0], 6), HALF)
    assert features(run(level + 0.01 * np.sin(np.arange(level.size)))[0])["shift"] > -1.0
    assert features(run(sinus(6.0)[:, 0].astype(np.float64))[0])["shift"] < -2.0


# -- beats


def test_both_detectors_find_the_same_beats():
    signal = sinus(20.0, 75.0)[:, 0].astype(np.float64)
    found = features(run(signal)[0])
    assert found["agreement"] == 1.0
    assert found["beats"] == pytest.approx(1.25, abs=0.2)
    assert found["own_beats"] == pytest.approx(1.25, abs=0.3)
    assert found["likeness"] > 0.99
    assert found["least_sureness"] > 4.0
    assert found["spread"] < 0.05


def test_the_second_detector_finds_every_beat_and_no_other():
    strip = render(steady(75, 0.5, 19.5), 20.0)
    state, *_ = run(strip.signal[:, 0].astype(np.float64))
    own = np.sort(state["own"][state["own"] > 0])
    assert len(own) == likeness.BEATS
    true = strip.r_peaks[-len(own) :]
    late = own - true
    assert np.ptp(late) <= 4
    assert 0 < late.mean() <= LENGTH + 10


def test_cycles_that_repeat_leave_little_and_those_in_noise_much():
    clean = sinus(20.0)[:, 0].astype(np.float64)
    slow = 0.4 * np.sin(2 * np.pi * 1.7 * np.arange(len(clean)) / FS)
    calm, moved = features(run(clean)[0]), features(run(clean + slow)[0])
    assert calm["misfit"] < -3.0
    assert moved["misfit"] > calm["misfit"] + 1.0
    assert moved["most_misfit"] >= moved["misfit"]


def test_without_beats_there_is_nothing_to_say_of_them():
    found = features(run(np.zeros(6 * FS))[0])
    assert found["beats"] == found["likeness"] == found["height"] == 0.0
    assert np.isfinite(list(found.values())).all()


def test_two_kinds_of_beats_are_each_like_their_own():
    beats = [(0.5 + 0.7 * i, "NV"[i % 2]) for i in range(28)]
    found = features(run(render(beats, 20.0).signal[:, 0].astype(np.float64))[0])
    assert found["least_likeness"] > 0.95


# -- time


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=6))
def test_blocks_cannot_be_seen(sizes):
    signal = sinus(8.0)[:, 0].astype(np.float64)
    state, *_ = run(signal, sizes)
    whole, *_ = run(signal, (LONGEST,))
    assert state.tobytes() == whole.tobytes()


def test_a_surge_is_over_the_calmest_of_the_last_seconds():
    state, *_ = run(sinus(6.0)[:, 0].astype(np.float64))
    assert features(state)["range_over_calm"] == 0.0, "nothing is remembered yet"
    measures.remember(state)
    state["calm"][0, 0] -= 2.0
    measures.describe(state)
    assert features(state)["range_over_calm"] == pytest.approx(2.0)


def test_samples_of_a_lost_lead_are_counted():
    state = np.zeros(1, measures.STATE)[0]
    measures.start(state)
    quiet, usable = np.zeros(PIECE), np.ones(PIECE, np.int64)
    usable[:7] = 0
    for turn in range(PIECES):
        measures.take(state, quiet, quiet, quiet, usable if turn == 0 else np.ones(PIECE, np.int64), 0, PIECE)
    assert measures.lost(state) == 7.0


def test_a_flat_line_decays_to_nothing():
    """Denormal numbers cost a hundred times as much."""
    state, *_ = run(np.concatenate([sinus(4.0)[:, 0], np.zeros(60 * FS)]).astype(np.float64))
    assert state["mean_length"] == 0.0
    assert state["level"] == 0.0
