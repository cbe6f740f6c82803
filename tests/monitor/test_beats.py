"""What the classifier sees of a beat: where R is, its window, its timing, and the patient's own normal beat."""

from __future__ import annotations

import naive
import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import cut, hostile_signals, of, sinus, steady, story

from monitor import beats, losses, timing
from monitor.beats import FEATURES
from monitor.ecg import AAMI_CLASSES, FS
from monitor.events import Beat, Qrs
from monitor.filters import DISPLAY_DELAY
from monitor.shapes import CHANNELS, RULE_CLASSES
from monitor.ward import Ward
from monitor.window import AFTER, BEFORE, STRIDE, WIDTH
from simulators.morphology import Heart
from simulators.noise import Muscle
from simulators.rhythms import Beat as Rendered
from simulators.synthetic import render


class Seen:
    """What a network is given for a signal.

    Attributes:
        windows, features, beats: of each beat what was told last, and the event.
        first_windows, first_features, first_beats: what was told first.
        found: the events of detection.
        display: (n,) the first lead's display signal.
    """

    def __init__(self, signal, fs=360.0):
        windows, features, display, events = [], [], [], []

        class Names:
            def classify(self, w, f):
                windows.append(w.copy())
                features.append(f.copy())
                return np.eye(len(AAMI_CLASSES), dtype=np.float32)[np.zeros(len(w), np.int64)]

        ward = Ward(Names(), capacity=1)
        for chunk in cut(signal, 1000, fs=fs):
            events += ward.feed([chunk])
            display += [wave.samples[:, 0] for wave in ward.waves()]
        windows, features, beats = np.concatenate(windows), np.concatenate(features), of(events, Beat)
        self.display, self.found = np.concatenate(display), of(events, Qrs)
        first = np.diff([beat.sample for beat in beats], prepend=-1) != 0
        last = np.roll(first, -1)
        self.windows, self.features = windows[last], features[last]
        self.first_windows, self.first_features = windows[first], features[first]
        self.beats, self.first_beats = ([beats[i] for i in np.flatnonzero(rows)] for rows in (last, first))

    def feature(self, name):
        return self.features[:, FEATURES.index(name)]

    @property
    def rules(self):
        """The kernel's own label of each beat."""
        columns = [FEATURES.index(f"rule_{name.lower()}") for name in RULE_CLASSES]
        assert np.all(self.features[:, columns].sum(1) == 1)
        return "".join(RULE_CLASSES[i] for i in self.features[:, columns].argmax(1))


def drawn(rhythm, **heart):
    seconds = max(beat.time if isinstance(beat, Rendered) else beat[0] for beat in rhythm) + 1
    return render(rhythm, seconds, heart=Heart(**heart))


# -- where R is


@pytest.mark.parametrize("qrs_ms", [60, 80, 100, 120])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("qrs_mv", [0.5, 1.0, 3.0])
def test_r_is_the_largest_deflection(qrs_ms, sign, qrs_mv):
    """Within 8 ms, upright or upside down; 6 ms are the display filter's delay, which is known to a sample or two."""
    strip = drawn(steady(75, 0.5, 20.0), qrs_ms=qrs_ms, qrs_mv=qrs_mv)
    found = np.array([beat.sample for beat in Seen(sign * strip.signal).beats])
    assert np.abs(found - strip.r_peaks[: len(found)]).max() <= 3


def test_r_of_a_ventricular_beat_upside_down():
    """A deflection against the usual polarity counts, if it is half as large again."""
    rhythm = [Rendered(t, "N") for t, _ in steady(75, 0.5, 12.0)]
    rhythm[10] = Rendered(rhythm[10].time - 0.25, "V", shape=1)
    strip = drawn(rhythm)
    found = Seen(strip.signal).beats
    assert abs(found[10].sample - strip.r_peaks[10]) <= 5


