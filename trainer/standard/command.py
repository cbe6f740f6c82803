"""``wardbeat bench standard``: the standard waveforms, as the table that bedside monitors publish."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from trainer.options import page, words
from trainer.scoring.evaluate import write_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.classifier import Models
    from trainer.reporting.tables import Table
    from trainer.standard.listen import Heard, Trial
    from trainer.standard.rows import Line

VERDICTS: Final = {True: "pass", False: "FAIL", None: "told"}


def standard(
    phases: Annotated[
        int, typer.Option(min=1, max=10_000, help="Phases of the asystole; other rows take a tenth and fewer.")
    ] = 1000,
    rows: Annotated[str, typer.Option(metavar="1,2,7", help="Some of the rows only.")] = "",
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures as JSON.")] = None,
    no_model: Annotated[bool, typer.Option("--no-model", help="Name beats by the detector's own rule.")] = False,
) -> None:
    """Put the waveforms by which bedside monitors are tested to the monitor.

    Heart-rate accuracy, rates beyond the range, what is no QRS, tall T waves,
    irregular rhythms, steps of the rate, asystole, pacer residue, ventricular
    tachycardia and fibrillation, drift, mains, rail, lead off, and each
    definition at its edge: what must be, what was, and what others publish.

    Each waveform plays in a bed of its own, one lead at 360 Hz, through the
    whole core. Times are counted on the sample clock. Drawn from public
    descriptions, modelled on IEC 60601-2-27 and ANSI/AAMI EC13; no conformity
    is claimed. Not a medical device.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from monitor.classifier import load_models
    from monitor.exceptions import ConfigError
    from monitor.machine import describe
    from trainer.standard.listen import listen
    from trainer.standard.rows import ROWS

    chosen = [int(word) if word.isdecimal() else -1 for word in words(rows)] or list(ROWS)
    if unknown := [number for number in chosen if number not in ROWS]:
        remedy = f"choose some of {', '.join(map(str, ROWS))}"
        raise ConfigError("no such row", where=rows if unknown else "", remedy=remedy)
    models: Models | None = None if no_model else load_models(strict=True)
    one, two = models or (None, None)
    lines: list[Line] = []
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=len(chosen))

        def show(trials: Any) -> list[Heard]:
            shown: Sequence[Trial] = list(trials)
            return listen(shown, one, two)

        for number in chosen:
            bar.update(task, description=f"row {number}: {(ROWS[number].__doc__ or '').split(': ')[-1]}")
            lines += ROWS[number](show, phases)
            bar.advance(task)
    output = page()
    output.print(_table(lines).to_rich())
    for line in lines:
        if line.passed is False:
            output.print(f"row {line.row}, {line.what}: {'; '.join(line.failures)}", style="dim", markup=False)
    passed, required = sum(line.passed is True for line in lines), sum(line.passed is not None for line in lines)
    output.print(f"[bold]{passed} of {required}[/] required lines pass; {phases} phases. No conformity is claimed.")
    if json_file is not None:
        document = {
            "bench": "standard",
            "phases": phases,
            "model_sha256": None if models is None else models.digests,
            "machine": describe("wardbeat", "numpy", "numba", "torch"),
            "lines": [_json(line) for line in lines],
        }
        write_file(json_file, json.dumps(document, indent=1, allow_nan=False) + "\n")


def _table(lines: Sequence[Line]) -> Table:
    from trainer.reporting.tables import Table

    rows = [
        (str(line.row), line.what, line.requirement, line.measured, VERDICTS[line.passed], line.others)
        for line in lines
    ]
    columns = ("row", "case", "requirement", "measured", "", "others")
    return Table("Standard waveforms", columns, rows, names=len(columns))


def _json(line: Line) -> dict[str, Any]:
    """A line as an object; a figure that is infinite - never - is null."""
    return {
        "row": line.row,
        "case": line.what,
        "requirement": line.requirement,
        "measured": line.measured,
        "passed": line.passed,
        "others": line.others,
        "values": {name: value if math.isfinite(value) else None for name, value in line.values.items()},
        "failures": list(line.failures),
    }
