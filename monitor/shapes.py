"""What a lead shows of a beat: its window, and the features that compare it with the same patient's beats.

- The window (:mod:`monitor.window`) lies around R or, where the running normal beat fits well up to 80 ms earlier,
  around that place; it is scaled by the amplitude of the patient's normal beat, beside the difference to that beat.
- Each lead has its own running normal beat: one of a few clusters of beats with alike shape (:mod:`monitor.clusters`).
- Its P wave is looked for before the QRS (:mod:`monitor.atrial`).
- Absolute width, size and rate are left out on purpose: on DS1 they made networks learn patients instead of beats.

Source: running normal beat and its difference: as open rule-based classifiers keep them (Hamilton 2002, Open Source
ECG Analysis).
"""

from __future__ import annotations

from math import sqrt
from typing import Final

import numpy as np

from monitor import atrial, clusters
from monitor.atrial import P_SHIFT, P
from monitor.ecg import FS
from monitor.filters import DISPLAY_DELAY
from monitor.kernel import kernel
from monitor.timing import EARLY, log_ratio
from monitor.window import (
    AFTER,
    BEFORE,
    BLOCK,
    EPSILON,
    FIT_AFTER,
    FIT_BEFORE,
    NEVER,
    QRS,
    RING,
    SHIFT,
    STRIDE,
    WIDTH,
    R,
    cut,
    fit,
    projection,
    rms,
    size_of,
    spread_of,
)

CHANNELS: Final = ("beat", "difference")
"""Channels of a lead's window."""

_AGAINST_NORMAL: Final = (
    "likeness",  # correlation with the running normal beat, QRS and T
    "previous_likeness",
    "qrs_likeness",  # the same within 80 ms of R
    "t_likeness",  # the same after the QRS
    "size_to_normal",  # log of the ratio of amplitudes
    "spread_to_normal",  # log of the ratio of QRS widths, by the spread of the slope's energy
    "p_difference",  # rms of the difference to the normal beat before the QRS, over the normal amplitude
    "qrs_difference",
    "t_difference",
    "qrs_projection",  # how much of the normal QRS is in it: 1 in a normal beat, less than 0 upside down
    "t_projection",  # the same for T
)
_AGAINST_USUAL: Final = (
    "likeness_to_usual",  # log of 1 - likeness over what it usually is for this patient's normal beats
    "p_difference_to_usual",  # the same for what follows
    "qrs_difference_to_usual",
    "t_difference_to_usual",
    "spread_to_usual",
    "size_to_usual",
    "slope_to_usual",  # steepest slope of the QRS
    "area_to_usual",
    "up_to_usual",  # height above the mean level, and depth below it
    "down_to_usual",
)
_OF_CLUSTER: Final = (
    "familiarity",  # weight of the beat's cluster over that of the normal beat, at most 1; 0 if it belongs to none
    "cluster_share",  # its weight among all
    "cluster_timing",  # mean timing of its beats
    "cluster_early",  # share of early beats in it
    "cluster_ventricular",  # share of beats in it that the rule calls V
    "cluster_spread",  # log of its QRS width over the normal beat's
    "cluster_likeness",  # correlation with the nearest cluster
    "cluster_to_normal",  # correlation of the cluster with the normal beat
    "normal_share",  # weight of the normal beat among all clusters
    "cluster_next",  # mean timing of the beats that follow its beats
    "cluster_p_projection",  # means of its beats
    "cluster_p_likeness",
    "cluster_tail",
    "cluster_usual_likeness",
    "ventricular_likeness",  # correlation with the ventricular cluster; -1 where there is none
    "ventricular_next",
)
_OF_LAST: Final = (
    "likeness_to_last",  # the beat before this one
    "size_to_last",
    "spread_to_last",
    "last_rule_s",
    "last_rule_v",
    "last_p_projection",
    "last_qrs_difference",
    "recent_ventricular",  # share of beats that the rule calls V, the last dozen or so weighing most
)
_OF_P: Final = (
    "p_likeness",  # correlation of the P region, without the T before it, with the usual one
    "p_shift",  # where it fits best, -1 to 1
    "p_size",  # log of its rms over the usual
    "p_projection",  # how much of the usual P wave is in it
    "p_power",  # its rms over the normal amplitude
    "p_visible",  # log of the usual P wave's rms over that of what varies there
    "tail_difference",  # rms of what deforms the T and TP segment before it, over the normal amplitude
    "tail_difference_to_usual",
    "tail_bump",  # largest deflection of the P region over the normal amplitude
)
_OF_FUSION: Final = (
    "fusion_normal",  # the beat as a mixture of the normal and the ventricular one: shares of both,
    "fusion_ventricular",
    "fusion_rest",  # rms of the rest,
    "fusion_gain",  # and how much better that is than the better of the two alone
)
_OF_NOISE: Final = (
    "restless",  # log of the noise before the QRS over the usual
    "rough",  # log of the same before and after the QRS over the normal amplitude
    "drift",  # how far the level moves from the window's beginning to its end, over the normal amplitude
)
_OF_RULE: Final = ("rule_n", "rule_s", "rule_v")  # the kernel's own label on this lead

