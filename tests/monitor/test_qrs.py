"""The detector: its rules one by one, an obvious version of them all, and the standard's waveforms.

The standard waveforms are synthetic and modelled on IEC 60601-2-27 (EC13); no conformity is claimed.
"""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal as scipy_signal
from streams import SIZES, cut, hostile_signals, listen, of, one_by_one, sinus, steady, story

from monitor import qrs
from monitor.ecg import FS, MAX_LEADS
from monitor.events import Alarm, Event, Qrs
from monitor.exceptions import RecordError
from monitor.filters import DETECTOR_SOS, DISPLAY_SOS
from monitor.records import find_database, read_record
from monitor.ward import Ward
from simulators.morphology import Heart
from simulators.noise import Baseline, Mains, Muscle
from simulators.rhythms import Beat as Rendered
from simulators.synthetic import render

TOLERANCE = round(0.150 * FS)
"""ANSI/AAMI EC57's, samples."""


def bands_of(signal):
    """The signal itself, its detector and its display band, each (leads, n); what is no number is 0."""
    settled = np.nan_to_num(signal.T.astype(np.float64), posinf=0.0, neginf=0.0)
    return settled, scipy_signal.sosfilt(DETECTOR_SOS, settled), scipy_signal.sosfilt(DISPLAY_SOS, settled)


