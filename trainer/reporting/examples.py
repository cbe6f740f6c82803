"""Wrong names, shown on the signal: for each class annotated and each class found, a few beats of several records.

The records with most such beats come first, one beat of each; what else fits is taken from them in turn. What a beat's
neighbours were called stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from monitor.ecg import AAMI_CLASSES, AAMI_OF_SYMBOL
from monitor.records import Record
from trainer.reporting.plots import EXTRA, MISSED, Marks, Panel, draw_page, minutes, strips_of
from trainer.scoring.outcome import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST: Final = 3
"""Beats shown of each kind."""

NONE: Final = "none"
"""Stands for the annotation of an extra beat, and for the name of a missed one."""


Read = Callable[[int], Record]
"""Gives the n-th record, as it was analysed."""


class Pair(NamedTuple):
    """A way to be wrong: the class annotated and the class found; :data:`NONE` if there is none."""

    annotated: str
    found: str

    @property
    def title(self) -> str:
        """What it is."""
        if self.found == NONE:
            return f"annotated {self.annotated}, not found"
        if self.annotated == NONE:
            return f"nothing annotated, {self.found} found"
        return f"annotated {self.annotated}, named {self.found}"


@dataclass(frozen=True, slots=True)
class Example:
    """One wrong beat.

    Attributes:
        record: number of its outcome.
        sample: where it is.
        p: (5,) probabilities by class; empty: no network named it.
    """

    record: int
    sample: int
    p: tuple[float, ...]


def wrong_beats(outcomes: Sequence[Outcome]) -> dict[Pair, list[Example]]:
    """Every beat with another name than its annotation, every one missed and every extra one, by pair.

    What EC57 does not hold against anyone, a fusion or unclassifiable beat called V, is among them.
    """
    found: dict[Pair, list[Example]] = {}

    def note(annotated: str, named: str, number: int, sample: int, p: tuple[float, ...] = ()) -> None:
        found.setdefault(Pair(annotated, named), []).append(Example(number, sample, p))

    for number, outcome in enumerate(outcomes):
        comparison = outcome.compare()
        classes = [AAMI_OF_SYMBOL.get(symbol, "") for symbol in outcome.reference_symbols]
        for i, j in zip(comparison.reference.tolist(), comparison.test.tolist(), strict=True):
            if classes[i] != outcome.symbols[j]:
                note(classes[i], outcome.symbols[j], number, int(outcome.samples[j]), _probabilities(outcome, j))
        for j in comparison.extra.tolist():
            note(NONE, outcome.symbols[j], number, int(outcome.samples[j]), _probabilities(outcome, j))
        for i in comparison.missed.tolist():
            note(classes[i], NONE, number, int(outcome.reference_samples[i]))
    order = {name: k for k, name in enumerate((*AAMI_CLASSES, NONE))}
    return dict(sorted(found.items(), key=lambda item: (order[item[0].annotated], order[item[0].found])))


def _probabilities(outcome: Outcome, j: int) -> tuple[float, ...]:
    row = outcome.probabilities[j].tolist()
    return () if any(map(math.isnan, row)) else tuple(row)


def chosen_examples(examples: Sequence[Example], most: int = MOST) -> list[Example]:
    """A few of many: of the records with most of them, the middle one each, then others in turn."""
    by_record: dict[int, list[Example]] = {}
    for example in examples:
        by_record.setdefault(example.record, []).append(example)
    groups = sorted(by_record.values(), key=len, reverse=True)  # stable: equal ones in the order of the records
    for group in groups:
        group.insert(0, group.pop(len(group) // 2))
    chosen: list[Example] = []
    for turn in range(most):
        chosen += [group[turn] for group in groups if turn < len(group)]
    return chosen[:most]


def named_marks(outcome: Outcome) -> Marks:
    """Beats with a wrong name stand out, and those missed and extra."""
    marks = Marks.of(outcome)
    comparison = outcome.compare()
    beats = [i for i, symbol in enumerate(outcome.reference_symbols) if symbol in AAMI_OF_SYMBOL]
    place = {i: k for k, i in enumerate(beats)}
    for i, j in zip(comparison.reference.tolist(), comparison.test.tolist(), strict=True):
        if AAMI_OF_SYMBOL[outcome.reference_symbols[i]] != outcome.symbols[j]:
            marks.reference_colours[place[i]] = MISSED
            marks.found_colours[j] = EXTRA
    return Marks(
        marks.reference,
        marks.symbols,
        marks.reference_colours,
        marks.found,
        marks.found_colours,
        outcome.symbols,
    )


def draw_examples(outcomes: Sequence[Outcome], read: Read) -> list[tuple[Pair, int, Figure]]:
    """Pages of wrong beats, one for each way to be wrong.

    Args:
        outcomes: of the records.
        read: gives the record of the n-th outcome, as it was analysed.

    Returns:
        The pair, how many such beats there are, and the page.
    """
    wrong = wrong_beats(outcomes)
    chosen = {pair: chosen_examples(examples) for pair, examples in wrong.items()}
    shown = {example.record for examples in chosen.values() for example in examples}
    records = {number: read(number) for number in sorted(shown)}
    marks = {number: named_marks(outcomes[number]) for number in shown}
    pages = []
    for pair, examples in chosen.items():
        panels = [_panel(records[e.record], marks[e.record], e) for e in examples]
        count = len(wrong[pair])
        title = f"{pair.title[0].upper()}{pair.title[1:]}: {count} {'beat' if count == 1 else 'beats'}"
        pages.append((pair, count, draw_page(panels, title, f"{len(examples)} of {count}")))
    return pages


def _panel(record: Record, marks: Marks, example: Example) -> Panel:
    at = example.sample
    strip = strips_of(np.array([at], np.int64), record.fs, len(record.signal))[0]
    said = [f"{name} {p:.2f}" for name, p in zip(AAMI_CLASSES, example.p or (0.0,) * len(AAMI_CLASSES), strict=True)]
    left = (at - strip.first) / record.fs
    caption = f"record {record.name}, {minutes(int(at / record.fs))}, {left:.1f} s from the left"
    return Panel(record, marks, strip, caption + (f"; p: {', '.join(said)}" if example.p else ""))
