"""Conditions beyond rate and runs: pauses, events, noise, fibrillation, settings, rhythms of the atria."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from items import TO_BEAT, analyse, beats_at, conditions, heard, lead, noise, shown, times

from monitor.align import LEAD_OFF, OK
from monitor.conditions import CONDITIONS, EVENT_HOLD, LABELS
from monitor.ecg import FS
from monitor.events import Rhythm, take_rhythm
from monitor.rhythm import LAPSE, NO_FIBRILLATION, RATE_LAPSE, SHOWS_VF, SHOWS_VT, VERDICT_WAIT, WAIT

BEFORE = times(5.0, *[0.75] * 20)
"""Sinus rhythm from 5 s to 20 s."""


def sinus(start, seconds=10.0):
    """More of it."""
    return beats_at(*times(start, *[0.75] * int(seconds / 0.75)))


def changes(said, *names):
    """What is said of some conditions or rhythms: name, whether it begins, and when that is told, s."""
    return [(c.what, c.on, round(c.emitted / FS, 2)) for c in said if c.what in names]


# -- pauses


@pytest.mark.parametrize(("pause", "found"), [(2.9, 0), (3.0, 0), (3.0 + 1 / FS, 1), (3.3, 1), (3.44, 1), (3.9, 1)])
def test_a_pause_is_longer_than_3_s(pause, found):
    said = analyse([*beats_at(*BEFORE), *sinus(20 + pause)], low=15)
    assert conditions(said, "EXTREME_BRADY") == ["PAUSE"] * found


def test_a_pause_stands_for_a_while_after_the_beat_that_ends_it():
    said = analyse([*beats_at(*BEFORE), *sinus(23.5, 20.0)])
    told = 23.0 + WAIT
    assert changes(said, "PAUSE") == [("PAUSE", True, told), ("PAUSE", False, 23.5 + 90 / FS + EVENT_HOLD)]


def test_a_pause_becomes_asystole():
    said = analyse(beats_at(*BEFORE), 30)
    assert [(c.what, c.sample, c.emitted) for c in said if c.on and c.what in CONDITIONS] == [
        ("PAUSE", 20 * FS, round((23 + WAIT) * FS)),
        ("ASYSTOLE", 20 * FS, round((24 + VERDICT_WAIT) * FS)),
    ]


def test_limits_of_silence_are_a_beds_own():
    assert conditions(analyse(beats_at(*BEFORE), 22.5 + WAIT, pause_s=2.0)) == ["PAUSE"]
    assert conditions(analyse(beats_at(*BEFORE), 25.9 + VERDICT_WAIT, asystole_s=6.0)) == ["PAUSE"]
    assert conditions(analyse(beats_at(*BEFORE), 26.1 + VERDICT_WAIT, asystole_s=6.0)) == ["PAUSE", "ASYSTOLE"]
    assert conditions(analyse(beats_at(*BEFORE), 24.1 + VERDICT_WAIT, pause_s=4.0)) == ["ASYSTOLE"]


# -- events


def with_v(*offsets, after=1.0, until=20.0):
    """Sinus rhythm with V so many s after 20 s, and sinus rhythm again."""
    v = [20 + offset for offset in offsets]
    return [*beats_at(*BEFORE), *beats_at(*v, symbol="V"), *sinus(v[-1] + after, until)]


def test_a_couplet_is_two_and_known_with_the_beat_after_it():
    assert conditions(analyse(with_v(0.5))) == []
    assert conditions(analyse(with_v(0.5, 1.0, 1.5))) == ["VRUN"]
    said = analyse(with_v(0.5, 1.0))
    (begun,) = [c for c in said if c.what == "COUPLET" and c.on]
    assert (begun.sample, begun.emitted, begun.value) == (round(20.5 * FS), 22 * FS + TO_BEAT, 120.0)
    ended = [c for c in said if c.what == "COUPLET" and not c.on]
    assert [c.emitted for c in ended] == [begun.emitted + EVENT_HOLD * FS]


def test_a_second_couplet_lets_the_first_stand_longer():
    items = [*with_v(0.5, 1.0, until=3.0), *beats_at(26.0, 26.4, symbol="V"), *sinus(27.5, 20.0)]
    said = analyse(items)
    begins, ends = 22 + TO_BEAT / FS, 27.5 + TO_BEAT / FS + EVENT_HOLD
    assert changes(said, "COUPLET") == [("COUPLET", True, round(begins, 2)), ("COUPLET", False, round(ends, 2))]


@pytest.mark.parametrize(("offset", "found"), [(0.31, 1), (0.33, 0)])
def test_r_on_t_is_before_the_end_of_t(offset, found):
    """After 0.75 s T ends 0.312 s after R."""
    assert conditions(analyse(with_v(offset))) == ["R_ON_T"] * found


def test_in_a_run_only_the_first_is_on_a_t_wave():
    said = analyse(with_v(0.25, 0.5, 0.75, 1.0), high=300)
    assert conditions(said) == ["R_ON_T", "VRUN"]


@pytest.mark.parametrize(("beats", "found"), [(10, 0), (11, 1)])
def test_v_in_a_minute(beats, found):
    v = [20 + 0.5 + 4 * n for n in range(beats)]
    rest = [t for t in times(20.75, *[0.75] * 80) if all(abs(t - u) > 0.3 for u in v)]
    said = analyse([*beats_at(*BEFORE), *beats_at(*v, symbol="V"), *beats_at(*rest)])
    assert conditions(said, "R_ON_T") == ["PVC_RATE"] * found
    assert conditions(analyse([*beats_at(*BEFORE), *beats_at(*v, symbol="V"), *beats_at(*rest)], pvc_limit=9))


@pytest.mark.parametrize(("pattern", "times_", "expected"), [("NV", 3, ["BIGEMINY"]), ("NNV", 3, ["TRIGEMINY"])])
def test_a_pattern_takes_three_times(pattern, times_, expected):
    names = "N" * 10 + pattern * times_
    r_peaks = times(5.0, *[0.7] * (len(names) - 1))
    items = [i for t, name in zip(r_peaks, names, strict=True) for i in beats_at(t, symbol=name)]
    assert conditions(analyse(items)) == expected
    assert conditions(analyse(items[: -2 * len(pattern)])) == []


# -- settings


def test_a_run_may_be_asked_to_be_longer_or_faster():
    run = with_v(*[0.5 + 0.4 * n for n in range(6)])
    assert "VTACH" in conditions(analyse(run, high=300))
    assert "VTACH" not in conditions(analyse(run, high=300, vt_count=7))
    assert "VTACH" not in conditions(analyse(run, high=300, vt_rate=150))


def test_limits_of_extreme_rates_are_a_beds_own():
    fast = beats_at(*times(5.0, *[0.4] * 30))
    assert conditions(analyse(fast, high=300)) == ["EXTREME_TACHY"]
    assert conditions(analyse(fast, high=300, extreme_high=220)) == []


def test_a_paced_beat_is_not_ventricular_unless_it_comes_early():
    paced = beats_at(*times(5.0, *[0.8] * 40), symbol="V")
    assert "VRUN" in conditions(analyse(paced))
    assert conditions(analyse(paced, paced=1)) == []
    sensed = beats_at(*BEFORE)
    early = beats_at(*times(20.5, *[0.4] * 5), symbol="V")
    assert "VTACH" in conditions(analyse([*sensed, *early], paced=1, high=300))


def test_no_pacing_hides_an_asystole():
    said = analyse(beats_at(*times(5.0, *[0.8] * 20), symbol="V"), 30, paced=1)
    assert "ASYSTOLE" in conditions(said)


# -- noise


def test_in_noise_nothing_begins_but_asystole():
    run = beats_at(*times(20.5, *[0.3] * 40), symbol="V")
    assert conditions(analyse([*beats_at(*BEFORE), *noise(20.1, 60), *run], 33)) == []
    said = analyse([*beats_at(*BEFORE), *noise(20.1, 60)], 30)
    assert conditions(said) == ["ASYSTOLE"]


def test_silence_counts_in_noise_and_so_do_beats():
    (begun,) = [c for c in analyse([*beats_at(*BEFORE), *noise(21, 60)], 30) if c.what == "ASYSTOLE"]
    assert begun.emitted == round((24 + VERDICT_WAIT) * FS)
    assert conditions(analyse([*beats_at(*BEFORE), *noise(20.1, 60), *beats_at(23.9, 27.5)], 31)) == []


def test_what_stands_is_held_in_noise_and_ends_as_lapsed():
    run = beats_at(*times(20.5, *[0.4] * 8), symbol="V")
    items = [*beats_at(*BEFORE), *run, *noise(24, 90), *sinus(24.2, 66)]
    said = analyse(items, 80, high=300)
    ends = [c for c in said if c.what == "VTACH" and not c.on]
    assert [(c.emitted, c.lapsed) for c in ends] == [((24 + LAPSE) * FS, True)]
    assert [(c.what, c.emitted) for c in said if c.what in LABELS][-1] == ("NOISE", (24 + LAPSE) * FS)


def test_after_short_noise_the_next_beat_tells():
    run = beats_at(*times(20.5, *[0.4] * 8), symbol="V")
    said = analyse(
        [*beats_at(*BEFORE), *run, *noise(23.8, 26), *beats_at(26.2, 26.6, symbol="V"), *sinus(27.5)], high=300
    )
    assert [(c.on, c.emitted, c.lapsed) for c in said if c.what == "VTACH"] == [
        (True, round(22.1 * FS) + TO_BEAT, False),
        (False, round(27.5 * FS) + TO_BEAT, False),
    ]


def test_beats_of_noise_do_not_lead_into_a_run():
    v = beats_at(*times(20.5, *[0.4] * 12), symbol="V")
    said = analyse([*beats_at(*BEFORE), *noise(20.1, 24), *v, *sinus(26.0)], high=300)
    assert "VTACH" not in conditions(said)


def test_the_heart_rate_is_unknown_after_a_while_of_noise():
    items = [*beats_at(*BEFORE), *noise(20.1, 60), *sinus(20.75, 39)]
    assert heard(items, 20.1 + RATE_LAPSE - 0.1)[1]["rate"]["shown"] == pytest.approx(80)
    assert heard(items, 20.1 + RATE_LAPSE + 0.1)[1]["rate"]["shown"] == 0.0
    assert heard(items, 59.9)[1]["rate"]["shown"] == 0.0
    assert heard([*items, *sinus(60.5, 6)])[1]["rate"]["shown"] == pytest.approx(80)


def test_a_lasting_loss_of_signal_ends_what_stood():
    run = beats_at(*times(20.5, *[0.4] * 8), symbol="V")
    said = analyse([*beats_at(*BEFORE), *run, *lead(LEAD_OFF, 24.5)], 60, high=300)
    assert [(c.emitted, c.lapsed) for c in said if c.what == "VTACH" and not c.on] == [
        (round((24.5 + LAPSE) * FS), True)
    ]
    short = analyse([*beats_at(*BEFORE), *run, *lead(LEAD_OFF, 24.5), *lead(OK, 30)], 33, high=300)
    assert [c for c in short if c.what == "VTACH" and not c.on] == []


# -- fibrillation


def test_fibrillation_is_told_and_is_no_asystole():
    said = analyse([*beats_at(*BEFORE), *shown(SHOWS_VF, 20.5, told=3.0), *shown(NO_FIBRILLATION, 40)], 39)
    assert changes(said, "VFIB", "ASYSTOLE", "VF") == [("VFIB", True, 23.5), ("VF", True, 23.5)]
    assert {c.sample for c in said if c.what in ("VFIB", "VF")} == {round(20.5 * FS)}


def test_asystole_after_fibrillation_is_told_at_once():
    said = analyse([*beats_at(*BEFORE), *shown(SHOWS_VF, 20.5), *shown(NO_FIBRILLATION, 30, told=2.0)], 40)
    assert changes(said, "VFIB", "ASYSTOLE", "ASYS") == [
        ("VFIB", True, 20.5),
        ("VFIB", False, 32.0),
        ("ASYSTOLE", True, 32.0),
        ("ASYS", True, 32.0),
    ]


def test_beats_in_fibrillation_bring_nothing_and_what_stood_ends():
    run = beats_at(*times(20.5, *[0.3] * 40), symbol="V")
    said = analyse([*beats_at(*BEFORE), *run, *shown(SHOWS_VF, 22, told=1.5)], 33, high=300)
    assert conditions(said, "EXTREME_TACHY") == ["VRUN", "VTACH", "VFIB"]
    assert [c.emitted for c in said if c.what == "VTACH" and not c.on] == [round(23.5 * FS)]


def test_after_fibrillation_the_rhythm_goes_on_from_its_end():
    items = [*beats_at(*BEFORE), *shown(SHOWS_VF, 20.5), *shown(NO_FIBRILLATION, 26, told=1.0), *sinus(26.4)]
    said = analyse(items)
    assert conditions(said) == ["VFIB"]
    assert [(c.what, c.sample) for c in said if c.what in LABELS][-2:] == [("VF", round(20.5 * FS)), ("N", 26 * FS)]


def test_fibrillation_is_told_in_noise():
    said = analyse([*beats_at(*BEFORE), *noise(20.1, 60), *shown(SHOWS_VF, 20.5)], 30)
    assert conditions(said) == ["VFIB"]


def test_tachycardia_that_the_signal_shows_needs_no_run_of_beats():
    run = beats_at(*times(20.5, *[0.4] * 2), symbol="V")
    said = analyse([*beats_at(*BEFORE), *run, *shown(SHOWS_VT, 20.5, told=1.5), *sinus(22.4)], high=300)
    assert conditions(said) == ["VRUN", "VTACH"]
    assert "VTACH" in conditions(analyse([*with_v(0.5, 0.9), *shown(SHOWS_VT, 20.5, told=1.0)]))


def test_a_tachycardia_whose_beats_are_not_found_is_no_asystole():
    silent = [*beats_at(*BEFORE), *shown(SHOWS_VT, 20.5, told=2.0)]
    said = analyse([*silent, *shown(NO_FIBRILLATION, 30.0, told=1.0)], 40)
    assert (conditions(said)[0], conditions(said)[-1]) == ("VTACH", "ASYSTOLE")
    assert next(c.emitted for c in said if c.what == "ASYSTOLE") >= 31 * FS
    assert conditions(analyse(silent, 40)) == ["VTACH"]


def test_an_asystole_that_turns_out_to_be_fibrillation_ends():
    said = analyse([*beats_at(*BEFORE), *shown(SHOWS_VF, 20.5, told=5.0)], 30)
    assert changes(said, "ASYSTOLE", "VFIB")[1:] == [("ASYSTOLE", False, 25.5), ("VFIB", True, 25.5)]


# -- the atria


def fibrillating(seconds, start=20.6):
    rng = np.random.default_rng(1)
    intervals = np.clip(rng.normal(0.7, 0.16, 200), 0.4, 1.3)
    return [t for t in times(start, *intervals) if t < start + seconds]


def test_atrial_fibrillation_begins_and_ends_where_it_does():
    r_peaks = fibrillating(40)
    items = [*beats_at(*BEFORE), *beats_at(*r_peaks, p=-1.2), *sinus(r_peaks[-1] + 0.75, 40)]
    said = analyse(items)
    assert conditions(said, "BRADY", "TACHY") == ["AF"]
    labels = [(c.what, c.sample / FS) for c in said if c.what in LABELS]
    assert [what for what, _ in labels] == ["N", "AFIB", "N"]
    assert abs(labels[1][1] - 20.6) < 6
    assert abs(labels[2][1] - r_peaks[-1]) < 8


def test_premature_ventricular_beats_are_no_atrial_fibrillation():
    rng = np.random.default_rng(2)
    t, items = 5.0, []
    for _ in range(80):
        items += beats_at(t)
        if rng.random() < 0.3:
            items += beats_at(t + rng.uniform(0.4, 0.7), symbol="V")
            t += 1.6
        else:
            t += 0.8
    assert "AF" not in conditions(analyse(items))


@pytest.mark.parametrize(("count", "label"), [(2, "N"), (3, "SVTA")])
def test_three_s_in_a_row_are_svta(count, label):
    fast = times(20.45, *[0.4] * (count - 1))
    said = analyse([*beats_at(*BEFORE), *beats_at(*fast, symbol="S"), *sinus(fast[-1] + 0.9)])
    assert label in [c.what for c in said if c.what in LABELS]
    assert ("SVTA" in [c.what for c in said]) == (label == "SVTA")


@pytest.mark.parametrize(("interval", "found"), [(0.4, True), (0.58, False)])
def test_an_abrupt_tachycardia_is_svta_by_its_intervals(interval, found):
    fast = times(20.0 + interval, *[interval] * 12)
    said = analyse([*beats_at(*BEFORE), *beats_at(*fast), *sinus(fast[-1] + 0.9)], high=300)
    assert ("SVTA" in [c.what for c in said]) == found


def test_a_sinus_rhythm_that_quickens_is_none():
    intervals = np.linspace(0.8, 0.4, 40)
    assert "SVTA" not in [c.what for c in analyse(beats_at(*times(5.0, *intervals)), high=300)]


def test_three_slow_v_are_an_idioventricular_rhythm():
    said = analyse(with_v(0.9, 1.8, 2.7))
    assert "IVR" in [c.what for c in said]
    assert "VT" not in [c.what for c in said]


@pytest.mark.parametrize(("count", "label"), [(3, "HGEA"), (4, "HGEA"), (5, "VT")])
def test_a_fast_run_lasts_an_interval_longer_than_to_its_last_beat(count, label):
    run = times(20.5, *[0.4] * (count - 1))
    told = []
    for change in analyse([*beats_at(*BEFORE), *beats_at(*run, symbol="V"), *sinus(run[-1] + 0.9)], high=300):
        if change.what in LABELS:
            take_rhythm(told, Rhythm("bed", change.sample, change.emitted, change.what))
    labels = [(rhythm.label, rhythm.sample) for rhythm in told][1:]
    assert labels == [(label, round(20.5 * FS)), ("N", round((run[-1] + 0.4) * FS))]


def test_a_tachycardia_that_the_signal_shows_ends_where_that_does():
    seen = [*shown(SHOWS_VT, 20.5, told=1.5), *shown(NO_FIBRILLATION, 24.2, told=2.0)]
    said = analyse([*beats_at(*BEFORE), *seen, *sinus(24.6)])
    assert [(c.what, c.sample / FS) for c in said if c.what in LABELS][1:] == [("VT", 20.5), ("N", 24.2)]


# -- nothing shows how it was cut


ANY = st.lists(st.tuples(st.floats(0.25, 5.0), st.sampled_from("NNNSVVQ"), st.floats(-1, 1)), min_size=1, max_size=50)
MARKS = st.lists(
    st.tuples(st.sampled_from(["noise", "quality", "fibrillation"]), st.floats(0, 90), st.integers(0, 2)), max_size=10
)


@settings(max_examples=200, deadline=None)
@given(ANY, MARKS, st.lists(st.floats(0, 100), max_size=8), st.booleans())
def test_calls_do_not_show(beats, marks, cuts, paced):
    r_peaks = times(1.0, *[interval for interval, _, _ in beats])[1:]
    items = [i for t, (_, kind, p) in zip(r_peaks, beats, strict=True) for i in beats_at(t, symbol=kind, p=p)]
    for what, at, value in marks:
        if what == "noise":
            items.append((1, round(at * FS), round(at * FS), value, 0.0))
        elif what == "quality":
            items += lead(LEAD_OFF if value else OK, at)
        else:
            items += shown(value, at, told=1.0)
    end = max(100.0, r_peaks[-1] + 2)
    whole, state = heard(items, end, paced=int(paced))
    parts, other = heard(items, end, cuts=cuts, paced=int(paced))
    assert parts == whole
    assert other.tobytes() == state.tobytes()
    told = [change.emitted for change in whole]
    assert told == sorted(told)
    held: set[str] = set()
    for change in whole:
        if change.what in CONDITIONS:
            assert change.on != (change.what in held), change
            (held.add if change.on else held.discard)(change.what)
