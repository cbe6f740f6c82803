"""Records analysed, one or several at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb

from monitor.exceptions import RecordError
from trainer.scoring.conditions import Resampled, Scaled
from trainer.scoring.runs import Job, analyse_record, choose_leads, run

FS = 250
SECONDS = 30


def write_record(folder: Path, name: str, leads: tuple[str, ...] = ("MLII", "V1")) -> np.ndarray:
    """A beat every 0.8 s in the first lead, every 1.2 s in the others; those of the first are annotated."""
    t = np.arange(SECONDS * FS)
    annotated, others = (np.arange(FS, (SECONDS - 1) * FS, step) for step in (200, 300))
    waves = [sum(np.exp(-(((t - at) / 4.0) ** 2)) for at in beats) for beats in (annotated, others)]
    signal = np.stack([waves[min(k, 1)] for k in range(len(leads))], 1)
    wfdb.wrsamp(name, FS, ["mV"] * len(leads), list(leads), signal, fmt=["16"] * len(leads), write_dir=str(folder))
    wfdb.wrann(name, "atr", annotated, ["N"] * annotated.size, fs=FS, write_dir=str(folder))
    return annotated


def test_every_beat_is_found_at_the_records_own_rate(tmp_path: Path) -> None:
    annotated = write_record(tmp_path, "one")
    outcome = analyse_record(Job(tmp_path / "one"))
    assert (outcome.record, outcome.fs, outcome.length) == ("one", FS, SECONDS * FS)
    assert outcome.samples.size == annotated.size
    assert np.all(np.abs(outcome.samples - annotated) <= 2)
    assert np.all(outcome.confirmed >= outcome.samples)
    assert np.all(outcome.final >= outcome.confirmed)
    assert outcome.symbols == ["N"] * annotated.size
    assert outcome.reference_symbols == ["N"] * annotated.size


def test_the_lead_asked_for_is_the_one_analysed(tmp_path: Path) -> None:
    annotated = write_record(tmp_path, "one")
    first, second, by_name = (analyse_record(Job(tmp_path / "one", (lead,))) for lead in ("first", "second", "V1"))
    assert first.samples.size == annotated.size
    assert second.samples.size == -(-annotated.size * 200 // 300)
    assert np.array_equal(second.samples, by_name.samples)


def test_a_condition_is_applied_before_the_monitor_hears_of_the_record(tmp_path: Path) -> None:
    annotated = write_record(tmp_path, "one")
    outcome = analyse_record(Job(tmp_path / "one", condition=Resampled(500.0)))
    assert (outcome.fs, outcome.length) == (500.0, SECONDS * 500)
    assert outcome.reference_samples.tolist() == (2 * annotated).tolist()
    assert np.all(np.abs(outcome.samples - 2 * annotated) <= 4)
    assert analyse_record(Job(tmp_path / "one", condition=Scaled(1e-4))).samples.size == 0


def test_words_ask_for_ecg_leads(tmp_path: Path) -> None:
    write_record(tmp_path, "three", ("PLETH", "MLII", "V1"))
    path = tmp_path / "three"
    assert [choose_leads(path, (word,)) for word in ("first", "second", "both")] == [[1], [2], [1, 2]]
    assert choose_leads(path, ("V1", "PLETH")) == [2, 0]


@pytest.mark.parametrize("word", ["second", "both"])
def test_a_record_with_one_lead_has_no_second(tmp_path: Path, word: str) -> None:
    write_record(tmp_path, "single", ("MLII",))
    with pytest.raises(RecordError) as caught:
        analyse_record(Job(tmp_path / "single", (word,)))
    assert str(caught.value) == f"{tmp_path / 'single'}: only one ECG lead; leave it out, or ask for --leads first"


def test_outcomes_come_in_the_order_of_the_jobs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_record(tmp_path, name)
    jobs = [Job(tmp_path / name, condition=Scaled(gain)) for gain in (1.0, 2.0) for name in ("b", "a")]
    apart, together = run(jobs, 2), run(jobs, 1)
    assert [outcome.record for outcome in apart] == ["b", "a", "b", "a"]
    for one, other in zip(apart, together, strict=True):
        assert np.array_equal(one.samples, other.samples)
