"""Alarms and beats out to a real broker: at least once, in order, and never at the price of a tick."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiomqtt import Client, MqttError

from monitor import publisher as publisher_module
from monitor.alarm_log import AlarmLog
from monitor.broker import Broker
from monitor.child import Child
from monitor.events import Alarm, Beat, Event, Trigger
from monitor.publisher import Publisher
from monitor.tick import Tick

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
DEADLINE = 30.0


def alarm(number: int, bed: str = "bed-01", state: str = "raised") -> Alarm:
    return Alarm(bed, number, number + 5, "TACHY", "medium", state=state, id=f"{bed}:7:TACHY:{number}")


def tick(number: int, *events: Event) -> Tick:
    return Tick(number, float(number), 1700.0 + number, list(events))


class Mosquitto:
    """mosquitto on a loopback port that it keeps over a restart."""

    host = "127.0.0.1"

    def __init__(self, folder: Path, acl: str = "topic readwrite #") -> None:
        self.folder, self.acl, self.port = folder, acl, 0
        self.child: Child | None = None

    async def start(self) -> None:
        if not self.port:
            server = await asyncio.start_server(lambda *_: None, self.host, 0)
            self.port = server.sockets[0].getsockname()[1]
            server.close()
        (self.folder / "acl").write_text(self.acl + "\n")
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} {self.host}\nallow_anonymous true\n"
            f"user {getpass.getuser()}\nacl_file {self.folder / 'acl'}\n"
        )
        self.child = Child("mosquitto", [str(MOSQUITTO), "-c", str(config)])
        await self.child.start()
        await self.child.wait_for_line(r"mosquitto version \S+ running", 10)

    @property
    def pid(self) -> int:
        assert self.child is not None
        return self.child.pid

    async def stop(self) -> None:
        if self.child is not None:
            await self.child.stop()

    async def __aenter__(self) -> Mosquitto:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


@pytest.fixture(params=["nats", "mosquitto"])
async def broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    if request.param == "mosquitto" and MOSQUITTO is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    async with Broker() if request.param == "nats" else Mosquitto(tmp_path) as broker:
        yield broker


@contextlib.asynccontextmanager
async def publishing(broker: Any, **options: Any) -> AsyncIterator[Publisher]:
    with Publisher(broker.host, broker.port, **options) as publisher:
        task = asyncio.create_task(publisher.run())
        try:
            yield publisher
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def listening(broker: Any) -> AsyncIterator[list[tuple[str, int, dict[str, Any]]]]:
    """Topic, QoS and message of everything the monitor says."""
    heard: list[tuple[str, int, dict[str, Any]]] = []
    ready = asyncio.Event()

    async def listen() -> None:
        while True:
            with contextlib.suppress(MqttError):
                async with Client(broker.host, broker.port, identifier="listener", clean_session=False) as client:
                    for kind in ("alarms", "beats"):
                        await client.subscribe(f"wardbeat/v1/+/{kind}", qos=1)
                    ready.set()
                    async for message in client.messages:
                        heard.append((str(message.topic), message.qos, json.loads(message.payload)))
            await asyncio.sleep(0.1)

    task = asyncio.create_task(listen())
    try:
        await asyncio.wait_for(ready.wait(), DEADLINE)
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Any) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  a poll of the code under test
            await asyncio.sleep(0.01)


async def test_alarms_and_beats_reach_whoever_subscribes(broker: Any) -> None:
    beats = [Beat("bed-02", k, k + 50, "V", "V", final, {"V": 1.0}) for k, final in ((100, True), (400, False))]
    async with listening(broker) as heard, publishing(broker) as publisher:
        await until(lambda: publisher.connected)
        publisher.write(tick(1, Trigger("bed-01", 1, 2)))
        publisher.write(tick(2, alarm(300), *beats, Beat("bed-01", 7, 9)))
        await until(lambda: len(heard) == 3 and publisher.kept == 2)
    by_topic = {topic: (qos, message) for topic, qos, message in heard}
    told = alarm(300).as_dict()
    assert by_topic["wardbeat/v1/bed-01/alarms"] == (1, {"v": 1, "tick": 2, "time": 1702.0, **told})
    qos, message = by_topic["wardbeat/v1/bed-02/beats"]
    assert qos == 0
    assert (message["tick"], [(b["sample"], b["final"]) for b in message["beats"]]) == (2, [(100, True), (400, False)])
    assert message["beats"][0] == {
        "sample": 100,
        "emitted": 150,
        "symbol": "V",
        "aami": "V",
        "final": True,
        "p": {"V": 1.0},
        "search_back": False,
    }
    assert publisher.sent == {"alarms": 1, "beats": 2}
    assert publisher.waiting == {"alarms": 0, "beats": 0}


async def test_no_alarm_is_lost_when_the_broker_is_killed(broker: Any) -> None:
    """The publisher gives each until it is acknowledged; what the broker then loses with its memory is not its own.

    So only the last alarms are known to be heard; those that are heard come first in order.
    """
    async with listening(broker) as heard, publishing(broker) as publisher:
        number = 0
        for _ in range(3):
            await until(lambda: publisher.connected)
            for _ in range(50):
                number += 1
                publisher.write(tick(number, alarm(number), Beat("bed-01", number, number)))
                if number % 10 == 0:
                    await asyncio.sleep(0.002)
            os.kill(broker.pid, signal.SIGKILL)
            await broker.stop()
            assert publisher.kept <= number
            number += 1
            publisher.write(tick(number, alarm(number)))
            await broker.start()
        await until(lambda: publisher.kept == number)
        publisher.write(tick(number + 1, alarm(number + 1)))
        await until(lambda: publisher.kept == number + 1)
    assert publisher.acknowledged == number + 1
    # What the broker acknowledged and lost with its own memory is the broker's: the publisher had it acknowledged.
    assert publisher.waiting["alarms"] == 0
    seen = [m["tick"] for topic, _, m in heard if topic.endswith("alarms")]
    assert set(seen) <= set(range(1, number + 2))
    first = list(dict.fromkeys(seen))
    assert first == sorted(first)


async def test_alarms_that_the_broker_had_not_are_sent_after_a_restart(broker: Any, tmp_path: Path) -> None:
    note, path = tmp_path / "published", tmp_path / "alarms.jsonl"
    with AlarmLog(path) as log:
        ticks = [tick(number, alarm(number), alarm(number, "bed-02")) for number in range(1, 8)]
        for one in ticks:
            log.write(one)
    note.write_text("3")
    async with listening(broker) as heard, publishing(broker, note=note, alarm_log=path) as publisher:
        assert (publisher.kept, publisher.waiting["alarms"]) == (3, 8)
        for one in [*ticks[5:], tick(8, alarm(8))]:  # a snapshot was newer than the others
            publisher.write(one)
        await until(lambda: publisher.kept == 8 and len(heard) == 9)
        assert [message["tick"] for _, _, message in heard] == [4, 4, 5, 5, 6, 6, 7, 7, 8]
        assert heard[0][2] == {"v": 1, "tick": 4, "time": ticks[3].unix, **alarm(4).as_dict()}
    assert note.read_text() == "8"


async def test_alarms_wait_for_a_broker_that_comes_late_and_beats_do_not(tmp_path: Path) -> None:
    async with Broker() as broker:
        await broker.stop()
        async with publishing(broker) as publisher:
            for number in range(1, 101):
                publisher.write(tick(number, alarm(number), Beat("bed-01", number, number)))
            assert (publisher.kept, publisher.waiting) == (0, {"alarms": 100, "beats": 0})
            assert publisher.shed == 100
            await broker.start()
            async with listening(broker) as heard:
                await until(lambda: publisher.kept == 100)
                publisher.write(tick(101, alarm(101)))
                await until(lambda: heard and heard[-1][2]["tick"] == 101)
    assert publisher.acknowledged == 101


async def test_kept_goes_with_the_oldest_alarm_that_waits() -> None:
    publisher = Publisher("127.0.0.1", 1)
    publisher.write(tick(1, alarm(1)))
    publisher.write(tick(2))
    publisher.write(tick(3, alarm(3)))
    assert publisher.kept == 0
    first, third = publisher._alarms
    publisher._acknowledge(first, 0)
    assert publisher.kept == 2
    publisher.write(tick(4))
    assert publisher.kept == 2
    publisher._acknowledge(third, 0)
    assert publisher.kept == 4
    publisher.write(tick(5))
    assert publisher.kept == 5


async def test_a_tick_that_comes_again_is_passed_over() -> None:
    publisher = Publisher("127.0.0.1", 1)
    publisher.write(tick(3, alarm(1)))
    publisher.write(tick(3, alarm(1)))
    publisher.write(tick(2, alarm(1)))
    assert publisher.waiting["alarms"] == 1


async def test_no_alarm_is_shed_when_the_queue_is_full(caplog: pytest.LogCaptureFixture) -> None:
    publisher = Publisher("127.0.0.1", 1, max_alarms=2)
    for number in range(1, 6):
        publisher.write(tick(number, alarm(number)))
    assert [message.tick for message in publisher._alarms] == [1, 2]
    assert publisher.failed == "2 alarms wait for the MQTT broker, and no more are taken"
    for message in list(publisher._alarms):
        publisher._acknowledge(message, 0)
    assert publisher.kept == 2, "ticks 3 to 5 are somebody else's to give again"


async def test_beats_beyond_the_queue_are_shed_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher_module, "MAX_BEATS", 3)
    publisher = Publisher("127.0.0.1", 1)
    publisher.connected = True
    for number in range(1, 6):
        publisher.write(tick(number, Beat("bed-01", number, number)))
    assert [json.loads(payload)["tick"] for _, payload in publisher._beats] == [3, 4, 5]
    assert publisher.shed == 2


@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed (apt install mosquitto)")
async def test_a_broker_that_refuses_the_topic_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with Mosquitto(tmp_path, "topic read #") as broker, publishing(broker) as publisher:
        publisher.write(tick(1, alarm(1)))
        await until(lambda: publisher.refused == 1)
    assert "wardbeat/v1/bed-01/alarms is refused (reason 0x87), see its access control" in caplog.text
    assert (publisher.acknowledged, publisher.kept) == (0, 1)
