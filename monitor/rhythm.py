"""Rate, runs and rhythm from detections and labelled beats, on the sample clock.

The kernel consumes, bed by bed and in the order of `emitted`, what the front end and the classifier found, and says
when a condition of :mod:`monitor.conditions` begins or ends. Several may stand at once: which of them is shown is for
:mod:`monitor.alarms` to say.

Asystole, and likewise a pause, has two ways to be found: the interval between two beats, and a clock that runs out
VERDICT_WAIT or WAIT after its time, so that a beat which arrived in time but is still on its way through the detector
counts. Both give the same verdict. Where no lead can be analysed, the clock stands still and no interval is measured
across: a beat from before the loss may be announced during it, so beats announced then count only if they turn out to
lie after it.

Noise stops no clock: what is found in it counts as a beat, and silence counts. But while it lasts only ASYSTOLE and
VFIB begin, beats have no names, and what stands is held. The heart rate is unknown RATE_LAPSE after it began. After
LAPSE of noise or of lost signal all that stands, but for ASYSTOLE and VFIB, ends as lapsed, and the rhythm is NOISE.

While the signal shows ventricular fibrillation, silence is no asystole and beats are none: all else ends. When it no
longer does, the silence up to then counts, and asystole is told at once where it is due.

A beat counts by its first name at once. If its final one differs, and no signal was lost in between, the last beat is
taken back and counts anew: what that changes is told as revised, the rest is not told again. A condition that the first
name had ended begins anew at that beat; a rhythm that it had brought is replaced from where that began.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor import atrial_fibrillation, rate, supraventricular, ventricular
from monitor.align import OK
from monitor.conditions import (
    AF,
    ASYSTOLE,
    BIGEMINAL,
    BIGEMINY,
    BRADY,
    BY_NAME,
    CHANGE,
    CONDITIONS,
    EVENT_HOLD,
    EXTREME_BRADY,
    EXTREME_TACHY,
    FAST_ATRIAL,
    FIBRILLATING,
    IDIOVENTRICULAR,
    LABELS,
    NOISY,
    NONE_DUE,
    NORMAL,
    PAUSE,
    RHYTHM,
    SETTINGS,
    SHORT_RUN,
    STANDING,
    STANDSTILL,
    SUPRAVENTRICULAR,
    TACHY,
    TRIGEMINAL,
    TRIGEMINY,
    UNKNOWN,
    VF,
    VFIB,
    VT,
    VTACH,
    say,
    set_standing,
)
from monitor.ecg import FS
from monitor.kernel import kernel
from monitor.losses import BACK

__all__ = ["CHANGE", "CONDITIONS", "ITEM", "LABELS", "RHYTHM", "SETTINGS", "STATE", "room", "start", "step"]

WAIT: Final = 0.45
"""Seconds from an R peak within which a detector that is not searching back has said so..."""
VERDICT_WAIT: Final = 0.75
"""... and from which an asystole is told: by then fine fibrillation has been seen in the signal, if it is one."""
LEARNING: Final = 4.0
"""Seconds from the start of a stream from which silence counts: the detector is learning until then."""
RATE_LAPSE: Final = 10.0
"""Seconds of noise after which the heart rate is unknown."""
LAPSE: Final = 30.0
"""Seconds of noise or lost signal for which what stood before is held."""
FEW: Final = 3
"""Beats from which there is a rhythm."""

ITEM_QUALITY, ITEM_NOISE, ITEM_FIBRILLATION, ITEM_QRS, ITEM_REVISION, ITEM_BEAT = range(6)
"""A revision is the final name of the last beat; one that is known with the next beat's name comes before that."""
NO_FIBRILLATION, SHOWS_VT, SHOWS_VF = range(3)
"""What the signal shows: the value of ITEM_FIBRILLATION, whose sample is where that began."""

ITEM: Final = np.dtype(
    [
        ("row", np.int64),
        ("kind", np.int64),
        ("sample", np.int64),
        ("emitted", np.int64),
        ("value", np.int64),  # QUALITY: why no lead can be analysed, or OK; NOISE: 0 or a reason; BEAT: AAMI class
        ("p", np.float64),  # BEAT, REVISION: log of the learnt P wave over what varies there
    ],
    align=True,
)

TOLD: Final = np.dtype([("label", np.int64), ("at", np.int64)], align=True)
"""A rhythm and where it was told to begin."""

