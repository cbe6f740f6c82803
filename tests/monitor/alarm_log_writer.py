"""A process that writes an alarm log until it is killed, and says on its output what it has told of."""

import sys
from pathlib import Path

from monitor.alarm_log import AlarmLog
from monitor.events import Alarm, Trigger
from monitor.tick import Tick

with AlarmLog(Path(sys.argv[1]), largest=int(sys.argv[2]), kept=10_000) as log:
    for n in range(int(sys.argv[3]), 10**9):
        events = [Trigger("bed", n, n), *(Alarm("bed", n, n, "TACHY", id=f"{n}.{i}") for i in range(1 + n % 3))]
        log.write(Tick(n + 1, 0.0, float(n), events))
        print(*(event.id for event in events[1:]), flush=True)
