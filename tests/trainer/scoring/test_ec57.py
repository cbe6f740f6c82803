"""The scorer against ``bxb``'s own counts, and its rules one by one."""

from __future__ import annotations

import math
import os
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.scoring.confusion import Confusion, Score
from trainer.scoring.ec57 import LEARNING_PERIOD, compare, flutter_intervals, match_beats, noise_intervals
from trainer.splits import ALL

FS = 360
LENGTH = 650_000  # samples in each MIT-BIH record


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


# --- bxb's counts ---


def golden_folder() -> Path:
    root = os.environ.get("WARDBEAT_DATA")
    if not root or not (Path(root) / "golden").is_dir() or not (Path(root) / "mitdb").is_dir():
        pytest.skip("NOT COMPARED WITH bxb: set WARDBEAT_DATA to the folder that holds mitdb/ and golden/")
    return Path(root) / "golden"


@cache
def golden_lines(name: str) -> dict[str, list[str]]:
    lines = map(str.split, (golden_folder() / f"{name}.txt").read_text().splitlines())
    return {words[0]: words[1:] for words in lines if words and words[0].isdigit()}


@cache
def annotations(record: str, annotator: str) -> tuple[np.ndarray, list[str], np.ndarray]:
    import wfdb

    folder = golden_folder() / "ann" if annotator != "atr" else golden_folder().parent / "mitdb"
    found = wfdb.rdann(str(folder / record), annotator)
    return np.asarray(found.sample, np.int64), found.symbol, np.asarray(found.subtype)


def scored(record: str, annotator: str, minutes: int) -> Confusion:
    samples, symbols, subtypes = annotations(record, "atr")
    return compare(
        samples,
        symbols,
        *annotations(record, annotator)[:2],
        fs=FS,
        start=minutes * 60 * FS,
        stop=LENGTH,
        escape="S",
        unreadable=noise_intervals(samples, symbols, subtypes),
    ).confusion


@pytest.mark.database
@pytest.mark.parametrize("record", ALL)
@pytest.mark.parametrize("minutes", [0, 5])
@pytest.mark.parametrize("annotator", ["osea", "gqrs", "rnd"])
def test_counts_equal_bxb(annotator: str, minutes: int, record: str) -> None:
    *counts, q_se, q_ppv, v_se, v_ppv, s_se, s_ppv, rr_error = golden_lines(f"bxb_{annotator}_t{minutes}")[record]
    confusion = scored(record, annotator, minutes)
    assert list(confusion.condensed().values()) == list(map(int, counts))

    def percent(value: float) -> str:
        return "-" if math.isnan(value) else f"{100 * value:.2f}"

    qrs, v, s = confusion.qrs, confusion.of("V"), confusion.of("S")
    assert [percent(x) for x in (qrs.se, qrs.ppv, v.se, v.ppv, s.se, s.ppv)] == [
        q_se, q_ppv, v_se, v_ppv, s_se, s_ppv,
    ]  # fmt: skip
    assert f"{confusion.rr_error:.2f}" == rr_error


@pytest.mark.database
@pytest.mark.parametrize("record", ALL)
@pytest.mark.parametrize("minutes", [0, 5])
@pytest.mark.parametrize("annotator", ["osea", "rnd"])
def test_shutdown_counts_equal_bxb(annotator: str, minutes: int, record: str) -> None:
    line = golden_lines(f"sd_{annotator}_t{minutes}")[record]
    counts = scored(record, annotator, minutes).counts
    assert counts[:5, 6].tolist() == list(map(int, line[:5]))
    assert counts[:5].sum(axis=1).tolist() == list(map(int, line[-5:]))


# --- pairing ---


def pairs(reference: np.ndarray, test: np.ndarray, tolerance: float) -> list[tuple[int, int]]:
    found = match_beats(reference, test, tolerance)
    return list(zip(reference[found.reference].tolist(), test[found.test].tolist(), strict=True))


@pytest.mark.parametrize(("distance", "matched"), [(-55, 0), (-54, 1), (0, 1), (54, 1), (55, 0)])
def test_match_at_the_edge_of_the_window(distance: int, matched: int) -> None:
    assert len(pairs(ints(1000), ints(1000 + distance), 54)) == matched


def test_match_with_a_tolerance_between_samples() -> None:
    assert pairs(ints(1000), ints(1037), 37.5) == [(1000, 1037)]
    assert pairs(ints(1000), ints(1038), 37.5) == []


