"""Which alarms there are, and what hides what."""

from __future__ import annotations

import pytest

from monitor.alarm_table import (
    CODES,
    DETAILS,
    HIDDEN_BY,
    HIDES,
    HIGH,
    INDEX,
    LOW,
    MEDIUM,
    OF_REASON,
    PHYSIOLOGICAL,
    TECHNICAL,
    text_of,
)
from monitor.align import REASONS
from monitor.rhythm import CONDITIONS

NAMES = tuple(code.name for code in CODES)
BY_NAME = {code.name: code for code in CODES}
INTERFACE = {
    HIGH: {"ASYSTOLE", "VFIB", "VTACH", "EXTREME_TACHY", "EXTREME_BRADY"},
    MEDIUM: {"TACHY", "BRADY", "PAUSE", "VRUN", "AF"},
    LOW: {"COUPLET", "BIGEMINY", "TRIGEMINY", "PVC_RATE", "R_ON_T"},
    TECHNICAL: {"NO_DATA", "LEAD_OFF", "CANNOT_ANALYSE", "GAP", "CONFLICT", "MODEL", "RECORDER"},
}
"""Every code that outside tests may rely on; not all are raised yet."""


def test_codes_and_their_priorities_are_those_of_the_interface():
    for code in CODES:
        assert code.name in INTERFACE[TECHNICAL if code.kind == TECHNICAL else code.priority]
    assert {code.name for code in CODES} >= set().union(*INTERFACE.values())


def test_each_condition_of_the_rhythm_has_its_alarm():
    assert set(CONDITIONS) <= set(NAMES)
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("kind", [PHYSIOLOGICAL, TECHNICAL])
def test_the_table_is_in_the_order_of_priority(kind):
    """What is shown first is what comes first in the table, and the patient comes first."""
    priorities = [(HIGH, MEDIUM, LOW).index(code.priority) for code in CODES if code.kind == kind]
    assert priorities == sorted(priorities)
    kinds = [code.kind for code in CODES]
    assert kinds == sorted(kinds)


def test_what_ends_unseen_and_must_be_seen_latches():
    assert [code.name for code in CODES if code.latching] == ["ASYSTOLE", "VFIB"]


def test_what_latches_is_not_held_and_a_margin_needs_a_hold():
    assert not any(code.latching and code.hold for code in CODES)
    assert all(code.hold for code in CODES if code.margin or code.recurs)


def test_a_chain_goes_from_the_graver_to_the_lesser():
    for above, below in HIDES.items():
        assert all(INDEX[above] < INDEX[name] for name in below)
        assert {BY_NAME[name].kind for name in (above, *below)} == {PHYSIOLOGICAL}


def test_what_hides_a_code_hides_what_that_hides():
    for above, below in HIDES.items():
        for name in below:
            assert set(HIDES.get(name, ())) <= set(below), f"{above} hides {name}"


@pytest.mark.parametrize("name", ["ASYSTOLE", "VFIB", *(code.name for code in CODES if code.kind == TECHNICAL)])
def test_what_is_hidden_by_nothing(name):
    assert HIDDEN_BY[INDEX[name]] == ()


def test_a_fibrillation_hides_whatever_else_the_ventricles_and_the_rate_bring():
    hidden = {code.name for code in CODES if code.kind == PHYSIOLOGICAL} - {"ASYSTOLE", "VFIB"}
    assert set(HIDES["VFIB"]) == hidden


def test_reasons_are_known_and_have_a_text():
    assert set(OF_REASON) <= set(REASONS)
    assert all(reason in DETAILS for reason, code in OF_REASON.items() if code == "CANNOT_ANALYSE")


def test_every_text_can_be_written():
    for code in CODES:
        text = text_of(code, 12.3, 12.0, 1)
        assert text.startswith({HIGH: "*** ", MEDIUM: "** ", LOW: "* "}[code.priority])
        assert "{" not in text
        assert text_of(code, None, None, 0)
