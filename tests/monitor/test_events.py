"""Events as lines of JSON."""

from __future__ import annotations

import json

import pytest

from monitor.events import Alarm, Audio, Beat, Event, Gap, Qrs, Quality, Rhythm, Shown, Trigger

LINES = [
    (Trigger("b", 5, 9), {"type": "trigger", "bed": "b", "sample": 5, "emitted": 9}),
    (Qrs("b", 5, 9, True), {"type": "qrs", "bed": "b", "sample": 5, "emitted": 9, "search_back": True}),
    (
        Beat("b", 5, 9, "V", "V", True, {"N": 0.1, "V": 0.9}),
        {
            "type": "beat",
            "bed": "b",
            "sample": 5,
            "emitted": 9,
            "symbol": "V",
            "aami": "V",
            "final": True,
            "p": {"N": 0.1, "V": 0.9},
            "search_back": False,
        },
    ),
    (Rhythm("b", 5, 9, "VT"), {"type": "rhythm", "bed": "b", "sample": 5, "emitted": 9, "label": "VT"}),
    (
        Alarm("b", 5, 9, "TACHY", "medium", id="b:1:TACHY:5", value=156.0, limit=120.0, text="** HR 156>120"),
        {
            "type": "alarm",
            "bed": "b",
            "sample": 5,
            "emitted": 9,
            "code": "TACHY",
            "priority": "medium",
            "kind": "physiological",
            "state": "raised",
            "id": "b:1:TACHY:5",
            "value": 156.0,
            "limit": 120.0,
            "text": "** HR 156>120",
            "audio": "on",
        },
    ),
    (
        Shown("b", 5, 9, "TACHY", "b:1:TACHY:5", "wall"),
        {
            "type": "shown",
            "bed": "b",
            "sample": 5,
            "emitted": 9,
            "code": "TACHY",
            "id": "b:1:TACHY:5",
            "by": "wall",
        },
    ),
    (
        Audio("b", 9, 9, True, 120.0),
        {"type": "audio", "bed": "b", "sample": 9, "emitted": 9, "paused": True, "seconds": 120.0},
    ),
    (Gap("b", 5, 9, 5, 40), {"type": "gap", "bed": "b", "sample": 5, "emitted": 9, "first": 5, "count": 40}),
    (
        Quality("b", 5, 9, "MLII", False, "lead_off"),
        {"type": "quality", "bed": "b", "sample": 5, "emitted": 9, "lead": "MLII", "ok": False, "reason": "lead_off"},
    ),
]


@pytest.mark.parametrize(("event", "line"), LINES, ids=[event.type for event, _ in LINES])
def test_as_dict(event: Event, line: dict[str, object]) -> None:
    assert event.as_dict() == line
    assert list(event.as_dict()) == list(line), "the order is part of the line"
    assert json.loads(json.dumps(event.as_dict(), allow_nan=False)) == line


def test_what_is_not_known_is_left_out_and_what_is_zero_or_false_is_not() -> None:
    assert "p" not in Beat("b", 1, 2).as_dict()
    assert "reason" not in Quality("b", 1, 2).as_dict()
    assert not {"value", "limit", "reason"} & Alarm("b", 1, 2).as_dict().keys()
    alarm = Alarm("b", 1, 2, value=0.0, reason="").as_dict()
    assert (alarm["value"], alarm["reason"]) == (0.0, "")
    assert Beat("b", 0, 0, final=False).as_dict()["final"] is False


def test_every_kind_has_a_type_of_its_own() -> None:
    types = ["trigger", "qrs", "beat", "rhythm", "alarm", "shown", "audio", "gap", "quality"]
    kinds = [Trigger, Qrs, Beat, Rhythm, Alarm, Shown, Audio, Gap, Quality]
    assert [kind.type for kind in kinds] == types
    assert set(Event.__subclasses__()) == set(kinds)


def test_events_are_equal_by_value() -> None:
    assert Beat("b", 1, 2) == Beat("b", 1, 2)
    assert Beat("b", 1, 2) != Beat("b", 1, 3)
    assert Trigger("b", 1, 2) != Event("b", 1, 2)
