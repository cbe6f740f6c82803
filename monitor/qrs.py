"""The online Pan-Tompkins QRS detector: one pass, constant memory, nothing from the future.

Band-pass, derivative, squaring and moving-window integration turn the signal into an energy whose peaks are
candidates; two adaptive thresholds, a refractory period, T-wave discrimination and search-back choose among them.

Departures from the paper, each with its reason. What all of them together score is printed by
``wardbeat evaluate qrs``; the constants were chosen on DS1 alone.

- The root of the integrated energy is thresholded, not the energy: peak levels then scale with amplitude, and a
  small beat after a large one is 1:4, not 1:16.
- One energy signal instead of two (the paper also thresholds the band-passed signal): R is placed on the display
  signal afterwards, in `beats`, so the second signal adds delay and no beats.
- The band is 5-18 Hz at 360 Hz, not 5-11 Hz at 200 Hz, and the integration window 100 ms, not 150 ms: both let two
  fast beats stay apart.
- A peak becomes a candidate when nothing has exceeded it for DOMINANCE. This fixes the delay, whatever the rhythm.
- T waves are told by slope up to 500 ms after a beat, with a second, smaller fraction beyond 333 ms: the paper stops
  at 360 ms, and long QT reaches further.
- Learning costs no beats: candidates of the first two seconds are kept and judged when the levels are known.
- A peak counts at most twice the running signal level, and as noise at most that level, so that an artefact cannot
  raise the threshold beyond reach; without beats the level sinks.
- No limit on irregular rhythm (the paper halves the thresholds then): search-back does that work.
- A candidate below FLOOR is not counted at all: 0.15 mV is no QRS to a monitor (IEC 60601-2-27 tests for it).

Source: Pan J, Tompkins WJ, A real-time QRS detection algorithm, IEEE Trans Biomed Eng 32(3):230-236, 1985,
doi:10.1109/TBME.1985.325532, and the erratum to its search-back rule that is printed with later reprints; Hamilton PS,
Tompkins WJ, 1986, doi:10.1109/TBME.1986.325695.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

import numpy as np

from monitor.align import OK
from monitor.ecg import FS
from monitor.kernel import kernel

DOMINANCE: Final = round(0.167 * FS)
"""Samples a peak must stay unexceeded; with the filters' delay the confirmed beat comes 236 ms after R."""

REFRACTORY: Final = round(0.200 * FS)
INTEGRATION: Final = round(0.100 * FS)
LEARNING: Final = 2 * FS
THRESHOLD: Final = 0.33
"""Of the way from the noise level to the signal level."""
SEARCH_THRESHOLD: Final = 0.70
"""The second threshold, as a fraction of the first."""
SEARCH_BACK: Final = 1.5
"""Median RR intervals without a beat after which it is searched for."""
SEARCH_FROM: Final = round(0.250 * FS)
T_WAVE: Final = round(0.333 * FS)
T_WAVE_LATE: Final = round(0.500 * FS)
T_SLOPE: Final = 0.70
T_SLOPE_LATE: Final = 0.20
SIGNAL_RATE: Final = 0.10
NOISE_RATE: Final = 0.20
FLOOR: Final = 2.0
"""Energy root, mV/s."""
LOWEST: Final = FLOOR / THRESHOLD
"""The signal level sinks no deeper: the threshold is at FLOOR then, and some twenty beats bring it back."""
DECAY: Final = 0.6 / FS
DECAY_AFTER: Final = round(1.5 * FS)
CANDIDATE_AGE: Final = round(3.0 * FS)

_INTERVALS: Final = 8
_CANDIDATES: Final = 32
_SLOPES: Final = 128
_SLOPE_SPAN: Final = 50

LAG: Final = 25
"""Samples from an R peak to its energy peak (measured on DS1)."""

DETECTION: Final = np.dtype(
    [
        ("peak", np.int64),  # sample of the energy peak; R lies up to 150 ms before
        ("emitted", np.int64),
        ("search_back", np.int64),
    ],
    align=True,
)

