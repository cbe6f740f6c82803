"""Presets and limits."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.conditions import LONGEST_RUN, SETTINGS
from monitor.profiles import ADULT, PROFILES, RANGES, WHOLE, Limits, check, with_changes, write_settings


@pytest.mark.parametrize("name", PROFILES)
def test_a_preset_keeps_the_rules(name):
    limits = PROFILES[name]
    assert with_changes(limits, **{limit: getattr(limits, limit) for limit in RANGES}) == limits
    assert not limits.paced


def test_the_younger_the_faster():
    adult, child, newborn = PROFILES.values()
    for limit in ("low", "high", "extreme_low", "extreme_high", "vt_rate"):
        assert getattr(adult, limit) < getattr(child, limit) < getattr(newborn, limit)


def test_the_adult_preset_is_what_the_rhythm_starts_from():
    settings = np.zeros((), SETTINGS)
    write_settings(settings, PROFILES[ADULT])
    assert settings.item() == (50.0, 120.0, 40.0, 140.0, 4.0, 3.0, 100.0, 5, 10.0, 0)


def test_no_run_is_asked_for_that_the_kernels_do_not_remember():
    assert RANGES["vt_count"][1] == LONGEST_RUN


def test_an_extreme_limit_gives_way_unless_it_is_given():
    assert with_changes(Limits(), high=150.0, low=30.0) == Limits(30.0, 150.0, 30.0, 150.0)
    with pytest.raises(ValueError, match="extreme_high 140 is below high 150"):
        with_changes(Limits(), high=150.0, extreme_high=140.0)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"low": 14.9}, "low is not a number from 15 to 300"),
        ({"high": math.nan}, "high is not a number from 15 to 300"),
        ({"high": math.inf}, "high is not"),
        ({"low": True}, "low is not a number"),
        ({"low": "50"}, "low is not a number"),
        ({"low": 120.0}, "low 120 is not below high 120"),
        ({"extreme_low": 60.0}, "extreme_low 60 is above low 50"),
        ({"pause_s": 5.0}, "pause_s 5 is above asystole_s 4"),
        ({"vt_count": 5.5}, "vt_count is not a whole number"),
        ({"shoe_size": 44.0}, "shoe_size is no limit"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        with_changes(Limits(), **changes)


@given(st.fixed_dictionaries({}, optional={name: st.none() | st.floats(0, 400) for name in RANGES}))
def test_limits_are_in_order_or_refused(changes):
    try:
        new = with_changes(Limits(), **changes)
    except ValueError:
        return
    assert 15 <= new.extreme_low <= new.low < new.high <= new.extreme_high <= 300
    assert new.pause_s <= new.asystole_s
    given_values = {name: value for name, value in changes.items() if value is not None}
    assert {name: getattr(new, name) for name in given_values} == given_values


def test_counts_are_whole():
    assert [type(check(name, RANGES[name][0])) for name in RANGES] == [int if n in WHOLE else float for n in RANGES]


def test_the_kernels_are_told_every_limit():
    settings = np.zeros((), SETTINGS)
    write_settings(settings, Limits(low=33.0, high=99.0, paced=True, vt_count=7))
    assert set(SETTINGS.names) == {field.name for field in dataclasses.fields(Limits)}
    assert (settings["low"], settings["high"], settings["paced"], settings["vt_count"]) == (33.0, 99.0, 1, 7)
