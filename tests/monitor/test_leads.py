"""Two leads of one bed: what one loses the other tells, and only what both lose is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import BED, SIZES, Heard, cut, finals, listen, of, one_by_one, sinus, steady

from monitor import align
from monitor.commands import Describe
from monitor.ecg import FS
from monitor.events import Alarm, Beat, Qrs, Quality, Trigger
from monitor.ward import Ward
from simulators.synthetic import render

NAMES = ("MLII", "V1")
NEAR = round(0.150 * FS)

LOSSES = {"lead_off": None, "missing": np.nan, "saturated": np.inf}
"""Why a lead is lost -> what it sends then; None: anything, with its electrode flagged off."""


class Loss:
    """A lead that is lost from `first` to `last`, s, and why."""

    def __init__(self, lead, why, first, last):
        self.lead, self.why, self.first, self.last = lead, why, round(first * FS), round(last * FS)

    def __repr__(self):
        return f"{NAMES[self.lead]} {self.why}"


def chunks_with(signal, losses, sizes=36):
    """The signal cut into chunks, with those losses; where an electrode goes off or on a chunk ends."""
    signal = signal.copy()
    edges = {0, len(signal)}
    for loss in losses:
        edges |= {loss.first, loss.last}
        value = LOSSES[loss.why]
        signal[loss.first : loss.last, loss.lead] = signal[loss.first, loss.lead] if value is None else value
    chunks = []
    for first, last in zip(sorted(edges), sorted(edges)[1:], strict=False):
        part = cut(signal[first:last], sizes, first=first, seq=len(chunks))
        for loss in losses:
            if loss.why == "lead_off" and loss.first <= first < loss.last:
                for chunk in part:
                    chunk.lead_off |= 1 << loss.lead
        chunks += part
    return chunks


def watch(signal, *losses):
    """Events of a bed, and the heart rate after each message from the tenth second on."""
    ward, events, rates = Ward(capacity=1), [], []
    commands = [Describe(BED, NAMES)]
    for chunk in chunks_with(signal, losses):
        events += ward.feed([chunk], commands)
        commands = []
        if chunk.end > 10 * FS:
            rates.append(ward.beds()[0].heart_rate)
    return events, rates


def raised_and_cleared(events):
    return [(alarm.code, alarm.state) for alarm in of(events, Alarm)]


def changes(events):
    return [(event.lead, event.ok, event.reason) for event in of(events, Quality)]


def assert_every_beat_is_found(events, r_peaks, after=2.0):
    """One `qrs` and one final `beat` for each R peak whose name was due, and no other, from `after` (s) on."""
    found = np.array([event.sample for event in of(events, Qrs)])
    found, true = found[found > after * FS], r_peaks[r_peaks > after * FS]
    assert len(found) == len(true)
    assert np.abs(found - true).max() <= NEAR


ONE = [Loss(lead, why, 15.0, 25.0) for lead in (0, 1) for why in LOSSES]


@pytest.mark.parametrize("loss", ONE, ids=repr)
def test_beats_go_on_from_the_other_lead(loss):
    strip = render(steady(75, 0.5, 39.5), 40.0)
    events, rates = watch(strip.signal, loss)
    assert_every_beat_is_found(events, strip.r_peaks)
    assert all(rate is not None and abs(rate - 75) <= 2 for rate in rates), "R of V1 is not quite that of MLII"
    assert changes(events) == [(NAMES[loss.lead], False, loss.why), (NAMES[loss.lead], True, None)]
    off = loss.why == "lead_off"
    assert raised_and_cleared(events) == ([("LEAD_OFF", "raised"), ("LEAD_OFF", "cleared")] if off else [])


@pytest.mark.parametrize("loss", ONE, ids=repr)
def test_beats_are_named_again_after_a_few(loss):
    """A ventricular beat six beats after the loss, and one six beats after it is over, are told from the others."""
    ventricular = (20.5, 30.5)
    beats = [beat for beat in steady(75, 0.5, 39.5) if min(abs(beat[0] - t) for t in ventricular) > 0.6]
    strip = render(sorted([*beats, *[(t - 0.2, "V") for t in ventricular]]), 40.0)
    events, _ = watch(strip.signal, loss)
    named = {event.sample: event.aami for event in of(events, Beat)}
    assert set(named.values()) == {"N", "V"}
    found = np.array([sample for sample, name in named.items() if name == "V"])
    true = strip.r_peaks[[symbol == "V" for symbol in strip.symbols]]
    assert len(found) == len(true) == 2
    assert np.abs(found - true).max() <= NEAR


def test_the_second_lead_lost_moves_no_beat():
    """Beats are placed and named on the first lead, and the names stay those of a bed that has only that."""
    strip = render([*steady(75, 0.5, 20.0), (20.1, "V"), *steady(75, 21.3, 39.5)], 40.0)
    whole, _ = watch(strip.signal)
    for loss in (loss for loss in ONE if loss.lead == 1):
        events, _ = watch(strip.signal, loss)
        told = [(beat.sample, beat.aami) for beat in of(events, Beat)]
        assert told == [(beat.sample, beat.aami) for beat in of(whole, Beat)]


@pytest.mark.parametrize("lead", [0, 1])
def test_a_heart_that_stops_while_one_lead_is_lost_is_an_asystole(lead):
    """The other lead can be analysed, and shows nothing: no loss excuses that."""
    signal = np.concatenate([sinus(15.0), np.zeros((10 * FS, 2), np.float32)])
    events, _ = watch(signal, Loss(lead, "lead_off", 12.0, 25.0))
    assert [what for what in raised_and_cleared(events) if what[0] != "PAUSE"] == [
        ("LEAD_OFF", "raised"),
        ("ASYSTOLE", "raised"),
    ]


@pytest.mark.parametrize(("why", "code"), [("lead_off", None), ("missing", "GAP"), ("saturated", "CANNOT_ANALYSE")])
@pytest.mark.parametrize("first", [0, 1])
def test_both_lost_at_different_times_and_back(first, why, code):
    """Beats while a lead is left; then a technical alarm, no heart rate and no asystole; then beats again."""
    strip = render(steady(75, 0.5, 49.5), 50.0)
    losses = Loss(first, why, 12.0, 30.0), Loss(1 - first, why, 20.0, 35.0)
    events, rates = watch(strip.signal, *losses)
    heard = np.array([*strip.r_peaks[strip.r_peaks < 19.9 * FS], *strip.r_peaks[strip.r_peaks > 30.6 * FS]])
    assert_every_beat_is_found(events, heard)
    signal = [] if code is None else [(code, 20.0, "raised"), (code, 30.0, "cleared")]
    off = [("LEAD_OFF", 12.0, "raised"), ("LEAD_OFF", 35.0, "cleared")] if why == "lead_off" else []
    told = of(events, Alarm)
    assert [(alarm.code, alarm.state) for alarm in told] == [(code, state) for code, _, state in signal + off]
    for alarm, (_, at, _) in zip(told, signal + off, strict=True):
        assert 0 <= alarm.emitted / FS - at <= 0.6
    assert None in rates
    assert rates[-1] == pytest.approx(75, abs=1)
    assert all(rate is None or abs(rate - 75) <= 2 for rate in rates)


def test_a_lead_that_flickers_costs_no_beat():
    """Lost and back all the time; the other lead does not mind, nor does anybody else."""
    strip = render(steady(75, 0.5, 59.5), 60.0)
    losses = [Loss(0, "missing", 10.0 + 1.3 * n, 10.4 + 1.3 * n) for n in range(30)]
    events, _ = watch(strip.signal, *losses)
    assert_every_beat_is_found(events, strip.r_peaks)
    assert raised_and_cleared(events) == []


# -- triggers, found beats and names


@pytest.mark.parametrize("fs", [128.0, 250.0, 360.0, 1000.0])
@pytest.mark.parametrize("rate", [40, 75, 150])
def test_a_trigger_comes_within_100_ms_and_before_its_beat(rate, fs):
    """Beside what the resampler waits for, which is known."""
    waited = align.design(fs)[1]
    strip = render(steady(rate, 0.5, 29.5), 30.0, fs=fs)
    events = listen([cut(strip.signal, 1000, fs=fs)]).events
    triggers, found = of(events, Trigger), of(events, Qrs)
    assert triggers
    assert all(0 <= event.emitted - event.sample - waited <= 0.100 * fs for event in triggers)
    assert len({event.sample for event in triggers}) == len(triggers)
    confirmed = {}
    for trigger in triggers:
        (after,) = [event for event in found if abs(event.sample - trigger.sample) <= 0.150 * fs]
        assert trigger.emitted < after.emitted
        confirmed[after.sample] = trigger
    without = [event for event in found if event.sample not in confirmed]
    assert all(event.search_back or event.sample < 3 * fs for event in without), "found by looking back, or learning"
    assert not any(event.search_back for event in found if event.sample in confirmed)
    assert all(event.emitted - event.sample - waited <= 0.300 * fs for event in found if not event.search_back)


def test_every_beat_found_is_named_for_good_once_under_the_same_sample():
    signal = np.concatenate([sinus(20.0), render([*steady(130, 0.3, 9.0, "V"), *steady(70, 10.0, 20.0)], 21.0).signal])
    events = listen(one_by_one(cut(signal, 36))).events
    found, named = of(events, Qrs), finals(events)
    assert len(found) > 50
    assert [beat.sample for beat in named] == [event.sample for event in found]
    assert [beat.search_back for beat in named] == [event.search_back for event in found]
    assert all(beat.emitted >= event.emitted for beat, event in zip(named, found, strict=True))


# -- cuts and moves


@st.composite
def some_losses(draw):
    """Up to four losses of either lead, at any time of half a minute; they may overlap."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        first = draw(st.floats(0.0, 25.0))
        loss = Loss(draw(st.integers(0, 1)), draw(st.sampled_from(sorted(LOSSES))), first, first + 0.05)
        loss.last += draw(st.integers(0, 8 * FS))
        found.append(loss)
    return found


