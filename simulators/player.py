"""Bedside devices over MQTT: they measure a :class:`~simulators.sources.Source` in real time and publish it.

Every bed has an MQTT client of its own, as a device of its own would: a client has one last will, and with it
the broker itself says that a bed fell silent. One client for a whole ward would save sockets but little time
(the cost is in the messages) and could announce a single bed only.

While the broker is away a device keeps measuring and forgets: the samples of an outage are lost, the sample
index goes on, and the monitor sees a gap of the right length.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import aiomqtt
import numpy as np
from numpy.typing import NDArray

from monitor.ecg import check_bed
from monitor.messages import NO_SAMPLE, RAIL, UV_PER_UNIT, VERSION, Chunk, encode, topic
from simulators.sources import Source

log = logging.getLogger(__name__)

RATE: Final = 10.0
"""Messages per second."""

_KEEPALIVE_S: Final = 10
_TIMEOUT_S: Final = 5.0  # for the broker's answers; a device gives up and connects anew
_FAREWELL_S: Final = 0.3  # to say "offline" on the way out
_PAUSE_S: Final = (0.25, 1.5)  # between attempts to connect, the first and the longest
_REMINDER_S: Final = 10.0  # between two lines in the log about the same outage


@dataclass(frozen=True, eq=False)
class Bed:
    """A bed of the simulated ward.

    Attributes:
        id: as in the topics.
        source: what its device measures.
        alias: what the page calls it.
        paced: the patient has a pacemaker.

    Raises:
        MessageError: `id` is not a valid bed id.
    """

    id: str
    source: Source
    alias: str = ""
    paced: bool = False

    def __post_init__(self) -> None:
        check_bed(self.id)

    def meta(self) -> bytes:
        """The payload of the retained meta message."""
        about = {"leads": self.source.leads, "alias": self.alias, "simulated": True, "paced": self.paced}
        return json.dumps(about).encode()


class Device:
    """Cuts a source into messages and says when each is due; knows no clock and no network.

    Message i holds the samples from ``round(i * fs / rate)`` to ``round((i + 1) * fs / rate)`` and is due
    when the last of them has been measured, counted from the start: however late a message is, the next ones
    are not (no drift).

    Args:
        bed: whose device.
        rate: messages per second of the patient's time.
        speed: how much faster than in reality the patient's time runs.
        stream: id of this run of the device; random by default.
    """

    def __init__(self, bed: Bed, *, rate: float = RATE, speed: float = 1.0, stream: int | None = None) -> None:
        self.bed = bed
        self.ended = False
        self._fs = bed.source.fs
        self._rate = rate
        self._speed = speed
        self._stream = secrets.randbits(48) if stream is None else stream
        self._messages = 0  # messages whose time has come, published or lost
        self._seq = 0
        self._started: float | None = None
        self._started_us = 0

    def resume(self, now: float, time_us: int) -> None:
        """Start the device, or go on after an outage without the messages that were due meanwhile.

        Args:
            now: monotonic time, s.
            time_us: wall clock, microseconds since 1970; read at the start only.
        """
        if self._started is None:
            self._started, self._started_us = now, time_us
            return
        due = int((now - self._started) * self._speed * self._rate)
        if due > self._messages:
            self._take(due)

    def next_chunk(self) -> Chunk | None:
        """Return the next message, None at the end of the source."""
        first = self._index(self._messages)
        samples = self._take(self._messages + 1)
        if len(samples) == 0:
            return None
        lead_off = sum(1 << lead for lead in np.flatnonzero(np.isnan(samples).all(axis=0)).tolist())
        time_us = self._started_us + round(1e6 * first / (self._fs * self._speed))
        chunk = Chunk(self.bed.id, self._stream, self._seq, first, self._fs, samples, lead_off, time_us)
        self._seq += 1
        return chunk

    def due(self, chunk: Chunk) -> float:
        """Monotonic time at which the last sample of `chunk` has been measured, s."""
        assert self._started is not None, "the device is off"
        return self._started + chunk.end / (self._fs * self._speed)

    def _index(self, message: int) -> int:
        return round(message * self._fs / self._rate)

    def _take(self, messages: int) -> NDArray[np.float32]:
        n = self._index(messages) - self._index(self._messages)
        samples = self.bed.source.take(n)
        self._messages = messages
        self.ended = len(samples) < n
        return samples


def encode_json(chunk: Chunk) -> bytes:
    """Pack a chunk into the JSON payload of :mod:`monitor.messages`."""
    units = np.clip(np.rint(chunk.samples.T * (1000.0 / UV_PER_UNIT)), -RAIL, RAIL)
    units = np.where(np.isnan(units), NO_SAMPLE, units).astype(int)
    message = {
        "v": VERSION,
        "stream": chunk.stream,
        "seq": chunk.seq,
        "first": chunk.first,
        "fs": chunk.fs,
        "uv": UV_PER_UNIT,
        "samples": [[None if unit == NO_SAMPLE else unit for unit in lead] for lead in units.tolist()],
        "off": [lead for lead in range(len(units)) if chunk.lead_off >> lead & 1],
        "time": chunk.time_us,
    }
    return json.dumps(message, separators=(",", ":")).encode()


async def send(
    device: Device,
    publish: Callable[[Chunk], Awaitable[None]],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Publish a device's messages as they fall due, to the end of its source."""
    while (chunk := device.next_chunk()) is not None:
        await sleep(max(0.0, device.due(chunk) - clock()))
        await publish(chunk)


