"""Can the beats of this lead be trusted: a verdict a lead, every half second.

A small network weighs what :mod:`monitor.measures` knows of the last seconds; the higher its logit, the less the beats
can be trusted. The verdict follows it with hysteresis, so that it neither flickers nor holds for long. Which noise it
is comes from three measures and a threshold each: that is for people, nothing rests on it.

- ``flat``: less than FLAT from top to bottom. That is no noise: a heart that has stopped looks like that.
- ``baseline``: the level moves more between half seconds than the display signal does.
- ``mains``: 50 or 60 Hz prevail among what is fast.
- ``muscle``: fast all over.
- ``motion``: what is left, which has the frequencies of a QRS.

No verdict touches the detector: a noisy lead's beats are found, shown and named as before. Fibrillation and asystole
are no noise; the network has learnt both as good signal. While a lead is lost (:mod:`monitor.losses`), and for four
seconds after that or after a stream's start, none is called noisy.

Weights, and how they were made: ``monitor/models/quality-1.safetensors``, :mod:`trainer.weights.quality`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from monitor import align, likeness, measures
from monitor.align import OK
from monitor.exceptions import ConfigError
from monitor.kernel import kernel
from monitor.measures import FEATURES, HALF, HALVES, PIECE

REASONS: Final = (*align.REASONS, "flat", "baseline", "mains", "muscle", "motion")
"""What a lead's quality is, by number: those of `align`, and the verdicts."""
FLAT, BASELINE, MAINS, MUSCLE, MOTION = range(len(align.REASONS), len(REASONS))

WORSE: Final = 0.25
"""A lead becomes noisy where the mean of the last two logits is above this..."""
BETTER: Final = -0.5
"""... and is good again where it is below that."""

SETTLED: Final = 4
"""Half seconds measured in a row after which a lead may be called noisy: no beat may have been found before."""

FLAT_RANGE: Final = 0.05
"""mV from top to bottom in two seconds, 0.5-40 Hz; the smallest R that is a beat has three times as much."""

_SHIFTING: Final = -1.0
"""Logarithms of ratios, of measures `shift`..."""
_HUM: Final = 0.4
"""... (a share) `mains`..."""
_SHARP: Final = -0.8
"""... and `sharpness`, from which the noise is called so."""

FARTHEST: Final = 5.0
"""Standard deviations from the mean that a measure counts at most."""

STATE: Final = np.dtype(
    [
        ("measures", measures.STATE),
        ("logit", np.float64),  # of the last half second, and of the one before
        ("earlier", np.float64),
        ("judged", np.int64),  # half seconds judged in a row
        ("verdict", np.int64),  # OK, or a reason
    ],
    align=True,
)
"""A record a lead."""

WEIGHTS_FILE: Final = Path(__file__).parent / "models" / "quality-1.safetensors"
PARTS: Final = ("mean", "scale", "w1", "b1", "w2", "b2")
"""Of the weights file: means of the measures, one over their standard deviations, and two layers."""

_REMEDY: Final = "install wardbeat anew, or make weights with wardbeat train-quality"


