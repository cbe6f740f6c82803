"""Payloads: what goes in comes out, and what is not a message is refused by name."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monitor.ecg import FS_MAX, FS_MIN
from monitor.exceptions import MessageError
from monitor.messages import (
    MAX_LEADS_SENT,
    MAX_PAYLOAD,
    MAX_SAMPLES,
    NO_SAMPLE,
    RAIL,
    Chunk,
    decode,
    encode,
    topic,
)

HEADER = struct.Struct("<2sBBHHIIQqqf")


def units_of(leads: int = 2, n: int = 3) -> np.ndarray:
    return np.arange(n * leads, dtype=np.int16).reshape(n, leads)


def binary(units: np.ndarray | None = None, **changed: Any) -> bytes:
    """A payload packed by hand, after the table in the module's documentation."""
    units = units_of() if units is None else units
    n, leads = units.shape
    fields = {
        "magic": b"WB",
        "version": 1,
        "leads": leads,
        "lead_off": 0,
        "n": n,
        "seq": 7,
        "fs_mhz": 250_000,
        "stream": 99,
        "first": 1234,
        "time_us": 5,
        "uv": 5.0,
    }
    assert changed.keys() <= fields.keys()
    return HEADER.pack(*(fields | changed).values()) + units.astype("<i2").tobytes()


def document(**changed: Any) -> dict[str, Any]:
    message = {
        "v": 1,
        "stream": 99,
        "seq": 7,
        "first": 1234,
        "fs": 250,
        "uv": 5,
        "samples": [[0, 2, 4], [1, 3, None]],
        "off": [1],
        "time": 5,
    }
    return {key: value for key, value in (message | changed).items() if value is not ...}


def as_json(**changed: Any) -> bytes:
    """A JSON payload; a field given as ``...`` is left out."""
    return json.dumps(document(**changed)).encode()


def reason_of(payload: bytes) -> str:
    with pytest.raises(MessageError) as caught:
        decode("bed", payload)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
    return caught.value.reason


def facts(chunk: Chunk) -> tuple[Any, ...]:
    return (chunk.bed, chunk.stream, chunk.seq, chunk.first, chunk.fs, chunk.lead_off, chunk.time_us)


# -- what goes in comes out


def test_topic() -> None:
    assert topic("bed-01", "ecg") == "wardbeat/v1/bed-01/ecg"


def test_binary_is_laid_out_as_documented() -> None:
    chunk = decode("bed-01", binary(lead_off=2))
    assert facts(chunk) == ("bed-01", 99, 7, 1234, 250.0, 2, 5)
    assert chunk.samples.dtype == np.float32
    np.testing.assert_allclose(chunk.samples, units_of() * 0.005)
    assert chunk.end == 1237
    assert encode(chunk) == binary(lead_off=2)


def test_json_says_the_same_as_binary() -> None:
    chunk = decode("bed", as_json(samples=[[0, 2, 4], [1, 3, 5]]))
    same = decode("bed", binary(lead_off=2))
    assert facts(chunk) == facts(same)
    np.testing.assert_array_equal(chunk.samples, same.samples)


def test_json_fields_that_may_be_left_out() -> None:
    chunk = decode("bed", as_json(off=..., time=...))
    assert (chunk.lead_off, chunk.time_us) == (0, 0)


def test_what_is_not_a_measurement() -> None:
    units = np.array([[NO_SAMPLE, RAIL], [-RAIL, 1]], np.int16)
    expected = [[np.nan, np.inf], [-np.inf, np.float32(0.005)]]
    np.testing.assert_array_equal(decode("bed", binary(units)).samples, np.array(expected, np.float32))
    rows = [[None, -RAIL], [RAIL, 1]]
    np.testing.assert_array_equal(decode("bed", as_json(samples=rows)).samples, np.array(expected, np.float32))
    assert encode(decode("bed", binary(units)))[HEADER.size :] == units.astype("<i2").tobytes()


def test_values_beyond_the_converter_are_at_its_rail() -> None:
    samples = np.array([[1e9, -1e9, np.inf, -np.inf]], np.float32)
    found = decode("bed", encode(Chunk("bed", 1, 0, 0, 360.0, samples))).samples
    assert found.tolist() == [[np.inf, -np.inf, np.inf, -np.inf]]


numbers = st.integers(0, 2**32 - 1)
units = hnp.arrays(
    np.int16,
    st.tuples(st.integers(1, 40), st.integers(1, MAX_LEADS_SENT)),
    elements=st.integers(-32768, 32767),
)


