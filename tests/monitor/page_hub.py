"""A hub with two made-up beds in a process of its own, which a test can stop; prints its address."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from test_page import Source

from monitor.hub import Hub


async def main() -> None:
    async with Hub(asyncio.Queue(8), port=0) as hub:
        print(hub.url, flush=True)
        await Source(hub).run()


asyncio.run(main())