def test_r_of_a_biphasic_beat_keeps_its_side():
    """S grows from 0.9 to 1.2 of R and back, as with breathing: R does not jump to it."""
    strip = drawn(steady(75, 0.5, 40.0), p_mv=0.0, t_mv=0.0, qrs_ms=60)
    signal = strip.signal.copy()
    for n, r in enumerate(strip.r_peaks):
        depth = 1.0 - 0.2 * np.cos(2 * np.pi * n / 8)
        k = np.arange(40)
        signal[r : r + 40, 0] -= (1.1 * depth * np.exp(-0.5 * ((k - 18) / 4.0) ** 2)).astype(np.float32)
    found = np.array([beat.sample for beat in Seen(signal).beats])
    assert np.abs(found - strip.r_peaks[: len(found)]).max() <= 3


# -- windows


def test_the_window_is_the_display_signal_around_r():
    """Every second sample from 300 ms before R to 400 ms after, without its mean, over the normal amplitude."""
    seen = Seen(drawn(steady(75, 0.5, 20.0)).signal)
    for row, beat in enumerate(seen.beats[1:], 1):
        first = beat.sample + DISPLAY_DELAY - BEFORE
        raw = seen.display[first : first + BEFORE + AFTER : STRIDE].astype(np.float64)
        raw -= raw.mean()
        window = seen.windows[row, CHANNELS.index("beat")]
        assert window.shape == (WIDTH,)
        scale = np.abs(raw).max() / np.abs(window).max()
        assert np.allclose(window * scale, raw, atol=1e-5)
        assert scale == pytest.approx(np.abs(raw).max(), rel=0.05), "every beat is a normal one"


def test_a_normal_beat_differs_little_from_the_normal_beat():
    seen = Seen(drawn([*steady(75, 0.5, 20.0), (20.2, "V"), *steady(75, 21.3, 25.0)]).signal)
    difference = np.abs(seen.windows[:, CHANNELS.index("difference")]).max(1)
    ventricular = seen.rules.index("V")
    assert seen.rules.count("V") == 1
    assert np.all(difference[:3] == 0.0), "nothing to compare with yet"
    assert difference[ventricular] > 0.5
    assert np.delete(difference, ventricular)[4:].max() < 0.2


def test_the_window_follows_the_normal_beat_where_r_jumps():
    """A QRS of two peaks 50 ms apart; in one beat the second is the higher one. Its window is cut as the others are."""
    strip = drawn(steady(75, 0.5, 25.0))
    signal = strip.signal.copy()
    for n, r in enumerate(strip.r_peaks[:-1]):
        k = np.arange(60)
        signal[r : r + 60, 0] += ((1.4 if n == 20 else 1.0) * np.exp(-0.5 * ((k - 18) / 3.0) ** 2)).astype(np.float32)
    seen = Seen(signal)
    assert [seen.beats[n].sample - strip.r_peaks[n] for n in (19, 20, 21)] == [0, 18, 0]
    beat = seen.windows[:, CHANNELS.index("beat")]
    assert np.corrcoef(beat[20], beat[19])[0, 1] > 0.95


def test_the_normal_beat_follows_a_slow_change():
    """T grows from 0.2 to 0.8 mV in five minutes: no beat differs much from those before it, and all are N."""
    parts = [render(steady(75, 0.5, 10.0), 10.0, heart=Heart(t_mv=t)).signal for t in np.linspace(0.2, 0.8, 30)]
    seen = Seen(np.concatenate(parts))
    assert set(seen.rules[1:]) == {"N"}
    assert np.abs(seen.windows[20:, CHANNELS.index("difference")]).max() < 0.25


def test_size_does_not_show_in_the_window_and_polarity_does():
    rhythm = [*steady(75, 0.5, 20.0), (20.2, "V"), *steady(75, 21.3, 25.0)]
    signal = drawn(rhythm).signal
    one, double, down = Seen(signal), Seen(2 * signal), Seen(-signal)
    assert np.allclose(one.windows, double.windows, atol=1e-4)
    assert np.allclose(one.windows[4:], -down.windows[4:], atol=0.02)
    assert one.rules == double.rules == down.rules


def test_a_beat_is_told_408_ms_after_r():
    """The last sample of the window; later only if the detector was."""
    seen = Seen(drawn(steady(75, 0.5, 20.0)).signal)
    known = {event.sample: event.emitted for event in seen.found}
    for beat in seen.first_beats:
        assert beat.emitted == max(beat.sample + DISPLAY_DELAY + AFTER - 1, known[beat.sample])


