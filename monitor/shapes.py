"""What a lead shows of a beat: its window, and the features that compare it with the same patient's beats.

- The window lies around R or, where the running normal beat fits well up to 80 ms earlier, around that place. It
  takes every second sample (the display signal ends at 40 Hz), scaled by the amplitude of the patient's normal beat,
  beside the difference to that normal beat.
- Each lead has its own running normal beat: the heaviest of a few clusters of beats with alike shape; narrow, timely
  ones are preferred so that a bigeminal rhythm does not make a ventricular beat the patient's normal.
- The P wave of a beat is what lies before its QRS over the tail - T wave and baseline - of the beat before, which is
  learnt up to where the next P wave may begin: so an early P wave on a T wave shows.
- Absolute width, size and rate are left out on purpose: on DS1 they made networks learn patients instead of beats.

Source: running normal beat and its difference: as open rule-based classifiers keep them (Hamilton 2002, Open Source
ECG Analysis).
"""

from __future__ import annotations

from math import sqrt
from typing import Final

import numpy as np

from monitor.ecg import FS
from monitor.filters import DISPLAY_DELAY
from monitor.kernel import kernel
from monitor.timing import EARLY, log_ratio

BEFORE: Final = round(0.300 * FS)
AFTER: Final = round(0.400 * FS)
STRIDE: Final = 2
WIDTH: Final = (BEFORE + AFTER) // STRIDE
"""Points in a window, 180 Hz."""

CHANNELS: Final = ("beat", "difference")
"""Channels of a lead's window."""

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
    "rough",  # log of the same before and after the QRS over the normal amplitude
    "drift",  # how far the level moves from the window's beginning to its end, over the normal amplitude
    "rule_n",  # the kernel's own label on this lead
    "rule_s",
    "rule_v",
)
"""Features of the shape, for each lead."""

LEAD: Final = len(LEAD_FEATURES)

RULE_N, RULE_S, RULE_V = 0, 1, 2
RULE_CLASSES: Final = ("N", "S", "V")

RING: Final = 2048
"""Samples of display signal kept a lead: a search-back beat and a block fit."""

BLOCK: Final = 512
"""More samples than the front end ever writes at a time."""
NEVER: Final = -(1 << 40)
"""The sample of a beat that there was not."""

