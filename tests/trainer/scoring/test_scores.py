"""From what the monitor made of records to scores and tables."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from monitor.ecg import AAMI_CLASSES
from trainer.reporting.beat_tables import beat_tables
from trainer.reporting.tables import Table, qrs_tables
from trainer.scoring.confusion import Score
from trainer.scoring.outcome import Outcome
from trainer.scoring.scores import Distribution, score_beats, score_qrs, score_record, to_json

FS = 360.0


def probabilities(truth: list[str]) -> np.ndarray:
    """A network that gives every beat's own class 0.8 and the other four the rest."""
    return np.array([[0.8 if name == label else 0.05 for name in AAMI_CLASSES] for label in truth], np.float32)


def outcome(record: str = "100", *, seconds: int = 600, wrong: int = 10, label: str = "N") -> Outcome:
    """A beat a second, found 5 samples late.

    Every `wrong`-th beat is missed and the one after it is a V that was called `label`.
    """
    annotated = np.arange(1, seconds, dtype=np.int64) * 360
    symbols = ["V" if k % wrong == 1 else "N" for k in range(annotated.size)]
    keep = [k for k in range(annotated.size) if k % wrong]
    found = annotated[keep] + 5
    return Outcome(
        record=record,
        fs=FS,
        length=seconds * 360,
        reference_samples=annotated,
        reference_symbols=symbols,
        samples=found,
        symbols=[label if k % wrong == 1 else "N" for k in keep],
        confirmed=found + 72,
        final=found + 360,
        named=found + 144,
        first_symbols=["N"] * found.size,
        probabilities=probabilities(["VN"[k % wrong != 1] for k in keep]),
        search_back=np.array([k % wrong == 2 for k in keep]),
        triggers=found[::2],
        triggered=found[::2] + 18,
    )


def test_record_score_counts_and_times() -> None:
    score = score_record(outcome(), 0.0)
    assert score.beats.qrs == Score(tp=539, fn=60, fp=0)
    assert score.narrow.qrs == score.beats.qrs
    assert score.triggers.qrs.tp == 270
    assert score.beats["Vn"] == 60
    assert score.milliseconds["R peak minus annotation"] == pytest.approx(np.full(539, 5000 / FS))
    assert set(score.milliseconds["R to beat"]) == {200.0}
    assert score.milliseconds["R to beat, search-back"].size == 60
    assert set(score.milliseconds["R to final label"]) == {1000.0}
    assert set(score.milliseconds["R to trigger"]) == {50.0}


def test_record_score_after_the_learning_period() -> None:
    score = score_record(outcome(), 300.0)
    assert score.beats.beats == 300
    assert sum(score.milliseconds[name].size for name in ("R to beat", "R to beat, search-back")) == score.beats.qrs.tp


def test_record_score_with_escape_beats_either_way() -> None:
    base = outcome(wrong=1000)
    base.reference_symbols[5] = "j"
    score = score_record(base, 0.0)
    assert (score.beats["Nn"], score.escapes_in_s["Sn"]) == (score.escapes_in_s["Nn"] + 1, 1)


def test_record_score_of_a_silent_detector() -> None:
    silent = outcome()
    nothing = np.zeros(0, np.int64)
    score = score_record(
        Outcome(
            silent.record, FS, silent.length, silent.reference_samples, silent.reference_symbols,
            nothing, [], nothing, nothing, nothing, [], np.zeros((0, 5), np.float32),
            nothing.astype(bool), nothing, nothing,
        ),
        0.0,
    )  # fmt: skip
    assert score.beats.qrs == Score(tp=0, fn=599, fp=0)
    assert math.isnan(score.beats.qrs.ppv)


def test_record_score_tells_how_long_no_lead_could_be_analysed() -> None:
    blind = replace(outcome(), unusable=np.array([[290 * 360, 310 * 360], [590 * 360, 600 * 360]]))
    whole, late = score_record(blind, 0.0), score_record(blind, 300.0)
    assert (whole.seconds, whole.unusable) == (600.0, 30.0)
    assert (late.seconds, late.unusable) == (300.0, 20.0)
    split = score_qrs([blind, outcome("101")])[1].splits[0]
    assert split.unusable == pytest.approx(20 / 600)
    assert split.score("QRS") == split.summaries[0].score
    assert split.milliseconds["R to trigger"].median == 50


def test_distribution() -> None:
    values = Distribution.of(np.arange(101.0))
    assert (values.count, values.median, values.p95, values.p99, values.largest) == (101, 50, 95, 99, 100)
    assert math.isnan(Distribution.of(np.zeros(0)).median)


