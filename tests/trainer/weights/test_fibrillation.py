"""Training of what tells fibrillation: it learns, repeatably, and no record is scored by what has seen it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from monitor import fibrillation as kernel
from monitor import waves
from monitor.exceptions import ConfigError
from monitor.fibrillation_weights import load, parts, record
from trainer.weights import fibrillation
from trainer.weights.fibrillation import FOLDS, Recipe, ask, batches_of, card_of, fit, fit_folds, left_out, save
from trainer.weights.fibrillation_looks import Looks

QUICK = replace(Recipe(), epochs=50)
RECORDS = tuple(f"{database}/{number}" for database in ("vfdb", "mitdb") for number in range(8))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """For so small a network more of them only get into each other's way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def made_up(count: int = 3000, seed: int = 0) -> Looks:
    """Looks whose third feature tells them apart; features of very different scales; some leads show nothing."""
    rng = np.random.default_rng(seed)
    width = len(waves.FEATURES)
    positive = rng.random(count) < 0.5
    features = rng.normal(0.0, 1.0, (count, 2, width))
    features[:, :, 2] += np.where(positive, 3.0, -3.0)[:, None]
    features = features * np.geomspace(0.1, 10.0, width) + np.linspace(-1.0, 20.0, width)
    features[rng.random((count, 2)) < 0.1, 0] = np.log(kernel.SMALLEST_MV) - 1.0
    records = np.array(RECORDS)[rng.integers(0, len(RECORDS), count)]
    return Looks(features.astype(np.float32), positive, np.ones(count, np.float32), records)


def wrong(network: fibrillation.Network, looks: Looks) -> float:
    """Share of looks that are judged wrongly by both leads together."""
    return float(np.mean((ask(network, looks.features).mean(1) > 0.0) != looks.positive))


def test_it_learns_on_the_features_as_they_are() -> None:
    """Their scaling is folded into the first layer."""
    steps: list[int] = []
    network = fit(made_up(), QUICK, 0, steps.append)
    assert sum(steps) == batches_of(3000, QUICK) == 300
    assert tuple(network) == parts()
    assert all(values.dtype == np.float32 for values in network.values())
    assert record(network).dtype == kernel.WEIGHTS
    assert wrong(network, made_up(seed=1)) < 0.03


def test_training_is_repeatable() -> None:
    first, again, other = (fit(made_up(count=1000), QUICK, seed, lambda n: None) for seed in (0, 0, 1))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["w1"], other["w1"])


def test_looks_that_weigh_more_count_more() -> None:
    """Two kinds of looks contradict each other: the network sides with those that count."""
    for favoured in (0, 1):
        looks = made_up()
        kind = np.arange(len(looks.positive)) % 2
        true = looks.positive.copy()
        looks.positive[kind != favoured] ^= True
        looks.weights[kind == favoured] = 10.0
        network = fit(looks, QUICK, 0, lambda n: None)
        assert float(np.mean((ask(network, looks.features).mean(1) > 0.0) != true)) < 0.05


def test_a_lead_that_shows_nothing_teaches_nothing() -> None:
    looks = made_up()
    quiet = looks.features[:, :, 0] < np.log(kernel.SMALLEST_MV)
    changed = Looks(looks.features.copy(), looks.positive, looks.weights, looks.records)
    changed.features[quiet, 2] *= -1.0
    mean = [float(fibrillation._loss(torch.zeros(2, 2), torch.tensor(loud), torch.ones(2)).sum()) for loud in
            ([[1.0, 0.0], [0.0, 0.0]], [[1.0, 1.0], [0.0, 0.0]])]  # fmt: skip
    assert mean == pytest.approx([1.5 * np.log(2.0), 2.0 * np.log(2.0)])
    assert wrong(fit(changed, QUICK, 0, lambda n: None), made_up(seed=1)) < 0.05


def test_answers_are_those_of_the_monitor() -> None:
    looks = made_up(200)
    network = fit(looks, QUICK, 0, lambda n: None)
    hidden = np.empty(sum(kernel.HIDDEN), np.float32)
    for features, odds in zip(looks.features[:50, 0], ask(network, looks.features[:50, 0]), strict=True):
        assert kernel._answer(record(network), features, hidden) == pytest.approx(odds, rel=1e-3, abs=1e-3)


def test_folds_hold_every_record_once_and_some_of_each_database() -> None:
    groups = left_out(RECORDS)
    assert len(groups) == FOLDS
    assert sorted(name for group in groups for name in group) == sorted(RECORDS)
    assert all({name.split("/")[0] for name in group} == {"vfdb", "mitdb"} for group in groups)


def test_no_network_has_seen_what_its_fold_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []

    def fit(rest: Looks, recipe: Recipe, seed: int, step: object) -> dict[str, np.ndarray]:
        seen.append(set(rest.records.tolist()))
        return {}

    monkeypatch.setattr(fibrillation, "fit", fit)
    fit_folds(made_up(), RECORDS, QUICK, 0, lambda n: None)
    assert [set(RECORDS) - names for names in seen] == [set(group) for group in left_out(RECORDS)]


def test_weights_are_read_back_by_the_monitor(tmp_path: Path) -> None:
    final, other = (fit(made_up(500), QUICK, seed, lambda n: None) for seed in (0, 1))
    path = tmp_path / "deep" / "vf.safetensors"
    save(final, [other], [["vfdb/1", "mitdb/1"]], path, {"seed": 0} | card_of(QUICK))
    networks = load(path)
    assert networks.card["recipe"]["epochs"] == 50
    assert all(np.array_equal(networks.final[name], values) for name, values in final.items())
    assert all(np.array_equal(networks.unseen("vfdb/1")[name], values) for name, values in other.items())
    assert networks.unseen("vfdb/2") is networks.final


def test_weights_that_cannot_be_written(tmp_path: Path) -> None:
    network = {name: np.zeros(1, np.float32) for name in parts()}
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written") as caught:
        save(network, [], [], tmp_path / "file" / "vf.safetensors", {})
    assert caught.value.where == str(tmp_path / "file" / "vf.safetensors")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        save(network, [], [], tmp_path / "folder", {})
