"""Rate, runs and rhythm from detections and labelled beats, on the sample clock.

The kernel consumes, bed by bed and in the order of `emitted`, what the front end and the classifier found, and says
when a condition begins or ends. Conditions, after the definitions of the PhysioNet/CinC Challenge 2015:

    =============  ====================================================================================
    ASYSTOLE       no QRS for 4 s
    EXTREME_TACHY  17 beats at more than 140 per minute: the mean of 16 intervals
    EXTREME_BRADY  5 beats at less than 40 per minute: the mean of 4 intervals
    VTACH          5 or more ventricular beats in a row at more than 100 per minute
    VRUN           3 or more ventricular beats in a row (not while VTACH stands)
    TACHY, BRADY   the heart rate is beyond the bed's limits (not while the extreme alarm stands)
    =============  ====================================================================================

Asystole has two ways to be found: the interval between two beats, and a clock that runs out WAIT after the 4 s, so
that a beat which arrived in time but is still on its way through the detector counts. Both give the same verdict.
Where no lead can be analysed, the clock stands still and no interval is measured across: a beat from before
the loss may be announced during it, so beats announced then count only if they turn out to lie after it.

A beat counts by its first name at once. If its final one differs, and no signal was lost in between, the last beat is
taken back and counts anew: what that changes is told as revised, the rest is not told again. A condition that the first
name had ended begins anew at that beat; a rhythm that it had brought is replaced from where that began.

The heart rate is the mean of the last 8 intervals, of the last 4 when those are longer than 1.2 s.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor.align import OK
from monitor.ecg import FS
from monitor.kernel import kernel
from monitor.losses import BACK
from monitor.window import NEVER

CONDITIONS: Final = ("ASYSTOLE", "VTACH", "EXTREME_TACHY", "EXTREME_BRADY", "VRUN", "TACHY", "BRADY")
ASYSTOLE, VTACH, EXTREME_TACHY, EXTREME_BRADY, VRUN, TACHY, BRADY = range(len(CONDITIONS))

LABELS: Final = ("", "N", "VT", "B", "T", "ASYS")
"""Rhythm strings by number; the first stands for unknown."""
_UNKNOWN, _NORMAL, _VT, _BIGEMINY, _TRIGEMINY, _ASYSTOLE = range(len(LABELS))

ASYSTOLE_AFTER: Final = 4.0
WAIT: Final = 0.45
"""Seconds from an R peak within which a detector that is not searching back has said so."""
SETTLE: Final = 8.0
"""Seconds from the start of a stream before silence counts: the detector is learning."""
EXTREME_TACHY_RATE: Final = 140.0
EXTREME_BRADY_RATE: Final = 40.0
VT_RATE: Final = 100.0
LOW, HIGH = 50.0, 120.0
"""A bed's heart-rate limits unless set otherwise, per minute."""

VENTRICULAR: Final = 2
"""Index of V in :data:`monitor.ecg.AAMI_CLASSES`."""

ITEM_QUALITY, ITEM_QRS, ITEM_REVISION, ITEM_BEAT = range(4)
"""A revision is the final name of the last beat; one that is known with the next beat's name comes before that."""
ITEM: Final = np.dtype(
    [
        ("row", np.int64),
        ("kind", np.int64),
        ("sample", np.int64),
        ("emitted", np.int64),
        ("value", np.int64),  # QUALITY: why no lead can be analysed, or OK; BEAT, REVISION: AAMI class
    ],
    align=True,
)

CHANGE: Final = np.dtype(
    [
        ("row", np.int64),
        ("code", np.int64),  # a condition, or RHYTHM
        ("on", np.int64),  # 1 begins, 0 ends; RHYTHM: the label's number
        ("sample", np.int64),  # onset
        ("emitted", np.int64),
        ("value", np.float64),
        ("limit", np.float64),
        ("revised", np.int64),  # whether another name of a beat is why
    ],
    align=True,
)
RHYTHM: Final = -1

_INTERVALS: Final = 16
_BEATS: Final = 8
_VENTRICULAR: Final = 300  # a minute of the fastest that can be found

TOLD: Final = np.dtype([("label", np.int64), ("at", np.int64)], align=True)
"""A rhythm and where it was told to begin."""

