"""``wardbeat dataset``: the labelled beats that training reads."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from trainer.options import Processes, Seed, console, group, page, words

app = group("Build or show a data set of labelled beats.")

Databases = Annotated[str, typer.Option("--db", metavar="NAME_OR_PATH,...", help="Databases with reference beats.")]
Records = Annotated[
    str, typer.Option(help="Records, for instance 101,106; DS1 of MIT-BIH and all of others if not given.")
]
Leads = Annotated[str, typer.Option(help="Choices of leads: first, second, both, or names: MLII,V1,MLII+V1.")]
Noise = Annotated[str, typer.Option(metavar="ma|bw|motion,...", help="Add copies with this noise.")]
Ratios = Annotated[str, typer.Option("--snr", metavar="DB,...", help="... at these signal-to-noise ratios.")]
MadeUp = Annotated[
    int,
    typer.Option(min=0, metavar="COPIES", help="Add so many made-up records of each kind a patient."),
]
NoiseDatabase = Annotated[str, typer.Option("--noise-db", metavar="NAME_OR_PATH", help="Noise Stress Test Database.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the data set; one that is there is replaced.")]
Test = Annotated[bool, typer.Option("--test", help="For scores, of test records; never trained on.")]
Without = Annotated[str, typer.Option(metavar="CLASSES", help="Classes that may be missing, for instance F,Q.")]


@app.command()
def build(
    db: Databases = "mitdb,qtdb",
    records: Records = "",
    leads: Leads = "first,second,both",
    noise: Noise = "",
    snr: Ratios = "12",
    noise_db: NoiseDatabase = "nstdb",
    made_up: MadeUp = 0,
    out: Out = Path("runs/dataset"),
    test: Test = False,
    without: Without = "",
    seed: Seed = 0,
    processes: Processes = 2,
) -> None:
    """Find and label the beats of records with the monitor's own front end.

    Each record is analysed on each choice of its leads, as recorded and, if asked for, with noise added (minutes 0-15
    of the noise records; 118 and 119 stay without). Made-up records tell a patient's own beats in another order, with
    atrial premature beats or with those of a made-up ventricular focus. The folder is written whole or not at all.
    """
    from trainer.beats import dataset
    from trainer.progress import progress

    sources = dataset.plan(
        words(db),
        records=words(records),
        lead_sets=words(leads),
        noises=noises_of(noise, snr),
        nstdb=noise_db,
        made_up=made_up,
        seed=seed,
        test=test,
    )
    with progress(console(), "finding beats", len(sources)) as step:
        made = dataset.build(
            sources, out, test=test, without=classes_of(without), seed=seed, processes=processes, progress=step
        )
    _show(made)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A data set.")] = Path("runs/dataset"),
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw beats of each class, and classes by record.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Compare the arrays with their digests.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest.")] = False,
) -> None:
    """Show what is in a data set."""
    from trainer.beats.dataset import DataSet

    data = DataSet(folder)
    if check:
        data.check()
    if as_json:
        json.dump(data.manifest, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        _show(data)
    if plots is not None:
        from trainer.beats.dataset_plots import draw

        for path in draw(data, plots):
            typer.echo(str(path), err=True)


def noises_of(noise: str, snr: str) -> list[tuple[str, float]]:
    """Every noise at every signal-to-noise ratio, dB.

    Raises:
        ConfigError: there is no such noise, or a ratio is not a number.
    """
    from monitor.exceptions import ConfigError
    from trainer.beats.labelled import NOISES

    kinds = words(noise)
    for kind in kinds:
        if kind not in NOISES:
            remedy = f"training may hear {', '.join(NOISES)}"
            raise ConfigError(f"no noise {kind}", where="--noise", remedy=remedy)
    try:
        return [(kind, float(ratio)) for kind in kinds for ratio in words(snr)]
    except ValueError:
        raise ConfigError(f"not numbers: {snr}", where="--snr", remedy="for instance --snr 12,6") from None


def classes_of(text: str) -> list[str]:
    """AAMI classes by name.

    Raises:
        ConfigError: there is no such class.
    """
    from monitor.ecg import AAMI_CLASSES
    from monitor.exceptions import ConfigError

    for name in words(text):
        if name not in AAMI_CLASSES:
            raise ConfigError(f"no class {name}", where="--without", remedy=f"there are {' '.join(AAMI_CLASSES)}")
    return words(text)


def _show(data: Any) -> None:
    from monitor.ecg import AAMI_CLASSES
    from trainer.reporting.tables import Table

    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for source in data.sources:
        noise = source["noise"]
        title = "as recorded" if noise is None else f"{noise['kind']} {noise['snr']:g} dB"
        if source["made_up"] is not None:
            title = "made up"
        groups.setdefault((source["database"], source["lead_set"], title), []).append(source)
    rows = []
    for (database, lead_set, title), mine in groups.items():
        annotated, kept = sum(s["annotated"] for s in mine), sum(s["rows"] for s in mine)
        counts = (str(sum(s["labels"][name] for s in mine)) for name in AAMI_CLASSES)
        rows.append((database, lead_set, title, str(len(mine)), str(annotated), str(kept), *counts))
    columns = "database", "leads", "signal", "records", "annotated", "labelled", *AAMI_CLASSES
    page().print(Table(f"{data.folder}: for {data.purpose}", columns, rows, names=3).to_rich())
    front = data.manifest["front_end"]["fingerprint"]
    page().print(f"front end {front[:12]}, data set {data.digest[:12]}, seed {data.manifest['seed']}")
