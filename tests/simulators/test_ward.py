"""The demo ward: who lies where."""

import os

import numpy as np
import pytest

from simulators.scenario import find_scenario, scenario_names
from simulators.sources import find_mitdb
from simulators.ward import WITH_DATABASE, WITHOUT_DATABASE, demo_ward, ward_of


def test_ward_without_a_database_has_the_real_excerpt_and_every_kind_of_trouble():
    beds = demo_ward(8, database=None)
    assert [bed.id for bed in beds] == [f"bed-{i:02d}" for i in range(1, 9)]
    assert beds[0].alias == "Record 208"
    aliases = {bed.alias for bed in beds}
    assert len(aliases) == 8
    assert {find_scenario(name).alias for name in ("vt", "asystole", "af", "bigeminy", "noise", "vf")} <= aliases


def test_ward_of_any_size_has_different_patients():
    beds = demo_ward(40, database=None, seed=5)
    assert len({bed.id for bed in beds}) == 40
    strips = {bed.source.take(3600).tobytes() for bed in beds}
    assert len(strips) == 40


def test_ward_is_the_same_for_the_same_seed():
    one, two = (demo_ward(12, database=None, seed=3) for _ in range(2))
    for a, b in zip(one, two, strict=True):
        assert a.source.take(720).tobytes() == b.source.take(720).tobytes()


def test_every_scenario_has_its_place():
    assert set(WITHOUT_DATABASE) == {"208", *scenario_names()}


def test_ward_of_one_scenario_has_it_in_every_bed_with_other_seeds():
    beds = ward_of("paced", 3, seed=7)
    assert [bed.id for bed in beds] == ["bed-01", "bed-02", "bed-03"]
    assert {bed.alias for bed in beds} == {find_scenario("paced").alias}
    assert all(bed.paced for bed in beds)
    assert len({bed.source.take(36_000).tobytes() for bed in beds}) == 3


@pytest.mark.parametrize("names", [WITH_DATABASE, WITHOUT_DATABASE])
def test_first_eight_beds_have_a_tachycardia_and_an_asystole(names):
    assert {"208", "vt", "asystole"} <= set(names[:8])


@pytest.mark.database
@pytest.mark.skipif(
    not os.environ.get("WARDBEAT_DATA") or find_mitdb() is None,
    reason="MIT-BIH is not here: set WARDBEAT_DATA to the folder that holds mitdb",
)
def test_ward_with_the_database_plays_its_records():
    beds = demo_ward(18, database=find_mitdb())
    assert [bed.alias for bed in beds[:3]] == ["Record 208", "Record 200", "VT episodes"]
    assert beds[16].alias == "Record 208"
    assert beds[0].source.leads == ("MLII", "V1")
    assert not np.array_equal(beds[0].source.take(360), beds[16].source.take(360))
