"""One run of a whole monitor under load: publishers, broker and viewer on one core, the monitor on another.

Delay is from handing a message to its connection to the frame at the viewer. Of an event: the message that holds the
sample `emitted`, whose processing fixed it; of a waveform: the one that holds its last sample.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitor.child import Child
from monitor.exceptions import WardbeatError
from monitor.machine import describe
from simulators.live import probe
from simulators.live.brokers import broker
from simulators.live.viewer import Viewer
from simulators.load import LoadBed

SETTLE_S: Final = 8.0
"""Start of the publishing that is left out: beds join, detectors learn, and the broker may deliver in bursts."""

DRAIN_S: Final = 3.0
"""After the publishing, for what is still on its way."""

_READY_S: Final = 400.0  # the first start compiles the kernels


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        beds: how many.
        seconds: of publishing that count, after SETTLE_S.
        rate: messages a second and bed.
        broker: mosquitto or nats.
        scenario: what the beds play; empty: the demo's ward without the database.
        connections: of the publisher.
    """

    beds: int
    seconds: float
    rate: float = 10.0
    broker: str = "mosquitto"
    scenario: str = ""
    connections: int = 4


@dataclass(frozen=True, slots=True)
class Delay:
    """Delays of one kind of frame, ms; NaN where there was none."""

    count: int
    p50: float
    p99: float
    worst: float


@dataclass(frozen=True, slots=True)
class Live:
    """What was measured.

    Attributes:
        plan: what was asked for.
        delays: beats, alarms (raised), waveforms: kind -> delay.
        cpu_us: processor time of the monitor, us a bed-second.
        cpu_share: of one core.
        stages: stage -> us a bed-second, `cpu_us` by the share of samples.
        functions: the functions outside the core in which most samples fell, with us a bed-second.
        publisher_us: processor time of the publisher, us a message.
        published, shown: messages; shown: the viewer was shown the bed up to its last sample, or further.
        backlog: messages published and not shown, at the start and at the end of what counts.
        backlog_slope: messages a second, by a fitted line; of a steady monitor near 0.
        lost: messages after the last one of their bed that was shown, even after DRAIN_S.
        gaps: samples missing before that, as the monitor tells them.
        memory_mb: resident, at the start and at the end, MiB.
        quiet: whether the machine was.
        others: processor time of other processes on the two cores, as a share of one.
        waited: share of the time in which the monitor could have run and had no core, because of others.
        probes: wake-up lateness, ms: on the load's core and on the monitor's, where the monitor itself delays it.
        machine: what it ran on.
    """

    plan: Plan
    delays: dict[str, Delay]
    cpu_us: float
    cpu_share: float
    stages: dict[str, float]
    functions: dict[str, float]
    publisher_us: float
    published: int
    shown: int
    backlog: tuple[float, float]
    backlog_slope: float
    lost: int
    gaps: int
    memory_mb: tuple[float, float]
    quiet: bool
    others: float
    waited: float
    probes: dict[str, dict[str, float]]
    machine: dict[str, Any] = field(default_factory=lambda: describe("wardbeat", "gmqtt", "websockets", "torch"))


async def measure(plan: Plan, beds: Sequence[LoadBed]) -> Live:
    """Start everything, load it, and end it.

    Args:
        plan: what to measure.
        beds: as the publisher makes them from the same plan: which message holds which sample.

    Raises:
        WardbeatError: a process did not start, or ended before its time.
    """
    cores = sorted(os.sched_getaffinity(0))
    mine, its = cores[0], cores[-1]
    os.sched_setaffinity(0, {mine})  # children too, until they choose another
    try:
        return await _measure(plan, beds, mine, its)
    finally:
        os.sched_setaffinity(0, cores)


