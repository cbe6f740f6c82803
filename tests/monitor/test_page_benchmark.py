"""``wardbeat bench page`` and the pictures of ``wardbeat demo --pictures``."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image
from screen import Source, view_of
from typer.testing import CliRunner

from monitor import pictures
from monitor.chromium import SIZE, chromium
from monitor.cli.bench import app
from monitor.events import Alarm
from monitor.exceptions import ConfigError
from monitor.hub import Hub
from monitor.page_benchmark import FIGURES

needs_browser = pytest.mark.skipif(shutil.which("chromium") is None, reason="NO BROWSER (apt install chromium)")


@pytest.mark.browser
@needs_browser
def test_page_is_told_in_a_table_and_written_as_json(tmp_path: Path) -> None:
    file = tmp_path / "page.json"
    command = ["page", "--beds", "3", "--leads", "2", "--seconds", "2", "--json", str(file)]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0
    assert "3 beds x 2 leads, 1600 x 900 px, 2 s" in result.stdout
    assert all(name in result.stdout for name in FIGURES.values())
    document = json.loads(file.read_text())
    assert document["bench"] == "page"
    assert document["figures"]["fps"] > 1
    # Three beds of two leads at 360 Hz, 2 bytes a sample, and what frames and numbers cost beside.
    assert 4 < document["figures"]["bytes"] < 20


async def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ConfigError, match="apt install chromium"):
        async with chromium():
            pass
    monkeypatch.setitem(sys.modules, "playwright.async_api", None)
    with pytest.raises(ConfigError, match="pip install 'playwright"):
        async with chromium():
            pass


@pytest.mark.browser
@needs_browser
async def test_pictures_are_taken_of_the_wall_of_the_bed_in_alarm_and_of_its_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "FULL_SWEEP", 0.3)
    monkeypatch.setattr(pictures, "FRAMES", 3)
    async with Hub(asyncio.Queue(64), port=0) as hub:
        source = Source(hub)
        source.views["ward 7/4"] = view_of("ward 7/4")
        running = asyncio.create_task(source.run())
        source.tell(Alarm("ward 7/4", 5, 9, "VTACH", "high", id="1", text="*** VTACH 181>100"))
        files = await pictures.take(hub.url, tmp_path)
        running.cancel()
    assert sorted(file.name for file in files) == [
        *("alarm-dark.png", "alarm-light.png", "bed-dark.png", "bed-light.png"),
        *("wall-dark.png", "wall-light.png", "wall.webp"),
    ]
    assert Image.open(tmp_path / "wall-dark.png").size == SIZE
    assert getattr(Image.open(tmp_path / "wall.webp"), "n_frames", 1) == 3
    ground = {theme: Image.open(tmp_path / f"wall-{theme}.png").convert("RGB") for theme in ("dark", "light")}
    bar = (SIZE[0] // 2, 2)
    assert sum(ground["dark"].getpixel(bar)) < 200 < 600 < sum(ground["light"].getpixel(bar))
