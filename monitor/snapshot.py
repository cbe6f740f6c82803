"""A bed's state as bytes: written beside a recording, restored after a crash, moved to another machine.

    4s   magic, WBS2
    8s   digest of the layout: the fields of a row, and the tables whose order gives them meaning
    u32  CRC-32 of all that follows
    u32  length of the head
    head JSON: what the ward keeps of a bed beside its row
    row  the bytes of the bed's row

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

_HEADER: Final = struct.Struct("<4s8sII")
_MAGIC: Final = b"WBS2"
_REMEDY: Final = "let the bed learn anew"


def layout_of(row: np.dtype[np.void], *tables: tuple[str, ...]) -> bytes:
    """Digest of what a row's bytes mean.

    Args:
        row: the row's type.
        tables: names whose order numbers in the row refer to.
    """
    return hashlib.sha256(repr((row.descr, tables)).encode()).digest()[:8]


def pack(head: dict[str, Any], row: np.void, layout: bytes) -> bytes:
    """Make a snapshot of a bed.

    Args:
        head: JSON values.
        row: the bed's row.
        layout: from :func:`layout_of`.
    """
    text = json.dumps(head).encode()
    body = text + row.tobytes()
    size = struct.pack("<I", len(text))
    return _HEADER.pack(_MAGIC, layout, zlib.crc32(size + body), len(text)) + body


def unpack(data: bytes, row: np.dtype[np.void], layout: bytes) -> tuple[dict[str, Any], NDArray[np.void]]:
    """Read a snapshot.

    Returns:
        The head, and an array of one row.

    Raises:
        ConfigError: it is of another layout, truncated or damaged.
    """
    if len(data) < _HEADER.size:
        raise ConfigError("the snapshot is truncated", where="restore", remedy=_REMEDY)
    magic, found, check, length = _HEADER.unpack_from(data)
    if magic != _MAGIC or found != layout:
        raise ConfigError("the snapshot is of another version", where="restore", remedy=_REMEDY)
    body = data[_HEADER.size :]
    if len(body) != length + row.itemsize:
        raise ConfigError("the snapshot is truncated", where="restore", remedy=_REMEDY)
    if zlib.crc32(struct.pack("<I", length) + body) != check:
        raise ConfigError("the snapshot is damaged", where="restore", remedy=_REMEDY)
    return json.loads(body[:length]), np.frombuffer(body[length:], row)