@given(
    units=units,
    lead_off=st.integers(0, 2**16 - 1),
    seq=numbers,
    fs_mhz=st.integers(round(FS_MIN * 1000), round(FS_MAX * 1000)),
    stream=st.integers(0, 2**64 - 1),
    first=st.integers(0, 2**53),
    time_us=st.integers(-(2**63), 2**63 - 1),
    uv=st.sampled_from([0.5, 1.0, 2.5, 5.0, 1000.0]),
)
def test_binary_round_trip(units: np.ndarray, uv: float, **fields: int) -> None:
    payload = binary(units, uv=uv, **fields)
    chunk = decode("bed", payload)
    assert (chunk.seq, chunk.first, chunk.stream) == (fields["seq"], fields["first"], fields["stream"])
    assert encode(chunk, uv) == payload


@given(
    samples=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 40), st.integers(1, MAX_LEADS_SENT)),
        elements=st.floats(-150, 150, width=32) | st.just(np.nan),
    ),
    fs=st.floats(FS_MIN, FS_MAX),
)
def test_samples_come_out_within_half_a_unit(samples: np.ndarray, fs: float) -> None:
    chunk = decode("bed", encode(Chunk("bed", 1, 2**32 + 5, 3, fs, samples), 5.0))
    np.testing.assert_allclose(chunk.samples, samples, atol=0.0025 + 1e-4)
    assert chunk.fs == pytest.approx(fs, abs=0.0005)
    assert chunk.seq == 5, "seq wraps"


@given(
    units=hnp.arrays(np.int16, st.tuples(st.integers(1, 20), st.integers(1, 12)), elements=st.integers(-RAIL, RAIL)),
    seq=numbers,
    stream=st.integers(0, 2**64 - 1),
    first=st.integers(0, 2**53),
    time_us=st.integers(0, 2**62),
    off=st.sets(st.integers(0, 11)),
)
def test_json_round_trip(units: np.ndarray, seq: int, stream: int, first: int, time_us: int, off: set[int]) -> None:
    n, leads = units.shape
    off = {lead for lead in off if lead < leads}
    rows = units.T.tolist()
    chunk = decode("bed", as_json(samples=rows, seq=seq, stream=stream, first=first, time=time_us, off=sorted(off)))
    assert facts(chunk) == ("bed", stream, seq, first, 250.0, sum(1 << lead for lead in off), time_us)
    same = decode("bed", binary(units))
    np.testing.assert_array_equal(chunk.samples, same.samples)
    assert chunk.samples.shape == (n, leads)


# -- what is not a message


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "length"),
        (b"WB\x01", "length"),
        (binary()[:-1], "length"),
        (binary() + b"\0", "length"),
        (binary(n=4), "length"),
        (binary(n=0), "length"),
        (binary(n=MAX_SAMPLES + 1), "length"),
        (binary(leads=0), "leads"),
        (binary(leads=13), "leads"),
        (binary(magic=b"BW"), "magic"),
        (binary(version=0), "version"),
        (binary(version=2), "version"),
        (binary(fs_mhz=0), "fs"),
        (binary(fs_mhz=99_999), "fs"),
        (binary(fs_mhz=1_000_001), "fs"),
        (binary(fs_mhz=2**32 - 1), "fs"),
        (binary(uv=0.0), "scale"),
        (binary(uv=-5.0), "scale"),
        (binary(uv=1000.5), "scale"),
        (binary(uv=float("nan")), "scale"),
        (binary(uv=float("inf")), "scale"),
        (binary(first=-1), "index"),
        (binary(first=2**53 + 1), "index"),
        (b"\0" * (MAX_PAYLOAD + 1), "size"),
        (b"{" * (MAX_PAYLOAD + 1), "size"),
    ],
)
def test_binary_refusals(payload: bytes, reason: str) -> None:
    assert reason_of(payload) == reason


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{", "json"),
        (b"{}}", "json"),
        (b'{"v": 1, "stream": "\xff"}', "json"),
        (b'{"a":' * 40_000, "json"),
        (b'{"v": ' + b"[" * 100_000, "json"),
        (b'{"v": 1, "seq": ' + b"9" * 10_000 + b"}", "json"),
        (b"{}", "version"),
        (as_json(v=2), "version"),
        (as_json(v="1"), "version"),
        (as_json(v=["1"] * 1000), "version"),
        (as_json(stream=...), "stream"),
        (as_json(stream=2**64), "stream"),
        (as_json(stream=-1), "stream"),
        (as_json(stream=1.0), "stream"),
        (as_json(stream=True), "stream"),
        (as_json(seq=2**32), "seq"),
        (as_json(seq="7"), "seq"),
        (as_json(first=-1), "first"),
        (as_json(first=2**53 + 1), "first"),
        (as_json(time=-1), "time"),
        (as_json(time=None), "time"),
        (as_json(fs=...), "fs"),
        (as_json(fs=True), "fs"),
        (as_json(fs="250"), "fs"),
        (as_json(fs=0), "fs"),
        (as_json(fs=-1), "fs"),
        (as_json(fs=1e9), "fs"),
        (as_json(fs=float("nan")), "fs"),
        (as_json(fs=10**400), "fs"),
        (as_json(uv=0), "scale"),
        (as_json(uv=float("inf")), "scale"),
        (as_json(uv=[5]), "uv"),
        (as_json(samples=...), "samples"),
        (as_json(samples=[]), "samples"),
        (as_json(samples=[1, 2]), "samples"),
        (as_json(samples="12"), "samples"),
        (as_json(samples=[[1], [1, 2]]), "samples"),
        (as_json(samples=[[1.5]]), "samples"),
        (as_json(samples=[[True]]), "samples"),
        (as_json(samples=[["1"]]), "samples"),
        (as_json(samples=[[NO_SAMPLE]]), "samples"),
        (as_json(samples=[[10**400]]), "samples"),
        (as_json(samples=[[]]), "length"),
        (as_json(samples=[[0] * (MAX_SAMPLES + 1)]), "length"),
        (as_json(samples=[[0]] * 13), "leads"),
        (as_json(off=1), "off"),
        (as_json(off=[2]), "off"),
        (as_json(off=[-1]), "off"),
        (as_json(off=[True]), "off"),
        (as_json(off=["0"]), "off"),
    ],
)
def test_json_refusals(payload: bytes, reason: str) -> None:
    assert reason_of(payload) == reason


