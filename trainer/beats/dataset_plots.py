"""Pictures of a data set: what the beats of each class look like, and where they come from.

Needs matplotlib, which is imported when the first picture is drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitor.ecg import AAMI_CLASSES, FS
from monitor.shapes import CHANNELS
from monitor.window import BEFORE, STRIDE, WIDTH
from trainer.beats.dataset import Beats, DataSet
from trainer.files import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS: Final = dict(zip(AAMI_CLASSES, ("#2e7d32", "#0b57c2", "#d01c1c", "#e08a00", "#7a7a7a"), strict=True))
_DPI: Final = 110


def draw(data: DataSet, folder: Path, *, examples: int = 6, seed: int = 0) -> list[Path]:
    """Write ``beats-<leads>.png`` and ``classes.png``.

    Args:
        data: what to show.
        folder: where to; made if need be.
        examples: beats of each class, of as many different patients as there are.
        seed: which ones.

    Raises:
        ConfigError: they cannot be written.
    """
    pages = [(f"beats-{leads}.png", draw_beats(data.beats(leads), examples, seed)) for leads in _leads(data)]
    pages.append(("classes.png", draw_classes(data)))
    written = []
    for name, figure in pages:
        with whole_file(folder / name) as beside:
            figure.savefig(beside, format="png")
        written.append(folder / name)
    return written


def _leads(data: DataSet) -> list[int]:
    return [leads for leads in (1, 2) if f"rows-{leads}.npy" in data.manifest["sha256"]]


def draw_beats(beats: Beats, examples: int = 6, seed: int = 0) -> Figure:
    """A few beats of each class: the beat, and its difference to the patient's normal one, on the first lead."""
    from matplotlib.figure import Figure

    present = [k for k in range(len(AAMI_CLASSES)) if np.any(beats.labels == k)]
    figure = Figure(figsize=(2.2 * examples, 1.9 * len(present) + 0.6), dpi=_DPI, layout="constrained")
    axes = figure.subplots(len(present), examples, squeeze=False, sharex=True)
    ms = (np.arange(WIDTH) * STRIDE - BEFORE) / FS * 1000
    for line, k in zip(axes, present, strict=True):
        chosen = _examples(beats, k, examples, seed)
        for place, axis in enumerate(line):
            axis.tick_params(labelsize=6)
            if place >= len(chosen):
                axis.set_axis_off()
                continue
            row = chosen[place]
            for name, style in zip(CHANNELS, ("-", ":"), strict=True):
                wave = beats.windows[row, CHANNELS.index(name)]
                axis.plot(ms, wave, style, color=COLOURS[AAMI_CLASSES[k]], linewidth=1.2, label=name)
            axis.axvline(0.0, color="#bbbbbb", linewidth=0.6)
            title = f"{AAMI_CLASSES[k]}  {beats.records[row]}, {beats.lead_sets[row]}{_kind(beats, row)}"
            axis.set_title(title, fontsize=7)
    axes[0, 0].legend(fontsize=6, frameon=False)
    figure.supxlabel("ms from R", fontsize=8)
    figure.supylabel("in units of the patient's normal beat", fontsize=8)
    return figure


def _examples(beats: Beats, k: int, count: int, seed: int) -> list[int]:
    """Rows of class `k`, one patient after the other."""
    rng = np.random.default_rng((seed, k))
    rows = rng.permutation(np.flatnonzero(beats.labels == k))
    patients = beats.patients[rows]
    turn = np.zeros(len(rows), np.int64)  # how many of the same patient come before it
    for patient in np.unique(patients):
        mine = patients == patient
        turn[mine] = np.arange(mine.sum())
    return [int(row) for row in rows[np.argsort(turn, kind="stable")][:count]]


def draw_classes(data: DataSet) -> Figure:
    """Beats of each class in each record, as recorded, on a logarithmic scale."""
    from matplotlib.figure import Figure

    shown: dict[tuple[str, str], dict[str, Any]] = {}
    for source in data.sources:
        if source["noise"] is None:
            shown.setdefault((source["database"], source["record"]), source["labels"])
    figure = Figure(figsize=(max(7.0, 0.22 * len(shown) + 2), 8), dpi=_DPI, layout="constrained")
    axes = figure.subplots(len(AAMI_CLASSES), 1, sharex=True)
    at = np.arange(len(shown))
    for axis, name in zip(axes, AAMI_CLASSES, strict=True):
        counts = [labels[name] for labels in shown.values()]
        axis.bar(at, counts, color=COLOURS[name])
        axis.set_yscale("symlog", linthresh=1)
        axis.set_ylabel(f"{name}\n{sum(counts)}", rotation=0, labelpad=20)
        axis.set_ylim(0, 5000)
        axis.grid(axis="y", color="#dddddd", linewidth=0.6)
        axis.set_axisbelow(True)
    axes[0].set_title(f"Beats of each class by record: {len(shown)} records")
    axes[-1].set_xticks(at, [record for _, record in shown], rotation=90, fontsize=7)
    axes[-1].set_xlim(-0.7, len(shown) - 0.3)
    return figure


def _kind(beats: Beats, row: int) -> str:
    return ", noisy" * bool(beats.noisy[row]) + ", made up" * bool(beats.made_up[row])
