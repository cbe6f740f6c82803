"""Scores as tables, for a terminal and for Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trainer.scoring.confusion import Score
from trainer.scoring.scores import PERIODS, Period, RecordScore, SplitScore
from trainer.scoring.variants import Line, Plan, Results, lines_of

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from trainer.speed.comparison import Result, Row


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


def plan_tables(chosen: Plan, results: Results) -> list[Table]:
    """Detection of one variant in full; of several, what is comparable: sets of records, delays, and all together."""
    if len(results) == 1:
        return qrs_tables(results[0][1])
    tables: list[Table] = []
    for variant, periods in results:
        title = chosen.title_of(variant)
        tables += [replace(table, title=f"{title}: {table.title}") for table in qrs_tables(periods, per_record=False)]
    if len(chosen.lead_sets) == 1:
        tables += _record_tables(chosen, results)
    return tables + comparison_tables(chosen, lines_of(results))


def qrs_tables(periods: Sequence[Period], *, per_record: bool = True) -> list[Table]:
    """Detection: a line per record, the splits, and where and when the beats were reported."""
    tables = []
    for period in periods:
        if per_record:
            tables.append(
                Table(
                    f"Detection per record, {period.title}",
                    ("record", "beats", "missed", "extra", "Se %", "PPV %", "F1 %", "F1 within 50 ms %"),
                    [_qrs_row(record) for record in period.records],
                )
            )
        tables.append(split_table(f"Detection, {period.title}", period.splits))
        tables.append(milliseconds_table(period, labels=False))
    return tables


def comparison_tables(chosen: Plan, lines: Sequence[Line]) -> list[Table]:
    """What varied, side by side: leads, noise by ratio, or rates and gains beside the record's own."""
    tables = []
    if len(chosen.lead_sets) > 1 and not chosen.varied:
        tables.append(_lead_table(lines))
    if chosen.varied == "noise":
        tables.append(_noise_table(chosen, lines))
    elif chosen.varied:
        tables.append(_difference_table(chosen, lines))
    return tables


def _lead_table(lines: Sequence[Line]) -> Table:
    columns = ("period", "records", "leads", "Se %", "PPV %", "F1 %", "F1 within 50 ms %", "trigger F1 %")
    delays = ("R to trigger", "R to beat")
    rows = []
    for line in sorted(lines, key=_place):  # stable: leads keep their order
        scores = *ratios(line.qrs), percent(line.narrow.f1), percent(line.triggers.f1)
        times = [f"{ms(d.median)} / {ms(d.p99)}" for d in (line.milliseconds[name] for name in delays)]
        rows.append((line.period, f"{line.records} ({line.count})", line.variant.lead_title, *scores, *times))
    headings = [f"{name}, median / p99 ms" for name in delays]
    return Table("Leads compared", (*columns, *headings), sparse(rows, 2), names=3)


def _place(line: Line) -> tuple[int, str]:
    return list(PERIODS).index(line.period), line.records


def _noise_table(chosen: Plan, lines: Sequence[Line]) -> Table:
    measures: dict[str, Callable[[Line], float]] = {
        "Se %": lambda line: line.qrs.se,
        "PPV %": lambda line: line.qrs.ppv,
        "F1 %": lambda line: line.qrs.f1,
        "trigger F1 %": lambda line: line.triggers.f1,
        "cannot analyse, % of the time": lambda line: line.unusable,
    }
    rows = []
    late = [line for line in lines if line.period == "after 5 min"]
    for leads in dict.fromkeys(line.variant.lead_title for line in late):
        for records in dict.fromkeys(line.records for line in late):
            these = [line for line in late if (line.variant.lead_title, line.records) == (leads, records)]
            for name, measure in measures.items():
                figures = (percent(measure(line)) for line in these)
                rows.append((leads, f"{records} ({these[0].count})", name, *figures))
    columns = ("leads", "records", "", *(condition.title for condition in chosen.conditions))
    return Table(
        f"{chosen.title.capitalize()} by signal-to-noise ratio, from 5:00 on", columns, sparse(rows, 2), names=3
    )


