"""Records as streams: cut into chunks, and analysed as fast as the machine allows.

A record ends, a bed's stream does not: when the last sample is in, the last beats still wait for the rest of their
window, or for the next beat. :func:`analyse` therefore lets :data:`PADDING` seconds of the record's last value follow,
and takes from them nothing but the names of the beats that were already there:

- a beat whose detection was on its way when the record ended is told; one that lies beyond the end, and one that is
  found by looking back only because the padding is silent, is not, nor is what is found after it;
- the record's last beat knows nothing of a next one: its provisional name becomes the final one;
- rhythms, alarms and signal quality end with the record: nobody's heart stood still in the padding.

What the padding fixed carries the record's length as `emitted`: the record's end fixed it, not a sample. So what is
told with ``emitted < n`` is the same, and is all there is, when the record is cut to its first n samples; an event
told at its end rests on the whole record and may differ in a longer one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from monitor.classifier import Names
from monitor.commands import Describe
from monitor.events import Beat, Event, Qrs
from monitor.messages import Chunk
from monitor.records import Record
from monitor.ward import Ward

STREAM: Final = 1
"""Stream id of a replayed record: its events are the same at every replay."""

SIZE: Final = 4096
"""Samples a chunk when nobody is watching; the result does not depend on it."""

PADDING: Final = 3.0
"""Seconds of the last value that follow a record: longer than any beat waits for its name."""


def bed_of(name: str) -> str:
    """A valid bed id from a record's name.

    >>> bed_of("100"), bed_of("rec.1 (old)"), bed_of("_x")
    ('100', 'rec-1--old-', 'bed-_x')
    """
    bed = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    return (bed if bed[:1].isalnum() else f"bed-{bed}")[:32]


def chunks_of(record: Record, bed: str, size: int = SIZE) -> Iterator[Chunk]:
    """Cut a record into chunks.

    Args:
        record: what to play.
        bed: id of the bed it plays as.
        size: samples a chunk; the last may be shorter.
    """
    for seq, first in enumerate(range(0, len(record.signal), size)):
        yield Chunk(bed, STREAM, seq, first, record.fs, record.signal[first : first + size])


def analyse(
    record: Record,
    classifier: Names | None = None,
    *,
    two_leads: Names | None = None,
    fibrillation: Any = None,
    bed: str | None = None,
    size: int = SIZE,
) -> Iterator[list[Event]]:
    """Run a record through a ward of its own.

    Args:
        record: what to analyse; it has at least one sample.
        classifier: names the beats; None: the kernel's own rule does.
        two_leads: names those that two leads show; None: `classifier` does.
        fibrillation: weights that tell it from the signal; None: those that ship.
        bed: id the events carry; None: the record's name, made valid.
        size: samples a chunk.

    Yields:
        The events of each chunk, so that a caller can keep time and show progress; then those of the padding.
        Every beat that is found ends with exactly one final event.
    """
    name = bed or bed_of(record.name)
    length = len(record.signal)
    ward = Ward(classifier, two_leads=two_leads, capacity=1, fibrillation=fibrillation)
    open_beats: dict[int, Beat | None] = {}  # what is not final yet, and its provisional name
    commands = [Describe(name, record.leads)]
    for chunk in chunks_of(record, name, size):
        events = ward.feed([chunk], commands, chunk.end / record.fs)
        commands = []
        for event in events:
            if isinstance(event, Qrs):
                open_beats[event.sample] = None
            elif isinstance(event, Beat):
                open_beats[event.sample] = event
                if event.final:
                    del open_beats[event.sample]
        yield events
    padding = np.repeat(record.signal[-1:], round(PADDING * record.fs), 0)
    last = Chunk(name, STREAM, -(-length // size), length, record.fs, padding)
    yield _finish(ward.feed([last], now=last.end / record.fs), length, open_beats)


def _finish(events: list[Event], length: int, open_beats: Mapping[int, Beat | None]) -> list[Event]:
    """What the padding says of the record: where its last beats are, and their names."""
    told: list[Beat] = []
    for event in events:
        if isinstance(event, Beat):
            if event.sample >= length or (event.search_back and event.sample not in open_beats):
                break
            told.append(event)
    if not told:
        return []
    last = told[-1].sample
    named = open_beats.get(last) or next(beat for beat in told if beat.sample == last)
    told = [beat for beat in told if beat.sample != last] + [replace(named, final=True)]
    samples = {beat.sample for beat in told}
    kept: list[Event] = [event for event in events if isinstance(event, Qrs) and event.sample in samples]
    kept += told
    for event in kept:
        event.emitted = length
    return kept
