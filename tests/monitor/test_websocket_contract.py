"""monitor/docs/websocket.md: its client runs against a real hub, and its tables name what the code has."""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from monitor import feed
from monitor.backfill import FIRST_SECONDS, KEPT_SECONDS
from monitor.events import Alarm
from monitor.hub import CLOSE_ABOVE, CLOSE_AFTER, MAX_COMMAND, MAX_RESUME, MAX_VIEWERS, RESUME_WITHIN, SHED_ABOVE, Hub
from monitor.profiles import RANGES
from monitor.views import BedView, Wave

DOCUMENT = (Path(__file__).parents[2] / "monitor" / "docs" / "websocket.md").read_text(encoding="utf-8")
DEADLINE = 30.0


@contextlib.asynccontextmanager
async def client(hub: Hub, folder: Path) -> AsyncIterator[list[str]]:
    """Lines that the document's client prints."""
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    path = folder / "client.py"
    path.write_text(program)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-u", str(path), f"127.0.0.1:{hub.port}", stdout=asyncio.subprocess.PIPE
    )
    lines: list[str] = []

    async def read() -> None:
        assert child.stdout is not None
        async for line in child.stdout:
            lines.append(line.decode().rstrip())

    reading = asyncio.create_task(read())
    try:
        yield lines
        assert child.returncode is None, "it goes on"
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        await reading


async def until(condition: object) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_the_client_hears_alarms_numbers_and_every_sample_once(tmp_path: Path) -> None:
    async with Hub(asyncio.Queue(4), port=0) as hub:
        position = 0

        def tick(*events: Alarm) -> None:
            nonlocal position
            first, position = position, position + 18
            view = BedView("bed-01", "", True, ("II",), 7, 360.0, 0, position, 72.0, "N", 0, 50.0, 120.0, (), 0.0)
            hub.publish(list(events), [Wave("bed-01", first, np.zeros((18, 1), np.float32))], [view], 1.0)

        tick()
        async with client(hub, tmp_path) as lines:
            for number in range(2):
                await until(lambda: hub.viewers == 1)
                for _ in range(30):
                    tick()
                    await asyncio.sleep(0.005)
                tick(Alarm("bed-01", position, position, "TACHY", "medium", id=f"x{number}", text=f"** HR 13{number}"))
                await until(lambda number=number: f"bed-01 ** HR 13{number} raised" in lines)
                for viewer in list(hub._viewers):
                    viewer.transport.abort()
                await until(lambda: hub.viewers == 0)
                tick()
            await until(lambda: hub.viewers == 1)
            tick()
            await until(lambda: any(line.endswith(f"to {position - 1}") for line in lines))
    heard = [re.fullmatch(r"bed-01 samples (\d+) to (\d+)", line) for line in lines]
    spans = [(int(found[1]), int(found[2])) for found in heard if found]
    assert [k for first, last in spans for k in range(first, last + 1)] == [*range(position)]
    assert lines.count("bed-01 ** HR 130 raised") == lines.count("bed-01 ** HR 131 raised") == 1


@pytest.mark.parametrize(
    "text",
    [
        f"version **{feed.PROTOCOL}**",
        f"the last {KEPT_SECONDS:g} s of every waveform",
        f"gets the last {FIRST_SECONDS:g} s",
        f"within {RESUME_WITHIN:g} s",
        f"With {MAX_VIEWERS}\nviewers",
        f"at most {MAX_COMMAND} bytes",
        f"at most {MAX_RESUME >> 10} KiB",
        f"above {SHED_ABOVE >> 10} KiB",
        f"so for {CLOSE_AFTER:g} s, or above {CLOSE_ABOVE >> 20} MiB",
        f"flags: {feed.HISTORY} history, {feed.SHED} shed",
        *(f"`{name}`" for name in RANGES),
    ],
)
def test_the_document_says_what_the_code_does(text: str) -> None:
    assert text in DOCUMENT


def test_the_tables_have_the_layout() -> None:
    assert "| 32 | | the JSON object" in DOCUMENT
    assert struct.calcsize("<2sBBIdQII") == feed._FRAME.size == 32
    assert "| 24 | i16 x n x leads |" in DOCUMENT
    assert feed._SEGMENT.size == 24
