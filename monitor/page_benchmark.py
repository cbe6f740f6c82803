"""How well a browser on this machine keeps up with the wall: a made-up ward at its real pace, looked at by Chromium."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from monitor.chromium import SIZE, chromium, open_wall
from monitor.commands import FromPerson
from monitor.ecg import FS
from monitor.hub import Hub
from monitor.machine import describe
from monitor.records import toy_record
from monitor.views import BedView, Wave

TICK: Final = 18
"""Samples a tick: 50 ms, as the monitor has it."""

SETTLE: Final = 3.0
"""Seconds before the figures are begun: the page lays itself out, the jitter buffer fills."""

FIGURES: Final = {
    "fps": "frames a second",
    "dropped": "frames dropped",
    "cost": "a frame's own code, ms",
    "cost95": "the same, p95",
    "latency": "sample to pixel, ms",
    "latency95": "the same, p95",
    "buffer": "jitter buffer, ms",
    "least": "the least of any bed",
    "bytes": "received, kB/s",
}
"""Figures of the page's own overlay, and what they are."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        beds, leads: how many; a lane is drawn for each lead.
        seconds: how long.
    """

    beds: int
    leads: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured.

    Attributes:
        plan: what was asked for.
        browser: its version; it renders in software.
        size: of the page, px.
        figures: by FIGURES, as the page's overlay tells them.
        machine: see :func:`monitor.machine.describe`.
    """

    plan: Plan
    browser: str
    size: tuple[int, int]
    figures: dict[str, float]
    machine: dict[str, Any]


async def measure(plan: Plan) -> Result:
    """Let Chromium look at a ward for a while.

    Raises:
        ConfigError: there is no browser, or nothing that drives it.
    """
    commands: asyncio.Queue[FromPerson] = asyncio.Queue(64)
    async with chromium() as browser, Hub(commands, port=0) as hub:
        playing = asyncio.create_task(_play(hub, plan))
        try:
            await asyncio.sleep(2 * TICK / FS)
            page = await open_wall(browser, hub.url)
            chosen = json.dumps({"leads": str(plan.leads)})
            await page.evaluate("(chosen) => localStorage.setItem('wardbeat', chosen)", chosen)
            await page.reload()
            await page.wait_for_selector(".tile")
            await asyncio.sleep(SETTLE)
            await page.keyboard.press("e")
            await asyncio.sleep(plan.seconds)
            told = await page.evaluate(
                "() => Object.fromEntries([...document.querySelectorAll('[data-figure]')]"
                ".map((e) => [e.dataset.figure, parseFloat(e.textContent)]))"
            )
        finally:
            playing.cancel()
        figures = {name: float(told[name]) for name in FIGURES}
        return Result(plan, f"Chromium {browser.version}", SIZE, figures, describe("playwright"))


async def _play(hub: Hub, plan: Plan) -> None:
    """Publish a ward that plays one record, each bed from another place, at its real pace."""
    lead = toy_record().signal[:, 0].astype(np.float32)
    signal = np.stack([lead * share for share in (1.0, 0.5)[: plan.leads]], 1)
    names = ("MLII", "V1")[: plan.leads]
    starts = {f"bed-{i + 1:02d}": i * 997 % (len(signal) - TICK) for i in range(plan.beds)}
    began = time.monotonic()
    tick = 0
    while True:
        position = tick * TICK
        views, waves = [], []
        for bed, start in starts.items():
            views.append(
                BedView(bed, "", True, names, 1, float(FS), 0, position + TICK, 72.0, "N", 3, 50.0, 120.0, (), 0.0)
            )
            at = np.arange(start + position, start + position + TICK) % len(signal)
            waves.append(Wave(bed, position, signal[at]))
        hub.publish([], waves, views, time.time())
        tick += 1
        await asyncio.sleep(max(0.0, began + tick * TICK / FS - time.monotonic()))
