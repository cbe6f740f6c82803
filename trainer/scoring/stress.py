"""Noise of the MIT-BIH Noise Stress Test Database, added to any record as the program ``nst`` adds it.

From 5:00 on, two minutes with noise and two without take turns. Noise runs on the record's own clock: at 5:00 it is
five minutes into the noise record, whichever blocks are heard, and begins anew when that ends. When noise sets in
or stops no step is made: the level reached stays. Signal n of a record gets noise channel n; channels serve again
where there are more signals.

How large the noise is, by ``nst``'s definition of the signal-to-noise ratio, for each lead by itself::

    SNR = 10 log10(S / (N gain^2)),  S = A^2 / 8,  N = R^2

A: mean peak-to-peak amplitude of the first 300 normal beats, within 50 ms of the annotation. A sine of that size has
power A^2 / 8. R: mean root-mean-square deviation of the first 300 seconds of noise from each second's own mean. Both
means leave out the largest and the smallest tenth.

Departures: in a record without normal beats (paced throughout) all beats give A; infinite samples (a converter at
its rail) stay as they are; where noise begins anew there is no step.

What was found by experiment and not in the manual: the tenth, and that noise keeps running through the blocks without
it. ``tests/trainer/test_stress.py`` makes 118e24, 118e12 and 118e00 again from records 118 and `em`.

**No leak.** Noise behaviour is never tuned on `em` nor on records 118 and 119. Training may add minutes 0-15 of `bw`
and `ma`; scores use their minutes 15-30, and all of `em`.

Sources: the manual page of ``nst`` in the WFDB Applications Guide; Moody GB, Muldrow WE, Mark RG, "A noise stress test
for arrhythmia detectors", Computers in Cardiology 11:381-384 (1984).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import AAMI_OF_SYMBOL
from monitor.exceptions import ConfigError, RecordError
from monitor.records import Annotations, Record, check_record, find_database, read_record
from trainer.scoring.conditions import rate_ratio, resample
from trainer.scoring.ec57 import LEARNING_PERIOD

DATABASE: Final = "nstdb"
"""Where the noise records are."""

POOLS: Final = {"em": (0.0, math.inf), "ma": (900.0, 1800.0), "bw": (900.0, 1800.0)}
"""Noise record -> the part of it that scores may use, s."""

RECORDS: Final = ("118", "119")
"""The records of the stress test."""

SNRS: Final = (24.0, 18.0, 12.0, 6.0, 0.0, -6.0)
"""The signal-to-noise ratios of the stress test, dB."""

BLOCK: Final = 120.0
"""Seconds with noise, then without."""

_PIECES: Final = 300
"""Beats, and seconds of noise, that are measured."""

_TRIM: Final = 0.1
_QRS_S: Final = 0.050


@dataclass(frozen=True, slots=True)
class Noisy:
    """A record with noise from 5:00 on.

    Attributes:
        path: of the noise record.
        noise: key of :data:`POOLS`.
        snr: dB, of each lead.
        seed: 0: noise from the beginning of its pool; others: from somewhere in it.
    """

    path: Path
    noise: str
    snr: float
    seed: int = 0

    @classmethod
    def of(cls, noise: str, snr: float, seed: int = 0) -> Noisy:
        """Noise of a database that is found by name.

        Raises:
            ConfigError: there is no such noise.
            RecordError: the database or its record is not there.
        """
        if noise not in POOLS:
            raise ConfigError(f"no noise {noise}", where="--noise", remedy=f"choose {', '.join(POOLS)}")
        path = find_database(DATABASE) / noise
        check_record(path, (0, 1))
        return cls(path, noise, snr, seed)

    @property
    def title(self) -> str:
        return f"{self.snr:g} dB"

    def apply(self, record: Record, reference: Annotations, signals: Sequence[int]) -> tuple[Record, Annotations]:
        """Add the noise.

        Raises:
            RecordError: the record ends before noise sets in, or has no beats to measure.
        """
        if len(record.signal) <= LEARNING_PERIOD * record.fs:
            raise RecordError("over before noise sets in at 5:00", where=record.name, remedy="choose longer records")
        pool = noise_pool(self.path, self.noise, record.fs, self.seed)
        noise = pool[:, [signal % pool.shape[1] for signal in signals]]
        gains = noise_gains(qrs_amplitudes(record, reference), noise_level(noise, record.fs), self.snr)
        added = gains * gated(noise, len(record.signal), record.fs)
        return Record(record.name, record.fs, record.leads, (record.signal + added).astype(np.float32)), reference


@lru_cache(maxsize=4)
def noise_pool(path: Path, noise: str, fs: float, seed: int) -> NDArray[np.float64]:
    """(n, 2) mV: the part of a noise record that scores may use, at `fs`, turned to where `seed` begins.

    Raises:
        RecordError: the noise record cannot be read, or ends before that part.
    """
    record = read_record(path, (0, 1))
    first, last = POOLS[noise]
    part = record.signal[round(first * record.fs) : None if math.isinf(last) else round(last * record.fs)]
    if len(part) < _PIECES * record.fs:
        raise RecordError("too short to add as noise", where=str(path), remedy="fetch it again")
    pool = resample(part, rate_ratio(record.fs, fs))
    start = int(np.random.default_rng(seed).integers(len(pool))) if seed else 0
    return np.concatenate([pool[start:], pool[:start] + (pool[-1] - pool[0])])  # no step where the ends meet


def qrs_amplitudes(record: Record, reference: Annotations) -> NDArray[np.float64]:
    """(leads,) typical peak-to-peak amplitude of normal beats, mV.

    Raises:
        RecordError: no beat can be measured.
    """
    samples, symbols = reference.beats()
    normal = np.array([AAMI_OF_SYMBOL[symbol] == "N" for symbol in symbols], np.bool_)
    chosen = samples[normal] if normal.any() else samples
    reach = round(_QRS_S * record.fs)
    inside = chosen[(chosen >= reach) & (chosen + reach < len(record.signal))]
    windows = record.signal[inside[:_PIECES, None] + np.arange(-reach, reach + 1)]
    heights = np.ptp(windows.astype(np.float64), axis=1)
    measured = [column[np.isfinite(column)] for column in heights.T]
    if not all(column.size for column in measured):
        raise RecordError("no beat to measure the signal by", where=record.name, remedy="leave the record out")
    return np.array([trimmed_mean(column) for column in measured])


def noise_level(noise: NDArray[np.float64], fs: float) -> NDArray[np.float64]:
    """(leads,) typical root-mean-square deviation within a second of (n, leads) noise, mV."""
    second = round(fs)
    pieces = noise[: _PIECES * second]
    pieces = pieces[: len(pieces) // second * second].reshape(-1, second, noise.shape[1])
    return np.array([trimmed_mean(column) for column in pieces.std(axis=1).T])


def noise_gains(amplitude: NDArray[np.float64], level: NDArray[np.float64], snr: float) -> NDArray[np.float64]:
    """(leads,) factors that bring noise of that level to `snr` (dB) beside QRS complexes of that amplitude."""
    gains: NDArray[np.float64] = amplitude / math.sqrt(8.0) / level * 10.0 ** (-snr / 20.0)
    return gains


def trimmed_mean(values: NDArray[np.float64]) -> float:
    """Mean of (n,) values without the largest and the smallest tenth.

    >>> trimmed_mean(np.array([9.0, 2.0, 2.0, 3.0, 3.0, 2.0, 2.0, 3.0, 3.0, -7.0]))
    2.5
    """
    drop = int(_TRIM * values.size)
    return float(np.mean(np.sort(values)[drop : values.size - drop]))


def gated(noise: NDArray[np.float64], length: int, fs: float) -> NDArray[np.float64]:
    """Noise as it is heard: in alternate blocks, the level held in between.

    Args:
        noise: (m, leads), begins anew when it ends.
        length: n, samples of the record.
        fs: Hz, of both.

    Returns:
        (n, leads), zero before 5:00.
    """
    at = np.arange(length)
    since = at - round(LEARNING_PERIOD * fs)
    heard = (since >= 0) & (since // round(BLOCK * fs) % 2 == 0)
    steps = np.diff(noise, axis=0, prepend=noise[:1])[at % len(noise)]
    found: NDArray[np.float64] = np.cumsum(np.where(heard[:, None], steps, 0.0), axis=0)
    return found
