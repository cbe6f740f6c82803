"""Verdicts on the Challenge's alarms, and false alarms a day."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from monitor.events import Alarm
from monitor.exceptions import RecordError
from trainer.reporting.alarm_tables import challenge_json, challenge_tables, day_json, day_tables
from trainer.scoring.alarm_scores import (
    AlarmOutcome,
    ChallengeCounts,
    DayCounts,
    Sounded,
    Told,
    Verdict,
    read_alarms,
    told_alarms,
    verdict_of,
)
from trainer.scoring.alarm_truth import Episode


def event(state: str, emitted: int, code: str = "VTACH", priority: str = "high") -> Alarm:
    return Alarm("a", 100, emitted, code=code, priority=priority, state=state, id=f"a:1:{code}:100")


def test_an_alarm_stands_from_its_telling_to_the_end_of_its_condition() -> None:
    events = [event("raised", 200), event("acknowledged", 250), event("cleared", 400)]
    assert told_alarms(events, 100.0) == [Told("VTACH", 1.0, 2.0, 4.0)]


def test_a_latched_alarm_ended_when_it_latched() -> None:
    events = [event("raised", 200, "ASYSTOLE"), event("latched", 300, "ASYSTOLE"), event("cleared", 900, "ASYSTOLE")]
    assert told_alarms(events, 100.0) == [Told("ASYSTOLE", 1.0, 2.0, 3.0)]


def test_only_high_priority_and_runs_count_and_what_stands_never_ends() -> None:
    events = [event("raised", 150, "TACHY", "medium"), event("raised", 200)]
    assert told_alarms(events, 100.0) == [Told("VTACH", 1.0, 2.0, math.inf)]


@pytest.mark.parametrize(
    ("told", "end", "confirmed"),
    [
        (299.0, math.inf, True),
        (300.0, 300.0, True),
        (300.1, math.inf, False),
        (250.0, 290.0, True),
        (250.0, 289, False),
    ],
)
def test_an_alarm_confirms_if_told_in_time_and_not_long_over(told: float, end: float, confirmed: bool) -> None:
    alarms = [Told("ASYSTOLE", told - 4.0, told, end)]
    verdict = verdict_of("r", Sounded("Asystole", True), alarms)
    assert (verdict.confirmed, verdict.alike) == (confirmed, confirmed)
    assert not verdict_of("r", Sounded("Bradycardia", True), alarms).confirmed


def test_a_run_confirms_a_tachycardia_but_not_by_the_same_alarm() -> None:
    verdict = verdict_of("v", Sounded("Ventricular_Tachycardia", True), [Told("VRUN", 295.0, 297.0, 299.0)])
    assert (verdict.confirmed, verdict.alike) == (True, False)
    assert not verdict_of("f", Sounded("Ventricular_Flutter_Fib", True), [Told("VRUN", 295.0, 297.0, 299.0)]).confirmed
    assert ChallengeCounts.of([verdict]) == ChallengeCounts(tp=1)
    assert ChallengeCounts.of([verdict], alike=True) == ChallengeCounts(fn=1)


def test_the_score_weighs_a_missed_alarm_five_times() -> None:
    cells = [(True, True)] * 4 + [(True, False)] + [(False, True)] * 2 + [(False, False)] * 3
    counts = ChallengeCounts.of(Verdict("r", "Asystole", true, confirmed, confirmed) for true, confirmed in cells)
    assert counts == ChallengeCounts(4, 1, 2, 3)
    assert counts.score == pytest.approx(7 / 14)
    assert math.isnan(ChallengeCounts().score)


def test_the_alarms_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "ALARMS").write_text("a1,Asystole,0\nv2,Ventricular_Tachycardia,1\n")
    assert read_alarms(tmp_path) == {"a1": Sounded("Asystole", False), "v2": Sounded("Ventricular_Tachycardia", True)}


@pytest.mark.parametrize("line", ["a1,Asystole", "a1,Hiccup,1", "a1,Asystole,2"])
def test_a_damaged_alarms_file_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "ALARMS").write_text(f"v1,Asystole,1\n{line}\n")
    with pytest.raises(RecordError, match="line 2"):
        read_alarms(tmp_path)


OUTCOME = AlarmOutcome(
    "101",
    1800.0,
    [Told("VTACH", 10.0, 13.0, 15.0), Told("VTACH", 99.0, 103.0, 105.0), Told("ASYSTOLE", 500.0, 504.5, 506.0)],
    [Episode("VTACH", 11.0, 14.5), Episode("VTACH", 700.0, 704.0)],
)


def test_alarms_without_an_event_are_false_and_events_without_an_alarm_missed() -> None:
    assert OUTCOME.false == [Told("VTACH", 99.0, 103.0, 105.0), Told("ASYSTOLE", 500.0, 504.5, 506.0)]
    assert OUTCOME.missed == [Episode("VTACH", 700.0, 704.0)]
    assert OUTCOME.counts("VTACH") == DayCounts(1800.0, 2, 1, 2, 1, 0.0, 0)
    assert OUTCOME.counts("ASYSTOLE") == DayCounts(1800.0, 1, 1, 0, 0, 1800.0, 1)
    assert OUTCOME.all_counts() == DayCounts(1800.0, 3, 2, 2, 1, 0.0, 0)


def test_an_alarm_of_the_other_ventricular_kind_is_true_and_catches() -> None:
    outcome = AlarmOutcome("207", 60.0, [Told("VTACH", 10.0, 13.0, 15.0)], [Episode("VFIB", 9.0, 20.0)])
    assert not outcome.false
    assert not outcome.missed


@pytest.mark.parametrize(("told", "caught"), [(24.0, True), (24.9, False)])
def test_an_alarm_that_comes_too_late_catches_nothing(told: float, caught: bool) -> None:
    late = Told("ASYSTOLE", 10.0, told, told + 1)
    outcome = AlarmOutcome("101", 60.0, [late], [Episode("ASYSTOLE", 10.0, 14.5)])
    assert (outcome.missed == []) == caught


def test_false_alarms_are_given_a_day() -> None:
    counts = DayCounts.sum([DayCounts(43_200.0, 3, 2, 1, 1, 0.0, 0), DayCounts(43_200.0, 1, 1, 0, 0, 43_200.0, 1)])
    assert counts == DayCounts(86_400.0, 4, 3, 1, 1, 43_200.0, 1)
    assert counts.false_a_day == 3.0
    assert counts.quiet_a_day == 2.0
    assert math.isnan(DayCounts().false_a_day)


def test_tables_and_json_say_the_same() -> None:
    assert day_tables([OUTCOME])[1].title.endswith("1 records, 0.5 h")
    wrong = day_tables([OUTCOME])[0].rows
    assert ("101", "VTACH", "missed", "11:40.0", "11:44.0") in wrong
    (split,) = day_json([OUTCOME])["splits"].values()
    assert split["VTACH"]["false_a_day"] == pytest.approx(48.0)
    assert split["all"]["false_a_day_without_event"] is None
    verdicts = [Verdict("a1", "Asystole", True, False, False), Verdict("a2", "Asystole", False, True, True)]
    assert len(challenge_tables(verdicts)[0].rows) == 2
    assert challenge_json(verdicts)["scores"]["all"] == {
        "tp": 0,
        "fn": 1,
        "fp": 1,
        "tn": 0,
        "score": 0.0,
    }
