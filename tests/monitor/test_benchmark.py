"""The benchmark measures what it says; how fast is not tested here."""

from __future__ import annotations

import numpy as np
import pytest

from monitor import benchmark
from monitor.benchmark import STAGES, Plan, measure
from monitor.events import Beat
from monitor.records import Record, toy_record
from monitor.replay import analyse
from monitor.ward import Ward

PLAN = Plan(beds=3, seconds=10, chunk=36, leads=2, repetitions=2)


class AllNormal:
    """A network that calls every beat N, and counts them."""

    def __init__(self) -> None:
        self.named = 0

    def classify(self, windows: np.ndarray, features: np.ndarray) -> np.ndarray:
        self.named += len(windows)
        return np.tile(np.array([[1.0, 0.0, 0.0, 0.0, 0.0]], np.float32), (len(windows), 1))


def test_measure() -> None:
    done: list[int] = []
    result = measure(PLAN, None, done.append)
    assert done == [1, 2]
    assert result.plan == PLAN
    assert result.us_per_bed_second > 0
    assert result.times_real_time == pytest.approx(1e6 / result.us_per_bed_second)
    assert tuple(result.stages) == STAGES
    assert all(time >= 0 for time in result.stages.values())
    assert sum(result.stages.values()) <= result.us_per_bed_second * 1.05
    assert 0 < result.feed_p50_ms <= result.feed_p99_ms
    assert result.spread >= 1
    assert {"processor", "cores", "python", "numba"} <= result.machine.keys()


def test_beds_play_the_excerpt_each_from_another_place() -> None:
    ticks = list(benchmark._ticks(PLAN))
    assert len(ticks) == 100
    assert [chunk.bed for chunk in ticks[0]] == ["bed-0000", "bed-0001", "bed-0002"]
    signal = toy_record().signal[:, 0]
    for bed, start in enumerate((0, 1692, 3384)):
        played = np.concatenate([tick[bed].samples for tick in ticks])
        np.testing.assert_array_equal(played[:, 0], signal[start : start + 3600])
        np.testing.assert_allclose(played[:, 1], played[:, 0] / 2)
    assert [chunk.seq for chunk in ticks[7]] == [7, 7, 7]
    assert [chunk.first for chunk in ticks[7]] == [252, 252, 252]


def test_the_excerpt_starts_over_when_it_ends() -> None:
    ticks = list(benchmark._ticks(Plan(beds=70, seconds=1, chunk=360, leads=1, repetitions=1)))
    record = toy_record()
    start = round(69 * 4.7 * 360) % len(record.signal)
    np.testing.assert_array_equal(ticks[0][69].samples, record.signal[start : start + 360])


def test_the_measured_ward_finds_what_any_ward_finds() -> None:
    network = AllNormal()
    result = measure(Plan(beds=1, seconds=20, chunk=36, leads=1, repetitions=1), network)
    record = toy_record()
    part = Record("x", record.fs, record.leads, record.signal[: 20 * 360])
    events = [event for batch in analyse(part) for event in batch if event.emitted < 20 * 360]
    assert result.beats == sum(isinstance(event, Beat) and event.final for event in events) > 20
    assert network.named > result.beats, "the warm-up names beats too"


def test_the_timed_methods_are_those_of_the_ward() -> None:
    ward = benchmark._TimedWard(None, 1)
    assert all(callable(getattr(Ward, name)) for name in ward.spent)
    for tick in benchmark._ticks(Plan(beds=1, seconds=5, chunk=36, leads=1, repetitions=1)):
        ward.feed(tick)
    assert all(time > 0 for time in ward.spent.values()), "every stage was passed through"
