"""``wardbeat replay`` on small records made here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import wfdb
from typer.testing import CliRunner
from wfdb_records import sinus, write_record

from monitor import classifier
from monitor.classifier import Classifier
from monitor.cli.replay import paced, replay
from monitor.ecg import AAMI_CLASSES
from monitor.exceptions import ConfigError, ModelError, RecordError, WardbeatError

app = typer.Typer()
app.command()(replay)

SECONDS = 20
R_PEAKS = np.round(np.arange(0.5, SECONDS - 0.1, 0.8) * 250)
VENTRICULAR = R_PEAKS[7::8]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return write_record(tmp_path, "rec", sinus(SECONDS, 250), fs=250)


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments), "--no-model"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def failure(*arguments: object) -> WardbeatError:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert isinstance(result.exception, WardbeatError), result.output
    assert result.stdout == ""
    assert "\n" not in str(result.exception)
    return result.exception


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# -- events


def test_events_to_a_file(record: Path, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    assert run(record, "--events", file) == ""
    lines = lines_of(file.read_text())
    assert {line["bed"] for line in lines} == {"rec"}
    beats = [line for line in lines if line["type"] == "beat" and line["final"]]
    assert np.abs([line["sample"] for line in beats] - R_PEAKS).max() <= 2
    assert [line["sample"] for line in beats if line["symbol"] == "V"] == pytest.approx(VENTRICULAR, abs=2)
    assert Counter(line["sample"] for line in lines if line["type"] == "qrs") == Counter(
        line["sample"] for line in beats
    )
    emitted = [line["emitted"] for line in lines]
    assert emitted == sorted(emitted)
    assert emitted[-1] <= SECONDS * 250


def test_events_to_standard_output(record: Path, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    output = run(record, "--events", "-")
    run(record, "--events", file)
    assert output == file.read_text()


def test_events_of_several_records(tmp_path: Path) -> None:
    paths = [write_record(tmp_path, name, sinus(5)) for name in ("b", "a")]
    beds = [line["bed"] for line in lines_of(run(*paths, "--events", "-"))]
    assert beds == sorted(beds, reverse=True), "the records' order is the caller's"
    assert set(beds) == {"a", "b"}


def test_bed_is_named_or_made_valid(tmp_path: Path) -> None:
    path = write_record(tmp_path, "rec_1", sinus(5))
    dotted = tmp_path / "rec.1"
    for suffix in (".hea", ".dat"):
        dotted.with_name(f"rec.1{suffix}").write_bytes(path.with_name(f"rec_1{suffix}").read_bytes())
    assert {line["bed"] for line in lines_of(run(dotted, "--events", "-"))} == {"rec-1"}
    assert {line["bed"] for line in lines_of(run(path, "--bed", "b7", "--events", "-"))} == {"b7"}


def test_leads_in_the_order_given(tmp_path: Path) -> None:
    signal = sinus(10)
    signal[:, 1] = 0
    path = write_record(tmp_path, "rec", signal)
    assert not [line for line in lines_of(run(path, "--leads", "V1", "--events", "-")) if line["type"] == "beat"]
    assert [line for line in lines_of(run(path, "--leads", "MLII,V1", "--events", "-")) if line["type"] == "beat"]
    assert run(path, "--leads", "MLII", "--events", "-") == run(path, "--leads", " 0 ", "--events", "-")


def test_a_hole_is_told_lead_by_lead(tmp_path: Path) -> None:
    signal = sinus(12)
    signal[1800:2160, 1] = np.nan
    lines = lines_of(run(write_record(tmp_path, "rec", signal), "--events", "-"))
    quality = [(line["lead"], line["ok"]) for line in lines if line["type"] == "quality"]
    assert quality == [("V1", False), ("V1", True)]


# -- annotations


def test_annotations_are_read_back_by_wfdb(record: Path, tmp_path: Path) -> None:
    run(record, "--annotate", "wb", "--out", tmp_path / "made" / "here")
    found = wfdb.rdann(str(tmp_path / "made" / "here" / "rec"), "wb")
    assert found.fs == 250
    assert (np.diff(found.sample) > 0).all()
    symbols = np.array(found.symbol)
    beats = found.sample[symbols != "+"]
    assert np.abs(beats - R_PEAKS).max() <= 2
    assert found.sample[symbols == "V"] == pytest.approx(VENTRICULAR, abs=2)
    assert [note for note in found.aux_note if note] == ["(N"]
    assert found.sample[symbols == "+"][0] + 1 in beats


def test_annotations_agree_with_events(tmp_path: Path) -> None:
    signal = sinus(SECONDS)
    path = write_record(tmp_path, "rec", signal)
    lines = lines_of(run(path, "--events", "-", "--annotate", "wb", "--out", tmp_path))
    found = wfdb.rdann(str(path), "wb")
    beats = [(line["sample"], line["symbol"]) for line in lines if line["type"] == "beat" and line["final"]]
    assert [pair for pair in zip(found.sample, found.symbol, strict=True) if pair[1] != "+"] == sorted(beats)


def test_annotations_of_a_flat_record(tmp_path: Path) -> None:
    path = write_record(tmp_path, "rec", np.zeros((3000, 1)))
    run(path, "--annotate", "wb", "--out", tmp_path)
    assert not [symbol for symbol in wfdb.rdann(str(path), "wb").symbol if symbol != "+"]


# -- the summary


def test_summary(record: Path) -> None:
    output = run(record)
    beats = len(R_PEAKS)
    assert "rec  MLII, V1  250 Hz  0:00:20" in output
    assert f"{beats} beats: N {beats - len(VENTRICULAR)}, V {len(VENTRICULAR)}" in output
    assert "100" not in output.split("share")[0]
    assert "no alarms" in output


def test_summary_of_each_record_beside_annotations(tmp_path: Path) -> None:
    signal = sinus(30)
    signal[10 * 360 : 20 * 360] = 0
    paths = [write_record(tmp_path, "one", signal), write_record(tmp_path, "two", sinus(5))]
    output = run(*paths, "--annotate", "wb", "--out", tmp_path)
    first, second = output.split("two  ")
    assert "*** ASYSTOLE" in first
    assert "ASYS " in first
    assert "no alarms" in second


def test_summary_of_many_alarms_is_short(tmp_path: Path) -> None:
    signal = sinus(300)
    for start in range(10, 290, 12):
        signal[start * 360 : (start + 6) * 360] = 0
    output = run(write_record(tmp_path, "rec", signal))
    assert "more; --events writes them all" in output
    assert output.count("ASYSTOLE") <= 20


# -- time


class Clock:
    """Time passes only in sleep, and while a batch is made."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_paced_batches_come_when_their_last_sample_would_have_been_measured() -> None:
    clock = Clock()
    times = [clock.now for _ in paced(range(4), 0.25, clock, clock.sleep)]
    assert times == pytest.approx([100.25, 100.5, 100.75, 101.0])


