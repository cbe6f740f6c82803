"""Runs and patterns of ventricular beats.

A beat of another kind, a loss of signal and noise end a run. In a bed whose patient is paced, a V that does not come
early is a paced beat: it is early when its interval is shorter than EARLY of the usual one, or than that of VT.

A V is on the T wave where its interval is shorter than R to the end of T of the beat before: 0.36 s times the root of
the interval before that, s. That is Bazett's 0.40 s of QT less 0.04 s from the beginning of the QRS to R.

Source: H. C. Bazett, Heart 7:353-370 (1920).
"""

from __future__ import annotations

from math import sqrt
from typing import Final

import numpy as np

from monitor.conditions import (
    BIGEMINY,
    COUPLET,
    EVENT_HOLD,
    LONGEST_RUN,
    PVC_RATE,
    R_ON_T,
    TRIGEMINY,
    UNCLEAR,
    VENTRICULAR,
    VRUN,
    VTACH,
    set_standing,
)
from monitor.ecg import FS
from monitor.kernel import kernel
from monitor.window import NEVER

BEATS: Final = LONGEST_RUN
TIMES: Final = 3
"""Times that a pattern must come: six beats for bigeminy, nine for trigeminy."""
RUN: Final = 3
"""Beats from which a run is one."""
MOST: Final = 300
"""V kept: a minute of the fastest that can be found."""
MINUTE: Final = 60 * FS
MULTIPLE: Final = 0.25
"""How far from a whole number an interval over the run's shortest may be where beats were missed..."""
MOST_TIMES: Final = 3
"""... and the greatest such number."""
ALIKE: Final = 1.25
"""The longest of some intervals over the shortest up to which they are regular."""
FASTEST: Final = 0.27
"""Seconds: regular beats at shorter intervals, 222 a minute, are ventricular whatever their names: at that rate a beat
runs into the next, and names mean little."""
LESS: Final = 0.8
"""Of the limit of V a minute: at so many the condition ends."""
EARLY: Final = 0.85
T_END: Final = 0.36

STATE: Final = np.dtype(
    [
        ("at", np.int64, (BEATS,)),  # R peaks of the beats named, a ring
        ("kind", np.int64, (BEATS,)),  # their AAMI classes
        ("count", np.int64),  # since a loss of signal
        ("run", np.int64),  # ventricular beats in a row
        ("run_at", np.int64),  # R peak of the first
        ("fast", np.float64),  # rate of its last beats, per minute; 0: no run
        ("was_fast", np.int64),  # whether that was a tachycardia's at any of its beats
        ("until", np.int64),  # an interval after the last beat of the last run
        ("ventricular_at", np.int64, (MOST,)),  # a ring
        ("ventricular_count", np.int64),
    ],
    align=True,
)


@kernel
def interrupt(state):  # type: ignore[no-untyped-def]
    """What comes next does not follow what was known."""
    state["count"] = 0
    state["run"] = 0
    state["fast"] = 0.0
    state["was_fast"] = 0


@kernel
def _r(state, back):  # type: ignore[no-untyped-def]
    """R peak of the beat `back` before the last."""
    return state["at"][(state["count"] - 1 - back) % BEATS]


@kernel
def interval(state, back):  # type: ignore[no-untyped-def]
    """Interval that ends in the beat `back` before the last, s; 0: unknown."""
    if state["count"] < back + 2:
        return 0.0
    return (_r(state, back) - _r(state, back + 1)) / FS


@kernel
def kind(state, back):  # type: ignore[no-untyped-def]
    """AAMI class of the beat `back` before the last; there is one."""
    return state["kind"][(state["count"] - 1 - back) % BEATS]


@kernel
def is_periodic(state, period):  # type: ignore[no-untyped-def]
    """Whether the last beats repeat one ventricular beat every `period`, TIMES times."""
    beats = TIMES * period
    if state["count"] < beats:
        return False
    for phase in range(period):
        fits = True
        for i in range(beats):
            if (kind(state, i) == VENTRICULAR) != (i % period == phase):
                fits = False
        if fits:
            return True
    return False


@kernel
def pattern_at(state, period):  # type: ignore[no-untyped-def]
    """R peak of the first beat of a pattern that is there."""
    return _r(state, TIMES * period - 1)


@kernel
def in_last_minute(state, r):  # type: ignore[no-untyped-def]
    """Ventricular beats in the minute up to `r`."""
    found = 0
    while found < min(state["ventricular_count"], MOST):
        if state["ventricular_at"][(state["ventricular_count"] - 1 - found) % MOST] <= r - MINUTE:
            break
        found += 1
    return found


@kernel
def _paced(state, r, settings, usual):  # type: ignore[no-untyped-def]
    """Whether a V at `r` may be a paced beat: it does not come early."""
    if not settings["paced"] or state["count"] == 0:
        return settings["paced"] == 1
    since = (r - _r(state, 0)) / FS
    return since >= 60.0 / settings["vt_rate"] and since >= EARLY * usual


