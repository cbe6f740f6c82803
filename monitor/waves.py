"""The last four seconds of a lead in numbers, every half second: what tells waves from beats.

A lead's display signal, 0.5-40 Hz, is kept at 90 Hz. Described is what the literature has found to tell ventricular
fibrillation from other rhythms: how amplitudes and slopes are distributed, over which frequencies the power is spread,
how alike the signal is to itself some time before. Most of it is summed up half second by half second.

Sources of the measures: Amann, Tratnig, Unterkofler, BioMedical Engineering OnLine 4:60 (2005), for threshold crossings
and the shape of the spectrum; Kuo, Dillman, Computers in Cardiology 5:347-349 (1978), for the period that amplitudes
and slopes imply; Jekova, Krasteva, Physiol Meas 25:1167-1178 (2004), and Irusta, Ruiz, Aramendi et al., Resuscitation
83:1090-1097 (2012), for occupancy by small amplitudes and slopes and for the concentration of power; Arafat, Chowdhury,
Hasan, Signal Image Video Process 5:1-10 (2011), for counts of samples beyond thresholds relative to the maximum;
Figuera et al., PLoS ONE 11(7):e0159654 (2016), for all of them beside one another. Windows and scales are ours.
"""

from __future__ import annotations

import itertools
from math import log, sqrt
from typing import Final

import numpy as np

from monitor.ecg import FS
from monitor.kernel import kernel

DECIMATION: Final = 4
"""Samples at 360 Hz that are averaged to one."""
RATE: Final = FS // DECIMATION
"""Hz of what is kept."""
BLOCK: Final = RATE // 2
"""Kept samples between two looks: half a second."""
BLOCKS: Final = 8
WINDOW: Final = BLOCKS * BLOCK
"""Kept samples that a look sees: four seconds."""
LOOK: Final = BLOCK * DECIMATION
"""Samples at 360 Hz between two looks."""

BINS: Final = 64
"""Frequencies of the spectrum: multiples of STEP from 0 on."""
STEP: Final = RATE / WINDOW
"""0.25 Hz."""

BANDS: Final = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.5)
"""Edges of the bands whose share of the power is told, Hz."""
SLOWEST: Final = 1.0
"""Hz: the highest peak of the spectrum is looked for from there on."""
PEAK_WIDTH: Final = 2
"""Steps on either side that belong to it."""

LAGS: Final = 60
"""Lags of the autocorrelation: every second kept sample, up to 1.3 s."""
TOLD_LAGS: Final = tuple(range(4, LAGS, 5))
"""Those that the network hears of as they are."""

SHARES: Final = (0.05, 0.1, 0.2, 0.4)
"""Parts of the largest amplitude, and of the steepest slope, below which samples are counted."""

FEATURES: Final = (
    "size",  # log of the root-mean-square amplitude, mV
    "crest",  # log of the largest amplitude over that
    "slope_crest",  # the same of the slope
    "steepness",  # log of the slope's root mean square over the amplitude's
    *(f"low_{share:g}" for share in SHARES),  # share of samples below that part of the largest amplitude
    *(f"flat_{share:g}" for share in SHARES),  # ... and of the steepest slope
    "half_period",  # log of that of a sine with such amplitudes and slopes, s
    "crossings",  # of zero, a second
    "skewness",
    *(f"power_{low:g}_{high:g}" for low, high in itertools.pairwise(BANDS)),  # log of the share
    "peak",  # of the spectrum, Hz
    "concentration",  # share of the power at the peak
    "purity",  # sum of the squares of the shares of all frequencies
    "centre",  # mean frequency, Hz
    "unlike",  # lowest autocorrelation, within half the lags
    "unlike_lag",  # its lag, s
    "alike",  # highest autocorrelation beyond that
    "alike_lag",
    *(f"alike_{2 * lag}" for lag in TOLD_LAGS),
    "unsteady",  # spread of the logs of the half seconds' powers
    "weakest",  # log of the lowest over the highest of them
    "slope_unsteady",  # the same of the slopes' powers
    "slope_weakest",
)

