"""``wardbeat evaluate`` on small records made here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import wfdb
from typer.testing import CliRunner

from monitor.classifier import Models
from monitor.exceptions import ConfigError, ModelError, RecordError, WardbeatError
from monitor.records import find_database
from trainer.cli import evaluate

FS = 250
SECONDS = 40


def write_record(
    folder: Path, name: str, *, symbol: str = "N", shift: int = 0, seconds: int = SECONDS, left_out: int | None = None
) -> np.ndarray:
    """A beat every 0.8 s in two leads, annotated; `left_out` has no complex. Returns the annotated samples."""
    annotated = np.arange(FS, seconds * FS - FS // 2, FS * 4 // 5) + shift
    peaks = np.zeros(seconds * FS)
    for number, at in enumerate(annotated):
        if number != left_out:
            peaks[at - 20 : at + 21] += np.exp(-((np.arange(-20, 21) / 4.0) ** 2))
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


# --- several variants


def test_leads_compared(database: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.json"
    output = run("qrs", "--db", database, "--leads", "compare", "--processes", 1, "--json", scores)
    assert "Leads compared" in output
    assert "per record" not in output
    document = json.loads(scores.read_text())
    assert document["varied"] == "leads"
    assert [variant["leads"] for variant in document["variants"]] == [["first"], ["second"], ["both"]]
    assert all(line["qrs"]["tp"] > 80 for line in document["comparison"] if line["period"] == "from t = 0")


def test_rates_and_gains(database: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.json"
    for option, values, titles in (("--fs", "128,500", ["128 Hz", "500 Hz"]), ("--gain", "2", ["x 2"])):
        output = run("qrs", "--db", database, "--records", "one", option, values, "--processes", 1, "--json", scores)
        assert f"{option[2:].replace('fs', 'rate').capitalize()} beside the record's own" in output
        lines = [x for x in json.loads(scores.read_text())["comparison"] if x["period"] == "from t = 0"]
        assert [line["condition"] for line in lines] == ["as recorded", *titles]
        assert [line["qrs"]["f1"] for line in lines] == [1.0] * len(lines)


@pytest.fixture
def noisy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database of records 118 and 120, long enough for noise; a noise record `em` of white noise."""
    monkeypatch.setenv("WARDBEAT_DATA", str(tmp_path))
    for folder in ("made", "nstdb"):
        (tmp_path / folder).mkdir()
    for name in ("118", "120"):
        write_record(tmp_path / "made", name, seconds=430)
    noise = np.random.default_rng(0).standard_normal((301 * FS, 2)) * (0.1, 0.3)
    wfdb.wrsamp(
        "em", FS, ["mV", "mV"], ["noise1", "noise2"], noise, fmt=["16", "16"], write_dir=str(tmp_path / "nstdb")
    )
    return tmp_path / "made"


def test_noise_goes_into_the_records_of_the_stress_test(noisy: Path, tmp_path: Path) -> None:
    scores, tables = tmp_path / "scores.json", tmp_path / "tables.md"
    arguments = "qrs", "--db", noisy, "--noise", "em", "--snr", "20,-20", "--processes", 1
    output = run(*arguments, "--json", scores, "--markdown", tables)
    assert "Noise em by signal-to-noise ratio, from 5:00 on" in output
    assert "cannot analyse, % of the time" in tables.read_text()
    document = json.loads(scores.read_text())
    assert (document["noise"], document["seed"], document["varied"]) == ("em", 0, "noise")
    assert list(document["variants"][0]["periods"]["from t = 0"]["records"]) == ["118"]
    clean, quiet, loud = [x["qrs"]["f1"] for x in document["comparison"] if x["period"] == "after 5 min"]
    assert clean == quiet == 1.0
    assert loud < 0.95


def test_noise_goes_into_the_records_named(noisy: Path) -> None:
    output = run("qrs", "--db", noisy, "--noise", "em", "--snr", "20", "--records", "120", "--processes", 1)
    assert " 120 " in output
    assert " 118 " not in output


