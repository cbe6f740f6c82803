"""A bed's state as bytes: what goes in comes out, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.exceptions import ConfigError
from monitor.snapshot import layout_of, pack, unpack

ROW = np.dtype([("level", np.float64), ("ring", np.int64, (3,))], align=True)
LAYOUT = layout_of(ROW, ("N", "V"))


def row(level=1.5):
    return np.array([(level, (1, 2, 3))], ROW)


@settings(deadline=None)
@given(
    st.dictionaries(st.text(), st.integers() | st.text() | st.none() | st.lists(st.text())),
    st.floats(allow_nan=False),
)
def test_what_was_packed_is_unpacked(head, level):
    found, rows = unpack(pack(head, row(level), LAYOUT), ROW, LAYOUT)
    assert found == head
    assert np.array_equal(rows, row(level))


@pytest.mark.parametrize(
    "layout",
    [
        layout_of(ROW),
        layout_of(ROW, ("V", "N")),
        layout_of(ROW, ("N",), ("V",)),
        layout_of(np.dtype([("level", np.float32), ("ring", np.int64, (3,))], align=True), ("N", "V")),
        layout_of(np.dtype([("noise", np.float64), ("ring", np.int64, (3,))], align=True), ("N", "V")),
    ],
    ids=["no table", "other order", "other tables", "other type", "other name"],
)
def test_another_layout_is_refused(layout):
    """Fields of the same size mean something else; so does a number, when the table it points into has changed."""
    with pytest.raises(ConfigError, match="restore: the snapshot is of another version; let the bed learn anew"):
        unpack(pack({}, row(), layout), ROW, LAYOUT)


@settings(deadline=None)
@given(st.data())
def test_a_part_of_one_is_refused(data):
    snapshot = pack({"bed": "bed-1"}, row(), LAYOUT)
    length = data.draw(st.integers(0, len(snapshot) - 1))
    with pytest.raises(ConfigError, match="truncated"):
        unpack(snapshot[:length], ROW, LAYOUT)


@settings(deadline=None)
@given(st.data())
def test_a_flipped_bit_is_noticed(data):
    snapshot = bytearray(pack({"bed": "bed-1"}, row(), LAYOUT))
    position = data.draw(st.integers(0, 8 * len(snapshot) - 1))
    snapshot[position // 8] ^= 1 << position % 8
    with pytest.raises(ConfigError, match="the snapshot is"):
        unpack(bytes(snapshot), ROW, LAYOUT)
