"""A lead that counts: every sample carries its own number, so that a loss is located to the sample.

A device sends it as its third lead, called NUMBER. The monitor analyses a bed's first two leads, but releases and
records every lead as it was sent: the ECG is as it would be without, which numbers in the lowest bits of the ECG
itself would not leave it. It costs half as many bytes again.

A number is the sample's index since the start of the stream, modulo MODULUS: a prime, so no loss of whole messages
or of whole seconds comes out even. Losses below MODULUS / 2 samples (91 s at 360 Hz) between two samples are counted
exactly by the numbers alone, longer ones where the receiver keeps gaps in place, as a recording does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.messages import MAX_SAMPLES, UV_PER_UNIT

LEAD: Final = "NUMBER"

MODULUS: Final = 65_521
"""The largest prime that leaves the rails and "no sample" of an int16 alone."""

_HALF: Final = MODULUS // 2
_TABLE: Final = (np.arange(MODULUS + MAX_SAMPLES) % MODULUS - _HALF).astype("<i2")


@dataclass(frozen=True, slots=True)
class Loss:
    """Where a signal departs from what was sent.

    Attributes:
        first: index, since the start of the stream, of the first sample concerned.
        count: samples that are missing from there on; negative: so many come again.
        told: the receiver knows: it left room for them. Otherwise its own count of samples is wrong from here on.
    """

    first: int
    count: int
    told: bool


def number(first: int, n: int) -> NDArray[np.int16]:
    """What the lead holds from sample `first` on, (n,) int16, in units; n: at most 4096.

    >>> number(0, 3).tolist(), number(65_520, 2).tolist()
    ([-32760, -32759, -32758], [32760, -32760])
    """
    start = first % MODULUS
    return _TABLE[start : start + n]


def in_units(samples: NDArray[np.floating], uv: float = UV_PER_UNIT) -> NDArray[np.float64]:
    """Turn a lead in mV, as :class:`monitor.messages.Chunk` has it, back into the units that were sent."""
    units: NDArray[np.float64] = np.rint(samples.astype(np.float64) * (1000.0 / uv))
    return units


def check(samples: NDArray[np.floating], first: int) -> list[Loss]:
    """Find what is missing from the lead, or is there twice.

    Args:
        samples: (n,) in units; NaN where the receiver knows that samples are missing.
        first: index of ``samples[0]`` since the start of the stream, as the receiver counts.

    Returns:
        Losses in order. An empty list says: these are samples `first` to ``first + n``, each once.
    """
    there = np.flatnonzero(~np.isnan(samples))
    losses: list[Loss] = []
    if len(there) == 0:
        return [Loss(first, len(samples), True)] if len(samples) else []
    # How far the true index is ahead of the receiver's, from each sample alone: only known modulo MODULUS.
    ahead = (samples[there].astype(np.int64) + _HALF - (first + there)) % MODULUS
    step = (np.diff(ahead, prepend=0) + _HALF) % MODULUS - _HALF
    gap = np.diff(there, prepend=-1) - 1  # samples that the receiver knows are missing, before each
    shift = 0  # by which its count is wrong
    for i in np.flatnonzero((step != 0) | (gap != 0)).tolist():
        start = first + int(there[i]) - int(gap[i]) + shift
        if gap[i]:
            losses.append(Loss(start, int(gap[i]), True))
        if step[i]:
            shift += int(step[i])
            # Of samples that come again, the first is the one now seen.
            losses.append(Loss(start + int(gap[i]) + min(int(step[i]), 0), int(step[i]), False))
    if rest := len(samples) - 1 - int(there[-1]):
        losses.append(Loss(first + int(there[-1]) + 1 + shift, rest, True))
    return losses
