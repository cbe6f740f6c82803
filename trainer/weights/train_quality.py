"""``wardbeat train-quality``: weights of the verdict on signal quality from annotated records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.options import Noise, WeightsFile, WeightsSeed

if TYPE_CHECKING:
    from trainer.weights.quality import Validation

Challenge = Annotated[str, typer.Option(metavar="NAME_OR_PATH", help="Challenge 2017: recordings and what they are.")]
Rhythms = Annotated[str, typer.Option(metavar="NAME_OR_PATH", help="Malignant Ventricular Ectopy Database.")]
Database = Annotated[str, typer.Option(metavar="NAME_OR_PATH", help="MIT-BIH Arrhythmia Database; DS1 is used.")]
Records = Annotated[str, typer.Option(help="Train on these records of DS1, for instance 101,106, instead of all.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Passes over the half seconds, instead of the recipe's.")]
Validate = Annotated[bool, typer.Option("--validate/--no-validate", help="Cross-validate first, records left out.")]


def train_quality(
    challenge: Challenge = "challenge2017",
    rhythms: Rhythms = "vfdb",
    db: Database = "mitdb",
    noise: Noise = "nstdb",
    out: WeightsFile = Path("runs/quality.safetensors"),
    seed: WeightsSeed = 0,
    records: Records = "",
    epochs: Epochs = None,
    validate: Validate = True,
) -> None:
    """Train the verdict on signal quality.

    The monitor's own measures of every half second of a lead are learnt from. What networks say of records that they
    have not seen, one of five parts left out in turns, is written into the weights' card; `wardbeat evaluate quality`
    shows it. Test records, the noise record `em` and noise on records 118 and 119 are never used.
    """
    from dataclasses import replace

    import torch
    from rich.console import Console

    from monitor.records import find_database, record_names
    from trainer.progress import progress
    from trainer.splits import FOLDS, training_records
    from trainer.weights.quality import Recipe, card_of, cross_validate, fit, save
    from trainer.weights.quality_examples import load, readings

    console = Console(stderr=True)
    torch.set_num_threads(1)  # repeatable to the bit, and no slower for so small a network
    folders = find_database(challenge), find_database(rhythms), find_database(db)
    nstdb = find_database(noise)
    names = training_records(records)
    recipe = Recipe() if epochs is None else replace(Recipe(), epochs=epochs)
    total = len(readings(folders[0])) + len(record_names(folders[1])) + len(names)
    with progress(console, "measuring records", total) as step:
        stretches = load(*folders, names, nstdb, seed, lambda: step(1))
    validation = None
    if validate:
        with progress(console, "cross-validating", FOLDS) as step:
            validation = cross_validate(stretches, recipe, seed, lambda: step(1))
        _show(console, validation)
    with progress(console, "training", 1):
        parts = fit(stretches, recipe, seed)
    trained_on = {
        "challenge2017": "all",
        "vfdb": "all",
        "mitdb": list(names),
        "nstdb": "ma and bw, minutes 0-15",
    }
    facts = {"trained_on": trained_on, "seed": seed, "attribution": _ATTRIBUTION}
    save(parts, out, facts | card_of(recipe, validation))
    typer.echo(f"{out}\nThe monitor uses the weights in monitor/models/quality-1.safetensors: put them there.")


_ATTRIBUTION = (
    "Weights trained on recordings of the PhysioNet/CinC Challenge 2017, the MIT-BIH Malignant Ventricular Ectopy "
    "Database, the MIT-BIH Arrhythmia Database and the MIT-BIH Noise Stress Test Database (PhysioNet, ODC-By 1.0): "
    "Clifford GD et al., Computing in Cardiology 44 (2017), doi:10.22489/CinC.2017.065-469; Greenwald SD, thesis, MIT "
    "(1986); Moody GB, Mark RG, IEEE Eng Med Biol 20(3):45-50 (2001); Moody GB, Muldrow WE, Mark RG, Computers in "
    "Cardiology 11:381-384 (1984); Goldberger AL et al., Circulation 101(23):e215 (2000)."
)


def _show(console: object, validation: Validation) -> None:
    from rich.console import Console
    from rich.table import Table

    assert isinstance(console, Console)
    table = Table("records not seen", "% called noisy", title="Cross-validation, records left out in five parts")
    for title, share in validation.flagged.items():
        table.add_row(f"recordings {title}, flagged", f"{share:.2f}")
    for title, share in validation.noisy.items():
        table.add_row(f"half seconds, {title}", f"{share:.2f}")
    console.print(table)
