"""How far probabilities may be believed, against plain counting."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trainer.scoring.calibration import (
    BINS,
    NOTHING,
    Decisions,
    calibration_of,
    joined,
    precision_recall,
    reliability_of,
)

N, S, V, F, Q = range(5)


def decisions(*beats: tuple[int, tuple[float, ...]], missed: tuple[int, ...] = ()) -> Decisions:
    """Beats as pairs of annotated class and probabilities."""
    return Decisions.of(
        np.array([truth for truth, _ in beats], np.int64),
        np.array([p for _, p in beats], np.float32).reshape(-1, 5),
        np.array(missed, np.int64),
    )


def spread(label: int, p: float) -> tuple[float, ...]:
    """The class that has p, the other four share the rest."""
    return tuple(p if k == label else (1 - p) / 4 for k in range(5))


def random_decisions(count: int = 3000, seed: int = 0) -> Decisions:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet([0.4] * 5, count).astype(np.float32)
    truth = rng.integers(NOTHING, 5, count)
    return Decisions.of(truth, p, rng.integers(0, 5, 40))


def test_beats_that_no_network_named_count_as_unnamed() -> None:
    found = decisions((V, spread(V, 0.9)), (S, (math.nan,) * 5), (NOTHING, (math.nan,) * 5), missed=(S, V, V))
    assert (len(found), found.truth.tolist(), found.unnamed.tolist()) == (1, [V], [0, 2, 2, 0, 0])


def test_joined_is_all_of_them() -> None:
    one, other = random_decisions(30), random_decisions(50, seed=1)
    both = joined([one, other])
    assert len(both) == len(one) + len(other)
    assert both.unnamed.tolist() == (one.unnamed + other.unnamed).tolist()
    assert len(joined([])) == 0


def test_calibration_of_a_few_beats() -> None:
    """Three of confidence 0.8 to 0.9, two of them right; one of 0.5, right; extra beats have no say."""
    found = calibration_of(
        decisions(
            (N, spread(N, 0.82)), (N, spread(N, 0.84)), (V, spread(N, 0.86)), (S, spread(S, 0.55)),
            (NOTHING, spread(V, 1.0)),
        )
    )  # fmt: skip
    assert found.beats == 4
    assert [(b.beats, b.right) for b in found.bins if b.beats] == [(1, 1.0), (3, pytest.approx(2 / 3))]
    assert found.bins[8].confidence == pytest.approx(0.84)
    assert found.ece == pytest.approx((3 * (0.84 - 2 / 3) + (1 - 0.55)) / 4)
    rights = [(0.82, 0.045), (0.84, 0.04), (0.55, 0.1125)]
    wrong = 0.86**2 + (1 - 0.035) ** 2 + 3 * 0.035**2
    assert found.brier == pytest.approx((sum((1 - p) ** 2 + 4 * q**2 for p, q in rights) + wrong) / 4, abs=1e-6)


def test_a_calibrated_network_has_hardly_an_error() -> None:
    rng = np.random.default_rng(2)
    p = rng.dirichlet([0.5] * 5, 40_000)
    truth = (p.cumsum(1) < rng.random((len(p), 1))).sum(1)
    honest = Decisions.of(truth, p.astype(np.float32), np.zeros(0, np.int64))
    boastful = Decisions.of(truth, (p**3 / (p**3).sum(1, keepdims=True)).astype(np.float32), np.zeros(0, np.int64))
    assert calibration_of(honest).ece < 0.01
    assert calibration_of(boastful).ece > 0.15
    assert calibration_of(boastful).brier > calibration_of(honest).brier
    assert all(abs(b.confidence - b.right) < 0.05 for b in reliability_of(honest, "V"))


def test_nothing_named_is_not_a_number() -> None:
    found = calibration_of(decisions())
    assert (found.beats, len(found.bins)) == (0, BINS)
    assert math.isnan(found.ece)
    assert math.isnan(found.brier)
    assert math.isnan(precision_recall(decisions(), "V").area)
    assert precision_recall(decisions(missed=(V,)), "V").area == 0


@pytest.mark.parametrize("label", "NSVF")
def test_curve_against_counting_at_each_threshold(label: str) -> None:
    found = random_decisions()
    k = "NSVFQ".index(label)
    curve = precision_recall(found, label)
    spared = (F, Q) if label == "V" else ()
    total = int(np.sum(found.truth == k)) + int(found.unnamed[k])
    for threshold in (0.05, 0.3, 0.8):
        called = found.probabilities[:, k] >= np.float32(threshold)
        hits = int(np.sum(called & (found.truth == k)))
        false = int(np.sum(called & (found.truth != k) & ~np.isin(found.truth, spared)))
        at = np.argmin(np.abs(curve.recall - hits / total) + np.abs(curve.precision - hits / (hits + false)))
        assert curve.recall[at] == pytest.approx(hits / total)
        assert curve.precision[at] == pytest.approx(hits / (hits + false))
    assert np.all(np.diff(curve.recall) >= 0)
    assert 0 < curve.area < 1


def test_a_perfect_network_has_all_of_the_area() -> None:
    beats = [(k, spread(k, 0.9)) for k in (N, N, S, V, F)]
    assert [precision_recall(decisions(*beats), label).area for label in "NSVF"] == [1.0] * 4
    assert precision_recall(decisions(*beats, missed=(S,)), "S").area == 0.5


def test_a_fusion_beat_called_v_is_not_held_against_v() -> None:
    assert precision_recall(decisions((F, spread(V, 0.9)), (V, spread(V, 0.8))), "V").area == 1.0
    assert precision_recall(decisions((S, spread(V, 0.9)), (V, spread(V, 0.8))), "V").area == 0.5
