"""Conditions exact at their edges: first from beats given to the kernel, then from rendered signals."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from items import ADULT, TO_BEAT, TO_TRIGGER, Said, analyse, beats_at, conditions, lead, rr, times
from streams import BED, cut, listen, of, sinus, steady

from monitor import rhythm
from monitor.align import LEAD_OFF, OK
from monitor.beats import FEATURES
from monitor.commands import SetLimits
from monitor.ecg import AAMI_CLASSES, FS
from monitor.events import Alarm, Beat, Rhythm, take_rhythm
from monitor.losses import BACK
from monitor.messages import Chunk
from monitor.rhythm import ITEM_QRS, ITEM_QUALITY, ITEM_REVISION, VERDICT_WAIT
from monitor.ward import Ward
from simulators.noise import Baseline, Muscle
from simulators.synthetic import render

# -- asystole


SINUS = times(5.0, *[0.75] * 20)  # 5 s to 20 s


@pytest.mark.parametrize(
    ("pause", "alarms"), [(3.9, []), (4.0, []), (4.0 + 1 / FS, ["ASYSTOLE"]), (4.1, ["ASYSTOLE"]), (4.44, ["ASYSTOLE"])]
)
def test_a_pause_that_a_beat_ends(pause, alarms):
    said = analyse(beats_at(*SINUS, 20 + pause, 20.75 + pause), low=15)
    assert conditions(said, "EXTREME_BRADY", "PAUSE") == alarms


def test_a_pause_that_no_beat_ends():
    """The clock allows the detector its delay: a beat that came in time may still be on its way."""
    deadline = 24 + VERDICT_WAIT
    assert conditions(analyse(beats_at(*SINUS), deadline), "PAUSE") == []
    (change,) = [c for c in analyse(beats_at(*SINUS), deadline + 1 / FS) if c.what == "ASYSTOLE"]
    assert change == Said("ASYSTOLE", True, 20 * FS, round(deadline * FS), 4.0)


def test_asystole_names_the_rhythm_and_ends_with_the_next_beat():
    said = analyse(beats_at(*SINUS, 30.0, 30.75), 32)
    assert [(c.what, c.on, c.sample) for c in said if c.emitted > 21 * FS and c.what != "PAUSE"] == [
        ("ASYSTOLE", True, 20 * FS),
        ("ASYS", True, 20 * FS),
        ("ASYSTOLE", False, 30 * FS),
        ("N", True, 30 * FS),
    ]


def test_the_pause_is_no_heart_rate():
    """After 10 s of silence 80 per minute go on: no bradycardia out of the mean of 10 s and 0.75 s."""
    said = analyse(beats_at(*SINUS, *times(30.0, *[0.75] * 10)))
    assert conditions(said) == ["PAUSE", "ASYSTOLE"]


def test_silence_does_not_count_before_the_detector_has_settled():
    assert conditions(analyse([], rhythm.LEARNING + ADULT.asystole_s + VERDICT_WAIT)) == []
    assert conditions(analyse([], rhythm.LEARNING + ADULT.asystole_s + VERDICT_WAIT + 1 / FS)) == ["ASYSTOLE"]


# -- rates


@pytest.mark.parametrize(("beats", "samples", "alarms"), [(16, 154, 0), (17, 154, 1), (60, 155, 0)])
def test_extreme_tachycardia_takes_17_beats_above_140(beats, samples, alarms):
    """154 samples are 140.3 per minute, 155 are 139.4."""
    said = analyse(beats_at(*times(5.0, *[samples / FS] * (beats - 1))), high=300)
    assert conditions(said) == ["EXTREME_TACHY"] * alarms


@pytest.mark.parametrize(("beats", "samples", "alarms"), [(4, 541, 0), (5, 541, 1), (20, 540, 0)])
def test_extreme_bradycardia_takes_5_beats_below_40(beats, samples, alarms):
    """540 samples are 40 per minute."""
    said = analyse(beats_at(*times(6.0, *[samples / FS] * (beats - 1))), low=15)
    assert conditions(said) == ["EXTREME_BRADY"] * alarms


def test_the_limit_itself_is_allowed():
    beats = beats_at(*times(5.0, *[1.0] * 30))  # 60 per minute exactly
    assert conditions(analyse(beats, low=60, high=200)) == []
    assert conditions(analyse(beats, low=20, high=60)) == []
    assert conditions(analyse(beats, low=60.5, high=200)) == ["BRADY"]
    assert conditions(analyse(beats, low=20, high=59.5)) == ["TACHY"]


def test_the_extreme_alarm_takes_the_place_of_the_limits():
    said = analyse(beats_at(*times(5.0, *[0.3] * 60)))
    assert [(c.what, c.on) for c in said if c.what in rhythm.CONDITIONS] == [
        ("TACHY", True),
        ("EXTREME_TACHY", True),
        ("TACHY", False),
    ]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.floats(0.25, 3.9), max_size=60),
    st.floats(30, 90),
    st.floats(95, 200),
    st.lists(st.floats(0, 100), max_size=4),
)
def test_rate_conditions_are_those_of_the_obvious_way(intervals, low, high, cuts):
    """After every beat, at any cut."""
    r_peaks = [round(t * FS) for t in times(4.0, *intervals)]
    items = [item for item in beats_at(*[r / FS for r in r_peaks]) if item[0] == ITEM_QRS]
    said = analyse(items, low=low, high=high, cuts=[c for c in cuts if c * FS <= r_peaks[-1]])
    holding, found = set(), []
    for r in r_peaks:
        for change in said:
            if change.emitted == r + TO_TRIGGER and change.what in rhythm.CONDITIONS:
                (holding.add if change.on else holding.discard)(change.what)
        found.append(holding - {"ASYSTOLE", "PAUSE"})
    assert found == naive.rate_conditions(r_peaks, low, high)


# -- ventricular runs


def run_of(count, rate, *, start=20.0):
    """Sinus rhythm, a run of ventricular beats, sinus rhythm."""
    run = times(start, *[rr(rate)] * (count - 1))
    before = times(5.0, *[0.75] * 19)
    after = times(run[-1] + 1.0, *[0.75] * 5)
    return [*beats_at(*before), *beats_at(*run, symbol="V"), *beats_at(*after)]


@pytest.mark.parametrize(
    ("count", "rate", "alarms"),
    [
        (2, 150, []),
        (3, 150, ["VRUN"]),
        (4, 150, ["VRUN"]),
        (5, 150, ["VRUN", "VTACH"]),
        (5, 101, ["VRUN", "VTACH"]),
        (5, 100, ["VRUN"]),
        (12, 90, ["VRUN", "PVC_RATE"]),
    ],
)
def test_ventricular_tachycardia_takes_5_beats_above_100(count, rate, alarms):
    said = analyse(run_of(count, rate), high=300)
    assert [name for name in conditions(said) if name != "COUPLET"] == (alarms)
    begun = [change for change in said if change.what in {"VRUN", "VTACH"} and change.on]
    assert {change.sample for change in begun} <= {20 * FS}, "the onset is the run's first beat"


def test_a_tachycardia_ends_with_another_kind_of_beat():
    """One slower beat in it does not end it, nor does it raise the run again."""
    run = times(20.0, *[0.4] * 6, 0.8, *[0.4] * 6)
    items = [*beats_at(*times(5.0, *[0.75] * 19)), *beats_at(*run, symbol="V"), *beats_at(run[-1] + 1.0)]
    changes = [(c.what, c.on, c.emitted - TO_BEAT) for c in analyse(items, high=300) if c.what in ("VRUN", "VTACH")]
    assert changes == [
        ("VRUN", True, round(20.8 * FS)),
        ("VTACH", True, round(21.6 * FS)),
        ("VRUN", False, round(21.6 * FS)),
        ("VTACH", False, round((run[-1] + 1.0) * FS)),
    ]


@pytest.mark.parametrize(
    ("symbols", "intervals", "found"),
    [
        ("VVVV", [0.4] * 3, False),
        ("VVSVV", [0.4] * 4, True),  # one of them has another name
        ("SVVVV", [0.4] * 4, False),
        ("VVSSV", [0.4] * 4, False),
        ("VVSVV", [0.4, 0.4, 0.55, 0.4], False),  # not regular
        ("VVVV", [0.3, 0.6, 0.3], True),  # one was missed
        ("VVV", [0.3, 0.3], False),
        ("VVVV", [0.3, 0.9, 0.3], True),  # two were
        ("VVVV", [0.3, 1.2, 0.3], False),
        ("VVV", [0.3, 0.9], False),  # too few were found
        ("VVVV", [0.3, 0.45, 0.3], False),
        ("VVVV", [0.7, 1.4, 0.7], False),  # not above 100 with those
        ("NSNNS", [0.24] * 4, True),  # faster than atria drive ventricles
        ("NSNNS", [0.28] * 4, False),
        ("NSNN", [0.24] * 3, False),
        ("VVVV", [0.24] * 3, False),
    ],
)
def test_a_tachycardia_with_a_beat_missed_or_misnamed(symbols, intervals, found):
    run = times(20.0, *intervals)
    items = beats_at(*times(5.0, *[0.75] * 19), 20.0 - min(intervals))
    items += [item for at, symbol in zip(run, symbols, strict=True) for item in beats_at(at, symbol=symbol)]
    said = analyse([*items, *beats_at(*times(run[-1] + 1.0, *[0.75] * 5))], high=300)
    assert ("VTACH" in conditions(said)) == found
    onsets = [(change.sample, change.value) for change in said if change.what == "VTACH" and change.on]
    assert [at for at, _ in onsets] == [20 * FS] * found


STAND = ("VTACH", "VRUN", "BIGEMINY", "TRIGEMINY", "PVC_RATE")
"""Conditions that stand by what the last beats are; AF apart."""


def standing(said, r_peaks, *delays):
    """Which of them stand after each beat; what is told of it comes so many samples after R."""
    holding, found = set(), []
    for r in r_peaks:
        for change in said:
            if change.emitted - r in delays and change.what in STAND:
                (holding.add if change.on else holding.discard)(change.what)
        found.append(set(holding))
    return found


KINDS = st.one_of(
    st.lists(st.sampled_from("NSVVVVQ"), min_size=1, max_size=60),
    st.builds(lambda part, times: list(part) * times, st.sampled_from(["NV", "NNV", "NNVNV", "V"]), st.integers(1, 20)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(0.3, 1.5), min_size=60, max_size=60), KINDS)
def test_ventricular_conditions_are_those_of_the_obvious_way(intervals, symbols):
    r_peaks = [round(t * FS) for t in times(4.0, *intervals)][1 : len(symbols) + 1]
    items = [i for r, symbol in zip(r_peaks, symbols, strict=False) for i in beats_at(r / FS, symbol=symbol)]
    said = analyse(items, low=15, high=300)
    beats = list(zip(r_peaks, symbols, strict=False))
    assert standing(said, r_peaks, TO_BEAT) == naive.ventricular_conditions(beats)
    events = naive.events_of_beats(beats)
    begun = [(change.what, change.sample) for change in said if change.on and change.what in ("COUPLET", "R_ON_T")]
    assert set(begun) <= set(events)
    assert {what for what, _ in begun} == {what for what, _ in events}


@pytest.mark.parametrize(("pattern", "label"), [("NV", "B"), ("NNV", "T"), ("N", "N"), ("NNNV", "N")])
def test_bigeminy_and_trigeminy_are_named(pattern, label):
    r_peaks = times(5.0, *[0.7] * 30)
    items = [i for n, t in enumerate(r_peaks) for i in beats_at(t, symbol=pattern[n % len(pattern)])]
    labels = [change.what for change in analyse(items) if change.what in rhythm.LABELS]
    assert labels[-1] == label


# -- names that are revised

TO_FINAL = TO_BEAT + 60
"""Samples from an R peak to its final name."""


def named_twice(beats):
    """Items of beats given as (R peak in s, provisional symbol, final symbol)."""
    items = []
    for t, first, last in beats:
        items += beats_at(t, symbol=first)
        items.append((ITEM_REVISION, round(t * FS), round(t * FS) + TO_FINAL, AAMI_CLASSES.index(last), 1.0))
    return items


def run_with(*names, rate=150):
    """Sinus rhythm, then beats at a rate, each with its two names, then sinus rhythm."""
    run = times(20.0, *[rr(rate)] * (len(names) - 1))
    around = [*times(5.0, *[0.75] * 19), *times(run[-1] + 1.0, *[0.75] * 5)]
    return named_twice(
        sorted([*((t, *two) for t, two in zip(run, names, strict=True)), *((t, "N", "N") for t in around)])
    )


def runs(said):
    """What is said of runs: the condition, where it begins (number of the beat) or None, and whether revised."""
    at = [round(t * FS) for t in times(20.0, *[rr(150)] * 20)]
    return [(c.what, at.index(c.sample) if c.on else None, c.revised) for c in said if c.what in ("VRUN", "VTACH")]


def test_a_revision_clears_a_tachycardia_and_says_why():
    said = runs(analyse(run_with("VV", "VV", "VV", "VV", "VN"), high=300))
    assert said == [("VRUN", 0, False), ("VTACH", 0, False), ("VRUN", None, False), ("VTACH", None, True)]


def test_a_revision_raises_a_tachycardia():
    said = runs(analyse(run_with("VV", "VV", "VV", "VV", "NV"), high=300))
    assert said == [("VRUN", 0, False), ("VRUN", None, False), ("VTACH", 0, True), ("VTACH", None, False)]


def test_a_condition_that_the_first_name_ended_begins_anew_with_that_beat():
    """For the same alarm is not raised twice."""
    for names, what, beat in ((["VV"] * 3 + ["NV"], "VRUN", 3), (["VV"] * 6 + ["SV"], "VTACH", 6)):
        told = [c for c in runs(analyse(run_with(*names), high=300)) if c[0] == what][:3]
        assert told == [(what, 0, False), (what, None, False), (what, beat, True)]


def test_a_revision_that_changes_nothing_says_nothing():
    names = ["VV", "VV", "NS", "VV", "VV", "VV", "SF", "NN"]
    once = [pair[0] * 2 for pair in names]
    assert analyse(run_with(*names), high=300) == analyse(run_with(*once), high=300)
    without = [item for item in run_with(*once) if item[0] != ITEM_REVISION]
    assert analyse(run_with(*once), high=300) == analyse(without, high=300, end=run_with(*once)[-1][2] / FS + 1 / FS)


@pytest.mark.parametrize(("pattern", "label"), [("NV", "B"), ("NNV", "T"), ("N", "N")])
def test_the_rhythm_is_that_of_the_final_names(pattern, label):
    """The last beat's first name broke it, or brought it, and its final one does not."""
    r_peaks = times(5.0, *[0.7] * 17)
    names = [pattern[n % len(pattern)] for n in range(18)]
    other = "N" if names[-1] == "V" else "V"
    beats = [(t, name, name) for t, name in zip(r_peaks, names, strict=True)]
    beats[-1] = (r_peaks[-1], other, names[-1])
    labels = [change.what for change in analyse(named_twice(beats)) if change.what in rhythm.LABELS]
    assert labels[-1] == label


