"""``wardbeat dataset``, ``experiments`` and ``train``, from records to a file the monitor runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

import trainer.beats.train
import trainer.beats.training
from monitor.classifier import Classifier
from monitor.exceptions import ConfigError, RecordError
from trainer.beats.dataset import DataSet
from trainer.cli import dataset, experiments, train

CONFIG = """
leads = 1
databases = ["{database}"]
folds = 2
[base]
batch = 32
epochs = 1
[[variants]]
name = "features alone"
architecture.channels = []
[[variants]]
name = "with window"
members = 2
"""


def run(command: Any, *arguments: object) -> Result:
    app = command
    if not isinstance(command, typer.Typer):
        app = typer.Typer()
        app.command()(command)
    threads = torch.get_num_threads()
    try:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])
    finally:
        torch.set_num_threads(threads)


def well(command: Any, *arguments: object) -> Result:
    result = run(command, *arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def digest_of(result: Result) -> str:
    return next(line.split()[1] for line in result.stdout.splitlines() if line.startswith("sha256"))


@pytest.fixture
def config(data: DataSet, tmp_path: Path) -> Path:
    file = tmp_path / "mine.toml"
    file.write_text(CONFIG.format(database=data.sources[0]["database"]))
    return file


@pytest.mark.parametrize("leads", [1, 2])
def test_from_records_to_a_model(database: Path, config: Path, tmp_path: Path, leads: int) -> None:
    out = tmp_path / "out"
    result = well(
        train, "--db", database, "--out", out, "--without", "F,Q", "--config", config, "--processes", 1,
        "--leads", leads,
    )  # fmt: skip
    name = {1: "beats-1lead", 2: "beats-2leads"}[leads]
    classifier = Classifier(out / f"{name}.pt", digest_of(result))
    card = classifier.card
    assert classifier.leads == leads
    assert card["trained_on"] == {database.name: ["101", "106", "119"]}
    assert card["cross_validation"][0]["variant"] == card["recipe"]["name"]
    assert {entry["variant"] for entry in card["cross_validation"]} == {"features alone", "with window"}
    assert card["data_set"] == DataSet(out / "dataset").digest
    assert card["recipe"]["architecture"]["leads"] == leads


def test_one_variant_without_cross_validation(data: DataSet, config: Path, tmp_path: Path) -> None:
    arguments = ["--dataset", data.folder, "--config", config, "--no-validate"]
    result = run(train, *arguments, "--out", tmp_path / "out")
    assert "several variants" in str(result.exception)
    result = well(train, *arguments, "--out", tmp_path / "out", "--variant", "with window", "--name", "x")
    card = Classifier(tmp_path / "out" / "x.pt", digest_of(result)).card
    assert (card["cross_validation"], len(card["epochs"])) == ([], 2)


def test_interrupted_it_goes_on_and_makes_the_same_model(
    data: DataSet, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [train, "--dataset", data.folder, "--config", config, "--no-validate", "--variant", "with window"]
    whole = well(*arguments, "--epochs", 3, "--out", tmp_path / "whole")
    real = trainer.beats.training.checkpoint.write
    count = iter(range(4))

    def four_times(*written: Any) -> None:
        if next(count, None) is None:
            raise KeyboardInterrupt
        real(*written)

    monkeypatch.setattr(trainer.beats.training.checkpoint, "write", four_times)
    assert run(*arguments, "--epochs", 3, "--out", tmp_path / "parts").exit_code != 0
    assert not list((tmp_path / "parts").glob("*.pt"))
    monkeypatch.undo()
    parts = well(*arguments, "--epochs", 3, "--out", tmp_path / "parts")
    cards = [
        Classifier(tmp_path / where / "beats-1lead.pt", digest_of(result)).card
        for where, result in (("whole", whole), ("parts", parts))
    ]
    assert cards[0] == cards[1]


def test_soft_labels(data: DataSet, config: Path, tmp_path: Path) -> None:
    arguments = [train, "--dataset", data.folder, "--config", config, "--no-validate", "--variant", "features alone"]
    beats = len(data.beats(1))
    np.save(tmp_path / "soft.npy", np.full((beats, 5), 0.2, np.float32))
    well(*arguments, "--out", tmp_path, "--soft-labels", tmp_path / "soft.npy")
    np.save(tmp_path / "soft.npy", np.full((3, 5), 0.2, np.float32))
    wrong = run(*arguments, "--out", tmp_path, "--soft-labels", tmp_path / "soft.npy")
    assert f"({beats}, 5) float32 is needed" in str(wrong.exception)


def test_test_records_are_refused(database: Path, tmp_path: Path) -> None:
    for command in ([train, "--out", tmp_path], [dataset, "build", "--out", tmp_path / "x"]):
        result = run(*command, "--db", database, "--records", "101,100")
        assert isinstance(result.exception, ConfigError)
        assert str(result.exception).startswith("--records: 100 are test records")
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    assert isinstance(run(train, "--db", tmp_path / "nowhere", "--out", tmp_path).exception, RecordError)


def test_a_missing_class(database: Path, tmp_path: Path) -> None:
    result = run(train, "--db", database, "--out", tmp_path, "--processes", 1)
    assert "no beat of class F" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_the_data_set_is_built_shown_and_drawn(database: Path, tmp_path: Path) -> None:
    made = tmp_path / "set"
    built = well(
        dataset, "build", "--db", database, "--out", made, "--without", "F,Q", "--leads", "first,both",
        "--noise", "motion", "--snr", "12,6", "--noise-db", database, "--processes", 1,
    )  # fmt: skip
    assert "motion 6 dB" in built.stdout
    shown = well(dataset, "show", made, "--check", "--plots", tmp_path / "plots")
    assert shown.stdout.split() == built.stdout.split()
    names = sorted(file.name for file in (tmp_path / "plots").iterdir())
    assert names == ["beats-1.png", "beats-2.png", "classes.png"]
    assert json.loads(well(dataset, "show", made, "--json").stdout) == DataSet(made).manifest


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--noise", "em"], "--noise: no noise em; training may hear ma, bw, motion"),
        (["--noise", "motion", "--snr", "loud"], "--snr: not numbers: loud"),
        (["--without", "W"], "--without: no class W"),
        (["--leads", "V9"], "--leads: no record has such leads"),
    ],
)
def test_options_that_make_no_sense(database: Path, tmp_path: Path, arguments: list[str], text: str) -> None:
    result = run(dataset, "build", "--db", database, "--noise-db", database, "--out", tmp_path / "x", *arguments)
    assert str(result.exception).startswith(text)
    assert list(tmp_path.iterdir()) == []


def test_experiments_are_run_and_shown(data: DataSet, config: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    ran = well(experiments, "run", config, "--dataset", data.folder, "--out", out, "--processes", 1)
    assert "features alone" in ran.stdout
    assert "with window" in ran.stdout
    assert well(experiments, "show", out).stdout == ran.stdout
    found = json.loads(well(experiments, "show", out, "--json").stdout)
    assert len(found["results"]) == 2
    assert (out / "results.png").is_file()
    assert "no data set here" in str(run(experiments, "run", config, "--dataset", tmp_path).exception)
