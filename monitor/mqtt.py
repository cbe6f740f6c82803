"""The beds' messages, from an MQTT broker into the :class:`~monitor.inbox.Inbox`.

Delivery is QoS 1 in a persistent session, and a message is acknowledged when the ward has its samples, not
when it arrives: what a monitor had received and not analysed when it died, the broker delivers again.
Acknowledgements leave in order of arrival (MQTT 3.1.1 and 5.0, section 4.6), refused messages' among them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, NoReturn

from gmqtt import Client, Subscription
from gmqtt.mqtt.constants import MQTTv50, MQTTv311
from gmqtt.mqtt.handler import MQTTConnectError

from monitor.commands import Describe
from monitor.ecg import check_bed
from monitor.exceptions import MessageError
from monitor.inbox import Inbound, Inbox, Presence
from monitor.messages import MAX_LEADS_SENT, MAX_PAYLOAD, TOPIC_ROOT, decode, topic

log = logging.getLogger(__name__)

RETAINED: Final = ("meta", "status")
KINDS: Final = ("ecg", *RETAINED)
"""Last levels of the topics that are subscribed to."""

IN_FLIGHT: Final = 20
"""Messages in flight assumed of an MQTT 3.1.1 broker: mosquitto's default ``max_inflight_messages``."""

SESSION_EXPIRY: Final = 600
"""Seconds an MQTT 5 broker keeps messages for a monitor that is away: longer than it takes to start one again,
and not so long that it would have to catch up with a night. In 3.1.1 the broker decides."""

KEEPALIVE: Final = 10
CONNECT_TIMEOUT: Final = 5.0
DISCONNECT_TIMEOUT: Final = 0.3

BACKOFF_FIRST: Final = 0.2
BACKOFF_LONGEST: Final = 1.6
"""Seconds between two tries to connect. They double, and chance shortens each by up to half: a broker that
comes back finds its monitor again within two seconds, and not all its clients in the same instant."""

STEADY: Final = 10.0
"""Seconds after which a connection counts as one: two monitors with the same client id throw each other out,
and must not do so ever faster."""

SUBSCRIBE_AGAIN: Final = 1.0
"""Seconds after which the retained topics are subscribed to once more.

A broker then sends all retained messages again. NATS 2.15 can miss one that is published in the very moment of
the first subscription (2 of 40 tries), and a device describes itself but once.
"""

RETRY_LOG_EVERY: Final = 10.0
REFUSAL_LOG_EVERY: Final = 60.0
"""Seconds between two log lines of the same kind."""

MAX_META: Final = 4096
"""Bytes of a meta or status message."""


