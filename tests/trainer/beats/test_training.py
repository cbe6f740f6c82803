"""Training is repeatable to the bit, whole or in pieces, and learns what can be learnt."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from monitor.exceptions import ConfigError
from monitor.shapes import CHANNELS
from monitor.timing import CONTEXT, NEXT
from monitor.window import WIDTH
from trainer.beats import checkpoint
from trainer.beats.dataset import Beats, DataSet
from trainer.beats.model import Architecture, Named
from trainer.beats.recipes import Recipe
from trainer.beats.training import (
    _Batches,
    augment,
    batches_of,
    beat_weights,
    check_classes,
    class_weights,
    device_of,
    held_out_patients,
    loss_of,
    predict,
    rows_for,
    train,
    train_members,
)
from trainer.scoring.grades import grade


def some_beats(labels: NDArray[np.int64], **given: Any) -> Beats:
    """Beats of which only the labels, and what is given, matter."""
    n = len(labels)
    empty = {"windows": np.zeros((n, 1, 1), np.float32), "features": np.zeros((n, 1), np.float32)}
    words = {name: np.full(n, "a") for name in ("records", "patients", "databases", "lead_sets")}
    flags = {name: np.zeros(n, bool) for name in ("noisy", "made_up")}
    values: dict[str, Any] = empty | words | flags | {"samples": np.arange(n), "labels": labels, "leads": 1} | given
    return Beats(**values)


QUICK = Recipe("quick", epochs=3, batch=32, learn_from=("first",))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def beats(data: DataSet) -> Beats:
    return data.for_training().beats(1)


def weights_of(net: torch.nn.Module) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in net.state_dict().items()}


@pytest.mark.parametrize(
    "recipe",
    [
        QUICK,
        replace(QUICK, loss="focal", sampling=0.5, feature_noise=0.1, warp=0.05),
        replace(QUICK, patience=1, held_out=0.3),
        replace(QUICK, architecture=Architecture(lstm=4, feature_dropout=0.2)),
    ],
)
def test_the_same_seed_gives_the_same_network(beats: Beats, recipe: Recipe) -> None:
    rows = rows_for(beats, recipe)
    first, second, other = (train(beats, rows, recipe, seed) for seed in (3, 3, 4))
    assert weights_of(first.net) == weights_of(second.net)
    assert first.history == second.history
    assert weights_of(first.net) != weights_of(other.net)


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("recipe", [QUICK, replace(QUICK, epochs=5, patience=2, held_out=0.3, sampling=0.3)])
def test_resumed_is_as_uninterrupted_to_the_bit(
    beats: Beats, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_for(beats, recipe)
    whole = train(beats, rows, recipe, 5)
    real = checkpoint.write
    written: list[int] = []

    def once(*arguments: Any) -> None:
        real(*arguments)
        written.append(1)
        raise Interrupted

    monkeypatch.setattr(checkpoint, "write", once)
    for _ in range(len(whole.history)):  # killed after every epoch
        with pytest.raises(Interrupted):
            train(beats, rows, recipe, 5, keep=tmp_path)
    told: list[int] = []
    resumed = train(beats, rows, recipe, 5, told.append, keep=tmp_path)
    assert len(written) == len(whole.history)
    assert weights_of(resumed.net) == weights_of(whole.net)
    assert (resumed.history, resumed.best) == (whole.history, whole.best)
    steps = batches_of(int((~np.isin(beats.patients[rows], held_out_patients(beats, rows, recipe, 5))).sum()), recipe)
    assert sum(told) == steps // recipe.epochs * len(whole.history)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".safetensors"]


def test_interrupted_within_an_epoch(beats: Beats, tmp_path: Path) -> None:
    rows = rows_for(beats, QUICK)

    def at_batch(number: int) -> Any:
        count = iter(range(number))

        def told(_: int) -> None:
            if next(count, None) is None:
                raise KeyboardInterrupt

        return told

    with pytest.raises(KeyboardInterrupt):
        train(beats, rows, QUICK, 1, at_batch(9), keep=tmp_path)
    assert checkpoint.NAME in os.listdir(tmp_path)
    resumed = train(beats, rows, QUICK, 1, keep=tmp_path)
    assert weights_of(resumed.net) == weights_of(train(beats, rows, QUICK, 1).net)


def test_another_training_does_not_take_the_checkpoint(beats: Beats, tmp_path: Path) -> None:
    rows = rows_for(beats, QUICK)
    train(beats, rows, QUICK, 1, keep=tmp_path)
    for recipe, seed, part in ((QUICK, 2, rows), (replace(QUICK, rate=1e-3), 1, rows), (QUICK, 1, rows[:-32])):
        kept = train(beats, part, recipe, seed, keep=tmp_path)
        assert weights_of(kept.net) == weights_of(train(beats, part, recipe, seed).net)


def test_a_damaged_checkpoint_is_not_taken(beats: Beats, tmp_path: Path) -> None:
    rows = rows_for(beats, QUICK)
    whole = train(beats, rows, QUICK, 1, keep=tmp_path)
    (weights,) = tmp_path.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-8])
    again = train(beats, rows, QUICK, 1, keep=tmp_path)
    assert weights_of(again.net) == weights_of(whole.net)


def test_early_stopping_keeps_the_best_epoch(beats: Beats) -> None:
    recipe = replace(QUICK, epochs=12, patience=2, held_out=0.3, stop_on="loss")
    rows = rows_for(beats, recipe)
    held = held_out_patients(beats, rows, recipe, 0)
    assert len(held) == 1
    made = train(beats, rows, recipe, 0)
    losses = [entry["held_out_loss"] for entry in made.history]
    assert made.best - 1 == int(np.argmin(losses))
    watched = rows[np.isin(beats.patients[rows], held)]
    p = predict(Named([made.net]).eval(), beats, watched)
    loss = -np.log(p[np.arange(len(watched)), beats.labels[watched]]).mean()
    assert np.isclose(loss, min(losses), rtol=1e-5)


def test_early_stopping_needs_two_patients(beats: Beats) -> None:
    recipe = replace(QUICK, patience=1)
    rows = rows_for(beats, recipe)
    with pytest.raises(ConfigError, match="beats of two patients"):
        train(beats, rows[beats.records[rows] == "101"], recipe, 0)


def test_it_learns_to_tell_wide_beats(beats: Beats) -> None:
    recipe = replace(QUICK, epochs=12)
    rows = rows_for(beats, recipe)
    net = Named([train(beats, rows, recipe, 0).net]).eval()
    assert grade(beats.labels[rows], predict(net, beats, rows).argmax(1)).v_f1 > 90


def test_members_differ_and_their_mean_is_named(beats: Beats) -> None:
    recipe = replace(QUICK, members=2)
    rows = rows_for(beats, recipe)
    nets, made = train_members(beats, rows, recipe, 0)
    assert weights_of(made[0].net) != weights_of(made[1].net)
    each = [predict(Named([one.net]).eval(), beats, rows) for one in made]
    assert np.allclose(predict(nets, beats, rows), np.mean(each, 0), atol=1e-6)


def test_test_records_are_refused(beats: Beats) -> None:
    names = np.where(beats.records == "101", "100", beats.records)
    with pytest.raises(ConfigError, match="100 are test records"):
        train(replace(beats, records=names), rows_for(beats, QUICK), QUICK, 0)


def test_rows_are_those_the_recipe_asks_for(beats: Beats) -> None:
    assert set(beats.lead_sets[rows_for(beats, QUICK)]) == {"first"}
    assert len(rows_for(beats, replace(QUICK, learn_from=()))) == len(beats)
    noisy = replace(beats, noisy=beats.records == "101")
    assert set(beats.records[rows_for(noisy, replace(QUICK, noisy=False))]) == {"106", "119"}
    with pytest.raises(ConfigError, match="no beat to learn from; the data set's lead sets are first, second"):
        rows_for(beats, replace(QUICK, learn_from=("both",)))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_the_beats_is_shown_as_for_their_provisional_names(beats: Beats, share: float) -> None:
    rows = rows_for(beats, QUICK)
    recipe = replace(QUICK, provisional=share, feature_noise=0.1)
    batches = _Batches(beats, rows, recipe, None, torch.device("cpu"))
    shown = torch.cat([batch[1] for batch in batches.epoch(3, len(rows) // QUICK.batch)])
    hidden = (shown[:, NEXT:CONTEXT] == 0.0).all(1)
    assert float(hidden.float().mean()) == pytest.approx(share, abs=0.1)
    assert (shown[:, CONTEXT:] != 0.0).any(1).all(), "everything else is seen"


def test_provisional_names_know_nothing_of_the_next_beat(beats: Beats) -> None:
    rows = rows_for(beats, QUICK)
    net, _ = train_members(beats, rows, QUICK, 0)
    features = np.array(beats.features)
    features[:, NEXT:CONTEXT] = 0.0
    blind = replace(beats, features=features)
    provisional = predict(net, beats, rows, provisional=True)
    assert np.array_equal(provisional, predict(net, blind, rows))
    assert not np.array_equal(provisional, predict(net, beats, rows))


def test_a_class_that_is_missing(beats: Beats) -> None:
    rows = rows_for(beats, QUICK)
    check_classes(beats, rows, ("F", "Q"))
    with pytest.raises(ConfigError, match="no beat of class F,Q to learn from"):
        check_classes(beats, rows)
    with pytest.raises(ConfigError, match="no beat of class V"):
        check_classes(beats, rows[beats.labels[rows] != 2], ("F", "Q"))


def test_class_weights_are_one_on_average_and_favour_the_rare() -> None:
    labels = np.repeat([0, 1, 2], [9000, 300, 700])
    counts = np.maximum(np.bincount(labels, minlength=5), 200)
    for recipe in (Recipe(balance=0.5), Recipe(loss="class_balanced")):
        weights = class_weights(labels, recipe)
        assert np.isclose((weights * counts).sum() / counts.sum(), 1)
        assert weights[1] > weights[2] > weights[0]
    assert np.allclose(class_weights(labels, Recipe(balance=0.0)), 1)


def test_patients_count_alike_if_asked() -> None:
    patients = np.repeat(["a", "b"], [950, 150])
    some = some_beats(np.zeros(1100, np.int64), patients=patients)
    weights = beat_weights(some, np.arange(1100), Recipe(balance=0.0, patient_balance=1.0))
    assert np.isclose(weights[0] * 1000, weights[-1] * 200)  # fifty more are taken to be there
    assert np.isclose(weights.mean(), 1.0)


def test_made_up_beats_weigh_their_share_of_the_real_ones() -> None:
    labels = np.repeat([0, 1, 0, 1], [500, 20, 300, 700])
    some = some_beats(labels, made_up=np.arange(1520) >= 520)
    weights = beat_weights(some, np.arange(1520), Recipe(balance=0.0, made_up=(0.3, 0.5, 0.0, 0.0, 0.0)))
    total = {(y, m): weights[(labels == y) & (some.made_up == m)].sum() for y in (0, 1) for m in (False, True)}
    assert np.isclose(total[0, True], 0.3 * total[0, False])
    assert np.isclose(total[1, True], 0.5 * total[1, False])
    assert np.isclose(total[1, False] / total[0, False], 20 / 500, rtol=0.2)  # rare classes are floored


def test_losses_by_the_book() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(8, 5, generator=generator), torch.arange(8) % 5
    ones = torch.ones(8)
    plain = torch.nn.functional.cross_entropy(logits, labels)
    assert torch.isclose(loss_of(logits, labels, ones, Recipe()), plain)
    smooth = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
    assert torch.isclose(loss_of(logits, labels, ones, Recipe(smoothing=0.1)), smooth)
    p = torch.softmax(logits, 1)[torch.arange(8), labels]
    focal = (-((1 - p) ** 2) * p.log()).mean()
    assert torch.isclose(loss_of(logits, labels, ones, Recipe(loss="focal")), focal)
    weighted = torch.nn.functional.cross_entropy(logits[:3], labels[:3])
    assert torch.isclose(loss_of(logits, labels, (torch.arange(8) < 3).float(), Recipe()), weighted)
    soft = torch.softmax(torch.randn(8, 5, generator=generator), 1)
    taught = torch.nn.functional.cross_entropy(logits, soft)
    assert torch.isclose(loss_of(logits, labels, ones, Recipe(distill=1.0), soft), taught)
    half = loss_of(logits, labels, ones, Recipe(distill=0.5), soft)
    assert torch.isclose(half, (plain + taught) / 2)


def test_soft_labels_are_learnt_from(beats: Beats) -> None:
    """A teacher that calls everything S is believed."""
    soft = np.tile(np.eye(5, dtype=np.float32)[1], (len(beats), 1))
    recipe = replace(QUICK, distill=1.0, epochs=8)
    rows = rows_for(beats, recipe)
    net = Named([train(beats, rows, recipe, 0, soft=soft).net]).eval()
    assert (predict(net, beats, rows).argmax(1) == 1).all()


def test_augmentation_keeps_the_shape_and_turns_some_over() -> None:
    windows = torch.zeros(64, len(CHANNELS), WIDTH)
    windows[:, :, WIDTH // 2] = 1.0
    changed = augment(windows, Recipe("x", noise=0.0), torch.Generator().manual_seed(0))
    assert changed.shape == windows.shape
    extreme = changed.sum(2)[:, 0]
    assert (extreme > 0.79).any()
    assert (extreme < -0.79).any()
    assert (extreme.abs() <= 1.2001).all()


def test_warping_stretches_about_r() -> None:
    t = torch.arange(WIDTH, dtype=torch.float32) - 54
    windows = t.repeat(64, 2, 1)
    quiet = Recipe("x", noise=0.0, jitter=0, gain=0.0, inversion=0.0, warp=0.1)
    changed = augment(windows, quiet, torch.Generator().manual_seed(0))
    factors = changed[:, 0, 74] / 20
    assert torch.allclose(changed[:, :, 54], torch.zeros(1), atol=1e-4)
    assert (factors > 1.05).any()
    assert (factors < 0.95).any()
    assert ((factors - 1).abs() <= 0.1001).all()


def test_devices() -> None:
    assert device_of("cpu").type == "cpu"
    with pytest.raises(ConfigError, match="no device tpu"):
        device_of("tpu")
    if not torch.cuda.is_available():
        assert device_of("auto").type == "cpu"
        with pytest.raises(ConfigError, match="has no GPU"):
            device_of("cuda")
