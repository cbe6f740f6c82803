"""The online Pan-Tompkins QRS detector: one pass, constant memory, nothing from the future, one lead or two.

Band-pass, derivative, squaring and moving-window integration turn each lead into an energy; the energies of the leads
that can be analysed are fused into one, whose peaks are candidates. Three things come of them:

- **levels**: two adaptive thresholds, a refractory period, T-wave discrimination and search-back choose among the
  candidates as in the paper; the beats of this rule keep signal and noise levels, intervals and templates;
- **beats**: a small learned judge (:mod:`monitor.judge`) looks at each candidate, given those levels. What it decides
  is told and flows nowhere else: no level, interval or template rests on it;
- **triggers**: the provisional R, told while the energy still rises; for the blinking heart and the beep.

Departures from the paper, each with its reason; `trainer/LOG.md` has what each gained.

- The root of the integrated energy is thresholded, not the energy: peak levels then scale with amplitude, and a
  small beat after a large one is 1:4, not 1:16.
- One energy signal instead of two (the paper also thresholds the band-passed signal): R is placed on the display
  signal afterwards, in `beats`, so the second signal adds delay and no beats.
- The band is 5-18 Hz at 360 Hz, not 5-11 Hz at 200 Hz, and the integration window 100 ms, not 150 ms: both let two
  fast beats stay apart.
- Two leads: each energy root is divided by its lead's own signal level, then the squares are averaged with weights by
  the leads' noise; a lead that cannot be analysed weighs nothing. Neither amplitude nor gain of a lead matters.
- A peak becomes a candidate when nothing has exceeded it for DOMINANCE. The judge looks at it after EARLY already, and
  a beat it is sure of is told then; at the others it looks again in the end.
- T waves are told by slope up to 500 ms after a beat, with a second, smaller fraction beyond 333 ms: the paper stops
  at 360 ms, and long QT reaches further.
- Learning costs no beats: candidates of the first one and a half seconds are kept and judged when the levels are known.
- A peak counts at most twice the running signal level, and as noise at most that level, so that an artefact cannot
  raise the threshold beyond reach; without beats the level sinks.
- No limit on irregular rhythm (the paper halves the thresholds then): search-back does that work.
- A peak below FLOOR, or below FLOOR_SHARE of the signal level, on every lead is no candidate at all; nor is what
  cannot be a QRS complex (:mod:`monitor.plausible`): the paper's thresholds would follow a signal down to any size.
- In a noisy and restless signal the templates hardly learn. There, and half as much in a calm signal whose rhythm is
  regular, a candidate where the rhythm expects a beat is more readily told, one out of time less so.

Source: Pan J, Tompkins WJ, A real-time QRS detection algorithm, IEEE Trans Biomed Eng 32(3):230-236, 1985,
doi:10.1109/TBME.1985.325532, and the erratum to its search-back rule that is printed with later reprints; Hamilton PS,
Tompkins WJ, 1986, doi:10.1109/TBME.1986.325695.
"""

from __future__ import annotations

from math import exp, sqrt
from typing import Final

import numpy as np

from monitor import judge, plausible
from monitor.ecg import FS, MAX_LEADS
from monitor.judge import INTEGRATION, INTERVALS, LONG, MASK, RING, SHAPE, TEMPLATE
from monitor.kernel import kernel

EARLY: Final = judge.AHEAD
"""Samples after an energy peak at which the judge looks at it; a beat it is sure of is told 150 ms after R."""

DOMINANCE: Final = judge.LATER
"""Samples a peak must stay unexceeded; a beat that is told only then comes 236 ms after R."""

