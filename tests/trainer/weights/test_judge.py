"""Training of the detector's judge: it learns, it judges only what it has not seen, and its file is read back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from monitor import judge as kernel
from monitor.exceptions import ConfigError
from trainer.weights import judge
from trainer.weights.candidates import KINDS, Candidates
from trainer.weights.judge import Recipe, Validation, ask, batches_of, card_of, cross_validate, fit, save

QUICK = replace(Recipe(), epochs=30)
RECORDS = ("a", "b", "c", "d", "e", "f")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """For so small a network more of them only get into each other's way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def by_rule(network: str) -> int:
    """Which of the network's features says that the rule takes the candidate."""
    return (kernel.ONE if network.startswith("one") else kernel.MOST) - 1


def made_up(network: str = "one", count: int = 3000, seed: int = 0) -> Candidates:
    """Candidates of six records whose third feature tells beats from others; features of very different scales."""
    rng = np.random.default_rng(seed)
    width = kernel.NETWORKS[network]
    beats = rng.random(count) < 0.5
    features = rng.normal(0.0, 1.0, (count, width))
    features[:, 2] += np.where(beats, 3.0, -3.0)
    features = features * np.geomspace(0.1, 10.0, width) + np.linspace(-20.0, 20.0, width)
    features[:, by_rule(network)] = rng.random(count) < 0.5
    records = np.array(RECORDS)[rng.integers(0, len(RECORDS), count)]
    return Candidates(features.astype(np.float32), beats, records, rng.integers(0, len(KINDS), count))


def wrong(networks: list[np.ndarray], candidates: Candidates) -> float:
    """Share of candidates that are judged wrongly."""
    return float(np.mean((ask(networks, candidates.features) > 0.0) != candidates.beats))


@pytest.mark.parametrize("network", kernel.NETWORKS)
def test_a_network_learns_on_the_features_as_they_are(network: str) -> None:
    """Their scaling is folded into its first layer."""
    steps = []
    parts = fit(made_up(network), QUICK, 0, steps.append)
    assert sum(steps) == batches_of(3000, QUICK) == 90
    width = kernel.NETWORKS[network]
    assert [part.shape for part in parts] == [(width, 32), (32,), (32, 16), (16,), (16, 1), (1,)]
    assert all(part.dtype == np.float32 for part in parts)
    assert wrong(parts, made_up(network, seed=1)) < 0.03


def test_training_is_repeatable() -> None:
    first, again, other = (fit(made_up(count=1500), QUICK, seed, lambda n: None) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_a_kind_that_weighs_more_is_judged_better() -> None:
    """Clean and noisy candidates contradict each other: the network sides with those that count."""
    candidates = made_up()
    for favoured in range(2):
        mixed = Candidates(candidates.features, candidates.beats.copy(), candidates.records, candidates.kinds % 2)
        mixed.beats[mixed.kinds != favoured] ^= True
        weights = tuple(20.0 if kind == favoured else 1.0 for kind in range(len(KINDS)))
        parts = fit(mixed, replace(QUICK, weights=weights), 0, lambda n: None)
        assert wrong(parts, candidates) < 0.05


@pytest.mark.parametrize("name", kernel.NETWORKS)
def test_answers_are_those_of_the_detector(name: str) -> None:
    """What the rule's agreement is worth included, as it is in a calm signal."""
    candidates = made_up(name)
    parts = fit(candidates, QUICK, 0, lambda n: None)
    network = tuple(part.astype(np.float64) for part in parts)
    logits = ask(parts, candidates.features[:50])
    for features, logit in zip(candidates.features[:50], logits, strict=True):
        expected = kernel._ask(network, features) + kernel.RULE_BONUS * float(features[by_rule(name)])
        assert logit == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_no_record_is_judged_by_a_network_that_has_seen_it(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = made_up()
    seen: list[set[str]] = []
    asked: list[set[str]] = []
    whose = {features.tobytes(): name for features, name in zip(candidates.features, candidates.records, strict=True)}

    def fit(rest: Candidates, recipe: Recipe, seed: int, step: object) -> list[np.ndarray]:
        seen.append(set(rest.records.tolist()))
        return []

    def answer(parts: object, features: np.ndarray) -> np.ndarray:
        asked.append({str(whose[row.tobytes()]) for row in features})
        return np.ones(len(features))

    monkeypatch.setattr(judge, "fit", fit)
    monkeypatch.setattr(judge, "ask", answer)
    cross_validate(candidates, RECORDS[:4], QUICK, 0, lambda n: None)
    assert all(not held & rest for held, rest in zip(asked, seen, strict=True))
    assert all({"e", "f"} <= rest for rest in seen), "what is not scored is always learnt from"
    assert sorted(name for held in asked for name in held) == list(RECORDS[:4])


def test_validation_counts_what_is_missed_and_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = made_up(count=900)
    monkeypatch.setattr(judge, "fit", lambda *arguments: [])
    monkeypatch.setattr(judge, "ask", lambda parts, features: np.where(features[:, -1] == 1.0, 1.0, -1.0))
    found = cross_validate(candidates, RECORDS, QUICK, 0, lambda n: None)
    assert [v.kind for v in found] == list(KINDS)
    taken = candidates.features[:, -1] == 1.0
    for index, v in enumerate(found):
        chosen = candidates.kinds == index
        beats = candidates.beats[chosen]
        assert v.beats == beats.sum()
        assert v.missed == pytest.approx(100.0 * np.sum(beats & ~taken[chosen]) / beats.sum())
        assert v.extra == pytest.approx(100.0 * np.sum(~beats & taken[chosen]) / beats.sum())


def test_weights_are_read_back_by_the_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = {name: fit(made_up(name, 1500), QUICK, 0, lambda n: None) for name in kernel.NETWORKS}
    path = tmp_path / "deep" / "qrs.safetensors"
    validations = {"one": [Validation("clean", 10, 1.0, 2.0)]}
    save(networks, path, {"seed": 0} | card_of(QUICK, validations))
    card, loaded = kernel._load(path)
    monkeypatch.setattr(kernel, "CARD", card)
    kernel.check_weights()
    assert card["recipe"]["epochs"] == 30
    assert card["cross_validation"] == {"one": [{"kind": "clean", "beats": 10, "missed": 1.0, "extra": 2.0}]}
    for name, parts in networks.items():
        assert all(np.array_equal(a, b) for a, b in zip(parts, loaded[name], strict=True))


def test_weights_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    networks = {"one": [np.zeros(1, np.float32)] * 6}
    with pytest.raises(ConfigError, match="cannot be written") as caught:
        save(networks, tmp_path / "file" / "qrs.safetensors", {})
    assert caught.value.where == str(tmp_path / "file" / "qrs.safetensors")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        save(networks, tmp_path / "folder", {})
