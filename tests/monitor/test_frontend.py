"""The front end as one call: segments of many beds in, marks, beats and waves out, in bounds and in order."""

from __future__ import annotations

import itertools

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import SIZES, hostile_signals, sinus, steady

from monitor import align, frontend, losses, qrs, window
from monitor.align import MISSING, OK
from monitor.ecg import FS, MAX_LEADS
from monitor.fibrillation_weights import shipped
from monitor.frontend import LEAD_OFF, QRS, QUALITY, SIGNAL, TRIGGER
from simulators.synthetic import render


class FrontEnd:
    """The beds' states, and what a caller prepares for :func:`frontend.tick`."""

    def __init__(self, *rates, leads=MAX_LEADS):
        self.rates = rates
        self.states = np.zeros(len(rates), frontend.STATE)
        self.tables = np.stack([align.design(fs)[0] for fs in rates])
        for row, fs in enumerate(rates):
            frontend.start(self.states[row], leads, round(fs * 1000), align.design(fs)[1])

    def tick(self, *runs, lead_off=0):
        """Take runs of ``(row, signal, missing samples before it)``; return marks, beats and waves of the runs."""
        segments, first, wave = [], 0, 0
        for row, signal, missing in runs:
            segments.append((row, first, len(signal), missing, lead_off, row, wave, 0))
            first += len(signal)
            wave += int((len(signal) + missing) * FS / self.rates[row]) + 2
        segments = np.array(segments, frontend.SEGMENT)
        room = frontend.room(wave, len(runs))
        samples = np.concatenate([signal for _, signal, _ in runs]).astype(np.float32)
        mark_count, beat_count = frontend.tick(self.states, segments, samples, self.tables, *room, shipped().final)
        assert mark_count <= len(room.marks)
        assert beat_count <= len(room.found)
        shown = [room.wave[s["wave"] : s["wave"] + s["made"]] for s in segments]
        return room.marks[:mark_count], room.found[:beat_count], shown


def check_rows_of_beats(found):
    """Each beat has one row or two, one after the other; the last beat may lack its final one."""
    first, final = found["first"] == 1, found["final"] == 1
    alone = first & final
    assert np.array_equal(np.flatnonzero(final & ~first), np.flatnonzero(first & ~final)[: np.sum(final & ~first)] + 1)
    assert np.sum(first & ~final) - np.sum(final & ~first) == (0 if not len(found) or final[-1] else 1)
    follows = np.flatnonzero(final & ~first)
    for name in ("sample", "search_back", "rule", "leads"):
        assert np.array_equal(found[name][follows], found[name][follows - 1])
    assert np.all(found["emitted"][follows] > found["emitted"][follows - 1])
    waited = found["emitted"][final] - found["sample"][final]
    assert np.all((waited <= 1.2 * FS) | alone[final])


def joined(parts):
    return np.concatenate(list(parts))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from((100.0, 250.0, 360.0, 1000.0)), st.data())
def test_segments_and_blocks_do_not_show(fs, data):
    signal = data.draw(hostile_signals(fs))
    whole = FrontEnd(fs).tick((0, signal, 0))
    cut, at, results = FrontEnd(fs), 0, []
    for size in itertools.cycle(data.draw(SIZES)):
        results.append(cut.tick((0, signal[at : at + size], 0)))
        at += size
        if at >= len(signal):
            break
    marks, found, waves = zip(*results, strict=True)
    assert np.array_equal(joined(marks), whole[0])
    assert np.array_equal(joined(found), whole[1])
    assert joined(itertools.chain(*waves)).tobytes() == joined(whole[2]).tobytes()


def test_each_bed_of_a_tick_gets_what_is_its_own():
    signals = {0: sinus(20.0, 80.0), 1: sinus(20.0, 120.0, fs=250.0), 2: sinus(20.0, 50.0)}
    rates = (360.0, 250.0, 360.0)
    runs = [(row, part, 0) for row in (2, 0, 1) for part in np.array_split(signals[row], 3)]
    marks, found, waves = FrontEnd(*rates).tick(*runs)
    for row, signal in signals.items():
        alone = FrontEnd(rates[row]).tick((0, signal, 0))
        for mine, others in ((marks, alone[0]), (found, alone[1])):
            names = [name for name in mine.dtype.names if name != "row"]
            assert np.array_equal(mine[mine["row"] == row][names], others[names])
        assert np.array_equal(
            joined(wave for wave, run in zip(waves, runs, strict=True) if run[0] == row), joined(alone[2])
        )


