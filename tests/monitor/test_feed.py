"""What passes over the feed: frames byte by byte, commands and their refusals."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.commands import (
    Acknowledge,
    AcknowledgeAll,
    PauseAudio,
    Relearn,
    SetLimits,
    SetPaced,
    SetProfile,
    Shown,
)
from monitor.exceptions import MessageError
from monitor.feed import HISTORY, Resume, decode_frame, dumps, encode_frame, parse_command, parse_resume, to_segments
from monitor.profiles import RANGES
from monitor.views import Wave

BEDS = {"bed-01", "bed-02"}


def wave(bed: str, first: int, samples: list[list[float]]) -> Wave:
    return Wave(bed, first, np.array(samples, np.float32))


def test_encode_frame_lays_out_every_byte() -> None:
    one = wave("bed-01", 7, [[0.005, -0.005], [1.0, np.nan], [200.0, -200.0]])
    two = wave("bed-02", 1 << 40, [[0.0], [0.5]])

    frame = encode_frame(
        to_segments([(3, one), (258, two)]), b'{"a":"\xc3\xa4"}', tick=9, now_unix=1234.5, flags=HISTORY
    )

    assert frame[:32] == b"WF\x02\x01" + struct.pack("<IdQII", 2, 1234.5, 9, 10, 0)
    assert frame[32:48] == '{"a":"ä"}'.encode() + bytes(6)
    assert frame[48:72] == struct.pack("<HBBIqfI", 3, 2, 0, 3, 7, 5.0, 0)
    assert frame[72:88] == struct.pack("<6h4x", 1, -1, 200, -32768, 32767, -32767)
    assert frame[88:112] == struct.pack("<HBBIqfI", 258, 1, 0, 2, 1 << 40, 5.0, 0)
    assert frame[112:] == struct.pack("<2h4x", 0, 100)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 2)), max_size=6))
def test_encode_frame_starts_every_segment_at_a_multiple_of_8(shapes: list[tuple[int, int]]) -> None:
    waves = [wave("b", i, np.full((n, leads), float(i)).tolist()) for i, (n, leads) in enumerate(shapes) if n]

    frame = encode_frame(to_segments(list(enumerate(waves))), b"{}")

    at = 40
    for index, expected in enumerate(waves):
        n, leads = expected.samples.shape
        assert at % 8 == 0
        assert struct.unpack_from("<HBBIq", frame, at) == (index, leads, 0, n, expected.first)
        units = np.frombuffer(frame, "<i2", n * leads, at + 24).reshape(n, leads)
        np.testing.assert_allclose(units * 0.005, expected.samples, atol=0.0025)
        at += 24 + (2 * n * leads + 7) // 8 * 8
    assert at == len(frame)


def test_decode_frame_is_the_inverse() -> None:
    segments = to_segments([(3, wave("bed-01", 7, [[0.005, 1.0]])), (4, wave("bed-02", 0, [[0.5]]))])
    frame = decode_frame(encode_frame(segments, b'{"events":[]}', tick=9, now_unix=12.5, flags=HISTORY))
    assert (frame.flags, frame.tick, frame.time, frame.told) == (HISTORY, 9, 12.5, {"events": []})
    assert [(s.index, s.leads, s.first, bytes(s.units)) for s in frame.segments] == [
        (3, 2, 7, struct.pack("<2h", 1, 200)),
        (4, 1, 0, struct.pack("<h", 100)),
    ]


@pytest.mark.parametrize(
    "data", [b"", b"WF", b"XX" + bytes(30), b"WF\x01" + bytes(29), b"WF\x02\x00\x01\x00\x00\x00" + bytes(24)]
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(MessageError):
        decode_frame(data)


def test_parse_resume_reads_what_a_viewer_has() -> None:
    message = {"type": "resume", "run": "ab", "tick": 7, "beds": {"bed-01": ["7.0", 360]}}
    assert parse_resume(json.dumps(message)) == Resume("ab", 7, {"bed-01": ("7.0", 360)})


@pytest.mark.parametrize(
    "change",
    [
        {"type": "relearn"},
        {"tick": -1},
        {"tick": True},
        {"tick": 1.5},
        {"run": ""},
        {"run": 7},
        {"beds": []},
        {"beds": {"bed-01": ["7.0"]}},
        {"beds": {"bed-01": [7, 0]}},
        {"beds": {"bed-01": ["7.0", -1]}},
        {"beds": {"bed-01": ["7.0", 1 << 64]}},
    ],
)
def test_parse_resume_refuses(change: dict[str, object]) -> None:
    with pytest.raises(MessageError):
        parse_resume(json.dumps({"type": "resume", "run": "ab", "tick": 7, "beds": {}} | change))


ID = "bed-01:7:VTACH:5"


@pytest.mark.parametrize(
    ("message", "command"),
    [
        ({"type": "acknowledge", "bed": "bed-01", "id": ID}, Acknowledge("bed-01", ID, "wall")),
        ({"type": "acknowledge_all", "bed": "bed-01"}, AcknowledgeAll("bed-01", "wall")),
        ({"type": "shown", "bed": "bed-01", "id": ID}, Shown("bed-01", ID, "wall")),
        ({"type": "pause", "bed": "bed-01", "on": True}, PauseAudio("bed-01", True, 120.0, "wall")),
        ({"type": "pause", "bed": None, "on": True, "seconds": 60}, PauseAudio(None, True, 60.0, "wall")),
        ({"type": "pause", "bed": None, "on": False}, PauseAudio(None, False, 120.0, "wall")),
        ({"type": "limits", "bed": "bed-02", "low": 50, "high": None}, SetLimits("bed-02", 50.0, None, "wall")),
        (
            {"type": "limits", "bed": "bed-02", "vt_count": 4, "pause_s": 2.5},
            SetLimits("bed-02", by="wall", vt_count=4, pause_s=2.5),
        ),
        ({"type": "profile", "bed": "bed-01", "profile": "neonatal"}, SetProfile("bed-01", "neonatal", "wall")),
        ({"type": "paced", "bed": "bed-01", "paced": True}, SetPaced("bed-01", True, "wall")),
        ({"type": "relearn", "bed": "bed-01"}, Relearn("bed-01", "wall")),
    ],
)
def test_parse_command_reads_every_kind(message: dict[str, object], command: object) -> None:
    assert parse_command(json.dumps(message | {"by": "wall"}), BEDS) == command


def refused_commands() -> list[tuple[str, str | bytes]]:
    good = {"type": "limits", "bed": "bed-01", "low": 50, "high": 120, "by": "wall"}
    ack = {"type": "acknowledge", "bed": "bed-01", "id": "x", "by": "wall"}
    return [
        ("binary", b"{}"),
        ("json", ""),
        ("json", "{"),
        ("json", "[" * 2000),
        ("json", "1" * 4000),
        ("json", "[]"),
        ("bed", "{}"),
        ("bed", json.dumps(good | {"bed": "bed-99"})),
        ("bed", json.dumps(good | {"bed": ["bed-01"]})),
        ("type", json.dumps(good | {"type": "reboot"})),
        ("type", json.dumps(good | {"type": None})),
        ("limits", json.dumps(good | {"low": 120})),
        ("limits", json.dumps(good | {"low": 14.9})),
        ("limits", json.dumps(good | {"high": 301})),
        ("limits", json.dumps(good | {"high": float("nan")})),
        ("limits", json.dumps(good | {"high": float("inf")})),
        ("limits", json.dumps(good | {"high": True})),
        ("limits", json.dumps(good | {"high": "120"})),
        ("limits", json.dumps(good | {"low": None, "vt_count": 4.5})),
        ("limits", json.dumps(good | {"asystole_s": 60})),
        ("bed", json.dumps({"type": "limits", "bed": None, "by": "wall"})),
        ("on", json.dumps({"type": "pause", "bed": None, "by": "wall"})),
        ("on", json.dumps({"type": "pause", "bed": "bed-01", "on": 1, "by": "wall"})),
        ("seconds", json.dumps({"type": "pause", "bed": None, "on": True, "seconds": 601, "by": "wall"})),
        ("seconds", json.dumps({"type": "pause", "bed": None, "on": True, "seconds": True, "by": "wall"})),
        ("seconds", json.dumps({"type": "pause", "bed": None, "on": True, "seconds": float("nan"), "by": "wall"})),
        ("by", json.dumps({"type": "pause", "bed": None, "on": True})),
        ("profile", json.dumps({"type": "profile", "bed": "bed-01", "profile": "geriatric", "by": "wall"})),
        ("profile", json.dumps({"type": "profile", "bed": "bed-01", "by": "wall"})),
        ("paced", json.dumps({"type": "paced", "bed": "bed-01", "paced": "yes", "by": "wall"})),
        ("by", json.dumps({"type": "relearn", "bed": "bed-01"})),
        ("by", json.dumps(good | {"by": ""})),
        ("by", json.dumps(good | {"by": "a\nb"})),
        ("by", json.dumps(good | {"by": "x" * 65})),
        ("id", json.dumps(ack | {"id": 5})),
        ("id", json.dumps(ack | {"id": "x" * 129})),
    ]


@pytest.mark.parametrize(("reason", "message"), refused_commands())
def test_parse_command_refuses(reason: str, message: str | bytes) -> None:
    with pytest.raises(MessageError) as refusal:
        parse_command(message, BEDS)
    assert refusal.value.reason == reason


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(sorted(BEDS)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
TYPES = ["acknowledge", "acknowledge_all", "shown", "pause", "limits", "profile", "paced", "relearn"]
almost_commands = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES) | json_values, "bed": st.sampled_from([*sorted(BEDS), None])},
    optional={"by": st.just("wall") | json_values}
    | dict.fromkeys(("id", "on", "seconds", "profile", "paced", *RANGES), json_values),
)


@given(st.text() | st.binary() | (json_values | almost_commands).map(json.dumps))
def test_parse_command_reads_or_refuses_anything(message: str | bytes) -> None:
    try:
        command = parse_command(message, BEDS)
    except MessageError:
        return
    assert command.bed in BEDS or (command.bed is None and isinstance(command, PauseAudio))


def test_dumps_writes_null_for_what_json_cannot_hold() -> None:
    text = dumps({"a": [1.5, float("nan")], "b": {"c": float("-inf")}})
    assert json.loads(text) == {"a": [1.5, None], "b": {"c": None}}
