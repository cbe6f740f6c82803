"""Pictures of the page as it runs: the wall, a bed, an alarm, and the wall in motion."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

from monitor.chromium import chromium, open_wall

if TYPE_CHECKING:
    from playwright.async_api import Page

FULL_SWEEP: Final = 12.0
"""Seconds until the strips are full and the rates are known."""

PATIENCE: Final = 90.0
"""Seconds to wait for a high-priority alarm; then the pictures are taken without one."""

FRAMES: Final = 40
PER_SECOND: Final = 8
"""Of the moving picture."""

_IN_ALARM: Final = '#wall .tile[data-priority="high"]'
_LIT: Final = "() => document.documentElement.dataset.high === 'on'"


async def take(url: str, folder: Path) -> list[Path]:
    """Look at a running monitor, dark and light, and keep what was seen.

    Args:
        url: of the page.
        folder: where the pictures go.

    Returns:
        The files written.

    Raises:
        ConfigError: there is no browser, or nothing that drives it.
    """
    files = []

    def file(name: str) -> Path:
        files.append(folder / name)
        return files[-1]

    async with chromium() as browser:
        pages = {theme: await open_wall(browser, url, theme=theme) for theme in ("dark", "light")}
        await asyncio.sleep(FULL_SWEEP)
        bed = await _bed_in_alarm(pages["dark"])
        for theme, page in pages.items():
            await page.wait_for_function(_LIT)
            await page.screenshot(path=file(f"wall-{theme}.png"))
            await page.locator(f'#wall .tile[data-bed="{bed}"]').screenshot(path=file(f"alarm-{theme}.png"))
        await _film(pages["dark"], file("wall.webp"))
        for page in pages.values():
            await page.evaluate("(bed) => { location.hash = '#bed=' + encodeURIComponent(bed); }", bed)
        await asyncio.sleep(FULL_SWEEP)
        for theme, page in pages.items():
            await page.screenshot(path=file(f"bed-{theme}.png"))
    return files


async def _bed_in_alarm(page: Page) -> str:
    """A bed with a high-priority alarm; the first bed when none comes."""
    from playwright.async_api import TimeoutError

    try:
        tile = await page.wait_for_selector(_IN_ALARM, timeout=1000 * PATIENCE)
    except TimeoutError:
        tile = await page.wait_for_selector("#wall .tile")
    return (await tile.get_attribute("data-bed") if tile else None) or ""


async def _film(page: Page, file: Path) -> None:
    """The page in motion, as an animated WebP."""
    shots: list[bytes] = []
    clock = asyncio.get_running_loop()
    began = clock.time()
    for number in range(FRAMES):
        shots.append(await page.screenshot(type="jpeg", quality=92))
        await asyncio.sleep(max(0.0, began + (number + 1) / PER_SECOND - clock.time()))
    took = 1000 * (clock.time() - began) / FRAMES
    await asyncio.to_thread(_animate, shots, round(took), file)  # seconds, and the ward runs in this process


def _animate(shots: list[bytes], ms: int, file: Path) -> None:
    from PIL import Image

    small = (1200, 675)
    first, *rest = [Image.open(io.BytesIO(shot)).resize(small) for shot in shots]
    first.save(file, save_all=True, append_images=rest, duration=ms, loop=0, quality=60)