BEFORE: Final = np.dtype(
    [
        ("run", np.int64),
        ("run_at", np.int64),
        ("vtach", np.int64),
        ("vrun", np.int64),
        ("told", TOLD),
        ("previous", TOLD),
    ],
    align=True,
)
"""What stood before the last beat, should that be taken back."""

STATE: Final = np.dtype(
    [
        ("low", np.float64),  # heart-rate limits, per minute
        ("high", np.float64),
        ("reason", np.int64),  # why no lead can be analysed, or OK
        ("usable", np.int64),  # first sample after the signal was last lost
        ("since", np.int64),  # from here on silence counts
        ("last_qrs", np.int64),
        ("has_qrs", np.int64),  # whether last_qrs can start an interval
        ("intervals", np.float64, (_INTERVALS,)),  # s, a ring
        ("interval_count", np.int64),
        ("heart_rate", np.float64),  # per minute; 0: unknown
        ("beat_at", np.int64, (_BEATS,)),  # labelled beats, a ring
        ("beat_class", np.int64, (_BEATS,)),
        ("beat_count", np.int64),
        ("run", np.int64),  # ventricular beats in a row
        ("run_at", np.int64),
        ("ventricular_at", np.int64, (_VENTRICULAR,)),  # a ring
        ("ventricular_count", np.int64),
        ("told", TOLD),  # the rhythm
        ("previous", TOLD),  # the one before it
        ("before", BEFORE),
        ("active", np.int64, (len(CONDITIONS),)),
    ],
    align=True,
)


@kernel
def start(state):  # type: ignore[no-untyped-def]
    """Make a zeroed STATE record ready; the limits are left alone."""
    state["since"] = int((SETTLE - ASYSTOLE_AFTER) * FS)


@kernel
def _say(row, code, on, sample, emitted, value, limit, out, count):  # type: ignore[no-untyped-def]
    change = out[count]
    change["row"] = row
    change["code"] = code
    change["on"] = on
    change["sample"] = sample
    change["emitted"] = emitted
    change["value"] = value
    change["limit"] = limit
    change["revised"] = 0
    return count + 1


@kernel
def _set(state, row, code, on, sample, emitted, value, limit, out, count):  # type: ignore[no-untyped-def]
    """Say so if a condition begins or ends."""
    if state["active"][code] == on:
        return count
    state["active"][code] = on
    return _say(row, code, on, sample, emitted, value, limit, out, count)


@kernel
def _mean(state, most):  # type: ignore[no-untyped-def]
    """Mean of the last `most` intervals, s; 0 when there are fewer."""
    if state["interval_count"] < most:
        return 0.0
    total = 0.0
    for i in range(most):
        total += state["intervals"][(state["interval_count"] - 1 - i) % _INTERVALS]
    return total / most


@kernel
def _rate(state, most):  # type: ignore[no-untyped-def]
    mean = _mean(state, most)
    return 60.0 / mean if mean > 0.0 else 0.0


@kernel
def _heart_rate(state):  # type: ignore[no-untyped-def]
    four = _mean(state, 4)
    if four == 0.0:
        return 0.0
    if four > 1.2 or state["interval_count"] < 8:
        return 60.0 / four
    return 60.0 / _mean(state, 8)


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
    return _say(row, RHYTHM, label, sample, emitted, 0.0, 0.0, out, count)


@kernel
def _check_silence(state, row, now, out, count):  # type: ignore[no-untyped-def]
    """Raise asystole if its time ran out before sample `now`."""
    if state["reason"] != OK or state["active"][ASYSTOLE]:
        return count
    deadline = state["since"] + int((ASYSTOLE_AFTER + WAIT) * FS)
    if deadline >= now:
        return count
    state["heart_rate"] = 0.0
    onset = state["last_qrs"] if state["has_qrs"] else state["since"]
    count = _set(state, row, ASYSTOLE, 1, onset, deadline, ASYSTOLE_AFTER, ASYSTOLE_AFTER, out, count)
    return _relabel(state, row, _ASYSTOLE, onset, deadline, out, count)


