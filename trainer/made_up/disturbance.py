"""Noise that the detector's judge is trained in.

Muscle artefact and baseline wander come from minutes 0-15 of the Noise Stress Test Database; the minutes that scores
use are never heard here. Electrode motion is made up, for its record `em` is for scores alone. It is the hardest noise:
it has the frequencies of a QRS. Each time another mixture is drawn, from one of two families: a plain one of steps that
fade away, bursts, humps and wander, and a varied one that has swings of 50 ms to seconds too, comes and goes, and
swells. What a judge learns from several kinds of motion holds for others that it has never heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from monitor.ecg import FS
from monitor.records import Annotations, Record, read_record
from trainer.scoring.stress import noise_gains, noise_level, qrs_amplitudes

RECORDED: Final = ("ma", "bw")
"""Records of the Noise Stress Test Database that training may hear."""

MOTION: Final = "motion"
"""Electrode motion, made up."""

_HEARD: Final = 15 * 60 * FS
_TRACE: Final = 30 * 60 * FS
_TRACES: Final = 72
"""So much motion is made up, of different mixtures; records hear parts of it."""

_PLAIN: Final = 0.4
"""Share of the plain family."""

_BLOCK: Final = 120 * FS
"""Noise and quiet take turns in blocks of this length, as in the stress test."""


def electrode_motion(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(count,) electrode motion of unit size at 360 Hz: a random mixture of the ways signals move with electrodes."""
    if rng.uniform() < _PLAIN:
        return _mixed([_steps(count, rng), _bursts(count, rng), _pulses(count, rng), _wander(count, rng)], 0.7, rng)
    parts = [part(count, rng) for part in (_two_steps, _swings, _band, _coloured, _pulses)]
    mixed = _mixed([part * (_spells(count, rng) if rng.uniform() < 0.25 else 1.0) for part in parts], 0.5, rng)
    if rng.uniform() < 0.6:
        mixed *= _swell(count, int(rng.choice([2, 5, 20])) * FS, rng.uniform(0.2, 0.7), rng)
    mixed /= mixed.std()
    return mixed


def _mixed(parts: Sequence[NDArray[np.float64]], evenness: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Parts of unit size each, in random shares of the power; the smaller `evenness`, the more one prevails."""
    shares = rng.dirichlet([evenness] * len(parts))
    mixed: NDArray[np.float64] = sum(
        (np.sqrt(share) / part.std() * part for share, part in zip(shares, parts, strict=True)), np.zeros(len(parts[0]))
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


def _two_steps(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Contacts that shift, some settling within 40 ms and some within seconds."""
    found = np.zeros(count)
    for _ in range(2):
        fade = np.exp(-1.0 / (_log_uniform(0.04, 1.5, rng) * FS))
        steps = signal.lfilter([1.0], [1.0, -fade], _jolts(count, rng.uniform(60.0, 1200.0), rng))
        found += rng.uniform(0.2, 1.0) / steps.std() * steps
    order = int(rng.integers(1, 4))
    smooth: NDArray[np.float64] = signal.sosfilt(
        signal.butter(order, rng.uniform(4.0, 30.0), fs=FS, output="sos"), found
    )
    return smooth


def _swings(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Swings that rise within 20 to 300 ms and fall within 30 to 500 ms, smoothly or exponentially; some swing back."""
    found = np.zeros(count)
    for _ in range(4):
        rise = round(_log_uniform(0.02, 0.3, rng) * FS)
        fall = round(_log_uniform(0.03, 0.5, rng) * FS)
        shape = 0.5 - 0.5 * np.cos(np.pi * np.arange(rise) / rise)
        kind = rng.integers(3)
        if kind == 0:
            shape = np.concatenate([shape, np.exp(-np.arange(4 * fall) / fall)])
        else:
            shape = np.concatenate([shape, 0.5 + 0.5 * np.cos(np.pi * np.arange(fall) / fall)])
        if kind == 2:
            shape = np.concatenate([shape, -rng.uniform(0.2, 1.0) * shape[:: int(rng.choice([1, -1]))]])
        swings = signal.fftconvolve(_jolts(count, rng.uniform(100.0, 1800.0), rng), shape)[:count]
        found += rng.uniform(0.1, 1.0) / swings.std() * swings
    return found


def _band(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise of any band below 40 Hz that swells and sinks."""
    low = _log_uniform(0.4, 6.0, rng)
    high = min(low * _log_uniform(1.8, 8.0, rng), 40.0)
    band = signal.butter(int(rng.integers(1, 3)), [low, high], "bandpass", fs=FS, output="sos")
    found: NDArray[np.float64] = signal.sosfilt(band, rng.normal(size=count))
    return found * _swell(count, int(rng.choice([90, 180, 400, 1500])), rng.uniform(0.2, 1.1), rng)


def _coloured(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise whose power falls with frequency, and faster beyond 6 to 40 Hz."""
    spectrum = np.fft.rfft(rng.normal(size=count))
    frequencies = np.fft.rfftfreq(count, 1.0 / FS)
    spectrum[1:] *= frequencies[1:] ** -rng.uniform(0.5, 2.0)
    spectrum /= np.sqrt(1.0 + (frequencies / rng.uniform(6.0, 40.0)) ** 4)
    spectrum[frequencies < rng.choice([0.3, 1.0])] = 0.0
    return np.fft.irfft(spectrum, count)


def _swell(count: int, knot: int, spread: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(count,) factors around 1, drawn every `knot` samples, whose logarithms have that spread."""
    knots = np.arange(0, count + 2 * knot, knot)
    return np.exp(np.interp(np.arange(count), knots, rng.normal(0.0, spread, knots.size)))


def _spells(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(count,) 1 for some seconds, then almost 0 for some more."""
    found, at, on = np.zeros(count), 0, rng.uniform() < 0.5
    while at < count:
        length = 1 + int(rng.lognormal(np.log(4.0 if on else 6.0), 0.8 if on else 1.0) * FS)
        found[at : at + length] = float(on)
        at, on = at + length, not on
    soft: NDArray[np.float64] = signal.filtfilt([0.02], [1.0, -0.98], found)
    return soft + 0.02


def _log_uniform(least: float, most: float, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(least), np.log(most))))


@lru_cache(maxsize=_TRACES)
def _trace(number: int) -> NDArray[np.float32]:
    """Half an hour of electrode motion: it takes far longer to make than to use."""
    return electrode_motion(_TRACE, np.random.default_rng((_TRACES, number))).astype(np.float32)


def noise(kind: str, count: int, leads: int, nstdb: Path, rng: np.random.Generator) -> NDArray[np.float64]:
    """(count, leads) noise at 360 Hz, mV of no particular size; it begins somewhere and repeats.

    Args:
        kind: one of :data:`RECORDED`, or :data:`MOTION`.
        count: samples.
        leads: one or two, each with noise of its own.
        nstdb: folder of the Noise Stress Test Database.
        rng: decides where it begins, or what it is.
    """
    if kind == MOTION:
        traces = [_trace(int(number)) for number in rng.choice(_TRACES, leads, replace=False)]
        starts = rng.integers(len(traces[0]), size=leads)
        return np.stack(
            [trace[(start + np.arange(count)) % len(trace)] for trace, start in zip(traces, starts, strict=True)], 1
        )
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
