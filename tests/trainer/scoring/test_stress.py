"""Noise added to records, against the stress test's own files and against small signals made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb

from monitor.exceptions import ConfigError, RecordError
from monitor.records import Annotations, Record, find_database, read_annotations, read_record
from trainer.scoring.stress import (
    POOLS,
    Noisy,
    gated,
    noise_gains,
    noise_level,
    noise_pool,
    qrs_amplitudes,
    trimmed_mean,
)

FS = 100
MINUTE = 60 * FS


def write_noise(folder: Path, name: str = "em", *, minutes: int = 30, fs: int = FS) -> np.ndarray:
    """A noise record of two channels with different levels; returns it, mV."""
    rng = np.random.default_rng(3)
    noise = np.round(rng.standard_normal((minutes * 60 * fs, 2)) * (0.1, 0.4), 2)
    wfdb.wrsamp(
        name, fs, ["mV", "mV"], ["noise1", "noise2"], noise, fmt=["16", "16"],
        adc_gain=[200.0, 200.0], baseline=[0, 0], write_dir=str(folder),
    )  # fmt: skip
    return noise


def beating(minutes: float = 8.0, height: float = 1.0, symbol: str = "N") -> tuple[Record, Annotations]:
    """Triangles of 0.1 s a second apart, twice as high in the second lead."""
    n = round(minutes * MINUTE)
    at = np.arange(FS, n - FS, FS)
    signal = np.zeros((n, 2), np.float32)
    for lead, size in enumerate((height, 2 * height)):
        for offset in range(-5, 6):
            signal[at + offset, lead] = size * (1 - abs(offset) / 5)
    return Record("made", FS, ("MLII", "V1"), signal), Annotations(at, [symbol] * at.size, [""] * at.size)


@pytest.fixture
def nstdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "nstdb"
    folder.mkdir()
    monkeypatch.setenv("WARDBEAT_DATA", str(tmp_path))
    return folder


# --- against the stress test's own records


@pytest.mark.database
@pytest.mark.parametrize(("name", "snr"), [("118e24", 24.0), ("118e12", 12.0), ("118e00", 0.0)])
def test_record_118_gets_the_noise_of_the_stress_test(name: str, snr: float) -> None:
    try:
        clean_path, noisy_path = find_database("mitdb") / "118", find_database("nstdb") / name
    except RecordError as error:
        pytest.skip(f"NOISE NOT COMPARED: {error}")
    clean, reference = read_record(clean_path), read_annotations(clean_path)
    condition = Noisy.of("em", snr)
    made, _ = condition.apply(clean, reference, (0, 1))
    theirs = read_record(noisy_path).signal + np.float32(5.12)  # the header's baseline shifts the values
    start = 300 * 360
    assert np.max(np.abs(made.signal[:start] - theirs[:start])) < 1e-4
    level = noise_level(noise_pool(condition.path, "em", 360.0, 0), 360.0)
    gains = noise_gains(qrs_amplitudes(clean, reference), level, snr)
    assert gains == pytest.approx(np.array([2.96, 7.64]) * 10 ** (-snr / 20), rel=0.01)
    for lead in range(2):
        ours = np.float64(made.signal[start:, lead]) - clean.signal[start:, lead]
        real = np.float64(theirs[start:, lead]) - clean.signal[start:, lead]
        assert np.corrcoef(ours, real)[0, 1] > 0.99  # the levels between blocks were rounded each time
        for first in range(0, 24, 4):  # minutes
            noisy, quiet = (slice(m * 21600, (m + 2) * 21600) for m in (first, first + 2))
            assert np.corrcoef(ours[noisy], real[noisy])[0, 1] > 0.999
            slope, offset = np.polyfit(real[noisy], ours[noisy], 1)
            assert slope == pytest.approx(1.0, abs=0.01)
            assert np.std(ours[noisy] - slope * real[noisy] - offset) < 0.004  # rounded to 1/200 mV
            assert max(np.ptp(ours[quiet]), np.ptp(real[quiet])) < 1e-4


@pytest.mark.database
def test_minutes_of_noise_that_train_are_never_heard() -> None:
    try:
        folder = find_database("nstdb")
    except RecordError as error:
        pytest.skip(f"NOISE NOT COMPARED: {error}")
    for noise in ("ma", "bw"):
        whole = read_record(folder / noise, (0, 1)).signal
        pool = noise_pool(folder / noise, noise, 360.0, 0)
        assert np.array_equal(pool, whole[15 * 21600 : 30 * 21600])


# --- size


def test_amplitude_is_peak_to_peak_around_normal_beats() -> None:
    record, reference = beating(1.0)
    assert qrs_amplitudes(record, reference) == pytest.approx([1.0, 2.0])


def test_amplitude_is_of_normal_beats_alone() -> None:
    record, reference = beating(1.0)
    record.signal[reference.samples[20:]] *= 5
    reference.symbols[20:] = ["V"] * len(reference.symbols[20:])
    assert qrs_amplitudes(record, reference) == pytest.approx([1.0, 2.0])


def test_amplitude_is_of_the_first_300_beats() -> None:
    record, reference = beating(8.0)
    record.signal[reference.samples[300] - 20 :] *= 5
    assert qrs_amplitudes(record, reference) == pytest.approx([1.0, 2.0])


def test_amplitude_without_normal_beats_is_that_of_all() -> None:
    assert qrs_amplitudes(*beating(1.0, symbol="/")) == pytest.approx([1.0, 2.0])


def test_amplitude_that_cannot_be_measured() -> None:
    record, reference = beating(1.0)
    record.signal[:, 1] = np.nan
    with pytest.raises(RecordError, match="no beat to measure the signal by"):
        qrs_amplitudes(record, reference)


def test_noise_offsetis_the_deviation_within_a_second() -> None:
    second = np.tile([0.3, -0.3], FS // 2)
    drifting = np.concatenate([second + step for step in range(100)])
    assert noise_level(np.stack([drifting, 2 * drifting], 1), FS) == pytest.approx([0.3, 0.6])


def test_trimmed_mean_leaves_out_a_tenth_at_each_end() -> None:
    values = np.array([5.0] * 8 + [1e6, -1e9])
    assert trimmed_mean(values) == 5.0
    assert trimmed_mean(np.array([1.0, 2.0])) == 1.5


@pytest.mark.parametrize("snr", [20.0, 0.0, -6.0])
def test_the_ratio_is_what_was_asked_for(snr: float) -> None:
    gain = noise_gains(np.array([1.2]), np.array([0.05]), snr)[0]
    assert 10 * np.log10((1.2**2 / 8) / (0.05 * gain) ** 2) == pytest.approx(snr)


# --- time


def test_noise_comes_in_blocks_of_two_minutes_from_five_minutes_on() -> None:
    noise = np.random.default_rng(1).standard_normal((30 * MINUTE, 1))
    heard = gated(noise, 12 * MINUTE, FS)
    changing = np.abs(np.diff(heard[:, 0], prepend=0.0)) > 0
    assert [bool(changing[m * MINUTE : (m + 1) * MINUTE].any()) for m in range(12)] == [
        *[False] * 5, *[True] * 2, *[False] * 2, *[True] * 2, False
    ]  # fmt: skip
    assert not changing[: 5 * MINUTE].any()
    assert changing[5 * MINUTE]
    assert not changing[7 * MINUTE]


def test_noise_keeps_running_unheard_and_sets_in_without_a_step() -> None:
    noise = np.random.default_rng(1).standard_normal((30 * MINUTE, 1)) + 40.0
    heard = gated(noise, 12 * MINUTE, FS)
    for first in (5, 9):
        block = slice(first * MINUTE, (first + 2) * MINUTE)
        difference = heard[block] - noise[block]
        assert np.ptp(difference) < 1e-9
    assert np.max(np.abs(np.diff(heard[:, 0]))) < 10.0


def test_noise_that_ends_begins_anew_without_a_step() -> None:
    ramp = np.linspace(0.0, 60.0, 6 * MINUTE)[:, None]
    steps = np.diff(gated(ramp, 7 * MINUTE, FS)[:, 0])
    assert np.max(np.abs(steps)) < 0.01
    assert np.count_nonzero(steps) == 2 * MINUTE - 1  # of the beginning


# --- the condition


def test_each_lead_gets_its_own_channel_at_its_own_size(nstdb: Path) -> None:
    write_noise(nstdb)
    record, reference = beating()
    condition = Noisy.of("em", 6.0)
    both, same = condition.apply(record, reference, (0, 1))
    assert same is reference
    second = Record("made", FS, ("V1",), record.signal[:, 1:])
    alone, _ = condition.apply(second, reference, (1,))
    assert np.array_equal(alone.signal[:, 0], both.signal[:, 1])
    other, _ = condition.apply(second, reference, (0,))
    assert not np.allclose(other.signal, alone.signal)
    added = both.signal - record.signal
    ratio = added[5 * MINUTE : 7 * MINUTE].std(axis=0)
    assert ratio[1] / ratio[0] == pytest.approx(2.0, rel=0.05)  # complexes twice as high, noise twice as large
    assert np.array_equal(both.signal[: 5 * MINUTE], record.signal[: 5 * MINUTE])


def test_a_third_signal_gets_the_first_channel_again(nstdb: Path) -> None:
    write_noise(nstdb)
    record, reference = beating()
    lead = Record("made", FS, ("X",), record.signal[:, :1])
    first, third = (Noisy.of("em", 6.0).apply(lead, reference, (n,))[0] for n in (0, 2))
    assert np.array_equal(first.signal, third.signal)


def test_seeds_begin_elsewhere_and_repeat(nstdb: Path) -> None:
    write_noise(nstdb)
    record, reference = beating()
    first, again, other, begin = (
        Noisy.of("em", 6.0, seed).apply(record, reference, (0, 1))[0].signal for seed in (1, 1, 2, 0)
    )
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
    assert not np.allclose(first, begin)


def test_a_turned_pool_holds_the_same_noise_without_a_step(nstdb: Path) -> None:
    noise = write_noise(nstdb)
    turned, plain = noise_pool(nstdb / "em", "em", FS, 5), noise_pool(nstdb / "em", "em", FS, 0)
    assert plain == pytest.approx(noise, abs=1e-6)
    steps = np.diff(turned, axis=0)
    start = int(np.random.default_rng(5).integers(len(plain)))
    expected = np.concatenate([np.diff(plain[start:], axis=0), np.zeros((1, 2)), np.diff(plain[:start], axis=0)])
    assert steps == pytest.approx(expected, abs=1e-9)


def test_noise_at_another_rate_is_resampled(nstdb: Path) -> None:
    write_noise(nstdb, fs=360)
    assert noise_pool(nstdb / "em", "em", 250.0, 0).shape == (30 * 60 * 250, 2)


def test_samples_that_are_not_there_stay_so(nstdb: Path) -> None:
    write_noise(nstdb)
    record, reference = beating()
    record.signal[6 * MINUTE : 6 * MINUTE + 50, 0] = np.nan
    noisy, _ = Noisy.of("em", 0.0).apply(record, reference, (0, 1))
    assert np.flatnonzero(np.isnan(noisy.signal[:, 0])).tolist() == list(range(6 * MINUTE, 6 * MINUTE + 50))


def test_a_record_that_ends_before_the_noise(nstdb: Path) -> None:
    write_noise(nstdb)
    with pytest.raises(RecordError, match="over before noise sets in at 5:00"):
        Noisy.of("em", 0.0).apply(*beating(5.0), (0, 1))


def test_a_noise_record_without_its_pool(nstdb: Path) -> None:
    write_noise(nstdb, "ma", minutes=16)
    with pytest.raises(RecordError, match="too short to add as noise"):
        Noisy.of("ma", 0.0).apply(*beating(), (0, 1))


def test_unknown_noise() -> None:
    with pytest.raises(ConfigError) as caught:
        Noisy.of("mains", 0.0)
    assert str(caught.value) == f"--noise: no noise mains; choose {', '.join(POOLS)}"


def test_a_database_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDBEAT_DATA", str(tmp_path))
    monkeypatch.setattr("monitor.records.cache_folder", lambda: tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecordError, match="wardbeat data get nstdb"):
        Noisy.of("em", 0.0)
