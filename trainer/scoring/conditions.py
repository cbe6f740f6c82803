"""Under what conditions a record is analysed: as it is, at another rate, at another size.

A condition is applied to a record and its annotations before the monitor hears of either. Noise is one too; it has
a module of its own, :mod:`trainer.scoring.stress`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.records import Annotations, Record

_LARGEST_RATIO: Final = 1000
"""Rates are converted by a ratio of two numbers no larger than this: 128 Hz from 360 Hz is 16 to 45."""


class Condition(Protocol):
    """What is done to a record before it is analysed."""

    @property
    def title(self) -> str:
        """What it is called in tables."""

    def apply(self, record: Record, reference: Annotations, signals: Sequence[int]) -> tuple[Record, Annotations]:
        """The record and its annotations under this condition; what is given stays as it is.

        Args:
            record: the leads to analyse.
            reference: its annotations, on its clock.
            signals: which of the record's signals each lead is, by number.

        Raises:
            RecordError: the condition makes no sense for this record.
        """


@dataclass(frozen=True, slots=True)
class AsRecorded:
    """The record as it is."""

    title: str = "as recorded"

    def apply(self, record: Record, reference: Annotations, signals: Sequence[int]) -> tuple[Record, Annotations]:
        return record, reference


AS_RECORDED: Final = AsRecorded()


@dataclass(frozen=True, slots=True)
class Resampled:
    """The record as a device of another rate would send it.

    Attributes:
        fs: Hz.
    """

    fs: float

    @property
    def title(self) -> str:
        return f"{self.fs:g} Hz"

    def apply(self, record: Record, reference: Annotations, signals: Sequence[int]) -> tuple[Record, Annotations]:
        """Annotations go to the nearest sample; what is nearest to a sample that is none (NaN) is none either."""
        ratio = rate_ratio(record.fs, self.fs)
        if ratio == 1:
            return record, reference
        signal = resample(_bridged(record.signal), ratio)
        nearest = np.minimum(np.rint(np.arange(len(signal)) / float(ratio)).astype(np.int64), len(record.signal) - 1)
        missing = ~np.isfinite(record.signal[nearest])
        signal[missing] = record.signal[nearest][missing]
        samples = np.rint(reference.samples * float(ratio)).astype(np.int64)
        return (
            Record(record.name, float(record.fs * ratio), record.leads, signal.astype(np.float32)),
            Annotations(samples, reference.symbols, reference.notes),
        )


@dataclass(frozen=True, slots=True)
class Scaled:
    """The record as a device with another gain, or a patient with larger or smaller complexes, would send it.

    Attributes:
        gain: factor, larger than 0.
    """

    gain: float

    @property
    def title(self) -> str:
        return f"x {self.gain:g}"

    def apply(self, record: Record, reference: Annotations, signals: Sequence[int]) -> tuple[Record, Annotations]:
        signal = record.signal * np.float32(self.gain)
        return Record(record.name, record.fs, record.leads, signal), reference


def rate_ratio(own: float, wanted: float) -> Fraction:
    """By what the number of samples grows from one rate to the other; exact for the rates that devices have."""
    return Fraction(wanted / own).limit_denominator(_LARGEST_RATIO)


def resample(signal: NDArray[np.floating], ratio: Fraction) -> NDArray[np.float64]:
    """Convert a signal's rate: polyphase filter, zero phase, Kaiser window with beta 5, `scipy.signal.resample_poly`.

    The ends are continued along the line from the first sample to the last, so that neither becomes a step.

    Args:
        signal: (n, k), without NaN.
        ratio: new rate by old rate.

    Returns:
        (ceil(n * ratio), k); sample i lies at the time of sample i / ratio of the original.
    """
    from scipy.signal import resample_poly

    found: NDArray[np.float64] = resample_poly(
        np.asarray(signal, np.float64),
        ratio.numerator,
        ratio.denominator,
        axis=0,
        window=("kaiser", 5.0),
        padtype="line",
    )
    return found


def _bridged(signal: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, k), with what is not finite put on the line between its neighbours; a lead without values is zero."""
    found = signal.astype(np.float64)
    at = np.arange(len(found))
    for column in found.T:
        there = np.isfinite(column)
        column[~there] = np.interp(at[~there], at[there], column[there]) if there.any() else 0.0
    return found
