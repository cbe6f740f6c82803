"""Pages that show where a detector went wrong, on paper such as an ECG is printed on.

A strip is :data:`STRIP_S` long, 25 mm a second and 10 mm a millivolt where the signal allows, one below the other for
each lead. Above the leads stand the reference's symbols and, below them, a triangle for each beat found. A missed
beat has a red circle around its symbol and a solid red line through the leads, an extra one a blue cross and a dashed
blue line. Beats left out of the score (flutter) are grey.

Needs matplotlib, which is imported when the first page is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import AAMI_OF_SYMBOL
from monitor.exceptions import ConfigError
from monitor.records import Record
from trainer.scoring.outcome import Outcome
from trainer.scoring.scores import PERIODS, Distribution, RecordScore, score_record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STRIP_S: Final = 8.0
"""Length of a strip, s."""

STRIPS_A_PAGE: Final = 6
"""Strips on one page."""

PAGES: Final = 6
"""Pages a record; with more errors than these hold, strips are left out evenly over the record."""

MARGIN_S: Final = 1.5
"""How far from the end of a strip an error is at least, s; not at the ends of the record."""

MISSED, EXTRA, FOUND, LEFT_OUT = "#d01c1c", "#0b57c2", "#2e7d32", "#9a9a9a"
_PAPER, _FINE, _COARSE, _INK = "#fffaf7", "#fbe6de", "#f1bfae", "#1a1a1a"

_MM: Final = 1 / 25.4
_MM_A_SECOND: Final = 25.0
_MM_A_MILLIVOLT: Final = 10.0
_LEAST_MV, _MOST_MV = 2.0, 4.0  # a lead's height at full scale; what is higher is drawn smaller
_STEPS_MV: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)
_LEFT, _RIGHT, _TOP, _BOTTOM = 24.0, 8.0, 24.0, 8.0  # mm
_MARKS_MM, _GAP_MM, _BETWEEN_MM = 11.0, 10.0, 1.0
_DPI: Final = 110
_SCALE: Final = "25 mm/s; 10 mm/mV, fine lines 0.1 mV, unless the axis says otherwise"


@dataclass(frozen=True, slots=True)
class Strip:
    """A stretch of a record with errors in it; samples.

    Attributes:
        first: its first sample.
        stop: the sample after its last.
    """

    first: int
    stop: int


def strips_of(errors: NDArray[np.int64], fs: float, length: int) -> list[Strip]:
    """Strips that show every error, neighbours together.

    Args:
        errors: (n,) samples, increasing.
        fs: Hz.
        length: samples in the record; strips stay inside it.
    """
    width, room = round(STRIP_S * fs), (STRIP_S - 2 * MARGIN_S) * fs
    groups: list[list[int]] = []
    for error in errors.tolist():
        if groups and error - groups[-1][0] <= room:
            groups[-1].append(error)
        else:
            groups.append([error])
    strips = []
    for group in groups:
        first = max(0, min((group[0] + group[-1] - width) // 2, length - width))
        strips.append(Strip(first, min(first + width, length)))
    return strips


def chosen_strips(strips: Sequence[Strip], most: int) -> list[Strip]:
    """At most so many strips, evenly over the record."""
    if len(strips) <= most:
        return list(strips)
    return [strips[i] for i in np.rint(np.linspace(0, len(strips) - 1, most)).astype(int)]


def draw_errors(record: Record, outcome: Outcome, folder: Path) -> list[Path]:
    """Write the pages of one record, ``100.png``, ``100-2.png`` ...; none if every beat was found and no other.

    Args:
        record: the signal that was analysed.
        outcome: what was found in it, on the same clock.
        folder: where to write; it exists. A record's pages from an earlier run are replaced.

    Raises:
        ConfigError: a page cannot be written.
    """
    for number in range(PAGES):
        _page_path(folder, record.name, number).unlink(missing_ok=True)
    comparison = outcome.compare()
    missed, extra = outcome.reference_samples[comparison.missed], outcome.samples[comparison.extra]
    strips = strips_of(np.sort(np.concatenate([missed, extra])), outcome.fs, outcome.length)
    shown = chosen_strips(strips, STRIPS_A_PAGE * PAGES)
    marks = Marks.of(outcome)
    title = (
        f"Record {record.name}, {'lead' if len(record.leads) == 1 else 'leads'} {', '.join(record.leads)}:"
        f" {comparison.confusion.beats} beats, {missed.size} missed, {extra.size} extra"
    )
    paths = []
    pages = math.ceil(len(shown) / STRIPS_A_PAGE)
    for page in range(pages):
        part = shown[page * STRIPS_A_PAGE : (page + 1) * STRIPS_A_PAGE]
        note = f"page {page + 1} of {pages}" if pages > 1 else ""
        if len(shown) < len(strips):
            note += f"; {len(shown)} of {len(strips)} strips, evenly over the record"
        figure = draw_page([Panel(record, marks, strip) for strip in part], title, note)
        paths.append(_save(figure, _page_path(folder, record.name, page)))
    return paths


def _page_path(folder: Path, name: str, page: int) -> Path:
    return folder / (f"{name}-{page + 1}.png" if page else f"{name}.png")


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """What stands above the leads.

    Attributes:
        reference: (n,) samples of the annotated beats.
        symbols: (n,) theirs.
        reference_colours: (n,) by what became of each.
        found: (m,) samples of the beats found.
        found_colours: (m,).
        found_symbols: (m,) their names; None: triangles and crosses stand for them.
    """

    reference: NDArray[np.int64]
    symbols: list[str]
    reference_colours: list[str]
    found: NDArray[np.int64]
    found_colours: list[str]
    found_symbols: list[str] | None = None

    @classmethod
    def of(cls, outcome: Outcome) -> Marks:
        """Beats missed and extra stand out."""
        comparison = outcome.compare()
        beats = [i for i, symbol in enumerate(outcome.reference_symbols) if symbol in AAMI_OF_SYMBOL]
        of_reference = dict.fromkeys(comparison.reference.tolist(), _INK)
        of_reference |= dict.fromkeys(comparison.missed.tolist(), MISSED)
        of_found = dict.fromkeys(comparison.test.tolist(), FOUND)
        of_found |= dict.fromkeys(comparison.extra.tolist(), EXTRA)
        return cls(
            outcome.reference_samples[beats],
            [outcome.reference_symbols[i] for i in beats],
            [of_reference.get(i, LEFT_OUT) for i in beats],
            outcome.samples,
            [of_found.get(i, LEFT_OUT) for i in range(outcome.samples.size)],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One strip on a page.

    Attributes:
        record: its signal.
        marks: what stands above it.
        strip: which part of it.
        caption: above the marks.
    """

    record: Record
    marks: Marks
    strip: Strip
    caption: str = ""