TWICE_NAMED = st.lists(
    st.tuples(st.floats(0.3, 1.5), st.sampled_from("NSVVVVQ"), st.sampled_from("NSVVVVQ")), min_size=1, max_size=60
)


WRONG_AT_FIRST = [(1.0, first, last) for first, last in zip("NNNNNNNVNNNN", "NVNVNVVNVNVN", strict=True)]


def test_bigeminy_of_final_names_alone_is_told_once():
    test_what_stands_after_a_revision_is_what_the_final_names_say.hypothesis.inner_test(WRONG_AT_FIRST)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(TWICE_NAMED)
def test_what_stands_after_a_revision_is_what_the_final_names_say(beats):
    """Runs as the obvious way finds them, and the rhythms of the whole; and nothing begins twice at one sample."""
    r_peaks = [round(t * FS) for t in times(4.0, *[interval for interval, _, _ in beats])][1:]
    twice = [(r / FS, first, last) for r, (_, first, last) in zip(r_peaks, beats, strict=True)]
    said = analyse(named_twice(twice), low=15, high=300)
    symbols = [last for _, _, last in beats]
    found = standing(said, r_peaks, TO_BEAT, TO_FINAL)
    assert found == naive.ventricular_conditions(list(zip(r_peaks, symbols, strict=True)))
    begun = [(change.what, change.sample) for change in said if change.on and change.what in rhythm.CONDITIONS]
    assert len(begun) == len(set(begun))
    plain = analyse([i for t, _, last in twice for i in beats_at(t, symbol=last)], low=15, high=300)
    assert rhythms_of(said) == rhythms_of(plain)


