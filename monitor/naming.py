"""Who names a beat: the model for two leads, the one for one lead, or the kernel's own rule.

Whatever a model does, rate and asystole alarms go on: one that raises or answers nonsense costs the beats it was asked
about their names, and no other.
"""

from __future__ import annotations

import logging
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor import shapes
from monitor.classifier import Names
from monitor.ecg import AAMI_CLASSES

log = logging.getLogger(__name__)

NOT_ASKED, NAMED, FAILED = range(3)
"""What a model said of a beat."""

_RULE_CLASS: Final = np.array([AAMI_CLASSES.index(name) for name in shapes.RULE_CLASSES])


def name_rows(
    one: Names | None,
    two: Names | None,
    found: NDArray[np.void],
    windows: NDArray[np.float32],
    features: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.float32] | None, NDArray[np.int8]]:
    """AAMI class numbers of rows of beats, the networks' probabilities if there are any, and how these answered.

    Beats that two leads show go to the model for two leads, all others to that for one, each in batches of their
    own. A row of probabilities that are not numbers stands for a beat the network failed to name; then the model
    for one lead does, at last the kernel's rule, and no other beat is touched.

    Args:
        one, two: the models for one lead and for two.
        found: (n,) :data:`monitor.beats.BEAT`.
        windows, features: of those rows, as :func:`monitor.frontend.room` makes them.

    Returns:
        (n,) classes; (n, 5) probabilities, NaN where the rule names; (n, 2) what the models for one lead and for
        two said: one of NOT_ASKED, NAMED, FAILED.
    """
    by_rule: NDArray[np.int64] = _RULE_CLASS[found["rule"]]
    answers = np.full((len(found), 2), NOT_ASKED, np.int8)
    if (one is None and two is None) or not len(found):
        return by_rule, None, answers
    probabilities = np.full((len(found), len(AAMI_CLASSES)), np.nan, np.float32)
    unnamed = np.ones(len(found), np.bool_)
    for place, model, rows in (
        (1, two, found["leads"] >= 2),
        (0, one, unnamed),  # what is left by then
    ):
        if model is None or not (asked := unnamed & rows).any():
            continue
        part = slice(None) if asked.all() else asked  # no copy where all are asked
        answer = _ask(model, windows[part], features[part])
        sound = np.all(np.isfinite(answer), axis=1)
        answers[asked, place] = np.where(sound, NAMED, FAILED)
        named = np.flatnonzero(asked)[sound]
        probabilities[named] = answer[sound]
        unnamed[named] = False
    labels = np.where(unnamed, by_rule, np.argmax(np.where(unnamed[:, np.newaxis], 0, probabilities), 1))
    return labels, probabilities, answers


def _ask(model: Names, windows: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities of the beats, NaN of all of them if the model raises or answers nonsense."""
    try:
        answer = np.asarray(model.classify(windows, features), np.float32)
        if answer.shape != (len(windows), len(AAMI_CLASSES)):
            raise ValueError(f"probabilities of shape {answer.shape} for {len(windows)} beats")
    except Exception:  # whatever it raises
        log.exception("a classifier failed; beats are named by another or by rule")
        return np.full((len(windows), len(AAMI_CLASSES)), np.nan, np.float32)
    return answer
