"""A browser without a window, for measuring the page and taking pictures of it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Literal

from monitor.exceptions import ConfigError

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

SIZE: Final = (1600, 900)
"""Of the page, px."""

_FLAGS: Final = (
    "--no-sandbox",  # a container's root may not have one; only our own page is shown
    "--disable-gpu",  # software rendering: what every machine can do
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",  # nobody is there to click
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run the system's Chromium.

    Raises:
        ConfigError: it or Playwright, which drives it, is not installed.
    """
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        raise ConfigError(
            "Playwright, which drives the browser, is not installed", remedy="pip install 'playwright>=1.50,<2'"
        ) from None
    program = shutil.which("chromium")
    if program is None:
        raise ConfigError("there is no chromium", where="PATH", remedy="apt install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=list(_FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


async def open_wall(
    browser: Browser, url: str, *, theme: Literal["dark", "light"] = "dark", size: tuple[int, int] = SIZE
) -> Page:
    """Open the wall, and wait until it has beds."""
    page = await browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=theme)
    await page.goto(url)
    await page.wait_for_selector(".tile")
    return page
