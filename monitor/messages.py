"""The payload of one MQTT message: bytes <-> :class:`Chunk`, and nothing else.

Topics, for a bed called ``bed-01``::

    wardbeat/v1/bed-01/ecg       samples, binary (below) or JSON, QoS 1
    wardbeat/v1/bed-01/meta      retained JSON: {"leads": ["MLII", "V1"], "alias": "...", "simulated": true}
    wardbeat/v1/bed-01/status    retained JSON: {"online": true}; the last will says false

Binary, little-endian, 44 bytes and then the samples:

    ====== ====== ==============================================================
    offset type   field
    ====== ====== ==============================================================
    0      2s     magic, ``WB``
    2      u8     version, 1
    3      u8     leads, 1-12
    4      u16    lead-off: bit i set when the electrode of lead i is off
    6      u16    n, samples per lead, 1-4096
    8      u32    seq, message number; counts up by one, wraps to 0
    12     u32    fs in mHz (360 Hz is 360000)
    16     u64    stream id, new at each start of the device
    24     i64    index of the first sample since the start of the stream
    32     i64    device time of the first sample, microseconds since 1970, 0 if unknown
    40     f32    microvolts per unit
    44     i16[]  n x leads samples, lead after lead within a sample; -32768: no sample
    ====== ====== ==============================================================

JSON, for devices that would rather not pack bytes (the same fields; ``samples`` has one list per lead, in
units, ``null`` for no sample)::

    {"v": 1, "stream": 7, "seq": 0, "first": 0, "fs": 250, "uv": 5, "samples": [[1, 2, null]], "off": [], "time": 0}
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import FS_MAX, FS_MIN
from monitor.exceptions import MessageError

VERSION: Final = 1
TOPIC_ROOT: Final = "wardbeat/v1"
MAX_LEADS_SENT: Final = 12
MAX_SAMPLES: Final = 4096
MAX_PAYLOAD: Final = 256 * 1024
"""Bytes; a longer payload is refused unread."""

NO_SAMPLE: Final = -32768
RAIL: Final = 32767
"""The largest magnitude an int16 holds: a converter at its rail, so not a measurement."""

UV_PER_UNIT: Final = 5.0
"""Microvolts; the resolution of the MIT-BIH converter."""

_SPECIAL: Final = tuple(struct.pack("<h", value) for value in (NO_SAMPLE, RAIL, -RAIL))
"""Searched for as bytes, which takes a twentieth of what two reductions by numpy do."""

_HEADER: Final = struct.Struct("<2sBBHHIIQqqf")
_MAGIC: Final = b"WB"


@dataclass(slots=True, eq=False)
class Chunk:
    """A run of consecutive samples of one bed.

    Attributes:
        bed: id of the bed.
        stream: id of the device's current run; a new one restarts sample counting.
        seq: number of the message within the stream.
        first: sample index of ``samples[0]`` since the start of the stream, at `fs`.
        fs: Hz.
        samples: (n, leads) float32, mV; NaN: no sample, +-inf: at the converter's rail.
        lead_off: bit i set when lead i's electrode is off.
        time_us: device time of the first sample, microseconds since 1970; 0: unknown.
        uv: microvolts per unit of what was sent: what a recording of it without loss needs.
        payload: the message as it came; empty if the chunk was made here.
    """

    bed: str
    stream: int
    seq: int
    first: int
    fs: float
    samples: NDArray[np.float32]
    lead_off: int = 0
    time_us: int = 0
    uv: float = UV_PER_UNIT
    payload: bytes = b""

    @property
    def end(self) -> int:
        """Index of the sample that follows this chunk."""
        return self.first + int(self.samples.shape[0])


def topic(bed: str, kind: str) -> str:
    """The MQTT topic of one bed: `kind` is ``ecg``, ``meta`` or ``status``."""
    return f"{TOPIC_ROOT}/{bed}/{kind}"


def encode(chunk: Chunk, uv_per_unit: float = UV_PER_UNIT) -> bytes:
    """Pack a chunk into the binary payload.

    Args:
        chunk: at most 12 leads and 4096 samples.
        uv_per_unit: resolution, microvolts.

    Raises:
        MessageError: the chunk does not fit the format.
    """
    n, leads = chunk.samples.shape
    _check(leads, n, chunk.fs, uv_per_unit)
    scaled = chunk.samples.astype(np.float64) * (1000.0 / uv_per_unit)
    units = np.full(scaled.shape, NO_SAMPLE, np.int16)
    present = ~np.isnan(scaled)
    units[present] = np.clip(np.rint(scaled[present]), -RAIL, RAIL).astype(np.int16)
    header = _HEADER.pack(
        _MAGIC,
        VERSION,
        leads,
        chunk.lead_off,
        n,
        chunk.seq & 0xFFFFFFFF,
        round(chunk.fs * 1000),
        chunk.stream,
        chunk.first,
        chunk.time_us,
        uv_per_unit,
    )
    return header + units.astype("<i2").tobytes()


def units_sent(chunk: Chunk) -> bytes:
    """The samples of a chunk in the device's own units, as they stand in the binary payload.

    Returns:
        int16, little-endian, sample by sample; :data:`NO_SAMPLE` where there is none, rails as sent.
    """
    payload = chunk.payload
    if payload[:1] != _MAGIC[:1]:  # JSON, or made here
        payload = encode(chunk, chunk.uv)
    return payload[_HEADER.size :]


def decode(bed: str, payload: bytes) -> Chunk:
    """Unpack a payload, binary or JSON.

    Raises:
        MessageError: it is not a valid message; ``reason`` says in one word why.
    """
    if len(payload) > MAX_PAYLOAD:
        raise MessageError("size", f"payload of {len(payload)} bytes; at most {MAX_PAYLOAD}")
    if payload[:1] == b"{":
        return _decode_json(bed, payload)
    return _decode_binary(bed, payload)


def _decode_binary(bed: str, payload: bytes) -> Chunk:
    if len(payload) < _HEADER.size:
        raise MessageError("length", f"payload of {len(payload)} bytes is shorter than the {_HEADER.size}-byte header")
    magic, version, leads, lead_off, n, seq, fs_mhz, stream, first, time_us, uv = _HEADER.unpack_from(payload)
    if magic != _MAGIC:
        raise MessageError("magic", f"payload starts with {magic!r}, not {_MAGIC!r}")
    if version != VERSION:
        raise MessageError("version", f"message version {version}; this monitor reads {VERSION}")
    fs = fs_mhz / 1000.0
    _check(leads, n, fs, uv)
    if first < 0 or first > 1 << 53:
        raise MessageError("index", f"first sample {first} is out of range")
    expected = _HEADER.size + 2 * n * leads
    if len(payload) != expected:
        raise MessageError("length", f"payload of {len(payload)} bytes; {n} samples of {leads} leads make {expected}")
    units = np.frombuffer(payload, "<i2", offset=_HEADER.size).reshape(n, leads)
    return Chunk(bed, stream, seq, first, fs, _to_mv(units, uv), lead_off, time_us, uv, payload)


def _decode_json(bed: str, payload: bytes) -> Chunk:
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise MessageError("json", f"not JSON: {str(error)[:80]}") from None
    if not isinstance(message, dict):
        raise MessageError("json", "the JSON payload is not an object")
    if message.get("v") != VERSION:
        raise MessageError("version", f"message version {message.get('v')!r:.20}; this monitor reads {VERSION}")
    stream = _integer(message, "stream", 0, (1 << 64) - 1)
    seq = _integer(message, "seq", 0, (1 << 32) - 1)
    first = _integer(message, "first", 0, 1 << 53)
    time_us = _integer(message, "time", 0, 1 << 62) if "time" in message else 0
    fs, uv = _number(message, "fs"), _number(message, "uv")
    rows = message.get("samples")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) for row in rows):
        raise MessageError("samples", "samples is not a list of lists, one per lead")
    _check(len(rows), len(rows[0]), fs, uv)
    if any(len(row) != len(rows[0]) for row in rows):
        raise MessageError("samples", "the leads differ in length")
    units = np.empty((len(rows[0]), len(rows)), "<i2")
    for lead, row in enumerate(rows):
        for i, value in enumerate(row):
            if value is None:
                units[i, lead] = NO_SAMPLE
            elif type(value) is int and -RAIL <= value <= RAIL:
                units[i, lead] = value
            else:
                raise MessageError("samples", f"sample {str(value)[:20]} is not an integer within +-{RAIL} or null")
    lead_off = 0
    off = message.get("off", [])
    if not isinstance(off, list):
        raise MessageError("off", "off is not a list of lead numbers")
    for lead in off:
        if type(lead) is not int or not 0 <= lead < len(rows):
            raise MessageError("off", f"lead {str(lead)[:20]} in off is not a lead number")
        lead_off |= 1 << lead
    return Chunk(bed, stream, seq, first, fs, _to_mv(units, uv), lead_off, time_us, uv, payload)


def _to_mv(units: NDArray[np.int16], uv: float) -> NDArray[np.float32]:
    samples = units.astype(np.float32)
    samples *= np.float32(uv / 1000.0)
    data = units.tobytes()
    looks_special = any(pair in data for pair in _SPECIAL)  # halves of two samples may look like it, too
    if looks_special and (units.min() <= -RAIL or units.max() == RAIL):
        samples[units == NO_SAMPLE] = np.nan
        samples[units == RAIL] = np.inf
        samples[units == -RAIL] = -np.inf
    return samples


def _check(leads: int, n: int, fs: float, uv: float) -> None:
    if not 1 <= leads <= MAX_LEADS_SENT:
        raise MessageError("leads", f"{leads} leads; 1 to {MAX_LEADS_SENT} are allowed")
    if not 1 <= n <= MAX_SAMPLES:
        raise MessageError("length", f"{n} samples; 1 to {MAX_SAMPLES} are allowed")
    if not FS_MIN <= fs <= FS_MAX:
        raise MessageError("fs", f"rate of {fs:g} Hz; {FS_MIN:g} to {FS_MAX:g} Hz are accepted")
    if not (math.isfinite(uv) and 0.0 < uv <= 1000.0):
        raise MessageError("scale", f"{uv!r} microvolts per unit")


def _integer(message: dict[str, Any], key: str, low: int, high: int) -> int:
    value = message.get(key)
    if type(value) is not int or not low <= value <= high:
        raise MessageError(key, f"{key} is not an integer from {low} to {high}")
    return value


def _number(message: dict[str, Any], key: str) -> float:
    value = message.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MessageError(key, f"{key} is not a number")
    try:
        return float(value)
    except OverflowError:
        raise MessageError(key, f"{key} is too large") from None