REFRACTORY: Final = round(0.200 * FS)
LEARNING: Final = round(1.5 * FS)
LEARN_FROM: Final = 3
"""Candidates, or fewer when the first is about to be too old."""
THRESHOLD: Final = 0.33
"""Of the way from the noise level to the signal level."""
SEARCH_THRESHOLD: Final = 0.70
"""The second threshold, as a fraction of the first."""
SEARCH_BACK: Final = 1.5
"""Median RR intervals without a beat after which it is searched for."""
SEARCH_FROM: Final = round(0.250 * FS)
SEARCH_SIZE: Final = 0.2
"""Of a beat: nothing smaller is told by search-back, for P waves must not fill a pause..."""
SEARCH_SIZE_IRREGULAR: Final = 0.3
"""... and in an irregular rhythm nothing smaller than that."""
T_WAVE: Final = round(0.333 * FS)
T_WAVE_LATE: Final = round(0.500 * FS)
T_SLOPE: Final = 0.70
T_SLOPE_LATE: Final = 0.20
SIGNAL_RATE: Final = 0.10
NOISE_RATE: Final = 0.20
FLOOR: Final = 0.8
"""Energy root, mV/s; noise of 10 uV in the detector's band has as much."""
FLOOR_SHARE: Final = 0.07
"""Of a lead's signal level; a candidate exceeds this and FLOOR, on one lead."""
LOWEST: Final = 6.0
"""Energy root, mV/s. A signal level sinks no deeper; some twenty beats bring it back."""
DECAY: Final = 0.06
"""How much of its level a lead loses every DECAY_EVERY samples once nothing was found for DECAY_AFTER."""
DECAY_EVERY: Final = round(0.1 * FS)
DECAY_AFTER: Final = round(1.5 * FS)
CANDIDATE_AGE: Final = round(1.6 * FS)
"""No beat is looked for further back..."""
LEARNING_AGE: Final = 3 * FS
"""... but those of the learning time may be older."""
UNSURE_NOISE: Final = 0.003
"""Added to a lead's squared noise-to-signal ratio before it is weighed: below 5 % all leads are equally good."""

SURE_SIZE: Final = 0.75
"""A candidate smaller than this share of a beat waits for DOMINANCE, however sure the judge is."""

OWN_WEIGHT: Final = 0.1
OWN_BEFORE: Final = round(0.100 * FS)
"""A lead of at least that weight places R by its own energy peak, from so many samples before the fused one."""

TRIGGER_LOW: Final = 0.36
TRIGGER_HIGH: Final = 0.66
"""Of the way from noise to signal: a rising energy triggers at HIGH, one that has peaked at LOW."""
TRIGGER_PEAKED: Final = 3
"""Samples after its peak at which a lower energy has peaked."""
TRIGGER_APART: Final = round(0.250 * FS)
TRIGGER_SLOPE: Final = 0.60
TRIGGER_SLOPE_LATE: Final = 0.30

_CANDIDATES: Final = 32
_SLOPE_SPAN: Final = 50
_HIGHEST_RATIO: Final = 4.0
_TEMPLATE_RATE: Final = 0.10
_TEMPLATE_RATE_UNLIKE: Final = 0.03
_ALIKE: Final = 0.6
_BEND_RATE: Final = 0.10
_STIR_RATE: Final = 0.02
_TAUGHT: Final = 9
"""Beats after which a lead's templates learn by what a beat is worth, but never less than..."""
_LEAST_WORTH: Final = 0.05
_NEVER: Final = -(1 << 40)

LAG: Final = 25
"""Samples from an R peak to its energy peak (measured on DS1)."""

TRIGGER, BEAT = 0, 1
DETECTION: Final = np.dtype(
    [
        ("kind", np.int64),
        ("peak", np.int64),  # BEAT: sample of the energy peak; TRIGGER: of the decision. R lies up to 150 ms before
        ("emitted", np.int64),
        ("search_back", np.int64),
        ("logit", np.float64),  # of a beat: the judge's
        ("trust", np.float64),  # and how calm the signal is, measured two ways, 0 to 1
        ("worth", np.float64),
    ],
    align=True,
)

LEAD: Final = np.dtype(
    [
        ("recent", np.float64, (4,)),  # band-passed signal, oldest first
        ("squares", np.float64, (INTEGRATION,)),
        ("energy", np.float64),  # sum of `squares`
        ("at_peak", np.float64),  # that sum where the fused energy was highest
        ("usable", np.int64),
        ("level", np.float64),  # of beats, energy root in mV/s; 0: not known
        ("noise", np.float64),
        ("slope", np.float64),  # steepest of the last beat, mV/s
        ("weight", np.float64),  # share in the fused energy; over all leads 1
        ("scale", np.float64),  # what turns the sum of squares into its part of the fused energy
        ("template", np.float64, (TEMPLATE,)),  # the mean beat, band-passed, mV
        ("shape", np.float64, (SHAPE,)),  # the same of the display signal, level and slope taken out
        ("long", np.float64, (LONG,)),  # that over a longer time
        ("bend", np.float64),  # running means over beats of what the judge calls sharpness and restlessness, mV
        ("stir", np.float64),
        ("seen", np.int64),  # beats in the templates
    ],
    align=True,
)

CANDIDATE: Final = np.dtype(
    [
        ("at", np.int64),
        ("size", np.float64),  # root of the fused energy; a beat is about 1
        ("value", np.float64, (MAX_LEADS,)),  # energy root of each lead, mV/s
        ("slope", np.float64, (MAX_LEADS,)),  # steepest before it, mV/s
        ("logit", np.float64),  # the judge's, with what its agreement with the rule is worth
        ("trust", np.float64),  # how far rule and search-back are to be trusted, 0 to 1
        ("worth", np.float64),  # how much the templates may learn from it, 0 to 1
        ("told", np.int64),
    ],
    align=True,
)

