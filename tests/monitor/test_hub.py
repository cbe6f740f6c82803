"""The hub with real websockets on 127.0.0.1: what viewers get, what they may ask, and what a slow one costs."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from monitor import hub as hub_module
from monitor import listener
from monitor.commands import Acknowledge, AcknowledgeAll, FromPerson, SetLimits, Shown
from monitor.events import Alarm, Beat, Trigger
from monitor.exceptions import ConfigError
from monitor.feed import HISTORY, SHED, decode_frame, to_segments
from monitor.hub import CLOSE_AFTER, SHED_ABOVE, Hub
from monitor.profiles import PROFILES, Limits
from monitor.views import BedView, Wave

DEADLINE = 10.0
ALARM = Alarm("bed-01", 500, 720, "VTACH", "high", id="bed-01:7:VTACH:500", text="*** VTACH 156>100")


class Clock:
    """Monotonic time that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def bed_view(bed: str = "bed-01", **changes: Any) -> BedView:
    view = BedView(
        bed=bed,
        alias="Window",
        simulated=True,
        leads=("MLII", "V1"),
        stream=7,
        fs=250.0,
        origin=40,
        position=18,
        heart_rate=72.4,
        rhythm="N",
        pvc_per_minute=3,
        low=50.0,
        high=120.0,
        alarms=(),
        last_data=0.0,
    )
    return replace(view, **changes)


def bed_wave(bed: str = "bed-01", first: int = 0, n: int = 18) -> Wave:
    return Wave(bed, first, np.arange(2 * n, dtype=np.float32).reshape(n, 2) / 100)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def commands() -> asyncio.Queue[FromPerson]:
    return asyncio.Queue(4)


@pytest_asyncio.fixture
async def hub(commands: asyncio.Queue[FromPerson], clock: Clock) -> AsyncIterator[Hub]:
    async with Hub(commands, port=0, clock=clock) as hub:
        yield hub


def view_of(hub: Hub, **options: Any) -> connect:
    address = f"127.0.0.1:{hub.port}"
    options = {"origin": f"http://{address}", "compression": None, "proxy": None} | options
    return connect(f"ws://{address}/ws", **options)


async def next_message(viewer: ClientConnection) -> Any:
    """The next message: JSON read, a frame taken apart."""
    message = await asyncio.wait_for(viewer.recv(), DEADLINE)
    return json.loads(message) if isinstance(message, str) else decode_frame(message)


def units_of(*waves: tuple[int, Wave]) -> list[tuple[int, int, int, bytes]]:
    return [(s.index, s.leads, s.first, bytes(s.units)) for s in to_segments(waves)]


def segments_of(frame: Any) -> list[tuple[int, int, int, bytes]]:
    return [(s.index, s.leads, s.first, bytes(s.units)) for s in frame.segments]


async def until(condition: Any) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  the hub has no event for what tests look at
            await asyncio.sleep(0.005)


class StuckViewer:
    """A viewer that does not read before it is told to: a raw socket with the smallest buffer."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.setblocking(False)

    async def __aenter__(self) -> StuckViewer:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self.socket, ("127.0.0.1", self.hub.port))
        host = f"127.0.0.1:{self.hub.port}"
        key = base64.b64encode(os.urandom(16)).decode()
        before = self.hub.viewers
        lines = [
            "GET /ws HTTP/1.1",
            f"Host: {host}",
            f"Origin: http://{host}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
        ]
        await loop.sock_sendall(self.socket, ("\r\n".join(lines) + "\r\n\r\n").encode())
        await until(lambda: self.hub.viewers > before)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.socket.close()

    async def read_until(self, marker: bytes) -> list[tuple[int, bytes]]:
        """Read up to a message that contains `marker`: opcode and payload of every message."""
        loop = asyncio.get_running_loop()
        data = bytearray()
        async with asyncio.timeout(DEADLINE):
            while marker not in data[-400:]:
                data += await loop.sock_recv(self.socket, 65536)
        return list(self._messages(bytes(data.partition(b"\r\n\r\n")[2])))

    @staticmethod
    def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
        at = 0
        while at + 2 <= len(data):
            opcode, length = data[at] & 0x0F, data[at + 1]
            at += 2
            if length == 126:
                (length,) = struct.unpack_from(">H", data, at)
                at += 2
            elif length == 127:
                (length,) = struct.unpack_from(">Q", data, at)
                at += 8
            yield opcode, data[at : at + length]
            at += length


class Flood:
    """A second of two-lead signal a tick from a ward of 64 beds: 94 kB a frame, and one event."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.ticks = 0

    async def tick(self) -> None:
        self.ticks += 1
        views = [bed_view(f"bed-{i}", position=360 * self.ticks) for i in range(64)]
        waves = [bed_wave(view.bed, 360 * (self.ticks - 1), 360) for view in views]
        self.hub.publish([Trigger("bed-0", self.ticks, self.ticks)], waves, views, 0.0)
        await asyncio.sleep(0)

    async def until_shed(self) -> None:
        async with asyncio.timeout(DEADLINE):
            while self.hub.shed == 0:
                await self.tick()