def rhythms_of(said):
    """Rhythms other than N and where they begin, as a reader puts them together, and which is the last.

    N may begin a beat or two early, where a rhythm that is taken back would have begun.
    """
    told: list[Rhythm] = []
    for change in said:
        if change.what in rhythm.LABELS:
            take_rhythm(told, Rhythm("b", change.sample, change.emitted, change.what))
    return [(event.label, event.sample) for event in told if event.label != "N"], [event.label for event in told][-1:]


@settings(max_examples=100, deadline=None)
@given(TWICE_NAMED, st.sets(st.integers(1, 60), max_size=4), st.lists(st.floats(0, 60), max_size=6))
def test_calls_do_not_show_where_names_are_revised(beats, losses, cuts):
    r_peaks = times(1.0, *[interval for interval, _, _ in beats])[1:]
    items = named_twice([(t, first, last) for t, (_, first, last) in zip(r_peaks, beats, strict=True)])
    items += [i for n, at in enumerate(sorted(losses)) for i in lead(OK if n % 2 else LEAD_OFF, at)]
    end = max(60.0, r_peaks[-1] + 2)
    assert analyse(items, end, cuts=cuts) == analyse(items, end)


def test_a_beat_from_before_a_loss_is_not_revised():
    """What stood then stands until the signal is back and says otherwise."""
    last = round(times(20.0, *[rr(150)] * 4)[-1] * FS)
    items = [item for item in run_with("VV", "VV", "VV", "VV", "VN") if item[1] <= last]
    lost = last + TO_BEAT + 10
    said = analyse([*items, (ITEM_QUALITY, lost, lost, LEAD_OFF, 0.0)], high=300)
    assert ("VTACH", True) in [(change.what, change.on) for change in said]
    assert ("VTACH", False) not in [(change.what, change.on) for change in said]


