"""A focus makes wide beats that are alike, other in each lead, with T against the QRS."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.made_up.focus import BEFORE, Focus

FS = 360.0
SIZE = np.array([1.0, 0.6])


@pytest.fixture(params=range(8))
def focus(request: pytest.FixtureRequest) -> Focus:
    return Focus(np.random.default_rng(request.param), SIZE, FS)


def test_beats_of_a_focus_are_alike_but_not_the_same(focus: Focus) -> None:
    one, two = focus.beat(), focus.beat()
    assert one.shape == two.shape
    assert one.shape[1] == 2
    assert not np.array_equal(one, two)
    assert all(np.corrcoef(one[:, lead], two[:, lead])[0, 1] > 0.9 for lead in (0, 1))


def test_it_begins_and_ends_at_rest_and_is_about_as_large_as_the_patients(focus: Focus) -> None:
    beat = focus.beat()
    size = np.ptp(beat, axis=0)
    assert np.all(np.abs(beat[[0, -1]]) < 0.15 * size)
    assert np.all((size > 0.3 * SIZE) & (size < 6.0 * SIZE))


def test_the_qrs_is_wide() -> None:
    """80 ms and more, at a tenth of its size, for most."""
    widths = []
    for seed in range(40):
        beat = Focus(np.random.default_rng(seed), SIZE[:1], FS).beat()[: round((BEFORE + 0.18) * FS), 0]
        widths.append(np.mean(np.abs(beat) > 0.1 * np.ptp(beat)) * len(beat) / FS)
    assert np.median(widths) > 0.08


def test_t_lies_against_the_qrs_but_for_a_few() -> None:
    """By the mean of the beat's first 180 ms and of what follows."""
    against = 0
    for seed in range(100):
        beat = Focus(np.random.default_rng(seed), SIZE[:1], FS).beat()[:, 0]
        middle = round((BEFORE + 0.18) * FS)
        against += int(np.sign(beat[:middle].sum()) == -np.sign(beat[middle:].sum()))
    assert 75 <= against < 100
