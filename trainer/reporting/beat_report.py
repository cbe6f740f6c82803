"""The report of ``wardbeat evaluate beats --report``: what was scored, its tables, figures and wrong beats."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.reporting.beat_tables import (
    beat_plan_tables,
    calibration_table,
    confusion_table,
    naming_table,
    record_table,
)
from trainer.reporting.examples import draw_examples
from trainer.reporting.figures import (
    draw_confusion,
    draw_curves,
    draw_delays,
    draw_noise,
    draw_records,
    draw_reliability,
    png_of,
)
from trainer.reporting.report import Block, Heading, Paragraph, Picture, file_name
from trainer.reporting.tables import milliseconds_table, split_table
from trainer.scoring.beat_variants import beat_lines_of, headline
from trainer.scoring.outcome import Outcome
from trainer.scoring.runs import Job, read
from trainer.scoring.scores import PERIODS, Period
from trainer.scoring.variants import Plan, Results

_HOW = (
    "Whole records, streamed through the monitor with its own causal detector; beats are matched one to one within "
    "150 ms as ANSI/AAMI EC57 says. V: a fusion or unclassifiable beat called V is no false positive; V strict: a "
    "fusion beat called V is one. N: N L R e j; S: A a J S; V: V E; F: F; Q: / f Q. Paced records are left out. "
    "Intervals are bootstrap intervals over records. Not a medical device."
)


def beat_report(
    chosen: Plan, results: Results, jobs: Sequence[Sequence[Job]], outcomes: Sequence[Sequence[Outcome]], facts: str
) -> list[Block]:
    """Everything the report says.

    Args:
        chosen: what was analysed.
        results: the scores of each variant.
        jobs: of each variant, one a record.
        outcomes: of each variant, one a job.
        facts: which model, which database, in one line.
    """
    blocks: list[Block] = [Heading("Beats named", 1), Paragraph(facts), Paragraph(_HOW)]
    if len(results) > 1:
        blocks += _compared(chosen, results)
    for number, (variant, periods) in enumerate(results):
        if variant.condition != chosen.conditions[0]:
            continue  # under the other conditions the comparison tells enough
        title = chosen.title_of(variant) or f"leads: {variant.lead_title}"
        blocks.append(Heading(title[0].upper() + title[1:]))
        for period in periods:
            blocks += _period_blocks(period, title)
        blocks += _examples(jobs[number], outcomes[number], title)
    return blocks


def _compared(chosen: Plan, results: Results) -> list[Block]:
    blocks: list[Block] = [Heading("Side by side"), beat_plan_tables(chosen, results)[-1]]
    if chosen.varied:
        lines = [line for line in beat_lines_of(results) if line.period.title == list(PERIODS)[-1]]
        titles = [condition.title for condition in chosen.conditions]
        for split in headline(results[0][1][-1].splits):
            these = [line for line in lines if line.split.title == split.title]
            name = f"{split.title}, {chosen.title}, from 5:00 on"
            blocks.append(Picture(file_name(name), png_of(draw_noise(these, titles, name)), name))
    return blocks


def _period_blocks(period: Period, variant: str) -> list[Block]:
    blocks: list[Block] = [
        Heading(period.title[0].upper() + period.title[1:], 3),
        split_table(f"Classes, {period.title}", period.splits),
        naming_table(f"All classes together, {period.title}", period.splits),
    ]
    for split in headline(period.splits):
        name = f"{split.title}, {period.title}"
        blocks += [confusion_table(split, period.title)]
        figures = {"confusion matrix": draw_confusion(split, f"{name}: annotated by found")}
        if split.calibration.beats:
            blocks += [calibration_table(split, period.title)]
            figures["reliability"] = draw_reliability(split, f"{name}: probabilities said and come true")
            figures["precision and recall"] = draw_curves(split, f"{name}: precision over recall")
        for what, figure in figures.items():
            blocks.append(Picture(file_name(variant, name, what), png_of(figure), f"{name}: {what}"))
    blocks += [record_table(period), milliseconds_table(period, labels=True)]
    by_record, delays = f"each record, {period.title}", f"delay of labels, {period.title}"
    blocks.append(Picture(file_name(variant, by_record), png_of(draw_records(period, by_record)), by_record))
    blocks.append(Picture(file_name(variant, delays), png_of(draw_delays(period.records, delays)), delays))
    return blocks


def _examples(jobs: Sequence[Job], outcomes: Sequence[Outcome], variant: str) -> list[Block]:
    pages = draw_examples(outcomes, lambda number: read(jobs[number])[0])
    if not pages:
        return []
    blocks: list[Block] = [Heading("Wrong beats", 3)]
    for pair, count, figure in pages:
        blocks.append(Picture(file_name(variant, pair.title), png_of(figure), f"{pair.title}: {count}"))
    return blocks