# -- the first lead lost


def test_no_interval_is_measured_across_a_loss():
    """The last beat before the loss is announced during it, and 10 s without a usable signal are no asystole."""
    items = [*beats_at(*SINUS), *lead(LEAD_OFF, 20.1), *beats_at(*times(30.0, *[0.75] * 10)), *lead(OK, 29.9)]
    assert conditions(analyse(items)) == []


def test_beats_of_the_half_second_before_the_lead_is_back_count():
    """Good samples from 29.5 s, back at 30: the beat at 29.8 starts the first interval."""
    back = 29.5 + BACK / FS
    items = [*beats_at(*SINUS), *lead(LEAD_OFF, 20.1), *lead(OK, back), *beats_at(*times(29.8, *[0.5] * 4))]
    assert conditions(analyse(items, high=100)) == ["TACHY"]


def test_a_beat_from_before_the_loss_found_late_starts_no_interval():
    """Found by looking back, after the lead has returned."""
    late = (ITEM_QRS, round(20.75 * FS), round(22.5 * FS), 0, 0.0)
    items = [*beats_at(*SINUS), *lead(LEAD_OFF, 21.0), *lead(OK, 22.2), late, *beats_at(*times(25.0, *[0.75] * 10))]
    assert conditions(analyse(items)) == []


