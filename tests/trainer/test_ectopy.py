"""Made-up rhythms hold what they say they hold, at the places they say, and nothing of another patient."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from monitor.records import Annotations, Record
from simulators.morphology import Heart
from simulators.synthetic import render
from trainer import ectopy

FS = 360


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


@pytest.mark.parametrize("pattern", dict.fromkeys(ectopy.ATRIAL_RHYTHMS), ids=lambda pattern: pattern.__name__.strip("_"))
def test_patterns(pattern: ectopy.Pattern) -> None:
    """Ectopic beats are early, except where the pause before the others is the rule."""
    rng = np.random.default_rng(0)
    parts = [pattern(ectopy.Pace(rng, 0.8, 1.0)) for _ in range(300)]
    beats = list(itertools.chain(*parts))
    kinds = {kind for _, kind in beats}
    ectopic = np.array([interval for interval, kind in beats if kind == ectopy.ECTOPIC])
    others = np.array([interval for interval, kind in beats if kind != ectopy.ECTOPIC])
    if pattern in (ectopy.fibrillation, ectopy.changing_rate):
        assert ectopy.ECTOPIC not in kinds
    else:
        assert len(ectopic) > 20
        assert np.median(ectopic) < 0.9 * np.median(others)


def test_what_is_annotated_is_there() -> None:
    """Whatever the rhythm: each annotated R is a large deflection at its place, and there is no other."""
    record, reference = patient()
    for seed in range(12):
        made = ectopy.make(record, reference, np.random.default_rng(seed), 60.0)
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
        made = ectopy.make(record, reference, np.random.default_rng(seed), 60.0)
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
    one, two, other = (ectopy.make(record, reference, np.random.default_rng(seed), 30.0) for seed in (1, 1, 2))
    assert one is not None
    assert two is not None
    assert other is not None
    assert np.array_equal(one[0].signal, two[0].signal)
    assert one[0].signal.shape != other[0].signal.shape or not np.array_equal(one[0].signal, other[0].signal)


def test_too_few_beats_to_lend() -> None:
    assert ectopy.make(*patient(40), np.random.default_rng(0)) is None


def test_one_lead_will_do() -> None:
    made = ectopy.make(*patient(leads=1), np.random.default_rng(0), 30.0)
    assert made is not None
    assert made[0].signal.shape[1] == 1
