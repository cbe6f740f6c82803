"""What the ward shows of a bed: its waveform, and everything known about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.events import Alarm
from monitor.profiles import ADULT, PROFILES, Limits


@dataclass(slots=True)
class Wave:
    """Display signal of one bed, 0.5-40 Hz, as analysed by the last call.

    Attributes:
        bed: id of the bed.
        first: index of the first sample at 360 Hz, counted from the stream's origin.
        samples: (n, leads) float32, mV; NaN where nothing was measured.
    """

    bed: str
    first: int
    samples: NDArray[np.float32]


@dataclass(slots=True)
class BedView:
    """A bed as others may see it.

    Attributes:
        bed: its id.
        alias: a name for people.
        simulated: whether the device says it is a simulator.
        leads: names of the leads analysed.
        stream: id of the running stream.
        fs: the device's rate, Hz.
        origin: the device's sample that is index 0 at 360 Hz.
        position: samples at 360 Hz processed.
        heart_rate: per minute; None: unknown.
        rhythm: WFDB rhythm string; None: unknown.
        pvc_per_minute: ventricular beats in the last minute; None before the first minute.
        low, high: heart-rate limits, per minute.
        alarms: every alarm that is not idle, those of the patient first, the gravest first.
        last_data: monotonic time at which data last came.
        profile: name of the preset that its limits began with.
        limits: what it is set to.
        pause_left: seconds left of the audio pause; 0: there is none.
        lead_names: of all leads sent, as the device described them; empty: it did not.
        late_s: seconds by which its data is behind, out of a back-log; 0: it is live.
    """

    bed: str
    alias: str
    simulated: bool
    leads: tuple[str, ...]
    stream: int
    fs: float
    origin: int
    position: int
    heart_rate: float | None
    rhythm: str | None
    pvc_per_minute: int | None
    low: float
    high: float
    alarms: tuple[Alarm, ...]
    last_data: float
    profile: str = ADULT
    limits: Limits = PROFILES[ADULT]
    pause_left: float = 0.0
    lead_names: tuple[str, ...] = ()
    late_s: float = 0.0
