"""The live feed: the page, and one websocket for everybody who looks at it.

The app calls :meth:`Hub.publish` once a tick and never waits. What a tick has for its viewers is encoded once
and written to each of them; a viewer's queue is its connection's write buffer, and :class:`Hub` says what
happens when that fills. One that comes, new or again, is first given what it lacks (:mod:`monitor.backfill`).
Commands come back through the :class:`asyncio.Queue` the hub is made with.

One port serves all of it::

    GET /          the page
    GET /healthz   200 while the monitor ticks, else 503 (monitor.health)
    GET /readyz    200 when it can monitor, else 503 and why
    GET /metrics   what Prometheus reads (monitor.metrics)
    GET /ws        the feed; refused to web pages of another origin and to clients that name none

What passes over the feed is in :mod:`monitor.feed`.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Origin

from monitor.backfill import FIRST_SECONDS, ToldRing, WaveRing, history_frames
from monitor.commands import FromPerson, SetLimits, Shown
from monitor.ecg import FS
from monitor.events import Event
from monitor.exceptions import ConfigError, MessageError
from monitor.feed import (
    PROTOCOL,
    SHED,
    Resume,
    Segment,
    dumps,
    encode_frame,
    parse_command,
    parse_resume,
    to_segments,
)
from monitor.health import Health
from monitor.listener import listen
from monitor.pages import answer, read_assets
from monitor.profiles import with_changes
from monitor.told import Told, ToldBed

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
MAX_COMMAND: Final = 4096
"""Bytes; a longer message closes its connection (1009)."""

MAX_RESUME: Final = 128 * 1024
"""Bytes of the message of a viewer that comes back: the places in a thousand beds. What is longer is never read."""

RESUME_WITHIN: Final = 2.0
"""Seconds in which such a viewer says what it has; later, it is taken for a new one."""

VITALS_EVERY: Final = 1.0
_SHUTDOWN: Final = 0.3
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


@dataclass(slots=True)
class _Viewer:
    """A websocket that is open.

    Attributes:
        low: clock at which its buffer was last below SHED_ABOVE.
        waiting: frames that follow its back-fill; None once it has that.
        held: bytes of them.
    """

    low: float
    waiting: deque[bytes] | None = field(default_factory=deque)
    held: int = 0


class Hub:
    """Serves the page and the feed; an asynchronous context manager.

    Nothing here waits for a viewer: each has its connection's write buffer for a queue. Above SHED_ABOVE
    (256 KiB) its waveforms are left out, and the page shows the gap; events, alarms, vitals and beds
    are still queued, never shed. A viewer that stays above for CLOSE_AFTER (5 s), or reaches CLOSE_ABOVE
    (1 MiB), is disconnected: the page then reconnects, rebuilds its state from ``hello`` and is given what it
    lacks. Where Linux offers it, the kernel ends a connection whose peer took nothing for
    5 s, so that a viewer on a pulled cable goes as soon when the ward has only one bed.

    **Back-fill.** A viewer gets its hello, then what it lacks of the last seconds, a piece at a time as fast as it
    reads, then the frames of the ticks since its hello, which have waited for it under the same bounds; from then
    on each tick's. A new one lacks the last 10 s. One that comes back asks for ``/ws?resume`` and says first what it
    has (:func:`monitor.feed.parse_resume`): it gets the samples from there on and the events of the ticks since,
    each once.

    Commands that find the app's queue full are refused like malformed ones: answered, counted, not kept.

    Attributes:
        port: the port that is served; known once entered.
        url: address of the page.
        health: what /healthz and /readyz say.
        pages: path -> what makes its answer; for what else is served.
        run: names this hub; ticks are counted anew in another.
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
        self.health = Health(clock)
        self.pages: dict[str, Callable[[], Response]] = {}
        self.run = uuid.uuid4().hex
        self.refused: Counter[str] = Counter()
        self.shed = 0
        self.closed = 0
        self._commands = commands
        self._clock = clock
        self._told = Told()
        self._viewers: dict[ServerConnection, _Viewer] = {}
        self._events = ToldRing()
        self._tick = 0  # number of the last one
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

    @property
    def views(self) -> list[BedView]:
        """Every bed, as of the last tick."""
        return [bed.view for bed in self._told.beds.values()]

    async def __aenter__(self) -> Self:
        if self.host not in _LOOPBACK:
            raise ConfigError(
                "the page has no sign-in, so it is served to this machine only",
                where=f"{self.host}:{self.port}",
                remedy=f"use 127.0.0.1, and from elsewhere ssh -L {self.port}:127.0.0.1:{self.port}",
            )
        listener = listen(self.host, self.port, CLOSE_AFTER)
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
            max_size=MAX_RESUME,
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

    def recall(self, lines: Iterable[dict[str, Any]]) -> None:
        """Take over from the alarm log when restored alarms were raised; before the first tick."""
        self._told.recall(lines)

    def publish(
        self,
        events: Sequence[Event],
        waves: Sequence[Wave],
        views: Iterable[BedView],
        now_unix: float,
        tick: int | None = None,
    ) -> None:
        """Give every viewer what one tick brought; call it each tick, also when that is nothing.

        Vitals ride on the tick too: when the app hangs, the feed falls silent and the page says so.

        Args:
            events: in order.
            waves: of beds that have a view.
            views: of all beds, as of the end of this tick.
            now_unix: seconds since 1970, put on events and frames.
            tick: its number; None: one more than the last.
        """
        now, self._now_unix = self._clock(), now_unix
        self._tick = self._tick + 1 if tick is None else tick
        told: list[bytes] = []
        if beds := self._told.update(views, now):
            told.append(b'"beds":' + dumps(beds).encode())
        if events:
            text = dumps([self._told.stamp(event, now_unix) for event in events]).encode()
            told.append(b'"events":' + text)
            self._events.add(self._tick, now, text[1:-1])
        if now >= self._vitals_due:
            self._vitals_due = max(self._vitals_due + VITALS_EVERY, now)
            told.append(b'"vitals":' + dumps(self._told.vitals(now)).encode())
        current = self._told.of(waves)
        segments = to_segments([(bed.index, wave) for bed, wave in current])
        for (bed, _), segment in zip(current, segments, strict=True):
            if segment.leads == bed.ring.leads:  # one that is being told anew may differ for a tick
                bed.ring.write(segment.first, segment.units)
        self._send(b"{" + b",".join(told) + b"}" if told else b"", segments, now)
        self.health.ticked()

    def note_skew(self, bed: str, seconds: float) -> None:
        """Note by how much a device's clock is ahead of the wall clock; vitals tell it, nothing else depends on it."""
        self._told.skews[bed] = seconds

    def _send(self, told: bytes, segments: list[Segment], now: float) -> None:
        """Give every viewer this tick's frame; one that is behind, the frame without its waveforms."""
        live, behind = self._by_pace(now)
        if segments:
            self.shed += len(behind)
        if not (told or segments) or not self._viewers:
            return
        frames = [encode_frame(segments, told, tick=self._tick, now_unix=self._now_unix)]
        if told and behind:
            flags = SHED if segments else 0
            frames.append(encode_frame((), told, tick=self._tick, now_unix=self._now_unix, flags=flags))
        for viewers, frame in zip((live, behind), frames, strict=False):
            for viewer in viewers:
                state = self._viewers[viewer]
                if state.waiting is not None:
                    state.waiting.append(frame)
                    state.held += len(frame)
            broadcast([viewer for viewer in viewers if self._viewers[viewer].waiting is None], frame)

    def _by_pace(self, now: float) -> tuple[list[ServerConnection], list[ServerConnection]]:
        """Viewers that can take waveforms, and those that cannot; who could not for too long is disconnected."""
        keeping_up, behind = [], []
        for viewer, state in list(self._viewers.items()):
            unsent = state.held + viewer.transport.get_write_buffer_size()
            if unsent <= SHED_ABOVE:
                state.low = now
                keeping_up.append(viewer)
            elif unsent > CLOSE_ABOVE or now - state.low > CLOSE_AFTER:
                self._drop(viewer, unsent)
            else:
                behind.append(viewer)
        return keeping_up, behind

    def _drop(self, viewer: ServerConnection, unsent: int) -> None:
        """Disconnect a viewer that does not read."""
        if self._viewers.pop(viewer, None) is None:
            return
        log.warning("closed the viewer at %s: %d bytes unread", viewer.remote_address, unsent)
        self.closed += 1
        viewer.transport.abort()  # a closing handshake would queue behind what it does not read

    async def _attend(self, viewer: ServerConnection) -> None:
        """Serve one viewer: hello, what it lacks, then its commands until it leaves."""
        hello = {
            "type": "hello",
            "version": PROTOCOL,
            "fs": FS,
            "run": self.run,
            "tick": self._tick,
            "beds": [bed.as_dict() for bed in self._told.beds.values()],
            "alarms": self._told.active_alarms(self._now_unix),
        }
        broadcast([viewer], dumps(hello))
        state = self._viewers[viewer] = _Viewer(self._clock())  # no await since hello was made: it misses nothing
        ends = [(bed, bed.signal, bed.ring, bed.ring.end) for bed in self._told.beds.values()]
        tick = self._tick
        try:
            resume = await self._resume(viewer) if _resumes(viewer) else Resume()
            await self._fill_in(viewer, state, self._history(resume, ends, tick))
            async for message in viewer:
                if len(message) > MAX_COMMAND:
                    await viewer.close(1009, "too long for a command")
                    break
                try:
                    self._pass_on(parse_command(message, self._told.beds))
                except MessageError as error:
                    await self._refuse(viewer, error.reason, str(error))
                except asyncio.QueueFull:
                    await self._refuse(viewer, "busy", "too many commands at once; try again")
        except ConnectionClosed:
            pass
        finally:
            self._viewers.pop(viewer, None)

    async def _resume(self, viewer: ServerConnection) -> Resume:
        """What a viewer that comes back says it has; nothing, if it does not say."""
        try:
            async with asyncio.timeout(RESUME_WITHIN):
                return parse_resume(await viewer.recv())
        except TimeoutError:
            await self._refuse(viewer, "resume", "it was not said in time what to resume from")
        except MessageError as error:
            await self._refuse(viewer, error.reason, str(error))
        return Resume()

    def _history(self, resume: Resume, ends: list[tuple[ToldBed, str, WaveRing, int]], tick: int) -> Iterator[bytes]:
        """What a viewer lacks of what there was when it was greeted."""
        waves = []
        for bed, signal, ring, end in ends:
            known, following = resume.beds.get(bed.view.bed, ("", 0))
            first = following if known == signal else end - round(FIRST_SECONDS * FS)
            waves.append((bed.index, ring, first, end))
        if resume.run:
            after = resume.tick if resume.run == self.run else 0
        else:
            after = self._events.since(self._clock() - FIRST_SECONDS)
        return history_frames(waves, self._events.after(after, tick), after=after, now_unix=self._now_unix)

    async def _fill_in(self, viewer: ServerConnection, state: _Viewer, history: Iterator[bytes]) -> None:
        """Send back-fill as fast as the viewer reads, then what came meanwhile; then it is one of the others."""
        try:
            for frame in history:
                async with asyncio.timeout(CLOSE_AFTER):
                    await viewer.send(frame)
            while state.waiting:
                frame = state.waiting[0]
                async with asyncio.timeout(CLOSE_AFTER):
                    await viewer.send(frame)
                state.waiting.popleft()
                state.held -= len(frame)
        except TimeoutError:
            self._drop(viewer, state.held + viewer.transport.get_write_buffer_size())
        state.waiting = None

    def _pass_on(self, command: FromPerson) -> None:
        """Give a command to the app; that all viewers show an alarm at once is told once.

        Raises:
            MessageError: limits that do not go with those that the bed has.
            QueueFull: there are too many commands.
        """
        if isinstance(command, SetLimits):
            try:
                with_changes(self._told.beds[command.bed].view.limits, **command.changes)
            except ValueError as error:
                raise MessageError("limits", str(error)) from None
        if isinstance(command, Shown) and not self._told.is_new(command.alarm_id):
            return
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
        match path:
            case "/healthz":
                return answer(*self.health.alive())
            case "/readyz":
                return answer(*self.health.ready())
        if path in self.pages:
            return self.pages[path]()
        if path in self._assets:
            content_type, content = self._assets[path]
            return answer(HTTPStatus.OK, content, content_type)
        return answer(HTTPStatus.NOT_FOUND, b"no such page\n")


def _resumes(viewer: ServerConnection) -> bool:
    """Whether a viewer is going to say what it has."""
    return viewer.request is not None and viewer.request.path.endswith("?resume")
