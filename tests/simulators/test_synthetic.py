"""Synthetic ECG: the truth is the truth, to the sample, and cutting never shows."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simulators.synthetic
from simulators.atrial import AtrialFibrillation, AtrialFlutter
from simulators.conduction import Block, Paced
from simulators.morphology import AFTER_S, EDGE, Heart
from simulators.noise import Baseline, LeadOff, Mains, Motion, Muscle, Saturation, Step, Wander, When
from simulators.rhythms import Beat, Run, Silence, Sinus
from simulators.synthetic import Patient, render
from simulators.ventricular import Torsades, VentricularFibrillation, VentricularFlutter

BARE = Heart(p_mv=0.0, t_mv=0.0)
STORY = (
    Sinus(4, ectopy={"V": 20, "S": 10}, shapes=4, aberrant=0.5),
    Run(5, 170),
    AtrialFibrillation(4),
    Silence(4.5, p_rate=80),
    Sinus(3, pattern="NV"),
    VentricularFibrillation(2),
    AtrialFlutter(3),
    Block(4, degree="wenckebach"),
    Torsades(2),
    Paced(4, chamber="dual", capture=0.6),
    VentricularFlutter(1),
    Block(4, degree="complete"),
)
DISTURBANCES = (
    Baseline(0.3),
    Mains(0.05),
    Muscle(0.1, When(at=1, seconds=2, every=5)),
    Motion(0.2, When(at=2, seconds=2, every=6)),
    Wander(0.1),
    Step(0.4, When(at=4, seconds=3)),
    Saturation((0,), When(at=6, seconds=0.4, every=9)),
    LeadOff((1,), When(at=3, seconds=1.3, every=7)),
)


def peaks(lead, level):
    """Indices of the local maxima of |lead| above `level`: a slow, obvious oracle."""
    size = np.abs(lead)
    return [i for i in range(1, len(size) - 1) if size[i] > level and size[i] >= size[i - 1] and size[i] > size[i + 1]]


def merged(spans):
    """Join adjacent spans of one rhythm, as cutting may have parted them."""
    joined = []
    for start, end, rhythm in spans:
        if joined and joined[-1][1:] == [start, rhythm]:
            joined[-1][1] = end
        else:
            joined.append([start, end, rhythm])
    return joined


@given(
    times=st.lists(st.integers(90, 200), min_size=1, max_size=12),
    symbols=st.lists(st.sampled_from("NSVF"), min_size=12, max_size=12),
    fs=st.sampled_from([128.0, 250.0, 360.0, 499.5, 1000.0]),
)
@settings(max_examples=40, deadline=None)
def test_render_puts_each_beat_at_its_sample(times, symbols, fs):
    at = np.cumsum(times) / 100.0
    strip = render(list(zip(at.tolist(), symbols, strict=False)), fs=fs, heart=BARE)
    assert strip.r_peaks.tolist() == [round(time * fs) for time in at.tolist()]
    assert strip.symbols == tuple(symbols[: len(at)])
    assert len(strip.signal) == round((at[-1] + 1.0) * fs)
    assert peaks(strip.signal[:, 0], 0.6) == strip.r_peaks.tolist()


def test_render_needs_no_beats():
    strip = render([], 2.0)
    assert not strip.signal.any()
    assert strip.r_peaks.size == 0
    assert strip.rhythms == ((0, 720, "N"),)


def test_render_draws_a_beat_that_begins_before_the_strip():
    early, later = render([(0.1, "N")], 2.0), render([(1.1, "N")], 3.0)
    np.testing.assert_array_equal(early.signal[:360], later.signal[360:720])


@pytest.mark.parametrize("mv", [0.15, 0.5, 1.0, 5.0])
@pytest.mark.parametrize("ms", [40, 80, 120])
def test_render_qrs_has_the_height_and_width_asked_for(mv, ms):
    fs = 1000
    strip = render([(1.0, "N")], 2.0, fs=fs, heart=Heart(qrs_mv=mv, qrs_ms=ms, p_mv=0.0, t_mv=0.0))
    qrs = strip.signal[:, 0]
    assert qrs.argmax() == fs
    assert qrs[fs] == pytest.approx(mv, rel=1e-4)
    wide = np.flatnonzero(np.abs(qrs) > EDGE * mv)
    assert wide[-1] - wide[0] == pytest.approx(ms, abs=2)


@pytest.mark.parametrize("mv", [0.05, 0.3, 1.4])
def test_render_t_wave_has_the_height_and_place_asked_for(mv):
    fs, qt = 1000, 0.40
    strip = render([(1.0, "N")], 2.0, fs=fs, heart=Heart(qrs_mv=1.0, t_mv=mv, qtc_s=qt))
    t = strip.signal[fs + 120 :, 0]
    assert t.max() == pytest.approx(mv, rel=0.01)
    end = 1.0 - 0.045 + qt  # from the onset of the QRS
    assert strip.signal[round(end * fs), 0] < 0.15 * mv
    assert 0.2 < (120 + t.argmax()) / fs < end - 1.0


@pytest.mark.parametrize("mv", [-0.2, 0.0, 0.3])
def test_render_st_has_the_level_asked_for(mv):
    fs = 1000
    bare, strip = (render([(1.0, "N")], 2.0, fs=fs, heart=Heart(qrs_ms=90, st_mv=level)) for level in (0.0, mv))
    added = (strip.signal - bare.signal)[:, 0]
    assert added[fs + 45 + 80] == pytest.approx(mv, abs=1e-3)
    assert np.abs(added[: fs - 60]).max() < 0.02 * abs(mv) + 1e-6
    assert np.abs(added[fs + 600 :]).max() < 0.02 * abs(mv) + 1e-6


@pytest.mark.parametrize("symbol", ["S", "/", "E"])
def test_render_wide_beats_are_wide(symbol):
    fs = 1000
    strip = render([Beat(1.0, symbol, wide=True)], 2.0, fs=fs, heart=Heart(p_mv=0.0, t_mv=0.0, qrs_ms=90, pvc_ms=150))
    qrs = np.abs(strip.signal[fs - 120 : fs + 130, 0])
    wide = np.flatnonzero(qrs > EDGE * qrs.max())
    assert wide[-1] - wide[0] >= 125
    assert strip.symbols == (symbol,)


def test_ventricular_shapes_differ():
    beats = [render([Beat(1.0, "V", shape)], 2.0).signal[324:396] for shape in range(4)]
    for i, one in enumerate(beats):
        for other in beats[:i]:
            assert np.abs(one - other).max() > 0.6


@pytest.mark.parametrize(("shape", "sign"), [(0, 1.0), (1, -1.0)])
def test_render_ventricular_beat_is_wide_without_p_and_with_a_discordant_t(shape, sign):
    fs = 1000
    heart = Heart(pvc_mv=1.6, pvc_ms=150)
    strip = render([Beat(1.0, "V", shape)], 2.0, fs=fs, heart=heart)
    for lead, facing in enumerate((sign, -sign)):
        signal = strip.signal[:, lead] * facing
        qrs, t = signal[fs - 100 : fs + 100], signal[fs + 150 :]
        assert qrs.max() > 1.0
        assert qrs.max() > -qrs.min()
        assert t.min() < -0.3
        assert t.max() < 0.05
        wide = np.flatnonzero(np.abs(qrs) > EDGE * np.abs(qrs).max())
        assert wide[-1] - wide[0] >= 120
    assert strip.signal[fs, 0] == pytest.approx(1.6 * sign, rel=1e-3)
    assert np.abs(strip.signal[: fs - 120]).max() < 0.01


def test_render_fusion_lies_between_normal_and_ventricular():
    n, v, f = (render([(1.0, symbol)], 2.0).signal for symbol in "NVF")
    qrs = slice(330, 390)
    np.testing.assert_allclose(f[qrs], 0.5 * (n[qrs] + v[qrs]), atol=0.02)


def test_fibrillation_has_f_waves_and_no_p_waves():
    quiet = Heart(qrs_mv=1e-6, pvc_mv=1e-6, p_mv=0.0, t_mv=0.0, f_mv=0.1)
    af = Patient([AtrialFibrillation(60)], heart=quiet).take(20 * 360)[720:]
    spectrum = np.abs(np.fft.rfft(af[:, 1]))
    hz = np.fft.rfftfreq(len(af), 1 / 360)
    assert 5.0 < hz[spectrum.argmax()] < 7.0
    assert 0.1 < np.abs(af[:, 1]).max() < 0.2
    sinus = Patient([Sinus(60)], heart=quiet).take(20 * 360)
    assert np.abs(sinus).max() < 1e-5


def test_rhythm_spans_cover_the_strip_and_begin_with_their_first_beat():
    strip = Patient([Sinus(10), Run(8, 170), Sinus(20)], repeat=False).strip(30 * 360)
    assert [span.rhythm for span in strip.rhythms] == ["N", "VT", "N"]
    assert strip.rhythms[0].start == 0
    assert strip.rhythms[-1].end == 30 * 360
    for before, after in zip(strip.rhythms, strip.rhythms[1:], strict=False):
        assert before.end == after.start
    vt = strip.rhythms[1]
    inside = [s for r, s in zip(strip.r_peaks, strip.symbols, strict=True) if vt.start <= r < vt.end]
    assert inside == ["V"] * 8
    assert vt.start in strip.r_peaks


@given(
    cuts=st.lists(st.integers(0, 1500), min_size=1, max_size=25),
    fs=st.sampled_from([200.0, 360.0, 499.5]),
    seed=st.integers(0, 5),
)
@settings(max_examples=40, deadline=None)
def test_cutting_never_shows(cuts, fs, seed):
    whole = Patient(STORY, fs=fs, disturbances=DISTURBANCES, seed=seed).strip(sum(cuts))
    patient = Patient(STORY, fs=fs, disturbances=DISTURBANCES, seed=seed)
    strips = [patient.strip(n) for n in cuts]
    assert [strip.first for strip in strips] == [sum(cuts[:i]) for i in range(len(cuts))]
    assert np.concatenate([strip.signal for strip in strips]).tobytes() == whole.signal.tobytes()
    assert np.concatenate([strip.r_peaks for strip in strips]).tolist() == whole.r_peaks.tolist()
    assert sum((strip.symbols for strip in strips), ()) == whole.symbols
    assert np.concatenate([strip.spikes for strip in strips]).tolist() == whole.spikes.tolist()
    assert merged(span for strip in strips for span in strip.rhythms) == merged(whole.rhythms)


def test_one_sample_at_a_time_is_the_same():
    whole = Patient(STORY, fs=200.0, disturbances=DISTURBANCES).take(3000)
    patient = Patient(STORY, fs=200.0, disturbances=DISTURBANCES)
    assert np.concatenate([patient.take(1) for _ in range(3000)]).tobytes() == whole.tobytes()


def test_same_seed_same_patient():
    one, two, other = (Patient(STORY, disturbances=DISTURBANCES, seed=seed).take(5000) for seed in (1, 1, 2))
    assert one.tobytes() == two.tobytes()
    assert one.tobytes() != other.tobytes()


def test_disturbances_leave_the_beats_alone():
    clean = Patient(STORY, seed=3).strip(9000)
    noisy = Patient(STORY, seed=3, disturbances=DISTURBANCES).strip(9000)
    assert clean.r_peaks.tolist() == noisy.r_peaks.tolist()


def test_story_that_does_not_repeat_ends_in_a_flat_line():
    patient = Patient([Sinus(3)], repeat=False)
    strip = patient.strip(20 * 360)
    after = strip.r_peaks[-1] + round(AFTER_S * 360)
    assert not strip.signal[after:].any()


def test_t_follows_the_rate():
    def r_to_t(rate):
        strip = Patient([Sinus(60, rate=rate, respiratory=0, low_frequency=0)], heart=Heart(p_mv=0.0)).strip(30 * 360)
        r = strip.r_peaks[-3]
        return strip.signal[r + 40 : r + 144, 0].argmax() + 40

    assert r_to_t(60) > r_to_t(90) > r_to_t(120)


def test_breathing_modulates_the_beats_by_its_depth():
    heart = Heart(qrs_mv=1.0, p_mv=0.0, t_mv=0.0, breathing=0.1)
    strip = Patient([Sinus(60, rate=67)], heart=heart).strip(50 * 360)
    heights = strip.signal[strip.r_peaks, 0]
    assert heights.min() == pytest.approx(0.9, abs=0.01)
    assert heights.max() == pytest.approx(1.1, abs=0.01)


def test_doctests():
    assert doctest.testmod(simulators.synthetic).failed == 0
