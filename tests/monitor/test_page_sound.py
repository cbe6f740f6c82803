"""What the page sounds like: bursts rendered off line, and which alarm is heard."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Browser, Page
from screen import BROWSER, CHROMIUM, FLAGS, Source, browser, commands, open_wall, page, source

from monitor import events
from monitor.events import Alarm

__all__ = ["browser", "commands", "page", "source"]  # fixtures
pytestmark = BROWSER

RATE = 8000
# One burst, rendered without a loudspeaker.
RENDER = """async ([priority, rate]) => {
  const { BURSTS, lengthOf, playBurst } = await import("/bursts.js");
  const burst = BURSTS[priority];
  const context = new OfflineAudioContext(1, Math.ceil((lengthOf(burst) + 0.3) * rate), rate);
  playBurst(context, context.destination, burst, 0.1);
  const rendered = await context.startRendering();
  return { samples: [...rendered.getChannelData(0)], burst };
}"""


def pulses_in(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Onsets and ends of the pulses, s: where 2 ms have any sound."""
    width = RATE // 500
    loud = np.abs(samples[: len(samples) // width * width]).reshape(-1, width).max(1) > 1e-4
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud, [0]])))
    return edges[::2] * width / RATE, edges[1::2] * width / RATE


@pytest.mark.parametrize(("priority", "pulses"), [("high", 10), ("medium", 3), ("low", 2)])
async def test_a_burst_is_within_the_ranges_of_its_priority(
    page: Page, source: Source, priority: str, pulses: int
) -> None:
    await page.goto(source.hub.url)
    rendered: dict[str, Any] = await page.evaluate(RENDER, [priority, RATE])
    samples = np.array(rendered["samples"])
    starts, ends = pulses_in(samples)
    assert len(starts) == pulses
    lengths, spaces = ends - starts, starts[1:] - ends[:-1]
    tolerance = 0.006
    shortest, longest = (0.075, 0.2) if priority == "high" else (0.125, 0.25)
    assert np.all((lengths > shortest - tolerance) & (lengths < longest + tolerance))
    if priority == "high":
        usual = np.delete(spaces, [2, 4, 7])
        assert np.all((usual > 0.05) & (usual < 0.125))
        assert spaces[[2, 7]] == pytest.approx(2 * usual.mean() + lengths.mean(), abs=0.02)
        assert 0.35 < spaces[4] < 1.3
        assert 2.5 < rendered["burst"]["interval"] < 15
    else:
        assert np.all((spaces > 0.125) & (spaces < 0.25))
        assert rendered["burst"]["interval"] > (2.5 if priority == "medium" else 15)
    assert np.abs(samples).max() <= 1

    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE)
    fundamental = rendered["burst"]["frequency"]
    assert 150 < fundamental < 1000
    levels = [power[np.abs(frequencies - k * fundamental) < 12].max() for k in range(1, 6)]
    assert frequencies[power.argmax()] == pytest.approx(fundamental, abs=12)
    assert min(levels) > max(levels) * 10 ** (-15 / 20), "four harmonics within 15 dB"


async def test_a_pulse_rises_and_falls_without_a_click(page: Page, source: Source) -> None:
    await page.goto(source.hub.url)
    rendered = await page.evaluate(RENDER, ["medium", RATE])
    samples = np.abs(np.array(rendered["samples"]))
    start = int(0.1 * RATE)
    length = rendered["burst"]["duration"]
    peak = samples.max()
    rise = (np.argmax(samples[start:] > 0.9 * peak)) / RATE
    assert 0.1 * length < rise < 0.4 * length + 0.005
    edge = RATE // 1000  # the first and the last millisecond of a pulse
    end = start + int(length * RATE)
    assert max(samples[start : start + edge].max(), samples[end - edge : end].max()) < 0.1 * peak


# Which priority is heard, step by step, on a clock of our own.
FOLLOW = """async (steps) => {
  const { Sound } = await import("/sound.js");
  const parameter = { value: 0, setValueAtTime() {}, linearRampToValueAtTime() {} };
  const node = () => ({ gain: parameter, frequency: parameter, connect: (next) => next, disconnect() {},
                        start() {}, stop() {}, setPeriodicWave() {} });
  const context = { state: "running", currentTime: 0, destination: {}, resume: async () => {},
                    createOscillator: node, createGain: node, createPeriodicWave: () => ({}) };
  const sound = new Sound(() => context);
  return steps.map(({ at, alarms, state }) => {
    context.currentTime = at;
    context.state = state ?? "running";
    sound.update(alarms);
    return [sound.state, sound.priority, { ...sound.played }];
  });
}"""


def heard(priority: str, **changes: Any) -> dict[str, Any]:
    return {"priority": priority, "audio": "on", "state": "raised", **changes}


