"""Made-up rhythms hold what they say they hold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from trainer.made_up import rhythms

BASE = 0.8


def beats_of(pattern: rhythms.Pattern) -> rhythms.Rhythm:
    rng = np.random.default_rng(0)
    return list(itertools.chain(*(pattern(rhythms.Pace(rng, BASE, 1.0)) for _ in range(300))))


def named(pattern: rhythms.Pattern) -> str:
    return pattern.__name__.strip("_")


@pytest.mark.parametrize("pattern", dict.fromkeys(rhythms.ATRIAL_RHYTHMS), ids=named)
def test_atrial_rhythms(pattern: rhythms.Pattern) -> None:
    """Ectopic beats are early, except where the pause before the others is the rule."""
    beats = beats_of(pattern)
    kinds = {kind for _, kind in beats}
    ectopic = np.array([interval for interval, kind in beats if kind == rhythms.ECTOPIC])
    others = np.array([interval for interval, kind in beats if kind != rhythms.ECTOPIC])
    assert not kinds & {rhythms.VENTRICULAR, rhythms.OTHER, rhythms.FUSED, rhythms.BLOCKED}
    if pattern in (rhythms.fibrillation, rhythms.changing_rate):
        assert rhythms.ECTOPIC not in kinds
    else:
        assert len(ectopic) > 20
        assert np.median(ectopic) < 0.9 * np.median(others)


@pytest.mark.parametrize("pattern", dict.fromkeys(rhythms.VENTRICULAR_RHYTHMS), ids=named)
def test_ventricular_rhythms(pattern: rhythms.Pattern) -> None:
    """Ventricular beats are early, except at a focus's own pace; a block has none, and fusion is timely."""
    beats = beats_of(pattern)
    kinds = {kind for _, kind in beats}
    ventricular = np.array([i for i, kind in beats if kind in (rhythms.VENTRICULAR, rhythms.OTHER)])
    fused = np.array([i for i, kind in beats if kind == rhythms.FUSED])
    assert rhythms.ECTOPIC not in kinds
    if named(pattern) == "block":
        assert kinds == {rhythms.NORMAL, rhythms.BLOCKED}
    elif named(pattern) == "own_pace":
        assert np.median(ventricular) == pytest.approx(0.95 * BASE, abs=0.1)
        assert 0.75 * BASE <= fused.min() <= fused.max() <= 1.15 * BASE
    else:
        assert len(ventricular) > 20
        assert np.quantile(ventricular, 0.9) < 0.85 * BASE
        assert not len(fused)


def test_the_pause_after_a_ventricular_beat_compensates_or_not() -> None:
    """Coupling and pause together are two sinus intervals, or less."""
    pairs = [
        one[0] + two[0] for one, two in itertools.pairwise(beats_of(rhythms.VENTRICULAR_RHYTHMS[0])) if one[1] == "V"
    ]
    full = np.abs(np.array(pairs) - 2 * BASE) < 0.12 * BASE
    assert 0.5 < full.mean() < 0.95


def test_a_rhythm_is_as_long_as_asked_for_and_no_interval_too_short() -> None:
    for kind in rhythms.KINDS.values():
        for seed in range(20):
            found = rhythms.rhythm(np.random.default_rng(seed), 0.5, 120.0, kind)
            intervals = np.array([interval for interval, _ in found])
            assert intervals.sum() >= 120.0
            assert intervals.min() >= 0.3
