"""The vocabulary: rates, leads, annotation symbols, AAMI classes, rhythms.

Everything else imports this module; it imports nothing of wardbeat but the errors.
"""

from __future__ import annotations

import re
from typing import Final

from monitor.exceptions import MessageError

FS: Final = 360
"""The one rate inside wardbeat, Hz: that of the MIT-BIH Arrhythmia Database."""

FS_MIN: Final = 100.0
FS_MAX: Final = 1000.0
"""Rates a device may send, Hz."""

MAX_LEADS: Final = 2
"""Leads analysed per bed; a device may send more and the bed's configuration picks."""

AAMI_CLASSES: Final = ("N", "S", "V", "F", "Q")
"""ANSI/AAMI EC57 beat classes, in the order every class array uses."""

_SYMBOLS: Final = {
    "N": "N L R e j",
    "S": "A a J S",
    "V": "V E",
    "F": "F",
    "Q": "/ f Q",
}

AAMI_OF_SYMBOL: Final[dict[str, str]] = {
    symbol: aami for aami, symbols in _SYMBOLS.items() for symbol in symbols.split()
}
"""MIT-BIH annotation symbol of a beat -> AAMI class; a symbol that is not here is not a beat.

e and j (escape beats) are in N, as EC57's mapping of MIT-BIH has it; ``bxb`` prints them in S.
"""

BED_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")

_ECG_LEADS: Final = (
    "I II III AVR AVL AVF V V1 V2 V3 V4 V5 V6 MLI MLII MLIII MCL MCL1 CM2 CM4 CM5 CC5 D3 D4 V1-V2 V2-V3 V4-V5",
    "ML5 MV2 ECG ECG1 ECG2 MV ES AS AI",
)
ECG_LEAD_NAMES: Final = frozenset(name for names in _ECG_LEADS for name in names.split())
"""Names, in capitals, by which databases call an ECG lead."""

_UNNAMED: Final = re.compile(r"RECORD .*, SIGNAL \d+")
"""What WFDB headers say of a signal that nobody described; those of the database `vfdb` are ECG leads."""


def is_ecg_lead(name: str, unit: str = "mV") -> bool:
    """Tell an ECG lead from the other channels of a record (PLETH, ABP, RESP ...).

    >>> is_ecg_lead("MLII"), is_ecg_lead("PLETH", "NU"), is_ecg_lead("ABP", "mmHg")
    (True, False, False)
    >>> is_ecg_lead("mod.V1"), is_ecg_lead("record 418, signal 0"), is_ecg_lead("noise1")
    (True, True, False)
    """
    if unit.lower() not in ("mv", "uv", "v"):
        return False
    name = name.upper().removeprefix("ECG ").removeprefix("LEAD ").removeprefix("MOD.")
    return name in ECG_LEAD_NAMES or name.startswith("ECG") or _UNNAMED.fullmatch(name) is not None


def check_bed(bed: str) -> str:
    """Return `bed` if it is a valid bed id, else raise :class:`MessageError`.

    A bed id is 1-32 letters, digits, ``_`` or ``-`` and starts with a letter or digit: safe in an
    MQTT topic, a file name and a page.
    """
    if not BED_PATTERN.fullmatch(bed):
        raise MessageError("bed", f"bed id {bed[:40]!r} is not 1-32 letters, digits, _ or -")
    return bed
