"""What a report draws of the classifier's scores. Needs matplotlib, which is imported when the first figure is."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import AAMI_CLASSES
from trainer.scoring.beat_variants import MEASURES, BeatLine
from trainer.scoring.calibration import Bin, precision_recall, reliability_of
from trainer.scoring.confusion import COLUMNS, ROWS
from trainer.scoring.scores import Distribution, Period, RecordScore, SplitScore

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Final = {"N": "#2e7d32", "S": "#b8860b", "V": "#d01c1c", "F": "#7b1fa2"}
_BLUE, _GRID, _INK = "#0b57c2", "#dddddd", "#1a1a1a"
_STYLES: Final = ("-", "--", ":")
_DPI: Final = 100
_SCARCE: Final = 10
"""Beats below which a point of a reliability diagram is not drawn."""


def png_of(figure: Figure) -> bytes:
    """A figure as a file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _figure(width: float, height: float, title: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained", facecolor="white")
    figure.suptitle(title, fontsize=11, fontweight="bold")
    return figure


def _grid(axes: Axes) -> None:
    axes.grid(color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)


def draw_confusion(split: SplitScore, title: str) -> Figure:
    """Counts, shaded by their share of the beats annotated so."""
    columns = [*AAMI_CLASSES, "missed"]
    counts = np.zeros((len(ROWS), len(columns)), np.int64)
    for i, row in enumerate(ROWS):
        for column in COLUMNS:
            j = min(COLUMNS.index(column), len(AAMI_CLASSES))  # o and x: missed
            counts[i, j] += split.confusion[row + column] if row + column not in ("Oo", "Ox") else 0
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    figure = _figure(6.2, 4.6, title)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, j in np.ndindex(counts.shape):
        if counts[i, j]:
            text = f"{counts[i, j]}\n{100 * shares[i, j]:.1f} %"
            axes.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if shares[i, j] > 0.6 else _INK)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(ROWS)), ["none" if row == "O" else row for row in ROWS])
    axes.set_xlabel("found")
    axes.set_ylabel("annotated")
    return figure


def draw_reliability(split: SplitScore, title: str) -> Figure:
    """How often a name of some confidence is right, how often a V or S of some probability is one, and how many are."""
    calibration = split.calibration
    figure = _figure(9.5, 4.6, f"{title}: ECE {100 * calibration.ece:.2f} %, Brier score {calibration.brier:.4f}")
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color=_INK, linewidth=0.8, linestyle="--")
    _reliability(left, calibration.bins, "the name given", _BLUE)
    for label in "VS":
        _reliability(left, reliability_of(split.decisions, label), label, COLOURS[label])
    left.set_xlabel("probability said")
    left.set_ylabel("share of beats of which it was true")
    left.set_xlim(0, 1)
    left.set_ylim(0, 1)
    left.legend(fontsize=8, loc="upper left", frameon=False)
    _grid(left)
    middles = [(b.low + b.high) / 2 for b in calibration.bins]
    right.bar(middles, [b.beats for b in calibration.bins], width=0.09, color=_BLUE)
    right.set_yscale("symlog", linthresh=1)
    right.set_xlabel("confidence of the name given")
    right.set_ylabel("beats")
    _grid(right)
    return figure


def _reliability(axes: Axes, bins: Sequence[Bin], name: str, colour: str) -> None:
    """Those of few beats are left out: they say nothing."""
    shown = [b for b in bins if b.beats >= _SCARCE]
    x, y = [b.confidence for b in shown], [b.right for b in shown]
    axes.plot(x, y, "o-", color=colour, linewidth=1.2, markersize=5, label=name)


def draw_curves(split: SplitScore, title: str) -> Figure:
    """Precision over recall of each class, and where the names that were given stand."""
    figure = _figure(6.2, 5.0, title)
    axes = figure.subplots()
    for label, colour in COLOURS.items():
        curve = precision_recall(split.decisions, label)
        if math.isnan(curve.area) or not curve.recall.size:
            continue
        axes.step(
            curve.recall, curve.precision, color=colour, linewidth=1.5, label=f"{label}: area {100 * curve.area:.1f} %"
        )
        score = split.score(label)
        if not math.isnan(score.ppv):
            axes.plot(score.se, score.ppv, "o", color=colour, markersize=7, markeredgecolor="white")
    axes.set_xlabel("recall (sensitivity)")
    axes.set_ylabel("precision (positive predictive value)")
    axes.set_xlim(0, 1.01)
    axes.set_ylim(0, 1.01)
    _grid(axes)
    if axes.lines:
        axes.legend(fontsize=8, loc="lower left", title="dot: the names given", title_fontsize=8)
    return figure


