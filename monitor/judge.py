"""The detector's second stage: is this candidate a beat? A small network over what the first stage knows of it.

The judge sees only what rests on the signal and on the first stage's rule: sizes, slopes and likeness to the template
on each lead, the energy around the candidate, and the rule's own view of the rhythm. Everything is relative to the
patient's own levels, so gain and lead do not matter. Its answer is a logit; above 0 the candidate is a beat.

It looks at a candidate AHEAD samples after its energy peak, and again LATER samples after it if it is neither told by
then nor UNLIKELY: ST segment and T wave tell beats from what only has the size and the slopes of a QRS.

There are two networks for each look, for one lead that can be analysed and for two; which is asked depends on the leads
at that sample. Weights, and how they were made: ``monitor/models/qrs-1.safetensors``, :mod:`trainer.weights.judge`.

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

from monitor import ordered
from monitor.ecg import FS, MAX_LEADS
from monitor.exceptions import ConfigError
from monitor.kernel import kernel

INTEGRATION: Final = round(0.100 * FS)
"""Samples of the detector's moving window."""

RING: Final = 2048
"""Samples of a lead that the detector remembers: what it may still judge, and 1.4 s before that."""
MASK: Final = RING - 1

AHEAD: Final = 30
"""Samples after the energy peak that the judge sees..."""

LATER: Final = round(0.167 * FS)
"""... and those that it sees when it looks again."""

TEMPLATE: Final = 32
"""Points of a lead's template, every second sample."""
_TEMPLATE_FROM: Final = -50
_SHIFT: Final = 8
"""Samples a template may be shifted to fit."""

SHAPE: Final = 32
"""Points of a lead's template in the display signal, every third sample."""
LONG: Final = 42
"""The same of one that goes on for another 80 ms: shifted as far as it may be, it ends within LATER."""
_SHAPE_FROM: Final = -72
_STIR: Final = 54

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
    "shape",  # correlation of the display signal with its own template, level and slope taken out
    "misfit",  # log of what that template leaves unexplained, over the template's size
    "tilt",  # the slope taken out, over the template's size
    "sharpness",  # log of the sharpest bend before the peak over the last beats'
    "restlessness",  # log of the display signal's size in the 1.2 s before over what it usually is
    *(f"energy_{AHEAD - _ENERGY_STRIDE * i:+d}" for i in range(ENERGIES)),  # root over the signal level
)

INTERVALS: Final = 32
"""RR intervals that the detector remembers."""
RECENT: Final = 8
"""Those of them that make the typical one."""

PASTS: Final = 3
"""Earlier candidates the judge knows of."""

