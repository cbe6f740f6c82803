"""Beats to check a model with: a made-up ECG through the monitor's own front end.

No patient is in them, so they may travel in the model's card; and they are what the model will meet: normal beats,
premature ones narrow and wide, the first of a stream, when nothing is usual yet, and some in noise.
"""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import FS
from monitor.records import Record
from trainer.beats.labelled import inputs_of

SECONDS: Final = 60
_WAVES: Final = {
    # time from R, s; width, s; height on each lead, mV
    "N": ((-0.16, 0.022, (0.12, 0.05)), (-0.025, 0.009, (-0.12, -0.1)), (0.0, 0.011, (1.1, 0.6)),
          (0.028, 0.010, (-0.25, -0.5)), (0.26, 0.045, (0.3, 0.15))),
    "S": ((-0.13, 0.018, (-0.08, 0.09)), (0.0, 0.011, (1.05, 0.55)), (0.028, 0.010, (-0.25, -0.5)),
          (0.25, 0.045, (0.28, 0.15))),
    "V": ((0.0, 0.035, (1.5, -1.2)), (0.09, 0.03, (-0.7, 0.6)), (0.30, 0.06, (-0.45, 0.4))),
    "F": ((-0.15, 0.022, (0.1, 0.05)), (0.0, 0.024, (1.3, -0.3)), (0.06, 0.022, (-0.5, 0.1)),
          (0.28, 0.05, (-0.1, 0.25))),
}  # fmt: skip
_RHYTHM: Final = "NNNVNNNSNNF"
_PREMATURE: Final = {"N": 1.0, "F": 0.9, "S": 0.68, "V": 0.6}


def made_up_ecg(leads: int, seed: int = 0) -> tuple[Record, NDArray[np.int64], list[str]]:
    """A minute of ECG with premature beats, its last third noisy; the samples of its R peaks, and what they are."""
    rng = np.random.default_rng(seed)
    t = np.arange(SECONDS * FS) / FS
    signal = 0.1 * np.sin(2 * np.pi * 0.22 * t)[:, None] * np.array([1.0, 0.6])
    times: list[float] = []
    kinds: list[str] = []
    at, pause = 0.6, 0.0
    while at < SECONDS - 1.0:
        number = len(times)
        kind = _RHYTHM[number % len(_RHYTHM)] if number > 5 else "N"
        times.append(at)
        kinds.append(kind)
        for offset, width, heights in _WAVES[kind]:
            wave = np.exp(-0.5 * ((t - at - offset) / width) ** 2)
            signal += wave[:, None] * np.array(heights) * (1 + 0.03 * rng.normal())
        pause = 0.25 if kind in "SV" else 0.0
        following = _RHYTHM[(number + 1) % len(_RHYTHM)] if number > 4 else "N"
        at += (0.8 + 0.03 * rng.normal()) * _PREMATURE[following] + pause
    noise = rng.normal(0.0, 0.02, signal.shape)
    noise[2 * len(t) // 3 :] *= 4.0
    record = Record("made-up", float(FS), ("MLII", "V1")[:leads], (signal + noise)[:, :leads].astype(np.float32))
    return record, np.round(np.array(times) * FS).astype(np.int64), kinds


def golden_inputs(leads: int, count: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Windows and features, as a model for so many leads takes them, of beats of a made-up ECG.

    Args:
        leads: 1 to MAX_LEADS.
        count: how many; the first normal beats, then premature and fusion beats in turns with normal ones. After the
            last they begin anew.
        seed: of the ECG.
    """
    record, r_peaks, kinds = made_up_ecg(leads, seed)
    windows, features, beats = inputs_of(record)
    nearest = [kinds[int(np.abs(r_peaks - beat.sample).argmin())] for beat in beats]
    by_kind = [[i for i, kind in enumerate(nearest) if kind == wanted] for wanted in _WAVES]
    turns = [i for group in itertools.zip_longest(*by_kind) for i in group if i is not None]
    chosen = np.resize(np.array(turns, np.int64), count)
    return np.ascontiguousarray(windows[chosen]), np.ascontiguousarray(features[chosen])
