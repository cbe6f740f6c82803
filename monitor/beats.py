"""From a detection to what the classifier sees: R placed, timing noted, and what each lead shows of the beat.

Everything here rests on the signal and on the kernel's own rule label, never on the network's output, so a data set
written once stays true whatever model follows.

- R is the largest deflection of the display signal in the 150 ms before the detector's energy peak, weighed by how near
  it lies to where R usually is: of the two large deflections of a ventricular beat annotators mark the earlier. One
  against the patient's usual polarity must be twice as large, so that a biphasic QRS keeps its R.
- A beat waits until its window is complete. Then :mod:`monitor.timing` compares its interval and :mod:`monitor.shapes`
  its shape on each lead with what the same patient's beats were like. A lead learns from every beat it can be analysed
  in, whichever lead comes first, and what it learnt outlasts its loss.
- A beat is told when its window is complete, and again, with what is known of the next beat, when that is found or has
  been awaited for long enough. Nothing else differs between the two rows, to the bit. One row is enough where the next
  beat is known by then, or where its interval will not be measured. So at most one beat waits: the last.
- Features of timing come first, then those of the first lead that can be analysed, then those of the second: what one
  lead has is the beginning of what two have.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor import shapes, timing
from monitor.ecg import FS, MAX_LEADS
from monitor.filters import DISPLAY_DELAY
from monitor.kernel import kernel
from monitor.shapes import CHANNELS, LEAD, LEAD_FEATURES, LEAD_STATE, RULE_N
from monitor.timing import CONTEXT, CONTEXT_FEATURES, EARLY, NEXT
from monitor.window import AFTER, BEFORE, NEVER, RING, WIDTH


def features_of(leads: int) -> tuple[str, ...]:
    """Names of the features of so many leads."""
    second = tuple(f"second_{name}" for name in LEAD_FEATURES) if leads > 1 else ()
    return CONTEXT_FEATURES + LEAD_FEATURES + second


def channels_of(leads: int) -> tuple[str, ...]:
    """Names of the window channels of so many leads."""
    return CHANNELS + (tuple(f"second_{name}" for name in CHANNELS) if leads > 1 else ())


FEATURES: Final = features_of(MAX_LEADS)

_CERTAINTY: Final = CONTEXT_FEATURES.index("certainty")
_CALM: Final = CONTEXT_FEATURES.index("calm")
_CALM_ENOUGH: Final = CONTEXT_FEATURES.index("calm_enough")
_MOST_CERTAIN: Final = 12.0
_PENDING: Final = 48
_SEARCH: Final = round(0.150 * FS)
_CLOSEST: Final = round(0.100 * FS)
_AGAINST: Final = 2.0  # how much larger a deflection against the usual polarity must be
_USUALLY: Final = round(0.070 * FS)  # samples from the display signal's R to the energy peak
_TRIGGERED: Final = round(0.022 * FS)  # the same to the trigger
_EARLY_SPAN: Final = 0.110 * FS  # samples from there at which a deflection counts half, and the same after it
_LATE_SPAN: Final = 0.050 * FS
_WAIT: Final = round(timing.LONGEST_WAIT * FS)

BEAT: Final = np.dtype(
    [
        ("row", np.int64),
        ("sample", np.int64),  # R peak
        ("emitted", np.int64),
        ("search_back", np.int64),
        ("rule", np.int64),
        ("leads", np.int64),  # in how many leads its window was usable
        ("first", np.int64),  # whether this is its first row
        ("final", np.int64),  # whether this is its last
    ],
    align=True,
)

PENDING: Final = np.dtype(
    [
        ("r", np.int64),
        ("known", np.int64),  # the sample that found it
        ("search_back", np.int64),
        ("interval", np.float64),  # s; 0 where unknown
        ("logit", np.float64),  # the judge's
        ("trust", np.float64),  # how calm the signal was, two ways
        ("worth", np.float64),
    ],
    align=True,
)

WAITING: Final = np.dtype(
    [
        ("waits", np.int64),  # whether there is one
        ("beat", BEAT),  # as it was told
        ("window", np.float32, (len(channels_of(MAX_LEADS)), WIDTH)),
        ("features", np.float32, (len(FEATURES),)),
        ("references", timing.REFERENCES),
        ("fixed", np.int64),  # the sample that settled what is known of the next beat; NEVER: none yet
        ("next", np.float64),  # the interval to it, s; 0: unknown
    ],
    align=True,
)
"""The beat that was told and waits for the next one."""

STATE: Final = np.dtype(
    [
        ("ring", np.float32, (MAX_LEADS, RING)),  # display signal, mV
        ("leads", np.int64),
        ("lead", np.int64),  # the one that beats are placed on and named from
        ("written", np.int64),  # display samples so far
        ("last_r", np.int64),
        ("polarity", np.float64),  # running mean of the sign of R
        ("pending_count", np.int64),
        ("pending", PENDING, (_PENDING + 1,)),  # beats whose window is not complete, oldest first; the last stays empty
        ("waiting", WAITING),
        ("references", timing.REFERENCES),  # of the beat that is being described
        ("intervals", np.float64, (timing.MOST,)),  # s, a ring
        ("interval_count", np.int64),
        ("sorted", np.float64, (3, timing.MOST)),  # the last 8, 40 and 120, each in order
        ("changes", np.float64, (timing.HISTORY,)),  # absolute log change from interval to interval, a ring
        ("change_count", np.int64),
        ("beat_count", np.int64),
        ("normal_rr", np.float64),  # running interval between normal, timely beats, s
        ("early_run", np.int64),  # early beats in a row
        ("last_normal", np.int64),  # whether the rule called the last beat normal
        ("of_lead", LEAD_STATE, (MAX_LEADS,)),
    ],
    align=True,
)


@kernel
def start(state, leads):  # type: ignore[no-untyped-def]
    """Make a zeroed STATE record ready for its first sample."""
    state["last_r"] = NEVER
    state["leads"] = leads
    for lead in range(leads):
        state["of_lead"][lead]["usable"] = 1
        state["of_lead"][lead]["last_r"] = NEVER


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
        one["last_r"] = NEVER
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
def _settle(state, at, interval):  # type: ignore[no-untyped-def]
    """All that will be known of the next beat of the one that waits is known at sample `at`."""
    waiting = state["waiting"]
    if waiting["waits"] and waiting["fixed"] == NEVER:
        waiting["fixed"] = at
        waiting["next"] = interval


@kernel
def push(state, detection):  # type: ignore[no-untyped-def]
    """Take a detection: place R, note the interval, wait for the window.

    Args:
        state: a STATE record.
        detection: a :data:`monitor.qrs.DETECTION` record of a beat.

    Returns:
        The sample of the R peak.
    """
    r = place(state, detection["peak"])
    beat = state["pending"][state["pending_count"]]
    beat["r"] = r
    beat["known"] = detection["emitted"]
    beat["search_back"] = detection["search_back"]
    beat["interval"] = 0.0
    if state["last_r"] != NEVER:
        beat["interval"] = max(min((r - state["last_r"]) / FS, 10.0), 0.0)
    beat["logit"], beat["trust"], beat["worth"] = detection["logit"], detection["trust"], detection["worth"]
    _settle(state, detection["emitted"], beat["interval"])
    state["last_r"] = r
    state["pending_count"] += 1
    return r


@kernel
def forget_timing(state, at):  # type: ignore[no-untyped-def]
    """After missing signal the next interval is unknown: do not measure it, nor wait for it any longer."""
    _settle(state, at, 0.0)
    state["last_r"] = NEVER


@kernel
def _usable(state, lead, r):  # type: ignore[no-untyped-def]
    one = state["of_lead"][lead]
    return one["usable"] and one["usable_since"] <= max(r + DISPLAY_DELAY - BEFORE, 0)


@kernel
def _describe(state, lead, to_mean, learn, window, f):  # type: ignore[no-untyped-def]
    """What one lead shows of the oldest pending beat; see :func:`monitor.shapes.describe`."""
    one, ring, beat = state["of_lead"][lead], state["ring"][lead], state["pending"][0]
    timed = beat["interval"] > 0.0
    return shapes.describe(one, ring, beat["r"], beat["known"], timed, to_mean, learn, beat["worth"], window, f)


@kernel
def pop(state, until, window, features, out):  # type: ignore[no-untyped-def]
    """Make the next row of a beat if one is due: its first when its window is complete, or the final one.

    All detections up to sample `until` must have been pushed, and none after it.

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
    if state["waiting"]["waits"]:  # no other is pending then but such as settled what is known of the next
        return _make_final(state["waiting"], until, window, features, out)
    if state["pending_count"] == 0:
        return False
    beat = state["pending"][0]
    emitted = max(beat["r"] + DISPLAY_DELAY + AFTER - 1, beat["known"])
    if emitted >= until:
        return False
    out["sample"] = beat["r"]
    out["emitted"] = emitted
    out["search_back"] = beat["search_back"]
    _make(state, beat, window, features, out)
    out["first"] = 1
    out["final"] = 1
    waited = emitted - beat["r"]
    following = features[NEXT:CONTEXT]
    if state["pending_count"] > 1:
        timing.fill_next(state["references"], state["pending"][1]["interval"], False, following)
    elif state["last_r"] == NEVER:
        timing.fill_next(state["references"], 0.0, False, following)
    elif waited >= _WAIT:
        timing.fill_next(state["references"], waited / FS, True, following)
    else:
        out["final"] = 0
        following[:] = 0.0
        _let_wait(state, window, features, out)
    for i in range(state["pending_count"]):
        state["pending"][i] = state["pending"][i + 1]
    state["pending_count"] -= 1
    return True