class Ingest:
    """Keeps the monitor subscribed to its broker, whatever happens to the connection.

    **Messages in flight.** A message whose acknowledgement is withheld is in flight, and a broker sends only
    so many ahead: with a limit of L and a tick of T seconds, at most L / T messages a second would pass.

    - MQTT 5: the limit is what the client asks for (Receive Maximum), here the inbox's capacity: 4096 a tick
      of 50 ms are 80 000 messages/s. mosquitto 2 complies: its ``max_inflight_messages`` (20) is for clients
      that do not ask.
    - MQTT 3.1.1: the broker's setting, which nothing tells the client: 20 in mosquitto (400 messages/s, the
      load of 40 beds), 1024 a subscription in NATS (20 000 messages/s). So `in_flight` tells it here, and as
      soon as that many messages are in, the inbox is emptied without waiting for the tick. Told too little,
      there are more ticks than need be; told too much, at most L / T messages a second pass.

    **Flood.** A new bed beyond `max_beds` is refused, so that invented beds leave the known ones alone.

    Attributes:
        connected: whether the subscription stands right now.
        received: messages so far.
        refused: reason -> messages refused. They are acknowledged, or the broker would send them for ever.
        beds: ids of the beds admitted.
    """

    def __init__(
        self,
        inbox: Inbox,
        host: str,
        port: int,
        *,
        client_id: str = "wardbeat",
        in_flight: int = IN_FLIGHT,
        max_beds: int = 1024,
        login: tuple[str, str | None] | None = None,
    ) -> None:
        self.connected = False
        self.received = 0
        self.refused: Counter[str] = Counter()
        self.beds: set[str] = set()
        self._inbox = inbox
        self._host = host
        self._port = port
        self._client_id = client_id
        self._in_flight = in_flight
        self._max_beds = max_beds
        self._login = login
        self._version: int = MQTTv50
        self._backoff = BACKOFF_FIRST
        self._retries = _Seldom(RETRY_LOG_EVERY)
        self._refusals = _Seldom(REFUSAL_LOG_EVERY)

    async def run(self) -> NoReturn:
        """Stay connected until cancelled; what is unacknowledged then is for the next monitor."""
        try:
            while True:
                version = self._version
                why = await self._connect_and_stay()
                if version != self._version:
                    log.info("the broker at %s:%d speaks no MQTT 5; trying 3.1.1", self._host, self._port)
                    continue
                pause = self._backoff * random.uniform(0.5, 1.0)
                self._backoff = min(2 * self._backoff, BACKOFF_LONGEST)
                if self._retries.due("") is not None:
                    log.warning("MQTT broker at %s:%d: %s; next try in %.1f s", self._host, self._port, why, pause)
                await asyncio.sleep(pause)
        finally:
            await self._inbox.abandon()

    async def _connect_and_stay(self) -> str:
        """Connect, subscribe and receive; return why it ended."""
        connection = _Connection(self._client_id, self._inbox.capacity, self._on_subscribed, self._on_message)
        if self._login is not None:
            connection.set_auth_credentials(*self._login)
        started = time.monotonic()
        try:
            why = await connection.stay(self._host, self._port, self._version)
        finally:
            self.connected = False
            if connection.refused_version:
                self._version = MQTTv311
        if time.monotonic() - started > STEADY:
            self._backoff = BACKOFF_FIRST
        elif connection.stands:
            why += f" at once; does another monitor use the client id {self._client_id!r}?"
        return why

    def _on_subscribed(self) -> None:
        self.connected = True
        self._inbox.eager = self._inbox.capacity if self._version == MQTTv50 else self._in_flight
        name = "5" if self._version == MQTTv50 else "3.1.1"
        log.info("subscribed at the MQTT broker at %s:%d (MQTT %s)", self._host, self._port, name)

    async def _on_message(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        """Take one message; return when it may be acknowledged. Never raises.

        One that outlives its connection is let go with its batch, and its acknowledgement goes nowhere.
        """
        self.received += 1
        value: Inbound | None = None
        bed, kind = _split(topic)
        try:
            value = self._parse(bed, kind, payload, retained)
        except MessageError as error:
            self._refuse(bed, error)
        except Exception:
            log.exception("decoding a message of bed %.40r failed", bed)
            self._refuse(bed, MessageError("internal", "the decoder failed"))
        if qos > 0:
            await self._inbox.hold(value)
        elif value is not None and not await self._inbox.offer(value):
            self._refuse(bed, MessageError("overflow", "sent with QoS 0 and no room for it"))

    def _parse(self, bed: str, kind: str, payload: bytes, retained: bool) -> Inbound | None:
        check_bed(bed)
        if bed not in self.beds and len(self.beds) >= self._max_beds:
            raise MessageError("beds", f"there are {self._max_beds} beds already, and no more are taken")
        value: Inbound
        if kind == "ecg":
            if retained:
                raise MessageError("retained", "samples from the past: ecg messages are not to be retained")
            value = decode(bed, payload)
        elif not payload:  # how MQTT deletes a retained message
            return None
        else:
            value = parse_meta(bed, payload) if kind == "meta" else parse_status(bed, payload)
        self.beds.add(bed)
        return value

    def _refuse(self, bed: str, error: MessageError) -> None:
        self.refused[error.reason] += 1
        # Beds that were never admitted share one line a minute and reason: their names can be anything.
        unlogged = self._refusals.due((bed if bed in self.beds else "", error.reason))
        if unlogged is not None:
            more = f" (and {unlogged} more)" if unlogged else ""
            log.warning("bed %.40r: message refused (%s): %s%s", bed, error.reason, error, more)


class _Connection(Client):  # type: ignore[misc]  # gmqtt has no type information
    """A gmqtt client that lives for one connection.

    gmqtt would reconnect by itself, and send acknowledgements still withheld on the new connection. They
    name messages by packet ids, which start afresh in a broker that was started again: they could acknowledge
    messages nobody has seen. The acknowledgements of a closed connection go nowhere.
    """

    def __init__(
        self,
        client_id: str,
        receive_maximum: int,
        subscribed: Callable[[], None],
        receive: Callable[[str, bytes, int, bool], Awaitable[None]],
    ) -> None:
        """Prepare a connection.

        Args:
            client_id: names the session; a broker keeps one for each id.
            receive_maximum: messages an MQTT 5 broker may send ahead of our acknowledgements.
            subscribed: called when the subscriptions stand.
            receive: called with topic, payload, QoS and whether it was retained; the message is
                acknowledged when it returns, and it must not raise.
        """
        super().__init__(
            client_id,
            clean_session=False,
            optimistic_acknowledgement=False,
            session_expiry_interval=SESSION_EXPIRY,
            receive_maximum=receive_maximum,
            maximum_packet_size=MAX_PAYLOAD + 1024,
        )
        self._subscribed = subscribed
        self._receive = receive
        self.stands = False  # the subscriptions were granted
        self._timer: asyncio.TimerHandle  # gives up on the broker, then subscribes again
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.on_connect = _Connection._on_connected
        self.on_subscribe = _Connection._on_granted
        self.on_message = _Connection._on_received
        self.on_disconnect = _Connection._on_disconnected

    @property
    def refused_version(self) -> bool:
        """Whether the broker refused MQTT 5: gmqtt notes what to speak instead when it reconnects."""
        return bool(self._connection_state.protocol_version == MQTTv311)

    async def reconnect(self, delay: bool = False) -> None:
        """Do nothing; :class:`Ingest` makes a new client."""

    async def stay(self, host: str, port: int, version: int) -> str:
        """Connect, subscribe and receive; return why it ended."""
        attempt = asyncio.create_task(
            self.connect(host, port, keepalive=KEEPALIVE, version=version), name="mqtt connect"
        )
        attempt.add_done_callback(self._on_tried)
        self._timer = asyncio.get_running_loop().call_later(CONNECT_TIMEOUT, self._end, "no answer")
        try:
            return await self._ended
        finally:
            self._timer.cancel()
            attempt.cancel()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(DISCONNECT_TIMEOUT):
                    await self.disconnect()

    def _end(self, why: str) -> None:
        if not self._ended.done():
            self._ended.set_result(why)

    def _on_tried(self, attempt: asyncio.Task[None]) -> None:
        error = None if attempt.cancelled() else attempt.exception()
        if isinstance(error, MQTTConnectError):
            self._end(f"refused: {error}")
        elif isinstance(error, OSError):
            self._end(error.strerror or str(error))
        elif error is not None:
            self._end(repr(error))

    # gmqtt calls these with the client first, as if they were functions: hence set as functions of the class.

    def _on_connected(self, flags: int, code: int, properties: dict[str, Any]) -> None:
        self._subscribe(KINDS)

    def _on_granted(self, mid: int, granted: tuple[int, ...], properties: dict[str, Any]) -> None:
        if any(code >= 0x80 for code in granted):
            self._end(f"it refuses the subscription to {TOPIC_ROOT}/+/..., see its access control")
        elif not self.stands:
            self.stands = True
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(SUBSCRIBE_AGAIN, self._subscribe, RETAINED)
            self._subscribed()

    def _subscribe(self, kinds: tuple[str, ...]) -> None:
        self.subscribe([Subscription(topic("+", kind), qos=1) for kind in kinds])

    async def _on_received(self, topic: str, payload: bytes, qos: int, properties: dict[str, Any]) -> int:
        await self._receive(topic, payload, qos, bool(properties.get("retain")))
        return 0  # reason code of the acknowledgement: success

    def _on_disconnected(self, packet: Any, error: Exception | None = None) -> None:
        self._end("connection lost")


class _Seldom:
    """Keeps a log calm: says when something that goes on and on is due for another line."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._seen: dict[object, tuple[float, int]] = {}  # key -> time of its last line, times since then

    def due(self, key: object) -> int | None:
        """How often `key` came up since its last line; None if that was less than `every` seconds ago."""
        now = time.monotonic()
        last, unlogged = self._seen.get(key, (-float("inf"), 0))
        if now - last < self._every:
            self._seen[key] = (last, unlogged + 1)
            return None
        self._seen[key] = (now, 0)
        return unlogged


def parse_meta(bed: str, payload: bytes) -> Describe:
    """Read a meta message; only ``leads`` must be there::

        {"leads": ["MLII", "V1"], "alias": "Bay 3", "simulated": true}

    Raises:
        MessageError: it is not a valid meta message; ``reason`` says in one word why.
    """
    meta = _json_object(payload)
    leads = meta.get("leads")
    if not isinstance(leads, list) or not 1 <= len(leads) <= MAX_LEADS_SENT:
        raise MessageError("leads", f"leads is not a list of 1 to {MAX_LEADS_SENT} names")
    if not all(_is_text(lead, 16) for lead in leads):
        raise MessageError("leads", "a lead's name is not a printable text of 1 to 16 characters")
    alias = meta.get("alias", "")
    if alias != "" and not _is_text(alias, 64):
        raise MessageError("alias", "the alias is not a printable text of at most 64 characters")
    return Describe(bed, tuple(leads), alias, _flag(meta, "simulated"))


def parse_status(bed: str, payload: bytes) -> Presence:
    """Read a status message: ``{"online": true}``.

    Raises:
        MessageError: it is not one.
    """
    status = _json_object(payload)
    if "online" not in status:
        raise MessageError("online", "online is missing")
    return Presence(bed, _flag(status, "online"))


def _json_object(payload: bytes) -> dict[str, Any]:
    if len(payload) > MAX_META:
        raise MessageError("size", f"{len(payload)} bytes; at most {MAX_META} are accepted")
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError):
        raise MessageError("json", "not JSON") from None
    if not isinstance(message, dict):
        raise MessageError("json", "not a JSON object")
    return message


def _flag(message: dict[str, Any], key: str) -> bool:
    value = message.get(key, False)
    if not isinstance(value, bool):
        raise MessageError(key, f"{key} is neither true nor false")
    return value


def _is_text(value: object, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()


def _split(topic: str) -> tuple[str, str]:
    """Bed and kind of a topic that matches a subscription."""
    bed, _, kind = topic.removeprefix(f"{TOPIC_ROOT}/").rpartition("/")
    return bed, kind
