"""The state of a bed, or of a whole ward, as bytes: written to disk, restored after a crash, moved to another machine.

    4s   magic, WBS3
    8s   digest of the layout: the fields of a row, and the tables whose order gives them meaning
    u32  CRC-32 of all that follows
    u32  length of the head
    u32  number of rows
    head JSON: what the ward keeps beside the rows
    rows the bytes of the rows, one a bed

A snapshot of another layout is refused: the bed then learns anew, which takes seconds, instead of resting on numbers
that mean something else.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitor.exceptions import ConfigError

_HEADER: Final = struct.Struct("<4s8sIII")
_MAGIC: Final = b"WBS3"
_REMEDY: Final = "let the bed learn anew"


def layout_of(row: np.dtype[np.void], *tables: tuple[str, ...]) -> bytes:
    """Digest of what a row's bytes mean.

    Args:
        row: the row's type.
        tables: names whose order numbers in the row refer to.
    """
    return hashlib.sha256(repr((row.descr, tables)).encode()).digest()[:8]


def pack(head: dict[str, Any], rows: NDArray[np.void], layout: bytes) -> bytes:
    """Make a snapshot.

    Args:
        head: JSON values.
        rows: (n,) rows of the ward's state.
        layout: from :func:`layout_of`.
    """
    return b"".join(parts(json.dumps(head).encode(), rows, layout))


def parts(text: bytes, rows: NDArray[np.void], layout: bytes) -> tuple[bytes, memoryview]:
    """A snapshot in two pieces, of which the second, the large one, is not copied.

    Args:
        text: the head's JSON.
        rows, layout: as for :func:`pack`.
    """
    body = np.ascontiguousarray(rows).view(np.uint8).reshape(-1).data
    check = zlib.crc32(body, zlib.crc32(struct.pack("<II", len(text), len(rows)) + text))
    return _HEADER.pack(_MAGIC, layout, check, len(text), len(rows)) + text, body


def unpack(data: bytes, row: np.dtype[np.void], layout: bytes) -> tuple[dict[str, Any], NDArray[np.void]]:
    """Read a snapshot.

    Args:
        data: the snapshot.
        row: the type of a row.
        layout: from :func:`layout_of`.

    Returns:
        The head, and an array of its rows, not to be written to.

    Raises:
        ConfigError: it is of another layout, truncated or damaged.
    """
    if len(data) < _HEADER.size:
        raise ConfigError("the snapshot is truncated", where="restore", remedy=_REMEDY)
    magic, found, check, length, count = _HEADER.unpack_from(data)
    if magic != _MAGIC or found != layout:
        raise ConfigError("the snapshot is of another version", where="restore", remedy=_REMEDY)
    body = memoryview(data)[_HEADER.size :]
    if len(body) != length + count * row.itemsize:
        raise ConfigError("the snapshot is truncated", where="restore", remedy=_REMEDY)
    if zlib.crc32(body, zlib.crc32(struct.pack("<II", length, count))) != check:
        raise ConfigError("the snapshot is damaged", where="restore", remedy=_REMEDY)
    return json.loads(bytes(body[:length])), np.frombuffer(body[length:], row)
