"""Records at other rates and sizes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from monitor.records import Annotations, Record
from trainer.scoring.conditions import AS_RECORDED, Resampled, Scaled, rate_ratio, resample

FS = 360.0


def sine(fs: float = FS, seconds: float = 10.0) -> np.ndarray:
    t = np.arange(round(seconds * fs)) / fs
    return np.stack([np.sin(2 * np.pi * 5 * t), np.cos(2 * np.pi * 12 * t) + 3.0], 1)


@pytest.fixture
def record() -> Record:
    return Record("made", FS, ("MLII", "V1"), sine().astype(np.float32))


@pytest.fixture
def reference() -> Annotations:
    return Annotations(np.array([0, 359, 1801]), ["N", "V", "+"], ["", "", "(N"])


def test_as_recorded_changes_nothing(record: Record, reference: Annotations) -> None:
    assert AS_RECORDED.apply(record, reference, (0, 1)) == (record, reference)


@pytest.mark.parametrize("fs", [128.0, 250.0, 500.0, 1000.0])
def test_resampled_is_the_same_signal_at_the_other_rate(record: Record, reference: Annotations, fs: float) -> None:
    made, moved = Resampled(fs).apply(record, reference, (0, 1))
    assert (made.name, made.fs, made.leads, made.signal.dtype) == ("made", fs, ("MLII", "V1"), np.float32)
    assert made.signal.shape == (10 * fs, 2)
    inside = slice(round(fs), -round(fs))
    assert np.max(np.abs(made.signal[inside] - sine(fs)[inside])) < 0.02
    assert moved.samples.tolist() == [round(at * fs / FS) for at in (0, 359, 1801)]
    assert (moved.symbols, moved.notes) == (reference.symbols, reference.notes)
    assert reference.samples.tolist() == [0, 359, 1801]


def test_resampled_at_the_records_own_rate_is_the_record(record: Record, reference: Annotations) -> None:
    assert Resampled(360.0).apply(record, reference, (0,)) == (record, reference)


def test_resampled_ends_are_no_steps(reference: Annotations) -> None:
    high = Record("made", FS, ("MLII",), np.full((1000, 1), 5.0, np.float32))
    made, _ = Resampled(250.0).apply(high, reference, (0,))
    assert np.max(np.abs(made.signal - 5.0)) < 0.002


def test_samples_that_are_not_there_stay_so_and_spoil_no_others(record: Record, reference: Annotations) -> None:
    record.signal[720:1080, 0] = np.nan
    made, _ = Resampled(720.0).apply(record, reference, (0, 1))
    missing = np.flatnonzero(np.isnan(made.signal[:, 0]))
    assert abs(missing[0] - 1440) <= 1
    assert abs(missing[-1] - 2159) <= 1
    assert missing.size == missing[-1] - missing[0] + 1
    assert np.all(np.isfinite(made.signal[:, 1]))


def test_a_lead_without_samples_stays_one(record: Record, reference: Annotations) -> None:
    record.signal[:, 1] = np.nan
    made, _ = Resampled(250.0).apply(record, reference, (0, 1))
    assert np.all(np.isnan(made.signal[:, 1]))
    assert np.all(np.isfinite(made.signal[:, 0]))


def test_scaled(record: Record, reference: Annotations) -> None:
    made, same = Scaled(0.5).apply(record, reference, (0, 1))
    assert np.array_equal(made.signal, record.signal / 2)
    assert made.signal.dtype == np.float32
    assert same is reference


def test_rate_ratio_is_exact_for_rates_of_devices() -> None:
    assert rate_ratio(360.0, 128.0) == Fraction(16, 45)
    assert rate_ratio(360.0, 1000.0) == Fraction(25, 9)
    assert rate_ratio(250.0, 360.0) == Fraction(36, 25)


def test_resample_keeps_time() -> None:
    pulse = np.zeros((361, 1))
    pulse[180] = 1.0
    assert int(np.argmax(resample(pulse, Fraction(2)))) == 360


def test_titles() -> None:
    assert [c.title for c in (AS_RECORDED, Resampled(128.0), Scaled(0.5))] == ["as recorded", "128 Hz", "x 0.5"]