SUM: Final = np.dtype(
    [
        ("squares", np.float64),  # of amplitudes, mV^2
        ("cubes", np.float64),
        ("sizes", np.float64),  # absolute amplitudes
        ("slopes", np.float64),  # absolute differences of neighbours
        ("slope_squares", np.float64),
        ("largest", np.float64),  # absolute amplitude
        ("steepest", np.float64),
        ("crossings", np.int64),
    ],
    align=True,
)
"""Of half a second."""

LEAD: Final = np.dtype(
    [
        ("ring", np.float32, (WINDOW,)),  # mV at 90 Hz
        ("re", np.float32, (BLOCKS, BINS)),  # Fourier sums of the blocks
        ("im", np.float32, (BLOCKS, BINS)),
        ("sums", SUM, (BLOCKS,)),
        ("total", np.float64),  # of the samples that are not averaged yet
        ("before", np.float32),  # the last kept sample of the block before
        ("spare", np.float32),  # fills a hole, which machine code may leave as it likes: a snapshot shows it
        ("bad", np.int64),  # samples of this block at which the lead could not be analysed
        ("good", np.int64),  # blocks in a row without any, up to BLOCKS
    ],
    align=True,
)

_ANGLE: Final = 2.0 * np.pi * np.outer(np.arange(BLOCK), np.arange(BINS)) / WINDOW
_COS: Final = np.cos(_ANGLE).astype(np.float32)
_SIN: Final = np.sin(_ANGLE).astype(np.float32)
_TURN: Final = 2.0 * np.pi * np.outer(np.arange(BLOCKS), np.arange(BINS)) / BLOCKS
_TURN_COS: Final = np.cos(_TURN).astype(np.float32)
_TURN_SIN: Final = np.sin(_TURN).astype(np.float32)
_LAG_COS: Final = np.cos(2.0 * np.pi * np.outer(np.arange(BINS), 2 * np.arange(LAGS)) / WINDOW).astype(np.float32)
_EDGES: Final = np.round(np.array(BANDS) / STEP).astype(np.int64)
_FIRST: Final = round(BANDS[0] / STEP)
_LAST: Final = BINS - 1  # the window's side bands of the last one are not there
_FROM: Final = round(SLOWEST / STEP)

_NOTHING_MV: Final = 1e-4  # added to sizes and slopes, so that a flat line has logarithms
_NOTHING: Final = _NOTHING_MV * _NOTHING_MV
_LEAST_SHARE: Final = 1e-4


@kernel
def _sum_up(x, before, out):  # type: ignore[no-untyped-def]
    """Fill a SUM record from the kept samples of half a second; `before`: the one before them."""
    squares, cubes, sizes, slopes, slope_squares = 0.0, 0.0, 0.0, 0.0, 0.0
    largest, steepest, crossings = 0.0, 0.0, 0
    last = np.float64(before)
    for i in range(BLOCK):
        v = np.float64(x[i])
        d = v - last
        squares += v * v
        cubes += v * v * v
        sizes += abs(v)
        slopes += abs(d)
        slope_squares += d * d
        largest = max(largest, abs(v))
        steepest = max(steepest, abs(d))
        crossings += (v > 0.0) != (last > 0.0)
        last = v
    out["squares"] = squares
    out["cubes"] = cubes
    out["sizes"] = sizes
    out["slopes"] = slopes
    out["slope_squares"] = slope_squares
    out["largest"] = largest
    out["steepest"] = steepest
    out["crossings"] = crossings


@kernel
def _transform(x, place, re, im):  # type: ignore[no-untyped-def]
    """Fourier sums of half a second that is the block number `place` of four seconds."""
    own_re = np.zeros(BINS, np.float32)
    own_im = np.zeros(BINS, np.float32)
    for n in range(BLOCK):
        v = x[n]
        for k in range(BINS):
            own_re[k] += v * _COS[n, k]
            own_im[k] -= v * _SIN[n, k]
    for k in range(BINS):
        a, b = own_re[k], own_im[k]
        re[k] = a * _TURN_COS[place, k] + b * _TURN_SIN[place, k]
        im[k] = b * _TURN_COS[place, k] - a * _TURN_SIN[place, k]


