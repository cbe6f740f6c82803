"""What is called noise and what is not, how soon, and for how long; the same at any cut."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from scipy import signal as scipy_signal
from streams import SIZES, Heard, cut, listen, of, one_by_one, sinus, steady, story

from monitor import frontend, measures, quality
from monitor.align import OK
from monitor.ecg import FS
from monitor.events import Beat, Qrs, Quality, Trigger
from monitor.exceptions import ConfigError
from monitor.quality import BASELINE, BETTER, FLAT, FLAT_RANGE, MAINS, MOTION, MUSCLE, REASONS, SETTLED, WORSE
from monitor.ward import Ward
from simulators.synthetic import render

NOISY_FROM, NOISY_TO = 20.0, 28.0
SECONDS = 40.0


def motion(rng, count):
    """Steps that fade away and bursts between 1 and 12 Hz: the frequencies of a QRS, as large as QRS complexes."""
    steps = np.zeros(count)
    steps[rng.integers(0, count, count // 60)] = rng.normal(size=count // 60)
    fading = scipy_signal.lfilter([1.0], [1.0, -np.exp(-1.0 / (0.15 * FS))], steps)
    band = scipy_signal.sosfilt(
        scipy_signal.butter(2, [1.0, 12.0], "bandpass", fs=FS, output="sos"), rng.normal(size=count)
    )
    return 0.8 * fading / fading.std() + 0.8 * band / band.std()


def muscle(rng, count):
    band = scipy_signal.butter(2, [15.0, 120.0], "bandpass", fs=FS, output="sos")
    noise = scipy_signal.sosfilt(band, rng.normal(size=count))
    return 0.8 * noise / noise.std()


def mains(rng, count):
    return 6.0 * np.sin(2.0 * np.pi * 50.0 * np.arange(count) / FS)


def baseline(rng, count):
    """Jumps of several millivolts, once or twice a second."""
    level = np.zeros(count)
    for at in range(0, count, 200):
        level[at:] += rng.choice([-1.0, 1.0]) * rng.uniform(5.0, 9.0)
    return level


NOISES = {"motion": motion, "muscle": muscle, "mains": mains, "baseline": baseline}


def disturbed(kind, leads=(0, 1), seed=0):
    """Sinus rhythm that is noisy for some seconds on those leads."""
    signal = sinus(SECONDS).astype(np.float64)
    first, last = round(NOISY_FROM * FS), round(NOISY_TO * FS)
    rng = np.random.default_rng(seed)
    for lead in leads:
        signal[first:last, lead] += NOISES[kind](rng, last - first)
    return signal.astype(np.float32)


def told(signal, **options):
    """(s, lead, reason) of every change of quality."""
    events = of(listen([cut(signal, 360, **options)]).events, Quality)
    return [(event.emitted / options.get("fs", FS), event.lead, event.reason) for event in events]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", NOISES)
def test_each_noise_is_told_by_its_name_soon_and_not_for_long(kind, seed):
    changes = [(at, reason) for at, lead, reason in told(disturbed(kind, seed=seed)) if lead == "0"]
    (begun, reason), *_, (over, none) = changes
    assert (reason, none) == (kind, None)
    assert NOISY_FROM < begun <= NOISY_FROM + 3.0
    held = 8.0 if kind == "baseline" else 5.0  # jumps of millivolts go on in the display signal
    assert NOISY_TO < over <= NOISY_TO + held, "the last beats of 3.5 s still show it"
    assert len(changes) <= 4, "it does not flicker"


def test_one_noisy_lead_is_no_noise_of_the_bed():
    front = frontend_of(disturbed("motion", leads=(1,)))
    assert [mark for mark in front if mark[0] == frontend.NOISE] == []
    assert {lead for kind, _, lead, _ in front if kind == frontend.QUALITY} == {1}


def test_two_noisy_leads_are():
    marks = frontend_of(disturbed("motion"))
    (_, begun, _, why), (_, over, _, none) = [mark for mark in marks if mark[0] == frontend.NOISE]
    assert (why, none) == (MOTION, OK)
    on_leads = [at for kind, at, _, value in marks if kind == frontend.QUALITY and value != OK]
    assert begun == max(on_leads[:2]), "with the last lead"
    assert over > begun


def frontend_of(signal):
    """(kind, emitted, lead, value) of all marks about quality."""
    from test_frontend import FrontEnd

    marks, _, _ = FrontEnd(360.0).tick((0, signal, 0))
    kinds = np.isin(marks["kind"], (frontend.QUALITY, frontend.NOISE))
    return list(zip(*(marks[kinds][name].tolist() for name in ("kind", "emitted", "lead", "value")), strict=True))


def test_a_flat_lead_beside_a_noisy_one_is_noise_and_beside_a_flat_one_is_not():
    signal = disturbed("motion", leads=(0,))
    signal[round(10.0 * FS) :, 1] = signal[round(10.0 * FS), 1]
    values = [value for kind, _, _, value in frontend_of(signal) if kind == frontend.NOISE]
    assert values == [MOTION, OK]
    signal[:] = 0.0
    marks = frontend_of(signal)
    assert {value for _, _, _, value in marks} == {FLAT}
    assert {kind for kind, _, _, _ in marks} == {frontend.QUALITY}


@pytest.mark.parametrize("kind", NOISES)
def test_noise_touches_no_beat(kind, monkeypatch):
    """What is found and named does not know of verdicts."""
    signal = disturbed(kind)
    chosen = (Trigger, Qrs, Beat)
    with_verdicts = of(listen([cut(signal, 360)]).events, chosen)
    assert {reason for _, _, reason in told(signal)} >= {kind}
    quiet = of(listen([cut(signal, 360)], ward=Deaf(capacity=1)).events, chosen)
    assert with_verdicts == quiet


class Deaf(Ward):
    """A ward whose beds are never told a verdict: every lead was lost a moment ago, as far as quality knows."""

    def feed(self, chunks=(), commands=(), now=0.0):
        found = []
        for chunk in chunks:
            found += super().feed([chunk], commands, now)
            self.state["front"]["quality"]["measures"]["halves"][..., measures._LOST] = 1.0
        return found


@pytest.mark.parametrize(("rate", "mv"), [(40, 1.0), (75, 0.3), (75, 3.0), (130, 1.0), (200, 1.0)])
def test_clean_beats_are_good(rate, mv):
    assert told(mv * render(steady(rate, 0.5, 59.5), 60.0).signal) == []


@pytest.mark.parametrize("fs", [128.0, 250.0, 500.0, 1000.0])
def test_clean_beats_are_good_at_any_rate(fs):
    assert told(sinus(30.0, fs=fs), fs=fs) == []


def test_drift_and_hum_that_harm_no_beat_are_good():
    """4 mV of drift at 0.1 Hz; 0.1 mV of mains on beats of 0.5 mV."""
    t = np.arange(60 * FS) / FS
    beats = sinus(60.0)
    assert told(beats + (2.0 * np.sin(0.2 * np.pi * t))[:, np.newaxis].astype(np.float32)) == []
    for hz in (50.0, 60.0):
        assert told(0.5 * beats + (0.05 * np.sin(2.0 * np.pi * hz * t))[:, np.newaxis].astype(np.float32)) == []


def fibrillation(seconds, mv, seed):
    """Narrow-band oscillation around 5 Hz whose size and frequency wander."""
    rng = np.random.default_rng(seed)
    count = round(seconds * FS)
    slow = scipy_signal.butter(2, 0.5, fs=FS, output="sos")
    hz = 5.0 + 0.8 * (x := scipy_signal.sosfilt(slow, rng.normal(size=count))) / x.std()
    size = 1.0 + 0.3 * (x := scipy_signal.sosfilt(slow, rng.normal(size=count))) / x.std()
    phase = 2.0 * np.pi * np.cumsum(hz) / FS
    one = mv * size * (np.sin(phase) + 0.25 * np.sin(2.0 * phase + 0.7))
    return np.stack([one, 0.8 * np.roll(one, 9)], 1) + 0.01 * rng.normal(size=(count, 2))


@pytest.mark.parametrize("mv", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_fibrillation_is_no_noise(mv, seed):
    signal = np.concatenate([sinus(20.0), fibrillation(40.0, mv, seed)]).astype(np.float32)
    noisy = [at for kind, at, _, value in frontend_of(signal) if kind == frontend.NOISE and value != OK]
    assert noisy == []


def test_a_heart_that_stops_is_flat_and_not_noisy():
    rng = np.random.default_rng(0)
    still = np.cumsum(rng.normal(0.0, 2e-4, (30 * FS, 2)), 0)
    signal = np.concatenate([sinus(20.0), sinus(20.0)[-1] + still]).astype(np.float32)
    assert {reason for _, _, reason in told(signal)} <= {None, "flat"}
    (at, _, reason), *_ = told(np.concatenate([sinus(20.0), np.zeros((10 * FS, 2), np.float32)]))
    assert reason == "flat"
    assert 21.5 <= at <= 23.5


def test_there_is_no_verdict_on_a_lost_lead():
    """It is lost, then back, and good two seconds later at the latest; what was noise before is forgotten."""
    signal = disturbed("motion")
    signal[24 * FS :, 0] = np.nan
    reasons = [reason for at, lead, reason in told(signal) if lead == "0"]
    assert reasons == ["motion", "missing"]
    signal = disturbed("motion")
    signal[24 * FS : 28 * FS, 0] = np.nan
    reasons = [reason for at, lead, reason in told(signal) if lead == "0"]
    assert reasons == ["motion", "missing", None]


# -- hysteresis


def follow(logits, features=None, *, settled=True):
    state = np.zeros(1, quality.STATE)[0]
    state["judged"], state["logit"] = (SETTLED, logits[0]) if settled else (0, 0.0)
    found = []
    for logit in logits:
        state["verdict"] = quality.follow(state, logit, measured() if features is None else features)
        found.append(int(state["verdict"]))
    return found


def measured(**values):
    """Measures of a lead that moves by a millivolt."""
    found = np.zeros(measures.WIDTH)
    for name, value in ({"shift": -3.0, "sharpness": -1.0} | values).items():
        found[measures.FEATURES.index(name)] = value
    return found


def test_the_mean_of_two_logits_decides():
    above, between, below = WORSE + 0.1, (WORSE + BETTER) / 2.0, BETTER - 0.1
    assert follow([below, above, above]) == [OK, OK, MOTION]
    assert follow([between, between]) == [OK, OK]
    assert follow([above, between, between, below, below]) == [MOTION, MOTION, MOTION, MOTION, OK]
    assert follow([below, WORSE + 3.0]) == [OK, MOTION]


def test_no_lead_is_noisy_at_once():
    assert follow([9.0] * (SETTLED + 2), settled=False) == [OK] * SETTLED + [MOTION] * 2


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({}, MOTION),
        ({"shift": 0.0, "mains": 0.9}, BASELINE),
        ({"mains": 0.9, "sharpness": -0.2}, MAINS),
        ({"sharpness": -0.6}, MUSCLE),
    ],
)
def test_four_measures_name_the_noise(values, kind):
    assert follow([5.0], measured(**values)) == [kind]
    assert follow([-5.0], measured(**values)) == [OK]


def test_what_hardly_moves_is_flat_whatever_the_network_says():
    flat = measured(range=np.log(0.9 * FLAT_RANGE))
    assert follow([5.0, -5.0], flat) == [FLAT, FLAT]
    assert follow([-5.0], measured(range=np.log(1.1 * FLAT_RANGE))) == [OK]


def test_numbers_have_names():
    assert [REASONS[n] for n in (OK, FLAT, BASELINE, MAINS, MUSCLE, MOTION)] == [
        "ok", "flat", "baseline", "mains", "muscle", "motion",
    ]  # fmt: skip


# -- cuts and moves


STORY = np.concatenate([story()[: 12 * FS], disturbed("motion")[18 * FS : 32 * FS], story()[12 * FS : 24 * FS]])


@settings(max_examples=15, deadline=None)
@given(SIZES)
def test_no_cut_shows(sizes):
    assert listen(one_by_one(cut(STORY, sizes))) == listen([cut(STORY, len(STORY))])


def test_the_story_is_noisy_at_times():
    assert {"motion", "missing"} <= {reason for _, _, reason in told(STORY)}


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_a_bed_can_be_moved_at_any_time(data):
    chunks = cut(STORY, 90)
    at = data.draw(st.integers(1, len(chunks) - 1))
    ward = Ward(capacity=1)
    before = listen(one_by_one(chunks[:at]), ward=ward)
    other = Ward(capacity=1)
    other.restore(ward.snapshot(chunks[0].bed))
    after = listen(one_by_one(chunks[at:]), ward=other)
    assert Heard(before.events + after.events, after.state, before.wave + after.wave) == listen([chunks])


# -- weights


def test_the_weights_that_ship_were_made_for_these_measures():
    quality.check_weights()
    assert quality.CARD["features"] == list(measures.FEATURES)
    assert "PhysioNet" in quality.CARD["attribution"]
    assert quality.CARD["cross_validation"]["flagged"]["~"] > 0.0


def test_weights_for_other_measures_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(quality, "CARD", quality.CARD | {"features": ["range"]})
    with pytest.raises(ConfigError, match="made for other measures"):
        Ward(capacity=1)


def test_damaged_weights_are_refused(tmp_path: Path):
    whole = load_file(quality.WEIGHTS_FILE)
    path = tmp_path / "quality.safetensors"
    save_file({name: part for name, part in whole.items() if name != "w1"}, path, {"card": json.dumps(quality.CARD)})
    with pytest.raises(ConfigError, match=r"signal quality cannot be read.*wardbeat train-quality"):
        quality._load(path)
