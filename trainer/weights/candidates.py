"""What the detector's judge learns from: candidates of annotated records, as the monitor itself finds them.

What the judge sees rests on the first stage alone (:mod:`monitor.judge`), so these candidates do not depend on the
weights that happen to be installed: they are collected once, whatever judge follows.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor import filters, judge, qrs
from monitor.ecg import FS, MAX_LEADS
from monitor.kernel import kernel
from monitor.records import Annotations, Record, read_annotations, read_record
from trainer.made_up.disturbance import MOTION, RECORDED, disturb
from trainer.scoring.conditions import Resampled
from trainer.scoring.ec57 import WINDOW, flutter_intervals

NOISES: Final = 2 * (*RECORDED, MOTION, MOTION, RECORDED[0], MOTION, MOTION, MOTION)
"""The noisy versions of each record; electrode motion is the hardest."""

SNR_RANGE: Final = (-8.0, 24.0)
"""Signal-to-noise ratios they have, dB..."""
MILD: Final = 8.0
"""... and above which they are mildly noisy."""

LEAST_FOUND: Final = 0.9
"""A lead teaches alone only if the rule finds this share of the beats on it: on the others there is little to see."""

ROW: Final = np.dtype(
    [
        ("at", np.int64),
        ("size", np.float64),
        ("survived", np.int64),  # nothing exceeded it
        ("features", np.float32, (judge.MOST,)),
        ("later", np.float32, (judge.MOST_LATER,)),  # those of the second look at one that survived
    ],
    align=True,
)


@dataclass(slots=True, eq=False)
class Candidates:
    """Labelled candidates.

    Attributes:
        features: (n, width) float32, as :mod:`monitor.judge` has them for one of its networks.
        beats: (n,) bool, whether an annotator saw a beat there.
        records: (n,) names of the records they come from.
        kinds: (n,) int64, index into :data:`KINDS`.
    """

    features: NDArray[np.float32]
    beats: NDArray[np.bool_]
    records: NDArray[np.str_]
    kinds: NDArray[np.int64]


KINDS: Final = ("noisy", "clean", "clean, second lead alone", "mildly noisy")


@kernel
def _collect(state, raw, band, display, usable, leads, rows, out):  # type: ignore[no-untyped-def]
    """Run the detector sample by sample; note each candidate that the judge is asked about while it is running."""
    state["thorough"] = 1
    count, judged = 0, 0
    for i in range(band.shape[1]):
        waiting = state["peak_seen"] == 1
        qrs.step(
            state, raw[:, i : i + 1], band[:, i : i + 1], display[:, i : i + 1], usable[:, i : i + 1], leads, 1, out
        )
        if waiting and state["from"] == i and state["judged"] > judged:
            rows[count - 1]["survived"] = 1
            for j in range(judge.MOST_LATER):
                rows[count - 1]["later"][j] = state["features"][j]
        if state["judged"] == judged + 1 and state["peak_seen"] == 1:
            row = rows[count]
            row["at"] = state["peak_at"]
            row["size"] = np.sqrt(state["peak"])
            row["survived"] = 0
            for j in range(judge.MOST):
                row["features"][j] = state["features"][j]
            count += 1
        judged = state["judged"]
    return count


def collect(signal: NDArray[np.float64]) -> NDArray[np.void]:
    """The candidates, ROW records, in a signal of (n, leads) mV at 360 Hz; all leads are taken to be usable."""
    count, leads = signal.shape
    samples = np.zeros((MAX_LEADS, count))
    samples[:leads] = (signal - signal[0]).T
    display, band = np.empty_like(samples), np.zeros_like(samples)
    filters.step(np.zeros(1, filters.STATE)[0], samples, count, leads, display, band)
    usable = np.zeros((MAX_LEADS, count), np.int64)
    usable[:leads] = 1
    states = np.zeros(1, qrs.STATE)
    qrs.start(states[0])
    rows = np.zeros(count // qrs.EARLY + 1, ROW)
    found = _collect(states[0], samples, band, display, usable, leads, rows, np.empty(2 * len(rows), qrs.DETECTION))
    return rows[:found]


def label(rows: NDArray[np.void], reference: Annotations) -> NDArray[np.int64]:
    """(n,) 1: the annotator's beat, 0: none, -1: not to be learnt from.

    Of several candidates within 150 ms of one annotation the largest that nothing exceeded is the beat; the others, and
    all in ventricular flutter, teach nothing.
    """
    beats = reference.beats()[0]
    at = rows["at"] - qrs.LAG
    following = np.clip(np.searchsorted(beats, at), 1, len(beats) - 1)
    nearest = np.where(np.abs(beats[following] - at) < np.abs(beats[following - 1] - at), following, following - 1)
    near = np.flatnonzero(np.abs(beats[nearest] - at) <= WINDOW * FS)
    best_first = near[np.lexsort((-rows["size"][near], -rows["survived"][near], nearest[near]))]
    is_best = np.diff(nearest[best_first], prepend=-1) != 0
    labels = np.zeros(len(rows), np.int64)
    labels[best_first] = np.where(is_best & (rows["survived"][best_first] == 1), 1, -1)
    for first, last in flutter_intervals(reference.samples, reference.symbols):
        labels[(at >= first) & (at <= last)] = -1
    return labels


def load(
    paths: Sequence[Path], nstdb: Path, seed: int, *, noisy: Callable[[str], bool], progress: Callable[[], None]
) -> dict[str, Candidates]:
    """The candidates of several records, clean and in noise, by the judge's network that learns from them.

    Args:
        paths: of the records.
        nstdb: folder of the Noise Stress Test Database.
        seed: of the noise.
        noisy: tells by a record's name whether noise may be added to it.
        progress: called when a record is done.
    """
    parts: dict[str, list[Candidates]] = {network: [] for network in judge.NETWORKS}
    for path in paths:
        record, reference = _at_360(path)
        for signal, kind in _versions(record, reference, nstdb, seed, noisy(path.name)):
            for network, found in _labelled(signal, reference, path.name, kind).items():
                parts[network].append(found)
        progress()
    return {network: _join(parts.pop(network)) for network in judge.NETWORKS}


def _at_360(path: Path) -> tuple[Record, Annotations]:
    record, reference = read_record(path, (0, 1)), read_annotations(path)
    record.signal = np.nan_to_num(record.signal)
    return (record, reference) if record.fs == FS else Resampled(FS).apply(record, reference, (0, 1))


def _versions(
    record: Record, reference: Annotations, nstdb: Path, seed: int, noisy: bool
) -> Iterator[tuple[NDArray[np.float64], int]]:
    """Each version of a record, (n, leads) mV, and its index into KINDS."""
    rng = np.random.default_rng((seed, zlib.crc32(record.name.encode())))
    clean = record.signal.astype(np.float64)
    alone = [lead for lead in range(MAX_LEADS) if _found(clean[:, [lead]], reference) >= LEAST_FOUND]
    for lead in alone:
        yield clean[:, [lead]], KINDS.index("clean" if lead == 0 else "clean, second lead alone")
    yield clean, KINDS.index("clean")
    if not noisy:
        return
    for turn, kind in enumerate(NOISES):
        snr = rng.uniform(*SNR_RANGE)
        both = disturb(record, reference, kind, snr, nstdb, rng)
        called = KINDS.index("mildly noisy" if snr > MILD else "noisy")
        if alone:
            yield both[:, [alone[turn % len(alone)]]], called
        if turn % 2:  # one lead noisy, the other not
            quiet = turn // 2 % MAX_LEADS
            both = both.copy()
            both[:, quiet] = clean[:, quiet]
        yield both, called


def _found(signal: NDArray[np.float64], reference: Annotations) -> float:
    """Share of the annotated beats that the rule takes on this signal."""
    rows = collect(signal)
    taken = rows["features"][:, judge.ONE - 1] == 1.0
    return float(np.count_nonzero(taken & (label(rows, reference) == 1))) / max(len(reference.beats()[0]), 1)


def _labelled(signal: NDArray[np.float64], reference: Annotations, name: str, kind: int) -> dict[str, Candidates]:
    """The candidates of a signal at the first look and at the second."""
    rows = collect(signal)
    labels = label(rows, reference)
    leads = "one" if signal.shape[1] == 1 else "two"
    looks = {leads: ("features", labels >= 0), f"{leads}_later": ("later", (labels >= 0) & (rows["survived"] == 1))}
    return {
        network: Candidates(
            rows[features][keep, : judge.NETWORKS[network]],
            labels[keep] == 1,
            np.full(keep.sum(), name),
            np.full(keep.sum(), kind, np.int64),
        )
        for network, (features, keep) in looks.items()
    }


def _join(parts: Sequence[Candidates]) -> Candidates:
    return Candidates(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.beats for part in parts]),
        np.concatenate([part.records for part in parts]),
        np.concatenate([part.kinds for part in parts]),
    )
