"""The alarms of a bed: what its conditions, its nurses and the clock make of them.

The tables are in :mod:`monitor.alarm_table` (which alarms there are, what hides what, what holds) and
:mod:`monitor.alarm_states` (states, transitions, sound). Here a bed's row of state is moved by them.

A code's condition *stands* while at least one of its sources says so, and then while it is held. What is shown
follows: it is raised when it begins and nothing that stands hides it. Everything that happens at one sample is taken
in first, and then it is looked at what that hides or uncovers (:meth:`Bedside.settle`), so that a graver alarm
that is there for no time hides nothing.

The state of all alarms of a bed is part of the bed's row, so a snapshot holds it; and of each active alarm what
happened to it (`history`) is kept beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from monitor.alarm_states import (
    ACKNOWLEDGE,
    ACKNOWLEDGED,
    AUDIO,
    END,
    HIDE,
    IDLE,
    LATCHED,
    NAMES,
    ONSET,
    REMIND,
    SILENCE,
    after,
)
from monitor.alarm_table import CODES, HIDDEN_BY, INDEX, MEDIUM, RANK, Code, text_of
from monitor.ecg import FS
from monitor.events import Alarm, Audio, Shown

STATE: Final = np.dtype(
    [
        ("state", np.int64),
        ("condition", np.int64),  # bit i: source i says that it is so
        ("held_until", np.int64),  # 360 Hz sample at which an ended condition ends for good; 0: none is held
        ("back_at", np.float64),  # heart rate that ends it, per minute
        ("beats", np.int64),  # found while held, and the first and the last of them (360 Hz)
        ("first_r", np.int64),
        ("last_r", np.int64),
        ("stream", np.uint64),
        ("onset", np.int64),  # in the device's samples
        ("value", np.float64),
        ("limit", np.float64),
        ("detail", np.int64),  # number of what the text says besides
        ("silent_until", np.float64),  # monotonic s; of an acknowledged one
        ("paused", np.int64),  # the audio pause covers it
        ("shown", np.int64),  # a screen has shown it
    ],
    align=True,
)
"""A record an alarm code; a bed has ``len(CODES)`` of them."""

PAUSE_STATE: Final = np.dtype([("until", np.float64), ("ceiling", np.int64)], align=True)
"""A bed's audio pause: its end, monotonic s (0: there is none), and the highest rank of new alarms that it covers."""

REVISED: Final = "revised"
"""Why a condition ends that turns out never to have been."""
LAPSED: Final = "lapsed"
"""Why one ends of which nothing has been known for too long."""

_MOST_STEPS: Final = 32
"""Of an alarm's history: the first is kept, and the last ones."""

_HIDEABLE: Final = tuple(i for i, above in enumerate(HIDDEN_BY) if above)

BEAT: Final = "beat"
"""Cause of :class:`Happening`: a QRS was found."""


@dataclass(slots=True)
class Happening:
    """What the analysis of a bed found at one sample.

    Attributes:
        at: the sample at 360 Hz whose processing fixed it.
        rank: order among those of one sample; beats come last.
        name: the alarm's code; empty with BEAT.
        cause: ONSET, END or BEAT.
        sample: the onset, in the device's samples; with BEAT the R peak at 360 Hz.
        value, limit: what was measured and what it broke.
        reason: why, for the log; REVISED ends at once.
        source: a condition with several sources stands while one of them says so.
        detail: what the text says besides, :func:`monitor.alarm_table.detail_of`.
    """

    at: int
    rank: int
    name: str
    cause: str
    sample: int
    value: float | None = None
    limit: float | None = None
    reason: str | None = None
    source: int = 0
    detail: int = 0


History = dict[str, list[dict[str, Any]]]
"""Code -> what happened to its active alarm, in order: what, emitted, and why and by whom if that is known."""