def test_json_that_is_no_object_is_taken_for_binary() -> None:
    assert reason_of(b"[1, 2, 3]") == "length"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda chunk: setattr(chunk, "samples", np.zeros((0, 1), np.float32)), "length"),
        (lambda chunk: setattr(chunk, "samples", np.zeros((MAX_SAMPLES + 1, 1), np.float32)), "length"),
        (lambda chunk: setattr(chunk, "samples", np.zeros((3, 13), np.float32)), "leads"),
        (lambda chunk: setattr(chunk, "fs", 99.0), "fs"),
    ],
)
def test_encode_refuses_what_does_not_fit(change: Callable[[Chunk], None], reason: str) -> None:
    chunk = Chunk("bed", 1, 0, 0, 360.0, np.zeros((3, 1), np.float32))
    change(chunk)
    with pytest.raises(MessageError) as caught:
        encode(chunk)
    assert caught.value.reason == reason


def decode_or_refuse(payload: bytes) -> None:
    """Only MessageError may come of any payload; a chunk that comes of it keeps the bounds."""
    with contextlib.suppress(MessageError):
        chunk = decode("bed", payload)
        n, leads = chunk.samples.shape
        assert 1 <= n <= MAX_SAMPLES
        assert 1 <= leads <= MAX_LEADS_SENT
        assert FS_MIN <= chunk.fs <= FS_MAX
        assert 0 <= chunk.first <= 2**53


@settings(max_examples=500)
@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda tail: b"WB\x01" + tail))
def test_random_bytes(payload: bytes) -> None:
    decode_or_refuse(payload)


@settings(max_examples=500)
@given(st.data())
def test_changed_messages(data: st.DataObject) -> None:
    payload = data.draw(st.sampled_from([binary(), as_json()]))
    at = data.draw(st.integers(0, len(payload)))
    cut = data.draw(st.integers(0, 3))
    decode_or_refuse(payload[:at] + data.draw(st.binary(max_size=4)) + payload[at + cut :])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=500)
@given(st.sampled_from(sorted(document())), values)
def test_any_value_in_any_field(key: str, value: Any) -> None:
    decode_or_refuse(as_json(**{key: value}))


@settings(max_examples=200)
@given(st.binary(max_size=100))
def test_random_bytes_after_a_brace(tail: bytes) -> None:
    decode_or_refuse(b"{" + tail)


@pytest.mark.slow
@settings(max_examples=100_000, deadline=None)
@given(st.binary(max_size=4000))
def test_random_bytes_for_long(payload: bytes) -> None:
    decode_or_refuse(payload)
    decode_or_refuse(b"WB\x01\x01" + payload)
    decode_or_refuse(b"{" + payload)
