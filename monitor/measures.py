"""What tells noise from a heart: a lead measured every half second, in constant memory and with nothing but sums.

Three views of the last two seconds of a lead, and of the beats found in the last three and a half:

- **spectrum**: from variances of a signal and of its differences (Hjorth's mobility and complexity), the share of the
  detector's band, and a Goertzel filter each for 50 and 60 Hz;
- **peakiness**: kurtosis and crest factor, and how quiet it is between the peaks: eighths of a second in order of their
  energy. QRS complexes stand out of quiet; noise fills it;
- **beats**: whether a second, different detector on this lead finds them too (`bSQI` of Li, Mark and Clifford); how
  alike they look, each with the best of the last few; how sure the judge was of them. The second detector is a length
  transform of the display signal, after `wqrs` (Zong, Moody and Jiang): another band, another energy, one lead.

Everything but three absolute sizes is a ratio, so gain does not matter.

Sources: Hjorth B, Electroenceph Clin Neurophysiol 29:306-310 (1970), doi:10.1016/0013-4694(70)90143-4; Goertzel G, Am
Math Monthly 65:34-35 (1958); Li Q, Mark RG, Clifford GD, Physiol Meas 29:15-32 (2008), doi:10.1088/0967-3334/29/1/002;
Zong W, Moody GB, Jiang D, Computers in Cardiology 30:737-740 (2003).
"""

from __future__ import annotations

from math import cos, log, pi
from typing import Final

import numpy as np

from monitor import ordered
from monitor.ecg import FS
from monitor.kernel import kernel
from monitor.likeness import BEAT, BEATS, BEATS_FOR, CYCLE, LEAST, SHAPE, SHAPES, ratio

PIECE: Final = FS // 8
"""Samples whose energy is kept."""
HALF: Final = FS // 2
"""Samples after which a lead is measured; 50 and 60 Hz have whole periods in them."""
HALVES: Final = 4
"""What is measured is the last so many of them, 2 s."""
PIECES: Final = HALVES * HALF // PIECE

SUMS: Final = 12
# Sums over a half second, by index:
_X, _XX, _DD, _CC, _D4, _BB, _B4, _HH, _CROSSINGS, _TURNS, _RAW, _LOST = range(SUMS)
EXTREMES: Final = 5
_MIN, _MAX, _RAW_MIN, _RAW_MAX, _BAND_MAX = range(EXTREMES)

_BEATS_SETTLED: Final = round(0.6 * FS)
"""... and those older than that must have been seen by the second detector."""
_TOGETHER: Final = round(0.100 * FS)
"""Samples between the two detectors' energy peaks at most."""

CALM: Final = 16
"""Half seconds measured before this one of which the calmest is remembered."""

LENGTH: Final = round(0.110 * FS)
"""Samples of the length transform."""
_APART: Final = round(0.250 * FS)
"""Samples between beats of the second detector at least."""
_PEAKED: Final = round(0.050 * FS)
_LENGTH_RATE: Final = 1.0 / (3 * FS)
_PEAK_RATE: Final = 0.2
_THRESHOLD: Final = 0.4
"""Of the way from the mean length to that of beats."""
_SILENT: Final = round(1.5 * FS)
_SINK: Final = 0.85
"""What is left of the second detector's level after a half second without beats."""

_MAINS_50: Final = 2.0 * cos(2.0 * pi * 50.0 / FS)
_MAINS_60: Final = 2.0 * cos(2.0 * pi * 60.0 / FS)

_NEVER: Final = -(1 << 40)

