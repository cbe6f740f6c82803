"""Made-up rhythms hold what they say they hold, at the places they say, and nothing of another patient."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.records import Annotations, Record
from simulators.morphology import Heart
from simulators.synthetic import render
from trainer.made_up import ectopy, rhythms

FS = 360
EVERY = rhythms.ATRIAL_RHYTHMS + rhythms.VENTRICULAR_RHYTHMS


def patient(beats: int = 90, leads: int = 2, **heart: float) -> tuple[Record, Annotations]:
    """A patient in sinus rhythm at 75 a minute."""
    strip = render([(0.5 + 0.8 * i, "N") for i in range(beats)], 0.8 * beats + 1.0, heart=Heart(**heart))
    peaks = np.asarray(strip.r_peaks, np.int64)
    record = Record("p", float(FS), ("MLII", "V1")[:leads], strip.signal[:, :leads].astype(np.float32))
    return record, Annotations(peaks, ["N"] * len(peaks), [""] * len(peaks))


def test_units_are_whole_beats_that_fade_at_both_ends() -> None:
    record, reference = patient()
    units, usual = ectopy.units(record, reference)
    assert usual == pytest.approx(0.8, abs=0.01)
    assert len(units) > 80
    for unit in units:
        assert np.abs(unit[[0, -1]]).max() < 0.01
        assert abs(int(np.abs(unit[:, 0]).argmax()) - round(ectopy.BEFORE * FS)) <= 2


def test_beats_beside_ectopic_ones_are_not_lent() -> None:
    record, reference = patient()
    reference.symbols[::4] = ["V"] * len(reference.symbols[::4])
    units, _ = ectopy.units(record, reference)
    assert len(units) < 0.3 * len(reference.symbols)


def test_what_is_annotated_is_there() -> None:
    """Whatever the atrial rhythm: each annotated R is a large deflection at its place, and there is no other."""
    record, reference = patient()
    for seed in range(12):
        made = ectopy.make(record, reference, np.random.default_rng(seed), rhythms.ATRIAL_RHYTHMS, 60.0)
        assert made is not None
        signal, samples = made[0].signal[:, 0], made[1].samples
        assert np.all(np.diff(samples) > 0.29 * FS)
        size = float(np.abs(record.signal[:, 0]).max())
        where = np.flatnonzero(np.abs(signal) > 0.7 * size)
        inner = samples[(samples > FS) & (samples < len(signal) - FS)]
        assert all(np.abs(where - r).min() <= 4 for r in inner)
        assert all(np.abs(samples - i).min() <= 12 for i in where)
        assert set(made[1].symbols) <= {"N", "A"}


def test_ectopic_p_waves_differ_and_fibrillation_has_none() -> None:
    """Mean of the P region over the beats of a kind, beside the patient's own."""
    record, reference = patient(p_mv=0.25)
    shapes: dict[str, list[float]] = {"N": [], "A": []}
    for seed in range(30):
        made = ectopy.make(record, reference, np.random.default_rng(seed), rhythms.ATRIAL_RHYTHMS, 60.0)
        assert made is not None
        signal, notes = made[0].signal[:, 0], made[1]
        for symbol in shapes:
            at = [r for r, s in zip(notes.samples.tolist(), notes.symbols, strict=True) if s == symbol and r > FS]
            if len(at) > 5:
                mean = np.mean([signal[r - 90 : r - 30] for r in at if r + 30 < len(signal)], axis=0)
                shapes[symbol].append(float(np.ptp(mean)))
    assert np.std(shapes["A"]) > 1.5 * np.std(shapes["N"])


def test_the_same_draws_give_the_same_record() -> None:
    record, reference = patient()
    one, two, other = (ectopy.make(record, reference, np.random.default_rng(seed), EVERY, 30.0) for seed in (1, 1, 2))
    assert one is not None
    assert two is not None
    assert other is not None
    assert np.array_equal(one[0].signal, two[0].signal)
    assert one[0].signal.shape != other[0].signal.shape or not np.array_equal(one[0].signal, other[0].signal)


def test_too_few_beats_to_lend() -> None:
    assert ectopy.make(*patient(40), np.random.default_rng(0), EVERY) is None


def test_one_lead_will_do() -> None:
    made = ectopy.make(*patient(leads=1), np.random.default_rng(0), EVERY, 30.0)
    assert made is not None
    assert made[0].signal.shape[1] == 1


def beats_like(symbols: str, pattern: rhythms.Pattern, seeds: int = 8) -> list[tuple[str, np.ndarray]]:
    """Symbols and the first lead from 300 ms before R to 400 ms after, of beats that have so much room."""
    record, reference = patient(p_mv=0.25)
    found = []
    for seed in range(seeds):
        made = ectopy.make(record, reference, np.random.default_rng(seed), (pattern,), 60.0)
        assert made is not None
        signal, notes = made[0].signal[:, 0], made[1]
        for r, symbol in zip(notes.samples.tolist(), notes.symbols, strict=True):
            if symbol in symbols and FS < r < len(signal) - FS:
                found.append((symbol, signal[r - 108 : r + 144]))
    return found


def width_of(beat: np.ndarray) -> float:
    """Spread of the squared slope about its centre from 110 ms before R to 150 ms after, s."""
    slope = np.diff(beat[68:162]) ** 2
    at = np.arange(len(slope)) / FS
    centre = (slope * at).sum() / slope.sum()
    return float(np.sqrt((slope * (at - centre) ** 2).sum() / slope.sum()))


def test_ventricular_beats_are_wide_and_normal_ones_beside_them_are_not() -> None:
    beats = beats_like("NV", rhythms.VENTRICULAR_RHYTHMS[0])
    wide, narrow = ([width_of(beat) for symbol, beat in beats if symbol == kind] for kind in "VN")
    assert len(wide) > 10
    assert np.median(wide) > 1.3 * np.median(narrow)


def test_fusion_beats_keep_their_p_wave_and_lie_between() -> None:
    beats = beats_like("NVF", rhythms.VENTRICULAR_RHYTHMS[4], 30)
    normal = np.median([beat for symbol, beat in beats if symbol == "N"], axis=0)
    fused = [beat for symbol, beat in beats if symbol == "F"]
    assert len(fused) > 20

    def likeness(beat: np.ndarray) -> float:
        return float(np.corrcoef(beat, normal)[0, 1])

    ventricular = [likeness(beat) for symbol, beat in beats if symbol == "V"]
    assert np.median(ventricular) < np.median([likeness(beat) for beat in fused]) < 0.98
    p_wave = [np.ptp(beat[30:80]) for beat in fused]
    assert np.median(p_wave) > 0.6 * np.ptp(normal[30:80])


def test_a_block_changes_the_shape_and_leaves_the_name() -> None:
    beats = beats_like("NAVF", rhythms.VENTRICULAR_RHYTHMS[-1])
    assert {symbol for symbol, _ in beats} == {"N"}
    widths = np.array([width_of(beat) for _, beat in beats])
    assert np.quantile(widths, 0.9) > 1.5 * np.quantile(widths, 0.1)