_GROUPS: Final = (_AGAINST_NORMAL, _AGAINST_USUAL, _OF_CLUSTER, _OF_LAST, _OF_P, _OF_FUSION, _OF_NOISE, _OF_RULE)
LEAD_FEATURES: Final = tuple(name for group in _GROUPS for name in group)
"""Features of the shape, for each lead."""

LEAD: Final = len(LEAD_FEATURES)

_USUAL, _CLUSTER, _LAST, _ATRIAL, _FUSION, _NOISE, _RULE = (
    LEAD_FEATURES.index(group[0]) for group in _GROUPS[1:]
)  # where the groups begin

RULE_N, RULE_S, RULE_V = 0, 1, 2
RULE_CLASSES: Final = ("N", "S", "V")

_WIDE_SHIFT: Final = round(0.080 * FS) // STRIDE  # points the patient's normal beat may be shifted to fit
_FITS: Final = 0.80  # likeness from which the window follows the normal beat
_UNSURE: Final = 0.01  # differences below this are not told apart
_ENDS: Final = 8  # points at the window's ends
_ROUGH: Final = 0.05  # of the normal amplitude: noise that is plain to see
_FIRST: Final = 3  # beats after which there is a normal one
_TAUGHT: Final = 8  # beats after which a lead learns by what a beat is worth, but never less than...
_LEAST_WORTH: Final = 0.05
_RECENT: Final = 0.06  # weight of a beat in the running share of V

_MEASURES: Final = 13
"""What is compared with what is usual for normal beats: as in _AGAINST_USUAL, then P, tail and restlessness."""
_P_MEASURE, _TAIL_MEASURE, _RESTLESS_MEASURE = range(_MEASURES - 3, _MEASURES)
_LITTLE: Final = 0.005  # mV; P waves and tails below are not told apart

LEAD_STATE: Final = np.dtype(
    [
        ("usable", np.int64),  # whether it can be analysed
        ("usable_since", np.int64),  # display sample
        ("beat_count", np.int64),
        ("clusters", clusters.STATE),
        ("atrial", atrial.STATE),
        ("last", np.float64, (WIDTH,)),  # the beat before, mV
        ("last_beat", clusters.MEMBER),
        ("last_qrs_difference", np.float64),
        ("last_r", np.int64),
        ("last_rule", np.int64),
        ("recent_ventricular", np.float64),
        ("usual", np.float64, (_MEASURES,)),  # running means over normal beats, for the ``_to_usual`` features
        ("usual_count", np.int64),
    ],
    align=True,
)


@kernel
def _rule(likeness, timing, wider):  # type: ignore[no-untyped-def]
    """The kernel's own label: shape first, then timing."""
    if likeness < 0.5 or (likeness < 0.75 and (wider > 0.14 or timing < -0.16)):
        return RULE_V
    if timing < -0.16:
        return RULE_S
    return RULE_N


@kernel
def _noise(raw):  # type: ignore[no-untyped-def]
    """Noise of a window, mV: rms of the second difference before the QRS, and of that before and after it."""
    before, both = 1e-3, 0.0
    for i in range(2, R - QRS):
        d = raw[i] - 0.5 * (raw[i - 2] + raw[i + 2])
        before += d * d
    for i in range(R + QRS + 1, WIDTH - 2):
        d = raw[i] - 0.5 * (raw[i - 2] + raw[i + 2])
        both += d * d
    return sqrt(before / (R - QRS)), sqrt((before + both) / WIDTH)


@kernel
def _drift(raw):  # type: ignore[no-untyped-def]
    """How far the level moves from the window's beginning to its end, mV."""
    first, last = 0.0, 0.0
    for i in range(_ENDS):
        first += raw[i]
        last += raw[WIDTH - 1 - i]
    return abs(last - first) / _ENDS


@kernel
def _measure_qrs(raw, now):  # type: ignore[no-untyped-def]
    """Steepest slope, area, height and depth of the QRS, into their places among the measures."""
    slope, area, up, down = EPSILON, EPSILON, 0.01, 0.01
    for i in range(R - QRS, R + QRS):
        slope = max(slope, abs(raw[i + 1] - raw[i]))
        area += abs(raw[i])
        up = max(up, raw[i])
        down = max(down, -raw[i])
    now[6], now[7], now[8], now[9] = slope, area, up, down