@settings(max_examples=60, deadline=None)
@given(hostile_signals(), st.integers(0, 3000))
def test_marks_and_beats_come_in_the_order_of_their_samples(signal, missing):
    marks, found, _ = FrontEnd(360.0).tick((0, signal, 0), (0, sinus(3.0), missing))
    assert np.all(np.diff(marks["emitted"]) >= 0)
    assert np.all(np.diff(found["emitted"]) >= 0)
    assert np.all(np.diff(found["sample"][found["first"] == 1]) > 0)
    check_rows_of_beats(found)
    assert np.all(marks["sample"] <= marks["emitted"])


@pytest.mark.parametrize("fs", [100.0, 360.0, 1000.0])
def test_no_signal_fills_more_than_its_room(fs):
    """Beats as close as can be, and leads lost and back as often as can be; room is counted, not checked."""
    beating = render(steady(299, 0.1, 60.0), 60.0, fs=fs).signal
    bad = round((losses.LOST + 1) / FS * fs)
    good = round((losses.BACK + 1) / FS * fs)
    flicker = beating.copy()
    at = np.arange(len(flicker)) % (bad + good)
    flicker[at < bad] = np.nan
    for signal in (beating, flicker):
        for size in (round(fs * 60), 100, 7):
            front = FrontEnd(fs)
            for first in range(0, len(signal), size):
                front.tick((0, signal[first : first + size], 0))


def test_missing_samples_are_analysed_as_such():
    front = FrontEnd(360.0)
    front.tick((0, sinus(5.0), 0))
    marks, _, (wave,) = front.tick((0, sinus(1.0), 720))
    changes = marks[(marks["kind"] == QUALITY) & (marks["lead"] == 0)]
    lost, back = 5 * FS + losses.LOST - 1, 7 * FS + losses.BACK - 1
    assert naive.as_tuples(changes, "emitted", "value") == [(lost, MISSING), (back, OK)]
    assert len(wave) == 720 + FS
    assert np.isnan(wave[:720]).all()
    assert np.isfinite(wave[720:]).all()


def test_both_leads_are_marked_in_the_order_of_samples_then_of_leads():
    signal = sinus(5.0)
    signal[720:1000, 1] = np.nan
    signal[725:1000, 0] = np.nan
    marks, _, _ = FrontEnd(360.0).tick((0, signal, 0))
    changes = naive.as_tuples(marks[marks["kind"] == QUALITY], "emitted", "lead", "value")
    lost, back = losses.LOST - 1, 1000 + losses.BACK - 1
    assert changes == [(720 + lost, 1, MISSING), (725 + lost, 0, MISSING), (back, 0, OK), (back, 1, OK)]


def test_a_change_of_quality_comes_before_a_beat_that_is_known_with_it():
    signal = sinus(10.0)
    marks, _, _ = FrontEnd(360.0).tick((0, signal, 0))
    known = int(marks["emitted"][marks["kind"] == QRS][8])
    signal[known - losses.LOST + 1 :, 1] = np.nan
    marks, _, _ = FrontEnd(360.0).tick((0, signal, 0))
    assert marks["kind"][marks["emitted"] == known].tolist() == [QUALITY, QRS]


@pytest.mark.parametrize(("lost_at", "before"), [(9.55, 9), (9.63, 10)])
def test_an_interval_across_a_loss_is_not_measured(lost_at, before):
    """The beat at 9.5 s is whole before the loss or it is not; no interval is measured from there to the next."""
    signal = render([*steady(60, 0.5, 9.6), *steady(60, 14.0, 20.0)], 20.0).signal
    signal[round(lost_at * FS) : round(13.0 * FS)] = np.nan
    front = FrontEnd(360.0)
    marks, _, _ = front.tick((0, signal, 0))
    assert np.count_nonzero(marks["kind"] == QRS) == before + 6
    state = front.states[0]["beats"]
    assert state["interval_count"] == before - 1 + 5
    assert np.allclose(state["intervals"][: before + 4], 1.0, atol=0.02)


