"""Many beds, cheaply: enough messages from one core to load a monitor on another.

The signal is made ahead, a minute of each patient as payloads that are ready to be sent; only the header's sequence
number, stream, index and time are written into a copy of each, and the numbers of :mod:`simulators.numbered` where
they are wanted. At the end of the minute the patient starts over: sample counting goes on, the signal jumps.

The beds share a few connections of gmqtt: some 15 us of processor time a message at QoS 1, where paho took 43 and
aiomqtt 79. A connection has one last will, so none of these beds has one of its own: what says "offline" when this
process dies is the monitor's own watch, not the broker. :mod:`simulators.player` is a device a bed, as in the field.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import logging
import secrets
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from gmqtt import Client
from gmqtt.storage import PersistentStorage

from monitor.exceptions import WardbeatError
from monitor.messages import UV_PER_UNIT, Chunk, encode, topic
from simulators.faults import Fault, Message, Truth, with_faults
from simulators.numbered import LEAD, number
from simulators.player import Bed

log = logging.getLogger(__name__)

LOOP_S: Final = 60
"""Whole seconds of signal that are made ahead."""

PATIENTS: Final = 16
"""Signals that are made; further beds play them from another place."""

_REST_S: Final = 0.001  # the shortest sleep: what falls due meanwhile is sent in one go
_CONNECT_S: Final = 10.0
_RECONNECT_S: Final = 0.5
_FAREWELL_S: Final = 5.0  # for acknowledgements of the last messages
_IN_A_ROW: Final = 64  # messages sent before the event loop has its turn, where they are late
_HEADER: Final = 44
_SEQ: Final = struct.Struct("<I")  # at offset 8 of the payload
_PLACE: Final = struct.Struct("<Qqq")  # at offset 16: stream, first sample, device time


class Loop:
    """A minute of a patient as payloads.

    Message m holds the samples from ``round(m * fs / rate)`` on; after the loop's last message the first follows.

    Args:
        bed: whose signal; of one lead a second one is made, at half its size, so that the number is never analysed.
        rate: messages per second.
        numbered: with a third lead that counts.
    """

    def __init__(self, bed: Bed, *, rate: float, numbered: bool = False) -> None:
        source = bed.source
        self.fs, self.rate = source.fs, rate
        self.paced, self.alias = bed.paced, bed.alias
        self.numbered = numbered
        self.length = round(LOOP_S * rate)  # messages
        if self.length != LOOP_S * rate or not float(LOOP_S * self.fs).is_integer():
            raise ValueError(f"{rate:g} messages a second of {self.fs:g} Hz do not come out even in {LOOP_S} s")
        signal = source.take(round(LOOP_S * self.fs))[:, :2]
        if len(signal) < LOOP_S * self.fs:
            raise ValueError(f"the source has less than {LOOP_S} s")
        self.leads: tuple[str, ...] = source.leads[:2]
        if signal.shape[1] == 1:
            signal, self.leads = np.hstack([signal, signal / 2]), (*self.leads, "half")
        if numbered:
            signal, self.leads = np.hstack([signal, np.zeros((len(signal), 1), np.float32)]), (*self.leads, LEAD)
        self._payloads = [bytearray(self._encode(m, signal)) for m in range(self.length)]

    def index(self, message: int) -> int:
        """The first sample of a message since the start of the loop; the loop may be over."""
        return round(message * self.fs / self.rate)

    def payload(self, at: int, seq: int, stream: int, first: int, time_us: int) -> bytes:
        """Message `at` of the loop under another header."""
        template = self._payloads[at % self.length]
        _SEQ.pack_into(template, 8, seq & 0xFFFFFFFF)
        _PLACE.pack_into(template, 16, stream, first, time_us)
        if self.numbered:
            units = np.frombuffer(template, "<i2", offset=_HEADER)
            units[2::3] = number(first, len(units) // 3)
        return bytes(template)

    def _encode(self, m: int, signal: np.ndarray[Any, np.dtype[np.float32]]) -> bytes:
        samples = signal[self.index(m) : self.index(m + 1)]
        return encode(Chunk("", 0, 0, 0, self.fs, samples), UV_PER_UNIT)


@dataclass
class LoadBed:
    """One bed of the load.

    Attributes:
        id: as in the topics.
        loop: what it plays.
        start: from which message of the loop.
        phase: s by which its messages fall due after those of a bed of phase 0.
        stream: id of this run.
    """

    id: str
    loop: Loop
    start: int
    phase: float
    stream: int = field(default_factory=lambda: secrets.randbits(48))

    def meta(self) -> bytes:
        """The payload of the retained meta message."""
        about = {"leads": self.loop.leads, "alias": self.loop.alias, "simulated": True, "paced": self.loop.paced}
        return json.dumps(about).encode()

    def messages(self, seconds: float = float("inf"), began_us: int = 0) -> Iterator[Message]:
        """Its messages, each due when its last sample has been measured.

        Args:
            seconds: how long.
            began_us: wall clock at the start, microseconds since 1970; 0: the device knows no time.
        """
        loop, offset = self.loop, self.loop.index(self.start)
        n = 0
        while (due := self.phase + (n + 1) / loop.rate) <= seconds + self.phase:
            first = loop.index(self.start + n) - offset
            us = began_us + round(1e6 * (self.phase + first / loop.fs)) if began_us else 0
            yield Message(due, n, loop.payload(self.start + n, n, self.stream, first, us))
            n += 1

    def message_of(self, sample: int) -> int:
        """The number of the message that holds a sample of the stream."""
        loop = self.loop
        offset = loop.index(self.start)
        n = int(sample * loop.rate / loop.fs)
        while loop.index(self.start + n) - offset > sample:
            n -= 1
        while loop.index(self.start + n + 1) - offset <= sample:
            n += 1
        return n


def load_of(beds: Sequence[Bed], count: int, *, rate: float, numbered: bool = False) -> list[LoadBed]:
    """Spread `count` beds over a few patients' signals and evenly over the interval between messages.

    Args:
        beds: the patients.
        count: beds wanted; each patient's second bed starts elsewhere in its signal.
        rate: messages per second.
        numbered: with a lead that counts.
    """
    loops = [Loop(bed, rate=rate, numbered=numbered) for bed in beds]
    width = max(2, len(str(count)))
    rounds = -(-count // len(loops))
    return [
        LoadBed(
            f"bed-{k + 1:0{width}d}",
            loops[k % len(loops)],
            (k // len(loops)) * loops[0].length // rounds,
            k / (count * rate),
        )
        for k in range(count)
    ]


async def publish_load(
    beds: Sequence[LoadBed],
    host: str,
    port: int,
    *,
    connections: int = 4,
    seconds: float = float("inf"),
    faults: Sequence[Fault] = (),
    seed: int = 0,
    note: Callable[[Truth], None] = lambda _: None,
    sent: Callable[[int, int], None] = lambda bed, number: None,
) -> int:
    """Publish the beds at QoS 1 for so many seconds; return how many messages could not be, for want of a connection.

    Args:
        beds: who sends.
        connections: over which they are spread.
        seconds: of signal.
        faults: put on every bed, each from a seed of its own.
        seed: of the faults.
        note: told of every fault, `bed` included.
        sent: called with a bed's place and the number of its message just before that is given to its connection.
    """
    storages = [PersistentStorage() for _ in range(connections)]  # what is not acknowledged
    clients = await asyncio.gather(*(_connect(host, port, storage) for storage in storages))
    log.info("%d beds connected to the MQTT broker at %s:%d", len(beds), host, port)
    for place, bed in enumerate(beds):
        clients[place % connections].publish(topic(bed.id, "meta"), bed.meta(), qos=1, retain=True)
        clients[place % connections].publish(topic(bed.id, "status"), _status(True), qos=1, retain=True)
    unsent = await _send(_schedule(beds, seconds, faults, seed, note), beds, clients, sent)
    for place, bed in enumerate(beds):
        clients[place % connections].publish(topic(bed.id, "status"), _status(False), qos=1, retain=True)
    with suppress(TimeoutError):  # a broker that does not answer any more
        async with asyncio.timeout(_FAREWELL_S):
            await asyncio.gather(*(storage.wait_empty() for storage in storages))
    for client in clients:
        await client.disconnect()
    return unsent


def _schedule(
    beds: Sequence[LoadBed], seconds: float, faults: Sequence[Fault], seed: int, note: Callable[[Truth], None]
) -> Iterator[tuple[float, int, int, bytes]]:
    """The messages of all beds in order of due time: (due, place of the bed, number, payload)."""
    began_us = time.time_ns() // 1000

    def of(place: int, bed: LoadBed) -> Iterator[tuple[float, int, int, bytes]]:
        messages = with_faults(
            bed.messages(seconds, began_us), faults, f"{seed}/{bed.id}", lambda truth: note({"bed": bed.id, **truth})
        )
        return ((message.due, place, message.number, message.payload) for message in messages)

    return heapq.merge(*(of(place, bed) for place, bed in enumerate(beds)))


async def _send(
    schedule: Iterator[tuple[float, int, int, bytes]],
    beds: Sequence[LoadBed],
    clients: Sequence[Any],
    sent: Callable[[int, int], None],
) -> int:
    topics = [topic(bed.id, "ecg") for bed in beds]
    started = time.monotonic()
    unsent = in_a_row = 0
    for due, place, message, payload in schedule:
        wait = started + due - time.monotonic()
        if wait > 0:
            await asyncio.sleep(max(wait, _REST_S))
            in_a_row = 0
        elif (in_a_row := in_a_row + 1) % _IN_A_ROW == 0:
            await asyncio.sleep(0)
        client = clients[place % len(clients)]
        if not client.is_connected:
            unsent += 1
            continue
        sent(place, message)
        client.publish(topics[place], payload, qos=1)
    return unsent


async def _connect(host: str, port: int, storage: PersistentStorage) -> Any:
    """Connect as MQTT 5; the client turns to 3.1.1 by itself where the broker knows no other, and connects again.

    Raises:
        WardbeatError: nobody answers there.
    """
    client = Client(f"wardbeat-load-{secrets.token_hex(4)}", persistent_storage=storage)
    client.set_config({"reconnect_retries": -1, "reconnect_delay": _RECONNECT_S})
    try:
        async with asyncio.timeout(_CONNECT_S):
            await client.connect(host, port)
    except (OSError, TimeoutError) as error:
        why = str(error) or "no answer"
        remedy = "start the broker, or name another with --host and --port"
        raise WardbeatError(
            f"no connection to the MQTT broker ({why})", where=f"{host}:{port}", remedy=remedy
        ) from None
    return client


def _status(online: bool) -> bytes:
    return json.dumps({"online": online}).encode()