NAMED: Final = np.dtype(
    [
        ("ventricular", ventricular.STATE),
        ("supraventricular", supraventricular.STATE),
        ("af", atrial_fibrillation.STATE),
        ("standing", STANDING),
    ],
    align=True,
)
"""All that rests on the names of beats."""

STATE: Final = np.dtype(
    [
        ("settings", SETTINGS),
        ("reason", np.int64),  # why no lead can be analysed, or OK
        ("usable", np.int64),  # first sample after the signal was last lost
        ("noise", np.int64),  # 0, or a reason
        ("quiet", np.int64),  # first sample after the last noise
        ("fibrillation", np.int64),  # what the signal shows
        ("fibrillated", np.int64),  # first sample after it last showed fibrillation
        ("shown", np.int64),  # ... or tachycardia
        ("since", np.int64),  # from here on silence counts
        ("time", np.int64),  # up to here time has passed
        ("last_qrs", np.int64),
        ("has_qrs", np.int64),  # whether last_qrs can start an interval
        ("passing", np.int64),  # whether the next interval is no rate
        ("paused", np.int64),  # whether the silence that lasts is known to be a pause
        ("rate", rate.STATE),
        ("rate_lapse", np.int64),  # when noise makes the heart rate unknown, or NONE_DUE
        ("lapse", np.int64),  # when what stands ends because nobody can tell, or NONE_DUE
        ("pause_until", np.int64),  # when PAUSE ends by itself, or NONE_DUE
        ("told", TOLD),  # the rhythm
        ("previous", TOLD),  # the one before it
        ("told_before", TOLD),  # what they were before the last beat
        ("previous_before", TOLD),
        ("named", NAMED),
        ("before", NAMED),  # what it was before the last beat, should that be taken back
        ("active", np.int64, (len(CONDITIONS),)),  # what was told to stand
    ],
    align=True,
)


def room(items: int, ends: int) -> int:
    """How many changes so many items can bring to so many rows that advance."""
    return 3 * len(CONDITIONS) * (items + ends)


@kernel
def start(state):  # type: ignore[no-untyped-def]
    """Make a zeroed STATE record ready; the settings are left alone."""
    state["since"] = int(LEARNING * FS)
    state["rate_lapse"] = NONE_DUE
    state["lapse"] = NONE_DUE
    state["pause_until"] = NONE_DUE
    state["named"]["standing"]["until"][:] = NONE_DUE
    ventricular.start(state["named"]["ventricular"])
    state["before"] = state["named"]


@kernel
def _set(state, row, code, on, sample, emitted, value, limit, out, count):  # type: ignore[no-untyped-def]
    """Say so if a condition begins or ends; in noise it does neither."""
    if state["active"][code] == on or (state["noise"] and code not in (ASYSTOLE, VFIB)):
        return count
    state["active"][code] = on
    return say(row, code, on, sample, emitted, value, limit, out, count)


@kernel
def _end(state, row, code, emitted, lapsed, out, count):  # type: ignore[no-untyped-def]
    """A condition ends, whatever the names of beats say."""
    state["named"]["standing"]["on"][code] = 0
    state["named"]["standing"]["until"][code] = NONE_DUE
    state["before"]["standing"]["on"][code] = 0
    state["before"]["standing"]["until"][code] = NONE_DUE
    if code == PAUSE:
        state["pause_until"] = NONE_DUE
    if not state["active"][code]:
        return count
    state["active"][code] = 0
    count = say(row, code, 0, emitted, emitted, 0.0, 0.0, out, count)
    out[count - 1]["lapsed"] = lapsed
    return count


@kernel
def _end_all(state, row, emitted, lapsed, out, count):  # type: ignore[no-untyped-def]
    """All that stands ends, but for asystole and fibrillation."""
    for code in range(len(CONDITIONS)):
        if code not in (ASYSTOLE, VFIB):
            count = _end(state, row, code, emitted, lapsed, out, count)
    return count


@kernel
def _copy(told, other):  # type: ignore[no-untyped-def]
    other["label"], other["at"] = told["label"], told["at"]


@kernel
def _is(told, other):  # type: ignore[no-untyped-def]
    return told["label"] == other["label"] and told["at"] == other["at"]


@kernel
def _relabel(state, row, label, sample, emitted, out, count):  # type: ignore[no-untyped-def]
    if state["told"]["label"] == label:
        return count
    _copy(state["told"], state["previous"])
    state["told"]["label"], state["told"]["at"] = label, sample
    return say(row, RHYTHM, label, sample, emitted, 0.0, 0.0, out, count)