# -- timing


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.5, 1.4), min_size=5, max_size=140))
def test_timing_is_that_of_the_obvious_way(intervals):
    """Of the beats as they were placed, for all features that rest on timing alone."""
    times = np.cumsum([0.5, *intervals])
    seen = Seen(drawn([(float(t), "N") for t in times]).signal)
    r_peaks = [event.sample for event in seen.found]
    for n in range(len(seen.beats)):
        expected = naive.rr_context(r_peaks, n)
        assert set(FEATURES[: timing.CONTEXT]) - set(expected) == {
            "rr_to_normal",
            "early_run",
            "certainty",
            "calm",
            "calm_enough",
            *timing.NEXT_FEATURES,
        }
        for name, value in expected.items():
            assert seen.feature(name)[n] == pytest.approx(value, abs=1e-5), name


def test_an_early_beat_shows_in_its_timing():
    seen = Seen(drawn([*steady(60, 0.5, 20.0), (20.1, "S"), *steady(60, 21.1, 25.0)]).signal)
    early = seen.rules.index("S")
    assert seen.rules.count("S") == 1
    assert seen.feature("rr_to_mean8")[early] == pytest.approx(np.log(0.6), abs=0.02)
    assert seen.feature("previous_rr1")[early + 1] < -0.4, "the beat after it knows"


# -- two rows a beat

NEXT = slice(timing.NEXT, timing.CONTEXT)
WAITED = round(timing.LONGEST_WAIT * FS)


def known_of_next(features):
    """(known, awaited) of each row."""
    return [tuple(row) for row in features[:, timing.NEXT : timing.NEXT + 2].astype(int).tolist()]


def check_rows(seen):
    """A final row differs from the provisional one in what is known of the next beat: there, nothing."""
    assert len(seen.first_beats) == len(seen.beats)
    for row, (first, last) in enumerate(zip(seen.first_beats, seen.beats, strict=True)):
        assert (first.sample, first.search_back, first.leads) == (last.sample, last.search_back, last.leads)
        assert seen.first_windows[row].tobytes() == seen.windows[row].tobytes()
        if not first.final:
            assert not seen.first_features[row, NEXT].any()
        without = seen.features[row].copy()
        without[NEXT] = seen.first_features[row, NEXT]
        assert without.tobytes() == seen.first_features[row].tobytes()


def test_a_final_row_is_the_provisional_one_and_what_is_known_of_the_next_beat():
    seen = Seen(story())
    check_rows(seen)
    twice = [first is not last for first, last in zip(seen.first_beats, seen.beats, strict=True)]
    assert sum(twice) > 30
    without = seen.features.copy()
    without[:, NEXT] = 0.0
    assert without[twice].tobytes() == seen.first_features[twice].tobytes(), "a trainer can make the one from the other"


@settings(max_examples=30, deadline=None)
@given(hostile_signals())
def test_so_it_is_whatever_the_signal(signal):
    seen = Seen(np.concatenate([sinus(5.0), signal]))
    check_rows(seen)
    assert np.isfinite(seen.features).all()


@pytest.mark.parametrize("rate", [65, 75, 100, 140])
def test_a_beat_is_final_when_the_next_is_found(rate):
    seen = Seen(drawn(steady(rate, 0.5, 20.0)).signal)
    found = {event.sample: event.emitted for event in seen.found}
    samples = [beat.sample for beat in seen.beats]
    told = zip(seen.beats[2:], seen.first_beats[2:], samples[3:], known_of_next(seen.features)[2:], strict=False)
    for beat, first, following, known in told:
        assert beat.final
        assert beat.emitted == max(found[following], first.emitted)
        assert known == (1, 0)
        row = samples.index(beat.sample)
        interval = (following - beat.sample) / FS
        before = (beat.sample - samples[row - 1]) / FS
        assert seen.feature("next_to_interval")[row] == pytest.approx(np.log(interval / before), abs=1e-5)


