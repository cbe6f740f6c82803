"""Slow, obvious versions of what the kernels do: whole signals, plain lists, no state.

Each follows the same rules as its kernel and none of its code; constants are the kernel's own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from statistics import mean, median, pstdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor import alarms, align, qrs, quality, rhythm
from monitor.ecg import FS

Samples = NDArray[np.float64]


# -- align


def resample(signal: Samples, fs: float) -> Samples:
    """Sample k at 360 Hz is the windowed-sinc interpolation at k * fs / 360, exactly there.

    The signal's first value is what was there before it; as many samples come out as have all their inputs.
    """
    half = align.design(fs)[1]
    rate = min(fs, FS)
    stop = max(rate - 45.0, 45.0 + 0.1 * rate)  # where images and aliases of 45 Hz begin
    out = []
    for k in range(len(signal) * FS):
        position = k * fs / FS
        near = np.arange(math.floor(position) - half + 1, math.floor(position) + half + 1)
        if near[-1] >= len(signal):
            break
        distance = near - position
        window = np.i0(0.1102 * (60.0 - 8.7) * np.sqrt(np.maximum(0.0, 1.0 - (distance / half) ** 2)))
        weights = np.sinc((45.0 + stop) / fs * distance) * window
        out.append(weights @ signal[np.maximum(near, 0)] / weights.sum())
    return np.array(out)


def settle(signal: Samples, hold: int) -> tuple[Samples, list[str]]:
    """One lead at 360 Hz with what is no measurement replaced, and why.

    A bad sample repeats the last good one. A good one that follows more than `hold` bad ones, or is the first,
    continues at that level, and so does what follows it.
    """
    out, reasons = [], []
    last, shift, bad = 0.0, None, 0
    for value in signal:
        if math.isnan(value):
            reasons.append("missing")
        elif abs(value) > 1e6:
            reasons.append("saturated")
        else:
            reasons.append("ok")
        if reasons[-1] != "ok":
            bad += 1
        else:
            if shift is None or bad > hold:
                shift = last - value
            bad, last = 0, value + shift
        out.append(last)
    return np.array(out), reasons


# -- quality


def quality_changes(flags: Sequence[int]) -> list[tuple[int, int]]:
    """(sample, reason) of each change: lost after LOST bad samples in a row, back after BACK good ones.

    While lost, another reason that has lasted for LOST samples takes over.
    """
    changes: list[tuple[int, int]] = []
    reason = align.OK
    since = 0  # the last change
    for i in range(len(flags)):
        needed = quality.LOST if reason == align.OK else quality.BACK
        recent = flags[max(since, i + 1 - needed) : i + 1]
        if len(recent) == needed and all((flag == align.OK) != (reason == align.OK) for flag in recent):
            reason = flags[i]
            changes.append((i, reason))
            since = i + 1
            continue
        last = flags[max(since, i + 1 - quality.LOST) : i + 1]
        if align.OK not in (reason, flags[i]) and flags[i] != reason and list(last) == [flags[i]] * quality.LOST:
            reason = flags[i]
            changes.append((i, reason))
            since = i + 1
    return changes


# -- qrs


def _candidates(band: Samples) -> list[tuple[int, int, float, float]]:
    """(sample it is known at, sample of the peak, energy root, steepest slope before it) of each peak above FLOOR."""
    x = np.concatenate([np.zeros(4), band])
    slopes = np.abs(2.0 * x[4:] + x[3:-1] - x[1:-3] - 2.0 * x[:-4]) * FS / 8.0
    squares = np.concatenate([np.zeros(qrs.INTEGRATION - 1), slopes**2])
    roots = np.sqrt(np.convolve(squares, np.ones(qrs.INTEGRATION), "valid") / qrs.INTEGRATION)
    found = []
    peak, at = 0.0, 0
    for time, root in enumerate(roots):
        if root > peak:
            peak, at = root, time
        elif time - at >= qrs.DOMINANCE:
            if peak > qrs.FLOOR:
                found.append((time, at, peak, slopes[max(0, at - 50) : at + 1].max()))
            peak, at = root, time
    return found


class _Detector:
    """The decisions of the detector, candidate by candidate and silence by silence."""

    def __init__(self) -> None:
        self.beats: list[tuple[int, int, bool]] = []  # energy peak, emitted, search-back
        self.intervals: list[int] = []
        self.waiting: list[tuple[int, float, float]] = []  # candidates that were not taken
        self.signal = self.noise = self.slope = 0.0
        self.learned = False

    @property
    def last(self) -> float:
        return self.beats[-1][0] if self.beats else -math.inf

    def threshold(self) -> float:
        return self.noise + qrs.THRESHOLD * (self.signal - self.noise)

    def is_t_wave(self, at: int, slope: float) -> bool:
        if at - self.last < qrs.T_WAVE:
            return slope < qrs.T_SLOPE * self.slope
        return at - self.last < qrs.T_WAVE_LATE and slope < qrs.T_SLOPE_LATE * self.slope

    def take(self, time: int, at: int, value: float, slope: float, rate: float, search_back: bool) -> None:
        if self.beats:
            self.intervals.append(at - self.beats[-1][0])
        self.beats.append((at, time, search_back))
        self.slope = slope
        self.signal += rate * (min(value, 2.0 * self.signal) - self.signal)

    def refuse(self, value: float) -> None:
        self.noise += qrs.NOISE_RATE * (min(value, self.signal) - self.noise)

    def learn(self, time: int) -> None:
        values = sorted(value for _, value, _ in self.waiting)
        self.signal = median(values[len(values) // 2 :]) if len(values) > 3 else values[-1]
        self.noise = 0.1 * self.signal
        self.learned = True
        threshold = self.threshold()
        for at, value, slope in self.waiting:
            if at <= time - qrs.CANDIDATE_AGE:
                continue
            if value > threshold and at - self.last >= qrs.REFRACTORY and not self.is_t_wave(at, slope):
                self.take(time, at, value, slope, qrs.SIGNAL_RATE, True)
            else:
                self.refuse(value)
        self.waiting = []

    def judge(self, time: int, at: int, value: float, slope: float) -> None:
        if at - self.last < qrs.REFRACTORY:
            return
        if value > self.threshold() and not self.is_t_wave(at, slope):
            self.take(time, at, value, slope, qrs.SIGNAL_RATE, False)
            self.waiting = []
        else:
            self.refuse(value)
            self.waiting.append((at, value, slope))

    def search_back(self, time: int) -> None:
        threshold = qrs.SEARCH_THRESHOLD * self.threshold()
        possible = [
            (value, -at, slope)
            for at, value, slope in self.waiting
            if value > threshold
            and at - self.last >= qrs.SEARCH_FROM
            and at > time - qrs.CANDIDATE_AGE
            and not self.is_t_wave(at, slope)
        ]
        if possible:
            value, at, slope = max(possible)
            self.take(time, -at, value, slope, 2 * qrs.SIGNAL_RATE, True)
            self.waiting = [candidate for candidate in self.waiting if candidate[0] > -at]


def detect(band: Samples) -> tuple[list[tuple[int, int, bool]], tuple[float, float]]:
    """(energy peak, emitted, search-back) of each beat in the detector band; signal and noise level at its end."""
    detector = _Detector()
    at_time = {candidate[0]: candidate[1:] for candidate in _candidates(band)}
    for time in range(len(band)):
        if time in at_time:
            if detector.learned:
                detector.judge(time, *at_time[time])
            else:
                detector.waiting.append(at_time[time])
        if detector.learned:
            typical = median(detector.intervals[-8:]) if detector.intervals else 300
            silent = time - detector.last  # before the search, which may end it
            if silent > qrs.SEARCH_BACK * typical:
                detector.search_back(time)
            if silent > qrs.DECAY_AFTER:
                detector.signal = max(detector.signal * (1.0 - qrs.DECAY), qrs.LOWEST)
        elif time >= qrs.LEARNING and len(detector.waiting) >= 3:
            detector.learn(time)
    return detector.beats, (detector.signal, detector.noise)


# -- rhythm


def _intervals(r_peaks: Sequence[int]) -> list[float]:
    return [(b - a) / FS for a, b in itertools.pairwise(r_peaks)]


def heart_rates(r_peaks: Sequence[int]) -> list[float]:
    """Heart rate after each beat, per minute; 0 where it is unknown."""
    rates = []
    for n in range(1, len(r_peaks) + 1):
        rr = _intervals(r_peaks[:n])
        if len(rr) < 4:
            rates.append(0.0)
        elif len(rr) < 8 or mean(rr[-4:]) > 1.2:
            rates.append(60.0 / mean(rr[-4:]))
        else:
            rates.append(60.0 / mean(rr[-8:]))
    return rates


def rate_conditions(r_peaks: Sequence[int], low: float, high: float) -> list[set[str]]:
    """The rate conditions that hold after each beat; no interval may be longer than 4 s."""
    holding = []
    for n, rate in enumerate(heart_rates(r_peaks), 1):
        rr = _intervals(r_peaks[:n])
        conditions = set()
        if len(rr) >= 16 and 60.0 / mean(rr[-16:]) > rhythm.EXTREME_TACHY_RATE:
            conditions.add("EXTREME_TACHY")
        elif rate > high:
            conditions.add("TACHY")
        if len(rr) >= 4 and 60.0 / mean(rr[-4:]) < rhythm.EXTREME_BRADY_RATE:
            conditions.add("EXTREME_BRADY")
        elif 0.0 < rate < low:
            conditions.add("BRADY")
        holding.append(conditions)
    return holding


def run_conditions(beats: Sequence[tuple[int, str]]) -> list[set[str]]:
    """The conditions on runs of ventricular beats that hold after each beat, (R peak, class)."""
    holding = []
    tachycardia = False
    for n in range(1, len(beats) + 1):
        run = 0
        while run < n and beats[n - 1 - run][1] == "V":
            run += 1
        fast = False
        if run >= 5:
            r_peaks = [r for r, _ in beats[n - 5 : n]]
            fast = 60.0 * 4 * FS / (r_peaks[-1] - r_peaks[0]) > rhythm.VT_RATE
        tachycardia = fast or (tachycardia and run > 0)
        holding.append({"VTACH"} if tachycardia else {"VRUN"} if run >= 3 else set())
    return holding


# -- alarms


class AlarmModel:
    """What a nurse expects of one alarm: sounding, seen, over, and still to be seen."""

    def __init__(self, code: alarms.Code) -> None:
        self.code = code
        self.condition = False  # it is so now
        self.seen = False  # somebody has acknowledged it since it began
        self.unseen_past = False  # it was so, and nobody has seen it
        self.onset = -1

    def begin(self, sample: int) -> list[tuple[str, int]]:
        """(state, onset) of each event that the condition's beginning brings."""
        if self.condition:
            return []
        told = [("cleared", self.onset)] if self.unseen_past else []
        self.condition, self.seen, self.unseen_past, self.onset = True, False, False, sample
        return [*told, ("raised", sample)]

    def end(self) -> list[tuple[str, int]]:
        if not self.condition:
            return []
        self.condition = False
        self.unseen_past = self.code.latching and not self.seen
        return [("latched" if self.unseen_past else "cleared", self.onset)]

    def acknowledge(self) -> list[tuple[str, int]]:
        if self.condition and not self.seen:
            self.seen = True
            return [("acknowledged", self.onset)]
        if self.unseen_past:
            self.unseen_past = False
            return [("cleared", self.onset)]
        return []

    @property
    def state(self) -> str | None:
        """What is shown now; None: nothing."""
        if self.condition:
            return "acknowledged" if self.seen else "raised"
        return "latched" if self.unseen_past else None


