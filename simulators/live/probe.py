"""Was the machine quiet? How late a process that sleeps a millisecond wakes on a core, and what others used of it.

python -m simulators.live.probe CORE        until a line comes in; then the figures as one line of JSON
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

import numpy as np

SLEEP_S: Final = 0.001

QUIET_SHARE: Final = 0.05
"""Of a core that others may use on a quiet machine."""

QUIET_WAIT: Final = 0.05
"""Of the time that the monitor may wait for its core."""

QUIET_LATE_MS: Final = 2.0
"""The latest wake-up, at the 99th percentile, on the core where the monitor is not."""

_TICK_S: Final = 1.0 / os.sysconf("SC_CLK_TCK")


def busy_s(cores: Collection[int]) -> float:
    """Processor time that these cores have spent on anything at all, stolen time included, s."""
    lines = {line.split()[0]: line.split()[1:] for line in Path("/proc/stat").read_text().splitlines()}
    total = 0
    for core in cores:
        user, nice, system, _idle, _wait, irq, softirq, steal = map(int, lines[f"cpu{core}"][:8])
        total += user + nice + system + irq + softirq + steal
    return total * _TICK_S


def used_s(pid: int) -> float:
    """Processor time of a process so far, s; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def waited_s(pid: int) -> float:
    """How long a process's main thread has waited for a core while it could have run, s."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def resident_mb(pid: int) -> float:
    """Resident memory of a process, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    """Sleep and wake until told to stop."""
    os.sched_setaffinity(0, {int(sys.argv[1])})
    stop = threading.Event()

    def wait() -> None:
        sys.stdin.readline()
        stop.set()

    threading.Thread(target=wait, daemon=True).start()
    late: list[float] = []
    while not (late and stop.is_set()):
        before = time.monotonic()
        time.sleep(SLEEP_S)
        late.append(1000 * (time.monotonic() - before - SLEEP_S))
    p50, p99 = np.percentile(late, [50, 99])
    print(json.dumps({"p50_ms": float(p50), "p99_ms": float(p99), "max_ms": max(late)}), flush=True)


if __name__ == "__main__":
    main()