def detect(raw, band, display, usable=None, sizes=(1_000_000,)):
    """("beat" or "trigger", energy peak, emitted, search-back) of all that is told, in blocks of the given sizes."""
    leads, length = band.shape
    signals = np.zeros((4, MAX_LEADS, length))
    signals[0, :leads], signals[1, :leads], signals[2, :leads] = raw, band, display
    signals[3, :leads] = 1.0 if usable is None else usable
    state = np.zeros(1, qrs.STATE)
    qrs.start(state[0])
    found, at, turn = [], 0, 0
    while at < length:
        block = np.ascontiguousarray(signals[:, :, at : at + sizes[turn % len(sizes)]])
        n = block.shape[2]
        out = np.empty(2 * (n // qrs.REFRACTORY) + 80, qrs.DETECTION)
        count = qrs.step(state[0], *block[:3], block[3].astype(np.int64), leads, n, out)
        told = out[["kind", "peak", "emitted", "search_back"]][:count].tolist()
        told = out[["kind", "peak", "emitted", "search_back"]][:count].tolist()
        found += [(("trigger", "beat")[kind], peak, emitted, bool(back)) for kind, peak, emitted, back in told]
        at, turn = at + n, turn + 1
    return found


def beats_of(found):
    """(energy peak, emitted, search-back) of the beats alone."""
    return [told[1:] for told in found if told[0] == "beat"]


def r_peaks_of(signal, fs=360.0):
    """R peaks, in samples, of the beats that a ward finds."""
    return np.array([event.sample for event in of(listen([cut(signal, len(signal), fs=fs)]).events, Qrs)])


def mismatches(found, r_peaks, after=0):
    """(missed, false) beats from sample `after` on, matched within EC57's tolerance."""
    found, true = np.asarray(found), np.asarray(r_peaks)
    near = np.abs(found[:, None] - true) <= TOLERANCE
    missed, false = true[~near.any(0)], found[~near.any(1)]
    return missed[missed > after].tolist(), false[false > after].tolist()


# -- the rules


@pytest.mark.parametrize("leads", [1, 2])
def test_obvious_way_tells_the_same_of_the_story(leads):
    raw, band, display = bands_of(story()[:, :leads])
    told = detect(raw, band, display)
    assert len(beats_of(told)) > 30
    assert naive.detect(raw, band, display, np.ones(band.shape, bool)) == told


def losses(length):
    """(leads, n) where each of two leads can be analysed: stretches of whole tenths of a second."""
    pieces = st.lists(st.tuples(st.integers(10, 80), st.booleans(), st.booleans()), min_size=1, max_size=12)

    def spread(parts):
        usable = np.ones((MAX_LEADS, length), bool)
        at = 0
        for tenths, first, second in parts:
            usable[:, at : at + tenths * FS // 10] = [[first], [second]]
            at += tenths * FS // 10
        return usable

    return pieces.map(spread)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), losses(30 * FS), SIZES)
def test_obvious_way_tells_the_same_while_leads_come_and_go(seed, usable, sizes):
    noise = np.random.default_rng(seed).normal(0.0, 0.02, (30 * FS, MAX_LEADS))
    raw, band, display = bands_of(story()[: 30 * FS] + noise)
    assert naive.detect(raw, band, display, usable) == detect(raw, band, display, usable, sizes)


@settings(max_examples=25, deadline=None)
@given(hostile_signals(), SIZES)
def test_obvious_way_tells_the_same_of_hostile_signals_at_any_cut(signal, sizes):
    bands = [np.clip(band, -50.0, 50.0) for band in bands_of(np.clip(signal, -100.0, 100.0))]
    assert naive.detect(*bands, np.ones(bands[0].shape, bool)) == detect(*bands, sizes=sizes)


@pytest.mark.database
@pytest.mark.parametrize(("record", "first"), [("203", 100_000), ("208", 300_000), ("116", 0), ("232", 50_000)])
def test_obvious_way_tells_the_same_of_records(record, first):
    try:
        database = find_database("mitdb")
    except RecordError as error:
        pytest.skip(f"NOT COMPARED ON RECORDS: {error}")
    signal = read_record(database / record).signal[first : first + 60 * FS]
    raw, band, display = bands_of(signal - signal[0])
    told = detect(raw, band, display)
    assert len(beats_of(told)) > 40
    assert naive.detect(raw, band, display, np.ones(band.shape, bool)) == told


def test_a_clear_beat_is_told_early_and_a_doubtful_one_when_nothing_has_exceeded_it():
    delays = {emitted - peak for peak, emitted, back in beats_of(detect(*bands_of(sinus(20.0)[:, :1]))) if not back}
    assert delays <= {qrs.EARLY, qrs.DOMINANCE}
    assert qrs.EARLY in delays


def test_a_trigger_comes_before_its_beat():
    told = detect(*bands_of(sinus(20.0)))
    beats = [(peak, emitted) for what, peak, emitted, back in told if what == "beat" and not back]
    at = [emitted for what, _, emitted, _ in told if what == "trigger"]
    assert len(at) == len(beats)
    assert all(peak - qrs.LAG <= trigger < emitted for trigger, (peak, emitted) in zip(at, sorted(beats), strict=True))


def test_the_beats_of_the_learning_time_are_told_once_it_is_over():
    found = beats_of(detect(*bands_of(sinus(20.0))))
    early = [(emitted, back) for peak, emitted, back in found if peak < qrs.LEARNING - qrs.DOMINANCE]
    assert {back for _, back in early} == {True}
    assert len({emitted for emitted, _ in early}) == 1
    assert qrs.LEARNING <= early[0][0] <= qrs.LEARNING + qrs.EARLY


def test_a_lone_beat_is_learnt_from_before_its_signal_is_gone():
    """The ring of display signal, which alone can place R, holds six seconds: learning waits for no third beat."""
    beats = [(1.0, "N"), (9.0, "N"), *steady(80, 17.0, 24.0)]
    strip = render(beats, 24.0, heart=Heart(p_mv=0.0, t_mv=0.0))
    assert mismatches(r_peaks_of(strip.signal), strip.r_peaks) == ([], [])


@pytest.mark.parametrize("rate", [20, 30, 40])
def test_a_slow_rhythm_loses_no_first_beat(rate):
    strip = render(steady(rate, 0.5, 30.0), 31.0, heart=Heart(p_mv=0.0, t_mv=0.0))
    assert mismatches(r_peaks_of(strip.signal), strip.r_peaks) == ([], [])


def test_the_judge_looks_again_only_where_it_may_matter():
    """Not at beats that are told already, nor at what is no beat by far; in training at everything."""
    raw, band, display = bands_of(story()[: 20 * FS, :1])
    looks = []
    for thorough in (0, 1):
        state = np.zeros(1, qrs.STATE)[0]
        qrs.start(state)
        state["thorough"] = thorough
        usable = np.zeros(band.shape, np.int64)
        usable[0] = 1
        qrs.step(state, raw, band, display, usable, 1, band.shape[1], np.empty(1000, qrs.DETECTION))
        looks.append(int(state["judged"]))
    assert looks[0] < 0.7 * looks[1]


def test_a_small_beat_is_found():
    """Every eighth beat has a third of the size of the others; alone it would stay below the threshold."""
    beats = steady(80, 0.5, 40.0)
    small = set(range(12, len(beats), 8))
    parts = [(Heart(), [b for i, b in enumerate(beats) if i not in small])]
    parts += [(Heart(qrs_mv=0.33, p_mv=0.0, t_mv=0.05), [beats[i] for i in sorted(small)])]
    signal = sum(render(chosen, 41.0, heart=heart).signal for heart, chosen in parts)
    found = beats_of(detect(*bands_of(signal[:, :1])))
    assert mismatches([peak - qrs.LAG for peak, _, _ in found], [round(t * FS) for t, _ in beats]) == ([], [])


@pytest.mark.parametrize("mv", [5.0, 10.0, 160.0, 30_000.0, 9e5])
@pytest.mark.parametrize("samples", [10, 50, 100_000], ids=["spike", "pulse", "step"])
def test_an_artefact_does_not_deafen(mv, samples):
    """From a second after a spike, pulse or step of any size on, every beat is found and no other."""
    strip = render(steady(80, 0.5, 40.0), 41.0)
    signal = strip.signal.copy()
    signal[15 * FS + 100 :][:samples] += mv
    assert mismatches(r_peaks_of(signal), strip.r_peaks, after=round(16.3 * FS)) == ([], [])


@pytest.mark.parametrize("seconds", [0.2, 1.0, 5.0, 60.0])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, None], ids=["missing", "rail", "other rail", "flat"])
def test_sound_again_within_a_second(value, seconds):
    """Both leads missing, at the rail or at a standstill: a second after that every beat is found and no other."""
    length = 30.0 + seconds
    strip = render(steady(80, 0.5, length - 1.0), length)
    signal = strip.signal.copy()
    lost = slice(15 * FS, round((15 + seconds) * FS))
    signal[lost] = signal[15 * FS] if value is None else value
    assert mismatches(r_peaks_of(signal), strip.r_peaks, after=round((16.0 + seconds) * FS)) == ([], [])


