"""The detector's second stage: is this candidate a beat? A small network over what the first stage knows of it.

The judge sees only what rests on the signal and on the first stage's rule: sizes, slopes and likeness to the template
on each lead, the energy around the candidate, and the rule's own view of the rhythm. Everything is relative to the
patient's own levels, so gain and lead do not matter. Its answer is a logit; above 0 the candidate is a beat.

There are two networks, for one lead that can be analysed and for two; which is asked depends on the leads at that
sample. Weights, and how they were made: ``monitor/models/qrs-1.safetensors``, :mod:`trainer.judge`.

Source of the idea: a sensitive detector followed by a learned rejection of its false candidates is common in the field
(for instance Xue, Hu, Tompkins 1992, doi:10.1109/10.126604, which puts a network in the place of the filters).
"""

from __future__ import annotations

import json
from math import log, sqrt
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from monitor.ecg import FS, MAX_LEADS
from monitor.exceptions import ConfigError
from monitor.kernel import kernel

INTEGRATION: Final = round(0.100 * FS)
"""Samples of the detector's moving window."""

RING: Final = 1024
MASK: Final = RING - 1

AHEAD: Final = 30
"""Samples after the energy peak that the judge sees."""

TEMPLATE: Final = 32
"""Points of a lead's template, every second sample."""
_TEMPLATE_FROM: Final = -50
_SHIFT: Final = 8
"""Samples a template may be shifted to fit."""

ENERGIES: Final = 16
"""Points of the energy around the candidate, from AHEAD back."""
_ENERGY_STRIDE: Final = 14

LEAD_FEATURES: Final = (
    "size",  # log of the energy root over the signal level
    "noise",  # log of noise over signal level
    "steepness",  # log of the steepest slope over the last beat's
    "likeness",  # correlation with the template
    "projection",  # on the template; a beat like it has 1
    "shift",  # of the best fit
    "weight",  # the lead's share in the fused energy
    *(f"energy_{AHEAD - _ENERGY_STRIDE * i:+d}" for i in range(ENERGIES)),  # root over the signal level
)

INTERVALS: Final = 8
"""The detector's last RR intervals that count."""

PASTS: Final = 3
"""Earlier candidates the judge knows of."""

CONTEXT_FEATURES: Final = (
    "distance_in_intervals",  # since the rule's last beat
    "distance",  # s
    "interval",  # typical, s
    "fused_size",
    "past_1_distance",
    "past_1_size",
    "past_1_likeness",
    "past_2_distance",
    "past_2_size",
    "past_2_likeness",
    "past_3_distance",
    "past_3_size",
    "past_3_likeness",
    "previous_interval",  # over the typical one
    "interval_before",
    "fused_noise",
    "over_threshold",  # log of size over the rule's threshold
    "like_a_t_wave",
    "refractory",
    "by_rule",  # the rule takes it
)

ONE: Final = len(LEAD_FEATURES) + len(CONTEXT_FEATURES)
"""Features when one lead can be analysed."""
MOST: Final = MAX_LEADS * len(LEAD_FEATURES) + len(CONTEXT_FEATURES)

FEATURES: Final = {
    "leads": list(LEAD_FEATURES),
    "context": list(CONTEXT_FEATURES),
    "ahead": AHEAD,
    "integration": INTEGRATION,
}
"""What a weights file must say it was made for."""

NETWORKS: Final = ("one", "two")
PARTS: Final = ("w1", "b1", "w2", "b2", "w3", "b3")
"""Layers of a network: (inputs, hidden), (hidden,), ... with the scaling of the inputs folded in."""

SEARCH_LOGIT: Final = -3.0
"""When a beat is overdue, a candidate must only not be as bad as this."""
SURE: Final = 4.0
"""A beat the judge is so sure of need not wait for DOMINANCE."""
RULE_BONUS: Final = 1.0
"""Added where the rule takes the candidate too: it knows clean signals better than noise-trained weights do."""

SEARCH_BONUS: Final = 3.0
"""Added where the rule took the candidate by search-back."""

PAST: Final = np.dtype([("at", np.int64), ("size", np.float64), ("likeness", np.float64)], align=True)