def test_no_interval_begins_with_a_beat_that_is_told_within_a_loss():
    """Found by looking back: it lies before the loss, and is announced when the leads are lost already."""
    state = np.zeros(1, frontend.STATE)
    frontend.start(state[0], MAX_LEADS, 360_000, 0)
    changes = np.zeros(1, losses.CHANGE)
    marks, *named, _ = frontend.room(1, 1)
    detections = np.zeros(1, qrs.DETECTION)
    detections[0] = (qrs.BEAT, 900, 1000, 1, 5.0, 1.0, 1.0)
    state["beats"]["written"] = 1001
    state["beats"]["last_r"] = 500
    for lead in range(MAX_LEADS):
        changes[0] = (950, lead, MISSING)
        frontend._merge(state[0], 0, detections, 0, changes, 1, changes, 0, marks, 0, *named, 0)
    count, _ = frontend._merge(state[0], 0, detections, 1, changes, 0, changes, 0, marks, 0, *named, 0)
    assert marks["kind"][:count].tolist() == [QRS]
    assert state["beats"]["interval_count"].tolist() == [0]
    assert state["beats"]["last_r"].tolist() == [window.NEVER]


def test_a_lead_that_is_not_in_use_is_not_listened_to():
    signal = sinus(10.0)
    alone, _, _ = FrontEnd(360.0, leads=1).tick((0, signal, 0))
    signal[:, 1] = sinus(10.0, 200.0)[:, 0]
    marks, _, _ = FrontEnd(360.0, leads=1).tick((0, signal, 0))
    assert np.count_nonzero(marks["kind"] == QRS) == 13
    assert np.array_equal(marks, alone)


def lost(signal, lead, first, last):
    """Take a lead away from `first` to `last`, s."""
    signal[round(first * FS) : round(last * FS), lead] = np.nan


def test_the_signal_is_lost_with_its_last_lead_and_back_with_the_first():
    """Marks of both leads together; the reason is the first lead's."""
    signal = sinus(12.0)
    lost(signal, 0, 4.0, 9.0)
    signal[6 * FS : 8 * FS, 1] = np.inf
    marks, _, _ = FrontEnd(360.0).tick((0, signal, 0))
    changes = naive.as_tuples(marks[marks["kind"] == SIGNAL], "emitted", "value")
    assert changes == [(6 * FS + losses.LOST - 1, MISSING), (8 * FS + losses.BACK - 1, OK)]
    assert not np.any(marks["kind"] == LEAD_OFF)


@pytest.mark.parametrize("first", [0, 1])
def test_electrodes_are_off_with_the_first_and_on_with_the_last(first):
    """Whichever lead goes first; a lead that is lost for another reason does not count."""
    front, marks = FrontEnd(360.0), []
    off = [0, 1 << first, 0b11, 2 >> first, 0]
    for lead_off in off:
        marks.append(front.tick((0, sinus(2.0), 0), lead_off=lead_off)[0])
    marks = np.concatenate(marks)
    changes = naive.as_tuples(marks[marks["kind"] == LEAD_OFF], "emitted", "value")
    assert changes == [(2 * FS + losses.LOST - 1, 1), (8 * FS + losses.BACK - 1, 0)]
    together = naive.as_tuples(marks[marks["kind"] == SIGNAL], "emitted", "value")
    assert together == [(4 * FS + losses.LOST - 1, align.LEAD_OFF), (6 * FS + losses.BACK - 1, OK)]


def test_beats_are_named_on_the_first_lead_that_can_be_analysed():
    """And what was learnt of shapes stays; the second one, lost, changes nothing."""
    signal = sinus(30.0)
    lost(signal, 1, 6.0, 8.0)
    lost(signal, 0, 15.0, 20.0)
    front = FrontEnd(360.0)
    on, seen = [], []
    for second in range(30):
        front.tick((0, signal[second * FS : (second + 1) * FS], 0))
        state = front.states[0]["beats"]
        on.append(int(state["lead"]))
        seen.append(state["of_lead"]["beat_count"].tolist())
    assert on == [0] * 15 + [1] * 5 + [0] * 10
    growth = np.diff(seen, axis=0) > 0
    assert not growth[16:19, 0].any()
    assert growth[[2, 10, 25], 0].all()
    assert not growth[6, 1]
    assert growth[[2, 10, 17, 25], 1].all()


def test_triggers_come_before_their_beats():
    marks, _, _ = FrontEnd(360.0).tick((0, sinus(20.0), 0))
    triggers, found = (marks[marks["kind"] == kind] for kind in (TRIGGER, QRS))
    assert len(found) == len(triggers) + 2, "the first two are found at the end of the learning time"
    assert np.abs(triggers["sample"] - found["sample"][2:]).max() <= 3
    assert np.all(triggers["emitted"] < found["emitted"][2:])
    assert np.all(triggers["emitted"] - triggers["sample"] <= round(0.1 * FS))
