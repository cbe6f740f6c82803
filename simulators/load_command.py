"""``wardbeat simulate ward`` where beds share connections: what it writes while it plays."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np

from monitor.exceptions import ConfigError
from simulators.faults import Truth, parse_fault
from simulators.load import LoadBed, publish_load

log = logging.getLogger(__name__)


def play_load(
    beds: Sequence[LoadBed],
    host: str,
    port: int,
    connections: int,
    seconds: float,
    faults: Sequence[str],
    seed: int,
    truth: Path | None,
    stamps: Path | None,
) -> None:
    """Play until the end, SIGINT or SIGTERM.

    Args:
        truth: file that receives a line of JSON for every fault.
        stamps: file that receives when each message was handed to its connection, ``numpy.load``-able: (beds,
            messages) float64, monotonic s; NaN: not sent.

    Raises:
        ConfigError: a fault is none, or stamps are wanted of what never ends.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("gmqtt").setLevel(logging.ERROR)
    parsed = [parse_fault(fault) for fault in faults]
    with ExitStack() as open_files:
        note: Callable[[Truth], None] = lambda _: None  # noqa: E731
        if truth is not None:
            file = open_files.enter_context(truth.open("w", encoding="utf-8"))

            def note(entry: Truth) -> None:
                file.write(json.dumps(entry) + "\n")

        sent: Callable[[int, int], None] = lambda bed, number: None  # noqa: E731
        if stamps is not None:
            if math.isinf(seconds):
                raise ConfigError("times of sending are kept of a limited time", where="--stamps", remedy="--seconds")
            shape = len(beds), math.ceil(seconds * beds[0].loop.rate) + 1
            times = np.lib.format.open_memmap(stamps, "w+", np.float64, shape)
            times[:] = np.nan

            def sent(bed: int, number: int) -> None:
                times[bed, number] = time.monotonic()

        async def run() -> None:
            me, loop = asyncio.current_task(), asyncio.get_running_loop()
            assert me is not None
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, me.cancel)
            before = time.process_time()
            with suppress(asyncio.CancelledError):
                unsent = await publish_load(
                    beds,
                    host,
                    port,
                    connections=connections,
                    seconds=seconds,
                    faults=parsed,
                    seed=seed,
                    note=note,
                    sent=sent,
                )
                messages = len(beds) * seconds * beds[0].loop.rate
                us = 1e6 * (time.process_time() - before) / messages
                log.info("done: %.1f us of processor time a message, %d not sent", us, unsent)

        asyncio.run(run())