@kernel
def _interrupt(state):  # type: ignore[no-untyped-def]
    """The beats that come next do not follow those before; the last can no longer be taken back."""
    ventricular.interrupt(state["named"]["ventricular"])
    supraventricular.interrupt(state["named"]["supraventricular"])


# -- time


@kernel
def _silence_due(state, seconds, wait):  # type: ignore[no-untyped-def]
    """When so many seconds without a beat, and those in which it would be known, are over; or NONE_DUE."""
    if state["reason"] != OK or state["fibrillation"] != NO_FIBRILLATION:
        return NONE_DUE
    return max(state["since"] + int((seconds + wait) * FS), state["time"])


@kernel
def _asystole_due(state):  # type: ignore[no-untyped-def]
    if state["active"][ASYSTOLE]:
        return NONE_DUE
    return _silence_due(state, state["settings"]["asystole_s"], VERDICT_WAIT)


@kernel
def _pause_due(state):  # type: ignore[no-untyped-def]
    if state["paused"] or state["active"][ASYSTOLE] or state["noise"] or not state["has_qrs"]:
        return NONE_DUE
    if state["passing"] or state["settings"]["pause_s"] >= state["settings"]["asystole_s"]:
        return NONE_DUE
    return _silence_due(state, state["settings"]["pause_s"], WAIT)


@kernel
def _next_end(state):  # type: ignore[no-untyped-def]
    """The condition that is the next to end by itself, and when."""
    code, due = PAUSE, state["pause_until"]
    for other in BY_NAME:
        until = state["named"]["standing"]["until"][other]
        if until < due:
            code, due = other, until
    return code, due


@kernel
def _pass_time(state, row, now, out, count):  # type: ignore[no-untyped-def]
    """Let everything happen whose time ran out before sample `now`, in its order."""
    while True:
        asystole, pause = _asystole_due(state), _pause_due(state)
        code, end = _next_end(state)
        due = min(min(asystole, pause), min(end, min(state["rate_lapse"], state["lapse"])))
        if due >= now:
            state["time"] = now
            return count
        if due == end:
            count = _end(state, row, code, due, 0, out, count)
        elif due == state["rate_lapse"]:
            state["rate_lapse"] = NONE_DUE
            rate.forget(state["rate"])
            state["passing"] = 1
        elif due == state["lapse"]:
            state["lapse"] = NONE_DUE
            atrial_fibrillation.forget(state["named"]["af"])
            atrial_fibrillation.forget(state["before"]["af"])
            count = _end_all(state, row, due, 1, out, count)
            if not state["active"][ASYSTOLE] and not state["active"][VFIB]:
                count = _relabel(state, row, NOISY, due, due, out, count)
        elif due == pause:
            limit = state["settings"]["pause_s"]
            state["paused"] = 1
            state["pause_until"] = NONE_DUE
            count = _set(state, row, PAUSE, 1, state["last_qrs"], due, limit, limit, out, count)
        else:
            count = _stand_still(state, row, due, out, count)


@kernel
def _stand_still(state, row, due, out, count):  # type: ignore[no-untyped-def]
    """The time of asystole ran out."""
    rate.forget(state["rate"])
    onset = state["last_qrs"] if state["has_qrs"] else state["since"]
    limit = state["settings"]["asystole_s"]
    count = _set(state, row, ASYSTOLE, 1, onset, due, limit, limit, out, count)
    return _relabel(state, row, STANDSTILL, max(onset, state["fibrillated"]), due, out, count)


# -- what the signal allows and shows


@kernel
def _await(state, now):  # type: ignore[no-untyped-def]
    """Noise or a loss of signal bounds how long what stands is held; neither does not."""
    if state["reason"] == OK and state["noise"] == 0:
        state["lapse"] = NONE_DUE
    elif state["lapse"] == NONE_DUE:
        state["lapse"] = now + int(LAPSE * FS)


@kernel
def _on_quality(state, sample, reason):  # type: ignore[no-untyped-def]
    if reason != OK:
        state["has_qrs"] = 0
        rate.forget(state["rate"])
        _interrupt(state)
        if state["active"][PAUSE]:
            state["pause_until"] = sample + int(EVENT_HOLD * FS)
    elif state["reason"] != OK:
        state["usable"] = sample - BACK + 1
        state["has_qrs"] = 1 if state["last_qrs"] >= state["usable"] else 0
        state["since"] = state["last_qrs"] if state["has_qrs"] else sample
    before, state["reason"] = state["reason"], reason
    if (before == OK) != (reason == OK):
        _await(state, sample)


