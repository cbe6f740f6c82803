"""One run, several ways: sets of leads and conditions, scored beside each other."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from monitor.ecg import FS_MAX, FS_MIN
from monitor.exceptions import ConfigError
from trainer.options import words
from trainer.scoring.conditions import AS_RECORDED, Condition, Resampled, Scaled
from trainer.scoring.confusion import Score
from trainer.scoring.runs import LEAD_WORDS
from trainer.scoring.scores import Distribution, Period, SplitScore, milliseconds_json, number, score_json, to_json
from trainer.scoring.stress import SNRS, Noisy

COMPARE: Final = "compare"
"""The word that asks for all of :data:`trainer.scoring.runs.LEAD_WORDS`, one after the other."""

SPLITS: Final = ("DS1", "DS2", "all")
"""Sets of records that variants are compared on."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to analyse the records.

    Attributes:
        leads: names or numbers, or one of :data:`trainer.scoring.runs.LEAD_WORDS`.
        condition: what is done to each record first.
    """

    leads: tuple[str, ...]
    condition: Condition

    @property
    def lead_title(self) -> str:
        """The leads as one text."""
        return ", ".join(self.leads)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run analyses.

    Attributes:
        lead_sets: sets of leads.
        varied: what the conditions vary: ``noise``, ``rate`` or ``gain``; empty: nothing.
        conditions: the first one is the record as it is.
        title: of the comparison.
    """

    lead_sets: tuple[tuple[str, ...], ...]
    varied: str = ""
    conditions: tuple[Condition, ...] = (AS_RECORDED,)
    title: str = ""

    @property
    def variants(self) -> list[Variant]:
        """Every set of leads under every condition."""
        return [Variant(leads, condition) for leads in self.lead_sets for condition in self.conditions]

    def title_of(self, variant: Variant) -> str:
        """What tells a variant from the others of this plan; empty if it is the only one."""
        parts = []
        if len(self.lead_sets) > 1:
            parts.append(f"leads: {variant.lead_title}")
        if len(self.conditions) > 1:
            parts.append(variant.condition.title)
        return ", ".join(parts)

    def folder_of(self, variant: Variant) -> str:
        """A folder's name for what one variant leaves behind; the same folder, if it is the only one."""
        title = self.title_of(variant)
        return re.sub(r"[^A-Za-z0-9.-]+", "_", f"{self.title} {title}".strip()) if title else "."


def plan(leads: str, *, noise: str = "", snr: str = "", seed: int = 0, fs: str = "", gain: str = "") -> Plan:
    """Read what the command line asks for; empty: not asked for.

    Raises:
        ConfigError: something that is not a number or out of range, noise that is not known, or two things varied.
        RecordError: the noise database is not there.
    """
    asked = [f"--{name}" for name, text in (("noise", noise), ("fs", fs), ("gain", gain)) if text]
    if len(asked) > 1:
        raise ConfigError(f"varied together with {asked[0]}", where=asked[1], remedy="vary one thing at a time")
    if (snr or seed) and not noise:
        raise ConfigError("no noise to add", where="--snr" if snr else "--seed", remedy="choose one with --noise")
    lead_sets = lead_sets_of(leads)
    if noise:
        ratios = _numbers(snr, "--snr", "ratios in dB, for instance 24,12,0") if snr else SNRS
        levels = [Noisy.of(noise, ratio, seed) for ratio in ratios]
        return Plan(lead_sets, "noise", (AS_RECORDED, *levels), f"noise {noise}")
    if fs:
        rates = _numbers(fs, "--fs", f"rates from {FS_MIN:g} to {FS_MAX:g} Hz", lambda v: FS_MIN <= v <= FS_MAX)
        return Plan(lead_sets, "rate", (AS_RECORDED, *map(Resampled, rates)), "rate")
    if gain:
        factors = _numbers(gain, "--gain", "factors above 0, for instance 0.5,2", lambda v: v > 0)
        return Plan(lead_sets, "gain", (AS_RECORDED, *map(Scaled, factors)), "gain")
    return Plan(lead_sets)


def lead_sets_of(leads: str) -> tuple[tuple[str, ...], ...]:
    """The sets of leads that ``--leads`` asks for.

    Raises:
        ConfigError: a word among names, or nothing.

    >>> lead_sets_of("MLII,V1"), lead_sets_of("compare")
    ((('MLII', 'V1'),), (('first',), ('second',), ('both',)))
    """
    found = words(leads)
    if found == [COMPARE]:
        return tuple((word,) for word in LEAD_WORDS)
    if not found or (len(found) > 1 and {*LEAD_WORDS, COMPARE} & set(found)):
        remedy = f"name leads, or give one of the words {', '.join([*LEAD_WORDS, COMPARE])}"
        raise ConfigError("several leads and a word" if found else "no lead given", where="--leads", remedy=remedy)
    return (tuple(found),)


