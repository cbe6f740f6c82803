"""What telling fibrillation is learnt from: looks at annotated records, as the monitor itself describes them.

The rhythm annotations of the Malignant Ventricular Ectopy Database and of the MIT-BIH Arrhythmia Database say when
there is ventricular tachycardia, flutter or fibrillation. The QT Database has none. Records of the latter two are heard
in noise as well, and noise alone is heard as it is on an electrode that nothing beats under: all that is neither.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor import align, fibrillation, filters, waves
from monitor.ecg import FS, MAX_LEADS
from monitor.fibrillation import FIBRILLATION, NONE, TACHYCARDIA
from monitor.kernel import kernel
from monitor.records import Annotations, read_annotations, read_record
from trainer.made_up.disturbance import MOTION, RECORDED, disturb, noise
from trainer.scoring import stress
from trainer.scoring.conditions import Resampled

VERDICTS: Final = {"VT": TACHYCARDIA, "VF": FIBRILLATION, "VFIB": FIBRILLATION, "VFL": FIBRILLATION}
"""Rhythm annotations without their parenthesis -> what they are called here; all others are NONE."""
NOISE: Final = "NOISE"
"""The annotation of what nobody could read."""

NOISES: Final = (*RECORDED, MOTION, MOTION)
"""Noisy versions of each record of the other databases..."""
SNR_RANGE: Final = (-6.0, 18.0)
"""... at these signal-to-noise ratios, dB."""
ALONE_MV: Final = (0.02, 0.15)
"""Root mean square of noise alone; larger is beyond what can be told from fibrillation."""
_ALONE_S: Final = 900
_ALONE_PIECES: Final = 45
_ALONE_TIMES: Final = 3

EVERY: Final = 3
"""Of the other databases every third look is learnt from..."""
CLEAN_WEIGHT, NOISY_WEIGHT, ALONE_WEIGHT = 1.5, 0.45, 0.75
"""... with these weights; a look at the Malignant Ventricular Ectopy Database has 1."""
POSITIVE_WEIGHT: Final = 1.5
"""Factor of a look at tachycardia or fibrillation: there is less of it."""
MIXED_WEIGHT: Final = 0.3
"""Factor of a look that sees two rhythms."""
UNREADABLE_WEIGHT: Final = 0.5
"""Factor of a look at what is annotated as noise."""
BACK: Final = FS
"""Samples at 360 Hz before a look's end at which the rhythm is that of the look."""

_CUT: Final = 128  # input samples at a time


@dataclass(slots=True, eq=False)
class Looks:
    """Labelled looks.

    Attributes:
        features: (n, MAX_LEADS, len(FEATURES)) float32.
        positive: (n,) bool, whether there was tachycardia or fibrillation.
        weights: (n,) float32, in the loss.
        records: (n,) where they come from, ``database/record``.
    """

    features: NDArray[np.float32]
    positive: NDArray[np.bool_]
    weights: NDArray[np.float32]
    records: NDArray[np.str_]

    def chosen(self, keep: NDArray[np.bool_]) -> Looks:
        return Looks(self.features[keep], self.positive[keep], self.weights[keep], self.records[keep])


def displayed(signal: NDArray[np.floating], fs: float) -> NDArray[np.float64]:
    """A signal as the monitor shows it.

    Args:
        signal: (n, leads) mV; NaN is taken as 0.
        fs: its rate, Hz.

    Returns:
        (leads, m) mV at 360 Hz, by the ward's own resampling and filters.
    """
    table, half = align.design(fs)
    aligned, filtered = np.zeros(1, align.STATE)[0], np.zeros(1, filters.STATE)[0]
    aligned["fs_mhz"], aligned["half"] = round(fs * 1000), half
    count, leads = signal.shape
    samples = np.zeros((count, MAX_LEADS), np.float32)
    samples[:, :leads] = np.nan_to_num(signal)
    room = int(_CUT * FS / fs) + 2
    settled, display, band = (np.zeros((MAX_LEADS, room)) for _ in range(3))
    flags = np.zeros((MAX_LEADS, room), np.int64)
    found = []
    for first in range(0, count, _CUT):
        part = min(count - first, _CUT)
        made = align.step(aligned, samples, first, part, 0, 0, leads, table, settled, flags)
        filters.step(filtered, settled, made, leads, display, band)
        found.append(display[:leads, :made].copy())
    return np.concatenate(found, 1)


