"""What a bed's setting for a pacemaker does to the alarms of a rendered story."""

from __future__ import annotations

import pytest
from streams import BED, cut

from monitor.commands import SetPaced
from monitor.ecg import FS
from monitor.events import Alarm
from monitor.ward import Ward
from simulators.conduction import Paced
from simulators.rhythms import Run, Sinus
from simulators.synthetic import Patient


def raised(paced, *story):
    """When (s) the first alarm of each code was raised; beats are named by rule."""
    seconds = sum(part.seconds for part in story if not isinstance(part, Run)) + 2
    ward, found = Ward(capacity=1), {}
    for number, chunk in enumerate(cut(Patient(story, repeat=False).strip(seconds * FS).signal, FS)):
        for event in ward.feed([chunk], [SetPaced(BED, paced)] if number == 1 else []):
            if isinstance(event, Alarm) and event.state == "raised":
                found.setdefault(event.code, event.emitted / FS)
    return found


@pytest.mark.parametrize("chamber", ["ventricle", "dual"])
def test_paced_beats_after_others_are_no_ventricular_ones(chamber):
    story = Sinus(15), Paced(15, chamber=chamber), Sinus(10)
    assert {"VRUN", "PVC_RATE"} & set(raised(False, *story))
    assert not {"VRUN", "VTACH", "PVC_RATE", "COUPLET", "BIGEMINY", "R_ON_T"} & set(raised(True, *story))


def test_a_tachycardia_in_a_paced_bed_is_alarmed():
    assert 25 < raised(True, Sinus(10), Paced(15), Run(8, 170), Paced(8))["VTACH"] < 30


def test_pulses_without_an_answer_are_an_asystole_whatever_is_set():
    story = Sinus(10), Paced(12), Paced(12, capture=0.0)
    assert raised(True, *story)["ASYSTOLE"] == raised(False, *story)["ASYSTOLE"] < 22 + 10
