"""What passes between the hub and a viewer: bytes and JSON, nothing else.

Server to client, JSON::

    {"type": "hello", "version": 1, "fs": 360, "beds": [BED...], "alarms": [ALARM...]}    on connect
    {"type": "bed", ...BED}                                                 new, or its stream restarted
    {"type": "vitals", "beds": [VITALS...]}                                                 each second
    {"type": "events", "events": [EVENT...]}                                   each tick that has any
    {"type": "error", "reason": "..."}                                              a command was refused

    BED     index bed leads fs stream origin position simulated alias
    VITALS  bed heart_rate rhythm pvc_per_minute age low high; age: seconds since its last sample
    EVENT   as :mod:`monitor.events` has it, and time: seconds since 1970 at which it was sent
    ALARM   the event of its last change, and since: when it was raised

Binary, the waveforms of one tick: :func:`encode_waves`. Client to server: :func:`parse_command`.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitor.alarms import Acknowledge, SetLimits
from monitor.exceptions import MessageError
from monitor.messages import NO_SAMPLE, RAIL

if TYPE_CHECKING:
    from monitor.ward import Wave

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


def parse_command(message: str | bytes, beds: Collection[str]) -> Acknowledge | SetLimits:
    """Read a viewer's command.

    ::

        {"type": "acknowledge", "bed": "bed-01", "id": "bed-01:7:VTACH:123456", "by": "wall"}
        {"type": "limits", "bed": "bed-01", "low": 50, "high": null, "by": "wall"}

    Limits are bpm from 15 to 300, low below high; null leaves a limit as it is.

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
    bed = command.get("bed")
    if not isinstance(bed, str) or bed not in beds:
        raise MessageError("bed", "no such bed")
    match command.get("type"):
        case "acknowledge":
            return Acknowledge(bed, _text(command, "id", 128), _text(command, "by", 64))
        case "limits":
            low, high = _limit(command, "low"), _limit(command, "high")
            if low is not None and high is not None and low >= high:
                raise MessageError("limits", "the low limit is not below the high one")
            return SetLimits(bed, low, high, _text(command, "by", 64))
    raise MessageError("type", "no such command")


def _text(command: dict[str, Any], key: str, longest: int) -> str:
    value = command.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
        raise MessageError(key, f"{key} is not a printable text of 1 to {longest} characters")
    return value


def _limit(command: dict[str, Any], key: str) -> float | None:
    value = command.get(key, ...)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 15 <= value <= 300:
        raise MessageError("limits", f"{key} is neither null nor a heart rate from 15 to 300 bpm")
    return float(value)


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
