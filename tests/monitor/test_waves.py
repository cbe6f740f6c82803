"""The last four seconds in numbers: as the obvious way has them, wherever in the stream they lie."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import waves
from monitor.ecg import FS
from monitor.waves import BLOCKS, FEATURES, LOOK


def last_look(signal):
    """The LEAD record, and the features of the last four seconds, of a signal of whole looks."""
    lead = np.zeros(1, waves.LEAD)[0]
    usable = np.ones(len(signal), np.int64)
    blocks = len(signal) // LOOK
    for block in range(blocks):
        waves.take(lead, signal, usable, block * LOOK, LOOK, block * LOOK)
        waves.end_block(lead, block % BLOCKS)
    features = np.full(len(FEATURES), np.nan, np.float32)
    waves.describe(lead, blocks % BLOCKS, features)
    return lead, dict(zip(FEATURES, features.tolist(), strict=True))


def signals(rng, count):
    """Signals of several kinds, (count,) mV."""
    t = np.arange(count) / FS
    kind = rng.integers(4)
    if kind == 0:
        return rng.normal(0.0, rng.uniform(0.01, 1.0), count)
    if kind == 1:
        return rng.uniform(0.1, 2.0) * np.sin(2.0 * np.pi * rng.uniform(1.0, 8.0) * t + rng.uniform(0.0, 6.0))
    if kind == 2:
        return np.exp(-0.5 * ((t % rng.uniform(0.3, 1.5) - 0.2) / 0.02) ** 2)
    return np.cumsum(rng.normal(0.0, 0.01, count))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(BLOCKS + 1, 3 * BLOCKS))
def test_features_are_those_of_the_obvious_way(seed, blocks):
    """Wherever in the ring the window begins."""
    signal = signals(np.random.default_rng(seed), blocks * LOOK)
    _, found = last_look(signal)
    expected = naive.wave_features(signal[-BLOCKS * LOOK - waves.DECIMATION :])
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if name.startswith(("low", "flat", "crossings")):  # counts: a tie may fall on either side
            assert found[name] == pytest.approx(value, abs=2.0 / waves.WINDOW + 0.01), name
        elif name in ("unlike_lag", "alike_lag", "peak", "concentration"):  # of two nearly equal ones either may do
            continue
        else:
            assert found[name] == pytest.approx(value, rel=2e-3, abs=2e-3), name


@pytest.mark.parametrize("rate", [2.0, 3.25, 5.0])
def test_a_sine_is_what_it_is(rate):
    _, found = last_look(0.5 * np.sin(2.0 * np.pi * rate * np.arange(10 * LOOK) / FS))
    assert found["peak"] == rate
    assert found["concentration"] > 0.99
    assert found["alike"] > 0.88
    turns = found["alike_lag"] * rate
    assert turns == pytest.approx(round(turns), abs=0.08)
    assert found["unlike"] < -0.93
    assert np.exp(found["half_period"]) == pytest.approx(0.5 / rate, rel=0.03)
    assert np.exp(found["size"]) == pytest.approx(0.5 / np.sqrt(2.0), rel=0.05)
    assert found["crossings"] == pytest.approx(2.0 * rate, abs=0.3)


def test_a_flat_line_has_finite_features():
    _, found = last_look(np.zeros(9 * LOOK))
    assert np.isfinite(list(found.values())).all()
    assert found["size"] < np.log(1e-3)


def test_a_lead_is_good_when_nothing_was_wrong_for_a_block():
    lead = np.zeros(1, waves.LEAD)[0]
    usable = np.ones(LOOK, np.int64)
    signal = np.zeros(LOOK)
    for block in range(BLOCKS + 3):
        waves.take(lead, signal, usable, 0, LOOK, block * LOOK)
        waves.end_block(lead, block % BLOCKS)
        assert lead["good"] == min(block + 1, BLOCKS)
    usable[LOOK // 2] = 0
    waves.take(lead, signal, usable, 0, LOOK, 0)
    waves.end_block(lead, 0)
    assert (lead["good"], lead["bad"]) == (0, 0)
