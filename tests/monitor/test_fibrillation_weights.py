"""The weights file: what ships is sound, and what is not is refused with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from monitor import fibrillation_weights
from monitor.exceptions import ConfigError
from monitor.fibrillation import WEIGHTS
from monitor.fibrillation_weights import FINAL, MADE_FOR, WEIGHTS_FILE, Networks, load, shipped
from monitor.ward import Ward

REMEDY = "install wardbeat anew, or make weights with wardbeat train-vf"


def write(path: Path, change: dict[str, Any] | None = None, card: str | None = None, **tensors: Any) -> Path:
    """The file that ships, with other tensors (None: left out) or another card."""
    found = load_file(WEIGHTS_FILE) | tensors
    own = dict(shipped().card) | (change or {})
    kept = {name: values for name, values in found.items() if values is not None}
    save_file(kept, path, {"card": json.dumps(own) if card is None else card})
    return path


def test_what_ships_is_sound() -> None:
    networks = shipped()
    assert {name: networks.card[name] for name in MADE_FOR} == MADE_FOR
    assert "PhysioNet" in networks.card["attribution"]
    assert len(networks.folds) == len(networks.left_out) > 1
    for weights in (networks.final, *networks.folds):
        assert weights.dtype == WEIGHTS
        assert all(np.isfinite(weights[part]).all() for part in fibrillation_weights.parts())


def test_each_record_learnt_from_is_left_out_of_one_fold() -> None:
    networks = shipped()
    names = [name for group in networks.left_out for name in group]
    assert len(names) == len(set(names))
    assert sum(name.startswith("vfdb/") for name in names) == 22
    for weights, group in zip(networks.folds, networks.left_out, strict=True):
        assert all(networks.unseen(name) is weights for name in group)
    assert networks.unseen("mitdb/100") is networks.final


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    networks = load(write(tmp_path / "same"))
    assert isinstance(networks, Networks)
    assert networks.final.tobytes() == shipped().final.tobytes()


@pytest.mark.parametrize(
    "change",
    [{"features": []}, {"window": 1}, {"rate": 100}, {"smallest_mv": 0.0}],
    ids=lambda change: next(iter(change)),
)
def test_weights_for_other_features_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = write(tmp_path / "other", change)
    with pytest.raises(ConfigError) as caught:
        load(path)
    error = caught.value
    assert (error.what, error.where, error.remedy) == (
        "weights for fibrillation made for other features", str(path), REMEDY
    )  # fmt: skip


def unreadable(folder: Path) -> dict[str, Path]:
    """Files that are no weights."""
    garbage, empty, cut, folder_itself = (folder / name for name in ("garbage", "empty", "cut", "folder"))
    garbage.write_bytes(b"these are not weights" * 10)
    empty.touch()
    cut.write_bytes(WEIGHTS_FILE.read_bytes()[:-1])
    folder_itself.mkdir()
    return {
        "missing": folder / "nowhere",
        "garbage": garbage,
        "empty": empty,
        "cut off": cut,
        "a folder": folder_itself,
        "a tensor missing": write(folder / "less", **{f"{FINAL}.b3": None}),
        "a tensor too short": write(folder / "short", **{"fold0.b1": np.zeros(3, np.float32)}),
        "a tensor that is not finite": write(folder / "nan", **{f"{FINAL}.b3": np.array(np.nan, np.float32)}),
        "folds that are no lists": write(folder / "folds", {"folds": 3}),
        "more folds than tensors": write(folder / "more", {"folds": [[]] * 99}),
        "a card that is no JSON": write(folder / "card", card="{"),
    }


@pytest.mark.parametrize(
    "kind",
    [
        *("missing", "garbage", "empty", "cut off", "a folder", "a tensor missing", "a tensor too short"),
        *("a tensor that is not finite", "folds that are no lists", "more folds than tensors"),
        "a card that is no JSON",
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(tmp_path: Path, kind: str) -> None:
    path = unreadable(tmp_path)[kind]
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.what.startswith("weights for fibrillation cannot be read (")
    assert (caught.value.where, caught.value.remedy) == (str(path), REMEDY)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("card", ["[1]", '"features"', "null", "{}"])
def test_a_card_that_says_nothing_is_refused(tmp_path: Path, card: str) -> None:
    with pytest.raises(ConfigError, match="other features"):
        load(write(tmp_path / "card", card=card))


def test_a_ward_says_so_as_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fibrillation_weights, "WEIGHTS_FILE", tmp_path / "nowhere")
    shipped.cache_clear()
    try:
        with pytest.raises(ConfigError, match="weights for fibrillation"):
            Ward()
        Ward(fibrillation=np.zeros(1, WEIGHTS)[0])
    finally:
        shipped.cache_clear()