def test_asystole_counts_anew_from_where_the_lead_is_back():
    items = [*beats_at(*SINUS), *lead(LEAD_OFF, 21.0), *lead(OK, 30.0)]
    assert conditions(analyse(items, 34 + VERDICT_WAIT)) == []
    (change,) = [c for c in analyse(items, 34 + VERDICT_WAIT + 1 / FS) if c.what == "ASYSTOLE"]
    assert (change.sample, change.emitted) == (30 * FS, round((34 + VERDICT_WAIT) * FS))


def test_a_ventricular_run_is_not_joined_across_a_loss():
    items = [*beats_at(*times(5.0, *[0.75] * 20)), *beats_at(20.5, 20.9, symbol="V"), *lead(LEAD_OFF, 21.1)]
    items += [*lead(OK, 22.0), *beats_at(22.1, 22.5, symbol="V"), *beats_at(23.4, 24.1)]
    assert conditions(analyse(items, high=300)) == []


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.25, 6.0), st.sampled_from("NNVQ")), min_size=1, max_size=40),
    st.lists(st.floats(0, 100), max_size=6),
    st.sets(st.integers(1, 90), max_size=6),
)
def test_calls_do_not_show(beats, cuts, losses):
    """Items taken at once or in any number of calls: the same conditions, at the same samples."""
    r_peaks = times(1.0, *[interval for interval, _ in beats])[1:]
    items = [i for t, (_, symbol) in zip(r_peaks, beats, strict=True) for i in beats_at(t, symbol=symbol)]
    items += [i for n, at in enumerate(sorted(losses)) for i in lead(OK if n % 2 else LEAD_OFF, at)]
    end = max(100.0, r_peaks[-1] + 2)
    assert analyse(items, end, cuts=cuts) == analyse(items, end)


