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

STATE: Final = np.dtype(
    [
        ("display", np.float64, (MAX_LEADS, DISPLAY_SOS.shape[0], 2)),
        ("detector", np.float64, (DETECTOR_SOS.shape[0], 2)),
    ],
    align=True,
)


@kernel
def cascade(sos, memory, samples, count, out):  # type: ignore[no-untyped-def]
    """Filter `count` samples through second-order sections.

    Args:
        sos: (sections, 6) coefficients as scipy gives them, a0 = 1.
        memory: (sections, 2) the sections' memories, updated.
        samples: (capacity,) float64.
        out: (capacity,) float64, receives the result; may be `samples`.
    """
    for section in range(sos.shape[0]):
        b0, b1, b2 = sos[section, 0], sos[section, 1], sos[section, 2]
        a1, a2 = sos[section, 4], sos[section, 5]
        z0, z1 = memory[section, 0], memory[section, 1]
        source = samples if section == 0 else out
        for i in range(count):
            x = source[i]
            y = b0 * x + z0
            z0 = b1 * x - a1 * y + z1
            z1 = b2 * x - a2 * y
            # A flat line would decay into denormals, which cost a hundred times as much.
            if -_TINY < z0 < _TINY:
                z0 = 0.0
            if -_TINY < z1 < _TINY:
                z1 = 0.0
            out[i] = y
        memory[section, 0], memory[section, 1] = z0, z1


@kernel
def step(state, samples, count, leads, display, detector):  # type: ignore[no-untyped-def]
    """Filter a block: every lead for display, the first for the detector.

    Args:
        state: a STATE record.
        samples: (MAX_LEADS, capacity) float64, settled mV at 360 Hz.
        count: samples in the block.
        leads: leads in use.
        display: (MAX_LEADS, capacity) float64, receives mV.
        detector: (capacity,) float64, receives mV.
    """
    for lead in range(leads):
        cascade(DISPLAY_SOS, state["display"][lead], samples[lead], count, display[lead])
    cascade(DETECTOR_SOS, state["detector"], samples[0], count, detector)
