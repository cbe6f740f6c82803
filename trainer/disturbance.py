"""Noise that the detector's judge is trained in.

Muscle artefact and baseline wander come from minutes 0-15 of the Noise Stress Test Database; the minutes that scores use
are never heard here. Electrode motion is made up: its record `em` is for scores alone. It is the hardest noise, for its
steps have the frequencies of a QRS: here steps that come at random and fade away, beside low-pass noise in bursts.
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
    """(count,) electrode motion of unit size at 360 Hz."""
    pulses = np.zeros(count)
    at = 0
    while at < count:
        at += 1 + int(rng.exponential(rng.choice([80.0, 200.0, 500.0])))
        if at < count:
            pulses[at] = rng.normal() * rng.lognormal(0.0, 0.7)
    fade = np.exp(-1.0 / (rng.uniform(0.08, 0.4) * FS))
    steps = signal.lfilter([1.0], [1.0, -fade], pulses)
    steps = signal.sosfilt(signal.butter(2, rng.uniform(8.0, 20.0), fs=FS, output="sos"), steps)
    band = signal.butter(2, [0.5, rng.uniform(6.0, 15.0)], "bandpass", fs=FS, output="sos")
    knots = np.arange(0, count + 180, 180)
    bursts = signal.sosfilt(band, rng.normal(size=count))
    bursts *= np.interp(np.arange(count), knots, rng.lognormal(0.0, 0.8, knots.size))
    mixed: NDArray[np.float64] = steps / steps.std() + bursts / bursts.std() * rng.uniform(0.5, 1.5)
    return mixed


def noise(kind: str, count: int, leads: int, nstdb: Path, rng: np.random.Generator) -> NDArray[np.float64]:
    """(count, leads) noise at 360 Hz, mV of no particular size; a recorded one begins somewhere and repeats.

    Args:
        kind: one of :data:`RECORDED`, or :data:`MOTION`.
        count: samples.
        leads: each with noise of its own.
        nstdb: folder of the Noise Stress Test Database.
        rng: decides where it begins, or what it is.
    """
    if kind == MOTION:
        return np.stack([electrode_motion(count, rng) for _ in range(leads)], 1)
    heard = read_record(nstdb / kind, (0, 1)).signal[:_HEARD].astype(np.float64)
    at = (rng.integers(len(heard)) + np.arange(count)) % len(heard)
    return heard[at][:, np.arange(leads) % heard.shape[1]] - heard[0, :leads]


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
    return clean + gains * added * (since // _BLOCK % 2 == 0)[:, np.newaxis]