@pytest.mark.parametrize("gain", [0.5, 2.0, 5.0])
def test_size_does_not_matter(gain):
    strip = render(steady(80, 0.5, 40.0), 41.0)
    assert mismatches(r_peaks_of(strip.signal * np.float32(gain)), strip.r_peaks) == ([], [])


@pytest.mark.parametrize("seconds", [10, 60, 1800])
def test_silence_does_not_make_beats_of_p_waves(seconds):
    """The threshold sinks while the electrode is off, but not for ever: a tall P wave is none the wiser."""
    heart = Heart(p_mv=0.25, t_mv=0.4)
    before, after = render(steady(60, 0.5, 20.0), 20.0, heart=heart), render(steady(60, 0.5, 60.0), 60.5, heart=heart)
    off = np.full((seconds * FS, 2), np.nan, np.float32)
    found = r_peaks_of(np.concatenate([before.signal, off, after.signal]))
    resumed = (20 + seconds) * FS
    assert mismatches(found, after.r_peaks + resumed, after=resumed) == ([], [])


# -- the standard's waveforms


def displayed_rates(beats, seconds, *, heart=None, after=12.0, disturbances=(), fs=360.0):
    """Every heart rate a screen shows from `after` (s) on, looked at four times a second; and all events."""
    signal = render(beats, seconds, heart=heart, disturbances=disturbances, fs=fs).signal
    ward, rates, events = Ward(capacity=1), [], []
    for chunk in cut(signal, round(fs / 4), fs=fs):
        events += ward.feed([chunk])
        if chunk.end / fs > after:
            rates.append(ward.beds()[0].heart_rate)
    return rates, events


def within(rates, expected):
    """All within 1 per minute or 1 %, whichever is more."""
    return all(rate is not None and abs(rate - expected) <= max(1.0, 0.01 * expected) for rate in rates)


def alarms(events: list[Event]) -> set[str]:
    return {alarm.code for alarm in of(events, Alarm) if alarm.state == "raised"}


@pytest.mark.parametrize("rate", [30, 60, 120, 180, 200, 250])
@pytest.mark.parametrize("qrs_mv", [0.5, 1.0, 2.0, 5.0])
def test_heart_rate_over_the_range(rate, qrs_mv):
    """Every width of QRS from 40 to 120 ms."""
    seconds = 45.0 if rate < 60 else 25.0
    for qrs_ms in (40, 80, 120):
        heart = Heart(qrs_mv=qrs_mv, qrs_ms=qrs_ms, p_mv=0.0, t_mv=0.2 * qrs_mv)
        rates, _ = displayed_rates(steady(rate, 0.5, seconds), seconds, heart=heart)
        assert within(rates, rate), f"QRS of {qrs_ms} ms: {sorted(set(rates), key=str)}"


@pytest.mark.parametrize("fs", [128.0, 250.0, 500.0, 1000.0])
def test_heart_rate_at_other_sampling_rates(fs):
    rates, _ = displayed_rates(steady(75, 0.5, 25.0), 25.0, fs=fs)
    assert within(rates, 75)


@pytest.mark.parametrize(("rate", "alarm", "inside"), [(20, "EXTREME_BRADY", (30, 250)), (300, "VTACH", (30, 250))])
def test_heart_rate_beyond_the_range_never_looks_harmless(rate, alarm, inside):
    rates, events = displayed_rates(steady(rate, 0.5, 60.0), 60.0, heart=Heart(p_mv=0.0, t_mv=0.1), after=0.0)
    assert alarm in alarms(events)
    assert not [shown for shown in rates if shown is not None and inside[0] < shown < inside[1]]