@kernel
def _against_normal(shape, raw, shift, f):  # type: ignore[no-untyped-def]
    f[2] = fit(shape, raw, SHIFT, QRS, QRS)[0]
    f[3] = fit(shape, raw, SHIFT, -QRS, FIT_AFTER)[0]
    small = min(max(shift, -SHIFT), SHIFT)
    f[9] = projection(shape, raw, small, R - QRS, R + QRS)
    f[10] = projection(shape, raw, small, R + QRS, WIDTH - SHIFT)


@kernel
def _of_cluster(state, raw, normal, other, near, near_likeness, f):  # type: ignore[no-untyped-def]
    usual = state["all"][normal]
    total = clusters.total_weight(state)
    if near >= 0 and near_likeness > clusters.ALIKE:
        one = state["all"][near]
        mean = one["mean"]
        f[0] = min(one["weight"] / usual["weight"], 1.0)
        f[1] = one["weight"] / total
        f[2] = mean["timing"]
        f[3] = mean["early"]
        f[4] = mean["ventricular"]
        f[5] = log_ratio(mean["spread"], usual["mean"]["spread"])
        f[7] = fit(usual["shape"], one["shape"], SHIFT, FIT_BEFORE, FIT_AFTER)[0]
        f[9] = one["next"]
        f[10] = mean["p_projection"]
        f[11] = mean["p_likeness"]
        f[12] = mean["tail"]
        f[13] = mean["likeness"]
    f[6] = max(near_likeness, -1.0)
    f[8] = usual["weight"] / total
    f[14] = -1.0
    if other >= 0:
        one = state["all"][other]
        f[14] = fit(one["shape"], raw, SHIFT, FIT_BEFORE, FIT_AFTER)[0]
        f[15] = one["next"]


@kernel
def _of_last(one, raw, size, spread, f):  # type: ignore[no-untyped-def]
    f[0] = fit(one["last"], raw, SHIFT, FIT_BEFORE, FIT_AFTER)[0]
    f[1] = log_ratio(size, size_of(one["last"]))
    f[2] = log_ratio(spread, one["last_beat"]["spread"])
    f[3] = 1.0 if one["last_rule"] == RULE_S else 0.0
    f[4] = 1.0 if one["last_rule"] == RULE_V else 0.0
    f[5] = one["last_beat"]["p_projection"]
    f[6] = one["last_qrs_difference"]
    f[7] = one["recent_ventricular"]


@kernel
def _of_p(one, p, found, now, deformed, normal_size, f):  # type: ignore[no-untyped-def]
    p_likeness, p_shift, p_projection, p_rms = found
    f[0] = p_likeness
    f[1] = p_shift / P_SHIFT
    f[2] = log_ratio(now[_P_MEASURE], one["usual"][_P_MEASURE])
    f[3] = p_projection
    f[4] = p_rms / normal_size
    f[5] = log_ratio(atrial.usual_size(one["atrial"]) + 0.002, one["atrial"]["p_noise"] + 0.002)
    f[6] = deformed / normal_size
    f[7] = log_ratio(now[_TAIL_MEASURE], one["usual"][_TAIL_MEASURE])
    f[8] = atrial.bump(p) / normal_size


