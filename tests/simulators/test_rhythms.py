"""Rhythms: counts, rates and pauses are what was asked for."""

import itertools

import numpy as np
import pytest

from simulators.rhythms import Beat, Fibrillation, Onset, Run, Script, Silence, Sinus, play

STEADY = {"respiratory": 0.0, "low_frequency": 0.0}


def tell(*story, seed=0, until=None):
    """Play a story once, or over and over up to `until` s; returns times, symbols and onsets."""
    events = play(story, np.random.default_rng(seed), repeat=until is not None)
    if until is not None:
        events = itertools.takewhile(lambda event: event.time < until, events)
    events = list(events)
    times = [event.time for event in events]
    assert times == sorted(times)
    beats = [event for event in events if isinstance(event, Beat)]
    onsets = [(event.time, event.rhythm) for event in events if isinstance(event, Onset)]
    return np.array([beat.time for beat in beats]), "".join(beat.symbol for beat in beats), onsets


@pytest.mark.parametrize("rate", [30, 60, 80, 120, 250, 300])
def test_sinus_without_variability_keeps_its_rate_exactly(rate):
    times, symbols, onsets = tell(Sinus(60, rate=rate, **STEADY))
    np.testing.assert_allclose(np.diff(times), 60 / rate, rtol=1e-9)
    assert symbols == "N" * len(times)
    assert len(times) == pytest.approx(rate, abs=1)
    assert onsets == [(times[0], "N")]


@pytest.mark.parametrize(("depths", "hz"), [((0.05, 0.0), 0.25), ((0.0, 0.05), 0.1)])
def test_sinus_varies_at_the_frequency_asked_for(depths, hz):
    times, _, _ = tell(Sinus(400, rate=72, respiratory=depths[0], low_frequency=depths[1]))
    rr = np.diff(times)
    assert np.ptp(rr) == pytest.approx(2 * 0.05 * 60 / 72, rel=0.02)
    assert rr.mean() == pytest.approx(60 / 72, rel=0.01)
    frequencies = np.linspace(0.03, 0.5, 200)
    power = np.abs(np.exp(-2j * np.pi * frequencies[:, None] * times[:-1]) @ (rr - rr.mean()))
    assert frequencies[power.argmax()] == pytest.approx(hz, abs=0.01)


def test_sinus_steps_from_one_rate_to_the_next_without_a_seam():
    times, _, _ = tell(Sinus(15, rate=80, **STEADY), Sinus(10, rate=120, **STEADY))
    rr = np.diff(times)
    assert set(np.round(rr, 9)) == {0.75, 0.5}
    assert np.count_nonzero(np.diff(rr)) == 1


@pytest.mark.parametrize(("pattern", "rhythm"), [("NV", "B"), ("NNV", "T"), ("NNNV", "N")])
def test_pattern_repeats_and_is_named(pattern, rhythm):
    _, symbols, onsets = tell(Sinus(60, pattern=pattern))
    assert symbols.startswith(pattern * 10)
    assert onsets[0][1] == rhythm


def test_pattern_has_to_begin_with_a_normal_beat():
    with pytest.raises(ValueError, match="'VN' does not begin with N"):
        Sinus(10, pattern="VN")


def test_ventricular_beat_is_early_and_followed_by_a_compensatory_pause():
    times, symbols, _ = tell(Sinus(20, rate=60, pattern="NNNV", **STEADY))
    v = symbols.index("V")
    assert times[v] - times[v - 1] == pytest.approx(0.6)
    assert times[v + 1] - times[v - 1] == pytest.approx(2.0)


def test_atrial_beat_is_early_and_resets_the_sinus_node():
    times, symbols, _ = tell(Sinus(20, rate=60, pattern="NNNS", **STEADY))
    s = symbols.index("S")
    assert times[s] - times[s - 1] == pytest.approx(0.68)
    assert times[s + 1] - times[s] == pytest.approx(1.05)


