"""What passes between the hub and a viewer: bytes and JSON, nothing else.

Server to client, JSON::

    {"type": "hello", "version": 1, "fs": 360, "beds": [BED...], "alarms": [ALARM...]}    on connect
    {"type": "bed", ...BED}                                                 new, or its stream restarted
    {"type": "vitals", "beds": [VITALS...]}                                                 each second
    {"type": "events", "events": [EVENT...]}                                   each tick that has any
    {"type": "error", "reason": "..."}                                              a command was refused

    BED     index bed leads fs stream origin position simulated alias profile limits;
            limits: :class:`monitor.profiles.Limits`
    VITALS  bed heart_rate rhythm pvc_per_minute age low high pause;
            age: seconds since its last sample; pause: seconds left of its audio pause, 0: none
    EVENT   as :mod:`monitor.events` has it, and time: seconds since 1970 at which it was sent
    ALARM   the event of its last change, and since: when it was raised; of an acknowledged one silenced_until

Binary, the waveforms of one tick: :func:`encode_waves`. Client to server: :func:`parse_command`.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Collection, Sequence
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

PROTOCOL: Final = 1

UV_PER_UNIT: Final = 5.0
"""Resolution of the waveforms, microvolts; int16 then spans +-163 mV."""

_FRAME: Final = struct.Struct("<2sBBId")
_SEGMENT: Final = struct.Struct("<HBBIqfI")


def encode_waves(waves: Sequence[tuple[int, Wave]], now_unix: float) -> bytes:
    """Pack the waveforms of one tick into one binary frame, little-endian.

    ::

        header   2s "WF" · u8 version 1 · u8 0 · u32 segments · f64 server time, seconds since 1970
        segment  u16 bed index · u8 leads · u8 0 · u32 n · i64 index of the first sample (360 Hz since origin)
                 · f32 microvolts per unit · u32 0 · n x leads int16, leads side by side; -32768: no sample
                 · zeros up to the next multiple of 8 bytes

    Args:
        waves: index of the bed and its wave: (n, leads) float32, mV, NaN where there is no sample.
        now_unix: seconds since 1970.
    """
    # One conversion for all beds: numpy's cost a call is ten times that of a bed's few samples.
    flat = np.concatenate([wave.samples.ravel() for _, wave in waves]) if waves else np.empty(0, np.float32)
    scaled = np.rint(flat * np.float32(1000.0 / UV_PER_UNIT))
    np.clip(scaled, -RAIL, RAIL, out=scaled)
    scaled[np.isnan(scaled)] = NO_SAMPLE
    units = memoryview(scaled.astype("<i2").tobytes())
    parts: list[bytes | memoryview] = [_FRAME.pack(b"WF", PROTOCOL, 0, len(waves), now_unix)]
    start = 0
    for index, wave in waves:
        n, leads = wave.samples.shape
        end = start + 2 * n * leads
        parts.append(_SEGMENT.pack(index, leads, 0, n, wave.first, UV_PER_UNIT, 0))
        parts.append(units[start:end])
        parts.append(bytes(-(end - start) % 8))
        start = end
    return b"".join(parts)


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
    if not isinstance(message, str):
        raise MessageError("binary", "commands are JSON text")
    try:
        command = json.loads(message)
    except (ValueError, RecursionError):
        raise MessageError("json", "not JSON") from None
    if not isinstance(command, dict):
        raise MessageError("json", "not a JSON object")
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


def dumps(message: dict[str, Any]) -> str:
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
