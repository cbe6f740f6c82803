"""What becomes of the beat on its way to the ventricles: blocks, and a pacemaker that stands in."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import Field

from simulators.limits import Level, Rate, Seconds, Share
from simulators.rhythms import PR_S, Beat, Clock, Event, Onset, PWave, SinusNode, Spike

_LONG_PR_S: Final = 0.28  # P peak to R in first-degree block; P's onset comes some 40 ms earlier
_STEP_PR_S: Final = 0.09  # by which PR lengthens from beat to beat in Wenckebach's periods, less each time
_PR_SHARE: Final = 0.8  # of the interval, at most
_VARIATION: Final = (0.01, 0.01)  # of the sinus node
_CAPTURE_S: Final = 0.055  # from the pulse to the peak of the paced QRS
_ATRIAL_S: Final = 0.045  # from the pulse to the peak of the paced P wave
_AV_S: Final = 0.16  # from the atrial pulse to the ventricular one
_NO_BEAT_S: Final = 0.5  # a rhythm without beats begins once the last T wave is over


@dataclass(frozen=True)
class Block:
    """Block between atria and ventricles.

    Attributes:
        seconds: how long, s.
        rate: P waves a minute.
        degree: ``first``: P-R is long. ``wenckebach``: P-R lengthens until a P wave finds no answer, once in
            `conducted` + 1. ``mobitz``: every P wave but one in `conducted` + 1 is answered, P-R is constant; 1: 2:1
            block. ``complete``: atria and ventricles go their own ways.
        conducted: P waves answered before one is not.
        escape: rate per minute of the ventricles in complete block.
        focus: where these beats come from, ``junctional`` (narrow) or ``ventricular`` (wide).
    """

    seconds: Seconds
    rate: Rate = 75.0
    degree: Literal["first", "wenckebach", "mobitz", "complete"] = "first"
    conducted: Annotated[int, Field(ge=1, le=20)] = 3
    escape: Rate = 38.0
    focus: Literal["junctional", "ventricular"] = "ventricular"

    def events(self, clock: Clock, rng: np.random.Generator) -> Iterator[Event]:
        yield Onset(clock.due, {"first": "BI", "complete": "B3"}.get(self.degree, "BII"))
        yield from (self._complete if self.degree == "complete" else self._partial)(clock, rng)

    def _partial(self, clock: Clock, rng: np.random.Generator) -> Iterator[Event]:
        end = clock.due + self.seconds
        node = SinusNode(self.rate, *_VARIATION, rng)
        p, answered = clock.due - PR_S, 0
        while p < end:
            yield PWave(p)
            rr = node.rr(p)
            if self.degree == "first" or answered < self.conducted:
                pr = _LONG_PR_S if self.degree == "first" else PR_S
                if self.degree == "wenckebach":
                    pr += _STEP_PR_S * sum(0.6**i for i in range(answered))
                clock.last = p + min(pr, _PR_SHARE * rr)
                yield Beat(clock.last, "N", p_wave=False)
                answered += 1
            else:
                answered = 0
            p += rr
        clock.due = p + PR_S

    def _complete(self, clock: Clock, rng: np.random.Generator) -> Iterator[Event]:
        end = clock.due + self.seconds
        atria = self._lone_p_waves(clock.due - PR_S, end, SinusNode(self.rate, *_VARIATION, rng))
        symbol, shape = ("E", 3) if self.focus == "ventricular" else ("j", 0)
        rr = 60.0 / self.escape
        first = max(clock.last + rr, clock.due)  # when nothing else has come for one of its intervals
        count = max(math.ceil((end - first) / rr), 1)
        ventricles = [Beat(first + i * rr, symbol, shape, p_wave=False) for i in range(count)]
        yield from heapq.merge(atria, ventricles, key=lambda event: event.time)
        clock.last = ventricles[-1].time
        clock.due = max(end, clock.last + 0.5) + PR_S

    def _lone_p_waves(self, start: float, end: float, node: SinusNode) -> Iterator[Event]:
        while start < end:
            yield PWave(start)
            start += node.rr(start)


@dataclass(frozen=True)
class Paced:
    """A pacemaker's rhythm.

    Attributes:
        seconds: how long, s.
        rate: pulses a minute.
        chamber: ``ventricle``: wide beats after each pulse. ``atrium``: P waves after each pulse, conducted normally.
            ``dual``: both chambers are paced.
        capture: share of the pulses that are answered; 0: pulses alone.
        spike_mv: height of a pulse after the device's input, mV; pulses of the atrium are half as high.
    """

    seconds: Seconds
    rate: Rate = 70.0
    chamber: Literal["ventricle", "atrium", "dual"] = "ventricle"
    capture: Share = 1.0
    spike_mv: Level = 2.0

    def events(self, clock: Clock, rng: np.random.Generator) -> Iterator[Event]:
        end = clock.due + self.seconds
        if self.capture > 0.0:
            yield Onset(clock.due, "P")
        else:
            begin = max(clock.last + _NO_BEAT_S, clock.free)
            yield Onset(begin, "ASYS")
            clock.due = max(clock.due, begin)  # pulses from there on
        while clock.due < end:
            answered = rng.random() < self.capture
            yield from self._beat(clock.due, answered)
            if answered:
                clock.last = clock.due
            clock.due += 60.0 / self.rate

    def _beat(self, time: float, answered: bool) -> Iterator[Event]:
        """The pulses and waves of one beat whose R peak is, or would be, at `time`."""
        ventricle = time - _CAPTURE_S
        if self.chamber == "atrium":
            yield Spike(time - PR_S - _ATRIAL_S, 0.5 * self.spike_mv)
            if answered:
                yield Beat(time, "N")
            return
        if self.chamber == "dual":
            yield Spike(ventricle - _AV_S, 0.5 * self.spike_mv)
            yield PWave(ventricle - _AV_S + _ATRIAL_S)
        yield Spike(ventricle, self.spike_mv)
        if answered:
            yield Beat(time, "/")