async def play(
    beds: Sequence[Bed],
    host: str,
    port: int,
    *,
    rate: float = RATE,
    speed: float = 1.0,
    as_json: bool = False,
) -> None:
    """Play beds until cancelled, or to the end of their sources.

    Each connects for itself and, whenever the broker is away, tries again with growing pauses. The beds'
    messages are spread evenly over the time between two messages.

    Args:
        beds: with different ids.
        host, port: of the MQTT broker.
        rate: messages per second and bed.
        speed: multiple of real time.
        as_json: send JSON payloads instead of binary ones.
    """
    broker = _Broker(host, port, len(beds))
    async with asyncio.TaskGroup() as group:
        for number, bed in enumerate(beds):
            device = Device(bed, rate=rate, speed=speed)
            delay = number / (len(beds) * rate * speed)
            group.create_task(_live(device, broker, delay, as_json), name=bed.id)


class _Broker:
    """The broker as the beds see it: how to reach it, and one voice in the log for all of them."""

    def __init__(self, host: str, port: int, beds: int) -> None:
        self._host, self._port, self._beds = host, port, beds
        self._connected: set[str] = set()
        self._said = -_REMINDER_S

    async def probe(self) -> None:
        """Return if the broker takes connections.

        The client connects in a thread, which cannot be interrupted while a host does not answer; this can.

        Raises:
            OSError: it does not.
        """
        _, writer = await asyncio.open_connection(self._host, self._port)
        writer.close()

    def client(self, bed: Bed) -> aiomqtt.Client:
        return aiomqtt.Client(
            self._host,
            self._port,
            # Two devices for one bed are the monitor's to notice, so they must not throw each other out.
            identifier=f"wardbeat-{bed.id}-{secrets.token_hex(4)}",
            will=aiomqtt.Will(topic(bed.id, "status"), _status(online=False), qos=1, retain=True),
            clean_session=True,
            keepalive=_KEEPALIVE_S,
            # The client keeps time with asyncio.wait_for, which before Python 3.12 may swallow a cancellation:
            # time is kept outside.
            timeout=math.inf,
        )

    def found(self, bed: Bed) -> None:
        self._connected.add(bed.id)
        if len(self._connected) == self._beds:
            log.info("%d beds connected to the MQTT broker at %s:%d", self._beds, self._host, self._port)
            self._said = -_REMINDER_S

    def lost(self, bed: Bed, error: Exception) -> None:
        self._connected.discard(bed.id)
        if time.monotonic() - self._said >= _REMINDER_S:
            self._said = time.monotonic()
            reason = str(error) or type(error).__name__
            where = f"{self._host}:{self._port}"
            log.warning("%s: no connection to the MQTT broker at %s (%s); trying again", bed.id, where, reason)


async def _live(device: Device, broker: _Broker, delay: float, as_json: bool) -> None:
    await asyncio.sleep(delay)
    pause, longest = _PAUSE_S
    while not device.ended:
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(_TIMEOUT_S):
                    await broker.probe()
                    client = await stack.enter_async_context(broker.client(device.bed))
                    await stack.enter_async_context(_online(client, device.bed))
                broker.found(device.bed)
                pause = _PAUSE_S[0]
                device.resume(time.monotonic(), time.time_ns() // 1000)
                await _send_while_connected(device, client, as_json)
        except (aiomqtt.MqttError, OSError) as error:
            broker.lost(device.bed, error)
            await asyncio.sleep(pause * random.uniform(0.7, 1.0))
            pause = min(2.0 * pause, longest)


@asynccontextmanager
async def _online(client: aiomqtt.Client, bed: Bed) -> AsyncIterator[None]:
    """Announce a bed, and take its leave; a leave that is not taken is the last will's."""
    await client.publish(topic(bed.id, "meta"), bed.meta(), qos=1, retain=True)
    await client.publish(topic(bed.id, "status"), _status(online=True), qos=1, retain=True)
    try:
        yield
    finally:
        with suppress(aiomqtt.MqttError, TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                await client.publish(topic(bed.id, "status"), _status(online=False), qos=1, retain=True)


async def _send_while_connected(device: Device, client: aiomqtt.Client, as_json: bool) -> None:
    """Send to the end of the source.

    Raises:
        MqttError: the connection broke. A publish that waits for its acknowledgement would learn of it from
            its timeout only; the iterator over incoming messages, of which there are none, ends at once.
        TimeoutError: the broker does not answer.
    """
    ecg = topic(device.bed.id, "ecg")

    async def publish(chunk: Chunk) -> None:
        payload = encode_json(chunk) if as_json else encode(chunk, UV_PER_UNIT)
        async with asyncio.timeout(_TIMEOUT_S):
            await client.publish(ecg, payload, qos=1)

    async def watch() -> None:
        async for _ in client.messages:
            pass

    tasks = [asyncio.create_task(send(device, publish)), asyncio.create_task(watch())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _status(*, online: bool) -> bytes:
    return json.dumps({"online": online}).encode()
