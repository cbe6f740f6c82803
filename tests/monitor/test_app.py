"""The app: acknowledgement after the ward, and the whole way from a broker to a viewer."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import threading
import time

import numpy as np
import pytest
from aiomqtt import Client
from websockets.asyncio.client import connect

from monitor.alarm_log import AlarmLog
from monitor.app import Ticker, monitor_ward, run_until_stopped, together
from monitor.broker import IN_FLIGHT, Broker
from monitor.commands import Acknowledge, Describe, SetLimits
from monitor.events import Alarm, Trigger
from monitor.exceptions import ModelError, WardbeatError
from monitor.feed import HISTORY, decode_frame
from monitor.inbox import Inbox, Presence
from monitor.messages import Chunk, encode, topic
from monitor.settings import BedSettings, Settings
from monitor.ward import Ward

FS = 250.0


class FakeWard:
    """Keeps what it is fed; `during` is called in the middle of it."""

    def __init__(self, during=lambda: None):
        self.fed = []
        self.during = during

    def feed(self, chunks, commands, now):
        self.fed.append((list(chunks), list(commands), now))
        self.during()
        return [Trigger(chunk.bed, chunk.first, chunk.first) for chunk in chunks]

    def waves(self):
        return ["waves"]

    def released(self):
        return ["released"]

    def beds(self):
        return ["views"]


class FakeHub:
    def __init__(self):
        self.published = []

    def publish(self, *arguments):
        self.published.append(arguments)


def chunk(seq=0, bed="bed-01"):
    return Chunk(bed, 7, seq, 25 * seq, FS, np.zeros((25, 2), np.float32))


async def until(condition, seconds=30.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  a poll of the code under test
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def ticking(ward, **settings):
    """A ticker between an inbox and a fake hub."""
    inbox, hub, commands = Inbox(), FakeHub(), asyncio.Queue()
    task = asyncio.create_task(Ticker(ward, inbox, hub, commands, Settings(tick=0.01, **settings)).run())
    try:
        yield inbox, hub, commands, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await inbox.abandon()


async def test_message_is_acknowledged_after_feed_and_before_publish():
    order = []
    ward = FakeWard()
    async with ticking(ward) as (inbox, hub, _, _):
        held = asyncio.create_task(inbox.hold(chunk()))
        ward.during = lambda: order.append(("feed", held.done()))
        publish = hub.publish
        hub.publish = lambda *a: (order.append(("publish", inbox._taken.done.is_set())), publish(*a))
        await held
        first = next(i for i, (chunks, _, _) in enumerate(ward.fed) if chunks)
    assert order[2 * first : 2 * first + 2] == [("feed", False), ("publish", True)]
    assert hub.published[first][0] == [Trigger("bed-01", 0, 0)]
    assert hub.published[first][1:3] == (["waves"], ["views"])


async def test_ward_that_fails_acknowledges_nothing_and_stops_the_app(caplog):
    def fail():
        if ward.fed[-1][0]:
            raise ZeroDivisionError("a bug")

    ward = FakeWard(fail)
    async with ticking(ward) as (inbox, _, _, task):
        held = asyncio.create_task(inbox.hold(chunk()))
        with pytest.raises(WardbeatError, match=r"the analysis failed .*a bug.* monitoring has stopped"):
            await task
        assert not held.done()
        assert inbox.withheld == 1
    assert "ZeroDivisionError" in caplog.text, "the traceback is in the log"


async def test_every_tick_feeds_and_publishes_even_nothing():
    """Silence is told to the ward by time going on, and to viewers by the tick itself."""
    ward = FakeWard()
    async with ticking(ward) as (_, hub, _, _):
        await until(lambda: len(hub.published) >= 3)
    times = [now for _, _, now in ward.fed]
    assert times == sorted(times)
    assert all(chunks == [] and commands == [] for chunks, commands, _ in ward.fed)


async def test_commands_of_devices_and_viewers_reach_the_ward():
    ward = FakeWard()
    async with ticking(ward) as (inbox, _, commands, _):
        commands.put_nowait(Acknowledge("bed-01", "an id", "wall"))
        await inbox.hold(Describe("bed-01", ("II",)))
        await until(commands.empty)
    told = [command for _, commands, _ in ward.fed for command in commands]
    assert set(told) == {Acknowledge("bed-01", "an id", "wall"), Describe("bed-01", ("II",))}


async def test_limits_of_the_settings_are_told_when_the_bed_is_known():
    ward = FakeWard()
    async with ticking(ward, beds={"bed-01": BedSettings(low=50)}) as (inbox, _, _, _):
        await inbox.hold(chunk(0))
        await inbox.hold(chunk(1))
        ticks = len(ward.fed)
        await until(lambda: len(ward.fed) > ticks)
    seen = [(len(chunks), commands) for chunks, commands, _ in ward.fed if chunks or commands]
    assert seen[0] == (1, [])
    assert [commands for _, commands in seen if commands] == [[SetLimits("bed-01", 50, None, "settings")]]


async def test_an_alarm_is_in_the_log_before_anybody_is_told(tmp_path):
    path, written = tmp_path / "alarms.jsonl", []
    ward = FakeWard()
    ward.feed = lambda chunks, commands, now: [Alarm(chunk.bed, 1, 2, "TACHY", id="x") for chunk in chunks]
    inbox, hub, commands = Inbox(), FakeHub(), asyncio.Queue()
    hub.publish = lambda events, *_: events and written.append(path.read_text())
    with AlarmLog(path) as alarm_log:
        async with running(Ticker(ward, inbox, hub, commands, Settings(tick=0.01), [alarm_log]).run()):
            await inbox.hold(chunk())
            await until(lambda: written)
        await inbox.abandon()
    assert json.loads(written[0])["id"] == "x"


async def test_device_that_goes_and_comes_is_logged_once(caplog):
    caplog.set_level(logging.INFO)
    async with ticking(FakeWard()) as (inbox, _, _, _):
        for online in (True, False, False, True, True):
            await inbox.hold(Presence("bed-01", online))
    assert [r.getMessage() for r in caplog.records if "device" in r.getMessage()] == [
        "bed bed-01: its device is offline",
        "bed bed-01: its device is back",
    ]


async def test_together_raises_the_first_failure_and_cancels_the_rest():
    ended = []

    async def fails():
        raise WardbeatError("gone")

    async def endless():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(asyncio.current_task().get_name())

    with pytest.raises(WardbeatError, match="gone"):
        await together(one=endless(), two=fails())
    assert ended == ["one"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_until_stopped_ends_in_order_on_a_signal(number):
    ended = []

    async def main():
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # there is time to clean up
            ended.append(True)

    run_until_stopped(main())
    assert ended == [True]


def test_run_until_stopped_passes_on_failures():
    async def main():
        raise WardbeatError("it broke")

    with pytest.raises(WardbeatError, match="it broke"):
        run_until_stopped(main())


# -- the whole way


def plain_ward(_settings):
    """The real ward without a network: the kernel's rule names the beats."""
    ward = Ward()
    ward.warm_up()
    return ward


