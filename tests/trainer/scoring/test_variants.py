"""What a run analyses, and how its variants stand beside each other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from monitor.exceptions import ConfigError
from trainer.reporting.tables import plan_tables
from trainer.scoring.conditions import AS_RECORDED, Resampled, Scaled
from trainer.scoring.outcome import Outcome
from trainer.scoring.scores import score_qrs
from trainer.scoring.stress import SNRS, Noisy
from trainer.scoring.variants import Plan, lines_of, one_lead_set, plan, results_json

FS = 100.0


def outcome(record: str, *, wrong: int, unusable: int = 0) -> Outcome:
    """A beat a second for ten minutes, every `wrong`-th missed; the last seconds perhaps unusable."""
    reference = np.arange(1, 600, dtype=np.int64) * 100
    found = np.delete(reference, np.arange(0, reference.size, wrong))
    return Outcome(
        record, FS, 60_000, reference, ["N"] * reference.size, found, ["N"] * found.size, found + 30, found + 40,
        found + 40, ["N"] * found.size, np.full((found.size, 5), np.nan, np.float32),
        np.zeros(found.size, np.bool_), found, found + 20, np.array([[60_000 - 100 * unusable, 60_000]]),
    )  # fmt: skip


def results(chosen: Plan, records: tuple[str, ...] = ("100", "101")) -> list:
    """The n-th variant misses every (20 - 2 n)-th beat and cannot analyse the last 30 n seconds."""
    return [
        (variant, score_qrs([outcome(name, wrong=20 - 2 * n, unusable=30 * n) for name in records]))
        for n, variant in enumerate(chosen.variants)
    ]


@pytest.fixture
def noisy() -> Plan:
    levels = [Noisy(Path("em"), "em", snr) for snr in (12.0, -6.0)]
    return Plan((("first",),), "noise", (AS_RECORDED, *levels), "noise em")


# --- plans


def test_plan_of_nothing_special() -> None:
    chosen = plan("first")
    assert [(v.leads, v.condition) for v in chosen.variants] == [(("first",), AS_RECORDED)]
    assert chosen.title_of(chosen.variants[0]) == ""
    assert chosen.folder_of(chosen.variants[0]) == "."


def test_plan_of_names() -> None:
    assert plan("MLII, V1").lead_sets == (("MLII", "V1"),)


def test_plan_that_compares_leads_at_rates() -> None:
    chosen = plan("compare", fs="128,250,128")
    assert chosen.lead_sets == (("first",), ("second",), ("both",))
    assert chosen.conditions == (AS_RECORDED, Resampled(128.0), Resampled(250.0))
    assert len(chosen.variants) == 9
    assert chosen.title_of(chosen.variants[1]) == "leads: first, 128 Hz"
    assert chosen.folder_of(chosen.variants[1]) == "rate_leads_first_128_Hz"


def test_plan_of_gains() -> None:
    assert plan("both", gain="0.5,2").conditions == (AS_RECORDED, Scaled(0.5), Scaled(2.0))


def test_plan_of_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Noisy, "of", classmethod(lambda cls, noise, snr, seed: cls(Path(noise), noise, snr, seed)))
    assert [c.snr for c in plan("first", noise="ma").conditions[1:]] == list(SNRS)
    chosen = plan("first", noise="ma", snr="-6,12", seed=3)
    assert chosen.conditions[1:] == (Noisy(Path("ma"), "ma", -6.0, 3), Noisy(Path("ma"), "ma", 12.0, 3))
    assert chosen.folder_of(chosen.variants[1]) == "noise_ma_-6_dB"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fs": "128,fast"}, "--fs: fast is not a number; give rates from 100 to 1000 Hz"),
        ({"fs": "50"}, "--fs: 50 is out of range; give rates from 100 to 1000 Hz"),
        ({"gain": "0"}, "--gain: 0 is out of range; give factors above 0, for instance 0.5,2"),
        ({"gain": "nan"}, "--gain: nan is out of range; give factors above 0, for instance 0.5,2"),
        ({"gain": ","}, "--gain: no number given; give factors above 0, for instance 0.5,2"),
        ({"noise": "em", "snr": "loud"}, "--snr: loud is not a number; give ratios in dB, for instance 24,12,0"),
        ({"snr": "12"}, "--snr: no noise to add; choose one with --noise"),
        ({"seed": 1}, "--seed: no noise to add; choose one with --noise"),
        ({"fs": "128", "gain": "2"}, "--gain: varied together with --fs; vary one thing at a time"),
    ],
)
def test_plans_that_make_no_sense(arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan("first", **arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(("leads", "what"), [("", "no lead given"), ("first,V1", "several leads and a word")])
def test_leads_that_make_no_sense(leads: str, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(leads)
    assert (caught.value.where, caught.value.what) == ("--leads", what)


def test_one_set_of_leads() -> None:
    assert one_lead_set("second") == ("second",)
    with pytest.raises(ConfigError, match="several sets of leads; choose first or second or both"):
        one_lead_set("compare")


# --- scores beside each other


def test_lines_stand_beside_the_record_as_it_is(noisy: Plan) -> None:
    lines = [line for line in lines_of(results(noisy)) if line.period == "from t = 0" and line.records == "all"]
    assert [line.qrs.fn for line in lines] == [60, 68, 76]
    assert [line.base for line in lines] == [None, lines[0], lines[0]]
    expected = lines[2].qrs.f1 - lines[0].qrs.f1
    assert lines[2].points(lambda line: line.qrs) == pytest.approx(expected)
    assert expected < 0
    assert [line.unusable for line in lines] == pytest.approx([0.0, 0.05, 0.10])


def test_lines_of_several_leads_have_each_their_own_base() -> None:
    chosen = Plan((("first",), ("second",)), "gain", (AS_RECORDED, Scaled(2.0)), "gain")
    lines = [line for line in lines_of(results(chosen)) if line.period == "after 5 min" and line.records == "DS1"]
    assert [(line.variant.lead_title, line.base is None) for line in lines] == [
        ("first", True), ("first", False), ("second", True), ("second", False)
    ]  # fmt: skip
    assert lines[3].base is lines[2]


def test_one_variant_is_told_in_full() -> None:
    titles = [table.title for table in plan_tables(plan("first"), results(plan("first")))]
    assert titles[0] == "Detection per record, from t = 0"
    assert len(titles) == 6


def test_noise_is_told_by_ratio(noisy: Plan) -> None:
    tables = plan_tables(noisy, results(noisy, ("118", "119")))
    last = tables[-1]
    assert last.title == "Noise em by signal-to-noise ratio, from 5:00 on"
    assert last.columns == ("leads", "records", "", "as recorded", "12 dB", "-6 dB")
    rows = {row[2]: row[3:] for row in last.rows}
    assert rows["cannot analyse, % of the time"] == ("0.00", "10.00", "20.00")
    assert rows["PPV %"] == ("100.00",) * 3
    assert rows["Se %"][0] > rows["Se %"][1] > rows["Se %"][2]
    assert list(rows) == ["Se %", "PPV %", "F1 %", "trigger F1 %", "cannot analyse, % of the time"]
    assert [row[:2] for row in last.rows[:2]] == [("first", "all (2)"), ("", "")]
    titles = [table.title for table in tables]
    assert "12 dB: Detection, after 5 min" in titles
    assert "F1 % of each record, from t = 0" in titles


def test_rates_are_told_beside_the_records_own() -> None:
    chosen = Plan((("first",),), "rate", (AS_RECORDED, Resampled(128.0)), "rate")
    last = plan_tables(chosen, results(chosen))[-1]
    first, second = last.rows[:2]
    assert first[:4] == ("first", "from t = 0", "DS1 (1)", "as recorded")
    assert second[:4] == ("", "", "", "128 Hz")
    assert first[5] == ""
    assert float(second[5]) == pytest.approx(float(second[4]) - float(first[4]), abs=0.011)
    assert second[5].startswith("-")


def test_leads_are_told_side_by_side() -> None:
    chosen = plan("compare")
    tables = plan_tables(chosen, results(chosen))
    assert not [table for table in tables if "per record" in table.title or "each record" in table.title]
    last = tables[-1]
    assert last.title == "Leads compared"
    assert [row[:3] for row in last.rows[:4]] == [
        ("from t = 0", "DS1 (1)", "first"), ("", "", "second"), ("", "", "both"), ("", "DS2 (1)", "first")
    ]  # fmt: skip
    assert len(last.rows) == 2 * 3 * 3
    assert last.rows[0][-2:] == ("200 / 200", "300 / 300")


def test_every_table_is_as_wide_as_its_heading(noisy: Plan) -> None:
    for chosen in (noisy, plan("compare"), plan("both", gain="2"), plan("compare", fs="128")):
        for table in plan_tables(chosen, results(chosen)):
            assert {len(row) for row in table.rows} == {len(table.columns)}


def test_json_holds_every_variant_and_their_comparison(noisy: Plan) -> None:
    document = json.loads(json.dumps(results_json(noisy, results(noisy)), allow_nan=False))
    assert document["varied"] == "noise"
    assert [v["condition"] for v in document["variants"]] == ["as recorded", "12 dB", "-6 dB"]
    assert set(document["variants"][1]["periods"]["from t = 0"]["records"]) == {"100", "101"}
    lines = [x for x in document["comparison"] if (x["period"], x["records"]) == ("after 5 min", "all")]
    assert [line["cannot_analyse"] for line in lines] == pytest.approx([0.0, 0.1, 0.2])
    assert lines[0]["qrs"]["f1_difference"] == 0.0
    assert lines[2]["qrs"]["f1_difference"] == pytest.approx(lines[2]["qrs"]["f1"] - lines[0]["qrs"]["f1"])
    assert lines[1]["milliseconds"]["R to trigger"]["median"] == 200


def test_json_of_one_variant_is_that_of_its_periods() -> None:
    assert set(results_json(plan("first"), results(plan("first")))) == {
        "match_window_s", "rows", "columns", "periods"
    }  # fmt: skip
