"""What is written down of events: lines of JSON, and WFDB annotations."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TextIO

import numpy as np

from monitor.events import Beat, Event, Rhythm, take_rhythm
from monitor.exceptions import ConfigError
from monitor.records import Annotations

__all__ = ["EventLines", "annotations_of", "event_lines", "line_of", "take_rhythm", "write_annotations"]

_EMPTY: Final = b"\0\0"
"""An annotation file without annotations: the mark of its end. Source: WFDB manual, annot(5)."""


def line_of(event: Event) -> str:
    """An event's line of JSON, without the end of the line."""
    return json.dumps(event.as_dict(), allow_nan=False, separators=(",", ":"))


class EventLines:
    """Writes events as lines of JSON, each batch at once, so that a reader at the other end keeps up.

    Attributes:
        name: of the file, for errors.
        on_terminal: whether a person reads the lines as they come.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self.name = name
        self.on_terminal = stream.isatty()

    def write(self, events: Iterable[Event]) -> None:
        """Write some events.

        Raises:
            ConfigError: the file cannot be written.
            BrokenPipeError: nobody reads any more.
        """
        text = "".join(f"{line_of(event)}\n" for event in events)
        try:
            self._stream.write(text)
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _cannot_be_written(self.name, error) from None


@contextmanager
def event_lines(file: str) -> Iterator[EventLines]:
    """Open a file for events.

    Args:
        file: its path; ``-`` is standard output.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        stream = sys.stdout if file == "-" else open(file, "w", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise _cannot_be_written(file, error) from None
    try:
        yield EventLines(stream, file)
    finally:
        if stream is not sys.stdout:
            with suppress(OSError):  # closing tries once more to write what write() said could not be written
                stream.close()


def annotations_of(events: Iterable[Event]) -> Annotations:
    """The events of one record as annotations: final beats, and rhythm changes (``+`` with a note like ``(VT``).

    Samples increase, one annotation each. A rhythm begins at an R peak, where a beat stands: its mark goes to the
    first free sample before it, or after it where there is none.
    """
    beats: dict[int, str] = {}
    rhythms: list[Rhythm] = []
    for event in events:
        if isinstance(event, Beat) and event.final:
            beats[event.sample] = event.symbol
        elif isinstance(event, Rhythm):
            take_rhythm(rhythms, event)
    found = {sample: (symbol, "") for sample, symbol in beats.items()}
    for rhythm in rhythms:
        at = rhythm.sample
        while at >= 0 and at in found:
            at -= 1
        if at < 0:
            at = rhythm.sample
            while at in found:
                at += 1
        found[at] = ("+", f"({rhythm.label}")
    samples = sorted(found)
    symbols, notes = [found[sample][0] for sample in samples], [found[sample][1] for sample in samples]
    return Annotations(np.array(samples, np.int64), symbols, notes)


def write_annotations(file: Path, annotations: Annotations, fs: float) -> None:
    """Write a WFDB annotation file, whole or not at all; one that is there is replaced.

    Args:
        file: ``<record>.<annotator>``; the annotator is made of letters.
        annotations: what to write; samples increase.
        fs: Hz, noted in the file.

    Raises:
        ConfigError: the file cannot be written.
    """
    import wfdb

    try:
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".wardbeat-") as folder:
            draft = Path(folder) / f"draft{file.suffix}"  # wfdb writes no record by a name with, say, a full stop
            if len(annotations.samples):
                wfdb.wrann(
                    draft.stem,
                    draft.suffix[1:],
                    annotations.samples,
                    annotations.symbols,
                    aux_note=annotations.notes,
                    fs=fs,
                    write_dir=folder,
                )
            else:
                draft.write_bytes(_EMPTY)
            os.replace(draft, file)
    except OSError as error:
        raise _cannot_be_written(str(file), error) from None


def _cannot_be_written(where: str, error: OSError) -> ConfigError:
    return ConfigError(
        f"cannot be written ({error.strerror})", where=where, remedy="name a file in a folder that can be written"
    )
