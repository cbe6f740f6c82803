"""What viewers have been told of the beds, as far as it has to be known later: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from monitor.backfill import WaveRing
from monitor.events import Alarm, Event
from monitor.views import BedView, Wave


@dataclass(slots=True)
class ToldBed:
    """What viewers have been told of a bed.

    Attributes:
        index: its number in binary frames; never reused.
        view: as of the last tick.
        heard: clock at which its last sample arrived.
        ring: its last samples.
        signal: names the run of samples that positions count.
    """

    index: int
    view: BedView
    heard: float
    ring: WaveRing = field(init=False)
    signal: str = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin with another run of samples."""
        self.ring = WaveRing(len(self.view.leads))
        self.signal = f"{self.view.stream}.{self.view.origin}"

    def has(self, wave: Wave) -> bool:
        """Whether the wave is of the stream that viewers know; one that restarted within the tick left two."""
        return wave.first + len(wave.samples) <= self.view.position

    def as_dict(self) -> dict[str, Any]:
        view = self.view
        return {
            "index": self.index,
            "bed": view.bed,
            "leads": list(view.leads),
            "fs": view.fs,
            "stream": view.stream,
            "origin": view.origin,
            "signal": self.signal,
            "position": view.position,
            "simulated": view.simulated,
            "alias": view.alias,
            "profile": view.profile,
            "limits": view.limits.as_dict(),
        }


_identity = attrgetter("stream", "origin", "fs", "leads", "alias", "simulated", "profile", "limits")
"""What of a bed's view viewers are told once, and again when it changes."""


def _signal(view: BedView) -> tuple[int, int, float, int]:
    """What must stay the same for positions to count the same samples."""
    return view.stream, view.origin, view.fs, len(view.leads)


class Told:
    """The beds, and when their alarms came.

    Attributes:
        beds: id -> what was told of it.
        shown: ids of active alarms that a viewer has said it shows.
        skews: id -> seconds by which the device's clock is ahead of the wall clock, of those that tell the time.
    """

    def __init__(self) -> None:
        self.skews: dict[str, float] = {}
        self.beds: dict[str, ToldBed] = {}
        self.shown: set[str] = set()
        # Active alarm -> when it was raised, when its state last changed (seconds since 1970).
        self._times: dict[str, tuple[float, float]] = {}

    def recall(self, lines: Iterable[dict[str, Any]]) -> None:
        """Take from an alarm log when what is active was raised, and last changed, before this process.

        Args:
            lines: as :func:`monitor.alarm_log.read_alarm_log` gives them.
        """
        for line in lines:
            if line["type"] != Alarm.type:
                continue
            raised, _ = self._times.pop(line["id"], (line["time"], 0.0))
            if line["state"] != "cleared":
                self._times[line["id"]] = (raised, line["time"])

    def update(self, views: Iterable[BedView], now: float) -> list[dict[str, Any]]:
        """Note how the beds are at the end of a tick; those that viewers have to be told of are returned.

        Args:
            now: monotonic, s.
        """
        return [bed.as_dict() for view in views if (bed := self._update(view, now)) is not None]

    def _update(self, view: BedView, now: float) -> ToldBed | None:
        """Note how a bed is; it is returned if viewers have to be told of it."""
        bed = self.beds.get(view.bed)
        if bed is None:
            bed = self.beds[view.bed] = ToldBed(len(self.beds), view, now)
            return bed
        old, bed.view = bed.view, view
        if _identity(old) != _identity(view):
            bed.heard = now
            if _signal(old) != _signal(view):
                bed.restart()
            return bed
        if view.position != old.position:
            bed.heard = now
        return None

    def of(self, waves: Sequence[Wave]) -> list[tuple[ToldBed, Wave]]:
        """Each wave and its bed; those of a stream that is over are left out."""
        return [(bed, wave) for wave in waves if (bed := self.beds[wave.bed]).has(wave)]

    def vitals(self, now: float) -> list[dict[str, Any]]:
        """Numbers of every bed. What is kept of alarms that are over goes."""
        active = {alarm.id for bed in self.beds.values() for alarm in bed.view.alarms}
        self._times = {id_: times for id_, times in self._times.items() if id_ in active}
        self.shown &= active
        return [_vitals(bed, now, self.skews.get(name)) for name, bed in self.beds.items()]

    def is_new(self, alarm_id: str) -> bool:
        """Whether an alarm is active and no viewer has said yet that it shows it; from now on, one has."""
        if alarm_id in self.shown or alarm_id not in self._times:
            return False
        self.shown.add(alarm_id)
        return True

    def stamp(self, event: Event, now_unix: float) -> dict[str, Any]:
        """An event as viewers are told it.

        Args:
            now_unix: seconds since 1970.
        """
        message = {**event.as_dict(), "time": now_unix}
        if (bed := self.beds.get(event.bed)) is not None:
            message["signal"] = bed.signal
        if isinstance(event, Alarm):
            raised, _ = self._times.get(event.id, (now_unix, now_unix))
            self._times[event.id] = (raised, now_unix)
            message["since"] = raised
            message |= _silence(event, now_unix)
            if event.state == "cleared":
                del self._times[event.id]
        return message

    def active_alarms(self, now_unix: float) -> list[dict[str, Any]]:
        """Every active alarm as the hello tells it."""
        # One that is restored and was not recalled was raised before this process: now has to do.
        unknown = (now_unix, now_unix)
        alarms = []
        for bed in self.beds.values():
            for alarm in bed.view.alarms:
                since, changed = self._times.setdefault(alarm.id, unknown)
                alarms.append({**alarm.as_dict(), "time": changed, "since": since, **_silence(alarm, now_unix)})
        return alarms


def _silence(alarm: Alarm, now_unix: float) -> dict[str, float]:
    """Until when an alarm is silenced, seconds since 1970, if it is."""
    return {} if alarm.silence is None else {"silenced_until": now_unix + alarm.silence}


def _vitals(bed: ToldBed, now: float, skew_s: float | None) -> dict[str, Any]:
    view = bed.view
    return {
        "bed": view.bed,
        "heart_rate": view.heart_rate,
        "rhythm": view.rhythm,
        "pvc_per_minute": view.pvc_per_minute,
        "age": round(now - bed.heard, 2),
        "low": view.low,
        "high": view.high,
        "pause": round(view.pause_left, 1),
        "late_s": round(view.late_s, 1),
        "skew_s": None if skew_s is None else round(skew_s, 1),
    }
