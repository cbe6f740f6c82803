"""The player: messages contiguous and on time, a device that lives and dies as the broker sees it."""

import asyncio
import json
import logging
import os
import signal
import sys
import time
from contextlib import asynccontextmanager, suppress

import aiomqtt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.broker import Broker
from monitor.exceptions import MessageError
from monitor.messages import decode, encode
from monitor.records import Record
from simulators.player import Bed, Device, encode_json, play, send
from simulators.rhythms import Sinus
from simulators.sources import RecordSource
from simulators.synthetic import Patient


def counting(n, fs=360.0, repeat=False):
    """A source whose samples carry their own number, in steps of 5 uV."""
    signal = np.arange(n, dtype=np.float32)[:, None] * np.float32(0.005)
    return RecordSource(Record("count", fs, ("II",), signal), repeat=repeat)


def numbers(chunk):
    return np.rint(chunk.samples[:, 0] / 0.005).astype(int).tolist()


def every(device):
    device.resume(0.0, 0)
    while (chunk := device.next_chunk()) is not None:
        yield chunk


class Clock:
    """Time that passes only when somebody sleeps or works."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds


@given(
    fs=st.floats(100.0, 1000.0),
    rate=st.floats(1.0, 50.0),
    n=st.integers(1, 3000),
)
def test_messages_are_contiguous_and_hold_every_sample(fs, rate, n):
    seen = []
    for seq, chunk in enumerate(every(Device(Bed("b", counting(n, fs)), rate=rate, stream=7))):
        assert (chunk.seq, chunk.stream, chunk.fs) == (seq, 7, fs)
        assert chunk.first == len(seen)
        assert abs(len(chunk.samples) - fs / rate) <= 1 or chunk.end == n
        seen += numbers(chunk)
    assert seen == list(range(n))


def test_messages_of_the_usual_device_hold_36_samples():
    device = Device(Bed("b", counting(360)))
    assert [len(chunk.samples) for chunk in every(device)] == [36] * 10
    assert device.ended


def test_device_time_is_the_time_of_the_first_sample():
    device = Device(Bed("b", counting(100)), speed=2.0)
    device.resume(5.0, 1_000_000)
    assert [device.next_chunk().time_us for _ in range(3)] == [1_000_000, 1_050_000, 1_100_000]


def test_lead_without_a_sample_is_announced_as_off():
    signal = np.zeros((72, 2), np.float32)
    signal[20:72, 1] = np.nan
    first, second = every(Device(Bed("b", RecordSource(Record("r", 360.0, ("II", "V1"), signal), repeat=False))))
    assert (first.lead_off, second.lead_off) == (0, 0b10)


async def test_pacing_follows_the_sample_index_and_never_drifts():
    clock, sent = Clock(), []

    async def publish(chunk):
        sent.append((clock.now, chunk.end))
        clock.now += 0.03  # the broker's answer takes its time

    device = Device(Bed("b", counting(36_000, fs=249.5)))
    device.resume(clock.now, 0)
    await send(device, publish, clock=clock, sleep=clock.sleep)
    for at, end in sent:
        assert at == pytest.approx(1000.0 + end / 249.5, abs=1e-6)


async def test_pacing_catches_up_after_a_stall_without_losing_a_sample():
    clock, sent = Clock(), []

    async def publish(chunk):
        sent.append((clock.now, chunk))
        clock.now += 3.0 if chunk.seq == 10 else 0.001

    device = Device(Bed("b", counting(36_000)), speed=2.0)
    device.resume(clock.now, 0)
    await send(device, publish, clock=clock, sleep=clock.sleep)
    late = [at - 1000.0 - chunk.end / 720.0 for at, chunk in sent]
    assert max(late) == pytest.approx(2.95, abs=0.01)
    assert max(late[100:]) < 1e-6
    assert [number for _, chunk in sent for number in numbers(chunk)] == list(range(36_000))


def test_samples_of_an_outage_are_lost_and_the_index_goes_on():
    device = Device(Bed("b", counting(3600)))
    device.resume(50.0, 0)
    assert device.next_chunk().end == 36
    device.resume(52.53, 0)
    chunk = device.next_chunk()
    assert (chunk.seq, chunk.first, numbers(chunk)[0]) == (1, 25 * 36, 25 * 36)
    assert device.due(chunk) == pytest.approx(52.6)


def test_resume_without_an_outage_loses_nothing():
    device = Device(Bed("b", counting(3600)))
    device.resume(50.0, 0)
    device.next_chunk()
    device.resume(50.05, 0)
    assert device.next_chunk().first == 36


def test_json_payload_says_the_same_as_the_binary_one():
    signal = np.array([[0.5, np.nan], [-1.25, np.nan], [40.0, np.nan], [200.0, np.nan]], np.float32)
    device = Device(Bed("b", RecordSource(Record("r", 250.0, ("II", "V1"), signal), repeat=False)), rate=50.0)
    chunk = next(every(device))
    assert chunk.lead_off == 0b10
    from_json, from_binary = decode("b", encode_json(chunk)), decode("b", encode(chunk))
    assert from_json.samples.tobytes() == from_binary.samples.tobytes()
    for name in ("stream", "seq", "first", "fs", "lead_off", "time_us"):
        assert getattr(from_json, name) == getattr(from_binary, name)


def test_bed_refuses_an_id_that_is_none():
    with pytest.raises(MessageError, match="bed id"):
        Bed("bed/1", counting(10))


# Against a real broker.


@asynccontextmanager
async def listening(broker):
    """A client that is subscribed to everything and collects (bed, kind, payload, retained)."""
    async with aiomqtt.Client(broker.host, broker.port, identifier="listener") as client:
        await client.subscribe("wardbeat/v1/#", qos=1)
        heard = []

        async def listen():
            with suppress(aiomqtt.MqttError):
                async for message in client.messages:
                    _, _, bed, kind = str(message.topic).split("/")
                    heard.append((bed, kind, message.payload, message.retain))

        task = asyncio.create_task(listen())
        yield heard
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition, seconds=15.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def chunks(heard, bed):
    return [decode(bed, payload) for who, kind, payload, _ in heard if (who, kind) == (bed, "ecg")]


def statuses(heard, bed):
    return [json.loads(payload)["online"] for who, kind, payload, _ in heard if (who, kind) == (bed, "status")]


@pytest.mark.parametrize("as_json", [False, True])
async def test_play_announces_sends_everything_and_takes_leave(as_json):
    beds = [
        Bed("bed-01", counting(720), "One", paced=True),
        Bed("bed-02", RecordSource(Record("r", 250.0, ("MLII", "V1"), np.zeros((500, 2), np.float32)), repeat=False)),
    ]
    async with Broker() as broker, listening(broker) as heard:
        await play(beds, broker.host, broker.port, speed=10.0, as_json=as_json)
        await until(lambda: statuses(heard, "bed-01")[-1:] == statuses(heard, "bed-02")[-1:] == [False])
    assert [number for chunk in chunks(heard, "bed-01") for number in numbers(chunk)] == list(range(720))
    assert sum(len(chunk.samples) for chunk in chunks(heard, "bed-02")) == 500
    meta = next(json.loads(payload) for bed, kind, payload, _ in heard if (bed, kind) == ("bed-01", "meta"))
    assert meta == {"leads": ["II"], "alias": "One", "simulated": True, "paced": True}
    for bed in ("bed-01", "bed-02"):
        kinds = [kind for who, kind, _, _ in heard if who == bed]
        assert kinds[:3] == ["meta", "status", "ecg"]
        assert statuses(heard, bed) == [True, False]
    assert all((p[:1] == b"{") == as_json for _, k, p, _ in heard if k == "ecg")


async def test_play_retains_meta_and_status():
    async with Broker() as broker:
        playing = asyncio.create_task(play([Bed("bed-01", counting(360, repeat=True))], broker.host, broker.port))
        async with listening(broker) as first:
            await until(lambda: chunks(first, "bed-01"))
        async with listening(broker) as heard:
            await until(lambda: {"meta", "status"} <= {kind for _, kind, _, retained in heard if retained})
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
    assert not any(retained for _, kind, _, retained in heard if kind == "ecg")


async def test_play_keeps_trying_while_the_broker_is_away(caplog):
    caplog.set_level(logging.INFO, "simulators.player")
    broker = Broker()
    await broker.start()
    try:
        await broker.stop()
        bed = Bed("bed-01", Patient([Sinus(60)]))
        playing = asyncio.create_task(play([bed], broker.host, broker.port))
        await until(lambda: "no connection to the MQTT broker" in caplog.text)
        await broker.start()
        async with listening(broker) as heard:
            await until(lambda: len(chunks(heard, "bed-01")) >= 3)
        await broker.stop()
        await until(lambda: caplog.text.count("no connection to the MQTT broker") == 2)
        await broker.start()
        async with listening(broker) as again:
            await until(lambda: len(chunks(again, "bed-01")) >= 3)
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
    finally:
        await broker.__aexit__(None, None, None)
    before, after = chunks(heard, "bed-01"), chunks(again, "bed-01")
    assert before[0].first == 0
    assert before[0].stream == after[0].stream
    assert after[0].first > before[-1].end  # what was measured meanwhile is lost, and visibly so
    assert after[0].first % 36 == 0


async def test_play_ends_at_once_while_a_broker_does_not_answer():
    callers = []

    async def say_nothing(reader, writer):
        callers.append(await reader.read(1))  # the probe sends nothing, the client its CONNECT

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        playing = asyncio.create_task(play([Bed("bed-01", counting(360))], "127.0.0.1", port))
        await until(lambda: b"\x10" in callers)
        start = time.monotonic()
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        assert time.monotonic() - start < 1.0


@asynccontextmanager
async def simulator(*arguments):
    """``python -m simulators`` as a child process; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulators", *arguments, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ward_takes_leave_within_a_second_of_a_signal(number):
    async with Broker() as broker, listening(broker) as heard:
        async with simulator("ward", "--beds", "8", "--synthetic", "--port", str(broker.port)) as process:
            await until(lambda: len({bed for bed, kind, _, _ in heard if kind == "ecg"}) == 8, 60)
            start = time.monotonic()
            process.send_signal(number)
            await until(lambda: all(statuses(heard, f"bed-{i:02d}") == [True, False] for i in range(1, 9)))
            assert time.monotonic() - start < 1.0
            said = (await process.communicate())[1].decode()
        assert process.returncode == 0
        assert said == f"8 beds connected to the MQTT broker at {broker.host}:{broker.port}\n"


async def test_last_will_tells_of_a_device_that_died():
    async with Broker() as broker, listening(broker) as heard:
        async with simulator("patient", "--bed", "bed-09", "--port", str(broker.port)) as process:
            await until(lambda: chunks(heard, "bed-09"), 60)
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
        await until(lambda: statuses(heard, "bed-09") == [True, False])
