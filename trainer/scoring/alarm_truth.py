"""High-priority events as a record's annotations have them, by definitions of their own.

The definitions are those of the PhysioNet/CinC Challenge 2015, written a second time for whole annotated records:
what is found here judges :mod:`monitor.rhythm` and shares nothing with it.

    =============  =============================================================================
    ASYSTOLE       two QRS complexes more than 4 s apart
    EXTREME_BRADY  5 beats at less than 40 per minute
    EXTREME_TACHY  17 beats at more than 140 per minute
    VTACH          5 or more ventricular beats in a row at more than 100 per minute
    VFIB           ventricular flutter between ``[`` and ``]``, or a rhythm VF, VFIB or VFL
    =============  =============================================================================

A rhythm VT counts only in a record whose beats are not annotated: MIT-BIH calls three beats one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.records import Annotations

ASYSTOLE_S: Final = 4.0
BRADY: Final = 5, 40.0
TACHY: Final = 17, 140.0
VT: Final = 5, 100.0
"""Beats, and how many of them a minute."""

_RHYTHMS: Final = {"VT": "VTACH", "VF": "VFIB", "VFIB": "VFIB", "VFL": "VFIB"}
_VENTRICULAR: Final = frozenset("VE")


class Episode(NamedTuple):
    """Something that must be alarmed, from `start` to `end`, s."""

    code: str
    start: float
    end: float


def episodes(reference: Annotations, fs: float, length: int) -> list[Episode]:
    """What happened in a record of `length` samples at `fs` Hz, code by code, in the order of time."""
    samples, symbols = reference.beats()
    spans = [Episode("VFIB", first / fs, last / fs) for first, last in _flutter(reference, length)]
    spans += [span for span in _spans(reference, fs, length) if span.code == "VFIB" or not samples.size]
    found = list(spans)
    for stretch in _stretches(samples / fs, [span for span in spans if span.code == "VFIB"]):
        beats = samples[stretch] / fs
        ventricular = [symbols[i] in _VENTRICULAR for i in stretch]
        found += [Episode("ASYSTOLE", a, b) for a, b in pairwise(beats.tolist()) if b - a > ASYSTOLE_S]
        found += _at_rate(beats, "EXTREME_BRADY", *BRADY, slow=True)
        found += _at_rate(beats, "EXTREME_TACHY", *TACHY, slow=False)
        found += _ventricular_runs(beats, ventricular)
    return sorted(_joined(found), key=lambda episode: (episode.start, episode.code))


def _stretches(beats: NDArray[np.float64], spans: list[Episode]) -> list[list[int]]:
    """Numbers of the beats outside the spans; no stretch goes on across one."""
    found: list[list[int]] = [[]]
    last = -np.inf
    for number, time in enumerate(beats.tolist()):
        if any(span.start <= time < span.end for span in spans):
            continue
        if any(last < span.start and span.end <= time for span in spans):
            found.append([])
        found[-1].append(number)
        last = time
    return found


def _flutter(reference: Annotations, length: int) -> list[tuple[int, int]]:
    """Samples between ``[`` and ``]``."""
    spans, start = [], None
    for sample, symbol in zip(reference.samples.tolist(), reference.symbols, strict=True):
        if symbol == "[":
            start = sample
        elif symbol == "]" and start is not None:
            spans.append((start, sample))
            start = None
    return spans if start is None else [*spans, (start, length)]


def _spans(reference: Annotations, fs: float, length: int) -> list[Episode]:
    """Rhythms that are high-priority events by their name."""
    changes = [
        (sample, note.removeprefix("("))
        for sample, symbol, note in zip(reference.samples.tolist(), reference.symbols, reference.notes, strict=True)
        if symbol == "+"
    ]
    return [
        Episode(_RHYTHMS[name], sample / fs, end / fs)
        for (sample, name), (end, _) in pairwise([*changes, (length, "")])
        if name in _RHYTHMS
    ]


def _at_rate(beats: NDArray[np.float64], code: str, count: int, rate: float, *, slow: bool) -> list[Episode]:
    """Every stretch of `count` beats whose mean rate is beyond `rate`."""
    spans = beats[count - 1 :] - beats[: 1 - count]
    rates = 60.0 * (count - 1) / spans
    hits = np.flatnonzero(rates < rate if slow else rates > rate).tolist()
    return [Episode(code, float(beats[i]), float(beats[i + count - 1])) for i in hits]


def _ventricular_runs(beats: NDArray[np.float64], ventricular: list[bool]) -> list[Episode]:
    count, rate = VT
    edges = np.flatnonzero(np.diff(np.r_[False, ventricular, False].astype(int))).reshape(-1, 2)
    found = []
    for first, last in edges.tolist():
        if last - first >= count and _at_rate(beats[first:last], "VTACH", count, rate, slow=False):
            found.append(Episode("VTACH", float(beats[first]), float(beats[last - 1])))
    return found


def _joined(found: list[Episode]) -> list[Episode]:
    """Episodes of one code that touch are one."""
    joined: list[Episode] = []
    for episode in sorted(found):
        if joined and joined[-1].code == episode.code and episode.start <= joined[-1].end:
            joined[-1] = joined[-1]._replace(end=max(joined[-1].end, episode.end))
        else:
            joined.append(episode)
    return joined
