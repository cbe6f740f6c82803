"""Grades of named beats."""

from __future__ import annotations

import numpy as np

from trainer.scoring.grades import counts_of, grade, grade_counts

N, S, V, F, Q = range(5)


def test_f_and_q_called_v_are_not_held_against_v() -> None:
    labels = np.array([V, V, F, Q, N])
    assert grade(labels, np.array([V, V, V, V, N])).v_f1 == 100
    assert grade(labels, np.array([V, N, V, V, V])).v_f1 == 50


def test_kappa_and_accuracy_of_a_known_table() -> None:
    # Cohen 1960's kind of example: agreement 0.7, by chance 0.5.
    counts = np.zeros((5, 5), np.int64)
    counts[:2, :2] = [[20, 5], [10, 15]]
    found = grade_counts(counts)
    assert np.isclose(found.kappa, 0.4)
    assert np.isclose(found.accuracy, 70.0)


def test_the_score_counts_v_twice() -> None:
    labels = np.array([V, V, S, S, N, N])
    found = grade(labels, np.array([V, V, S, N, N, N]))
    assert found.v_f1 == 100
    assert np.isclose(found.s_f1, 200 / 3)
    assert np.isclose(found.score, (200 + 200 / 3) / 3)
    assert found.as_dict()["score"] == round(found.score, 4)


def test_counts_are_true_class_by_named_class() -> None:
    counts = counts_of(np.array([N, N, V]), np.array([N, V, S]))
    assert counts[N, N] == counts[N, V] == counts[V, S] == 1
    assert counts.sum() == 3


def test_classes_that_are_absent_score_nothing() -> None:
    found = grade(np.array([N, N]), np.array([N, N]))
    assert (found.v_f1, found.s_f1, found.accuracy, found.kappa) == (0.0, 0.0, 100.0, 0.0)