def test_qrs_scores_of_both_periods() -> None:
    periods = score_qrs([outcome("100"), outcome("102", wrong=5)])
    assert [period.title for period in periods] == ["from t = 0", "after 5 min"]
    everything = periods[0].splits[0]
    assert everything.title == "all"
    qrs = everything.summaries[0]
    assert qrs.score == Score(tp=539 + 479, fn=60 + 120, fp=0)
    assert qrs.average[0] == pytest.approx((539 / 599 + 479 / 599) / 2)
    assert qrs.interval[0] <= qrs.score.f1 <= qrs.interval[1]


def test_class_scores_leave_paced_records_out() -> None:
    periods = score_beats([outcome("100"), outcome("102")])
    assert [record.record for record in periods[0].records] == ["100"]
    assert periods[0].milliseconds["R to beat"].count < 600


def test_class_scores_without_the_record_that_holds_most_of_a_class() -> None:
    titles = [s.title for s in score_beats([outcome("213"), outcome("232")])[0].splits[0].summaries]
    assert titles == ["V", "V strict", "S", "S without 232", "S with e and j", "F", "F without 213", "N"]


def test_class_scores_of_right_labels() -> None:
    split = score_beats([outcome("100", label="V"), outcome("103", label="V")])[0].splits[0]
    v = split.summaries[0]
    assert (v.score, v.average) == (Score(tp=120, fn=0, fp=0), (1.0, 1.0, 1.0))
    accuracy = split.namings[0]
    assert (accuracy.title, accuracy.gross) == ("accuracy", pytest.approx(539 / 599))


def test_class_scores_say_how_far_probabilities_may_be_believed() -> None:
    split = score_beats([outcome("100"), outcome("103")])[0].splits[0]
    assert split.calibration.beats == 2 * 539
    assert split.calibration.ece == pytest.approx(0.2)
    assert split.decisions.unnamed.tolist() == [2 * 60, 0, 0, 0, 0]
    assert to_json(score_beats([outcome()]))["periods"]["from t = 0"]["splits"]["all"]["average_precision"] == {
        "N": pytest.approx(479 / 539), "S": None, "V": 1.0, "F": None
    }  # fmt: skip


def test_first_labels_are_scored_where_they_differ() -> None:
    final = outcome(label="V")
    revised = replace(final, first_symbols=outcome().symbols)
    assert score_record(revised, 0.0).revised == 60
    split = score_beats([revised])[0].splits[0]
    assert split.revised == pytest.approx(60 / 539)
    assert split.score("V").se == 1.0
    assert split.score("V, first label").se == 0.0
    assert set(score_record(revised, 0.0).milliseconds["R to first label"]) == {400.0}
    steady = replace(final, first_symbols=final.symbols)
    assert "V, first label" not in [s.title for s in score_beats([steady])[0].splits[0].summaries]


def test_only_paced_records_score_no_classes() -> None:
    periods = score_beats([outcome("102")])
    assert (periods[0].records, periods[0].splits, periods[0].milliseconds) == ([], [], {})
    assert all(isinstance(table.to_markdown(), str) for table in beat_tables(periods))


def test_json_has_no_nan_and_holds_both_periods() -> None:
    outcomes = [outcome("100"), outcome("201")]
    for periods in (score_qrs(outcomes), score_beats(outcomes)):
        document = json.loads(json.dumps(to_json(periods), allow_nan=False))
        first = document["periods"]["from t = 0"]
        assert set(first["records"]) == {"100", "201"}
        assert first["records"]["100"]["qrs"]["tp"] == 539
        assert first["records"]["100"]["classes"]["S"]["se"] is None
        assert np.array(first["splits"]["all"]["counts"]).shape == (6, 7)
        assert first["milliseconds"]["R to trigger"]["median"] == 50


def test_tables_hold_every_record_and_split() -> None:
    outcomes = [outcome("100"), outcome("201")]
    detection = qrs_tables(score_qrs(outcomes))
    assert [table.title for table in detection[:3]] == [
        "Detection per record, from t = 0",
        "Detection, from t = 0",
        "Milliseconds, matched beats, from t = 0",
    ]
    assert detection[0].rows[0] == ("100", "599", "60", "0", "89.98", "100.00", "94.73", "94.73")
    assert [row[0] for row in detection[1].rows if row[0]] == ["all (2)", "DS1 (1)", "DS2 (1)"]
    classes = beat_tables(score_beats(outcomes))
    assert "DS2, from t = 0: annotated class by class found" in [table.title for table in classes]
    for table in detection + classes:
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_table_renders_for_terminal_and_markdown() -> None:
    table = Table("Scores", ("record", "F1 %"), [("100", "99.90"), ("101", "-")])
    assert table.to_markdown() == "**Scores**\n\n| record | F1 % |\n| --- | ---: |\n| 100 | 99.90 |\n| 101 | - |\n"
    screen = io.StringIO()
    Console(width=60, file=screen).print(table.to_rich())
    assert [line.split() for line in screen.getvalue().splitlines()][-3:-1] == [["100", "99.90"], ["101", "-"]]
