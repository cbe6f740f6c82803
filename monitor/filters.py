"""Causal filters: what the eye and the classifier see, and the detector's own band.

All are cascades of second-order sections in transposed direct form II, run sample by sample from rest. `align`
starts each stream at 0 mV, so there is no start-up transient to correct with a look at the first chunk.

- display: 0.5-40 Hz, the monitoring bandwidth of bedside monitors. Butterworth, high-pass of order 2 and low-pass of
  order 4; its delay in the QRS band is DISPLAY_DELAY.
- detector: 5-18 Hz, Butterworth of order 2. Pan and Tompkins use 5-11 Hz (integer coefficients at 200 Hz).

Source: Oppenheim and Schafer, Discrete-Time Signal Processing, section 6.3.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import signal

from monitor.ecg import FS, MAX_LEADS
from monitor.kernel import kernel

DISPLAY_BAND: Final = (0.5, 40.0)
DETECTOR_BAND: Final = (5.0, 18.0)

DISPLAY_DELAY: Final = 4
"""Samples at 360 Hz by which the display filter delays an R peak (measured on DS1: median 4, 21 of 22 records 2-9)."""

DISPLAY_SOS: Final = np.vstack(
    [
        signal.butter(2, DISPLAY_BAND[0], "highpass", fs=FS, output="sos"),
        signal.butter(4, DISPLAY_BAND[1], "lowpass", fs=FS, output="sos"),
    ]
)
DETECTOR_SOS: Final = signal.butter(2, DETECTOR_BAND, "bandpass", fs=FS, output="sos")

_TINY: Final = 1e-30
_FLUSH: Final = 256
"""Samples after which memories below _TINY become 0: a flat line would decay into denormals, which cost a hundred times
as much. Counted from the stream's start, so that where blocks end cannot be seen."""

STATE: Final = np.dtype(
    [
        ("time", np.int64),  # samples seen
        ("display", np.float64, (MAX_LEADS, DISPLAY_SOS.shape[0], 2)),
        ("detector", np.float64, (MAX_LEADS, DETECTOR_SOS.shape[0], 2)),
    ],
    align=True,
)


@kernel
def _section(sos, k, x, z0, z1):  # type: ignore[no-untyped-def]
    """One sample through section `k`: its output and the section's two new memories."""
    y = sos[k, 0] * x + z0
    return y, sos[k, 1] * x - sos[k, 4] * y + z1, sos[k, 2] * x - sos[k, 5] * y


@kernel
def _flushed(z):  # type: ignore[no-untyped-def]
    return 0.0 if -_TINY < z < _TINY else z


@kernel
def _lead(shown, sensed, time, samples, count, display, detector):  # type: ignore[no-untyped-def]
    """Filter one lead. All five sections in one loop: their chains of additions then run side by side."""
    a0, a1, b0, b1, c0, c1 = shown[0, 0], shown[0, 1], shown[1, 0], shown[1, 1], shown[2, 0], shown[2, 1]
    d0, d1, e0, e1 = sensed[0, 0], sensed[0, 1], sensed[1, 0], sensed[1, 1]
    for i in range(count):
        x = samples[i]
        y, a0, a1 = _section(DISPLAY_SOS, 0, x, a0, a1)
        y, b0, b1 = _section(DISPLAY_SOS, 1, y, b0, b1)
        y, c0, c1 = _section(DISPLAY_SOS, 2, y, c0, c1)
        display[i] = y
        y, d0, d1 = _section(DETECTOR_SOS, 0, x, d0, d1)
        y, e0, e1 = _section(DETECTOR_SOS, 1, y, e0, e1)
        detector[i] = y
        if (time + i) % _FLUSH == 0:
            a0, a1, b0, b1, c0, c1 = (
                _flushed(a0),
                _flushed(a1),
                _flushed(b0),
                _flushed(b1),
                _flushed(c0),
                _flushed(c1),
            )
            d0, d1, e0, e1 = _flushed(d0), _flushed(d1), _flushed(e0), _flushed(e1)
    shown[0, 0], shown[0, 1], shown[1, 0], shown[1, 1], shown[2, 0], shown[2, 1] = a0, a1, b0, b1, c0, c1
    sensed[0, 0], sensed[0, 1], sensed[1, 0], sensed[1, 1] = d0, d1, e0, e1


@kernel
def step(state, samples, count, leads, display, detector):  # type: ignore[no-untyped-def]
    """Filter a block: every lead for display and for the detector.

    Args:
        state: a STATE record.
        samples: (MAX_LEADS, capacity) float64, settled mV at 360 Hz.
        count: samples in the block.
        leads: leads in use.
        display: (MAX_LEADS, capacity) float64, receives mV.
        detector: (MAX_LEADS, capacity) float64, receives mV.
    """
    for lead in range(leads):
        _lead(
            state["display"][lead],
            state["detector"][lead],
            state["time"],
            samples[lead],
            count,
            display[lead],
            detector[lead],
        )
    state["time"] += count
