"""A ward of beds: admission, views, technical alarms, commands, failing models, restarts and snapshots."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import BED, cut, finals, listen, of, one_by_one, sinus, steady, story

from monitor import messages, window
from monitor.commands import Acknowledge, Describe, SetLimits
from monitor.ecg import AAMI_CLASSES, FS
from monitor.events import Alarm, Beat, Gap, Qrs, Quality, Trigger
from monitor.exceptions import ConfigError, MessageError
from monitor.messages import Chunk
from monitor.ward import MAX_TABLES, SILENCE, Ward
from simulators.synthetic import render


def alarms(events, code=None):
    """(code, state) of the alarm events, of one code or of all."""
    return [(alarm.code, alarm.state) for alarm in of(events, Alarm) if code in (None, alarm.code)]


def active(ward, bed=BED):
    """Code -> state of what stands at a bed; the pause before an asystole apart."""
    (view,) = [view for view in ward.beds() if view.bed == bed]
    return {alarm.code: alarm.state for alarm in view.alarms if alarm.code != "PAUSE"}


def play(ward, signal, *, fs=360.0, first=0, seq=0, stream=1, bed=BED, lead_off=0, start=0.0, size=36):
    """Feed a signal in real time: the clock moves with it from `start` (s) on."""
    events = []
    for chunk in cut(signal, size, fs=fs, first=first, seq=seq, stream=stream, bed=bed):
        chunk.lead_off = lead_off
        events += ward.feed([chunk], now=start + (chunk.end - first) / fs)
    return events


# -- beds


def test_a_beds_first_message_admits_it_and_there_is_room_for_more():
    ward = Ward(capacity=1)
    for i in range(5):
        ward.feed(cut(sinus(6.0), 1000, bed=f"bed-{i}"))
    assert [view.bed for view in ward.beds()] == [f"bed-{i}" for i in range(5)]
    assert {view.position for view in ward.beds()} == {6 * FS}


def test_a_view_tells_what_a_screen_needs():
    ward = Ward()
    ward.feed([], [Describe(BED, ("MLII", "V1"), "Room 1", True)])
    play(ward, sinus(70.0, 75.0, fs=250.0), fs=250.0, start=100.0)
    (view,) = ward.beds()
    assert (view.bed, view.alias, view.simulated, view.leads) == (BED, "Room 1", True, ("MLII", "V1"))
    assert (view.stream, view.fs, view.origin, view.last_data) == (1, 250.0, 0, 170.0)
    assert 70 * FS - 10 < view.position <= 70 * FS
    assert view.heart_rate == pytest.approx(75, abs=0.5)
    assert (view.rhythm, view.pvc_per_minute, view.low, view.high) == ("N", 0, 50.0, 120.0)
    assert view.alarms == ()


def test_nothing_is_told_that_is_not_known():
    ward = Ward()
    play(ward, sinus(1.0))
    (view,) = ward.beds()
    assert (view.heart_rate, view.rhythm, view.pvc_per_minute) == (None, None, None)
    assert view.leads == ("0", "1"), "numbers, while the device has not named its leads"


def test_ventricular_beats_are_counted_over_the_last_minute():
    beats = [b for t in range(1, 150, 6) for b in ((float(t), "N"), (t + 0.8, "N"), (t + 1.4, "V"), (t + 2.4, "N"))]
    beats += [(t + extra, "N") for t in range(1, 150, 6) for extra in (3.2, 4.0, 4.8)]
    ward = Ward()
    events = play(ward, render(sorted(beats), 150.0).signal, size=360)
    ventricular = {beat.sample for beat in of(events, Beat) if beat.aami == "V"}
    expected = sum(sample > 90 * FS for sample in ventricular)
    assert expected >= 9
    assert ward.beds()[0].pvc_per_minute == expected


@pytest.mark.parametrize("leads", [1, 2, 3, 12])
def test_one_or_two_leads_are_analysed_however_many_are_sent(leads):
    """The first two; what others show is not looked at."""
    strip = sinus(20.0)
    signal = np.random.default_rng(0).normal(0.0, 5.0, (20 * FS, leads)).astype(np.float32)
    signal[:, :2] = strip[:, :leads]
    ward = Ward()
    events = play(ward, signal)
    assert len(of(events, Qrs)) == 26
    assert len(ward.beds()[0].leads) == min(leads, 2)
    assert events == play(Ward(), strip[:, :leads])


@pytest.mark.parametrize("flat", [0, 1])
def test_a_lead_that_shows_nothing_does_not_make_the_other_one_deaf(flat):
    """A device with an input that is not connected and says nothing of it."""
    signal = sinus(20.0)
    signal[:, flat] = 0.0
    assert len(of(play(Ward(), signal), Qrs)) == 26


def test_sample_indices_are_those_of_the_device():
    """A stream joined under way, at 500 Hz: index 0 at 360 Hz is its sample 1 000 000."""
    strip = render(steady(80, 0.5, 20.0), 20.0, fs=500.0)
    ward = Ward()
    events = ward.feed(cut(strip.signal, 50, fs=500.0, first=1_000_000, seq=20_000))
    assert ward.beds()[0].origin == 1_000_000
    found = np.array([event.sample for event in of(events, Qrs)]) - 1_000_000
    assert np.abs(found - strip.r_peaks[: len(found)]).max() <= 3
    triggers = np.array([event.sample for event in of(events, Trigger)]) - 1_000_000
    assert np.abs(triggers - strip.r_peaks[len(strip.r_peaks) - len(triggers) :]).max() <= 0.150 * 500


@pytest.mark.parametrize("fs", [128.0, 250.0, 1000.0])
def test_a_sample_between_two_of_the_device_is_the_nearer_one(fs):
    events = play(Ward(), story(fs), fs=fs)
    nearest = {int(k * fs / FS + 0.5) for k in range(36 * FS)}
    assert {event.sample for event in of(events, (Trigger, Qrs, Quality))} <= nearest


def test_waves_are_what_was_analysed_in_the_last_call():
    ward = Ward()
    signal = sinus(10.0)
    signal[5 * FS : 6 * FS, 1] = np.nan
    at = 0
    for chunk in cut(signal, [10, 500]):
        ward.feed([chunk])
        (wave,) = ward.waves()
        assert (wave.bed, wave.first, wave.samples.shape) == (BED, at, (len(chunk.samples), 2))
        assert np.array_equal(np.isnan(wave.samples), np.isnan(chunk.samples))
        at += len(wave.samples)
    ward.feed()
    assert ward.waves() == []


# -- what a device may send


@pytest.mark.parametrize("fs", [100.0, 128.0, 249.0, 250.0, 500.0, 1000.0])
def test_a_rate_that_can_be_resampled_is(fs):
    ward = Ward()
    play(ward, sinus(20.0, 72.0, fs=fs), fs=fs)
    assert ward.beds()[0].heart_rate == pytest.approx(72, abs=0.72)


@pytest.mark.parametrize("fs", [0, -1, 99.9, 1000.5, 1e9, float("nan")])
def test_any_other_rate_does_not_reach_the_ward(fs):
    payload = f'{{"v":1,"stream":1,"seq":0,"first":0,"fs":{fs},"uv":5,"samples":[[1,2]]}}'.replace("nan", "NaN")
    with pytest.raises(MessageError, match="Hz"):
        messages.decode(BED, payload.encode())


def test_a_rate_that_changes_starts_the_detector_anew():
    """Never a wrong heart rate: none while too little of the new rate is known, then the right one."""
    ward = Ward()
    play(ward, sinus(20.0, 90.0))
    rates = set()
    for chunk in cut(sinus(20.0, 90.0, fs=180.0), 18, fs=180.0, first=20 * FS, seq=200):
        ward.feed([chunk])
        rates.add(ward.beds()[0].heart_rate)
    known = rates - {None}
    assert known
    assert all(abs(rate - 90) < 1 for rate in known)


@pytest.mark.parametrize("fs", [250.0, 360.0])
def test_a_second_at_the_rail(fs):
    """A technical alarm within a second, no asystole, and the heart rate right five seconds later."""
    for phase in range(8):
        signal = sinus(30.0, fs=fs)
        first, last = round((15 + phase * 0.1) * fs), round((16 + phase * 0.1) * fs)
        signal[first:last] = np.inf if phase % 2 else -np.inf
        events, rates = [], {}
        ward = Ward()
        for chunk in cut(signal, round(fs / 10), fs=fs):
            events += ward.feed([chunk])
            rates[chunk.end] = ward.beds()[0].heart_rate
        (raised, cleared) = of(events, Alarm)
        assert [(raised.code, raised.state), (cleared.code, cleared.state)] == [
            ("CANNOT_ANALYSE", "raised"),
            ("CANNOT_ANALYSE", "cleared"),
        ]
        assert first < raised.emitted <= first + fs
        assert cleared.emitted <= last + fs
        later = [rate for end, rate in rates.items() if end >= last + 5 * fs]
        assert all(rate is not None and abs(rate - 80) <= 1 for rate in later)


def test_an_electrode_off_is_a_technical_alarm_and_no_asystole():
    ward = Ward()
    events = play(ward, sinus(12.0))
    assert alarms(events) == []
    flat = np.zeros((10 * FS, 2), np.float32)
    events = play(ward, flat, first=12 * FS, seq=1000, lead_off=0b11)
    assert alarms(events) == [("LEAD_OFF", "raised")]
    assert ward.beds()[0].heart_rate is None
    events = play(ward, sinus(10.0), first=22 * FS, seq=2000)
    assert alarms(events) == [("LEAD_OFF", "cleared")]


@pytest.mark.parametrize("lead", [0, 1])
def test_one_electrode_off_is_told_and_the_other_lead_goes_on(lead):
    ward = Ward()
    ward.feed([], [Describe(BED, ("MLII", "V1"))])
    events = play(ward, sinus(12.0), lead_off=1 << lead)
    assert alarms(events) == [("LEAD_OFF", "raised")]
    name = ("MLII", "V1")[lead]
    assert [(event.lead, event.ok, event.reason) for event in of(events, Quality)] == [(name, False, "lead_off")]
    found = np.array([event.sample for event in of(events, Qrs)])
    expected = np.arange(2.0, 11.9, 0.75) * FS
    assert np.abs(found[found > 1.9 * FS] - expected).max() <= 15, "R of V1 is not that of MLII"
    assert ward.beds()[0].heart_rate == pytest.approx(80, abs=1)


def test_a_flat_line_that_nobody_flags_is_an_asystole():
    ward = Ward()
    play(ward, sinus(12.0))
    events = play(ward, np.zeros((10 * FS, 2), np.float32), first=12 * FS, seq=1000)
    assert alarms(events, "ASYSTOLE") == [("ASYSTOLE", "raised")]


def test_a_bed_that_never_shows_a_beat_is_an_asystole_too():
    events = play(Ward(), np.zeros((10 * FS, 2), np.float32))
    assert alarms(events, "ASYSTOLE") == [("ASYSTOLE", "raised")]


# -- silence and conflicts, by the clock


def test_no_data_for_two_seconds():
    ward = Ward()
    play(ward, sinus(10.0), start=100.0)
    assert ward.beds()[0].heart_rate is not None
    assert ward.feed(now=110.0 + SILENCE) == []
    (event,) = ward.feed(now=110.0 + SILENCE + 0.001)
    assert (event.code, event.state, event.sample, event.emitted) == ("NO_DATA", "raised", 3600, 3599)
    assert ward.feed(now=150.0) == [], "once"
    assert ward.beds()[0].heart_rate is None, "never stale"
    events = play(ward, sinus(1.0), first=3600, seq=100, start=150.0)
    assert alarms(events) == [("NO_DATA", "cleared")]
    assert ward.beds()[0].heart_rate is not None


def test_silence_of_one_bed_is_its_own():
    ward = Ward()
    ward.feed([*cut(sinus(1.0), 36, bed="a"), *cut(sinus(1.0), 36, bed="b")], now=0.0)
    events = [e for t in range(1, 40) for e in ward.feed(cut(sinus(0.1), 36, bed="b", first=324 + 36 * t), now=t / 10)]
    assert {(event.bed, event.code) for event in of(events, Alarm)} == {("a", "NO_DATA")}


def test_two_devices_on_one_bed():
    """The newer stream is analysed, the older one is refused and said to be there until it is gone for two seconds."""
    ward = Ward()
    play(ward, sinus(5.0), stream=1)
    events = play(ward, sinus(5.0), stream=2, start=5.0)
    assert alarms(events) == []
    events = play(ward, sinus(1.0), stream=1, first=5 * FS, seq=50, start=10.0)
    assert alarms(events) == [("CONFLICT", "raised")]
    assert ward.beds()[0].stream == 2
    events = play(ward, sinus(5.0), stream=2, first=5 * FS, seq=50, start=11.0)
    assert alarms(events) == [("CONFLICT", "cleared")]


def test_a_device_whose_samples_are_all_refused_is_not_silently_blind():
    """Its counter jumped once and fell back: what follows looks like duplicates for a very long time."""
    ward = Ward()
    play(ward, sinus(5.0))
    ward.feed([Chunk(BED, 1, 50, 1 << 40, 360.0, sinus(0.1))], now=5.1)
    play(ward, sinus(5.0), first=5 * FS, seq=51, start=7.0)
    blind = ward.beds()[0].position < 6 * FS
    assert not blind or active(ward)


# -- commands


def test_limits_are_set_one_or_both_and_a_restart_keeps_them():
    ward = Ward()
    play(ward, sinus(1.0))
    ward.feed(commands=[SetLimits(BED, high=100.0)])
    assert (ward.beds()[0].low, ward.beds()[0].high) == (50.0, 100.0)
    ward.feed(commands=[SetLimits(BED, 60.0, 110.0)])
    play(ward, sinus(1.0), stream=2)
    assert (ward.beds()[0].low, ward.beds()[0].high) == (60.0, 110.0)


@pytest.mark.parametrize(
    ("low", "high"), [(10, None), (None, 301), (100, 90), (90, 90), (None, 40), (np.nan, None), (None, np.inf)]
)
def test_senseless_limits_are_refused(caplog, low, high):
    ward = Ward()
    play(ward, sinus(1.0))
    assert ward.feed(commands=[SetLimits(BED, low, high)]) == []
    assert (ward.beds()[0].low, ward.beds()[0].high) == (50.0, 120.0)
    assert "refused" in caplog.text


@pytest.mark.parametrize("command", [SetLimits("nobody", 60.0), Acknowledge("nobody", "x")])
def test_a_command_for_nobody_is_ignored(caplog, command):
    assert Ward().feed(commands=[command]) == []
    assert "unknown bed nobody" in caplog.text


def asystole(ward, **where):
    """Ten seconds of sinus rhythm and ten of nothing; returns the alarm."""
    events = play(ward, np.concatenate([sinus(10.0), np.zeros((10 * FS, 2), np.float32)]), **where)
    (alarm,) = (alarm for alarm in of(events, Alarm) if alarm.code == "ASYSTOLE")
    return alarm


def test_an_alarm_is_acknowledged_by_its_id_and_the_person_named():
    ward = Ward()
    alarm = asystole(ward)
    assert ward.feed(commands=[Acknowledge(BED, alarm.id + "0", "Ada")]) == []
    (event,) = ward.feed(commands=[Acknowledge(BED, alarm.id, "Ada")])
    assert (event.id, event.state, event.reason) == (alarm.id, "acknowledged", "acknowledged by Ada")
    assert ward.feed(commands=[Acknowledge(BED, alarm.id, "Bob")]) == [], "it is, already"
    assert active(ward) == {"ASYSTOLE": "acknowledged"}


def test_an_asystole_outlasts_its_end_and_a_new_stream_until_it_is_seen():
    ward = Ward()
    alarm = asystole(ward)
    events = play(ward, sinus(5.0), first=20 * FS, seq=1000)
    assert alarms(events, "ASYSTOLE") == [("ASYSTOLE", "latched")]
    play(ward, sinus(5.0), stream=2)
    assert active(ward) == {"ASYSTOLE": "latched"}
    (event,) = ward.feed(commands=[Acknowledge(BED, alarm.id)])
    assert (event.id, event.state) == (alarm.id, "cleared")
    assert active(ward) == {}


def test_a_new_stream_ends_the_conditions_of_the_old_one():
    """Their history is gone: what stood must not stand for ever."""
    ward = Ward()
    play(ward, sinus(20.0, 130.0))
    play(ward, sinus(1.0), first=20 * FS, seq=1000, lead_off=1)
    assert active(ward) == {"TACHY": "raised", "LEAD_OFF": "raised"}
    events = play(ward, sinus(2.0), stream=2)
    assert {(alarm.code, alarm.state, alarm.reason) for alarm in of(events, Alarm)} == {
        ("TACHY", "cleared", "restart"),
        ("LEAD_OFF", "cleared", "restart"),
    }


def test_a_gap_of_more_than_a_minute_starts_anew_and_is_reported():
    ward = Ward()
    play(ward, sinus(10.0))
    first = 10 * FS + 60 * FS + 1
    ward.feed(cut(sinus(10.0), 36, first=first, seq=1000)[:2], now=100.0)
    events = ward.feed(now=101.1)
    (gap,) = of(events, Gap)
    assert (gap.first, gap.count) == (3600, 60 * FS + 1)
    assert (ward.beds()[0].origin, ward.beds()[0].position) == (first, 72)


# -- models that fail


class Model:
    """Names every beat V, and does what it is told to."""

    def __init__(self):
        self.failure = None

    def classify(self, windows, features):
        result = np.zeros((len(windows), len(AAMI_CLASSES)), np.float32)
        result[:, AAMI_CLASSES.index("V")] = 1.0
        if isinstance(self.failure, Exception):
            raise self.failure
        return result if self.failure is None else self.failure(windows, result)


FAILURES = {
    "raises": RuntimeError("broken"),
    "NaN": lambda windows, result: result * np.nan,
    "infinite": lambda windows, result: result / 0.0,
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_failing_model_costs_names_and_nothing_else(failure):
    """Rate and asystole alarms as without a model, beats named by rule, and it is said."""
    beats = [*steady(80, 0.5, 10.0), *steady(150, 10.1, 25.0), *steady(80, 31.0, 40.0)]
    signal = render(beats, 41.0).signal
    model = Model()
    model.failure = failure
    without, with_it = play(Ward(), signal), play(Ward(model), signal)
    told = [event for event in with_it if not (isinstance(event, Alarm) and event.code == "MODEL")]
    assert told == without
    assert {"ASYSTOLE", "TACHY", "EXTREME_TACHY"} <= {alarm.code for alarm in of(without, Alarm)}
    assert alarms(with_it, "MODEL") == [("MODEL", "raised")]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_model_that_recovers_names_beats_again(caplog):
    model = Model()
    ward = Ward(model)
    model.failure = FAILURES["raises"]
    with caplog.at_level(logging.CRITICAL):
        before = play(ward, sinus(10.0))
    model.failure = None
    after = play(ward, sinus(10.0), first=10 * FS, seq=1000)
    assert {beat.symbol for beat in of(before, Beat)} == {"N"}
    assert {beat.p for beat in of(before, Beat)} == {None}
    assert {beat.symbol for beat in of(after, Beat)} == {"V"}
    assert alarms(after, "MODEL") == [("MODEL", "cleared")]


def test_a_model_that_answers_nonsense_is_a_failing_model():
    model = Model()
    model.failure = lambda windows, result: result[:-1]
    events = play(Ward(model), sinus(10.0))
    assert alarms(events, "MODEL") == [("MODEL", "raised")]


def test_a_failing_model_is_told_at_the_same_sample_at_any_cut():
    model = Model()
    model.failure = FAILURES["NaN"]
    signal = sinus(10.0)
    whole = listen([cut(signal, len(signal))], classifier=model)
    assert listen(one_by_one(cut(signal, 36)), classifier=model) == whole


def test_a_row_that_is_no_number_costs_only_its_own_bed_the_names():
    """A network that cannot take beats that point down, as all of one bed's do; the other bed's keep their names."""
    model = Model()
    model.failure = lambda windows, result: np.where(windows[:, 0, window.R] < 0.0, np.nan, 1.0)[:, None] * result
    up, down = (cut(sign * sinus(20.0), 36, bed=bed) for sign, bed in ((1, "up"), (-1, "down")))
    alone = listen(one_by_one(up), bed="up", classifier=model)
    assert {beat.symbol for beat in of(alone.events, Beat)} == {"V"}
    assert listen(zip(down, up, strict=True), bed="up", classifier=model) == alone


# -- a new stream


def test_where_calls_end_does_not_show_at_a_new_stream():
    """The old stream ends in an asystole; the new one's first message is in the same call, or in the next."""
    silence = np.concatenate([sinus(10.0), np.zeros((10 * FS, 2), np.float32)])
    old, new = cut(silence, 3600), cut(sinus(10.0), 3600, stream=2)
    assert listen([old + new]) == listen([old, new])


