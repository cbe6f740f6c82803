"""Runs of supraventricular beats: SVTA.

A beat belongs to one when it is named S, or when it is named N and the rate has jumped: its interval is shorter than
ABRUPT of the usual one and than that of FAST. The usual interval is a running mean that rests during a run, so a sinus
rhythm that quickens over some beats is none. Three S in a row above VT's 100 per minute are SVTA, or five beats where
the interval alone tells.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor.conditions import NORMAL_BEAT, SUPRAVENTRICULAR
from monitor.ecg import FS
from monitor.kernel import kernel

ABRUPT: Final = 0.75
FAST: Final = 0.5
"""Seconds: 120 per minute."""
NAMED: Final = 3
UNNAMED: Final = 5
RATE: Final = 100.0
"""Per minute, above which a run is a tachycardia."""
_SHARE: Final = 0.125  # weight of the last interval in the usual one
_MOST: Final = 2.5  # s; longer ones are pauses

STATE: Final = np.dtype(
    [
        ("usual", np.float64),  # s; 0: unknown
        ("run", np.int64),  # beats in a row
        ("named", np.int64),  # of them S
        ("run_at", np.int64),  # R peak of the first
    ],
    align=True,
)


@kernel
def interrupt(state):  # type: ignore[no-untyped-def]
    """What comes next does not follow what was known."""
    state["run"] = 0
    state["named"] = 0


@kernel
def take(state, r, aami, interval):  # type: ignore[no-untyped-def]
    """Take a beat: its R peak, its class by number, and the interval before it, s, 0 where unknown."""
    abrupt = 0.0 < interval < min(FAST, ABRUPT * state["usual"])
    if aami == SUPRAVENTRICULAR or (aami == NORMAL_BEAT and abrupt):
        if state["run"] == 0:
            state["run_at"] = r
            state["named"] = 0
        state["run"] += 1
        state["named"] += aami == SUPRAVENTRICULAR
        return
    interrupt(state)
    if 0.0 < interval < _MOST:
        if state["usual"] == 0.0:
            state["usual"] = interval
        state["usual"] += _SHARE * (interval - state["usual"])


@kernel
def is_tachycardia(state, r):  # type: ignore[no-untyped-def]
    """Whether the run that ends at `r` is one."""
    if state["named"] < NAMED and state["run"] < UNNAMED:
        return False
    return 60.0 * (state["run"] - 1) * FS > RATE * (r - state["run_at"])