def one_lead_set(leads: str) -> tuple[str, ...]:
    """The one set of leads that ``--leads`` asks for.

    Raises:
        ConfigError: it asks for several, or for none.
    """
    found = lead_sets_of(leads)
    if len(found) > 1:
        raise ConfigError("several sets of leads", where="--leads", remedy=f"choose {' or '.join(LEAD_WORDS)}")
    return found[0]


def _numbers(
    text: str, option: str, wanted: str, allowed: Callable[[float], bool] = lambda value: True
) -> tuple[float, ...]:
    """The numbers of a list, each once."""
    found: dict[float, None] = {}
    for word in words(text):
        try:
            value = float(word)
        except ValueError:
            raise ConfigError(f"{word} is not a number", where=option, remedy=f"give {wanted}") from None
        if not math.isfinite(value) or not allowed(value):
            raise ConfigError(f"{word} is out of range", where=option, remedy=f"give {wanted}")
        found[value] = None
    if not found:
        raise ConfigError("no number given", where=option, remedy=f"give {wanted}")
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One variant over one period and one set of records.

    Attributes:
        variant: how they were analysed.
        period: key of :data:`trainer.scoring.scores.PERIODS`.
        records: the set's title.
        count: records in it.
        qrs: detection.
        narrow: detection within 50 ms.
        triggers: provisional R peaks.
        unusable: share of the time in which no lead could be analysed.
        milliseconds: distances and delays by name.
        base: the same leads, period and records as recorded; None for that itself.
    """

    variant: Variant
    period: str
    records: str
    count: int
    qrs: Score
    narrow: Score
    triggers: Score
    unusable: float
    milliseconds: dict[str, Distribution]
    base: Line | None

    def points(self, pick: Callable[[Line], Score]) -> float:
        """By how much an F1 is larger than in the record as it is, 0 to 1."""
        return pick(self).f1 - pick(self.base or self).f1


L = TypeVar("L")
Results = Sequence[tuple[Variant, Sequence[Period]]]
"""The variants of a plan and their scores."""


def side_by_side(results: Results, line: Callable[[Variant, Period, SplitScore, L | None], L]) -> list[L]:
    """Every variant on each period and set of records, in the order of the variants.

    Args:
        results: the variants and their scores.
        line: makes a line of a variant, a period, a set of records, and the line that it is compared with: that of the
            same leads, period and records as recorded; None for that itself.
    """
    lines: list[L] = []
    bases: dict[tuple[str, str, str], L] = {}
    for variant, periods in results:
        for period in periods:
            splits = {split.title: split for split in period.splits}
            for title in SPLITS:
                if title in splits:
                    place = variant.lead_title, period.title, title
                    made = line(variant, period, splits[title], bases.get(place))
                    bases.setdefault(place, made)
                    lines.append(made)
    return lines


def lines_of(results: Results) -> list[Line]:
    """The detector's scores side by side."""
    return side_by_side(results, _line)


def _line(variant: Variant, period: Period, split: SplitScore, base: Line | None) -> Line:
    return Line(
        variant,
        period.title,
        split.title,
        len(split.records),
        split.score("QRS"),
        split.score("QRS within 50 ms"),
        split.score("triggers"),
        split.unusable,
        split.milliseconds,
        base,
    )


def results_json(chosen: Plan, results: Results) -> dict[str, Any]:
    """The detector's scores as JSON values; see :func:`compared_json`."""
    return compared_json(chosen, results, lambda: [_line_json(line) for line in lines_of(results)])


def compared_json(chosen: Plan, results: Results, comparison: Callable[[], list[dict[str, Any]]]) -> dict[str, Any]:
    """The scores as JSON values: of the only variant, or of each and what their comparison shows.

    Shares are from 0 to 1, differences of shares too; null stands for what is not defined.
    """
    if len(results) == 1:
        return to_json(results[0][1])
    return {
        "varied": chosen.varied or "leads",
        "variants": [variant_json(variant) | to_json(periods) for variant, periods in results],
        "comparison": comparison(),
    }


def variant_json(variant: Variant) -> dict[str, Any]:
    """What a variant is, as JSON values."""
    return {"leads": list(variant.leads), "condition": variant.condition.title}


def _line_json(line: Line) -> dict[str, Any]:
    scores: dict[str, Callable[[Line], Score]] = {
        "qrs": lambda a: a.qrs,
        "qrs_within_50_ms": lambda a: a.narrow,
        "triggers": lambda a: a.triggers,
    }
    return (
        variant_json(line.variant)
        | {"period": line.period, "records": line.records}
        | {name: score_json(pick(line)) | {"f1_difference": number(line.points(pick))} for name, pick in scores.items()}
        | {"cannot_analyse": number(line.unusable), "milliseconds": milliseconds_json(line.milliseconds)}
    )
