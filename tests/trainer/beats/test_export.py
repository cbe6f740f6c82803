"""What is exported is what the monitor accepts, and nothing else is."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import trainer.beats.export
from monitor.classifier import Classifier, check_rows, default_model, front_end
from monitor.exceptions import ConfigError, ModelError
from trainer.beats.export import BATCH, attribution, export
from trainer.beats.golden import golden_inputs
from trainer.beats.model import Architecture, BeatNet, Named


def nets(leads: int = 1, members: int = 1) -> Named:
    torch.manual_seed(0)
    return Named([BeatNet(Architecture(leads=leads)) for _ in range(members)]).eval()


@pytest.mark.parametrize("leads", [1, 2])
@pytest.mark.parametrize("members", [1, 3])
def test_the_monitor_names_beats_as_the_trainer_does(leads: int, members: int, tmp_path: Path) -> None:
    made = nets(leads, members)
    path, digest = export(made, tmp_path / "new", "mine", {"trained_on": "nothing"})
    windows, features = golden_inputs(leads, 40, seed=7)
    with torch.inference_mode():
        expected = made(torch.from_numpy(windows), torch.from_numpy(features)).numpy()
    classifier = Classifier(path, digest)
    assert classifier.leads == leads
    assert np.allclose(classifier.classify(windows, features), expected, atol=1e-6)
    check_rows(classifier)


def test_a_model_reads_the_leading_part_of_wider_inputs(tmp_path: Path) -> None:
    classifier = Classifier(*export(nets(), tmp_path, "mine", {}))
    windows, features = golden_inputs(1, 20)
    wide = np.concatenate([windows, 9 + windows], 1), np.concatenate([features, 9 + features], 1)
    assert classifier.classify(*wide).tobytes() == classifier.classify(windows, features).tobytes()


def test_the_card_is_inside_and_beside(tmp_path: Path) -> None:
    path, digest = export(nets(2), tmp_path, "mine", {"trained_on": "nothing"})
    beside = json.loads(path.with_suffix(".json").read_text())
    inside = Classifier(path, digest).card
    assert beside["sha256"] == digest
    assert {key: value for key, value in inside.items() if key != "golden"} == {
        key: value for key, value in beside.items() if key != "sha256"
    }
    assert inside["trained_on"] == "nothing"
    assert inside["golden"]["windows"]["shape"][0] == BATCH
    assert all(inside[key] == value for key, value in front_end(2).items())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mine.json", "mine.pt"]


def test_the_same_networks_give_the_same_names_again(tmp_path: Path) -> None:
    first, second = (Classifier(*export(nets(), tmp_path, name, {})) for name in ("a", "b"))
    assert first.card["golden"] == second.card["golden"]


def test_one_changed_byte_is_refused(tmp_path: Path) -> None:
    path, digest = export(nets(), tmp_path, "mine", {})
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="SHA-256"):
        Classifier(path, digest)


def test_networks_for_another_front_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = front_end(1)
    monkeypatch.setattr(
        trainer.beats.export, "front_end", lambda leads: other | {"features": [*other["features"], "new"]}
    )
    with pytest.raises(ModelError, match="mine: made for another front end"):
        export(nets(), tmp_path, "mine", {})
    assert list(tmp_path.iterdir()) == []


def test_a_card_for_another_front_end_is_refused_before_anything_is_replaced(tmp_path: Path) -> None:
    path, digest = export(nets(), tmp_path, "mine", {})
    with pytest.raises(ModelError, match="made for another front end: stride differs"):
        export(nets(), tmp_path, "mine", {"stride": 3})
    assert Classifier(path, digest)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mine.json", "mine.pt"]


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match=r"mine\.pt: cannot be written .No space left"):
        export(nets(), tmp_path, "mine", {})
    assert list(tmp_path.iterdir()) == []


def test_the_attribution_names_every_database() -> None:
    text = attribution({"mitdb", "nstdb", "own"})
    assert all(part in text for part in ("Arrhythmia", "Noise Stress", "own", "ODC-By"))
    assert "QT Database" not in text


def test_the_model_that_ships_keeps_its_contract() -> None:
    path, digest = default_model()
    classifier = Classifier()
    beside = json.loads(path.with_suffix(".json").read_text())
    assert beside["sha256"] == digest == classifier.sha256
    assert {key: value for key, value in classifier.card.items() if key != "golden"} == {
        key: value for key, value in beside.items() if key != "sha256"
    }
    assert classifier.card["cross_validation"]
    assert "ODC-By" in classifier.card["attribution"]
