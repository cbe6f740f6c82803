"""``wardbeat train-qrs``: weights of the detector's judge from annotated records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.options import Noise, WeightsFile, WeightsSeed

if TYPE_CHECKING:
    from trainer.weights.judge import Validation

Database = Annotated[str, typer.Option(metavar="NAME_OR_PATH", help="MIT-BIH Arrhythmia Database; DS1 is used.")]
More = Annotated[str, typer.Option(metavar="NAME_OR_PATH", help="QT Database, all of it; empty: DS1 alone.")]
Records = Annotated[str, typer.Option(help="Train on these records, for instance 101,106, instead of all of DS1.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Passes over the candidates, instead of the recipe's.")]
Validate = Annotated[bool, typer.Option("--validate/--no-validate", help="Cross-validate inside DS1 first.")]


def train_qrs(
    db: Database = "mitdb",
    more: More = "qtdb",
    noise: Noise = "nstdb",
    out: WeightsFile = Path("runs/qrs.safetensors"),
    seed: WeightsSeed = 0,
    records: Records = "",
    epochs: Epochs = None,
    validate: Validate = True,
) -> None:
    """Train the detector's judge.

    The monitor's own filters and detector find the candidates of the training records, clean and in noise, on each
    lead alone and on both. Test records, the noise record `em` and noise on records 118 and 119 are never used.
    """
    from dataclasses import replace

    import torch
    from rich.console import Console

    from monitor.records import find_database, record_names
    from trainer.progress import progress
    from trainer.scoring import stress
    from trainer.splits import training_records
    from trainer.weights.candidates import load
    from trainer.weights.judge import Recipe, batches_of, card_of, cross_validate, fit, save

    console = Console(stderr=True)
    torch.set_num_threads(1)  # repeatable to the bit, and no slower for so small a network
    folder, nstdb = find_database(db), find_database(noise)
    names = training_records(records)
    paths = [folder / name for name in names]
    if more:
        others = find_database(more)
        paths += [others / name for name in record_names(others)]
    recipe = Recipe() if epochs is None else replace(Recipe(), epochs=epochs)

    with progress(console, "collecting candidates", len(paths)) as step:
        found = load(paths, nstdb, seed, noisy=lambda name: name not in stress.RECORDS, progress=lambda: step(1))
    networks = {}
    validations: dict[str, list[Validation]] = {}
    for name, candidates in found.items():
        count = len(candidates.beats)
        console.print(f"network {name}: {count} candidates, {int(candidates.beats.sum())} of them beats")
        if validate:
            with progress(console, "cross-validating", 4 * batches_of(count, recipe)) as step:
                validations[name] = cross_validate(candidates, names, recipe, seed, step)
            _show(console, validations[name])
        with progress(console, f"training {name}", batches_of(count, recipe)) as step:
            networks[name] = fit(candidates, recipe, seed, step)
    trained_on = {"mitdb": list(names), "qtdb": "all" if more else "none", "nstdb": "ma and bw, minutes 0-15"}
    facts = {"trained_on": trained_on, "seed": seed, "attribution": _ATTRIBUTION}
    save(networks, out, facts | card_of(recipe, validations))
    typer.echo(f"{out}\nThe detector uses the weights in monitor/models/qrs-1.safetensors: put them there.")


_ATTRIBUTION = (
    "Weights trained on the MIT-BIH Arrhythmia Database, the MIT-BIH Noise Stress Test Database and the QT Database "
    "(PhysioNet, ODC-By 1.0): Moody GB, Mark RG, IEEE Eng Med Biol 20(3):45-50 (2001); Moody GB, Muldrow WE, Mark RG, "
    "Computers in Cardiology 11:381-384 (1984); Laguna P, Mark RG, Goldberger AL, Moody GB, Computers in Cardiology "
    "24:673-676 (1997); Goldberger AL et al., Circulation 101(23):e215 (2000)."
)


def _show(console: object, validations: list[Validation]) -> None:
    from rich.console import Console
    from rich.table import Table

    assert isinstance(console, Console)
    table = Table("candidates", "beats", "missed %", "extra %", title="Leave-records-out inside the training set")
    for v in validations:
        table.add_row(v.kind, str(v.beats), f"{v.missed:.3f}", f"{v.extra:.3f}")
    console.print(table)
