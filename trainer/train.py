"""``wardbeat train``: from annotated records to a TorchScript model with its card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from trainer.dataset import Beats
    from trainer.training import Recipe, Validation

Database = Annotated[str, typer.Option(metavar="NAME_OR_PATH", help="MIT-BIH Arrhythmia Database; DS1 is used.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder for the model and its card.")]
Name = Annotated[str, typer.Option(help="Name of the model.")]
Seed = Annotated[int, typer.Option(help="Seed of weights, order and augmentation.")]
Only = Annotated[str, typer.Option("--recipe", help="Train this recipe; without it, cross-validation chooses.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Passes over the beats, instead of the recipe's.")]
Records = Annotated[str, typer.Option(help="Train on these records, for instance 101,106, instead of all of DS1.")]


def train(
    db: Database = "mitdb",
    out: Out = Path("runs"),
    name: Name = "beats",
    seed: Seed = 0,
    recipe: Only = "",
    epochs: Epochs = None,
    records: Records = "",
) -> None:
    """Train a beat classifier.

    The monitor's own front end finds the beats of the training records, on each of their leads alone. Unless a
    recipe is named, leave-records-out cross-validation inside those records chooses one. The chosen recipe is
    trained on all of them and exported. Test records are never opened.
    """
    import torch
    from rich.console import Console

    from monitor.records import find_database
    from trainer.dataset import join
    from trainer.export import export
    from trainer.progress import progress
    from trainer.recipes import RECIPES, find_recipe
    from trainer.splits import training_records
    from trainer.training import batches_of, cross_validate
    from trainer.training import train as train_net

    console = Console(stderr=True)
    torch.set_num_threads(1)  # repeatable to the bit, and no slower for so small a network
    database = find_database(db)
    names = training_records(records)
    candidates = [find_recipe(recipe)] if recipe else list(RECIPES)
    if epochs is not None:
        candidates = [candidate.with_epochs(epochs) for candidate in candidates]

    beats, extra = _load(console, database, names)
    console.print(f"{len(beats)} beats on the first lead, {len(extra)} on the second: {beats.counts()}")
    validations: list[Validation] = []
    if not recipe:
        for candidate in candidates:
            total = 4 * batches_of(len(beats) + len(extra), candidate)  # five folds, each on four fifths
            with progress(console, f"cross-validating {candidate.name}", total) as step:
                validations.append(cross_validate(beats, extra, candidate, seed, step))
        _show(console, validations)
    chosen: Recipe = max(validations, key=lambda v: v.score).recipe if validations else candidates[0]
    everything = join([beats, extra])
    with progress(console, f"training {chosen.name}", batches_of(len(everything), chosen)) as step:
        net = train_net(everything, chosen, seed, step)
    facts: dict[str, Any] = {
        "trained_on": {"database": "mitdb", "records": list(names), "leads": "each of two, alone"},
        "beats": everything.counts(),
        "recipe": chosen.as_dict(),
        "seed": seed,
        "cross_validation": [validation.as_dict() for validation in validations],
    }
    path, digest = export(net, out, name, facts)
    typer.echo(f"{path}\nsha256 {digest}\nUse it: wardbeat serve --model {path} --model-sha256 {digest}")


def _load(console: Any, database: Path, names: tuple[str, ...]) -> tuple[Beats, Beats]:
    from trainer.dataset import load
    from trainer.progress import progress

    with progress(console, "finding beats", 2 * len(names)) as step:
        first = load(database, names, 0, lambda: step(1))
        second = load(database, names, 1, lambda: step(1))
    return first, second


def _show(console: Any, validations: list[Validation]) -> None:
    from rich.table import Table

    table = Table("recipe", "V F1", "S F1", "accuracy", "score", title="Leave-records-out inside the training set, %")
    for v in validations:
        table.add_row(v.recipe.name, f"{v.v_f1:.2f}", f"{v.s_f1:.2f}", f"{v.accuracy:.2f}", f"{v.score:.2f}")
    console.print(table)