def test_one_row_is_enough_where_the_next_beat_is_found_before_the_window_is_complete():
    times = [*(0.5 + 0.8 * n for n in range(20)), *(16.0 + 0.22 * n for n in range(12))]
    seen = Seen(drawn([(t, "N") for t in times], qrs_ms=60, t_mv=0.05, p_mv=0.0).signal)
    fast = [n for n, beat in enumerate(seen.beats[:-1]) if beat.sample > 17 * FS]
    assert len(fast) >= 4
    assert all(seen.first_beats[n] is seen.beats[n] and seen.beats[n].final for n in fast)
    assert {known_of_next(seen.features)[n] for n in fast} == {(1, 0)}


def test_the_next_beat_is_awaited_for_1200_ms():
    seen = Seen(drawn([*steady(75, 0.5, 12.0), (14.0, "N"), (14.8, "N")]).signal)
    row = [beat.sample for beat in seen.beats].index(max(b.sample for b in seen.beats if b.sample < 13 * FS))
    beat = seen.beats[row]
    assert beat.emitted == beat.sample + WAITED
    assert known_of_next(seen.features)[row] == (0, 1)
    expected = naive.rr_context([b.sample for b in seen.found], row)
    before = (beat.sample - seen.beats[row - 1].sample) / FS
    assert seen.feature("next_to_interval")[row] == pytest.approx(np.log(timing.LONGEST_WAIT / before), abs=1e-5)
    mean8 = before / np.exp(expected["rr_to_mean8"])
    assert seen.feature("next_to_mean8")[row] == pytest.approx(np.log(timing.LONGEST_WAIT / mean8), abs=1e-5)


def test_a_beat_is_final_when_all_leads_are_lost():
    """No interval is measured across the loss: nothing more will be known."""
    signal = drawn([*steady(75, 0.5, 12.0), *steady(75, 13.6, 20.0)]).signal.copy()
    last = max(beat.sample for beat in Seen(signal).beats if beat.sample < 12 * FS)
    at = last + round(0.6 * FS)
    signal[at : at + 100] = np.nan
    seen = Seen(signal)
    row = [beat.sample for beat in seen.beats].index(last)
    assert not seen.first_beats[row].final
    assert (seen.beats[row].final, seen.beats[row].emitted) == (True, at + losses.LOST - 1)
    assert known_of_next(seen.features)[row] == (0, 0)
    assert seen.features[row].tobytes() == seen.first_features[row].tobytes()


def test_a_beat_found_late_has_its_time_behind_it():
    """Learning ends at three seconds where beats are rare: the first is found when no next one could come in time."""
    seen = Seen(drawn([(0.5, "N"), (2.9, "N"), (5.3, "N"), (7.7, "N"), (10.1, "N")]).signal)
    late = [n for n, beat in enumerate(seen.beats) if beat.emitted > beat.sample + WAITED]
    assert late, "none of these beats tests anything"
    for n in late:
        assert seen.first_beats[n] is seen.beats[n]
        assert seen.beats[n].final
        assert known_of_next(seen.features)[n] in ((0, 1), (1, 0))


# -- the patient's own normal beat, and the kernel's label


def labels(strip):
    """Rule labels by rendered symbol, of the beats after the tenth."""
    seen = Seen(strip.signal)
    assert len(seen.beats) >= len(strip.r_peaks) - 1
    found = {beat.sample: rule for beat, rule in zip(seen.beats, seen.rules, strict=True)}
    named: dict[str, list[str]] = {}
    for r, symbol in list(zip(strip.r_peaks.tolist(), strip.symbols, strict=True))[10:]:
        nearest = min(found, key=lambda sample: abs(sample - r))
        if abs(nearest - r) <= 54:
            named.setdefault(symbol, []).append(found[nearest])
    return named


@pytest.mark.parametrize("shape", [0, 1])
@pytest.mark.parametrize("pattern", ["NNNNNNV", "NNV", "NV"])
def test_ventricular_beats_are_told_by_their_shape(pattern, shape):
    """In bigeminy too: the narrow, timely cluster stays the normal one."""
    rhythm, t = [Rendered(0.5 + 0.8 * n, "N") for n in range(8)], 6.1
    for n in range(120):
        symbol = pattern[n % len(pattern)]
        t += 0.5 if symbol == "V" else 1.0 if pattern[n % len(pattern) - 1] == "V" else 0.8
        rhythm.append(Rendered(t, symbol, shape=shape))
    named = labels(drawn(rhythm))
    assert set(named["V"]) == {"V"}
    assert set(named["N"]) == {"N"}


