"""The front end: samples of many beds in, detections and beat windows out, in one call.

:func:`tick` takes the runs that the sequencers released, bed after bed, through `align`, `filters`, `losses`, `qrs`,
`quality`, `beats` and `fibrillation`. It works in blocks that never outgrow its scratch space; where blocks and
messages end cannot be seen in the result.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor import align, beats, fibrillation, filters, losses, measures, qrs, quality, window
from monitor.ecg import FS, FS_MIN, MAX_LEADS
from monitor.kernel import kernel
from monitor.waves import LOOK

STATE: Final = np.dtype(
    [
        ("leads", np.int64),
        ("reason", np.int64, (MAX_LEADS,)),  # OK, or why the lead is lost
        ("lost", np.int64),  # whether no lead can be analysed
        ("verdict", np.int64, (MAX_LEADS,)),  # OK, or what disturbs a lead that is not lost
        ("noise", np.int64),  # OK, or what disturbs the first lead where none is good
        ("align", align.STATE),
        ("filters", filters.STATE),
        ("losses", losses.STATE, (MAX_LEADS,)),
        ("qrs", qrs.STATE),
        ("quality", quality.STATE, (MAX_LEADS,)),
        ("beats", beats.STATE),
        ("fibrillation", fibrillation.STATE),
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

QUALITY, SIGNAL, LEAD_OFF, TRIGGER, QRS, NOISE, FIBRILLATION = range(7)
"""What a mark is about: one lead's quality; whether a lead can be analysed at all; whether any electrode is off; a
provisional and a confirmed R; whether noise disturbs every lead that can be analysed; fibrillation or tachycardia in
the signal."""

MARK: Final = np.dtype(
    [
        ("row", np.int64),
        ("kind", np.int64),
        ("sample", np.int64),
        ("emitted", np.int64),
        ("lead", np.int64),
        # QRS: found by search-back; LEAD_OFF: 0 or 1; FIBRILLATION: the verdict; else a number of quality.REASONS
        ("value", np.int64),
    ],
    align=True,
)

BLOCK: Final = 128
"""Input samples processed at a time."""

_SCRATCH: Final = int(BLOCK * FS / FS_MIN) + 2
_ROOM: Final = 2 * (_SCRATCH // qrs.REFRACTORY) + 80
_CHANGES: Final = MAX_LEADS * (_SCRATCH // losses.LOST + 2)
_VERDICTS: Final = MAX_LEADS * (_SCRATCH // measures.HALF + 1)
_LOOKS: Final = _SCRATCH // LOOK + 1


def capacity(samples: int, segments: int) -> int:
    """An upper bound of the marks that so many samples at 360 Hz in so many runs can bring."""
    of_losses = 4 * MAX_LEADS * (samples // losses.LOST + 2 * segments)
    of_verdicts = 2 * MAX_LEADS * (samples // measures.HALF + 2 * segments)
    return 2 * _most_beats(samples, segments) + of_losses + of_verdicts + samples // LOOK + segments


def beat_capacity(samples: int, segments: int) -> int:
    """An upper bound of the rows of beats, two a beat, that so many samples at 360 Hz in so many runs can bring."""
    return 2 * _most_beats(samples, segments)


def _most_beats(samples: int, segments: int) -> int:
    return samples // qrs.REFRACTORY + segments * _ROOM


class Room(NamedTuple):
    """What :func:`tick` fills."""

    marks: NDArray[np.void]
    found: NDArray[np.void]
    windows: NDArray[np.float32]
    features: NDArray[np.float32]
    wave: NDArray[np.float32]


def room(samples: int, segments: int) -> Room:
    """Arrays for so many samples at 360 Hz in so many runs."""
    most = beat_capacity(samples, segments)
    return Room(
        np.empty(capacity(samples, segments), MARK),
        np.empty(most, beats.BEAT),
        np.empty((most, len(beats.channels_of(MAX_LEADS)), window.WIDTH), np.float32),
        np.empty((most, len(beats.FEATURES)), np.float32),
        np.empty((samples, MAX_LEADS), np.float32),
    )


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
    beats.start(state["beats"], leads)
    fibrillation.start(state["fibrillation"])
    for n in range(leads):
        quality.start(state["quality"][n])


@kernel
def _mark(marks, count, row, kind, sample, emitted, lead, value):  # type: ignore[no-untyped-def]
    mark = marks[count]
    mark["row"] = row
    mark["kind"] = kind
    mark["sample"] = sample
    mark["emitted"] = emitted
    mark["lead"] = lead
    mark["value"] = value
    return count + 1


@kernel
def _note_change(state, row, change, marks, count):  # type: ignore[no-untyped-def]
    """A lead was lost or is back: the beats go on from the first that can be analysed."""
    at, lead, reason = change["emitted"], change["lead"], change["reason"]
    count = _mark(marks, count, row, QUALITY, at, at, lead, reason)
    before, off_before = _why_lost(state), _any_off(state)
    state["reason"][lead] = reason
    state["verdict"][lead] = align.OK  # there is none for a while
    beats.use_lead(state["beats"], lead, reason == align.OK, at)
    why = _why_lost(state)
    state["lost"] = 1 if why != align.OK else 0
    if why != before:
        count = _mark(marks, count, row, SIGNAL, at, at, 0, why)
    off = _any_off(state)
    if off != off_before:
        count = _mark(marks, count, row, LEAD_OFF, at, at, 0, off)
    return _note_noise(state, row, at, marks, count)


@kernel
def _note_verdict(state, row, change, marks, count):  # type: ignore[no-untyped-def]
    """Noise has set in on a lead, or is over. What is known of a lost lead is that it is lost."""
    at, lead, verdict = change["emitted"], change["lead"], change["reason"]
    if state["reason"][lead] != align.OK or state["verdict"][lead] == verdict:
        return count
    state["verdict"][lead] = verdict
    count = _mark(marks, count, row, QUALITY, at, at, lead, verdict)
    return _note_noise(state, row, at, marks, count)


@kernel
def _note_noise(state, row, at, marks, count):  # type: ignore[no-untyped-def]
    noise = _what_disturbs(state)
    if noise == state["noise"]:
        return count
    state["noise"] = noise
    return _mark(marks, count, row, NOISE, at, at, 0, noise)


@kernel
def _what_disturbs(state):  # type: ignore[no-untyped-def]
    """OK if a lead is good, or none is noisy, else the first noisy one's verdict. A flat lead is neither."""
    found = align.OK
    for n in range(state["leads"]):
        if state["reason"][n] != align.OK:
            continue
        verdict = state["verdict"][n]
        if verdict == align.OK:
            return align.OK
        if verdict != quality.FLAT and found == align.OK:
            found = verdict
    return found


