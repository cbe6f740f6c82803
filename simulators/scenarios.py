"""The patients of the demo ward: each a short story, told in parts of :mod:`simulators.rhythms`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from monitor.ecg import FS
from monitor.exceptions import ConfigError
from simulators.morphology import Heart
from simulators.noise import Baseline, Disturbance, LeadOff, Mains, Muscle, When
from simulators.rhythms import Fibrillation, Part, Run, Silence, Sinus
from simulators.synthetic import Patient

RESTING: Final = (Baseline(0.05), Baseline(0.04, hz=0.07), Muscle(0.008), Mains(0.004))
"""What any electrode picks up from a patient at rest."""

_HEART: Final = Heart(breathing=0.05)


@dataclass(frozen=True)
class Scenario:
    """One patient.

    Attributes:
        alias: what the page calls the bed.
        story: played over and over.
        heart: the look of the beats.
        disturbances: what else the electrodes pick up.
    """

    alias: str
    story: Sequence[Part]
    heart: Heart = _HEART
    disturbances: Sequence[Disturbance] = RESTING

    def patient(self, *, fs: float = FS, seed: int = 0) -> Patient:
        """Bring the scenario to life; the same seed, the same patient."""
        return Patient(self.story, fs=fs, heart=self.heart, disturbances=self.disturbances, seed=seed)


SCENARIOS: Final[dict[str, Scenario]] = {
    "vt": Scenario(
        "VT episodes",
        [
            Sinus(14, rate=82, ectopy={"V": 8}),
            Run(10, rate=170),
            Sinus(65, rate=84, ectopy={"V": 6, "VV": 1}),
            Run(12, rate=160),
            Sinus(55, rate=86, ectopy={"V": 6}),
            Run(8, rate=180),
            Sinus(50, rate=82, ectopy={"V": 6}),
        ],
        Heart(qrs_mv=0.9, t_mv=0.2, pvc_mv=1.5, pvc_ms=160, breathing=0.05),
    ),
    "af": Scenario(
        "Atrial fibrillation",
        [Fibrillation(240, rate=95), Sinus(45, rate=68, ectopy={"S": 6})],
        Heart(qrs_mv=0.95, t_mv=0.2, p_mv=0.1, f_mv=0.13, breathing=0.03),
    ),
    "bigeminy": Scenario(
        "Ventricular bigeminy",
        [Sinus(20, rate=74), Sinus(45, rate=74, pattern="NV"), Sinus(30, rate=72, ectopy={"V": 6})],
        Heart(qrs_mv=1.2, pvc_mv=1.8, breathing=0.05),
    ),
    "asystole": Scenario(
        "Asystole episodes",
        [Sinus(25, rate=58), Silence(7.5), Sinus(40, rate=52), Silence(2.6), Sinus(35, rate=60)],
        Heart(qrs_mv=1.0, t_mv=0.35, breathing=0.05),
    ),
    "ectopy": Scenario(
        "Multiform PVCs, couplets",
        [Sinus(90, rate=78, ectopy={"V": 7, "VV": 2, "S": 1, "F": 1}, shapes=2)],
        Heart(qrs_mv=1.0, pvc_mv=1.4, breathing=0.05),
    ),
    "noise": Scenario(
        "Restless, electrodes come off",
        [Sinus(60, rate=88, ectopy={"S": 2})],
        Heart(qrs_mv=0.8, t_mv=0.2, breathing=0.08),
        [
            *RESTING,
            Muscle(0.18, When(at=20, seconds=14, every=80)),
            Baseline(0.7, hz=0.6, when=When(at=22, seconds=10, every=80)),
            LeadOff((1,), When(at=48, seconds=8, every=80)),
            LeadOff((0, 1), When(at=66, seconds=6, every=160)),
        ],
    ),
    "sinus": Scenario("Sinus rhythm", [Sinus(60)]),
    "tachycardia": Scenario(
        "Sinus tachycardia",
        [
            Sinus(20, rate=96),
            Sinus(15, rate=112, respiratory=0.01),
            Sinus(40, rate=134, respiratory=0.01, low_frequency=0.01),
            Sinus(15, rate=110, respiratory=0.01),
        ],
        Heart(qrs_mv=1.0, t_mv=0.22, qtc_s=0.38, breathing=0.05),
    ),
    "bradycardia": Scenario(
        "Sinus bradycardia",
        [Sinus(40, rate=56), Sinus(35, rate=44, respiratory=0.05), Sinus(30, rate=52)],
        Heart(qrs_mv=1.3, t_mv=0.4, breathing=0.05),
    ),
    "trigeminy": Scenario(
        "Ventricular trigeminy",
        [Sinus(20, rate=70), Sinus(50, rate=70, pattern="NNV")],
        Heart(qrs_mv=0.9, pvc_mv=1.7, breathing=0.05),
    ),
    "pacs": Scenario("Atrial ectopy", [Sinus(60, rate=66, ectopy={"S": 6, "SS": 1})]),
}
"""Scenarios by name, in the order in which they fill a ward: the first eight beds show the most."""


def find_scenario(name: str) -> Scenario:
    """Look a scenario up.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in SCENARIOS:
        raise ConfigError("no such scenario", where=name, remedy=f"choose one of {', '.join(SCENARIOS)}")
    return SCENARIOS[name]
