"""Alive and ready, as whoever starts the monitor asks it."""

from __future__ import annotations

from monitor.health import LATE_AFTER, Health


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def test_health_goes_with_the_ticks() -> None:
    clock = Clock()
    health = Health(clock)
    clock.now += 60.0
    assert health.alive() == (503, b"starting\n")
    assert health.ready() == (503, b"starting: preparing the kernels and the models\n")
    health.warmed()
    assert health.alive() == health.ready() == (200, b"ready\n")
    clock.now += LATE_AFTER
    assert health.alive()[0] == 200
    clock.now += 1.2
    assert health.alive() == (503, b"no tick for 3.2 s\n")
    assert health.ready() == (503, b"not ready: no tick for 3.2 s\n")
    health.ticked()
    assert health.alive() == (200, b"ready\n")


def test_a_broker_that_is_away_does_not_make_it_unready() -> None:
    health, subscribed = Health(Clock()), False
    health.subscribed = lambda: subscribed
    health.warmed()
    assert health.ready() == (200, b"ready: trying to reach the MQTT broker\n")
    subscribed = True
    assert health.ready() == (200, b"ready\n")
