"""Small made-up records with reference annotations, for learning and trying out where no database is at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trainer.beats.golden import made_up_ecg


def write_example_records(folder: Path, count: int = 6) -> list[str]:
    """Write `count` made-up patients of a minute each as WFDB records of two leads; return their names.

    They have normal, supraventricular, ventricular and fusion beats; they differ in size, in noise and in how much
    the second lead shows. What is learnt from them is of no use elsewhere.
    """
    import wfdb

    folder.mkdir(parents=True, exist_ok=True)
    names = [f"made{number:02d}" for number in range(count)]
    for seed, name in enumerate(names):
        rng = np.random.default_rng((seed, 1))
        record, r_peaks, kinds = made_up_ecg(2, seed)
        signal = record.signal * rng.uniform(0.6, 1.6, 2) + rng.normal(
            0.0, rng.uniform(0.005, 0.04), record.signal.shape
        )
        symbols = ["A" if kind == "S" else kind for kind in kinds]
        wfdb.wrsamp(name, 360, ["mV"] * 2, list(record.leads), signal, fmt=["16"] * 2, write_dir=str(folder))
        wfdb.wrann(name, "atr", r_peaks, np.array(symbols), fs=360, write_dir=str(folder))
    return names
