"""Slow, obvious versions of what the kernels do: whole signals, plain lists, no state.

Each follows the same rules as its kernel and none of its code; constants are the kernel's own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean, median, pstdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor import alarm_table, alarms, align, judge, losses, plausible, qrs, rate, waves
from monitor.ecg import FS
from monitor.profiles import Limits

Samples = NDArray[np.float64]
ADULT = Limits()


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


# -- losses


def loss_changes(flags: Sequence[int]) -> list[tuple[int, int]]:
    """(sample, reason) of each change: lost after LOST bad samples in a row, back after BACK good ones.

    While lost, another reason that has lasted for LOST samples takes over.
    """
    changes: list[tuple[int, int]] = []
    reason = align.OK
    since = 0  # the last change
    for i in range(len(flags)):
        needed = losses.LOST if reason == align.OK else losses.BACK
        recent = flags[max(since, i + 1 - needed) : i + 1]
        if len(recent) == needed and all((flag == align.OK) != (reason == align.OK) for flag in recent):
            reason = flags[i]
            changes.append((i, reason))
            since = i + 1
            continue
        last = flags[max(since, i + 1 - losses.LOST) : i + 1]
        if align.OK not in (reason, flags[i]) and flags[i] != reason and list(last) == [flags[i]] * losses.LOST:
            reason = flags[i]
            changes.append((i, reason))
            since = i + 1
    return changes


# -- qrs and judge


@dataclass
class _Candidate:
    """A peak of the fused energy: where, how large, and per lead the energy root and the steepest slope before it."""

    at: int
    size: float
    values: list[float]
    slopes: list[float]
    logit: float = 0.0
    trust: float = 0.0
    worth: float = 0.0
    told: bool = False


class _Lead:
    """One lead: its whole signals, as the detector rounds them, and what its beats have taught."""

    def __init__(self, raw: Samples, band: Samples, display: Samples) -> None:
        padded = np.concatenate([np.zeros(4), band])
        slopes = (2.0 * padded[4:] + padded[3:-1] - padded[1:-3] - 2.0 * padded[:-4]) * FS / 8.0
        squares = np.concatenate([np.zeros(judge.INTEGRATION - 1), slopes**2])
        self.energy = np.convolve(squares, np.ones(judge.INTEGRATION), "valid")
        self.band, self.display = band.astype(np.float32).astype(float), display.astype(np.float32).astype(float)
        self.raw = raw.astype(np.float32).astype(float)
        self.rounded_energy = self.energy.astype(np.float32).astype(float)
        self.usable = False
        self.level = self.noise = self.slope = self.weight = self.bend = self.stir = 0.0
        self.template, self.shape = np.zeros(judge.TEMPLATE), np.zeros(judge.SHAPE)
        self.long = np.zeros(judge.LONG)
        self.seen = 0

    @staticmethod
    def around(signal: Samples, at: int, first: int, step: int, count: int) -> Samples:
        """`count` points of a signal from ``at + first`` on, zero before its start."""
        where = at + first + step * np.arange(count)
        return np.where(where >= 0, signal[np.clip(where, 0, len(signal) - 1)], 0.0)

    def steepest(self, at: int) -> float:
        i = np.arange(max(4, at - 50), at + 1)
        b = self.band
        return float(np.abs(2.0 * b[i] + b[i - 1] - b[i - 3] - 2.0 * b[i - 4]).max(initial=0.0)) * FS / 8.0

    def fit(self, at: int) -> tuple[float, int, float]:
        """(correlation, shift, projection) of the best of nine places of the template."""
        power = self.template @ self.template
        if power <= 1e-12:
            return 0.0, 0, 0.0
        fits = []
        for shift in range(-8, 9, 2):
            x = self.around(self.band, at + shift, -50, 2, judge.TEMPLATE)
            own, shared = x @ x, x @ self.template
            fits.append((shared / math.sqrt(own * power) if own > 1e-12 else 0.0, -shift, shared / power))
        r, shift, projection = max(fits, key=lambda fit: fit[:2])
        return float(r), -shift, float(projection)

    def cut(self, at: int, size: int) -> tuple[Samples, float]:
        """`size` points of the display signal around `at` without their straight line, and how far that rises."""
        x = self.around(self.display, at, -72, 3, size)
        t = np.arange(size) - (size - 1) / 2
        slope = x @ t / (t @ t)
        return x - x.mean() - slope * t, float(slope) * size

    def compare(self, at: int, template: Samples) -> list[float]:
        """Correlation with a display template, the logarithm of what that leaves, and the tilt."""
        cut, tilt = self.cut(at, len(template))
        own, power, shared = cut @ cut, template @ template, cut @ template
        if own <= 1e-12 or power <= 1e-12:
            return [0.0, 0.0, 0.0]
        misfit = _log_ratio(max(own - shared**2 / power, 0.0) + 1e-3 * power, power)
        size = math.sqrt(power / len(template))
        return [shared / math.sqrt(own * power), misfit, min(max(tilt / size, -8.0), 8.0)]

    def energies(self, at: int, first: int, step: int, count: int) -> list[float]:
        """Energy roots over the signal level."""
        energies = self.around(self.rounded_energy, at, first, step, count)
        roots: Samples = np.minimum(np.sqrt(np.maximum(energies, 0.0) / judge.INTEGRATION) / self.level, 4.0)
        return roots.tolist()

    def sharpest(self, at: int) -> float:
        x = self.display
        where = [i for i in range(at - 54, at - 4) if i >= 8]
        return max((abs(x[i] - 2.0 * x[i - 4] + x[i - 8]) for i in where), default=0.0)

    def is_small(self, first: int, last: int) -> bool:
        return float(np.ptp(self.around(self.display, first, 0, 1, last - first + 1))) < plausible.SMALL

    def is_spike(self, first: int, last: int) -> bool:
        x = self.around(self.raw, first - 8, 0, 1, last - first + 17)  # and 8 samples on either side
        inner = x[8:-8]
        near = np.abs(inner - (x[5:-11] + x[11:-5]) / 2)
        far = np.abs(inner - (x[:-16] + x[16:]) / 2)
        at = int(np.argmax(far))
        narrow = near[max(at - 4, 0) : at + 5].max()
        if narrow < plausible.NARROW * far[at] or far[at] <= plausible.HALF * np.ptp(inner):
            return False
        before, after = inner[: max(at - 3, 0)], inner[at + 4 :]
        jump = abs(x[at + 12] - x[at + 4])
        moves = (np.ptp(before) if before.size else 0.0), (np.ptp(after) if after.size else 0.0) - jump
        return bool(max(moves) < plausible.BESIDE)

    def restless(self, at: int) -> float:
        return float(self.around(self.display, at, -504, 8, 54).std())


@dataclass
class _Pace:
    """Beats one after the other, and when the next is overdue."""

    beats: list[int] = field(default_factory=list)

    @property
    def last(self) -> float:
        return self.beats[-1] if self.beats else -math.inf

    @property
    def intervals(self) -> list[int]:
        return [b - a for a, b in itertools.pairwise(self.beats)][-judge.INTERVALS :]

    @property
    def typical(self) -> float:
        return float(median(self.intervals[-judge.RECENT :])) if self.intervals else 300.0

    @property
    def regular(self) -> float:
        """How regular the rhythm is, from the share of its intervals that are near their median."""
        known = self.intervals
        if len(known) < judge.REGULAR_KNOWN:
            return 0.0
        near = sum(abs(interval - median(known)) < judge.REGULAR_NEAR * median(known) for interval in known)
        r0, r1 = judge.REGULAR
        return min(max((near / len(known) - r0) / (r1 - r0), 0.0), 1.0)


def _log_ratio(a: float, b: float) -> float:
    return min(max(math.log(a / b), -4.0), 4.0) if a > 0.0 and b > 0.0 else -4.0


class _Detector:
    """The decisions of the detector, sample by sample."""

    def __init__(self, raw: Samples, band: Samples, display: Samples, usable: NDArray[np.bool_]) -> None:
        self.leads = [_Lead(*signals) for signals in zip(raw, band, display, strict=True)]
        self.usable = usable
        self.rule, self.told = _Pace(), _Pace()
        self.found: list[tuple[str, int, int, bool]] = []  # what, energy peak, emitted, search-back
        self.waiting: list[_Candidate] = []
        self.past: list[tuple[int, float, float]] = []  # at, size, likeness; newest last
        self.noise, self.learned, self.learn_at = 0.0, False, qrs.LEARNING
        self.trigger_at = self.large_at = -math.inf
        self.looked: _Candidate | None = None  # the running peak, if the judge has seen it
        self.peak_at = self.since = 0
        self.time = 0

    # what is known of the leads

    def weigh(self) -> None:
        strongest = max(lead.level for lead in self.leads if lead.usable) if any(x.usable for x in self.leads) else 0.0
        for lead in self.leads:
            shows = lead.level > (qrs.LOWEST if strongest > qrs.LOWEST else 0.0)
            known = lead.usable and (shows or not self.learned)
            ratio = lead.noise / lead.level if lead.level > 0.0 else 1.0
            lead.weight = 1.0 / (ratio**2 + qrs.UNSURE_NOISE) if known else 0.0
        total = sum(lead.weight for lead in self.leads)
        for lead in self.leads:
            lead.weight = lead.weight / total if total else 0.0

    def fused(self, time: int) -> float:
        """Energy of all leads at a sample, seen from now: a beat has 1."""
        return sum(
            lead.weight * lead.energy[time] / ((lead.level or 1.0) ** 2 * judge.INTEGRATION)
            for lead in self.leads
            if lead.weight
        )

    def threshold(self, fraction: float) -> float:
        return self.noise + fraction * (1.0 - self.noise)

    def steepness(self, slopes: Sequence[float]) -> float:
        pairs = zip(self.leads, slopes, strict=True)
        return sum(lead.weight * min(s / lead.slope, 4.0) for lead, s in pairs if lead.weight and lead.slope)

    def is_t_wave(self, candidate: _Candidate) -> bool:
        distance = candidate.at - self.rule.last
        if distance < qrs.T_WAVE:
            return self.steepness(candidate.slopes) < qrs.T_SLOPE
        return distance < qrs.T_WAVE_LATE and self.steepness(candidate.slopes) < qrs.T_SLOPE_LATE

    def by_rule(self, candidate: _Candidate) -> bool:
        late = candidate.at - self.rule.last >= qrs.REFRACTORY
        return late and candidate.size > self.threshold(qrs.THRESHOLD) and not self.is_t_wave(candidate)

    def measure(self) -> _Candidate | None:
        at = self.peak_at
        values = [
            math.sqrt(max(lead.energy[at], 0.0) / judge.INTEGRATION) if lead.usable else 0.0 for lead in self.leads
        ]
        floors = [max(qrs.FLOOR, qrs.FLOOR_SHARE * lead.level) for lead in self.leads]
        if at <= self.since or all(value <= floor for value, floor in zip(values, floors, strict=True)):
            return None
        if self.is_implausible(at - plausible.BEFORE, at + plausible.AFTER) or self.is_tall_t(at):
            return None
        slopes = [lead.steepest(at) if value else 0.0 for lead, value in zip(self.leads, values, strict=True)]
        return _Candidate(at, math.sqrt(max(self.fused(at), 0.0)), values, slopes)

    def is_implausible(self, first: int, last: int) -> bool:
        among_large = last - self.large_at < plausible.SMALL_AFTER
        shown = [lead for lead in self.leads if lead.usable]
        return all((not among_large and x.is_small(first, last)) or x.is_spike(first, last) for x in shown)

    def is_blunt(self, before: _Candidate, c: _Candidate) -> bool:
        blunt = [x.sharpest(c.at) <= plausible.BLUNT * x.sharpest(before.at) for x in self.leads if x.usable]
        return c.at - before.at < qrs.T_WAVE and all(blunt)

    def is_tall_t(self, at: int) -> bool:
        blunt = [x.sharpest(at) <= plausible.BLUNT * x.bend for x in self.leads if x.weight]
        return at - self.rule.last <= plausible.T_PEAK and all(blunt)

    # the judge

    def describe(self, c: _Candidate) -> list[float]:
        features: list[float] = []
        for n, lead in enumerate(self.leads):
            if not lead.weight:
                continue
            r, shift, projection = lead.fit(c.at)
            features += [_log_ratio(c.values[n], lead.level), _log_ratio(lead.noise, lead.level)]
            features += [_log_ratio(c.slopes[n], lead.slope), r, min(max(projection, -3.0), 3.0), shift / 8]
            features += [lead.weight, *lead.compare(c.at + shift, lead.shape)]
            features += [_log_ratio(lead.sharpest(c.at), lead.bend), _log_ratio(lead.restless(c.at), lead.stir)]
            features += lead.energies(c.at, judge.AHEAD, -14, judge.ENERGIES)
        distance, typical = c.at - self.rule.last, self.rule.typical
        features += [min(distance / typical, 4.0), min(distance / FS, 3.0), min(typical / FS, 2.5)]
        features += [_log_ratio(c.size, 1.0)]
        for at, size, likeness in [*self.past[:-4:-1], *[(-math.inf, 0.0, 0.0)] * 3][:3]:
            features += [min((c.at - at) / FS, 3.0), min(size, 4.0), likeness]
        recent = self.rule.intervals[::-1]
        features += [min(recent[i] / typical, 3.0) if len(recent) > i else 1.0 for i in (0, 1)]
        features += [self.noise, _log_ratio(c.size, self.threshold(qrs.THRESHOLD))]
        features += [float(self.is_t_wave(c)), float(distance < qrs.REFRACTORY), float(self.by_rule(c))]
        return features

    def describe_later(self, c: _Candidate) -> tuple[list[float], bool]:
        """What the second look sees besides, and whether beats can be seen at all."""
        features: list[float] = []
        clear = True
        for lead in self.leads:
            if lead.weight:
                alike, misfit, tilt = lead.compare(c.at + lead.fit(c.at)[1], lead.long)
                clear = clear and misfit < 3.0 and abs(tilt) < 8.0
                features += [alike, misfit, tilt, *lead.energies(c.at, judge.AHEAD + 14, 14, 2)]
        return features, clear

    def look(self, c: _Candidate, *, later: bool) -> None:
        described, clear = self.describe_later(c) if later else ([], True)
        features = np.array(self.describe(c) + described, np.float32).astype(float)
        width = len(judge.LEAD_FEATURES)
        used = [lead for lead in self.leads if lead.weight]
        self.likeness = max(features[i * width + 3] for i in range(len(used)))
        if not clear:
            return
        w1, b1, w2, b2, w3, b3 = judge.weights_of(len(used), later=later)
        hidden = np.maximum(np.maximum(features @ w1 + b1, 0.0) @ w2 + b2, 0.0)
        restless = sum(lead.weight * features[i * width + 11] for i, lead in enumerate(used))
        n0, n1 = judge.CALM_NOISE
        noisy = min(max((self.noise - n0) / (n1 - n0), 0.0), 1.0)
        c.trust, c.worth = (
            1.0 - noisy * min(max((restless - r0) / (r1 - r0), 0.0), 1.0)
            for r0, r1 in (judge.CALM_STIR, judge.TEACHING_STIR)
        )
        bonus = judge.RULE_BONUS * c.trust * (1.0 - self.told.regular)
        c.logit = float((hidden @ w3)[0] + b3[0]) + (bonus if self.by_rule(c) else 0.0)

    # what comes of a candidate

    def tell(self, what: str, at: int, back: bool) -> None:
        peak = at
        if what == "beat":
            self.told.beats.append(at)
            lead = next((lead for lead in self.leads if lead.usable), None)
            if lead and lead.weight >= qrs.OWN_WEIGHT:
                first = max(0, at - qrs.OWN_BEFORE)
                window = lead.rounded_energy[first : at + qrs.EARLY + 1]
                if window.max() > lead.rounded_energy[at]:
                    peak = first + int(window.argmax())
        self.found.append((what, peak, self.time, back))

    def may_be_told(self, c: _Candidate, bonus: float = 0.0) -> bool:
        return not c.told and c.logit + bonus > 0.0 and c.at - self.told.last >= qrs.REFRACTORY

    def expected(self, c: _Candidate) -> float:
        """What the rhythm of the beats told adds, in noise or when regular: most one median interval after the last."""
        known = self.told.intervals
        if len(known) < judge.RHYTHM_KNOWN:
            return 0.0
        intervals = (c.at - self.told.last) / median(known)
        bump = 2.0 * math.exp(-(((intervals - 1.0) / judge.RHYTHM_WIDTH) ** 2)) - 1.0
        bonus = judge.RHYTHM_BONUS * (1.0 - c.trust) + judge.REGULAR_BONUS * c.trust * self.told.regular
        return bonus * bump if intervals < qrs.SEARCH_BACK else 0.0

    def accept(self, c: _Candidate, rate: float) -> None:
        self.rule.beats.append(c.at)
        if not all(x.is_small(c.at - plausible.BEFORE, c.at + plausible.AFTER) for x in self.leads if x.usable):
            self.large_at = c.at
        for n, lead in enumerate(self.leads):
            if not lead.usable:
                continue
            if lead.level:
                lead.level += rate * (min(c.values[n], 2.0 * lead.level) - lead.level)
            else:
                lead.level = max(c.values[n], qrs.LOWEST)
            lead.slope = c.slopes[n]
            likeness, shift, _ = lead.fit(c.at)
            alike = likeness > 0.6
            worth = 1.0 if lead.seen < 9 else max(c.worth, 0.05)
            weight = worth * (1.0 if not lead.seen else max(0.1, 1 / (lead.seen + 1)) if alike else 0.03)
            shift = shift if lead.seen else 0
            lead.bend += worth * (0.1 if lead.seen else 1.0) * (lead.sharpest(c.at) - lead.bend)
            lead.stir += worth * max(0.02, 1 / (lead.seen + 1)) * (lead.restless(c.at) - lead.stir)
            lead.template += weight * (lead.around(lead.band, c.at + shift, -50, 2, judge.TEMPLATE) - lead.template)
            lead.shape += weight * (lead.cut(c.at + shift, judge.SHAPE)[0] - lead.shape)
            long, _ = lead.cut(c.at + shift, judge.LONG)
            size, most = math.sqrt(long @ long), 2.0 * math.sqrt(lead.long @ lead.long)
            lead.long += weight * (most / size if size > most > 2e-6 else 1.0) * (long - lead.long)
            lead.seen += 1
        self.weigh()

    def refuse(self, c: _Candidate) -> None:
        self.noise += qrs.NOISE_RATE * (min(c.size, 1.0) - self.noise)
        for lead, value in zip(self.leads, c.values, strict=True):
            if lead.usable:
                lead.noise += qrs.NOISE_RATE * (min(value, lead.level) - lead.noise)
        self.weigh()

    def settle(self, c: _Candidate, back: bool) -> None:
        if not c.told and c.logit > judge.UNLIKELY:
            self.look(c, later=True)
        if c.size > 0.15:
            self.past.append((c.at, c.size, float(np.float32(self.likeness))))
        if self.may_be_told(c, self.expected(c)):
            c.told = True
            self.tell("beat", c.at, back)
        if c.at - self.rule.last < qrs.REFRACTORY:
            if not c.told and c.at - self.told.last >= qrs.SEARCH_FROM:
                self.waiting.append(c)
            return
        if self.by_rule(c):
            self.accept(c, qrs.SIGNAL_RATE)
        else:
            self.refuse(c)
        self.waiting.append(c)

    def learn(self) -> None:
        early, self.waiting, self.learned, self.noise = self.waiting, [], True, 0.1
        for n, lead in enumerate(self.leads):
            if not lead.usable:
                continue
            values = sorted(c.values[n] for c in early)
            slopes = sorted(c.slopes[n] for c in early)
            level = median(values[len(values) // 2 :]) if len(values) > 3 else values[-1]
            lead.level, lead.noise = max(level, qrs.LOWEST), 0.1 * level
            lead.slope = 0.8 * (slopes[3 * len(slopes) // 4] if len(slopes) > 3 else slopes[-1])
        self.weigh()
        for before, c in zip([None, *early], early, strict=False):
            if c.at > self.time - qrs.LEARNING_AGE and not (before and self.is_blunt(before, c)):
                pairs = zip(self.leads, c.values, strict=True)  # 0 where a lead was of no use then
                c.size = math.sqrt(sum(lead.weight * (v / lead.level) ** 2 for lead, v in pairs if lead.weight))
                self.look(c, later=False)
                self.settle(c, True)

    def search(self) -> None:
        """What the rule, then what the judge takes of what was left when a beat is overdue."""
        young = [c for c in self.waiting[-32:] if c.at > self.time - qrs.CANDIDATE_AGE]
        if self.time - self.rule.last > qrs.SEARCH_BACK * self.rule.typical:
            least = qrs.SEARCH_THRESHOLD * self.threshold(qrs.THRESHOLD)
            possible = [
                c
                for c in young
                if c.size > least and c.at - self.rule.last >= qrs.SEARCH_FROM and not self.is_t_wave(c)
            ]
            if possible:
                best = max(possible, key=lambda c: c.size)
                self.accept(best, 2 * qrs.SIGNAL_RATE)
                best.logit += judge.SEARCH_BONUS * best.trust
        if self.time - self.told.last > qrs.SEARCH_BACK * self.told.typical:
            regular = self.told.regular
            least = regular * qrs.SEARCH_SIZE + (1.0 - regular) * qrs.SEARCH_SIZE_IRREGULAR
            liked = {id(c): c.logit + judge.LENIENCE * c.trust for c in young}
            possible = [
                c
                for c in young
                if not c.told and liked[id(c)] > 0.0 and c.size > least and c.at - self.told.last >= qrs.SEARCH_FROM
            ]
            if possible:
                best = max(possible, key=lambda c: liked[id(c)])
                best.told = True
                self.tell("beat", best.at, True)

    def triggers(self, before: float, now: float) -> bool:
        if self.time - self.trigger_at < qrs.TRIGGER_APART:
            return False
        high, low = self.threshold(qrs.TRIGGER_HIGH) ** 2, self.threshold(qrs.TRIGGER_LOW) ** 2
        peaked = self.time - self.peak_at == qrs.TRIGGER_PEAKED and self.fused(self.peak_at) > low
        if not (before <= high < now or peaked):
            return False
        if self.is_implausible(self.time - plausible.BEFORE, self.time - plausible.AFTER):
            return False
        distance = self.time - max(self.trigger_at, self.rule.last)
        if distance >= qrs.T_WAVE_LATE:
            return True
        needed = qrs.TRIGGER_SLOPE if distance < qrs.T_WAVE else qrs.TRIGGER_SLOPE_LATE
        return self.steepness([lead.steepest(self.time) if lead.weight else 0.0 for lead in self.leads]) > needed

    def run(self) -> None:
        before = 0.0
        for time in range(self.usable.shape[1]):
            self.time = time
            now_usable = self.usable[:, self.time].tolist()
            if now_usable != [lead.usable for lead in self.leads]:
                for lead, usable in zip(self.leads, now_usable, strict=True):
                    lead.usable = usable
                if self.learned and any(now_usable) and not any(x.usable and x.level for x in self.leads):
                    self.learned, self.learn_at, self.waiting = False, self.time + qrs.LEARNING, []
                self.weigh()
            now = self.fused(self.time)
            learned, waited = self.learned, self.time - self.peak_at
            if now > self.fused(self.peak_at):
                self.peak_at, self.looked = self.time, None
            elif waited == qrs.EARLY and learned:
                c = self.measure()
                if c:
                    self.look(c, later=False)
                    self.looked = c
                    if c.logit > judge.SURE and c.size > qrs.SURE_SIZE and self.may_be_told(c):
                        c.told = True
                        self.tell("beat", c.at, False)
            elif waited >= qrs.DOMINANCE:
                c = self.measure()
                if c and not learned:
                    self.waiting.append(c)
                elif c:
                    if self.looked:
                        c.logit, c.told = self.looked.logit, self.looked.told
                        c.trust, c.worth = self.looked.trust, self.looked.worth
                    else:
                        self.look(c, later=False)
                    self.settle(c, False)
                self.peak_at = self.since = self.time
                self.looked = None
            if learned:
                if self.triggers(before, now):
                    self.trigger_at = self.time
                    self.tell("trigger", self.time, False)
                self.search()
                silent = self.time - self.rule.last
                overdue = silent > qrs.SEARCH_BACK * self.rule.typical
                if self.time % qrs.DECAY_EVERY == 0 and silent > qrs.DECAY_AFTER and overdue:
                    for lead in self.leads:
                        if lead.usable and lead.level:
                            lead.level = max(lead.level * (1.0 - qrs.DECAY), qrs.LOWEST)
                    self.weigh()
            elif self.time >= self.learn_at and self.waiting and any(now_usable):
                last_chance = self.time >= self.waiting[0].at + qrs.LEARNING_AGE - 1
                if len(self.waiting) >= qrs.LEARN_FROM or last_chance:
                    self.learn()
            before = now


def detect(
    raw: Samples, band: Samples, display: Samples, usable: NDArray[np.bool_]
) -> list[tuple[str, int, int, bool]]:
    """("beat" or "trigger", energy peak, emitted, search-back) of all that the detector tells; signals (leads, n)."""
    detector = _Detector(raw, band, display, usable)
    detector.run()
    return detector.found


# -- rhythm


def _intervals(r_peaks: Sequence[int]) -> list[float]:
    return [(b - a) / FS for a, b in itertools.pairwise(r_peaks)]


def _trimmed(rr: Sequence[float]) -> float:
    """Mean without the shortest and the longest."""
    return mean(sorted(rr)[1:-1])


def heart_rates(r_peaks: Sequence[int]) -> list[float]:
    """Heart rate after each beat, per minute, none of them ventricular; 0 where it is unknown."""
    rates = []
    for n in range(1, len(r_peaks) + 1):
        rr = _intervals(r_peaks[:n])[-12:]
        if len(rr) < 4:
            rates.append(0.0)
            continue
        rr = rr[-4:] if min(rr[-3:]) > 1.2 else rr[len(rr) % 2 :]
        rates.append(60.0 / (_trimmed(rr) if len(rr) >= 8 else mean(rr)))
    return rates


def rate_conditions(r_peaks: Sequence[int], low: float, high: float) -> list[set[str]]:
    """The rate conditions that hold after each beat; no interval may be longer than 4 s."""
    holding: list[set[str]] = []
    limits = ADULT.extreme_high, ADULT.extreme_low
    for n, shown in enumerate(heart_rates(r_peaks), 1):
        rr = _intervals(r_peaks[:n])
        was = holding[-1] if holding else set()

        def margin(name: str, was: set[str] = was) -> float:
            return rate.HYSTERESIS if name in was else 0.0

        found = set()
        if shown:
            if len(rr) >= 16 and 60.0 / mean(rr[-16:]) > limits[0] - margin("EXTREME_TACHY"):
                found.add("EXTREME_TACHY")
            elif shown > high - margin("TACHY"):
                found.add("TACHY")
            if 60.0 / mean(rr[-4:]) < limits[1] + margin("EXTREME_BRADY"):
                found.add("EXTREME_BRADY")
            elif shown < low + margin("BRADY"):
                found.add("BRADY")
        holding.append(found)
    return holding


def ventricular_conditions(beats: Sequence[tuple[int, str]]) -> list[set[str]]:
    """The conditions on ventricular beats that hold after each beat, (R peak, class), but for those of a moment."""
    holding: list[set[str]] = []
    for n in range(1, len(beats) + 1):
        was = holding[-1] if holding else set()
        kinds = "".join("V" if kind == "V" else "N" for _, kind in beats[:n])
        run = len(kinds) - len(kinds.rstrip("V"))
        fast = False
        last = np.array([r for r, _ in beats[:n]])
        if run >= 5:
            fast = 60.0 * 4 * FS / (last[-1] - last[-5]) > ADULT.vt_rate
        elif n >= 6:
            intervals = np.diff(last[-5:]) / FS
            regular = intervals.max() <= 1.25 * intervals.min() and intervals.max() < 60.0 / ADULT.vt_rate
            almost = kinds[-5:] in ("VNVVV", "VVNVV", "VVVNV")
            fast = regular and (almost or bool(np.diff(last[-6:]).max() < 0.27 * FS))
        fast = fast or (run >= 4 and _with_missed(np.diff(last[-min(run, 5) :]) / FS))
        found = set()
        if fast or ("VTACH" in was and run > 0):
            found.add("VTACH")
        elif run >= 3:
            found.add("VRUN")
        if kinds[-6:] in ("VNVNVN", "NVNVNV"):
            found.add("BIGEMINY")
        if kinds[-9:] in ("VNNVNNVNN", "NVNNVNNVN", "NNVNNVNNV"):
            found.add("TRIGEMINY")
        many = sum(kind == "V" and r > beats[n - 1][0] - 60 * FS for r, kind in beats[:n])
        if many > ADULT.pvc_limit * (0.8 if "PVC_RATE" in was else 1.0):
            found.add("PVC_RATE")
        holding.append(found)
    return holding


def _with_missed(intervals: NDArray[np.float64]) -> bool:
    """Whether the intervals of a run, the last beats of it, hide so many beats that it is a tachycardia."""
    times = np.round(intervals / intervals.min())
    whole = (np.abs(intervals / intervals.min() - times) <= 0.25) & (times <= 3)
    for used in range(1, len(intervals) + 1):
        if not whole[-used:].all():
            return False
        if 1 + times[-used:].sum() >= 5:
            return bool(60.0 * times[-used:].sum() / intervals[-used:].sum() > ADULT.vt_rate)
    return False


def events_of_beats(beats: Sequence[tuple[int, str]]) -> list[tuple[str, int]]:
    """Couplets and V on T, each with the R peak of its first beat."""
    found = []
    for n in range(len(beats)):
        kinds = [kind == "V" for _, kind in beats[max(n - 3, 0) : n + 1]]
        if kinds == [False, True, True, False]:
            found.append(("COUPLET", beats[n - 2][0]))
        if n > 1 and kinds[-2:] == [False, True]:
            before, interval = ((beats[k][0] - beats[k - 1][0]) / FS for k in (n - 1, n))
            if interval < 0.36 * math.sqrt(before):
                found.append(("R_ON_T", beats[n][0]))
    return found


# -- alarms


class AlarmModel:
    """What a nurse expects of one alarm of a bed; :class:`BedsideModel` has all of them."""

    def __init__(self, code: alarm_table.Code) -> None:
        self.code = code
        self.sources: set[int] = set()  # who says that it is so now
        self.held: int | None = None  # over, but shown until this sample
        self.back = 0.0  # heart rate that ends it
        self.peaks: list[int] = []  # R peaks since it was over
        self.state: str | None = None  # what is shown; None: nothing
        self.onset = -1
        self.call_again = math.inf  # when an acknowledged one does
        self.covered = False  # by the audio pause

    @property
    def stands(self) -> bool:
        return bool(self.sources) or self.held is not None

    @property
    def audio(self) -> str:
        if self.state is None:
            return "off"
        if self.state == "acknowledged":
            return "silenced"
        return "paused" if self.covered else "on"


Told = tuple[str, str, int, str]
"""Code, state, onset and audio of an alarm event; of an audio pause its state alone."""


class BedsideModel:
    """The alarms of one bed by plain rules: no tables of transitions, no rows. Samples are those of 360 Hz."""

    def __init__(self) -> None:
        self.alarms = {code.name: AlarmModel(code) for code in alarm_table.CODES}
        self.now = 0.0
        self.pause_until = 0.0
        self.ceiling = ""
        self.told: list[Told] = []

    def take_told(self) -> list[Told]:
        told, self.told = self.told, []
        return told

    def hidden(self, name: str) -> bool:
        return any(self.alarms[above].stands for above, below in alarm_table.HIDES.items() if name in below)

    # -- the signal

    def sample(self, k: int, found: Sequence[alarms.Happening]) -> None:
        """All that happens at one sample; samples at which nothing does may be left out."""
        self.run_to(k - 1)
        names = [code.name for code in alarm_table.CODES]
        for one in sorted((one for one in found if one.name), key=lambda one: names.index(one.name)):
            (self.begin if one.cause == "onset" else self.end)(k, one)
        if any(one.name for one in found):
            self.look(k)
        for one in found:
            if not one.name:
                for alarm in self.alarms.values():
                    if alarm.held is not None:
                        alarm.peaks.append(one.sample)

    def begin(self, k: int, one: alarms.Happening) -> None:
        alarm = self.alarms[one.name]
        stood, held = bool(alarm.sources), alarm.held is not None
        alarm.sources.add(one.source)
        if stood:
            return
        alarm.held = None
        each_counts = alarm.code.recurs and alarm.state == "acknowledged"
        if (not held or each_counts) and not self.hidden(one.name):
            if alarm.state is not None:
                self.clear(alarm)
            self.show(alarm, one.sample)

    def end(self, k: int, one: alarms.Happening) -> None:
        alarm = self.alarms[one.name]
        stood = bool(alarm.sources)
        alarm.sources.discard(one.source)
        if not stood or alarm.sources or alarm.state is None:
            return
        if alarm.code.hold and one.reason is None:
            alarm.held, alarm.peaks = k + round(alarm.code.hold * FS), []
            alarm.back = (one.limit or 0.0) + alarm.code.margin
        else:
            self.over(alarm)

    def run_to(self, last: int) -> None:
        """Let what is held go when its time has come, the first first."""
        while due := [a for a in self.alarms.values() if a.held is not None and a.held <= last]:
            alarm = min(due, key=lambda a: (a.held, alarm_table.INDEX[a.code.name]))
            at, peaks = alarm.held, alarm.peaks
            assert at is not None
            rate = 60 * FS * (len(peaks) - 1) / (max(peaks) - min(peaks)) if len(set(peaks)) > 1 else None
            margin = alarm.code.margin
            if rate is not None and ((margin < 0 and rate > alarm.back) or (margin > 0 and rate < alarm.back)):
                alarm.held, alarm.peaks = at + round(alarm.code.hold * FS), [max(peaks)]
                continue
            alarm.held = None
            self.over(alarm)
            self.look(at)

    def look(self, k: int) -> None:
        """What graver conditions hide now, and what none hides any more."""
        if not any(alarm.stands for alarm in self.alarms.values()):
            return
        for name, alarm in self.alarms.items():
            if self.hidden(name):
                alarm.held = None
                if alarm.state is not None:
                    self.clear(alarm)
            elif alarm.sources and alarm.state is None:
                self.show(alarm, k)

    # -- people and time

    def acknowledge(self, name: str) -> None:
        alarm = self.alarms[name]
        if alarm.state == "latched":
            self.clear(alarm)
        elif alarm.state == "raised":
            alarm.call_again = self.now + 120.0
            self.tell(alarm, "acknowledged")

    def pause(self, seconds: float) -> None:
        shown = [alarm for alarm in self.alarms.values() if alarm.state is not None]
        only_low = bool(shown) and all(alarm.code.priority == "low" for alarm in shown)
        self.pause_until, self.ceiling = self.now + seconds, "low" if only_low else "medium"
        for alarm in shown:
            alarm.covered = True
        self.told.append(("", "paused", 0, ""))

    def resume(self) -> None:
        if not self.pause_until:
            return
        self.pause_until = 0.0
        self.told.append(("", "sounds", 0, ""))
        for alarm in self.alarms.values():
            alarm.covered = False

    def wait(self, seconds: float) -> None:
        self.now += seconds
        if self.pause_until <= self.now:
            self.resume()
        for alarm in self.alarms.values():
            if alarm.state == "acknowledged" and alarm.call_again <= self.now and alarm.sources:
                self.tell(alarm, "raised")

    # -- what is shown

    def show(self, alarm: AlarmModel, onset: int) -> None:
        silent = {"low": ("low",), "medium": ("low", "medium")}.get(self.ceiling, ())
        alarm.covered = self.pause_until > self.now and alarm.code.priority in silent
        alarm.onset = onset
        self.tell(alarm, "raised")

    def over(self, alarm: AlarmModel) -> None:
        if alarm.state == "raised" and alarm.code.latching:
            self.tell(alarm, "latched")
        elif alarm.state in ("raised", "acknowledged"):
            self.clear(alarm)

    def clear(self, alarm: AlarmModel) -> None:
        self.tell(alarm, None)

    def tell(self, alarm: AlarmModel, state: str | None) -> None:
        alarm.state = state
        self.told.append((alarm.code.name, state or "cleared", alarm.onset, alarm.audio))


def as_tuples(records: NDArray[Any], *fields: str) -> list[tuple[Any, ...]]:
    """The chosen fields of a structured array, row by row, as Python values."""
    return list(zip(*(records[field].tolist() for field in fields), strict=True))


# -- beats


def rr_context(r_peaks: Sequence[int], n: int) -> dict[str, float]:
    """The features of beat `n` that its timing and those before it give, by name."""
    before = _intervals(r_peaks[:n])  # intervals known before this beat came
    interval = (r_peaks[n] - r_peaks[n - 1]) / FS if n else 0.0

    def ratio(value: float, over: float) -> float:
        return min(max(math.log(value / over), -3.0), 3.0) if value > 0 and over > 0 else 0.0

    def past(back: int) -> float:
        return before[-back] if len(before) >= back else 0.0

    def quantile(most: int, share: float) -> float:
        return float(np.quantile(before[-most:], share)) if before else 0.0

    changes = [abs(math.log(b / a)) for a, b in itertools.pairwise(before)]
    recent = before[-32:]
    triples = list(zip(recent, recent[1:], recent[2:], strict=False))
    turns = sum((b - a) * (b - c) > 0 for a, b, c in triples)
    found = {
        "rr_to_shortest8": ratio(interval, quantile(8, 0.0)),
        "rr_to_longest8": ratio(interval, quantile(8, 1.0)),
        "rr_to_previous": ratio(interval, past(1)),
        "irregularity": pstdev(before[-8:]) / mean(before[-8:]) if len(before) > 1 else 0.0,
        "turns32": turns / len(triples) if triples else 0.0,
        "experience": min(n, 32) / 32,
    }
    for most in (8, 40, 120):
        found[f"rr_to_mean{most}"] = ratio(interval, mean(before[-most:]) if before else 0.0)
        found[f"rr_to_median{most}"] = ratio(interval, quantile(most, 0.5))
    for most in (40, 120):
        found[f"rr_to_short{most}"] = ratio(interval, quantile(most, 0.1))
        found[f"rr_to_long{most}"] = ratio(interval, quantile(most, 0.9))
        found[f"spread{most}"] = ratio(quantile(most, 0.75), quantile(most, 0.25))
        found[f"reach{most}"] = ratio(quantile(most, 0.9), quantile(most, 0.1))
    for most in (16, 64):
        found[f"change{most}"] = median(changes[-most:]) if changes else 0.0
        found[f"jumps{most}"] = mean(change > 0.1 for change in changes[-most:]) if changes else 0.0
    for back in range(1, 8):
        found[f"previous_rr{back}"] = ratio(past(back), quantile(40, 0.5))
    return found


def best_fit(shape: Samples, window: Samples, reach: int, low: int, high: int) -> tuple[float, int]:
    """The largest correlation of a window's points ``low .. high`` with a shape shifted by up to `reach`."""
    fits = []
    for shift in range(-reach, reach + 1):
        part, other = window[low:high], shape[low - shift : high - shift]
        flat = np.ptp(part) == 0.0 or np.ptp(other) == 0.0
        fits.append((0.0 if flat else float(np.corrcoef(part, other)[0, 1]), -shift))
    best, shift = max(fits)
    return best, -shift


