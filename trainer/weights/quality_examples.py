"""What the verdict on signal quality is learnt from: half seconds of leads, as the monitor itself measures them.

- `challenge2017`: recordings of a hand-held device. Each half second of a recording that was called too noisy to read
  counts as noise, each of the others as good; many are neither, so that much is learnt from few.
- `vfdb`: whatever a heart does is good, fibrillation and asystole above all; what is annotated NOISE is noise.
- DS1 of `mitdb`, as it is and in spells of noise from 2 to 40 s: noise where its size between 2 and 30 Hz, over one
  second, exceeds what QRS complexes of that lead have by the stress test's definition (0 dB), good where it stays 8 dB
  below for two seconds; nothing is said between. Noise of the stress test is heard as
  :mod:`trainer.made_up.disturbance` has it (minutes 0-15 of `ma` and `bw`, motion made up), and mains hum and muscle
  noise are made up too. No noise is added to the records of the stress test.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal as scipy_signal

from monitor import align, filters, likeness, measures, qrs
from monitor.ecg import FS, MAX_LEADS
from monitor.exceptions import RecordError
from monitor.kernel import kernel
from monitor.measures import HALF, HALVES, PIECE
from monitor.records import Annotations, read_annotations, read_record, record_names
from trainer.made_up import disturbance
from trainer.scoring import stress

READINGS: Final = ("N", "A", "O", "~")
"""What cardiologists made of a recording of `challenge2017`; the last: too noisy to read."""
RHYTHMS: Final = {"VF": "VF", "VFIB": "VF", "VFL": "VF", "VT": "VT", "ASYS": "ASYS", "NOISE": "NOISE"}
"""Rhythms of `vfdb` that are counted by themselves; flutter with fibrillation, as the alarms do."""
KINDS: Final = (*READINGS, "VF", "VT", "ASYS", "NOISE", "other rhythm", "clean", "noise added")
"""Where half seconds come from."""
_OTHER, _CLEAN, _ADDED = (KINDS.index(name) for name in ("other rhythm", "clean", "noise added"))

NOISES: Final = (*disturbance.RECORDED, *4 * (disturbance.MOTION,), "mains", "muscle", disturbance.RECORDED[0])
"""The noisy versions of each record of DS1."""
SNR_RANGE: Final = (-14.0, 20.0)
"""dB, of a spell."""
NOISE_BELOW: Final = 0.0
GOOD_ABOVE: Final = 8.0
"""dB, of noise between 2 and 30 Hz."""

_BLOCK: Final = 90  # input samples at a time; the results do not depend on it
_FIRST: Final = HALVES - 1  # half seconds in which there is no verdict yet
_BAND: Final = scipy_signal.butter(2, [2.0, 30.0], "bandpass", fs=FS, output="sos")
_SOFT: Final = scipy_signal.butter(1, 4.0, fs=FS, output="sos")


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """A lead of a record, half second by half second.

    Attributes:
        record: its name.
        features: (n, WIDTH) float32, as :mod:`monitor.measures` has them.
        labels: (n,) int8, 1: noise, 0: good, -1: nothing is learnt from it.
        kinds: (n,) int8, index into :data:`KINDS`.
    """

    record: str
    features: NDArray[np.float32]
    labels: NDArray[np.int8]
    kinds: NDArray[np.int8]


@kernel
def _measure(settle, filtering, detector, leads, samples, fs_mhz, half, table, measured, features):  # type: ignore[no-untyped-def]
    """Run the front end without its beats; note the measures of every half second."""
    room = _BLOCK * 4 + 2
    settled, flags = np.empty((MAX_LEADS, room)), np.empty((MAX_LEADS, room), np.int64)
    display, band = np.empty((MAX_LEADS, room)), np.empty((MAX_LEADS, room))
    usable = np.zeros((MAX_LEADS, room), np.int64)
    usable[:leads] = 1
    detections = np.empty(room, qrs.DETECTION)
    settle["fs_mhz"], settle["half"] = fs_mhz, half
    qrs.start(detector)
    for lead in range(leads):
        measures.start(measured[lead])
    for first in range(0, samples.shape[0], _BLOCK):
        count = min(_BLOCK, samples.shape[0] - first)
        made = align.step(settle, samples, first, count, 0, 0, leads, table, settled, flags)
        filters.step(filtering, settled, made, leads, display, band)
        found = qrs.step(detector, settled, band, display, usable, leads, made, detections)
        for lead in range(leads):
            state = measured[lead]
            at, beat = 0, 0
            while at < made:
                to = min(made, at + PIECE - state["time"] % PIECE)
                measures.take(state, settled[lead], display[lead], band[lead], usable[lead], at, to)
                at = to
                ended = state["time"] % HALF == 0
                if ended or at == made:
                    beat = likeness.note_beats(state, detector["shown"][lead], detections, found, beat)
                if ended and state["time"] >= HALVES * HALF:
                    measures.describe(state)
                    measures.remember(state)
                    for i in range(measures.WIDTH):
                        features[state["time"] // HALF - 1, lead, i] = state["features"][i]


def measure(signal: NDArray[np.floating], fs: float) -> NDArray[np.float32]:
    """(k, leads, WIDTH) the measures of each half second of (n, leads) mV at `fs`; zeros where there are none yet."""
    count, leads = signal.shape
    samples = np.zeros((count, MAX_LEADS), np.float32)
    samples[:, :leads] = signal
    table, half = align.design(fs)
    measured = np.zeros(MAX_LEADS, measures.STATE)
    settle, filtering, detector = np.zeros(1, align.STATE), np.zeros(1, filters.STATE), np.zeros(1, qrs.STATE)
    features = np.zeros((int(count * FS / fs / HALF) + 1, leads, measures.WIDTH), np.float32)
    _measure(settle[0], filtering[0], detector[0], leads, samples, round(fs * 1000), half, table, measured, features)
    return features[: measured[0]["time"] // HALF]


def readings(database: Path) -> dict[str, str]:
    """What a recording of `challenge2017` was called, one of :data:`READINGS`, by its name.

    Raises:
        RecordError: the file that says it is not there.
    """
    file = database / "REFERENCE.csv"
    try:
        with file.open(newline="") as lines:
            return {row[0]: row[1] for row in csv.reader(lines) if len(row) == 2}
    except OSError as error:
        raise RecordError(f"cannot be read ({error.strerror})", where=str(file), remedy="fetch it again") from None


def rhythm_spans(annotations: Annotations, length: int) -> list[tuple[int, int, str]]:
    """First sample, sample after, and name of each annotated rhythm, such as ``VT``."""
    marks = [
        (int(at), note.strip().lstrip("("))
        for at, note in zip(annotations.samples, annotations.notes, strict=True)
        if note.startswith("(")
    ]
    return [(at, end, name) for (at, name), (end, _) in zip(marks, [*marks[1:], (length, "")], strict=False)]


def noisy_spans(path: Path, length: int) -> list[list[tuple[int, int]]]:
    """By lead, first sample and sample after of what the annotators of `mitdb` called noisy or unreadable."""
    import wfdb

    found = wfdb.rdann(str(path), "atr")
    told = zip(found.sample.tolist(), found.symbol, found.subtype.tolist(), strict=True)
    marks = [(at, which) for at, symbol, which in told if symbol == "~"]
    spans: list[list[tuple[int, int]]] = [[] for _ in range(MAX_LEADS)]
    for (at, which), (end, _) in zip(marks, [*marks[1:], (length, 0)], strict=False):
        for lead in range(MAX_LEADS):
            if which < 0 or (which >> lead | which >> (lead + 4)) & 1:  # noisy, or unreadable
                spans[lead].append((at, end))
    return spans


def load(
    challenge: Path, vfdb: Path, mitdb: Path, names: Sequence[str], nstdb: Path, seed: int, done: Callable[[], None]
) -> list[Stretch]:
    """All stretches; `names` are records of `mitdb`, and `done` is called after each record.

    Raises:
        RecordError: one cannot be read.
    """
    found: list[Stretch] = []
    for name, reading in sorted(readings(challenge).items()):
        found.append(_of_challenge(challenge / name, reading))
        done()
    for name in record_names(vfdb):
        found += _of_rhythms(vfdb / name)
        done()
    for name in names:
        found += _of_beats(mitdb / name, nstdb, np.random.default_rng((seed, zlib.crc32(name.encode()))))
        done()
    return found


def _of_challenge(path: Path, reading: str) -> Stretch:
    record = read_record(path)
    features = measure(record.signal[:, :1], record.fs)[:, 0]
    labels = np.full(len(features), reading == READINGS[-1], np.int8)
    labels[:_FIRST] = -1
    return Stretch(record.name, features, labels, np.full(len(features), KINDS.index(reading), np.int8))


def _of_rhythms(path: Path) -> Iterator[Stretch]:
    record = read_record(path)
    features = measure(record.signal, record.fs)
    labels, kinds = np.full(len(features), -1, np.int8), np.full(len(features), _OTHER, np.int8)
    for first, last, name in rhythm_spans(read_annotations(path), len(record.signal)):
        begin, end = (round(at / record.fs * FS / HALF) for at in (first, last))
        kind = RHYTHMS.get(name)
        kinds[begin:end] = _OTHER if kind is None else KINDS.index(kind)
        labels[begin + _FIRST : end] = kind == "NOISE"
    labels[:_FIRST] = -1
    for lead in range(features.shape[1]):
        yield Stretch(record.name, features[:, lead], labels, kinds)


def _of_beats(path: Path, nstdb: Path, rng: np.random.Generator) -> Iterator[Stretch]:
    """A record of DS1 as it is, and in noise: on one lead that it has alone, or on both."""
    record, reference = read_record(path, (0, 1)), read_annotations(path)
    clean = record.signal.astype(np.float64)
    features = measure(clean, record.fs)
    good = np.ones((MAX_LEADS, len(features)), np.bool_)
    good[:, :_FIRST] = False
    for lead, spans in enumerate(noisy_spans(path, len(clean))):
        for first, last in spans:
            good[lead, max(0, first // HALF - 1) : last // HALF + HALVES + 1] = False
    for lead in range(MAX_LEADS):
        kinds = np.full(len(features), _CLEAN, np.int8)
        yield Stretch(record.name, features[:, lead], np.where(good[lead], 0, -1).astype(np.int8), kinds)
    if record.name in stress.RECORDS:
        return
    amplitude = stress.qrs_amplitudes(record, reference)
    for kind in NOISES:
        noise = _noise(kind, len(clean), nstdb, rng)
        gains = stress.noise_gains(amplitude, stress.noise_level(noise, FS), 0.0)
        added = noise * gains * _spells(len(clean), rng)[:, np.newaxis]
        leads = [0, 1] if rng.uniform() < 0.6 else [int(rng.integers(MAX_LEADS))]
        features = measure((clean + added)[:, leads], FS)
        for place, lead in enumerate(leads):
            snr = _local_snr(added[:, lead], float(amplitude[lead]), len(features))
            labels = np.where(snr[0] < NOISE_BELOW, 1, np.where((snr[1] > GOOD_ABOVE) & good[lead], 0, -1))
            labels[:_FIRST] = -1
            kinds = np.full(len(features), _ADDED, np.int8)
            yield Stretch(record.name, features[:, place], labels.astype(np.int8), kinds)


def _spells(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(count,) factors: spells of noise of 2 to 40 s, each of another size, 3 to 40 s of quiet between them."""
    found = np.zeros(count)
    at = int(rng.uniform(2.0, 20.0) * FS)
    while at < count:
        length = round(np.exp(rng.uniform(np.log(2.0), np.log(40.0))) * FS)
        found[at : at + length] = 10.0 ** (-rng.uniform(*SNR_RANGE) / 20.0)
        at += length + round(np.exp(rng.uniform(np.log(3.0), np.log(40.0))) * FS)
    soft: NDArray[np.float64] = scipy_signal.sosfiltfilt(_SOFT, found)
    return soft