def _difference_table(chosen: Plan, lines: Sequence[Line]) -> Table:
    picks: tuple[Callable[[Line], Score], ...] = (lambda x: x.qrs, lambda x: x.narrow, lambda x: x.triggers)
    rows = []
    for line in sorted(lines, key=lambda line: (line.variant.lead_title, *_place(line))):
        gains = ["" if line.base is None else points(line.points(pick)) for pick in picks]
        figures = [text for pick, p in zip(picks, gains, strict=True) for text in (percent(pick(line).f1), p)]
        names = line.variant.lead_title, line.period, f"{line.records} ({line.count})", line.variant.condition.title
        rows.append((*names, *figures))
    columns = ["leads", "period", "records", chosen.varied]
    for name in ("F1 %", "F1 within 50 ms %", "trigger F1 %"):
        columns += [name, "points"]
    return Table(f"{chosen.title.capitalize()} beside the record's own", tuple(columns), sparse(rows, 3), names=4)


def _record_tables(chosen: Plan, results: Results) -> list[Table]:
    """F1 of each record by condition."""
    tables = []
    for number, period in enumerate(results[0][1]):
        scored = [{record.record: record.beats.qrs.f1 for record in periods[number].records} for _, periods in results]
        rows = [(name, *(percent(scores[name]) for scores in scored)) for name in scored[0]]
        columns = ("record", *(variant.condition.title for variant, _ in results))
        tables.append(Table(f"F1 % of each record, {period.title}", columns, rows))
    return tables


def sparse(rows: Sequence[tuple[str, ...]], names: int) -> list[tuple[str, ...]]:
    """The first columns say only what differs from the row above, or follows something that does."""
    found = []
    above: tuple[str, ...] = ()
    for row in rows:
        same = next((i for i in range(names) if not above or row[i] != above[i]), names)
        found.append(("",) * same + row[same:])
        above = row
    return found


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
                rows.append((row.name, str(score.tp + score.fn), str(score.fn), str(score.fp), *ratios(score)))
        columns = ("detector", "beats", "missed", "extra", "Se %", "PPV %", "F1 %")
        tables.append(Table(f"Detection, {period}", columns, rows))
    return tables


def _kernel_row(result: Result, row: Row, first: str, later: str) -> tuple[str, ...]:
    low, high = (f"{value:.1f}" for value in (min(row.nanoseconds), max(row.nanoseconds)))
    time = f"{row.median:.1f}", f"{low} to {high}" if len(row.nanoseconds) > 1 else "-", f"{result.ratio(row):.2f}"
    figures = "", "", ""
    if row.confusions:
        score = row.score(first)
        figures = percent(score.f1), percent(row.score(later).f1), str(score.fn + score.fp)
    return row.name, "yes" if row.causal else "no", *time, *figures


def _qrs_row(record: RecordScore) -> tuple[str, ...]:
    score = record.beats.qrs
    counts = str(score.tp + score.fn), str(score.fn), str(score.fp)
    return record.record, *counts, *ratios(score), percent(record.narrow.qrs.f1)


def split_table(title: str, splits: Sequence[SplitScore]) -> Table:
    """A line a summary of each set of records."""
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
            figures = (*ratios(score), interval(summary.interval), percent(summary.average[2]))
            rows.append((name, summary.title, str(score.tp + score.fn), *figures))
            name = ""
    return Table(title, columns, rows, names=2)


def milliseconds_table(period: Period, *, labels: bool) -> Table:
    """Distances and delays; those of first labels only where they came before the last."""
    found = period.milliseconds
    rows = [
        (name, str(values.count), *(ms(v) for v in (values.median, values.p95, values.p99, values.largest)))
        for name, values in found.items()
        if values.count
        and (labels or "label" not in name)
        and not ("first label" in name and values == found[name.replace("first", "final")])
    ]
    return Table(f"Milliseconds, matched beats, {period.title}", ("", "beats", "median", "p95", "p99", "max"), rows)


def ratios(score: Score) -> tuple[str, str, str]:
    """Se, PPV and F1 in per cent."""
    return percent(score.se), percent(score.ppv), percent(score.f1)


def percent(share: float) -> str:
    """A share in per cent.

    >>> percent(0.5), percent(math.nan)
    ('50.00', '-')
    """
    return "-" if math.isnan(share) else f"{100 * share:.2f}"


def points(difference: float) -> str:
    """A difference of shares in points."""
    rounded = round(100 * difference, 2) + 0.0  # no minus before nothing
    return "-" if math.isnan(difference) else f"{rounded:+.2f}"


def interval(bounds: tuple[float, float]) -> str:
    """Two shares in per cent."""
    return "-" if math.isnan(bounds[0]) else f"{percent(bounds[0])} to {percent(bounds[1])}"


def ms(value: float) -> str:
    """Whole milliseconds."""
    return "-" if math.isnan(value) else f"{value:.0f}"