FEATURES: Final = (
    "range",  # log, mV, of the display signal
    "size",  # log, mV, its root mean square
    "mobility",  # log of the first difference's size over the signal's
    "sharpness",  # log of the second difference's over the first's
    "hiss",  # log of the second difference of the unfiltered signal over the display signal's first
    "mains",  # share of 50 or 60 Hz in that second difference
    "band",  # log of the size in the detector's band over the display signal's
    "kurtosis",  # log, in the detector's band
    "slope_kurtosis",  # log, of the first difference
    "crest",  # log of the peak over the size, in the detector's band
    "quiet",  # log of the size of the quiet eighths over that of the loudest, in the detector's band
    "medium",  # the same of the median
    "slope_quiet",  # of the first difference
    "slope_medium",
    "hiss_level",  # log of the median size of the unfiltered second difference over the largest first difference
    "hiss_spread",  # log of its quiet eighths over its median
    "drift",  # log of the unfiltered signal's range over the display signal's
    "shift",  # log of the largest difference of half-second means over the display signal's range
    "crossings",  # of zero, per sample
    "turns",  # per sample
    "surge",  # log of the last half second's size over that of all
    "beats",  # found in the last seconds, per second
    "own_beats",  # of the second detector, per second
    "agreement",  # beats found by both over those found by either
    "likeness",  # mean correlation of a beat with the best of the last few
    "least_likeness",
    "sureness",  # mean of the judge's logit
    "least_sureness",
    "misfit",  # mean log of what no earlier cycle explains of a cycle, P to T, over the height of its beat
    "most_misfit",
    "spread",  # log of the largest beat over the smallest
    "height",  # log, mV, of the mean beat
    "stir",  # log of the display signal's size over the height of beats
    "range_over_calm",  # `range`, `size` and `stir` over the least of the last seconds
    "size_over_calm",
    "stir_over_calm",
)
WIDTH: Final = len(FEATURES)
_CALMS: Final = tuple(FEATURES.index(name) for name in ("range", "size", "stir"))
_OVER_CALM: Final = FEATURES.index("range_over_calm")

STATE: Final = np.dtype(
    [
        ("time", np.int64),
        ("last", np.float64, (5,)),  # display signal and its difference; unfiltered, that before, and its difference
        ("mains", np.float64, (4,)),  # two memories for 50 Hz, two for 60 Hz
        ("sums", np.float64, (SUMS,)),  # of the running half second
        ("extremes", np.float64, (EXTREMES,)),
        ("energies", np.float64, (3,)),  # of the running piece: detector's band, first difference, hiss
        ("pieces", np.float64, (3, PIECES)),  # rings
        ("halves", np.float64, (HALVES, SUMS)),  # a ring
        ("half_extremes", np.float64, (HALVES, EXTREMES)),
        ("half_mains", np.float64, (HALVES,)),
        ("steps", np.float64, (LENGTH,)),  # of the length transform, a ring
        ("length", np.float64),
        ("mean_length", np.float64),
        ("level", np.float64),  # length of the second detector's beats
        ("peak", np.float64),
        ("peak_at", np.int64),
        ("own", np.int64, (BEATS,)),  # its beats, a ring
        ("own_count", np.int64),
        ("beat", BEAT, (BEATS,)),  # those of the detector, a ring
        ("beat_count", np.int64),
        ("shapes", np.float64, (SHAPES, SHAPE)),  # a ring
        ("cycles", np.float64, (SHAPES, CYCLE)),  # a ring
        ("cycle_count", np.int64),
        ("calm", np.float64, (3, CALM)),  # range, size and stir of earlier half seconds, rings
        ("calm_count", np.int64),
        ("features", np.float64, (WIDTH,)),
    ],
    align=True,
)
"""A record a lead."""


@kernel
def start(state):  # type: ignore[no-untyped-def]
    """Make a zeroed STATE record ready for its first sample."""
    _begin_half(state)
    for i in range(BEATS):
        state["own"][i] = _NEVER
        state["beat"][i]["at"] = _NEVER
        state["beat"][i]["told"] = _NEVER


@kernel
def _begin_half(state):  # type: ignore[no-untyped-def]
    sums, extremes = state["sums"], state["extremes"]
    for i in range(SUMS):
        sums[i] = 0.0
    extremes[_MIN], extremes[_MAX] = np.inf, -np.inf
    extremes[_RAW_MIN], extremes[_RAW_MAX] = np.inf, -np.inf
    extremes[_BAND_MAX] = 0.0
    for i in range(4):
        state["mains"][i] = 0.0


