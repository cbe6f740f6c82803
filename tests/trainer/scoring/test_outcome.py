"""From events to an outcome."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.events import Beat, Event, Qrs, Quality, Trigger
from monitor.records import Annotations, Record
from trainer.scoring.outcome import Outcome, outcome_of

FS = 100.0


def heard(*events: Event, leads: tuple[str, ...] = ("MLII", "V1")) -> Outcome:
    record = Record("made", FS, leads, np.zeros((1000, len(leads)), np.float32))
    reference = Annotations(np.array([50, 150, 250]), ["N", "V", "+"], ["", "", ""])
    return outcome_of(record, reference, events)


def lost(lead: str, emitted: int, *, ok: bool = False) -> Quality:
    return Quality("made", emitted, emitted, lead, ok, None if ok else "missing")


def test_a_beat_is_known_when_it_is_found_and_named_with_its_last_name() -> None:
    outcome = heard(
        Trigger("made", 50, 60),
        Qrs("made", 50, 90, True),
        Beat("made", 50, 110, "N", "N", False, None, True),
        Beat("made", 50, 120, "V", "V", True, None, True),
    )
    assert outcome.search_back.tolist() == [True]
    assert (outcome.samples.tolist(), outcome.symbols) == ([50], ["V"])
    assert (outcome.confirmed.tolist(), outcome.final.tolist()) == ([90], [120])
    assert (outcome.first_symbols, outcome.named.tolist()) == (["N"], [110])
    assert (outcome.triggers.tolist(), outcome.triggered.tolist()) == ([50], [60])


def test_a_beat_without_a_name_is_none_and_one_that_was_cut_off_is_known_with_its_name() -> None:
    outcome = heard(Qrs("made", 50, 90), Trigger("made", 150, 160), Beat("made", 250, 300, "Q", "Q"))
    assert (outcome.samples.tolist(), outcome.confirmed.tolist()) == ([250], [300])
    assert outcome.triggers.tolist() == [150]


def test_probabilities_are_those_of_the_last_name() -> None:
    first, last = dict.fromkeys("NSVFQ", 0.2), dict(zip("QFVSN", (0.0, 0.1, 0.2, 0.3, 0.4), strict=True))
    outcome = heard(
        Beat("made", 50, 110, "N", "N", False, first), Beat("made", 50, 120, p=last), Beat("made", 150, 300)
    )
    assert outcome.probabilities[0] == pytest.approx([0.4, 0.3, 0.2, 0.1, 0.0])
    assert np.isnan(outcome.probabilities[1]).all()
    assert heard().probabilities.shape == (0, 5)


def test_beats_found_by_looking_back_are_put_in_order() -> None:
    outcome = heard(Beat("made", 250, 300), Beat("made", 150, 320, search_back=True))
    assert outcome.samples.tolist() == [150, 250]
    assert outcome.search_back.tolist() == [True, False]
    assert outcome.final.tolist() == [320, 300]


def test_the_reference_and_the_record_are_kept() -> None:
    outcome = heard()
    assert (outcome.record, outcome.fs, outcome.length) == ("made", FS, 1000)
    assert (outcome.reference_samples.tolist(), outcome.reference_symbols) == ([50, 150, 250], ["N", "V", "+"])
    assert outcome.samples.size == outcome.triggers.size == outcome.unusable.size == 0


def test_nothing_can_be_analysed_only_while_every_lead_is_marked() -> None:
    outcome = heard(
        lost("MLII", 100), lost("V1", 200), lost("MLII", 300, ok=True), lost("V1", 400, ok=True), lost("V1", 500)
    )
    assert outcome.unusable.tolist() == [[200, 300]]


def test_a_lead_that_stays_lost_is_lost_to_the_end() -> None:
    assert heard(lost("MLII", 700), lost("MLII", 800), leads=("MLII",)).unusable.tolist() == [[700, 1000]]


def test_compare_says_which_beats_were_missed_and_which_are_extra() -> None:
    comparison = heard(Beat("made", 52, 90), Beat("made", 90, 130)).compare()
    assert [a.tolist() for a in (comparison.reference, comparison.test)] == [[0], [0]]
    assert [a.tolist() for a in (comparison.missed, comparison.extra)] == [[1], [1]]


def test_triggers_are_compared_from_the_start_on() -> None:
    comparison = heard(Trigger("made", 50, 60), Trigger("made", 300, 310)).compare_triggers(1.0)
    assert (comparison.confusion.qrs.tp, comparison.missed.tolist(), comparison.extra.tolist()) == (0, [1], [1])
