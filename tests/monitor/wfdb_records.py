"""WFDB records made for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import NDArray

from simulators.synthetic import render


def write_record(
    folder: Path,
    name: str,
    signal: NDArray[np.floating],
    *,
    fs: float = 360,
    leads: Sequence[str] = ("MLII", "V1"),
    units: Sequence[str] | None = None,
    fmt: str = "16",
    gain: float = 200.0,
) -> Path:
    """Write (n, leads) physical values, NaN where there is no sample; return the record's path."""
    columns = signal.shape[1]
    wfdb.wrsamp(
        name,
        fs,
        list(units or ["mV"] * columns),
        list(leads[:columns]),
        np.asarray(signal, np.float64),
        fmt=[fmt] * columns,
        adc_gain=[gain] * columns,
        baseline=[0] * columns,
        write_dir=str(folder),
    )
    return folder / name


def sinus(seconds: float = 30.0, fs: float = 360.0) -> NDArray[np.float32]:
    """(n, 2) mV: 75 beats a minute, the first after half a second, every eighth one ventricular."""
    times = np.arange(0.5, seconds - 0.1, 0.8)
    beats = [(float(t), "V" if i % 8 == 7 else "N") for i, t in enumerate(times)]
    return render(beats, seconds, fs=fs).signal
