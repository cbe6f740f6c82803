"""Records as streams: cut into chunks, and analysed as fast as the machine allows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from monitor.alarms import Describe
from monitor.classifier import Names
from monitor.events import Event
from monitor.messages import Chunk
from monitor.records import Record
from monitor.ward import Ward

STREAM: Final = 1
"""Stream id of a replayed record: its events are the same at every replay."""

SIZE: Final = 4096
"""Samples a chunk when nobody is watching; the result does not depend on it."""


def chunks_of(record: Record, bed: str, size: int = SIZE) -> Iterator[Chunk]:
    """Cut a record into chunks.

    Args:
        record: what to play.
        bed: id of the bed it plays as.
        size: samples a chunk; the last may be shorter.
    """
    for seq, first in enumerate(range(0, len(record.signal), size)):
        yield Chunk(bed, STREAM, seq, first, record.fs, record.signal[first : first + size])


def analyse(record: Record, classifier: Names | None = None, *, bed: str | None = None) -> Iterator[list[Event]]:
    """Run a record through a ward of its own.

    Args:
        record: what to analyse.
        classifier: names the beats; None: the kernel's own rule does.
        bed: id the events carry; None: the record's name.

    Yields:
        The events of each chunk, so that a caller can show progress.
    """
    name = bed or record.name
    ward = Ward(classifier, capacity=1)
    for number, chunk in enumerate(chunks_of(record, name)):
        commands = [Describe(name, record.leads)] if number == 0 else []
        yield ward.feed([chunk], commands, chunk.end / record.fs)
