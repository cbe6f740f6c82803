"""What Prometheus reads: names, labels, and no patient."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from test_hub import ALARM, bed_view

from monitor.commands import Relearn
from monitor.hub import Hub
from monitor.inbox import Inbox
from monitor.journal import Entry
from monitor.metrics import Metrics
from monitor.mqtt import Ingest
from monitor.publisher import Publisher
from monitor.store import Store


class Kept:
    kept = 41
    failed: str | None = "the disk is full"

    def write(self, tick: object) -> None:
        """Take a tick."""


def scrape(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """(name, label values...) -> value."""
    text = bytes(metrics.page().body).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def make(**options: Any) -> tuple[Hub, Inbox, Ingest, asyncio.Queue[Any], Metrics]:
    commands: asyncio.Queue[Any] = asyncio.Queue(4)
    hub, inbox = Hub(commands, port=0), Inbox()
    ingest = Ingest(inbox, "127.0.0.1", 1)
    return hub, inbox, ingest, commands, Metrics(hub, inbox, ingest, commands, clock=lambda: 100.0, **options)


async def test_everything_is_read_from_public_attributes() -> None:
    publisher = Publisher("127.0.0.1", 1)
    hub, inbox, ingest, commands, metrics = make(sinks=[Kept(), publisher], publisher=publisher)
    hub.publish([ALARM], [], [bed_view(alias="Jane Canary", alarms=(ALARM,), last_data=98.5), bed_view("bed-02")], 0.0)
    hub.shed, hub.closed = 5, 2
    hub.refused["json"] = 3
    ingest.received, ingest.connected = 70, True
    ingest.refused["size"] = 4
    inbox.withheld = 6
    commands.put_nowait(Relearn("bed-01", "wall"))

    found = scrape(metrics)

    assert found["wardbeat_beds",] == 2
    assert found["wardbeat_data_age_seconds", "bed-01"] == 1.5
    assert found["wardbeat_alarms_active", "high"] == 1
    assert found["wardbeat_alarms_active", "low"] == 0
    assert found["wardbeat_messages_received_total",] == 70
    assert found["wardbeat_messages_refused_total", "size"] == 4
    assert found["wardbeat_subscribed",] == 1
    assert found["wardbeat_queue_depth", "inbox"] == 6
    assert found["wardbeat_queue_depth", "commands"] == 1
    assert found["wardbeat_queue_depth", "publisher_alarms"] == 0
    assert found["wardbeat_viewers",] == 0
    assert found["wardbeat_frames_shed_total",] == 5
    assert found["wardbeat_viewers_closed_total",] == 2
    assert found["wardbeat_commands_refused_total", "json"] == 3
    assert found["wardbeat_sink_kept_tick", "Kept"] == 41
    assert found["wardbeat_sink_failed", "Kept"] == 1
    assert found["wardbeat_sink_failed", "Publisher"] == 0
    assert found["process_resident_memory_bytes",] > 1e6
    assert "canary" not in metrics.page().body.decode().lower()


async def test_ticks_and_latency_are_measured() -> None:
    *_, metrics = make()
    metrics.ticked(99.9925, 99.97, 3)
    metrics.ticked(99.9, 99.8, 0)
    metrics.ticked(99.9, None, 2)
    found = scrape(metrics)
    assert found["wardbeat_tick_seconds_count",] == 3
    assert found["wardbeat_tick_seconds_bucket", "0.01"] == 1
    assert found["wardbeat_latency_seconds_count",] == 1
    assert found["wardbeat_latency_seconds_bucket", "0.05"] == 1
    assert found["wardbeat_latency_seconds_bucket", "0.025"] == 0


async def test_two_monitors_in_a_process_do_not_share_metrics() -> None:
    *_, one = make()
    *_, other = make()
    one.ticked(99.9, None, 0)
    assert scrape(other)["wardbeat_tick_seconds_count",] == 0


async def test_the_stores_figures(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.journal.append(Entry(1, 0.0, 0.0))
        store.snapshots_failed, store.restored = 2, 7
        *_, metrics = make(store=store)
        found = scrape(metrics)
        assert found["wardbeat_journal_bytes_total",] == store.journal.bytes_written > 0
        assert found["wardbeat_snapshots_failed_total",] == 2
        assert (found["wardbeat_restored_tick",], found["wardbeat_snapshot_tick",]) == (7, 0)
        assert found["wardbeat_store_failed",] == 0