async def _measure(plan: Plan, beds: Sequence[LoadBed], mine: int, its: int) -> Live:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wardbeat-live-")))
        running = await stack.enter_async_context(broker(plan.broker))
        settings = {
            "WARDBEAT_BROKER_IN_FLIGHT": running.in_flight,
            "WARDBEAT_ALARM_LOG": folder / "alarms.jsonl",
            "XDG_STATE_HOME": folder,  # what a monitor keeps, it keeps here
        }
        command = ["env", *(f"{name}={value}" for name, value in settings.items())]
        command += [sys.executable, "-m", "simulators.live.sampled", str(its), str(folder / "samples.json")]
        options = ["serve", "--broker", f"{running.host}:{running.port}", "--port", "0"]
        monitor = await stack.enter_async_context(Child("the monitor", command + options))
        url = (await monitor.wait_for_line(r"serving (http://\S+)", _READY_S))[1]
        await monitor.wait_for_line(r"ready after", _READY_S)
        viewer = Viewer()
        watching = asyncio.create_task(viewer.run(url))
        stack.callback(watching.cancel)
        probes = [await _start_probe(core) for core in (mine, its)]
        for process in probes:
            assert process.stdin is not None
            stack.callback(process.stdin.close)  # which ends it, whatever happens here
        stamps = folder / "stamps.npy"
        total = SETTLE_S + plan.seconds
        publisher = Child("the publisher", _publisher(plan, running.host, running.port, total, stamps))
        await stack.enter_async_context(publisher)
        await publisher.wait_for_line(r"beds connected", 120.0)
        await asyncio.sleep(SETTLE_S)
        os.kill(monitor.pid, signal.SIGUSR1)
        known = [monitor.pid, publisher.pid, running.pid, os.getpid(), *(process.pid for process in probes)]
        began, before, busy = time.monotonic(), [probe.used_s(pid) for pid in known], probe.busy_s({mine, its})
        small, waited = probe.resident_mb(monitor.pid), probe.waited_s(monitor.pid)
        await asyncio.sleep(plan.seconds)
        ended, after, busy = time.monotonic(), [probe.used_s(pid) for pid in known], probe.busy_s({mine, its}) - busy
        waited = probe.waited_s(monitor.pid) - waited
        memory = small, probe.resident_mb(monitor.pid)
        used = [b - a for a, b in zip(before, after, strict=True)]
        os.kill(monitor.pid, signal.SIGUSR2)
        late = [await _stop_probe(process) for process in probes]
        told = await publisher.wait_for_line(r"done: ([\d.]+) us", 30.0)
        await asyncio.sleep(DRAIN_S)
        watching.cancel()
        await monitor.stop()
        samples = json.loads((folder / "samples.json").read_text())
        times = np.load(stamps)
    wall = ended - began
    cpu_us = 1e6 * used[0] / (plan.beds * wall)
    others = max(busy - sum(used), 0.0) / wall
    frames = _Frames(viewer, beds, times, plan)
    counted = frames.counted(began, ended)
    shares = samples["stages"]
    scale = cpu_us / max(sum(shares.values()), 1)
    outside = {name: n for name, n in samples["functions"].items() if not name.startswith("core:")}
    return Live(
        plan=plan,
        delays=frames.delays(began, ended),
        cpu_us=cpu_us,
        cpu_share=used[0] / wall,
        stages={name: n * scale for name, n in sorted(shares.items(), key=lambda item: -item[1])},
        functions={name: n * scale for name, n in list(outside.items())[:12]},
        publisher_us=float(told[1]),
        memory_mb=memory,
        waited=waited / wall,
        quiet=others < probe.QUIET_SHARE
        and waited / wall < probe.QUIET_WAIT
        and late[0]["p99_ms"] < probe.QUIET_LATE_MS,
        others=others,
        probes={"load": late[0], "monitor": late[1]},
        **counted,
    )


def _publisher(plan: Plan, host: str, port: int, seconds: float, stamps: Path) -> list[str]:
    command = [sys.executable, "-m", "simulators", "ward", "--beds", str(plan.beds), "--rate", str(plan.rate)]
    command += ["--host", host, "--port", str(port), "--connections", str(plan.connections)]
    command += ["--seconds", str(seconds), "--stamps", str(stamps), "--synthetic"]
    return command + (["--scenario", plan.scenario] if plan.scenario else [])


async def _start_probe(core: int) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulators.live.probe", str(core), stdin=pipe, stdout=pipe
    )


