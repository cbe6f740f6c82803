"""The asyncio shell: broker -> inbox -> ward -> hub.

Three tasks in one group, inside the hub that serves the page and the feed (:mod:`monitor.hub`)::

    ingest      keeps the subscription and fills the inbox (monitor.mqtt)
    publisher   sends alarms and beats back to the broker (monitor.publisher)
    ticker      each tick: the journal, ward.feed, the sinks (alarm log, publisher), then acknowledge, then hub.publish

Queues, and what happens when they are full: the inbox (4096 messages) makes the broker keep what follows; the
viewers' commands (256) make the hub refuse; a viewer's write buffer makes the hub shed its waveforms, never
beats or alarms.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from monitor.alarm_log import AlarmLog, read_alarm_log
from monitor.commands import Command, Describe, FromPerson, RecorderState, Resumed
from monitor.ecg import FS
from monitor.exceptions import WardbeatError
from monitor.hub import Hub
from monitor.inbox import Batch, Inbox, Presence
from monitor.journal import Entry
from monitor.messages import Chunk
from monitor.metrics import Metrics
from monitor.mqtt import Ingest
from monitor.publisher import Publisher
from monitor.recorder.recorder import HOUR, Recorder
from monitor.settings import Settings
from monitor.store import Store, tick_of
from monitor.tick import Sink

if TYPE_CHECKING:
    from monitor.ward import Ward

log = logging.getLogger(__name__)

COMMANDS: Final = 256
"""Commands of viewers that wait for the next tick."""

_T = TypeVar("_T")


def load_ward(settings: Settings) -> Ward:
    """Make the ward, with its model verified and every kernel and the model warm: seconds, a minute at first.

    Raises:
        ModelError: the model is not the pinned one or does not keep its contract.
    """
    from monitor.classifier import load_models  # torch takes seconds to import
    from monitor.ward import Ward

    log.info("loading the models")
    models = load_models(settings.models)
    ward = Ward(models.one, two_leads=models.two)
    log.info("preparing the kernels (the first start compiles them)")
    ward.warm_up()
    # What is loaded by now stays. Left to the garbage collector, a full collection would stall a tick, and the
    # end of the process, by most of a second.
    gc.freeze()
    return ward


def recorder_of(settings: Settings, store: Path) -> Recorder:
    """The recorder that the settings ask for."""
    size = None if settings.keep_gb is None else round(settings.keep_gb * 1e9)
    return Recorder(store, rotation=settings.record_hours * HOUR, days=settings.keep_days, size=size, resume=True)


async def monitor_ward(
    settings: Settings,
    *,
    make_ward: Callable[[Settings], Ward] = load_ward,
    serving: Callable[[str], None] = lambda url: None,
    ready: Callable[[], None] = lambda: None,
) -> NoReturn:
    """Monitor the beds of a broker and serve the page, until cancelled.

    Args:
        make_ward: makes a warm ward; runs in a thread of its own.
        serving: called with the page's address as soon as it is served.
        ready: called when every kernel and the models are warm; /healthz and /readyz say so too.

    Raises:
        WardbeatError: the address cannot be served, the model is refused, the alarm log cannot be opened, or the
            analysis failed.
    """
    commands: asyncio.Queue[FromPerson] = asyncio.Queue(COMMANDS)
    login = settings.broker_login()
    async with Hub(commands, host=settings.host, port=settings.port) as hub:
        serving(hub.url)
        started = time.monotonic()
        ward = await _in_thread(lambda: make_ward(settings))
        inbox = Inbox()
        ingest = Ingest(
            inbox,
            settings.broker_host,
            settings.broker_port,
            client_id=settings.client_id,
            in_flight=settings.broker_in_flight,
            max_beds=settings.max_beds,
            login=login,
        )
        with ExitStack() as kept:
            sinks: list[Sink] = []
            if settings.alarm_log:
                sinks.append(kept.enter_context(AlarmLog(settings.alarm_log)))
            tasks: dict[str, Coroutine[Any, Any, NoReturn]] = {"ingest": ingest.run()}
            publisher = None
            if settings.publish:
                publisher = Publisher(
                    settings.broker_host,
                    settings.broker_port,
                    client_id=f"{settings.client_id}-out",
                    login=login,
                    note=settings.store and settings.store / "published",
                    alarm_log=settings.alarm_log,
                )
                sinks.append(kept.enter_context(publisher))
                tasks["publisher"] = publisher.run()
            if settings.store and settings.record:
                sinks.append(kept.enter_context(recorder_of(settings, settings.store)))
            store, begin = None, 0.0
            if settings.store:
                store = kept.enter_context(Store(settings.store, every=settings.snapshot_every))
                begin = await _in_thread(lambda: store.restore(ward, sinks))
                if (path := settings.alarm_log) and ward.beds():
                    hub.recall(await _in_thread(lambda: list(read_alarm_log(path))))
            metrics = Metrics(hub, inbox, ingest, commands, sinks=sinks, publisher=publisher, store=store)
            hub.pages["/metrics"] = metrics.page
            ticker = Ticker(ward, inbox, hub, commands, settings, sinks, store, begin, metrics.ticked)
            tasks["ticker"] = ticker.run()
            hub.health.subscribed = lambda: ingest.connected
            hub.health.warmed()
            log.info("ready after %.1f s", time.monotonic() - started)
            ready()
            await together(**tasks)


class Ticker:
    """Gives the ward, once a tick, everything that arrived, and passes on what it says.

    A message is acknowledged when it is in the journal, :meth:`Ward.feed` has returned and every sink has taken the
    tick, not before; only then are viewers told. When the ward fails, nothing of its tick is acknowledged and
    :meth:`run` raises: a monitor that cannot analyse must not look as if it did, and whoever starts it again gets
    those messages again.
    """

    def __init__(
        self,
        ward: Ward,
        inbox: Inbox,
        hub: Hub,
        commands: asyncio.Queue[FromPerson],
        settings: Settings,
        sinks: Sequence[Sink] = (),
        store: Store | None = None,
        begin: float = 0.0,
        measure: Callable[[float, float | None, int], None] = lambda began, arrived, events: None,
    ) -> None:
        """Prepare to tick.

        Args:
            ward: warm, and restored.
            sinks: keep what the ward says.
            store: keeps what it is given; None: nothing is.
            begin: the ward's time now, s; it goes on from there.
            measure: is told of each tick when it began, when its first message arrived, and how many events came of it.
        """
        self._measure = measure
        self._sinks = sinks
        self._store = store
        self._offset = begin - time.monotonic() if begin else 0.0
        self._number = max([0 if store is None else store.number, *(sink.kept for sink in sinks)])  # of the last tick
        self._told = None if self._number else RecorderState(True)  # a restored ward may know otherwise
        self._ward = ward
        self._inbox = inbox
        self._hub = hub
        self._commands = commands
        self._tick = settings.tick
        # Of beds that have not been heard of yet, or were not told them before the monitor was killed.
        known = {view.bed for view in ward.beds() if view.position > FS} if self._number else set()
        self._settings = {bed: given for bed, given in settings.beds.items() if bed not in known}
        self._next: list[Command] = [Resumed()] if self._number else []  # for the next tick
        self._offline: set[str] = set()

    async def run(self) -> NoReturn:
        """Tick until cancelled.

        Raises:
            WardbeatError: the ward or the hub failed.
        """
        due = time.monotonic()
        while True:
            batch = await self._inbox.take(due - time.monotonic())
            now = time.monotonic()
            due = now + self._tick
            try:
                self._step(batch, now + self._offset)
            except Exception as error:
                log.exception("the analysis failed")
                raise WardbeatError(
                    f"the analysis failed ({error!r}) and monitoring has stopped",
                    remedy="start wardbeat again; the broker delivers again what was not analysed",
                ) from error

    def _step(self, batch: Batch, now: float) -> None:
        chunks: list[Chunk] = []
        commands, self._next = self._next, []
        for value in batch.values:
            match value:
                case Chunk():
                    chunks.append(value)
                    if value.time_us:
                        self._hub.note_skew(value.bed, _skew_of(value, time.time()))
                    if value.bed in self._settings:  # the ward knows it from this tick on
                        self._next += self._settings.pop(value.bed).commands(value.bed)
                case Describe():
                    commands.append(value)
                case Presence():
                    self._note(value)
        while not self._commands.empty():
            commands.append(self._commands.get_nowait())
        commands += self._state_of_store()
        self._number += 1
        entry = Entry(self._number, now, time.time(), chunks, commands)
        if self._store is not None:
            self._store.append(entry, self._ward)
        tick = tick_of(entry, self._ward.feed(chunks, commands, now), self._ward)
        for sink in self._sinks:
            sink.write(tick)
        if self._store is not None:
            self._store.keep(self._ward, self._sinks)
        batch.acknowledge()
        self._hub.publish(tick.events, tick.waves, tick.views, tick.unix, tick.number)
        self._measure(now - self._offset, batch.arrived, len(tick.events))

    def _state_of_store(self) -> list[Command]:
        """What the ward is to be told of what can be kept, when that has changed."""
        failures = [None if self._store is None else self._store.failed, *(sink.failed for sink in self._sinks)]
        reason = next((failure for failure in failures if failure is not None), None)
        state = RecorderState(reason is None, reason or "")
        if state == self._told:
            return []
        self._told = state
        return [state]

    def _note(self, presence: Presence) -> None:
        """Log a device's going and coming; that its data ended, the ward finds for itself within 2 s."""
        if not presence.online and presence.bed not in self._offline:
            self._offline.add(presence.bed)
            log.warning("bed %s: its device is offline", presence.bed)
        elif presence.online and presence.bed in self._offline:
            self._offline.discard(presence.bed)
            log.info("bed %s: its device is back", presence.bed)


