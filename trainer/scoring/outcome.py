"""What the monitor made of one record: the one place that knows which event tells what."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.align import REASONS as LOSSES
from monitor.ecg import AAMI_CLASSES
from monitor.events import Beat, Event, Qrs, Quality, Trigger
from monitor.records import Annotations, Record
from trainer.scoring.ec57 import Comparison, compare


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What the monitor made of one record, and what the annotators did. Samples are the analysed signal's own.

    Attributes:
        record: the record's name.
        fs: Hz.
        length: samples in the record.
        reference_samples: (n,) int64, annotations of every kind.
        reference_symbols: (n,) annotation symbols.
        samples: (m,) int64, R peaks of the beats found, increasing.
        symbols: (m,) their final labels.
        confirmed: (m,) int64, the sample whose processing first made each beat known.
        final: (m,) int64, the sample whose processing fixed its label.
        named: (m,) int64, the sample whose processing gave its first label; the same where that was final.
        first_symbols: (m,) those first labels.
        probabilities: (m, 5) float32, by class, with the final label; NaN: no network named the beat.
        search_back: (m,) bool, found by looking back.
        triggers: (t,) int64, provisional R peaks, increasing.
        triggered: (t,) int64, the sample whose processing gave each of them.
        unusable: (k, 2) int64, stretches in which no analysed lead could be analysed: first sample, sample after.
    """

    record: str
    fs: float
    length: int
    reference_samples: NDArray[np.int64]
    reference_symbols: list[str]
    samples: NDArray[np.int64]
    symbols: list[str]
    confirmed: NDArray[np.int64]
    final: NDArray[np.int64]
    named: NDArray[np.int64]
    first_symbols: list[str]
    probabilities: NDArray[np.float32]
    search_back: NDArray[np.bool_]
    triggers: NDArray[np.int64]
    triggered: NDArray[np.int64]
    unusable: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))

    def compare(self, start: float = 0.0, **options: Any) -> Comparison:
        """The beats found against the reference, from `start` (s) on; options: :func:`trainer.scoring.ec57.compare`."""
        return self._against(self.samples, self.symbols, start, options)

    def compare_first(self, start: float = 0.0) -> Comparison:
        """The beats found against the reference, by the labels they had at first."""
        return self._against(self.samples, self.first_symbols, start, {})

    def compare_triggers(self, start: float = 0.0) -> Comparison:
        """The provisional R peaks against the reference; their labels mean nothing."""
        return self._against(self.triggers, ["N"] * self.triggers.size, start, {})

    def _against(
        self, samples: NDArray[np.int64], symbols: list[str], start: float, options: dict[str, Any]
    ) -> Comparison:
        return compare(
            self.reference_samples,
            self.reference_symbols,
            samples,
            symbols,
            fs=self.fs,
            start=round(start * self.fs),
            stop=self.length,
            **options,
        )


def outcome_of(record: Record, reference: Annotations, events: Iterable[Event]) -> Outcome:
    """Sort out a record's events.

    A beat is known with its :class:`~monitor.events.Qrs` and named with its last :class:`~monitor.events.Beat`; a
    :class:`~monitor.events.Trigger` gives its R peak provisionally; :class:`~monitor.events.Quality` tells where a
    lead cannot be analysed.

    Args:
        record: what was analysed.
        reference: the annotators' beats and other marks, on the record's clock.
        events: all events of the record, in the order they were told.
    """
    first: dict[int, Qrs | Beat] = {}  # a beat whose window was cut off is told without having been found
    named: dict[int, Beat] = {}
    last: dict[int, Beat] = {}
    triggers: dict[int, int] = {}
    quality: list[Quality] = []
    for event in events:
        if isinstance(event, Qrs):
            first.setdefault(event.sample, event)
        elif isinstance(event, Beat):
            first.setdefault(event.sample, event)
            named.setdefault(event.sample, event)
            last[event.sample] = event
        elif isinstance(event, Trigger):
            triggers.setdefault(event.sample, event.emitted)
        elif isinstance(event, Quality):
            quality.append(event)
    samples, triggered = sorted(last), sorted(triggers)  # a beat found by looking back is told after later ones
    return Outcome(
        record=record.name,
        fs=record.fs,
        length=len(record.signal),
        reference_samples=reference.samples,
        reference_symbols=reference.symbols,
        samples=np.array(samples, np.int64),
        symbols=[last[sample].aami for sample in samples],
        confirmed=np.array([first[sample].emitted for sample in samples], np.int64),
        final=np.array([last[sample].emitted for sample in samples], np.int64),
        named=np.array([named[sample].emitted for sample in samples], np.int64),
        first_symbols=[named[sample].aami for sample in samples],
        probabilities=_probabilities([last[sample] for sample in samples]),
        search_back=np.array([first[sample].search_back for sample in samples], np.bool_),
        triggers=np.array(triggered, np.int64),
        triggered=np.array([triggers[sample] for sample in triggered], np.int64),
        unusable=_unusable(quality, record.leads, len(record.signal)),
    )


def _probabilities(beats: Iterable[Beat]) -> NDArray[np.float32]:
    """(n, 5), a row a beat; NaN for those that no network named."""
    rows = [[math.nan if b.p is None else b.p[name] for name in AAMI_CLASSES] for b in beats]
    return np.array(rows, np.float32).reshape(-1, len(AAMI_CLASSES))


def _unusable(changes: Iterable[Quality], leads: Iterable[str], length: int) -> NDArray[np.int64]:
    """(k, 2) stretches in which every lead was lost, each from where it stood so on the screen."""
    good = set(leads)
    spans: list[tuple[int, int]] = []
    begin: int | None = None
    for change in changes:
        if change.ok or change.reason not in LOSSES:  # noise harms beats, and they are scored none the less
            good.add(change.lead)
        else:
            good.discard(change.lead)
        if not good and begin is None:
            begin = change.emitted
        elif good and begin is not None:
            spans.append((begin, change.emitted))
            begin = None
    if begin is not None:
        spans.append((begin, length))
    return np.array(spans, np.int64).reshape(-1, 2)
