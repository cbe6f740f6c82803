"""Any parts in any order make a story that can be drawn: in time, with beats apart, told to the end."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.atrial import AtrialFibrillation, AtrialFlutter
from simulators.conduction import Block, Paced
from simulators.morphology import BEFORE_S
from simulators.rhythms import LEAD_S, Beat, Onset, Run, Silence, Sinus, play
from simulators.synthetic import Patient
from simulators.ventricular import Torsades, VentricularFibrillation, VentricularFlutter

SECONDS = st.floats(0.5, 12.0)
RATES = st.floats(30.0, 200.0)
PARTS = st.one_of(
    st.builds(Sinus, SECONDS, RATES, pattern=st.sampled_from(["N", "NV", "NNVV", "NS"]), coupling=st.floats(0.35, 0.7)),
    st.builds(Sinus, SECONDS, RATES, ectopy=st.just({"V": 20.0, "SS": 10.0}), aberrant=st.just(0.5)),
    st.builds(Run, st.integers(1, 20), st.floats(30.0, 250.0), st.sampled_from("NSVEj/")),
    st.builds(Silence, st.floats(0.5, 9.0), st.sampled_from([0.0, 80.0]), st.sampled_from([0.0, 70.0])),
    st.builds(AtrialFibrillation, SECONDS, RATES),
    st.builds(AtrialFlutter, SECONDS, conduction=st.sampled_from([(2,), (4, 3)])),
    st.builds(
        Block,
        SECONDS,
        RATES,
        st.sampled_from(["first", "wenckebach", "mobitz", "complete"]),
        st.integers(1, 5),
        st.floats(25.0, 60.0),
    ),
    st.builds(
        Paced, SECONDS, st.floats(40.0, 130.0), st.sampled_from(["ventricle", "atrium", "dual"]), st.floats(0, 1)
    ),
    st.builds(Torsades, SECONDS),
    st.builds(VentricularFibrillation, SECONDS),
    st.builds(VentricularFlutter, SECONDS),
)


@given(story=st.lists(PARTS, min_size=1, max_size=6), seed=st.integers(0, 9))
@settings(max_examples=300, deadline=None)
def test_any_story_is_in_order(story, seed):
    events = list(play(story, np.random.default_rng(seed), repeat=False))
    latest = 0.0
    for event in events:
        assert event.time >= latest - LEAD_S, event
        latest = max(latest, event.time)
    assert LEAD_S < BEFORE_S
    for kind in (Beat, Onset):
        times = [event.time for event in events if isinstance(event, kind)]
        assert times == sorted(times)
    beats = [event.time for event in events if isinstance(event, Beat)]
    assert all(b - a > 0.15 for a, b in itertools.pairwise(beats))


@given(story=st.lists(PARTS, min_size=1, max_size=6), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_any_story_is_drawn_with_all_its_beats(story, seed):
    beats = [event for event in play(story, np.random.default_rng(0), repeat=False) if isinstance(event, Beat)]
    patient = Patient(story, seed=seed, repeat=False)
    seconds = 60.0 + 2.0 * max((beat.time for beat in beats), default=0.0)
    strip = patient.strip(round(seconds * 360))
    assert np.isfinite(strip.signal).all()
    assert np.abs(strip.signal).max() < 10.0
    assert strip.rhythms[-1].end == len(strip.signal)
    assert (np.diff(strip.r_peaks) > 0).all()
    times = [event.time for event in play(story, np.random.default_rng(seed).spawn(1)[0], repeat=False)
             if isinstance(event, Beat)]  # fmt: skip
    assert strip.r_peaks.tolist() == [round(time * 360) for time in times]
