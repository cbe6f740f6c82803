"""The monitor over many records: what to analyse, and doing so several at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from trainer.parallel import each_shown
from trainer.scoring.conditions import AS_RECORDED, Condition
from trainer.scoring.outcome import Outcome, outcome_of

if TYPE_CHECKING:
    from monitor.classifier import Models
    from monitor.events import Event
    from monitor.records import Annotations, Record

FIRST, SECOND, BOTH = "first", "second", "both"
LEAD_WORDS: Final = {FIRST: slice(0, 1), SECOND: slice(1, 2), BOTH: slice(0, 2)}
"""Which of a record's ECG leads a word asks for."""


class Model(NamedTuple):
    """A model file and its pin, and a second one for the other number of leads; none: those that come with wardbeat."""

    path: Path | None
    sha256: str | None
    other: Path | None = None
    other_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One record to analyse.

    Attributes:
        path: of the record.
        leads: names or numbers, or one of :data:`LEAD_WORDS`.
        model: names the beats; None: the detector's own rule does.
        condition: what is done to the record first.
        plots: folder for pages that show the wrong beats; None: none are drawn.
    """

    path: Path
    leads: tuple[str, ...] = (FIRST,)
    model: Model | None = None
    condition: Condition = AS_RECORDED
    plots: Path | None = None


def analyse_record(job: Job) -> Outcome:
    """Run the monitor over one record under a condition; draw its wrong beats if pages are wanted.

    Raises:
        RecordError: the record or its annotations cannot be read, it has no such lead, no beat is annotated, or the
            condition makes no sense for it.
        ConfigError: a page cannot be written.
    """
    record, reference = read(job)
    outcome = outcome_of(record, reference, events_of(job.path, record, job.model))
    if job.plots is not None:
        from trainer.reporting.plots import draw_errors

        draw_errors(record, outcome, job.plots)
    return outcome


def events_of(path: Path, record: Record, model: Model | None) -> Iterator[Event]:
    """What the monitor says of a record that was read from `path`; what tells fibrillation has not learnt from it.

    Args:
        path: ``database/record``, by which what was learnt from is known.
        record: what to analyse.
        model: names the beats; None: the detector's own rule does.
    """
    from monitor.fibrillation_weights import shipped
    from monitor.replay import analyse

    one, two = (None, None) if model is None else models_of(model)
    unseen = shipped().unseen(f"{path.parent.name}/{path.name}")
    for events in analyse(record, one, two_leads=two, fibrillation=unseen):
        yield from events


def read(job: Job) -> tuple[Record, Annotations]:
    """A record and its annotations, as the monitor is to hear of them.

    Raises:
        RecordError: they cannot be read, there is no such lead, no beat is annotated, or the condition makes no sense.
    """
    from monitor.exceptions import RecordError
    from monitor.records import read_annotations, read_record

    signals = choose_leads(job.path, job.leads)
    reference = read_annotations(job.path)
    if not reference.beats()[1]:
        raise RecordError("no beats are annotated", where=f"{job.path}.atr", remedy="leave the record out")
    return job.condition.apply(read_record(job.path, signals), reference, signals)


def choose_leads(path: Path, leads: Sequence[str]) -> list[int]:
    """Which of a record's signals are asked for, by number.

    Args:
        path: of the record.
        leads: names or numbers, or one of :data:`LEAD_WORDS`; those are about the record's first two ECG leads.

    Raises:
        RecordError: the record cannot be read, or it has no such lead.
    """
    from monitor.exceptions import RecordError
    from monitor.records import lead_columns

    if len(leads) != 1 or leads[0] not in LEAD_WORDS:
        return lead_columns(path, leads)
    found = lead_columns(path)
    chosen = found[LEAD_WORDS[leads[0]]]
    if not chosen or (leads[0] == BOTH and len(chosen) < 2):
        raise RecordError("only one ECG lead", where=str(path), remedy=f"leave it out, or ask for --leads {FIRST}")
    return chosen


@cache
def models_of(model: Model) -> Models:
    """The models, loaded once a process.

    Raises:
        ModelError: one is not the one that was pinned, or does not keep its contract.
        ConfigError: a second one without a first, or for the same number of leads.
    """
    from monitor.classifier import load_models
    from monitor.exceptions import ConfigError

    if model.path is None and model.other is not None:
        raise ConfigError("goes with --model", where="--other-model", remedy="a single model is given with --model")
    given = (model.path, model.sha256), (model.other, model.other_sha256)
    return load_models([(path, digest) for path, digest in given if path is not None], strict=True)


def run(jobs: Sequence[Job], processes: int) -> list[Outcome]:
    """Analyse the records, several at a time, with a bar of progress; outcomes in the order of the jobs.

    Raises:
        WardbeatError: what :func:`analyse_record` raises; the first failure ends it all.
    """
    return each_shown(analyse_record, jobs, processes, lambda job: job.path.name)
