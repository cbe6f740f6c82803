"""monitor/docs/mqtt.md and the broker's configuration: the device in it works, and a bed can only speak for itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import socket
import struct
import sys
from pathlib import Path

import aiomqtt
import pytest
from typer.testing import CliRunner

from monitor import messages
from monitor.broker import Broker
from monitor.child import Child
from monitor.cli import broker_config
from monitor.exceptions import ConfigError
from monitor.inbox import Inbox
from monitor.messages import Chunk
from monitor.mqtt import Ingest
from monitor.publisher import Publisher, alarm_topic
from monitor.settings import load_settings

DOCUMENT = (Path(messages.__file__).with_name("docs") / "mqtt.md").read_text(encoding="utf-8")
SBIN = ":/usr/sbin"
MOSQUITTO = shutil.which("mosquitto", path=f"/usr/bin{SBIN}")
needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="NO MOSQUITTO: its configuration is NOT tested")


async def until(condition, seconds=30.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def test_the_header_is_as_the_code_has_it():
    table = DOCUMENT[DOCUMENT.index("## Samples, binary") : DOCUMENT.index("## Samples, JSON")]
    rows = re.findall(r"^\| (\d+) \| (\S+(?: bytes)?) \|", table, re.MULTILINE)
    sizes = {"2 bytes": "2s", "u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i64": "q", "f32": "f"}
    codes = "".join(sizes[kind] for _, kind in rows if kind != "i16")
    assert struct.Struct("<" + codes).format == messages._HEADER.format
    offsets = [struct.calcsize("<" + "".join(sizes[kind] for _, kind in rows[:i])) for i in range(len(rows))]
    assert [int(offset) for offset, _ in rows] == offsets


def test_the_json_example_is_a_message():
    (example,) = re.findall(r"```json\n(.*?)\n```", DOCUMENT, re.DOTALL)
    assert messages.decode("bed", example.encode()).samples.shape == (3, 1)


async def test_the_device_is_heard(tmp_path):
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    (tmp_path / "device.py").write_text(program)
    inbox = Inbox()
    async with Broker() as broker:
        ingest = Ingest(inbox, broker.host, broker.port)
        task = asyncio.create_task(ingest.run())
        device = None
        try:
            await until(lambda: ingest.connected)
            device = await asyncio.create_subprocess_exec(
                sys.executable, str(tmp_path / "device.py"), broker.host, str(broker.port), "my-bed"
            )
            chunks: list[Chunk] = []
            async with asyncio.timeout(30):
                while len(chunks) < 5:
                    batch = await inbox.take(0.05)
                    chunks += [value for value in batch.values if isinstance(value, Chunk)]
                    batch.acknowledge()
        finally:
            if device is not None:
                device.kill()
                await device.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await inbox.abandon()
    assert [chunk.bed for chunk in chunks] == ["my-bed"] * len(chunks)
    assert [chunk.first for chunk in chunks] == [25 * n for n in range(len(chunks))]
    assert not ingest.refused


# -- mosquitto as it is shipped


@contextlib.asynccontextmanager
async def mosquitto(folder: Path):
    """A mosquitto as it is shipped, with users bed-01, bed-02 and monitor, each with its name as password."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    result = CliRunner().invoke(_app(), ["--out", str(folder)])
    assert result.exit_code == 0
    config = folder / "mosquitto.conf"
    text = config.read_text().replace("listener 1883", f"listener {port}")
    config.write_text(text + "\nuser root\n")  # or it gives up root, and cannot read the test's folder
    (folder / "passwd").touch(0o600)
    for user in ("bed-01", "bed-02", "monitor"):
        program = shutil.which("mosquitto_passwd", path=f"/usr/bin{SBIN}")
        assert program is not None
        made = await asyncio.create_subprocess_exec(program, "-b", str(folder / "passwd"), user, user)
        assert await made.wait() == 0
    child = Child("mosquitto", [str(MOSQUITTO), "-c", str(config)])
    await child.start()
    try:
        await child.wait_for_line(r"mosquitto version \S+ running", 10)
        yield port
    finally:
        await child.stop()


def _app():
    import typer

    app = typer.Typer()
    app.command()(broker_config.broker_config)
    return app


def client(port, user):
    return aiomqtt.Client("127.0.0.1", port, username=user, password=user, identifier=user)


@needs_mosquitto
async def test_a_bed_can_only_speak_for_itself(tmp_path):
    payload = json.dumps({"leads": ["II"]})
    async with mosquitto(tmp_path) as port:
        inbox = Inbox()
        ingest = Ingest(inbox, "127.0.0.1", port, login=("monitor", "monitor"))
        task = asyncio.create_task(ingest.run())
        try:
            await until(lambda: ingest.connected)
            for place in ("bed-02/meta", "bed-01/alarms", "bed-01/meta"):
                with contextlib.suppress(aiomqtt.MqttError):  # what may not be published ends the connection
                    async with client(port, "bed-01") as bed:
                        await bed.publish(f"wardbeat/v1/{place}", payload, qos=1)
            heard = []
            async with asyncio.timeout(10):
                while not heard:
                    batch = await inbox.take(0.05)
                    heard += batch.values
                    batch.acknowledge()
            assert [value.bed for value in heard] == ["bed-01"], "and what it said as bed-02 never came"
            with pytest.raises(aiomqtt.MqttError):
                async with aiomqtt.Client("127.0.0.1", port, identifier="nobody"):
                    pass
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await inbox.abandon()


@needs_mosquitto
async def test_the_monitor_alone_publishes_alarms(tmp_path):
    from monitor.events import Alarm
    from monitor.tick import Tick

    async with mosquitto(tmp_path) as port:
        publisher = Publisher("127.0.0.1", port, login=("monitor", "monitor"))
        with publisher:
            task = asyncio.create_task(publisher.run())
            try:
                await until(lambda: publisher.connected)
                publisher.write(Tick(1, 0.0, 0.0, [Alarm("bed-01", 1, 2, "TACHY", id="x")]))
                await until(lambda: publisher.acknowledged == 1)
                assert publisher.refused == 0
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
    assert alarm_topic("bed-01") == "wardbeat/v1/bed-01/alarms"


def test_a_file_that_is_there_is_left_alone(tmp_path):
    (tmp_path / "acl").write_text("mine")
    with pytest.raises(ConfigError, match="is there already"):
        broker_config.broker_config(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["acl"]


def test_the_login_is_read_from_a_file_and_never_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "secret").write_text("canary\n")
    settings = load_settings(broker_user="monitor", broker_password_file=tmp_path / "secret")
    assert settings.broker_login() == ("monitor", "canary")
    assert "canary" not in repr(settings)
    assert load_settings().broker_login() is None
    missing = load_settings(broker_user="monitor", broker_password_file=tmp_path / "none")
    with pytest.raises(ConfigError, match="cannot be read"):
        missing.broker_login()
