"""From a detection to what the classifier sees: R placed, a window, the RR context, the running normal beat.

Everything here rests on the signal and on the kernel's own rule label, never on the network's output, so a data set
written once stays true whatever model follows.

- R is the largest deflection of the display signal in the 150 ms before the detector's energy peak, weighed by how near
  it lies to where R usually is: of the two large deflections of a ventricular beat annotators mark the earlier. One
  against the patient's usual polarity must be twice as large, so that a biphasic QRS keeps its R.
- The window lies around R or, where the running normal beat fits well up to 80 ms earlier, around that place. It
  takes every second sample (the display signal ends at 40 Hz), scaled by the amplitude of the patient's normal beat,
  beside the difference to that normal beat.
- Each lead has its own running normal beat: the heaviest of a few clusters of beats with alike shape; narrow, timely
  ones are preferred so that a bigeminal rhythm does not make a ventricular beat the patient's normal. A lead learns
  from every beat it can be analysed in, whichever lead comes first, and what it learnt outlasts its loss.
- The P wave of a beat is what lies before its QRS over the tail - T wave and baseline - of the beat before, which is
  learnt up to where the next P wave may begin: so an early P wave on a T wave shows.
- The features compare the beat with the same patient: intervals over 8 to 120 beats, shape and size with the normal
  beat. Absolute width, size and rate are left out on purpose: on DS1 they made networks learn patients instead of
  beats. So did intervals compared with the last 400 (leave-records-out S F1 60 with them, 66 without).
- Features of timing come first, then those of the first lead that can be analysed, then those of the second: what one
  lead has is the beginning of what two have.

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
"""Channels of a lead's window."""

CONTEXT_FEATURES: Final = (
    "rr_to_mean8",  # log of the interval before the beat over the mean of the 8 before it
    "rr_to_mean40",
    "rr_to_mean120",
    "rr_to_median8",  # over the median
    "rr_to_median40",
    "rr_to_median120",
    "rr_to_short40",  # over the shortest tenth of the last 40
    "rr_to_long40",  # over the longest tenth
    "rr_to_short120",
    "rr_to_long120",
    "rr_to_normal",  # over the running interval of beats that rule and timing call normal
    "rr_to_shortest8",
    "rr_to_longest8",
    "rr_to_previous",
    "previous_rr1",  # the intervals before it, over the median of 40
    "previous_rr2",
    "previous_rr3",
    "previous_rr4",
    "previous_rr5",
    "previous_rr6",
    "previous_rr7",
    "irregularity",  # standard deviation of the last 8 over their mean
    "change16",  # median change, log, between neighbouring intervals of the last 16
    "change64",
    "jumps16",  # share of them above a tenth
    "jumps64",
    "turns32",  # share of turning points
    "spread40",  # log of the upper over the lower quartile
    "reach40",  # log of the longest over the shortest tenth
    "spread120",
    "reach120",
    "early_run",  # early beats in a row before this one, 1 from 8 on
    "experience",  # beats seen, 1 from 32 on
)
"""Features of timing, the same whatever the leads."""

LEAD_FEATURES: Final = (
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
    "familiarity",  # weight of the beat's cluster over that of the normal beat, at most 1; 0 if it belongs to none
    "cluster_share",  # its weight among all
    "cluster_timing",  # mean timing of its beats
    "cluster_early",  # share of early beats in it
    "cluster_ventricular",  # share of beats in it that the rule calls V
    "cluster_spread",  # log of its QRS width over the normal beat's
    "cluster_likeness",  # correlation with the nearest cluster
    "cluster_to_normal",  # correlation of the cluster with the normal beat
    "normal_share",  # weight of the normal beat among all clusters
    "likeness_to_last",  # the beat before this one
    "size_to_last",
    "spread_to_last",
    "p_likeness",  # correlation of the P region, without the T before it, with the usual one
    "p_shift",  # where it fits best, -1 to 1
    "p_size",  # log of its rms over the usual
    "p_projection",  # how much of the usual P wave is in it
    "p_power",  # its rms over the normal amplitude
    "p_visible",  # log of the usual P wave's rms over that of what varies there
    "tail_difference",  # rms of what deforms the T and TP segment before it, over the normal amplitude
    "tail_difference_to_usual",
    "tail_bump",  # largest deflection of the P region over the normal amplitude
    "fusion_normal",  # the beat as a mixture of the normal and the ventricular one: shares of both,
    "fusion_ventricular",
    "fusion_rest",  # rms of the rest,
    "fusion_gain",  # and how much better that is than the better of the two alone
    "restless",  # log of the noise before the QRS over the usual
    "rule_n",  # the kernel's own label on this lead
    "rule_s",
    "rule_v",
)
"""Features of the shape, for each lead."""