@kernel
def describe(one, ring, r, known, timed, timing, learn, worth, window, f):  # type: ignore[no-untyped-def]
    """Compare a beat with what one lead has seen, fill in its channels and features, and learn from it.

    Args:
        one: the lead's LEAD_STATE record.
        ring: its display signal, (RING,) mV.
        r: sample of the R peak.
        known: the sample that found the beat.
        timed: whether the interval before it is known.
        timing: log of that interval over the usual one.
        learn: whether the lead is fit to be learnt from.
        worth: how much there is to be learnt, 0 in a restless signal to 1.
        window: (len(CHANNELS), WIDTH) float32.
        f: (LEAD,) float32.

    Returns:
        The rule's label.
    """
    raw = np.empty(WIDTH)
    cut(ring, r, raw)
    state = one["clusters"]
    normal = clusters.normal(state) if one["beat_count"] >= _FIRST else -1
    likeness, shift = 0.0, 0
    if normal >= 0:
        likeness, shift = fit(state["all"][normal]["shape"], raw, _WIDE_SHIFT, FIT_BEFORE, FIT_AFTER)
        if likeness > _FITS and shift < 0:
            r += STRIDE * shift
            cut(ring, r, raw)
            shift = 0
    spread, size = spread_of(raw), size_of(raw)
    near, near_likeness, near_shift = clusters.nearest(state, raw)
    p = np.empty(P)
    emitted = max(r + DISPLAY_DELAY + AFTER - 1, known)
    held = one["last_r"] + DISPLAY_DELAY - BEFORE > emitted + BLOCK - RING  # wherever messages end
    last_r = one["last_r"] if timed and held else NEVER
    deformed = atrial.residual(one["atrial"], ring, r, last_r, p)
    found_p = atrial.fit_p(one["atrial"], p)
    if learn and last_r != NEVER:
        clusters.follow(state, timing)

    window[1, :] = 0.0
    normal_size, normal_spread = size, spread
    if normal >= 0:
        shape = state["all"][normal]["shape"]
        normal_size, normal_spread = size_of(shape), state["all"][normal]["mean"]["spread"]
        for i in range(WIDTH):
            source = min(max(i - shift, 0), WIDTH - 1)
            window[1, i] = (raw[i] - shape[source]) / normal_size
    for i in range(WIDTH):
        window[0, i] = raw[i] / normal_size
    wider = log_ratio(spread, normal_spread)
    rule = _rule(likeness, timing, wider) if normal >= 0 else RULE_N
    restless, rough = _noise(raw)

    now = np.empty(_MEASURES)
    now[0] = 1.0 - likeness + _UNSURE
    now[1] = rms(window[1], 0, R - QRS) + _UNSURE
    now[2] = rms(window[1], R - QRS, R + QRS) + _UNSURE
    now[3] = rms(window[1], R + QRS, WIDTH) + _UNSURE
    now[4] = abs(wider) + _UNSURE
    now[5] = size
    _measure_qrs(raw, now)
    now[_P_MEASURE] = found_p[3] + _LITTLE
    now[_TAIL_MEASURE] = deformed + _LITTLE
    now[_RESTLESS_MEASURE] = restless

    f[:] = 0.0
    f[0] = likeness
    f[1] = one["last_beat"]["likeness"]
    if normal >= 0:
        shape = state["all"][normal]["shape"]
        _against_normal(shape, raw, shift, f)
        f[4] = log_ratio(size, normal_size)
        f[5] = wider
        for k in range(3):
            f[6 + k] = now[1 + k] - _UNSURE
        for k in range(_MEASURES - 3):
            f[_USUAL + k] = log_ratio(now[k], one["usual"][k])
        other = clusters.ventricular(state, normal)
        _of_cluster(state, raw, normal, other, near, near_likeness, f[_CLUSTER:_LAST])
        _of_last(one, raw, size, spread, f[_LAST:_ATRIAL])
        if one["atrial"]["p_count"] > 2:
            _of_p(one, p, found_p, now, deformed, normal_size, f[_ATRIAL:_FUSION])
        mixed = (0.0, 0.0, 1.0, 0.0)
        if other >= 0:
            mixed = clusters.mixture(shape, state["all"][other]["shape"], raw)
        for k in range(4):
            f[_FUSION + k] = mixed[k]
        f[_NOISE] = log_ratio(restless, one["usual"][_RESTLESS_MEASURE])
    f[_NOISE + 1] = log_ratio(rough, _ROUGH * normal_size)
    f[_NOISE + 2] = min(_drift(raw) / normal_size, 5.0)
    f[_RULE + rule] = 1.0

    if learn:
        beat = one["last_beat"]
        beat["spread"] = spread
        beat["timing"] = timing
        beat["early"] = 1.0 if timing < EARLY else 0.0
        beat["ventricular"] = 1.0 if rule == RULE_V else 0.0
        beat["likeness"] = likeness
        beat["p_likeness"], beat["p_projection"] = found_p[0], found_p[2]
        beat["tail"] = np.float64(f[_ATRIAL + 7])
        _learn(one, ring, r, last_r, rule, worth, normal, raw, p, now, near, near_likeness, near_shift)
    return rule


@kernel
def _learn(one, ring, r, last_r, rule, worth, normal, raw, p, now, near, near_likeness, near_shift):  # type: ignore[no-untyped-def]
    """Learn from a beat whose ``last_beat`` record is filled in; normal ones teach what is usual."""
    worth = 1.0 if one["beat_count"] < _TAUGHT else max(worth, _LEAST_WORTH)
    one["beat_count"] += 1
    after_normal = last_r != NEVER and one["last_rule"] == RULE_N
    if normal >= 0 and rule == RULE_N:
        one["usual_count"] += 1
        rate = worth / min(one["usual_count"], 24)
        for k in range(_MEASURES):
            one["usual"][k] += rate * (now[k] - one["usual"][k])
        if after_normal:
            atrial.learn_p(one["atrial"], p, worth)
    if after_normal and normal >= 0:
        atrial.learn_tail(one["atrial"], ring, r, last_r, worth)
    clusters.join(one["clusters"], raw, one["last_beat"], worth, near, near_likeness, near_shift)
    one["last_qrs_difference"] = now[2] - _UNSURE
    one["last_r"] = r
    one["last_rule"] = rule
    one["recent_ventricular"] += _RECENT * (one["last_beat"]["ventricular"] - one["recent_ventricular"])
    for i in range(WIDTH):
        one["last"][i] = raw[i]
