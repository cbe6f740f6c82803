"""Scores of fibrillation by duration and by episode, on verdicts made by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import wfdb

from monitor.ecg import FS
from monitor.fibrillation import CHANGE, FIBRILLATION, NONE, TACHYCARDIA
from monitor.fibrillation_weights import shipped
from simulators.synthetic import render
from trainer.scoring.fibrillation_scores import ALLOWANCE_S, Durations, Score, compare, evaluate, forgive, spread


def verdicts(*parts: tuple[float, int]) -> np.ndarray:
    """Samples of one verdict after the other, each for so many seconds."""
    return np.concatenate([np.full(round(seconds * FS), verdict, np.int64) for seconds, verdict in parts])


def readable(values: np.ndarray) -> np.ndarray:
    return np.zeros(len(values), np.bool_)


def test_durations() -> None:
    found = Durations()
    found.add(np.array([True, True, False, False]), np.array([True, False, True, False]))
    found.add(np.array([True]), np.array([True]))
    assert (found.tp, found.fn, found.fp, found.tn) == (2, 1, 1, 1)
    assert (found.sensitivity, found.specificity, found.ppv) == pytest.approx((200 / 3, 50.0, 200 / 3))
    assert math.isnan(Durations().sensitivity)


def test_a_verdict_counts_from_where_it_was_known() -> None:
    changes = np.array([(2, 5, FIBRILLATION), (6, 8, NONE)], CHANGE)
    assert spread(changes, 10).tolist() == [NONE] * 5 + [FIBRILLATION] * 3 + [NONE] * 2


def test_what_follows_a_change_closely_is_forgiven_and_nothing_else() -> None:
    true = np.array([0, 0, 1, 1, 1, 1, 0, 0, 0, 0], np.bool_)
    told = np.array([0, 1, 0, 0, 0, 1, 1, 1, 1, 0], np.bool_)
    assert forgive(told, true, 2).astype(int).tolist() == [0, 1, 1, 1, 0, 1, 0, 0, 1, 0]


def test_delay_costs_without_the_allowance_only() -> None:
    score = Score()
    true = verdicts((20.0, NONE), (20.0, FIBRILLATION), (20.0, NONE))
    told = verdicts((24.0, NONE), (1.0, TACHYCARDIA), (17.0, FIBRILLATION), (18.0, NONE))
    compare(score, told, true, readable(true))
    assert score.both.sensitivity == pytest.approx(80.0)
    assert score.both.specificity == pytest.approx(95.0)
    assert (score.allowed.sensitivity, score.allowed.specificity) == (100.0, 100.0)
    assert score.fibrillation.sensitivity == pytest.approx(75.0)
    assert score.tachycardia.tp == 0
    assert score.tachycardia.fp == FS
    assert (score.episodes, score.found, score.delays) == (1, 1, [4.0])
    assert (score.told, score.told_fibrillation) == (1, 1)
    assert score.hours == pytest.approx(60.0 / 3600.0)
    assert ALLOWANCE_S == 5.0


def test_episodes_that_are_short_or_missed() -> None:
    score = Score()
    true = verdicts((5.0, NONE), (9.9, TACHYCARDIA), (5.0, NONE), (6.0, TACHYCARDIA), (5.0, FIBRILLATION))
    compare(score, np.zeros_like(true), true, readable(true))
    assert (score.episodes, score.found, score.delays) == (1, 0, [])


def test_what_is_unreadable_is_left_out_where_it_says_so() -> None:
    score = Score()
    true = verdicts((10.0, NONE))
    told = verdicts((5.0, FIBRILLATION), (5.0, NONE))
    unreadable = told == FIBRILLATION
    compare(score, told, true, unreadable)
    assert score.readable.specificity == 100.0
    assert score.both.specificity == 50.0


def test_figures_of_a_card_are_plain_numbers() -> None:
    score = Score()
    true = verdicts((10.0, NONE))
    compare(score, true, true, readable(true))
    found = score.to_json()
    assert found["both_sensitivity"] is None
    assert found["both_specificity"] == 100.0
    assert found["median_delay_s"] is None
    assert found["verdicts"] == 0


def test_records_are_scored_by_what_has_not_seen_them(tmp_path: Path) -> None:
    folder = tmp_path / "vfdb"
    folder.mkdir()
    beats = [(0.5 + 0.75 * i, "N") for i in range(26)] + [(20.2 + 0.24 * i, "V") for i in range(82)]
    signal = render(beats, 40.0).signal.astype(float)
    wfdb.wrsamp("418", FS, ["mV", "mV"], ["MLII", "V1"], signal, fmt=["16", "16"], write_dir=str(folder))
    notes = ["(N", "(VT"]
    wfdb.wrann("418", "atr", np.array([0, 20 * FS]), np.array(["+", "+"]), aux_note=notes, fs=FS, write_dir=str(folder))
    asked = []

    class Networks:
        def unseen(self, name: str) -> np.void:
            asked.append(name)
            return shipped().unseen(name)

    score = evaluate([folder / "418"], Networks())  # type: ignore[arg-type]
    assert asked == ["vfdb/418"]
    assert (score.episodes, score.found) == (1, 1)
    assert score.both.specificity == 100.0
    assert score.hours == pytest.approx(40.0 / 3600.0)
