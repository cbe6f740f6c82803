"""The view of one bed, the order of the wall, its keys, its colours, and what an engineer sees of it."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace

import numpy as np
import pytest
from axe_playwright_python.async_playwright import Axe
from PIL import Image
from playwright.async_api import Browser, Page
from screen import (
    BROWSER,
    COUNT_PIXELS,
    INK,
    Source,
    browser,
    commands,
    open_wall,
    page,
    source,
    text_of,
    until_pixels,
    view_of,
)

from monitor.commands import AcknowledgeAll, FromPerson, PauseAudio, Shown
from monitor.events import Alarm, Beat, Quality
from monitor.hub import Hub

__all__ = ["browser", "commands", "page", "source"]  # fixtures
pytestmark = BROWSER

HIGH = Alarm("bed-02", 5, 9, "VTACH", "high", id="bed-02:7:VTACH:5", text="*** VTACH 181>100")
MEDIUM = Alarm("bed-03", 5, 9, "TACHY", "medium", id="bed-03:7:TACHY:5", text="** HR 131>120")
LOW = Alarm("bed-04", 5, 9, "BIGEMINY", "low", id="bed-04:7:BIGEMINY:5", text="* BIGEMINY")
TILES = "() => [...document.querySelectorAll('#wall .tile:not([hidden])')].map((tile) => tile.dataset.bed).join()"


def with_beds(source: Source, count: int) -> None:
    source.views = {view.bed: view for view in (view_of(f"bed-{i + 1:02d}") for i in range(count))}


CHIPS = """(expected) =>
  [...document.querySelectorAll("#elsewhere .alarm")].map((chip) => chip.dataset.priority).join() === expected"""


async def until_tiles(page: Page, *beds: str) -> None:
    await page.wait_for_function(f"(beds) => ({TILES})() === beds", arg=",".join(beds))


async def test_a_click_opens_the_bed_and_escape_goes_back(page: Page, source: Source) -> None:
    await open_wall(page, source)
    await page.click("[data-bed=bed-02] .strip")
    await page.wait_for_selector("#bed-view:not([hidden])")
    assert page.url.endswith("#bed=bed-02")
    assert await page.locator("#wall").is_hidden()
    await text_of(page, "#bed-view .rate", "72")
    await page.wait_for_selector("#bed-view .place > canvas")
    assert await page.locator("#bed-view .lane").count() == 2
    await until_pixels(page, INK, 200)
    await page.keyboard.press("Escape")
    await page.wait_for_selector("#bed-view", state="hidden")
    await page.wait_for_selector("#wall > canvas")
    assert await page.evaluate("document.activeElement.dataset.bed") == "bed-02"
    await page.go_back()
    await page.wait_for_selector("#bed-view:not([hidden])")
    await page.click("#bed-view .next")
    await page.wait_for_function("() => location.hash === '#bed=bed-01'")


async def test_a_link_leads_to_a_bed_and_a_hostile_one_nowhere(page: Page, source: Source) -> None:
    odd = "<b>&#x/%"
    source.views[odd] = view_of(odd)
    await page.goto(f"{source.hub.url}#bed=%3Cb%3E%26%23x%2F%25")
    await text_of(page, "#bed-view .name", odd)
    for hash_ in ("#bed=%E0%A4%A", "#bed=<img src=x onerror=alert(1)>", "#other"):
        await page.goto(f"{source.hub.url}{hash_}")
        await page.wait_for_selector("#bed-view", state="hidden")
    assert await page.locator("main img").count() == 0


async def test_the_bed_view_tells_the_last_beat_its_intervals_and_its_alarms(page: Page, source: Source) -> None:
    await page.goto(f"{source.hub.url}#bed=bed-02")
    await page.wait_for_selector("#bed-view .tile")
    position = source.views["bed-02"].position
    beat = Beat(
        "bed-02", position, position + 147, "V", "V", False, {"N": 0.1, "S": 0.05, "V": 0.82, "F": 0.03, "Q": 0.0}
    )
    source.symbol = ""
    source.events.append(beat)
    row = "#bed-view [data-class=V]"
    await text_of(page, f"{row} b", "82 %")
    await page.wait_for_selector(f"{row}.called")
    await text_of(page, ".finality", "provisional")
    source.events.append(replace(beat, final=True))
    await text_of(page, ".finality", "final")

    source.symbol = "N"
    await text_of(page, ".intervals .now", "833 ms")
    dots = "() => (document.querySelector('.dots[data-kind=N]')?.getAttribute('d') ?? '').split('M').length > 2"
    await page.wait_for_function(dots)
    await text_of(page, ".rates .now", "72 bpm")
    source.events.append(Quality("bed-02", 5, 9, "II", False, "lead_off"))
    await text_of(page, ".leads", "Not trusted: II: lead off")

    source.tell(HIGH)
    await text_of(page, ".story b", HIGH.text)
    await page.wait_for_selector("#bed-view .tile[data-priority=high]")
    source.tell(replace(HIGH, state="cleared", reason="revised"))
    await page.wait_for_function("() => document.querySelector('.story span').textContent.endsWith('revised')")
    source.silent.add("bed-02")
    await text_of(page, "#bed-view .rate", "---")
    await text_of(page, f"{row} b", "---")
    await text_of(page, ".rates .now", "---")
    await text_of(page, ".intervals .now", "---")


async def test_alarms_of_other_beds_are_in_sight_from_everywhere(page: Page, source: Source) -> None:
    await page.goto(f"{source.hub.url}#bed=bed-01")
    await page.wait_for_selector("#bed-view .tile")
    source.tell(HIGH)
    chip = page.locator("#elsewhere .alarm")
    await chip.wait_for()
    source.views["bed-03"] = view_of("bed-03")
    source.views["bed-00"] = view_of("bed-00")
    await text_of(page, "#beds", "4 beds")
    source.tell(MEDIUM)
    source.tell(replace(LOW, bed="bed-00"))
    await page.wait_for_function(CHIPS, arg="high,medium,low")
    source.tell(replace(MEDIUM, state="cleared"))
    source.tell(replace(LOW, bed="bed-00", state="cleared"))
    await page.wait_for_function(CHIPS, arg="high")
    assert (await chip.inner_text()).replace("\n", " ") == "bed-02 *** VTACH 181>100"
    await chip.click()
    await page.wait_for_function("() => location.hash === '#bed=bed-02'")
    await page.wait_for_selector("#elsewhere", state="hidden")
    await page.keyboard.press("Escape")
    await page.fill("#filter", "bed-01")
    await until_tiles(page, "bed-01")
    await chip.wait_for()
    await page.fill("#filter", "vtach")
    await until_tiles(page, "bed-02")
    await page.fill("#filter", "")
    await until_tiles(page, "bed-00", "bed-01", "bed-02", "bed-03")


async def test_beds_are_pinned_and_ordered_by_alarm(page: Page, source: Source) -> None:
    with_beds(source, 4)
    await open_wall(page, source)
    await until_tiles(page, "bed-01", "bed-02", "bed-03", "bed-04")
    for alarm in (LOW, MEDIUM, HIGH):
        source.tell(alarm)
    await page.wait_for_selector("[data-bed=bed-02] .alarm")
    await page.click("#view-button")
    await page.select_option("[name=sort]", "alarm")
    await until_tiles(page, "bed-02", "bed-03", "bed-04", "bed-01")
    await page.keyboard.press("Escape")
    await page.focus("[data-bed=bed-01]")
    await page.keyboard.press("f")
    await until_tiles(page, "bed-01", "bed-02", "bed-03", "bed-04")
    source.tell(replace(HIGH, state="acknowledged", audio="silenced", silence=120.0))
    await until_tiles(page, "bed-01", "bed-03", "bed-04", "bed-02")
    await page.reload()
    await until_tiles(page, "bed-01", "bed-03", "bed-04", "bed-02")
    await page.click("[data-bed=bed-01] .pin")
    await until_tiles(page, "bed-03", "bed-04", "bed-01", "bed-02")


async def test_the_wall_goes_by_keyboard(page: Page, source: Source, commands: asyncio.Queue[FromPerson]) -> None:
    with_beds(source, 4)
    await open_wall(page, source)
    focused = "document.activeElement.dataset.bed"
    for key, bed in (
        ("ArrowDown", "bed-01"),
        ("ArrowRight", "bed-02"),
        ("ArrowDown", "bed-04"),
        ("ArrowLeft", "bed-03"),
        ("ArrowUp", "bed-01"),
    ):
        await page.keyboard.press(key)
        assert await page.evaluate(focused) == bed
    await page.keyboard.press("a")
    assert await asyncio.wait_for(commands.get(), 5) == AcknowledgeAll("bed-01", "wall")
    await page.keyboard.press("p")
    assert await asyncio.wait_for(commands.get(), 5) == PauseAudio("bed-01", True, 120.0, "wall")
    await page.keyboard.press("Shift+P")
    assert await asyncio.wait_for(commands.get(), 5) == PauseAudio(None, True, 120.0, "wall")
    await page.keyboard.press("?")
    await page.wait_for_selector("#help:popover-open")
    await page.keyboard.press("Escape")
    await page.keyboard.press("/")
    await page.keyboard.type("apex")  # letters in the field are no commands
    assert await page.input_value("#filter") == "apex"
    await page.wait_for_function("() => document.querySelectorAll('.tile:not([hidden])').length === 0")
    await page.fill("#filter", "")
    await until_tiles(page, "bed-01", "bed-02", "bed-03", "bed-04")
    await page.focus("[data-bed=bed-03]")
    await page.keyboard.press("Enter")
    await text_of(page, "#bed-view .name", "bed-03")
    source.tell(replace(HIGH, bed="bed-03", id="x"))
    assert await asyncio.wait_for(commands.get(), 5) == Shown("bed-03", "x", "wall")
    await page.keyboard.press("a")
    assert await asyncio.wait_for(commands.get(), 5) == AcknowledgeAll("bed-03", "wall")


async def test_gain_and_speed_are_chosen_and_kept(page: Page, source: Source) -> None:
    await open_wall(page, source)
    bar = page.locator("[data-bed=bed-01] .millivolt >> nth=0")
    before = await bar.bounding_box()
    await page.click("#view-button")
    await page.select_option("[name=gain]", "20")
    await page.select_option("[name=speed]", "50")
    await text_of(page, "[data-bed=bed-01] .scale", "II x2 50 mm/s 0.5-40 Hz")
    after = await bar.bounding_box()
    assert before is not None
    assert after is not None
    assert after["height"] == pytest.approx(2 * before["height"], abs=1)
    await page.reload()
    await text_of(page, "[data-bed=bed-01] .scale", "II x2 50 mm/s 0.5-40 Hz")


async def test_a_stale_trace_is_dimmed_and_dashed(page: Page, source: Source) -> None:
    await open_wall(page, source)
    await until_pixels(page, INK, 200)
    for bed in source.views:
        source.silent.add(bed)
    await page.wait_for_selector(".tile.stale")
    await page.wait_for_function(f"() => ({COUNT_PIXELS})({INK}) === 0")
    source.silent.clear()
    await until_pixels(page, INK, 200)


# Columns, px from the left of the strip, in which a lane's ink reaches above half a millivolt, and the newest index.
SPIKES = """([bed]) => {
  const lane = document.querySelector(`[data-bed="${bed}"] .lane`);
  const bar = lane.querySelector(".millivolt").getBoundingClientRect();
  const canvas = document.getElementById("waves").getBoundingClientRect();
  const box = lane.getBoundingClientRect();
  const left = box.x + parseFloat(getComputedStyle(lane).paddingLeft);
  const { data, width } = document.getElementById("waves").getContext("2d").getImageData(
    left - canvas.x, bar.y + bar.height * 0.25 - canvas.y, box.right - left, 1);
  const columns = [];
  for (let x = 0; x < width; x++) if (data[4 * x + 1] > 90) columns.push(x + 0.5);
  return { columns, width: box.right - left, mm: bar.height / 10 };
}"""


async def test_a_sample_is_drawn_where_its_index_says(page: Page, source: Source) -> None:
    """A spike at every whole second: 25 mm apart, and each sweep begins at a multiple of its length."""
    source.signal = np.zeros(360, np.float32)
    source.signal[[359, 0, 1]] = 0.4, 1.0, 0.4
    source.r_peaks = []
    await open_wall(page, source)
    await page.wait_for_function(f"() => ({SPIKES})(['bed-01']).columns.length >= 8")
    seen = await page.evaluate(SPIKES, ["bed-01"])
    newest = source.views["bed-01"].position
    step = 25 * seen["mm"] / 360
    span = int(seen["width"] / step)
    expected = [k % span * step for k in range(0, newest + 1, 360) if k > newest - 2 * span]
    for column in seen["columns"]:
        assert min(abs(column - x) for x in expected) <= 1.5


async def test_light_and_dark_follow_the_system_and_the_switch(page: Page, source: Source) -> None:
    await open_wall(page, source)
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    dark = await page.evaluate(ground)
    await page.emulate_media(color_scheme="light")
    assert await page.evaluate(ground) == "rgb(255, 255, 255)"
    await until_pixels(page, [0, 0x6B, 0x3C], 200)
    await page.click("#view-button")
    await page.select_option("[name=theme]", "dark")
    assert await page.evaluate(ground) == dark
    await until_pixels(page, INK, 200)


# Stop the flashing while everything is lit.
STOP_LIT = """() => {
  const { high, medium } = document.documentElement.dataset;
  if (high === "on" && medium === "on") window.requestAnimationFrame = () => 0;
  return high === "on" && medium === "on";
}"""

# Linear RGB as a deuteranope sees it: Machado, Oliveira and Fernandes 2009, doi:10.1109/TVCG.2009.113, severity 1.
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def as_seen(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of an sRGB colour as a deuteranope sees it."""
    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    x, y, z = (TO_XYZ @ np.clip(DEUTERANOPIA @ linear, 0, 1)) / TO_XYZ.sum(1)
    f = [v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_priorities_stay_apart_for_the_colour_blind(page: Page, source: Source, theme: str) -> None:
    await page.emulate_media(color_scheme=theme)
    with_beds(source, 4)
    await open_wall(page, source)
    for alarm in (LOW, MEDIUM, HIGH):
        source.tell(alarm)
    await page.wait_for_selector("[data-bed=bed-02] .alarm")
    await page.wait_for_function(STOP_LIT, polling=20)
    fills, shapes = {}, set()
    for alarm in (HIGH, MEDIUM, LOW):
        line = page.locator(f"[data-bed={alarm.bed}] .alarm")
        await line.wait_for()
        image = np.asarray(Image.open(io.BytesIO(await line.screenshot())).convert("RGB"))
        fills[alarm.priority] = as_seen(image[4, image.shape[1] // 2].astype(float))
        shape = await line.locator(".shape").evaluate(
            "(e) => getComputedStyle(e).clipPath + getComputedStyle(e).borderRadius"
        )
        shapes.add(shape)
        stars = {"high": "***", "medium": "**", "low": "*"}[alarm.priority]
        assert (await line.locator(".text").inner_text()).split()[0] == stars
    assert len(shapes) == 3
    for one, other in (("high", "medium"), ("medium", "low"), ("high", "low")):
        assert np.linalg.norm(fills[one] - fills[other]) > 25, f"{one} and {other} look alike"


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_axe_finds_no_serious_fault(page: Page, source: Source, theme: str) -> None:
    await page.emulate_media(color_scheme=theme)
    with_beds(source, 4)
    await open_wall(page, source)
    for alarm in (LOW, MEDIUM, HIGH, Alarm("bed-01", 5, 9, "GAP", "low", "technical", id="g", text="* SIGNAL MISSING")):
        source.tell(alarm)
    await page.wait_for_selector("[data-bed=bed-02] .alarm")
    for opening in ("", "document.querySelector('#view-button').click()", "location.hash = '#bed=bed-02'",
                    "document.querySelector('#bed-view .set').click()"):  # fmt: skip
        if opening:
            await page.evaluate(opening)
            await page.wait_for_timeout(300)
        found = await Axe().run(page)
        faults = [
            (fault["id"], [(node["html"][:120], node["failureSummary"][:200]) for node in fault["nodes"]][:3])
            for fault in found.response["violations"]
            if fault["impact"] in ("serious", "critical")
        ]
        assert faults == [], opening
        assert len(found.response["passes"]) > 10


async def test_the_engineer_sees_frames_latency_and_bytes(page: Page, source: Source) -> None:
    await open_wall(page, source)
    await until_pixels(page, INK, 200)
    await page.keyboard.press("e")
    figure = "[data-figure={}]".format
    await page.wait_for_function(
        "() => [...document.querySelectorAll('[data-figure]')].every((e) => e.textContent !== '---')"
    )
    told = {
        name: float(await page.inner_text(figure(name))) for name in ("fps", "latency", "latency95", "bytes", "cost")
    }
    assert told["fps"] > 1
    assert 0 <= told["latency"] <= told["latency95"]
    assert 1 < told["bytes"] < 20  # two beds of two leads, 360 Hz, 2 bytes: 2.9 kB/s
    await page.keyboard.press("e")
    await page.wait_for_selector("#engineer", state="hidden")


async def test_a_hostile_browser_storage_is_forgotten(page: Page, source: Source) -> None:
    await page.add_init_script("""localStorage.setItem('wardbeat', JSON.stringify(
        { gain: "x", speed: -1, theme: "<b>", pins: [7, "bed-02"], sort: null, sound: 1 }))""")
    await open_wall(page, source)
    await text_of(page, "[data-bed=bed-01] .scale", "II x1 25 mm/s 0.5-40 Hz")
    await until_tiles(page, "bed-02", "bed-01")


async def test_a_bed_in_view_outlives_the_monitor(page: Page, browser: Browser) -> None:
    async with Hub(asyncio.Queue(8), port=0) as hub:
        source = Source(hub)
        running = asyncio.create_task(source.run())
        await page.goto(f"{hub.url}#bed=bed-02")
        await text_of(page, "#bed-view .rate", "72")
        source.tell(HIGH)
        await text_of(page, ".story b", HIGH.text)
        running.cancel()
        port = hub.port
    await page.wait_for_selector("#banner:not([hidden])")
    await text_of(page, "#bed-view .rate", "---")
    async with Hub(asyncio.Queue(8), port=port) as hub:
        running = asyncio.create_task(Source(hub).run())
        await text_of(page, "#bed-view .rate", "72")
        await page.wait_for_selector(".story .ended")
        assert "out of reach" in await page.inner_text(".story span")
        running.cancel()