RHYTHM: Final = np.dtype(
    [
        ("last", np.int64),  # energy peak of the last beat
        ("intervals", np.float64, (INTERVALS,)),
        ("ordered", np.float64, (INTERVALS,)),  # the same, in order
        ("count", np.int64),
        ("recent", np.float64),  # median of the last RECENT
        ("typical", np.float64),  # median of all intervals remembered
        ("regular", np.float64),  # 1 in a regular rhythm, 0 in an irregular one; for beats told alone
        ("overdue", np.float64),  # samples without a beat after which one is searched for
    ],
    align=True,
)

STATE: Final = np.dtype(
    [
        ("time", np.int64),  # samples seen
        ("lead", LEAD, (MAX_LEADS,)),
        ("band", np.float32, (MAX_LEADS, RING)),  # a ring
        ("shown", np.float32, (MAX_LEADS, RING)),  # display signal, a ring
        ("energy", np.float32, (MAX_LEADS, RING)),  # sums of squares, a ring
        ("raw", np.float32, (MAX_LEADS, plausible.RAW)),  # before any filter, a ring
        ("large_at", np.int64),  # the rule's last beat that was not small
        ("fused", np.float64),  # fused energy of the sample before
        ("peak", np.float64),  # the highest fused energy since the last candidate
        ("peak_at", np.int64),
        ("from", np.int64),  # where that search began: the slope of an earlier peak may be highest there
        ("peak_seen", np.int64),  # whether the judge has looked at this peak
        ("peak_told", np.int64),
        ("running", CANDIDATE),  # the peak as a candidate, with what the judge said of it
        ("learned", np.int64),
        ("learn_at", np.int64),
        ("noise", np.float64),  # fused; the signal level is 1
        ("rule", RHYTHM),
        ("told", RHYTHM),
        ("trigger_at", np.int64),
        ("candidate", CANDIDATE, (_CANDIDATES,)),
        ("candidates", np.int64),
        ("history", judge.PAST, (judge.PASTS,)),  # the latest candidates, newest first
        ("features", np.float32, (judge.MOST_LATER,)),  # what the judge last saw
        ("judged", np.int64),  # how often it has
        ("thorough", np.int64),  # 1: all candidates count, and it looks again at each, as training asks for
    ],
    align=True,
)


@kernel
def start(state):  # type: ignore[no-untyped-def]
    """Make a zeroed STATE record ready for its first sample."""
    state["rule"]["last"] = _NEVER
    state["told"]["last"] = _NEVER
    state["large_at"] = _NEVER
    for rhythm in (state["rule"], state["told"]):
        rhythm["recent"] = judge.recent_interval(rhythm)
        rhythm["overdue"] = SEARCH_BACK * rhythm["recent"]
    state["trigger_at"] = _NEVER
    state["learn_at"] = LEARNING
    for i in range(judge.PASTS):
        state["history"][i]["at"] = _NEVER


# -- levels


@kernel
def _fuse_peak(state):  # type: ignore[no-untyped-def]
    peak = 0.0
    for n in range(MAX_LEADS):
        peak += state["lead"][n]["scale"] * state["lead"][n]["at_peak"]
    state["peak"] = peak


@kernel
def _begin_peak(state):  # type: ignore[no-untyped-def]
    """Look for the next peak from this sample on, or find the running one higher here."""
    state["peak_at"] = state["time"]
    state["peak_seen"] = 0
    state["peak_told"] = 0
    for n in range(MAX_LEADS):
        state["lead"][n]["at_peak"] = state["lead"][n]["energy"]
    _fuse_peak(state)


@kernel
def _weigh(state):  # type: ignore[no-untyped-def]
    """Share out the weight among the leads that can be analysed, by their noise; express the running peak in it.

    A lead whose beats are too small to be seen weighs nothing beside one that shows more.
    """
    total, strongest = 0.0, 0.0
    for n in range(MAX_LEADS):
        if state["lead"][n]["usable"]:
            strongest = max(strongest, state["lead"][n]["level"])
    for n in range(MAX_LEADS):
        lead = state["lead"][n]
        lead["weight"] = 0.0
        shows = lead["level"] > LOWEST or (lead["level"] > 0.0 and strongest <= LOWEST)
        if lead["usable"] and (shows or not state["learned"]):
            ratio = lead["noise"] / lead["level"] if lead["level"] > 0.0 else 1.0
            lead["weight"] = 1.0 / (ratio * ratio + UNSURE_NOISE)
            total += lead["weight"]
    for n in range(MAX_LEADS):
        lead = state["lead"][n]
        lead["scale"] = 0.0
        if lead["weight"] > 0.0:
            lead["weight"] /= total
            level = lead["level"] if lead["level"] > 0.0 else 1.0
            lead["scale"] = lead["weight"] / (level * level * INTEGRATION)
    _fuse_peak(state)


