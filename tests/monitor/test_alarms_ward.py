"""Alarms of a whole ward: on the signal, on the clock, by command, and across a snapshot."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from streams import BED, SIZES, Heard, cut, hostile_signals, listen, of, one_by_one, sinus, steady

from monitor.alarm_states import PAUSE, SILENCE
from monitor.alarm_table import HOLD
from monitor.commands import (
    Acknowledge,
    AcknowledgeAll,
    PauseAudio,
    Relearn,
    SetLimits,
    SetPaced,
    SetProfile,
    Shown,
)
from monitor.ecg import FS
from monitor.events import Alarm, Audio, Beat, Gap, Qrs
from monitor.events import Shown as ShownEvent
from monitor.profiles import Limits
from monitor.ward import Ward
from simulators.synthetic import render


def told(events, code=None):
    return [(alarm.code, alarm.state) for alarm in of(events, Alarm) if code in (None, alarm.code)]


def view(ward, bed=BED):
    return next(view for view in ward.beds() if view.bed == bed)


def audio(ward, bed=BED):
    return {alarm.code: alarm.audio for alarm in view(ward, bed).alarms}


class Feeder:
    """Plays signals one after the other into a ward, in real time."""

    def __init__(self, ward: Ward, bed: str = BED, now: float = 0.0) -> None:
        self.ward, self.bed, self.now = ward, bed, now
        self.first = self.seq = 0

    def play(self, signal, *commands, **more):
        events = []
        for chunk in cut(signal, 36, bed=self.bed, first=self.first, seq=self.seq, **more):
            self.now += len(chunk.samples) / FS
            events += self.ward.feed([chunk], commands, self.now)
            commands = ()
            self.first, self.seq = chunk.end, chunk.seq + 1
        return events


def wandering(seconds, centre, period):
    """Beats whose rate goes between one above and one below `centre`, per minute, within `period` (s)."""
    beats, t = [], 0.5
    while t < seconds - 0.1:
        beats.append((t, "N"))
        t += 60.0 / (centre + np.sin(2 * np.pi * t / period))
    return render(beats, seconds).signal


SILENT = np.zeros((10 * FS, 2), np.float32)


# -- on the sample clock


@pytest.mark.parametrize("period", [5.0, 40.0, 300.0, 1700.0])
@pytest.mark.parametrize(("code", "limit"), [("TACHY", 120.0), ("BRADY", 50.0)])
def test_an_hour_at_a_limit_is_one_alarm(code, limit, period):
    """One beat a minute above and below it, quickly or slowly."""
    events = listen(one_by_one(cut(wandering(3600.0, limit, period), 10 * FS))).events
    alarms = told(events)
    assert alarms in ([(code, "raised")], [])
    assert alarms or period < 60, "what takes longer than the heart rate's own average is seen"


def test_a_rate_that_is_back_ends_its_alarm():
    signal = render([*steady(80, 0.5, 10.0), *steady(130, 10.2, 30.0), *steady(90, 30.2, 60.0)], 60.0).signal
    events = listen([cut(signal, FS)]).events
    raised, cleared = of(events, Alarm)
    assert (raised.code, raised.state, cleared.state) == ("TACHY", "raised", "cleared")
    assert 30 + HOLD < cleared.emitted / FS < 30 + HOLD + 8


def eventful():
    """Two minutes in which alarms are held, hidden, uncovered and latched."""
    beats = [
        *steady(80, 0.5, 9.9),
        *steady(130, 10.0, 30.0),
        *[(30.0 + 0.4 * i, "V") for i in range(8)],
        *steady(130, 34.0, 50.0),
        *steady(150, 50.1, 75.0),
        *steady(125, 75.1, 90.0),
        *steady(90, 96.5, 120.0),
    ]
    return render(sorted(beats), 120.0).signal


@settings(max_examples=6, deadline=None)
@given(SIZES)
def test_no_cut_shows_in_what_is_held_and_hidden(sizes):
    whole = listen([cut(eventful(), 43200)])
    reasons = {alarm.reason for alarm in of(whole.events, Alarm)}
    assert {"onset", "end", "hidden by VTACH", "no longer hidden"} <= reasons
    assert listen(one_by_one(cut(eventful(), sizes))) == whole


def test_no_snapshot_shows_in_what_is_held_and_hidden():
    signal = eventful()
    whole = listen([cut(signal, 43200)])
    ward, heard = Ward(capacity=1), Heard([], b"", b"")
    for chunk in cut(signal, 500):
        part = listen([[chunk]], ward=ward)
        heard = Heard(heard.events + part.events, part.state, heard.wave + part.wave)
        ward = Ward(capacity=1)
        ward.restore(part.state)
    assert heard == whole


@settings(max_examples=30, deadline=None)
@given(hostile_signals(), SIZES)
def test_no_alarm_is_told_out_of_order(signal, sizes):
    """Raised first and once, cleared last and once, at any cut the same."""
    events = of(listen(one_by_one(cut(signal, sizes))).events, Alarm)
    for _, group in itertools.groupby(sorted(events, key=lambda a: a.id), key=lambda a: a.id):
        states = [alarm.state for alarm in group]
        assert states[0] == "raised"
        assert states.count("raised") == 1
        assert "cleared" not in states[:-1]


# -- on the clock


def test_a_reminder_two_minutes_after_it_was_acknowledged():
    ward = Ward()
    bed = Feeder(ward)
    fast = sinus(150.0, 130.0)
    (raised,) = of(bed.play(fast[: 20 * FS]), Alarm)
    (seen,) = ward.feed(commands=[Acknowledge(BED, raised.id, "Ada")], now=bed.now)
    assert (seen.audio, seen.silence, seen.by) == ("silenced", SILENCE, "Ada")
    at = bed.now
    assert told(bed.play(fast[20 * FS : 138 * FS])) == []
    assert view(ward).alarms[0].silence == pytest.approx(at + SILENCE - bed.now, abs=0.1)
    (reminder,) = of(bed.play(fast[138 * FS :]), Alarm)
    assert (reminder.id, reminder.state, reminder.audio, reminder.reason) == (raised.id, "raised", "on", "reminder")


def test_the_clock_goes_on_without_samples():
    ward = Ward()
    bed = Feeder(ward)
    bed.play(sinus(20.0, 130.0))
    ward.feed(commands=[PauseAudio(BED, by="Ada"), AcknowledgeAll(BED)], now=bed.now)
    events = ward.feed(now=bed.now + SILENCE)
    assert told(events, "TACHY") == [("TACHY", "raised")]
    assert [event.reason for event in of(events, Audio)] == ["audio pause over"]


# -- commands


def test_a_new_high_alarm_breaks_through_acknowledgement_and_pause():
    ward = Ward()
    bed = Feeder(ward)
    bed.play(sinus(20.0, 130.0))
    ward.feed(commands=[AcknowledgeAll(BED), PauseAudio(BED)], now=bed.now)
    assert audio(ward) == {"TACHY": "silenced"}
    events = bed.play(SILENT)
    (alarm,) = [alarm for alarm in of(events, Alarm) if alarm.code == "ASYSTOLE"]
    assert (alarm.state, alarm.audio) == ("raised", "on")


def test_a_pause_of_the_ward_covers_beds_that_come_while_it_lasts():
    ward = Ward()
    one, two = Feeder(ward, "one"), Feeder(ward, "two")
    one.play(sinus(20.0, 130.0))
    (event,) = of(ward.feed(commands=[PauseAudio(None, by="Ada")], now=one.now), Audio)
    assert (event.bed, event.paused, event.seconds) == ("one", True, PAUSE)
    two.now = one.now
    two.play(sinus(20.0, 130.0))
    assert audio(ward, "one") == {"TACHY": "paused", "NO_DATA": "paused"}
    assert audio(ward, "two") == {"TACHY": "paused"}
    assert [v.pause_left for v in ward.beds()] == [pytest.approx(100.0)] * 2
    events = ward.feed(commands=[PauseAudio(None, False, by="Bob")], now=two.now)
    assert [(e.bed, e.paused, e.reason) for e in of(events, Audio)] == [
        ("one", False, "audio pause cancelled by Bob"),
        ("two", False, "audio pause cancelled by Bob"),
    ]
    assert audio(ward, "two") == {"TACHY": "on"}
    three = Feeder(ward, "three", two.now)
    three.play(sinus(20.0, 130.0))
    assert audio(ward, "three") == {"TACHY": "on"}


def test_one_bed_of_a_paused_ward_can_go_on():
    ward = Ward()
    for name in ("one", "two"):
        Feeder(ward, name).play(sinus(1.0))
    ward.feed(commands=[PauseAudio(None), PauseAudio("two", on=False)], now=1.0)
    assert [v.pause_left for v in ward.beds()] == [PAUSE, 0.0]


def test_that_a_screen_shows_an_alarm_is_told_once():
    ward = Ward()
    (alarm,) = of(Feeder(ward).play(sinus(20.0, 130.0)), Alarm)
    shown = Shown(BED, alarm.id, "wall")
    (event,) = ward.feed(commands=[shown, shown], now=20.0)
    assert isinstance(event, ShownEvent)
    assert (event.id, event.by, event.sample) == (alarm.id, "wall", alarm.sample)
    assert [step["what"] for step in view(ward).alarms[0].history] == ["raised", "shown"]


def test_a_bed_is_set_to_a_preset_to_single_limits_and_paced(caplog):
    ward = Ward()
    bed = Feeder(ward)
    bed.play(sinus(1.0), SetLimits("nobody", 60.0))
    assert "unknown bed" in caplog.text
    ward.feed(commands=[SetPaced(BED, True), SetProfile(BED, "neonatal"), SetLimits(BED, low=90.0, vt_count=4)])
    expected = Limits(90.0, 200.0, 80.0, 220.0, 3.0, 1.5, 150.0, 4, 5, True)
    assert (view(ward).profile, view(ward).limits, view(ward).low) == ("neonatal", expected, 90.0)
    row = ward.state[0]["rhythm"]
    if "settings" in row.dtype.names:
        row = row["settings"]
    assert (row["low"], row["high"]) == (90.0, 200.0)
    for wrong in (SetLimits(BED, low=210.0), SetLimits(BED, pause_s=9.0), SetProfile(BED, "old")):
        ward.feed(commands=[wrong])
        assert "refused" in caplog.messages[-1]
    assert view(ward).limits == expected


def test_limits_decide_what_alarms():
    ward = Ward()
    bed = Feeder(ward)
    bed.play(sinus(2.0, 130.0))
    ward.feed(commands=[SetProfile(BED, "paediatric")], now=bed.now)
    assert told(bed.play(sinus(20.0, 130.0))) == []
    ward.feed(commands=[SetLimits(BED, high=125.0)], now=bed.now)
    (alarm,) = of(bed.play(sinus(4.0, 130.0)), Alarm)
    assert alarm.text == "** HR 130>125"


def test_relearning_begins_the_analysis_anew_and_loses_no_sample():
    """The stream goes on: what waited is named, conditions end, what latched and what was set stays."""
    ward = Ward()
    bed = Feeder(ward)
    events = bed.play(np.concatenate([sinus(10.0), SILENT, sinus(20.0, 130.0)]))
    ward.feed(commands=[SetLimits(BED, high=125.0)], now=bed.now)
    assert {alarm.code: alarm.state for alarm in view(ward).alarms} == {
        "ASYSTOLE": "latched",
        "TACHY": "raised",
        "PAUSE": "raised",
    }
    at = bed.first
    events += bed.play(sinus(20.0, 130.0), Relearn(BED, "Ada"))
    (ended,) = [a for a in of(events, Alarm) if (a.code, a.state) == ("TACHY", "cleared")]
    assert (ended.reason, ended.emitted) == ("relearn", at)
    assert view(ward).origin == at
    assert view(ward).position == 20 * FS
    assert view(ward).high == 125.0
    assert {alarm.code: alarm.state for alarm in view(ward).alarms} == {
        "ASYSTOLE": "latched",
        "TACHY": "raised",
    }
    assert of(events, Gap) == []
    named = {beat.sample for beat in of(events, Beat) if beat.final}
    late = {event.sample for event in of(events, Qrs) if event.sample > bed.first - 2 * FS}
    assert {event.sample for event in of(events, Qrs)} - late <= named


def test_a_bed_that_is_to_relearn_does_so_after_a_snapshot():
    ward = Ward()
    bed = Feeder(ward)
    bed.play(sinus(10.0))
    ward.feed(commands=[Relearn(BED)], now=bed.now)
    bed.ward = other = Ward()
    other.restore(ward.snapshot(BED), now=bed.now)
    at = bed.first
    bed.play(sinus(1.0))
    assert view(other).origin == at


# -- across a snapshot


def test_count_downs_go_on_where_they_were():
    ward = Ward()
    bed = Feeder(ward, now=5000.0)
    (alarm,) = of(bed.play(sinus(20.0, 130.0)), Alarm)
    ward.feed(commands=[Acknowledge(BED, alarm.id, "Ada"), SetPaced(BED, True)], now=5020.0)
    ward.feed(commands=[PauseAudio(BED, seconds=60.0)], now=5050.0)
    ward.feed(now=5070.0)
    other = Ward()
    other.restore(ward.snapshot(BED), now=3.0)
    (restored,) = [alarm for alarm in view(other).alarms if alarm.code == "TACHY"]
    assert (restored.silence, restored.by, view(other).pause_left) == (70.0, "Ada", 40.0)
    assert [step["what"] for step in restored.history] == ["raised", "acknowledged"]
    assert view(other).limits.paced
    assert of(other.feed(now=42.9), Audio) == []
    assert len(of(other.feed(now=43.0), Audio)) == 1
    assert told(other.feed(now=72.9), "TACHY") == []
    assert told(other.feed(now=73.0), "TACHY") == [("TACHY", "raised")]


def test_what_is_held_goes_on_being_held():
    ward = Ward()
    bed = Feeder(ward)
    bed.play(np.concatenate([sinus(20.0, 130.0), sinus(8.0, 90.0)]))
    assert audio(ward) == {"TACHY": "on"}
    bed.ward = other = Ward()
    other.restore(ward.snapshot(BED), now=bed.now)
    assert told(bed.play(sinus(20.0, 90.0))) == [("TACHY", "cleared")]