# -- end to end: rendered signals through a ward


def alarm_events(signal, code, *, ward=None, fs=360.0, chunk=None):
    """Events of one alarm that a signal causes."""
    heard = listen([[c] for c in cut(signal, chunk or len(signal), fs=fs)], ward=ward)
    return [event for event in of(heard.events, Alarm) if event.code == code]


def limited(low, high):
    """A ward whose bed has these limits from the start."""
    ward = Ward(capacity=1)
    ward.feed([Chunk(BED, 0, 0, 0, 360.0, np.zeros((1, 2), np.float32))])
    ward.feed([], [SetLimits(BED, low, high)])
    return ward


@pytest.mark.parametrize("fs", [128.0, 250.0, 360.0, 1000.0])
@pytest.mark.parametrize(("pause", "expected"), [(3.9, 0), (4.1, 1)])
def test_a_pause_in_a_signal(fs, pause, expected):
    beats = [*steady(80, 0.5, 15.0), *steady(80, 14.75 + pause, 30.0)]
    events = alarm_events(render(beats, 30.0, fs=fs).signal, "ASYSTOLE", fs=fs)
    assert len([event for event in events if event.state == "raised"]) == expected


def asystole_delay(phase, *, fs=360.0):
    """Seconds from the last QRS of 80 per minute to the asystole alarm, at one phase of everything else."""
    rng = np.random.default_rng(phase)
    start = 0.3 + 0.75 * rng.random()
    beats = steady(80, start, 12.0 + 3 * rng.random())
    noise = [Baseline(0.2, 0.3), Muscle(0.01)]
    signal = render(beats, 20.0, fs=fs, disturbances=noise, seed=phase).signal
    raised = [a for a in alarm_events(signal, "ASYSTOLE", fs=fs) if a.state == "raised"]
    assert len(raised) == 1
    return raised[0].emitted / fs - round(beats[-1][0] * fs) / fs


def test_asystole_is_announced_4_to_5_s_after_the_last_qrs():
    delays = [asystole_delay(phase) for phase in range(200)]
    assert 4.0 < min(delays) <= max(delays) < 5.0


@pytest.mark.slow
@pytest.mark.parametrize("fs", [250.0, 360.0])
def test_asystole_at_a_thousand_phases(fs):
    delays = [asystole_delay(phase, fs=fs) for phase in range(1000)]
    assert 4.0 < min(delays) <= max(delays) < 5.0


@pytest.mark.parametrize(
    ("after", "low", "high", "code"), [(120, None, 100, "TACHY"), (40, 60, None, "BRADY")], ids=["80-120", "80-40"]
)
@pytest.mark.parametrize("fs", [250.0, 360.0])
def test_a_step_of_the_heart_rate_past_its_limit_is_announced_within_6_s(fs, after, low, high, code):
    """From 80 per minute, 100 phases; counted from the last beat of the old rate."""
    delays = []
    for phase in range(50 if fs == 360 else 20):
        step = 15.0 + 0.75 * phase / 50
        beats = [*steady(80, step % 0.75 + 0.75, step + 0.01), *steady(after, step + rr(after), step + 15)]
        signal = render(beats, step + 12.0, fs=fs).signal
        events = alarm_events(signal, code, ward=limited(low, high), fs=fs)
        assert [event.state for event in events] == ["raised"]
        delays.append(events[0].emitted / fs - step)
    assert max(delays) <= 6.0


class Scripted:
    """Names beats as told, in their order: for good, and provisionally, which may be another name."""

    def __init__(self, symbols, provisional=None):
        self.symbols = list(symbols)
        self.provisional = list(provisional or self.symbols)
        self.finished = 0

    def classify(self, windows, features):
        known = features[:, [FEATURES.index("next_known"), FEATURES.index("next_awaited")]].any(1)
        named = []
        for final in known:
            named.append((self.symbols if final else self.provisional)[self.finished])
            self.finished += final
        return np.eye(len(AAMI_CLASSES), dtype=np.float32)[[AAMI_CLASSES.index(symbol) for symbol in named]]


