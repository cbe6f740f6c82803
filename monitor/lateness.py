"""How far behind a device's own sample clock its data arrives: what comes out of a back-log is not news.

A device counts samples; the ward knows when they came. The difference is the delay of a stream but for a constant,
and the least one seen is what live is. The clocks of the two run differently fast, so that the least one leaks upwards.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

LATE: Final = 2.0
"""Seconds behind from which data is late: as long as a bed may be silent before it has an alarm."""

LEAK: Final = 200e-6
"""Seconds a second by which the least delay grows: twice the 100 ppm by which a cheap oscillator may be off."""

PROGRESS: Final = 1.0
PATIENCE: Final = 4.0
"""Late data must come PROGRESS seconds nearer in PATIENCE seconds. If it does not there is no back-log: the device
stood still and counts on, so this is live, and its alarms must sound."""


@dataclass(slots=True)
class Lateness:
    """Of one bed.

    Attributes:
        stream: the device's stream that `base` is of; None before the first.
        fs: its rate, Hz.
        end: index of the sample after the last one taken.
        base: least delay, s: arrival less the time of a message's first sample.
        at: when data last came, s.
        behind: by how much more than `base` the last data was delayed, s.
        late_before: samples before this one came late.
        since, then: since when data has been as late as `then` but for PROGRESS, s.
    """

    stream: int | None = None
    fs: float = 0.0
    end: int = 0
    base: float = 0.0
    at: float = 0.0
    behind: float = 0.0
    late_before: int = 0
    since: float = 0.0
    then: float = 0.0

    @property
    def late_s(self) -> float:
        """Seconds behind; 0 when live."""
        return self.behind if self.behind > LATE else 0.0

    def take(self, stream: int, fs: float, first: int, end: int, now: float) -> None:
        """Note that samples `first` to `end` came, in the order in which they are analysed.

        Args:
            stream: id of the device's run.
            fs: Hz.
            first: index of the message's first sample, whether or not it was known already.
            end: index of the sample that follows the message.
            now: monotonic time of arrival, s.
        """
        delay = now - first / fs
        if stream != self.stream or fs != self.fs or end <= self.end:
            self.stream, self.fs, self.base, self.late_before = stream, fs, delay, 0
        else:
            self.base = min(self.base + LEAK * max(now - self.at, 0.0), delay)
        was_late = self.behind > LATE and now - self.at <= LATE
        self.behind = delay - self.base
        if self.behind > LATE:
            if not was_late or self.behind < self.then - PROGRESS:
                self.since, self.then = now, self.behind
            elif now - self.since > PATIENCE:
                self.base, self.behind = delay, 0.0
        if self.behind > LATE:
            self.late_before = end
        self.end, self.at = end, now

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)
