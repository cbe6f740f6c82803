"""``wardbeat evaluate`` on small records made here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import wfdb
from typer.testing import CliRunner

from monitor.exceptions import ConfigError, ModelError, RecordError, WardbeatError
from monitor.records import find_database
from trainer.cli import evaluate
from trainer.evaluate import Job, analyse_record

FS = 250
SECONDS = 40


def write_record(folder: Path, name: str, *, symbol: str = "N", shift: int = 0) -> np.ndarray:
    """A beat every 0.8 s in two leads, annotated; returns the annotated samples."""
    annotated = np.arange(FS, SECONDS * FS - FS // 2, FS * 4 // 5) + shift
    t = np.arange(SECONDS * FS)
    peaks = sum(np.exp(-(((t - at) / 4.0) ** 2)) for at in annotated)
    signal = np.stack([peaks, 0.6 * peaks], 1)
    wfdb.wrsamp(name, FS, ["mV", "mV"], ["MLII", "V1"], signal, fmt=["16", "16"], write_dir=str(folder))
    wfdb.wrann(name, "atr", annotated, [symbol] * annotated.size, fs=FS, write_dir=str(folder))
    return annotated


@pytest.fixture
def database(tmp_path: Path) -> Path:
    write_record(tmp_path, "one")
    write_record(tmp_path, "two", shift=30)
    return tmp_path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(evaluate, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def failure(*arguments: object) -> WardbeatError:
    result = CliRunner().invoke(evaluate, [str(argument) for argument in arguments])
    assert isinstance(result.exception, WardbeatError), result.output
    return result.exception


def test_analyse_record_finds_every_beat_at_the_records_own_rate(tmp_path: Path) -> None:
    annotated = write_record(tmp_path, "one")
    outcome = analyse_record(Job(tmp_path / "one", (), None))
    assert (outcome.record, outcome.fs, outcome.length) == ("one", FS, SECONDS * FS)
    assert outcome.samples.size == annotated.size
    assert np.all(np.abs(outcome.samples - annotated) <= 2)
    assert np.all(outcome.confirmed >= outcome.samples)
    assert np.all(outcome.final >= outcome.confirmed)
    assert outcome.symbols == ["N"] * annotated.size
    assert outcome.reference_symbols == ["N"] * annotated.size


def test_qrs_prints_both_periods_and_writes_files(database: Path, tmp_path: Path) -> None:
    scores, tables = tmp_path / "scores.json", tmp_path / "tables.md"
    output = run("qrs", "--db", database, "--processes", 1, "--json", scores, "--markdown", tables)
    assert "Detection per record, from t = 0" in output
    assert "Detection, after 5 min" in output
    document = json.loads(scores.read_text())
    assert (document["scored"], document["database"]) == ("qrs", str(database))
    records = document["periods"]["from t = 0"]["records"]
    assert list(records) == ["one", "two"]
    assert records["one"]["qrs"]["f1"] == records["two"]["qrs"]["f1"] == 1.0
    assert document["periods"]["after 5 min"]["records"]["one"]["qrs"]["f1"] is None
    assert "| one | " in tables.read_text()


def test_qrs_of_chosen_records_and_leads(database: Path) -> None:
    output = run("qrs", "--db", database, "--records", "two", "--leads", "V1,MLII", "--processes", 1)
    assert " two " in output
    assert " one " not in output


def test_records_are_analysed_in_processes_of_their_own(database: Path, tmp_path: Path) -> None:
    scores = [tmp_path / "together.json", tmp_path / "apart.json"]
    for processes, file in enumerate(scores, 1):
        run("qrs", "--db", database, "--processes", processes, "--json", file)
    assert scores[0].read_text() == scores[1].read_text()


def test_a_failure_in_another_process_is_the_same_error(database: Path) -> None:
    error = failure("qrs", "--db", database, "--records", "one,nine", "--processes", 2)
    assert isinstance(error, RecordError)
    assert error.what == "no such record"
    assert error.where == str(database / "nine")


def test_records_without_annotations_are_not_scored_unless_named(database: Path) -> None:
    (database / "two.atr").unlink()
    assert " two " not in run("qrs", "--db", database, "--processes", 1)
    error = failure("qrs", "--db", database, "--records", "two", "--processes", 1)
    assert (error.what, error.where) == ("no such annotation file", str(database / "two.atr"))


def test_a_database_without_annotations(database: Path) -> None:
    for file in database.glob("*.atr"):
        file.unlink()
    assert failure("qrs", "--db", database).what == "no record has reference annotations"


def test_annotations_without_beats(tmp_path: Path) -> None:
    write_record(tmp_path, "rhythm", symbol="+")
    error = failure("qrs", "--db", tmp_path, "--processes", 1)
    assert (error.what, error.where) == ("no beats are annotated", f"{tmp_path / 'rhythm'}.atr")


def test_a_lead_that_is_not_there(database: Path) -> None:
    assert failure("qrs", "--db", database, "--leads", "V9", "--processes", 1).what == "no lead V9"


def test_a_file_that_cannot_be_written(database: Path, tmp_path: Path) -> None:
    error = failure("qrs", "--db", database, "--processes", 1, "--json", tmp_path / "none" / "scores.json")
    assert isinstance(error, ConfigError)
    assert error.where == str(tmp_path / "none" / "scores.json")


class AllVentricular:
    """A network that calls every beat V."""

    sha256 = "0" * 64

    def classify(self, windows: np.ndarray, features: np.ndarray) -> np.ndarray:
        return np.tile(np.array([[0.0, 0.0, 1.0, 0.0, 0.0]], np.float32), (len(windows), 1))


def test_beats_scores_the_labels_of_the_model(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.evaluate._classifier", lambda model: AllVentricular())
    scores = tmp_path / "scores.json"
    output = run("beats", "--db", database, "--processes", 1, "--json", scores)
    assert "Classes, from t = 0" in output
    document = json.loads(scores.read_text())
    assert document["model_sha256"] == AllVentricular.sha256
    split = document["periods"]["from t = 0"]["splits"]["all"]
    beats = int(np.sum(split["counts"]))
    assert split["scores"]["V"] == {
        "tp": 0, "fn": 0, "fp": beats, "se": None, "ppv": 0.0, "f1": 0.0,
        "average": {"se": None, "ppv": 0.0, "f1": 0.0}, "f1_interval": [0.0, 0.0],
    }  # fmt: skip
    assert split["scores"]["accuracy"]["gross"] == 0.0


def test_beats_with_a_model_that_is_not_there(database: Path, tmp_path: Path) -> None:
    error = failure("beats", "--db", database, "--model", tmp_path / "none.pt", "--model-sha256", "0" * 64)
    assert isinstance(error, ModelError)


@pytest.mark.slow
@pytest.mark.database
def test_detector_on_all_records_of_mit_bih(tmp_path: Path) -> None:
    try:
        find_database("mitdb")
    except RecordError as error:
        pytest.skip(f"DETECTOR NOT SCORED: {error}")
    scores = tmp_path / "scores.json"
    run("qrs", "--json", scores)
    for period in json.loads(scores.read_text())["periods"].values():
        everything = period["splits"]["all"]
        assert len(everything["records"]) == 48
        assert everything["scores"]["QRS"]["f1"] >= 0.995