def test_match_is_one_to_one() -> None:
    found = match_beats(ints(1000), ints(990, 1020), 54)
    assert (found.reference.tolist(), found.test.tolist()) == ([0], [0])
    assert (found.missed.tolist(), found.extra.tolist()) == ([], [1])


def test_match_prefers_the_closer_of_two() -> None:
    assert pairs(ints(1000), ints(960, 1010), 54) == [(1000, 1010)]
    assert pairs(ints(960, 1010), ints(1000), 54) == [(1010, 1000)]


def test_match_takes_the_later_of_a_tie() -> None:
    assert pairs(ints(1000), ints(998, 1002), 54) == [(1000, 1002)]
    assert pairs(ints(998, 1002), ints(1000), 54) == [(1002, 1000)]


def test_match_with_nothing_to_match() -> None:
    found = match_beats(ints(), ints(5, 6), 54)
    assert (found.reference.size, found.missed.size, found.extra.tolist()) == (0, 0, [0, 1])
    assert match_beats(ints(5, 6), ints(), 54).missed.tolist() == [0, 1]


@pytest.mark.parametrize("wrong", [ints(20, 10), ints(10, 10)])
def test_match_refuses_unsorted_beats(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="reference beats are not strictly increasing"):
        match_beats(wrong, ints(1), 54)
    with pytest.raises(ValueError, match="test beats are not strictly increasing"):
        match_beats(ints(1), wrong, 54)


beat_lists = st.lists(st.integers(0, 2000), max_size=60, unique=True).map(lambda v: np.array(sorted(v), np.int64))


@given(beat_lists, beat_lists, st.integers(0, 80))
def test_match_uses_each_beat_once_within_tolerance(a: np.ndarray, b: np.ndarray, tolerance: int) -> None:
    found = match_beats(a, b, tolerance)
    assert sorted([*found.reference, *found.missed]) == list(range(a.size))
    assert sorted([*found.test, *found.extra]) == list(range(b.size))
    assert np.all(np.abs(a[found.reference] - b[found.test]) <= tolerance)
    assert all(x < y for x, y in pairwise(found.reference))
    assert all(x < y for x, y in pairwise(found.test))


@given(beat_lists, beat_lists, st.integers(0, 80))
def test_match_does_not_depend_on_which_side_is_the_reference(a: np.ndarray, b: np.ndarray, tolerance: int) -> None:
    there, back = match_beats(a, b, tolerance), match_beats(b, a, tolerance)
    for one, other in zip(there, (back.test, back.reference, back.extra, back.missed), strict=True):
        assert one.tolist() == other.tolist()


@given(beat_lists, st.integers(0, 80))
def test_match_with_itself_is_perfect(beats: np.ndarray, tolerance: int) -> None:
    found = match_beats(beats, beats, tolerance)
    assert found.reference.tolist() == found.test.tolist() == list(range(beats.size))


# --- comparison ---


def confusion_of(reference: dict[int, str], test: dict[int, str], **options: object) -> Confusion:
    return compare(
        np.array(list(reference), np.int64),
        list(reference.values()),
        np.array(list(test), np.int64),
        list(test.values()),
        fs=FS,
        **options,  # type: ignore[arg-type]
    ).confusion


def cells(confusion: Confusion) -> dict[str, int]:
    names = [row + column for row in "NSVFQO" for column in "nsvfqox"]
    return {name: confusion[name] for name in names if confusion[name]}


def test_compare_tallies_each_pair_under_its_classes() -> None:
    found = confusion_of(
        {100: "L", 500: "A", 900: "V", 1300: "F", 1700: "/", 2100: "N"},
        {102: "N", 499: "V", 903: "V", 1301: "V", 1702: "N", 2500: "S"},
    )
    assert cells(found) == {"Nn": 1, "Sv": 1, "Vv": 1, "Fv": 1, "Qn": 1, "No": 1, "Os": 1}
    assert found.beats == 6
    assert found.qrs == Score(tp=5, fn=1, fp=1)


def test_compare_ignores_annotations_that_are_no_beats() -> None:
    assert cells(confusion_of({50: "+", 100: "N", 130: "~", 150: "|"}, {100: "N", 140: '"'})) == {"Nn": 1}


def test_compare_with_no_annotations_at_all() -> None:
    found = confusion_of({}, {})
    assert cells(found) == {}
    assert math.isnan(found.qrs.se)
    assert math.isnan(found.accuracy)
    assert math.isnan(found.rr_error)


