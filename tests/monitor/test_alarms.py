"""The alarm table, and its states against what a nurse expects of them."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from monitor import alarms
from monitor.alarms import ACKNOWLEDGE, CODES, END, HIGH, INDEX, LOW, MEDIUM, ONSET, TECHNICAL, Bedside
from monitor.rhythm import CONDITIONS

NAMES = tuple(code.name for code in CODES)
INTERFACE = {
    HIGH: {"ASYSTOLE", "VFIB", "VTACH", "EXTREME_TACHY", "EXTREME_BRADY"},
    MEDIUM: {"TACHY", "BRADY", "PAUSE", "VRUN", "AF"},
    LOW: {"COUPLET", "BIGEMINY", "TRIGEMINY", "PVC_RATE", "R_ON_T"},
    TECHNICAL: {"NO_DATA", "LEAD_OFF", "CANNOT_ANALYSE", "GAP", "CONFLICT", "MODEL", "RECORDER"},
}
"""Every code that outside tests may rely on; not all are raised yet."""


@pytest.fixture
def bedside():
    return Bedside("bed-1", 0xAB, np.zeros(len(CODES), alarms.STATE))


def states(events):
    return [event.state for event in events]


# -- the table


def test_codes_and_their_priorities_are_those_of_the_interface():
    for code in CODES:
        assert code.name in INTERFACE[TECHNICAL if code.kind == TECHNICAL else code.priority]


def test_the_table_is_in_the_order_of_priority():
    """What is shown first is what comes first in the table, and technical alarms come after what they hide."""
    for codes in (CODES[: len(CONDITIONS)], CODES[len(CONDITIONS) :]):
        priorities = [(HIGH, MEDIUM, LOW).index(code.priority) for code in codes]
        assert priorities == sorted(priorities)
    assert NAMES[: len(CONDITIONS)] == CONDITIONS
    assert len(set(NAMES)) == len(NAMES)


def test_only_asystole_and_fibrillation_latch():
    assert [code.name for code in CODES if code.latching] == ["ASYSTOLE", "VFIB"]


# -- events


def test_an_event_says_what_why_and_how_much(bedside):
    (event,) = bedside.apply("TACHY", ONSET, 1000, 1234, 156.04, 140.0)
    assert event.as_dict() == {
        "type": "alarm",
        "bed": "bed-1",
        "sample": 1000,
        "emitted": 1234,
        "code": "TACHY",
        "priority": "medium",
        "kind": "physiological",
        "state": "raised",
        "id": "bed-1:ab:TACHY:1000",
        "value": 156.0,
        "limit": 140.0,
        "text": "** HR 156>140",
        "reason": "onset",
    }


def test_an_alarm_without_a_value_has_none(bedside):
    (event,) = bedside.apply("LEAD_OFF", ONSET, 5, 6)
    assert (event.value, event.limit, event.text, event.kind) == (None, None, "** LEAD OFF", "technical")


@pytest.mark.parametrize(
    ("name", "value", "limit", "text"),
    [
        ("TACHY", 120.4, 120.0, "** HR 121>120"),
        ("TACHY", 120.04, 120.0, "** HR 121>120"),
        ("TACHY", 121.6, 120.0, "** HR 122>120"),
        ("BRADY", 49.97, 50.0, "** HR 49<50"),
        ("EXTREME_BRADY", 20.0, 40.0, "*** EXTREME BRADY 20<40"),
        ("ASYSTOLE", 4.0, 4.0, "*** ASYSTOLE"),
    ],
)
def test_a_value_reads_beyond_its_limit(bedside, name, value, limit, text):
    (event,) = bedside.apply(name, ONSET, 1, 2, value, limit)
    assert event.text == text


def test_later_events_of_an_alarm_keep_its_identity(bedside):
    """Whatever sample the end comes with, and whatever stream runs by then."""
    (raised,) = bedside.apply("VTACH", ONSET, 1000, 1200, 150.0, 100.0)
    bedside.stream = 0xCD
    (cleared,) = bedside.apply("VTACH", END, 3000, 3100)
    assert (cleared.id, cleared.sample, cleared.emitted) == (raised.id, 1000, 3100)
    assert (cleared.value, cleared.text) == (raised.value, raised.text)


def test_the_id_is_made_of_bed_stream_code_and_onset(bedside):
    def raised(name, stream, onset):
        other = Bedside("bed-1", stream, np.zeros(len(CODES), alarms.STATE))
        return next(iter(other.apply(name, ONSET, onset, 10))).id

    ids = [raised(*what) for what in (("VTACH", 1, 5), ("TACHY", 1, 5), ("VTACH", 2, 5), ("VTACH", 1, 6))]
    assert len(set(ids)) == 4
    assert raised("VTACH", 1, 5) == ids[0]
    assert raised("VTACH", (1 << 64) - 1, 5) == "bed-1:ffffffffffffffff:VTACH:5"


def test_a_reason_given_is_the_reason_told(bedside):
    list(bedside.apply("TACHY", ONSET, 1, 2))
    (event,) = bedside.apply("TACHY", ACKNOWLEDGE, 1, 3, reason="acknowledged by Ada")
    assert event.reason == "acknowledged by Ada"


@pytest.mark.parametrize(("seen", "state"), [(False, "raised"), (True, "acknowledged")])
def test_a_revision_clears_a_tachycardia_whether_it_was_seen_or_not(bedside, seen, state):
    (raised,) = bedside.apply("VTACH", ONSET, 1, 2, 150.0, 100.0)
    events = [raised, *(bedside.apply("VTACH", ACKNOWLEDGE, 1, 3) if seen else ())]
    assert events[-1].state == state
    (cleared,) = bedside.apply("VTACH", END, 1, 4, reason="revised")
    assert (cleared.id, cleared.state, cleared.reason) == (raised.id, "cleared", "revised")
    assert bedside.active(4) == []


# -- states, one path after the other


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("ASYSTOLE", "VFIB")])
def test_an_alarm_clears_when_its_condition_ends(bedside, name):
    assert states(bedside.apply(name, ONSET, 1, 2)) == ["raised"]
    assert states(bedside.apply(name, END, 1, 3)) == ["cleared"]
    assert bedside.active(3) == []


def test_an_asystole_that_ended_unseen_stays_until_seen(bedside):
    list(bedside.apply("ASYSTOLE", ONSET, 1, 2))
    assert states(bedside.apply("ASYSTOLE", END, 1, 3)) == ["latched"]
    assert states(bedside.active(4)) == ["latched"]
    assert states(bedside.apply("ASYSTOLE", ACKNOWLEDGE, 1, 5)) == ["cleared"]
    assert bedside.active(6) == []


def test_an_asystole_that_was_seen_ends_with_its_condition(bedside):
    list(bedside.apply("ASYSTOLE", ONSET, 1, 2))
    assert states(bedside.apply("ASYSTOLE", ACKNOWLEDGE, 1, 3)) == ["acknowledged"]
    assert states(bedside.apply("ASYSTOLE", END, 1, 4)) == ["cleared"]


def test_a_new_asystole_takes_the_place_of_a_latched_one(bedside):
    (first,) = bedside.apply("ASYSTOLE", ONSET, 10, 20)
    list(bedside.apply("ASYSTOLE", END, 1, 30))
    cleared, raised = bedside.apply("ASYSTOLE", ONSET, 40, 50)
    assert (cleared.id, cleared.state, cleared.reason) == (first.id, "cleared", "superseded")
    assert (raised.state, raised.sample) == ("raised", 40)
    assert raised.id != first.id


def test_a_new_high_alarm_breaks_through_an_acknowledged_one(bedside):
    list(bedside.apply("EXTREME_TACHY", ONSET, 1, 2))
    list(bedside.apply("EXTREME_TACHY", ACKNOWLEDGE, 1, 3))
    assert states(bedside.apply("VTACH", ONSET, 5, 6)) == ["raised"]
    assert {(event.code, event.state) for event in bedside.active(7)} == {
        ("VTACH", "raised"),
        ("EXTREME_TACHY", "acknowledged"),
    }


# -- all paths, against a model


class Nurse(RuleBasedStateMachine):
    """Conditions begin and end and are acknowledged, in any order; events and states are those of the model."""

    def __init__(self) -> None:
        super().__init__()
        self.bedside = Bedside("bed", 7, np.zeros(len(CODES), alarms.STATE))
        self.models = {code.name: naive.AlarmModel(code) for code in CODES}
        self.sample = 0
        self.told: dict[str, str] = {}  # alarm id -> last state

    def apply(self, name: str, cause: str) -> list[tuple[str, int]]:
        self.sample += 1
        events = list(self.bedside.apply(name, cause, self.sample, self.sample))
        for event in events:
            assert event.id == f"bed:7:{name}:{event.sample}"
            assert (event.state == "raised") == (event.id not in self.told), "raised once, and first"
            assert self.told.get(event.id) != "cleared", "nothing comes after cleared"
            self.told[event.id] = event.state
        return [(event.state, event.sample) for event in events]

    @rule(name=st.sampled_from(NAMES))
    def begins(self, name: str) -> None:
        assert self.apply(name, ONSET) == self.models[name].begin(self.sample)

    @rule(name=st.sampled_from(NAMES))
    def ends(self, name: str) -> None:
        assert self.apply(name, END) == self.models[name].end()

    @rule(name=st.sampled_from(NAMES))
    def is_acknowledged(self, name: str) -> None:
        assert self.apply(name, ACKNOWLEDGE) == self.models[name].acknowledge()

    @rule()
    def asystole_comes_and_goes(self) -> None:
        """The one that latches, more often than chance would have it."""
        self.begins("ASYSTOLE")
        self.ends("ASYSTOLE")

    @rule()
    def moves_to_another_machine(self) -> None:
        rows = np.frombuffer(self.bedside.rows.tobytes(), alarms.STATE).copy()
        self.bedside = Bedside("bed", 7, rows)

    @invariant()
    def shows_what_the_model_shows(self) -> None:
        shown = {event.code: event.state for event in self.bedside.active(self.sample)}
        assert shown == {name: model.state for name, model in self.models.items() if model.state}
        assert [INDEX[name] for name in shown] == sorted(INDEX[name] for name in shown)


def test_any_sequence_gives_what_the_model_gives():
    run_state_machine_as_test(Nurse, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))


@pytest.mark.slow
def test_ten_thousand_sequences():
    run_state_machine_as_test(Nurse, settings=settings(max_examples=10_000, stateful_step_count=30, deadline=None))