async def test_hello_tells_beds_and_active_alarms(hub: Hub) -> None:
    hub.publish([ALARM], [], [bed_view(alarms=(ALARM,)), bed_view("bed-02")], 1700.0)
    acknowledged = replace(ALARM, state="acknowledged", silence=100.0)
    hub.publish([acknowledged], [], [bed_view(alarms=(acknowledged,)), bed_view("bed-02")], 1760.0)

    async with view_of(hub) as viewer:
        hello = await next_message(viewer)

    assert (hello["type"], hello["version"], hello["fs"]) == ("hello", 2, 360)
    assert (hello["run"], hello["tick"]) == (hub.run, 2)
    assert hello["beds"][0] == {
        "index": 0,
        "bed": "bed-01",
        "leads": ["MLII", "V1"],
        "fs": 250.0,
        "stream": 7,
        "origin": 40,
        "signal": "7.40",
        "position": 18,
        "simulated": True,
        "alias": "Window",
        "profile": "adult",
        "limits": Limits().as_dict(),
    }
    assert [bed["index"] for bed in hello["beds"]] == [0, 1]
    assert hello["alarms"] == [{**acknowledged.as_dict(), "time": 1760.0, "since": 1700.0, "silenced_until": 1860.0}]


async def test_hello_dates_restored_alarms_from_now(hub: Hub) -> None:
    hub.publish([], [], [bed_view(alarms=(ALARM,))], 1700.0)
    async with view_of(hub) as viewer:
        hello = await next_message(viewer)
    assert hello["alarms"][0]["since"] == 1700.0


async def test_hello_dates_restored_alarms_by_the_alarm_log(hub: Hub) -> None:
    latched = {**ALARM.as_dict(), "state": "latched"}
    hub.recall(
        [{**ALARM.as_dict(), "time": 1500.0}, {"type": "audio", "bed": "bed-01"}, {**latched, "time": 1600.0}]
        + [{**ALARM.as_dict(), "id": "other", "state": state, "time": 1650.0} for state in ("raised", "cleared")]
    )
    hub.publish([], [], [bed_view(alarms=(ALARM,))], 1700.0)
    async with view_of(hub) as viewer:
        hello = await next_message(viewer)
    assert [(alarm["since"], alarm["time"]) for alarm in hello["alarms"]] == [(1500.0, 1600.0)]


async def test_publish_sends_all_of_a_tick_in_one_frame(hub: Hub) -> None:
    async with view_of(hub) as viewer:
        assert (await next_message(viewer))["beds"] == []
        beat = Beat("bed-01", 400, 500, "V", "V", True, {"V": 1.0})
        hub.publish([beat, ALARM], [bed_wave()], [bed_view()], 1700.0, 41)

        frame = await next_message(viewer)

    assert (frame.flags, frame.time, frame.tick) == (0, 1700.0, 41)
    assert list(frame.told) == ["beds", "events", "vitals"]
    assert [(bed["bed"], bed["index"]) for bed in frame.told["beds"]] == [("bed-01", 0)]
    assert frame.told["events"] == [
        {**beat.as_dict(), "time": 1700.0, "signal": "7.40"},
        {**ALARM.as_dict(), "time": 1700.0, "signal": "7.40", "since": 1700.0},
    ]
    assert segments_of(frame) == units_of((0, bed_wave()))
    assert frame.told["vitals"] == [
        {
            "bed": "bed-01",
            "heart_rate": 72.4,
            "rhythm": "N",
            "pvc_per_minute": 3,
            "age": 0.0,
            "low": 50.0,
            "high": 120.0,
            "pause": 0.0,
            "late_s": 0.0,
            "skew_s": None,
        }
    ]


