"""Training is repeatable, and cross-validation keeps patients apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import trainer.training
from monitor.beats import CHANNELS, WIDTH
from trainer.dataset import Beats, load, segment
from trainer.splits import DS1
from trainer.training import (
    Recipe,
    augment,
    batches_of,
    class_weights,
    cross_validate,
    f1_of,
    folds,
    predict,
    train,
)

QUICK = Recipe("quick", epochs=2, batch=32)


@pytest.fixture(scope="module")
def beats(database: Path) -> Beats:
    return load(database, ["101", "106", "119"])


def test_the_same_seed_gives_the_same_network(beats: Beats) -> None:
    first, second, other = train(beats, QUICK, 3), train(beats, QUICK, 3), train(beats, QUICK, 4)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])
    assert any(not torch.equal(value, other.state_dict()[name]) for name, value in first.state_dict().items())


def test_progress_counts_every_batch(beats: Beats) -> None:
    told: list[int] = []
    train(beats, QUICK, 0, told.append)
    assert sum(told) == batches_of(len(beats), QUICK)


def test_it_learns_to_tell_wide_beats(beats: Beats) -> None:
    net = train(beats, Recipe("longer", epochs=12, batch=32), 0)
    assert f1_of(beats.labels, predict(net, beats), 2) > 90


def test_no_record_is_on_both_sides(beats: Beats, monkeypatch: pytest.MonkeyPatch) -> None:
    learnt: list[set[str]] = []
    named: list[set[str]] = []
    real_train, real_predict = trainer.training.train, trainer.training.predict

    def spy_train(seen: Beats, *arguments: object) -> object:
        learnt.append(set(seen.records))
        return real_train(seen, *arguments)  # type: ignore[arg-type]

    def spy_predict(net: object, seen: Beats) -> np.ndarray:
        named.append(set(seen.records))
        return real_predict(net, seen)  # type: ignore[arg-type]

    monkeypatch.setattr(trainer.training, "train", spy_train)
    monkeypatch.setattr(trainer.training, "predict", spy_predict)
    validation = cross_validate(beats, beats, QUICK, 0, count=3)
    assert len(learnt) == len(named) == 3
    assert all(not ours & theirs for ours, theirs in zip(learnt, named, strict=True))
    assert set().union(*named) == set(beats.records)
    assert 0 <= validation.score <= 100


@given(st.sets(st.sampled_from(DS1), min_size=5), st.integers(2, 5))
def test_folds_hold_each_record_once(records: set[str], count: int) -> None:
    found = folds(sorted(records), count)
    assert sorted(name for fold in found for name in fold) == sorted(records)
    assert len(found) == count


def test_records_of_one_patient_share_a_fold() -> None:
    found = folds(["a", "b", "c", "d", "e"], 2, together=("b", "e"))
    assert any({"b", "e"} <= set(fold) for fold in found)


def test_class_weights_are_one_on_average_and_favour_the_rare() -> None:
    labels = np.repeat([0, 1, 2], [9000, 300, 700])
    weights = class_weights(labels, 0.5).numpy()
    counts = np.maximum(np.bincount(labels, minlength=5), 200)
    assert np.isclose((weights * counts).sum() / counts.sum(), 1)
    assert weights[1] > weights[2] > weights[0]
    assert np.allclose(class_weights(labels, 0.0).numpy(), 1)


def test_augmentation_keeps_the_shape_and_turns_some_over() -> None:
    windows = torch.zeros(64, len(CHANNELS), WIDTH)
    windows[:, :, WIDTH // 2] = 1.0
    changed = augment(windows, Recipe("x", noise=0.0), torch.Generator().manual_seed(0))
    assert changed.shape == windows.shape
    extreme = changed.sum(2)[:, 0]
    assert (extreme > 0.79).any()
    assert (extreme < -0.79).any()
    assert (extreme.abs() <= 1.2001).all()


def test_f1_does_not_hold_f_and_q_against_v() -> None:
    labels = np.array([2, 2, 3, 4, 0])
    assert f1_of(labels, np.array([2, 2, 2, 2, 0]), 2) == 100
    assert f1_of(labels, np.array([2, 0, 2, 2, 2]), 2) == 50


def test_segmenting_twice_gives_the_same_beats(database: Path) -> None:
    assert segment(database / "101").features.tobytes() == segment(database / "101").features.tobytes()