@kernel
def _why_lost(state):  # type: ignore[no-untyped-def]
    """OK if a lead can be analysed, else why the first cannot."""
    for n in range(state["leads"]):
        if state["reason"][n] == align.OK:
            return align.OK
    return state["reason"][0]


@kernel
def _any_off(state):  # type: ignore[no-untyped-def]
    for n in range(state["leads"]):
        if state["reason"][n] == align.LEAD_OFF:
            return 1
    return 0


@kernel
def _finish(state, row, until, found, windows, features, count):  # type: ignore[no-untyped-def]
    """List the rows of beats that are due before sample `until`."""
    while beats.pop(state["beats"], until, windows[count], features[count], found[count]):
        found[count]["row"] = row
        count += 1
    return count


@kernel
def _at(records, i, count):  # type: ignore[no-untyped-def]
    """Sample of a record, or one that never comes."""
    return records[i]["emitted"] if i < count else np.int64(1) << 62


@kernel
def _merge(  # type: ignore[no-untyped-def]
    state,
    row,
    detections,
    detected,
    changes,
    changed,
    verdicts,
    judged,
    marks,
    count,
    found,
    windows,
    features,
    beat_count,
):
    """Act on a block's detections, lead changes and verdicts in the order of their samples; list them as marks.

    A beat whose window was complete before its lead was lost is finished on that lead, and one whose window was
    complete before the next beat was found knows nothing of that yet.
    """
    i, j, k = 0, 0, 0
    while i < detected or j < changed or k < judged:
        at = _at(changes, j, changed)
        if k < judged and verdicts[k]["emitted"] < at and verdicts[k]["emitted"] <= _at(detections, i, detected):
            count = _note_verdict(state, row, verdicts[k], marks, count)
            k += 1
            continue
        if j < changed and (i >= detected or changes[j]["emitted"] <= detections[i]["emitted"]):
            beat_count = _finish(state, row, changes[j]["emitted"], found, windows, features, beat_count)
            at = changes[j]["emitted"]
            count = _note_change(state, row, changes[j], marks, count)
            j += 1
        else:
            detection = detections[i]
            peak, at, back = detection["peak"], detection["emitted"], detection["search_back"]
            if detection["kind"] == qrs.TRIGGER:
                r = beats.foresee(state["beats"], peak)
                count = _mark(marks, count, row, TRIGGER, r, at, 0, 0)
            else:
                beat_count = _finish(state, row, at, found, windows, features, beat_count)
                r = beats.push(state["beats"], detection)
                count = _mark(marks, count, row, QRS, r, at, 0, back)
            i += 1
        if state["lost"]:  # after a beat too: one from before the loss may be announced during it
            beats.forget_timing(state["beats"], at)
    return count, _finish(state, row, state["beats"]["written"], found, windows, features, beat_count)