def _skew_of(chunk: Chunk, unix: float) -> float:
    """Seconds by which a device's clock is ahead of ours, less the time its samples took to come."""
    return chunk.time_us / 1e6 + len(chunk.samples) / chunk.fs - unix


async def together(**tasks: Coroutine[Any, Any, NoReturn]) -> NoReturn:
    """Run endless tasks, named, in one group, until cancelled.

    Raises:
        WardbeatError: the first failure of a task, out of its exception group; the others are cancelled.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for name, task in tasks.items():
                group.create_task(task, name=name)
    except BaseExceptionGroup as failures:
        ours, others = failures.split(WardbeatError)
        if ours is None or others is not None:
            raise
        failure: BaseException = ours
        while isinstance(failure, BaseExceptionGroup):
            failure = failure.exceptions[0]
        raise failure from None
    raise AssertionError("an endless task ended")


def run_until_stopped(main: Coroutine[Any, Any, NoReturn]) -> None:
    """Run `main` until SIGINT or SIGTERM, either of which is the normal way to end it.

    Raises:
        WardbeatError: `main` failed.
    """

    async def run() -> None:
        task = asyncio.ensure_future(main)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(run())


async def _in_thread(function: Callable[[], _T]) -> _T:
    """Run a function in a daemon thread: unlike one of asyncio's, it does not keep the process from ending."""
    result: Future[_T] = Future()

    def run() -> None:
        result.set_running_or_notify_cancel()
        try:
            result.set_result(function())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=run, name="warm-up", daemon=True).start()
    return await asyncio.wrap_future(result)