@kernel
def _spectrum(lead, first, power):  # type: ignore[no-untyped-def]
    """Power at the BINS, with a Hann window over the four seconds.

    The blocks lie in the ring as if the window had begun at block 0; it began at block `first`, and so does the Hann
    window, whose side bands are turned accordingly.
    """
    re, im = np.zeros(BINS, np.float32), np.zeros(BINS, np.float32)
    for b in range(BLOCKS):
        own_re, own_im = lead["re"][b], lead["im"][b]
        for k in range(BINS):
            re[k] += own_re[k]
            im[k] += own_im[k]
    c, s = _TURN_COS[first, 1], _TURN_SIN[first, 1]
    half, quarter = np.float32(0.5), np.float32(0.25)
    power[0] = 0.0
    power[_LAST] = 0.0
    for k in range(1, _LAST):
        a = half * re[k] - quarter * (c * (re[k - 1] + re[k + 1]) + s * (im[k - 1] - im[k + 1]))
        b = half * im[k] - quarter * (c * (im[k - 1] + im[k + 1]) - s * (re[k - 1] - re[k + 1]))
        power[k] = a * a + b * b


@kernel
def _count_below(lead, largest, steepest, first, f):  # type: ignore[no-untyped-def]
    """Shares of samples and of differences below parts of the largest."""
    ring = lead["ring"]
    start = first * BLOCK
    for j in range(len(SHARES)):
        low, flat = np.float32(SHARES[j] * largest), np.float32(SHARES[j] * steepest)
        lows, flats = np.int32(0), np.int32(0)
        for i in range(WINDOW):
            lows += np.int32(abs(ring[i]) < low)
        for i in range(1, WINDOW):
            flats += np.int32(abs(ring[i] - ring[i - 1]) < flat)
        # the ring's seam is a pair of neighbours only where the window begins elsewhere
        if start > 0:
            flats += np.int32(abs(ring[0] - ring[WINDOW - 1]) < flat)
            flats -= np.int32(abs(ring[start] - ring[start - 1]) < flat)
        f[j] = lows / WINDOW
        f[len(SHARES) + j] = flats / WINDOW


@kernel
def describe(lead, first, f):  # type: ignore[no-untyped-def]
    """Fill in the FEATURES of a lead's last four seconds.

    Args:
        lead: a LEAD record whose ring is full.
        first: block of the ring with which they begin.
        f: (len(FEATURES),) float32.
    """
    squares, cubes, sizes, slopes, slope_squares = 0.0, 0.0, 0.0, 0.0, 0.0
    largest, steepest, crossings = 0.0, 0.0, 0
    weakest, strongest, slowest, fastest = np.inf, 0.0, np.inf, 0.0
    logs, log_squares, slope_logs, slope_log_squares = 0.0, 0.0, 0.0, 0.0
    for b in range(BLOCKS):
        own = lead["sums"][(first + b) % BLOCKS]
        power, slope_power = own["squares"] + _NOTHING, own["slope_squares"] + _NOTHING
        squares += own["squares"]
        cubes += own["cubes"]
        sizes += own["sizes"]
        slopes += own["slopes"]
        slope_squares += own["slope_squares"]
        largest = max(largest, own["largest"])
        steepest = max(steepest, own["steepest"])
        crossings += own["crossings"]
        weakest, strongest = min(weakest, power), max(strongest, power)
        slowest, fastest = min(slowest, slope_power), max(fastest, slope_power)
        a, s = log(power), log(slope_power)
        logs += a
        log_squares += a * a
        slope_logs += s
        slope_log_squares += s * s
    size = sqrt(squares / WINDOW) + _NOTHING_MV
    slope = sqrt(slope_squares / WINDOW) + _NOTHING_MV
    f[0] = log(size)
    f[1] = log((largest + _NOTHING_MV) / size)
    f[2] = log((steepest + _NOTHING_MV) / slope)
    f[3] = log(slope / size)
    _count_below(lead, largest, steepest, first, f[4:])
    at = 4 + 2 * len(SHARES)
    f[at] = log(np.pi / RATE * (sizes + _NOTHING_MV) / (slopes + _NOTHING_MV))
    f[at + 1] = crossings * RATE / WINDOW
    f[at + 2] = cubes / WINDOW / (size * size * size)
    at = _describe_spectrum(lead, first, f, at + 3)
    f[at] = sqrt(max(log_squares / BLOCKS - (logs / BLOCKS) * (logs / BLOCKS), 0.0))
    f[at + 1] = log(weakest / strongest)
    f[at + 2] = sqrt(max(slope_log_squares / BLOCKS - (slope_logs / BLOCKS) * (slope_logs / BLOCKS), 0.0))
    f[at + 3] = log(slowest / fastest)


