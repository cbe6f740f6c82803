"""Can this lead be analysed: the flags of `align`, without flicker.

A lead is lost after LOST of flagged samples and usable again after BACK of good ones. While it is lost, another reason
that has lasted for LOST takes the place of the first: an electrode often gives nothing before it reports itself off.
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

STATE: Final = np.dtype(
    [
        ("reason", np.int64),  # OK, or why the lead is lost
        ("run", np.int64),  # samples in a row that speak for a change to lost, or back
        ("other", np.int64),  # another reason, seen while lost
        ("other_run", np.int64),  # samples in a row with it
        ("time", np.int64),
    ],
    align=True,
)
"""A record a lead."""


@kernel
def step(state, flags, count, lead, usable, out, found):  # type: ignore[no-untyped-def]
    """Follow one lead through a block.

    Args:
        state: a STATE record.
        flags: (capacity,) int64, OK or a reason of `align`.
        count: samples in the block.
        lead: its number, for the output.
        usable: (capacity,) int64, receives 1 where the lead can be analysed and 0 where it is lost.
        out: CHANGE records; room for ``count // LOST + 2`` after `found`.
        found: changes already in `out`.

    Returns:
        How many changes are in `out` now.
    """
    for i in range(count):
        flag = flags[i]
        reason = state["reason"]
        becomes = reason
        if (flag == OK) == (reason != OK):
            state["run"] += 1
            if state["run"] >= (LOST if reason == OK else BACK):
                becomes = flag
        else:
            state["run"] = 0
        if reason != OK and flag != OK and flag != reason:
            state["other_run"] = state["other_run"] + 1 if flag == state["other"] else 1
            state["other"] = flag
            if state["other_run"] >= LOST:
                becomes = flag
        else:
            state["other_run"] = 0
        if becomes != reason:
            state["reason"] = becomes
            state["run"] = 0
            state["other_run"] = 0
            out[found]["emitted"] = state["time"]
            out[found]["lead"] = lead
            out[found]["reason"] = becomes
            found += 1
        usable[i] = 1 if state["reason"] == OK else 0
        state["time"] += 1
    return found