_CLUSTERS: Final = 6
_MEMORY: Final = 0.996  # of a cluster's weight, a beat: half is forgotten in 170 beats
_R: Final = BEFORE // STRIDE  # the point of R in a window
_FIT_BEFORE: Final = round(0.180 * FS) // STRIDE
_FIT_AFTER: Final = round(0.250 * FS) // STRIDE
_QRS: Final = round(0.080 * FS) // STRIDE
_SHIFT: Final = 3  # window points a shape may be shifted to fit
_WIDE_SHIFT: Final = round(0.080 * FS) // STRIDE  # the same for the patient's normal beat
_FITS: Final = 0.80  # likeness from which the window follows the normal beat
_ALIKE: Final = 0.90
_SMALLEST: Final = 0.05  # mV; amplitudes below are taken as this
_EPSILON: Final = 1e-9
_UNSURE: Final = 0.01  # differences below this are not told apart
_MEASURES: Final = 13  # what is compared with what is usual for normal beats
_ENDS: Final = 8  # points at the window's ends
_ROUGH: Final = 0.05  # of the normal amplitude: noise that is plain to see
_TAUGHT: Final = 8  # beats after which a lead learns by what a beat is worth, but never less than...
_LEAST_WORTH: Final = 0.05
_TAIL_FIRST: Final = round(0.150 * FS) // STRIDE  # points after R where the tail of a beat begins
_TAIL: Final = round(1.000 * FS) // STRIDE - _TAIL_FIRST
_P_FIRST: Final = -(round(0.260 * FS) // STRIDE)
_P_LAST: Final = -(round(0.060 * FS) // STRIDE)
_P: Final = _P_LAST - _P_FIRST
_P_SHIFT: Final = 5

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
def fit(shape, window, reach, before, after):  # type: ignore[no-untyped-def]
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
                r, shift = fit(one["shape"][k], window, _SHIFT, _FIT_BEFORE, _FIT_AFTER)
                if r > best_r:
                    best, best_r, best_shift = k, r, shift
    return best, best_r, best_shift


@kernel
def _join(one, window, spread, timing, rule, worth, nearest, likeness, shift):  # type: ignore[no-untyped-def]
    """Add a beat to the cluster it resembles, or start one in the lightest cluster's place."""
    lightest = 0
    memory = 1.0 - worth * (1.0 - _MEMORY)
    for k in range(_CLUSTERS):
        one["weight"][k] *= memory
        if one["weight"][k] < one["weight"][lightest]:
            lightest = k
    early = 1.0 if timing < EARLY else 0.0
    ventricular = 1.0 if rule == RULE_V else 0.0
    if nearest < 0 or likeness <= _ALIKE:
        best = lightest
        one["weight"][best] = worth
        one["cluster_spread"][best] = spread
        one["cluster_timing"][best] = timing
        one["cluster_early"][best] = early
        one["cluster_ventricular"][best] = ventricular
        for i in range(WIDTH):
            one["shape"][best, i] = window[i]
        return
    best = nearest
    weight = one["weight"][best] + worth
    one["weight"][best] = weight
    rate = worth / min(weight, 16.0)
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
    interval = (r - last_r) // STRIDE if last_r != NEVER else 1 << 20
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
    if last_r == NEVER:
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
def _learn_tail(one, ring, r, last_r, worth):  # type: ignore[no-untyped-def]
    """Learn what follows a normal beat until the next P wave may begin."""
    interval = (r - last_r) // STRIDE
    level = _level(ring, last_r)
    until = min(interval - round(0.300 * FS) // STRIDE, _TAIL + _TAIL_FIRST)
    value = 0.0
    for phase in range(_TAIL_FIRST, until):
        i = phase - _TAIL_FIRST
        count = min(one["tail_count"][i] + 1, 16)
        one["tail_count"][i] = count
        one["tail"][i] += worth * (_at(ring, last_r, phase) - level - one["tail"][i]) / count
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
    _cut(ring, r, raw)
    normal = _normal_cluster(one)
    likeness, shift = 0.0, 0
    if normal >= 0:
        likeness, shift = fit(one["shape"][normal], raw, _WIDE_SHIFT, _FIT_BEFORE, _FIT_AFTER)
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
    rough = restless
    for i in range(_R + _QRS + 1, WIDTH - 2):
        d = raw[i] - 0.5 * (raw[i - 2] + raw[i + 2])
        rough += d * d
    restless = sqrt(restless / (_R - _QRS))
    p = np.empty(_P)
    emitted = max(r + DISPLAY_DELAY + AFTER - 1, known)
    held = one["last_r"] + DISPLAY_DELAY - BEFORE > emitted + BLOCK - RING  # wherever messages end
    last_r = one["last_r"] if timed and held else NEVER
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
    wider = log_ratio(spread, normal_spread)
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
        f[2] = fit(shape, raw, _SHIFT, _QRS, _QRS)[0]
        f[3] = fit(shape, raw, _SHIFT, -_QRS, _FIT_AFTER)[0]
        f[4] = log_ratio(size, normal_size)
        f[5] = wider
        f[6] = now[1] - _UNSURE
        f[7] = now[2] - _UNSURE
        f[8] = now[3] - _UNSURE
        small = min(max(shift, -_SHIFT), _SHIFT)
        f[9] = _projection(shape, raw, small, _R - _QRS, _R + _QRS)
        f[10] = _projection(shape, raw, small, _R + _QRS, WIDTH - _SHIFT)
        for k in range(10):
            f[11 + k] = log_ratio(now[k], one["usual"][k])
        total = 0.0
        for k in range(_CLUSTERS):
            total += one["weight"][k]
        if nearest >= 0 and near_likeness > _ALIKE:
            f[21] = min(one["weight"][nearest] / one["weight"][normal], 1.0)
            f[22] = one["weight"][nearest] / total
            f[23] = one["cluster_timing"][nearest]
            f[24] = one["cluster_early"][nearest]
            f[25] = one["cluster_ventricular"][nearest]
            f[26] = log_ratio(one["cluster_spread"][nearest], normal_spread)
            f[28] = fit(one["shape"][normal], one["shape"][nearest], _SHIFT, _FIT_BEFORE, _FIT_AFTER)[0]
        f[27] = max(near_likeness, -1.0)
        f[29] = one["weight"][normal] / total
        f[30] = fit(one["last"], raw, _SHIFT, _FIT_BEFORE, _FIT_AFTER)[0]
        f[31] = log_ratio(size, _size(one["last"]))
        f[32] = log_ratio(spread, one["last_spread"])
        if one["p_count"] > 2:
            usual_p = 0.0
            for i in range(_P):
                usual_p += one["p"][i] * one["p"][i]
            usual_p = sqrt(usual_p / _P)
            f[33] = p_likeness
            f[34] = p_shift / _P_SHIFT
            f[35] = log_ratio(now[10], one["usual"][10])
            f[36] = p_projection
            f[37] = p_rms / normal_size
            f[38] = log_ratio(usual_p + 0.002, one["p_noise"] + 0.002)
            f[39] = deformed / normal_size
            f[40] = log_ratio(now[11], one["usual"][11])
            bump = 0.0
            for i in range(_P):
                bump = max(bump, abs(p[i]))
            f[41] = bump / normal_size
        other = _ventricular_cluster(one, normal)
        if other >= 0:
            f[42], f[43], f[44], f[45] = _fusion(shape, one["shape"][other], raw)
        else:
            f[44] = 1.0
        f[46] = log_ratio(restless, one["usual"][12])
    f[47] = log_ratio(sqrt(rough / WIDTH), _ROUGH * normal_size)
    first, last = 0.0, 0.0
    for i in range(_ENDS):
        first += raw[i]
        last += raw[WIDTH - 1 - i]
    f[48] = min(abs(last - first) / (_ENDS * normal_size), 5.0)
    f[49] = 1.0 if rule == RULE_N else 0.0
    f[50] = 1.0 if rule == RULE_S else 0.0
    f[51] = 1.0 if rule == RULE_V else 0.0

    if not learn:
        return rule
    worth = 1.0 if one["beat_count"] < _TAUGHT else max(worth, _LEAST_WORTH)
    one["beat_count"] += 1
    if normal >= 0 and rule == RULE_N:
        one["usual_count"] += 1
        rate = worth / min(one["usual_count"], 24)
        for k in range(_MEASURES):
            one["usual"][k] += rate * (now[k] - one["usual"][k])
        if last_r != NEVER and one["last_rule"] == RULE_N:
            one["p_count"] += 1
            rate = worth / min(one["p_count"], 32)
            away = 0.0
            for i in range(_P):
                d = p[i] - one["p"][i]
                away += d * d
                one["p"][i] += rate * d
            one["p_noise"] += rate * (sqrt(away / _P) - one["p_noise"])
    if last_r != NEVER and one["last_rule"] == RULE_N and normal >= 0:
        _learn_tail(one, ring, r, last_r, worth)
    _join(one, raw, spread, timing, rule, worth, nearest, near_likeness, near_shift)
    one["last_likeness"] = likeness
    one["last_spread"] = spread
    one["last_r"] = r
    one["last_rule"] = rule
    for i in range(WIDTH):
        one["last"][i] = raw[i]
    return rule