@kernel
def _describe_spectrum(lead, first, f, at):  # type: ignore[no-untyped-def]
    """Fill in what rests on the spectrum, from `at` on; return where that ends."""
    power = np.empty(BINS, np.float32)
    _spectrum(lead, first, power)
    whole = 0.0
    for k in range(_FIRST, _LAST):
        whole += np.float64(power[k])
    scale = 1.0 / (whole + WINDOW * _NOTHING)
    for band in range(_EDGES.size - 1):
        part = 0.0
        for k in range(_EDGES[band], _EDGES[band + 1]):
            part += np.float64(power[k])
        f[at + band] = log(part * scale + _LEAST_SHARE)
    at += _EDGES.size - 1
    peak, moment, purity, near = _FROM, 0.0, 0.0, 0.0
    r = np.zeros(LAGS, np.float32)
    for k in range(_FIRST, _LAST):
        share = np.float64(power[k]) * scale
        moment += k * share
        purity += share * share
        if k >= _FROM and power[k] > power[peak]:
            peak = k
        narrow = np.float32(share)
        for lag in range(LAGS):
            r[lag] += narrow * _LAG_COS[k, lag]
    for k in range(max(peak - PEAK_WIDTH, _FIRST), min(peak + PEAK_WIDTH + 1, _LAST)):
        near += np.float64(power[k])
    f[at] = peak * STEP
    f[at + 1] = near * scale
    f[at + 2] = purity
    f[at + 3] = moment * STEP
    low = 1
    for lag in range(1, LAGS // 2):
        if r[lag] < r[low]:
            low = lag
    high = low
    for lag in range(low, LAGS):
        if r[lag] > r[high]:
            high = lag
    f[at + 4] = r[low]
    f[at + 5] = 2 * low / RATE
    f[at + 6] = r[high]
    f[at + 7] = 2 * high / RATE
    at += 8
    for i in range(len(TOLD_LAGS)):
        f[at + i] = r[TOLD_LAGS[i]]
    return at + len(TOLD_LAGS)


@kernel
def take(lead, display, usable, first, count, time):  # type: ignore[no-untyped-def]
    """Keep every fourth sample of a lead, averaged."""
    ring, total, bad = lead["ring"], lead["total"], lead["bad"]
    for i in range(first, first + count):
        total += display[i]
        bad += usable[i] == 0
        time += 1
        if time % DECIMATION == 0:
            ring[(time // DECIMATION - 1) % WINDOW] = total / DECIMATION
            total = 0.0
    lead["total"] = total
    lead["bad"] = bad


@kernel
def end_block(lead, place):  # type: ignore[no-untyped-def]
    """Half a second of a lead is complete: block `place` of its ring."""
    x = lead["ring"][place * BLOCK : (place + 1) * BLOCK]
    _sum_up(x, lead["before"], lead["sums"][place])
    _transform(x, place, lead["re"][place], lead["im"][place])
    lead["before"] = x[BLOCK - 1]
    lead["good"] = min(lead["good"] + 1, BLOCKS) if lead["bad"] == 0 else 0
    lead["bad"] = 0
