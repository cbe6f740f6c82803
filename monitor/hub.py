"""The live feed: the page, and one websocket for everybody who looks at it.

The app calls :meth:`Hub.publish` once a tick and never waits. What a tick has for its viewers is encoded once
and written to each of them; a viewer's queue is its connection's write buffer, and :class:`Hub` says what
happens when that fills. Commands come back through the :class:`asyncio.Queue` the hub is made with.

One port serves all of it::

    GET /          the page
    GET /healthz   200 "ready" or 503 "starting"
    GET /ws        the feed; refused to web pages of another origin and to clients that name none

What passes over the feed is in :mod:`monitor.feed`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Self

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Origin

from monitor.commands import FromPerson, SetLimits, Shown
from monitor.ecg import FS
from monitor.events import Alarm, Event
from monitor.exceptions import ConfigError, MessageError
from monitor.feed import PROTOCOL, dumps, encode_waves, parse_command
from monitor.pages import answer, read_assets
from monitor.profiles import with_changes

if TYPE_CHECKING:
    from monitor.views import BedView, Wave

log = logging.getLogger(__name__)

SHED_ABOVE: Final = 256 * 1024
"""Bytes a viewer may have unsent before its waveforms are shed: seconds of a full ward."""

CLOSE_ABOVE: Final = 1024 * 1024
"""Bytes unsent at which a viewer is closed at once: what a viewer can cost in memory."""

CLOSE_AFTER: Final = 5.0
"""Seconds above SHED_ABOVE after which a viewer is closed."""

MAX_VIEWERS: Final = 200
PORTS_TRIED: Final = 20
MAX_COMMAND: Final = 4096
"""Bytes; a longer message closes its connection (1009) unread."""

VITALS_EVERY: Final = 1.0
_SHUTDOWN: Final = 0.3
_SEND_BUFFER: Final = 128 * 1024
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


@dataclass(slots=True)
class _Bed:
    """What viewers have been told of a bed.

    Attributes:
        index: its number in binary frames; never reused.
        view: as of the last tick.
        heard: clock at which its last sample arrived.
    """

    index: int
    view: BedView
    heard: float

    def has(self, wave: Wave) -> bool:
        """Whether the wave is of the stream that viewers know; one that restarted within the tick left two."""
        return wave.first + len(wave.samples) <= self.view.position

    def as_dict(self) -> dict[str, Any]:
        view = self.view
        return {
            "index": self.index,
            "bed": view.bed,
            "leads": list(view.leads),
            "fs": view.fs,
            "stream": view.stream,
            "origin": view.origin,
            "position": view.position,
            "simulated": view.simulated,
            "alias": view.alias,
            "profile": view.profile,
            "limits": view.limits.as_dict(),
        }


_identity = attrgetter("stream", "origin", "fs", "leads", "alias", "simulated", "profile", "limits")
"""What of a bed's view viewers are told once, and again when it changes."""


