"""From a detection to what the classifier sees: R placed, a window, the RR context, the running normal beat.

Everything here rests on the signal and on the kernel's own rule label, never on the network's output, so a data set
written once stays true whatever model follows.

- R is the largest deflection of the display signal in the 150 ms before the detector's energy peak, weighed by how near
  it lies to where R usually is: of the two large deflections of a ventricular beat annotators mark the earlier. One
  against the patient's usual polarity must be twice as large, so that a biphasic QRS keeps its R.
- The window lies around R or, where the running normal beat fits well up to 80 ms earlier, around that place. It
  takes every second sample (the display signal ends at 40 Hz), scaled by the amplitude of the patient's normal beat,
  beside the difference to that normal beat.
- The running normal beat is the heaviest of a few clusters of beats with alike shape; narrow, timely ones are preferred
  so that a bigeminal rhythm does not make a ventricular beat the patient's normal.
- The features compare the beat with the same patient: intervals with means over the last 8, 40 and 120, shape and
  size with the normal beat. Absolute width, size and rate are left out on purpose: on DS1 they made networks learn
  patients instead of beats (leave-records-out V F1 76 with them, 84 without).

Source: running normal beat and its difference: as open rule-based classifiers keep them (Hamilton 2002, Open Source
ECG Analysis); RR ratios: de Chazal 2004, doi:10.1109/TBME.2004.827359.
"""

from __future__ import annotations

from math import log, sqrt
from typing import Final

import numpy as np

from monitor.ecg import FS, MAX_LEADS
from monitor.filters import DISPLAY_DELAY
from monitor.kernel import kernel

BEFORE: Final = round(0.300 * FS)
AFTER: Final = round(0.400 * FS)
STRIDE: Final = 2
WIDTH: Final = (BEFORE + AFTER) // STRIDE
"""Points in a window, 180 Hz."""

CHANNELS: Final = ("beat", "difference")

CONTEXT: Final = 6
"""Features that are known when the beat is found; the others need its window."""

FEATURES: Final = (
    "rr_to_mean8",  # log of the interval before the beat over the mean of the 8 before it
    "rr_to_mean40",
    "rr_to_mean120",
    "previous_rr_to_mean8",
    "rr_before_that_to_mean8",
    "irregularity",  # standard deviation of the last 8 over their mean
    "likeness",  # correlation with the running normal beat, QRS and T
    "previous_likeness",
    "qrs_likeness",  # the same within 80 ms of R
    "size_to_normal",  # log of the ratio of amplitudes
    "spread_to_normal",  # log of the ratio of QRS widths, by the spread of the slope's energy
    "p_difference",  # rms of the difference to the normal beat before the QRS, over the normal amplitude
    "qrs_difference",
    "t_difference",
    "likeness_to_usual",  # log of 1 - likeness over what it usually is for this patient's normal beats
    "p_difference_to_usual",  # the same for the differences and for the width
    "qrs_difference_to_usual",
    "t_difference_to_usual",
    "spread_to_usual",
    "familiarity",  # weight of the cluster the beat belongs to over that of the normal beat, at most 1
    "rule_n",  # the kernel's own label
    "rule_s",
    "rule_v",
    "experience",  # beats seen, 1 from 32 on
)


def channels_of(leads: int) -> tuple[str, ...]:
    """Window channels of a model for so many leads, lead after lead: the second lead adds none yet."""
    return CHANNELS


def features_of(leads: int) -> tuple[str, ...]:
    """Features of a model for so many leads; those of one lead come first. The second lead adds none yet."""
    return FEATURES


RULE_N, RULE_S, RULE_V = 0, 1, 2
RULE_CLASSES: Final = ("N", "S", "V")

RING: Final = 2048
"""Samples of display signal kept a lead: a search-back beat and a block fit."""

