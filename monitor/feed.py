"""What passes between the hub and a viewer: bytes and JSON, nothing else. Its contract: ``monitor/docs/websocket.md``.

Server to client, JSON text::

    {"type": "hello", "version": 2, "fs": 360, "run": "...", "tick": 7, "beds": [BED...], "alarms": [ALARM...]}
    {"type": "error", "reason": "..."}                                              a command was refused

and one binary frame a tick that has anything to tell (:func:`encode_frame`): what was told, as a JSON object, then
waveforms. Of the object's members only those are there that have something::

    beds    [BED...]      new, or changed in what viewers are told once
    events  [EVENT...]
    vitals  [VITALS...]   every bed, each second

    BED     index bed leads fs stream origin signal position simulated alias profile limits;
            signal: names the run of samples that `position` counts; limits: :class:`monitor.profiles.Limits`
    VITALS  bed heart_rate rhythm pvc_per_minute age low high pause late_s skew_s;
            age: seconds since its last sample; pause: seconds left of its audio pause, 0: none;
            late_s: seconds behind, 0: live; skew_s: seconds by which the device's clock is ahead, null: unknown
    EVENT   as :mod:`monitor.events` has it; time: seconds since 1970 at which it was sent; signal: its bed's
    ALARM   the event of its last change, and since: when it was raised; of an acknowledged one silenced_until

Client to server: :func:`parse_resume` once, :func:`parse_command`.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitor.alarm_states import LONGEST_PAUSE, PAUSE
from monitor.commands import (
    Acknowledge,
    AcknowledgeAll,
    FromPerson,
    PauseAudio,
    Relearn,
    SetLimits,
    SetPaced,
    SetProfile,
    Shown,
)
from monitor.exceptions import MessageError
from monitor.messages import NO_SAMPLE, RAIL
from monitor.profiles import PROFILES, RANGES, check

if TYPE_CHECKING:
    from monitor.views import Wave

PROTOCOL: Final = 2

UV_PER_UNIT: Final = 5.0
"""Resolution of the waveforms, microvolts; int16 then spans +-163 mV."""

HISTORY: Final = 1
"""Flag of a frame: it is from before the hello. What it says was so; it is to be drawn and kept, not sounded."""

SHED: Final = 2
"""Flag of a frame: it would have had waveforms, and they were left out."""

_FRAME: Final = struct.Struct("<2sBBIdQII")
_SEGMENT: Final = struct.Struct("<HBBIqfI")


@dataclass(slots=True)
class Segment:
    """Waveform of one bed.

    Attributes:
        index: of the bed.
        leads: how many.
        first: index of its first sample, 360 Hz since the stream's origin.
        units: n x leads int16, little-endian, leads side by side, of UV_PER_UNIT microvolts; NO_SAMPLE: none.
    """

    index: int
    leads: int
    first: int
    units: bytes | memoryview


@dataclass(slots=True)
class Frame:
    """A binary frame taken apart.

    Attributes:
        flags: HISTORY, SHED.
        time: the monitor's, seconds since 1970.
        tick: its number.
        told: the JSON object.
        segments: the waveforms.
    """

    flags: int
    time: float
    tick: int
    told: dict[str, Any]
    segments: list[Segment]


def to_segments(waves: Sequence[tuple[int, Wave]]) -> list[Segment]:
    """Bring waveforms into units.

    Args:
        waves: index of the bed and its wave: (n, leads) float32, mV, NaN where there is no sample.
    """
    # One conversion for all beds: numpy's cost a call is ten times that of a bed's few samples.
    flat = np.concatenate([wave.samples.ravel() for _, wave in waves]) if waves else np.empty(0, np.float32)
    scaled = np.rint(flat * np.float32(1000.0 / UV_PER_UNIT))
    np.clip(scaled, -RAIL, RAIL, out=scaled)
    scaled[np.isnan(scaled)] = NO_SAMPLE
    units = memoryview(scaled.astype("<i2").tobytes())
    segments = []
    start = 0
    for index, wave in waves:
        n, leads = wave.samples.shape
        end = start + 2 * n * leads
        segments.append(Segment(index, leads, wave.first, units[start:end]))
        start = end
    return segments


def encode_frame(
    segments: Iterable[Segment], told: bytes = b"", *, tick: int = 0, now_unix: float = 0.0, flags: int = 0
) -> bytes:
    """Make a binary frame, little-endian.

    ::

        header   2s "WF" · u8 version 2 · u8 flags · u32 segments · f64 server time, seconds since 1970
                 · u64 number of the tick · u32 bytes of JSON · u32 0
        told     UTF-8 JSON object, or nothing · zeros up to the next multiple of 8 bytes
        segment  u16 bed index · u8 leads · u8 0 · u32 n · i64 index of the first sample (360 Hz since origin)
                 · f32 microvolts per unit · u32 0 · n x leads int16, leads side by side; -32768: no sample
                 · zeros up to the next multiple of 8 bytes

    Args:
        told: JSON of what is told beside the waveforms.
        now_unix: seconds since 1970.
        flags: HISTORY, SHED.
    """
    parts: list[bytes | memoryview] = [b"", told, bytes(-len(told) % 8)]
    count = 0
    for segment in segments:
        size = len(segment.units)
        n = size // (2 * segment.leads)
        parts.append(_SEGMENT.pack(segment.index, segment.leads, 0, n, segment.first, UV_PER_UNIT, 0))
        parts.append(segment.units)
        parts.append(bytes(-size % 8))
        count += 1
    parts[0] = _FRAME.pack(b"WF", PROTOCOL, flags, count, now_unix, tick, len(told), 0)
    return b"".join(parts)


def decode_frame(data: bytes) -> Frame:
    """Take a frame of :func:`encode_frame` apart.

    Raises:
        MessageError: it is none, or of another version.
    """
    try:
        magic, version, flags, count, time, tick, length, _ = _FRAME.unpack_from(data)
        if magic != b"WF" or version != PROTOCOL:
            raise MessageError("version", f"not a frame of version {PROTOCOL}")
        at = _FRAME.size
        told = json.loads(data[at : at + length]) if length else {}
        at += length + -length % 8
        segments = []
        for _ in range(count):
            index, leads, _, n, first, _, _ = _SEGMENT.unpack_from(data, at)
            at += _SEGMENT.size
            size = 2 * n * leads
            segments.append(Segment(index, leads, first, data[at : at + size]))
            at += size + -size % 8
    except (struct.error, ValueError):
        raise MessageError("frame", "torn") from None
    return Frame(flags, time, tick, told, segments)


@dataclass(slots=True)
class Resume:
    """What a viewer that comes back has.

    Attributes:
        run: of the hub it knew.
        tick: number of the last frame it got.
        beds: bed -> its signal, as the hub names it, and the first sample of it that is lacking, at 360 Hz.
    """

    run: str = ""
    tick: int = 0
    beds: dict[str, tuple[str, int]] = field(default_factory=dict)


def parse_resume(message: str | bytes) -> Resume:
    """Read the first message of a viewer that comes back.

    ::

        {"type": "resume", "run": "8f3a...", "tick": 1234, "beds": {"bed-01": ["7.0", 43200]}}

    Raises:
        MessageError: it is none; ``reason`` says in one word why.
    """
    said = _json_object(message)
    if said.get("type") != "resume":
        raise MessageError("type", "not a resume message")
    beds = said.get("beds")
    if not _is_count(said.get("tick")) or not isinstance(beds, dict):
        raise MessageError("resume", "tick is not a count, or beds no object")
    for place in beds.values():
        if not isinstance(place, list) or len(place) != 2 or not isinstance(place[0], str) or not _is_count(place[1]):
            raise MessageError("resume", "the place in a bed is not [signal, next sample]")
    return Resume(_text(said, "run", 64), said["tick"], {bed: (place[0], place[1]) for bed, place in beds.items()})


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 64


def parse_command(message: str | bytes, beds: Collection[str]) -> FromPerson:
    """Read a viewer's command.

    ::

        {"type": "acknowledge", "bed": "bed-01", "id": "bed-01:7:VTACH:123456", "by": "wall"}
        {"type": "acknowledge_all", "bed": "bed-01", "by": "wall"}
        {"type": "shown", "bed": "bed-01", "id": "bed-01:7:VTACH:123456", "by": "wall"}
        {"type": "pause", "bed": "bed-01", "on": true, "seconds": 120, "by": "wall"}
        {"type": "limits", "bed": "bed-01", "low": 50, "high": null, "by": "wall"}
        {"type": "profile", "bed": "bed-01", "profile": "neonatal", "by": "wall"}
        {"type": "paced", "bed": "bed-01", "paced": true, "by": "wall"}
        {"type": "relearn", "bed": "bed-01", "by": "wall"}

    A pause whose bed is null is of the whole ward; ``seconds`` may be left out. Limits are those of
    :data:`monitor.profiles.RANGES`; one that is null or left out stays as it is.

    Raises:
        MessageError: it is not one of these; ``reason`` says in one word why.
    """
    command = _json_object(message)
    bed = command.get("bed", ...)
    if bed is None and command.get("type") == "pause":
        return _pause(None, command)
    if not isinstance(bed, str) or bed not in beds:
        raise MessageError("bed", "no such bed")
    match command.get("type"):
        case "acknowledge":
            return Acknowledge(bed, _text(command, "id", 128), _by(command))
        case "acknowledge_all":
            return AcknowledgeAll(bed, _by(command))
        case "shown":
            return Shown(bed, _text(command, "id", 128), _by(command))
        case "pause":
            return _pause(bed, command)
        case "limits":
            return _limits(bed, command)
        case "profile":
            profile = _text(command, "profile", 32)
            if profile not in PROFILES:
                raise MessageError("profile", f"profile is none of {', '.join(PROFILES)}")
            return SetProfile(bed, profile, _by(command))
        case "paced":
            return SetPaced(bed, _flag(command, "paced"), _by(command))
        case "relearn":
            return Relearn(bed, _by(command))
    raise MessageError("type", "no such command")


def _json_object(message: str | bytes) -> dict[str, Any]:
    if not isinstance(message, str):
        raise MessageError("binary", "commands are JSON text")
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):
        raise MessageError("json", "not JSON") from None
    if not isinstance(said, dict):
        raise MessageError("json", "not a JSON object")
    return said


def _by(command: dict[str, Any]) -> str:
    return _text(command, "by", 64)


def _text(command: dict[str, Any], key: str, longest: int) -> str:
    value = command.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
        raise MessageError(key, f"{key} is not a printable text of 1 to {longest} characters")
    return value


def _flag(command: dict[str, Any], key: str) -> bool:
    value = command.get(key)
    if not isinstance(value, bool):
        raise MessageError(key, f"{key} is neither true nor false")
    return value


def _pause(bed: str | None, command: dict[str, Any]) -> PauseAudio:
    seconds = command.get("seconds", PAUSE)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 1 <= seconds <= LONGEST_PAUSE:
        raise MessageError("seconds", f"seconds is not a number from 1 to {LONGEST_PAUSE:g}")
    return PauseAudio(bed, _flag(command, "on"), float(seconds), _by(command))


def _limits(bed: str, command: dict[str, Any]) -> SetLimits:
    given: dict[str, Any] = {}
    for name in RANGES:
        if command.get(name) is not None:
            try:
                given[name] = check(name, command[name])
            except ValueError as error:
                raise MessageError("limits", str(error)) from None
    if given.get("low", 0.0) >= given.get("high", math.inf):
        raise MessageError("limits", "the low limit is not below the high one")
    return SetLimits(bed, by=_by(command), **given)


def dumps(message: Any) -> str:
    """JSON that every browser parses: Python would write NaN and infinity, which are none."""
    try:
        return json.dumps(message, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(_without_nan(message), separators=(",", ":"))


def _without_nan(value: Any) -> Any:
    match value:
        case dict():
            return {key: _without_nan(item) for key, item in value.items()}
        case list():
            return [_without_nan(item) for item in value]
        case float() if not math.isfinite(value):
            return None
    return value