def draw_page(panels: Sequence[Panel], title: str, note: str) -> Figure:
    """Strips below each other."""
    from matplotlib.figure import Figure

    ranges = [
        [_range(p.record.signal[p.strip.first : p.strip.stop, k]) for k in range(len(p.record.leads))] for p in panels
    ]
    heights = [[_height(low, high) for low, high, _ in of_strip] for of_strip in ranges]
    blocks = [_MARKS_MM + sum(h + _BETWEEN_MM for h in of_strip) + _GAP_MM for of_strip in heights]
    width = _LEFT + STRIP_S * _MM_A_SECOND + _RIGHT
    height = _TOP + sum(blocks) + _BOTTOM
    figure = Figure(figsize=(width * _MM, height * _MM), dpi=_DPI, facecolor="white")
    figure.text(_LEFT / width, 1 - 8 / height, title, fontsize=13, fontweight="bold", va="center")
    if note:
        figure.text(1 - _RIGHT / width, 1 - 16.5 / height, note, fontsize=8, va="center", ha="right")
    named = any(panel.marks.found_symbols is not None for panel in panels)
    _draw_legend(figure, 1 - 16.5 / height, width, named=named)
    figure.text(_LEFT / width, 5 / height, _SCALE, fontsize=7.5, va="center", color="#555555")

    def place(top: float, tall: float) -> Axes:
        wide = STRIP_S * _MM_A_SECOND
        return figure.add_axes((_LEFT / width, 1 - (top + tall) / height, wide / width, tall / height))

    top = _TOP
    for panel, of_ranges, of_heights in zip(panels, ranges, heights, strict=True):
        record, marks, strip = panel.record, panel.marks, panel.strip
        if panel.caption:
            figure.text(_LEFT / width, 1 - (top - 1) / height, panel.caption, fontsize=8, va="center")
        _draw_marks(place(top, _MARKS_MM), marks, strip, record.fs)
        top += _MARKS_MM
        for lead, (limits, tall) in enumerate(zip(of_ranges, of_heights, strict=True)):
            axes = place(top, tall)
            _draw_lead(axes, record, marks, strip, lead, limits)
            top += tall + _BETWEEN_MM
        _label_time(axes, strip, record.fs)
        top += _GAP_MM
    return figure


