"""Scores of known counts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trainer.scoring.confusion import COLUMNS, ROWS, Confusion, Score, bootstrap, gross, mean


def with_cells(**cells: int) -> Confusion:
    confusion = Confusion()
    for (row, column), count in cells.items():
        confusion.counts[ROWS.index(row), COLUMNS.index(column)] = count
    return confusion


def example() -> Confusion:
    """Rows N S V F Q O by columns n s v f q o x."""
    return Confusion(
        np.array(
            [
                [90, 4, 3, 2, 0, 1, 0],
                [2, 10, 1, 0, 0, 1, 0],
                [1, 1, 20, 2, 0, 2, 1],
                [3, 0, 5, 6, 0, 0, 0],
                [1, 1, 2, 0, 0, 0, 0],
                [2, 1, 1, 0, 0, 0, 0],
            ],
            np.int64,
        )
    )


def test_scores_of_each_class() -> None:
    confusion = example()
    assert confusion.qrs == Score(tp=154, fn=5, fp=4)
    assert confusion.of("N") == Score(tp=90, fn=10, fp=9)
    assert confusion.of("S") == Score(tp=10, fn=4, fp=7)
    assert confusion.of("V") == Score(tp=20, fn=7, fp=5)
    assert confusion.of("V", strict=True) == Score(tp=20, fn=7, fp=10)
    assert confusion.of("F") == Score(tp=6, fn=8, fp=4)
    assert confusion.accuracy == pytest.approx(126 / 155)
    assert confusion.accuracy_with_q == pytest.approx(126 / 159)
    assert confusion.macro_f1 == pytest.approx((180 / 199 + 20 / 31 + 40 / 57 + 12 / 24) / 4)


def test_kappa_is_agreement_beyond_chance() -> None:
    """The example of Cohen's coefficient in two classes: 20 and 15 agreed, 5 and 10 not; missed and extra beats
    are no agreement to count."""
    assert with_cells(Nn=20, Ns=5, Sn=10, Ss=15, No=9, On=9).kappa == pytest.approx(0.4)
    assert with_cells(Nn=5, Ss=5, Vv=5).kappa == 1
    assert math.isnan(with_cells(Nn=5).kappa)
    assert math.isnan(Confusion().kappa)


def test_a_score_of_nothing_is_not_a_number() -> None:
    score = Score(0, 0, 0)
    assert all(math.isnan(value) for value in (score.se, score.ppv, score.f1))
    assert Score(0, 0, 2).f1 == 0


def test_gross_is_the_sum_and_mean_passes_over_the_undefined() -> None:
    parts = [Confusion(example().counts, 2.0, 1), Confusion(example().counts, 6.0, 3)]
    total = gross(parts)
    assert np.array_equal(total.counts, 2 * example().counts)
    assert total.rr_error == pytest.approx(math.sqrt(2))
    assert gross([]).beats == 0
    assert mean([0.5, math.nan, 1.0]) == 0.75
    assert math.isnan(mean([math.nan]))


def test_bootstrap_is_repeatable_and_brackets_the_gross_score() -> None:
    records = [with_cells(Nn=2 if k % 3 else 1, No=0 if k % 3 else 1) for k in range(30)]
    low, high = bootstrap(records, lambda c: c.qrs.se, seed=1)
    assert (low, high) == bootstrap(records, lambda c: c.qrs.se, seed=1)
    assert 0.7 < low < gross(records).qrs.se < high < 0.95


def test_bootstrap_of_what_never_occurs_is_not_a_number() -> None:
    records = [with_cells(Nn=1)]
    assert all(math.isnan(bound) for bound in bootstrap(records, lambda c: c.of("V").f1))
    assert all(math.isnan(bound) for bound in bootstrap([], lambda c: c.qrs.f1))
