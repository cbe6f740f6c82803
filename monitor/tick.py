"""One step of the monitor: what the ward was given, and what it said. What is kept of it, sinks keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from monitor.events import Event
from monitor.sequencer import Run
from monitor.views import BedView, Wave


@dataclass(frozen=True, slots=True)
class Tick:
    """A call of :meth:`monitor.ward.Ward.feed` and what came of it.

    Attributes:
        number: counts ticks, from 1.
        now: monotonic time, s, as the ward was told it.
        unix: seconds since 1970.
        events: what the ward said; those of one bed in the order of `emitted`.
        released: beds' samples as their devices sent them, in the devices' order, each once.
        waves: the display signal made of them.
        views: every bed, as of the end of the tick.
    """

    number: int
    now: float
    unix: float
    events: Sequence[Event] = ()
    released: Sequence[tuple[str, Run]] = field(default=())
    waves: Sequence[Wave] = ()
    views: Sequence[BedView] = ()


class Sink(Protocol):
    """Keeps ticks, in order. A tick's messages are acknowledged when every sink's :meth:`write` has returned."""

    @property
    def kept(self) -> int:
        """Number of the last tick that is kept for good: after a crash the ticks that follow are given again."""

    @property
    def failed(self) -> str | None:
        """Why it cannot keep what it is given; None: it can."""

    def settle(self) -> None:
        """Wait until what was given is dealt with."""

    def write(self, tick: Tick) -> None:
        """Take one tick; never raise. One that cannot be kept is logged, once, and monitoring goes on."""
