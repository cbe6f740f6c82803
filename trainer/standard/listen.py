"""Many beds in one ward: what the monitor says to each of many waveforms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.classifier import Names
from monitor.commands import SetLimits
from monitor.events import Alarm, Qrs
from monitor.messages import Chunk
from monitor.ward import Ward
from simulators.synthetic import Strip

CHUNK_S: Final = 0.25
"""Seconds a message. Events do not depend on it; the heart rate is read after each."""

BEDS: Final = 250
"""Beds in one ward at a time; so many fit into the processor's caches no worse than a few."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One bed: what it is shown and how it is set.

    Attributes:
        strip: the waveform with its truth.
        limits: of the heart rate, per minute, low and high; None: as monitors come.
        lead_off: s from which on the device says that its electrodes are off; None: never.
        name: what is tried, for the list of failures.
    """

    strip: Strip
    limits: tuple[float, float] | None = None
    lead_off: float | None = None
    name: str = ""


@dataclass(eq=False)
class Heard:
    """What the monitor said of a trial.

    Attributes:
        trial: what it was shown.
        alarms: every change of every alarm.
        qrs: (q,) s, the beats it found.
        at: (n,) s, when the heart rate was read.
        rate: (n,) beats per minute, NaN: unknown.
    """

    trial: Trial
    alarms: list[Alarm] = field(default_factory=list)
    qrs: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    at: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    rate: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def raised(self, *codes: str, after: float = 0.0) -> float:
        """When (s) the first alarm of one of these codes was raised at or after `after`, inf: never; no codes: any."""
        fs = self.trial.strip.fs
        times = [
            alarm.emitted / fs
            for alarm in self.alarms
            if alarm.state == "raised" and (not codes or alarm.code in codes) and alarm.emitted >= after * fs
        ]
        return min(times, default=np.inf)

    def rates(self, after: float, before: float = np.inf) -> NDArray[np.float64]:
        """The heart rates read from `after` to `before`, s."""
        return self.rate[(self.at >= after) & (self.at <= before)]


def listen(
    trials: Iterable[Trial],
    classifier: Names | None,
    two_leads: Names | None = None,
    *,
    progress: Callable[[int], None] = lambda beds: None,
) -> list[Heard]:
    """Show each trial to a bed of its own.

    Args:
        trials: of any rates and lengths.
        classifier, two_leads: as for :class:`~monitor.ward.Ward`.
        progress: called with the number of beds that are done.

    Returns:
        What was said, in the order of the trials.
    """
    heard = [Heard(trial) for trial in trials]
    for first in range(0, len(heard), BEDS):
        _attend(heard[first : first + BEDS], Ward(classifier, two_leads=two_leads, capacity=BEDS))
        progress(min(first + BEDS, len(heard)))
    return heard


def _attend(beds: Sequence[Heard], ward: Ward) -> None:
    """Feed a ward with one message of every bed at a time."""
    names = [f"bed-{number}" for number in range(len(beds))]
    by_name = dict(zip(names, beds, strict=True))
    found: dict[str, list[float]] = {name: [] for name in names}
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    running = list(zip(names, beds, strict=True))
    seq = 0
    while running:
        chunks = [_chunk(name, bed.trial, seq) for name, bed in running]
        for event in ward.feed(chunks):
            if isinstance(event, Alarm):
                by_name[event.bed].alarms.append(event)
            elif isinstance(event, Qrs):
                found[event.bed].append(event.sample / by_name[event.bed].trial.strip.fs)
        if seq == 0:  # the first message admits a bed
            ward.feed(commands=[SetLimits(name, *b.trial.limits) for name, b in running if b.trial.limits])
        ends = {chunk.bed: chunk.end for chunk in chunks}
        for view in ward.beds():
            if view.bed in ends:
                rate = np.nan if view.heart_rate is None else view.heart_rate
                rates[view.bed].append((ends[view.bed] / view.fs, rate))
        running = [(name, bed) for name, bed in running if ends[name] < len(bed.trial.strip.signal)]
        seq += 1
    for name, bed in by_name.items():
        bed.qrs = np.array(found[name])
        bed.at, bed.rate = np.array(rates[name]).T


def _chunk(name: str, trial: Trial, seq: int) -> Chunk:
    strip = trial.strip
    count = round(CHUNK_S * strip.fs)
    samples = strip.signal[seq * count : (seq + 1) * count]
    off = trial.lead_off is not None and seq * count >= trial.lead_off * strip.fs
    lead_off = (1 << samples.shape[1]) - 1 if off else 0
    return Chunk(name, 1, seq, seq * count, strip.fs, samples, lead_off)