@kernel
def take(state, standing, settings, r, aami, emitted, usual, seen):  # type: ignore[no-untyped-def]
    """Take a beat.

    Args:
        state: a STATE record.
        standing: a STANDING record, updated.
        settings: a SETTINGS record.
        r: its R peak.
        aami: its class by number.
        emitted: the sample that fixed the name.
        usual: usual interval, s; 0: unknown.
        seen: whether the signal shows ventricular tachycardia.

    Returns:
        The class, UNCLEAR for a V that is a paced beat.
    """
    if aami == VENTRICULAR and _paced(state, r, settings, usual):
        aami = UNCLEAR
    couplet = aami != VENTRICULAR and state["run"] == 2 and state["count"] > 2
    state["at"][state["count"] % BEATS] = r
    state["kind"][state["count"] % BEATS] = aami
    state["count"] += 1
    if aami == VENTRICULAR:
        state["ventricular_at"][state["ventricular_count"] % MOST] = r
        state["ventricular_count"] += 1
        if state["run"] == 0:
            state["run_at"] = r
        state["run"] += 1
    else:
        state["run"] = 0
    if couplet:
        _happened(standing, COUPLET, state["run_at"], emitted, 60.0 / max(interval(state, 1), 1.0 / FS), 0.0)
    if state["run"] == 1 and state["count"] > 2:
        t_end = T_END * sqrt(interval(state, 1))
        if interval(state, 0) < t_end:
            _happened(standing, R_ON_T, r, emitted, 1000.0 * interval(state, 0), 1000.0 * t_end)
    judge_run(state, standing, settings, r, seen)
    _judge_patterns(state, standing, settings, r)
    return aami


@kernel
def _happened(standing, code, at, emitted, value, limit):  # type: ignore[no-untyped-def]
    """What happens once stands for a while; if it stands already, for longer."""
    set_standing(standing, code, 1, at, value, limit)
    standing["until"][code] = emitted + int(EVENT_HOLD * FS)


@kernel
def _beats_missed(state, settings):  # type: ignore[no-untyped-def]
    """Whether a run is a tachycardia with the beats that must have been missed in it.

    An interval that is a multiple of the run's shortest one hides beats: the waves of a tachycardia may be too smooth
    for a detector to find each. All but one of those it takes must have been found.
    """
    run = min(state["run"], settings["vt_count"])
    shortest = interval(state, 0)
    for i in range(1, run - 1):
        shortest = min(shortest, interval(state, i))
    beats = 1
    for i in range(run - 1):
        ratio = interval(state, i) / shortest
        times = int(ratio + 0.5)
        if times > MOST_TIMES or abs(ratio - times) > MULTIPLE:
            return False
        beats += times
        if beats >= settings["vt_count"]:
            span = _r(state, 0) - _r(state, i + 1)
            return 60.0 * (beats - 1) * FS > settings["vt_rate"] * span
    return False


@kernel
def _is_ventricular(state, settings):  # type: ignore[no-untyped-def]
    """Whether as many beats as make a tachycardia are one for all that not each is named V.

    They are regular and faster than its limit, and either all but one are V, the first and the last among them, or each
    follows the one before it sooner than atria drive ventricles.
    """
    beats = settings["vt_count"]
    if state["count"] < beats + 1:
        return False
    shortest = longest = interval(state, 0)
    for i in range(1, beats - 1):
        shortest, longest = min(shortest, interval(state, i)), max(longest, interval(state, i))
    if longest > ALIKE * shortest or longest >= 60.0 / settings["vt_rate"]:
        return False
    if max(longest, interval(state, beats - 1)) < FASTEST:
        return True
    others = 0
    for i in range(beats):
        others += kind(state, i) != VENTRICULAR
    return others == 1 and kind(state, 0) == VENTRICULAR and kind(state, beats - 1) == VENTRICULAR


@kernel
def judge_run(state, standing, settings, r, seen):  # type: ignore[no-untyped-def]
    """See whether the run that the last beat, at `r`, belongs to is a tachycardia.

    A slower beat within it does not end the tachycardia; one of another kind does.
    """
    run = state["run"]
    state["fast"] = 0.0
    if run >= RUN:
        span = min(run, settings["vt_count"]) - 1
        state["fast"] = 60.0 * span * FS / max(r - _r(state, span), 1)
        state["until"] = 2 * r - _r(state, 1)
    is_fast = state["fast"] > settings["vt_rate"]
    state["was_fast"] = 1 if run and (is_fast or state["was_fast"]) else 0
    needed = RUN if seen else settings["vt_count"]
    tachycardia = (run >= needed and is_fast) or (run >= settings["vt_count"] - 1 and _beats_missed(state, settings))
    begun, fast = state["run_at"] if run else r, state["fast"]
    if run < needed and _is_ventricular(state, settings):
        tachycardia = True
        begun = _r(state, settings["vt_count"] - 1)
        fast = 60.0 * (settings["vt_count"] - 1) * FS / (r - begun)
    elif run and standing["on"][VTACH]:
        tachycardia = True
    set_standing(standing, VTACH, 1 if tachycardia else 0, begun, fast, settings["vt_rate"])
    begun = state["run_at"] if run else r
    is_run = run >= RUN and not tachycardia
    set_standing(standing, VRUN, 1 if is_run else 0, begun, float(run), float(RUN))


@kernel
def _judge_patterns(state, standing, settings, r):  # type: ignore[no-untyped-def]
    many = in_last_minute(state, r)
    for code, period in ((BIGEMINY, 2), (TRIGEMINY, 3)):
        there = is_periodic(state, period)
        begun = pattern_at(state, period) if there else r
        set_standing(standing, code, 1 if there else 0, begun, float(many), 0.0)
    limit = settings["pvc_limit"]
    above = many > (LESS * limit if standing["on"][PVC_RATE] else limit)
    set_standing(standing, PVC_RATE, 1 if above else 0, r, float(many), limit)


@kernel
def start(state):  # type: ignore[no-untyped-def]
    """Make a zeroed STATE record ready."""
    state["ventricular_at"][:] = NEVER
