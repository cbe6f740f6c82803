"""What the verdict on signal quality is learnt from: half seconds of leads, as the monitor itself measures them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor import align, filters, measures, qrs
from monitor.ecg import MAX_LEADS
from monitor.kernel import kernel
from monitor.measures import HALF, HALVES, PIECE

_BLOCK: Final = 90
"""Input samples at a time; the results do not depend on it."""


@kernel
def _measure(settle, filtering, detector, leads, samples, fs_mhz, half, table, measured, features):  # type: ignore[no-untyped-def]
    """Run the front end without its beats; note the measures of every half second."""
    room = _BLOCK * 4 + 2
    settled, flags = np.empty((MAX_LEADS, room)), np.empty((MAX_LEADS, room), np.int64)
    display, band = np.empty((MAX_LEADS, room)), np.empty((MAX_LEADS, room))
    usable = np.zeros((MAX_LEADS, room), np.int64)
    usable[:leads] = 1
    detections = np.empty(room, qrs.DETECTION)
    settle["fs_mhz"], settle["half"] = fs_mhz, half
    qrs.start(detector)
    for lead in range(leads):
        measures.start(measured[lead])
    for first in range(0, samples.shape[0], _BLOCK):
        count = min(_BLOCK, samples.shape[0] - first)
        made = align.step(settle, samples, first, count, 0, 0, leads, table, settled, flags)
        filters.step(filtering, settled, made, leads, display, band)
        found = qrs.step(detector, band, display, usable, leads, made, detections)
        for lead in range(leads):
            state = measured[lead]
            at, next_beat = 0, 0
            while at < made:
                to = min(made, at + PIECE - state["time"] % PIECE)
                measures.take(state, settled[lead], display[lead], band[lead], usable[lead], at, to)
                at = to
                if state["time"] % HALF == 0 or at == made:
                    while next_beat < found and detections[next_beat]["emitted"] < state["time"]:
                        if detections[next_beat]["kind"] == qrs.BEAT:
                            measures.note_beat(state, detector["shown"][lead], detections[next_beat])
                        next_beat += 1
                if state["time"] % HALF == 0:
                    measures.describe(state)
                    if state["time"] >= HALVES * HALF:
                        measures.remember(state)
                    for i in range(measures.WIDTH):
                        features[state["time"] // HALF - 1, lead, i] = state["features"][i]


def measure(signal: NDArray[np.floating], fs: float) -> NDArray[np.float32]:
    """(k, leads, WIDTH) the measures of each half second of (n, leads) mV at `fs`; the first ones look at less."""
    count, leads = signal.shape
    samples = np.zeros((count, MAX_LEADS), np.float32)
    samples[:, :leads] = signal
    table, half = align.design(fs)
    measured = np.zeros(MAX_LEADS, measures.STATE)
    settle, filtering, detector = np.zeros(1, align.STATE), np.zeros(1, filters.STATE), np.zeros(1, qrs.STATE)
    most = int(count * 360 / fs / HALF) + 1
    features = np.zeros((most, leads, measures.WIDTH), np.float32)
    _measure(settle[0], filtering[0], detector[0], leads, samples, round(fs * 1000), half, table, measured, features)
    return features[: measured[0]["time"] // HALF]
