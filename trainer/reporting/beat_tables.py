"""Scores of the classifier as tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from monitor.ecg import AAMI_CLASSES
from trainer.reporting.tables import Table, interval, milliseconds_table, percent, points, ratios, sparse, split_table
from trainer.scoring.beat_variants import MEASURES, BeatLine, beat_lines_of, headline
from trainer.scoring.calibration import precision_recall
from trainer.scoring.confusion import COLUMNS, ROWS
from trainer.scoring.scores import PERIODS, Period, RecordScore, SplitScore
from trainer.scoring.variants import Plan, Results


def beat_plan_tables(chosen: Plan, results: Results) -> list[Table]:
    """One variant in full; of several, each without its records, and all side by side."""
    if len(results) == 1:
        return beat_tables(results[0][1])
    tables: list[Table] = []
    for variant, periods in results:
        title = chosen.title_of(variant)
        tables += [replace(table, title=f"{title}: {table.title}") for table in beat_tables(periods, per_record=False)]
    return tables + beat_comparison_tables(chosen, beat_lines_of(results))


def beat_tables(periods: Sequence[Period], *, per_record: bool = True) -> list[Table]:
    """Classes: a line per record, then for each split its classes and its confusion matrix, belief, and delays."""
    tables = []
    for period in periods:
        if per_record:
            tables.append(record_table(period))
        tables.append(split_table(f"Classes, {period.title}", period.splits))
        tables.append(naming_table(f"All classes together, {period.title}", period.splits))
        for split in headline(period.splits):
            tables.append(confusion_table(split, period.title))
            if split.calibration.beats:
                tables.append(calibration_table(split, period.title))
        tables.append(milliseconds_table(period, labels=True))
    return tables


def record_table(period: Period) -> Table:
    """A line per record."""
    ratio = ("Se %", "PPV %", "F1 %")
    columns = ("record", "V", *ratio, "S", *ratio, "F", "F1 %", "accuracy %", "kappa %")
    return Table(f"Classes per record, {period.title}", columns, [_class_row(record) for record in period.records])


def _class_row(record: RecordScore) -> tuple[str, ...]:
    v, s, f = (record.beats.of(label) for label in "VSF")
    return (
        record.record,
        *(str(v.tp + v.fn), *ratios(v)),
        *(str(s.tp + s.fn), *ratios(s)),
        *(str(f.tp + f.fn), percent(f.f1)),
        percent(record.beats.accuracy),
        percent(record.beats.kappa),
    )


def naming_table(title: str, splits: Sequence[SplitScore]) -> Table:
    """Accuracy and the like, a line a measure."""
    columns = ("records", "measure", "%", "95 % interval", "mean of records %")
    rows = []
    for split in splits:
        name = f"{split.title} ({len(split.records)})"
        for naming in split.namings:
            figures = percent(naming.gross), interval(naming.interval), percent(naming.average)
            rows.append((name, naming.title, *figures))
            name = ""
        rows.append((name, "labels revised", percent(split.revised), "", ""))
    return Table(title, columns, rows, names=2)


def confusion_table(split: SplitScore, period: str) -> Table:
    """Annotated classes by classes found."""
    found, missed = COLUMNS[: len(AAMI_CLASSES)], COLUMNS[len(AAMI_CLASSES) :]
    confusion = split.confusion
    rows = []
    for row in ROWS:
        name = "none" if row == "O" else row
        not_found = "" if row == "O" else str(sum(confusion[row + column] for column in missed))
        rows.append((name, *(str(confusion[row + column]) for column in found), not_found))
    title = f"{split.title}, {period}: annotated class by class found"
    return Table(title, ("annotated", *AAMI_CLASSES, "missed"), rows)


def calibration_table(split: SplitScore, period: str) -> Table:
    """Beats by the largest of their probabilities; in the title what it comes to."""
    calibration = split.calibration
    rows = [
        (f"{100 * b.low:.0f} to {100 * b.high:.0f}", str(b.beats), percent(b.confidence), percent(b.right))
        for b in calibration.bins
        if b.beats
    ]
    areas = [(label, precision_recall(split.decisions, label).area) for label in "NSVF"]
    told = ", ".join(f"{label} {percent(area)}" for label, area in areas if not math.isnan(area))
    title = (
        f"{split.title}, {period}: confidence of labels; ECE {percent(calibration.ece)} %, "
        f"Brier score {calibration.brier:.4f}, average precision % {told}"
    )
    return Table(title, ("confidence %", "beats", "mean confidence %", "named rightly %"), rows)


def beat_comparison_tables(chosen: Plan, lines: Sequence[BeatLine]) -> list[Table]:
    """What varied, side by side: leads, or noise by ratio."""
    tables = []
    if len(chosen.lead_sets) > 1 and not chosen.varied:
        tables.append(_lead_table(lines))
    elif chosen.varied:
        tables.append(_noise_table(chosen, lines))
    return tables


def _lead_table(lines: Sequence[BeatLine]) -> Table:
    rows = []
    for line in sorted(lines, key=lambda line: (list(PERIODS).index(line.period.title), line.split.title)):
        figures = (percent(pick(line.split)) for pick in MEASURES.values())
        count = f"{line.split.title} ({len(line.split.records)})"
        rows.append((line.period.title, count, line.variant.lead_title, *figures))
    columns = ("period", "records", "leads", *(f"{name} %" for name in MEASURES))
    return Table("Leads compared", columns, sparse(rows, 2), names=3)


def _noise_table(chosen: Plan, lines: Sequence[BeatLine]) -> Table:
    rows = []
    late = [line for line in lines if line.period.title == "after 5 min"]
    for leads in dict.fromkeys(line.variant.lead_title for line in late):
        for title in dict.fromkeys(line.split.title for line in late):
            these = [line for line in late if (line.variant.lead_title, line.split.title) == (leads, title)]
            name = f"{title} ({len(these[0].split.records)})"
            for measure, pick in MEASURES.items():
                rows.append((leads, name, f"{measure} %", *(percent(pick(line.split)) for line in these)))
                if measure == "V F1":
                    change = ("" if line.base is None else points(line.points(measure)) for line in these)
                    rows.append((leads, name, "V F1, points", *change))
    columns = ("leads", "records", "", *(condition.title for condition in chosen.conditions))
    title = f"Classes in {chosen.title} by signal-to-noise ratio, from 5:00 on"
    return Table(title, columns, sparse(rows, 2), names=3)
