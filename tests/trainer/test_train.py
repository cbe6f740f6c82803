"""``wardbeat train``, from records to a file the monitor runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from monitor.classifier import Classifier
from monitor.exceptions import ConfigError, RecordError
from trainer.cli import train
from trainer.recipes import RECIPES, find_recipe


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(train)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_from_records_to_a_model(database: Path, tmp_path: Path) -> None:
    result = run(
        "--db", database, "--out", tmp_path, "--name", "small", "--recipe", "difference", "--epochs", 1,
        "--records", "101,106,119",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    digest = next(line.split()[1] for line in result.stdout.splitlines() if line.startswith("sha256"))
    classifier = Classifier(tmp_path / "small.pt", digest)
    assert classifier.card["trained_on"]["records"] == ["101", "106", "119"]
    assert classifier.card["recipe"]["name"] == "difference"


def test_cross_validation_chooses_when_no_recipe_is_named(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import trainer.recipes

    monkeypatch.setattr(trainer.recipes, "RECIPES", RECIPES[:2])
    result = run("--db", database, "--out", tmp_path, "--epochs", 1, "--records", "101,106,119")
    assert result.exit_code == 0, result.output
    digest = next(line.split()[1] for line in result.stdout.splitlines() if line.startswith("sha256"))
    card = Classifier(tmp_path / "beats.pt", digest).card
    assert [entry["recipe"] for entry in card["cross_validation"]] == [recipe.name for recipe in RECIPES[:2]]


def test_test_records_are_refused(database: Path, tmp_path: Path) -> None:
    result = run("--db", database, "--out", tmp_path, "--records", "101,100")
    assert isinstance(result.exception, ConfigError)
    assert "100" in str(result.exception)


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    assert isinstance(run("--db", tmp_path / "nowhere").exception, RecordError)


def test_an_unknown_recipe_is_told_what_there_is() -> None:
    with pytest.raises(ConfigError, match="difference"):
        find_recipe("soup")
