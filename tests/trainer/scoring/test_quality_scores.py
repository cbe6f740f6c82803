"""What was marked, from events; recordings flagged; beats in and out of noise."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.ecg import FS
from monitor.events import Event, Quality
from trainer.scoring.confusion import Confusion
from trainer.scoring.outcome import Outcome
from trainer.scoring.quality_scores import (
    IN_A_ROW,
    NOISY,
    READABLE,
    Analysed,
    Marked,
    by_reading,
    by_rhythm,
    in_and_out,
    inside,
    is_flagged,
    marked,
    overlap,
)


def change(lead: str, at: int, reason: str | None) -> Quality:
    return Quality("b", at, at, lead, reason is None, reason)


def spans_of(changes: list[Quality], length: int = 1000) -> Marked:
    events: list[Event] = [*changes]
    return marked(events, ("MLII", "V1"), length, 100.0)


def test_noise_of_one_lead_is_not_that_of_the_bed() -> None:
    found = spans_of([change("MLII", 100, "motion"), change("MLII", 300, None)])
    assert found.leads["MLII"].tolist() == [[100, 300]]
    assert found.leads["V1"].tolist() == found.noise.tolist() == []
    assert found.reasons["motion"] == 2.0


def test_noise_on_both_and_to_the_end() -> None:
    found = spans_of([change("MLII", 100, "motion"), change("V1", 200, "muscle"), change("MLII", 300, "mains")])
    assert found.leads["MLII"].tolist() == [[100, 1000]]
    assert found.noise.tolist() == [[200, 1000]]


@pytest.mark.parametrize("other", ["lead_off", "missing", "saturated", "flat"])
def test_beside_a_lost_or_flat_lead_a_noisy_one_is_noise(other: str) -> None:
    found = spans_of([change("V1", 100, other), change("MLII", 200, "motion"), change("MLII", 400, None)])
    assert found.noise.tolist() == [[200, 400]]


@pytest.mark.parametrize("both", ["lead_off", "flat"])
def test_without_a_noisy_lead_there_is_none(both: str) -> None:
    assert spans_of([change("V1", 100, both), change("MLII", 200, both)]).noise.tolist() == []


def test_samples_inside_spans() -> None:
    spans = np.array([[10, 20], [30, 40]])
    assert inside(np.array([9, 10, 19, 20, 30, 45]), spans).tolist() == [False, True, True, False, True, False]
    assert inside(np.array([5]), np.zeros((0, 2), np.int64)).tolist() == [False]
    assert overlap(spans, 15, 35) == 10


def test_the_three_conditions_of_a_flag() -> None:
    length = 30 * FS
    share = round((NOISY + 0.01) * length)
    assert not is_flagged(np.array([[0, share]]), length, FS), "much is left"
    few = length - round((READABLE - 0.1) * FS)
    assert is_flagged(np.array([[0, few]]), length, FS)
    assert not is_flagged(np.array([[0, few - FS]]), length, FS), "and all of it in a row"
    width, step = round(2.5 * FS), round((IN_A_ROW - 1.0) * FS)
    scattered = np.array([[step * n, step * n + width] for n in range(4)])
    assert is_flagged(scattered, length, FS), "nowhere enough in a row"
    assert not is_flagged(np.array([[0, 10]]), 5 * FS, FS), "short and clean"
    assert not is_flagged(np.zeros((0, 2), np.int64), 5 * FS, FS)


def test_readings_are_counted() -> None:
    noisy = Marked({"ECG": np.array([[0, 900]])}, np.array([[0, 900]]))
    found = by_reading([Analysed("a", 100.0, 1000, noisy), Analysed("b", 100.0, 3000, Marked())], {"a": "~", "b": "N"})
    assert (found["~"]["flagged"], found["N"]["flagged"]) == (1, 0)
    assert found["~"]["noisy_s"] == 9.0


def test_rhythms_share_the_noise() -> None:
    noise = np.array([[100, 200]])
    one = Analysed("a", 100.0, 1000, Marked({"x": noise, "y": np.array([[100, 400]])}, noise))
    found = by_rhythm([(one, [(0, 150, "N"), (150, 1000, "VF")])])
    assert found["N"] == {"seconds": 1.5, "noisy_s": 0.5, "lead_noisy_s": 0.5}
    assert found["VF"] == {"seconds": 8.5, "noisy_s": 0.5, "lead_noisy_s": 1.5}


def test_beats_in_noise_are_scored_apart() -> None:
    """In it one V is missed and one extra is found; elsewhere all is right."""
    true = np.array([500, 1000, 1500, 2000, 2500])
    found = np.array([500, 1000, 1750, 2000, 2500])
    nothing = np.zeros(0, np.int64)
    outcome = Outcome(
        "a", 360.0, 4000, true, ["N", "V", "V", "N", "V"], found, ["N", "V", "V", "N", "V"], found, found, found,
        ["N"] * 5, np.zeros((5, 5), np.float32), np.zeros(5, np.bool_), nothing, nothing,
    )  # fmt: skip
    analysed = Analysed("a", 360.0, 4000, Marked({}, np.array([[1400, 1900]])), outcome)
    within, elsewhere = in_and_out(analysed, 0.0)
    assert within.qrs == (0, 1, 1)
    assert within.of("V") == (0, 1, 1)
    assert elsewhere.qrs == (4, 0, 0)
    assert elsewhere.of("V") == (2, 0, 0)
    assert isinstance(within, Confusion)
