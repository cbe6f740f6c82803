"""What the monitor made of records, scored: each record, and sets of them gross and averaged."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import AAMI_CLASSES, AAMI_OF_SYMBOL
from trainer.scoring.calibration import NOTHING, Calibration, Decisions, calibration_of, joined, precision_recall
from trainer.scoring.confusion import COLUMNS, ROWS, Confusion, Score, bootstrap, gross, mean
from trainer.scoring.ec57 import LEARNING_PERIOD, WINDOW, Comparison
from trainer.scoring.outcome import Outcome
from trainer.splits import splits

NARROW_WINDOW: Final = 0.050
"""Match window that asks for the place of the R peak too, s."""

PERIODS: Final = {"from t = 0": 0.0, "after 5 min": LEARNING_PERIOD}
"""Every score is given twice: from these times on, s."""

_WITHOUT: Final = {"S": "232", "F": "213"}
"""Most of a class's DS2 beats are one patient's: the class is also scored without that record."""


NAMINGS: Final[dict[str, Callable[[Confusion], float]]] = {
    "accuracy": lambda c: c.accuracy,
    "accuracy, with Q": lambda c: c.accuracy_with_q,
    "macro F1": lambda c: c.macro_f1,
    "kappa": lambda c: c.kappa,
}
"""Measures of all classes together."""


@dataclass(frozen=True, slots=True, eq=False)
class RecordScore:
    """One record over one period.

    Attributes:
        record: the record's name.
        beats: counts with the escape beats e and j in N.
        escapes_in_s: the same with e and j in S, as ``bxb`` prints them.
        narrow: counts within :data:`NARROW_WINDOW`.
        first: counts with the labels that beats had at first.
        triggers: counts of the provisional R peaks; their labels mean nothing.
        decisions: what the network thought of the beats.
        revised: beats whose first label was not their last.
        milliseconds: distances and delays of the matched beats by name, each (k,).
        seconds: how long the period is.
        unusable: seconds of it in which no lead could be analysed.
    """

    record: str
    beats: Confusion
    escapes_in_s: Confusion
    narrow: Confusion
    first: Confusion
    triggers: Confusion
    decisions: Decisions
    revised: int
    milliseconds: dict[str, NDArray[np.float64]]
    seconds: float
    unusable: float


def score_record(outcome: Outcome, start: float) -> RecordScore:
    """Score one record from `start` (s) to its end."""
    beats, triggers = outcome.compare(start), outcome.compare_triggers(start)
    to_ms = np.float64(1000.0 / outcome.fs)
    peaks = outcome.samples[beats.test]
    offset = (peaks - outcome.reference_samples[beats.reference]) * to_ms
    delay = (outcome.confirmed[beats.test] - peaks) * to_ms
    first_delay, label_delay = ((at[beats.test] - peaks) * to_ms for at in (outcome.named, outcome.final))
    late = outcome.search_back[beats.test]
    return RecordScore(
        record=outcome.record,
        beats=beats.confusion,
        escapes_in_s=outcome.compare(start, escape="S").confusion,
        narrow=outcome.compare(start, window=NARROW_WINDOW).confusion,
        first=outcome.compare_first(start).confusion,
        triggers=triggers.confusion,
        decisions=_decisions(outcome, beats),
        revised=sum(outcome.symbols[j] != outcome.first_symbols[j] for j in beats.test.tolist()),
        milliseconds={
            "R peak minus annotation": offset,
            "R peak off the annotation": np.abs(offset),
            "R to trigger": (outcome.triggered - outcome.triggers)[triggers.test] * to_ms,
            "R to beat": delay[~late],
            "R to beat, search-back": delay[late],
            "R to first label": first_delay[~late],
            "R to first label, search-back": first_delay[late],
            "R to final label": label_delay[~late],
            "R to final label, search-back": label_delay[late],
        },
        seconds=max(outcome.length / outcome.fs - start, 0.0),
        unusable=float(np.sum(np.diff(np.maximum(outcome.unusable, start * outcome.fs)))) / outcome.fs,
    )


def _decisions(outcome: Outcome, beats: Comparison) -> Decisions:
    """What the network thought of the beats that are scored."""
    classes = {symbol: AAMI_CLASSES.index(name) for symbol, name in AAMI_OF_SYMBOL.items()}

    def truth(indices: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.array([classes[outcome.reference_symbols[i]] for i in indices.tolist()], np.int64)

    found = np.concatenate([truth(beats.reference), np.full(beats.extra.size, NOTHING)])
    probabilities = outcome.probabilities[np.concatenate([beats.test, beats.extra])]
    return Decisions.of(found, probabilities, truth(beats.missed))


@dataclass(frozen=True, slots=True)
class Distribution:
    """Percentiles of a number of values; NaN if there are none."""

    count: int
    median: float
    p95: float
    p99: float
    largest: float

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Distribution:
        """Of (k,) values."""
        if not values.size:
            return cls(0, *[math.nan] * 4)
        return cls(values.size, *(float(v) for v in np.percentile(values, [50, 95, 99, 100])))


class Summary(NamedTuple):
    """One score of several records.

    Attributes:
        title: what was scored.
        score: of all their beats together (gross).
        average: mean over the records in which they are defined: se, ppv, f1.
        interval: bootstrap 95 % interval of the gross F1 over records.
    """

    title: str
    score: Score
    average: tuple[float, float, float]
    interval: tuple[float, float]

    @classmethod
    def of(cls, title: str, confusions: Sequence[Confusion], pick: Callable[[Confusion], Score]) -> Summary:
        """Score each confusion, and their sum, by `pick`."""
        scores = [pick(confusion) for confusion in confusions]
        average = mean(s.se for s in scores), mean(s.ppv for s in scores), mean(s.f1 for s in scores)
        return cls(title, pick(gross(confusions)), average, bootstrap(confusions, lambda c: pick(c).f1))


class Naming(NamedTuple):
    """How well the beats of several records were named: gross, record average, bootstrap interval."""

    title: str
    gross: float
    average: float
    interval: tuple[float, float]

    @classmethod
    def of(cls, title: str, confusions: Sequence[Confusion], pick: Callable[[Confusion], float]) -> Naming:
        """Measure each confusion, and their sum, by `pick`."""
        return cls(title, pick(gross(confusions)), mean(map(pick, confusions)), bootstrap(confusions, pick))


@dataclass(frozen=True, slots=True, eq=False)
class SplitScore:
    """Several records scored together.

    Attributes:
        title: the split's name.
        records: names.
        confusion: the sum of their counts.
        summaries: detection, or one a class.
        namings: accuracy and the like; empty for detection.
        decisions: what the network thought of the beats.
        calibration: how far its probabilities may be believed.
        revised: share of the beats found whose first label was not their last, 0 to 1.
        milliseconds: distributions of distances and delays, by name.
        unusable: share of the time in which no lead could be analysed, 0 to 1.
    """

    title: str
    records: tuple[str, ...]
    confusion: Confusion
    summaries: list[Summary]
    namings: list[Naming]
    decisions: Decisions
    calibration: Calibration
    revised: float
    milliseconds: dict[str, Distribution]
    unusable: float

    def score(self, title: str) -> Score:
        """The gross score of the summary of that title."""
        return next(summary.score for summary in self.summaries if summary.title == title)

    def naming(self, title: str) -> Naming:
        """The measure of all classes together of that title."""
        return next(naming for naming in self.namings if naming.title == title)


@dataclass(frozen=True, slots=True, eq=False)
class Period:
    """All records from one time on.

    Attributes:
        title: key of :data:`PERIODS`.
        records: in the order given; without paced records where classes are scored.
        splits: sets of them.
        milliseconds: distributions over all of them, by name.
    """

    title: str
    records: list[RecordScore]
    splits: list[SplitScore]
    milliseconds: dict[str, Distribution]


def score_qrs(outcomes: Sequence[Outcome]) -> list[Period]:
    """Score detection, over each of :data:`PERIODS`."""
    return [_period(title, outcomes, classes=False) for title in PERIODS]


def score_beats(outcomes: Sequence[Outcome]) -> list[Period]:
    """Score beat classes, over each of :data:`PERIODS`. Paced records are left out."""
    return [_period(title, outcomes, classes=True) for title in PERIODS]


def _period(title: str, outcomes: Sequence[Outcome], *, classes: bool) -> Period:
    sets = splits([outcome.record for outcome in outcomes], classes=classes)
    kept = {name for names in sets.values() for name in names}
    records = {o.record: score_record(o, PERIODS[title]) for o in outcomes if o.record in kept}
    summarise = _score_classes if classes else _score_detection
    return Period(
        title,
        list(records.values()),
        [summarise(name, [records[record] for record in members]) for name, members in sets.items()],
        _distributions(list(records.values())),
    )


def _score_detection(title: str, records: list[RecordScore]) -> SplitScore:
    beats = [record.beats for record in records]
    summaries = [
        Summary.of("QRS", beats, lambda c: c.qrs),
        Summary.of("QRS within 50 ms", [record.narrow for record in records], lambda c: c.qrs),
        Summary.of("triggers", [record.triggers for record in records], lambda c: c.qrs),
    ]
    return _split(title, records, summaries, [])


def _score_classes(title: str, records: list[RecordScore]) -> SplitScore:
    beats = [record.beats for record in records]
    names = tuple(record.record for record in records)
    summaries = [Summary.of("V", beats, _of("V")), Summary.of("V strict", beats, _of("V", strict=True))]
    for label in "SFN":
        summaries.append(Summary.of(label, beats, _of(label)))
        left_out = _WITHOUT.get(label)
        if left_out in names and len(names) > 1:
            others = [record.beats for record in records if record.record != left_out]
            summaries.append(Summary.of(f"{label} without {left_out}", others, _of(label)))
        if label == "S":
            moved = [record.escapes_in_s for record in records]
            summaries.append(Summary.of("S with e and j", moved, _of("S")))
    if any(record.revised for record in records):
        first = [record.first for record in records]
        summaries += [Summary.of(f"{label}, first label", first, _of(label)) for label in "VS"]
    namings = [Naming.of(title, beats, pick) for title, pick in NAMINGS.items()]
    return _split(title, records, summaries, namings)


def _split(title: str, records: Sequence[RecordScore], summaries: list[Summary], namings: list[Naming]) -> SplitScore:
    seconds = sum(record.seconds for record in records)
    confusion = gross(record.beats for record in records)
    decisions = joined([record.decisions for record in records])
    found = confusion.qrs.tp
    return SplitScore(
        title,
        tuple(record.record for record in records),
        confusion,
        summaries,
        namings,
        decisions,
        calibration_of(decisions),
        sum(record.revised for record in records) / found if found else math.nan,
        _distributions(records),
        sum(record.unusable for record in records) / seconds if seconds else math.nan,
    )


def _distributions(records: Sequence[RecordScore]) -> dict[str, Distribution]:
    names = records[0].milliseconds if records else ()
    return {name: Distribution.of(np.concatenate([r.milliseconds[name] for r in records])) for name in names}


def _of(label: str, *, strict: bool = False) -> Callable[[Confusion], Score]:
    return lambda confusion: confusion.of(label, strict=strict)


def to_json(periods: Sequence[Period]) -> dict[str, Any]:
    """The periods as JSON values: shares from 0 to 1, milliseconds, null where a value is not defined."""
    return {
        "match_window_s": WINDOW,
        "rows": list(ROWS),
        "columns": list(COLUMNS),
        "periods": {period.title: _period_json(period) for period in periods},
    }


def _period_json(period: Period) -> dict[str, Any]:
    return {
        "records": {
            record.record: {
                "counts": record.beats.counts.tolist(),
                "qrs": score_json(record.beats.qrs),
                "qrs_within_50_ms": score_json(record.narrow.qrs),
                "triggers": score_json(record.triggers.qrs),
                "cannot_analyse": number(record.unusable / record.seconds) if record.seconds else None,
                "classes": {label: score_json(record.beats.of(label)) for label in "NSVF"},
                **{title: number(pick(record.beats)) for title, pick in NAMINGS.items()},
            }
            for record in period.records
        },
        "splits": {split.title: _split_json(split) for split in period.splits},
        "milliseconds": milliseconds_json(period.milliseconds),
    }


def milliseconds_json(distributions: Mapping[str, Distribution]) -> dict[str, Any]:
    """Distributions by name as JSON values."""
    return {
        name: {key: number(value) for key, value in asdict(distribution).items()}
        for name, distribution in distributions.items()
    }


def _split_json(split: SplitScore) -> dict[str, Any]:
    scores: dict[str, Any] = {
        summary.title: score_json(summary.score)
        | {
            "average": dict(zip(("se", "ppv", "f1"), map(number, summary.average), strict=True)),
            "f1_interval": [number(bound) for bound in summary.interval],
        }
        for summary in split.summaries
    }
    for naming in split.namings:
        scores[naming.title] = {
            "gross": number(naming.gross),
            "average": number(naming.average),
            "interval": [number(bound) for bound in naming.interval],
        }
    found: dict[str, Any] = {
        "records": list(split.records),
        "counts": split.confusion.counts.tolist(),
        "scores": scores,
        "milliseconds": milliseconds_json(split.milliseconds),
        "cannot_analyse": number(split.unusable),
    }
    if split.namings:
        found["revised"] = number(split.revised)
        found["calibration"] = _calibration_json(split.calibration)
        areas = {label: precision_recall(split.decisions, label).area for label in "NSVF"}
        found["average_precision"] = {label: number(area) for label, area in areas.items()}
    return found


def _calibration_json(calibration: Calibration) -> dict[str, Any]:
    return {
        "beats": calibration.beats,
        "ece": number(calibration.ece),
        "brier": number(calibration.brier),
        "bins": [
            b._asdict() | {"confidence": number(b.confidence), "right": number(b.right)} for b in calibration.bins
        ],
    }


def score_json(score: Score) -> dict[str, Any]:
    """Counts and ratios as JSON values."""
    ratios = {"se": score.se, "ppv": score.ppv, "f1": score.f1}
    return score._asdict() | {name: number(value) for name, value in ratios.items()}


def number(value: float) -> float | None:
    """A JSON value: null for what is not defined."""
    return None if math.isnan(value) else value
