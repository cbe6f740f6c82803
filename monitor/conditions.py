"""What is said of a bed's heart: conditions, rhythms, settings, and how they are told.

The kernels of rate (:mod:`monitor.rate`), of ventricular beats (:mod:`monitor.ventricular`) and of atrial fibrillation
(:mod:`monitor.atrial_fibrillation`) decide; :mod:`monitor.rhythm` keeps the clock and tells.

Definitions, first after the PhysioNet/CinC Challenge 2015, then as bedside monitors have them. Each limit is a bed's
own, a field of :data:`SETTINGS`; a limit itself is allowed.

    =============  =====================================================================  ======================  =====
    condition      begins                                                                 value                   limit
    =============  =====================================================================  ======================  =====
    ASYSTOLE       no QRS for 4 s                                                         s without one           s
    VFIB           the signal shows ventricular fibrillation or flutter                   -                       -
    VTACH          5 V or more in a row above 100/min, some of them missed or, if they    rate of the run, or 0   /min
                   are regular, one misnamed; regular beats above 222/min whatever their
                   names; or the signal shows it by itself
    EXTREME_TACHY  17 beats above 140/min: the mean of 16 intervals                       that rate, /min         /min
    EXTREME_BRADY  5 beats below 40/min: the mean of 4 intervals                          that rate, /min         /min
    VRUN           3 V or more in a row that are no VTACH                                 beats in the run        3
    TACHY, BRADY   the heart rate is beyond its limits (and no extreme condition stands)  heart rate, /min        /min
    PAUSE          no QRS for 3 s                                                         s without one           s
    AF             atrial fibrillation by intervals and P waves                           its probability, %      %
    COUPLET        2 V in a row between others                                            their rate, /min        -
    BIGEMINY       every second beat a V, three times                                     V in the last minute    -
    TRIGEMINY      every third beat a V, three times                                      V in the last minute    -
    PVC_RATE       more V in a minute than the limit                                      V in the last minute    /min
    R_ON_T         a V after another kind of beat, before the end of its T wave           interval, ms            T, ms
    =============  =====================================================================  ======================  =====

COUPLET and R_ON_T stand for EVENT_HOLD after the last of them, PAUSE after the beat that ends it. Rates end HYSTERESIS
within their limit, the count of V a fifth below it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor.ecg import AAMI_CLASSES
from monitor.kernel import kernel

CONDITIONS: Final = (
    "ASYSTOLE",
    "VFIB",
    "VTACH",
    "EXTREME_TACHY",
    "EXTREME_BRADY",
    "VRUN",
    "TACHY",
    "BRADY",
    "PAUSE",
    "AF",
    "COUPLET",
    "BIGEMINY",
    "TRIGEMINY",
    "PVC_RATE",
    "R_ON_T",
)
"""In the order of priority."""
(
    ASYSTOLE,
    VFIB,
    VTACH,
    EXTREME_TACHY,
    EXTREME_BRADY,
    VRUN,
    TACHY,
    BRADY,
    PAUSE,
    AF,
    COUPLET,
    BIGEMINY,
    TRIGEMINY,
    PVC_RATE,
    R_ON_T,
) = range(len(CONDITIONS))

BY_NAME: Final = (VTACH, VRUN, AF, COUPLET, BIGEMINY, TRIGEMINY, PVC_RATE, R_ON_T)
"""Conditions that rest on the names of beats: another name may take them back."""

LABELS: Final = ("", "N", "VT", "B", "T", "ASYS", "VF", "IVR", "AFIB", "SVTA", "NOISE", "HGEA")
"""Rhythm strings by number; the first stands for unknown, NOISE for what nobody can tell.

HGEA, high-grade ventricular ectopic activity, are the fast runs that are too short for a tachycardia, as the annotators
of the Malignant Ventricular Ectopy Database have it; those of the MIT-BIH Arrhythmia Database call three beats VT.
"""
(
    UNKNOWN,
    NORMAL,
    VT,
    BIGEMINAL,
    TRIGEMINAL,
    STANDSTILL,
    VF,
    IDIOVENTRICULAR,
    FIBRILLATING,
    FAST_ATRIAL,
    NOISY,
    SHORT_RUN,
) = range(len(LABELS))

NORMAL_BEAT, SUPRAVENTRICULAR, VENTRICULAR, FUSION, UNCLEAR = (AAMI_CLASSES.index(name) for name in "NSVFQ")
"""Classes of beats by number."""

SETTINGS: Final = np.dtype(
    [
        ("low", np.float64),  # heart-rate limits, per minute
        ("high", np.float64),
        ("extreme_low", np.float64),  # per minute
        ("extreme_high", np.float64),
        ("asystole_s", np.float64),  # s
        ("pause_s", np.float64),  # s
        ("vt_rate", np.float64),  # per minute
        ("vt_count", np.int64),  # beats, 3 to LONGEST_RUN
        ("pvc_limit", np.float64),  # V per minute
        ("paced", np.int64),  # whether a pacemaker is known: what is not early is paced, not ventricular
    ],
    align=True,
)
"""What a bed is set to: :class:`monitor.profiles.Limits` as the kernels read it."""

LONGEST_RUN: Final = 16
"""Most beats that a ventricular tachycardia may be asked to have."""

EVENT_HOLD: Final = 10.0
"""Seconds for which what happened once stands."""

NONE_DUE: Final = 1 << 62
"""A time that never comes."""

CHANGE: Final = np.dtype(
    [
        ("row", np.int64),
        ("code", np.int64),  # a condition, or RHYTHM
        ("on", np.int64),  # 1 begins, 0 ends; RHYTHM: the label's number
        ("sample", np.int64),  # onset
        ("emitted", np.int64),
        ("value", np.float64),
        ("limit", np.float64),
        ("revised", np.int64),  # whether another name of a beat is why
        ("lapsed", np.int64),  # whether it ends because for too long nobody could tell
    ],
    align=True,
)
RHYTHM: Final = -1

STANDING: Final = np.dtype(
    [
        ("on", np.int64, (len(CONDITIONS),)),
        ("onset", np.int64, (len(CONDITIONS),)),
        ("value", np.float64, (len(CONDITIONS),)),
        ("limit", np.float64, (len(CONDITIONS),)),
        ("until", np.int64, (len(CONDITIONS),)),  # when it ends by itself, or NONE_DUE
    ],
    align=True,
)
"""What the names of beats say of each condition."""


@kernel
def set_standing(standing, code, on, onset, value, limit):  # type: ignore[no-untyped-def]
    """Note whether a condition stands; its onset stays while it does."""
    if on and not standing["on"][code]:
        standing["onset"][code] = onset
    standing["on"][code] = on
    standing["value"][code] = value
    standing["limit"][code] = limit


@kernel
def say(row, code, on, sample, emitted, value, limit, out, count):  # type: ignore[no-untyped-def]
    """Add a CHANGE to those in `out`; return how many there are."""
    change = out[count]
    change["row"] = row
    change["code"] = code
    change["on"] = on
    change["sample"] = sample
    change["emitted"] = emitted
    change["value"] = value
    change["limit"] = limit
    change["revised"] = 0
    change["lapsed"] = 0
    return count + 1