STATE: Final = np.dtype(
    [
        ("time", np.int64),  # samples seen
        ("recent", np.float64, (4,)),  # band-passed signal, oldest first
        ("squares", np.float64, (INTEGRATION,)),
        ("energy", np.float64),  # sum of `squares`
        ("slopes", np.float64, (_SLOPES,)),  # absolute derivative, a ring
        ("peak", np.float64),  # the highest energy root since the last candidate
        ("peak_at", np.int64),
        ("learned", np.int64),
        ("signal_level", np.float64),
        ("noise_level", np.float64),
        ("last", np.int64),  # energy peak of the last beat
        ("last_slope", np.float64),
        ("intervals", np.float64, (_INTERVALS,)),
        ("interval_count", np.int64),
        ("overdue", np.float64),  # samples without a beat after which one is searched for
        ("candidates", np.int64),
        ("candidate_at", np.int64, (_CANDIDATES,)),
        ("candidate_value", np.float64, (_CANDIDATES,)),
        ("candidate_slope", np.float64, (_CANDIDATES,)),
    ],
    align=True,
)

_NEVER: Final = -(1 << 40)


@kernel
def start(state):  # type: ignore[no-untyped-def]
    """Make a zeroed STATE record ready for its first sample."""
    state["last"] = _NEVER
    state["overdue"] = SEARCH_BACK * _typical_interval(state)


@kernel
def _is_t_wave(state, distance, slope):  # type: ignore[no-untyped-def]
    if distance < T_WAVE:
        return slope < T_SLOPE * state["last_slope"]
    if distance < T_WAVE_LATE:
        return slope < T_SLOPE_LATE * state["last_slope"]
    return False