def features_of(leads: int) -> tuple[str, ...]:
    """Names of the features of so many leads."""
    second = tuple(f"second_{name}" for name in LEAD_FEATURES) if leads > 1 else ()
    return CONTEXT_FEATURES + LEAD_FEATURES + second


def channels_of(leads: int) -> tuple[str, ...]:
    """Names of the window channels of so many leads."""
    return CHANNELS + (tuple(f"second_{name}" for name in CHANNELS) if leads > 1 else ())


CONTEXT: Final = len(CONTEXT_FEATURES)
LEAD: Final = len(LEAD_FEATURES)
FEATURES: Final = features_of(MAX_LEADS)

RULE_N, RULE_S, RULE_V = 0, 1, 2
RULE_CLASSES: Final = ("N", "S", "V")

RING: Final = 2048
"""Samples of display signal kept a lead: a search-back beat and a block fit."""

_BLOCK: Final = 512
"""More samples than the front end ever writes at a time."""
_PENDING: Final = 48
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

_SCALES: Final = np.array([8, 40, 120])
"""Beats over which intervals are compared."""
_MOST: Final = 120
_HISTORY: Final = 64  # changes of the interval that are kept
_MEASURES: Final = 13  # what is compared with what is usual for normal beats
_TAIL_FIRST: Final = round(0.150 * FS) // STRIDE  # points after R where the tail of a beat begins
_TAIL: Final = round(1.000 * FS) // STRIDE - _TAIL_FIRST
_P_FIRST: Final = -(round(0.260 * FS) // STRIDE)
_P_LAST: Final = -(round(0.060 * FS) // STRIDE)
_P: Final = _P_LAST - _P_FIRST
_P_SHIFT: Final = 5
_EARLY: Final = -0.12  # log of an interval over the usual, from which a beat is early
_TO_NORMAL: Final = CONTEXT_FEATURES.index("rr_to_normal")

LEAD_STATE: Final = np.dtype(
    [
        ("usable", np.int64),  # whether it can be analysed
        ("usable_since", np.int64),  # display sample
        ("beat_count", np.int64),
        ("shape", np.float64, (_CLUSTERS, WIDTH)),  # mV
        ("weight", np.float64, (_CLUSTERS,)),
        ("cluster_spread", np.float64, (_CLUSTERS,)),
        ("cluster_timing", np.float64, (_CLUSTERS,)),  # mean of rr_to_mean8
        ("cluster_early", np.float64, (_CLUSTERS,)),  # share of early beats
        ("cluster_ventricular", np.float64, (_CLUSTERS,)),  # share of beats ruled V
        ("last_likeness", np.float64),
        ("last", np.float64, (WIDTH,)),  # the beat before, mV
        ("last_spread", np.float64),
        ("last_r", np.int64),
        ("last_rule", np.int64),
        ("usual", np.float64, (_MEASURES,)),  # running means over normal beats, for the ``_to_usual`` features
        ("usual_count", np.int64),
        ("tail", np.float64, (_TAIL,)),  # running T wave and what follows, no P wave in it, mV
        ("tail_count", np.int64, (_TAIL,)),
        ("p", np.float64, (_P,)),  # running P wave of normal beats, mV
        ("p_count", np.int64),
        ("p_noise", np.float64),  # running rms of how beats differ from it, mV
    ],
    align=True,
)

STATE: Final = np.dtype(
    [
        ("ring", np.float32, (MAX_LEADS, RING)),  # display signal, mV
        ("leads", np.int64),
        ("lead", np.int64),  # the one that beats are placed on and named from
        ("written", np.int64),  # display samples so far
        ("last_r", np.int64),
        ("polarity", np.float64),  # running mean of the sign of R
        ("pending", np.int64),  # beats whose window is not complete, oldest first
        ("pending_r", np.int64, (_PENDING,)),
        ("pending_known", np.int64, (_PENDING,)),  # the sample that found it
        ("pending_search_back", np.int64, (_PENDING,)),
        ("pending_interval", np.float64, (_PENDING,)),  # s; 0 where unknown
        ("intervals", np.float64, (_MOST,)),  # s, a ring
        ("interval_count", np.int64),
        ("sorted", np.float64, (3, _MOST)),  # the last 8, 40 and 120, each in order
        ("changes", np.float64, (_HISTORY,)),  # absolute log change from interval to interval, a ring
        ("change_count", np.int64),
        ("beat_count", np.int64),
        ("normal_rr", np.float64),  # running interval between normal, timely beats, s
        ("early_run", np.int64),  # early beats in a row
        ("last_normal", np.int64),  # whether the rule called the last beat normal
        ("interval_known", np.int64),  # whether the beat in hand has an interval before it
        ("of_lead", LEAD_STATE, (MAX_LEADS,)),
    ],
    align=True,
)

_NEVER: Final = -(1 << 40)


@kernel
def start(state, leads):  # type: ignore[no-untyped-def]
    """Make a zeroed STATE record ready for its first sample."""
    state["last_r"] = _NEVER
    state["leads"] = leads
    for lead in range(leads):
        state["of_lead"][lead]["usable"] = 1
        state["of_lead"][lead]["last_r"] = _NEVER


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
def use_lead(state, lead, usable, at):  # type: ignore[no-untyped-def]
    """A lead can be analysed from now on, or cannot; R is placed on the first that can.

    What was learnt of its shapes stays for when it is back.
    """
    one = state["of_lead"][lead]
    if usable and not one["usable"]:
        one["usable_since"] = at
    if not usable:
        one["last_r"] = _NEVER
    one["usable"] = 1 if usable else 0
    for n in range(state["leads"]):
        if state["of_lead"][n]["usable"]:
            if n != state["lead"]:
                state["lead"] = n
                state["polarity"] = 0.0
            break


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
def _log_ratio(a, b):  # type: ignore[no-untyped-def]
    if a <= 0.0 or b <= 0.0:
        return 0.0
    return min(max(log(a / b), -3.0), 3.0)


@kernel
def push(state, peak, known, search_back):  # type: ignore[no-untyped-def]
    """Take a detection: place R, note the interval, wait for the window.

    Returns:
        The sample of the R peak.
    """
    r = place(state, peak)
    slot = state["pending"]
    interval = 0.0
    if state["last_r"] != _NEVER:
        interval = max(min((r - state["last_r"]) / FS, 10.0), 0.0)
    state["last_r"] = r
    state["pending_r"][slot] = r
    state["pending_known"][slot] = known
    state["pending_search_back"][slot] = search_back
    state["pending_interval"][slot] = interval
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
def _keep_interval(state, interval):  # type: ignore[no-untyped-def]
    """Add an interval to the ring and to each sorted window; drop what leaves the window."""
    total = state["interval_count"]
    for s in range(3):
        most = _SCALES[s]
        values = state["sorted"][s]
        count = min(total, most)
        if total >= most:
            old = state["intervals"][(total - most) % _MOST]
            i = 0
            while values[i] < old:
                i += 1
            for j in range(i, count - 1):
                values[j] = values[j + 1]
            count -= 1
        i = count
        while i > 0 and values[i - 1] > interval:
            values[i] = values[i - 1]
            i -= 1
        values[i] = interval
    if total > 0:
        before = state["intervals"][(total - 1) % _MOST]
        state["changes"][state["change_count"] % _HISTORY] = abs(log(interval / before))
        state["change_count"] += 1
    state["intervals"][total % _MOST] = interval
    state["interval_count"] = total + 1


@kernel
def _quantile(state, scale, share):  # type: ignore[no-untyped-def]
    count = min(state["interval_count"], _SCALES[scale])
    if count == 0:
        return 0.0
    at = share * (count - 1)
    low = int(at)
    high = min(low + 1, count - 1)
    values = state["sorted"][scale]
    return values[low] + (at - low) * (values[high] - values[low])


@kernel
def _past(state, back):  # type: ignore[no-untyped-def]
    """The interval so many before; 0 where there is none."""
    total = state["interval_count"]
    return state["intervals"][(total - back) % _MOST] if total >= back and back <= _MOST else 0.0


@kernel
def _mean(state, most):  # type: ignore[no-untyped-def]
    count = min(state["interval_count"], most)
    if count == 0:
        return 0.0
    total = 0.0
    for i in range(1, count + 1):
        total += _past(state, i)
    return total / count


@kernel
def _changes(state, most):  # type: ignore[no-untyped-def]
    """Median change, log, between neighbouring intervals of the last so many, and the share above a tenth."""
    count = min(state["change_count"], most)
    if count == 0:
        return 0.0, 0.0
    values = np.empty(count)
    jumps = 0
    for i in range(count):
        values[i] = state["changes"][(state["change_count"] - 1 - i) % _HISTORY]
        if values[i] > 0.1:
            jumps += 1
    values.sort()
    return 0.5 * (values[(count - 1) // 2] + values[count // 2]), jumps / count


@kernel
def _context(state, interval, f):  # type: ignore[no-untyped-def]
    """Fill in the features of timing; `state` knows nothing of this beat yet."""
    mean8 = _mean(state, 8)
    median40 = _quantile(state, 1, 0.5)
    f[0] = _log_ratio(interval, mean8)
    f[1] = _log_ratio(interval, _mean(state, 40))
    f[2] = _log_ratio(interval, _mean(state, 120))
    f[3] = _log_ratio(interval, _quantile(state, 0, 0.5))
    f[4] = _log_ratio(interval, median40)
    f[5] = _log_ratio(interval, _quantile(state, 2, 0.5))
    for s in range(1, 3):
        f[4 + 2 * s] = _log_ratio(interval, _quantile(state, s, 0.1))
        f[5 + 2 * s] = _log_ratio(interval, _quantile(state, s, 0.9))
    f[10] = _log_ratio(interval, state["normal_rr"])
    f[11] = _log_ratio(interval, _quantile(state, 0, 0.0))
    f[12] = _log_ratio(interval, _quantile(state, 0, 1.0))
    f[13] = _log_ratio(interval, _past(state, 1))
    for k in range(7):
        f[14 + k] = _log_ratio(_past(state, k + 1), median40)
    deviation = 0.0
    count = min(state["interval_count"], 8)
    for i in range(count):
        d = _past(state, i + 1) - mean8
        deviation += d * d
    f[21] = sqrt(deviation / count) / mean8 if count > 1 else 0.0
    f[22], f[24] = _changes(state, 16)
    f[23], f[25] = _changes(state, 64)
    turns, count = 0, min(state["interval_count"], 32) - 2
    for i in range(1, count + 1):
        a, b, c = _past(state, i), _past(state, i + 1), _past(state, i + 2)
        if (b > a and b > c) or (b < a and b < c):
            turns += 1
    f[26] = turns / count if count > 0 else 0.0
    for s in range(1, 3):
        f[25 + 2 * s] = _log_ratio(_quantile(state, s, 0.75), _quantile(state, s, 0.25))
        f[26 + 2 * s] = _log_ratio(_quantile(state, s, 0.9), _quantile(state, s, 0.1))
    f[31] = min(state["early_run"], 8) / 8.0
    f[32] = min(state["beat_count"], 32) / 32.0


@kernel
def _normal_cluster(one):  # type: ignore[no-untyped-def]
    """Number of the cluster that stands for the patient's normal beat; -1 before the third beat."""
    if one["beat_count"] < 3:
        return -1
    best, best_score = -1, 0.0
    for k in range(_CLUSTERS):
        score = one["weight"][k] / (one["cluster_spread"][k] * one["cluster_spread"][k] + 1e-6)
        if one["cluster_timing"][k] < -0.15:
            score *= 0.3
        if score > best_score:
            best, best_score = k, score
    return best


@kernel
def _ventricular_cluster(one, normal):  # type: ignore[no-untyped-def]
    best, best_weight = -1, 1.5
    for k in range(_CLUSTERS):
        if k != normal and one["cluster_ventricular"][k] > 0.6 and one["weight"][k] > best_weight:
            best, best_weight = k, one["weight"][k]
    return best


@kernel
def _nearest_cluster(one, window):  # type: ignore[no-untyped-def]
    """The cluster a window resembles most: its number, likeness and shift; -1 where there is none.

    One whose size is not within a factor of two does not count.
    """
    best, best_r, best_shift = -1, -2.0, 0
    size = _size(window)
    for k in range(_CLUSTERS):
        if one["weight"][k] > 0.0:
            other = _size(one["shape"][k])
            if 0.5 < size / other < 2.0:
                r, shift = _fit(one["shape"][k], window, _SHIFT, _FIT_BEFORE, _FIT_AFTER)
                if r > best_r:
                    best, best_r, best_shift = k, r, shift
    return best, best_r, best_shift


@kernel
def _join(one, window, spread, timing, rule, nearest, likeness, shift):  # type: ignore[no-untyped-def]
    """Add a beat to the cluster it resembles, or start one in the lightest cluster's place."""
    lightest = 0
    for k in range(_CLUSTERS):
        one["weight"][k] *= _MEMORY
        if one["weight"][k] < one["weight"][lightest]:
            lightest = k
    early = 1.0 if timing < _EARLY else 0.0
    ventricular = 1.0 if rule == RULE_V else 0.0
    if nearest < 0 or likeness <= _ALIKE:
        best = lightest
        one["weight"][best] = 1.0
        one["cluster_spread"][best] = spread
        one["cluster_timing"][best] = timing
        one["cluster_early"][best] = early
        one["cluster_ventricular"][best] = ventricular
        for i in range(WIDTH):
            one["shape"][best, i] = window[i]
        return
    best = nearest
    weight = one["weight"][best] + 1.0
    one["weight"][best] = weight
    rate = 1.0 / min(weight, 16.0)
    one["cluster_spread"][best] += rate * (spread - one["cluster_spread"][best])
    one["cluster_timing"][best] += rate * (timing - one["cluster_timing"][best])
    one["cluster_early"][best] += rate * (early - one["cluster_early"][best])
    one["cluster_ventricular"][best] += rate * (ventricular - one["cluster_ventricular"][best])
    for i in range(max(0, -shift), min(WIDTH, WIDTH - shift)):
        one["shape"][best, i] += rate * (window[i + shift] - one["shape"][best, i])


@kernel
def _rule(likeness, timing, wider):  # type: ignore[no-untyped-def]
    """The kernel's own label: shape first, then timing."""
    if likeness < 0.5 or (likeness < 0.75 and (wider > 0.14 or timing < -0.16)):
        return RULE_V
    if timing < -0.16:
        return RULE_S
    return RULE_N


@kernel
def _at(ring, r, point):  # type: ignore[no-untyped-def]
    """Display signal so many window points from R."""
    source = r + DISPLAY_DELAY + STRIDE * point
    return np.float64(ring[source % RING]) if source >= 0 else 0.0


@kernel
def _cut(ring, r, window):  # type: ignore[no-untyped-def]
    """Copy the window around `r` from the ring, its mean removed."""
    mean = 0.0
    for i in range(WIDTH):
        window[i] = _at(ring, r, i - _R)
        mean += window[i]
    mean /= WIDTH
    for i in range(WIDTH):
        window[i] -= mean


@kernel
def _projection(shape, window, shift, low, high):  # type: ignore[no-untyped-def]
    """How much of a shape is in a window: the factor that fits best, -3 to 3."""
    mx, my = 0.0, 0.0
    for i in range(low, high):
        mx += shape[i - shift]
        my += window[i]
    mx /= high - low
    my /= high - low
    xx, xy = _EPSILON, 0.0
    for i in range(low, high):
        x = shape[i - shift] - mx
        xx += x * x
        xy += x * (window[i] - my)
    return min(max(xy / xx, -3.0), 3.0)


@kernel
def _level(ring, r):  # type: ignore[no-untyped-def]
    """The isoelectric level before the QRS of `r`, mV."""
    low, high = -(round(0.090 * FS) // STRIDE), -(round(0.060 * FS) // STRIDE)
    total = 0.0
    for i in range(low, high):
        total += _at(ring, r, i)
    return total / (high - low)


@kernel
def _tail_residual(one, ring, r, last_r, p):  # type: ignore[no-untyped-def]
    """What lies in the P region over what the tail of the beat before leaves there.

    Args:
        p: (_P,) receives it, mV, its trend removed.

    Returns:
        The rms of what deforms the T wave before it and the P region, mV.
    """
    interval = (r - last_r) // STRIDE if last_r != _NEVER else 1 << 20
    for i in range(_P):
        phase = interval + _P_FIRST + i - _TAIL_FIRST
        expected = one["tail"][min(max(phase, 0), _TAIL - 1)]
        p[i] = _at(ring, r, _P_FIRST + i) - expected
    ends = 4
    a, b = 0.0, 0.0
    for i in range(ends):
        a += p[i]
        b += p[_P - 1 - i]
    a /= ends
    b /= ends
    for i in range(_P):
        p[i] -= a + (b - a) * (i - 1.5) / (_P - ends)
    # from 150 ms after the beat before to the P region's end
    total, first, count = 0.0, 0.0, 0
    if last_r == _NEVER:
        return 0.0
    low = max(_TAIL_FIRST, interval - round(0.400 * FS) // STRIDE)
    high = min(interval + _P_LAST, _TAIL + _TAIL_FIRST)
    for phase in range(low, high):
        value = _at(ring, last_r, phase) - one["tail"][phase - _TAIL_FIRST]
        first += value
        total += value * value
        count += 1
    if count < 8:
        return 0.0
    return sqrt(max(total / count - (first / count) * (first / count), 0.0))


@kernel
def _learn_tail(one, ring, r, last_r):  # type: ignore[no-untyped-def]
    """Learn what follows a normal beat until the next P wave may begin."""
    interval = (r - last_r) // STRIDE
    level = _level(ring, last_r)
    until = min(interval - round(0.300 * FS) // STRIDE, _TAIL + _TAIL_FIRST)
    value = 0.0
    for phase in range(_TAIL_FIRST, until):
        i = phase - _TAIL_FIRST
        count = min(one["tail_count"][i] + 1, 16)
        one["tail_count"][i] = count
        one["tail"][i] += (_at(ring, last_r, phase) - level - one["tail"][i]) / count
        value = one["tail"][i]
    for i in range(max(until - _TAIL_FIRST, 0), _TAIL):
        if one["tail_count"][i] == 0:
            one["tail"][i] = value


@kernel
def _p_fit(one, p):  # type: ignore[no-untyped-def]
    """Correlation of a P region with the running normal one, its shift, projection and rms."""
    best, best_shift, best_projection = -2.0, 0, 0.0
    total = 0.0
    for i in range(_P):
        total += p[i] * p[i]
    for shift in range(-_P_SHIFT, _P_SHIFT + 1):
        xx, yy, xy = _EPSILON, _EPSILON, 0.0
        for i in range(max(0, shift), min(_P, _P + shift)):
            x, y = one["p"][i - shift], p[i]
            xx += x * x
            yy += y * y
            xy += x * y
        r = xy / sqrt(xx * yy)
        if r > best:
            best, best_shift, best_projection = r, shift, xy / xx
    return best, best_shift, min(max(best_projection, -3.0), 3.0), sqrt(total / _P)


@kernel
def _fusion(normal, other, window):  # type: ignore[no-untyped-def]
    """The beat as a mixture of the normal and the ventricular beat.

    Returns:
        The share of each and the rms of the rest over that of the beat.
    """
    low, high = _R - _QRS, _R + _FIT_AFTER
    n = high - low
    ma, mb, mx = 0.0, 0.0, 0.0
    for i in range(low, high):
        ma += normal[i]
        mb += other[i]
        mx += window[i]
    ma /= n
    mb /= n
    mx /= n
    aa, ab, bb, ax, bx, xx = _EPSILON, 0.0, _EPSILON, 0.0, 0.0, _EPSILON
    for i in range(low, high):
        a, b, x = normal[i] - ma, other[i] - mb, window[i] - mx
        aa += a * a
        ab += a * b
        bb += b * b
        ax += a * x
        bx += b * x
        xx += x * x
    determinant = aa * bb - ab * ab
    if determinant < 0.02 * aa * bb:
        return 0.0, 0.0, 1.0, 0.0
    u, v = (ax * bb - bx * ab) / determinant, (bx * aa - ax * ab) / determinant
    rest = max(xx - u * ax - v * bx, 0.0) / xx
    alone = min(max(xx - ax * ax / aa, 0.0), max(xx - bx * bx / bb, 0.0)) / xx
    return min(max(u, -2.0), 2.0), min(max(v, -2.0), 2.0), sqrt(rest), sqrt(alone) - sqrt(rest)


@kernel
def _name_on(state, lead, r, timing, learn, window, f):  # type: ignore[no-untyped-def]
    """Compare a beat with what one lead has seen, fill in its channels and features, and learn from it.

    Args:
        state: a STATE record.
        lead: its number.
        r: sample of the R peak.
        timing: log of the beat's interval over the usual one.
        learn: whether the lead is fit to be learnt from.
        window: (len(CHANNELS), WIDTH) float32.
        f: (LEAD,) float32.

    Returns:
        The rule's label.
    """
    one = state["of_lead"][lead]
    ring = state["ring"][lead]
    raw = np.empty(WIDTH)
    _cut(ring, r, raw)
    normal = _normal_cluster(one)
    likeness, shift = 0.0, 0
    if normal >= 0:
        likeness, shift = _fit(one["shape"][normal], raw, _WIDE_SHIFT, _FIT_BEFORE, _FIT_AFTER)
        if likeness > _FITS and shift < 0:
            r += STRIDE * shift
            _cut(ring, r, raw)
            shift = 0
    spread, size = _spread(raw), _size(raw)
    nearest, near_likeness, near_shift = _nearest_cluster(one, raw)
    slope, area, up, down, restless = _EPSILON, _EPSILON, 0.01, 0.01, 1e-3
    for i in range(_R - _QRS, _R + _QRS):
        slope = max(slope, abs(raw[i + 1] - raw[i]))
        area += abs(raw[i])
        up = max(up, raw[i])
        down = max(down, -raw[i])
    for i in range(2, _R - _QRS):
        d = raw[i] - 0.5 * (raw[i - 2] + raw[i + 2])
        restless += d * d
    restless = sqrt(restless / (_R - _QRS))
    p = np.empty(_P)
    emitted = max(r + DISPLAY_DELAY + AFTER - 1, state["pending_known"][0])
    held = one["last_r"] + DISPLAY_DELAY - BEFORE > emitted + _BLOCK - RING  # wherever messages end
    last_r = one["last_r"] if state["interval_known"] and held else _NEVER
    deformed = _tail_residual(one, ring, r, last_r, p)
    p_likeness, p_shift, p_projection, p_rms = _p_fit(one, p)
    for i in range(WIDTH):
        window[1, i] = 0.0
    normal_size, normal_spread = size, spread
    if normal >= 0:
        shape = one["shape"][normal]
        normal_size, normal_spread = _size(shape), one["cluster_spread"][normal]
        for i in range(WIDTH):
            source = min(max(i - shift, 0), WIDTH - 1)
            window[1, i] = (raw[i] - shape[source]) / normal_size
    for i in range(WIDTH):
        window[0, i] = raw[i] / normal_size
    wider = _log_ratio(spread, normal_spread)
    rule = _rule(likeness, timing, wider) if normal >= 0 else RULE_N
    for i in range(LEAD):
        f[i] = 0.0
    now = np.empty(_MEASURES)
    now[0] = 1.0 - likeness + _UNSURE
    now[1] = _rms(window[1], 0, _R - _QRS) + _UNSURE
    now[2] = _rms(window[1], _R - _QRS, _R + _QRS) + _UNSURE
    now[3] = _rms(window[1], _R + _QRS, WIDTH) + _UNSURE
    now[4] = abs(wider) + _UNSURE
    now[5] = size
    now[6] = slope
    now[7] = area
    now[8] = up
    now[9] = down
    now[10] = p_rms + 0.005
    now[11] = deformed + 0.005
    now[12] = restless
    f[0] = likeness
    f[1] = one["last_likeness"]
    if normal >= 0:
        shape = one["shape"][normal]
        f[2] = _fit(shape, raw, _SHIFT, _QRS, _QRS)[0]
        f[3] = _fit(shape, raw, _SHIFT, -_QRS, _FIT_AFTER)[0]
        f[4] = _log_ratio(size, normal_size)
        f[5] = wider
        f[6] = now[1] - _UNSURE
        f[7] = now[2] - _UNSURE
        f[8] = now[3] - _UNSURE
        small = min(max(shift, -_SHIFT), _SHIFT)
        f[9] = _projection(shape, raw, small, _R - _QRS, _R + _QRS)
        f[10] = _projection(shape, raw, small, _R + _QRS, WIDTH - _SHIFT)
        for k in range(10):
            f[11 + k] = _log_ratio(now[k], one["usual"][k])
        total = 0.0
        for k in range(_CLUSTERS):
            total += one["weight"][k]
        if nearest >= 0 and near_likeness > _ALIKE:
            f[21] = min(one["weight"][nearest] / one["weight"][normal], 1.0)
            f[22] = one["weight"][nearest] / total
            f[23] = one["cluster_timing"][nearest]
            f[24] = one["cluster_early"][nearest]
            f[25] = one["cluster_ventricular"][nearest]
            f[26] = _log_ratio(one["cluster_spread"][nearest], normal_spread)
            f[28] = _fit(one["shape"][normal], one["shape"][nearest], _SHIFT, _FIT_BEFORE, _FIT_AFTER)[0]
        f[27] = max(near_likeness, -1.0)
        f[29] = one["weight"][normal] / total
        f[30] = _fit(one["last"], raw, _SHIFT, _FIT_BEFORE, _FIT_AFTER)[0]
        f[31] = _log_ratio(size, _size(one["last"]))
        f[32] = _log_ratio(spread, one["last_spread"])
        if one["p_count"] > 2:
            usual_p = 0.0
            for i in range(_P):
                usual_p += one["p"][i] * one["p"][i]
            usual_p = sqrt(usual_p / _P)
            f[33] = p_likeness
            f[34] = p_shift / _P_SHIFT
            f[35] = _log_ratio(now[10], one["usual"][10])
            f[36] = p_projection
            f[37] = p_rms / normal_size
            f[38] = _log_ratio(usual_p + 0.002, one["p_noise"] + 0.002)
            f[39] = deformed / normal_size
            f[40] = _log_ratio(now[11], one["usual"][11])
            bump = 0.0
            for i in range(_P):
                bump = max(bump, abs(p[i]))
            f[41] = bump / normal_size
        other = _ventricular_cluster(one, normal)
        if other >= 0:
            f[42], f[43], f[44], f[45] = _fusion(shape, one["shape"][other], raw)
        else:
            f[44] = 1.0
        f[46] = _log_ratio(restless, one["usual"][12])
    f[47] = 1.0 if rule == RULE_N else 0.0
    f[48] = 1.0 if rule == RULE_S else 0.0
    f[49] = 1.0 if rule == RULE_V else 0.0

    if not learn:
        return rule
    one["beat_count"] += 1
    if normal >= 0 and rule == RULE_N:
        one["usual_count"] += 1
        rate = 1.0 / min(one["usual_count"], 24)
        for k in range(_MEASURES):
            one["usual"][k] += rate * (now[k] - one["usual"][k])
        if last_r != _NEVER and one["last_rule"] == RULE_N:
            one["p_count"] += 1
            rate = 1.0 / min(one["p_count"], 32)
            away = 0.0
            for i in range(_P):
                d = p[i] - one["p"][i]
                away += d * d
                one["p"][i] += rate * d
            one["p_noise"] += rate * (sqrt(away / _P) - one["p_noise"])
    if last_r != _NEVER and one["last_rule"] == RULE_N and normal >= 0:
        _learn_tail(one, ring, r, last_r)
    _join(one, raw, spread, timing, rule, nearest, near_likeness, near_shift)
    one["last_likeness"] = likeness
    one["last_spread"] = spread
    one["last_r"] = r
    one["last_rule"] = rule
    for i in range(WIDTH):
        one["last"][i] = raw[i]
    return rule


@kernel
def _usable(state, lead, r):  # type: ignore[no-untyped-def]
    one = state["of_lead"][lead]
    return one["usable"] and one["usable_since"] <= max(r + DISPLAY_DELAY - BEFORE, 0)


@kernel
def pop(state, until, window, features, out):  # type: ignore[no-untyped-def]
    """Finish the oldest pending beat if its window is complete.

    Args:
        state: a STATE record.
        until: samples of display signal processed, this one not included.
        window: (MAX_LEADS * len(CHANNELS), WIDTH) float32, receives the channels, in units of
            the normal beat's amplitude.
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
    interval = state["pending_interval"][0]
    state["interval_known"] = 1 if interval > 0.0 else 0
    _context(state, interval, features)
    timing = np.float64(features[0])
    leads = 0
    rule = RULE_N
    channels = len(CHANNELS)
    for lead in range(state["leads"]):
        if _usable(state, lead, r):
            w = window[leads * channels : (leads + 1) * channels]
            f = features[CONTEXT + leads * LEAD : CONTEXT + (leads + 1) * LEAD]
            here = _name_on(state, lead, r, timing, True, w, f)
            if leads == 0:
                rule = here
            leads += 1
    if leads == 0:  # announced while all are lost, or just after: the lead R was placed on has to do
        w, f = window[:channels], features[CONTEXT : CONTEXT + LEAD]
        rule = _name_on(state, state["lead"], r, timing, False, w, f)
        leads = 1
    for i in range(leads * channels, MAX_LEADS * channels):
        window[i] = 0.0
    features[CONTEXT + leads * LEAD :] = 0.0
    out["sample"] = r
    out["emitted"] = max(last, state["pending_known"][0])
    out["search_back"] = state["pending_search_back"][0]
    out["rule"] = rule
    out["leads"] = leads
    early = timing < _EARLY
    if rule == RULE_N and interval > 0.0 and not early and state["last_normal"]:
        near = state["normal_rr"]
        if near == 0.0:
            state["normal_rr"] = interval
        else:
            state["normal_rr"] += 0.1 * (min(interval, 1.5 * near) - near)
    state["last_normal"] = 1 if rule == RULE_N else 0
    state["early_run"] = state["early_run"] + 1 if np.float64(features[_TO_NORMAL]) < _EARLY else 0
    state["beat_count"] += 1
    if interval > 0.0:
        _keep_interval(state, interval)
    pending = state["pending"] - 1
    state["pending"] = pending
    for i in range(pending):
        state["pending_r"][i] = state["pending_r"][i + 1]
        state["pending_known"][i] = state["pending_known"][i + 1]
        state["pending_search_back"][i] = state["pending_search_back"][i + 1]
        state["pending_interval"][i] = state["pending_interval"][i + 1]
    # An empty place holds zeros, so that equal states are equal bytes.
    state["pending_r"][pending] = 0
    state["pending_known"][pending] = 0
    state["pending_search_back"][pending] = 0
    state["pending_interval"][pending] = 0.0
    return True