# -- the rule: its thresholds, T waves, and what it learns from a candidate


@kernel
def _threshold(state, fraction):  # type: ignore[no-untyped-def]
    return state["noise"] + fraction * (1.0 - state["noise"])


@kernel
def _steepness(state, slope):  # type: ignore[no-untyped-def]
    """Slopes over those of the last beat, all leads together."""
    ratio = 0.0
    for n in range(MAX_LEADS):
        lead = state["lead"][n]
        if lead["weight"] > 0.0 and lead["slope"] > 0.0:
            ratio += lead["weight"] * min(slope[n] / lead["slope"], _HIGHEST_RATIO)
    return ratio


@kernel
def _is_t_wave(state, distance, slope):  # type: ignore[no-untyped-def]
    if distance < T_WAVE:
        return _steepness(state, slope) < T_SLOPE
    if distance < T_WAVE_LATE:
        return _steepness(state, slope) < T_SLOPE_LATE
    return False


@kernel
def _steepest(state, n, at):  # type: ignore[no-untyped-def]
    """Steepest slope of lead `n` in the 140 ms before `at`, mV/s."""
    band = state["band"][n]
    steepest = 0.0
    for i in range(max(4, at - _SLOPE_SPAN), at + 1):
        a, b = np.float64(band[i & MASK]), np.float64(band[(i - 1) & MASK])
        c, d = np.float64(band[(i - 3) & MASK]), np.float64(band[(i - 4) & MASK])
        steepest = max(steepest, abs(2.0 * a + b - c - 2.0 * d))
    return steepest * (FS / 8.0)


@kernel
def _note_beat(rhythm, at):  # type: ignore[no-untyped-def]
    if rhythm["last"] != _NEVER:
        judge.keep_interval(rhythm, np.float64(at - rhythm["last"]))
        rhythm["recent"] = judge.recent_interval(rhythm)
        rhythm["overdue"] = SEARCH_BACK * rhythm["recent"]
    rhythm["last"] = at


@kernel
def _accept(state, candidate, rate):  # type: ignore[no-untyped-def]
    """A beat by the rule: learn from it."""
    at = candidate["at"]
    _note_beat(state["rule"], at)
    if not _is_small(state, at - plausible.BEFORE, at + plausible.AFTER):
        state["large_at"] = at
    for n in range(MAX_LEADS):
        lead = state["lead"][n]
        if lead["usable"] == 0:
            continue
        value = candidate["value"][n]
        if lead["level"] > 0.0:
            lead["level"] += rate * (min(value, 2.0 * lead["level"]) - lead["level"])
        else:
            lead["level"] = max(value, LOWEST)
        lead["slope"] = candidate["slope"][n]
        likeness, shift, _ = judge.compare(state, n, at)
        worth = 1.0 if lead["seen"] < _TAUGHT else max(candidate["worth"], _LEAST_WORTH)
        weight = _TEMPLATE_RATE if likeness > _ALIKE else _TEMPLATE_RATE_UNLIKE
        if lead["seen"] == 0:
            weight, shift = 1.0, 0
        elif likeness > _ALIKE:
            weight = max(weight, 1.0 / (lead["seen"] + 1))
        bend_rate = 1.0 if lead["seen"] == 0 else _BEND_RATE
        stir_rate = max(_STIR_RATE, 1.0 / (lead["seen"] + 1))
        lead["bend"] += worth * bend_rate * (judge.bend(state, n, at) - lead["bend"])
        lead["stir"] += worth * stir_rate * (judge.stir(state, n, at) - lead["stir"])
        lead["seen"] += 1
        judge.blend(state, n, at + shift, worth * weight)
        judge.blend_shape(state, n, at + shift, lead["shape"], worth * weight)
        judge.blend_shape(state, n, at + shift, lead["long"], worth * weight)
    _weigh(state)


