"""Records of the MIT-BIH Arrhythmia Database, and the sets they are scored in."""

from __future__ import annotations

from typing import Final


def _names(*numbers: int) -> tuple[str, ...]:
    return tuple(map(str, numbers))


# fmt: off
DS1: Final = _names(
    101, 106, 108, 109, 112, 114, 115, 116, 118, 119, 122, 124, 201, 203, 205,
    207, 208, 209, 215, 220, 223, 230,
)
"""Training records. Thresholds, architectures and epochs are chosen inside this set alone.

Source: de Chazal, O'Dwyer, Reilly, IEEE Trans Biomed Eng 51(7):1196-1206 (2004).
"""

DS2: Final = _names(
    100, 103, 105, 111, 113, 117, 121, 123, 200, 202, 210, 212, 213, 214, 219,
    221, 222, 228, 231, 232, 233, 234,
)
"""Test records of the same split: scored, never selected on."""
# fmt: on

PACED: Final = _names(102, 104, 107, 217)
"""Paced records; EC57 leaves them out of the scores of beat classes."""

ALL: Final = tuple(sorted(DS1 + DS2 + PACED))
"""All 48 records."""