def _load(path: Path) -> tuple[dict[str, Any], tuple[NDArray[np.float64], ...]]:
    """The card and the parts of a weights file, float64.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            card = json.loads((file.metadata() or {}).get("card", "{}"))
            parts = tuple(file.get_tensor(part).astype(np.float64) for part in PARTS)
    except (OSError, SafetensorError, ValueError) as error:
        raise ConfigError(
            f"the weights of signal quality cannot be read ({error})", where=str(path), remedy=_REMEDY
        ) from None
    return card, parts


CARD, _LOADED = _load(WEIGHTS_FILE)
_MEAN, _SCALE, _W1, _B1, _W2, _B2 = _LOADED


def check_weights() -> None:
    """See that the weights were made for these measures; training alone may do without.

    Raises:
        ConfigError: they were made for others.
    """
    width, hidden = len(FEATURES), _B1.size
    shapes = ((width,), (width,), (width, hidden), (hidden,), (hidden, 1), (1,))
    fitting = tuple(part.shape for part in _LOADED) == shapes
    if not fitting or not isinstance(CARD, dict) or CARD.get("features") != list(FEATURES):
        raise ConfigError(
            "the weights of signal quality were made for other measures", where=str(WEIGHTS_FILE), remedy=_REMEDY
        )


@kernel
def start(state):  # type: ignore[no-untyped-def]
    """Make a zeroed STATE record ready for its first sample."""
    measures.start(state["measures"])


@kernel
def step(state, raw, shown, band, usable, count, lead, detector, detections, detected, out, found):  # type: ignore[no-untyped-def]
    """Follow one lead through a block.

    Args:
        state: a STATE record.
        raw: (capacity,) float64, settled mV.
        shown: (capacity,) float64, display signal, mV.
        band: (capacity,) float64, detector's band, mV.
        usable: (capacity,) int64, 1 where the lead is not lost.
        count: samples in the block.
        lead: its number, for the output.
        detector: (RING,) float32, the lead's display signal as the detector remembers it after this block.
        detections: :data:`monitor.qrs.DETECTION` records of this block, by `emitted`.
        detected: how many there are.
        out: :data:`monitor.losses.CHANGE` records; room for ``count // HALF + 1`` after `found`.
        found: changes already in `out`.

    Returns:
        How many changes are in `out` now.
    """
    measured = state["measures"]
    at, beat = 0, 0
    while at < count:
        to = min(count, at + PIECE - measured["time"] % PIECE)
        measures.take(measured, raw, shown, band, usable, at, to)
        at = to
        ended = measured["time"] % HALF == 0
        if ended or at == count:
            beat = likeness.note_beats(measured, detector, detections, detected, beat)
        if ended:
            before = state["verdict"]
            _judge(state)
            if state["verdict"] != before:
                out[found]["emitted"] = measured["time"] - 1
                out[found]["lead"] = lead
                out[found]["reason"] = state["verdict"]
                found += 1
    return found


@kernel
def _judge(state):  # type: ignore[no-untyped-def]
    """The verdict where a half second ends."""
    measured = state["measures"]
    if measures.lost(measured) > 0 or measured["time"] < HALVES * HALF:
        state["verdict"], state["judged"] = OK, 0
        return
    measures.describe(measured)
    logit = _ask(measured["features"])
    measures.remember(measured)
    state["verdict"] = follow(state, logit, measured["features"])


@kernel
def follow(state, logit, features):  # type: ignore[no-untyped-def]
    """The verdict after another logit.

    Args:
        state: a STATE record, which takes note of it.
        logit: of this half second.
        features: (WIDTH,) what it is of.
    """
    state["earlier"] = state["logit"] if state["judged"] else logit
    state["logit"] = logit
    state["judged"] += 1
    if features[_RANGE] < _LOG_FLAT:
        return FLAT
    mean = 0.5 * (state["logit"] + state["earlier"])
    noisy = state["verdict"] > FLAT
    if state["judged"] <= SETTLED or mean < BETTER or (not noisy and mean <= WORSE):
        return OK
    return state["verdict"] if noisy else _kind(features)


_RANGE: Final = FEATURES.index("range")
_LOG_FLAT: Final = float(np.log(FLAT_RANGE))
_SHIFT_AT: Final = FEATURES.index("shift")
_MAINS_AT: Final = FEATURES.index("mains")
_SHARP_AT: Final = FEATURES.index("sharpness")


@kernel
def _kind(features):  # type: ignore[no-untyped-def]
    """What kind of noise it is."""
    if features[_SHIFT_AT] > _SHIFTING:
        return BASELINE
    if features[_MAINS_AT] > _HUM:
        return MAINS
    if features[_SHARP_AT] > _SHARP:
        return MUSCLE
    return MOTION


@kernel
def _ask(features):  # type: ignore[no-untyped-def]
    """The network's logit. Sums run over inputs, one after the other: the same to the bit wherever it runs."""
    hidden = _B1.copy()
    for i in range(features.size):
        x = min(max((features[i] - _MEAN[i]) * _SCALE[i], -FARTHEST), FARTHEST)
        for j in range(hidden.size):
            hidden[j] += x * _W1[i, j]
    logit = _B2[0]
    for j in range(hidden.size):
        logit += max(hidden[j], 0.0) * _W2[j, 0]
    return logit