@kernel
def _refuse(state, candidate):  # type: ignore[no-untyped-def]
    """Noise by the rule: learn from it."""
    state["noise"] += NOISE_RATE * (min(candidate["size"], 1.0) - state["noise"])
    for n in range(MAX_LEADS):
        lead = state["lead"][n]
        if lead["usable"]:
            lead["noise"] += NOISE_RATE * (min(candidate["value"][n], lead["level"]) - lead["noise"])
    _weigh(state)


# -- what is told


@kernel
def _own_peak(state, at):  # type: ignore[no-untyped-def]
    """Where the energy of the first lead that can be analysed peaks around the fused peak `at`.

    R is placed on that lead, and another one may reach its peak earlier or later: in T waves that it shows as large as
    a QRS, or after a pacing spike. A lead that hardly counts has no say.
    """
    for n in range(MAX_LEADS):
        lead = state["lead"][n]
        if lead["usable"] == 0:
            continue
        if lead["weight"] < OWN_WEIGHT:
            return at
        energy = state["energy"][n]
        best = at
        for i in range(max(0, at - OWN_BEFORE), at + EARLY + 1):
            if energy[i & MASK] > energy[best & MASK]:
                best = i
        return best
    return at


@kernel
def _tell_trigger(state, out, found):  # type: ignore[no-untyped-def]
    told = out[found]
    told["kind"] = TRIGGER
    told["peak"] = state["time"]
    told["emitted"] = state["time"]
    told["search_back"] = 0
    told["logit"], told["trust"], told["worth"] = 0.0, 0.0, 0.0
    return found + 1


@kernel
def _tell_beat(state, candidate, search_back, out, found):  # type: ignore[no-untyped-def]
    told = out[found]
    told["kind"] = BEAT
    told["peak"] = _own_peak(state, candidate["at"])
    told["emitted"] = state["time"]
    told["search_back"] = search_back
    told["logit"], told["trust"], told["worth"] = candidate["logit"], candidate["trust"], candidate["worth"]
    _note_beat(state["told"], candidate["at"])
    state["told"]["regular"] = judge.regularity(state["told"])
    return found + 1


@kernel
def _remember(state, candidate):  # type: ignore[no-untyped-def]
    count = state["candidates"]
    if count == _CANDIDATES:
        for i in range(1, count):
            state["candidate"][i - 1] = state["candidate"][i]
        count -= 1
    state["candidate"][count] = candidate
    state["candidates"] = count + 1


@kernel
def _forget_old(state):  # type: ignore[no-untyped-def]
    """Drop the candidates that neither search can take any more."""
    oldest = max(min(state["rule"]["last"], state["told"]["last"]), state["time"] - CANDIDATE_AGE)
    kept = 0
    for i in range(state["candidates"]):
        if state["candidate"][i]["at"] > oldest:
            if kept < i:
                state["candidate"][kept] = state["candidate"][i]
            kept += 1
    state["candidates"] = kept


@kernel
def _may_be_told(state, at, logit):  # type: ignore[no-untyped-def]
    return logit > 0.0 and at - state["told"]["last"] >= REFRACTORY


@kernel
def _expected(state, candidate):  # type: ignore[no-untyped-def]
    """What the rhythm adds to a candidate's logit: up to RHYTHM_BONUS either way in noise, in calm REGULAR_BONUS."""
    told, trust = state["told"], candidate["trust"]
    if told["count"] < judge.RHYTHM_KNOWN:
        return 0.0
    intervals = (candidate["at"] - told["last"]) / told["typical"]
    if intervals >= SEARCH_BACK:
        return 0.0
    away = (intervals - 1.0) / judge.RHYTHM_WIDTH
    bonus = judge.RHYTHM_BONUS * (1.0 - trust) + judge.REGULAR_BONUS * trust * told["regular"]
    return bonus * (2.0 * exp(-away * away) - 1.0)


@kernel
def _is_sure(candidate):  # type: ignore[no-untyped-def]
    """Whether a candidate need not wait: a P wave may look like a beat until the QRS dwarfs it."""
    return candidate["logit"] > judge.SURE and candidate["size"] > SURE_SIZE


# -- what cannot be a beat


@kernel
def _is_small(state, first, last):  # type: ignore[no-untyped-def]
    for n in range(MAX_LEADS):
        if state["lead"][n]["usable"] and not plausible.is_small(state["shown"][n], MASK, first, last):
            return False
    return True


@kernel
def _is_implausible(state, first, last):  # type: ignore[no-untyped-def]
    """Whether no lead shows anything from sample `first` to `last` that may be a QRS complex."""
    among_large = last - state["large_at"] < plausible.SMALL_AFTER
    for n in range(MAX_LEADS):
        if state["lead"][n]["usable"] == 0:
            continue
        large = among_large or not plausible.is_small(state["shown"][n], MASK, first, last)
        if large and not plausible.is_spike(state["raw"][n], first, last):
            return False
    return True


