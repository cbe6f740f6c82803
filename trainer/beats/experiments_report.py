"""Results of an experiment: tables, JSON, a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.beats.experiment import EXPERIMENT, MEASURES, Comparison, Experiment
from trainer.files import whole_file, write_json, write_text
from trainer.reporting.tables import Table
from trainer.scoring.grades import grade_counts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLES: Final = dict(zip(MEASURES, ("V F1", "S F1", "F F1", "accuracy", "macro F1", "kappa", "score"), strict=True))


def result_tables(experiment: Experiment, found: Sequence[Comparison]) -> list[Table]:
    """All variants, mean and spread over seeds; then the best one record by record."""
    rows = [
        (one.name, f"{len(one.grades)} of {one.expected}", *(_cell(one, measure) for measure in MEASURES))
        for one in found
    ]
    title = f"{experiment.name}: leave-records-out, matched beats of lead set {experiment.scored}, % (kappa: 0 to 1)"
    tables = [Table(title, ("variant", "seeds", *TITLES.values()), rows, names=1)]
    if found and found[0].records:
        best = found[0]
        lines = []
        for record, counts in best.records.items():
            grade = grade_counts(counts)
            true = counts.sum(1) // max(len(best.grades), 1)
            figures = (f"{getattr(grade, measure):.2f}" for measure in ("v_f1", "s_f1", "f_f1", "accuracy"))
            lines.append((record, *(str(int(n)) for n in true), *figures))
        columns = "record", "N", "S", "V", "F", "Q", "V F1", "S F1", "F F1", "accuracy"
        tables.append(Table(f"{best.name}: record by record", columns, sorted(lines)))
    return tables


def _cell(one: Comparison, measure: str) -> str:
    mean, spread = one.mean(measure), one.spread(measure)
    digits = 3 if measure == "kappa" else 2
    if math.isnan(mean):
        return "-"
    return f"{mean:.{digits}f}" + ("" if math.isnan(spread) else f" ± {spread:.{digits}f}")


def write_report(experiment: Experiment, found: Sequence[Comparison], folder: Path) -> None:
    """Write ``results.md``, ``results.json`` and ``results.png`` beside the runs.

    Raises:
        ConfigError: they cannot be written.
    """
    tables = result_tables(experiment, found)
    write_text(folder / "results.md", "\n".join(table.to_markdown() for table in tables))
    write_json(folder / "results.json", as_json(experiment, found))
    with whole_file(folder / "results.png") as beside:
        draw(experiment, found).savefig(beside, format="png")


def as_json(experiment: Experiment, found: Sequence[Comparison]) -> dict[str, Any]:
    """The experiment and what was found."""
    return {"experiment": experiment.as_dict(), "results": [one.as_dict() for one in found]}


def write_experiment(experiment: Experiment, dataset: Path, folder: Path) -> None:
    """Note what the runs in a folder belong to."""
    write_json(folder / EXPERIMENT, {"dataset": str(dataset), **experiment.as_dict()})


def draw(experiment: Experiment, found: Sequence[Comparison]) -> Figure:
    """V F1 and S F1 of each variant, a point a seed and a bar at their mean; accuracy beside them."""
    from matplotlib.figure import Figure

    done = [one for one in found if one.grades]
    figure = Figure(figsize=(13, 1.8 + 0.32 * max(len(done), 1)), dpi=110, layout="constrained")
    figure.suptitle(f"{experiment.name}: leave-records-out, {len(experiment.seeds)} seeds", fontsize=11)
    axes = figure.subplots(1, 4, sharey=True)
    at = np.arange(len(done))
    for axis, measure in zip(axes, ("v_f1", "s_f1", "macro_f1", "accuracy"), strict=True):
        for place, one in zip(at, done, strict=True):
            values = [getattr(grade, measure) for grade in one.grades]
            axis.plot(values, [place] * len(values), "o", color="#0b57c2", alpha=0.6, markersize=5)
            axis.plot([one.mean(measure)], [place], "|", color="#d01c1c", markersize=14, markeredgewidth=2)
        axis.set_title(TITLES[measure], fontsize=9)
        axis.grid(color="#dddddd", linewidth=0.6)
        axis.set_axisbelow(True)
    axes[0].set_yticks(at, [one.name for one in done], fontsize=7)
    axes[0].set_ylim(len(done) - 0.5, -0.5)
    return figure
