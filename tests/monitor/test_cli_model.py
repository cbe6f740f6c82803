"""``wardbeat model``, on a small model made here."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from monitor import classifier
from monitor.beats import FEATURES
from monitor.classifier import CARD_FILE, digest_of, encode_array, front_end
from monitor.cli.model import app, read_card
from monitor.ecg import AAMI_CLASSES
from monitor.exceptions import ModelError
from monitor.shapes import CHANNELS
from monitor.window import WIDTH

BATCH = 4


class Even(nn.Module):
    """Every class is as likely as any other."""

    def forward(self, windows: Tensor, features: Tensor) -> Tensor:
        return torch.full((windows.shape[0], 5), 0.2) + 0.0 * features[:, :1]


class Gossip(nn.Module):
    """What a beat is called depends on the other beats of the batch."""

    def forward(self, windows: Tensor, features: Tensor) -> Tensor:
        return torch.full((windows.shape[0], 5), 0.2) + 1e-6 * features.sum()


def card_of(**changed: Any) -> dict[str, Any]:
    return {
        "name": "even",
        "batch": BATCH,
        **front_end(1),
        "training": {"records": ["101", "106"], "epochs": 8},
        "scores": {"v_f1": 91.25, "by_record": [{"record": "101", "f1": 90}]},
        "golden": {
            "windows": encode_array(np.zeros((BATCH, len(CHANNELS), WIDTH), np.float32)),
            "features": encode_array(np.zeros((BATCH, len(FEATURES)), np.float32)),
            "probabilities": encode_array(np.full((BATCH, len(AAMI_CLASSES)), 0.2, np.float32)),
        },
    } | changed


def write_model(file: Path, **changed: Any) -> str:
    """Write a model with a card; return its digest."""
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(Even().eval()), buffer, _extra_files={CARD_FILE: json.dumps(card_of(**changed))})
    file.write_bytes(buffer.getvalue())
    return digest_of(file)


@pytest.fixture
def model(tmp_path: Path) -> tuple[Path, str]:
    file = tmp_path / "even.pt"
    return file, write_model(file)


@pytest.fixture
def shipped(model: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    """That model as the one that ships."""
    file, digest = model
    pins = file.with_name("pins.toml")
    pins.write_text(f'default = "even"\n[sha256]\neven = "{digest}"\n')
    monkeypatch.setattr(classifier, "MODELS", file.parent)
    monkeypatch.setattr(classifier, "PINS", pins)
    return file, digest


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def failure(*arguments: object) -> ModelError:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert isinstance(result.exception, ModelError), result.output
    assert result.stdout == ""
    assert "\n" not in str(result.exception)
    return result.exception


def test_show_prints_the_card(model: tuple[Path, str]) -> None:
    file, digest = model
    rows = dict(line.split(maxsplit=1) for line in run("show", file).splitlines() if len(line.split()) > 1)
    assert rows["sha256"].strip() == digest
    assert rows["classes"].strip() == "N S V F Q"
    assert rows["training.records"].strip() == "101 106"
    assert rows["scores.v_f1"].strip() == "91.25"
    assert rows["scores.by_record"].strip() == '[{"record": "101", "f1": 90}]'
    assert rows["golden.windows"].strip() == f"float32 {BATCH} x {len(CHANNELS)} x {WIDTH}"
    assert "pinned" not in rows


def test_show_runs_nothing_of_the_file(model: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(*_: object, **__: object) -> None:
        raise AssertionError("the model was run")

    monkeypatch.setattr(torch.jit, "load", loaded)
    assert "even" in run("show", model[0])


def test_show_the_model_that_ships(shipped: tuple[Path, str]) -> None:
    file, digest = shipped
    rows = dict(line.split(maxsplit=1) for line in run("show").splitlines() if len(line.split()) > 1)
    assert (rows["pinned"].strip(), rows["sha256"].strip()) == ("yes", digest)
    file.with_name("pins.toml").write_text(f'default = "even"\n[sha256]\neven = "{"0" * 64}"\n')
    assert f"NO, the pin is {'0' * 64}" in run("show")


def test_verify(model: tuple[Path, str], shipped: tuple[Path, str]) -> None:
    file, digest = model
    for arguments in ((), (file,), (file, "--sha256", digest.upper())):
        first, second, third = run("verify", *arguments).splitlines()
        assert first == f"OK {digest} {file}"
        assert second == "one lead; golden vectors differ by 0.0e+00; rows are independent to the bit"
        assert third.endswith(f" us a beat in full batches; {file.stat().st_size} bytes")


def test_verify_as_json(model: tuple[Path, str]) -> None:
    file, digest = model
    found = json.loads(run("verify", file, "--sha256", digest, "--json"))
    assert found.pop("us_per_beat") > 0
    size = file.stat().st_size
    assert found == {"file": str(file), "sha256": digest, "leads": 1, "golden": 0.0, "bytes": size}


def test_verify_refuses_a_network_whose_rows_hear_each_other(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(Gossip().eval()), buffer, _extra_files={CARD_FILE: json.dumps(card_of())})
    file = tmp_path / "gossip.pt"
    file.write_bytes(buffer.getvalue())
    assert failure("verify", file, "--sha256", digest_of(file)).what == "a beat's name depends on its neighbours"


def test_show_as_json(model: tuple[Path, str]) -> None:
    file, digest = model
    found = json.loads(run("show", file, "--json"))
    assert (found["file"], found["sha256"]) == (str(file), digest)
    assert found["card"] == {key: value for key, value in card_of().items() if key != "golden"}


def test_verify_refuses_another_digest(model: tuple[Path, str]) -> None:
    file, digest = model
    error = failure("verify", file, "--sha256", "0" * 64)
    assert (error.what, error.where) == (f"SHA-256 is {digest[:12]}..., pinned is 000000000000...", str(file))


def test_verify_refuses_what_its_golden_vectors_do_not_say(tmp_path: Path) -> None:
    wrong = card_of()["golden"] | {"probabilities": encode_array(np.full((BATCH, 5), 0.3, np.float32))}
    digest = write_model(tmp_path / "wrong.pt", golden=wrong)
    assert failure("verify", tmp_path / "wrong.pt", "--sha256", digest).what.startswith("golden vectors differ by 0.1")


def test_verify_refuses_another_front_end(tmp_path: Path) -> None:
    digest = write_model(tmp_path / "other.pt", fs=250)
    assert failure("verify", tmp_path / "other.pt", "--sha256", digest).what == "made for another front end: fs differs"


def test_file_and_digest_go_together(model: tuple[Path, str]) -> None:
    assert failure("verify", model[0]).what == "its SHA-256 is not given"
    assert failure("verify", "--sha256", model[1]).what == "a SHA-256 without a file"


@pytest.mark.parametrize("command", ["show", "verify"])
def test_models_that_are_not_there(tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = [] if command == "show" else ["--sha256", "0" * 64]
    assert failure(command, tmp_path / "none.pt", *digest).what == "cannot be read (No such file or directory)"
    monkeypatch.setattr(classifier, "PINS", tmp_path / "pins.toml")
    assert failure(command).where == str(tmp_path / "pins.toml")


def test_show_refuses_what_is_no_model(tmp_path: Path) -> None:
    file = tmp_path / "x.pt"
    for data in (b"", b"text", zipped({}), zipped({"m/extra/card.json": b"[]"}), zipped({"m/extra/card.json": b"{"})):
        file.write_bytes(data)
        assert failure("show", file).what.startswith("not a wardbeat model (")
    file.write_bytes(zipped({"m/extra/card.json": b"[" * 100_000}))
    failure("show", file)
    file.write_bytes(zipped({"m/extra/card.json": b" " * (16 * 1024 * 1024 + 1)}))
    assert failure("show", file).what == "not a wardbeat model (no card in it)"


def test_show_refuses_a_truncated_model(model: tuple[Path, str]) -> None:
    file, _ = model
    whole = file.read_bytes()
    for keep in (0, 10, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:keep])
        failure("show", file)


def test_card_is_what_was_written(model: tuple[Path, str]) -> None:
    assert read_card(model[0]) == card_of()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()
