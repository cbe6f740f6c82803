"""``wardbeat train-quality`` and ``wardbeat evaluate quality``, from records to weights and tables."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer
import wfdb
from typer.testing import CliRunner, Result

from monitor import quality
from monitor.align import OK
from monitor.ecg import FS
from monitor.measures import HALF, HALVES, WIDTH
from trainer.cli import evaluate, train_quality
from trainer.reporting.quality_report import of_rhythms
from trainer.weights import quality_examples
from trainer.weights.quality import Recipe, ask, fit, verdicts_of
from trainer.weights.quality_examples import KINDS, Stretch, measure, readings, rhythm_spans


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command("train-quality")(train_quality)
    app.add_typer(evaluate, name="evaluate")
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write(folder: Path, name: str, signal: np.ndarray, fs: int = FS) -> None:
    leads = ["ECG", "V1"][: signal.shape[1]]
    units, formats = ["mV"] * len(leads), ["16"] * len(leads)
    wfdb.wrsamp(name, fs, units, leads, signal, fmt=formats, write_dir=str(folder))


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)
    for name in ("ma", "bw"):
        write(folder, name, rng.normal(0.0, 0.2, (20 * FS, 2)))
    return folder


@pytest.fixture(scope="module")
def challenge(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Path:
    """Ten recordings that can be read and five of noise, 300 Hz, one lead."""
    folder = tmp_path_factory.mktemp("challenge")
    rng = np.random.default_rng(1)
    beats = wfdb.rdrecord(str(database / "101")).p_signal[: 12 * FS, :1]
    lines = []
    for n in range(15):
        reading = "NAO~~"[n % 5] if n % 5 > 2 else "NAO"[n % 5]
        signal = beats if reading != "~" else np.cumsum(rng.normal(0.0, 0.2, beats.shape), 0)
        write(folder, f"A{n:02}", signal, 300)
        lines.append(f"A{n:02},{reading}\n")
    (folder / "REFERENCE.csv").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def rhythms(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Path:
    folder = tmp_path_factory.mktemp("rhythms")
    signal = wfdb.rdrecord(str(database / "106")).p_signal
    for name in ("418", "419"):
        write(folder, name, signal)
        at = np.array([0, 20 * FS, 40 * FS])
        wfdb.wrann(
            name, "atr", at, np.array(["+"] * 3), aux_note=["(N", "(VFL", "(NOISE"], fs=FS, write_dir=str(folder)
        )
    return folder


@pytest.fixture(scope="module")
def weights(
    database: Path, noise: Path, challenge: Path, rhythms: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Result]:
    path = tmp_path_factory.mktemp("weights") / "out" / "quality.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quality_examples, "NOISES", ("ma", "mains", "muscle"))
        result = run(
            "train-quality", "--challenge", challenge, "--rhythms", rhythms, "--db", database, "--noise", noise,
            "--records", "101,119", "--epochs", 1, "--seed", 7, "--out", path,
        )  # fmt: skip
    return path, result


def test_from_records_to_weights(weights: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch) -> None:
    path, result = weights
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{path}\n")
    card, parts = quality._load(path)
    monkeypatch.setattr(quality, "CARD", card)
    monkeypatch.setattr(quality, "_LOADED", parts)
    quality.check_weights()
    assert card["trained_on"]["mitdb"] == ["101", "119"]
    assert (card["seed"], card["recipe"]["epochs"]) == (7, 1)
    assert set(card["cross_validation"]["flagged"]) == {"N", "A", "O", "~"}
    assert {"VF", "NOISE", "clean", "noise added, too noisy"} <= set(card["cross_validation"]["noisy"])


def test_test_records_are_refused(database: Path) -> None:
    result = run("train-quality", "--challenge", database, "--rhythms", database, "--db", database,
                 "--noise", database, "--records", "100")  # fmt: skip
    assert "test records" in str(result.exception)


# -- examples


def test_features_are_those_of_the_monitor() -> None:
    """The first seconds are not measured; what is does not depend on what follows."""
    rng = np.random.default_rng(0)
    signal = rng.normal(0.0, 0.3, (8 * FS, 2))
    features = measure(signal, FS)
    assert features.shape == (16, 2, WIDTH)
    assert not features[: HALVES - 1].any()
    assert features[HALVES - 1 :].any((1, 2)).all()
    assert np.array_equal(measure(signal[: 5 * FS + 17], FS), features[:10])


def test_rhythms_go_on_until_the_next(rhythms: Path) -> None:
    from monitor.records import read_annotations

    spans = rhythm_spans(read_annotations(rhythms / "418"), 60 * FS)
    assert spans == [(0, 20 * FS, "N"), (20 * FS, 40 * FS, "VFL"), (40 * FS, 60 * FS, "NOISE")]


def test_noisy_leads_of_annotators(tmp_path: Path) -> None:
    at = np.array([100, 200, 300, 400, 500])
    subtypes = np.array([1, 0, 2, -1, 0])
    wfdb.wrann("1", "atr", at, np.array(["~"] * 5), subtype=subtypes, fs=FS, write_dir=str(tmp_path))
    assert quality_examples.noisy_spans(tmp_path / "1", 600) == [[(100, 200), (400, 500)], [(300, 400), (400, 500)]]


def test_no_noise_is_added_to_the_records_of_the_stress_test(database: Path, noise: Path) -> None:
    found = list(quality_examples._of_beats(database / "119", noise, np.random.default_rng(0)))
    assert len(found) == 2
    assert {KINDS[kind] for stretch in found for kind in np.unique(stretch.kinds)} == {"clean"}


# -- the network


def stretches() -> list[Stretch]:
    """Two records whose first measure alone tells noise from good."""
    rng = np.random.default_rng(0)
    found = []
    for record in ("a", "b"):
        features = rng.normal(0.0, 1.0, (600, WIDTH)).astype(np.float32)
        features[:, 0] = 1.0  # not flat
        labels = (features[:, 1] > 0).astype(np.int8)
        found.append(Stretch(record, features, labels, np.full(600, KINDS.index("noise added"), np.int8)))
    return found


def test_the_members_mean_is_one_network_that_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.weights.quality.SHARES", {})
    parts = fit(stretches()[:1], Recipe(members=3, hidden=5, epochs=200, learning_rate=0.05), 0)
    assert parts["w1"].shape == (WIDTH, 15)
    other = stretches()[1]
    assert np.mean((ask(parts, other.features) > 0) == (other.labels == 1)) > 0.9
    again = fit(stretches()[:1], Recipe(members=3, hidden=5, epochs=200, learning_rate=0.05), 0)
    assert all(np.array_equal(parts[name], again[name]) for name in parts)


def test_the_trainers_answer_is_the_monitors() -> None:
    parts = dict(zip(quality.PARTS, quality._LOADED, strict=True))
    features = stretches()[0].features[:20]
    logits = ask({name: part.astype(np.float32) for name, part in parts.items()}, features)
    assert [quality._ask(row.astype(np.float64)) for row in features] == pytest.approx(logits.tolist(), abs=1e-4)


def test_verdicts_begin_where_there_are_measures() -> None:
    parts = {name: part.astype(np.float32) for name, part in zip(quality.PARTS, quality._LOADED, strict=True)}
    parts["b2"] = np.full(1, 1e3, np.float32)
    stretch = stretches()[0]
    stretch.features[:3] = 0.0
    verdicts = verdicts_of(parts, stretch)
    first = 3 + quality.SETTLED
    assert verdicts[:first].tolist() == [OK] * first
    assert (verdicts[first:] > quality.FLAT).all()


# -- evaluate quality


def test_recordings_are_counted_by_reading(challenge: Path, tmp_path: Path) -> None:
    file = tmp_path / "scores.json"
    result = run("evaluate", "quality", "--db", challenge, "--json", file, "--processes", 1)
    assert result.exit_code == 0, result.output
    assert "flagged % when not learnt from" in " ".join(result.stdout.split())
    document = json.loads(file.read_text())
    assert document["scored"] == "quality"
    assert {name: line["recordings"] for name, line in document["readings"].items()} == {
        name: list(readings(challenge).values()).count(name) for name in "NAO~"
    }
    assert document["readings"]["N"]["flagged"] == 0
    expected = quality.CARD["cross_validation"]["flagged"]["~"] / 100
    assert document["readings"]["~"]["cross_validated_share"] == pytest.approx(expected)


def test_rhythms_are_told_apart(rhythms: Path) -> None:
    found, tables = of_rhythms(rhythms, [], 1)
    assert {name: line["seconds"] for name, line in found["rhythms"].items()} == {"N": 40, "VFL": 40, "NOISE": 40}
    assert tables[0].columns[0] == "rhythm"


def test_beats_in_noise_and_elsewhere(database: Path, tmp_path: Path) -> None:
    file, pages = tmp_path / "scores.json", tmp_path / "scores.md"
    result = run("evaluate", "quality", "--db", database, "--records", "101", "--no-names", "--json", file,
                 "--markdown", pages, "--processes", 1)  # fmt: skip
    assert result.exit_code == 0, result.output
    line = json.loads(file.read_text())["conditions"]["as recorded"]
    assert line["marked"] < 0.2
    assert line["beats_all"]["qrs"]["tp"] == sum(line[f"beats_{side}"]["qrs"]["tp"] for side in ("marked", "elsewhere"))
    assert "V F1 %" in pages.read_text()


def test_noise_needs_beats(challenge: Path) -> None:
    result = run("evaluate", "quality", "--db", challenge, "--noise", "ma")
    assert "no beats are annotated" in str(result.exception)


def test_a_recording_that_nobody_read(challenge: Path, tmp_path: Path) -> None:
    result = run("evaluate", "quality", "--db", challenge, "--records", "X1")
    assert "nobody said what it is" in str(result.exception)
    shutil.copy(challenge / "A00.hea", tmp_path)
    assert HALF == FS // 2
