"""What is known of the next beat, as numbers."""

from __future__ import annotations

import numpy as np
import pytest

from monitor import timing
from monitor.timing import NEXT_FEATURES


def next_features(following, awaited=False, **references):
    """The features of the next beat, by name; what is not given of the references is not known."""
    record = np.zeros(1, timing.REFERENCES)
    for name, value in references.items():
        record[0][name] = value
    found = np.full(len(NEXT_FEATURES), np.nan, np.float32)
    timing.fill_next(record[0], following, awaited, found)
    return dict(zip(NEXT_FEATURES, found.tolist(), strict=True))


USUAL = {"interval": 0.5, "mean8": 0.8, "median40": 0.9, "mean120": 1.0, "normal": 0.7}


def test_the_next_interval_is_compared_with_what_came_before_the_beat():
    assert next_features(1.1, **USUAL) == pytest.approx(
        {
            "next_known": 1.0,
            "next_awaited": 0.0,
            "next_to_mean8": np.log(1.1 / 0.8),
            "next_to_median40": np.log(1.1 / 0.9),
            "next_to_mean120": np.log(1.1 / 1.0),
            "next_to_normal": np.log(1.1 / 0.7),
            "next_to_interval": np.log(1.1 / 0.5),
            "pair_to_median40": np.log(0.8 / 0.9),
        }
    )


def test_time_waited_is_compared_in_the_same_way():
    assert next_features(1.1, awaited=True, **USUAL) == next_features(1.1, **USUAL) | {
        "next_known": 0.0,
        "next_awaited": 1.0,
    }


@pytest.mark.parametrize("awaited", [False, True])
def test_an_interval_that_is_not_measured_says_nothing(awaited):
    assert set(next_features(0.0, awaited, **USUAL).values()) == {0.0}


def test_without_an_interval_before_there_is_no_pair():
    found = next_features(1.1, **USUAL | {"interval": 0.0})
    assert (found["next_to_interval"], found["pair_to_median40"]) == (0.0, 0.0)
    assert found["next_to_mean8"] == pytest.approx(np.log(1.1 / 0.8))


def test_nothing_usual_is_known_at_first():
    assert next_features(1.1) == dict.fromkeys(NEXT_FEATURES, 0.0) | {"next_known": 1.0}


def test_the_group_ends_the_features_of_timing():
    assert timing.CONTEXT_FEATURES[timing.NEXT :] == NEXT_FEATURES