def heart(seconds, rate=75.0):
    """(n, 2) float32, mV: a QRS-like spike at each beat."""
    t = np.arange(round(seconds * FS)) / FS
    phase = t * rate / 60 % 1.0 - 0.5
    beats = 1.2 * np.exp(-((phase / 0.012) ** 2)) + 0.2 * np.exp(-(((phase - 0.3) / 0.06) ** 2))
    return np.stack([beats, 0.7 * beats], 1).astype(np.float32)


class Device:
    """Publishes one bed's heart, a message each 20 ms: five times as fast as a real one."""

    def __init__(self, broker, bed):
        self.broker, self.bed, self.seq = broker, bed, 0
        self.signal = heart(120)

    async def play(self):
        async with Client(self.broker.host, self.broker.port, identifier=f"device-{self.bed}") as client:
            meta = {"leads": ["MLII", "V1"], "alias": "<b>", "simulated": True}
            await client.publish(topic(self.bed, "meta"), json.dumps(meta), qos=1, retain=True)
            while True:
                first = 25 * self.seq
                samples = self.signal[first : first + 25]
                payload = encode(Chunk(self.bed, 7, self.seq, first, FS, samples))
                await client.publish(topic(self.bed, "ecg"), payload, qos=1)
                self.seq += 1
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running(coroutine):
    task = asyncio.create_task(coroutine)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def monitored(broker, **options):
    """The app on an embedded broker; yields its address once it is ready."""
    settings = Settings(port=0, broker_host=broker.host, broker_port=broker.port, broker_in_flight=IN_FLIGHT)
    urls, ready = [], asyncio.Event()
    app = monitor_ward(settings, serving=urls.append, ready=ready.set, **{"make_ward": plain_ward, **options})
    async with running(app) as task:
        await asyncio.wait({task, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield urls[0]


def watch(url):
    return connect(url.replace("http", "ws") + "ws", origin=url.rstrip("/"), compression=None)


async def beats_of(feed, bed, count):
    """Samples of the next `count` final beats of a bed, as a viewer sees them."""
    samples = []
    async with asyncio.timeout(30):
        async for message in feed:
            if isinstance(message, bytes) and not (frame := decode_frame(message)).flags & HISTORY:
                told = frame.told.get("events", [])
                samples += [e["sample"] for e in told if e["type"] == "beat" and e["bed"] == bed and e["final"]]
            if len(samples) >= count:
                return samples
    raise AssertionError("the feed ended")


async def description_of(feed, bed):
    """What a viewer is told of a bed once the bed's device has said what it is."""
    async with asyncio.timeout(10):
        async for message in feed:
            body = json.loads(message) if isinstance(message, str) else decode_frame(message).told
            for told in body.get("beds", []):
                if told.get("bed") == bed and told.get("alias"):
                    return told
    raise AssertionError("the feed ended")


async def test_from_a_device_to_a_viewer():
    async with Broker() as broker, monitored(broker) as url, running(Device(broker, "bed-01").play()):
        async with watch(url) as feed:
            samples = await beats_of(feed, "bed-01", 8)
            # 75 per minute at 250 Hz: a beat each 200 samples.
            assert all(abs(rr - 200) <= 3 for rr in np.diff(samples[2:]))
            async with asyncio.timeout(10):
                while not isinstance(frame := await feed.recv(), bytes):
                    pass
            assert frame[:2] == b"WF"
        async with watch(url) as feed:
            bed = await description_of(feed, "bed-01")
    assert (bed["leads"], bed["alias"], bed["simulated"]) == (["MLII", "V1"], "<b>", True)


async def get(url, path):
    """Status and body of a plain request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.split(":")[2].strip("/")))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split(b" ", 2)[1]), body.decode()


async def test_beats_come_back_to_the_broker_and_metrics_tell_of_it():
    async with (
        Broker() as broker,
        monitored(broker) as url,
        Client(broker.host, broker.port, identifier="listener") as listener,
    ):
        await listener.subscribe("wardbeat/v1/+/beats", qos=1)
        async with running(Device(broker, "bed-01").play()), asyncio.timeout(30):
            message = await anext(aiter(listener.messages))
            assert str(message.topic) == topic("bed-01", "beats")
            assert json.loads(message.payload)["beats"][0]["symbol"] == "N"
            assert await get(url, "/readyz") == (200, "ready\n")
            status, metrics = await get(url, "/metrics")
    assert status == 200
    values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
    assert float(values["wardbeat_beds"]) == 1
    assert float(values["wardbeat_latency_seconds_count"]) > 0
    assert 0 <= float(values['wardbeat_data_age_seconds{bed="bed-01"}']) < 10
    assert float(values['wardbeat_messages_published_total{kind="beats"}']) >= 1
    assert not [key for key in values if "refused" in key], "the monitor does not hear itself"


async def test_broker_killed_and_started_again():
    """The device loses its connection too and goes on; what the broker lost shows as a gap, not as beats."""
    device = None
    async with Broker() as broker, monitored(broker) as url, watch(url) as feed:
        device = Device(broker, "bed-01")
        async with running(device.play()):
            await beats_of(feed, "bed-01", 4)
            os.kill(broker.pid, signal.SIGKILL)
            await broker.stop()
        await broker.start()
        device.seq += 10
        async with running(device.play()):
            samples = await beats_of(feed, "bed-01", 8)
    assert all(abs(rr - 200) <= 3 for rr in np.diff(samples[-3:]))


async def test_malformed_message_leaves_the_stream_alone(caplog):
    async with (
        Broker() as broker,
        monitored(broker) as url,
        watch(url) as feed,
        running(Device(broker, "bed-01").play()),
    ):
        await beats_of(feed, "bed-01", 2)
        async with Client(broker.host, broker.port, identifier="vandal") as vandal:
            for payload in (b"", b"{", b"WB\x09", b"\x00" * 100):
                await vandal.publish(topic("bed-01", "ecg"), payload, qos=1)
        samples = await beats_of(feed, "bed-01", 8)
    assert all(abs(rr - 200) <= 3 for rr in np.diff(samples))
    refusals = [r.getMessage() for r in caplog.records if "message refused" in r.getMessage()]
    assert refusals
    assert all(line.startswith("bed 'bed-01'") for line in refusals)


async def test_not_ready_until_warm():
    async def healthz(url):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.split(":")[2].strip("/")))
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer.split(b" ", 2)[1]

    warm, urls, ready = threading.Event(), [], asyncio.Event()

    def slow(_settings):
        warm.wait(30)
        return FakeWard()

    settings = Settings(port=0, broker_port=1)  # nobody listens there
    async with running(monitor_ward(settings, make_ward=slow, serving=urls.append, ready=ready.set)):
        await until(lambda: urls)
        assert await healthz(urls[0]) == b"503"
        warm.set()
        async with asyncio.timeout(10):
            await ready.wait()
        assert await healthz(urls[0]) == b"200"


async def test_model_that_is_refused_ends_the_app():
    def refuse(_settings):
        raise ModelError("SHA-256 differs", where="x.pt", remedy="fetch it again")

    async with Broker() as broker:
        with pytest.raises(ModelError, match="SHA-256 differs"):
            async with monitored(broker, make_ward=refuse):
                pass


async def test_shutdown_is_quick_and_leaves_nothing():
    async with Broker() as broker:
        async with (
            monitored(broker) as url,
            watch(url) as feed,
            running(Device(broker, "bed-01").play()),
        ):
            await beats_of(feed, "bed-01", 1)
            start = time.monotonic()
        assert time.monotonic() - start < 2.0
        names = {task.get_name() for task in asyncio.all_tasks()}
    assert not names & {"ingest", "ticker", "mqtt connect"}
