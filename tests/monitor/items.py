"""What the front end finds, given by hand to the kernel of rhythm, and what it says of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitor import rhythm
from monitor.ecg import AAMI_CLASSES, FS
from monitor.profiles import Limits, write_settings
from monitor.rhythm import ITEM_BEAT, ITEM_FIBRILLATION, ITEM_NOISE, ITEM_QRS, ITEM_QUALITY

ADULT = Limits()
TO_TRIGGER = 90
TO_BEAT = 147
"""Samples from an R peak to its trigger and to its name."""


@dataclass(frozen=True)
class Said:
    """A condition began or ended, or the rhythm has a new label."""

    what: str
    on: bool
    sample: int
    emitted: int
    value: float = 0.0
    revised: bool = False
    lapsed: bool = False


def beats_at(*seconds, symbol="N", p=1.0):
    """Trigger and named beat for R peaks at the given times."""
    return [
        item
        for s in seconds
        for item in (
            (ITEM_QRS, round(s * FS), round(s * FS) + TO_TRIGGER, 0, 0.0),
            (ITEM_BEAT, round(s * FS), round(s * FS) + TO_BEAT, AAMI_CLASSES.index(symbol), p),
        )
    ]


def lead(reason, seconds):
    """The first lead is lost, or with OK back."""
    at = round(seconds * FS)
    return [(ITEM_QUALITY, at, at, reason, 0.0)]


def noise(first, last):
    """Noise from one time to another, s."""
    return [(ITEM_NOISE, round(at * FS), round(at * FS), value, 0.0) for at, value in ((first, 5), (last, 0))]


def shown(value, seconds, told=0.0):
    """The signal shows VT, VF or neither from one time on; told so many seconds later."""
    return [(ITEM_FIBRILLATION, round(seconds * FS), round((seconds + told) * FS), value, 0.0)]


def analyse(items, end=None, *, cuts=(), limits=ADULT, **others):
    """What the kernel says up to `end` (s; by default when all items are known).

    With `cuts` (s) it takes the items in several calls. Settings may be given by name.
    """
    return heard(items, end, cuts=cuts, limits=limits, **others)[0]


def heard(items, end=None, *, cuts=(), limits=ADULT, **others):
    """The same, and the state at the end."""
    state = np.zeros(1, rhythm.STATE)
    write_settings(state[0]["settings"], limits)
    for name, value in others.items():
        state["settings"][name] = value
    rhythm.start(state[0])
    items = np.array([(0, *item) for item in items], rhythm.ITEM)
    items = items[np.lexsort((items["kind"], items["emitted"]))]
    end = round(end * FS) if end is not None else items["emitted"][-1] + 1
    said = []
    first = 0
    for until in [*sorted(round(c * FS) for c in cuts), end]:
        chosen = items[(items["emitted"] >= first) & (items["emitted"] < until)]
        changes = np.empty(rhythm.room(len(chosen), 1), rhythm.CHANGE)
        count = rhythm.step(state, chosen, np.array([[0, until]]), changes)
        for _, code, on, sample, emitted, value, _, revised, lapsed in changes[:count].tolist():
            if code == rhythm.RHYTHM:
                said.append(Said(rhythm.LABELS[on], True, sample, emitted, 0.0, bool(revised)))
            else:
                name = rhythm.CONDITIONS[code]
                said.append(Said(name, bool(on), sample, emitted, value, bool(revised), bool(lapsed)))
        first = until
    return said, state[0]


def conditions(said, *without):
    """The conditions that began, in order."""
    return [change.what for change in said if change.on and change.what in set(rhythm.CONDITIONS) - set(without)]


def rr(rate):
    return 60.0 / rate


def times(start, *intervals):
    """R peaks from the first on, s."""
    return list(np.cumsum([start, *intervals]))
