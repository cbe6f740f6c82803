"""``wardbeat evaluate``: the monitor over annotated records, scored as ANSI/AAMI EC57 does."""

from __future__ import annotations

import json
import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

if TYPE_CHECKING:
    from monitor.classifier import Classifier
    from trainer.scores import Outcome, Period
    from trainer.tables import Table

PAGE_WIDTH: Final = 160
"""Characters a line of output that no terminal shows."""

evaluate = typer.Typer(
    help="Score the detector and the classifier as ANSI/AAMI EC57 does.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Database = Annotated[str, typer.Option(metavar="NAME_OR_PATH", help="A database with reference annotations.")]
Records = Annotated[str, typer.Option(help="Records, for instance 100,101; every annotated one if not given.")]
Leads = Annotated[str, typer.Option(help="Leads by name or number, for instance MLII,V1; the first if not given.")]
JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the scores as JSON.")]
MarkdownFile = Annotated[Path | None, typer.Option("--markdown", metavar="FILE", help="Write the tables as Markdown.")]
Processes = Annotated[int, typer.Option(min=1, help="Records analysed at the same time.")]
ModelFile = Annotated[
    Path | None, typer.Option("--model", metavar="FILE", help="A model; wardbeat's own if not given.")
]
ModelDigest = Annotated[str | None, typer.Option("--model-sha256", help="The digest the model must have.")]


@evaluate.command()
def qrs(
    db: Database = "mitdb",
    records: Records = "",
    leads: Leads = "",
    json_file: JsonFile = None,
    markdown_file: MarkdownFile = None,
    processes: Processes = 2,
) -> None:
    """Score the detector: missed and extra beats, places of R peaks, delays."""
    from trainer.scores import score_qrs
    from trainer.tables import qrs_tables

    jobs = _jobs(db, records, leads, None)
    periods = score_qrs(_run(jobs, processes))
    _report({"scored": "qrs", "database": db, "leads": leads}, periods, qrs_tables(periods), json_file, markdown_file)


@evaluate.command()
def beats(
    db: Database = "mitdb",
    records: Records = "",
    leads: Leads = "",
    model: ModelFile = None,
    model_sha256: ModelDigest = None,
    json_file: JsonFile = None,
    markdown_file: MarkdownFile = None,
    processes: Processes = 2,
) -> None:
    """Score the classifier behind the detector: classes of beats, and delays of labels."""
    from trainer.scores import score_beats
    from trainer.tables import beat_tables

    pinned = Model(model, model_sha256)
    digest = _classifier(pinned).sha256  # a wrong model is refused before any work
    jobs = _jobs(db, records, leads, pinned)
    periods = score_beats(_run(jobs, processes))
    heading = {"scored": "beats", "database": db, "leads": leads, "model_sha256": digest}
    _report(heading, periods, beat_tables(periods), json_file, markdown_file)


class Model(NamedTuple):
    """A model file and its pin; None for both: the one that comes with wardbeat."""

    path: Path | None
    sha256: str | None


class Job(NamedTuple):
    """One record to analyse.

    Attributes:
        path: of the record.
        leads: names or numbers; empty: the first ECG lead.
        model: names the beats; None: the detector's own rule does.
    """

    path: Path
    leads: tuple[str, ...]
    model: Model | None


def analyse_record(job: Job) -> Outcome:
    """Run the monitor over one record and read its reference annotations.

    Raises:
        RecordError: the record or its annotations cannot be read, it has no such lead, or no beat is annotated.
    """
    import numpy as np

    from monitor.events import Beat, Trigger
    from monitor.exceptions import RecordError
    from monitor.records import read_annotations, read_record
    from monitor.replay import analyse
    from trainer.scores import Outcome

    record = read_record(job.path, job.leads or None)
    reference = read_annotations(job.path)
    if not reference.beats()[1]:
        raise RecordError("no beats are annotated", where=f"{job.path}.atr", remedy="leave the record out")
    length = len(record.signal)
    if not job.leads:
        record.leads, record.signal = record.leads[:1], record.signal[:, :1]

    first: dict[int, Beat] = {}
    last: dict[int, Beat] = {}
    triggers: dict[int, int] = {}
    classifier = None if job.model is None else _classifier(job.model)
    for events in analyse(record, classifier):
        for event in events:
            if isinstance(event, Beat):
                first.setdefault(event.sample, event)
                last[event.sample] = event
            elif isinstance(event, Trigger):
                triggers.setdefault(event.sample, event.emitted)
    samples, triggered = sorted(first), sorted(triggers)  # a beat found by looking back is told after later ones
    return Outcome(
        record=record.name,
        fs=record.fs,
        length=length,
        reference_samples=reference.samples,
        reference_symbols=reference.symbols,
        samples=np.array(samples, np.int64),
        symbols=[last[sample].aami for sample in samples],
        confirmed=np.array([first[sample].emitted for sample in samples], np.int64),
        final=np.array([last[sample].emitted for sample in samples], np.int64),
        search_back=np.array([first[sample].search_back for sample in samples], np.bool_),
        triggers=np.array(triggered, np.int64),
        triggered=np.array([triggers[sample] for sample in triggered], np.int64),
    )


@cache
def _classifier(model: Model) -> Classifier:
    """The model, loaded once a process."""
    from monitor.classifier import Classifier

    return Classifier(model.path, model.sha256)


def _jobs(db: str, records: str, leads: str, model: Model | None) -> list[Job]:
    from monitor.exceptions import RecordError
    from monitor.records import find_database, record_names

    folder = find_database(db)
    names = words(records) or [name for name in record_names(folder) if (folder / f"{name}.atr").is_file()]
    if not names:
        raise RecordError("no record has reference annotations", where=str(folder), remedy="they are files *.atr")
    return [Job(folder / name, tuple(words(leads)), model) for name in names]


def words(text: str) -> list[str]:
    """What stands between the commas of an option's text."""
    return [word.strip() for word in text.split(",") if word.strip()]


def _run(jobs: Sequence[Job], processes: int) -> list[Outcome]:
    """Analyse the records, several at a time; outcomes in the order of the jobs."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("records", total=len(jobs))

        def done(job: Job) -> None:
            progress.update(task, advance=1, description=job.path.name)

        if processes == 1 or len(jobs) == 1:
            return [_analyse_here(job, done) for job in jobs]
        return _analyse_apart(jobs, min(processes, len(jobs)), done)


def _analyse_here(job: Job, done: Callable[[Job], None]) -> Outcome:
    outcome = analyse_record(job)
    done(job)
    return outcome


def _analyse_apart(jobs: Sequence[Job], processes: int, done: Callable[[Job], None]) -> list[Outcome]:
    # Spawned, not forked: torch and numba hold threads and locks that a fork would copy half-way.
    # Ctrl-C reaches every process of a terminal: this one alone answers it.
    pool = ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )
    try:
        futures = {pool.submit(analyse_record, job): job for job in jobs}
        for future in as_completed(futures):
            future.result()  # the first failure ends it all
            done(futures[future])
        return [future.result() for future in futures]
    finally:
        pool.shutdown(cancel_futures=True)


def _report(
    heading: dict[str, Any],
    periods: Sequence[Period],
    tables: Sequence[Table],
    json_file: Path | None,
    markdown_file: Path | None,
) -> None:
    from rich.console import Console

    from trainer.scores import to_json

    console = Console(width=None if sys.stdout.isatty() else PAGE_WIDTH)
    for table in tables:
        console.print(table.to_rich())
    if json_file is not None:
        write_file(json_file, json.dumps(heading | to_json(periods), indent=1, allow_nan=False) + "\n")
    if markdown_file is not None:
        write_file(markdown_file, "\n".join(table.to_markdown() for table in tables))


def write_file(file: Path, text: str) -> None:
    """Write what a command was asked to write.

    Raises:
        ConfigError: it cannot be written.
    """
    from monitor.exceptions import ConfigError

    try:
        file.write_text(text)
    except OSError as error:
        raise ConfigError(
            f"cannot be written ({error.strerror})", where=str(file), remedy="name a file in a folder that exists"
        ) from None
