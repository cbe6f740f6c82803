"""``wardbeat config``: what is set, and where it comes from."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from monitor.cli.terminal import page

app = typer.Typer(
    help="Show what is set, and where it comes from.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def config() -> None:
    """Show what is set, and where it comes from."""


@app.command()
def show(
    file: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="TOML file (wardbeat.toml in your configuration folder)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show every setting of the monitor with its origin: a WARDBEAT_* variable, the file, or the default.

    Options of wardbeat serve come before all of these.

    Examples:

        wardbeat config show

        WARDBEAT_PORT=9000 wardbeat config show --json
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from monitor.settings import explain

    path, settings = explain(file)
    if as_json:
        told = {"file": str(path), "exists": path.exists(), "settings": [asdict(setting) for setting in settings]}
        typer.echo(json.dumps(told, indent=1))
        return
    table = Table("setting", "value", "from", box=box.SIMPLE_HEAD)
    for setting in settings:
        value = "-" if setting.value is None else str(setting.value)
        style = "dim" if setting.origin == "default" else ""
        table.add_row(Text(setting.name), Text(value), Text(setting.origin), style=style)
    console = page()
    console.print(table)
    there = "" if path.exists() else " (there is none)"
    console.print(f"file: {path}{there}", markup=False, soft_wrap=True)
