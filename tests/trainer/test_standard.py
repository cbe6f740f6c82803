"""``wardbeat bench standard``: the rows pass where the monitor does what they ask, and fail where it does not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from monitor.classifier import load_models
from monitor.events import Alarm
from monitor.exceptions import ConfigError
from simulators import standard as draw
from trainer.cli import standard
from trainer.standard import rows
from trainer.standard.listen import Heard, Trial, listen
from trainer.standard.rows import ROWS, Line, few, phases

PHASES = 3

app = typer.Typer()
app.command()(standard)


def monitor(trials: Iterable[Trial]) -> list[Heard]:
    """The monitor without a model: the rule names beats well enough for these."""
    return listen(trials, None)


def lines(number: int, phases: int = PHASES, show: rows.Listen = monitor) -> list[Line]:
    return list(ROWS[number](show, phases))


@pytest.mark.parametrize("number", [2, 6, 7, 11, 12, 13])
def test_row_passes_today(number: int) -> None:
    for line in lines(number):
        assert line.passed, (line.what, line.measured, line.failures)


def test_heart_rate_is_accurate_at_every_size() -> None:
    """Of the many sizes the monitor is shown every ninth, so every rate, height and width; the others are right."""

    def show(trials: Iterable[Trial]) -> list[Heard]:
        heard = [answer(lambda trial: [], float(trial.name.split()[0]))([trial])[0] for trial in trials]
        for number in range(0, len(heard), 9):
            [heard[number]] = monitor([heard[number].trial])
        return heard

    [line] = lines(1, show=show)
    assert line.values["trials"] == 7 * 4 * 4
    assert line.passed, line.failures
    assert 0.0 < line.values["worst_bpm"] < 1.0
    [wrong] = lines(1, show=answer(lambda trial: [], 81.0))
    assert wrong.values["passed"] == 16  # those at 80 bpm


@pytest.mark.parametrize("number", [5, 14])
def test_rows_about_rhythm_have_a_line_each(number: int) -> None:
    found = lines(number, 1)
    assert len(found) == {5: 4, 14: 5}[number]
    assert {line.values["trials"] for line in found} <= {1.0, 2.0}


def answer(says: Callable[[Trial], list[tuple[str, float]]], rate: float = 80.0) -> rows.Listen:
    """A monitor that always shows one rate and raises these codes at these times, s."""

    def show(trials: Iterable[Trial]) -> list[Heard]:
        heard = []
        for trial in trials:
            fs = trial.strip.fs
            alarms = [Alarm("bed", 0, round(at * fs), code=code) for code, at in says(trial)]
            at = np.arange(0.25, len(trial.strip.signal) / fs, 0.25)
            heard.append(Heard(trial, alarms, trial.strip.r_peaks / fs, at, np.full(at.size, rate)))
        return heard

    return show


def last(trial: Trial) -> float:
    return float(trial.strip.r_peaks[-1] / trial.strip.fs) if trial.strip.r_peaks.size else 0.0


@pytest.mark.parametrize(("after", "passed"), [(3.9, False), (4.2, True), (4.99, True), (5.1, False), (99.0, False)])
def test_asystole_has_a_time_before_and_a_time_after(after: float, passed: bool) -> None:
    [line] = lines(7, show=answer(lambda trial: [("ASYSTOLE", last(trial) + after)]))
    assert line.passed is passed
    assert line.values["worst_s"] == pytest.approx(after, abs=0.01)


def test_never_is_never() -> None:
    [line] = lines(7, show=answer(lambda trial: []))
    assert line.passed is False
    assert line.measured == "never, 0 of 3"
    assert line.failures == ("0.167", "0.500", "0.833")


@pytest.mark.parametrize(
    ("number", "says", "passed"),
    [
        (3, [("ASYSTOLE", 9.0)], True),
        (3, [("ASYSTOLE", 10.5)], False),
        (8, [("ASYSTOLE", 9.9)], True),
        (8, [("ASYSTOLE", 10.1)], False),
        (10, [("VFIB", 7.0)], True),
        (10, [("VFIB", 8.0)], False),
        (10, [("ASYSTOLE", 5.0), ("VFIB", 6.0)], False),
        (10, [("VFIB", 5.0), ("ASYSTOLE", 6.0)], True),
        (9, [("VTACH", 1.5)], True),
        (9, [("TACHY", 1.5)], False),
        (9, [("VTACH", 1.5), ("ASYSTOLE", 6.0)], False),
        (11, [("TACHY", 20.0)], False),
        (11, [], True),
    ],
)
def test_alarms_decide(number: int, says: list[tuple[str, float]], passed: bool) -> None:
    found = lines(number, show=answer(lambda trial: [(code, last_true(trial) + at) for code, at in says]))
    assert {line.passed for line in found} - {None} == {passed}


def last_true(trial: Trial) -> float:
    """The start of what the row is about: of a rhythm, or the last beat."""
    spans = [span.start / trial.strip.fs for span in trial.strip.rhythms if span.rhythm in ("VT", "VF")]
    return spans[0] if spans else last(trial)


@pytest.mark.parametrize("number", [4, 11])
@pytest.mark.parametrize(("rate", "passed"), [(80.9, True), (81.1, False), (78.9, False), (np.nan, False)])
def test_rates_decide(number: int, rate: float, passed: bool) -> None:
    assert {line.passed for line in lines(number, show=answer(lambda trial: [], rate))} == {passed}


def test_beats_where_there_are_none_fail() -> None:
    def show(trials: Iterable[Trial]) -> list[Heard]:
        heard = answer(lambda trial: [("ASYSTOLE", last(trial) + 5.0)])(trials)
        heard[0].qrs = np.append(heard[0].qrs, last(heard[0].trial) + 2.0)
        return heard

    passed = {line.what: line.passed for line in lines(3, show=show)}
    assert passed.pop("QRS of 0.15 mV right after QRS of 1 mV") is True, "there they are only told"
    assert set(passed.values()) == {False}


def test_tallest_t_wave_is_the_last_below_which_all_is_right() -> None:
    def show(trials: Iterable[Trial]) -> list[Heard]:
        heard = answer(lambda trial: [])(trials)
        for bed in heard:
            if bed.trial.name.startswith(("T of 0.8", "T of 1.4")):
                bed.rate[:] = 160.0
        return heard

    assert [line.values["good_mv"] for line in lines(4, show=show)] == [0.6, 0.6]


def test_lead_off_must_not_be_asystole() -> None:
    says = answer(lambda trial: [("LEAD_OFF", 20.1), ("ASYSTOLE", 24.0)])
    flagged, flat = lines(13, show=says)
    assert flagged.passed is False
    assert flat.passed


def test_listen_does_not_depend_on_how_many_beds_share_a_ward() -> None:
    strips = [draw.stop(phase=0.3), draw.change(120.0, phase=0.6), draw.fibrillation(1.0)]
    trials = [Trial(strip, (60.0, 100.0) if number == 1 else None) for number, strip in enumerate(strips)]
    together = monitor(trials)
    for bed, trial in zip(together, trials, strict=True):
        [by_itself] = monitor([trial])
        assert [(a.code, a.state, a.sample, a.emitted) for a in by_itself.alarms] == [
            (a.code, a.state, a.sample, a.emitted) for a in bed.alarms
        ]
        np.testing.assert_array_equal(by_itself.rate, bed.rate)
        np.testing.assert_array_equal(by_itself.qrs, bed.qrs)


def test_limits_are_set() -> None:
    strip = draw.steady(110.0, seconds=20.0)
    one, other = monitor([Trial(strip, (60.0, 100.0)), Trial(strip)])
    assert one.raised("TACHY") < 10.0
    assert other.raised("TACHY") == np.inf


def test_phases_are_evenly_spread() -> None:
    assert phases(4) == [0.125, 0.375, 0.625, 0.875]
    assert [few(count, 100) for count in (1, 2, 3, 200, 1000)] == [1, 2, 3, 3, 10]


def test_command_shows_the_table_and_writes_json(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    result = CliRunner().invoke(app, ["--rows", "7, 10", "--phases", "2", "--no-model", "--json", str(file)])
    assert result.exception is None, result.output
    text = " ".join(result.stdout.split())
    assert re.search(r"asystole after 80 bpm.* 4\.0 to 5\.0 s .*2 of 2.* pass 10 s \(IEC", text)
    assert re.search(r"\d of 4 required lines pass; 2 phases\. No conformity is claimed", text)
    document = json.loads(file.read_text())
    assert (document["bench"], document["phases"], document["model_sha256"]) == ("standard", 2, None)
    assert [line["row"] for line in document["lines"]] == [7, 10, 10, 10]
    assert document["lines"][0]["passed"] is True
    assert 4.0 < document["lines"][0]["values"]["worst_s"] < 5.0


@pytest.mark.parametrize("given", ["0", "15", "7,x"])
def test_command_refuses_rows_there_are_not(given: str) -> None:
    result = CliRunner().invoke(app, ["--rows", given])
    assert isinstance(result.exception, ConfigError)
    assert "no such row; choose some of 1, 2, 3" in str(result.exception)


@pytest.mark.slow
def test_the_whole_table_with_the_models() -> None:
    one, two = load_models(strict=True)
    found = [line for row in ROWS.values() for line in row(lambda trials: listen(trials, one, two), rows.PHASES)]
    failed = [(line.row, line.what, line.measured) for line in found if line.passed is False]
    assert not [entry for entry in failed if entry[0] != 9], failed
