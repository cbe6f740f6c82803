"""The page in Debian's Chromium, fed by a real hub from a synthetic ward in real time: what its tests share."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from monitor.commands import FromPerson
from monitor.events import Alarm, Beat, Event, Qrs, Trigger
from monitor.hub import Hub
from monitor.views import BedView, Wave

CHROMIUM = shutil.which("chromium")
BROWSER = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),  # one browser for all
    pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER: the page is NOT tested (apt install chromium)"),
]

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
DEADLINE_MS = 10_000
STEP = 18

# How many pixels of the waveforms' canvas are close to a colour.
COUNT_PIXELS = """([r, g, b]) => {
  const canvas = document.getElementById("waves");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 60) count += 1;
  }
  return count;
}"""
INK = [0x35, 0xE0, 0x7F]
LETTER_V = [0xFF, 0x7A, 0xD9]
LETTER_V_DIM = [0x9D, 0x4F, 0x88]
LETTER_S = [0x6C, 0xB6, 0xFF]

# The rows, in px of the page, on which a lane's waveform runs level: 60 px of ink or more.
LEVEL_ROWS = """([x, y, width, height]) => {
  const canvas = document.getElementById("waves");
  const box = canvas.getBoundingClientRect();
  const { data } = canvas.getContext("2d").getImageData(x - box.x, y - box.y, width, height);
  const rows = [];
  for (let row = 0; row < height; row++) {
    let ink = 0;
    for (let column = 0; column < width; column++) if (data[4 * (row * width + column) + 1] > 100) ink += 1;
    if (ink >= 60) rows.push(y + row + 0.5);
  }
  return rows;
}"""


class Source:
    """A ward of made-up beds that publishes to a hub every 50 ms.

    Attributes:
        views: bed -> its view; tests change them.
        signal: (samples,) mV played in a circle on the first lead; upside down on the second.
        r_peaks: where in `signal` the R peaks are.
        symbol: name of every beat; empty: each R peak is a trigger that no beat follows.
        provisional: the name it has first; empty: it has none.
        revises: whether the final name follows it.
        silent: beds that send nothing.
    """

    def __init__(self, hub: Hub, beds: int = 2) -> None:
        self.hub = hub
        self.views = {view.bed: view for view in (view_of(f"bed-{i + 1:02d}") for i in range(beds))}
        t = np.arange(300) / 360
        self.signal = (np.exp(-(((t - 0.4) / 0.012) ** 2)) + 0.2 * np.exp(-(((t - 0.65) / 0.05) ** 2))).astype(
            np.float32
        )
        self.r_peaks = [144]
        self.symbol = "N"
        self.provisional = ""
        self.revises = True
        self.silent: set[str] = set()
        self.events: list[Event] = []

    async def run(self) -> None:
        while True:
            self.tick()
            await asyncio.sleep(STEP / 360)

    def tick(self) -> None:
        events, waves = self.events, []
        self.events = []
        for bed, view in self.views.items():
            if bed in self.silent:
                continue
            first = view.position
            self.views[bed] = replace(view, position=first + STEP)
            lead = self.signal[np.arange(first, first + STEP) % len(self.signal)]
            waves.append(Wave(bed, first, np.stack([lead, -lead], 1)))
            for k in range(first, first + STEP):
                events += self.told_at(bed, k)
        self.hub.publish(events, waves, list(self.views.values()), time.time())

    def told_at(self, bed: str, k: int) -> list[Event]:
        """The events that sample `k` fixes: R peaks are triggered, found and named in turn, as in a ward."""
        found: list[Event] = []
        for delay, event_type in ((13, Trigger), (61, Qrs), (147, Beat)):
            r = k - delay
            if r >= 0 and r % len(self.signal) in self.r_peaks and (self.symbol or event_type is Trigger):
                found.append(event_type(bed, r, k))
        r = k - 250
        if self.provisional and self.revises and r >= 0 and r % len(self.signal) in self.r_peaks:
            found.append(Beat(bed, r, k, self.symbol, self.symbol))
        for event in found:
            if isinstance(event, Beat) and event.emitted - event.sample == 147:
                event.symbol = event.aami = self.provisional or self.symbol
                event.final = not self.provisional
        return found

    def change(self, bed: str, **changes: Any) -> None:
        self.views[bed] = replace(self.views[bed], **changes)

    def tell(self, alarm: Alarm) -> None:
        """An alarm changed its state."""
        others = tuple(a for a in self.views[alarm.bed].alarms if a.id != alarm.id)
        self.change(alarm.bed, alarms=others if alarm.state == "cleared" else (*others, alarm))
        self.events.append(alarm)


def view_of(bed: str) -> BedView:
    return BedView(bed, "", True, ("II", "V1"), 7, 360.0, 0, 0, 72.4, "B", 3, 50.0, 120.0, (), 0.0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """An empty page; whatever goes wrong in it fails the test."""
    page = await browser.new_page(viewport={"width": 1280, "height": 720}, color_scheme="dark")
    page.set_default_timeout(DEADLINE_MS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "Security" in message.text else None)
    yield page
    await page.close()
    assert errors == []


@pytest.fixture
def commands() -> asyncio.Queue[FromPerson]:
    return asyncio.Queue(8)


@pytest_asyncio.fixture(loop_scope="module")
async def source(commands: asyncio.Queue[FromPerson]) -> AsyncIterator[Source]:
    async with Hub(commands, port=0) as hub:
        source = Source(hub)
        running = asyncio.create_task(source.run())
        yield source
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def open_wall(page: Page, source: Source) -> None:
    await page.goto(source.hub.url)
    await page.wait_for_selector('#link[data-state="live"]')
    await page.wait_for_selector(".tile")


async def open_settings(page: Page, bed: str) -> None:
    await page.click(f"[data-bed={bed}] .name button")
    await page.click("#bed-view .set")


async def text_of(page: Page, selector: str, text: str) -> None:
    """Wait until the first element that matches `selector` reads `text`."""
    await page.wait_for_function(
        "([selector, text]) => document.querySelector(selector)?.textContent === text", arg=[selector, text]
    )


async def until_pixels(page: Page, colour: list[int], least: int) -> None:
    await page.wait_for_function(f"([colour, least]) => ({COUNT_PIXELS})(colour) >= least", arg=[colour, least])