@pytest.mark.parametrize("qrs_ms", [40, 60, 80, 100])
def test_a_qrs_of_150_microvolt_is_none(qrs_ms):
    heart = Heart(qrs_mv=0.15, qrs_ms=qrs_ms, p_mv=0.0, t_mv=0.0)
    _, events = displayed_rates(steady(80, 0.5, 12.0), 12.0, heart=heart)
    assert of(events, Qrs) == []
    assert alarms(events) == {"ASYSTOLE"}


def test_spikes_of_10_ms_are_no_beats():
    signal = np.zeros((12 * FS, 2), np.float32)
    at = np.arange(len(signal)) / FS
    signal[((at + 0.4) % 0.75) < 0.010] = 1.0
    heard = listen([cut(signal, len(signal))])
    assert of(heard.events, Qrs) == []
    assert "ASYSTOLE" in alarms(heard.events)


@pytest.mark.parametrize(
    ("mv", "tail_mv", "tail_s"), [(2.0, 0.0, 0.1), (-5.0, 0.25, 0.1), (5.0, 0.1, 0.1), (5.0, 1.0, 0.02)]
)
def test_pacing_pulses_without_capture_are_no_beats(mv, tail_mv, tail_s):
    """Pulses of 2 ms, 80 per minute, with what they leave behind, after ten seconds of beats."""
    signal = np.array(render(steady(80, 0.5, 10.0), 25.0).signal)
    since = (np.arange(len(signal)) / FS) % 0.75
    tail = np.where(since >= 0.002, tail_mv * np.exp(-since / tail_s), 0.0) + np.where(since < 0.002, mv, 0.0)
    signal[11 * FS :] += tail[11 * FS :, None].astype(np.float32)
    events = listen([cut(signal, len(signal))]).events
    assert [event.sample for event in of(events, Qrs) if event.sample > 11 * FS] == []
    assert "ASYSTOLE" in alarms(events)


@pytest.mark.parametrize("t_mv", [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4])
def test_a_tall_t_wave_is_no_beat(t_mv):
    """QRS 1 mV and 100 ms, QT 350 ms, 80 per minute."""
    heart = Heart(qrs_mv=1.0, qrs_ms=100.0, p_mv=0.0, t_mv=t_mv, qtc_s=0.350 / 0.75 ** (1 / 3))
    rates, _ = displayed_rates(steady(80, 0.5, 60.0), 60.0, heart=heart, after=8.0)
    assert within(rates, 80)


def bigeminy(count, first, second, gap_nv, gap_vn):
    """Pairs of beats, each ``(symbol, shape)``; s from the first to the second and to the next pair."""
    return [
        beat
        for i in range(count)
        for start in [0.5 + i * (gap_nv + gap_vn)]
        for beat in (Rendered(start, *first), Rendered(start + gap_nv, *second))
    ]


@pytest.mark.parametrize(
    ("rhythm", "expected"),
    [
        (bigeminy(24, ("N", 0), ("V", 0), 0.55, 0.95), 80),
        (bigeminy(18, ("N", 0), ("V", 0), 0.70, 1.30), 60),
        (bigeminy(36, ("N", 0), ("V", 0), 0.42, 0.58), 120),
        (bigeminy(27, ("V", 0), ("V", 1), 0.60, 0.73333), 90),
    ],
    ids=["bigeminy", "slow", "fast", "bidirectional"],
)
def test_rate_of_irregular_rhythms(rhythm, expected):
    """Ventricular bigeminy, slow and fast alternating, bidirectional: right after 20 s."""
    rates, _ = displayed_rates(rhythm, rhythm[-1].time, after=20.0)
    assert within(rates, expected)


@pytest.mark.parametrize(
    "disturbance",
    [Baseline(4.0, 0.1), Mains(0.1, 50.0), Mains(0.1, 60.0), Muscle(0.03)],
    ids=lambda d: type(d).__name__,
)
def test_drift_mains_and_muscle_change_no_rate(disturbance):
    """A QRS of 0.5 mV under 4 mV of drift, or under 100 microvolt from the power line."""
    heart = Heart(qrs_mv=0.5, p_mv=0.0, t_mv=0.1)
    rates, events = displayed_rates(steady(80, 0.5, 40.0), 40.0, heart=heart, disturbances=[disturbance])
    assert within(rates, 80)
    assert alarms(events) == set()


def test_one_by_one_is_the_same_as_all_at_once():
    signal = sinus(8.0)
    assert listen(one_by_one(cut(signal, 1))) == listen([cut(signal, len(signal))])