@kernel
def take(state, raw, shown, band, usable, first, last):  # type: ignore[no-untyped-def]
    """Sum up samples; they do not go beyond the running piece.

    Args:
        state: a STATE record.
        raw: (capacity,) float64, settled mV.
        shown: (capacity,) float64, display signal, mV.
        band: (capacity,) float64, detector's band, mV.
        usable: (capacity,) int64, 1 where the lead is not lost.
        first, last: the samples to take; `last` is not among them.
    """
    _sum(state, raw, shown, band, usable, first, last)
    _find(state, shown, first, last)
    state["last"][0] = shown[last - 1]
    state["time"] += last - first
    if state["time"] % PIECE == 0:
        _end_piece(state)
        if state["time"] % HALF == 0:
            _end_half(state)


@kernel
def _sum(state, raw, shown, band, usable, first, last):  # type: ignore[no-untyped-def]
    x1, d1, r1, r2 = state["last"][0], state["last"][1], state["last"][2], state["last"][3]
    a1, a2, b1, b2 = state["mains"][0], state["mains"][1], state["mains"][2], state["mains"][3]
    sums, extremes, energies = state["sums"], state["extremes"], state["energies"]
    # One sample is added after the other to what was there: where blocks end cannot be seen, not even in the last bit.
    sx, sxx, scc, sd4 = sums[_X], sums[_XX], sums[_CC], sums[_D4]
    sb4, sr = sums[_B4], sums[_RAW]
    sbb, sdd, shh = energies[0], energies[1], energies[2]
    crossings, turns, lost = 0, 0, 0
    low, high, band_high = extremes[_MIN], extremes[_MAX], extremes[_BAND_MAX]
    raw_low, raw_high = extremes[_RAW_MIN], extremes[_RAW_MAX]
    for i in range(first, last):
        x, r, b = shown[i], raw[i], band[i]
        d = x - x1
        c = d - d1
        h = r - 2.0 * r1 + r2
        dd, bb, hh = d * d, b * b, h * h
        sx += x
        sxx += x * x
        sdd += dd
        scc += c * c
        sd4 += dd * dd
        sbb += bb
        sb4 += bb * bb
        shh += hh
        sr += r
        crossings += (x < 0.0) != (x1 < 0.0)
        turns += (d < 0.0) != (d1 < 0.0)
        lost += 1 - usable[i]
        low, high = min(low, x), max(high, x)
        raw_low, raw_high = min(raw_low, r), max(raw_high, r)
        band_high = max(band_high, bb)
        a1, a2 = h + _MAINS_50 * a1 - a2, a1
        b1, b2 = h + _MAINS_60 * b1 - b2, b1
        x1, d1, r2, r1 = x, d, r1, r
    state["last"][1], state["last"][2], state["last"][3] = d1, r1, r2
    state["mains"][0], state["mains"][1], state["mains"][2], state["mains"][3] = a1, a2, b1, b2
    sums[_X], sums[_XX], sums[_CC], sums[_D4] = sx, sxx, scc, sd4
    sums[_B4], sums[_RAW] = sb4, sr
    energies[0], energies[1], energies[2] = sbb, sdd, shh
    sums[_CROSSINGS] += crossings
    sums[_TURNS] += turns
    sums[_LOST] += lost
    extremes[_MIN], extremes[_MAX], extremes[_BAND_MAX] = low, high, band_high
    extremes[_RAW_MIN], extremes[_RAW_MAX] = raw_low, raw_high