def draw_records(period: Period, title: str) -> Figure:
    """F1 of V, S and F and accuracy of each record; above a bar how many beats of the class are annotated."""
    figure = _figure(max(5.0, 0.32 * len(period.records) + 2.0), 8.0, title)
    at = np.arange(len(period.records))
    panels = figure.subplots(4, 1, sharex=True)
    for axes, label in zip(panels[:3], "VSF", strict=True):
        scores = [record.beats.of(label) for record in period.records]
        shown = [0.0 if math.isnan(score.f1) else score.f1 for score in scores]
        axes.bar(at, shown, color=COLOURS[label], alpha=0.85)
        for x, score in zip(at.tolist(), scores, strict=True):
            if beats := score.tp + score.fn:
                axes.text(x, 1.02, str(beats), fontsize=6.5, ha="center", va="bottom", rotation=90)
        axes.set_ylabel(f"{label} F1")
        axes.set_ylim(0, 1.45)
    panels[3].bar(at, np.nan_to_num([record.beats.accuracy for record in period.records]), color=_BLUE, alpha=0.85)
    panels[3].set_ylabel("accuracy")
    panels[3].set_ylim(0, 1.05)
    for axes in panels:
        axes.set_yticks([0.0, 0.25, 0.5, 0.75, 1.0])
        axes.grid(axis="y", color=_GRID, linewidth=0.6)
        axes.set_axisbelow(True)
    panels[3].set_xticks(at, [record.record for record in period.records], rotation=90, fontsize=8)
    return figure


def draw_delays(records: Sequence[RecordScore], title: str) -> Figure:
    """What share of the beats had a name after so long; those found by looking back apart."""
    figure = _figure(7.5, 4.2, title)
    axes = figure.subplots()
    for ending, line in (("", "-"), (", search-back", "--")):
        first, final = (
            np.sort(np.concatenate([r.milliseconds[f"R to {stage} label{ending}"] for r in records]))
            for stage in ("first", "final")
        )
        if not np.array_equal(first, final):
            _cumulative(axes, first, f"R to first label{ending}", COLOURS["N"], line)
        _cumulative(axes, final, f"R to final label{ending}", _BLUE, line)
    axes.set_xlabel("from the R peak, ms")
    axes.set_ylabel("beats named by then, %")
    axes.set_ylim(0, 101)
    _grid(axes)
    if axes.lines:
        axes.legend(fontsize=8, loc="lower right")
    return figure


def _cumulative(axes: Axes, delays: NDArray[np.float64], name: str, colour: str, line: str) -> None:
    if not delays.size:
        return
    spread = Distribution.of(delays)
    label = f"{name}: {spread.count} beats, median {spread.median:.0f}, p95 {spread.p95:.0f} ms"
    share = np.arange(1, delays.size + 1) / delays.size * 100
    axes.step(delays, share, where="post", color=colour, linestyle=line, linewidth=1.6, label=label)


def draw_noise(lines: Sequence[BeatLine], conditions: Sequence[str], title: str) -> Figure:
    """Scores by signal-to-noise ratio.

    Args:
        lines: of one set of records, after 5 min, every set of leads under every condition.
        conditions: their titles, from left to right.
        title: of the figure.
    """
    figure = _figure(10.0, 4.2, title)
    for axes, measure in zip(figure.subplots(1, 3), ("V F1", "S F1", "accuracy"), strict=True):
        for leads, style in zip(dict.fromkeys(line.variant.lead_title for line in lines), _STYLES, strict=False):
            these = {line.variant.condition.title: line for line in lines if line.variant.lead_title == leads}
            values = [MEASURES[measure](these[name].split) for name in conditions]
            axes.plot(range(len(conditions)), values, style, marker="o", markersize=4, color=_BLUE, label=leads)
        axes.set_xticks(range(len(conditions)), list(conditions), rotation=45, fontsize=8)
        axes.set_title(measure, fontsize=10)
        axes.set_ylim(0, 1.01)
        _grid(axes)
        axes.legend(fontsize=8, loc="lower left")
    return figure