def _range(values: NDArray[np.float32]) -> tuple[float, float, float]:
    """What a lead shows of (n,) values: from, to and by what steps, mV; whole steps, at least :data:`_LEAST_MV`."""
    there = values[np.isfinite(values)]
    low, high = (float(there.min()), float(there.max())) if there.size else (0.0, 0.0)
    step = next((step for step in _STEPS_MV if high - low <= 8 * step), _STEPS_MV[-1])
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    while high - low < _LEAST_MV:
        low, high = (low - step, high) if high > -low else (low, high + step)
    return low, high, step


def _height(low: float, high: float) -> float:
    return min(high - low, _MOST_MV) * _MM_A_MILLIVOLT


def _draw_marks(axes: Axes, marks: Marks, strip: Strip, fs: float) -> None:
    """Two rows: the reference's symbols, and the beats found."""
    axes.set_xlim(0, STRIP_S)
    axes.set_ylim(0, 2)
    axes.axis("off")
    for y, name in ((1.45, "reference"), (0.45, "found")):
        axes.text(-0.022, y / 2, name, transform=axes.transAxes, fontsize=7.5, ha="right", va="center")
    for i in _within(marks.reference, strip):
        x, colour = (marks.reference[i] - strip.first) / fs, marks.reference_colours[i]
        weight = "bold" if colour == MISSED else "normal"
        axes.text(x, 1.42, marks.symbols[i], color=colour, fontsize=9, fontweight=weight, ha="center", va="center")
        if colour == MISSED:
            axes.plot(
                x,
                1.45,
                "o",
                markersize=14,
                markerfacecolor="none",
                markeredgecolor=MISSED,
                markeredgewidth=1.6,
                clip_on=False,
            )
    for i in _within(marks.found, strip):
        x, colour = (marks.found[i] - strip.first) / fs, marks.found_colours[i]
        if marks.found_symbols is not None:
            weight = "bold" if colour == EXTRA else "normal"
            symbol = marks.found_symbols[i]
            axes.text(x, 0.42, symbol, color=colour, fontsize=9, fontweight=weight, ha="center", va="center")
            continue
        shape, size = ("X", 9) if colour == EXTRA else ("v", 6)
        axes.plot(x, 0.45, shape, color=colour, markersize=size, markeredgewidth=0, clip_on=False)


