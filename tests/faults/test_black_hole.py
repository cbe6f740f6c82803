"""Row 22: a network that forwards nothing and closes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time

import numpy as np
import pytest
from aiomqtt import Client

from monitor.broker import Broker
from monitor.ecg import FS
from monitor.events import Alarm
from monitor.inbox import Inbox
from monitor.messages import Chunk, encode, topic
from monitor.mqtt import Ingest
from monitor.ward import SILENCE, Ward

SLACK = 3.0
"""Seconds that a busy machine may add; the bench measures."""


class Proxy:
    """Forwards TCP to a port while `open` is set."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.open = asyncio.Event()
        self.open.set()

    async def serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._join, "127.0.0.1", 0)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        with contextlib.suppress(OSError):
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self.open.wait()
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()


@pytest.mark.parametrize("seconds", [1, 5, pytest.param(60, marks=pytest.mark.slow)])
async def test_row_22_silence_is_told_and_ends(seconds: int) -> None:
    ward, inbox = Ward(capacity=1), Inbox()
    ward.warm_up()
    heard: list[tuple[float, Alarm]] = []

    async def tick() -> None:
        while True:
            batch = await inbox.take(0.05)
            now = time.monotonic()
            events = ward.feed([value for value in batch.values if isinstance(value, Chunk)], now=now)
            heard.extend((now, e) for e in events if isinstance(e, Alarm) and e.code == "NO_DATA")
            batch.acknowledge()

    async def send() -> None:
        async with Client("127.0.0.1", broker.port, identifier="device") as device:
            start = time.monotonic()
            for seq in range(10_000):
                chunk = Chunk("bed-01", 1, seq, 36 * seq, FS, np.zeros((36, 2), np.float32))
                await device.publish(topic("bed-01", "ecg"), encode(chunk), qos=1)
                await asyncio.sleep(max(0.0, start + 0.1 * (seq + 1) - time.monotonic()))

    async with Broker() as broker:
        proxy = Proxy(broker.port)
        async with await proxy.serve() as server:
            ingest = Ingest(inbox, "127.0.0.1", server.sockets[0].getsockname()[1])
            tasks = [asyncio.create_task(task) for task in (ingest.run(), tick(), send())]
            try:
                async with asyncio.timeout(20):
                    while not (ward.beds() and ward.beds()[0].position > FS):  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                heard.clear()
                proxy.open.clear()
                closed = time.monotonic()
                await asyncio.sleep(seconds)
                proxy.open.set()
                opened = time.monotonic()
                await asyncio.sleep(SILENCE + SLACK)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    if seconds <= SILENCE:
        assert heard == []
        return
    (raised, first), *_, (cleared, last) = heard
    assert (first.state, last.state) == ("raised", "cleared")
    assert raised - closed < SILENCE + SLACK
    assert 0.0 <= cleared - opened < SILENCE + SLACK
