"""What the ward says: one dataclass per kind of event, and its line of JSON.

Sample indices are those of the device's stream, at the stream's own rate. `emitted` is the sample whose
processing fixed the event, wherever messages end: nothing after it had any influence.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar


@dataclass(slots=True)
class Event:
    """Common to all events.

    Attributes:
        bed: id of the bed.
        sample: what the event is about: for beats the R peak, otherwise its onset.
        emitted: the sample whose processing fixed the event.
    """

    type: ClassVar[str] = ""

    bed: str
    sample: int
    emitted: int

    def as_dict(self) -> dict[str, Any]:
        """The event as the object of its JSON line: `type` first, fields that are None left out."""
        line: dict[str, Any] = {"type": self.type}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                line[field.name] = value
        return line


@dataclass(slots=True)
class Trigger(Event):
    """A QRS complex is on its way; for the blinking heart and the beep. `sample` is its R peak, provisionally.

    It comes some 35 ms after R, before the detector is certain: a few triggers are followed by no beat, and a beat that
    is found by looking back has none.
    """

    type: ClassVar[str] = "trigger"


@dataclass(slots=True)
class Qrs(Event):
    """A beat was found. `sample` is its R peak; its name follows as a :class:`Beat` with the same `sample`.

    Attributes:
        search_back: found by looking back with a lower threshold.
    """

    type: ClassVar[str] = "qrs"

    search_back: bool = False


@dataclass(slots=True)
class Beat(Event):
    """A beat was named. Every beat ends with exactly one event with `final` true.

    A provisional one comes when the beat's window is complete, 408 ms after R, and the final one when the next beat is
    known or has been awaited until 1.2 s after R. Where it is known by then, the final one comes alone.

    Attributes:
        symbol: annotation symbol, one of N S V F Q.
        aami: AAMI class, the same letter.
        final: false while a later event may still revise the name.
        p: class -> probability; None when no network named the beat.
        search_back: found by looking back with a lower threshold.
        leads: in how many leads it could be analysed; None: its window was cut off.
    """

    type: ClassVar[str] = "beat"

    symbol: str = "N"
    aami: str = "N"
    final: bool = True
    p: dict[str, float] | None = None
    search_back: bool = False
    leads: int | None = None


@dataclass(slots=True)
class Rhythm(Event):
    """The rhythm changed.

    Attributes:
        label: WFDB rhythm string without the parenthesis; see :data:`monitor.conditions.LABELS`.
    """

    type: ClassVar[str] = "rhythm"

    label: str = "N"


@dataclass(slots=True)
class Alarm(Event):
    """An alarm changed state. `sample` is the onset of what it is about.

    Attributes:
        code: for instance ``VTACH``; the table is in :mod:`monitor.alarm_table`.
        priority: ``high``, ``medium`` or ``low``.
        kind: ``physiological`` or ``technical``.
        state: ``raised``, ``latched`` (condition gone, still to be seen), ``acknowledged`` or ``cleared``.
        id: ``bed:stream:code:onset``: the same however often and wherever it is computed.
        value: the measured value that broke the limit, if there is one.
        limit: the limit it broke.
        text: what the screen shows, for instance ``*** HR 156>140``.
        reason: why the state changed.
        audio: ``on``, ``paused`` (an audio pause covers it), ``silenced`` (acknowledged) or ``off`` (cleared).
        silence: seconds of silence left to an acknowledged alarm.
        by: who acknowledged it.
        history: what happened to it so far; with the event that clears it, and with what a view shows. Each step has
            ``what`` (a state, or ``shown``), ``emitted``, ``why``, ``by``.
        late: it came out of a back-log: to be logged, not sounded. If it stands when the data is live again, it is
            told once more. Left out of the line when false.
    """

    type: ClassVar[str] = "alarm"

    code: str = ""
    priority: str = ""
    kind: str = "physiological"
    state: str = "raised"
    id: str = ""
    value: float | None = None
    limit: float | None = None
    text: str = ""
    reason: str | None = None
    audio: str = "on"
    silence: float | None = None
    by: str | None = None
    history: list[dict[str, Any]] | None = None
    late: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The event as the object of its JSON line."""
        line = Event.as_dict(self)
        if not self.late:
            del line["late"]
        return line


@dataclass(slots=True)
class Shown(Event):
    """A screen has shown an alarm for the first time. `sample` is the alarm's onset.

    Attributes:
        code, id: of the alarm.
        by: which screen.
    """

    type: ClassVar[str] = "shown"

    code: str = ""
    id: str = ""
    by: str | None = None


@dataclass(slots=True)
class Audio(Event):
    """The sound of a bed's alarms was paused, or goes on.

    With a pause, every alarm that stands is ``paused``; when it goes on, each sounds again that is not acknowledged.

    Attributes:
        paused: whether it is.
        seconds: how long, unless it is cancelled.
        by: who said so.
        reason: why.
    """

    type: ClassVar[str] = "audio"

    paused: bool = False
    seconds: float = 0.0
    by: str | None = None
    reason: str | None = None


@dataclass(slots=True)
class Gap(Event):
    """Samples that never arrived. `sample` equals `first`.

    Attributes:
        first: index of the first missing sample.
        count: how many are missing.
    """

    type: ClassVar[str] = "gap"

    first: int = 0
    count: int = 0


@dataclass(slots=True)
class Quality(Event):
    """A lead became bad, or good again, or is bad for another reason.

    Attributes:
        lead: name of the lead.
        ok: whether it is good from here on.
        reason: None when ok. ``lead_off``, ``missing``, ``saturated``: the lead is lost and not analysed; ``flat``:
            it shows nothing; ``baseline``, ``mains``, ``muscle``, ``motion``: it is noisy, so that its beats cannot be
            trusted. A flat and a noisy lead are analysed as before.
    """

    type: ClassVar[str] = "quality"

    lead: str = ""
    ok: bool = True
    reason: str | None = None


def take_rhythm(told: list[Rhythm], rhythm: Rhythm) -> None:
    """Add a rhythm change to those told before it, so that the list stays in order.

    A rhythm is known later than it begins. One that begins no later than the one told before it replaces that one.
    """
    while told and told[-1].sample >= rhythm.sample:
        told.pop()
    if not told or told[-1].label != rhythm.label:
        told.append(rhythm)
