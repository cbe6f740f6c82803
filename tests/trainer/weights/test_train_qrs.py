"""``wardbeat train-qrs``, from records to weights the detector takes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import typer
import wfdb
from typer.testing import CliRunner, Result

from monitor import judge
from monitor.exceptions import ConfigError, RecordError
from trainer.cli import train_qrs


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(train_qrs)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)
    for name in ("ma", "bw"):
        signal = rng.normal(0.0, 0.2, (20 * 360, 2))
        wfdb.wrsamp(name, 360, ["mV", "mV"], ["n1", "n2"], signal, fmt=["16", "16"], write_dir=str(folder))
    return folder


def test_from_records_to_weights(database: Path, noise: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "out" / "qrs.safetensors"
    result = run(
        "--db", database, "--more", "", "--noise", noise, "--out", weights, "--records", "101,106", "--epochs", 1,
        "--seed", 7,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{weights}\n")
    assert "Leave-records-out" in result.stderr
    card, networks = judge._load(weights)
    monkeypatch.setattr(judge, "CARD", card)
    judge.check_weights()
    assert card["trained_on"]["mitdb"] == ["101", "106"]
    assert (card["trained_on"]["qtdb"], card["seed"], card["recipe"]["epochs"]) == ("none", 7, 1)
    assert list(card["cross_validation"]) == list(networks) == list(judge.NETWORKS)
    for name in ("two", "two_later"):
        kinds = {entry["kind"] for entry in card["cross_validation"][name]}
        assert kinds == {"noisy", "mildly noisy", "clean"}


def test_more_records_are_learnt_from_and_not_judged(database: Path, noise: Path, tmp_path: Path) -> None:
    weights = tmp_path / "qrs.safetensors"
    (tmp_path / "more").mkdir()
    for suffix in (".hea", ".dat", ".atr"):
        shutil.copy(database / f"119{suffix}", tmp_path / "more")
    result = run(
        "--db", database, "--more", tmp_path / "more", "--noise", noise, "--out", weights, "--records", "101",
        "--epochs", 1, "--no-validate",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    card, _ = judge._load(weights)
    assert card["trained_on"]["qtdb"] == "all"
    assert card["cross_validation"] == {}


@pytest.mark.parametrize("names", ["100", "101,100,103"])
def test_test_records_are_refused(database: Path, noise: Path, tmp_path: Path, names: str) -> None:
    result = run("--db", database, "--more", "", "--noise", noise, "--out", tmp_path / "x", "--records", names)
    assert isinstance(result.exception, ConfigError)
    assert "100" in result.exception.what
    assert result.exception.where == "--records"
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("missing", ["--db", "--noise", "--more"])
def test_a_database_that_is_not_there(database: Path, noise: Path, tmp_path: Path, missing: str) -> None:
    options = {"--db": database, "--noise": noise, "--more": "", "--out": tmp_path / "x", "--records": "101"}
    options[missing] = tmp_path / "nowhere"
    result = run(*(part for option in options.items() for part in option))
    assert isinstance(result.exception, RecordError)
    assert "nowhere" in str(result.exception)
