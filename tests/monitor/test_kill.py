"""The whole monitor, killed: `wardbeat serve` on a real broker, SIGKILL at random moments (FAULTS: monitor kill -9)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from aiomqtt import Client
from streams import cut, sinus, story

from monitor.alarm_log import read_alarm_log
from monitor.broker import IN_FLIGHT, Broker
from monitor.classifier import load_models
from monitor.journal import _bodies, unpack
from monitor.messages import Chunk, decode, encode, topic
from monitor.store import Store
from monitor.ward import Ward

BEDS = ("a", "b")
SECONDS = 120
SPEED = 10.0
"""How much faster than in reality the patients' time runs."""


def messages() -> list[Chunk]:
    """The chunks of both beds, in the order in which they are published."""
    stories = np.concatenate([story()] * (SECONDS // 36 + 1))[: SECONDS * 360]
    signals = {"a": stories, "b": sinus(SECONDS, 75.0)}
    pairs = zip(*(cut(signal, 36, bed=bed) for bed, signal in signals.items()), strict=True)
    return [decode(chunk.bed, encode(chunk)) for pair in pairs for chunk in pair]


async def publish(broker: Broker, chunks: list[Chunk]) -> None:
    """As devices do: QoS 1, each waits until the broker has it."""
    async with Client(broker.host, broker.port, identifier="devices") as client:
        begin = asyncio.get_running_loop().time()
        for number, chunk in enumerate(chunks):
            await asyncio.sleep(begin + number * 0.1 / len(BEDS) / SPEED - asyncio.get_running_loop().time())
            await client.publish(topic(chunk.bed, "ecg"), chunk.payload, qos=1)


@contextlib.asynccontextmanager
async def serving(broker: Broker, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A monitor in a process of its own, from when the broker keeps for it what comes."""
    command = ["from monitor.cli import main; main()", "serve", "--broker", f"{broker.host}:{broker.port}"]
    keep = ["--port", "0", "--store", str(folder / "store"), "--alarm-log", str(folder / "alarms.jsonl")]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", *command, *keep),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "WARDBEAT_BROKER_IN_FLIGHT": str(IN_FLIGHT), "WARDBEAT_SNAPSHOT_EVERY": "3"},
    )
    assert process.stderr is not None
    said = []
    try:
        async with asyncio.timeout(120):
            async for line in process.stderr:
                said.append(line.decode())
                if " subscribed at " in said[-1]:
                    break
            else:
                raise AssertionError("".join(said))
        drain = asyncio.create_task(process.stderr.read())
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    await drain


def journalled(folder: Path) -> set[tuple[str, int]]:
    """The messages in the journal's files: bed and number."""
    found = set()
    for path in sorted((folder / "store" / "journal").glob("*.wbj")):
        with contextlib.suppress(FileNotFoundError):  # dropped meanwhile
            found |= {(chunk.bed, chunk.seq) for body in _bodies(path) for chunk in unpack(body).chunks}
    return found


def told(events) -> list[tuple[str, str, int, int]]:
    """What was said of the patients, on the sample clock."""
    return [(e["id"], e["state"], e["sample"], e["emitted"]) for e in events if e.get("kind") == "physiological"]


async def kill_again_and_again(folder: Path, kills: int, seed: int) -> None:
    rng, chunks = random.Random(seed), messages()
    last = {(bed, chunks[-1].seq) for bed in BEDS}
    async with Broker() as broker:
        devices = None
        for _ in range(kills):
            async with serving(broker, folder) as process:  # from the first one on the broker keeps what comes
                devices = devices or asyncio.create_task(publish(broker, chunks))
                await asyncio.sleep(rng.uniform(0.0, 2.0))
                process.send_signal(signal.SIGKILL)
        async with serving(broker, folder) as process:
            assert devices is not None
            await devices
            async with asyncio.timeout(60):
                while not last <= journalled(folder):  # noqa: ASYNC110  it is another process's
                    await asyncio.sleep(0.1)
            await asyncio.sleep(0.5)
            process.terminate()
            assert await process.wait() == 0

    models = load_models()
    whole = Ward(models.one, two_leads=models.two)
    expected = [event.as_dict() for chunk in chunks for event in whole.feed([chunk], (), 0.0)]
    after = Ward(models.one, two_leads=models.two)
    with Store(folder / "store") as store:
        store.restore(after)
    rows = {view.bed: row for row, view in enumerate(after.beds())}
    for number, view in enumerate(whole.beds()):
        for part in ("front", "rhythm"):
            ours, theirs = whole.state[number][part], after.state[rows[view.bed]][part]
            assert ours.tobytes() == theirs.tobytes(), f"each sample of {view.bed} was analysed once, in order ({part})"
    written = told(read_alarm_log(folder / "alarms.jsonl"))
    for bed in BEDS:
        ours = [line for line in told(expected) if line[0].startswith(f"{bed}:")]
        assert [line for line in written if line[0].startswith(f"{bed}:")] == ours, "no alarm is lost, none told twice"
    assert len(told(expected)) > 20


async def test_a_monitor_killed_twice_loses_nothing(tmp_path):
    await kill_again_and_again(tmp_path, 2, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_monitor_killed_twenty_times_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.SECONDS", 2000)
    await kill_again_and_again(tmp_path, 20, seed=2)
