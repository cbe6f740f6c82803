"""Records of the MIT-BIH Arrhythmia Database, and the sets they are scored in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from monitor.exceptions import ConfigError


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

SAME_PATIENT: Final = ("201", "202")
"""Two records of one patient, the first in DS1 and the second in DS2."""


FOLDS: Final = 5
"""Parts of a leave-records-out cross-validation."""


def training_records(chosen: str) -> tuple[str, ...]:
    """The records named in an option's text, such as ``101,106``; without any, :data:`DS1`.

    Raises:
        ConfigError: test records are among them.
    """
    names = tuple(chosen.split(",")) if chosen else DS1
    refuse_test_records(names, "--records")
    return names


def refuse_test_records(names: Iterable[str], where: str) -> None:
    """Every way to training leads through here.

    Raises:
        ConfigError: test records are among those names.
    """
    forbidden = sorted(set(names) & set(DS2))
    if forbidden:
        raise ConfigError(f"{', '.join(forbidden)} are test records", where=where, remedy="train on others")


def patient_of(record: str) -> str:
    """One name for the records of one patient: that of the first.

    >>> patient_of("202"), patient_of("100")
    ('201', '100')
    """
    return SAME_PATIENT[0] if record in SAME_PATIENT else record


def folds(records: Sequence[str], count: int = FOLDS, together: Sequence[str] = ()) -> list[list[str]]:
    """Split records, or patients, into `count` folds by turns; those in `together` stay in one fold."""
    groups: list[list[str]] = [[] for _ in range(count)]
    for i, name in enumerate(sorted(set(records) - set(together))):
        groups[i % count].append(name)
    groups[0].extend(sorted(set(records) & set(together)))
    return groups


def splits(names: Iterable[str], *, classes: bool) -> dict[str, tuple[str, ...]]:
    """The sets in which records are scored together, by name.

    Args:
        names: records that were scored, of any database.
        classes: for scores of beat classes, which leave paced records out.

    Returns:
        ``all``, ``DS1`` and ``DS2`` as far as they hold records, and the same without one of the two records
        of :data:`SAME_PATIENT`. Where all are the whole of DS1 or of DS2, they are called so.
    """
    present = [name for name in names if not (classes and name in PACED)]
    one, other = SAME_PATIENT
    sets = {
        "all": present,
        "DS1": [name for name in present if name in DS1],
        "DS2": [name for name in present if name in DS2],
        f"all without {one}": [name for name in present if name != one],
        f"DS1 without {one}": [name for name in present if name in DS1 and name != one],
        f"DS2 without {other}": [name for name in present if name in DS2 and name != other],
    }
    if set(present) in (set(DS1), set(DS2)):
        sets = {title: records for title, records in sets.items() if not title.startswith("all")}
    found: dict[str, tuple[str, ...]] = {}
    for title, records in sets.items():
        if records and tuple(records) not in found.values():
            found[title] = tuple(records)
    return found
