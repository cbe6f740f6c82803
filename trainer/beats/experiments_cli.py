"""``wardbeat experiments``: ways to train, compared."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.options import Device, Processes, console, group, page

if TYPE_CHECKING:
    from trainer.beats.experiment import Comparison, Experiment

app = group("Compare ways to train, leave-records-out.")

DataFolder = Annotated[Path, typer.Option("--dataset", metavar="DIR", help="A data set that wardbeat dataset built.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


@app.command()
def run(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A TOML file, or one that ships: quick, beats-1lead ...")],
    dataset: DataFolder = Path("runs/dataset"),
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="For results; runs/experiments/NAME if not given.")
    ] = None,
    leads: Annotated[int | None, typer.Option(min=1, max=2, help="Leads, instead of those in the file.")] = None,
    processes: Processes = 2,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Train every variant once a seed and fold, and name the beats of the patients left out.

    Each result is written when it is there: start the same command again and it goes on at what is missing.
    """
    from trainer.beats.dataset import DataSet
    from trainer.beats.experiment import compare, find_experiment, run_all, runs_of
    from trainer.beats.experiments_report import write_experiment, write_report
    from trainer.beats.training import device_of
    from trainer.progress import progress

    experiment = find_experiment(file, leads)
    device_of(device)
    folder = out or Path("runs/experiments") / experiment.name
    runs = runs_of(experiment, DataSet(dataset), folder, device)
    write_experiment(experiment, dataset, folder)
    with progress(console(), experiment.name, len(runs)) as step:
        run_all(runs, processes, step)
    found = compare(runs)
    write_report(experiment, found, folder)
    _print(experiment, found, as_json)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Results of wardbeat experiments run.")],
    dataset: Annotated[Path | None, typer.Option(metavar="DIR", help="The data set, if it was moved.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show results, as far as they are there."""
    from trainer.beats.dataset import DataSet
    from trainer.beats.experiment import compare, read_experiment, runs_of

    experiment, where = read_experiment(folder)
    _print(experiment, compare(runs_of(experiment, DataSet(dataset or where), folder)), as_json)


def _print(experiment: Experiment, found: list[Comparison], as_json: bool) -> None:
    from trainer.beats.experiments_report import as_json as document
    from trainer.beats.experiments_report import result_tables

    if as_json:
        json.dump(document(experiment, found), sys.stdout, indent=1)
        sys.stdout.write("\n")
        return
    for table in result_tables(experiment, found):
        page().print(table.to_rich())
