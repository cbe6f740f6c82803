"""Who lies in the demo ward."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Final

from monitor.records import TOY, Record, read_record, toy_record
from simulators.player import Bed
from simulators.scenario import Scenario, find_scenario
from simulators.sources import PACED, RecordSource

WITHOUT_DATABASE: Final = (
    *(TOY, "vt", "af", "bigeminy", "asystole", "vf", "noise", "block"),
    *("story", "ectopy", "paced", "sinus", "torsades", "tachycardia", "flutter", "bradycardia", "trigeminy", "pacs"),
)
"""The one record that is always at hand, then every scenario: the first eight beds show the most."""

WITH_DATABASE: Final = (
    *("208", "200", "vt", "203", "asystole", "106", "119", "201"),
    *("232", "100", "af", "223", "233", "noise", "210", "vf"),
)
"""MIT-BIH records worth watching; no record brings a tachycardia or an asystole within a minute."""

_SYNTHETIC: Final = frozenset(WITHOUT_DATABASE) - {TOY}

_LAP_S: Final = 17.0  # a record that plays in several beds starts this much later in each


def demo_ward(beds: int, *, database: Path | None, seed: int = 0) -> list[Bed]:
    """Fill a ward of any size; after the last patient the list starts over, with other seeds.

    Args:
        beds: how many.
        database: folder of the MIT-BIH Arrhythmia Database, None where there is none.
        seed: of the synthetic patients.

    Raises:
        RecordError: a record of the database cannot be read.
    """
    names = WITHOUT_DATABASE if database is None else WITH_DATABASE
    records: dict[str, Record] = {}
    ward = []
    for number, name in zip(range(beds), itertools.cycle(names)):
        bed = _bed_id(number)
        if name in _SYNTHETIC:
            ward.append(_bed_of(bed, find_scenario(name), seed + number))
            continue
        if name not in records:
            records[name] = toy_record() if database is None else read_record(database / name)
        source = RecordSource(records[name], start_s=_LAP_S * (number // len(names)))
        ward.append(Bed(bed, source, f"Record {name}", name in PACED))
    return ward


def ward_of(scenario: str, beds: int, *, seed: int = 0) -> list[Bed]:
    """A ward with one scenario (a name or a file) in every bed, each with a seed of its own.

    Raises:
        ConfigError: there is no such scenario, or its file is wrong.
    """
    story = find_scenario(scenario)
    return [_bed_of(_bed_id(number), story, seed + number) for number in range(beds)]


def _bed_id(number: int) -> str:
    return f"bed-{number + 1:02d}"


def _bed_of(bed: str, story: Scenario, seed: int) -> Bed:
    return Bed(bed, story.patient(seed=seed), story.alias, story.paced)
