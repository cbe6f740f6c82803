"""MQTT ingest against both brokers, and against a scripted one for what happens on the wire."""

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from aiomqtt import Client
from gmqtt.mqtt.constants import MQTTv311

from monitor import mqtt
from monitor.broker import Broker
from monitor.child import Child
from monitor.commands import Describe
from monitor.exceptions import MessageError
from monitor.inbox import Inbox, Presence
from monitor.messages import Chunk, encode, topic
from monitor.mqtt import Ingest, parse_meta, parse_status

MOSQUITTO = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
NO_MOSQUITTO = "NOT TESTED: the broker hospitals use, mosquitto, is not installed (apt-get install mosquitto)"


class Mosquitto:
    """A mosquitto with its default limits, for as long as the block lasts."""

    host = "127.0.0.1"

    def __init__(self, folder: Path) -> None:
        with socket.create_server((self.host, 0)) as free:
            self.port = free.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} {self.host}\nallow_anonymous true\nmax_queued_messages 0\n")

    async def __aenter__(self) -> "Mosquitto":
        self._child = Child("mosquitto", [str(MOSQUITTO), "-c", str(self._config)])
        await self._child.start()
        await self._child.wait_for_line(r"mosquitto version \S+ running", 10)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._child.stop()


@pytest.fixture(params=["nats", "mosquitto"])
async def broker(request, tmp_path):
    if request.param == "mosquitto" and MOSQUITTO is None:
        pytest.skip("SKIPPED HALF OF THE BROKER TESTS: mosquitto is not installed (apt-get install mosquitto)")
    async with Broker() if request.param == "nats" else Mosquitto(tmp_path) as running:
        yield running


@contextlib.asynccontextmanager
async def ingesting(inbox, host, port, **settings):
    """Run an ingest; it is subscribed on entry and disconnected on exit."""
    ingest = Ingest(inbox, host, port, **settings)
    task = asyncio.create_task(ingest.run())
    try:
        await until(lambda: ingest.connected)
        yield ingest
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition, seconds=20.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  the condition is a poll of the code under test
            await asyncio.sleep(0.005)


async def collect(inbox, count):
    """Take and acknowledge until there are `count` values."""
    values = []
    async with asyncio.timeout(20):
        while len(values) < count:
            batch = await inbox.take(0.02)
            values += batch.values
            batch.acknowledge()
    return values


def chunk(seq, bed="bed-01"):
    return Chunk(bed, 7, seq, 36 * seq, 360.0, np.full((36, 2), 0.5, np.float32))


def device(broker, identifier="device"):
    return Client(broker.host, broker.port, identifier=identifier)


async def test_messages_become_values(broker):
    inbox = Inbox()
    async with ingesting(inbox, broker.host, broker.port), device(broker) as publisher:
        meta = {"leads": ["MLII", "V1"], "alias": "A", "simulated": True}
        await publisher.publish(topic("bed-01", "meta"), json.dumps(meta), qos=1, retain=True)
        await publisher.publish(topic("bed-01", "status"), '{"online": true}', qos=1, retain=True)
        await publisher.publish(topic("bed-01", "ecg"), encode(chunk(0)), qos=1)
        await publisher.publish(topic("bed-01", "ecg"), encode(chunk(1)), qos=0)
        values = await collect(inbox, 4)
    assert Describe("bed-01", ("MLII", "V1"), "A", simulated=True) in values
    assert Presence("bed-01", True) in values
    chunks = sorted((value for value in values if isinstance(value, Chunk)), key=lambda c: c.seq)
    assert [(c.bed, c.stream, c.seq, c.first, c.fs) for c in chunks] == [
        ("bed-01", 7, 0, 0, 360.0),
        ("bed-01", 7, 1, 36, 360.0),
    ]
    np.testing.assert_array_equal(chunks[0].samples, chunk(0).samples)


async def test_unacknowledged_messages_come_again_and_acknowledged_ones_do_not(broker):
    async with device(broker) as publisher:
        inbox = Inbox()
        async with ingesting(inbox, broker.host, broker.port):
            for seq in range(3):
                await publisher.publish(topic("bed-01", "ecg"), encode(chunk(seq)), qos=1)
            assert len(await collect(inbox, 3)) == 3
            for seq in range(3, 6):
                await publisher.publish(topic("bed-01", "ecg"), encode(chunk(seq)), qos=1)
            await until(lambda: inbox.withheld == 3)
            # The monitor ends here, and the ward never had the last three.
        await publisher.publish(topic("bed-01", "ecg"), encode(chunk(6)), qos=1)
        inbox = Inbox()
        async with ingesting(inbox, broker.host, broker.port):
            values = await collect(inbox, 4)
    assert sorted(value.seq for value in values) == [3, 4, 5, 6]


