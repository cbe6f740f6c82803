"""The front end: samples of many beds in, detections and beat windows out, in one call.

:func:`tick` takes the runs that the sequencers released, bed after bed, through `align`, `filters`, `quality`, `qrs`
and `beats`. It works in blocks that never outgrow its scratch space; where blocks and messages end cannot be seen in
the result.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor import align, beats, filters, qrs, quality
from monitor.ecg import FS, FS_MIN, MAX_LEADS
from monitor.kernel import kernel

STATE: Final = np.dtype(
    [
        ("leads", np.int64),
        ("lost", np.int64),  # whether the first lead cannot be analysed
        ("align", align.STATE),
        ("filters", filters.STATE),
        ("quality", quality.STATE, (MAX_LEADS,)),
        ("qrs", qrs.STATE),
        ("beats", beats.STATE),
    ],
    align=True,
)

SEGMENT: Final = np.dtype(
    [
        ("row", np.int64),
        ("first", np.int64),  # of its samples in the staging array
        ("count", np.int64),
        ("missing", np.int64),  # absent samples before them
        ("lead_off", np.int64),
        ("table", np.int64),  # number of the resampling table
        ("wave", np.int64),  # where its display samples go
        ("made", np.int64),  # how many there are
    ],
    align=True,
)

TRIGGER, QUALITY = 1, 0
MARK: Final = np.dtype(
    [
        ("row", np.int64),
        ("kind", np.int64),
        ("sample", np.int64),
        ("emitted", np.int64),
        ("lead", np.int64),
        ("value", np.int64),  # TRIGGER: found by search-back; QUALITY: the reason
    ],
    align=True,
)

BLOCK: Final = 128
"""Input samples processed at a time."""

_SCRATCH: Final = int(BLOCK * FS / FS_MIN) + 2
_ROOM: Final = _SCRATCH // qrs.REFRACTORY + 40
_CHANGES: Final = MAX_LEADS * (_SCRATCH // quality.LOST + 2)


def capacity(samples: int, segments: int) -> int:
    """An upper bound of the marks that so many samples at 360 Hz in so many runs can bring."""
    return beat_capacity(samples, segments) + MAX_LEADS * (samples // quality.LOST + 2 * segments)


def beat_capacity(samples: int, segments: int) -> int:
    """An upper bound of the beats that so many samples at 360 Hz in so many runs can bring."""
    return samples // qrs.REFRACTORY + segments * _ROOM


@kernel
def start(state, leads, fs_mhz, half):  # type: ignore[no-untyped-def]
    """Make a zeroed STATE record ready for its first sample.

    Args:
        state: a STATE record.
        leads: leads in use.
        fs_mhz: device rate, mHz.
        half: the resampler's look-ahead, from :func:`monitor.align.design`.
    """
    state["leads"] = leads
    state["align"]["fs_mhz"] = fs_mhz
    state["align"]["half"] = half
    qrs.start(state["qrs"])
    beats.start(state["beats"])


@kernel
def _merge(state, row, detections, found, changes, changed, marks, count):  # type: ignore[no-untyped-def]
    """Act on a block's detections and lead changes in the order of their samples; list them as marks."""
    i, j = 0, 0
    while i < found or j < changed:
        if j < changed and (i >= found or changes[j]["emitted"] <= detections[i]["emitted"]):
            mark = marks[count]
            mark["kind"] = QUALITY
            mark["sample"] = changes[j]["emitted"]
            mark["emitted"] = changes[j]["emitted"]
            mark["lead"] = changes[j]["lead"]
            mark["value"] = changes[j]["reason"]
            if changes[j]["lead"] == 0:
                state["lost"] = 1 if changes[j]["reason"] != align.OK else 0
            j += 1
        else:
            mark = marks[count]
            mark["kind"] = TRIGGER
            mark["emitted"] = detections[i]["emitted"]
            mark["sample"] = beats.push(
                state["beats"], detections[i]["peak"], detections[i]["emitted"], detections[i]["search_back"]
            )
            mark["lead"] = 0
            mark["value"] = detections[i]["search_back"]
            i += 1
        if state["lost"]:  # after a beat too: one from before the loss may be announced during it
            beats.forget_timing(state["beats"])
        mark["row"] = row
        count += 1
    return count


