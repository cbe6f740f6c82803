"""WFDB annotation files of recordings: beats, and changes of the rhythm.

Written here and not by the package ``wfdb``, which would cost a running monitor a third of a second and the memory of
``pandas``, for a format of three rules.

Source: WFDB manual, annot(5), the MIT format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

_CODES: Final = {"N": 1, "V": 5, "F": 6, "S": 9, "Q": 13, "+": 28}
_NOTE, _SKIP, _AUX = 22, 59, 63
_MOST_INTERVAL: Final = 1023
_END: Final = b"\0\0"


def encode(annotations: Iterable[tuple[int, str, str]], fs: float) -> bytes:
    """The bytes of an annotation file.

    Args:
        annotations: sample since the record's start, symbol, and note or an empty string; samples do not decrease.
        fs: Hz, noted in the file.
    """
    parts = [struct.pack("<H", _NOTE << 10), _aux(f"## time resolution: {fs:.12g}")]
    before = 0
    for sample, symbol, note in annotations:
        interval, before = sample - before, sample
        if interval > _MOST_INTERVAL:  # the high half first
            parts.append(struct.pack("<HHH", _SKIP << 10, interval >> 16, interval & 0xFFFF))
            interval = 0
        parts.append(struct.pack("<H", _CODES[symbol] << 10 | interval))
        if note:
            parts.append(_aux(note))
    return b"".join([*parts, _END])


def _aux(text: str) -> bytes:
    data = text.encode("ascii")
    return struct.pack("<H", _AUX << 10 | len(data)) + data + bytes(len(data) % 2)
