"""Alarms: a table of codes, and a table of states and transitions.

An alarm is driven by two parties. The bed's condition begins (ONSET) and ends (END); a person acknowledges it
(ACKNOWLEDGE). Where the condition's end may hide that it ever was - asystole - the alarm latches: it stays until
a person has seen it. Modelled on IEC 60601-1-8; no conformity is claimed.

    ============  ==================  ==============================  ============================
    state         ONSET               END                             ACKNOWLEDGE
    ============  ==================  ==============================  ============================
    idle          raised              -                               -
    raised        -                   latched, or idle if it does     acknowledged
                                      not latch: cleared
    latched       raised, a new one   -                               idle: cleared
    acknowledged  -                   idle: cleared                   -
    ============  ==================  ==============================  ============================

A beat's final name may take back what its provisional one brought or ended (:mod:`monitor.rhythm`): then the reason of
ONSET and END is ``revised``.

The state of all alarms of a bed is part of the bed's row, so a snapshot holds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from monitor.conditions import CONDITIONS
from monitor.events import Alarm

HIGH, MEDIUM, LOW = "high", "medium", "low"
PHYSIOLOGICAL, TECHNICAL = "physiological", "technical"
_STARS: Final = {HIGH: "***", MEDIUM: "**", LOW: "*"}


@dataclass(frozen=True, slots=True)
class Code:
    """What the table says of one alarm.

    Attributes:
        name: the code.
        priority: HIGH, MEDIUM or LOW.
        text: with ``{value}`` and ``{limit}``, rounded to whole numbers.
        kind: PHYSIOLOGICAL or TECHNICAL.
        latching: stays when its condition ends, until it is acknowledged.
    """

    name: str
    priority: str
    text: str
    kind: str = PHYSIOLOGICAL
    latching: bool = False


# The table is in the order of priority; the conditions of `rhythm` come first, in their order.
CODES: Final = (
    Code("ASYSTOLE", HIGH, "ASYSTOLE", latching=True),
    Code("VFIB", HIGH, "VENTRICULAR FIBRILLATION", latching=True),
    Code("VTACH", HIGH, "VTACH {value}>{limit}"),
    Code("EXTREME_TACHY", HIGH, "EXTREME TACHY {value}>{limit}"),
    Code("EXTREME_BRADY", HIGH, "EXTREME BRADY {value}<{limit}"),
    Code("VRUN", MEDIUM, "VENTRICULAR RUN"),
    Code("TACHY", MEDIUM, "HR {value}>{limit}"),
    Code("BRADY", MEDIUM, "HR {value}<{limit}"),
    Code("PAUSE", MEDIUM, "PAUSE"),
    Code("AF", MEDIUM, "ATRIAL FIBRILLATION"),
    Code("COUPLET", LOW, "VENTRICULAR COUPLET"),
    Code("BIGEMINY", LOW, "BIGEMINY"),
    Code("TRIGEMINY", LOW, "TRIGEMINY"),
    Code("PVC_RATE", LOW, "PVC {value}>{limit} A MINUTE"),
    Code("R_ON_T", LOW, "R ON T"),
    Code("NO_DATA", MEDIUM, "NO DATA", TECHNICAL),
    Code("LEAD_OFF", MEDIUM, "LEAD OFF", TECHNICAL),
    Code("CANNOT_ANALYSE", MEDIUM, "CANNOT ANALYSE: SATURATED", TECHNICAL),
    Code("CONFLICT", MEDIUM, "TWO DEVICES SEND AS THIS BED", TECHNICAL),
    Code("GAP", LOW, "SIGNAL MISSING", TECHNICAL),
    Code("MODEL", LOW, "BEAT MODEL FAILED", TECHNICAL),
)
INDEX: Final = {code.name: i for i, code in enumerate(CODES)}
assert tuple(code.name for code in CODES[: len(CONDITIONS)]) == CONDITIONS

OF_REASON: Final = {"missing": "GAP", "saturated": "CANNOT_ANALYSE"}
"""Technical alarm for each reason why no lead can be analysed; an electrode that is off alarms by itself."""

IDLE, RAISED, LATCHED, ACKNOWLEDGED = range(4)
ONSET, END, ACKNOWLEDGE = "onset", "end", "acknowledge"

_TRANSITIONS: Final = {
    (IDLE, ONSET): RAISED,
    (RAISED, END): LATCHED,
    (RAISED, ACKNOWLEDGE): ACKNOWLEDGED,
    (LATCHED, ONSET): RAISED,
    (LATCHED, ACKNOWLEDGE): IDLE,
    (ACKNOWLEDGED, END): IDLE,
}
_NAMES: Final = {IDLE: "cleared", RAISED: "raised", LATCHED: "latched", ACKNOWLEDGED: "acknowledged"}

STATE: Final = np.dtype(
    [
        ("state", np.int64),
        ("stream", np.uint64),
        ("onset", np.int64),  # in the device's samples
        ("value", np.float64),
        ("limit", np.float64),
    ],
    align=True,
)
"""A record an alarm code; a bed has ``len(CODES)`` of them."""


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """A person has seen an alarm."""

    bed: str
    alarm_id: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class SetLimits:
    """New heart-rate limits, per minute; None leaves one as it is."""

    bed: str
    low: float | None = None
    high: float | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class Describe:
    """What a device says of itself: names of its leads, an alias for people, whether it is simulated."""

    bed: str
    leads: tuple[str, ...] = ()
    alias: str = ""
    simulated: bool = False


Command = Acknowledge | SetLimits | Describe


@dataclass(slots=True)
class Bedside:
    """Where an alarm event is about to happen.

    Attributes:
        bed: id of the bed.
        stream: id of its stream.
        rows: (len(CODES),) STATE, updated.
    """

    bed: str
    stream: int
    rows: Any

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
        """Let something happen to one alarm.

        Args:
            name: its code.
            cause: ONSET, END or ACKNOWLEDGE.
            sample: the onset, in the device's samples; used by ONSET.
            emitted: the device's sample at which this is known.
            value, limit: what was measured and what it broke; used by ONSET.
            reason: why, for the log.

        Yields:
            The events that result: none when the table has no such transition.
        """
        code = CODES[INDEX[name]]
        row = self.rows[INDEX[name]]
        before = int(row["state"])
        after = _TRANSITIONS.get((before, cause))
        if after is None:
            return
        if after == LATCHED and not code.latching:
            after = IDLE
        if cause == ONSET:
            if before == LATCHED:
                yield self._event(code, IDLE, emitted, "superseded")
            row["stream"], row["onset"] = self.stream, sample
            row["value"] = np.nan if value is None else value
            row["limit"] = np.nan if limit is None else limit
        row["state"] = after
        yield self._event(code, after, emitted, reason or cause)

    def active(self, emitted: int) -> list[Alarm]:
        """Every alarm that is not idle, as an event of its present state."""
        return [
            self._event(code, int(self.rows[i]["state"]), emitted, None)
            for i, code in enumerate(CODES)
            if self.rows[i]["state"] != IDLE
        ]

    def _event(self, code: Code, state: int, emitted: int, reason: str | None) -> Alarm:
        row = self.rows[INDEX[code.name]]
        onset, stream = int(row["onset"]), int(row["stream"])
        value = None if np.isnan(row["value"]) else float(row["value"])
        limit = None if np.isnan(row["limit"]) else float(row["limit"])
        text = code.text.format(value=_beyond(value, limit), limit=_beyond(limit, None))
        return Alarm(
            self.bed,
            onset,
            emitted,
            code=code.name,
            priority=code.priority,
            kind=code.kind,
            state=_NAMES[state],
            id=f"{self.bed}:{stream:x}:{code.name}:{onset}",
            value=None if value is None else round(value, 1),
            limit=None if limit is None else round(limit, 1),
            text=f"{_STARS[code.priority]} {text}",
            reason=reason,
        )


def _beyond(value: float | None, limit: float | None) -> str:
    """A value in whole numbers that stays beyond its limit: 120.4 over 120 reads 121, not 120."""
    if value is None:
        return "---"
    whole = round(value)
    if limit is not None and whole == round(limit) and value != limit:
        whole += 1 if value > limit else -1
    return str(whole)
