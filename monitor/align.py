"""From a bed's samples in order (:mod:`monitor.sequencer`) to one clean signal at 360 Hz.

:func:`step` takes the samples one after the other, settles what is not a measurement before any recursive filter sees
it, and resamples.

A sample that is not a measurement (none sent, electrode off, converter at its rail) repeats the last good one and
carries the reason as a flag. When good samples return after more than :data:`HOLD` the signal is continued without a
step, by an offset that the 0.5 Hz high-pass removes: a join cannot make a beat.

The resampler is a windowed-sinc interpolator (Kaiser, 60 dB; 45 Hz passes at rates of 120 Hz and more) on exact
integer positions, so an output sample depends on a fixed number of inputs after it and on nothing else. 360 Hz
passes through untouched.

Source: Crochiere and Rabiner, Multirate Digital Signal Processing, 1983, chapter 2; Kaiser's design formulas.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import FS, MAX_LEADS
from monitor.kernel import kernel

HOLD: Final = 0.030
"""Seconds of missing signal that are bridged by repeating the last sample, at the device's own level."""

OK, LEAD_OFF, MISSING, SATURATED = 0, 1, 2, 3
REASONS: Final = ("ok", "lead_off", "missing", "saturated")
"""Why a sample cannot be analysed; index: the flag."""

TAPS: Final = 24
PHASES: Final = 360
_PASS: Final = 45.0
_ATTENUATION: Final = 60.0

STATE: Final = np.dtype(
    [
        ("fs_mhz", np.int64),  # device rate, mHz
        ("half", np.int64),  # inputs after an output's position that it depends on
        ("count_in", np.int64),  # input samples taken since the origin
        ("count_out", np.int64),  # 360 Hz samples made since the origin
        ("held", np.float64, (MAX_LEADS,)),  # last settled value, mV
        ("offset", np.float64, (MAX_LEADS,)),  # added to the device's values, mV
        ("bad_run", np.int64, (MAX_LEADS,)),  # inputs since the last good one
        ("started", np.int64, (MAX_LEADS,)),  # 1 once a good sample was seen
        ("history", np.float64, (MAX_LEADS, TAPS)),  # last inputs, a ring
        ("history_flag", np.int64, (MAX_LEADS, TAPS)),
    ],
    align=True,
)


@lru_cache(maxsize=32)
def design(fs: float) -> tuple[NDArray[np.float64], int]:
    """The interpolation table of one device rate.

    Args:
        fs: Hz.

    Returns:
        (PHASES + 1, TAPS) weights by position between two inputs, each row's sum 1, oldest input first, and
        the number of inputs after the position that an output needs.
    """
    if round(fs * 1000) == FS * 1000:
        return np.zeros((PHASES + 1, TAPS)), 0
    stop = max(min(fs, FS) - _PASS, _PASS + 0.2 * min(fs, FS) / 2)
    width = 2 * np.pi * (stop - _PASS) / fs
    half = min(TAPS // 2, int(np.ceil((_ATTENUATION - 8) / (2.285 * width) / 2)) + 1)
    beta = 0.1102 * (_ATTENUATION - 8.7)
    cut = (stop + _PASS) / 2 / fs  # of the sinc, in cycles per input sample
    table = np.zeros((PHASES + 1, TAPS))
    distance = np.arange(-half + 1, half + 1) - np.arange(PHASES + 1)[:, None] / PHASES
    window = np.i0(beta * np.sqrt(np.maximum(0.0, 1 - (distance / half) ** 2))) / np.i0(beta)
    weights = np.sinc(2 * cut * distance) * window
    table[:, TAPS - 2 * half :] = weights / weights.sum(1, keepdims=True)
    return table, half


def emitted_input(k: int, fs_mhz: int, half: int) -> int:
    """The input, counted from the origin, whose arrival makes output sample `k`."""
    return k * fs_mhz // (FS * 1000) + half


@kernel
def step(state, samples, first, count, missing, lead_off, leads, table, out, flags):  # type: ignore[no-untyped-def]
    """Settle and resample a run of samples.

    Args:
        state: a STATE record.
        samples: (m, MAX_LEADS) float32, mV; NaN: no sample, +-inf: at the rail.
        first, count: rows of `samples` to take; with `missing` the rows are not read and count as absent.
        missing: 1 when the run is a gap.
        lead_off: bit i set when lead i's electrode is off.
        leads: leads in use.
        table: what :func:`design` made for this rate.
        out: (MAX_LEADS, capacity) float64, receives mV.
        flags: (MAX_LEADS, capacity) int64, receives OK or a reason.

    Returns:
        How many 360 Hz samples were made.
    """
    fs_mhz = state["fs_mhz"]
    unity = FS * 1000
    half = state["half"]
    hold = int(HOLD * fs_mhz / 1000)
    made = 0
    for i in range(first, first + count):
        index = state["count_in"]
        slot = index % TAPS
        for lead in range(leads):
            flag = OK
            value = 0.0
            if missing:
                flag = MISSING
            else:
                value = np.float64(samples[i, lead])
                if (lead_off >> lead) & 1:
                    flag = LEAD_OFF
                elif value != value:
                    flag = MISSING
                elif value > 1e6 or value < -1e6:
                    flag = SATURATED
            if flag == OK:
                if state["started"][lead] == 0 or state["bad_run"][lead] > hold:
                    state["offset"][lead] = state["held"][lead] - value
                    state["started"][lead] = 1
                state["bad_run"][lead] = 0
                value += state["offset"][lead]
                state["held"][lead] = value
            else:
                state["bad_run"][lead] += 1
                value = state["held"][lead]
            if half == 0:
                out[lead, made] = value
                flags[lead, made] = flag
            else:
                state["history"][lead, slot] = value
                state["history_flag"][lead, slot] = flag
        state["count_in"] = index + 1
        if half == 0:
            made += 1
            state["count_out"] += 1
            continue
        while True:
            position = state["count_out"] * fs_mhz
            base = position // unity
            if base + half > index:
                break
            rest = position % unity
            phase = rest // (unity // PHASES)
            between = (rest % (unity // PHASES)) / (unity // PHASES)
            for lead in range(leads):
                total = 0.0
                for tap in range(TAPS - 2 * half, TAPS):
                    source = base + half - (TAPS - 1 - tap)
                    if source < 0:
                        source = 0
                    weight = table[phase, tap] + between * (table[phase + 1, tap] - table[phase, tap])
                    total += weight * state["history"][lead, source % TAPS]
                out[lead, made] = total
                flags[lead, made] = state["history_flag"][lead, base % TAPS]
            made += 1
            state["count_out"] += 1
    return made