def test_a_slow_batch_delays_none_that_follows() -> None:
    clock = Clock()

    def batches():
        for number in range(5):
            clock.now += 0.6 if number == 1 else 0.0
            yield number

    times = [clock.now for _ in paced(batches(), 0.25, clock, clock.sleep)]
    assert times == pytest.approx([100.25, 101.1, 101.1, 101.1, 101.25])


def test_speed_changes_the_time_and_not_the_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_record(tmp_path, "rec", sinus(8, 250), fs=250)
    periods: list[float] = []

    def unhurried(batches, period):
        periods.append(period)
        return batches

    monkeypatch.setattr("monitor.cli.replay.paced", unhurried)
    fast = run(path, "--events", "-")
    assert run(path, "--speed", "1", "--events", "-") == run(path, "--speed", "20", "--events", "-") == fast
    assert periods == pytest.approx([0.1, 0.005])


# -- what is refused


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "nan", "inf", ""])
def test_speed_that_is_none(record: Path, speed: str) -> None:
    assert failure(record, "--speed", speed).where == "--speed"


def test_record_that_is_not_there_is_known_before_any_work(record: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    error = failure(record, tmp_path / "none", "--no-model", "--events", events)
    assert str(error) == f"{tmp_path / 'none'}: no such record; none.hea is not there"
    assert isinstance(error, RecordError)
    assert not events.exists()


@pytest.mark.parametrize("fmt", ["16", "212"])
def test_truncated_record(tmp_path: Path, fmt: str) -> None:
    path = write_record(tmp_path, "rec", sinus(5), fmt=fmt)
    file = tmp_path / "rec.dat"
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[: size // 2])
    error = failure(path, "--no-model")
    assert str(error) == f"{file}: truncated: {size // 2} of {size} bytes; fetch the record again"


def test_lead_that_is_not_there(record: Path) -> None:
    assert str(failure(record, "--leads", "V9", "--no-model")) == f"{record}: no lead V9; its leads are MLII, V1"


def test_two_records_for_one_bed(record: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = write_record(tmp_path / "other", "rec", sinus(5))
    assert failure(record, other, "--no-model").what == "two records would be bed rec"
    assert failure(record, f"{record}.hea", "--no-model").what == "two records would be bed rec"
    third = write_record(tmp_path, "third", sinus(5))
    assert failure(record, third, "--bed", "b7", "--no-model").where == "--bed"


@pytest.mark.parametrize("bed", ["a/b", "#", "", "x" * 33, "-a", "bed\n"])
def test_bed_that_is_not_valid(record: Path, bed: str) -> None:
    error = failure(record, "--bed", bed, "--no-model")
    assert isinstance(error, ConfigError)
    assert error.where == "--bed"


@pytest.mark.parametrize("annotator", ["atr", "dat", "HEA", "w.b", "w1", "", "../x", "ü"])
def test_annotator_that_is_not_allowed(record: Path, tmp_path: Path, annotator: str) -> None:
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert failure(record, "--annotate", annotator, "--out", tmp_path, "--no-model").where == "--annotate"
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_annotate_and_out_go_together(record: Path, tmp_path: Path) -> None:
    assert "go together" in failure(record, "--annotate", "wb").what
    assert "go together" in failure(record, "--out", tmp_path).what


def test_places_that_cannot_be_written(record: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    assert failure(record, "--events", blocked / "x", "--no-model").where == str(blocked / "x")
    assert failure(record, "--annotate", "wb", "--out", blocked / "x", "--no-model").where == str(blocked / "x")


def test_models_that_are_refused(record: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.pt"
    model.write_bytes(b"not a model")
    assert "contradict" in failure(record, "--model", model, "--no-model").what
    assert failure(record, "--model-sha256", "0" * 64).where == "--model-sha256"
    assert isinstance(failure(record, "--model", model), ModelError)
    assert failure(record, "--model", model, "--model-sha256", "0" * 64).what.startswith("SHA-256 is ")
    assert failure(record, "--model", tmp_path / "none", "--model-sha256", "0" * 64).where == str(tmp_path / "none")


def test_two_models_that_do_not_go_together(record: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    assert failure(record, "--other-model", other).where == "--other-model"
    assert failure(record, "--model", other, "--model-sha256", "0", "--other-model-sha256", "0").where == (
        "--other-model-sha256"
    )


def test_the_model_names_the_beats(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class AllFused:
        def __init__(self, path: Path | None = None, sha256: str | None = None) -> None:
            assert path is not None
            self.leads = {"beats-1lead.pt": 1, "beats-2leads.pt": 2}[path.name]

        def classify(self, windows: np.ndarray, features: np.ndarray) -> np.ndarray:
            return np.tile(np.array([[0.0, 0.0, 0.0, 1.0, 0.0]], np.float32), (len(windows), 1))

    monkeypatch.setattr(classifier, "Classifier", AllFused)
    result = CliRunner().invoke(app, [str(record), "--events", "-"], catch_exceptions=False)
    beats = [line for line in lines_of(result.stdout) if line["type"] == "beat"]
    assert {line["symbol"] for line in beats} == {"F"}
    assert beats[0]["p"] == dict(zip(AAMI_CLASSES, (0.0, 0.0, 0.0, 1.0, 0.0), strict=True))
    assert Classifier is not AllFused


def test_a_reader_that_leaves_early_is_no_error(record: Path) -> None:
    command = [sys.executable, "-c", "from monitor.cli import main; main()", "replay", str(record), "--no-model"]
    process = subprocess.Popen([*command, "--events", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.wait(60)
    process.stderr.close()


def test_wrong_input_is_one_line_and_exit_2(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from monitor.cli import main; main()", "replay", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"wardbeat: {tmp_path / 'none'}: no such record; none.hea is not there\n"