async def test_malformed_messages_are_counted_and_the_stream_goes_on(broker, caplog):
    inbox = Inbox()
    async with ingesting(inbox, broker.host, broker.port) as ingest, device(broker) as publisher:
        for seq in range(3):
            await publisher.publish(topic("bed-01", "ecg"), encode(chunk(seq)), qos=1)
            await publisher.publish(topic("bed-01", "ecg"), encode(chunk(seq))[:-1], qos=1)
            await publisher.publish(topic("bed-01", "ecg"), "{", qos=1)
            await publisher.publish(topic("bed-01", "meta"), '{"leads": []}', qos=1)
        values = await collect(inbox, 3)
        await until(lambda: ingest.refused.total() == 9)
        batch = await inbox.take(0)
        batch.acknowledge()
        await until(lambda: inbox.withheld == 0)
    assert [value.seq for value in values] == [0, 1, 2]
    assert ingest.refused == {"length": 3, "json": 3, "leads": 3}
    refusals = [r.getMessage() for r in caplog.records if "refused" in r.getMessage()]
    assert len(refusals) == 3, "one line a bed and reason"
    assert all("bed-01" in line for line in refusals)


async def test_retained_samples_are_refused(broker):
    inbox = Inbox()
    async with device(broker) as publisher:
        await publisher.publish(topic("bed-01", "ecg"), encode(chunk(0)), qos=1, retain=True)
    async with ingesting(inbox, broker.host, broker.port) as ingest:
        await until(lambda: ingest.refused["retained"] == 1)


async def test_new_beds_beyond_the_limit_are_refused(broker):
    inbox = Inbox()
    async with ingesting(inbox, broker.host, broker.port, max_beds=2) as ingest, device(broker) as publisher:
        for number in range(5):
            await publisher.publish(topic(f"bed-{number}", "ecg"), encode(chunk(0, f"bed-{number}")), qos=1)
        await publisher.publish(topic("bed-0", "ecg"), encode(chunk(1, "bed-0")), qos=1)
        values = await collect(inbox, 3)
    assert [(value.bed, value.seq) for value in values] == [("bed-0", 0), ("bed-1", 0), ("bed-0", 1)]
    assert ingest.refused == {"beds": 3}


async def test_withheld_acknowledgements_do_not_stall_the_flow(broker):
    """Both brokers deliver 2000 messages in far fewer ticks than 20 in flight would take (100)."""
    count, batches, inbox = 2000, 0, Inbox()
    async with ingesting(inbox, broker.host, broker.port, in_flight=4096):
        # Queue them up while the first is withheld, so that the broker's limit is all that counts.
        async with device(broker) as publisher:
            publisher.pending_calls_threshold = count
            payload = encode(chunk(0))
            await asyncio.gather(*(publisher.publish(topic("bed-01", "ecg"), payload, qos=1) for _ in range(count)))
        await until(lambda: inbox.withheld == count)
        while inbox.withheld:
            batch = await inbox.take(0.05)
            batch.acknowledge()
            batches += 1
            await asyncio.sleep(0)
    assert batches <= 3


async def test_small_in_flight_limit_does_not_wait_for_the_tick(tmp_path):
    """20 in flight and a tick of an hour: the ticks come early, or this never ends."""
    if MOSQUITTO is None:
        pytest.skip(NO_MOSQUITTO)
    count, inbox = 500, Inbox()
    async with Mosquitto(tmp_path) as broker:
        ingest = Ingest(inbox, broker.host, broker.port)
        ingest._version = MQTTv311
        task = asyncio.create_task(ingest.run())
        await until(lambda: ingest.connected)
        async with device(broker) as publisher:
            publisher.pending_calls_threshold = count
            payload = encode(chunk(0))
            for _ in range(count):
                await publisher.publish(topic("bed-01", "ecg"), payload, qos=1)
        values = []
        async with asyncio.timeout(20):
            while len(values) < count:
                batch = await inbox.take(3600)
                values += batch.values
                batch.acknowledge()
        task.cancel()
    assert len(values) == count


async def test_second_monitor_with_the_same_client_id_is_suspected(broker, caplog):
    async with (
        ingesting(Inbox(), broker.host, broker.port),
        ingesting(Inbox(), broker.host, broker.port),
    ):
        await until(lambda: "does another monitor use the client id 'wardbeat'?" in caplog.text)


async def test_broker_that_is_not_there_is_retried_and_said(caplog):
    caplog.set_level(logging.INFO)
    async with Broker() as broker:
        await broker.stop()
        inbox = Inbox()
        ingest = Ingest(inbox, broker.host, broker.port)
        task = asyncio.create_task(ingest.run())
        await until(lambda: "next try in" in caplog.text)
        assert f"MQTT broker at 127.0.0.1:{broker.port}: Connect call failed" in caplog.text
        await broker.start()
        came_back = time.monotonic()
        await until(lambda: ingest.connected)
        assert time.monotonic() - came_back < 2.5
        task.cancel()
    assert "subscribed at the MQTT broker" in caplog.text


