"""Scores as tables, for a terminal and for Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.ecg import AAMI_CLASSES
from trainer.confusion import COLUMNS, ROWS, Score
from trainer.scores import PERIODS, Period, RecordScore, SplitScore

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from trainer.comparison import Result, Row


@dataclass(frozen=True, slots=True)
class Table:
    """Text in rows and columns; the first columns name the row, the others are figures.

    Attributes:
        title: what it shows.
        columns: headings.
        rows: one text a column.
        names: how many columns name the row.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    names: int = 1

    def to_rich(self) -> RichTable:
        """For :meth:`rich.console.Console.print`."""
        from rich import box
        from rich.table import Table as RichTable

        table = RichTable(title=self.title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for index, column in enumerate(self.columns):
            table.add_column(column, justify="left" if index < self.names else "right")
        for row in self.rows:
            table.add_row(*row)
        return table

    def to_markdown(self) -> str:
        """A heading and a pipe table, ending in a newline."""
        rule = ["---"] * self.names + ["---:"] * (len(self.columns) - self.names)
        lines = [self.columns, rule, *self.rows]
        body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"**{self.title}**\n\n{body}\n"


def qrs_tables(periods: Sequence[Period]) -> list[Table]:
    """Detection: a line per record, the splits, and where and when the beats were reported."""
    tables = []
    for period in periods:
        tables.append(
            Table(
                f"Detection per record, {period.title}",
                ("record", "beats", "missed", "extra", "Se %", "PPV %", "F1 %", "F1 within 50 ms %"),
                [_qrs_row(record) for record in period.records],
            )
        )
        tables.append(_split_table(f"Detection, {period.title}", period.splits))
        tables.append(_milliseconds_table(period, labels=False))
    return tables


def beat_tables(periods: Sequence[Period]) -> list[Table]:
    """Classes: a line per record, then for each split its classes and its confusion matrix, and delays."""
    tables = []
    for period in periods:
        tables.append(
            Table(
                f"Classes per record, {period.title}",
                (
                    "record",
                    "V",
                    "Se %",
                    "PPV %",
                    "F1 %",
                    "S",
                    "Se %",
                    "PPV %",
                    "F1 %",
                    "F",
                    "F1 %",
                    "accuracy %",
                ),
                [_class_row(record) for record in period.records],
            )
        )
        tables.append(_split_table(f"Classes, {period.title}", period.splits))
        tables.append(_naming_table(f"All classes together, {period.title}", period.splits))
        tables += [_confusion_table(split, period.title) for split in _headline(period.splits)]
        tables.append(_milliseconds_table(period, labels=True))
    return tables


def kernel_tables(result: Result) -> list[Table]:
    """Speed beside accuracy, a line a contender; then the counts behind the accuracy."""
    first, later = PERIODS
    speed = Table(
        "Speed and accuracy",
        (
            *("", "causal", "ns/sample", "lowest to highest", f"x {result.yardstick}"),
            *(f"F1 % {first}", f"F1 % {later}", f"errors {first}"),
        ),
        [_kernel_row(result, row, first, later) for row in result.rows],
        names=2,
    )
    tables = [speed]
    for period in PERIODS:
        rows = []
        for row in result.rows:
            if row.confusions:
                score = row.score(period)
                rows.append((row.name, str(score.tp + score.fn), str(score.fn), str(score.fp), *_ratios(score)))
        columns = ("detector", "beats", "missed", "extra", "Se %", "PPV %", "F1 %")
        tables.append(Table(f"Detection, {period}", columns, rows))
    return tables


def _kernel_row(result: Result, row: Row, first: str, later: str) -> tuple[str, ...]:
    low, high = (f"{value:.1f}" for value in (min(row.nanoseconds), max(row.nanoseconds)))
    time = f"{row.median:.1f}", f"{low} to {high}" if len(row.nanoseconds) > 1 else "-", f"{result.ratio(row):.2f}"
    figures = "", "", ""
    if row.confusions:
        score = row.score(first)
        figures = _percent(score.f1), _percent(row.score(later).f1), str(score.fn + score.fp)
    return row.name, "yes" if row.causal else "no", *time, *figures


def _qrs_row(record: RecordScore) -> tuple[str, ...]:
    score = record.beats.qrs
    counts = str(score.tp + score.fn), str(score.fn), str(score.fp)
    return record.record, *counts, *_ratios(score), _percent(record.narrow.qrs.f1)


def _class_row(record: RecordScore) -> tuple[str, ...]:
    v, s, f = (record.beats.of(label) for label in "VSF")
    return (
        record.record,
        *(str(v.tp + v.fn), *_ratios(v)),
        *(str(s.tp + s.fn), *_ratios(s)),
        *(str(f.tp + f.fn), _percent(f.f1)),
        _percent(record.beats.accuracy),
    )


def _split_table(title: str, splits: Sequence[SplitScore]) -> Table:
    columns = (
        "records",
        "of",
        "beats",
        "Se %",
        "PPV %",
        "F1 %",
        "95 % interval of F1",
        "mean F1 of records %",
    )
    rows = []
    for split in splits:
        name = f"{split.title} ({len(split.records)})"
        for summary in split.summaries:
            score = summary.score
            figures = (*_ratios(score), _interval(summary.interval), _percent(summary.average[2]))
            rows.append((name, summary.title, str(score.tp + score.fn), *figures))
            name = ""
    return Table(title, columns, rows, names=2)


def _naming_table(title: str, splits: Sequence[SplitScore]) -> Table:
    columns = ("records", "measure", "%", "95 % interval", "mean of records %")
    rows = []
    for split in splits:
        name = f"{split.title} ({len(split.records)})"
        for naming in split.namings:
            figures = _percent(naming.gross), _interval(naming.interval), _percent(naming.average)
            rows.append((name, naming.title, *figures))
            name = ""
    return Table(title, columns, rows, names=2)


def _headline(splits: Sequence[SplitScore]) -> Sequence[SplitScore]:
    """DS2, the set nothing was chosen on; without it the first set, which is all records."""
    return [split for split in splits if split.title == "DS2"] or splits[:1]


def _confusion_table(split: SplitScore, period: str) -> Table:
    found, missed = COLUMNS[: len(AAMI_CLASSES)], COLUMNS[len(AAMI_CLASSES) :]
    confusion = split.confusion
    rows = []
    for row in ROWS:
        name = "none" if row == "O" else row
        not_found = "" if row == "O" else str(sum(confusion[row + column] for column in missed))
        rows.append((name, *(str(confusion[row + column]) for column in found), not_found))
    title = f"{split.title}, {period}: annotated class by class found"
    return Table(title, ("annotated", *AAMI_CLASSES, "missed"), rows)


def _milliseconds_table(period: Period, *, labels: bool) -> Table:
    rows = [
        (name, str(values.count), *(_ms(v) for v in (values.median, values.p95, values.p99, values.largest)))
        for name, values in period.milliseconds.items()
        if values.count and (labels or "label" not in name)
    ]
    return Table(f"Milliseconds, matched beats, {period.title}", ("", "beats", "median", "p95", "p99", "max"), rows)


def _ratios(score: Score) -> tuple[str, str, str]:
    return _percent(score.se), _percent(score.ppv), _percent(score.f1)


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.2f}"


def _interval(bounds: tuple[float, float]) -> str:
    return "-" if math.isnan(bounds[0]) else f"{_percent(bounds[0])} to {_percent(bounds[1])}"


def _ms(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.0f}"
