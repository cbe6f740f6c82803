"""``wardbeat recordings``: what was recorded, and how to take it elsewhere."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from monitor.cli.terminal import page
from monitor.exceptions import ConfigError

app = typer.Typer(
    help="List or export what the monitor recorded.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_Store = Annotated[
    Path | None, typer.Option("--store", help="The monitor's store (the setting store, or that in your state folder).")
]


class Format(StrEnum):
    """What is written."""

    WFDB = "wfdb"
    CSV = "csv"
    EDF = "edf"


@app.command("list")
def list_(
    bed: Annotated[str | None, typer.Option(help="Of this bed alone.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    store: _Store = None,
) -> None:
    """List recordings, by bed and time."""
    import json
    from dataclasses import asdict

    from rich import box
    from rich.table import Column, Table

    from monitor.recorder.catalogue import entries

    found = entries(_store(store), bed)
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in found], indent=1))
        return
    numbers = [Column(name, justify="right") for name in ("length", "gaps", "beats", "alarms", "MB")]
    table = Table("recording", "alias", "start", *numbers, "", box=box.SIMPLE_HEAD)
    for entry in found:
        seconds = round(entry.length / entry.fs)
        table.add_row(
            f"{entry.bed}/{entry.name}",
            entry.alias,
            f"{datetime.fromtimestamp(entry.begun):%Y-%m-%d %H:%M:%S}",
            f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}",
            *(str(number) for number in (entry.gaps, entry.beats, entry.alarms)),
            f"{entry.bytes / 1e6:.1f}",
            "" if entry.whole else "growing",
        )
    page().print(table if found else "no recordings")


@app.command()
def export(
    recording: Annotated[str | None, typer.Argument(metavar="[RECORDING]", help="As list shows it: BED/NAME.")] = None,
    bed: Annotated[str | None, typer.Option(help="All recordings of a bed instead.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="Not before: 2026-09-21T14:00, local time.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Not after.")] = None,
    form: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.WFDB,
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path(),
    store: _Store = None,
) -> None:
    """Write recordings as WFDB, CSV or EDF+, with beats and rhythms."""
    from monitor.recorder.catalogue import entries, find
    from monitor.recorder.export import export as write

    if (recording is None) == (bed is None):
        raise ConfigError("name a recording, or a bed with --bed", where="wardbeat recordings export")
    root = _store(store)
    chosen = entries(root, bed) if recording is None else [find(root, recording)]
    first, last = _time(start, "--from"), _time(end, "--to")
    files = [file for entry in chosen for file in write(root, entry, form.value, out, first, last)]
    if not files:
        raise ConfigError(
            "nothing was recorded then", where=recording or str(bed), remedy="see wardbeat recordings list"
        )
    for file in files:
        typer.echo(file)


def _time(text: str | None, option: str) -> float | None:
    try:
        return None if text is None else datetime.fromisoformat(text).timestamp()
    except ValueError:
        remedy = "for instance 2026-09-21T14:00"
        raise ConfigError(f"{text!r:.40} is not a time", where=option, remedy=remedy) from None


def _store(given: Path | None) -> Path:
    from monitor.settings import default_store, load_settings

    return given or load_settings().store or default_store()