@kernel
def _on_noise(state, sample, reason):  # type: ignore[no-untyped-def]
    if (state["noise"] == 0) != (reason == 0):
        if reason:
            state["rate_lapse"] = sample + int(RATE_LAPSE * FS)
            _interrupt(state)
        else:
            state["rate_lapse"] = NONE_DUE
            state["quiet"] = sample
    state["noise"] = reason
    _await(state, sample)


@kernel
def _on_fibrillation(state, row, sample, emitted, value, out, count):  # type: ignore[no-untyped-def]
    before, state["fibrillation"] = state["fibrillation"], value
    if value == SHOWS_VF and before != SHOWS_VF:
        rate.forget(state["rate"])
        _interrupt(state)
        atrial_fibrillation.forget(state["named"]["af"])
        count = _end(state, row, ASYSTOLE, emitted, 0, out, count)
        count = _end_all(state, row, emitted, 0, out, count)
        count = _set(state, row, VFIB, 1, sample, emitted, 0.0, 0.0, out, count)
        return _relabel(state, row, VF, sample, emitted, out, count)
    if before == SHOWS_VF and value != SHOWS_VF:
        state["passing"] = 1
        state["fibrillated"] = sample
        count = _set(state, row, VFIB, 0, sample, emitted, 0.0, 0.0, out, count)
    if before == SHOWS_VT and value == NO_FIBRILLATION:
        state["shown"] = sample
    runs, standing = state["named"]["ventricular"], state["named"]["standing"]
    if value == SHOWS_VT and not state["noise"]:
        r = sample
        if runs["count"]:
            r = runs["at"][(runs["count"] - 1) % ventricular.BEATS]
            ventricular.judge_run(runs, standing, state["settings"], r, True)
        if not standing["on"][VTACH]:  # its waves may be too smooth for beats to be found
            set_standing(standing, VTACH, 1, sample, 0.0, state["settings"]["vt_rate"])
        count = _tell(state, row, r, emitted, 0, out, count)
    if value == SHOWS_VT and not state["active"][ASYSTOLE]:
        count = _relabel(state, row, VT, sample, emitted, out, count)
    return count


# -- beats as they are found


@kernel
def _on_qrs(state, row, r, emitted, out, count):  # type: ignore[no-untyped-def]
    if state["reason"] != OK or r < state["usable"]:
        state["last_qrs"] = r
        return count
    interval = (r - state["last_qrs"]) / FS if state["has_qrs"] else 0.0
    since = state["last_qrs"]
    state["last_qrs"] = r
    state["has_qrs"] = 1
    state["since"] = max(state["since"], r)
    if state["fibrillation"] == SHOWS_VF:
        state["passing"] = 1
        return count
    if state["fibrillation"] == SHOWS_VT and interval > state["settings"]["pause_s"]:  # beats there were, not found
        state["passing"] = 1
    else:
        count = _weigh_silence(state, row, since, r, interval, emitted, out, count)
    if state["told"]["label"] == STANDSTILL:
        count = _relabel(state, row, NORMAL, r, emitted, out, count)
    blind = state["noise"] and state["rate_lapse"] == NONE_DUE
    if interval > 0.0 and not blind:
        if state["passing"]:
            state["passing"] = 0
        else:
            rate.add(state["rate"], interval, state["named"]["ventricular"]["run"])
    if state["rate"]["shown"] == 0.0 or blind:  # not known: what stood before a loss of signal stands until it is
        return count
    return _weigh_rate(state, row, r, emitted, out, count)


@kernel
def _weigh_silence(state, row, since, r, interval, emitted, out, count):  # type: ignore[no-untyped-def]
    """See whether the interval that ends at `r` was a pause or asystole, or ends one."""
    settings = state["settings"]
    paused = interval > settings["pause_s"] and not state["passing"] and not state["active"][ASYSTOLE]
    if paused:
        count = _set(state, row, PAUSE, 1, since, emitted, interval, settings["pause_s"], out, count)
    if state["active"][PAUSE] and (paused or state["pause_until"] == NONE_DUE):
        state["pause_until"] = emitted + int(EVENT_HOLD * FS)
    state["paused"] = 0
    limit = settings["asystole_s"]
    if interval > limit and not state["active"][ASYSTOLE]:
        count = _set(state, row, ASYSTOLE, 1, since, emitted, interval, limit, out, count)
    if state["active"][ASYSTOLE]:
        count = _set(state, row, ASYSTOLE, 0, r, emitted, 0.0, limit, out, count)
    return count