@pytest.mark.parametrize("run", ["V", "S", "F", "VV", "SS"])
def test_ectopy_comes_at_its_rate_and_never_closer_than_two_normal_beats(run):
    _, symbols, _ = tell(Sinus(1800, rate=75, ectopy={run: 4}), seed=1)
    found = [(symbol, len(list(group))) for symbol, group in itertools.groupby(symbols)]
    assert [length for symbol, length in found if symbol != "N"] == [len(run)] * sum(s != "N" for s, _ in found)
    assert sum(symbol == run[0] for symbol, _ in found) == pytest.approx(4 * 30, abs=3)
    assert min(length for symbol, length in found if symbol == "N") >= 2


def test_ectopy_draws_from_both_shapes():
    beats = play([Sinus(300, ectopy={"V": 10}, shapes=2)], np.random.default_rng(0), repeat=False)
    assert {beat.shape for beat in beats if isinstance(beat, Beat) and beat.symbol == "V"} == {0, 1}


@pytest.mark.parametrize(("count", "rate"), [(4, 120), (5, 120), (16, 150), (17, 150), (10, 206)])
def test_run_is_exact_in_count_and_rate(count, rate):
    times, symbols, onsets = tell(Sinus(5), Run(count, rate), Sinus(5))
    first, last = symbols.index("V"), symbols.rindex("V")
    assert symbols[first : last + 1] == "V" * count
    np.testing.assert_allclose(np.diff(times[first - 1 : last + 1]), 60 / rate, rtol=1e-9)
    assert times[last + 1] - times[last] == pytest.approx(1.0)
    assert (times[first], "VT") in onsets
    assert (times[last + 1], "N") in onsets


@pytest.mark.parametrize(
    ("run", "rhythm"),
    [(Run(6, 80), "IVR"), (Run(6, 160, symbol="S"), "SVTA"), (Run(17, 150, symbol="N"), "N"), (Run(2, 150), None)],
)
def test_run_is_named_after_its_beats(run, rhythm):
    _, _, onsets = tell(run)
    assert [name for _, name in onsets] == ([] if rhythm is None else [rhythm])


def test_fibrillation_is_irregular_at_its_mean_rate_without_p_waves():
    times, symbols, onsets = tell(Fibrillation(1200, rate=95), seed=2)
    rr = np.diff(times)
    assert rr.mean() == pytest.approx(60 / 95, rel=0.03)
    assert rr.std() / rr.mean() == pytest.approx(0.22, rel=0.1)
    assert abs(np.corrcoef(rr[1:], rr[:-1])[0, 1]) < 0.07
    assert set(symbols) == {"N"}
    assert onsets == [(times[0], "AFIB")]
    beats = play([Fibrillation(60)], np.random.default_rng(0), repeat=False)
    assert not any(beat.p_wave for beat in beats if isinstance(beat, Beat))


@pytest.mark.parametrize(("seconds", "named"), [(2.5, False), (3.9, False), (4.1, True), (8.0, True)])
def test_silence_lasts_exactly_from_beat_to_beat(seconds, named):
    times, _, onsets = tell(Sinus(10), Silence(seconds), Sinus(10))
    assert np.diff(times).max() == pytest.approx(seconds, abs=1e-9)
    assert ("ASYS" in [name for _, name in onsets]) == named


def test_story_repeats_for_ever():
    _, symbols, onsets = tell(Sinus(5), Run(5, 150), until=61.0)
    runs = [len(list(beats)) for symbol, beats in itertools.groupby(symbols) if symbol == "V"]
    assert len(runs) >= 7
    assert set(runs[:-1]) == {5}
    assert [name for _, name in onsets[:4]] == ["N", "VT", "N", "VT"]


def test_story_of_silences_cannot_repeat():
    with pytest.raises(ValueError, match="silences alone"):
        next(play([Silence(5)], np.random.default_rng(0), repeat=True))


def test_script_refuses_beats_out_of_order():
    with pytest.raises(ValueError, match="beat times increase"):
        Script([Beat(1.0, "N"), Beat(1.0, "V")])


@pytest.mark.parametrize("wrong", [(-1.0, "N"), (float("nan"), "N"), (float("inf"), "N"), (1.0, "Q"), (1.0, "V", 2)])
def test_beat_refuses_what_cannot_be_drawn(wrong):
    with pytest.raises(ValueError, match=r"beat at|none of N S V F|neither 0 nor 1"):
        Beat(*wrong)