async def test_vitals_come_each_second_with_the_age_of_the_data(hub: Hub, clock: Clock) -> None:
    async with view_of(hub) as viewer:
        await next_message(viewer)
        ages = []
        for _ in range(60):
            clock.now += 0.05
            hub.publish([], [], [bed_view(heart_rate=None)], 0.0)
        hub.publish([], [], [bed_view(position=36)], 0.0)
        clock.now += 1.0
        hub.publish([], [], [bed_view(position=54)], 0.0)
        while len(ages) < 4:
            frame = await next_message(viewer)
            ages += [vitals["age"] for vitals in frame.told.get("vitals", [])]
    assert ages == pytest.approx([0.0, 1.0, 2.0, 0.0], abs=0.051)


async def test_bed_is_told_again_when_its_stream_restarts(hub: Hub) -> None:
    async with view_of(hub) as viewer:
        await next_message(viewer)
        hub.publish([], [], [bed_view(), bed_view("bed-02")], 0.0)
        restarted = [bed_view(), bed_view("bed-02", stream=8, position=0)]
        hub.publish([], [], restarted, 0.0)
        hub.publish([], [], restarted, 0.0)
        frames = [await next_message(viewer) for _ in range(2)]
    assert [[(bed["bed"], bed["stream"], bed["index"]) for bed in frame.told["beds"]] for frame in frames] == [
        [("bed-01", 7, 0), ("bed-02", 7, 1)],
        [("bed-02", 8, 1)],
    ]


async def test_waves_from_before_a_restart_in_the_same_tick_are_left_out(hub: Hub) -> None:
    hub.publish([], [], [bed_view(position=1000)], 0.0)
    async with view_of(hub) as viewer:
        await next_message(viewer)
        hub.publish([], [bed_wave(first=1000), bed_wave()], [bed_view(stream=8, position=18)], 5.0)
        assert segments_of(await next_message(viewer)) == units_of((0, bed_wave()))


async def test_since_is_kept_while_an_alarm_is_active_and_forgotten_when_cleared(hub: Hub) -> None:
    cleared = replace(ALARM, state="cleared")
    async with view_of(hub) as viewer:
        await next_message(viewer)
        for time, alarm, active in ((10.0, ALARM, (ALARM,)), (20.0, cleared, ()), (30.0, ALARM, (ALARM,))):
            hub.publish([alarm], [], [bed_view(alarms=active)], time)
        frames = [await next_message(viewer) for _ in range(3)]
    times = [frame.told["events"][0]["since"] for frame in frames]
    assert times == [10.0, 10.0, 30.0]


async def test_slow_viewer_loses_waves_but_no_event(hub: Hub) -> None:
    flood = Flood(hub)
    async with StuckViewer(hub) as stuck:
        await flood.until_shed()
        for _ in range(20):
            await flood.tick()
        hub.publish([Trigger("bed-0", -1, -1)], [], [], 0.0)
        messages = await stuck.read_until(b'"sample":-1')

        frames = [decode_frame(body) for opcode, body in messages if opcode == 2]
        assert [frame.told["events"][0]["sample"] for frame in frames] == [*range(1, flood.ticks + 1), -1]
        assert sum(bool(frame.segments) for frame in frames) == flood.ticks - hub.shed
        assert sum(frame.flags == SHED for frame in frames) == hub.shed
        assert hub.shed >= 20

        shed = hub.shed
        await flood.tick()  # it reads again: waveforms go on
        assert hub.shed == shed
    assert hub.closed == 0


async def test_slow_viewer_is_closed_and_others_do_not_notice(hub: Hub, clock: Clock) -> None:
    flood = Flood(hub)
    frames = 0

    async def watch(viewer: ClientConnection) -> None:
        nonlocal frames
        async for message in viewer:
            frames += isinstance(message, bytes)

    async with view_of(hub, max_size=None) as viewer, StuckViewer(hub):
        watching = asyncio.create_task(watch(viewer))

        async def tick() -> None:
            await flood.tick()
            await until(lambda: frames == flood.ticks)

        while hub.shed == 0:
            await tick()
        clock.now += CLOSE_AFTER
        await tick()
        assert hub.viewers == 2
        clock.now += 0.05
        await tick()
        assert (hub.viewers, hub.closed) == (1, 1)
        await tick()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def test_viewer_is_closed_at_once_when_it_holds_too_much(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "CLOSE_ABOVE", SHED_ABOVE)
    flood = Flood(hub)
    async with StuckViewer(hub):
        async with asyncio.timeout(DEADLINE):
            while hub.closed == 0:
                await flood.tick()
        await until(lambda: hub.viewers == 0)


