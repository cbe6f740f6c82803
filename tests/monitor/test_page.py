"""The page in Debian's Chromium, fed by a real hub from a synthetic ward in real time."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Browser, Page
from screen import (
    BROWSER,
    COUNT_PIXELS,
    INK,
    LETTER_S,
    LETTER_V,
    LETTER_V_DIM,
    LEVEL_ROWS,
    Source,
    browser,
    commands,
    open_settings,
    open_wall,
    page,
    source,
    text_of,
    until_pixels,
    view_of,
)

from monitor import events
from monitor.commands import (
    Acknowledge,
    AcknowledgeAll,
    FromPerson,
    PauseAudio,
    Relearn,
    SetLimits,
    SetPaced,
    SetProfile,
    Shown,
)
from monitor.events import Alarm, Event, Qrs, Trigger
from monitor.hub import Hub
from monitor.profiles import PROFILES

__all__ = ["browser", "commands", "page", "source"]  # fixtures
pytestmark = BROWSER


async def test_waves_move_and_numbers_show(page: Page, source: Source) -> None:
    source.symbol = "V"
    await open_wall(page, source)

    await text_of(page, "[data-bed=bed-01] .rate", "72")
    await text_of(page, "[data-bed=bed-01] .rhythm", "Bigeminy")
    await text_of(page, "[data-bed=bed-01] .pvc", "PVC 3/min")
    await until_pixels(page, INK, 200)
    before = await page.evaluate(COUNT_PIXELS, INK)
    await until_pixels(page, INK, before + 200)
    await until_pixels(page, LETTER_V, 10)
    await page.wait_for_selector("[data-bed=bed-01] .heart.lit")
    await page.wait_for_selector("[data-bed=bed-01] .heart:not(.lit)")
    assert (await page.inner_text(".disclaimer")).lower() == "not for clinical use"
    assert (await page.inner_text("[data-bed=bed-01] .scale >> nth=0")) == "II x1 25 mm/s 0.5-40 Hz"
    assert await page.locator("[data-bed=bed-01] .simulated").is_visible()


async def test_a_provisional_letter_is_dim_and_the_final_one_takes_its_place(page: Page, source: Source) -> None:
    source.symbol, source.provisional, source.revises = "S", "V", False
    await open_wall(page, source)
    await until_pixels(page, LETTER_V_DIM, 10)
    assert await page.evaluate(COUNT_PIXELS, LETTER_V) == 0
    source.revises = True
    await until_pixels(page, LETTER_S, 10)
    await page.wait_for_function(f"(colour) => ({COUNT_PIXELS})(colour) < 30", arg=LETTER_V_DIM)  # but the latest


async def test_a_trigger_that_no_beat_follows_leaves_no_letter(page: Page, source: Source) -> None:
    source.symbol = "V"
    await open_wall(page, source)
    await until_pixels(page, LETTER_V, 10)
    source.symbol = ""
    for bed in source.views:  # a new signal: what a reload brings back is of it alone
        source.change(bed, stream=8, position=0)
    await page.reload()
    await page.wait_for_selector(".tile")
    for _ in range(3):
        await page.wait_for_selector("[data-bed=bed-01] .heart.lit")
        await page.wait_for_selector("[data-bed=bed-01] .heart:not(.lit)")
    assert await page.evaluate(COUNT_PIXELS, LETTER_V) == 0


# Events of one bed as the page takes them, and the places under the pen at which its heart lights up. The pen moves
# sample by sample, `delay` samples behind the newest.
HEARTBEATS = """async ({ events, delay, end }) => {
  const { Bed } = await import("/bed.js");
  const bed = new Bed({ leads: ["II"], fs: 360, origin: 0, stream: 1 });
  const lit = [];
  for (let k = 0; k < end; k++) {
    for (const { type, sample } of events.filter((event) => event.emitted === k)) {
      if (type === "trigger") bed.expect(bed.indexOf(sample));
      if (type === "qrs") bed.confirm(bed.indexOf(sample));
    }
    bed.playout.position = k - delay;
    if (bed.takeHeartbeat()) lit.push(k - delay);
  }
  return lit;
}"""


@pytest.mark.parametrize(
    ("events", "lit"),
    [
        (
            [Trigger("b", 1000, 1013), Qrs("b", 1000, 1061), Trigger("b", 1300, 1313), Qrs("b", 1300, 1361)],
            [1000, 1300],
        ),
        ([Trigger("b", 1000, 1013)], [1000]),
        ([Trigger("b", 1030, 1043), Qrs("b", 1000, 1061)], [1000]),
        ([Trigger("b", 1000, 1013), Qrs("b", 1040, 1095)], [1000]),
        ([Qrs("b", 1000, 1061)], [1000]),
        ([Qrs("b", 1000, 1600, True)], []),
        ([Trigger("b", 1000, 1200)], [1110]),
        ([Qrs("b", 100, 541, True), Qrs("b", 400, 541, True), Trigger("b", 700, 713), Qrs("b", 700, 761)], [700]),
    ],
    ids=[
        "each beat once",
        "a trigger alone",
        "moved before it is drawn",
        "moved after it was drawn",
        "found without a trigger",
        "found too late",
        "a trigger that comes late",
        "the beats of the learning time",
    ],
)
async def test_the_heart_lights_up_once_a_beat(page: Page, source: Source, events: list[Event], lit: list[int]) -> None:
    """The pen is a quarter of a second behind; a beat found by then lights the heart exactly under it."""
    await page.goto(source.hub.url)
    told = [event.as_dict() for event in events]
    assert await page.evaluate(HEARTBEATS, {"events": told, "delay": 90, "end": 2000}) == lit


async def test_one_millivolt_is_as_high_as_its_bar(page: Page, source: Source) -> None:
    source.signal = np.repeat(np.float32([0.0, 1.0]), 360)
    source.r_peaks = []
    await open_wall(page, source)
    lane = page.locator("[data-bed=bed-01] .lane >> nth=0")
    box, bar = await lane.bounding_box(), await lane.locator(".millivolt").bounding_box()
    assert box is not None
    assert bar is not None
    area = [round(box[side]) for side in ("x", "y", "width", "height")]
    top, bottom = bar["y"], bar["y"] + bar["height"]
    middle = (top + bottom) / 2

    both = f"(area) => {{ const r = ({LEVEL_ROWS})(area); return r[0] < {middle} && r.at(-1) > {middle} && r; }}"
    rows = await (await page.wait_for_function(both, arg=area)).json_value()

    one, zero = [row for row in rows if row < middle], [row for row in rows if row > middle]
    assert sum(one) / len(one) == pytest.approx(top, abs=1.5)
    assert sum(zero) / len(zero) == pytest.approx(bottom, abs=1.5)


async def test_alarm_shows_and_a_click_acknowledges_it(
    page: Page, source: Source, commands: asyncio.Queue[FromPerson]
) -> None:
    await open_wall(page, source)
    alarm = Alarm("bed-02", 5, 9, "EXTREME_TACHY", "high", id="bed-02:7:X:5", text="*** HR 156>140")
    technical = Alarm("bed-02", 5, 9, "GAP", "low", "technical", id="bed-02:7:GAP:5", text="* SIGNAL MISSING")
    source.tell(alarm)
    source.tell(technical)

    line = page.locator("[data-bed=bed-02] .alarms .alarm")
    await text_of(page, "[data-bed=bed-02] .alarms .text", "*** HR 156>140")
    await text_of(page, "[data-bed=bed-02] .technical .text", "* SIGNAL MISSING")
    await page.wait_for_selector("[data-bed=bed-02][data-priority=high]")
    assert await page.inner_text(".count[data-priority=high] b") == "1"
    assert await page.locator(".count[data-priority=low]").is_hidden()
    for state in ("off", "on"):
        await page.wait_for_selector(f":root[data-high={state}]", state="attached")
    await line.click()
    told = [await asyncio.wait_for(commands.get(), 5) for _ in range(3)]
    assert set(told[:2]) == {Shown("bed-02", alarm.id, "wall"), Shown("bed-02", technical.id, "wall")}
    assert told[2] == Acknowledge("bed-02", alarm.id, "wall")

    source.events.append(events.Shown("bed-02", 5, 365, alarm.code, alarm.id, "wall"))
    seen = {"reason": "acknowledged by Ada", "by": "Ada", "emitted": 729, "silence": 120.0, "audio": "silenced"}
    source.tell(replace(alarm, state="acknowledged", **seen))
    await page.wait_for_selector("[data-bed=bed-02] .alarms .alarm[data-state=acknowledged]")
    assert (await line.locator(".state").inner_text())[:4] in ("✓ 2:", "✓ 1:")
    await page.wait_for_selector('[data-bed=bed-02][data-priority=""]')
    assert (await line.get_attribute("title")).splitlines() == [
        "*** HR 156>140",
        "+0:00 raised",
        "+0:01 shown by wall",
        "+0:02 acknowledged by Ada",
    ]

    await page.reload()
    await page.wait_for_selector("[data-bed=bed-02] .alarms .alarm[data-state=acknowledged]")
    source.tell(replace(alarm, state="cleared"))
    await line.wait_for(state="detached")


async def test_an_alarm_that_ended_unseen_and_one_that_calls_again_look_so(page: Page, source: Source) -> None:
    await open_wall(page, source)
    latched = Alarm("bed-01", 5, 9, "ASYSTOLE", "high", id="bed-01:7:ASYSTOLE:5", text="*** ASYSTOLE", state="latched")
    again = Alarm("bed-02", 5, 9, "TACHY", "medium", id="bed-02:7:TACHY:5", text="** HR 131>120", reason="reminder")
    source.tell(latched)
    source.tell(again)
    await text_of(page, "[data-bed=bed-01] .alarm[data-state=latched] .state", "ended")
    await text_of(page, "[data-bed=bed-02] .alarm[data-state=raised] .state", "again")


async def test_audio_is_paused_for_a_bed_and_for_the_ward(
    page: Page, source: Source, commands: asyncio.Queue[FromPerson]
) -> None:
    await open_wall(page, source)
    alarm = Alarm("bed-02", 5, 9, "TACHY", "medium", id="bed-02:7:TACHY:5", text="** HR 131>120")
    source.tell(alarm)
    assert isinstance(await asyncio.wait_for(commands.get(), 5), Shown)
    bell = page.locator("[data-bed=bed-02] .audio")
    await bell.click()
    assert await asyncio.wait_for(commands.get(), 5) == PauseAudio("bed-02", True, 120.0, "wall")

    source.change("bed-02", pause_left=118.0)
    source.events.append(events.Audio("bed-02", 9, 9, True, 118.0, "wall"))
    await page.wait_for_selector("[data-bed=bed-02] .audio[aria-pressed=true]")
    assert (await bell.inner_text())[:3] in ("1:5", "2:0")
    await page.wait_for_selector("[data-bed=bed-02] .alarm[data-audio=paused]")
    assert await page.get_attribute("#pause-all", "aria-pressed") == "false"
    await bell.click()
    assert await asyncio.wait_for(commands.get(), 5) == PauseAudio("bed-02", False, 120.0, "wall")

    await page.click("#pause-all")
    assert await asyncio.wait_for(commands.get(), 5) == PauseAudio(None, True, 120.0, "wall")
    source.change("bed-01", pause_left=118.0)
    await page.wait_for_selector("#pause-all[aria-pressed=true]")
    assert (await page.inner_text("#pause-all")).replace("\n", " ").startswith("Audio paused")
    await page.click("#pause-all")
    assert await asyncio.wait_for(commands.get(), 5) == PauseAudio(None, False, 120.0, "wall")
    for bed in source.views:
        source.change(bed, pause_left=0.0)
        source.events.append(events.Audio(bed, 9, 9, False, 0.0, "wall"))
    await page.wait_for_selector("#pause-all[aria-pressed=false]")
    await page.wait_for_selector("[data-bed=bed-02] .alarm[data-audio=on]")


async def test_a_bed_is_set_in_its_dialog(page: Page, source: Source, commands: asyncio.Queue[FromPerson]) -> None:
    await open_wall(page, source)
    await open_settings(page, "bed-01")
    dialog = page.locator("#bed-dialog")
    assert await dialog.locator("h2").inner_text() == "bed-01"
    assert await dialog.locator("[name=high]").input_value() == "120"
    assert await dialog.locator("[name=profile]:checked").get_attribute("value") == "adult"
    apply = dialog.locator(".apply")
    assert await apply.is_disabled()

    await dialog.locator("[name=high]").fill("700")
    assert await apply.is_disabled(), "out of range"
    await dialog.locator("[name=high]").fill("130")
    await dialog.locator("[name=vt_count]").fill("4")
    await apply.click()
    assert await asyncio.wait_for(commands.get(), 5) == SetLimits("bed-01", high=130.0, vt_count=4, by="wall")

    source.change("bed-01", limits=replace(PROFILES["adult"], high=130.0, vt_count=4), high=130.0)
    await page.wait_for_selector("#bed-dialog .apply:disabled")
    await text_of(page, "#bed-view .limits .high", "130")

    await dialog.locator(".profiles span >> nth=2").click()
    assert await asyncio.wait_for(commands.get(), 5) == SetProfile("bed-01", "neonatal", "wall")
    await dialog.locator("[name=paced]").check()
    assert await asyncio.wait_for(commands.get(), 5) == SetPaced("bed-01", True, "wall")
    source.change("bed-01", limits=replace(PROFILES["neonatal"], paced=True), profile="neonatal")
    await page.wait_for_selector("#bed-view .paced:not([hidden])")
    assert await dialog.locator("[name=low]").input_value() == "100"

    await dialog.locator(".relearn").click()
    assert await asyncio.wait_for(commands.get(), 5) == Relearn("bed-01", "wall")
    await dialog.locator(".acknowledge").click()
    assert await asyncio.wait_for(commands.get(), 5) == AcknowledgeAll("bed-01", "wall")
    await dialog.locator(".pause").click()
    assert await asyncio.wait_for(commands.get(), 5) == PauseAudio("bed-01", True, 120.0, "wall")

    source.tell(Alarm("bed-01", 5, 9, "VTACH", "high", id="bed-01:7:VTACH:5", text="*** VTACH 180>150"))
    await text_of(page, "#bed-dialog .active b", "*** VTACH 180>150")
    await page.keyboard.press("Escape")
    await dialog.wait_for(state="hidden")


async def test_limits_that_the_monitor_refuses_are_said(page: Page, source: Source) -> None:
    await open_wall(page, source)
    await open_settings(page, "bed-01")
    await page.fill("#bed-dialog [name=low]", "125")
    await page.click("#bed-dialog .apply")
    await page.wait_for_function(
        "() => document.querySelector('#bed-dialog .answer').textContent.includes('not below')"
    )


async def test_silent_bed_shows_dashes_and_the_age_of_its_data(page: Page, source: Source) -> None:
    await open_wall(page, source)
    await text_of(page, "[data-bed=bed-02] .rate", "72")
    await text_of(page, "[data-bed=bed-01] .rate", "72")
    source.silent.add("bed-02")

    await text_of(page, "[data-bed=bed-02] .rate", "---")
    await page.wait_for_selector("[data-bed=bed-02].stale")
    assert (await page.inner_text("[data-bed=bed-02] .age")).startswith("No data for ")
    assert await page.inner_text("[data-bed=bed-01] .rate") == "72"

    source.silent.clear()
    await text_of(page, "[data-bed=bed-02] .rate", "72")
    source.change("bed-02", heart_rate=None)
    await text_of(page, "[data-bed=bed-02] .rate", "---")


async def test_lost_monitor_is_said_and_found_again(page: Page, browser: Browser) -> None:
    async with Hub(asyncio.Queue(8), port=0) as hub:
        source = Source(hub)
        running = asyncio.create_task(source.run())
        await open_wall(page, source)
        await text_of(page, ".rate", "72")
        port = hub.port
        running.cancel()

    started = time.monotonic()
    await page.wait_for_selector("#banner:not([hidden])")
    assert time.monotonic() - started < 5
    assert "No word from the monitor" in await page.inner_text("#banner")
    await text_of(page, ".rate", "---")

    async with Hub(asyncio.Queue(8), port=port) as hub:
        assert hub.port == port
        source = Source(hub, beds=3)
        running = asyncio.create_task(source.run())
        await page.wait_for_selector("#banner", state="hidden")
        await text_of(page, "[data-bed=bed-03] .rate", "72")
        assert await page.locator(".tile").count() == 3
        running.cancel()


# What the page's Feed is told to keep for a test: how long the monitor had been silent when that was first said.
WATCH_BANNER = """() => {
  const banner = document.querySelector("#banner");
  new MutationObserver(() => { window.said ??= banner.hidden ? undefined : banner.textContent; })
    .observe(banner, { attributes: true, childList: true, characterData: true, subtree: true });
}"""


async def test_a_stopped_monitor_is_said_and_its_trace_goes_on_without_a_hole(page: Page, tmp_path: Path) -> None:
    """SIGSTOP: nothing is closed, the monitor just says nothing; later it is as if nothing had been."""
    log = (tmp_path / "hub").open("w+")
    program = [sys.executable, str(Path(__file__).with_name("page_hub.py"))]
    monitor = await asyncio.create_subprocess_exec(*program, stdout=log)
    try:
        async with asyncio.timeout(60):
            while not (tmp_path / "hub").read_text().endswith("\n"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await page.goto((tmp_path / "hub").read_text().strip())
        await text_of(page, ".rate", "72")
        await page.evaluate(WATCH_BANNER)
        for stopped in (2.5, 6.0):  # the page keeps its connection, and gives it up
            monitor.send_signal(signal.SIGSTOP)
            await page.wait_for_selector("#banner:not([hidden])")
            await text_of(page, ".rate", "---")
            assert await page.get_attribute("#link", "data-state") == "connecting"
            await asyncio.sleep(stopped)
            monitor.send_signal(signal.SIGCONT)
            await page.wait_for_selector("#banner", state="hidden")
            await text_of(page, ".rate", "72")
        said = await page.evaluate("window.said")
        assert said.startswith(("No word from the monitor for 1 s", "No word from the monitor for 2 s"))
    finally:
        monitor.kill()
        await monitor.wait()
        log.close()


# The page's own classes as main.js brings them together: two connections, the second one resumed.
RESUMED = """async (url) => {
  const { Feed, NO_SAMPLE } = await import("/protocol.js");
  const { Bed } = await import("/bed.js");
  const got = [], beats = [];
  let bed = null, hellos = 0;
  const feed = new Feed(url, {
    hello(infos) {
      hellos += 1;
      if (!bed?.goesOnWith(infos[0])) bed = new Bed(infos[0]);
    },
    frame({ told, segments }) {
      for (const event of told.events ?? []) if (event.type === "beat") beats.push([event.bed, event.sample]);
      for (const segment of segments.filter(({ index }) => index === 0)) {
        for (let i = 0; i < segment.units.length / segment.leads; i++) got.push(segment.first + i);
        bed.ring.write(segment);
      }
    },
    places: () => Object.fromEntries(bed.place),
    refused() {},
  });
  const wait = (until) => new Promise((done) => {
    const timer = setInterval(() => { if (until()) { clearInterval(timer); done(); } }, 20);
  });
  await wait(() => beats.length > 3);
  feed.socket.close();
  await wait(() => hellos === 2 && got.length > 0);
  const upto = bed.ring.end + 720;
  await wait(() => bed.ring.end >= upto);
  const once = got.every((index, i) => i === 0 || index === got[i - 1] + 1);
  const twice = beats.length - new Set(beats.map(String)).size;
  let holes = 0;
  for (let k = bed.ring.start; k < bed.ring.end; k++) holes += Number.isNaN(bed.ring.samples[2 * (k & 16383)]);
  return { once, twice, holes, hellos };
}"""


async def test_after_a_reconnect_there_is_no_hole_and_nothing_twice(page: Page, source: Source) -> None:
    await page.goto(source.hub.url)
    found = await page.evaluate(RESUMED, source.hub.url.replace("http", "ws") + "ws")
    assert found == {"once": True, "twice": 0, "holes": 0, "hellos": 2}


async def test_hostile_names_are_only_text(page: Page, source: Source) -> None:
    names = [
        "<img src=x onerror='window.pwned=1'>",
        '"><script>window.pwned=1</script>',
        "</bdi></h2><svg onload=window.pwned=1>",
        "javascript:window.pwned=1",
        "{{constructor.constructor('window.pwned=1')()}}",
        "\u202egnp.\u0000evil",
    ]
    for i, name in enumerate(names):
        view = replace(view_of(f"x-{i}"), alias=name, leads=(name, name), rhythm=name)
        source.views[view.bed] = view
        source.tell(Alarm(view.bed, 5, 9, "VTACH", "high", id=f"{name}", text=name))
    await open_wall(page, source)
    await page.wait_for_selector("[data-bed=x-5] .alarm")
    await text_of(page, "[data-bed=x-0] .rhythm", names[0])

    shown = await page.locator("[data-bed^=x-] .name").all_text_contents()
    assert sorted(shown) == sorted(names)
    assert await page.evaluate("window.pwned") is None
    assert await page.locator(".tile img, .tile script").count() == 0


# Ten minutes of a device whose clock is off, in chunks that arrive late by chance: how far the newest sample is
# ahead of the one shown (s, least and most after the first ten seconds), and the longest step of a frame (samples).
PLAY_OUT = """async ({ ppm, chunk, jitter }) => {
  const { Playout } = await import("/playout.js");
  const playout = new Playout();
  const fs = 360;
  let seed = 7;
  const chance = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const late = () => 0.02 + jitter * chance();
  let end = -1, next = chunk, arrives = chunk / fs + late(), least = Infinity, most = 0, step = 0;
  for (let now = 0; now < 600; now += 1 / 60) {
    while (arrives <= now) {
      end = next;
      playout.arrived(arrives, end, chunk);
      next += chunk;
      arrives = Math.max(arrives, (next / fs) * (1 + ppm / 1e6) + late());
    }
    const before = playout.position;
    playout.advance(now, end);
    if (now < 10) continue;
    least = Math.min(least, (end - playout.position) / fs);
    most = Math.max(most, (end - playout.position) / fs);
    step = Math.max(step, playout.position - before);
  }
  return { least, most, step };
}"""


@pytest.mark.parametrize("ppm", [-100, 0, 100])
@pytest.mark.parametrize(("chunk", "jitter"), [(18, 0.01), (36, 0.1), (90, 0.03)])
async def test_playout_keeps_its_distance_from_a_clock_that_is_off(
    page: Page, source: Source, ppm: int, chunk: int, jitter: float
) -> None:
    await page.goto(source.hub.url)
    reached = await page.evaluate(PLAY_OUT, {"ppm": ppm, "chunk": chunk, "jitter": jitter})
    assert reached["least"] > 0.02  # never dry
    assert reached["most"] < 0.25 + max(0, chunk / 360 - 0.1) + 0.02
    assert reached["step"] < 7  # 6 samples a frame: an even pace


async def test_walls_of_every_size_fit(page: Page, source: Source) -> None:
    source.views = {view.bed: view for view in (view_of(f"bed-{i:02d}") for i in range(64))}
    await open_wall(page, source)
    await page.wait_for_function("() => document.querySelectorAll('.tile').length === 64")
    await until_pixels(page, INK, 500)

    columns = "getComputedStyle(document.getElementById('wall')).gridTemplateColumns.split(' ').length"
    fits = "document.documentElement.scrollHeight <= innerHeight && document.documentElement.scrollWidth <= innerWidth"
    for count, expected in ((64, 8), (16, 2), (8, 2), (1, 1)):
        source.views = dict(list(source.views.items())[:count])
        async with Hub(asyncio.Queue(8), port=0) as hub:
            source.hub = hub
            source.tick()
            await page.goto(hub.url)
            await page.wait_for_function(f"() => document.querySelectorAll('.tile').length === {count}")
            await page.wait_for_function(f"() => {columns} === {expected}")
            await page.wait_for_function(fits)
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.wait_for_function(f"() => {columns} === 1")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
