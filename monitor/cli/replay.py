"""``wardbeat replay``: records through the monitor; events and annotations out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from monitor.cli.terminal import page, progress_console
from monitor.exceptions import ConfigError, MessageError

if TYPE_CHECKING:
    from monitor.classifier import Models
    from monitor.events import Event
    from monitor.output import EventLines

LIVE_CHUNK: Final = 0.1
"""Seconds a chunk when the record is played in time."""

PATIENCE: Final = 1.0
"""Seconds of work after which progress is shown."""

_TAKEN: Final = ("atr", "dat", "hea")
"""What an annotator may not be called: these files are the record itself and its reference."""

T = TypeVar("T")


def replay(
    records: Annotated[list[str], typer.Argument(metavar="RECORD", help="Paths of WFDB records, 100 to 1000 Hz.")],
    leads: Annotated[
        str, typer.Option(metavar="MLII,V1", help="Leads by name or number; the first two ECG leads if not given.")
    ] = "",
    speed: Annotated[str, typer.Option(metavar="max|N", help="As fast as it goes, or N times real time.")] = "max",
    events: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write every event as a line of JSON; - is standard output.")
    ] = None,
    annotate: Annotated[
        str | None, typer.Option(metavar="NAME", help="Write beats and rhythms as WFDB annotations by this annotator.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the annotation files.")] = None,
    bed: Annotated[str | None, typer.Option(metavar="ID", help="Bed that the events name; the record's name.")] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Classifier, a TorchScript file (those that ship).")
    ] = None,
    model_sha256: Annotated[str | None, typer.Option(metavar="HEX", help="SHA-256 that --model must have.")] = None,
    other_model: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A second one, for the other number of leads.")
    ] = None,
    other_model_sha256: Annotated[
        str | None, typer.Option(metavar="HEX", help="SHA-256 that --other-model must have.")
    ] = None,
    no_model: Annotated[bool, typer.Option("--no-model", help="Name beats by the detector's own rule.")] = False,
) -> None:
    """Play records through the monitor; write events and annotations.

    A record is analysed as a live bed would be: causally, sample by sample.
    Without --events a summary of each record is printed. Not a medical device.
    """
    from monitor.output import event_lines
    from monitor.records import check_record

    factor = _speed(speed)
    target = _annotator(annotate, out)
    chosen = [word.strip() for word in leads.split(",") if word.strip()] or None
    for path in records:  # all of them before any work
        check_record(path, chosen)
    beds = _beds(records, bed)
    models = _models(model, model_sha256, other_model, other_model_sha256, no_model)
    with nullcontext() if events is None else event_lines(events) as lines:
        for path, name in zip(records, beds, strict=True):
            _replay(path, chosen, name, models, factor, lines, target)


def _replay(
    path: str,
    leads: list[str] | None,
    bed: str,
    models: Models | None,
    factor: float | None,
    lines: EventLines | None,
    target: tuple[Path, str] | None,
) -> None:
    from monitor.cli.summary import Summary
    from monitor.output import annotations_of, write_annotations
    from monitor.records import read_record
    from monitor.replay import SIZE, analyse

    record = read_record(path, leads)
    summary = Summary(record)
    kept: list[Event] = []
    receivers: list[Callable[[list[Event]], None]] = [summary.add if lines is None else lines.write]
    if target is not None:
        receivers.append(kept.extend)
    size = SIZE if factor is None else max(round(LIVE_CHUNK * record.fs), 1)
    one, two = (None, None) if models is None else models
    batches = analyse(record, one, two_leads=two, bed=bed, size=size)
    if factor is not None:
        batches = paced(batches, size / record.fs / factor)
    if not (lines is not None and lines.on_terminal):  # lines of events and a bar would write over each other
        batches = _shown(batches, -(-len(record.signal) // size) + 1, record.name)
    for batch in batches:
        for receive in receivers:
            receive(batch)
    if target is not None:
        folder, annotator = target
        write_annotations(folder / f"{record.name}.{annotator}", annotations_of(kept), record.fs)
    if lines is None:
        page().print(summary.tables())


def paced(
    batches: Iterable[T],
    period: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[T]:
    """Ask for a batch every `period` seconds, the first after one: when its last sample would have been measured.

    A batch that takes longer delays none that follows: they catch up.
    """
    source = iter(batches)
    start = clock()
    for number in count(1):
        wait = start + number * period - clock()
        if wait > 0:
            sleep(wait)
        try:
            yield next(source)
        except StopIteration:
            return


def _shown(batches: Iterable[T], total: int, name: str) -> Iterator[T]:
    """Show progress on standard error once it has taken PATIENCE."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    progress = Progress(*columns, console=progress_console(), transient=True, redirect_stdout=False)
    task = progress.add_task(name, total=total)
    started = time.monotonic()
    try:
        for batch in batches:
            progress.advance(task)
            if not progress.live.is_started and time.monotonic() - started > PATIENCE:
                progress.start()
            yield batch
    finally:
        progress.stop()


def _models(
    model: Path | None, sha256: str | None, other: Path | None, other_sha256: str | None, no_model: bool
) -> Models | None:
    if no_model and model is not None:
        raise ConfigError("--model and --no-model contradict each other", remedy="give one of them")
    if sha256 is not None and model is None:
        raise ConfigError("goes with --model", where="--model-sha256", remedy="the model that ships has its own pin")
    if model is None and (other is not None or other_sha256 is not None):
        raise ConfigError("goes with --model", where="--other-model", remedy="a single model is given with --model")
    if other is None and other_sha256 is not None:
        raise ConfigError("goes with --other-model", where="--other-model-sha256", remedy="give both")
    if no_model:
        return None
    with progress_console().status("loading the models"):
        from monitor.classifier import load_models

        given = ((model, sha256), (other, other_sha256))
        return load_models([(path, digest) for path, digest in given if path is not None])


def _speed(text: str) -> float | None:
    """How many times real time; None: as fast as it goes."""
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0.0 < factor < float("inf"):
        raise ConfigError(f"{text!r} is neither max nor a positive number", where="--speed", remedy="try --speed 1")
    return factor


def _annotator(annotator: str | None, out: Path | None) -> tuple[Path, str] | None:
    """Folder and annotator of the annotation files; None: there are to be none."""
    if annotator is None and out is None:
        return None
    if annotator is None or out is None:
        raise ConfigError("--annotate and --out go together", remedy="for instance: --annotate wb --out annotations")
    if not (annotator.isascii() and annotator.isalpha()) or annotator.lower() in _TAKEN:
        raise ConfigError(
            f"{annotator!r} cannot be an annotator", where="--annotate", remedy=f"use letters, not {', '.join(_TAKEN)}"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"no such folder can be made ({error.strerror})", where=str(out), remedy="choose another for --out"
        ) from None
    return out, annotator


def _beds(records: Sequence[str], bed: str | None) -> list[str]:
    """The bed of each record."""
    from monitor.ecg import check_bed
    from monitor.replay import bed_of

    if bed is None:
        beds = [bed_of(Path(path).name.removesuffix(".hea").removesuffix(".dat")) for path in records]
        twice = {name for name in beds if beds.count(name) > 1}
        if twice:
            raise ConfigError(
                f"two records would be bed {min(twice)}", where="RECORD...", remedy="replay them one after the other"
            )
        return beds
    if len(records) > 1:
        raise ConfigError(f"one bed for {len(records)} records", where="--bed", remedy="replay them one by one")
    try:
        return [check_bed(bed)]
    except MessageError as error:
        raise ConfigError(error.what, where="--bed", remedy="for instance: --bed bed-01") from None