@kernel
def _find(state, shown, first, last):  # type: ignore[no-untyped-def]
    """The second detector: a beat is where the length of the display signal's path peaks."""
    time, x1 = state["time"], state["last"][0]
    steps, length, mean = state["steps"], state["length"], state["mean_length"]
    level, peak, peak_at = state["level"], state["peak"], state["peak_at"]
    latest = state["own"][(state["own_count"] - 1) % BEATS]
    place = time % LENGTH
    for i in range(first, last):
        step = abs(shown[i] - x1)
        x1 = shown[i]
        length += step - steps[place]
        steps[place] = step
        place = place + 1 if place + 1 < LENGTH else 0
        mean += _LENGTH_RATE * (length - mean)
        at = time + i - first
        if length > peak:
            peak, peak_at = length, at
        elif at - peak_at >= _PEAKED:
            if peak > mean + _THRESHOLD * (level - mean) and peak_at - latest >= _APART:
                state["own"][state["own_count"] % BEATS] = peak_at
                state["own_count"] += 1
                latest = peak_at
                level += _PEAK_RATE * (min(peak, 2.0 * level) - level) if level > 0.0 else peak
            peak, peak_at = length, at
    state["length"], state["mean_length"] = length, mean
    state["level"], state["peak"], state["peak_at"] = level, peak, peak_at