@kernel
def _mark_looks(row, looks, told, marks, first, count):  # type: ignore[no-untyped-def]
    """List what a block's looks for fibrillation found among its marks, which begin at `first`: by `emitted`, and after
    their equals."""
    for v in range(told):
        at = looks[v]["emitted"]
        place = count
        while place > first and marks[place - 1]["emitted"] > at:
            _mark(
                marks,
                place,
                row,
                marks[place - 1]["kind"],
                marks[place - 1]["sample"],
                marks[place - 1]["emitted"],
                marks[place - 1]["lead"],
                marks[place - 1]["value"],
            )
            place -= 1
        _mark(marks, place, row, FIBRILLATION, looks[v]["sample"], at, 0, looks[v]["verdict"])
        count += 1
    return count


@kernel
def tick(  # type: ignore[no-untyped-def]
    states, segments, samples, tables, marks, found, windows, features, wave, weights
):
    """Advance every bed that has new samples.

    Args:
        states: (beds,) STATE.
        segments: (k,) SEGMENT in the order of arrival; `made` is filled in.
        samples: (total, MAX_LEADS) float32, mV, staged.
        tables: (t, PHASES + 1, TAPS) float64, resampling tables.
        marks, found, windows, features, wave: what :func:`room` makes; `wave` receives display mV, NaN where nothing
            was measured.
        weights: a WEIGHTS record of :mod:`monitor.fibrillation`.

    Returns:
        How many marks and rows of beats were made; within a bed both are in the order of `emitted`.
    """
    settled = np.empty((MAX_LEADS, _SCRATCH))
    flags = np.empty((MAX_LEADS, _SCRATCH), np.int64)
    display = np.empty((MAX_LEADS, _SCRATCH))
    band = np.empty((MAX_LEADS, _SCRATCH))
    usable = np.zeros((MAX_LEADS, _SCRATCH), np.int64)
    detections = np.empty(_ROOM, qrs.DETECTION)
    changes = np.empty(_CHANGES, losses.CHANGE)
    verdicts = np.empty(_VERDICTS, losses.CHANGE)
    looks = np.empty(_LOOKS, fibrillation.CHANGE)
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
                beats.write(state["beats"], display, leads, made)
                changed = 0
                usable[leads:] = 0
                for lead in range(leads):
                    changed = losses.step(
                        state["losses"][lead], flags[lead], made, lead, usable[lead], changes, changed
                    )
                if changed > 1:
                    _sort_changes(changes, changed)
                detected = qrs.step(state["qrs"], settled, band, display, usable, leads, made, detections)
                told = fibrillation.step(state["fibrillation"], weights, display, usable, leads, made, looks)
                block_marks = mark_count
                judged = 0
                for lead in range(leads):
                    judged = quality.step(
                        state["quality"][lead],
                        settled[lead],
                        display[lead],
                        band[lead],
                        usable[lead],
                        made,
                        lead,
                        state["qrs"]["shown"][lead],
                        detections,
                        detected,
                        verdicts,
                        judged,
                    )
                if judged > 1:
                    _sort_changes(verdicts, judged)
                mark_count, beat_count = _merge(
                    state,
                    row,
                    detections,
                    detected,
                    changes,
                    changed,
                    verdicts,
                    judged,
                    marks,
                    mark_count,
                    found,
                    windows,
                    features,
                    beat_count,
                )
                mark_count = _mark_looks(row, looks, told, marks, block_marks, mark_count)
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