def test_early_beats_that_are_narrower_do_not_become_the_normal_ones():
    """A patient with a bundle branch block and narrow ventricular beats, two for each of his own."""
    rhythm, t = [Rendered(0.5 + 0.8 * n, "N") for n in range(6)], 4.5
    for n in range(90):
        t += (1.1, 0.55, 0.45)[n % 3]
        rhythm.append(Rendered(t, "NVV"[n % 3], shape=1))
    assert set(labels(drawn(rhythm, qrs_ms=140, pvc_ms=110))["V"]) == {"V"}


def test_noise_makes_no_ventricular_beats():
    strip = render(steady(75, 0.5, 60.0), 61.0, disturbances=[Muscle(0.05)], seed=3)
    assert set(labels(strip)["N"]) == {"N"}


def test_the_normal_beat_follows_a_lasting_change():
    """A bundle branch block comes and stays: after a while it is this patient's normal beat."""
    rhythm = [*steady(75, 0.5, 30.0), *steady(75, 30.5, 300.0, "V")]
    seen = Seen(drawn(rhythm).signal)
    assert set(seen.rules[45:60]) == {"V"}
    assert set(seen.rules[-20:]) == {"N"}


def test_experience_grows_to_one():
    experience = Seen(drawn(steady(75, 0.5, 40.0)).signal).feature("experience")
    assert np.allclose(experience[:33], np.arange(33) / 32)
    assert np.all(experience[32:] == 1.0)


# -- P waves, mixtures, two leads


def test_an_early_p_wave_on_a_t_wave_shows():
    """An atrial premature beat keeps its P wave; one of the same timing without any has none."""
    rhythm = [Rendered(t, "N") for t, _ in steady(60, 0.5, 40.0)]
    bare = [Rendered(b.time - (0.3 if n == 30 else 0.0), "N", p_wave=n != 30) for n, b in enumerate(rhythm)]
    with_p = [Rendered(b.time, "N") for b in bare]
    one, other = Seen(drawn(with_p).signal), Seen(drawn(bare).signal)
    assert one.feature("p_likeness")[30] > 0.85
    assert one.feature("p_projection")[30] > 0.6
    assert abs(other.feature("p_projection")[30]) < 0.4
    assert other.feature("p_size")[30] < one.feature("p_size")[30] - 0.5
    assert one.feature("p_likeness")[20:30].min() > 0.95
    assert np.abs(one.feature("p_projection")[20:30] - 1).max() < 0.1


def test_a_p_wave_shows_over_noise_and_none_does_not():
    clear = Seen(render(steady(75, 0.5, 40.0), 41.0, disturbances=[Muscle(0.02)], seed=1).signal)
    absent = render(steady(75, 0.5, 40.0), 41.0, disturbances=[Muscle(0.02)], seed=1, heart=Heart(p_mv=0.0))
    assert clear.feature("p_visible")[-1] > Seen(absent.signal).feature("p_visible")[-1] + 0.5


def test_a_fusion_is_a_mixture_of_the_normal_and_the_ventricular_beat():
    rhythm = [Rendered(t, "N") for t, _ in steady(60, 0.5, 60.0)]
    for n in range(12, 50, 4):
        rhythm[n] = Rendered(rhythm[n].time - 0.3, "V")
    rhythm[55] = Rendered(rhythm[55].time - 0.05, "F")
    seen = Seen(drawn(rhythm).signal)
    shares = np.stack([seen.feature("fusion_normal"), seen.feature("fusion_ventricular")], 1)
    assert np.abs(shares[52] - [1, 0]).max() < 0.1
    assert np.abs(shares[44] - [0, 1]).max() < 0.15
    assert shares[55].min() > 0.2
    assert seen.feature("fusion_gain")[55] > 0.1


