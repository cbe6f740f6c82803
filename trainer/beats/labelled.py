"""From an annotated record to labelled beats, through the monitor's own front end.

The beats are the monitor's: its filters, its detector with its misses and its jitter, its windows. A reference
annotation only gives a beat its label. Nothing the network sees in training differs from what it sees live.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.beats import channels_of, features_of
from monitor.ecg import AAMI_CLASSES, AAMI_OF_SYMBOL, FS
from monitor.events import Beat
from monitor.exceptions import ConfigError
from monitor.records import Annotations, Record, read_annotations, read_record
from monitor.replay import analyse
from monitor.window import WIDTH
from trainer.made_up import ectopy, rhythms
from trainer.made_up.disturbance import MOTION, RECORDED, disturb
from trainer.scoring.conditions import Resampled
from trainer.scoring.ec57 import WINDOW, flutter_intervals, match_beats
from trainer.scoring.stress import RECORDS as NEVER_NOISY

NOISES: Final = (*RECORDED, MOTION)
"""Noise that training may hear: minutes 0-15 of two records, and made-up electrode motion."""

ROW: Final = np.dtype(
    [
        ("source", np.int32),  # index into the data set's list
        ("label", np.int8),  # index into AAMI_CLASSES
        ("sample", np.int64),  # R peak, on the record's clock
        ("emitted", np.int64),  # the sample that fixed the final name
    ]
)


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise to add to a record, in blocks of two minutes with two quiet ones between.

    Attributes:
        kind: one of :data:`NOISES`.
        snr: dB, on each lead.
        folder: of the Noise Stress Test Database.
        seed: where the noise begins, and which blocks have it; together with the record's name.
    """

    kind: str
    snr: float
    folder: Path
    seed: int = 0

    def add(self, record: Record, reference: Annotations) -> tuple[Record, Annotations]:
        """The record at 360 Hz with noise, and its annotations.

        Raises:
            ConfigError: the record is kept for scores in noise.
        """
        if record.name in NEVER_NOISY:
            raise ConfigError("noise on it is for scores alone", where=record.name, remedy="train on it without noise")
        record = Record(record.name, record.fs, record.leads, np.nan_to_num(record.signal))
        if record.fs != FS:
            record, reference = Resampled(FS).apply(record, reference, range(len(record.leads)))
        key = f"{record.name} {','.join(record.leads)} {self.kind} {self.snr:g}"
        rng = np.random.default_rng((self.seed, zlib.crc32(key.encode())))
        noisy = disturb(record, reference, self.kind, self.snr, self.folder, rng)
        return Record(record.name, float(FS), record.leads, noisy.astype(np.float32)), reference


@dataclass(frozen=True, slots=True)
class MadeUp:
    """A made-up rhythm of a record's own beats (:mod:`trainer.made_up.ectopy`), in place of the record.

    Attributes:
        kind: key of :data:`trainer.made_up.rhythms.KINDS`.
        copy: number of the made-up record.
        seed: of it, together with the record's name, kind and number.
    """

    kind: str
    copy: int
    seed: int = 0

    def make(self, path: Path, leads: list[int]) -> tuple[Record, Annotations] | None:
        """The made-up record and its annotations on some leads; None if the real one has too few normal beats.

        Both leads are made together, whichever are asked for.
        """
        record, reference = read_record(path, [0, 1]), read_annotations(path)
        rng = np.random.default_rng((self.seed, self.copy, zlib.crc32(f"{record.name} {self.kind}".encode())))
        made = ectopy.make(record, reference, rng, rhythms.KINDS[self.kind])
        if made is None:
            return None
        whole, reference = made
        names = tuple(whole.leads[lead] for lead in leads)
        return Record(whole.name, whole.fs, names, whole.signal[:, leads]), reference


@dataclass(slots=True, eq=False)
class Labelled:
    """The labelled beats of one record on one choice of leads.

    Attributes:
        windows: (n, channels, width) float32, as :mod:`monitor.beats` makes them for so many leads.
        features: (n, features) float32.
        rows: (n,) ROW; `source` is 0.
        leads: names of the leads.
        fs: the record's rate, Hz.
        annotated: annotated beats, in flutter or not.
        found: beats the monitor found.
    """

    windows: NDArray[np.float32]
    features: NDArray[np.float32]
    rows: NDArray[np.void]
    leads: tuple[str, ...]
    fs: float
    annotated: int
    found: int


