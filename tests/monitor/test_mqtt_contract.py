"""monitor/docs/mqtt.md and monitor/mosquitto/: the device and the access control, at a real broker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiomqtt import Client, MqttError

from monitor import messages
from monitor.broker import Broker
from monitor.child import Child
from monitor.commands import Describe
from monitor.inbox import Inbox, Presence
from monitor.messages import Chunk, topic
from monitor.mqtt import Ingest

MONITOR = Path(messages.__file__).parent
DOCUMENT = (MONITOR / "docs" / "mqtt.md").read_text(encoding="utf-8")
PATH = os.environ.get("PATH", "") + ":/usr/sbin"
MOSQUITTO, PASSWD = shutil.which("mosquitto", path=PATH), shutil.which("mosquitto_passwd", path=PATH)
SECONDS = 3


async def test_the_documents_device_is_heard_to_the_sample(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    path = tmp_path / "device.py"
    path.write_text(program)
    inbox = Inbox()
    async with Broker() as broker, asyncio.timeout(60):
        listening = asyncio.create_task(Ingest(inbox, broker.host, broker.port).run())
        arguments = (broker.host, str(broker.port), "bed-07", str(SECONDS))
        child = await asyncio.create_subprocess_exec(sys.executable, str(path), *arguments)
        values: list[object] = []
        try:
            while sum(isinstance(value, Chunk) for value in values) < SECONDS * 10:
                batch = await inbox.take(0.05)
                values += batch.values
                batch.acknowledge()
            assert await child.wait() == 0
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening
            with contextlib.suppress(ProcessLookupError):
                child.kill()
    assert Describe("bed-07", ("II",)) in values
    assert Presence("bed-07", True) in values
    chunks = sorted((value for value in values if isinstance(value, Chunk)), key=lambda chunk: chunk.seq)
    assert [(chunk.seq, chunk.first, chunk.fs) for chunk in chunks] == [(k, 25 * k, 250.0) for k in range(30)]
    assert max(float(chunk.samples.max()) for chunk in chunks) == pytest.approx(1.0)


def test_the_table_has_the_layout_and_the_limits() -> None:
    assert "| 44 | i16 x n x leads" in DOCUMENT
    assert struct.calcsize("<2sBBHHIIQqqf") == messages._HEADER.size == 44
    assert f"1 to {messages.MAX_SAMPLES}" in DOCUMENT
    assert f"{messages.MAX_PAYLOAD // 1024} KiB" in DOCUMENT


def _add_user(passwords: Path, user: str) -> None:
    subprocess.run([str(PASSWD), "-b", str(passwords), user, user], check=True, capture_output=True)


@contextlib.asynccontextmanager
async def guarded(folder: Path, *users: str) -> AsyncIterator[int]:
    """A mosquitto with the shipped configuration on a free port; everybody's password is their name."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for name in ("acl", "mosquitto.conf"):
        shutil.copy(MONITOR / "mosquitto" / name, folder / name)
    config = folder / "mosquitto.conf"
    text = config.read_text().replace("listener 1883", f"listener {port}")
    for name in ("acl", "passwords"):
        text = text.replace(f"_file {name}", f"_file {folder / name}")
        (folder / name).touch(mode=0o600)
        (folder / name).chmod(0o600)
    config.write_text(f"user root\n{text.replace('persistence_location ./', f'persistence_location {folder}/')}")
    for user in users:
        _add_user(folder / "passwords", user)
    child = Child("mosquitto", [str(MOSQUITTO), "-c", str(config)])
    await child.start()
    try:
        await child.wait_for_line(r"mosquitto version \S+ running", 10)
        yield port
    finally:
        await child.stop()


@pytest.mark.skipif(not (MOSQUITTO and PASSWD), reason="mosquitto is not installed (apt-get install mosquitto)")
async def test_row_44_a_bed_cannot_publish_as_another(tmp_path: Path) -> None:
    def client(user: str) -> Client:
        return Client("127.0.0.1", port, identifier=f"of-{user}", username=user, password=user)

    heard: list[str] = []
    async with (
        asyncio.timeout(30),
        guarded(tmp_path, "monitor", "bed-a", "bed-b") as port,
        client("monitor") as monitor,
    ):
        await monitor.subscribe("wardbeat/v1/+/ecg", qos=1)
        with contextlib.suppress(MqttError):  # some versions close the connection
            async with client("bed-a") as forger:
                await forger.publish(topic("bed-b", "ecg"), "forged", qos=1)
        async with client("bed-a") as a, client("bed-b") as b:
            await a.publish(topic("bed-a", "ecg"), "own", qos=1)
            await b.publish(topic("bed-b", "ecg"), "own", qos=1)
            async for message in monitor.messages:
                assert message.payload == b"own"
                heard.append(str(message.topic))
                if len(heard) == 2:
                    break
            with contextlib.suppress(MqttError):
                await a.subscribe("wardbeat/v1/+/ecg", qos=1)
            await b.publish(topic("bed-b", "ecg"), "private", qos=1)
            assert (await anext(aiter(monitor.messages))).payload == b"private"
            with pytest.raises((TimeoutError, MqttError)):
                async with asyncio.timeout(0.5):
                    await anext(aiter(a.messages))
    assert heard == [topic("bed-a", "ecg"), topic("bed-b", "ecg")]