@kernel
def _make(state, beat, window, features, out):  # type: ignore[no-untyped-def]
    """Describe a beat, but for what is known of the next, and learn from it."""
    r, interval, references = beat["r"], beat["interval"], state["references"]
    timing.refer(state, interval, references)
    timing.fill(state, references, features)
    features[_CERTAINTY] = min(max(beat["logit"], -_MOST_CERTAIN), _MOST_CERTAIN)
    features[_CALM] = beat["trust"]
    features[_CALM_ENOUGH] = beat["worth"]
    to_mean = np.float64(features[0])
    leads = 0
    rule = RULE_N
    channels = len(CHANNELS)
    for lead in range(state["leads"]):
        if _usable(state, lead, r):
            w = window[leads * channels : (leads + 1) * channels]
            f = features[CONTEXT + leads * LEAD : CONTEXT + (leads + 1) * LEAD]
            here = _describe(state, lead, to_mean, True, w, f)
            if leads == 0:
                rule = here
            leads += 1
    if leads == 0:  # announced while all are lost, or just after: the lead R was placed on has to do
        w, f = window[:channels], features[CONTEXT : CONTEXT + LEAD]
        rule = _describe(state, state["lead"], to_mean, False, w, f)
        leads = 1
    for i in range(leads * channels, MAX_LEADS * channels):
        window[i] = 0.0
    features[CONTEXT + leads * LEAD :] = 0.0
    out["rule"] = rule
    out["leads"] = leads
    early = to_mean < EARLY
    if rule == RULE_N and interval > 0.0 and not early and state["last_normal"]:
        near = state["normal_rr"]
        if near == 0.0:
            state["normal_rr"] = interval
        else:
            state["normal_rr"] += 0.1 * (min(interval, 1.5 * near) - near)
    state["last_normal"] = 1 if rule == RULE_N else 0
    state["early_run"] = state["early_run"] + 1 if np.float64(features[timing.TO_NORMAL]) < EARLY else 0
    state["beat_count"] += 1
    if interval > 0.0:
        timing.keep(state, interval)


