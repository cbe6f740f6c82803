"""``python -m trainer.weights.train_af``: weights of :mod:`monitor.atrial_fibrillation`, checked with records left out.

Every window of intervals is one example: of DS1 of the MIT-BIH Arrhythmia Database and of the Malignant Ventricular
Ectopy Database by their rhythm annotations, of the QT Database as other rhythms, of the PhysioNet/CinC Challenge 2017
by a record's own label, noise left out. The beats, their names and their P waves are the monitor's own. Windows that
reach back over a change of rhythm are left out. A record weighs as the root of its windows, each class as much as the
other.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor import atrial_fibrillation as af
from monitor.beats import features_of
from monitor.conditions import SUPRAVENTRICULAR
from monitor.ecg import AAMI_CLASSES
from monitor.events import Beat
from monitor.records import Record, find_database, read_annotations, read_record, record_names
from monitor.replay import analyse
from trainer.beats.labelled import inputs_of
from trainer.scoring.runs import Model, models_of
from trainer.splits import DS1

FOLDS: Final = 10
PENALTY: Final = 1.0
_FIBRILLATION: Final = ("(AFIB", "(AFL")
_UNTOLD: Final = ("(NOISE", "(VFL", "(VF", "(VFIB", "(VT", "(NOD", "(ASYS", "(HGEA", "(VER")
"""Rhythms whose atria nobody can tell."""
_OTHER, _AF, _SKIP = 0, 1, -1


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Windows of one record.

    Attributes:
        record: ``database/name``.
        measures: (n, len(MEASURES)) float64.
        labels: (n,) int64, 1 is atrial fibrillation.
    """

    record: str
    measures: NDArray[np.float64]
    labels: NDArray[np.int64]


def beats_of(record: Record) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Times of R, s, classes by number, and how well they show P waves, of the beats that the monitor finds."""
    _, features, beats = inputs_of(record)
    columns = features_of(len(record.leads))
    visible = features[:, columns.index("p_visible")].astype(np.float64)
    if "second_p_visible" in columns:
        both = np.array([(beat.leads or 1) > 1 for beat in beats], np.bool_)
        second = features[:, columns.index("second_p_visible")]
        visible[both] = np.maximum(visible, second)[both]
    one, two = models_of(Model(None, None))
    told = (event for events in analyse(record, one, two_leads=two) for event in events)
    names = {beat.sample: beat.aami for beat in told if isinstance(beat, Beat) and beat.final}
    kinds = np.array([AAMI_CLASSES.index(names[beat.sample]) for beat in beats], np.int64)
    return np.array([beat.sample for beat in beats]) / record.fs, kinds, visible


def windows_of(
    r: NDArray[np.float64], kinds: NDArray[np.int64], visible: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Which beats end a window, and its measures."""
    ends: list[int] = []
    rows: list[NDArray[np.float64]] = []
    intervals: list[float] = []
    p: list[float] = []
    x, measures = np.zeros(af.WINDOW), np.zeros(len(af.MEASURES))
    for n in range(1, len(r)):
        interval = float(r[n] - r[n - 1])
        if max(kinds[n], kinds[n - 1]) > SUPRAVENTRICULAR or interval > af.LONGEST:
            continue
        intervals, p = [*intervals, interval][-af.WINDOW :], [*p, float(visible[n])][-af.WINDOW :]
        if len(intervals) < af.FEWEST:
            continue
        x[: len(intervals)] = intervals
        af.measure(x, len(intervals), sum(p) / len(p), measures)
        ends.append(n)
        rows.append(measures.copy())
    return np.array(ends, np.int64), np.array(rows).reshape(-1, len(af.MEASURES))