def test_a_device_of_ever_new_rates_takes_no_more_memory():
    ward = Ward()
    for i in range(2 * MAX_TABLES):
        ward.feed([Chunk(BED, i + 1, 0, 0, 200.0 + i, np.zeros((10, 2), np.float32))])
    assert len(ward._table_array) <= MAX_TABLES


def test_tables_are_dropped_under_nobodys_feet():
    """A mad device's next new rate, when there is no room for its table, comes beside another bed's first message."""
    ward = Ward()
    for i in range(MAX_TABLES - 1):
        ward.feed([Chunk("mad", i + 1, 0, 0, 200.0 + i, np.zeros((10, 2), np.float32))])
    chunks = cut(sinus(20.0, fs=500.0), 100, fs=500.0)
    mad = Chunk("mad", 1000, 0, 0, 777.0, np.zeros((10, 2), np.float32))
    assert listen([[chunks[0], mad], chunks[1:]], ward=ward) == listen([chunks])


def test_every_beat_of_a_stream_that_ends_is_named():
    """The last one's window will never be complete: it is Q, fixed by the last sample there was."""
    signal = sinus(10.0)[: round(9.5 * FS) + 120]
    ward = Ward()
    events = play(ward, signal) + play(ward, sinus(1.0), stream=2)
    found, named = of(events, Qrs), finals(events)
    assert [beat.sample for beat in named] == [event.sample for event in found]
    assert [beat.aami for beat in named] == ["N"] * 12 + ["Q"]
    assert named[-1].emitted == len(signal) - 1