_PENDING: Final = 48
_INTERVALS: Final = 128
_CLUSTERS: Final = 6
_MEMORY: Final = 0.996  # of a cluster's weight, a beat: half is forgotten in 170 beats
_SEARCH: Final = round(0.150 * FS)
_CLOSEST: Final = round(0.100 * FS)
_R: Final = BEFORE // STRIDE  # the point of R in a window
_FIT_BEFORE: Final = round(0.180 * FS) // STRIDE
_FIT_AFTER: Final = round(0.250 * FS) // STRIDE
_QRS: Final = round(0.080 * FS) // STRIDE
_SHIFT: Final = 3  # window points a shape may be shifted to fit
_WIDE_SHIFT: Final = round(0.080 * FS) // STRIDE  # the same for the patient's normal beat
_FITS: Final = 0.80  # likeness from which the window follows the normal beat
_AGAINST: Final = 2.0  # how much larger a deflection against the usual polarity must be
_USUALLY: Final = round(0.070 * FS)  # samples from the display signal's R to the energy peak
_TRIGGERED: Final = round(0.022 * FS)  # the same to the trigger
_EARLY_SPAN: Final = 0.110 * FS  # samples from there at which a deflection counts half, and the same after it
_LATE_SPAN: Final = 0.050 * FS
_ALIKE: Final = 0.90
_SMALLEST: Final = 0.05  # mV; amplitudes below are taken as this
_EPSILON: Final = 1e-9
_UNSURE: Final = 0.01  # differences below this are not told apart

BEAT: Final = np.dtype(
    [
        ("row", np.int64),
        ("sample", np.int64),  # R peak
        ("emitted", np.int64),
        ("search_back", np.int64),
        ("rule", np.int64),
        ("leads", np.int64),  # in how many leads its window was usable
    ],
    align=True,
)

STATE: Final = np.dtype(
    [
        ("ring", np.float32, (MAX_LEADS, RING)),  # display signal, mV
        ("lead", np.int64),  # the one that beats are placed on and named from
        ("written", np.int64),  # display samples so far
        ("last_r", np.int64),
        ("polarity", np.float64),  # running mean of the sign of R
        ("intervals", np.float64, (_INTERVALS,)),  # s, a ring
        ("interval_count", np.int64),
        ("beat_count", np.int64),
        ("pending", np.int64),  # beats whose window is not complete, oldest first
        ("pending_r", np.int64, (_PENDING,)),
        ("pending_known", np.int64, (_PENDING,)),  # the sample that found it
        ("pending_search_back", np.int64, (_PENDING,)),
        ("pending_context", np.float64, (_PENDING, CONTEXT)),
        ("shape", np.float64, (_CLUSTERS, WIDTH)),  # mV
        ("weight", np.float64, (_CLUSTERS,)),
        ("cluster_spread", np.float64, (_CLUSTERS,)),
        ("cluster_timing", np.float64, (_CLUSTERS,)),  # mean of rr_to_mean8
        ("last_likeness", np.float64),
        ("usual", np.float64, (5,)),  # running means over normal beats of what the ``_to_usual`` features compare
        ("usual_count", np.int64),
    ],
    align=True,
)

_NEVER: Final = -(1 << 40)


@kernel
def start(state):  # type: ignore[no-untyped-def]
    """Make a zeroed STATE record ready for its first sample."""
    state["last_r"] = _NEVER


@kernel
def write(state, display, leads, count):  # type: ignore[no-untyped-def]
    """Append a block of the display signal, (MAX_LEADS, capacity) mV, to the rings."""
    written = state["written"]
    for lead in range(leads):
        ring = state["ring"][lead]
        for i in range(count):
            ring[(written + i) % RING] = display[lead, i]
    state["written"] = written + count


@kernel
def use_lead(state, lead):  # type: ignore[no-untyped-def]
    """Place and name beats on another lead from now on; what was learnt of shapes is of no use there."""
    if lead == state["lead"]:
        return
    state["lead"] = lead
    state["polarity"] = 0.0
    state["beat_count"] = 0
    state["last_likeness"] = 0.0
    state["usual_count"] = 0
    for k in range(_CLUSTERS):
        state["weight"][k] = 0.0


@kernel
def _largest(state, low, peak, usual):  # type: ignore[no-untyped-def]
    """The largest deflection from `low` to `peak`, and its sign.

    One far from where R is `usual` counts less, and so does one against the usual polarity.
    """
    ring = state["ring"][state["lead"]]
    base = 0.0
    first = max(0, peak - 2 * _SEARCH)
    for i in range(first, peak + 1):
        base += np.float64(ring[i % RING])
    base /= peak + 1 - first
    best, best_value = peak, -1.0
    for i in range(low, peak + 1):
        value = np.float64(ring[i % RING]) - base
        if value * state["polarity"] < 0.0:
            value /= 1.0 + (_AGAINST - 1.0) * abs(state["polarity"])
        away = (i - usual) / (_EARLY_SPAN if i < usual else _LATE_SPAN)
        value /= 1.0 + away * away
        if abs(value) > best_value:
            best, best_value = i, abs(value)
    return best, 1.0 if np.float64(ring[best % RING]) > base else -1.0