def _draw_lead(
    axes: Axes, record: Record, marks: Marks, strip: Strip, lead: int, limits: tuple[float, float, float]
) -> None:
    low, high, coarse = limits
    fs = record.fs
    axes.set_facecolor(_PAPER)
    axes.set_xlim(0, STRIP_S)
    axes.set_ylim(low, high)
    axes.vlines(np.arange(0, STRIP_S, 0.04), low, high, color=_FINE, linewidth=0.4, zorder=0)
    axes.hlines(np.arange(low, high, coarse / 5), 0, STRIP_S, color=_FINE, linewidth=0.4, zorder=0)
    axes.vlines(np.arange(0, STRIP_S + 0.1, 0.2), low, high, color=_COARSE, linewidth=0.6, zorder=0.1)
    axes.hlines(np.arange(low, high + coarse / 2, coarse), 0, STRIP_S, color=_COARSE, linewidth=0.6, zorder=0.1)
    for samples, colours, wanted, line in (
        (marks.reference, marks.reference_colours, MISSED, "-"),
        (marks.found, marks.found_colours, EXTRA, (0, (4, 2))),
    ):
        at = [(samples[i] - strip.first) / fs for i in _within(samples, strip) if colours[i] == wanted]
        axes.vlines(at, low, high, color=wanted, linewidth=1.2, linestyle=line, alpha=0.75, zorder=1)
    values = record.signal[strip.first : strip.stop, lead]
    axes.plot(np.arange(len(values)) / fs, values, color=_INK, linewidth=0.8, zorder=2)
    apart = 2 * coarse if high - low > 4 * coarse else coarse
    ticks = np.arange(math.ceil(low / apart), high / apart + 1) * apart
    axes.set_yticks(
        ticks[(ticks > low + 0.4 * coarse) & (ticks < high - 0.4 * coarse)]
    )  # those of two leads would meet
    axes.tick_params(axis="y", labelsize=7, length=2, pad=2)
    axes.set_xticks([])
    axes.set_ylabel(f"{record.leads[lead]}, mV", fontsize=8, fontweight="bold", labelpad=3)
    for side in axes.spines.values():
        side.set_color(_COARSE)


def _label_time(axes: Axes, strip: Strip, fs: float) -> None:
    """Whole seconds of the record below the last lead of a strip, as minutes and seconds."""
    begin = strip.first / fs
    seconds = np.arange(math.ceil(begin), math.floor(begin + STRIP_S) + 1)
    axes.set_xticks(seconds - begin, [minutes(int(second)) for second in seconds])
    axes.tick_params(axis="x", labelsize=8, length=3, pad=2)


def minutes(second: int) -> str:
    """A time as a clock shows it.

    >>> minutes(59), minutes(1203)
    ('0:59', '20:03')
    """
    return f"{second // 60}:{second % 60:02d}"


def _within(samples: NDArray[np.int64], strip: Strip) -> Iterable[int]:
    return range(*np.searchsorted(samples, (strip.first, strip.stop)).tolist())


def _draw_legend(figure: Figure, y: float, width: float, *, named: bool) -> None:
    from matplotlib.lines import Line2D

    def mark(shape: str, colour: str, size: float, name: str, **options: Any) -> Line2D:
        return Line2D([], [], linestyle="none", marker=shape, color=colour, markersize=size, label=name, **options)

    handles = [
        mark("o", MISSED, 10, "missed beat", markerfacecolor="none", markeredgewidth=1.6),
        mark("X", EXTRA, 9, "extra beat", markeredgewidth=0),
        mark("v", FOUND, 6, "beat found", markeredgewidth=0),
        mark("v", LEFT_OUT, 6, "not scored", markeredgewidth=0),
    ]
    if named:
        handles = [
            mark("o", MISSED, 10, "missed, or named wrongly", markerfacecolor="none", markeredgewidth=1.6),
            mark("$V$", EXTRA, 6, "wrong name, or an extra beat"),
            mark("$N$", FOUND, 6, "right name"),
            mark("$N$", LEFT_OUT, 6, "not scored"),
        ]
    anchor = _LEFT / width - 0.008, y
    figure.legend(
        handles=handles, loc="center left", bbox_to_anchor=anchor, ncols=len(handles), fontsize=8, frameon=False,
        borderpad=0, handletextpad=0.4,
    )  # fmt: skip


# --- distributions