@kernel
def _end_piece(state):  # type: ignore[no-untyped-def]
    place = (state["time"] // PIECE - 1) % PIECES
    energies, sums = state["energies"], state["sums"]
    sums[_BB] += energies[0]
    sums[_DD] += energies[1]
    sums[_HH] += energies[2]
    for i in range(3):
        state["pieces"][i, place] = energies[i]
        energies[i] = 0.0


@kernel
def _end_half(state):  # type: ignore[no-untyped-def]
    place = (state["time"] // HALF - 1) % HALVES
    for i in range(SUMS):
        state["halves"][place, i] = state["sums"][i]
    for i in range(EXTREMES):
        state["half_extremes"][place, i] = state["extremes"][i]
    a1, a2, b1, b2 = state["mains"][0], state["mains"][1], state["mains"][2], state["mains"][3]
    power = max(a1 * a1 + a2 * a2 - _MAINS_50 * a1 * a2, b1 * b1 + b2 * b2 - _MAINS_60 * b1 * b2)
    state["half_mains"][place] = 2.0 * power / HALF  # the sum of squares of a sine of that power
    _begin_half(state)
    latest = state["own"][(state["own_count"] - 1) % BEATS]
    if state["time"] - latest > _SILENT:
        state["level"] *= _SINK
    if state["level"] < LEAST:
        state["level"] = 0.0
    if state["mean_length"] < LEAST:  # a flat line would decay into denormals, which cost a hundred times as much
        state["mean_length"] = 0.0


@kernel
def lost(state):  # type: ignore[no-untyped-def]
    """Samples of the last two seconds in which the lead was lost."""
    total = 0.0
    for i in range(HALVES):
        total += state["halves"][i, _LOST]
    return total


@kernel
def describe(state):  # type: ignore[no-untyped-def]
    """Fill in `features`; to be asked where a half second ends."""
    f = state["features"]
    total = np.zeros(SUMS)
    for i in range(HALVES):
        for j in range(SUMS):
            total[j] += state["halves"][i, j]
    low, high, raw_low, raw_high, band_high = np.inf, -np.inf, np.inf, -np.inf, 0.0
    mean_low, mean_high = np.inf, -np.inf
    mains = 0.0
    for i in range(HALVES):
        extremes = state["half_extremes"][i]
        low, high = min(low, extremes[_MIN]), max(high, extremes[_MAX])
        raw_low, raw_high = min(raw_low, extremes[_RAW_MIN]), max(raw_high, extremes[_RAW_MAX])
        band_high = max(band_high, extremes[_BAND_MAX])
        mean = state["halves"][i, _RAW] / HALF
        mean_low, mean_high = min(mean_low, mean), max(mean_high, mean)
        mains += state["half_mains"][i]
    n = float(HALVES * HALF)
    power = max(total[_XX] / n - (total[_X] / n) * (total[_X] / n), 0.0)
    reach = high - low
    f[0] = log(reach + LEAST)
    f[1] = ratio(power, 1.0)
    f[2] = ratio(total[_DD] / n, power)
    f[3] = ratio(total[_CC], total[_DD])
    f[4] = ratio(total[_HH], total[_DD])
    f[5] = mains / (total[_HH] + LEAST)
    f[6] = ratio(total[_BB] / n, power)
    f[7] = log((total[_B4] * n + 1e-18) / (total[_BB] * total[_BB] + 1e-18))
    f[8] = log((total[_D4] * n + 1e-18) / (total[_DD] * total[_DD] + 1e-18))
    f[9] = ratio(band_high, total[_BB] / n)
    _describe_pieces(state, f, total[_DD])
    f[16] = log((raw_high - raw_low + LEAST) / (reach + LEAST))
    f[17] = log((mean_high - mean_low + 0.01 * reach + LEAST) / (reach + LEAST))
    f[18] = total[_CROSSINGS] / n
    f[19] = total[_TURNS] / n
    last = state["halves"][(state["time"] // HALF - 1) % HALVES]
    f[20] = ratio(last[_DD], total[_DD] / HALVES)
    _describe_beats(state, f, power)
    for kind in range(3):
        least = f[_CALMS[kind]]
        for i in range(min(state["calm_count"], CALM)):
            least = min(least, state["calm"][kind, i])
        f[_OVER_CALM + kind] = f[_CALMS[kind]] - least


@kernel
def remember(state):  # type: ignore[no-untyped-def]
    """Keep what has just been measured for the half seconds to come."""
    for kind in range(3):
        state["calm"][kind, state["calm_count"] % CALM] = state["features"][_CALMS[kind]]
    state["calm_count"] += 1


@kernel
def _describe_pieces(state, f, slopes):  # type: ignore[no-untyped-def]
    quiet, middle, loudest = np.empty(3), np.empty(3), np.empty(3)
    values = np.empty(PIECES)
    for kind in range(3):
        for i in range(PIECES):
            ordered.insert(values, i, state["pieces"][kind, i])
        quiet[kind] = values[PIECES // 4]
        middle[kind] = values[PIECES // 2]
        loudest[kind] = values[PIECES - 1]
    f[10] = ratio(quiet[0], loudest[0])
    f[11] = ratio(middle[0], loudest[0])
    f[12] = ratio(quiet[1], loudest[1])
    f[13] = ratio(middle[1], loudest[1])
    f[14] = ratio(middle[2], loudest[1])
    f[15] = ratio(quiet[2], middle[2])


@kernel
def _describe_beats(state, f, power):  # type: ignore[no-untyped-def]
    now = state["time"]
    count, likeness, least, sure, least_sure = 0, 0.0, 1.0, 0.0, 8.0
    misfit, most = 0.0, -5.0
    height, lowest, highest = 0.0, np.inf, 0.0
    settled, both = 0, 0
    for i in range(BEATS):
        beat = state["beat"][i]
        if now - beat["told"] > BEATS_FOR:
            continue
        count += 1
        likeness += beat["likeness"]
        least = min(least, beat["likeness"])
        sure += beat["logit"]
        least_sure = min(least_sure, beat["logit"])
        misfit += beat["misfit"]
        most = max(most, beat["misfit"])
        height += beat["height"]
        lowest, highest = min(lowest, beat["height"]), max(highest, beat["height"])
        if now - beat["at"] < _BEATS_SETTLED:
            continue
        settled += 1
        for j in range(BEATS):
            if abs(state["own"][j] - beat["at"]) <= _TOGETHER:
                both += 1
                break
    own = 0
    for j in range(BEATS):
        if _BEATS_SETTLED <= now - state["own"][j] <= BEATS_FOR:
            own += 1
    seconds = (BEATS_FOR - _BEATS_SETTLED) / FS
    f[21] = count * FS / BEATS_FOR
    f[22] = own / seconds
    f[23] = both / max(own + settled - both, 1)
    if count == 0:
        for k in range(24, _OVER_CALM):
            f[k] = 0.0
        return
    f[24] = likeness / count
    f[25] = least
    f[26] = sure / count
    f[27] = least_sure
    f[28] = misfit / count
    f[29] = most
    f[30] = log((highest + LEAST) / (lowest + LEAST))
    f[31] = log(height / count + LEAST)
    f[32] = ratio(power, (height / count) * (height / count))
