"""Noise that the judge is trained in: of the size asked for, where it is asked for, and none of what scores hear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb

from monitor.ecg import FS
from monitor.records import Annotations, Record
from simulators.synthetic import render
from trainer.made_up.disturbance import MOTION, RECORDED, disturb, electrode_motion, noise
from trainer.scoring.stress import noise_level, qrs_amplitudes


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def beating(seconds: float = 600.0) -> tuple[Record, Annotations]:
    strip = render([(0.5 + 0.8 * n, "N") for n in range(int(seconds / 0.8) - 1)], seconds)
    reference = Annotations(strip.r_peaks.astype(np.int64), list(strip.symbols), [""] * len(strip.symbols))
    return Record("made", FS, ("MLII", "V1"), strip.signal), reference


@pytest.fixture
def nstdb(tmp_path: Path) -> Path:
    """Noise of 16 minutes whose last is far larger than the others: scores may hear that, training may not."""
    for seed, name in enumerate(RECORDED):
        signal = rng(seed).normal(0.0, 0.1, (16 * 60 * FS, 2))
        signal[15 * 60 * FS :] += 50.0
        wfdb.wrsamp(name, FS, ["mV", "mV"], ["n1", "n2"], signal, fmt=["16", "16"], write_dir=str(tmp_path))
    return tmp_path


def test_electrode_motion_is_a_new_mixture_each_time() -> None:
    made = [electrode_motion(60 * FS, rng(seed)) for seed in range(12)]
    assert all(part.shape == (60 * FS,) and np.isfinite(part).all() for part in made)
    assert all(0.6 < part.std() < 1.6 for part in made), "four independent parts of unit size in all"
    assert np.abs(np.corrcoef(made) - np.eye(12)).max() < 0.3
    assert np.array_equal(made[5], electrode_motion(60 * FS, rng(5)))


def test_electrode_motion_comes_in_spells_and_swells_at_times() -> None:
    """Ten seconds differ far more in one made-up motion than in another."""
    spreads = [np.log(electrode_motion(180 * FS, rng(seed)).reshape(18, -1).std(1) + 1e-3).std() for seed in range(24)]
    assert min(spreads) < 0.2
    assert max(spreads) > 0.5


def test_electrode_motion_has_the_frequencies_of_a_qrs() -> None:
    """Most of it lies between 0.3 and 40 Hz, and some of it where the detector listens."""
    for seed in range(8):
        power = np.abs(np.fft.rfft(electrode_motion(120 * FS, rng(seed)))) ** 2
        hz = np.fft.rfftfreq(120 * FS, 1.0 / FS)
        assert power[(hz > 0.2) & (hz < 40.0)].sum() > 0.5 * power[1:].sum()
        assert power[(hz > 5.0) & (hz < 18.0)].sum() > 0.005 * power[1:].sum()


@pytest.mark.parametrize("kind", [*RECORDED, MOTION])
@pytest.mark.parametrize("leads", [1, 2])
def test_each_lead_has_noise_of_its_own(nstdb: Path, kind: str, leads: int) -> None:
    made = noise(kind, 100 * FS, leads, nstdb, rng())
    assert made.shape == (100 * FS, leads)
    if leads == 2:
        assert abs(np.corrcoef(made.T)[0, 1]) < 0.3


@pytest.mark.parametrize("kind", RECORDED)
def test_only_the_first_fifteen_minutes_are_heard(nstdb: Path, kind: str) -> None:
    """They begin somewhere and repeat."""
    beginnings = set()
    for seed in range(5):
        made = noise(kind, 40 * 60 * FS, 2, nstdb, rng(seed))
        assert np.abs(made).max() < 5.0
        assert np.array_equal(made[: 25 * 60 * FS], made[15 * 60 * FS :])
        beginnings.add(float(made[0, 0]))
    assert len(beginnings) == 5


def test_electrode_motion_needs_no_database(tmp_path: Path) -> None:
    assert noise(MOTION, 10 * FS, 2, tmp_path / "nowhere", rng()).shape == (10 * FS, 2)


@pytest.mark.parametrize("kind", [*RECORDED, MOTION])
@pytest.mark.parametrize("snr", [0.0, 12.0])
def test_noise_and_quiet_take_turns(nstdb: Path, kind: str, snr: float) -> None:
    """Two minutes each; the noise has the size that the stress test gives it, on each lead."""
    record, reference = beating()
    before = record.signal.copy()
    added = disturb(record, reference, kind, snr, nstdb, rng(1)) - record.signal
    assert np.array_equal(record.signal, before), "the record is left alone"
    noisy = np.convolve(np.any(added != 0.0, axis=1), np.ones(9), "same") > 0.0  # a sample may be 0 by chance
    edges = np.flatnonzero(np.diff(noisy))
    assert len(edges) >= 3
    assert np.abs(np.diff(edges) - 120 * FS).max() <= 10
    level = noise_level(added[noisy], FS)
    amplitudes = qrs_amplitudes(record, reference)
    tolerance = 4.0 if kind == MOTION else 1.5  # motion swells, and the stress test measures its first five minutes
    assert 10.0 * np.log10(amplitudes**2 / 8.0 / level**2) == pytest.approx(snr, abs=tolerance)
