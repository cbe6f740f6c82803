"""``wardbeat train-vf``, from records to weights the monitor takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer
import wfdb
from typer.testing import CliRunner, Result

from monitor.ecg import FS
from monitor.fibrillation_weights import load
from simulators.synthetic import render
from trainer.cli import train_vf
from trainer.weights import fibrillation_looks
from trainer.weights.fibrillation import FOLDS


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(train_vf)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two records of 20 s with VT, one of DS1 and one of DS2, and noise."""
    root = tmp_path_factory.mktemp("databases")
    found = {name: root / name for name in ("vfdb", "mitdb", "nstdb")}
    beats = [(0.5 + 0.75 * i, "N") for i in range(12)] + [(9.6 + 0.25 * i, "V") for i in range(40)]
    signal = render(beats, 20.0).signal.astype(float)
    for name, records in (("vfdb", ("418", "419")), ("mitdb", ("101", "100"))):
        found[name].mkdir()
        for record in records:
            wfdb.wrsamp(record, FS, ["mV"] * 2, ["MLII", "V1"], signal, fmt=["16"] * 2, write_dir=str(found[name]))
            at, symbols, notes = [0, 180, 450, 9 * FS], ["+", "N", "N", "+"], ["(N", "", "", "(VT"]
            wfdb.wrann(
                record, "atr", np.array(at), np.array(symbols), aux_note=notes, fs=FS, write_dir=str(found[name])
            )
    found["nstdb"].mkdir()
    noise = np.random.default_rng(0).normal(0.0, 0.2, (20 * FS, 2))
    for name in ("ma", "bw"):
        wfdb.wrsamp(name, FS, ["mV"] * 2, ["n1", "n2"], noise, fmt=["16"] * 2, write_dir=str(found["nstdb"]))
    return found


def test_from_records_to_weights(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fibrillation_looks, "_ALONE_S", 45)
    monkeypatch.setattr(fibrillation_looks, "MOTION", "ma")
    monkeypatch.setattr(fibrillation_looks, "NOISES", ("bw",))
    results = []
    for name in ("one", "two"):
        weights = tmp_path / "out" / name
        result = run(
            "--db", folders["vfdb"], "--mitdb", folders["mitdb"], "--more", "", "--noise", folders["nstdb"],
            "--out", weights, "--epochs", 1, "--seed", 3,
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        assert result.stdout.startswith(f"{weights}\n")
        assert "have not seen the record" in result.stderr
        results.append(weights.read_bytes())
    assert results[0] == results[1], "training is repeatable to the bit"
    networks = load(weights)
    card = networks.card
    assert card["trained_on"]["mitdb"] == ["101"], "test records are never learnt from"
    assert (card["trained_on"]["qtdb"], card["seed"], card["recipe"]["epochs"]) == ("none", 3, 1)
    assert sorted(name for group in networks.left_out for name in group) == ["mitdb/101", "vfdb/418", "vfdb/419"]
    assert len(networks.folds) == FOLDS
    assert set(card["cross_validation"]) == {"vfdb", "mitdb DS1"}
    assert card["cross_validation"]["vfdb"]["episodes"] == 2
