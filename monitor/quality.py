"""Can this lead be analysed: the flags of `align`, without flicker.

A lead is lost after LOST of flagged samples and usable again after BACK of good ones.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor.align import OK
from monitor.ecg import FS
from monitor.kernel import kernel

LOST: Final = round(0.1 * FS)
BACK: Final = round(0.5 * FS)

CHANGE: Final = np.dtype([("emitted", np.int64), ("lead", np.int64), ("reason", np.int64)], align=True)

STATE: Final = np.dtype([("reason", np.int64), ("run", np.int64), ("time", np.int64)], align=True)
"""A record a lead. `reason`: OK or why it is lost; `run`: samples in a row that speak for a change."""


@kernel
def step(state, flags, count, lead, out, found):  # type: ignore[no-untyped-def]
    """Follow one lead through a block.

    Args:
        state: a STATE record.
        flags: (capacity,) int64, OK or a reason of `align`.
        count: samples in the block.
        lead: its number, for the output.
        out: CHANGE records; room for ``count // LOST + 2`` after `found`.
        found: changes already in `out`.

    Returns:
        How many changes are in `out` now.
    """
    for i in range(count):
        flag = flags[i]
        lost = state["reason"] != OK
        if (flag == OK) == lost:
            state["run"] += 1
            if state["run"] >= (BACK if lost else LOST):
                state["reason"] = OK if lost else flag
                state["run"] = 0
                out[found]["emitted"] = state["time"]
                out[found]["lead"] = lead
                out[found]["reason"] = state["reason"]
                found += 1
        else:
            state["run"] = 0
        state["time"] += 1
    return found