async def test_commands_reach_the_queue(hub: Hub, commands: asyncio.Queue[FromPerson]) -> None:
    hub.publish([], [], [bed_view()], 0.0)
    async with view_of(hub) as viewer:
        await viewer.send(json.dumps({"type": "acknowledge", "bed": "bed-01", "id": ALARM.id, "by": "wall"}))
        await viewer.send(json.dumps({"type": "limits", "bed": "bed-01", "low": 45, "high": 130, "by": "wall"}))
        assert await asyncio.wait_for(commands.get(), DEADLINE) == Acknowledge("bed-01", ALARM.id, "wall")
        assert await asyncio.wait_for(commands.get(), DEADLINE) == SetLimits("bed-01", 45.0, 130.0, "wall")


async def test_malformed_commands_are_answered_and_counted_and_the_connection_stays(
    hub: Hub, commands: asyncio.Queue[FromPerson]
) -> None:
    hub.publish([], [], [bed_view()], 0.0)
    async with view_of(hub) as viewer:
        await next_message(viewer)
        for message in ("{", b"\x00", '{"bed": "bed-01", "type": "reboot"}', '{"bed": "bed-77"}'):
            await viewer.send(message)
            assert (await next_message(viewer))["type"] == "error"
        await viewer.send(json.dumps({"type": "acknowledge", "bed": "bed-01", "id": "x", "by": "y"}))
        await asyncio.wait_for(commands.get(), DEADLINE)
    assert hub.refused == {"json": 1, "binary": 1, "type": 1, "bed": 1}


async def test_that_an_alarm_is_shown_reaches_the_app_once(hub: Hub, commands: asyncio.Queue[FromPerson]) -> None:
    """However many viewers show it, and only while it is active."""
    hub.publish([ALARM], [], [bed_view(alarms=(ALARM,))], 0.0)
    async with view_of(hub) as viewer:
        for id_ in (ALARM.id, ALARM.id, "bed-01:7:TACHY:9"):
            await viewer.send(json.dumps({"type": "shown", "bed": "bed-01", "id": id_, "by": "wall"}))
        await viewer.send(json.dumps({"type": "acknowledge_all", "bed": "bed-01", "by": "wall"}))
        told = [await asyncio.wait_for(commands.get(), DEADLINE) for _ in range(2)]
    assert told == [Shown("bed-01", ALARM.id, "wall"), AcknowledgeAll("bed-01", "wall")]


async def test_limits_that_do_not_go_with_the_others_are_refused(hub: Hub) -> None:
    hub.publish([], [], [bed_view()], 0.0)
    async with view_of(hub) as viewer:
        await next_message(viewer)
        await viewer.send(json.dumps({"type": "limits", "bed": "bed-01", "low": 130, "by": "wall"}))
        assert "low 130 is not below high 120" in (await next_message(viewer))["reason"]
    assert hub.refused == {"limits": 1}


async def test_a_bed_is_told_again_when_it_is_set_to_something_else(hub: Hub) -> None:
    hub.publish([], [], [bed_view()], 0.0)
    async with view_of(hub) as viewer:
        await next_message(viewer)
        hub.publish([], [], [bed_view(profile="neonatal", limits=PROFILES["neonatal"])], 0.0)
        (bed,) = (await next_message(viewer)).told["beds"]
    assert (bed["profile"], bed["limits"]["high"]) == ("neonatal", 200.0)


async def test_commands_beyond_the_queue_are_refused(hub: Hub) -> None:
    hub.publish([], [], [bed_view()], 0.0)
    async with view_of(hub) as viewer:
        await next_message(viewer)
        for _ in range(5):
            await viewer.send(json.dumps({"type": "acknowledge", "bed": "bed-01", "id": "x", "by": "y"}))
        assert "too many commands" in (await next_message(viewer))["reason"]
    assert hub.refused == {"busy": 1}


async def test_oversized_command_closes_its_connection(hub: Hub) -> None:
    async with view_of(hub) as viewer:
        await next_message(viewer)
        await viewer.send("x" * 5000)
        with pytest.raises(ConnectionClosed):
            await next_message(viewer)
        assert viewer.close_code == 1009


