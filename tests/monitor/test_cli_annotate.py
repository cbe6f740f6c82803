"""`wardbeat annotate`: the files that `replay --annotate` writes."""

from __future__ import annotations

import typer
import wfdb
from typer.testing import CliRunner
from wfdb_records import sinus, write_record

from monitor.cli.annotate import annotate
from monitor.cli.replay import replay


def run(command, *arguments):
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_writes_what_replay_writes(tmp_path):
    record = write_record(tmp_path, "rec", sinus(20, 250), fs=250)
    summary = run(annotate, record, "--out", tmp_path / "a")
    again = run(replay, record, "--annotate", "wb", "--out", tmp_path / "b")
    assert (tmp_path / "a" / "rec.wb").read_bytes() == (tmp_path / "b" / "rec.wb").read_bytes()
    assert summary == again
    assert len(wfdb.rdann(str(tmp_path / "a" / "rec"), "wb").sample) > 20


def test_annotator_and_folder_can_be_chosen(tmp_path, monkeypatch):
    record = write_record(tmp_path, "rec", sinus(20, 250), fs=250)
    monkeypatch.chdir(tmp_path)
    run(annotate, record, "--annotator", "mine", "--leads", "0")
    assert (tmp_path / "rec.mine").exists()