@kernel
def tick(states, segments, samples, tables, marks, found, windows, features, wave):  # type: ignore[no-untyped-def]
    """Advance every bed that has new samples.

    Args:
        states: (beds,) STATE.
        segments: (k,) SEGMENT in the order of arrival; `made` is filled in.
        samples: (total, MAX_LEADS) float32, mV, staged.
        tables: (t, PHASES + 1, TAPS) float64, resampling tables.
        marks: MARK records to fill; :func:`capacity` says how many.
        found: beats.BEAT records to fill.
        windows: (len(found), 2, WIDTH) float32 to fill.
        features: (len(found), features) float32 to fill.
        wave: (total at 360 Hz, MAX_LEADS) float32 to fill, display mV, NaN where nothing was measured.

    Returns:
        How many marks and beats were made; within a bed both are in the order of `emitted`.
    """
    settled = np.empty((MAX_LEADS, _SCRATCH))
    flags = np.empty((MAX_LEADS, _SCRATCH), np.int64)
    display = np.empty((MAX_LEADS, _SCRATCH))
    band = np.empty(_SCRATCH)
    detections = np.empty(_ROOM, qrs.DETECTION)
    changes = np.empty(_CHANGES, quality.CHANGE)
    mark_count, beat_count = 0, 0
    for s in range(segments.size):
        segment = segments[s]
        row = segment["row"]
        state = states[row]
        leads = state["leads"]
        table = tables[segment["table"]]
        made_in_all = 0
        for part in range(2):
            missing = 1 - part
            todo = segment["missing"] if missing else segment["count"]
            first = 0 if missing else segment["first"]
            while todo > 0:
                count = min(todo, BLOCK)
                made = align.step(
                    state["align"],
                    samples,
                    first,
                    count,
                    missing,
                    segment["lead_off"],
                    leads,
                    table,
                    settled,
                    flags,
                )
                filters.step(state["filters"], settled, made, leads, display, band)
                beats.write(state["beats"], display[0], made)
                changed = 0
                for lead in range(leads):
                    changed = quality.step(state["quality"][lead], flags[lead], made, lead, changes, changed)
                if changed > 1:
                    _sort_changes(changes, changed)
                detected = qrs.step(state["qrs"], band, flags[0], made, detections)
                mark_count = _merge(state, row, detections, detected, changes, changed, marks, mark_count)
                while beats.pop(
                    state["beats"],
                    state["beats"]["written"],
                    windows[beat_count],
                    features[beat_count],
                    found[beat_count],
                ):
                    found[beat_count]["row"] = row
                    beat_count += 1
                offset = segment["wave"] + made_in_all
                for lead in range(leads):
                    for i in range(made):
                        wave[offset + i, lead] = display[lead, i] if flags[lead, i] == align.OK else np.nan
                made_in_all += made
                first += count
                todo -= count
        segment["made"] = made_in_all
    return mark_count, beat_count


@kernel
def _sort_changes(changes, count):  # type: ignore[no-untyped-def]
    """Order the changes of all leads by sample, then by lead (they come lead after lead)."""
    for i in range(1, count):
        j = i
        while j > 0 and changes[j - 1]["emitted"] > changes[j]["emitted"]:
            earlier, later = changes[j], changes[j - 1]
            emitted, lead, reason = earlier["emitted"], earlier["lead"], earlier["reason"]
            earlier["emitted"], earlier["lead"], earlier["reason"] = (
                later["emitted"],
                later["lead"],
                later["reason"],
            )
            later["emitted"], later["lead"], later["reason"] = emitted, lead, reason
            j -= 1