class Hub:
    """Serves the page and the feed; an asynchronous context manager.

    Nothing here waits for a viewer: each has its connection's write buffer for a queue. Above SHED_ABOVE
    (256 KiB) its waveforms are left out, and the page shows the gap; events, alarms, vitals and bed messages
    are still queued, never shed. A viewer that stays above for CLOSE_AFTER (5 s), or reaches CLOSE_ABOVE
    (1 MiB), is disconnected: the page then reconnects and rebuilds its state from ``hello``, so nothing is
    lost that is still true. Where Linux offers it, the kernel ends a connection whose peer took nothing for
    5 s, so that a viewer on a pulled cable goes as soon when the ward has only one bed.

    Commands that find the app's queue full are refused like malformed ones: answered, counted, not kept.

    Attributes:
        port: the port that is served; known once entered.
        url: address of the page.
        ready: what /healthz says; the app sets it when every kernel and the model are warm.
        refused: reason -> number of refused commands.
        shed: waveform frames left out, over all viewers.
        closed: viewers disconnected because they did not read.

    Raises:
        ConfigError: on entering; the address cannot be bound, or is not of this machine alone.
    """

    def __init__(
        self,
        commands: asyncio.Queue[FromPerson],
        *,
        host: str = "127.0.0.1",
        port: int = 8765,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to serve; nothing is bound before the hub is entered.

        Args:
            commands: where viewers' commands go; its size bounds them.
            port: when busy, the next free one of the following 20 is taken; 0: any free one.
            host: an address of this machine. There is no sign-in yet, so others are refused.
            clock: monotonic seconds, for the age of data and for slow viewers.
        """
        self.host = host
        self.port = port
        self.ready = False
        self.refused: Counter[str] = Counter()
        self.shed = 0
        self.closed = 0
        self._commands = commands
        self._clock = clock
        self._beds: dict[str, _Bed] = {}
        # Active alarm -> when it was raised, when its state last changed (seconds since 1970).
        self._alarm_times: dict[str, tuple[float, float]] = {}
        # Viewer -> when its buffer was last below SHED_ABOVE.
        self._viewers: dict[ServerConnection, float] = {}
        self._shown: set[str] = set()  # active alarms that a viewer has said it shows
        self._transports: set[asyncio.Transport] = set()
        self._vitals_due = clock()
        self._now_unix = 0.0
        self._assets = read_assets()
        self._server: Server

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"

    @property
    def viewers(self) -> int:
        """How many websockets are open."""
        return len(self._viewers)

    async def __aenter__(self) -> Self:
        if self.host not in _LOOPBACK:
            raise ConfigError(
                "the page has no sign-in, so it is served to this machine only",
                where=f"{self.host}:{self.port}",
                remedy=f"use 127.0.0.1, and from elsewhere ssh -L {self.port}:127.0.0.1:{self.port}",
            )
        listener = _listen(self.host, self.port)
        wanted, self.port = self.port, listener.getsockname()[1]
        if wanted not in (0, self.port):
            log.warning("port %d is busy, serving port %d instead", wanted, self.port)
        transports = self._transports

        class Connection(ServerConnection):
            """Known from accept on: browsers open connections ahead of what they will ask."""

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                transports.add(self.transport)

            def connection_lost(self, exc: Exception | None) -> None:
                transports.discard(self.transport)
                super().connection_lost(exc)

        suffix = "" if self.port == 80 else f":{self.port}"
        self._server = await serve(
            self._attend,
            sock=listener,
            origins=[Origin(f"http://{name}{suffix}") for name in ("127.0.0.1", "[::1]", "localhost")],
            compression=None,
            process_request=self._respond,
            server_header=None,
            ping_interval=None,  # data flows each tick, and what it cannot reach is closed
            close_timeout=2.0,
            max_size=MAX_COMMAND,
            create_connection=Connection,
        )
        log.info("serving %s", self.url)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close(code=1001, reason="the monitor stops")
        try:
            await asyncio.wait_for(self._server.wait_closed(), _SHUTDOWN)
        except TimeoutError:
            for transport in list(self._transports):
                transport.abort()
            await self._server.wait_closed()

    def publish(
        self,
        events: Sequence[Event],
        waves: Sequence[Wave],
        views: Iterable[BedView],
        now_unix: float,
    ) -> None:
        """Give every viewer what one tick brought; call it each tick, also when that is nothing.

        Vitals ride on the tick too: when the app hangs, the feed falls silent and the page says so.

        Args:
            events: in order.
            waves: of beds that have a view.
            views: of all beds, as of the end of this tick.
            now_unix: seconds since 1970, put on events and frames.
        """
        now, self._now_unix = self._clock(), now_unix
        for view in views:
            self._update_bed(view, now)
        messages = [self._stamp(event) for event in events]
        if messages:
            self._tell({"type": "events", "events": messages})
        keeping_up = self._keeping_up(now)
        self.shed += (len(self._viewers) - len(keeping_up)) if waves else 0
        if waves and keeping_up:
            segments = [(bed.index, wave) for wave in waves if (bed := self._beds[wave.bed]).has(wave)]
            broadcast(keeping_up, encode_waves(segments, now_unix))
        if now >= self._vitals_due:
            self._vitals_due = max(self._vitals_due + VITALS_EVERY, now)
            self._tell({"type": "vitals", "beds": [_vitals(bed, now) for bed in self._beds.values()]})
            active = {alarm.id for bed in self._beds.values() for alarm in bed.view.alarms}
            self._alarm_times = {id_: times for id_, times in self._alarm_times.items() if id_ in active}
            self._shown &= active

    def _update_bed(self, view: BedView, now: float) -> None:
        bed = self._beds.get(view.bed)
        if bed is None:
            bed = self._beds[view.bed] = _Bed(len(self._beds), view, now)
            self._tell({"type": "bed", **bed.as_dict()})
            return
        old, bed.view = bed.view, view
        if _identity(old) != _identity(view):
            bed.heard = now
            self._tell({"type": "bed", **bed.as_dict()})
        elif view.position != old.position:
            bed.heard = now

    def _stamp(self, event: Event) -> dict[str, Any]:
        now_unix = self._now_unix
        message = {**event.as_dict(), "time": now_unix}
        if isinstance(event, Alarm):
            raised, _ = self._alarm_times.get(event.id, (now_unix, now_unix))
            self._alarm_times[event.id] = (raised, now_unix)
            message["since"] = raised
            message |= self._silence(event)
            if event.state == "cleared":
                del self._alarm_times[event.id]
        return message

    def _active_alarms(self) -> list[dict[str, Any]]:
        # An alarm restored from a snapshot was raised before this process: for it, now has to do.
        unknown = (self._now_unix, self._now_unix)
        alarms = []
        for bed in self._beds.values():
            for alarm in bed.view.alarms:
                since, changed = self._alarm_times.setdefault(alarm.id, unknown)
                alarms.append({**alarm.as_dict(), "time": changed, "since": since, **self._silence(alarm)})
        return alarms

    def _silence(self, alarm: Alarm) -> dict[str, float]:
        """Until when an alarm is silenced, seconds since 1970, if it is."""
        return {} if alarm.silence is None else {"silenced_until": self._now_unix + alarm.silence}

    def _keeping_up(self, now: float) -> list[ServerConnection]:
        """Viewers that can take waveforms; those that have not been able to for too long are disconnected."""
        keeping_up = []
        for viewer, last_low in list(self._viewers.items()):
            unsent = viewer.transport.get_write_buffer_size()
            if unsent <= SHED_ABOVE:
                self._viewers[viewer] = now
                keeping_up.append(viewer)
            elif unsent > CLOSE_ABOVE or now - last_low > CLOSE_AFTER:
                log.warning("closed the viewer at %s: %d bytes unread", viewer.remote_address, unsent)
                del self._viewers[viewer]
                self.closed += 1
                viewer.transport.abort()  # a closing handshake would queue behind what it does not read
        return keeping_up

    def _tell(self, message: dict[str, Any]) -> None:
        if self._viewers:
            broadcast(self._viewers, dumps(message))

    async def _attend(self, viewer: ServerConnection) -> None:
        """Serve one viewer: hello, then its commands until it leaves."""
        hello = {
            "type": "hello",
            "version": PROTOCOL,
            "fs": FS,
            "beds": [bed.as_dict() for bed in self._beds.values()],
            "alarms": self._active_alarms(),
        }
        broadcast([viewer], dumps(hello))
        self._viewers[viewer] = self._clock()  # no await since hello was made: it misses nothing
        try:
            async for message in viewer:
                try:
                    self._pass_on(parse_command(message, self._beds))
                except MessageError as error:
                    await self._refuse(viewer, error.reason, str(error))
                except asyncio.QueueFull:
                    await self._refuse(viewer, "busy", "too many commands at once; try again")
        except ConnectionClosed:
            pass
        finally:
            self._viewers.pop(viewer, None)

    def _pass_on(self, command: FromPerson) -> None:
        """Give a command to the app; that all viewers show an alarm at once is told once.

        Raises:
            MessageError: limits that do not go with those that the bed has.
            QueueFull: there are too many commands.
        """
        if isinstance(command, SetLimits):
            try:
                with_changes(self._beds[command.bed].view.limits, **command.changes)
            except ValueError as error:
                raise MessageError("limits", str(error)) from None
        if isinstance(command, Shown):
            if command.alarm_id in self._shown or command.alarm_id not in self._alarm_times:
                return
            self._shown.add(command.alarm_id)
        self._commands.put_nowait(command)

    async def _refuse(self, viewer: ServerConnection, reason: str, text: str) -> None:
        self.refused[reason] += 1
        await viewer.send(dumps({"type": "error", "reason": text}))

    def _respond(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer a plain request; None lets a websocket's handshake go on."""
        path = request.path.partition("?")[0]
        if path == "/ws" and len(self._viewers) < MAX_VIEWERS:
            return None
        if path == "/ws":
            return answer(HTTPStatus.SERVICE_UNAVAILABLE, b"too many viewers\n")
        if request.method != "GET":
            return answer(HTTPStatus.METHOD_NOT_ALLOWED, b"GET only\n")
        if path == "/healthz" and self.ready:
            return answer(HTTPStatus.OK, b"ready\n")
        if path == "/healthz":
            return answer(HTTPStatus.SERVICE_UNAVAILABLE, b"starting\n")
        if path in self._assets:
            content_type, content = self._assets[path]
            return answer(HTTPStatus.OK, content, content_type)
        return answer(HTTPStatus.NOT_FOUND, b"no such page\n")


def _vitals(bed: _Bed, now: float) -> dict[str, Any]:
    view = bed.view
    return {
        "bed": view.bed,
        "heart_rate": view.heart_rate,
        "rhythm": view.rhythm,
        "pvc_per_minute": view.pvc_per_minute,
        "age": round(now - bed.heard, 2),
        "low": view.low,
        "high": view.high,
        "pause": round(view.pause_left, 1),
    }


def _listen(host: str, port: int) -> socket.socket:
    """Bind `port`, or the first free one of those that follow."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    last = min(port + PORTS_TRIED, 65535) if port else 0
    for candidate in range(port, last + 1):
        try:
            listener = socket.create_server((host, candidate), family=family, backlog=128)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            raise ConfigError(
                f"cannot listen: {error.strerror}",
                where=f"{host}:{candidate}",
                remedy="choose another port",
            ) from error
        # Accepted connections inherit these. A deep kernel buffer would hide for long that a viewer does not read.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(CLOSE_AFTER * 1000))
        return listener
    raise ConfigError(
        f"ports {port} to {last} are all in use",
        where=host,
        remedy="stop what uses them or choose another port",
    )
