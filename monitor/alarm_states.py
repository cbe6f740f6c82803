"""What state an alarm is in, and whether it sounds: tables.

An alarm is driven by two parties, and by the clock. The bed's condition begins (ONSET) and ends (END); a graver
condition may take its place (HIDE, :data:`monitor.alarm_table.HIDES`). A person acknowledges it (ACKNOWLEDGE). And
an acknowledged one calls again when :data:`SILENCE` is over (REMIND), if its condition still stands; while it is merely
held (:mod:`monitor.alarm_table`), it does not.

    ============  =====================  ==========  ============  ==================  ============
    state         ONSET                  END         HIDE          ACKNOWLEDGE         REMIND
    ============  =====================  ==========  ============  ==================  ============
    idle          raised                 -           -             -                   -
    raised        -                      latched*    idle          acknowledged        -
    latched       raised, a new one      -           -             idle                -
    acknowledged  raised, a new one**    idle        idle          -                   raised
    ============  =====================  ==========  ============  ==================  ============

``*`` idle if the code does not latch. ``**`` only where each onset counts by itself; elsewhere a condition that stands
does not begin (:mod:`monitor.alarms`). Idle is told as ``cleared``. A new alarm has a new id; the one whose place it
takes is cleared first.

**Sound.** Acknowledging is about one alarm: it falls silent for SILENCE and stays visible. The audio pause is about a
bed, or all of them: what stands there is silent for PAUSE, and so is what comes meanwhile, unless it is graver:

    ================================  =========================  ==================
    stood when the pause began        a new one that is silent   a new one that sounds
    ================================  =========================  ==================
    only low ones                     low                        medium, high
    nothing, or a medium or high one  low, medium                high
    ================================  =========================  ==================

So a new alarm of high priority always sounds: it has not been acknowledged, and no pause covers it. The pause
ends by itself, or is cancelled; what still stands sounds again then.

    ============  =========  ==========
    state         no pause   paused
    ============  =========  ==========
    raised        on         paused
    latched       on         paused
    acknowledged  silenced   silenced
    idle          off        off
    ============  =========  ==========

Two clocks: onsets and ends are on the sample clock, so they do not depend on how the stream is cut; SILENCE and PAUSE
are counted on the monotonic clock, which goes on when the stream does not.
"""

from __future__ import annotations

from typing import Final

IDLE, RAISED, LATCHED, ACKNOWLEDGED = range(4)
NAMES: Final = ("cleared", "raised", "latched", "acknowledged")

ONSET, END, HIDE, ACKNOWLEDGE, REMIND = "onset", "end", "hide", "acknowledge", "remind"

TRANSITIONS: Final = {
    (IDLE, ONSET): RAISED,
    (RAISED, END): LATCHED,
    (RAISED, HIDE): IDLE,
    (RAISED, ACKNOWLEDGE): ACKNOWLEDGED,
    (LATCHED, ONSET): RAISED,
    (LATCHED, ACKNOWLEDGE): IDLE,
    (ACKNOWLEDGED, ONSET): RAISED,
    (ACKNOWLEDGED, END): IDLE,
    (ACKNOWLEDGED, HIDE): IDLE,
    (ACKNOWLEDGED, REMIND): RAISED,
}

ON, PAUSED, SILENCED, OFF = "on", "paused", "silenced", "off"
AUDIO: Final = ((OFF, OFF), (ON, PAUSED), (ON, PAUSED), (SILENCED, SILENCED))
"""By state, then by whether a pause covers the alarm."""

SILENCE: Final = 120.0
"""Seconds that an acknowledged alarm is silent before it calls again."""

PAUSE: Final = 120.0
"""Seconds of an audio pause unless said otherwise."""

LONGEST_PAUSE: Final = 600.0
"""Seconds; a longer audio pause cannot be asked for, only begun again."""


def after(state: int, cause: str, latching: bool) -> int | None:
    """The state that follows, or None: the table has no such transition."""
    follows = TRANSITIONS.get((state, cause))
    return IDLE if follows == LATCHED and not latching else follows