# -- waves


def wave_features(signal: Samples) -> dict[str, float]:
    """The features of four seconds of a lead's display signal at 360 Hz that follow on others, by whole-signal means.

    The last value of the fourth before them comes first: a slope leads to the first value.
    """
    kept = signal.reshape(-1, 4).mean(1).astype(np.float32).astype(np.float64)
    x, slope = kept[1:], np.diff(kept)
    size, steepness = math.sqrt(np.mean(x * x)) + 1e-4, math.sqrt(np.mean(slope * slope)) + 1e-4
    largest, steepest = np.abs(x).max(), np.abs(slope).max()
    found = {
        "size": math.log(size),
        "crest": math.log((largest + 1e-4) / size),
        "slope_crest": math.log((steepest + 1e-4) / steepness),
        "steepness": math.log(steepness / size),
        "half_period": math.log(math.pi / 90 * (np.abs(x).sum() + 1e-4) / (np.abs(slope).sum() + 1e-4)),
        "crossings": np.count_nonzero((kept[1:] > 0) != (kept[:-1] > 0)) / 4.0,
        "skewness": np.mean(x**3) / size**3,
    }
    for share in (0.05, 0.1, 0.2, 0.4):
        found[f"low_{share:g}"] = np.mean(np.abs(x) < share * largest)
        found[f"flat_{share:g}"] = np.count_nonzero(np.abs(np.diff(x)) < share * steepest) / len(x)
    power = np.abs(np.fft.fft(x * (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(360) / 360.0)))) ** 2
    heard = list(range(2, 63))  # 0.5 to 15.5 Hz in steps of 0.25 Hz
    whole = sum(power[k] for k in heard) + 360.0 * 1e-8
    share_of = {k: power[k] / whole for k in heard}
    for low, high in itertools.pairwise(waves.BANDS):
        share = sum(share_of[k] for k in heard if low <= k / 4 < high)
        found[f"power_{low:g}_{high:g}"] = math.log(share + 1e-4)
    peak = max((k for k in heard if k >= 4), key=lambda k: power[k])
    found["peak"] = peak / 4
    found["concentration"] = sum(share_of[k] for k in heard if abs(k - peak) <= 2)
    found["purity"] = sum(share**2 for share in share_of.values())
    found["centre"] = sum(k / 4 * share for k, share in share_of.items())
    alike = [sum(s * math.cos(2.0 * math.pi * k / 4 * 2 * lag / 90) for k, s in share_of.items()) for lag in range(60)]
    low = min(range(1, 30), key=lambda lag: alike[lag])
    high = max(range(low, 60), key=lambda lag: alike[lag])
    found |= {"unlike": alike[low], "unlike_lag": low / 45, "alike": alike[high], "alike_lag": high / 45}
    found |= {f"alike_{2 * lag}": alike[lag] for lag in range(4, 60, 5)}
    for name, values in (("", x), ("slope_", slope)):
        powers = (values.reshape(8, 45) ** 2).sum(1) + 1e-8
        found[f"{name}unsteady"] = pstdev(np.log(powers).tolist())
        found[f"{name}weakest"] = math.log(powers.min() / powers.max())
    return found