async def test_broker_killed_and_started_again_delivers_what_was_not_acknowledged():
    async with Broker() as broker:
        inbox = Inbox()
        async with ingesting(inbox, broker.host, broker.port) as ingest:
            async with device(broker) as publisher:
                await publisher.publish(topic("bed-01", "ecg"), encode(chunk(0)), qos=1)
                assert len(await collect(inbox, 1)) == 1
                await publisher.publish(topic("bed-01", "ecg"), encode(chunk(1)), qos=1)
                await until(lambda: inbox.withheld == 1)
                os.kill(broker.pid, signal.SIGKILL)
                with contextlib.suppress(Exception):  # whatever the device's client makes of it
                    await until(lambda: not ingest.connected)
            await broker.stop()
            await broker.start()
            await until(lambda: ingest.connected)
            async with device(broker, "another") as publisher:
                await publisher.publish(topic("bed-01", "ecg"), encode(chunk(2)), qos=1)
            values = await collect(inbox, 3)
    # Once from before the kill, once again, since its acknowledgement was never sent.
    assert [value.seq for value in values] == [1, 1, 2]


class ScriptedBroker:
    """Speaks just enough MQTT 3.1.1 for one client at a time, and remembers what it was sent.

    Attributes:
        acknowledged: packet ids of the PUBACKs, a list for each connection.
        levels: protocol level of each CONNECT.
        subscribed: topics of each SUBSCRIBE.
    """

    host = "127.0.0.1"

    def __init__(self, *, connack=0, suback=1):
        self.connack, self.suback = connack, suback
        self.acknowledged, self.levels, self.subscribed, self.writers = [], [], [], []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for writer in self.writers:
            writer.close()

    def publish(self, mid, bed, payload):
        name = topic(bed, "ecg").encode()
        self._send(0x32, struct.pack("!H", len(name)) + name + struct.pack("!H", mid) + payload)

    def hang_up(self):
        self.writers[-1].close()

    def _send(self, kind, body):
        length = bytearray()
        size = len(body)
        while True:
            size, low = divmod(size, 128)
            length.append(low | (0x80 if size else 0))
            if not size:
                break
        self.writers[-1].write(bytes([kind]) + bytes(length) + body)

    async def _serve(self, reader, writer):
        self.writers.append(writer)
        self.acknowledged.append([])
        acknowledged = self.acknowledged[-1]
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind = (await reader.readexactly(1))[0]
                size, shift = 0, 0
                while True:
                    byte = (await reader.readexactly(1))[0]
                    size |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        break
                body = await reader.readexactly(size)
                match kind & 0xF0:
                    case 0x10:
                        self.levels.append(body[6])
                        refused = self.connack if body[6] == 5 else 0
                        if self.connack is not None:
                            self._send(0x20, bytes([0, refused]))
                        if refused:
                            writer.close()
                    case 0x80:
                        topics, rest = [], body[2:]
                        while rest:
                            end = 2 + struct.unpack("!H", rest[:2])[0]
                            topics.append(rest[2:end].decode())
                            rest = rest[end + 1 :]
                        self.subscribed.append(topics)
                        self._send(0x90, body[:2] + bytes([self.suback] * len(topics)))
                    case 0x40:
                        acknowledged.append(struct.unpack("!H", body)[0])


async def test_broker_without_mqtt_5_is_spoken_to_in_3_1_1():
    async with ScriptedBroker(connack=1) as broker:
        async with ingesting(Inbox(), broker.host, broker.port):
            assert broker.levels == [5, 4]
            broker.hang_up()
            await until(lambda: len(broker.levels) == 3)
        assert broker.levels == [5, 4, 4], "what the broker speaks is remembered"


async def test_acknowledgements_leave_in_order_of_arrival():
    async with ScriptedBroker(connack=1) as broker:
        inbox = Inbox(capacity=5)
        async with ingesting(inbox, broker.host, broker.port):
            for mid in range(1, 41):
                broker.publish(mid, "bed-01", encode(chunk(mid)) if mid % 3 else b"garbage")
            await until(lambda: inbox.withheld == 40)
            assert broker.acknowledged[-1] == [], "nothing is acknowledged before the ward has it"
            while inbox.withheld:
                batch = await inbox.take(0)
                batch.acknowledge()
                await asyncio.sleep(0)
            await until(lambda: len(broker.acknowledged[-1]) == 40)
        assert broker.acknowledged[-1] == list(range(1, 41))


