"""Which alarms there are: their priorities, their texts, how long they hold, and what hides what.

Modelled on IEC 60601-1-8; no conformity is claimed.

**Priority.** High: somebody dies unless somebody comes at once. Medium: somebody should come soon. Low: somebody should
know. Physiological alarms are about the patient; technical ones about what stands between the patient and the monitor:
they are a list of their own, on the screen too.

**Latching.** A condition whose end may hide that it ever was - asystole, fibrillation - stays as an alarm until
somebody has seen it (:mod:`monitor.alarm_states`).

**Holding.** A heart rate does not respect a limit; it wanders about it. And a couplet is over before anyone has turned
his head. So an alarm goes on for :data:`HOLD` seconds after its condition's end, on the sample clock. If the condition
begins again meanwhile, that is the same alarm - or, where each time counts by itself (`recurs`) and somebody has
acknowledged the last one, a new one. An alarm of the heart rate (`margin`) ends only if the mean rate over the time
held is back beyond the limit by that margin; otherwise it holds on. What turns out never to have been (a
beat's final name takes it back), and what a restart ends, is not held.

**Chains.** One cause, one alarm. A ventricular tachycardia is also a run, and a heart rate beyond the limit; told at
the same time, they only make noise. :data:`HIDES` says what a graver condition hides while it stands: that is not
raised, and what had been raised is cleared. When the graver one is over and the lesser one's condition still stands,
that is raised then, as a new alarm. Asystole and fibrillation are hidden by nothing; technical alarms hide nothing and
are hidden by nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

HIGH, MEDIUM, LOW = "high", "medium", "low"
PHYSIOLOGICAL, TECHNICAL = "physiological", "technical"
RANK: Final = {LOW: 1, MEDIUM: 2, HIGH: 3}
"""Priorities as numbers that compare."""
STARS: Final = {HIGH: "***", MEDIUM: "**", LOW: "*"}

HOLD: Final = 10.0
"""Seconds that an alarm goes on after its condition: time to read it, and for a rate to settle."""

MARGIN: Final = 2.0
"""Beats per minute by which a heart rate must be back; a rate one off its limit is still at it."""


@dataclass(frozen=True, slots=True)
class Code:
    """What the table says of one alarm.

    Attributes:
        name: the code.
        priority: HIGH, MEDIUM or LOW.
        text: with ``{value}`` and ``{limit}``, rounded to `digits`, and ``{detail}``.
        kind: PHYSIOLOGICAL or TECHNICAL.
        latching: stays when its condition ends, until it is acknowledged.
        hold: seconds it goes on after its condition's end.
        margin: what the mean heart rate must be back by, from the limit; negative: it must be lower. 0: no rate.
        recurs: a new onset while it holds is a new alarm once the last one was acknowledged.
        digits: decimal places of value and limit in the text.
    """

    name: str
    priority: str
    text: str
    kind: str = PHYSIOLOGICAL
    latching: bool = False
    hold: float = 0.0
    margin: float = 0.0
    recurs: bool = False
    digits: int = 0


CODES: Final = (
    # In the order of priority, the graver first.
    Code("ASYSTOLE", HIGH, "ASYSTOLE", latching=True),
    Code("VFIB", HIGH, "V FIB", latching=True),
    Code("VTACH", HIGH, "VTACH {value}>{limit}", hold=HOLD, recurs=True),
    Code("EXTREME_TACHY", HIGH, "EXTREME TACHY {value}>{limit}", hold=HOLD, margin=-MARGIN),
    Code("EXTREME_BRADY", HIGH, "EXTREME BRADY {value}<{limit}", hold=HOLD, margin=MARGIN),
    Code("VRUN", MEDIUM, "VENTRICULAR RUN", hold=HOLD, recurs=True),
    Code("TACHY", MEDIUM, "HR {value}>{limit}", hold=HOLD, margin=-MARGIN),
    Code("BRADY", MEDIUM, "HR {value}<{limit}", hold=HOLD, margin=MARGIN),
    Code("PAUSE", MEDIUM, "PAUSE {value}>{limit} s", hold=HOLD, recurs=True, digits=1),
    Code("AF", MEDIUM, "ATRIAL FIBRILLATION", hold=HOLD),
    Code("COUPLET", LOW, "COUPLET", hold=HOLD, recurs=True),
    Code("BIGEMINY", LOW, "BIGEMINY", hold=HOLD),
    Code("TRIGEMINY", LOW, "TRIGEMINY", hold=HOLD),
    Code("PVC_RATE", LOW, "PVC/min {value}>{limit}", hold=HOLD),
    Code("R_ON_T", LOW, "R ON T", hold=HOLD, recurs=True),
    # Technical ones.
    Code("NO_DATA", MEDIUM, "NO DATA", TECHNICAL),
    Code("LEAD_OFF", MEDIUM, "LEAD OFF", TECHNICAL),
    Code("CANNOT_ANALYSE", MEDIUM, "CANNOT ANALYSE: {detail}", TECHNICAL),
    Code("CONFLICT", MEDIUM, "TWO DEVICES SEND AS THIS BED", TECHNICAL),
    Code("GAP", LOW, "SIGNAL MISSING", TECHNICAL),
    Code("MODEL", LOW, "BEAT MODEL FAILED", TECHNICAL),
    Code("RECORDER", LOW, "RECORDING FAILED", TECHNICAL),
)
INDEX: Final = {code.name: i for i, code in enumerate(CODES)}

HIDES: Final = {
    "ASYSTOLE": ("EXTREME_BRADY", "BRADY", "PAUSE"),
    "VFIB": (
        *("VTACH", "EXTREME_TACHY", "EXTREME_BRADY", "VRUN", "TACHY", "BRADY", "PAUSE", "AF"),
        *("COUPLET", "BIGEMINY", "TRIGEMINY", "PVC_RATE", "R_ON_T"),
    ),
    "VTACH": ("EXTREME_TACHY", "VRUN", "TACHY", "COUPLET", "BIGEMINY", "TRIGEMINY", "PVC_RATE", "R_ON_T"),
    "EXTREME_TACHY": ("TACHY",),
    "EXTREME_BRADY": ("BRADY",),
    "VRUN": ("COUPLET",),
    "BIGEMINY": ("TRIGEMINY", "PVC_RATE"),
    "TRIGEMINY": ("PVC_RATE",),
}
"""What each code hides while its condition stands. Whatever hides a code also hides what that one hides."""

HIDDEN_BY: Final = tuple(tuple(INDEX[above] for above, below in HIDES.items() if code.name in below) for code in CODES)
"""For each code, numbers of those that hide it."""

OF_REASON: Final = {"missing": "GAP", "saturated": "CANNOT_ANALYSE"}
"""Technical alarm for each reason why no lead can be analysed; an electrode that is off alarms by itself."""

DETAILS: Final = {
    "": "POOR SIGNAL",
    "saturated": "SATURATED",
    "noise": "NOISE",
    "flat": "FLAT LINE",
    "baseline": "BASELINE",
    "mains": "MAINS",
    "muscle": "MUSCLE NOISE",
    "motion": "MOTION",
}
"""What ``{detail}`` reads for a reason of poor signal; a reason that is not here reads as the first."""
DETAIL_TEXTS: Final = tuple(DETAILS.values())


def detail_of(reason: str) -> int:
    """Number of a reason's text in :data:`DETAIL_TEXTS`.

    >>> DETAIL_TEXTS[detail_of("muscle")], DETAIL_TEXTS[detail_of("gremlins")]
    ('MUSCLE NOISE', 'POOR SIGNAL')
    """
    return DETAIL_TEXTS.index(DETAILS.get(reason, DETAILS[""]))


def text_of(code: Code, value: float | None, limit: float | None, detail: int) -> str:
    """What the screen shows.

    >>> text_of(CODES[INDEX["TACHY"]], 120.4, 120.0, 0)
    '** HR 121>120'
    """
    shown = {
        "value": _beyond(value, limit, code.digits),
        "limit": _beyond(limit, None, code.digits),
        "detail": DETAIL_TEXTS[detail],
    }
    return f"{STARS[code.priority]} {code.text.format(**shown)}"


def _beyond(value: float | None, limit: float | None, digits: int) -> str:
    """A rounded value that stays beyond its limit: 120.4 over 120 reads 121, not 120."""
    if value is None:
        return "---"
    step = 10.0**-digits
    whole = round(value, digits)
    if limit is not None and whole == round(limit, digits) and value != limit:
        whole += step if value > limit else -step
    return f"{whole:.{digits}f}"
