"""Which records are scored together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.exceptions import ConfigError
from trainer.splits import ALL, DS1, DS2, PACED, folds, refuse_test_records, splits, training_records


def test_the_three_sets_are_the_database() -> None:
    assert (len(DS1), len(DS2), len(PACED), len(ALL)) == (22, 22, 4, 48)
    assert len(set(ALL)) == 48


def test_splits_of_all_records() -> None:
    sizes = {title: len(names) for title, names in splits(ALL, classes=False).items()}
    assert sizes == {
        "all": 48,
        "DS1": 22,
        "DS2": 22,
        "all without 201": 47,
        "DS1 without 201": 21,
        "DS2 without 202": 21,
    }


def test_splits_for_classes_leave_paced_records_out() -> None:
    found = splits(ALL, classes=True)
    assert found["all"] == tuple(sorted(DS1 + DS2))
    assert splits(PACED, classes=True) == {}


def test_splits_name_equal_sets_once() -> None:
    assert splits(["100", "103"], classes=False) == {"all": ("100", "103")}
    assert list(splits(["201", "103", "100"], classes=False)) == ["all", "DS1", "DS2"]


def test_splits_of_another_database() -> None:
    assert splits(["sel100x", "sele0104"], classes=True) == {"all": ("sel100x", "sele0104")}


@pytest.mark.parametrize(("title", "records"), [("DS1", DS1), ("DS2", DS2)])
def test_a_whole_set_is_called_by_its_name(title: str, records: tuple[str, ...]) -> None:
    assert list(splits(records, classes=True)) == [title, f"{title} without {'201' if title == 'DS1' else '202'}"]
    assert next(iter(splits(records[1:], classes=True))) == "all"


@given(st.sets(st.sampled_from(DS1), min_size=5), st.integers(2, 5))
def test_folds_hold_each_record_once(records: set[str], count: int) -> None:
    found = folds(sorted(records), count)
    assert sorted(name for fold in found for name in fold) == sorted(records)
    assert len(found) == count
    assert all(found)


def test_test_records_are_refused() -> None:
    refuse_test_records(DS1, "here")
    assert training_records("") == DS1
    for name in DS2:
        with pytest.raises(ConfigError, match=f"here: {name} are test records"):
            refuse_test_records(["101", name], "here")
