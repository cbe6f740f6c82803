"""The table of states."""

from __future__ import annotations

import itertools

import pytest

from monitor.alarm_states import (
    ACKNOWLEDGE,
    ACKNOWLEDGED,
    AUDIO,
    END,
    HIDE,
    IDLE,
    LATCHED,
    NAMES,
    OFF,
    ON,
    ONSET,
    PAUSED,
    RAISED,
    REMIND,
    SILENCED,
    TRANSITIONS,
    after,
)

STATES = (IDLE, RAISED, LATCHED, ACKNOWLEDGED)
CAUSES = (ONSET, END, HIDE, ACKNOWLEDGE, REMIND)


def test_states_have_the_names_of_the_interface():
    assert [NAMES[state] for state in STATES] == ["cleared", "raised", "latched", "acknowledged"]


def test_every_state_can_be_reached_and_left():
    assert set(TRANSITIONS.values()) == set(STATES)
    assert {state for state, _ in TRANSITIONS} == set(STATES)
    assert {cause for _, cause in TRANSITIONS} == set(CAUSES)


@pytest.mark.parametrize(("state", "cause"), list(itertools.product(STATES, CAUSES)))
def test_only_what_latches_latches(state, cause):
    assert after(state, cause, False) != LATCHED
    differ = after(state, cause, True) != after(state, cause, False)
    assert differ == ((state, cause) == (RAISED, END))


def test_only_a_person_ends_what_is_latched():
    assert {cause for cause in CAUSES if after(LATCHED, cause, True) == IDLE} == {ACKNOWLEDGE}


def test_only_what_is_raised_or_latched_sounds():
    assert [AUDIO[state][0] for state in STATES] == [OFF, ON, ON, SILENCED]
    assert [AUDIO[state][1] for state in STATES] == [OFF, PAUSED, PAUSED, SILENCED]