@kernel
def _weigh_rate(state, row, r, emitted, out, count):  # type: ignore[no-untyped-def]
    """See whether the heart rate is beyond its limits."""
    settings, active, known = state["settings"], state["active"], state["rate"]
    shown = known["shown"]
    fast, slow = rate.of_last(known, rate.INTERVALS), rate.of_last(known, rate.FEW)
    if fast == 0.0 and active[EXTREME_TACHY]:
        fast = shown
    is_fast = rate.is_above(fast, settings["extreme_high"], active[EXTREME_TACHY])
    is_slow = rate.is_below(slow, settings["extreme_low"], active[EXTREME_BRADY])
    over = 0 if is_fast else rate.is_above(shown, settings["high"], active[TACHY])
    under = 0 if is_slow else rate.is_below(shown, settings["low"], active[BRADY])
    count = _set(state, row, EXTREME_TACHY, is_fast, r, emitted, fast, settings["extreme_high"], out, count)
    count = _set(state, row, EXTREME_BRADY, is_slow, r, emitted, slow, settings["extreme_low"], out, count)
    count = _set(state, row, TACHY, over, r, emitted, shown, settings["high"], out, count)
    return _set(state, row, BRADY, under, r, emitted, shown, settings["low"], out, count)


# -- beats as they are named


@kernel
def _take(state, r, aami, p, emitted):  # type: ignore[no-untyped-def]
    """Take a beat by its name: what that makes stand."""
    named = state["named"]
    runs, atrial, standing = named["ventricular"], named["supraventricular"], named["standing"]
    seen = state["fibrillation"] == SHOWS_VT
    aami = ventricular.take(runs, standing, state["settings"], r, aami, emitted, atrial["usual"], seen)
    interval = ventricular.interval(runs, 0)
    supraventricular.take(atrial, r, aami, interval)
    if aami <= SUPRAVENTRICULAR and interval > 0.0 and ventricular.kind(runs, 1) <= SUPRAVENTRICULAR:
        atrial_fibrillation.take(named["af"], r, interval, p)
    af = named["af"]
    likely = atrial_fibrillation.probability(af)
    set_standing(standing, AF, af["on"], af["since"], likely, atrial_fibrillation.PROBABILITY)


@kernel
def _tell(state, row, r, emitted, revised, out, count):  # type: ignore[no-untyped-def]
    """Tell what now stands by the names of beats; what another name had ended begins anew at `r`."""
    standing, before = state["named"]["standing"], state["before"]["standing"]
    for code in BY_NAME:
        on = standing["on"][code]
        if state["active"][code] == on:
            continue
        at = standing["onset"][code] if on and not before["on"][code] else r
        first = count
        count = _set(state, row, code, on, at, emitted, standing["value"][code], standing["limit"][code], out, count)
        if count > first:
            out[first]["revised"] = revised
    return count


@kernel
def _ignored(state, r):  # type: ignore[no-untyped-def]
    """Whether a name means nothing: no signal, noise, fibrillation."""
    if state["reason"] != OK or state["noise"] or state["fibrillation"] == SHOWS_VF:
        return True
    return r < max(state["usable"], max(state["quiet"], state["fibrillated"]))


@kernel
def _on_beat(state, row, r, aami, p, emitted, out, count):  # type: ignore[no-untyped-def]
    if _ignored(state, r):
        return count
    state["before"] = state["named"]
    _copy(state["told"], state["told_before"])
    _copy(state["previous"], state["previous_before"])
    _take(state, r, aami, p, emitted)
    count = _tell(state, row, r, emitted, 0, out, count)
    return _name_rhythm(state, row, r, emitted, 0, out, count)


@kernel
def _on_revision(state, row, r, aami, p, emitted, out, count):  # type: ignore[no-untyped-def]
    runs = state["named"]["ventricular"]
    last = (runs["count"] - 1) % ventricular.BEATS
    if _ignored(state, r) or runs["count"] == 0 or runs["at"][last] != r or runs["kind"][last] == aami:
        return count
    state["named"] = state["before"]
    _take(state, r, aami, p, emitted)
    count = _tell(state, row, r, emitted, 1, out, count)
    count = _name_rhythm(state, row, r, emitted, 1, out, count)
    changed = state["told"]["label"] != state["told_before"]["label"]
    _copy(state["told_before"] if changed else state["previous_before"], state["previous"])
    return count


