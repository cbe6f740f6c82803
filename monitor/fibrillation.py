"""Ventricular fibrillation, flutter and fast tachycardia, from the signal itself.

None of them need have a QRS complex to detect, so nothing here rests on beats. Every half second each lead's last four
seconds are described (:mod:`monitor.waves`), and a small network turns that into one number a lead: the log odds of any
of the three. The leads that can be judged are averaged, smoothed, and the verdict has hysteresis. It is fibrillation or
flutter where waves are not those of an organised tachycardia; that is a definition, not learned, for annotators of the
databases do not agree on it.

Weights come in as an argument, so that a record can be judged by weights that have not seen it
(:mod:`monitor.fibrillation_weights`, :mod:`trainer.weights.fibrillation`).
"""

from __future__ import annotations

from math import log
from typing import Final

import numpy as np

from monitor import waves
from monitor.ecg import FS, MAX_LEADS
from monitor.kernel import kernel
from monitor.waves import BLOCKS, FEATURES, LOOK

HIDDEN: Final = (24, 12)
"""Sizes of the network's hidden layers."""

WEIGHTS: Final = np.dtype(
    [
        ("w1", np.float32, (len(FEATURES), HIDDEN[0])),
        ("b1", np.float32, (HIDDEN[0],)),
        ("w2", np.float32, HIDDEN),
        ("b2", np.float32, (HIDDEN[1],)),
        ("w3", np.float32, (HIDDEN[1],)),
        ("b3", np.float32),
    ],
    align=True,
)
"""The network; the scaling of the features is folded in."""

NONE, TACHYCARDIA, FIBRILLATION = range(3)
"""Verdicts: neither; ventricular tachycardia; ventricular fibrillation or flutter."""

SMALLEST_MV: Final = 0.03
"""Root mean square below which a lead shows nothing to judge: a sine of 0.085 mV from peak to peak. Fibrillation
that is smaller is commonly called asystole."""

REGULAR: Final = 0.78
"""Waves that are alike to this degree from one to the next are organised, which fibrillation is not by definition..."""
FLUTTER_HZ: Final = 4.5
HARMONIC_HZ: Final = 8.0
"""... unless they are faster than 270 a minute: flutter. A peak from 480 on is a harmonic of slower waves that are
sharp; and those are less alike than they should be, for lags are 22 ms apart."""
LARGEST_MV: Final = 0.8
"""Root mean square from which waves are those of a tachycardia all the same: a sine of 2.3 mV from peak to peak."""

LEAST_ODDS: Final = -3.0
MOST_ODDS: Final = 6.0
"""Log odds of one look end there: none outweighs several others, and however surely there was something else before,
fibrillation is told soon."""
SMOOTHING: Final = 0.4
"""Share of the newest look in the smoothed odds: they follow within a second."""
ON: Final = 0.75
OFF: Final = -0.25
"""Smoothed log odds above which a verdict begins and below which it ends..."""
SURE: Final = 2.0
"""... and above which fibrillation may be called so: its alarm latches."""
PATIENCE: Final = 0.4
"""Share of the newest look in the smoothed disorder..."""
DISORDERED: Final = 0.6
ORDERED: Final = 0.1
"""... that is the share of looks with disorganised waves, above which tachycardia becomes fibrillation and below which
it is one again: a second of them and two and a half."""
HOLD: Final = 16
"""Looks without a lead to judge that a verdict outlives: eight seconds."""
LAG: Final = 2 * FS
"""Samples at 360 Hz by which a look recognises what began: half of what it sees."""
PROVISIONAL: Final = 4 * FS + LAG
"""Fibrillation that is told no longer than that after its waves began is dated to their beginning, whatever was said of
them first."""

CHANGE: Final = np.dtype([("sample", np.int64), ("emitted", np.int64), ("verdict", np.int64)], align=True)
"""A new verdict: where it began, the sample that made it known."""

_SIZE, _PEAK, _ALIKE = FEATURES.index("size"), FEATURES.index("peak"), FEATURES.index("alike")

STATE: Final = np.dtype(
    [
        ("time", np.int64),  # samples at 360 Hz seen
        ("lead", waves.LEAD, (MAX_LEADS,)),
        ("odds", np.float64),  # smoothed log odds
        ("disorder", np.float64),  # smoothed share of looks with disorganised waves
        ("unjudged", np.int64),  # looks in a row without a lead to judge
        ("leaning", np.int64),  # whether the last look's own odds were positive
        ("since", np.int64),  # the sample from which that is so
        ("verdict", np.int64),
        ("told", np.int64),  # where the last change began
    ],
    align=True,
)

_SMALLEST: Final = np.float32(log(SMALLEST_MV))
_LARGEST: Final = log(LARGEST_MV)


