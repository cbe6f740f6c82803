"""From annotated records to labelled beats, through the monitor's own front end.

The beats are the monitor's: its filters, its detector with its misses and its jitter, its windows. A reference
annotation only gives a beat its label. Nothing the network sees in training differs from what it sees live.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import AAMI_CLASSES, AAMI_OF_SYMBOL
from monitor.events import Beat
from monitor.records import read_annotations, read_record
from monitor.replay import analyse
from trainer.ec57 import WINDOW, flutter_intervals, match_beats


@dataclass(slots=True, eq=False)
class Beats:
    """Labelled beats.

    Attributes:
        windows: (n, channels, width) float32, as :mod:`monitor.beats` makes them.
        features: (n, features) float32.
        labels: (n,) int64, index into :data:`monitor.ecg.AAMI_CLASSES`.
        records: (n,) names of the records they come from.
        samples: (n,) int64, R peaks.
    """

    windows: NDArray[np.float32]
    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    records: NDArray[np.str_]
    samples: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, chosen: NDArray[np.bool_]) -> Beats:
        """The beats for which `chosen`, (n,) bool, is true."""
        return Beats(
            self.windows[chosen],
            self.features[chosen],
            self.labels[chosen],
            self.records[chosen],
            self.samples[chosen],
        )

    def counts(self) -> dict[str, int]:
        """How many beats there are of each AAMI class."""
        found = np.bincount(self.labels, minlength=len(AAMI_CLASSES)).tolist()
        return dict(zip(AAMI_CLASSES, found, strict=True))


class _Collector:
    """Stands where the classifier does and keeps what it is given."""

    def __init__(self) -> None:
        self.windows: list[NDArray[np.float32]] = []
        self.features: list[NDArray[np.float32]] = []

    def classify(self, windows: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.float32]:
        self.windows.append(windows.copy())
        self.features.append(features.copy())
        return np.full((len(windows), len(AAMI_CLASSES)), 1 / len(AAMI_CLASSES), np.float32)


def segment(path: Path, lead: int = 0) -> Beats:
    """The labelled beats of one record, as the monitor finds them on one of its leads alone.

    Beats that no annotation confirms, and those within ventricular flutter, are left out.

    Raises:
        RecordError: the record or its reference annotations cannot be read.
    """
    record = read_record(path, [lead])
    annotations = read_annotations(path)
    collector = _Collector()
    events = [event for batch in analyse(record, collector) for event in batch]
    found = np.array([event.sample for event in events if isinstance(event, Beat)], np.int64)
    reference, symbols = annotations.beats()
    flutter = flutter_intervals(annotations.samples, annotations.symbols)
    pairing = match_beats(reference, found, WINDOW * record.fs)
    keep, labels = [], []
    for i, j in zip(pairing.reference.tolist(), pairing.test.tolist(), strict=True):
        if not any(first <= found[j] <= last for first, last in flutter):
            keep.append(j)
            labels.append(AAMI_CLASSES.index(AAMI_OF_SYMBOL[symbols[i]]))
    chosen = np.array(keep, np.int64)
    return Beats(
        np.concatenate(collector.windows)[chosen],
        np.concatenate(collector.features)[chosen],
        np.array(labels, np.int64),
        np.full(len(chosen), record.name),
        found[chosen],
    )


def join(parts: Sequence[Beats]) -> Beats:
    """Several sets of beats as one."""
    return Beats(
        np.concatenate([part.windows for part in parts]),
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.records for part in parts]),
        np.concatenate([part.samples for part in parts]),
    )


def load(database: Path, names: Sequence[str], lead: int = 0, progress: Callable[[], None] = lambda: None) -> Beats:
    """The labelled beats of several records.

    Args:
        database: the folder.
        names: records.
        lead: number of the lead that is used alone.
        progress: called when a record is done.
    """
    parts = []
    for name in names:
        parts.append(segment(database / name, lead))
        progress()
    return join(parts)