def draw_distributions(outcomes: Sequence[Outcome], folder: Path) -> Path:
    """Write ``distributions.png``: where R peaks were placed and when beats were told, over all records and in each.

    Args:
        outcomes: of the records; matched beats from t = 0 on are shown.
        folder: where to write; it exists.

    Raises:
        ConfigError: the page cannot be written.
    """
    from matplotlib.figure import Figure

    scores = [score_record(outcome, min(PERIODS.values())) for outcome in outcomes]
    every = {name: np.concatenate([score.milliseconds[name] for score in scores]) for name in scores[0].milliseconds}
    figure = Figure(figsize=(13, 9), dpi=_DPI, layout="constrained", facecolor="white")
    count = every["R peak minus annotation"].size
    figure.suptitle(f"{len(scores)} records, {count} matched beats, from t = 0", fontsize=13, fontweight="bold")
    (offset, delay), (offsets, delays) = figure.subplots(2, 2, height_ratios=(1, 1.15))

    _histogram(offset, every["R peak minus annotation"], 4.0, "R peak minus annotation, ms")
    _histogram_of_delays(delay, every)
    _by_record(offsets, scores, "R peak minus annotation", "R peak minus annotation, ms")
    _by_record(delays, scores, "R to trigger", "R to trigger, ms")
    return _save(figure, folder / "distributions.png")


def _histogram(axes: Axes, values: NDArray[np.float64], wide: float, label: str) -> None:
    """How many beats by value, in steps of `wide`; the count on a logarithmic scale, so that single ones show."""
    spread = Distribution.of(np.abs(values))
    if values.size:
        edges = np.arange(math.floor(values.min() / wide) - 0.5, math.ceil(values.max() / wide) + 1) * wide
        axes.hist(values, bins=edges.tolist(), color=EXTRA, alpha=0.85)
        axes.set_yscale("log")
    axes.axvline(0.0, color=_INK, linewidth=0.8)
    axes.set_title(f"Place of the R peak: off by {spread.median:.0f} ms in the median, {spread.p99:.0f} ms at p99")
    axes.set_xlabel(label)
    axes.set_ylabel("beats")
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _histogram_of_delays(axes: Axes, values: dict[str, NDArray[np.float64]]) -> None:
    """What share of the beats was told after so long at the most."""
    styles = {"R to trigger": (EXTRA, "-"), "R to beat": (FOUND, "-"), "R to beat, search-back": (MISSED, "--")}
    for name, (colour, line) in styles.items():
        delays = np.sort(values[name])
        if delays.size:
            spread = Distribution.of(delays)
            label = f"{name}: {delays.size} beats, median {spread.median:.0f}, p99 {spread.p99:.0f} ms"
            share = np.arange(1, delays.size + 1) / delays.size * 100
            axes.step(delays, share, where="post", color=colour, linestyle=line, linewidth=1.6, label=label)
    axes.set_xscale("log")
    ticks = [20, 50, 100, 200, 300, 500, 1000, 2000, 4000]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(0, 101)
    axes.set_title("Delay")
    axes.set_xlabel("from the R peak, ms")
    axes.set_ylabel("beats told by then, %")
    axes.grid(color="#dddddd", linewidth=0.6)
    if axes.lines:
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.13), frameon=False)


def _by_record(axes: Axes, scores: Sequence[RecordScore], name: str, label: str) -> None:
    """Median of each record, and the middle 90 % of its beats."""
    shown = [score for score in scores if score.milliseconds[name].size]
    at = np.arange(len(shown))
    percentiles = np.array([np.percentile(s.milliseconds[name], [5, 50, 95]) for s in shown]).reshape(-1, 3)
    axes.vlines(at, percentiles[:, 0], percentiles[:, 2], color=EXTRA, linewidth=3, alpha=0.4)
    axes.plot(at, percentiles[:, 1], "o", color=EXTRA, markersize=4)
    axes.set_xticks(at, [score.record for score in shown], rotation=90, fontsize=8)
    axes.set_xlim(-1, max(len(shown), 1))
    axes.set_title("Each record: median, and the middle 90 %")
    axes.set_ylabel(label)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _save(figure: Figure, path: Path) -> Path:
    try:
        figure.savefig(path)
    except OSError as error:
        remedy = "see that the folder is there and may be written to"
        raise ConfigError(f"cannot be written ({error.strerror})", where=str(path), remedy=remedy) from None
    return path
