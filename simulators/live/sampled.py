"""Run a ``wardbeat`` command on one core and tell where its processor time went.

    python -m simulators.live.sampled CORE FILE serve ...

A signal for each EVERY_S of processor time, of all threads, looks where the main thread is: some 10 us each, so
less than half a percent. SIGUSR1 begins the count, SIGUSR2 writes it to FILE. A long call into compiled code is
answered when it returns, and counts for its caller.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

EVERY_S: Final = 0.005

STAGES: Final = {
    "gmqtt": "MQTT and decoding",
    "monitor.mqtt": "MQTT and decoding",
    "monitor.inbox": "MQTT and decoding",
    "monitor.messages": "MQTT and decoding",
    "monitor.hub": "hub",
    "monitor.feed": "hub",
    "monitor.pages": "hub",
    "websockets": "hub",
    "monitor.journal": "journal and snapshots",
    "monitor.snapshot": "journal and snapshots",
    "monitor.restore": "journal and snapshots",
    "monitor.recorder": "recorder",
    "monitor.alarm_log": "recorder",
    "monitor.publisher": "MQTT out",
    "monitor.metrics": "metrics",
    "prometheus_client": "metrics",
    "monitor.app": "app and event loop",
    "monitor.cli": "app and event loop",
    "monitor": "core",
}
"""Module, or package above it -> stage. What belongs to none is its caller's; what has no caller, the event loop's."""

LOOP: Final = "app and event loop"


def stage_of(module: str) -> str | None:
    """The stage of a module.

    >>> stage_of("monitor.mqtt"), stage_of("monitor.qrs"), stage_of("numpy")
    ('MQTT and decoding', 'core', None)
    """
    while module:
        if module in STAGES:
            return STAGES[module]
        module = module.rpartition(".")[0]
    return None


class Sampler:
    """Counts where the main thread is, by stage and by function.

    Args:
        file: where it writes what it counted.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.stages: Counter[str] = Counter()
        self.functions: Counter[str] = Counter()

    def look(self, number: int, frame: FrameType | None) -> None:
        """Take one sample; a handler of signals."""
        where: FrameType | None = frame
        stage = None
        while where is not None and (stage := stage_of(where.f_globals.get("__name__", ""))) is None:
            where = where.f_back
        stage = stage or LOOP
        self.stages[stage] += 1
        if frame is not None:
            self.functions[f"{stage}: {frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"] += 1

    def clear(self, number: int, frame: FrameType | None) -> None:
        """Start over; a handler of signals."""
        self.stages.clear()
        self.functions.clear()

    def write(self, number: int, frame: FrameType | None) -> None:
        """Write what was counted, whole or not at all; a handler of signals."""
        unfinished = self._file.with_suffix(".part")
        unfinished.write_text(json.dumps({"stages": self.stages, "functions": dict(self.functions.most_common(40))}))
        unfinished.rename(self._file)


def main() -> None:
    """Run the command that the arguments name."""
    core, file, *command = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    sampler = Sampler(Path(file))
    signal.signal(signal.SIGPROF, sampler.look)
    signal.signal(signal.SIGUSR1, sampler.clear)
    signal.signal(signal.SIGUSR2, sampler.write)
    signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)
    from monitor.cli import main as wardbeat

    sys.argv = ["wardbeat", *command]
    wardbeat()


if __name__ == "__main__":
    main()
