"""The classifier several ways, in lines, tables, figures and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from trainer.reporting.beat_tables import beat_plan_tables
from trainer.reporting.figures import (
    draw_confusion,
    draw_curves,
    draw_delays,
    draw_noise,
    draw_records,
    draw_reliability,
    png_of,
)
from trainer.scoring.beat_variants import MEASURES, beat_lines_of, beat_results_json, headline, missing_classes
from trainer.scoring.conditions import AS_RECORDED
from trainer.scoring.outcome import Outcome
from trainer.scoring.scores import score_beats
from trainer.scoring.stress import Noisy
from trainer.scoring.variants import Plan

FS = 100.0


def outcome(record: str, *, wrong: int, network: bool = True) -> Outcome:
    """A beat a second for ten minutes, every fifth a V, every `wrong`-th of those called N."""
    samples = np.arange(1, 600, dtype=np.int64) * 100
    truth = ["V" if k % 5 == 0 else "N" for k in range(samples.size)]
    names = ["N" if k % (5 * wrong) == 0 else name for k, name in enumerate(truth)]
    p = np.array([[0.7 if name == label else 0.075 for label in "NSVFQ"] for name in names], np.float32)
    return Outcome(
        record, FS, 60_000, samples, truth, samples, names, samples + 30, samples + 40, samples + 40, names,
        p if network else np.full_like(p, np.nan), np.zeros(samples.size, np.bool_), samples, samples + 20,
    )  # fmt: skip


LEADS = Plan((("first",), ("second",)))
NOISE = Plan((("first",),), "noise", (AS_RECORDED, *(Noisy(Path("em"), "em", snr) for snr in (12.0, 0.0))), "noise em")


def results(chosen: Plan, records: tuple[str, ...] = ("100", "101")) -> list:
    """The n-th variant calls every (8 - 2 n)-th V an N."""
    return [
        (variant, score_beats([outcome(name, wrong=8 - 2 * n) for name in records]))
        for n, variant in enumerate(chosen.variants)
    ]


def test_lines_stand_beside_the_records_as_they_are() -> None:
    lines = [line for line in beat_lines_of(results(NOISE)) if line.period.title == "after 5 min"]
    of_all = [line for line in lines if line.split.title == "all"]
    assert [line.base for line in of_all] == [None, of_all[0], of_all[0]]
    expected = [line.split.score("V").f1 for line in of_all]
    assert [line.points("V F1") for line in of_all] == pytest.approx([f1 - expected[0] for f1 in expected])
    assert expected[0] > expected[1] > expected[2]
    assert {line.split.title for line in lines} == {"all", "DS1", "DS2"}


def test_one_variant_is_told_in_full() -> None:
    plan = Plan((("first",),))
    tables = beat_plan_tables(plan, results(plan))
    assert tables[0].title == "Classes per record, from t = 0"
    assert any(table.title.startswith("DS2, from t = 0: confidence of labels; ECE") for table in tables)
    assert set(beat_results_json(plan, results(plan))["periods"]) == {"from t = 0", "after 5 min"}


def test_leads_side_by_side() -> None:
    table = beat_plan_tables(LEADS, results(LEADS))[-1]
    assert table.title == "Leads compared"
    assert table.columns[:4] == ("period", "records", "leads", "V Se %")
    assert {len(row) for row in table.rows} == {len(table.columns)}
    assert [row[2] for row in table.rows[:2]] == ["first", "second"]
    assert float(table.rows[0][3]) > float(table.rows[1][3])


def test_noise_side_by_side() -> None:
    table = beat_plan_tables(NOISE, results(NOISE))[-1]
    assert table.columns == ("leads", "records", "", "as recorded", "12 dB", "0 dB")
    rows = {row[2]: row[3:] for row in table.rows[: len(MEASURES) + 1]}
    assert set(rows) == {*(f"{name} %" for name in MEASURES), "V F1, points"}
    assert rows["V F1, points"][0] == ""
    clean, *noisy = (float(text) for text in rows["V F1 %"])
    assert [float(text) for text in rows["V F1, points"][1:]] == pytest.approx([x - clean for x in noisy], abs=0.011)


def test_json_has_no_nan_and_a_line_a_variant() -> None:
    document = json.loads(json.dumps(beat_results_json(NOISE, results(NOISE)), allow_nan=False))
    late = [x for x in document["comparison"] if (x["period"], x["records"]) == ("after 5 min", "all")]
    assert [x["condition"] for x in late] == ["as recorded", "12 dB", "0 dB"]
    assert late[0]["V F1"]["difference"] == 0
    assert late[2]["V F1"]["difference"] < late[1]["V F1"]["difference"] < 0
    assert late[0]["S F1"] == {"value": None, "difference": None}


def test_classes_that_nobody_annotated() -> None:
    assert missing_classes(results(LEADS)) == ["S", "F"]


def test_headline_is_ds2_where_there_is_one() -> None:
    splits = results(LEADS)[0][1][0].splits
    assert [split.title for split in headline(splits)] == ["DS2"]
    assert [split.title for split in headline(splits[:1])] == ["all"]
    assert headline([]) == []


@pytest.mark.parametrize("network", [True, False])
def test_figures_are_drawn_whatever_there_is(network: bool) -> None:
    period = score_beats([outcome("100", wrong=4, network=network), outcome("101", wrong=3, network=network)])[0]
    split = period.splits[0]
    figures = [
        draw_confusion(split, "a"), draw_reliability(split, "b"), draw_curves(split, "c"), draw_records(period, "d"),
        draw_delays(period.records, "e"),
    ]  # fmt: skip
    for figure in figures:
        assert png_of(figure).startswith(b"\x89PNG")
    shown = [text.get_text() for text in figures[0].axes[0].texts]
    assert f"{split.confusion['Vn']}\n{100 * split.confusion['Vn'] / 240:.1f} %" in shown


def test_figure_of_noise_has_a_point_a_condition() -> None:
    lines = [x for x in beat_lines_of(results(NOISE)) if (x.period.title, x.split.title) == ("after 5 min", "all")]
    figure = draw_noise(lines, [condition.title for condition in NOISE.conditions], "noise")
    values = figure.axes[0].lines[0].get_ydata()
    assert list(values) == [line.split.score("V").f1 for line in lines]
