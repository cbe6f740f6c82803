"""``wardbeat data``: where databases are, and how to get them."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Annotated, Final

import typer

from monitor.cli.terminal import page, progress_console
from monitor.exceptions import RecordError

KNOWN: Final = {
    "mitdb": "MIT-BIH Arrhythmia: the detector's and the classifier's scores, training",
    "nstdb": "MIT-BIH Noise Stress Test: noise to add",
    "qtdb": "QT: more patients, other leads, P waves",
    "vfdb": "MIT-BIH Malignant Ventricular Ectopy: flutter and fibrillation",
}
"""Databases of PhysioNet that wardbeat has a use for; others can be had by their names too."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*")

app = typer.Typer(
    help="Find or download databases.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("list")
def list_() -> None:
    """List databases, where each is looked for, and whether it is there."""
    from rich import box
    from rich.table import Column, Table
    from rich.text import Text

    from monitor.records import DATA_VARIABLE, cache_folder, find_database

    table = Table("name", Column("where", overflow="fold"), "what it is", box=box.SIMPLE_HEAD)
    for name, what in KNOWN.items():
        try:
            where = Text(str(find_database(name).resolve()), style="green")
        except RecordError:
            where = Text("not found", style="dim")
        table.add_row(name, where, what)
    console = page()
    console.print(table)
    root = os.environ.get(DATA_VARIABLE)
    places = (Path.cwd(), f"${DATA_VARIABLE}: {root or 'not set'}", cache_folder())
    console.print(f"Looked for, in this order, in {'; '.join(map(str, places))}", soft_wrap=True, markup=False)


@app.command()
def get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of a PhysioNet database, for instance mitdb.")],
) -> None:
    """Download a database from PhysioNet into wardbeat's cache.

    An interrupted download is taken up where it stopped; the database is
    found once it is complete. Please cite it, and PhysioNet, as its page asks:
    https://physionet.org/content/NAME
    """
    import wfdb
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from monitor.records import cache_folder, check_record

    if not _NAME.fullmatch(name):
        raise RecordError("not the name of a PhysioNet database", where=name, remedy=f"for instance {', '.join(KNOWN)}")
    target = cache_folder() / name
    if target.is_dir():
        typer.echo(f"{name} is there already: {target}")
        return
    draft = target.with_name(f"{name}.part")
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=progress_console(), transient=True, redirect_stdout=False) as progress:
        task = progress.add_task(f"asking PhysioNet for {name}", total=None)
        with _from_physionet(name):
            records = wfdb.get_record_list(name)
        if not records:
            raise RecordError("has no WFDB records", where=name, remedy=f"known are {', '.join(KNOWN)}")
        progress.update(task, total=len(records))
        for record in records:
            progress.update(task, description=record)
            with _from_physionet(name):
                wfdb.dl_database(name, str(draft), records=[record])
            check_record(draft / record, ["0"])
            progress.advance(task)
    draft.rename(target)
    typer.echo(f"{name}: {len(records)} records in {target}")


@contextmanager
def _from_physionet(name: str) -> Iterator[None]:
    """Let wfdb download something: without what it prints, and with errors that say what to do."""
    try:
        with redirect_stdout(io.StringIO()):
            yield
    except Exception as error:  # wfdb raises whatever requests, the answer or the disk led to
        raise _explained(error, name) from None


def _explained(error: Exception, name: str) -> RecordError:
    from monitor.records import DATA_VARIABLE

    if isinstance(error, OSError) and error.strerror:  # only the system's own errors have one
        where = str(error.filename or "the cache folder")
        return RecordError(f"cannot be written ({error.strerror})", where=where, remedy="make room and try again")
    if isinstance(error, FileNotFoundError):
        return RecordError("not found at PhysioNet", where=name, remedy=f"known are {', '.join(KNOWN)}")
    return RecordError(
        f"cannot be downloaded ({type(error).__name__})",
        where=f"https://physionet.org/content/{name}",
        remedy=f"check the network and try again, or name the folder above it in ${DATA_VARIABLE}",
    )