@kernel
def _typical_interval(state):  # type: ignore[no-untyped-def]
    count = min(state["interval_count"], _INTERVALS)
    if count == 0:
        return 300.0
    ordered = np.sort(state["intervals"][:count])
    return 0.5 * (ordered[(count - 1) // 2] + ordered[count // 2])


@kernel
def _accept(state, at, value, slope, rate, search_back, out, found):  # type: ignore[no-untyped-def]
    if state["last"] != _NEVER:
        state["intervals"][state["interval_count"] % _INTERVALS] = at - state["last"]
        state["interval_count"] += 1
        state["overdue"] = SEARCH_BACK * _typical_interval(state)
    state["last"] = at
    state["last_slope"] = slope
    state["signal_level"] += rate * (min(value, 2.0 * state["signal_level"]) - state["signal_level"])
    out[found]["peak"] = at
    out[found]["emitted"] = state["time"]
    out[found]["search_back"] = search_back


@kernel
def _remember(state, at, value, slope):  # type: ignore[no-untyped-def]
    count = state["candidates"]
    if count == _CANDIDATES:
        for i in range(1, count):
            state["candidate_at"][i - 1] = state["candidate_at"][i]
            state["candidate_value"][i - 1] = state["candidate_value"][i]
            state["candidate_slope"][i - 1] = state["candidate_slope"][i]
        count -= 1
    state["candidate_at"][count] = at
    state["candidate_value"][count] = value
    state["candidate_slope"][count] = slope
    state["candidates"] = count + 1


@kernel
def _forget_until(state, at):  # type: ignore[no-untyped-def]
    kept = 0
    for i in range(state["candidates"]):
        if state["candidate_at"][i] > at:
            state["candidate_at"][kept] = state["candidate_at"][i]
            state["candidate_value"][kept] = state["candidate_value"][i]
            state["candidate_slope"][kept] = state["candidate_slope"][i]
            kept += 1
    state["candidates"] = kept


@kernel
def _learn(state, out, found):  # type: ignore[no-untyped-def]
    """Set the levels from the candidates so far and judge those whose signal `beats` still holds."""
    count = state["candidates"]
    ordered = np.sort(state["candidate_value"][:count])
    upper = ordered[count // 2 :]
    level = 0.5 * (upper[(upper.size - 1) // 2] + upper[upper.size // 2]) if count > 3 else ordered[count - 1]
    state["learned"] = 1
    state["signal_level"] = level
    state["noise_level"] = 0.1 * level
    threshold = state["noise_level"] + THRESHOLD * (level - state["noise_level"])
    for i in range(count):
        at, value, slope = state["candidate_at"][i], state["candidate_value"][i], state["candidate_slope"][i]
        if at <= state["time"] - CANDIDATE_AGE:
            continue
        distance = at - state["last"]
        if value > threshold and distance >= REFRACTORY and not _is_t_wave(state, distance, slope):
            _accept(state, at, value, slope, SIGNAL_RATE, 1, out, found)
            found += 1
        else:
            state["noise_level"] += NOISE_RATE * (min(value, state["signal_level"]) - state["noise_level"])
    state["candidates"] = 0
    return found


@kernel
def _judge(state, at, value, slope, out, found):  # type: ignore[no-untyped-def]
    """Decide on a new candidate by the first threshold."""
    distance = at - state["last"]
    if distance < REFRACTORY:
        return found
    noise = state["noise_level"]
    threshold = noise + THRESHOLD * (state["signal_level"] - noise)
    if value > threshold and not _is_t_wave(state, distance, slope):
        _accept(state, at, value, slope, SIGNAL_RATE, 0, out, found)
        state["candidates"] = 0
        return found + 1
    state["noise_level"] = noise + NOISE_RATE * (min(value, state["signal_level"]) - noise)
    _remember(state, at, value, slope)
    return found


@kernel
def _search_back(state, out, found):  # type: ignore[no-untyped-def]
    """Take the best candidate since the last beat if it passes the second threshold."""
    noise = state["noise_level"]
    threshold = SEARCH_THRESHOLD * (noise + THRESHOLD * (state["signal_level"] - noise))
    best = -1
    best_value = threshold
    for i in range(state["candidates"]):
        at, value = state["candidate_at"][i], state["candidate_value"][i]
        distance = at - state["last"]
        if (
            value > best_value
            and distance >= SEARCH_FROM
            and at > state["time"] - CANDIDATE_AGE
            and not _is_t_wave(state, distance, state["candidate_slope"][i])
        ):
            best, best_value = i, value
    if best < 0:
        return found
    at = state["candidate_at"][best]
    _accept(state, at, best_value, state["candidate_slope"][best], 2 * SIGNAL_RATE, 1, out, found)
    _forget_until(state, at)
    return found + 1


@kernel
def step(state, samples, flags, count, out):  # type: ignore[no-untyped-def]
    """Look for beats in a block.

    Args:
        state: a STATE record.
        samples: (capacity,) float64, the detector band, mV at 360 Hz.
        flags: (capacity,) int64, OK or a reason of `align`; where nothing is measured, silence means nothing.
        count: samples in the block.
        out: DETECTION records; at least ``count // REFRACTORY + 40``.

    Returns:
        How many beats were found, in order.
    """
    found = 0
    for i in range(count):
        time = state["time"]
        recent = state["recent"]
        x = samples[i]
        slope = (2.0 * x + recent[3] - recent[1] - 2.0 * recent[0]) * (FS / 8.0)
        recent[0], recent[1], recent[2], recent[3] = recent[1], recent[2], recent[3], x
        state["slopes"][time % _SLOPES] = abs(slope)
        slot = time % INTEGRATION
        square = slope * slope
        state["energy"] += square - state["squares"][slot]
        state["squares"][slot] = square
        if slot == 0:  # the running sum gathers rounding errors: take it anew once a window
            total = 0.0
            for j in range(INTEGRATION):
                total += state["squares"][j]
            state["energy"] = total
        root = sqrt(max(state["energy"], 0.0) / INTEGRATION)

        if root > state["peak"]:
            state["peak"] = root
            state["peak_at"] = time
        elif time - state["peak_at"] >= DOMINANCE:
            at, value = state["peak_at"], state["peak"]
            state["peak"] = root
            state["peak_at"] = time
            if value > FLOOR:
                steepest = 0.0
                for j in range(max(0, at - _SLOPE_SPAN), at + 1):
                    steepest = max(steepest, state["slopes"][j % _SLOPES])
                if state["learned"]:
                    found = _judge(state, at, value, steepest, out, found)
                else:
                    _remember(state, at, value, steepest)
        if state["learned"]:
            since = time - state["last"]
            if state["candidates"] > 0 and since > state["overdue"]:
                found = _search_back(state, out, found)
            if since > DECAY_AFTER and flags[i] == OK:
                state["signal_level"] = max(state["signal_level"] * (1.0 - DECAY), LOWEST)
        elif time >= LEARNING and state["candidates"] >= 3:
            found = _learn(state, out, found)
        state["time"] = time + 1
    return found