@kernel
def _is_tall_t(state, at):  # type: ignore[no-untyped-def]
    """Whether it is soon after a beat and all leads show something much blunter than beats."""
    if at - state["rule"]["last"] > plausible.T_PEAK:
        return False
    for n in range(MAX_LEADS):
        lead = state["lead"][n]
        if lead["weight"] > 0.0 and judge.bend(state, n, at) > plausible.BLUNT * lead["bend"]:
            return False
    return True


# -- a candidate: measured, judged, settled


@kernel
def _by_rule(state, candidate):  # type: ignore[no-untyped-def]
    """Whether the paper's rule takes the candidate."""
    distance = candidate["at"] - state["rule"]["last"]
    return (
        distance >= REFRACTORY
        and candidate["size"] > _threshold(state, THRESHOLD)
        and not _is_t_wave(state, distance, candidate["slope"])
    )


@kernel
def _measure(state, candidate):  # type: ignore[no-untyped-def]
    """Take the running peak as a candidate; tell whether it is one: a peak indeed, above FLOOR, and plausible."""
    at = state["peak_at"]
    candidate["at"] = at
    candidate["size"] = sqrt(max(state["peak"], 0.0))
    candidate["told"] = state["peak_told"]
    above = False
    for n in range(MAX_LEADS):
        lead = state["lead"][n]
        usable = lead["usable"] == 1
        candidate["value"][n] = sqrt(max(lead["at_peak"], 0.0) / INTEGRATION) if usable else 0.0
        above = above or candidate["value"][n] > max(FLOOR, FLOOR_SHARE * lead["level"])
    if at <= state["from"] or not above:
        return False
    if state["thorough"] == 0 and (
        _is_implausible(state, at - plausible.BEFORE, at + plausible.AFTER) or _is_tall_t(state, at)
    ):
        return False
    for n in range(MAX_LEADS):
        candidate["slope"][n] = _steepest(state, n, at) if candidate["value"][n] > 0.0 else 0.0
    return True


@kernel
def _look(state, candidate, later):  # type: ignore[no-untyped-def]
    """Ask the judge about a candidate, the first time or `later`."""
    distance = candidate["at"] - state["rule"]["last"]
    by_rule = _by_rule(state, candidate)
    is_t = _is_t_wave(state, distance, candidate["slope"])
    threshold = _threshold(state, THRESHOLD)
    judge.look(state, candidate, threshold, is_t, distance < REFRACTORY, by_rule, later)
    state["judged"] += 1


@kernel
def _settle(state, candidate, search_back, out, found):  # type: ignore[no-untyped-def]
    """Decide on a candidate that the judge has seen once: tell it, and let the rule learn from it."""
    if state["thorough"] or (candidate["told"] == 0 and candidate["logit"] > judge.UNLIKELY):
        _look(state, candidate, True)
    judge.recall(state, candidate)
    logit = candidate["logit"] + _expected(state, candidate)
    if candidate["told"] == 0 and _may_be_told(state, candidate["at"], logit):
        candidate["told"] = 1
        found = _tell_beat(state, candidate, search_back, out, found)
    if candidate["at"] - state["rule"]["last"] < REFRACTORY:
        if candidate["told"] == 0 and candidate["at"] - state["told"]["last"] >= SEARCH_FROM:
            _remember(state, candidate)
        return found
    if _by_rule(state, candidate):
        _accept(state, candidate, SIGNAL_RATE)
    else:
        _refuse(state, candidate)
    _remember(state, candidate)
    _forget_old(state)
    return found


# -- the first seconds


@kernel
def _may_learn(state):  # type: ignore[no-untyped-def]
    """Whether there are candidates enough, or the oldest would be too old before there are; and a lead they tell of."""
    known = False
    for n in range(MAX_LEADS):
        known = known or state["lead"][n]["usable"] == 1
    count = state["candidates"]
    if not known:
        return False
    return count >= LEARN_FROM or (count > 0 and state["candidate"][0]["at"] <= state["time"] - LEARNING_AGE + 1)