@kernel
def _earliest(state, peak):  # type: ignore[no-untyped-def]
    """The first sample of display signal where the R peak that belongs to `peak` may lie."""
    return min(max(0, peak - _SEARCH, state["last_r"] + DISPLAY_DELAY + _CLOSEST), peak)


@kernel
def foresee(state, now):  # type: ignore[no-untyped-def]
    """Where the R peak lies whose energy still rises at sample `now`, on the clock of the unfiltered signal."""
    best, _ = _largest(state, _earliest(state, now), now, now - _TRIGGERED)
    return max(0, best - DISPLAY_DELAY)


@kernel
def place(state, peak):  # type: ignore[no-untyped-def]
    """Find the R peak that belongs to an energy peak, and learn its polarity.

    Args:
        state: a STATE record whose rings reach to `peak`.
        peak: sample of the detector's energy peak.

    Returns:
        The sample of the R peak, on the clock of the unfiltered signal.
    """
    best, sign = _largest(state, _earliest(state, peak), peak, peak - _USUALLY)
    state["polarity"] += 0.1 * (sign - state["polarity"])
    return max(0, best - DISPLAY_DELAY)


@kernel
def _mean_interval(state, most):  # type: ignore[no-untyped-def]
    count = min(state["interval_count"], most)
    if count == 0:
        return 0.0
    total = 0.0
    for i in range(count):
        total += state["intervals"][(state["interval_count"] - 1 - i) % _INTERVALS]
    return total / count


@kernel
def _log_ratio(a, b):  # type: ignore[no-untyped-def]
    if a <= 0.0 or b <= 0.0:
        return 0.0
    return min(max(log(a / b), -3.0), 3.0)


@kernel
def push(state, peak, known, search_back):  # type: ignore[no-untyped-def]
    """Take a detection: place R, note the RR context, wait for the window.

    Returns:
        The sample of the R peak.
    """
    r = place(state, peak)
    interval = 0.0
    if state["last_r"] != _NEVER:
        interval = min((r - state["last_r"]) / FS, 10.0)
    mean8 = _mean_interval(state, 8)
    total = state["interval_count"]
    slot = state["pending"]
    context = state["pending_context"][slot]
    context[0] = _log_ratio(interval, mean8)
    context[1] = _log_ratio(interval, _mean_interval(state, 40))
    context[2] = _log_ratio(interval, _mean_interval(state, 120))
    context[3] = _log_ratio(state["intervals"][(total - 1) % _INTERVALS], mean8) if total > 0 else 0.0
    context[4] = _log_ratio(state["intervals"][(total - 2) % _INTERVALS], mean8) if total > 1 else 0.0
    deviation = 0.0
    count = min(total, 8)
    for i in range(count):
        d = state["intervals"][(total - 1 - i) % _INTERVALS] - mean8
        deviation += d * d
    context[5] = sqrt(deviation / count) / mean8 if count > 1 else 0.0
    if interval > 0.0:
        state["intervals"][total % _INTERVALS] = interval
        state["interval_count"] = total + 1
    state["last_r"] = r
    state["pending_r"][slot] = r
    state["pending_known"][slot] = known
    state["pending_search_back"][slot] = search_back
    state["pending"] = slot + 1
    return r


@kernel
def forget_timing(state):  # type: ignore[no-untyped-def]
    """After missing signal the next interval is unknown: do not measure it."""
    state["last_r"] = _NEVER


@kernel
def _size(window):  # type: ignore[no-untyped-def]
    largest = 0.0
    for i in range(WIDTH):
        largest = max(largest, abs(window[i]))
    return max(largest, _SMALLEST)


@kernel
def _rms(values, low, high):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(low, high):
        value = np.float64(values[i])
        total += value * value
    return min(sqrt(total / (high - low)), 5.0)


@kernel
def _spread(window):  # type: ignore[no-untyped-def]
    """Spread of the squared slope within 150 ms of R, s."""
    reach = round(0.150 * FS) // STRIDE
    total, first = _EPSILON, 0.0
    for i in range(_R - reach, _R + reach):
        slope = window[i + 1] - window[i]
        total += slope * slope
        first += slope * slope * i
    centre = first / total
    second = 0.0
    for i in range(_R - reach, _R + reach):
        slope = window[i + 1] - window[i]
        second += slope * slope * (i - centre) * (i - centre)
    return sqrt(second / total) * STRIDE / FS


