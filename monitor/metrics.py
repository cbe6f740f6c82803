"""What Prometheus reads at ``/metrics``: how the monitor does. No patient's name, and beds by their ids alone.

Two histograms are fed once a tick; everything else is read from public attributes when somebody asks. The series are
bounded: by the beds admitted, and by the reasons, priorities and sinks that the code knows.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Final

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from websockets.http11 import Response

from monitor.commands import FromPerson
from monitor.hub import Hub
from monitor.inbox import Inbox
from monitor.mqtt import Ingest
from monitor.pages import answer
from monitor.publisher import Publisher
from monitor.store import Store
from monitor.tick import Sink

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0, 5.0)
"""Seconds; closest around the tick."""


class Metrics:
    """Measures ticks, and answers a scrape.

    Attributes:
        registry: of this monitor alone.
    """

    def __init__(
        self,
        hub: Hub,
        inbox: Inbox,
        ingest: Ingest,
        commands: asyncio.Queue[FromPerson],
        *,
        sinks: Sequence[Sink] = (),
        publisher: Publisher | None = None,
        store: Store | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._ticks = Histogram(
            "wardbeat_tick_seconds",
            "Time a tick took: analysis, sinks, acknowledging and publishing.",
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._latency = Histogram(
            "wardbeat_latency_seconds",
            "Of ticks that said something: from the arrival of the first message of the tick until its frames "
            "were handed to every viewer's connection.",
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.registry.register(_Reader(hub, inbox, ingest, commands, sinks, publisher, store, clock))
        ProcessCollector(registry=self.registry)

    def ticked(self, began: float, arrived: float | None, events: int) -> None:
        """Note a tick that is done.

        The latency is an upper bound for each of the tick's events, by less than a tick: an event's last needed message
        came after the tick's first one, or is that. What a broker and a network added before is not in it.

        Args:
            began: monotonic time at which it began, s.
            arrived: when the first of its messages came; None: there was none.
            events: how many it said.
        """
        now = self._clock()
        self._ticks.observe(now - began)
        if arrived is not None and events:
            self._latency.observe(now - arrived)

    def page(self) -> Response:
        """The answer to a scrape."""
        return answer(HTTPStatus.OK, generate_latest(self.registry), CONTENT_TYPE)


class _Reader(Collector):
    """Reads the monitor's public attributes."""

    def __init__(
        self,
        hub: Hub,
        inbox: Inbox,
        ingest: Ingest,
        commands: asyncio.Queue[FromPerson],
        sinks: Sequence[Sink],
        publisher: Publisher | None,
        store: Store | None,
        clock: Callable[[], float],
    ) -> None:
        self._hub = hub
        self._inbox = inbox
        self._ingest = ingest
        self._commands = commands
        self._sinks = sinks
        self._publisher = publisher
        self._store = store
        self._clock = clock

    def describe(self) -> Iterator[Metric]:
        """Nothing: what is registered is not to be collected at once."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Everything there is, as of now."""
        yield from self._messages()
        yield from self._beds()
        yield from self._viewers()
        yield from self._kept()
        if self._store is not None:
            yield from self._stored(self._store)
        if self._publisher is not None:
            yield from self._published(self._publisher)

    def _messages(self) -> Iterator[Metric]:
        yield _gauge("subscribed", "Whether the broker's subscription stands.", self._ingest.connected)
        yield _counter("messages_received", "Messages that came from the broker.", self._ingest.received)
        yield _counters("messages_refused", "Messages refused.", "reason", self._ingest.refused)
        withheld = self._inbox.withheld
        depths = {"inbox": withheld, "commands": self._commands.qsize()}
        if self._publisher is not None:
            depths |= {f"publisher_{kind}": count for kind, count in self._publisher.waiting.items()}
        yield _gauges("queue_depth", "Messages that wait.", "queue", depths)

    def _beds(self) -> Iterator[Metric]:
        views, now = self._hub.views, self._clock()
        yield _gauge("beds", "Beds admitted.", len(views))
        ages = {view.bed: max(now - view.last_data, 0.0) for view in views}
        yield _gauges("data_age_seconds", "Seconds since a bed's last data.", "bed", ages)
        counts = Counter({"high": 0, "medium": 0, "low": 0})
        counts.update(alarm.priority for view in views for alarm in view.alarms)
        yield _gauges("alarms_active", "Alarms that are not over.", "priority", counts)

    def _viewers(self) -> Iterator[Metric]:
        hub = self._hub
        yield _gauge("viewers", "Websockets that are open.", hub.viewers)
        yield _counter("frames_shed", "Waveforms of a tick left out for a viewer that is behind.", hub.shed)
        yield _counter("viewers_closed", "Viewers disconnected because they did not read.", hub.closed)
        yield _counters("commands_refused", "Viewers' commands refused.", "reason", hub.refused)

    def _kept(self) -> Iterator[Metric]:
        kept = {_name(sink): float(sink.kept) for sink in self._sinks if hasattr(sink, "kept")}
        yield _gauges("sink_kept_tick", "Number of the last tick that a sink has for good.", "sink", kept)
        failed = {_name(sink): float(bool(sink.failed)) for sink in self._sinks if hasattr(sink, "failed")}
        yield _gauges("sink_failed", "Whether a sink cannot keep what it is given.", "sink", failed)

    def _stored(self, store: Store) -> Iterator[Metric]:
        yield _gauge("store_failed", "Whether journal or snapshots cannot be written.", bool(store.failed))
        yield _counter("journal_bytes", "Bytes written to the journal.", store.journal.bytes_written)
        yield _counter("snapshots_failed", "Snapshots that could not be written.", store.snapshots_failed)
        yield _gauge("snapshot_tick", "Tick of the newest snapshot that was written.", store.snapshot)
        yield _gauge("restored_tick", "Tick at which this process went on; 0: it began anew.", store.restored)

    def _published(self, publisher: Publisher) -> Iterator[Metric]:
        yield _gauge("publisher_connected", "Whether alarms and beats reach the broker.", publisher.connected)
        yield _counters("messages_published", "Messages sent to the broker.", "kind", publisher.sent)
        yield _counter("alarms_acknowledged", "Alarms that the broker has.", publisher.acknowledged)
        yield _counter("beats_shed", "Messages of beats left out.", publisher.shed)


def _name(sink: Sink) -> str:
    return type(sink).__name__


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"wardbeat_{name}", text, value=float(value))


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"wardbeat_{name}", text, value=float(value))


def _gauges(name: str, text: str, label: str, values: dict[str, float] | dict[str, int] | Counter[str]) -> Metric:
    family = GaugeMetricFamily(f"wardbeat_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], float(value))
    return family


def _counters(name: str, text: str, label: str, values: Counter[str]) -> Metric:
    family = CounterMetricFamily(f"wardbeat_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], float(value))
    return family