@pytest.mark.parametrize("moved", [False, True])
def test_a_beat_that_waits_when_its_stream_ends_keeps_its_name(moved):
    """It is final with the last sample there was; a snapshot in between does not matter."""
    model = Model()
    signal = sinus(10.0)[: round(9.5 * FS) + 160]
    ward = Ward(model)
    events = play(ward, signal)
    if moved:
        other = Ward(model)
        other.restore(ward.snapshot(BED))
        ward = other
    (last,) = [beat for beat in of(events, Beat) if beat.sample == of(events, Qrs)[-1].sample]
    assert (last.aami, last.final) == ("V", False)
    ended = play(ward, sinus(1.0), stream=2)
    assert ended[0] == replace(last, final=True, emitted=len(signal) - 1)
    assert of(ended[1:], Beat) == []


# -- snapshots


def test_what_latched_and_what_was_set_survive_a_snapshot():
    ward = Ward()
    ward.feed([], [Describe(BED, ("MLII", "V1"), "Room 1", True)])
    alarm = asystole(ward)
    play(ward, sinus(10.0), first=20 * FS, seq=1000)
    ward.feed(commands=[SetLimits(BED, 60.0, 100.0)])
    other = Ward()
    assert other.restore(ward.snapshot(BED)) == BED
    (view,) = other.beds()
    assert (view.alias, view.simulated, view.leads, view.low, view.high) == ("Room 1", True, ("MLII", "V1"), 60, 100)
    assert [(a.id, a.state) for a in view.alarms if a.code != "PAUSE"] == [(alarm.id, "latched")]
    assert view.heart_rate == ward.beds()[0].heart_rate
    (event,) = other.feed(commands=[Acknowledge(BED, alarm.id)])
    assert event.state == "cleared"


