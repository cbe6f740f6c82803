"""The classifier several ways, beside each other: by leads, and by how much noise there is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from trainer.scoring.scores import Period, SplitScore, number
from trainer.scoring.variants import Plan, Results, Variant, compared_json, side_by_side, variant_json

MEASURES: Final[dict[str, Callable[[SplitScore], float]]] = {
    "V Se": lambda s: s.score("V").se,
    "V PPV": lambda s: s.score("V").ppv,
    "V F1": lambda s: s.score("V").f1,
    "V strict F1": lambda s: s.score("V strict").f1,
    "S Se": lambda s: s.score("S").se,
    "S PPV": lambda s: s.score("S").ppv,
    "S F1": lambda s: s.score("S").f1,
    "F F1": lambda s: s.score("F").f1,
    "N F1": lambda s: s.score("N").f1,
    "accuracy": lambda s: s.naming("accuracy").gross,
    "macro F1": lambda s: s.naming("macro F1").gross,
    "kappa": lambda s: s.naming("kappa").gross,
    "ECE": lambda s: s.calibration.ece,
}
"""What is compared, shares from 0 to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class BeatLine:
    """One variant over one period and one set of records.

    Attributes:
        variant: how they were analysed.
        period: key of :data:`trainer.scoring.scores.PERIODS`.
        split: the set of records, scored.
        base: the same leads, period and records as recorded; None for that itself.
    """

    variant: Variant
    period: Period
    split: SplitScore
    base: BeatLine | None

    def points(self, measure: str) -> float:
        """By how much a measure is larger than in the records as they are, 0 to 1."""
        pick = MEASURES[measure]
        return pick(self.split) - pick((self.base or self).split)


def beat_lines_of(results: Results) -> list[BeatLine]:
    """The classifier's scores side by side."""
    return side_by_side(results, BeatLine)


def beat_results_json(chosen: Plan, results: Results) -> dict[str, Any]:
    """The classifier's scores as JSON values; see :func:`trainer.scoring.variants.compared_json`."""
    return compared_json(chosen, results, lambda: [_line_json(line) for line in beat_lines_of(results)])


def _line_json(line: BeatLine) -> dict[str, Any]:
    found: dict[str, Any] = variant_json(line.variant) | {"period": line.period.title, "records": line.split.title}
    for name, pick in MEASURES.items():
        found[name] = {"value": number(pick(line.split)), "difference": number(line.points(name))}
    return found


def missing_classes(results: Results) -> list[str]:
    """Classes of which no beat is annotated in any of the records, N, S, V and F."""
    counts = [split.confusion for _, periods in results for split in periods[0].splits]
    return [label for label in "NSVF" if all(math.isnan(confusion.of(label).se) for confusion in counts)]


def headline(splits: Sequence[SplitScore]) -> list[SplitScore]:
    """DS2, the set nothing was chosen on; without it the first set, which is all records; none of none."""
    return [split for split in splits if split.title == "DS2"] or list(splits[:1])
