"""Whether the monitor lives, and whether it can monitor: what /healthz and /readyz answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

LATE_AFTER: Final = 2.0
"""Seconds without a tick after which the monitor is not well: a bed may not go unanalysed for longer."""


class Health:
    """What is known of the monitor's own state.

    *Alive* means that ticks go by; a monitor that is not is to be started again. *Ready* means alive and able to
    monitor what it is sent: every kernel and the models are warm, and the broker is subscribed to or being tried. A
    broker that is away does not make it unready: to start the monitor again would not help, its beds are in a
    technical alarm, and viewers are to see that.

    Attributes:
        warm: whether every kernel and the models are; the app sets it.
        doing: what a monitor that is not warm is doing.
        subscribed: says whether the broker's subscription stands; None: there is no broker.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.warm = False
        self.doing = "preparing the kernels and the models"
        self.subscribed: Callable[[], bool] | None = None
        self._clock = clock
        self._last = clock()  # tick; what is being started has none yet

    def warmed(self) -> None:
        """Every kernel and the models are warm, and ticks are going to follow."""
        self.warm = True
        self._last = self._clock()

    def ticked(self) -> None:
        """A tick is done."""
        self._last = self._clock()

    @property
    def age(self) -> float:
        """Seconds since the last tick."""
        return self._clock() - self._last

    def alive(self) -> tuple[HTTPStatus, bytes]:
        """Answer of /healthz: ``ready``, or 503 and ``starting``, or how long no tick was done."""
        if not self.warm:
            return HTTPStatus.SERVICE_UNAVAILABLE, b"starting\n"
        if self.age > LATE_AFTER:
            return HTTPStatus.SERVICE_UNAVAILABLE, f"no tick for {self.age:.1f} s\n".encode()
        return HTTPStatus.OK, b"ready\n"

    def ready(self) -> tuple[HTTPStatus, bytes]:
        """Answer of /readyz, with the reason."""
        status, text = self.alive()
        if not self.warm:
            return status, f"starting: {self.doing}\n".encode()
        if status != HTTPStatus.OK:
            return status, b"not ready: " + text
        if self.subscribed is None or self.subscribed():
            return status, text
        return status, b"ready: trying to reach the MQTT broker\n"