CONTEXT_FEATURES: Final = (
    "distance_in_intervals",  # since the rule's last beat
    "distance",  # s
    "interval",  # typical, s, and no more than in any record learnt from
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

LATER_FEATURES: Final = (
    "long_shape",  # of the longer template
    "long_misfit",
    "long_tilt",
    *(f"energy_{AHEAD + _ENERGY_STRIDE * i:+d}" for i in (1, 2)),
)
"""What a lead has more of at the second look; it comes behind all the others."""

ONE: Final = len(LEAD_FEATURES) + len(CONTEXT_FEATURES)
"""Features when one lead can be analysed."""
MOST: Final = MAX_LEADS * len(LEAD_FEATURES) + len(CONTEXT_FEATURES)
ONE_LATER: Final = ONE + len(LATER_FEATURES)
MOST_LATER: Final = MOST + MAX_LEADS * len(LATER_FEATURES)
"""The same at the second look."""

FEATURES: Final = {
    "leads": list(LEAD_FEATURES),
    "context": list(CONTEXT_FEATURES),
    "later": list(LATER_FEATURES),
    "ahead": AHEAD,
    "later_ahead": LATER,
    "integration": INTEGRATION,
}
"""What a weights file must say it was made for."""

NETWORKS: Final = {"one": ONE, "two": MOST, "one_later": ONE_LATER, "two_later": MOST_LATER}
"""By name, the features each takes: for one lead and for two, and for the second look."""
PARTS: Final = ("w1", "b1", "w2", "b2", "w3", "b3")
"""Layers of a network: (inputs, hidden), (hidden,), ... with the scaling of the inputs folded in."""

SURE: Final = 4.0
"""A beat the judge is so sure of need not wait for DOMINANCE."""
UNLIKELY: Final = -4.0
"""A candidate that has no more at the first look does not get a second one."""
RULE_BONUS: Final = 1.5
"""Added to the logit where the rule takes the candidate too, unless the rhythm is regular: it knows the odd beats of
any patient."""
LENIENCE: Final = 3.0
"""Added when a beat is overdue and is searched for."""
SEARCH_BONUS: Final = 3.0
"""Added then where the rule has taken the candidate by its own search-back."""
RHYTHM_BONUS: Final = 3.0
"""Added where the rhythm expects a beat, and taken away where it expects none..."""
RHYTHM_WIDTH: Final = 0.2
"""... with a Gaussian of that width, in intervals, between the two; the median of all remembered is one interval."""
RHYTHM_KNOWN: Final = 4
"""Intervals from which there is a rhythm."""
REGULAR_BONUS: Final = 1.5
"""The same in a calm signal where the rhythm is regular."""
REGULAR: Final = (0.50, 0.85)
"""The rhythm becomes regular as the share of intervals that are near the median rises from first to second..."""
REGULAR_NEAR: Final = 0.125
"""... near: no further from it than this share of it."""
REGULAR_KNOWN: Final = 16
"""Intervals from which that is known."""
CALM_NOISE: Final = (0.20, 0.30)
CALM_STIR: Final = (0.0, 0.2)
"""RHYTHM_BONUS is for noisy signals, the others for calm ones: these fade and that one comes as fused noise and
restlessness both rise from first to second."""
TEACHING_STIR: Final = (0.3, 0.6)
"""The same range of restlessness for how much a beat teaches the templates."""

PAST: Final = np.dtype([("at", np.int64), ("size", np.float64), ("likeness", np.float64)], align=True)

WEIGHTS_FILE: Final = Path(__file__).parent / "models" / "qrs-1.safetensors"

_SMALLEST: Final = 0.15  # sizes below are no candidates to remember
_LEAD: Final = len(LEAD_FEATURES)
_MOST_RATIO: Final = 4.0  # logarithms of ratios end there
_MOST_TILT: Final = 8.0
_SWAMPED: Final = 3.0  # a misfit of that: the display signal shows something far larger than beats


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
_ONE_LATER: Final = _LOADED["one_later"]
_TWO_LATER: Final = _LOADED["two_later"]


def weights_of(leads: int, *, later: bool) -> tuple[NDArray[np.float64], ...]:
    """The layers of the network for one lead or for two, at the first look or the second, in the order of PARTS."""
    return _LOADED[("one", "two")[leads - 1] + ("_later" if later else "")]


def check_weights() -> None:
    """See that the weights were made for these features; training alone may do without.

    Raises:
        ConfigError: they were made for others.
    """
    fitting = all(
        w1.shape == (width, b1.size) and w2.shape == (b1.size, b2.size) and w3.shape == (b2.size, 1) and b3.size == 1
        for width, (w1, b1, w2, b2, w3, b3) in zip(NETWORKS.values(), _LOADED.values(), strict=True)
    )
    if not fitting or not isinstance(CARD, dict) or CARD.get("features") != FEATURES:
        raise ConfigError(
            "the detector's weights were made for other features", where=str(WEIGHTS_FILE), remedy=_REMEDY
        )


@kernel
def keep_interval(rhythm, interval):  # type: ignore[no-untyped-def]
    """Remember an interval, samples, in a record of :data:`monitor.qrs.RHYTHM`, and the median of all remembered."""
    values, count = rhythm["ordered"], rhythm["count"]
    place, known = count % INTERVALS, min(count, INTERVALS)
    if count >= INTERVALS:
        ordered.remove(values, known, rhythm["intervals"][place])
        known -= 1
    ordered.insert(values, known, interval)
    rhythm["intervals"][place] = interval
    rhythm["count"] = count + 1
    rhythm["typical"] = ordered.median(values, known + 1)


@kernel
def recent_interval(rhythm):  # type: ignore[no-untyped-def]
    """Median of the last RECENT intervals, samples; 300 where there is none."""
    total = rhythm["count"]
    count = min(total, RECENT)
    if count == 0:
        return 300.0
    values = np.empty(RECENT)
    for i in range(count):
        ordered.insert(values, i, rhythm["intervals"][(total - 1 - i) % INTERVALS])
    return ordered.median(values, count)


@kernel
def regularity(rhythm):  # type: ignore[no-untyped-def]
    """1 in a regular rhythm, 0 in an irregular one or while too little is known of it, from a RHYTHM record."""
    typical = rhythm["typical"]
    count = min(rhythm["count"], INTERVALS)
    if count < REGULAR_KNOWN:
        return 0.0
    near = 0
    for i in range(count):
        if abs(rhythm["intervals"][i] - typical) < REGULAR_NEAR * typical:
            near += 1
    return min(max((near / count - REGULAR[0]) / (REGULAR[1] - REGULAR[0]), 0.0), 1.0)


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
def _cut(state, n, at, out):  # type: ignore[no-untyped-def]
    """Copy the display signal of lead `n` around `at`, as much as goes into `out`, and take out its level and slope."""
    shown, size = state["shown"][n], out.size
    middle, spread = (size - 1) / 2, size * (size * size - 1) / 12
    level, slope = 0.0, 0.0
    for i in range(size):
        out[i] = np.float64(shown[(at + _SHAPE_FROM + 3 * i) & MASK])
        level += out[i]
        slope += out[i] * (i - middle)
    level /= size
    slope /= spread
    for i in range(size):
        out[i] -= level + slope * (i - middle)
    return slope * size


@kernel
def bend(state, n, at):  # type: ignore[no-untyped-def]
    """The sharpest bend of lead `n` in the 150 ms before the energy peak, mV: second difference over 22 ms."""
    shown = state["shown"][n]
    sharpest = 0.0
    for i in range(at - 54, at - 4):
        a, b, c = shown[i & MASK], shown[(i - 4) & MASK], shown[(i - 8) & MASK]
        sharpest = max(sharpest, abs(np.float64(a) - 2.0 * np.float64(b) + np.float64(c)))
    return sharpest


@kernel
def stir(state, n, at):  # type: ignore[no-untyped-def]
    """Root-mean-square of lead `n` about its mean from 1.4 to 0.2 s before the energy peak, mV."""
    shown = state["shown"][n]
    total, squares = 0.0, 0.0
    for i in range(_STIR):
        x = np.float64(shown[(at - 504 + 8 * i) & MASK])
        total += x
        squares += x * x
    return sqrt(max(squares / _STIR - (total / _STIR) * (total / _STIR), 0.0))


@kernel
def _compare_shape(state, n, at, template):  # type: ignore[no-untyped-def]
    """Correlation of the display signal around `at` with a template, and what that leaves over the template's size;
    the slope taken out before, over that size."""
    cut = np.empty(template.size)
    tilt = _cut(state, n, at, cut)
    own, shared, power = 0.0, 0.0, 0.0
    for i in range(template.size):
        own += cut[i] * cut[i]
        shared += cut[i] * template[i]
        power += template[i] * template[i]
    if own <= 1e-12 or power <= 1e-12:
        return 0.0, 0.0, 0.0
    left = max(own - shared * shared / power, 0.0)
    size = sqrt(power / template.size)
    return (
        shared / sqrt(own * power),
        _log_ratio(left + 1e-3 * power, power),
        min(max(tilt / size, -_MOST_TILT), _MOST_TILT),
    )


@kernel
def blend_shape(state, n, at, template, weight):  # type: ignore[no-untyped-def]
    """Draw a display template of lead `n` towards the signal around `at`."""
    cut = np.empty(template.size)
    _cut(state, n, at, cut)
    if (
        template.size == LONG
    ):  # as if it were at most twice as large: the second look must not be deaf after an artefact
        own, power = 0.0, 0.0
        for i in range(template.size):
            own += cut[i] * cut[i]
            power += template[i] * template[i]
        if power > 1e-12 and own > 4.0 * power:
            weight *= 2.0 * sqrt(power / own)
    for i in range(template.size):
        template[i] += weight * (cut[i] - template[i])


@kernel
def _log_ratio(a, b):  # type: ignore[no-untyped-def]
    if a <= 0.0 or b <= 0.0:
        return -_MOST_RATIO
    return min(max(log(a / b), -_MOST_RATIO), _MOST_RATIO)


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
def _energy(state, n, at):  # type: ignore[no-untyped-def]
    """Energy root of lead `n` over its signal level."""
    energy = np.float64(state["energy"][n, at & MASK]) if at >= 0 else 0.0
    return min(sqrt(max(energy, 0.0) / INTEGRATION) / state["lead"][n]["level"], 4.0)


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
        f[7], f[8], f[9] = _compare_shape(state, n, at + shift, lead["shape"])
        f[10] = _log_ratio(bend(state, n, at), lead["bend"])
        f[11] = _log_ratio(stir(state, n, at), lead["stir"])
        for i in range(ENERGIES):
            f[12 + i] = _energy(state, n, at + AHEAD - _ENERGY_STRIDE * i)
    f = features[leads * _LEAD : leads * _LEAD + len(CONTEXT_FEATURES)]
    rule = state["rule"]
    typical = rule["recent"]
    distance = at - rule["last"]
    f[0] = min(distance / typical, 4.0)
    f[1] = min(distance / FS, 3.0)
    f[2] = min(typical / FS, 2.5)
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
def _describe_later(state, at, leads):  # type: ignore[no-untyped-def]
    """Add to the state's features of `leads` leads those of the second look; tell whether it sees anything.

    What is left of a huge artefact may be so much larger than a beat that there is nothing to see.
    """
    features = state["features"]
    place, own, clear = leads * _LEAD + len(CONTEXT_FEATURES), 0, True
    for n in range(MAX_LEADS):
        lead = state["lead"][n]
        if lead["weight"] <= 0.0:
            continue
        shift = round(np.float64(features[own + 5]) * _SHIFT)
        f = features[place : place + len(LATER_FEATURES)]
        f[0], f[1], f[2] = _compare_shape(state, n, at + shift, lead["long"])
        f[3] = _energy(state, n, at + AHEAD + _ENERGY_STRIDE)
        f[4] = _energy(state, n, at + AHEAD + 2 * _ENERGY_STRIDE)
        clear = clear and f[1] < _SWAMPED and abs(f[2]) < _MOST_TILT
        own += _LEAD
        place += len(LATER_FEATURES)
    return clear


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
def look(state, candidate, threshold, is_t_wave, refractory, by_rule, later):  # type: ignore[no-untyped-def]
    """Judge a candidate: fill in its `logit`, above 0 for a beat, its `trust` and its `worth`.

    Args:
        state: a state of the detector (:data:`monitor.qrs.STATE`) that has seen AHEAD samples after the candidate,
            LATER at the second look.
        candidate: a record of :data:`monitor.qrs.CANDIDATE`.
        threshold: of the rule, on the scale of the fused size.
        is_t_wave, refractory, by_rule: what the rule says of it.
        later: whether this is the second look. Where that sees nothing, the first one counts.
    """
    leads = _describe(state, candidate, threshold, is_t_wave, refractory, by_rule)
    features = state["features"]
    if later:
        if not _describe_later(state, candidate["at"], leads):
            return
        logit = _ask(_TWO_LATER, features) if leads == 2 else _ask(_ONE_LATER, features)
    else:
        logit = _ask(_TWO, features) if leads == 2 else _ask(_ONE, features)
    restless = _restlessness(state)
    trust = _calm(state, restless, CALM_STIR)
    candidate["trust"] = trust
    candidate["worth"] = _calm(state, restless, TEACHING_STIR)
    candidate["logit"] = logit + RULE_BONUS * trust * (1.0 - state["told"]["regular"]) if by_rule else logit


@kernel
def _restlessness(state):  # type: ignore[no-untyped-def]
    """That of the leads, by their weights."""
    restless, place = 0.0, 0
    for n in range(MAX_LEADS):
        weight = state["lead"][n]["weight"]
        if weight > 0.0:
            restless += weight * np.float64(state["features"][place * _LEAD + 11])
            place += 1
    return restless


@kernel
def _calm(state, restless, limits):  # type: ignore[no-untyped-def]
    """1 in a calm signal, 0 in a noisy and restless one."""
    noisy = (state["noise"] - CALM_NOISE[0]) / (CALM_NOISE[1] - CALM_NOISE[0])
    stirred = (restless - limits[0]) / (limits[1] - limits[0])
    return 1.0 - min(max(noisy, 0.0), 1.0) * min(max(stirred, 0.0), 1.0)


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
