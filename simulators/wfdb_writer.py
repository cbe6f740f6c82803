"""A synthetic patient as a WFDB record: the samples, and the truth as annotations."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import wfdb
from numpy.typing import NDArray

from monitor.exceptions import RecordError
from simulators.synthetic import Strip

ANNOTATOR: Final = "atr"
"""The annotator of the truth: beats, rhythms, bounds of fibrillation."""

PULSES: Final = "pace"
"""The annotator of pacemaker's pulses, where there are any."""

GAIN: Final = 200.0
"""Units per mV, as in the MIT-BIH databases."""

_NO_SAMPLE: Final = -32768
_RAIL: Final = 32767
_CHAOS: Final = ("VF", "VFL")  # rhythms without beats: from "[" to "]"


def write_record(strip: Strip, folder: Path, name: str) -> Path:
    """Write a strip as format 16, 200 units/mV: no sample where it is NaN, the converter's rail where it is infinite.

    Returns:
        The record's path, without a suffix.

    Raises:
        RecordError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        wfdb.wrsamp(
            name,
            strip.fs,
            ["mV"] * len(strip.leads),
            list(strip.leads),
            d_signal=_digital(strip.signal),
            fmt=["16"] * len(strip.leads),
            adc_gain=[GAIN] * len(strip.leads),
            baseline=[0] * len(strip.leads),
            comments=["synthetic; not a patient"],
            write_dir=str(folder),
        )
        rows = _annotations(strip)
        if rows:
            at, symbols, notes = zip(*rows, strict=True)
            _annotate(folder, name, ANNOTATOR, np.array(at), list(symbols), list(notes), strip.fs)
        if strip.spikes.size:
            count = strip.spikes.size
            _annotate(folder, name, PULSES, strip.spikes - strip.first, ["^"] * count, [""] * count, strip.fs)
    except (OSError, ValueError) as error:
        raise RecordError(
            f"cannot be written ({error})", where=str(folder / name), remedy="choose another place"
        ) from None
    return folder / name


def _digital(signal: NDArray[np.float32]) -> NDArray[np.int64]:
    units = np.clip(np.rint(np.nan_to_num(signal, nan=0.0, posinf=1e9, neginf=-1e9) * GAIN), -_RAIL, _RAIL)
    return np.where(np.isnan(signal), _NO_SAMPLE, units).astype(np.int64)


def _annotations(strip: Strip) -> list[tuple[int, str, str]]:
    """Sample, symbol and note of beats, rhythm changes and the bounds of fibrillation, in order."""
    beats = zip((strip.r_peaks - strip.first).tolist(), strip.symbols, strict=True)
    rows = [(at, symbol, "") for at, symbol in beats]
    last = len(strip.signal) - 1
    for start, end, rhythm in strip.rhythms:
        rows.append((start - strip.first, "+", f"({rhythm}"))
        if rhythm in _CHAOS:
            rows.append((start - strip.first, "[", ""))
            rows.append((min(end - strip.first, last), "]", ""))
    order = {"]": 0, "+": 1, "[": 2}  # at one sample, before the beat there
    return sorted(rows, key=lambda row: (row[0], order.get(row[1], 3)))


def _annotate(
    folder: Path, name: str, annotator: str, at: NDArray[np.int64], symbols: list[str], notes: list[str], fs: float
) -> None:
    wfdb.wrann(name, annotator, at, symbols, aux_note=notes, fs=fs, write_dir=str(folder))