class Collector:
    """Stands where the classifier does and keeps what it is given."""

    def __init__(self) -> None:
        self.windows: list[NDArray[np.float32]] = []
        self.features: list[NDArray[np.float32]] = []

    def classify(self, windows: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.float32]:
        self.windows.append(windows.copy())
        self.features.append(features.copy())
        return np.full((len(windows), len(AAMI_CLASSES)), 1 / len(AAMI_CLASSES), np.float32)


def inputs_of(record: Record) -> tuple[NDArray[np.float32], NDArray[np.float32], list[Beat]]:
    """What the monitor would ask a classifier about a record for the final names of its beats.

    Returns:
        Windows, features, and the beat each row belongs to. A last beat that the record's end makes final has the row
        of its provisional name, if there is one, for that is what the final one rests on.
    """
    collector = Collector()
    told = [event for batch in analyse(record, collector) for event in batch if isinstance(event, Beat)]
    leads = len(record.leads)
    if not told:
        return _empty(leads)
    rows = [row for row, beat in enumerate(told) if beat.final]
    beats = [told[row] for row in rows]
    if beats[-1].emitted == len(record.signal):
        rows[-1] = next(row for row, beat in enumerate(told) if beat.sample == beats[-1].sample)
    windows = np.concatenate(collector.windows)[rows, : len(channels_of(leads))]
    return windows, np.concatenate(collector.features)[rows, : len(features_of(leads))], beats


def _empty(leads: int) -> tuple[NDArray[np.float32], NDArray[np.float32], list[Beat]]:
    windows = np.empty((0, len(channels_of(leads)), WIDTH), np.float32)
    return windows, np.empty((0, len(features_of(leads))), np.float32), []


def labelled_beats(
    path: Path, leads: list[int] | None = None, noise: Noise | None = None, made_up: MadeUp | None = None
) -> Labelled:
    """The labelled beats of one record, as the monitor finds them on some of its leads.

    A detection that no annotation confirms is Q: what cannot be named, as noise cannot. Those within ventricular
    flutter are left out.

    Args:
        path: of the record.
        leads: their numbers; the first if not given.
        noise: what is added to the signal first.
        made_up: what takes the record's place; a record that has too few normal beats for that gives no beats.

    Raises:
        RecordError: the record or its reference annotations cannot be read.
        ConfigError: noise on this record is for scores alone.
    """
    leads = leads or [0]
    if made_up is None:
        record, reference = read_record(path, leads), read_annotations(path)
    elif (made := made_up.make(path, leads)) is not None:
        record, reference = made
    else:
        record = read_record(path, leads)
        windows, features, _ = _empty(len(leads))
        return Labelled(windows, features, np.zeros(0, ROW), record.leads, record.fs, 0, 0)
    if noise is not None:
        record, reference = noise.add(record, reference)
    windows, features, beats = inputs_of(record)
    labels = _labels(reference, beats, record.fs)
    chosen = np.flatnonzero(labels >= 0)
    rows = np.zeros(len(chosen), ROW)
    rows["label"] = labels[chosen]
    rows["sample"] = [beats[i].sample for i in chosen]
    rows["emitted"] = [beats[i].emitted for i in chosen]
    annotated = len(reference.beats()[0])
    return Labelled(windows[chosen], features[chosen], rows, record.leads, record.fs, annotated, len(beats))


def _labels(reference: Annotations, beats: list[Beat], fs: float) -> NDArray[np.int64]:
    """(n,) class number of each beat, Q where no annotation confirms it; -1: it lies in flutter."""
    samples, symbols = reference.beats()
    found = np.array([beat.sample for beat in beats], np.int64)
    label = np.full(len(found), AAMI_CLASSES.index("Q"), np.int64)
    pairing = match_beats(samples, found, WINDOW * fs)
    label[pairing.test] = [AAMI_CLASSES.index(AAMI_OF_SYMBOL[symbols[i]]) for i in pairing.reference.tolist()]
    for first, last in flutter_intervals(reference.samples, reference.symbols):
        label[(found >= first) & (found <= last)] = -1
    return label