@pytest.mark.parametrize(("count", "alarms"), [(4, {"VRUN"}), (5, {"VRUN", "VTACH"})])
def test_ventricular_beats_in_a_signal(count, alarms):
    run = [(12.0 + 0.4 * i, "V") for i in range(count)]
    beats = [*steady(80, 0.5, 11.6), *run, *steady(80, run[-1][0] + 1.0, 20.0)]
    heard = listen([cut(render(beats, 21.0).signal, 4096)], classifier=Scripted(symbol for _, symbol in beats))
    told = {beat.sample: beat.symbol for beat in of(heard.events, Beat)}
    assert list(told.values()) == [symbol for _, symbol in beats]
    raised = [alarm for alarm in of(heard.events, Alarm) if alarm.state == "raised" and alarm.code != "TACHY"]
    assert {alarm.code for alarm in raised} == alarms
    assert all(abs(alarm.sample - 12 * FS) <= 3 for alarm in raised)
    assert ("VT" if "VTACH" in alarms else "HGEA") in [event.label for event in of(heard.events, Rhythm)]


def test_a_tachycardia_that_the_final_names_deny_is_cleared_as_revised():
    """Five beats are first called ventricular and turn out not to be, but the first three: a run was there."""
    fast = [(12.0 + 0.4 * i, "V") for i in range(5)]
    beats = [*steady(80, 0.5, 11.6), *fast, *steady(80, fast[-1][0] + 1.0, 20.0)]
    first = [symbol for _, symbol in beats]
    last = list(first)
    last[first.index("V") + 4] = "S"
    ward = Ward(Scripted(last, first), capacity=1)
    heard = listen([cut(render(beats, 21.0).signal, 100)], ward=ward)
    told = [(alarm.code, alarm.state, alarm.reason) for alarm in of(heard.events, Alarm) if alarm.code != "TACHY"]
    assert told == [
        ("VRUN", "raised", "onset"),
        ("VTACH", "raised", "onset"),
        ("VRUN", "cleared", "hidden by VTACH"),
        ("VTACH", "cleared", "revised"),
    ]
    beat = [beat for beat in of(heard.events, Beat) if abs(beat.sample - 13.6 * FS) <= 3]
    assert [(b.symbol, b.final) for b in beat] == [("V", False), ("S", True)]
    assert max(a.emitted for a in of(heard.events, Alarm) if a.code == "VTACH") == beat[-1].emitted
    runs = ward.state[0]["rhythm"]["named"]["ventricular"]
    ventricular = runs["ventricular_at"][: int(runs["ventricular_count"])]
    assert len(ventricular) == 4
    assert beat[0].sample not in ventricular


@pytest.mark.parametrize(("count", "expected"), [(16, 0), (17, 1)])
def test_fast_beats_in_a_signal(count, expected):
    fast = [(10.0 + rr(150) * i, "N") for i in range(count)]
    beats = [*steady(60, 0.5, 9.4), *fast, *steady(60, fast[-1][0] + 1.0, fast[-1][0] + 5.0)]
    events = alarm_events(render(beats, fast[-1][0] + 5).signal, "EXTREME_TACHY")
    assert len([event for event in events if event.state == "raised"]) == expected


@pytest.mark.parametrize(("count", "expected"), [(4, 0), (5, 1)])
def test_slow_beats_in_a_signal(count, expected):
    slow = [(10.0 + rr(38) * i, "N") for i in range(count)]
    beats = [*steady(80, 0.5, 9.4), *slow, *steady(80, slow[-1][0] + 0.75, slow[-1][0] + 8.0)]
    events = alarm_events(render(beats, slow[-1][0] + 8).signal, "EXTREME_BRADY")
    assert len([event for event in events if event.state == "raised"]) == expected


def test_a_sinus_rhythm_raises_nothing():
    heard = listen([cut(sinus(120.0), 4096)])
    assert of(heard.events, Alarm) == []
    assert [event.label for event in of(heard.events, Rhythm)] == ["N"]
