"""The demo's patients show what their names promise, soon enough to be seen."""

import numpy as np
import pytest

from monitor.exceptions import ConfigError
from simulators.scenarios import SCENARIOS, find_scenario


def tell(name, seconds, seed=0):
    return SCENARIOS[name].patient(seed=seed).strip(round(seconds * 360))


def rate(strip):
    return 60.0 * 360.0 / np.diff(strip.r_peaks).mean()


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_plays_within_range(name):
    strip = tell(name, 200)
    assert np.nanmax(np.abs(strip.signal)) < 4.0
    assert len(strip.r_peaks) > 100
    assert np.isnan(strip.signal).any() == (name == "noise")


def test_vt_shows_in_the_first_half_minute_and_every_90_seconds_after():
    strip = tell("vt", 400)
    runs = [span for span in strip.rhythms if span.rhythm == "VT"]
    assert runs[0].start < 25 * 360
    assert np.diff([span.start for span in runs]).max() < 90 * 360
    for span in runs:
        inside = strip.r_peaks[(strip.r_peaks >= span.start) & (strip.r_peaks < span.end)]
        assert 8 <= len(inside) <= 12
        assert 159 < 60 * 360 / np.diff(inside).mean() < 181


def test_asystole_lasts_longer_than_its_alarm_needs():
    strip = tell("asystole", 60)
    assert np.diff(strip.r_peaks).max() == 7.5 * 360
    assert "ASYS" in [span.rhythm for span in strip.rhythms]


@pytest.mark.parametrize(("name", "rhythm"), [("af", "AFIB"), ("bigeminy", "B"), ("trigeminy", "T")])
def test_rhythm_shows_within_a_minute(name, rhythm):
    assert rhythm in [span.rhythm for span in tell(name, 60).rhythms]


@pytest.mark.parametrize(
    ("name", "low", "high"), [("sinus", 70, 74), ("tachycardia", 110, 126), ("bradycardia", 48, 54)]
)
def test_rate_is_what_the_name_says(name, low, high):
    assert low < rate(tell(name, 180)) < high


def test_ectopy_has_couplets_and_both_shapes():
    symbols = "".join(tell("ectopy", 180).symbols)
    assert symbols.count("VV") >= 3
    assert symbols.count("V") > 15


def test_seeds_make_different_patients():
    assert tell("ectopy", 60, seed=1).r_peaks.tolist() != tell("ectopy", 60, seed=2).r_peaks.tolist()


def test_unknown_scenario_is_answered_with_the_list():
    with pytest.raises(ConfigError, match=r"flutter: no such scenario; choose one of vt, af, "):
        find_scenario("flutter")