async def test_acknowledgement_does_not_leave_on_another_connection():
    """Packet id 1 may be another message there."""
    async with ScriptedBroker(connack=1) as broker:
        inbox = Inbox()
        async with ingesting(inbox, broker.host, broker.port) as ingest:
            broker.publish(1, "bed-01", encode(chunk(1)))
            await until(lambda: inbox.withheld == 1)
            broker.hang_up()
            await until(lambda: not ingest.connected)
            await until(lambda: ingest.connected)
            batch = await inbox.take(0)
            assert len(batch.values) == 1
            batch.acknowledge()
            await until(lambda: inbox.withheld == 0)
            broker.publish(9, "bed-01", encode(chunk(2)))
            await collect(inbox, 1)
            await until(lambda: broker.acknowledged[-1])
        assert broker.acknowledged[-1] == [9]
        assert [mids for mids in broker.acknowledged if 1 in mids] == []


async def test_retained_topics_are_subscribed_to_twice(monkeypatch):
    monkeypatch.setattr(mqtt, "SUBSCRIBE_AGAIN", 0.02)
    async with ScriptedBroker(connack=1) as broker, ingesting(Inbox(), broker.host, broker.port) as ingest:
        await until(lambda: len(broker.subscribed) == 2)
        assert ingest.connected
    assert broker.subscribed == [
        ["wardbeat/v1/+/ecg", "wardbeat/v1/+/meta", "wardbeat/v1/+/status"],
        ["wardbeat/v1/+/meta", "wardbeat/v1/+/status"],
    ]


async def test_refused_subscription_is_said(caplog):
    async with ScriptedBroker(connack=1, suback=0x80) as broker:
        ingest = Ingest(Inbox(), broker.host, broker.port)
        task = asyncio.create_task(ingest.run())
        await until(lambda: "access control" in caplog.text)
        assert not ingest.connected
        task.cancel()


async def test_silent_broker_is_given_up(caplog, monkeypatch):
    monkeypatch.setattr(mqtt, "CONNECT_TIMEOUT", 0.05)
    async with ScriptedBroker(connack=None) as broker:
        task = asyncio.create_task(Ingest(Inbox(), broker.host, broker.port).run())
        await until(lambda: "no answer; next try" in caplog.text)
        task.cancel()


async def test_decoder_that_fails_costs_one_message(monkeypatch, caplog):
    def fail(bed, payload):
        raise ZeroDivisionError

    monkeypatch.setattr(mqtt, "decode", fail)
    async with ScriptedBroker(connack=1) as broker:
        inbox = Inbox()
        async with ingesting(inbox, broker.host, broker.port) as ingest:
            broker.publish(1, "bed-01", b"x")
            await until(lambda: ingest.refused["internal"] == 1)
            batch = await inbox.take(0)
            batch.acknowledge()
            await until(lambda: broker.acknowledged[-1] == [1])


@pytest.mark.parametrize("bed", ["a b", "../x", "\u202ebed", "b" * 33, "b\x00"])
async def test_bed_ids_that_are_none_are_refused_in_one_line(bed, caplog):
    async with ScriptedBroker(connack=1) as broker:
        inbox = Inbox()
        async with ingesting(inbox, broker.host, broker.port) as ingest:
            for mid in (1, 2):
                broker.publish(mid, bed, encode(chunk(0)))
            await until(lambda: ingest.refused["bed"] == 2)
    lines = [r.getMessage() for r in caplog.records if "refused" in r.getMessage()]
    assert len(lines) == 1
    assert lines[0].isprintable()


def test_parse_meta():
    assert parse_meta("b", b'{"leads": ["II"]}') == Describe("b", ("II",))
    assert parse_meta("b", b'{"leads": ["II"], "alias": "", "simulated": true}') == Describe(
        "b", ("II",), "", simulated=True
    )


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "json"),
        (b"\xff\xfe", "json"),
        (b"[" * 2000, "json"),
        (b"[]", "json"),
        (b"{}", "leads"),
        (b'{"leads": "II"}', "leads"),
        (b'{"leads": ["a\\u0000"]}', "leads"),
        (b'{"leads": [7]}', "leads"),
        (json.dumps({"leads": ["x"] * 13}).encode(), "leads"),
        (b'{"leads": ["II"], "alias": "\\u202e"}', "alias"),
        (json.dumps({"leads": ["II"], "alias": "x" * 65}).encode(), "alias"),
        (b'{"leads": ["II"], "alias": null}', "alias"),
        (b'{"leads": ["II"], "simulated": 1}', "simulated"),
        (json.dumps({"leads": ["II"], "x": "x" * 5000}).encode(), "size"),
    ],
)
def test_parse_meta_refuses(payload, reason):
    with pytest.raises(MessageError) as caught:
        parse_meta("b", payload)
    assert caught.value.reason == reason


def test_parse_status():
    assert parse_status("b", b'{"online": false}') == Presence("b", False)
    for payload in (b"{}", b'{"online": 1}', b"null"):
        with pytest.raises(MessageError):
            parse_status("b", payload)