@kernel
def _on_quality(state, sample, reason):  # type: ignore[no-untyped-def]
    if reason != OK:
        state["has_qrs"] = 0
        state["interval_count"] = 0
        state["heart_rate"] = 0.0
        state["run"] = 0
        state["beat_count"] = 0
    elif state["reason"] != OK:
        state["usable"] = sample - BACK + 1
        state["has_qrs"] = 1 if state["last_qrs"] >= state["usable"] else 0
        state["since"] = state["last_qrs"] if state["has_qrs"] else sample
    state["reason"] = reason


@kernel
def _on_qrs(state, row, r, emitted, out, count):  # type: ignore[no-untyped-def]
    if state["reason"] != OK or r < state["usable"]:
        state["last_qrs"] = r
        return count
    interval = 0.0
    if state["has_qrs"]:
        interval = (r - state["last_qrs"]) / FS
        if interval > ASYSTOLE_AFTER and state["active"][ASYSTOLE] == 0:
            count = _set(state, row, ASYSTOLE, 1, state["last_qrs"], emitted, interval, ASYSTOLE_AFTER, out, count)
        state["intervals"][state["interval_count"] % _INTERVALS] = interval
        state["interval_count"] += 1
    state["last_qrs"] = r
    state["has_qrs"] = 1
    state["since"] = max(state["since"], r)
    if state["active"][ASYSTOLE]:
        state["interval_count"] = 0  # the pause is not a rate
        count = _set(state, row, ASYSTOLE, 0, r, emitted, 0.0, ASYSTOLE_AFTER, out, count)
    if state["told"]["label"] == _ASYSTOLE:
        count = _relabel(state, row, _NORMAL, r, emitted, out, count)
    rate = _heart_rate(state)
    state["heart_rate"] = rate
    if rate == 0.0:  # not known yet: what stood before a loss of signal stands until it is
        return count
    fast = _rate(state, 16)
    slow = _rate(state, 4)
    if fast == 0.0 and state["active"][EXTREME_TACHY]:
        fast = rate
    is_fast = 1 if fast > EXTREME_TACHY_RATE else 0
    is_slow = 1 if slow < EXTREME_BRADY_RATE else 0
    over = 1 if rate > state["high"] and is_fast == 0 else 0
    under = 1 if rate < state["low"] and is_slow == 0 else 0
    count = _set(state, row, EXTREME_TACHY, is_fast, r, emitted, fast, EXTREME_TACHY_RATE, out, count)
    count = _set(state, row, EXTREME_BRADY, is_slow, r, emitted, slow, EXTREME_BRADY_RATE, out, count)
    count = _set(state, row, TACHY, over, r, emitted, rate, state["high"], out, count)
    return _set(state, row, BRADY, under, r, emitted, rate, state["low"], out, count)


@kernel
def _is_periodic(state, period):  # type: ignore[no-untyped-def]
    """Whether the last six beats repeat one ventricular beat every `period`."""
    if state["beat_count"] < 6:
        return False
    for phase in range(period):
        fits = True
        for i in range(6):
            is_v = state["beat_class"][(state["beat_count"] - 1 - i) % _BEATS] == VENTRICULAR
            if is_v != (i % period == phase):
                fits = False
        if fits:
            return True
    return False


@kernel
def _take(state, r, aami):  # type: ignore[no-untyped-def]
    """Add a beat to those known."""
    state["beat_at"][state["beat_count"] % _BEATS] = r
    state["beat_class"][state["beat_count"] % _BEATS] = aami
    state["beat_count"] += 1
    if aami == VENTRICULAR:
        state["ventricular_at"][state["ventricular_count"] % _VENTRICULAR] = r
        state["ventricular_count"] += 1
        if state["run"] == 0:
            state["run_at"] = r
        state["run"] += 1
    else:
        state["run"] = 0


@kernel
def _take_back(state):  # type: ignore[no-untyped-def]
    """Take the last beat from those known."""
    state["beat_count"] -= 1
    if state["beat_class"][state["beat_count"] % _BEATS] == VENTRICULAR:
        state["ventricular_count"] -= 1
        state["ventricular_at"][state["ventricular_count"] % _VENTRICULAR] = NEVER
    state["run"], state["run_at"] = state["before"]["run"], state["before"]["run_at"]