@kernel
def _fit(shape, window, reach, before, after):  # type: ignore[no-untyped-def]
    """Best correlation of a window with a shape over shifts up to `reach` points.

    Args:
        shape, window: (WIDTH,) mV.
        reach: points the shape may be shifted either way.
        before, after: points around R that are compared.

    Returns:
        The correlation, -1 to 1, and the shift of the shape in points.
    """
    low, high = _R - before, _R + after
    best, best_shift = -2.0, 0
    for shift in range(-reach, reach + 1):
        sx, sy, sxx, syy, sxy = 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(low, high):
            x, y = shape[i - shift], window[i]
            sx += x
            sy += y
            sxx += x * x
            syy += y * y
            sxy += x * y
        n = high - low
        vx, vy = sxx - sx * sx / n, syy - sy * sy / n
        r = (sxy - sx * sy / n) / sqrt(vx * vy) if vx > _EPSILON and vy > _EPSILON else 0.0
        if r > best:
            best, best_shift = r, shift
    return best, best_shift


@kernel
def _normal_cluster(state):  # type: ignore[no-untyped-def]
    """Number of the cluster that stands for the patient's normal beat; -1 before the third beat."""
    if state["beat_count"] < 3:
        return -1
    best, best_score = -1, 0.0
    for k in range(_CLUSTERS):
        score = state["weight"][k] / (state["cluster_spread"][k] * state["cluster_spread"][k] + 1e-6)
        if state["cluster_timing"][k] < -0.15:
            score *= 0.3
        if score > best_score:
            best, best_score = k, score
    return best


@kernel
def _join_cluster(state, window, spread, timing):  # type: ignore[no-untyped-def]
    """Add a beat to the cluster it resembles, or start one in the lightest cluster's place.

    Returns:
        The number of the cluster.
    """
    best, best_r, best_shift = -1, _ALIKE, 0
    size = _size(window)
    lightest = 0
    for k in range(_CLUSTERS):
        state["weight"][k] *= _MEMORY
        if state["weight"][k] < state["weight"][lightest]:
            lightest = k
        if state["weight"][k] > 0.0:
            r, shift = _fit(state["shape"][k], window, _SHIFT, _FIT_BEFORE, _FIT_AFTER)
            other = _size(state["shape"][k])
            if r > best_r and 0.5 < size / other < 2.0:
                best, best_r, best_shift = k, r, shift
    if best < 0:
        best = lightest
        state["weight"][best] = 1.0
        state["cluster_spread"][best] = spread
        state["cluster_timing"][best] = timing
        for i in range(WIDTH):
            state["shape"][best, i] = window[i]
        return best
    weight = state["weight"][best] + 1.0
    state["weight"][best] = weight
    rate = 1.0 / min(weight, 16.0)
    state["cluster_spread"][best] += rate * (spread - state["cluster_spread"][best])
    state["cluster_timing"][best] += rate * (timing - state["cluster_timing"][best])
    for i in range(max(0, -best_shift), min(WIDTH, WIDTH - best_shift)):
        state["shape"][best, i] += rate * (window[i + best_shift] - state["shape"][best, i])
    return best


@kernel
def _rule(likeness, timing, wider):  # type: ignore[no-untyped-def]
    """The kernel's own label: shape first, then timing."""
    if likeness < 0.5 or (likeness < 0.75 and (wider > 0.14 or timing < -0.16)):
        return RULE_V
    if timing < -0.16:
        return RULE_S
    return RULE_N


@kernel
def _cut(state, r, window):  # type: ignore[no-untyped-def]
    """Copy the window around `r` from the ring, its mean removed."""
    mean = 0.0
    for i in range(WIDTH):
        source = r + DISPLAY_DELAY - BEFORE + STRIDE * i
        window[i] = np.float64(state["ring"][state["lead"], source % RING]) if source >= 0 else 0.0
        mean += window[i]
    mean /= WIDTH
    for i in range(WIDTH):
        window[i] -= mean