@pytest.mark.parametrize("origin", [None, "https://evil.example", "http://127.0.0.1", "http://evil.example:{port}"])
async def test_foreign_and_missing_origins_are_refused(hub: Hub, origin: str | None) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        async with view_of(hub, origin=origin and origin.format(port=hub.port)):
            pass
    assert refusal.value.response.status_code == 403
    assert hub.viewers == 0


async def test_every_name_of_this_machine_is_an_own_origin(hub: Hub) -> None:
    for name in ("127.0.0.1", "localhost", "[::1]"):
        async with view_of(hub, origin=f"http://{name}:{hub.port}") as viewer:
            assert (await next_message(viewer))["type"] == "hello"


async def test_viewers_are_limited(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MAX_VIEWERS", 1)
    async with view_of(hub) as viewer:
        await next_message(viewer)
        with pytest.raises(InvalidStatus) as refusal:
            async with view_of(hub):
                pass
    assert refusal.value.response.status_code == 503


async def test_busy_port_gives_way_to_the_next(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    async with Hub(asyncio.Queue(), port=hub.port) as other:
        assert hub.port < other.port <= hub.port + 20
        assert other.url == f"http://127.0.0.1:{other.port}/"
        assert f"port {hub.port} is busy, serving port {other.port} instead" in caplog.text
        async with view_of(other) as viewer:
            assert (await next_message(viewer))["type"] == "hello"


async def test_all_ports_busy_is_one_clear_error(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "PORTS_TRIED", 0)
    with pytest.raises(ConfigError, match=rf"ports {hub.port} to {hub.port} are all in use; stop what"):
        async with Hub(asyncio.Queue(), port=hub.port):
            pass


async def test_other_machines_are_not_served() -> None:
    with pytest.raises(ConfigError, match=r"0\.0\.0\.0:8765: the page has no sign-in.*ssh -L"):
        async with Hub(asyncio.Queue(), host="0.0.0.0"):
            pass


async def test_shutdown_is_fast_whatever_viewers_do(commands: asyncio.Queue[FromPerson]) -> None:
    loop = asyncio.get_running_loop()
    async with Hub(commands, port=0) as hub:
        flood = Flood(hub)
        _, idle = await asyncio.open_connection("127.0.0.1", hub.port)
        stuck = await StuckViewer(hub).__aenter__()
        await flood.until_shed()
        viewer = await view_of(hub)
        await next_message(viewer)
        started = loop.time()
    assert loop.time() - started < 1.0
    assert not hub._transports
    await viewer.wait_closed()
    assert (viewer.close_code, viewer.close_reason) == (1001, "the monitor stops")
    idle.close()
    await stuck.__aexit__()


class Numbered:
    """A ward of three beds whose samples carry their own index, and a trigger each tick and bed."""

    BEDS = ("bed-01", "bed-02", "bed-03")
    STEP = 18

    def __init__(self, hub: Hub, clock: Clock) -> None:
        self.hub, self.clock, self.position, self.streams = hub, clock, 0, dict.fromkeys(self.BEDS, 7)
        self.events: list[tuple[str, int]] = []

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            first, self.position = self.position, self.position + self.STEP
            self.clock.now += self.STEP / 360
            values = (np.arange(first, self.position, dtype=np.float32) % 6000) * 0.005
            samples = np.stack([values, -values], 1)
            views = [bed_view(bed, position=self.position, stream=self.streams[bed], origin=0) for bed in self.BEDS]
            triggers = [Trigger(bed, first, first) for bed in self.BEDS]
            self.events += [(trigger.bed, trigger.sample) for trigger in triggers]
            self.hub.publish(triggers, [Wave(bed, first, samples) for bed in self.BEDS], views, self.clock.now)


class Dashboard:
    """A client that keeps what it is told, by sample index, and knows what it lacks."""

    def __init__(self) -> None:
        self.samples: dict[str, list[int]] = {}
        self.events: list[tuple[str, int]] = []
        self.hello: dict[str, Any] = {}
        self.tick = 0
        self.history = 0

    async def take(self, viewer: ClientConnection) -> None:
        message = await next_message(viewer)
        if isinstance(message, dict):
            self.hello = message
            return
        self.tick = message.tick
        self.history += message.flags == HISTORY
        self.events += [(event["bed"], event["sample"]) for event in message.told.get("events", [])]
        for segment in message.segments:
            values = np.frombuffer(segment.units, "<i2").reshape(-1, 2)
            assert (values[:, 0] == -values[:, 1]).all()
            n = len(values)
            assert (values[:, 0] == np.arange(segment.first, segment.first + n) % 6000).all()
            self.samples.setdefault(Numbered.BEDS[segment.index], []).extend(range(segment.first, segment.first + n))

    async def take_until(self, viewer: ClientConnection, position: int) -> None:
        async with asyncio.timeout(DEADLINE):
            while any(self.samples.get(bed, [-1])[-1] + 1 < position for bed in Numbered.BEDS) or self.tick == 0:
                await self.take(viewer)

    def resume(self) -> str:
        beds = {bed["bed"]: [bed["signal"], self.samples[bed["bed"]][-1] + 1] for bed in self.hello["beds"]}
        return json.dumps({"type": "resume", "run": self.hello["run"], "tick": self.tick, "beds": beds})


async def test_a_viewer_that_comes_back_gets_what_it_lacks_once(hub: Hub, clock: Clock) -> None:
    ward, dashboard = Numbered(hub, clock), Dashboard()
    ward.tick()
    viewer = await view_of(hub)
    await dashboard.take_until(viewer, ward.position)
    for away in (1, 37, 500):
        ward.tick(20)
        await dashboard.take_until(viewer, ward.position - 180)  # what follows is on its way when the cable is cut
        viewer.transport.abort()
        await until(lambda: hub.viewers == 0)
        ward.tick(away)
        viewer = await connect_again(hub)
        await dashboard.take(viewer)  # hello
        ward.tick(3)  # while it says what it has
        await viewer.send(dashboard.resume())
        ward.tick(3)
        await dashboard.take_until(viewer, ward.position)
    assert dashboard.events == ward.events
    for bed in ward.BEDS:
        assert dashboard.samples[bed] == [*range(ward.position)]
    await viewer.close()


async def test_back_fill_that_is_cut_off_is_asked_for_again(hub: Hub, clock: Clock) -> None:
    ward, dashboard = Numbered(hub, clock), Dashboard()
    async with view_of(hub) as viewer:
        ward.tick()
        await dashboard.take_until(viewer, ward.position)
    ward.tick(500)  # 25 s of three beds: three frames of waveforms, two of events
    for frames in (1, 2):
        async with connect_again(hub) as viewer:
            await dashboard.take(viewer)
            await viewer.send(dashboard.resume())
            for _ in range(frames):
                await dashboard.take(viewer)
    async with connect_again(hub) as viewer:
        await viewer.send(dashboard.resume())
        ward.tick()
        await dashboard.take_until(viewer, ward.position)
    assert dashboard.events == ward.events
    assert all(dashboard.samples[bed] == [*range(ward.position)] for bed in ward.BEDS)


def connect_again(hub: Hub) -> connect:
    address = f"127.0.0.1:{hub.port}"
    return connect(f"ws://{address}/ws?resume", origin=f"http://{address}", compression=None, proxy=None)


async def test_a_new_viewer_gets_the_last_ten_seconds(hub: Hub, clock: Clock) -> None:
    ward, dashboard = Numbered(hub, clock), Dashboard()
    ward.tick(300)
    async with view_of(hub) as viewer:
        await dashboard.take(viewer)
        ward.tick()
        await dashboard.take_until(viewer, ward.position)
    first = 299 * 18 + 18 - 3600
    assert all(dashboard.samples[bed] == [*range(first, ward.position)] for bed in ward.BEDS)
    assert dashboard.events[-1] == ward.events[-1]
    assert dashboard.events == ward.events[-len(dashboard.events) :], "each once"
    assert abs(dashboard.events[0][1] - first) <= ward.STEP


async def test_a_bed_whose_stream_restarted_meanwhile_comes_as_a_new_one(hub: Hub, clock: Clock) -> None:
    ward, dashboard = Numbered(hub, clock), Dashboard()
    ward.tick(10)
    async with view_of(hub) as viewer:
        await dashboard.take_until(viewer, ward.position)
    ward.streams["bed-02"] = 8
    ward.position = 0
    ward.streams["bed-01"] = ward.streams["bed-03"] = 9
    ward.tick(5)
    async with connect_again(hub) as viewer:
        await viewer.send(dashboard.resume())
        dashboard.samples.clear()
        ward.tick()
        await dashboard.take_until(viewer, ward.position)
    assert all(dashboard.samples[bed] == [*range(ward.position)] for bed in ward.BEDS)


async def test_resume_of_another_run_gets_all_events_held(hub: Hub, clock: Clock) -> None:
    ward, dashboard = Numbered(hub, clock), Dashboard()
    ward.tick(300)
    async with connect_again(hub) as viewer:
        await viewer.send(json.dumps({"type": "resume", "run": "another", "tick": 290, "beds": {}}))
        ward.tick()
        await dashboard.take_until(viewer, ward.position)
    assert dashboard.events == ward.events


@pytest.mark.parametrize("said", ['{"type": "relearn"}', "{", None])
async def test_who_does_not_say_what_it_has_is_new(
    hub: Hub, clock: Clock, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "RESUME_WITHIN", 0.05 if said is None else DEADLINE)
    ward, dashboard = Numbered(hub, clock), Dashboard()
    ward.tick(3)
    async with connect_again(hub) as viewer:
        await dashboard.take(viewer)
        if said is not None:
            await viewer.send(said)
        assert (await next_message(viewer))["type"] == "error"
        ward.tick()
        await dashboard.take_until(viewer, ward.position)
    assert dashboard.samples["bed-01"] == [*range(ward.position)]
    assert hub.refused.total() == 1


async def test_a_new_viewer_that_does_not_read_its_back_fill_is_closed(
    hub: Hub, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs no more than another: what waits for it counts."""
    monkeypatch.setattr(hub_module, "CLOSE_AFTER", 0.3)
    flood = Flood(hub)
    for _ in range(30):
        await flood.tick()  # 64 beds x 30 s: 2.8 MB of back-fill
    async with StuckViewer(hub):
        await until(lambda: hub.closed == 1)
    assert hub.viewers == 0


async def test_what_waits_for_a_viewer_is_bounded(hub: Hub, clock: Clock) -> None:
    flood = Flood(hub)
    for _ in range(30):
        await flood.tick()
    async with StuckViewer(hub):
        (state,) = hub._viewers.values()
        for _ in range(40):
            await flood.tick()
            assert state.held <= SHED_ABOVE + 100_000, "waveforms are shed before they pile up"
        clock.now += CLOSE_AFTER + 0.1
        await flood.tick()
        assert (hub.viewers, hub.closed) == (0, 1)


async def descriptors_and_tasks() -> tuple[int, int]:
    return len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())


async def come_and_go(hub: Hub, count: int) -> None:
    """Viewers that connect and drop in every way: before, in and after the handshake, politely and not."""

    async def one(i: int) -> None:
        if i % 4 == 0:
            _, writer = await asyncio.open_connection("127.0.0.1", hub.port)
            if i % 8:
                writer.write(b"GET /ws HTTP/1.1\r\nHost: x\r\n")
            writer.transport.abort()
            return
        viewer = await (connect_again(hub) if i % 4 == 1 else view_of(hub))
        if i % 4 == 2:
            await viewer.close()
        viewer.transport.abort()

    for start in range(0, count, 50):
        await asyncio.gather(*(one(i) for i in range(start, min(start + 50, count))))


async def test_viewers_that_connect_and_drop_leave_nothing(hub: Hub, clock: Clock) -> None:
    ward = Numbered(hub, clock)
    ward.tick(200)
    await come_and_go(hub, 50)
    await until(lambda: hub.viewers == 0 and not hub._transports)
    await asyncio.sleep(0.05)
    before = await descriptors_and_tasks()
    for _ in range(9):
        await come_and_go(hub, 50)
        ward.tick()
    await until(lambda: hub.viewers == 0 and not hub._transports)
    await until(lambda: len(asyncio.all_tasks()) <= before[1])
    assert await descriptors_and_tasks() == before


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_500_viewers_connect_and_drop_for_ten_minutes(hub: Hub, clock: Clock) -> None:
    loop = asyncio.get_running_loop()
    ward = Numbered(hub, clock)
    await come_and_go(hub, 500)
    await until(lambda: hub.viewers == 0 and not hub._transports)
    before = await descriptors_and_tasks()
    end = loop.time() + 600
    while loop.time() < end:
        await come_and_go(hub, 500)
        ward.tick(10)
    await until(lambda: hub.viewers == 0 and not hub._transports)
    await until(lambda: len(asyncio.all_tasks()) <= before[1])
    assert await descriptors_and_tasks() == before