@kernel
def _rhythm_of(state, r):  # type: ignore[no-untyped-def]
    """The rhythm that the beats up to the last, at `r`, make, and where it began; UNKNOWN: too few of them."""
    named = state["named"]
    runs, standing, af = named["ventricular"], named["standing"], named["af"]
    told = state["told_before"]
    if standing["on"][VTACH]:
        return VT, r if told["label"] == IDIOVENTRICULAR else standing["onset"][VTACH]
    if state["fibrillation"] == SHOWS_VT:
        return VT, runs["run_at"] if runs["run"] and told["label"] != IDIOVENTRICULAR else r
    if runs["run"] >= ventricular.RUN:
        return SHORT_RUN if runs["was_fast"] else IDIOVENTRICULAR, runs["run_at"]
    if af["on"]:  # it began where that shows, unless another rhythm was told since
        return FIBRILLATING, max(af["since"], told["at"]) if told["label"] in (NORMAL, UNKNOWN) else r
    if standing["on"][BIGEMINY]:
        return BIGEMINAL, ventricular.pattern_at(runs, 2)
    if standing["on"][TRIGEMINY]:
        return TRIGEMINAL, ventricular.pattern_at(runs, 3)
    if supraventricular.is_tachycardia(named["supraventricular"], r):
        return FAST_ATRIAL, named["supraventricular"]["run_at"]
    if runs["count"] < FEW:
        return UNKNOWN, r
    if told["label"] == FIBRILLATING:
        return NORMAL, max(af["since"], told["at"] + 1)
    if told["label"] == VF:
        return NORMAL, state["fibrillated"]
    if told["label"] in (VT, SHORT_RUN, IDIOVENTRICULAR):
        return NORMAL, min(max(state["shown"], runs["until"], told["at"] + 1), r)
    return NORMAL, r


@kernel
def _name_rhythm(state, row, r, emitted, revised, out, count):  # type: ignore[no-untyped-def]
    """Tell the rhythm if it changed, given what was told before the last beat."""
    if state["active"][ASYSTOLE]:
        return count
    label, at = _rhythm_of(state, r)
    if label == UNKNOWN:
        return count
    before, told, earlier = state["told_before"], state["told"], state["previous_before"]
    first = count
    if told["label"] != before["label"]:  # the beat's first name brought it
        if label == before["label"]:  # what was told before goes on
            at = before["at"]
        if told["at"] < at and not _is(told, earlier):
            held = before if before["at"] < told["at"] else earlier  # what it replaced goes on until then
            if held["label"] != UNKNOWN and held["at"] < told["at"]:
                count = say(row, RHYTHM, held["label"], told["at"], emitted, 0.0, 0.0, out, count)
            else:
                at = told["at"]
    count = _relabel(state, row, label, at, emitted, out, count)
    for i in range(first, count):
        out[i]["revised"] = revised
    return count


@kernel
def step(states, items, ends, out):  # type: ignore[no-untyped-def]
    """Take what was found in one tick.

    Args:
        states: (beds,) STATE.
        items: (n,) ITEM, ordered by row, then emitted, then kind.
        ends: (k, 2) int64, rows that advanced, ascending, and the samples they have processed.
        out: CHANGE records to fill; room for ``room(n, k)``.

    Returns:
        How many changes there are.
    """
    count = 0
    i = 0
    for e in range(ends.shape[0]):
        row, end = ends[e, 0], ends[e, 1]
        state = states[row]
        while i < items.size and items[i]["row"] == row:
            item = items[i]
            at, r, value, p = item["emitted"], item["sample"], item["value"], item["p"]
            count = _pass_time(state, row, at, out, count)
            if item["kind"] == ITEM_QUALITY:
                _on_quality(state, at, value)
            elif item["kind"] == ITEM_NOISE:
                _on_noise(state, at, value)
            elif item["kind"] == ITEM_FIBRILLATION:
                count = _on_fibrillation(state, row, r, at, value, out, count)
            elif item["kind"] == ITEM_QRS:
                count = _on_qrs(state, row, r, at, out, count)
            elif item["kind"] == ITEM_REVISION:
                count = _on_revision(state, row, r, value, p, at, out, count)
            else:
                count = _on_beat(state, row, r, value, p, at, out, count)
            i += 1
        count = _pass_time(state, row, end, out, count)
    return count
