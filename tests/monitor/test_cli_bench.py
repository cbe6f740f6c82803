"""``wardbeat bench``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from monitor import classifier
from monitor.benchmark import STAGES
from monitor.cli.bench import app
from monitor.exceptions import ConfigError, ModelError

SMALL = ["ward", "--beds", "2", "--seconds", "5", "--repetitions", "1"]


def test_ward_is_told_in_a_table_and_written_as_json(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    result = CliRunner().invoke(app, [*SMALL, "--no-model", "--json", str(file)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "2 beds x 2 leads x 5 s, 36 samples a message, beats named by rule; 1 repetitions" in result.stdout
    assert "CPU us a bed-second" in result.stdout
    assert "x real time on one core" in result.stdout
    assert all(stage in result.stdout for stage in STAGES)
    document = json.loads(file.read_text())
    assert (document["bench"], document["model_sha256"]) == ("ward", None)
    assert document["plan"] == {"beds": 2, "seconds": 5.0, "chunk": 36, "leads": 2, "repetitions": 1}
    assert document["us_per_bed_second"] > 0
    assert list(document["stages"]) == list(STAGES)


def test_several_numbers_of_beds_make_a_curve(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    words = ["ward", "--beds", "1,3", "--seconds", "2", "--repetitions", "1", "--no-model", "--json", str(file)]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert "of the first" in result.stdout
    curve = json.loads(file.read_text())["curve"]
    assert [point["plan"]["beds"] for point in curve] == [1, 3]


def test_help_says_what_is_measured() -> None:
    text = " ".join(CliRunner().invoke(app, ["ward", "--help"]).stdout.split())
    for words in ("Ward.feed", "record 208", "processor time", "warm-up"):
        assert words in text


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*SMALL, "--no-model", "--json", str(tmp_path / "none" / "x")])
    assert isinstance(result.exception, ConfigError)
    assert result.exception.where == str(tmp_path / "none" / "x")


def test_a_model_that_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(classifier, "PINS", tmp_path / "pins.toml")
    result = CliRunner().invoke(app, SMALL)
    assert isinstance(result.exception, ModelError)


@pytest.mark.parametrize(
    "option",
    [
        ("--beds", "0"),
        ("--beds", "16,2000"),
        ("--beds", "x"),
        ("--seconds", "0"),
        ("--chunk", "5000"),
        ("--leads", "3"),
    ],
)
def test_numbers_out_of_range(option: tuple[str, str]) -> None:
    assert CliRunner().invoke(app, ["ward", *option]).exit_code == 2
