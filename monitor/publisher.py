"""Alarms and beats out to MQTT, for whoever wants them there; the monitor itself never subscribes to them.

A message is a JSON object, UTF-8::

    wardbeat/v1/<bed>/alarms   QoS 1   {"v": 1, "tick": 7, "time": 1700.0, "type": "alarm", "id": ..., "state": ...}
    wardbeat/v1/<bed>/beats    QoS 0   {"v": 1, "tick": 7, "time": 1700.0, "beats": [{"sample": ..., ...}, ...]}

`tick` and `time` (seconds since 1970) are of the tick that said it; the rest is as in :mod:`monitor.events`. Only the
monitor may publish there, and it publishes nothing else: a broker's access control says so.

Alarms come at least once: again after a lost connection, and after the monitor was started again: those that the
broker did not have then are taken from the alarm log, with the same numbers. A consumer passes over an alarm whose
(`id`, `state`, `sample`, `emitted`, `tick`) it has. Beats come at most once for each tick that is told: an
acknowledgement would double their cost (26 instead of 12 us a message), a thousand beds have 1 300 a second, and none
calls anybody. Whoever needs every beat reads the recording.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, NoReturn, Self

from gmqtt import Client, Message
from gmqtt.mqtt.constants import MQTTv50, MQTTv311
from gmqtt.mqtt.handler import MQTTConnectError

from monitor.alarm_log import read_alarm_log
from monitor.events import Alarm, Beat
from monitor.messages import TOPIC_ROOT
from monitor.tick import Tick

log = logging.getLogger(__name__)

VERSION: Final = 1
"""Of the messages."""

MAX_ALARMS: Final = 50_000
"""Alarms that wait for their acknowledgement: days of a restless ward, some 30 MB."""

MAX_BEATS: Final = 20_000
"""Messages of beats that wait for the connection to take them: 10 s of a thousand beds."""

IN_FLIGHT: Final = 16
"""Alarms sent ahead of their acknowledgement: fewer than any broker refuses (mosquitto's least is 20)."""

UNSENT: Final = 256 * 1024
"""Bytes the connection may hold unsent before more is given to it."""

NOTE_EVERY: Final = 1.0
"""Seconds between two notes of what the broker has."""

KEEPALIVE: Final = 10
CONNECT_TIMEOUT: Final = 5.0
DISCONNECT_TIMEOUT: Final = 0.3
BACKOFF_FIRST: Final = 0.2
BACKOFF_LONGEST: Final = 1.6
"""Seconds between two tries to connect; they double, and chance shortens each by up to half."""

REFUSED: Final = 0x80
"""Reason codes of MQTT 5 from here on say that a message was not taken (section 2.4)."""

LOG_EVERY: Final = 60.0
"""Seconds between two log lines that say the same."""


def alarm_topic(bed: str) -> str:
    """Where a bed's alarms go."""
    return f"{TOPIC_ROOT}/{bed}/alarms"


def beat_topic(bed: str) -> str:
    """Where a bed's beats go."""
    return f"{TOPIC_ROOT}/{bed}/beats"


@dataclass(slots=True, eq=False)
class _Message:
    """An alarm on its way; `sent` on the connection that stands, if there is one."""

    tick: int
    topic: str
    payload: bytes
    sent: bool = False


class Publisher:
    """A sink of ticks that publishes their alarms and beats; :meth:`run` keeps the connection.

    It has a connection of its own: the subscription's is made to end with everything that is withheld on it, and must
    not stall behind what is sent. :meth:`write` only puts into queues, so a broker that is away never stalls a tick.

    **Queues.** Alarms (MAX_ALARMS) wait until the broker has acknowledged them, across connections, and are never
    shed. When their queue is full, the ticks that follow are not taken any more: `failed` says so, `kept` stands
    still, and whoever keeps the ticks gives them again when the monitor is started anew. Beats (MAX_BEATS) wait for
    the connection to take them; when their queue is full, or there is no connection, the oldest are shed and counted.

    Attributes:
        connected: whether the broker takes messages right now.
        kept: number of the last tick up to which the broker has every alarm.
        failed: why ticks are not taken any more; None while they are.
        sent: kind -> messages published, `alarms` as often as it took.
        acknowledged: alarms that the broker has.
        refused: alarms that the broker's access control turned away; MQTT 3.1.1 does not tell.
        shed: messages of beats left out.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        client_id: str = "wardbeat-out",
        max_alarms: int = MAX_ALARMS,
        login: tuple[str, str | None] | None = None,
        note: Path | None = None,
        alarm_log: Path | None = None,
    ) -> None:
        """Prepare; nothing is connected before :meth:`run`.

        Args:
            client_id: must differ from that of any other client, the monitor's subscription included.
            login: user and password.
            note: file that remembers `kept` when the process is gone; None: it is forgotten.
            alarm_log: file from which alarms are taken that the broker had not acknowledged by then.
        """
        self._login = login
        self.connected = False
        self.kept = 0
        self.failed: str | None = None
        self.sent: Counter[str] = Counter()
        self.acknowledged = 0
        self.refused = 0
        self.shed = 0
        self._host = host
        self._port = port
        self._client_id = client_id
        self._max_alarms = max_alarms
        self._alarms: deque[_Message] = deque()
        self._beats: deque[tuple[str, bytes]] = deque()
        self._tick = 0  # number of the last one taken
        self._due = asyncio.Event()  # there may be something to send
        self._version: int = MQTTv50
        self._logged = -LOG_EVERY
        self._note, self._noted, self._note_due = note, 0, 0.0
        self._again: set[bytes] = set()  # what was taken from the log: its last ticks may be told again
        if note is not None and alarm_log is not None:
            self._take_up(note, alarm_log)

    @property
    def waiting(self) -> dict[str, int]:
        """Kind -> messages that wait."""
        return {"alarms": len(self._alarms), "beats": len(self._beats)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write_note()
        if self._alarms:
            log.warning("%d alarms were not acknowledged by the MQTT broker", len(self._alarms))

    def settle(self) -> None:
        """Return at once: alarms wait for the broker here, however long it is away."""

    def write(self, tick: Tick) -> None:
        """Queue a tick's alarms and beats; never waits."""
        if self.failed is not None or tick.number <= self._tick:
            return
        head = {"v": VERSION, "tick": tick.number, "time": tick.unix}
        alarms = [event for event in tick.events if isinstance(event, Alarm)]
        if len(self._alarms) + len(alarms) > self._max_alarms:
            self.failed = f"{len(self._alarms)} alarms wait for the MQTT broker, and no more are taken"
            log.error("%s", self.failed)
            return
        for alarm in alarms:
            if (payload := _json(head | alarm.as_dict())) not in self._again:
                self._alarms.append(_Message(tick.number, alarm_topic(alarm.bed), payload))
        beats: dict[str, list[dict[str, Any]]] = {}
        for event in tick.events:
            if isinstance(event, Beat):
                beats.setdefault(event.bed, []).append(_beat(event))
        for bed, found in beats.items():
            self._beats.append((beat_topic(bed), _json(head | {"beats": found})))
        while len(self._beats) > (MAX_BEATS if self.connected else 0):
            self._beats.popleft()
            self.shed += 1
        self._tick = tick.number
        self._note_kept()
        if (now := time.monotonic()) >= self._note_due:
            self._note_due = now + NOTE_EVERY
            self._write_note()
        if alarms or beats:
            self._due.set()

    def _take_up(self, note: Path, alarm_log: Path) -> None:
        """Queue what the broker did not have when the monitor ended, however long ago."""
        try:
            self.kept = self._noted = self._tick = int(note.read_text(encoding="ascii"))
        except (OSError, ValueError):  # there is none: nothing is known of what is in the log
            return
        for line in read_alarm_log(alarm_log):
            number, kind = line.pop("tick", 0), line.pop("type")
            if number > self.kept and kind == Alarm.type:
                payload = _json({"v": VERSION, "tick": number, "time": line.pop("time"), "type": kind, **line})
                self._alarms.append(_Message(number, alarm_topic(line["bed"]), payload))
                self._again.add(payload)
        if (lost := len(self._alarms) - self._max_alarms) > 0:
            log.error("%d alarms of the past are too many: the MQTT broker does not get them", lost)
            self._alarms = deque(islice(self._alarms, lost, None))

    def _write_note(self) -> None:
        """Remember `kept`; one that is too low costs no more than alarms that come twice."""
        if self._note is None or self.kept == self._noted:
            return
        part = self._note.with_suffix(".part")
        try:
            part.write_text(str(self.kept), encoding="ascii")
            part.replace(self._note)
            self._noted = self.kept
        except OSError as error:
            self._log(f"{self._note} cannot be written ({error.strerror})")

    async def run(self) -> NoReturn:
        """Stay connected and publish, until cancelled."""
        backoff = BACKOFF_FIRST
        while True:
            connection = _Connection(self._client_id, self._acknowledge)
            if self._login is not None:
                connection.set_auth_credentials(*self._login)
            connection.ended.add_done_callback(lambda _: self._due.set())
            version = self._version
            try:
                why = await self._publish_over(connection)
            finally:
                self.connected = False
                for message in islice(self._alarms, IN_FLIGHT):
                    message.sent = False
            if connection.refused_version and version == MQTTv50:
                self._version = MQTTv311
                continue
            backoff = BACKOFF_FIRST if connection.stood else min(2 * backoff, BACKOFF_LONGEST)
            self._log(why)
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))

    async def _publish_over(self, connection: _Connection) -> str:
        """Connect and publish as long as that stands; return why it ended."""
        try:
            if (why := await connection.open(self._host, self._port, self._version)) is not None:
                return why
            self.connected = True
            self._due.set()
            while not connection.ended.done():
                await self._due.wait()  # the connection's end sets it too
                self._due.clear()
                await self._send(connection)
            return connection.ended.result()
        finally:
            await connection.close()

    async def _send(self, connection: _Connection) -> None:
        """Give the connection what it can take: alarms first."""
        for message in list(islice(self._alarms, IN_FLIGHT)):
            if not message.sent:
                message.sent = True
                self.sent["alarms"] += 1
                connection.send(message.topic, message.payload, message)
        while self._beats and not connection.ended.done():
            if connection.unsent > UNSENT:
                await asyncio.sleep(0.01)
                continue
            topic, payload = self._beats.popleft()
            self.sent["beats"] += 1
            connection.send(topic, payload, None)

    def _acknowledge(self, message: _Message, code: int) -> None:
        """The broker has an alarm; one that it refuses it would refuse again, so that is logged and counted."""
        with suppress(ValueError):
            self._alarms.remove(message)
        if code >= REFUSED:
            self.refused += 1
            self._log(f"{message.topic} is refused (reason {code:#x}), see its access control")
        else:
            self.acknowledged += 1
        self._note_kept()
        self._due.set()

    def _note_kept(self) -> None:
        self.kept = self._alarms[0].tick - 1 if self._alarms else self._tick

    def _log(self, why: str) -> None:
        now = time.monotonic()
        if now - self._logged >= LOG_EVERY:
            self._logged = now
            log.warning("alarms and beats do not reach the MQTT broker at %s:%d: %s", self._host, self._port, why)