def test_noise_of_a_seed_repeats(noisy: Path, tmp_path: Path) -> None:
    texts = []
    for seed, file in ((1, "a"), (1, "b"), (0, "c")):
        path = tmp_path / file
        run("qrs", "--db", noisy, "--noise", "em", "--snr", "-12", "--seed", seed, "--processes", 1, "--json", path)
        texts.append(json.loads(path.read_text())["comparison"])
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_noise_without_its_database(database: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WARDBEAT_DATA", str(tmp_path / "none"))
    monkeypatch.setattr("monitor.records.cache_folder", lambda: tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    error = failure("qrs", "--db", database, "--noise", "em", "--processes", 1)
    assert (error.what, error.where) == ("no such database", "nstdb")
    assert error.remedy.endswith("wardbeat data get nstdb")


def test_noise_in_a_record_that_is_too_short(database: Path, noisy: Path) -> None:
    error = failure("qrs", "--db", database, "--records", "one", "--noise", "em", "--processes", 2)
    assert (error.what, error.where) == ("over before noise sets in at 5:00", "one")


def test_unknown_noise(database: Path) -> None:
    assert str(failure("qrs", "--db", database, "--noise", "mains")) == "--noise: no noise mains; choose em, ma, bw"


# --- pages


def test_pages_of_records_with_errors_and_of_distributions(tmp_path: Path) -> None:
    write_record(tmp_path, "right")
    write_record(tmp_path, "wrong", left_out=20)
    pages = tmp_path / "deep" / "pages"
    run("qrs", "--db", tmp_path, "--leads", "both", "--plots", pages, "--processes", 2)
    assert sorted(path.name for path in pages.iterdir()) == ["distributions.png", "wrong.png"]


def test_pages_of_several_variants_have_a_folder_each(tmp_path: Path) -> None:
    write_record(tmp_path, "wrong", left_out=20)
    run("qrs", "--db", tmp_path, "--gain", "2", "--plots", tmp_path / "pages", "--processes", 1)
    found = sorted(str(path.relative_to(tmp_path / "pages")) for path in (tmp_path / "pages").rglob("*.png"))
    assert found == [
        f"{folder}/{name}.png" for folder in ("gain_as_recorded", "gain_x_2") for name in ("distributions", "wrong")
    ]


def test_pages_that_cannot_be_written_are_refused_before_any_work(database: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error = failure("qrs", "--db", database, "--records", "nine", "--plots", tmp_path / "file" / "pages")
    assert isinstance(error, ConfigError)
    assert (error.where, error.remedy) == (
        str(tmp_path / "file" / "pages"), "name a folder that can be made and written to"
    )  # fmt: skip


# --- classes


class AllVentricular:
    """A network that calls every beat V."""

    sha256 = "0" * 64

    def classify(self, windows: np.ndarray, features: np.ndarray) -> np.ndarray:
        return np.tile(np.array([[0.0, 0.0, 1.0, 0.0, 0.0]], np.float32), (len(windows), 1))


def test_beats_scores_the_labels_of_the_model(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.scoring.runs.models_of", lambda model: Models(AllVentricular()))
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


@pytest.fixture
def ventricular(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.scoring.runs.models_of", lambda model: Models(AllVentricular()))


@pytest.mark.usefixtures("ventricular")
def test_beats_of_leads_compared_with_a_report(database: Path, tmp_path: Path) -> None:
    scores, folder = tmp_path / "scores.json", tmp_path / "deep" / "report"
    arguments = "beats", "--db", database, "--leads", "compare", "--processes", 1
    output = run(*arguments, "--json", scores, "--report", folder)
    assert "Leads compared" in output
    assert "note: no beat of class S, V, F is annotated in these records: not scored" in output
    document = json.loads(scores.read_text())
    assert [variant["leads"] for variant in document["variants"]] == [["first"], ["second"], ["both"]]
    page, text = (folder / "report.html").read_text(), (folder / "report.md").read_text()
    assert "annotated N, named V" in page
    named = set(re.findall(r"\(figures/([^)]+)\)", text))
    assert named == {path.name for path in (folder / "figures").iterdir()}
    assert len(named) == page.count("data:image/png;base64,")
    for leads in ("first", "second", "both"):
        assert f"leads-{leads}-annotated-N-named-V.png" in named
        assert f"leads-{leads}-all-from-t-0-reliability.png" in named


@pytest.mark.usefixtures("ventricular")
def test_beats_in_noise(noisy: Path, tmp_path: Path) -> None:
    scores, folder = tmp_path / "scores.json", tmp_path / "report"
    arguments = "beats", "--db", noisy, "--noise", "em", "--snr", "20,-20", "--seed", 3, "--processes", 1
    output = run(*arguments, "--json", scores, "--report", folder)
    assert "Classes in noise em by signal-to-noise ratio, from 5:00 on" in output
    document = json.loads(scores.read_text())
    assert (document["noise"], document["seed"], document["varied"]) == ("em", 3, "noise")
    assert list(document["variants"][0]["periods"]["from t = 0"]["records"]) == ["118", "120"]  # all, not some
    assert (folder / "figures" / "all-noise-em-from-5-00-on.png").is_file()


def test_beats_by_the_name_of_a_set(database: Path) -> None:
    error = failure("beats", "--db", database, "--records", "DS2", "--processes", 1)
    assert (error.what, error.where) == ("no such record", str(database / "100"))


def test_beats_of_paced_records(database: Path) -> None:
    write_record(database, "102")
    error = failure("beats", "--db", database, "--records", "102")
    assert (error.what, error.where) == ("paced records, whose classes are not scored", "102")


@pytest.mark.parametrize("option", ["--json", "--markdown", "--report"])
def test_beats_refuses_what_cannot_be_written_before_any_work(database: Path, tmp_path: Path, option: str) -> None:
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "scores"
    error = failure("beats", "--db", database, "--records", "nine", option, target)
    assert (error.what, error.where) == ("cannot be written (Not a directory)", str(target))


def test_a_file_that_is_there_is_not_touched_by_a_refusal(database: Path, tmp_path: Path) -> None:
    kept, none = tmp_path / "kept.json", tmp_path / "none.md"
    kept.write_text("kept")
    failure("beats", "--db", database, "--records", "nine", "--json", kept, "--markdown", none, "--processes", 1)
    assert kept.read_text() == "kept"
    assert not none.exists()


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


def test_alarms_counts_false_ones_a_day_against_the_annotations(tmp_path: Path) -> None:
    write_record(tmp_path, "101", left_out=20)
    write_record(tmp_path, "106")
    scores = tmp_path / "alarms.json"
    output = run("alarms", "--db", tmp_path, "--processes", 1, "--json", scores)
    assert "High-priority alarms" in output
    document = json.loads(scores.read_text())
    assert document["records"] == {name: {"false": [], "missed": []} for name in ("101", "106")}


def test_alarms_judges_those_of_a_database_that_lists_them(tmp_path: Path) -> None:
    for name in ("a1", "b2"):
        write_record(tmp_path, name, seconds=310)
    (tmp_path / "ALARMS").write_text("a1,Asystole,0\nb2,Bradycardia,1\n")
    output = run("alarms", "--db", tmp_path, "--processes", 1)
    assert re.search(r"all\s+2\s+0\s+1\s+0\s+1\s+16\.67", output)
    assert "no alarm of c3" in failure("alarms", "--db", tmp_path, "--records", "c3").what