@kernel
def _answer(weights, f, hidden):  # type: ignore[no-untyped-def]
    """The network's logit. Sums run over inputs, one after the other: the same to the bit wherever it runs."""
    first, second = hidden[: HIDDEN[0]], hidden[HIDDEN[0] : HIDDEN[0] + HIDDEN[1]]
    w1, w2, w3 = weights["w1"], weights["w2"], weights["w3"]
    for j in range(HIDDEN[0]):
        first[j] = weights["b1"][j]
    for i in range(len(FEATURES)):
        x = f[i]
        for j in range(HIDDEN[0]):
            first[j] += x * w1[i, j]
    for j in range(HIDDEN[1]):
        second[j] = weights["b2"][j]
    for i in range(HIDDEN[0]):
        x = max(first[i], np.float32(0.0))
        for j in range(HIDDEN[1]):
            second[j] += x * w2[i, j]
    logit = np.float64(weights["b3"])
    for i in range(HIDDEN[1]):
        logit += np.float64(max(second[i], np.float32(0.0))) * np.float64(w3[i])
    return logit


@kernel
def start(state):  # type: ignore[no-untyped-def]
    """Make a zeroed STATE record ready for its first sample."""
    state["odds"] = LEAST_ODDS


@kernel
def _listen(state, weights, leads, first):  # type: ignore[no-untyped-def]
    """Judge the last four seconds, which begin at block `first` of the rings.

    Returns:
        Whether any lead could be judged, the log odds of fibrillation or tachycardia, whether waves are disorganised.
    """
    f = np.empty(len(FEATURES), np.float32)
    hidden = np.empty(HIDDEN[0] + HIDDEN[1], np.float32)
    judged, loud = 0, 0
    odds, size, peak, alike = 0.0, 0.0, 0.0, 0.0
    for n in range(leads):
        lead = state["lead"][n]
        if lead["good"] < BLOCKS:
            continue
        judged += 1
        waves.describe(lead, first, f)
        if f[_SIZE] < _SMALLEST:
            continue
        loud += 1
        odds += _answer(weights, f, hidden)
        size += np.float64(f[_SIZE])
        peak += np.float64(f[_PEAK]) if f[_PEAK] < HARMONIC_HZ else 0.0
        alike += np.float64(f[_ALIKE])
    if loud == 0:
        return judged > 0, LEAST_ODDS, False
    disorganised = (alike < REGULAR * loud or peak >= FLUTTER_HZ * loud) and size < _LARGEST * loud
    return True, min(max(odds / loud, LEAST_ODDS), MOST_ODDS), disorganised


@kernel
def _look(state, weights, leads, first):  # type: ignore[no-untyped-def]
    """Bring smoothed odds and disorder up to date; return the verdict that follows from them."""
    judged, odds, disorganised = _listen(state, weights, leads, first)
    verdict = state["verdict"]
    if not judged:
        state["unjudged"] += 1
        if state["unjudged"] <= HOLD:
            return verdict
        odds = LEAST_ODDS
        state["odds"] = odds
    else:
        state["unjudged"] = 0
        state["odds"] += SMOOTHING * (odds - state["odds"])
    if (odds > 0.0) != (state["leaning"] == 1):
        state["leaning"] = 1 if odds > 0.0 else 0
        state["since"] = state["time"] - LAG
    if odds > 0.0:
        state["disorder"] += PATIENCE * ((1.0 if disorganised else 0.0) - state["disorder"])
    elif verdict == NONE:
        state["disorder"] = 0.0
    if state["odds"] < OFF or (verdict == NONE and state["odds"] <= ON):
        return NONE
    if verdict == FIBRILLATION:
        return FIBRILLATION if state["disorder"] > ORDERED else TACHYCARDIA
    return FIBRILLATION if state["disorder"] > DISORDERED and state["odds"] > SURE else TACHYCARDIA


@kernel
def step(state, weights, display, usable, leads, count, out):  # type: ignore[no-untyped-def]
    """Follow one bed through a block.

    Args:
        state: a STATE record.
        weights: a WEIGHTS record.
        display: (MAX_LEADS, capacity) float64, mV at 360 Hz, from :mod:`monitor.filters`.
        usable: (MAX_LEADS, capacity) int64, 1 where the lead can be analysed.
        leads: leads in use.
        count: samples in the block.
        out: CHANGE records; room for ``count // LOOK + 1``.

    Returns:
        How many changes are in `out`.
    """
    found, done = 0, 0
    while done < count:
        part = min(count - done, LOOK - state["time"] % LOOK)
        for n in range(leads):
            waves.take(state["lead"][n], display[n], usable[n], done, part, state["time"])
        done += part
        state["time"] += part
        if state["time"] % LOOK != 0:
            break
        place = (state["time"] // LOOK - 1) % BLOCKS
        for n in range(leads):
            waves.end_block(state["lead"][n], place)
        before = state["verdict"]
        verdict = _look(state, weights, leads, (place + 1) % BLOCKS)
        if verdict == before:
            continue
        began = state["since"]
        if before != NONE and verdict != NONE and state["time"] - began > PROVISIONAL:
            began = state["time"] - LAG
        state["told"] = max(began, state["told"])
        state["verdict"] = verdict
        out[found]["sample"] = state["told"]
        out[found]["emitted"] = state["time"] - 1
        out[found]["verdict"] = verdict
        found += 1
    return found