def _noise(kind: str, count: int, nstdb: Path, rng: np.random.Generator) -> NDArray[np.float64]:
    """(count, 2) noise at 360 Hz of no particular size."""
    if kind == "mains":
        phase = 2.0 * np.pi * (rng.choice([50.0, 60.0]) + rng.uniform(-0.2, 0.2)) * np.arange(count) / FS
        hum = np.sin(phase) + rng.uniform(0.0, 0.3) * np.sin(2.0 * phase + 1.0)
        return np.stack([hum, rng.uniform(0.5, 1.0) * hum], 1)
    if kind == "muscle":
        band = scipy_signal.butter(
            2, [rng.uniform(5.0, 30.0), rng.uniform(60.0, 150.0)], "bandpass", fs=FS, output="sos"
        )
        knots = np.arange(0, count + HALF, HALF // 2)
        swell = np.exp(np.interp(np.arange(count), knots, rng.normal(0.0, rng.uniform(0.0, 0.8), knots.size)))
        found: NDArray[np.float64] = scipy_signal.sosfilt(band, rng.normal(size=(count, 2)), axis=0)
        return found * swell[:, np.newaxis]
    return disturbance.noise(kind, count, MAX_LEADS, nstdb, rng)


def _local_snr(added: NDArray[np.float64], amplitude: float, halves: int) -> NDArray[np.float64]:
    """(2, halves) dB: that of the last one and the last two seconds of noise, between 2 and 30 Hz."""
    power = np.concatenate([[0.0], np.cumsum(scipy_signal.sosfilt(_BAND, added) ** 2)])
    ends = (np.arange(halves) + 1) * HALF
    means = [(power[ends] - power[np.maximum(ends - n * HALF, 0)]) / (n * HALF) for n in (2, 4)]
    return np.array([10.0 * np.log10(amplitude**2 / 8.0 / (mean + 1e-12)) for mean in means])