def test_a_restored_bed_has_two_seconds_to_be_heard_of():
    ward = Ward()
    play(ward, sinus(10.0))
    other = Ward()
    other.restore(ward.snapshot(BED), now=1000.0)
    assert other.feed(now=1002.0) == []
    assert alarms(other.feed(now=1002.1)) == [("NO_DATA", "raised")]


def test_no_data_that_stood_ends_with_the_first_data():
    ward = Ward()
    play(ward, sinus(10.0))
    assert alarms(ward.feed(now=13.0)) == [("NO_DATA", "raised")]
    other = Ward()
    other.restore(ward.snapshot(BED), now=0.0)
    play(other, sinus(5.0), first=10 * FS, seq=1000)
    assert active(other) == {}
    assert other.beds()[0].heart_rate is not None


def test_a_snapshot_while_a_new_stream_is_awaited():
    """A stream joined under way waits for messages that may come before its first; their loss is not a gap."""
    ward = Ward()
    play(ward, sinus(10.0))
    ward.feed(cut(sinus(0.3), 36, stream=2, first=7200, seq=200))
    other = Ward()
    other.restore(ward.snapshot(BED))
    events = other.feed(cut(sinus(10.0), 36, stream=2, first=7308, seq=203))
    assert of(events, Gap) == []
    assert other.beds()[0].origin == 7308


def test_no_snapshot_of_nobody():
    with pytest.raises(ConfigError, match="nobody: no such bed"):
        Ward().snapshot("nobody")


def snapshot_of_story():
    ward = Ward()
    ward.feed(cut(story()[: 10 * FS], 360))
    return ward.snapshot(BED)


def test_a_snapshot_of_another_layout_is_refused():
    snapshot = snapshot_of_story()
    other = snapshot[:4] + bytes(8) + snapshot[12:]
    for data in (other, b"WBS0" + snapshot[4:], b"this is not a snapshot of anything"):
        with pytest.raises(ConfigError, match=r"another version.*let the bed learn anew"):
            Ward().restore(data)


def test_a_snapshot_with_something_behind_it_is_refused():
    with pytest.raises(ConfigError, match="truncated"):
        Ward().restore(snapshot_of_story() + b"x")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_snapshot_is_refused(data):
    """Anywhere: a row with a flipped bit could make a kernel write outside its arrays."""
    snapshot = bytearray(snapshot_of_story())
    position = data.draw(st.integers(0, 8 * len(snapshot) - 1))
    snapshot[position // 8] ^= 1 << position % 8
    with pytest.raises(ConfigError, match="snapshot is"):
        Ward().restore(bytes(snapshot))
