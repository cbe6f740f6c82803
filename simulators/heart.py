"""How one patient's beats look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from simulators.limits import Level, Milliseconds, Millivolts, Seconds, Share

LEADS: Final = ("MLII", "V1")
"""Names of the leads that are drawn, in order."""


@dataclass(frozen=True)
class Heart:
    """The look of one patient's beats, as seen in the first lead.

    Attributes:
        qrs_mv: height of a normal R peak, mV; `p_mv` and `t_mv` are those of its P and T waves.
        st_mv: level of ST 80 ms after the QRS, mV; in V1 the opposite, half of it.
        qrs_ms: width of a normal QRS, ms (see :data:`simulators.morphology.EDGE`).
        qtc_s: QT interval at 60 bpm, s; it follows the rate as RR^(1/3) (Fridericia).
        pvc_mv, pvc_ms: height and width of a ventricular QRS; also of escape and paced beats.
        f_mv: amplitude of the f waves of atrial fibrillation, mV in V1; half of it in MLII.
        breathing: depth by which respiration modulates the amplitude of beats, as a fraction.
    """

    qrs_mv: Millivolts = 1.1
    qrs_ms: Milliseconds = 90.0
    p_mv: Level = 0.12
    t_mv: Level = 0.28
    st_mv: Level = 0.0
    qtc_s: Seconds = 0.40
    pvc_mv: Millivolts = 1.6
    pvc_ms: Milliseconds = 150.0
    f_mv: Level = 0.12
    breathing: Share = 0.0