class _Connection(Client):  # type: ignore[misc]  # gmqtt has no type information
    """A gmqtt client that lives for one connection: what must be sent again, :class:`Publisher` sends again."""

    def __init__(self, client_id: str, acknowledged: Callable[[_Message, int], None]) -> None:
        super().__init__(client_id, clean_session=True)
        self._acknowledged = acknowledged
        self._sent: dict[int, _Message] = {}  # packet id -> what waits for its acknowledgement
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.stood = False
        self.on_disconnect = _Connection._on_disconnected
        self._free = self._package_handler._handle_puback_packet
        self._package_handler._handle_puback_packet = self._on_acknowledged

    @property
    def refused_version(self) -> bool:
        """Whether the broker refused MQTT 5: gmqtt notes what to speak instead when it reconnects."""
        return bool(self._connection_state.protocol_version == MQTTv311)

    @property
    def unsent(self) -> int:
        """Bytes that the socket has not taken."""
        return int(self._connection._transport.get_write_buffer_size())

    async def reconnect(self, delay: bool = False) -> None:
        """Do nothing; :class:`Publisher` makes a new client."""

    async def open(self, host: str, port: int, version: int) -> str | None:
        """Connect; None once the broker takes messages, else why it does not."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await self.connect(host, port, keepalive=KEEPALIVE, version=version)
        except TimeoutError:
            return "no answer"
        except MQTTConnectError as error:
            return f"refused: {error}"
        except OSError as error:
            return error.strerror or str(error)
        self.stood = not self.ended.done()
        return None

    async def close(self) -> None:
        """End the connection."""
        if not self.ended.done():
            self.ended.set_result("closed")
        with suppress(OSError, TimeoutError, AttributeError):  # gmqtt's own, of a client that never connected
            async with asyncio.timeout(DISCONNECT_TIMEOUT):
                await self.disconnect()

    def send(self, topic: str, payload: bytes, message: _Message | None) -> None:
        """Publish: with QoS 1 and an acknowledgement to come if there is a message to acknowledge."""
        if self.ended.done():
            return
        # Past gmqtt's own store, which would send it again by itself.
        packet_id, _ = self._connection.publish(Message(topic, payload, qos=0 if message is None else 1))
        if message is not None:
            self._sent[packet_id] = message

    def _on_acknowledged(self, command: int, packet: bytes) -> None:
        """Read what gmqtt does not: an MQTT 5 broker's reason, 0x80 or above where it did not take the message."""
        self._free(command, packet)
        message = self._sent.pop(int.from_bytes(packet[:2], "big"), None)
        if message is not None:
            self._acknowledged(message, packet[2] if len(packet) > 2 else 0)

    def _on_disconnected(self, packet: Any, error: Exception | None = None) -> None:
        if not self.ended.done():
            self.ended.set_result("connection lost")


def _json(message: dict[str, Any]) -> bytes:
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode()


def _beat(beat: Beat) -> dict[str, Any]:
    """What of a beat is published: all but its bed, which the topic names, and its type."""
    return {name: value for name, value in beat.as_dict().items() if name not in ("type", "bed")}