async def _stop_probe(process: asyncio.subprocess.Process) -> dict[str, float]:
    out, _ = await process.communicate(b"\n")
    try:
        found: dict[str, float] = json.loads(out)
    except ValueError:
        raise WardbeatError("the control probe ended before its time") from None
    return found


class _Frames:
    """What the viewer saw, beside what was published."""

    def __init__(self, viewer: Viewer, beds: Sequence[LoadBed], times: NDArray[np.float64], plan: Plan) -> None:
        self._viewer, self._beds, self._times, self._plan = viewer, beds, times, plan
        self._place = {bed.id: place for place, bed in enumerate(beds)}
        when = np.frombuffer(viewer.wave_times, np.float64)
        index, ends = np.frombuffer(viewer.wave_beds, np.uint16), np.frombuffer(viewer.wave_ends, np.int64)
        places = np.array([self._place[viewer.names[i]] for i in range(len(viewer.names))], np.int64)
        origins = np.array([viewer.origins[i] for i in range(len(viewer.names))], np.int64)
        self._wave_when = when
        self._wave_place = places[index] if len(index) else index.astype(np.int64)
        last = ends - 1 + (origins[index] if len(index) else 0)
        self._wave_message = np.array(
            [beds[p].message_of(s) for p, s in zip(self._wave_place.tolist(), last.tolist(), strict=True)], np.int64
        )

    def delays(self, began: float, ended: float) -> dict[str, Delay]:
        """Delays of what was published in a time, by kind."""
        kinds: dict[str, list[tuple[float, float]]] = {"beats": [], "alarms raised": []}
        for when, event in self._viewer.events:
            place = self._place[event["bed"]]
            if event["type"] == "beat":
                kind = "beats"
            elif event["type"] == "alarm" and event["state"] == "raised" and event["kind"] == "physiological":
                kind = "alarms raised"
            else:
                continue
            kinds[kind].append((when, self._sent(place, self._beds[place].message_of(event["emitted"]))))
        sent = self._times[self._wave_place, np.clip(self._wave_message, 0, self._times.shape[1] - 1)]
        waves = np.column_stack([self._wave_when, sent])
        return {
            **{kind: _delay(np.array(pairs).reshape(-1, 2), began, ended) for kind, pairs in kinds.items()},
            "waveforms": _delay(waves, began, ended),
        }

    def counted(self, began: float, ended: float) -> dict[str, Any]:
        """Messages published and shown, and how many were on their way."""
        shape = self._times.shape
        seen = np.full(shape, np.inf)  # when a message's last sample was shown
        inside = self._wave_message < shape[1]
        cells = self._wave_place[inside], self._wave_message[inside]
        np.minimum.at(seen, cells, self._wave_when[inside])
        # A frame may hold several messages of a bed; it is known by the last.
        seen = np.minimum.accumulate(seen[:, ::-1], axis=1)[:, ::-1]
        there = ~np.isnan(self._times)
        published, shown = np.sort(self._times[there]), np.sort(seen[there & np.isfinite(seen)])
        at = np.linspace(began, ended, 50)
        backlog = np.searchsorted(published, at) - np.searchsorted(shown, at)
        missing = sum(event["count"] for _, event in self._viewer.events if event["type"] == "gap")
        return {
            "published": len(published),
            "shown": len(shown),
            "backlog": (float(np.median(backlog[:10])), float(np.median(backlog[-10:]))),
            "backlog_slope": float(np.polyfit(at - began, backlog, 1)[0]),
            "lost": len(published) - len(shown),
            "gaps": missing,
        }

    def _sent(self, place: int, message: int) -> float:
        return float(self._times[place, message]) if 0 <= message < self._times.shape[1] else float("nan")


def _delay(pairs: NDArray[np.float64], began: float, ended: float) -> Delay:
    """Delays of (received, sent) pairs that were sent within a time."""
    received, sent = pairs[:, 0], pairs[:, 1]
    counts = (sent >= began) & (sent < ended)
    if not counts.any():
        return Delay(0, *3 * (float("nan"),))
    ms = 1000.0 * (received - sent)[counts]
    p50, p99 = np.percentile(ms, [50, 99])
    return Delay(len(ms), float(p50), float(p99), float(ms.max()))