@kernel
def _on_beat(state, row, r, aami, emitted, out, count):  # type: ignore[no-untyped-def]
    if state["reason"] != OK or r < state["usable"]:
        return count
    before = state["before"]
    before["run"], before["run_at"] = state["run"], state["run_at"]
    before["vtach"], before["vrun"] = state["active"][VTACH], state["active"][VRUN]
    _copy(state["told"], before["told"])
    _copy(state["previous"], before["previous"])
    _take(state, r, aami)
    return _weigh(state, row, r, emitted, out, count)


@kernel
def _on_revision(state, row, r, aami, emitted, out, count):  # type: ignore[no-untyped-def]
    last = (state["beat_count"] - 1) % _BEATS
    if state["beat_count"] == 0 or state["beat_at"][last] != r or state["beat_class"][last] == aami:
        return count
    _take_back(state)
    _take(state, r, aami)
    first = count
    count = _weigh(state, row, r, emitted, out, count)
    for i in range(first, count):
        out[i]["revised"] = 1
    before = state["before"]
    changed = state["told"]["label"] != before["told"]["label"]
    _copy(before["told"] if changed else before["previous"], state["previous"])
    return count


@kernel
def _weigh(state, row, r, emitted, out, count):  # type: ignore[no-untyped-def]
    """See what the last beat, at `r`, makes of runs and of the rhythm, given what stood before it."""
    before = state["before"]
    run = state["run"]
    rate = 0.0
    if run >= 3:
        span = min(run, 5) - 1
        first = state["beat_at"][(state["beat_count"] - 1 - span) % _BEATS]
        rate = 60.0 * span * FS / max(r - first, 1)
    vtach = 1 if run >= 5 and rate > VT_RATE else 0
    if run:  # a slower ventricular beat within the run does not end the tachycardia; one of another kind does
        vtach = max(vtach, before["vtach"])
    vrun = 1 if run >= 3 and vtach == 0 else 0
    begun = state["run_at"] if run else r
    count = _set(state, row, VTACH, vtach, r if before["vtach"] else begun, emitted, rate, VT_RATE, out, count)
    count = _set(state, row, VRUN, vrun, r if before["vrun"] else begun, emitted, float(run), 3.0, out, count)
    label = _NORMAL
    at = r
    if state["active"][ASYSTOLE]:
        return count
    if run >= 3 and rate > VT_RATE:
        label, at = _VT, state["run_at"]
    elif _is_periodic(state, 2):
        label = _BIGEMINY
    elif _is_periodic(state, 3):
        label = _TRIGEMINY
    if label >= _BIGEMINY:
        at = state["beat_at"][(state["beat_count"] - 6) % _BEATS]
    if label == _NORMAL and state["beat_count"] < 3:
        return count
    if state["told"]["label"] != before["told"]["label"]:  # the beat's first name brought it
        if not _is(state["told"], before["previous"]):
            at = min(at, state["told"]["at"])
        elif label == before["told"]["label"]:  # it had ended, and the first name let it go on
            at = before["told"]["at"]
    return _relabel(state, row, label, at, emitted, out, count)


@kernel
def step(states, items, ends, out):  # type: ignore[no-untyped-def]
    """Take what was found in one tick.

    Args:
        states: (beds,) STATE.
        items: (n,) ITEM, ordered by row, then emitted, then kind.
        ends: (k, 2) int64, rows that advanced, ascending, and the samples they have processed.
        out: CHANGE records to fill; room for ``8 * n + 2 * k``.

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
            emitted = item["emitted"]
            count = _check_silence(state, row, emitted, out, count)
            if item["kind"] == ITEM_QUALITY:
                _on_quality(state, emitted, item["value"])
            elif item["kind"] == ITEM_QRS:
                count = _on_qrs(state, row, item["sample"], emitted, out, count)
            elif item["kind"] == ITEM_REVISION:
                count = _on_revision(state, row, item["sample"], item["value"], emitted, out, count)
            else:
                count = _on_beat(state, row, item["sample"], item["value"], emitted, out, count)
            i += 1
        count = _check_silence(state, row, end, out, count)
    return count