def as_tuples(records: NDArray[Any], *fields: str) -> list[tuple[Any, ...]]:
    """The chosen fields of a structured array, row by row, as Python values."""
    return list(zip(*(records[field].tolist() for field in fields), strict=True))


# -- beats


def rr_context(r_peaks: Sequence[int], n: int) -> list[float]:
    """The features of beat `n` that its timing gives: logs of ratios, and the irregularity of the last eight."""
    before = _intervals(r_peaks[:n])  # intervals known before this beat came
    interval = (r_peaks[n] - r_peaks[n - 1]) / FS if n else 0.0
    mean8 = mean(before[-8:]) if before else 0.0

    def ratio(value: float, over: float) -> float:
        return min(max(math.log(value / over), -3.0), 3.0) if value > 0 and over > 0 else 0.0

    return [
        ratio(interval, mean8),
        ratio(interval, mean(before[-40:]) if before else 0.0),
        ratio(interval, mean(before[-120:]) if before else 0.0),
        ratio(before[-1], mean8) if before else 0.0,
        ratio(before[-2], mean8) if len(before) > 1 else 0.0,
        pstdev(before[-8:]) / mean8 if len(before) > 1 else 0.0,
    ]


def best_fit(shape: Samples, window: Samples, reach: int, low: int, high: int) -> tuple[float, int]:
    """The largest correlation of a window's points ``low .. high`` with a shape shifted by up to `reach`."""
    fits = []
    for shift in range(-reach, reach + 1):
        part, other = window[low:high], shape[low - shift : high - shift]
        flat = np.ptp(part) == 0.0 or np.ptp(other) == 0.0
        fits.append((0.0 if flat else float(np.corrcoef(part, other)[0, 1]), -shift))
    best, shift = max(fits)
    return best, -shift
