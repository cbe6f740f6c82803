"""The judge's weights: read whole or not at all, and made for these features; the network computes what numpy does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from wfdb_records import sinus, write_record

from monitor import judge, qrs
from monitor.exceptions import ConfigError
from monitor.ward import Ward

REMEDY = "install wardbeat anew, or make weights with wardbeat train-qrs"


def card_of(path: Path) -> dict[str, Any]:
    """The card of a weights file."""
    return judge._load(path)[0]


def write(path: Path, *, without: str = "", card: str | None = None) -> Path:
    """The weights that ship, one tensor left out or with another card."""
    tensors = {name: values for name, values in load_file(judge.WEIGHTS_FILE).items() if name != without}
    save_file(tensors, path, {"card": json.dumps(card_of(judge.WEIGHTS_FILE)) if card is None else card})
    return path


def test_the_weights_that_ship_were_made_for_these_features() -> None:
    judge.check_weights()
    assert judge.CARD["features"] == judge.FEATURES
    assert "PhysioNet" in judge.CARD["attribution"]


def test_each_network_takes_as_many_features_as_there_are() -> None:
    for name, width in judge.NETWORKS.items():
        network = judge._LOADED[name]
        w1, b1, w2, b2, w3, b3 = network
        assert w1.shape == (width, b1.size)
        assert w2.shape == (b1.size, b2.size)
        assert w3.shape == (b2.size, b3.size) == (b2.size, 1)
        assert all(part.dtype == np.float64 and np.isfinite(part).all() for part in network)


@pytest.mark.parametrize(
    "change",
    [
        {"ahead": 31},
        {"later_ahead": 61},
        {"leads": []},
        {"context": list(judge.CONTEXT_FEATURES[::-1])},
        {"later": list(judge.LATER_FEATURES[::-1])},
    ],
)
def test_weights_for_other_features_are_refused(monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]) -> None:
    """By the ward as it starts."""
    monkeypatch.setattr(judge, "CARD", {"features": judge.FEATURES | change})
    with pytest.raises(ConfigError) as caught:
        Ward()
    error = caught.value
    assert (error.what, error.where, error.remedy) == (
        "the detector's weights were made for other features", str(judge.WEIGHTS_FILE), REMEDY
    )  # fmt: skip


def test_weights_without_a_card_are_weights_for_other_features(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "bare.safetensors"
    save_file(load_file(judge.WEIGHTS_FILE), path)
    assert card_of(path) == {}
    monkeypatch.setattr(judge, "CARD", card_of(path))
    with pytest.raises(ConfigError, match="other features"):
        judge.check_weights()


def unreadable(folder: Path) -> dict[str, Path]:
    """Files that are no weights."""
    garbage, empty, cut, folder_itself = (folder / name for name in ("garbage", "empty", "cut", "folder"))
    garbage.write_bytes(b"these are not weights" * 10)
    empty.touch()
    cut.write_bytes(judge.WEIGHTS_FILE.read_bytes()[:-1])
    folder_itself.mkdir()
    return {
        "missing": folder / "nowhere",
        "garbage": garbage,
        "empty": empty,
        "cut off": cut,
        "a folder": folder_itself,
        "a tensor missing": write(folder / "less", without="two.b3"),
        "a card that is no JSON": write(folder / "card", card="{"),
    }


@pytest.mark.parametrize(
    "kind", ["missing", "garbage", "empty", "cut off", "a folder", "a tensor missing", "a card that is no JSON"]
)
def test_what_cannot_be_read_is_said_with_its_place(tmp_path: Path, kind: str) -> None:
    path = unreadable(tmp_path)[kind]
    with pytest.raises(ConfigError) as caught:
        judge._load(path)
    assert caught.value.what.startswith("the detector's weights cannot be read (")
    assert (caught.value.where, caught.value.remedy) == (str(path), REMEDY)
    assert "\n" not in str(caught.value)


def test_a_command_says_so_in_one_line(tmp_path: Path) -> None:
    """The weights are read when the detector is imported, and no command shows a traceback for it."""
    record = write_record(tmp_path, "rec", sinus(5))
    program = (
        "import sys, safetensors\n"
        "def failing(path, **options): raise OSError('no such disk')\n"
        "safetensors.safe_open = failing\n"
        f"sys.argv = ['wardbeat', 'replay', {str(record)!r}]\n"
        "from monitor.cli import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    said = f"wardbeat: {judge.WEIGHTS_FILE}: the detector's weights cannot be read (no such disk); {REMEDY}\n"
    assert done.stderr == said


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(list(judge.NETWORKS)))
def test_the_network_computes_what_numpy_does(seed: int, name: str) -> None:
    network = judge._LOADED[name]
    features = np.random.default_rng(seed).normal(0.0, 2.0, judge.MOST_LATER).astype(np.float32)
    w1, b1, w2, b2, w3, b3 = network
    hidden = np.maximum(np.maximum(features[: len(w1)].astype(np.float64) @ w1 + b1, 0.0) @ w2 + b2, 0.0)
    assert judge._ask(network, features) == pytest.approx((hidden @ w3 + b3)[0], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("card", [[1], "features", None], ids=["list", "text", "nothing"])
def test_a_card_that_is_no_object_is_refused(monkeypatch: pytest.MonkeyPatch, card: object) -> None:
    monkeypatch.setattr(judge, "CARD", card)
    with pytest.raises(ConfigError, match="made for other features"):
        judge.check_weights()


@pytest.mark.parametrize("name", judge.NETWORKS)
def test_layers_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """They would be read beyond the features."""
    w1, *others = judge._LOADED[name]
    longer = np.concatenate([w1, w1])
    monkeypatch.setitem(judge._LOADED, name, (longer, *others))
    with pytest.raises(ConfigError, match="made for other features"):
        judge.check_weights()


def test_no_look_reaches_beyond_what_has_been_seen() -> None:
    """However far a template is shifted."""
    shape, long = (judge._SHAPE_FROM + 3 * (points - 1) + judge._SHIFT for points in (judge.SHAPE, judge.LONG))
    assert max(judge._TEMPLATE_FROM + 2 * (judge.TEMPLATE - 1) + judge._SHIFT, shape) <= judge.AHEAD == qrs.EARLY
    assert max(long, *(int(name.split("_")[1]) for name in judge.LATER_FEATURES[3:])) <= judge.LATER == qrs.DOMINANCE


def test_weights_are_those_of_leads_and_look() -> None:
    for name, leads, later in (("one", 1, False), ("two", 2, False), ("one_later", 1, True), ("two_later", 2, True)):
        assert judge.weights_of(leads, later=later) is judge._LOADED[name]


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ([300] * 40, 1.0),
        ([300] * 15, 0.0),
        ([300, 340, 260, 300] * 8, 0.0),
        ([300] * 20 + [200, 400] * 6, (20 / 32 - judge.REGULAR[0]) / (judge.REGULAR[1] - judge.REGULAR[0])),
        ([200, 400] * 20 + [310, 290] * 16, 1.0),
    ],
    ids=["even", "too few", "half of them off", "a third ectopic", "even again"],
)
def test_how_regular_a_rhythm_is(intervals: list[int], expected: float) -> None:
    """By the last intervals alone, however many came before."""
    rhythm = np.zeros(1, qrs.RHYTHM)[0]
    for interval in intervals:
        judge.keep_interval(rhythm, float(interval))
    assert judge.regularity(rhythm) == pytest.approx(expected)


def test_medians_of_intervals_are_those_of_the_obvious_way() -> None:
    """Of the last few and of all remembered, with ties, from the first interval to long after the ring is full."""
    rng = np.random.default_rng(0)
    rhythm = np.zeros(1, qrs.RHYTHM)[0]
    assert judge.recent_interval(rhythm) == 300.0
    intervals: list[float] = []
    for _ in range(200):
        intervals.append(float(rng.integers(100, 130)))
        judge.keep_interval(rhythm, intervals[-1])
        assert rhythm["typical"] == np.median(intervals[-judge.INTERVALS :])
        assert judge.recent_interval(rhythm) == np.median(intervals[-judge.RECENT :])