@kernel
def pop(state, until, window, features, out):  # type: ignore[no-untyped-def]
    """Finish the oldest pending beat if its window is complete.

    Args:
        state: a STATE record.
        until: samples of display signal processed, this one not included.
        window: (2, WIDTH) float32, receives the channels, in units of the normal beat's amplitude.
        features: (len(FEATURES),) float32, receives the features.
        out: a BEAT record; `row` is left alone.

    Returns:
        Whether there was one.
    """
    if state["pending"] == 0:
        return False
    r = state["pending_r"][0]
    last = r + DISPLAY_DELAY + AFTER - 1
    if last >= until:
        return False
    raw = np.empty(WIDTH)
    _cut(state, r, raw)
    context = state["pending_context"][0]
    timing = context[0]
    normal = _normal_cluster(state)
    likeness, shift = 0.0, 0
    if normal >= 0:
        likeness, shift = _fit(state["shape"][normal], raw, _WIDE_SHIFT, _FIT_BEFORE, _FIT_AFTER)
        if likeness > _FITS and shift < 0:
            _cut(state, r + STRIDE * shift, raw)
            shift = 0
    spread = _spread(raw)
    size = _size(raw)
    normal_size, normal_spread = size, spread
    if normal >= 0:
        normal_size = _size(state["shape"][normal])
        normal_spread = state["cluster_spread"][normal]
    wider = _log_ratio(spread, normal_spread)
    rule = _rule(likeness, timing, wider) if normal >= 0 else RULE_N
    for i in range(WIDTH):
        window[0, i] = raw[i] / normal_size
        window[1, i] = 0.0
        if normal >= 0:
            source = min(max(i - shift, 0), WIDTH - 1)
            window[1, i] = (raw[i] - state["shape"][normal, source]) / normal_size
    for i in range(CONTEXT):
        features[i] = context[i]
    features[6] = likeness
    features[7] = state["last_likeness"]
    features[8] = 0.0
    if normal >= 0:
        features[8] = _fit(state["shape"][normal], raw, _SHIFT, _QRS, _QRS)[0]
    features[9] = _log_ratio(size, normal_size)
    features[10] = wider
    features[11] = _rms(window[1], 0, _R - _QRS)
    features[12] = _rms(window[1], _R - _QRS, _R + _QRS)
    features[13] = _rms(window[1], _R + _QRS, WIDTH)
    now = np.empty(5)
    now[0] = 1.0 - likeness + _UNSURE
    now[1] = np.float64(features[11]) + _UNSURE
    now[2] = np.float64(features[12]) + _UNSURE
    now[3] = np.float64(features[13]) + _UNSURE
    now[4] = abs(wider) + _UNSURE
    for k in range(5):
        features[14 + k] = _log_ratio(now[k], state["usual"][k]) if normal >= 0 else 0.0
    features[20] = 1.0 if rule == RULE_N else 0.0
    features[21] = 1.0 if rule == RULE_S else 0.0
    features[22] = 1.0 if rule == RULE_V else 0.0
    features[23] = min(state["beat_count"], 32) / 32.0
    out["sample"] = r
    out["emitted"] = max(last, state["pending_known"][0])
    out["search_back"] = state["pending_search_back"][0]
    out["rule"] = rule
    out["leads"] = 1
    state["last_likeness"] = likeness
    state["beat_count"] += 1
    if normal >= 0 and rule == RULE_N:
        state["usual_count"] += 1
        rate = 1.0 / min(state["usual_count"], 24)
        for k in range(5):
            state["usual"][k] += rate * (now[k] - state["usual"][k])
    normal_weight = state["weight"][normal] if normal >= 0 else 0.0
    joined = _join_cluster(state, raw, spread, timing)
    features[19] = min(state["weight"][joined] / normal_weight, 1.0) if normal_weight > 0.0 else 0.0
    pending = state["pending"] - 1
    state["pending"] = pending
    for i in range(pending):
        state["pending_r"][i] = state["pending_r"][i + 1]
        state["pending_known"][i] = state["pending_known"][i + 1]
        state["pending_search_back"][i] = state["pending_search_back"][i + 1]
        for j in range(CONTEXT):
            state["pending_context"][i, j] = state["pending_context"][i + 1, j]
    # An empty place holds zeros, so that equal states are equal bytes.
    state["pending_r"][pending] = 0
    state["pending_known"][pending] = 0
    state["pending_search_back"][pending] = 0
    for j in range(CONTEXT):
        state["pending_context"][pending, j] = 0.0
    return True