WEIGHTS_FILE: Final = Path(__file__).parent / "models" / "qrs-1.safetensors"

_SMALLEST: Final = 0.15  # sizes below are no candidates to remember
_LEAD: Final = len(LEAD_FEATURES)


_REMEDY: Final = "install wardbeat anew, or make weights with wardbeat train-qrs"


def _load(path: Path) -> tuple[dict[str, Any], dict[str, tuple[NDArray[np.float64], ...]]]:
    """The card and the networks of a weights file, float64.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            card = json.loads((file.metadata() or {}).get("card", "{}"))
            networks = {
                name: tuple(file.get_tensor(f"{name}.{part}").astype(np.float64) for part in PARTS) for name in NETWORKS
            }
    except (OSError, SafetensorError, ValueError) as error:
        raise ConfigError(f"the detector's weights cannot be read ({error})", where=str(path), remedy=_REMEDY) from None
    return card, networks


CARD, _LOADED = _load(WEIGHTS_FILE)
_ONE: Final = _LOADED["one"]
_TWO: Final = _LOADED["two"]


def check_weights() -> None:
    """See that the weights were made for these features; training alone may do without.

    Raises:
        ConfigError: they were made for others.
    """
    if CARD.get("features") != FEATURES:
        raise ConfigError(
            "the detector's weights were made for other features", where=str(WEIGHTS_FILE), remedy=_REMEDY
        )


@kernel
def typical_interval(rhythm):  # type: ignore[no-untyped-def]
    """Median of the last intervals, samples."""
    count = min(rhythm["count"], INTERVALS)
    if count == 0:
        return 300.0
    ordered = np.sort(rhythm["intervals"][:count])
    return 0.5 * (ordered[(count - 1) // 2] + ordered[count // 2])


@kernel
def compare(state, n, at):  # type: ignore[no-untyped-def]
    """Fit lead `n` around `at` to its template.

    Returns:
        The best correlation, the shift in samples that gives it, and the projection there.
    """
    template, band = state["lead"][n]["template"], state["band"][n]
    power = 0.0
    for i in range(TEMPLATE):
        power += template[i] * template[i]
    if power <= 1e-12:
        return 0.0, 0, 0.0
    best, best_shift, projection = -2.0, 0, 0.0
    for shift in range(-_SHIFT, _SHIFT + 1, 2):
        own, shared = 0.0, 0.0
        for i in range(TEMPLATE):
            x = np.float64(band[(at + _TEMPLATE_FROM + 2 * i + shift) & MASK])
            own += x * x
            shared += x * template[i]
        r = shared / sqrt(own * power) if own > 1e-12 else 0.0
        if r > best:
            best, best_shift, projection = r, shift, shared / power
    return best, best_shift, projection


@kernel
def blend(state, n, at, weight):  # type: ignore[no-untyped-def]
    """Draw the template of lead `n` towards the signal around `at`."""
    template, band = state["lead"][n]["template"], state["band"][n]
    for i in range(TEMPLATE):
        template[i] += weight * (np.float64(band[(at + _TEMPLATE_FROM + 2 * i) & MASK]) - template[i])


@kernel
def _log_ratio(a, b):  # type: ignore[no-untyped-def]
    if a <= 0.0 or b <= 0.0:
        return -4.0
    return min(max(log(a / b), -4.0), 4.0)


@kernel
def _likeness(state, features):  # type: ignore[no-untyped-def]
    """The best likeness among the leads in `features`."""
    best, place = -1.0, 0
    for n in range(MAX_LEADS):
        if state["lead"][n]["weight"] > 0.0:
            best = max(best, np.float64(features[place * _LEAD + 3]))
            place += 1
    return best


@kernel
def _describe(state, candidate, threshold, is_t_wave, refractory, by_rule):  # type: ignore[no-untyped-def]
    """Fill the state's features, the leads that can be analysed first; return how many leads there are."""
    features = state["features"]
    at = candidate["at"]
    leads = 0
    for n in range(MAX_LEADS):
        lead = state["lead"][n]
        if lead["weight"] <= 0.0:
            continue
        f = features[leads * _LEAD : (leads + 1) * _LEAD]
        leads += 1
        level = lead["level"]
        likeness, shift, projection = compare(state, n, at)
        f[0] = _log_ratio(candidate["value"][n], level)
        f[1] = _log_ratio(lead["noise"], level)
        f[2] = _log_ratio(candidate["slope"][n], lead["slope"])
        f[3] = likeness
        f[4] = min(max(projection, -3.0), 3.0)
        f[5] = shift / _SHIFT
        f[6] = lead["weight"]
        for i in range(ENERGIES):
            then = at + AHEAD - _ENERGY_STRIDE * i
            energy = np.float64(state["energy"][n, then & MASK]) if then >= 0 else 0.0
            f[7 + i] = min(sqrt(max(energy, 0.0) / INTEGRATION) / level, 4.0)
    f = features[leads * _LEAD : leads * _LEAD + len(CONTEXT_FEATURES)]
    rule = state["rule"]
    typical = typical_interval(rule)
    distance = at - rule["last"]
    f[0] = min(distance / typical, 4.0)
    f[1] = min(distance / FS, 3.0)
    f[2] = typical / FS
    f[3] = _log_ratio(candidate["size"], 1.0)
    for i in range(PASTS):
        past = state["history"][i]
        f[4 + 3 * i] = min((at - past["at"]) / FS, 3.0)
        f[5 + 3 * i] = min(past["size"], 4.0)
        f[6 + 3 * i] = past["likeness"]
    count = rule["count"]
    f[13] = min(rule["intervals"][(count - 1) % INTERVALS] / typical, 3.0) if count > 0 else 1.0
    f[14] = min(rule["intervals"][(count - 2) % INTERVALS] / typical, 3.0) if count > 1 else 1.0
    f[15] = state["noise"]
    f[16] = _log_ratio(candidate["size"], threshold)
    f[17] = 1.0 if is_t_wave else 0.0
    f[18] = 1.0 if refractory else 0.0
    f[19] = 1.0 if by_rule else 0.0
    return leads