LOSING = render([*steady(80, 0.5, 12.0), (12.2, "V"), *steady(110, 13.0, 29.5)], 30.0).signal


@settings(max_examples=40, deadline=None)
@given(some_losses(), SIZES)
def test_no_cut_shows_however_leads_are_lost(losses, sizes):
    whole = listen([chunks_with(LOSING, losses, len(LOSING))])
    assert listen(one_by_one(chunks_with(LOSING, losses, sizes))) == whole


@settings(max_examples=25, deadline=None)
@given(some_losses(), st.data())
def test_a_bed_can_be_moved_while_leads_are_lost(losses, data):
    chunks = chunks_with(LOSING, losses, 90)
    at = data.draw(st.integers(1, len(chunks) - 1))
    ward = Ward(capacity=1)
    before = listen(one_by_one(chunks[:at]), ward=ward)
    other = Ward(capacity=1)
    other.restore(ward.snapshot(BED))
    after = listen(one_by_one(chunks[at:]), ward=other)
    assert Heard(before.events + after.events, after.state, before.wave + after.wave) == listen([chunks])


@settings(max_examples=40, deadline=None)
@given(some_losses())
def test_no_loss_of_leads_is_an_asystole(losses):
    """Sinus rhythm throughout; what is left of it is never too little, only lost."""
    events = listen([chunks_with(LOSING, losses)]).events
    assert "ASYSTOLE" not in {alarm.code for alarm in of(events, Alarm)}