async def test_only_the_gravest_alarm_is_heard_and_a_graver_one_cuts_in(page: Page, source: Source) -> None:
    await page.goto(source.hub.url)
    medium, high = heard("medium"), heard("high")
    steps = [
        {"at": 0.0, "alarms": [heard("low"), medium]},
        {"at": 0.3, "alarms": [heard("low"), medium]},  # its burst goes on
        {"at": 0.4, "alarms": [medium, high]},  # cuts in
        {"at": 3.0, "alarms": [medium, high]},  # between two bursts
        {"at": 7.0, "alarms": [medium, high]},  # the next
        {"at": 7.1, "alarms": [medium, heard("high", audio="silenced", state="acknowledged")]},  # burst still on
        {"at": 10.0, "alarms": [medium, heard("high", audio="paused")]},
        {"at": 10.1, "alarms": [heard("medium", late=True), heard("low", audio="off", state="cleared")]},
        {"at": 10.2, "alarms": [heard("high", state="latched")]},
        {"at": 10.3, "alarms": [heard("high")], "state": "suspended"},
    ]
    told = await page.evaluate(FOLLOW, steps)
    assert [(state, priority) for state, priority, _ in told] == [
        ("on", "medium"),
        ("on", "medium"),
        ("on", "high"),
        ("on", "high"),
        ("on", "high"),
        ("on", "high"),
        ("on", "medium"),
        ("on", None),
        ("on", "high"),
        ("blocked", None),
    ]
    assert [sum(played.values()) for _, _, played in told] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


# Counts the bursts that the page itself begins.
SPY = """() => {
  window.tones = [];
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (when) {
    window.tones.push(this.frequency.value);
    return start.call(this, when);
  };
}"""


async def test_an_alarm_sounds_until_it_is_acknowledged_and_a_new_one_breaks_through(
    page: Page, source: Source
) -> None:
    await page.add_init_script(f"({SPY})()")
    await open_wall(page, source)
    await page.wait_for_function("() => document.querySelector('#pause-all .text').textContent === 'Audio on'")
    assert await page.locator("#silent").is_hidden()
    alarm = Alarm("bed-01", 5, 9, "TACHY", "medium", id="1", text="** HR 131>120")
    source.tell(alarm)
    await page.wait_for_function("() => window.tones.includes(495)")
    source.tell(replace(alarm, state="acknowledged", audio="silenced", silence=120.0))
    await page.wait_for_selector("[data-bed=bed-01] .alarm[data-state=acknowledged]")
    count = await page.evaluate("() => window.tones.length")
    source.tell(Alarm("bed-01", 5, 9, "VTACH", "high", id="2", text="*** VTACH 181>100"))
    await page.wait_for_function("() => window.tones.at(-1) === 660")
    assert await page.evaluate("() => window.tones.length") == count + 1

    source.change("bed-01", pause_left=100.0)
    source.events.append(events.Audio("bed-01", 9, 9, True, 100.0, "wall"))
    await page.wait_for_selector("[data-bed=bed-01] .alarm[data-audio=paused]")
    count = await page.evaluate("() => window.tones.length")
    await asyncio.sleep(0.6)  # two refreshes
    assert await page.evaluate("() => window.tones.length") == count


async def test_the_beep_coincides_with_the_heart_of_the_bed_in_view(page: Page, source: Source) -> None:
    await page.add_init_script(f"({SPY})()")
    await page.add_init_script("localStorage.setItem('wardbeat', JSON.stringify({ beep: true }))")
    await page.goto(f"{source.hub.url}#bed=bed-01")
    await page.wait_for_selector("#bed-view .heart.lit")
    await page.wait_for_function("() => window.tones.includes(880)")
    # A beep begins in the very frame in which the heart lights up.
    apart = await page.evaluate("""() => new Promise((done) => {
      const heart = document.querySelector("#bed-view .heart");
      const before = window.tones.length;
      new MutationObserver((_, observer) => {
        if (!heart.classList.contains("lit")) return;
        observer.disconnect();
        done(window.tones.length - before);
      }).observe(heart, { attributes: true });
    })""")
    assert apart in (1, 2)


async def test_sound_that_the_browser_blocks_is_said_and_a_touch_brings_a_tone(
    source: Source, browser: Browser
) -> None:
    flags = [flag for flag in FLAGS if "autoplay" not in flag]
    strict = await browser.browser_type.launch(executable_path=CHROMIUM, args=flags)
    page = await strict.new_page()
    try:
        await page.add_init_script(f"({SPY})()")
        await open_wall(page, source)
        await page.wait_for_selector("#silent:not([hidden])")
        await page.wait_for_selector("#pause-all[data-sound=blocked]")
        await page.click("#clock")
        await page.wait_for_selector("#silent", state="hidden")
        assert await page.evaluate("() => window.tones") == [440]
        await page.click("#view-button")
        await page.select_option("[name=sound]", "false")
        await page.wait_for_selector("#pause-all[data-sound=off]")
        await page.click("#test-sound")
        await page.wait_for_function("() => document.querySelector('#heard').textContent.startsWith('No sound')")
        await page.select_option("[name=sound]", "true")
        await page.click("#test-sound")
        await page.wait_for_function("() => document.querySelector('#heard').textContent === 'A tone was sounded.'")
    finally:
        await strict.close()
