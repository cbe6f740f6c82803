"""``wardbeat train-vf``: weights that tell ventricular fibrillation and tachycardia, from annotated records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.options import Noise, WeightsFile, WeightsSeed

if TYPE_CHECKING:
    from trainer.scoring.fibrillation_scores import Score

Database = Annotated[
    str, typer.Option(metavar="NAME_OR_PATH", help="Malignant Ventricular Ectopy Database, all of it.")
]
Mitdb = Annotated[str, typer.Option(metavar="NAME_OR_PATH", help="MIT-BIH Arrhythmia Database; DS1 is used.")]
More = Annotated[str, typer.Option(metavar="NAME_OR_PATH", help="QT Database, all of it; empty: without.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Passes over the looks, instead of the recipe's.")]


def train_vf(
    db: Database = "vfdb",
    mitdb: Mitdb = "mitdb",
    more: More = "qtdb",
    noise: Noise = "nstdb",
    out: WeightsFile = Path("runs/vf.safetensors"),
    seed: WeightsSeed = 0,
    epochs: Epochs = None,
) -> None:
    """Train what tells ventricular fibrillation, flutter and tachycardia from the signal.

    Beside the network of the monitor, one is trained for each fold of the
    records without those of the fold. The file holds them all: the scores that
    are shown and kept in its card are of records by networks that have not seen
    them. Test records of MIT-BIH and the noise record `em` are never used.
    """
    from dataclasses import replace

    import torch
    from rich.console import Console

    from monitor.fibrillation_weights import load as load_weights
    from monitor.records import find_database, record_names
    from trainer.progress import progress
    from trainer.scoring.fibrillation_scores import evaluate
    from trainer.splits import DS1
    from trainer.weights import fibrillation, fibrillation_looks

    console = Console(stderr=True)
    torch.set_num_threads(1)  # repeatable to the bit, and no slower for so small a network
    folder, nstdb, arrhythmia = find_database(db), find_database(noise), find_database(mitdb)
    vfdb = [folder / name for name in record_names(folder)]
    ds1 = [arrhythmia / name for name in sorted(set(DS1) & set(record_names(arrhythmia)))]
    quiet = []
    if more:
        others = find_database(more)
        quiet = [others / name for name in record_names(others)]
    recipe = fibrillation.Recipe() if epochs is None else replace(fibrillation.Recipe(), epochs=epochs)

    with progress(console, "describing records", len(vfdb) + len(ds1) + len(quiet)) as step:
        looks = fibrillation_looks.load(vfdb, [*ds1, *quiet], nstdb, seed, lambda: step(1))
    names = [fibrillation_looks.name_of(path) for path in (*vfdb, *ds1, *quiet)]
    count = len(looks.positive)
    console.print(f"{count} looks, {int(looks.positive.sum())} of them at tachycardia or fibrillation")
    with progress(console, "training", (fibrillation.FOLDS + 1) * fibrillation.batches_of(count, recipe)) as step:
        final = fibrillation.fit(looks, recipe, seed, step)
        others_fit = fibrillation.fit_folds(looks, names, recipe, seed, step)
    groups = fibrillation.left_out(names)
    trained_on = {"vfdb": "all", "mitdb": [path.name for path in ds1], "qtdb": "all" if more else "none"}
    facts = {
        "trained_on": trained_on | {"nstdb": "ma and bw, minutes 0-15"},
        "seed": seed,
        "attribution": _ATTRIBUTION,
    } | fibrillation.card_of(recipe)
    fibrillation.save(final, others_fit, groups, out, facts)
    networks = load_weights(out)
    scores = {"vfdb": evaluate(vfdb, networks), "mitdb DS1": evaluate(ds1, networks)}
    found = {name: score.to_json() for name, score in scores.items()}
    fibrillation.save(final, others_fit, groups, out, facts | {"cross_validation": found})
    _show(console, scores)
    typer.echo(f"{out}\nThe monitor uses the weights in monitor/models/vf-1.safetensors: put them there.")


_ATTRIBUTION = (
    "Weights trained on the MIT-BIH Malignant Ventricular Ectopy Database, the MIT-BIH Arrhythmia Database, the "
    "MIT-BIH Noise Stress Test Database and the QT Database (PhysioNet, ODC-By 1.0): Greenwald SD, MS thesis, MIT "
    "(1986); Moody GB, Mark RG, IEEE Eng Med Biol 20(3):45-50 (2001); Moody GB, Muldrow WE, Mark RG, Computers in "
    "Cardiology 11:381-384 (1984); Laguna P, Mark RG, Goldberger AL, Moody GB, Computers in Cardiology 24:673-676 "
    "(1997); Goldberger AL et al., Circulation 101(23):e215 (2000)."
)


def _show(console: object, scores: dict[str, Score]) -> None:
    from statistics import median

    from rich.console import Console
    from rich.table import Table

    from trainer.scoring.fibrillation_scores import ALLOWANCE_S, LONG_S

    assert isinstance(console, Console)
    headings = ("", "Se %", "Sp %", "PPV %", "verdicts", "of VF")
    table = Table(*headings, title="By duration, by networks that have not seen the record")
    for name, score in scores.items():
        for title, found in (
            ("VF and VT", score.both),
            (f"VF and VT, {ALLOWANCE_S:g} s allowed", score.allowed),
            ("VF and VT, readable", score.readable),
            ("VF alone", score.fibrillation),
            ("VT alone", score.tachycardia),
        ):
            figures = (found.sensitivity, found.specificity, found.ppv)
            counts = (score.told, score.told_fibrillation) if found is score.both else ("", "")
            table.add_row(f"{name}: {title}", *(f"{figure:.1f}" for figure in figures), *map(str, counts))
        delay = f"{median(score.delays):.1f} s" if score.delays else "-"
        console.print(f"{name}: {score.found} of {score.episodes} episodes of {LONG_S:g} s, median after {delay}")
    console.print(table)
