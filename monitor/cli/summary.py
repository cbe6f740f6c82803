"""What a replayed record came to, for people: beats, rhythms and alarms in tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from monitor.ecg import AAMI_CLASSES
from monitor.events import Alarm, Beat, Event, Gap, Rhythm
from monitor.output import take_rhythm
from monitor.records import Record

MOST: Final = 20
"""Rows of alarms shown; a long record of a sick heart has hundreds."""

_COLOURS: Final = {"high": "red", "medium": "yellow", "low": "cyan"}


class Summary:
    """Counts a record's events as they come.

    Attributes:
        record: what was analysed.
    """

    def __init__(self, record: Record) -> None:
        self.record = record
        self._beats: Counter[str] = Counter()
        self._rhythms: list[Rhythm] = []
        self._raised: dict[str, Alarm] = {}
        self._ended: dict[str, int] = {}
        self._missing = 0

    def add(self, events: Iterable[Event]) -> None:
        """Count some more events."""
        for event in events:
            match event:
                case Beat(final=True):
                    self._beats[event.aami] += 1
                case Rhythm():
                    take_rhythm(self._rhythms, event)
                case Alarm(state="raised"):
                    self._raised[event.id] = event
                case Alarm(state="cleared" | "latched"):
                    self._ended.setdefault(event.id, event.emitted)
                case Gap():
                    self._missing += event.count

    def tables(self) -> RenderableType:
        """The record in one heading and up to two tables."""
        length = len(self.record.signal)
        beats = ", ".join(f"{name} {self._beats[name]}" for name in AAMI_CLASSES if self._beats[name])
        heading = Text(f"{self.record.name}  ", style="bold")
        heading.append(f"{', '.join(self.record.leads)}  {self.record.fs:g} Hz  {self._clock(length)}", style="dim")
        counted = Text(f"{self._beats.total()} beats{': ' if beats else ''}{beats}")
        parts: list[RenderableType] = [heading, counted]
        if self._missing:
            parts.append(Text(f"{self._missing / self.record.fs:.1f} s missing"))
        if self._rhythms:
            parts.append(self._rhythm_table(length))
        parts.append(self._alarm_table(length) if self._raised else Text("no alarms"))
        return Group(*parts, "")

    def _rhythm_table(self, length: int) -> Table:
        ends = [rhythm.sample for rhythm in self._rhythms[1:]] + [length]
        episodes: Counter[str] = Counter()
        time: Counter[str] = Counter()
        for rhythm, end in zip(self._rhythms, ends, strict=True):
            episodes[rhythm.label] += 1
            time[rhythm.label] += end - rhythm.sample
        table = Table("rhythm", box=box.SIMPLE_HEAD)
        for column in ("episodes", "time", "share"):
            table.add_column(column, justify="right")
        for label, samples in time.most_common():
            table.add_row(label, str(episodes[label]), self._clock(samples), f"{100 * samples / length:.1f} %")
        return table

    def _alarm_table(self, length: int) -> Table:
        table = Table("at", "alarm", "for", box=box.SIMPLE_HEAD)
        alarms = list(self._raised.values())
        for alarm in alarms[:MOST]:
            end = self._ended.get(alarm.id)
            lasted = f"{((length if end is None else end) - alarm.emitted) / self.record.fs:.1f} s"
            text = Text(alarm.text, style=_COLOURS.get(alarm.priority, ""))
            table.add_row(self._clock(alarm.emitted), text, lasted + (" to the end" if end is None else ""))
        if len(alarms) > MOST:
            table.add_row("", f"and {len(alarms) - MOST} more; --events writes them all", "")
        return table

    def _clock(self, sample: int) -> str:
        """Time of a sample since the record's start, h:mm:ss."""
        seconds = round(sample / self.record.fs)
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