@pytest.mark.parametrize(("escape", "expected"), [("N", {"Nn": 2}), ("S", {"Sn": 2})])
def test_compare_puts_escape_beats_where_asked(escape: str, expected: dict[str, int]) -> None:
    assert cells(confusion_of({100: "e", 500: "j"}, {100: "N", 500: "N"}, escape=escape)) == expected


def test_compare_begins_at_start_and_ends_before_stop() -> None:
    beats = {99: "N", 100: "V", 500: "V", 900: "N"}
    assert cells(confusion_of(beats, beats, start=100, stop=900)) == {"Vv": 2}


def test_compare_window_in_seconds() -> None:
    assert cells(confusion_of({1000: "N"}, {1018: "N"}, window=0.05)) == {"Nn": 1}
    assert cells(confusion_of({1000: "N"}, {1019: "N"}, window=0.05)) == {"No": 1, "On": 1}


def test_compare_leaves_flutter_out() -> None:
    reference = {100: "N", 500: "[", 600: "!", 700: "!", 900: "]", 1300: "N"}
    test = {100: "N", 499: "V", 500: "V", 700: "V", 900: "V", 901: "V", 1300: "N"}
    assert cells(confusion_of(reference, test)) == {"Nn": 2, "Ov": 2}


def test_compare_leaves_out_what_follows_flutter_without_end() -> None:
    assert cells(confusion_of({100: "N", 500: "["}, {100: "N", 900: "V"})) == {"Nn": 1}
    assert flutter_intervals(ints(10, 20, 30), ["[", "[", "]"]).tolist() == [[10, 30]]


def test_compare_counts_beats_missed_in_a_shutdown_apart() -> None:
    found = confusion_of({100: "N", 500: "V", 900: "N"}, {100: "N"}, shutdown=np.array([[400, 600]]))
    assert cells(found) == {"Nn": 1, "Vx": 1, "No": 1}
    assert found.qrs == Score(tp=1, fn=2, fp=0)
    assert found.condensed()["Vo"] == 1


def test_compare_refuses_unsorted_beats() -> None:
    with pytest.raises(ValueError, match="strictly increasing"):
        confusion_of({500: "N", 100: "N"}, {})


def test_noise_intervals_follow_the_subtype_bits() -> None:
    samples, symbols = ints(10, 20, 30, 40, 50), ["~", "N", "~", "~", "~"]
    assert noise_intervals(samples, symbols, [-1, 0, 48, 3, 16]).tolist() == [[10, 40]]
    endless = noise_intervals(samples, symbols, [0, 0, 0, 0, 48])
    assert endless[:, 0].tolist() == [50]
    assert endless[0, 1] > LENGTH


def test_rr_error_of_a_missed_beat_counts_both_intervals() -> None:
    found = confusion_of({0: "N", 360: "N", 720: "N", 1080: "N"}, {0: "N", 720: "N", 1080: "N"})
    assert found.rr_count == 3
    assert found.rr_error == pytest.approx(1000 * math.sqrt(2 / 3))


def test_rr_error_of_an_extra_beat_counts_both_intervals() -> None:
    found = confusion_of({0: "N", 360: "N"}, {0: "N", 120: "N", 360: "N"})
    assert found.rr_count == 2
    assert found.rr_squares == pytest.approx((240 / 0.36) ** 2 + (120 / 0.36) ** 2)


def test_rr_error_starts_with_the_interval_that_ends_in_the_test_period() -> None:
    assert confusion_of({0: "N", 360: "N"}, {0: "N", 378: "N"}, start=300).rr_error == pytest.approx(50)


@pytest.mark.parametrize(
    ("reference", "options"),
    [
        ({0: "N", 360: "N", 3600: "N"}, {"unreadable": np.array([[1000, 2000]])}),
        ({0: "N", 360: "N", 1000: "[", 2000: "]", 3600: "N"}, {}),
    ],
)
def test_rr_error_passes_over_reference_intervals_across_a_break(
    reference: dict[int, str], options: dict[str, object]
) -> None:
    assert confusion_of(reference, {0: "N", 360: "N", 3610: "N"}, **options).rr_count == 1


def test_compare_names_the_matched_annotations() -> None:
    symbols = ["+", "N", "N", "N"]
    found = compare(ints(50, 100, 500, 900), symbols, ints(60, 104, 900), ["~", "N", "V"], fs=FS, start=80)
    assert (found.reference.tolist(), found.test.tolist()) == ([1, 3], [1, 2])


def test_learning_period_is_five_minutes() -> None:
    assert LEARNING_PERIOD * FS == 108_000