@kernel
def _learn(state, out, found):  # type: ignore[no-untyped-def]
    """Set the levels from the candidates so far and judge those that are not too old."""
    count = state["candidates"]
    early = state["candidate"][:count].copy()
    state["candidates"] = 0
    for n in range(MAX_LEADS):
        lead = state["lead"][n]
        if lead["usable"] == 0:
            continue
        ordered = np.sort(early["value"][:, n].copy())
        upper = ordered[count // 2 :]
        level = 0.5 * (upper[(upper.size - 1) // 2] + upper[upper.size // 2]) if count > 3 else ordered[count - 1]
        lead["level"] = max(level, LOWEST)
        lead["noise"] = 0.1 * level
        slopes = np.sort(early["slope"][:, n].copy())
        lead["slope"] = 0.8 * slopes[(3 * count) // 4 if count > 3 else count - 1]
    state["noise"] = 0.1
    state["learned"] = 1
    _weigh(state)
    for i in range(count):
        candidate = early[i]
        if candidate["at"] <= state["time"] - LEARNING_AGE or (i > 0 and _is_blunt(state, early[i - 1], candidate)):
            continue
        fused = 0.0
        for n in range(MAX_LEADS):
            value = candidate["value"][n]
            fused += state["lead"][n]["scale"] * INTEGRATION * value * value
        candidate["size"] = sqrt(fused)
        _look(state, candidate, False)
        found = _settle(state, candidate, 1, out, found)
    return found


@kernel
def _is_blunt(state, before, candidate):  # type: ignore[no-untyped-def]
    """Whether a candidate of the learning time is the tall T wave of the one before it: no beat is known yet."""
    if state["thorough"] or candidate["at"] - before["at"] >= T_WAVE:
        return False
    for n in range(MAX_LEADS):
        sharp = judge.bend(state, n, before["at"])
        if state["lead"][n]["usable"] and judge.bend(state, n, candidate["at"]) > plausible.BLUNT * sharp:
            return False
    return True


# -- looking back


@kernel
def _search_by_rule(state):  # type: ignore[no-untyped-def]
    """Let the rule learn from the largest candidate since its last beat if that passes the second threshold."""
    best = -1
    most = SEARCH_THRESHOLD * _threshold(state, THRESHOLD)
    for i in range(state["candidates"]):
        candidate = state["candidate"][i]
        distance = candidate["at"] - state["rule"]["last"]
        if (
            candidate["size"] > most
            and distance >= SEARCH_FROM
            and candidate["at"] > state["time"] - CANDIDATE_AGE
            and not _is_t_wave(state, distance, candidate["slope"])
        ):
            best, most = i, candidate["size"]
    if best >= 0:
        _accept(state, state["candidate"][best], 2 * SIGNAL_RATE)
        state["candidate"][best]["logit"] += judge.SEARCH_BONUS * state["candidate"][best]["trust"]
        _forget_old(state)


@kernel
def _search_to_tell(state, out, found):  # type: ignore[no-untyped-def]
    """Tell the candidate since the last beat that the judge likes best, if it does not dislike it much."""
    best = -1
    most = 0.0
    least = SEARCH_SIZE_IRREGULAR + (SEARCH_SIZE - SEARCH_SIZE_IRREGULAR) * state["told"]["regular"]
    for i in range(state["candidates"]):
        candidate = state["candidate"][i]
        logit = candidate["logit"] + judge.LENIENCE * candidate["trust"]
        if (
            candidate["told"] == 0
            and logit > most
            and candidate["size"] > least
            and candidate["at"] - state["told"]["last"] >= SEARCH_FROM
            and candidate["at"] > state["time"] - CANDIDATE_AGE
        ):
            best, most = i, logit
    if best < 0:
        return found
    state["candidate"][best]["told"] = 1
    found = _tell_beat(state, state["candidate"][best], 1, out, found)
    _forget_old(state)
    return found


# -- sample by sample


@kernel
def _triggers(state, fused):  # type: ignore[no-untyped-def]
    """Whether the rising energy is a QRS already: high enough, or low and past its peak; and too steep for a T wave."""
    time = state["time"]
    if time - state["trigger_at"] < TRIGGER_APART:
        return False
    high, low = _threshold(state, TRIGGER_HIGH), _threshold(state, TRIGGER_LOW)
    if not (
        state["fused"] <= high * high < fused
        or (time - state["peak_at"] == TRIGGER_PEAKED and state["peak"] > low * low)
    ):
        return False
    if _is_implausible(state, time - plausible.BEFORE, time - plausible.AFTER):
        return False
    distance = time - max(state["trigger_at"], state["rule"]["last"])
    if distance >= T_WAVE_LATE:
        return True
    slope = np.zeros(MAX_LEADS)
    for n in range(MAX_LEADS):
        if state["lead"][n]["weight"] > 0.0:
            slope[n] = _steepest(state, n, time)
    return _steepness(state, slope) > (TRIGGER_SLOPE if distance < T_WAVE else TRIGGER_SLOPE_LATE)


@kernel
def _note_usable(state, usable, i):  # type: ignore[no-untyped-def]
    """Take up a lead that can be analysed again, leave one that is lost; learn anew if no level is known."""
    changed, known, left = False, False, False
    for n in range(MAX_LEADS):
        lead = state["lead"][n]
        if lead["usable"] != usable[n, i]:
            lead["usable"] = usable[n, i]
            changed = True
        left = left or lead["usable"] == 1
        known = known or (lead["usable"] == 1 and lead["level"] > 0.0)
    if not changed:
        return
    if state["learned"] and left and not known:
        state["learned"] = 0
        state["learn_at"] = state["time"] + LEARNING
        state["candidates"] = 0
    _weigh(state)


@kernel
def step(state, raw, band, display, usable, leads, count, out):  # type: ignore[no-untyped-def]
    """Look for beats in a block.

    Args:
        state: a STATE record.
        raw: (MAX_LEADS, capacity) float64, settled mV at 360 Hz; to tell spikes alone.
        band: (MAX_LEADS, capacity) float64, the detector band, mV.
        display: (MAX_LEADS, capacity) float64, the display band, mV; for the judge's eye alone.
        usable: (MAX_LEADS, capacity) int64, 1 where a lead can be analysed; 0 where not, and for leads not in use.
        leads: leads in use.
        count: samples in the block.
        out: DETECTION records; at least ``2 * (count // REFRACTORY) + 80``.

    Returns:
        How many detections were made, in the order of `emitted`.
    """
    found = 0
    candidate = state["running"]
    for i in range(count):
        time = state["time"]
        slot = time % INTEGRATION
        fused = 0.0
        changed = False
        for n in range(leads):
            lead = state["lead"][n]
            recent = lead["recent"]
            x = band[n, i]
            slope = (2.0 * x + recent[3] - recent[1] - 2.0 * recent[0]) * (FS / 8.0)
            recent[0], recent[1], recent[2], recent[3] = recent[1], recent[2], recent[3], x
            square = slope * slope
            energy = lead["energy"] + square - lead["squares"][slot]
            lead["squares"][slot] = square
            if slot == 0:  # the running sum gathers rounding errors: take it anew once a window
                energy = 0.0
                for j in range(INTEGRATION):
                    energy += lead["squares"][j]
            lead["energy"] = energy
            state["raw"][n, time % plausible.RAW] = raw[n, i]
            state["band"][n, time & MASK] = x
            state["shown"][n, time & MASK] = display[n, i]
            state["energy"][n, time & MASK] = energy
            changed = changed or lead["usable"] != usable[n, i]
        if changed:
            _note_usable(state, usable, i)
        for n in range(leads):
            fused += state["lead"][n]["scale"] * state["lead"][n]["energy"]

        learned = state["learned"] == 1
        waited = time - state["peak_at"]
        if fused > state["peak"]:
            _begin_peak(state)
        elif waited == EARLY and learned:
            if _measure(state, candidate):
                _look(state, candidate, False)
                state["peak_seen"] = 1
                if _is_sure(candidate) and _may_be_told(state, candidate["at"], candidate["logit"]):
                    state["peak_told"] = 1
                    found = _tell_beat(state, candidate, 0, out, found)
        elif waited >= DOMINANCE:
            if _measure(state, candidate):
                if not learned:
                    _remember(state, candidate)
                else:
                    if state["peak_seen"] == 0:  # learning ended after the peak
                        _look(state, candidate, False)
                    found = _settle(state, candidate, 0, out, found)
            _begin_peak(state)
            state["from"] = time
        if learned:
            if _triggers(state, fused):
                state["trigger_at"] = time
                found = _tell_trigger(state, out, found)
            if state["candidates"] > 0:
                if time - state["rule"]["last"] > state["rule"]["overdue"]:
                    _search_by_rule(state)
                if time - state["told"]["last"] > state["told"]["overdue"]:
                    found = _search_to_tell(state, out, found)
            silent = time - state["rule"]["last"]
            if time % DECAY_EVERY == 0 and silent > DECAY_AFTER and silent > state["rule"]["overdue"]:
                for n in range(leads):
                    lead = state["lead"][n]
                    if lead["usable"] == 1 and lead["level"] > 0.0:
                        lead["level"] = max(lead["level"] * (1.0 - DECAY), LOWEST)
                _weigh(state)
        elif time >= state["learn_at"] and _may_learn(state):
            found = _learn(state, out, found)
        state["fused"] = fused
        state["time"] = time + 1
    return found