@dataclass(slots=True)
class Bedside:
    """Where alarm events are about to happen.

    Attributes:
        bed: id of the bed.
        stream: id of its stream.
        rows: (len(CODES),) STATE, updated.
        pause: PAUSE_STATE, updated.
        history: of the active alarms, updated.
        now: monotonic time, s.
    """

    bed: str
    stream: int
    rows: Any
    pause: Any = field(default_factory=lambda: np.zeros((), PAUSE_STATE))
    history: History = field(default_factory=dict)
    now: float = 0.0

    # -- what the analysis found

    def take(self, happenings: Sequence[Happening], last: int, emitted_at: Callable[[int], int]) -> Iterator[Alarm]:
        """Let everything happen that one round of analysis found.

        Args:
            happenings: in any order; those of one sample go by rank, then by priority.
            last: the last sample processed, at 360 Hz.
            emitted_at: the device's sample that made one at 360 Hz.

        Yields:
            The events that result, in order.
        """
        ordered = sorted(happenings, key=lambda one: (one.at, one.rank, INDEX.get(one.name, -1)))
        for place, one in enumerate(ordered):
            if place == 0 or ordered[place - 1].at < one.at:
                yield from self._release(one.at - 1, emitted_at)
            if one.cause == BEAT:
                self._count_beat(one.sample)
                continue
            yield from self._apply(one, emitted_at(one.at))
            following = ordered[place + 1] if place + 1 < len(ordered) else None
            if following is None or following.at > one.at or following.cause == BEAT:
                yield from self.settle(emitted_at(one.at))
        yield from self._release(last, emitted_at)

    def apply(
        self,
        name: str,
        cause: str,
        sample: int,
        emitted: int,
        value: float | None = None,
        limit: float | None = None,
        reason: str | None = None,
    ) -> Iterator[Alarm]:
        """Let one condition begin or end, outside a round of analysis.

        Args:
            name: its code.
            cause: ONSET or END.
            sample: the onset, in the device's samples.
            emitted: the device's sample at which this is known.
            value, limit: what was measured and what it broke.
            reason: why, for the log.
        """
        yield from self._apply(Happening(0, 0, name, cause, sample, value, limit, reason), emitted)
        yield from self.settle(emitted)

    def end_all(self, names: Sequence[str], emitted: int, reason: str) -> Iterator[Alarm]:
        """End conditions whose history is gone, at once: what stood must not stand for ever."""
        for name in names:
            self.rows[INDEX[name]]["condition"] = self.rows[INDEX[name]]["held_until"] = 0
        for name in names:
            yield from self._move(INDEX[name], END, emitted, reason)

    def settle(self, emitted: int) -> Iterator[Alarm]:
        """Clear what a standing condition hides, and raise what nothing hides any more."""
        standing = (self.rows["condition"] != 0) | (self.rows["held_until"] != 0)
        if not standing.any():
            return
        for i in _HIDEABLE:
            row = self.rows[i]
            above = self._hidden_by(i)
            if above is not None:
                row["held_until"] = 0
                yield from self._move(i, HIDE, emitted, f"hidden by {above}")
            elif row["condition"] and row["state"] == IDLE:
                yield from self._move(i, ONSET, emitted, "no longer hidden", emitted)

    def _apply(self, one: Happening, emitted: int) -> Iterator[Alarm]:
        i = INDEX[one.name]
        if one.cause == ONSET:
            yield from self._begin(i, one, emitted)
        else:
            yield from self._end(i, one, emitted)

    def _begin(self, i: int, one: Happening, emitted: int) -> Iterator[Alarm]:
        row = self.rows[i]
        stood = int(row["condition"])
        row["condition"] = stood | 1 << one.source
        if stood:
            return
        held, row["held_until"] = bool(row["held_until"]), 0
        if held and not (CODES[i].recurs and row["state"] == ACKNOWLEDGED):
            return
        if row["state"] == IDLE:
            self._measure(i, one)
        if self._hidden_by(i) is None:
            yield from self._move(i, ONSET, emitted, one.reason, one.sample, one)

    def _end(self, i: int, one: Happening, emitted: int) -> Iterator[Alarm]:
        row, code = self.rows[i], CODES[i]
        stood = int(row["condition"])
        row["condition"] = stood & ~(1 << one.source)
        if not stood or row["condition"] or row["state"] == IDLE:
            return
        if code.hold and one.reason is None:
            row["held_until"] = one.at + round(code.hold * FS)
            row["back_at"] = 0.0 if one.limit is None else one.limit + code.margin
            row["beats"] = 0
        else:
            yield from self._move(i, END, emitted, one.reason)

    def _measure(self, i: int, one: Happening) -> None:
        row = self.rows[i]
        row["value"] = np.nan if one.value is None else one.value
        row["limit"] = np.nan if one.limit is None else one.limit
        row["detail"] = one.detail

    def _count_beat(self, r: int) -> None:
        """Note a QRS for the mean rate of what is held."""
        for i in np.flatnonzero(self.rows["held_until"]):
            row = self.rows[i]
            row["first_r"] = r if row["beats"] == 0 else min(r, row["first_r"])
            row["last_r"] = r if row["beats"] == 0 else max(r, row["last_r"])
            row["beats"] += 1

    def _release(self, last: int, emitted_at: Callable[[int], int]) -> Iterator[Alarm]:
        """End for good what has been held until sample `last`."""
        while self.holds():
            due = np.where(self.rows["held_until"] > 0, self.rows["held_until"], np.iinfo(np.int64).max)
            i = int(due.argmin())
            at = int(due[i])
            if at > last:
                return
            row = self.rows[i]
            if CODES[i].margin and not self._is_back(i):
                row["held_until"] = at + round(CODES[i].hold * FS)
                row["first_r"], row["beats"] = row["last_r"], 1
                continue
            row["held_until"] = 0
            yield from self._move(i, END, emitted_at(at), None)
            yield from self.settle(emitted_at(at))

    def _is_back(self, i: int) -> bool:
        """Whether the mean heart rate while held lies beyond the limit by the margin; without one nobody can say no."""
        row = self.rows[i]
        if row["beats"] < 2 or row["last_r"] == row["first_r"]:
            return True
        rate = 60.0 * FS * (row["beats"] - 1) / (row["last_r"] - row["first_r"])
        return bool(rate <= row["back_at"] if CODES[i].margin < 0 else rate >= row["back_at"])

    def _hidden_by(self, i: int) -> str | None:
        """Name of the gravest code that hides this one now."""
        for above in HIDDEN_BY[i]:
            if self.rows[above]["condition"] or self.rows[above]["held_until"]:
                return CODES[above].name
        return None

    def holds(self) -> bool:
        """Whether an alarm goes on whose condition is over."""
        return bool(self.rows["held_until"].any())

    # -- people

    def acknowledge(self, alarm_id: str | None, emitted: int, by: str) -> Iterator[Alarm]:
        """Note that somebody has seen an alarm.

        Args:
            alarm_id: its id; None: all of them.
            emitted: the device's last sample.
            by: who, or empty.
        """
        reason = f"acknowledged by {by}" if by else "acknowledged"
        for i in self._active():
            if alarm_id is None or self._id(i) == alarm_id:
                yield from self._move(i, ACKNOWLEDGE, emitted, reason, by=by)

    def show(self, alarm_id: str, emitted: int, by: str) -> Iterator[Shown]:
        """Note that a screen has shown an alarm; only the first time counts."""
        for i in self._active():
            row = self.rows[i]
            if self._id(i) == alarm_id and not row["shown"]:
                row["shown"] = 1
                self._note(i, "shown", emitted, None, by)
                yield Shown(self.bed, int(row["onset"]), emitted, CODES[i].name, alarm_id, by or None)

    def pause_audio(self, seconds: float, emitted: int, by: str) -> Iterator[Audio]:
        """Silence what stands, and what will come and is not graver."""
        active = self._active()
        ranks = [RANK[CODES[i].priority] for i in active]
        self.pause["until"] = self.now + seconds
        self.pause["ceiling"] = min(max(ranks, default=RANK[MEDIUM]), RANK[MEDIUM])
        for i in active:
            self.rows[i]["paused"] = 1
        reason = f"audio paused by {by}" if by else "audio paused"
        yield Audio(self.bed, emitted, emitted, True, seconds, by or None, reason)

    def resume_audio(self, emitted: int, by: str = "", reason: str = "audio pause cancelled") -> Iterator[Audio]:
        """Let everything sound again; nothing if there is no pause."""
        if self.pause["until"] > 0:
            self.pause["until"] = 0.0
            self.rows["paused"] = 0
            yield Audio(self.bed, emitted, emitted, False, 0.0, by or None, f"{reason} by {by}" if by else reason)

    # -- the clock

    def tick(self, emitted: int) -> Iterator[Alarm | Audio]:
        """Remind of what was acknowledged and still stands, and end the audio pause, when their time is over."""
        if 0 < self.pause["until"] <= self.now:
            yield from self.resume_audio(emitted, reason="audio pause over")
        for i in self._active():
            row = self.rows[i]
            if row["state"] == ACKNOWLEDGED and row["silent_until"] <= self.now and row["condition"]:
                yield from self._move(i, REMIND, emitted, "reminder")

    def counts_down(self) -> bool:
        """Whether :meth:`tick` may have something to do one day."""
        return bool(self.pause["until"] > 0 or (self.rows["state"] == ACKNOWLEDGED).any())

    def pause_left(self) -> float:
        """Seconds left of the audio pause; 0: there is none."""
        return max(float(self.pause["until"]) - self.now, 0.0)

    # -- telling

    def active(self, emitted: int) -> list[Alarm]:
        """Every alarm that is not idle, as an event of its present state, with its history."""
        alarms = []
        for i in self._active():
            alarm = self._event(i, int(self.rows[i]["state"]), emitted, None)
            alarm.history = self.history.get(alarm.code, [])
            alarms.append(alarm)
        return alarms

    def _active(self) -> list[int]:
        return [int(i) for i in np.flatnonzero(self.rows["state"])]

    def _move(
        self,
        i: int,
        cause: str,
        emitted: int,
        reason: str | None,
        sample: int = 0,
        measured: Happening | None = None,
        by: str = "",
    ) -> Iterator[Alarm]:
        """Make the transition that the table has, if it has one, and tell it."""
        row, code = self.rows[i], CODES[i]
        before = int(row["state"])
        state = after(before, cause, code.latching)
        if state is None:
            return
        if cause == ONSET:
            if before in (LATCHED, ACKNOWLEDGED):
                yield self._tell(i, IDLE, emitted, "superseded")
            if measured is not None:
                self._measure(i, measured)
            covered = self.pause["until"] > self.now and RANK[code.priority] <= self.pause["ceiling"]
            row["stream"], row["onset"] = self.stream, sample
            row["shown"], row["paused"] = 0, covered
        if cause == ACKNOWLEDGE:
            row["silent_until"] = self.now + SILENCE
        row["state"] = state
        yield self._tell(i, state, emitted, reason or cause, by)

    def _tell(self, i: int, state: int, emitted: int, reason: str, by: str = "") -> Alarm:
        """The event of a transition, noted in the alarm's history; the last one carries all of it."""
        self._note(i, NAMES[state], emitted, reason, by)
        event = self._event(i, state, emitted, reason)
        if state == IDLE:
            event.history = self.history.pop(event.code)
        return event

    def _note(self, i: int, what: str, emitted: int, why: str | None, by: str) -> None:
        steps = self.history.setdefault(CODES[i].name, [])
        told = {"what": what, "emitted": emitted, "why": why, "by": by or None}
        steps.append({name: value for name, value in told.items() if value is not None})
        if len(steps) > _MOST_STEPS:
            del steps[1]

    def _id(self, i: int) -> str:
        row = self.rows[i]
        return f"{self.bed}:{int(row['stream']):x}:{CODES[i].name}:{int(row['onset'])}"

    def _event(self, i: int, state: int, emitted: int, reason: str | None) -> Alarm:
        row, code = self.rows[i], CODES[i]
        value = None if np.isnan(row["value"]) else float(row["value"])
        limit = None if np.isnan(row["limit"]) else float(row["limit"])
        silence = float(row["silent_until"]) - self.now if state == ACKNOWLEDGED else None
        return Alarm(
            self.bed,
            int(row["onset"]),
            emitted,
            code=code.name,
            priority=code.priority,
            kind=code.kind,
            state=NAMES[state],
            id=self._id(i),
            value=None if value is None else round(value, 1),
            limit=None if limit is None else round(limit, 1),
            text=text_of(code, value, limit, int(row["detail"])),
            reason=reason,
            audio=AUDIO[state][int(row["paused"])],
            silence=None if silence is None else round(max(silence, 0.0), 1),
            by=self._acknowledged_by(code) if state == ACKNOWLEDGED else None,
        )

    def _acknowledged_by(self, code: Code) -> str | None:
        """Who acknowledged an alarm last, if that is known."""
        for step in reversed(self.history.get(code.name, [])):
            if step["what"] == NAMES[ACKNOWLEDGED]:
                return step.get("by")
        return None


def stop_clock(rows: Any, now: float) -> None:
    """Write count-downs as seconds left, in place: monotonic time means nothing to another machine.

    Args:
        rows: (n,) records with ``alarms`` (STATE) and ``pause`` (PAUSE_STATE).
        now: monotonic time, s.
    """
    for until in (rows["alarms"]["silent_until"], rows["pause"]["until"]):
        until[...] = np.maximum(until - now, 0.0)


def start_clock(rows: Any, now: float) -> None:
    """Let count-downs go on that :func:`stop_clock` stopped."""
    for until in (rows["alarms"]["silent_until"], rows["pause"]["until"]):
        until[...] = np.where(until > 0.0, until + now, 0.0)
