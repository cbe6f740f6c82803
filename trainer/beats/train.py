"""``wardbeat train``: from annotated records to a TorchScript model with its card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainer.beats.dataset_cli import MadeUp, Noise, NoiseDatabase, Ratios
from trainer.options import Device, Processes, Seed, console, page

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from trainer.beats.dataset import DataSet
    from trainer.beats.experiment import Comparison, Experiment
    from trainer.beats.recipes import Recipe

Config = Annotated[
    str, typer.Option(metavar="FILE", help="An experiment; the one that made the shipped model if not given.")
]
Variant = Annotated[str, typer.Option(help="Train this variant; without it, cross-validation chooses.")]
LeadCount = Annotated[int, typer.Option("--leads", min=1, max=2, help="A model for one lead, or for two.")]
Databases = Annotated[
    str, typer.Option("--db", metavar="NAME_OR_PATH,...", help="Databases to build the data set from.")
]
Records = Annotated[
    str, typer.Option(help="... of these records, for instance 101,106, instead of DS1 and all of others.")
]
Folder = Annotated[
    Path | None,
    typer.Option("--dataset", metavar="DIR", help="A data set; DIR of --out if not given. Built if need be."),
]
Without = Annotated[str, typer.Option(metavar="CLASSES", help="Classes that may be missing, for instance F,Q.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder for the model, its card and what is kept on the way.")]
Name = Annotated[str, typer.Option(help="Name of the model; beats-1lead or beats-2leads if not given.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Passes over the beats, instead of the recipe's.")]
Validate = Annotated[
    bool, typer.Option("--validate/--no-validate", help="Cross-validate, for the choice and the card.")
]
Soft = Annotated[
    Path | None,
    typer.Option(
        "--soft-labels", metavar="FILE.npy", help="Probabilities to learn from: a row a beat of the data set."
    ),
]


def train(
    config: Config = "",
    variant: Variant = "",
    leads: LeadCount = 1,
    db: Databases = "mitdb,qtdb",
    records: Records = "",
    noise: Noise = "ma,motion",
    snr: Ratios = "16,8",
    noise_db: NoiseDatabase = "nstdb",
    made_up: MadeUp = 2,
    dataset: Folder = None,
    without: Without = "",
    out: Out = Path("runs"),
    name: Name = "",
    seed: Seed = 0,
    epochs: Epochs = None,
    validate: Validate = True,
    soft_labels: Soft = None,
    processes: Processes = 2,
    device: Device = "auto",
) -> None:
    """Train a beat classifier.

    The monitor's own front end finds the beats of the training records. Leave-records-out cross-validation inside
    them chooses among the variants of the experiment; the chosen one is trained on all records and exported. Test
    records are never opened. Interrupted, the same command goes on where it was.
    """
    import torch

    from trainer.beats.dataset_cli import classes_of, noises_of
    from trainer.beats.experiment import find_experiment
    from trainer.beats.export import export
    from trainer.beats.training import check_classes, device_of, rows_for, train_members

    where = device_of(device)
    torch.set_num_threads(1)  # repeatable to the bit, and no slower for so small a network
    experiment = _with_epochs(find_experiment(config or _default(leads), leads), epochs)
    if variant:
        experiment = _only(experiment, experiment.variant(variant))
    plan = {"noises": noises_of(noise, snr), "nstdb": noise_db, "made_up": made_up}
    data = _data_set(dataset or out / "dataset", db, records, plan, classes_of(without), processes)
    beats = data.for_training().beats(leads)
    for recipe in experiment.recipes:
        check_classes(beats, rows_for(beats, recipe), data.manifest["without"])
    found: list[Comparison] = []
    if validate:
        found = _validate(experiment, data, out, processes, device)
    elif len(experiment.recipes) > 1:
        experiment.variant("")  # which of them? an error says so
    chosen = experiment.variant(found[0].name) if found else experiment.recipes[0]
    rows = rows_for(beats, chosen)
    soft = None if soft_labels is None else _soft(soft_labels, len(beats))
    with _progress(chosen, len(rows)) as step:
        nets, made = train_members(
            beats, rows, chosen, seed, step, soft=soft, device=where, keep=out / "checkpoints" / chosen.name
        )
    facts = _facts(data, chosen, seed, beats.counts(rows), [one.best for one in made], found)
    path, digest = export(nets, out, name or f"beats-{leads}lead{'s' * (leads > 1)}", facts)
    typer.echo(f"{path}\nsha256 {digest}\nUse it: wardbeat serve --model {path} --model-sha256 {digest}")


def _default(leads: int) -> str:
    return f"beats-{leads}lead{'s' * (leads > 1)}"


def _with_epochs(experiment: Experiment, epochs: int | None) -> Experiment:
    from dataclasses import replace

    if epochs is None:
        return experiment
    return replace(experiment, recipes=tuple(replace(recipe, epochs=epochs) for recipe in experiment.recipes))


def _only(experiment: Experiment, recipe: Recipe) -> Experiment:
    from dataclasses import replace

    return replace(experiment, recipes=(recipe,))


def _data_set(folder: Path, db: str, records: str, more: dict[str, Any], without: list[str], processes: int) -> DataSet:
    """The data set that is there, if it fits the front end; else a new one."""
    from trainer.beats.dataset import MANIFEST, DataSet, build, plan
    from trainer.options import words
    from trainer.progress import progress
    from trainer.splits import refuse_test_records

    refuse_test_records(words(records), "--records")
    if (folder / MANIFEST).is_file():
        return DataSet(folder)
    sources = plan(words(db), records=words(records), **more)
    with progress(console(), "finding beats", len(sources)) as step:
        return build(sources, folder, without=without, processes=processes, progress=step)


def _validate(experiment: Experiment, data: DataSet, out: Path, processes: int, device: str) -> list[Comparison]:
    from trainer.beats.experiment import compare, run_all, runs_of
    from trainer.beats.experiments_report import result_tables, write_experiment, write_report
    from trainer.progress import progress

    folder = out / "experiments" / experiment.name
    runs = runs_of(experiment, data, folder, device)
    write_experiment(experiment, data.folder, folder)
    with progress(console(), "cross-validating", len(runs)) as step:
        run_all(runs, processes, step)
    found = compare(runs)
    write_report(experiment, found, folder)
    page().print(result_tables(experiment, found)[0].to_rich())
    return found


def _progress(recipe: Recipe, beats: int) -> Any:
    from trainer.beats.training import batches_of
    from trainer.progress import progress

    return progress(console(), f"training {recipe.name}", recipe.members * batches_of(beats, recipe))


def _soft(file: Path, beats: int) -> NDArray[np.float32]:
    import numpy as np

    from monitor.ecg import AAMI_CLASSES
    from monitor.exceptions import ConfigError

    try:
        soft: NDArray[np.float32] = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot be read ({error})", where=str(file), remedy="give a file of NumPy") from None
    if soft.shape != (beats, len(AAMI_CLASSES)) or soft.dtype != np.float32:
        remedy = f"({beats}, {len(AAMI_CLASSES)}) float32 is needed"
        raise ConfigError(f"{soft.shape} {soft.dtype}", where=str(file), remedy=remedy)
    return soft


def _facts(
    data: DataSet, recipe: Recipe, seed: int, counts: dict[str, int], epochs: list[int], found: list[Comparison]
) -> dict[str, Any]:
    """What the card says beside the contract."""
    from trainer.beats.export import attribution

    records: dict[str, list[str]] = {}
    for source in data.sources:
        if not recipe.databases or source["database"] in recipe.databases:
            names = records.setdefault(source["database"], [])
            if source["record"] not in names:
                names.append(source["record"])
    noisy = recipe.noisy and any(source["noise"] is not None for source in data.sources)
    return {
        "trained_on": records,
        "attribution": attribution(set(records) | ({"nstdb"} if noisy else set())),
        "beats": counts,
        "data_set": data.digest,
        "recipe": recipe.as_dict(),
        "seed": seed,
        "epochs": epochs,
        "cross_validation": [one.as_dict() for one in found],
    }