def _labels(path: Path, r: NDArray[np.float64], fs: float) -> NDArray[np.int64]:
    """By beat; after a change of rhythm the beats of one window are left out."""
    reference = read_annotations(path)
    marks = [
        (sample / fs, note)
        for sample, symbol, note in zip(reference.samples.tolist(), reference.symbols, reference.notes, strict=True)
        if symbol == "+"
    ]
    label = np.full(len(r), _OTHER, np.int64)
    for start, note in marks:
        value = _AF if note in _FIBRILLATION else _SKIP if note in _UNTOLD else _OTHER
        label[r >= start] = value
    for change in np.flatnonzero(np.diff(label)) + 1:
        label[change : change + af.WINDOW] = _SKIP
    return label


def examples_of(database: str, name: str, label: int | None = None) -> Examples:
    """Windows of one record; with `label` all of them have it."""
    path = find_database(database) / name
    record = read_record(path)
    r, kinds, visible = beats_of(record)
    ends, measures = windows_of(r, kinds, visible)
    labels = _labels(path, r, record.fs) if label is None else np.full(len(r), label, np.int64)
    kept = labels[ends] != _SKIP
    return Examples(f"{database}/{name}", measures[kept], labels[ends][kept])


def collect() -> list[Examples]:
    """All records that may be trained on."""
    found = [examples_of("mitdb", name) for name in DS1]
    found += [examples_of("vfdb", name) for name in record_names(find_database("vfdb"))]
    found += [examples_of("qtdb", name, _OTHER) for name in record_names(find_database("qtdb"))]
    challenge = find_database("challenge2017")
    with (challenge / "REFERENCE.csv").open() as file:
        classes = {name: kind for name, kind, *_ in csv.reader(file)}
    for name, kind in sorted(classes.items()):
        if kind in "NAO":
            found.append(examples_of("challenge2017", name, _AF if kind == "A" else _OTHER))
    return [one for one in found if len(one.labels)]


def fit(examples: list[Examples]) -> NDArray[np.float64]:
    """Weights of the measures, and the bias: logistic regression with an L2 penalty on scaled measures."""
    x = np.concatenate([one.measures for one in examples])
    y = np.concatenate([one.labels for one in examples]).astype(np.float64)
    worth = np.concatenate([np.full(len(one.labels), len(one.labels) ** -0.5) for one in examples])
    for value in (0.0, 1.0):
        worth[y == value] *= len(y) / 2 / worth[y == value].sum()
    mean, scale = x.mean(0), x.std(0)
    a = np.column_stack([(x - mean) / scale, np.ones(len(x))])
    penalty = PENALTY * np.diag([1.0] * x.shape[1] + [0.0])
    b = np.zeros(a.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-a @ b))
        hessian = (a * (worth * p * (1 - p))[:, None]).T @ a + penalty
        b += np.linalg.solve(hessian, a.T @ (worth * (y - p)) - penalty @ b)
    weights = b[:-1] / scale
    return np.append(weights, b[-1] - weights @ mean)


def main() -> None:
    """Print the weights, and how single windows are told with records left out."""
    examples = collect()
    order = np.random.default_rng(0).permutation(len(examples))
    told: dict[str, NDArray[np.int64]] = {}
    for fold in range(FOLDS):
        out = set(order[fold::FOLDS].tolist())
        b = fit([one for n, one in enumerate(examples) if n not in out])
        for n in out:
            odds = examples[n].measures @ b[:-1] + b[-1]
            table = told.setdefault(examples[n].record.split("/")[0], np.zeros((2, 2), np.int64))
            np.add.at(table, (examples[n].labels, (odds > af.BEGINS).astype(np.int64)), 1)
    for database, table in told.items():
        se, sp = (100 * table[k, k] / table[k].sum() if table[k].sum() else np.nan for k in (1, 0))
        print(f"{database}: {table.sum()} windows, Se {se:.1f} %, Sp {sp:.1f} %")
    b = fit(examples)
    print("WEIGHTS", dict(zip(af.MEASURES, b[:-1].round(3).tolist(), strict=True)), "BIAS", round(float(b[-1]), 3))


if __name__ == "__main__":
    main()