@kernel
def _describe(display, usable, out):  # type: ignore[no-untyped-def]
    """Describe one lead, (n,) mV at 360 Hz, at every look from the first full window on."""
    lead = np.zeros(1, waves.LEAD)[0]
    for block in range(display.size // waves.LOOK):
        waves.take(lead, display, usable, block * waves.LOOK, waves.LOOK, block * waves.LOOK)
        waves.end_block(lead, block % waves.BLOCKS)
        if block >= waves.BLOCKS - 1:
            waves.describe(lead, (block + 1) % waves.BLOCKS, out[block - waves.BLOCKS + 1])


def described(display: NDArray[np.float64]) -> NDArray[np.float32]:
    """(looks, leads, len(FEATURES)) of a (leads, n) signal as :func:`displayed` makes it; the first after 4 s."""
    leads, count = display.shape
    looks = max(count // waves.LOOK - waves.BLOCKS + 1, 0)
    found = np.zeros((leads, looks, len(waves.FEATURES)), np.float32)
    usable = np.ones(count, np.int64)
    for lead in range(leads):
        _describe(np.ascontiguousarray(display[lead]), usable, found[lead])
    return found.swapaxes(0, 1)


def reference(annotations: Annotations, fs: float, count: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """What the annotator says of each sample at 360 Hz: the verdict, and whether it is unreadable.

    Args:
        annotations: with rhythm changes as notes, such as ``(VT``.
        fs: their rate, Hz.
        count: samples at 360 Hz.
    """
    verdicts, unreadable = np.full(count, NONE, np.int64), np.zeros(count, np.bool_)
    for sample, note in zip(annotations.samples, annotations.notes, strict=True):
        if note.startswith("("):
            first = round(sample * FS / fs)
            verdicts[first:] = VERDICTS.get(note[1:], NONE)
            unreadable[first:] = note[1:] == NOISE
    return verdicts, unreadable


def load(vfdb: Sequence[Path], others: Sequence[Path], nstdb: Path, seed: int, progress: Callable[[], None]) -> Looks:
    """Labelled looks.

    Args:
        vfdb: paths of records of the Malignant Ventricular Ectopy Database.
        others: paths of records of other databases, whose names say which.
        nstdb: folder of the Noise Stress Test Database.
        seed: of the noise.
        progress: called when a record is done.
    """
    parts = []
    for path in vfdb:
        record = read_record(path, (0, 1))
        parts.append(_labelled(path, displayed(record.signal, record.fs), read_annotations(path), record.fs))
        progress()
    for path in others:
        parts.extend(_versions(path, nstdb, seed))
        progress()
    parts.extend(_alone(nstdb, seed))
    return Looks(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.positive for part in parts]),
        np.concatenate([part.weights for part in parts]),
        np.concatenate([part.records for part in parts]),
    )


def name_of(path: Path) -> str:
    """``database/record``."""
    return f"{path.parent.name}/{path.name}"


def _labelled(path: Path, display: NDArray[np.float64], annotations: Annotations, fs: float) -> Looks:
    features = described(display)
    verdicts, unreadable = reference(annotations, fs, display.shape[1])
    ends = (np.arange(len(features)) + waves.BLOCKS) * waves.LOOK - 1
    now, then, before = (verdicts[ends - ago] for ago in (0, BACK, 3 * BACK))
    positive = then != NONE
    weights = np.where((now != then) | (before != now), MIXED_WEIGHT, 1.0) * np.where(positive, POSITIVE_WEIGHT, 1.0)
    weights *= np.where(unreadable[ends - BACK], UNREADABLE_WEIGHT, 1.0)
    return Looks(features, positive, weights.astype(np.float32), np.full(len(features), name_of(path)))


def _versions(path: Path, nstdb: Path, seed: int) -> Iterator[Looks]:
    """A record of another database as it is and, if noise may be added to it, in noise."""
    record, annotations = read_record(path, (0, 1)), read_annotations(path)
    record.signal = np.nan_to_num(record.signal)
    rng = np.random.default_rng((seed, zlib.crc32(name_of(path).encode())))
    yield _thinned(_labelled(path, displayed(record.signal, record.fs), annotations, record.fs), CLEAN_WEIGHT, rng)
    if path.name in stress.RECORDS:
        return
    if record.fs != FS:
        record, annotations = Resampled(FS).apply(record, annotations, (0, 1))
    for kind in NOISES:
        noisy = disturb(record, annotations, kind, rng.uniform(*SNR_RANGE), nstdb, rng)
        yield _thinned(_labelled(path, displayed(noisy, FS), annotations, FS), NOISY_WEIGHT, rng)


def _alone(nstdb: Path, seed: int) -> Iterator[Looks]:
    """Noise alone, of another size every 20 s."""
    rng = np.random.default_rng((seed, 0))
    nothing = Annotations(np.zeros(0, np.int64), [], [])
    piece = _ALONE_S * FS // _ALONE_PIECES
    for kind in (*RECORDED, MOTION):
        for _ in range(_ALONE_TIMES):
            signal = noise(kind, _ALONE_S * FS, MAX_LEADS, nstdb, rng)
            sizes = np.exp(rng.uniform(np.log(ALONE_MV[0]), np.log(ALONE_MV[1]), _ALONE_PIECES))
            signal *= np.repeat(sizes, piece)[:, np.newaxis] / signal.std(0)
            yield _thinned(_labelled(nstdb / kind, displayed(signal, FS), nothing, FS), ALONE_WEIGHT, rng)


def _thinned(looks: Looks, weight: float, rng: np.random.Generator) -> Looks:
    """Every EVERY-th look, from a random one on."""
    keep = np.zeros(len(looks.positive), np.bool_)
    keep[int(rng.integers(EVERY)) :: EVERY] = True
    found = looks.chosen(keep)
    found.weights *= np.float32(weight)
    return found


def follow(signal: NDArray[np.floating], fs: float, weights: np.void) -> NDArray[np.void]:
    """The verdicts on a whole signal, as a bed of a ward tells them while it comes; all leads are taken to be usable.

    Args:
        signal: (n, leads) mV; NaN is taken as 0.
        fs: its rate, Hz.
        weights: a WEIGHTS record, for instance ``monitor.fibrillation_weights.shipped().unseen("vfdb/418")``.

    Returns:
        CHANGE records of :mod:`monitor.fibrillation`, samples at 360 Hz.
    """
    display = displayed(signal, fs)
    leads, count = display.shape
    both = np.zeros((MAX_LEADS, count))
    both[:leads] = display
    state = np.zeros(1, fibrillation.STATE)[0]
    fibrillation.start(state)
    changes = np.zeros(count // waves.LOOK + 1, fibrillation.CHANGE)
    usable = np.ones((MAX_LEADS, count), np.int64)
    return changes[: fibrillation.step(state, weights, both, usable, leads, count, changes)]
