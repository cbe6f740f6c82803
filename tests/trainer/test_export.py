"""What is exported is what the monitor accepts, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from monitor.classifier import FRONT_END, Classifier, default_model
from monitor.exceptions import ModelError
from trainer.export import BATCH, export, golden_inputs
from trainer.model import Architecture, BeatNet, Exported


@pytest.fixture(scope="module")
def net() -> BeatNet:
    torch.manual_seed(0)
    return BeatNet(Architecture()).eval()


def test_the_monitor_names_beats_as_the_trainer_does(net: BeatNet, tmp_path: Path) -> None:
    path, digest = export(net, tmp_path / "new", "mine", {"trained_on": "nothing"})
    windows, features = golden_inputs(7)
    with torch.inference_mode():
        expected = Exported(net).eval()(torch.from_numpy(windows), torch.from_numpy(features)).numpy()
    assert np.allclose(Classifier(path, digest).classify(windows, features), expected, atol=1e-6)


def test_the_card_is_inside_and_beside(net: BeatNet, tmp_path: Path) -> None:
    path, digest = export(net, tmp_path, "mine", {"trained_on": "nothing"})
    beside = json.loads(path.with_suffix(".json").read_text())
    inside = Classifier(path, digest).card
    assert beside["sha256"] == digest
    assert {key: value for key, value in inside.items() if key != "golden"} == {
        key: value for key, value in beside.items() if key != "sha256"
    }
    assert inside["trained_on"] == "nothing"
    assert all(inside[key] == value for key, value in FRONT_END.items())


def test_one_changed_byte_is_refused(net: BeatNet, tmp_path: Path) -> None:
    path, digest = export(net, tmp_path, "mine", {})
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="SHA-256"):
        Classifier(path, digest)


def test_golden_beats_are_the_same_every_time() -> None:
    assert golden_inputs()[0].tobytes() == golden_inputs()[0].tobytes()
    assert len(golden_inputs()[0]) == BATCH


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