def test_each_lead_of_two_sees_what_it_would_see_alone():
    """Where R is placed is the first lead's affair, so the second here is its double."""
    rhythm = [*steady(75, 0.5, 20.0), (20.2, "V"), *steady(75, 21.3, 25.0)]
    signal = drawn(rhythm).signal[:, :1]
    alone, both = Seen(signal), Seen(np.hstack([signal, signal]))
    n, channels = len(beats.features_of(1)), len(CHANNELS)
    shared = [i for i in range(n) if FEATURES[i] != "certainty"]  # two leads make the judge surer
    assert np.array_equal(both.features[:, shared], alone.features[:, shared])
    assert np.array_equal(both.windows[:, :channels], alone.windows[:, :channels])
    assert not alone.features[:, n:].any()
    assert not alone.windows[:, channels:].any()
    assert np.array_equal(both.features[:, n:], both.features[:, timing.CONTEXT : n])
    assert np.array_equal(both.windows[:, channels:], both.windows[:, :channels])


def test_a_lead_that_was_lost_is_back_with_what_it_had_learnt():
    """While one is lost the other stands first; each knows its normal beat at once."""
    signal = np.repeat(drawn(steady(75, 0.5, 60.0)).signal[:, :1], 2, 1) * np.float32([1.0, 0.7])
    signal[20 * int(FS) : 40 * int(FS), 0] = np.nan
    seen = Seen(signal)
    second = seen.features[:, len(beats.features_of(1)) :]
    alone = np.array([not row.any() for row in second])
    times = np.array([beat.sample for beat in seen.beats]) / FS
    assert np.all(alone[(times > 20.5) & (times < 39.5)])
    assert not np.any(alone[(times < 19.0) | (times > 42.0)])
    assert seen.feature("likeness")[(times > 5.0) & ((times < 39.5) | (times > 42.0))].min() > 0.9
    assert set(seen.rules[4:]) == {"N"}


# -- noise


def test_noise_shows_and_is_hardly_learnt_from():
    """Twenty seconds of jolts among sixty of sinus rhythm: the normal beat is afterwards what it was before."""
    signal = drawn(steady(75, 0.5, 60.0)).signal[:, :1].copy()
    rng = np.random.default_rng(0)
    noisy = slice(20 * int(FS), 40 * int(FS))
    jolts = rng.normal(size=20 * int(FS)) * (rng.random(20 * int(FS)) < 0.03)
    signal[noisy, 0] += 2.5 * scipy.signal.lfilter([1.0], [1.0, -0.97], jolts).astype(np.float32)
    seen = Seen(signal)
    times = np.array([beat.sample for beat in seen.beats]) / FS
    during, before, after = (times > 22) & (times < 39), (times > 10) & (times < 19), (times > 41) & (times < 46)
    assert seen.feature("calm")[before].min() == 1.0
    assert np.median(seen.feature("calm")[during]) < 0.2
    assert np.median(seen.feature("certainty")[during]) < np.median(seen.feature("certainty")[before])
    for name in ("rough", "drift"):
        assert np.median(seen.feature(name)[during]) > np.median(seen.feature(name)[before]) + 0.2, name
    assert seen.feature("likeness")[after].min() > 0.97
    assert np.median(seen.feature("normal_share")[after]) > 0.8, "what noise made of beats weighs little"
    assert seen.feature("rough")[after].max() < np.median(seen.feature("rough")[during])


# -- arithmetic


def test_names_and_numbers_of_features_agree():
    assert len(FEATURES) == len(set(FEATURES))
    seen = Seen(drawn(steady(75, 0.5, 10.0)).signal)
    assert seen.features.shape[1] == len(FEATURES)
    assert seen.windows.shape[1:] == (2 * len(CHANNELS), WIDTH)
    one, two = beats.features_of(1), beats.features_of(2)
    assert two[: len(one)] == one
    assert {name.removeprefix("second_") for name in two[len(one) :]} == set(one[timing.CONTEXT :])
    assert beats.channels_of(2)[: len(CHANNELS)] == beats.channels_of(1) == CHANNELS
    assert np.isfinite(seen.features).all()
