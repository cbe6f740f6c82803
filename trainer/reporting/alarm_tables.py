"""Scores of alarms as tables, and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from trainer.reporting.tables import Table, percent
from trainer.scoring.alarm_scores import HIGH, KINDS, AlarmOutcome, ChallengeCounts, DayCounts, Verdict
from trainer.scoring.scores import number
from trainer.splits import splits


def challenge_tables(verdicts: Sequence[Verdict]) -> list[Table]:
    """Verdicts that are wrong, one by one, and the score of each kind of alarm."""
    wrong = [(v.record, v.kind, "true", "not confirmed") for v in verdicts if v.true and not v.confirmed]
    wrong += [(v.record, v.kind, "false", "confirmed") for v in verdicts if v.confirmed and not v.true]
    rows = [_challenge_row(kind, [v for v in verdicts if v.kind == kind]) for kind in KINDS]
    rows.append(_challenge_row("all", verdicts))
    rows.append(_challenge_row("all, by the same alarm alone", verdicts, alike=True))
    columns = ("alarm", "records", "TP", "FN", "FP", "TN", "score %")
    return [
        Table("Wrong verdicts", ("record", "alarm", "was", "is"), wrong, names=4),
        Table("Challenge 2015, by what is known when the alarm sounds", columns, rows),
    ]


def _challenge_row(name: str, verdicts: Sequence[Verdict], *, alike: bool = False) -> tuple[str, ...]:
    counts = ChallengeCounts.of(verdicts, alike=alike)
    cells = (str(cell) for cell in (counts.tp, counts.fn, counts.fp, counts.tn))
    return name, str(len(verdicts)), *cells, percent(counts.score)


def challenge_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Every verdict, and the score of each kind and of all."""
    counted = {kind: ChallengeCounts.of(v for v in verdicts if v.kind == kind) for kind in KINDS}
    counted |= {"all": ChallengeCounts.of(verdicts), "all, alike": ChallengeCounts.of(verdicts, alike=True)}
    scores = {name: asdict(counts) | {"score": number(counts.score)} for name, counts in counted.items()}
    return {"scores": scores, "verdicts": [v._asdict() for v in verdicts]}


def day_tables(outcomes: Sequence[AlarmOutcome]) -> list[Table]:
    """False alarms and missed episodes, one by one; then each code over each set of records."""
    false = [
        (o.record, alarm.code, "false alarm", _clock(alarm.onset), _clock(alarm.told))
        for o in outcomes
        for alarm in o.false
    ]
    missed = [(o.record, e.code, "missed", _clock(e.start), _clock(e.end)) for o in outcomes for e in o.missed]
    tables = [Table("Wrong alarms", ("record", "alarm", "", "from", "to"), sorted(false + missed), names=3)]
    columns = (
        "alarm",
        "alarms",
        "false",
        "false a day",
        "false a day of records without such an event",
        "episodes",
        "alarmed",
    )
    for title, names in _splits(outcomes):
        rows = [_day_row(code, these) for code, these in _counts(outcomes, names).items()]
        hours = sum(o.seconds for o in outcomes if o.record in names) / 3600
        tables.append(Table(f"High-priority alarms, {title}: {len(names)} records, {hours:.1f} h", columns, rows))
    return tables


def _splits(outcomes: Sequence[AlarmOutcome]) -> list[tuple[str, tuple[str, ...]]]:
    """Alarms are few: sets that differ by one record of a patient are left out."""
    found = splits([o.record for o in outcomes], classes=False)
    return [(title, names) for title, names in found.items() if "without" not in title]


def _counts(outcomes: Sequence[AlarmOutcome], names: Sequence[str]) -> dict[str, DayCounts]:
    """Of each code, and of all codes together: a record is without an event if it has none of any code."""
    chosen = [o for o in outcomes if o.record in names]
    counts = {code: DayCounts.sum(o.counts(code) for o in chosen) for code in HIGH}
    counts["all"] = DayCounts.sum(o.all_counts() for o in chosen)
    return counts


def _day_row(name: str, counts: DayCounts) -> tuple[str, ...]:
    days = f"{counts.false_a_day:.1f}", f"{counts.quiet_a_day:.1f}" if counts.quiet else "-"
    return name, str(counts.alarms), str(counts.false), *days, str(counts.episodes), str(counts.caught)


def day_json(outcomes: Sequence[AlarmOutcome]) -> dict[str, Any]:
    """Each code over each set of records, and each record's false alarms and missed episodes."""
    rates: dict[str, Callable[[DayCounts], float]] = {
        "false_a_day": lambda counts: counts.false_a_day,
        "false_a_day_without_event": lambda counts: counts.quiet_a_day,
    }
    sets = {}
    for title, names in _splits(outcomes):
        sets[title] = {
            code: counts._asdict() | {name: number(rate(counts)) for name, rate in rates.items()}
            for code, counts in _counts(outcomes, names).items()
        }
    records = {
        o.record: {"false": [a._asdict() for a in o.false], "missed": [e._asdict() for e in o.missed]} for o in outcomes
    }
    return {"splits": sets, "records": records}


def _clock(seconds: float) -> str:
    """Minutes and seconds into a record.

    >>> _clock(61.25)
    '1:01.2'
    """
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"