@kernel
def _ask(weights, features):  # type: ignore[no-untyped-def]
    """The network's logit. Sums run over inputs, one after the other: the same to the bit wherever it runs."""
    w1, b1, w2, b2, w3, b3 = weights
    first = b1.copy()
    for i in range(w1.shape[0]):
        x = np.float64(features[i])
        for j in range(first.size):
            first[j] += x * w1[i, j]
    second = b2.copy()
    for i in range(first.size):
        x = max(first[i], 0.0)
        for j in range(second.size):
            second[j] += x * w2[i, j]
    logit = b3[0]
    for i in range(second.size):
        logit += max(second[i], 0.0) * w3[i, 0]
    return logit


@kernel
def look(state, candidate, threshold, is_t_wave, refractory, by_rule):  # type: ignore[no-untyped-def]
    """Judge a candidate.

    Args:
        state: a state of the detector (:data:`monitor.qrs.STATE`) that has seen AHEAD samples after the candidate.
        candidate: a record of :data:`monitor.qrs.CANDIDATE`.
        threshold: of the rule, on the scale of the fused size.
        is_t_wave, refractory, by_rule: what the rule says of it.

    Returns:
        A logit: above 0 it is a beat.
    """
    leads = _describe(state, candidate, threshold, is_t_wave, refractory, by_rule)
    logit = _ask(_TWO, state["features"]) if leads == 2 else _ask(_ONE, state["features"])
    return logit + RULE_BONUS if by_rule else logit


@kernel
def recall(state, candidate):  # type: ignore[no-untyped-def]
    """Note a candidate that the judge has just seen, for the candidates to come."""
    if candidate["size"] <= _SMALLEST:
        return
    history = state["history"]
    for i in range(PASTS - 1, 0, -1):
        history[i]["at"] = history[i - 1]["at"]
        history[i]["size"] = history[i - 1]["size"]
        history[i]["likeness"] = history[i - 1]["likeness"]
    history[0]["at"] = candidate["at"]
    history[0]["size"] = candidate["size"]
    history[0]["likeness"] = _likeness(state, state["features"])
