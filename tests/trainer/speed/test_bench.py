"""``wardbeat bench kernel`` on small records made here, with detectors made here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from monitor.exceptions import ConfigError, RecordError, WardbeatError
from trainer.cli import kernel
from trainer.speed import peers
from trainer.speed.peers import Peer

app = typer.Typer()
app.command()(kernel)


@pytest.fixture(autouse=True)
def two_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    found = (
        Peer("quick", "numpy", ("numpy",), lambda signal, fs: [400, 700]),
        Peer("slow", "scipy", ("scipy",), lambda signal, fs: []),
    )
    monkeypatch.setattr(peers, "PEERS", found)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def failure(*arguments: object) -> WardbeatError:
    result = run(*arguments)
    assert isinstance(result.exception, WardbeatError), result.output
    return result.exception


def test_speed_and_accuracy_are_told_and_written_as_json(database: Path, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    result = run("--db", database, "--records", "101, 119", "--repetitions", 2, "--json", file)
    assert result.exception is None, result.output
    text = " ".join(result.stdout.split())
    assert "101 119; 0.0 million samples; medians of 2 repetitions, of detectors but quick's and ours 1" in text
    assert "causal ns/sample lowest to highest x quick F1 % from t = 0 F1 % after 5 min errors from t = 0" in text
    assert "wardbeat front end, 64 beds, 36-sample chunks yes" in text
    assert "slow no" in text
    assert "Detection, after 5 min" in text
    assert "wall over CPU" in text
    document = json.loads(file.read_text())
    assert (document["bench"], document["database"], document["records"]) == ("kernel", str(database), ["101", "119"])
    assert [len(row["repetitions_ns"]) for row in document["rows"][-2:]] == [2, 1]


def test_every_annotated_record(database: Path, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    assert run("--db", database, "--records", "all", "--repetitions", 1, "--json", file).exception is None
    assert json.loads(file.read_text())["records"] == ["101", "106", "119"]


def test_the_records_of_mit_bih_if_none_are_named(database: Path) -> None:
    error = failure("--db", database)
    assert (error.what, error.where) == ("no such record", str(database / "100"))


def test_no_record(database: Path) -> None:
    assert isinstance(failure("--db", database, "--records", ""), RecordError)


def test_a_peer_that_is_not_installed_ends_it_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Peer("absent", "absent", ("no_such_package",), lambda signal, fs: [])
    monkeypatch.setattr(peers, "PEERS", (*peers.PEERS, absent))
    error = failure("--db", "no-such-database")
    assert isinstance(error, ConfigError)
    assert "no_such_package" in error.what
    assert 'pip install "wardbeat[bench]"' in error.remedy


def test_a_file_that_cannot_be_written(database: Path, tmp_path: Path) -> None:
    file = tmp_path / "none" / "x"
    error = failure("--db", database, "--records", "101", "--repetitions", 1, "--json", file)
    assert isinstance(error, ConfigError)
    assert error.where == str(file)


def test_help_says_what_is_called() -> None:
    text = " ".join(run("--help").stdout.split())
    for words in ("detect_heartbeats", "ecg_findpeaks", "XQRS.detect", "gqrs_detect", "as they come", "bench"):
        assert words in text
