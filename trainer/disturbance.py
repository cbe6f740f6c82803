"""Noise that the detector's judge is trained in.

Muscle artefact and baseline wander come from minutes 0-15 of the Noise Stress Test Database; the minutes that scores
use are never heard here. Electrode motion is made up, for its record `em` is for scores alone. It is the hardest noise:
it has the frequencies of a QRS. Each time another mixture is drawn of steps that fade away, bursts, humps and wander.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from monitor.ecg import FS
from monitor.records import Annotations, Record, read_record
from trainer.stress import noise_gains, noise_level, qrs_amplitudes

RECORDED: Final = ("ma", "bw")
"""Records of the Noise Stress Test Database that training may hear."""

MOTION: Final = "motion"
"""Electrode motion, made up."""

_HEARD: Final = 15 * 60 * FS
_BLOCK: Final = 120 * FS
"""Noise and quiet take turns in blocks of this length, as in the stress test."""


def electrode_motion(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(count,) electrode motion of unit size at 360 Hz: a random mixture of the ways signals move with electrodes."""
    parts = _steps(count, rng), _bursts(count, rng), _pulses(count, rng), _wander(count, rng)
    shares = rng.dirichlet([0.7] * len(parts))
    mixed: NDArray[np.float64] = sum(
        (np.sqrt(share) / part.std() * part for share, part in zip(shares, parts, strict=True)), np.zeros(count)
    )
    return mixed


def _instants(count: int, mean: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Increasing sample indices below `count`, `mean` samples apart on average, now dense and now sparse."""
    gaps = rng.exponential(mean * rng.choice([0.4, 1.0, 2.0], size=int(4 * count / mean) + 8))
    at = np.cumsum(1 + gaps.astype(np.int64))
    return at[at < count]


def _jolts(count: int, mean: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(count,) impulses of either sign, a few of them many times as large as most."""
    found = np.zeros(count)
    at = _instants(count, mean, rng)
    found[at] = rng.normal(size=at.size) * rng.lognormal(0.0, rng.uniform(0.3, 1.0), at.size)
    return found


def _steps(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Contacts that shift and settle again."""
    fade = np.exp(-1.0 / (rng.uniform(0.08, 0.6) * FS))
    steps = signal.lfilter([1.0], [1.0, -fade], _jolts(count, rng.uniform(60.0, 400.0), rng))
    smooth: NDArray[np.float64] = signal.sosfilt(signal.butter(2, rng.uniform(8.0, 25.0), fs=FS, output="sos"), steps)
    return smooth


def _bursts(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise in the band of QRS complexes that swells and sinks."""
    band = signal.butter(2, [rng.uniform(0.5, 3.0), rng.uniform(6.0, 18.0)], "bandpass", fs=FS, output="sos")
    knots = np.arange(0, count + 180, 180)
    swell = rng.lognormal(0.0, rng.uniform(0.3, 1.0), knots.size)
    found: NDArray[np.float64] = signal.sosfilt(band, rng.normal(size=count)) * np.interp(
        np.arange(count), knots, swell
    )
    return found


def _pulses(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Humps as wide as QRS complexes and T waves, of one phase or of two."""
    found = np.zeros(count)
    for width in (0.015, 0.03, 0.05, 0.08):
        t = np.arange(-4 * width, 4 * width, 1.0 / FS) / width
        for shape in (np.exp(-0.5 * t * t), t * np.exp(-0.5 * t * t)):
            found += rng.uniform() * np.convolve(_jolts(count, rng.uniform(150.0, 1500.0), rng), shape, "same")
    return found


def _wander(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise whose power falls with frequency, without the slowest."""
    spectrum = np.fft.rfft(rng.normal(size=count))
    frequencies = np.fft.rfftfreq(count, 1.0 / FS)
    spectrum[1:] *= frequencies[1:] ** -rng.uniform(0.5, 1.5)
    spectrum[frequencies < 0.3] = 0.0
    return np.fft.irfft(spectrum, count)


def noise(kind: str, count: int, leads: int, nstdb: Path, rng: np.random.Generator) -> NDArray[np.float64]:
    """(count, leads) noise at 360 Hz, mV of no particular size; a recorded one begins somewhere and repeats.

    Args:
        kind: one of :data:`RECORDED`, or :data:`MOTION`.
        count: samples.
        leads: one or two, each with noise of its own.
        nstdb: folder of the Noise Stress Test Database.
        rng: decides where it begins, or what it is.
    """
    if kind == MOTION:
        return np.stack([electrode_motion(count, rng) for _ in range(leads)], 1)
    heard = read_record(nstdb / kind, (0, 1)).signal[:_HEARD].astype(np.float64)
    at = (rng.integers(len(heard)) + np.arange(count)) % len(heard)
    turned: NDArray[np.float64] = heard[at][:, :leads] - heard[0, :leads]
    return turned


def disturb(
    record: Record, reference: Annotations, kind: str, snr: float, nstdb: Path, rng: np.random.Generator
) -> NDArray[np.float64]:
    """The signal of a record at 360 Hz, (n, leads) mV, with noise in every second block.

    Args:
        record: at 360 Hz.
        reference: its annotations; the size of normal beats sets the noise's.
        kind: of noise.
        snr: dB on each lead, as the stress test defines it.
        nstdb: folder of the Noise Stress Test Database.
        rng: decides all the rest.
    """
    clean = record.signal.astype(np.float64)
    added = noise(kind, len(clean), clean.shape[1], nstdb, rng)
    gains = noise_gains(qrs_amplitudes(record, reference), noise_level(added, FS), snr)
    since = np.arange(len(clean)) - int(rng.integers(_BLOCK))
    noisy: NDArray[np.float64] = clean + gains * added * (since // _BLOCK % 2 == 0)[:, np.newaxis]
    return noisy