@kernel
def _copy(beat, other):  # type: ignore[no-untyped-def]
    """Copy a row of a beat, but for what tells it from the beat's other row."""
    other["sample"] = beat["sample"]
    other["emitted"] = beat["emitted"]
    other["search_back"] = beat["search_back"]
    other["rule"] = beat["rule"]
    other["leads"] = beat["leads"]


@kernel
def _let_wait(state, window, features, out):  # type: ignore[no-untyped-def]
    """Keep a beat that has been told for its final row."""
    waiting = state["waiting"]
    waiting["waits"] = 1
    _copy(out, waiting["beat"])
    waiting["window"][:] = window
    waiting["features"][:] = features
    waiting["references"] = state["references"]
    waiting["fixed"] = NEVER
    waiting["next"] = 0.0


@kernel
def _make_final(waiting, until, window, features, out):  # type: ignore[no-untyped-def]
    """Make the final row of the beat that waits if what is known of the next was settled before sample `until`."""
    emitted, interval = waiting["fixed"], waiting["next"]
    awaited = emitted == NEVER
    if awaited:
        emitted, interval = waiting["beat"]["sample"] + _WAIT, _WAIT / FS
    if emitted >= until:
        return False
    window[:] = waiting["window"]
    features[:] = waiting["features"]
    timing.fill_next(waiting["references"], interval, awaited, features[NEXT:CONTEXT])
    _copy(waiting["beat"], out)
    out["emitted"] = emitted
    out["first"] = 0
    out["final"] = 1
    waiting["waits"] = 0
    return True
