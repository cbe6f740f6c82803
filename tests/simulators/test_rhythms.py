"""Rhythms: counts, rates and pauses are what was asked for."""

import itertools

import numpy as np
import pytest

from simulators.rhythms import Beat, Onset, PWave, Run, Script, Silence, Sinus, Spike, play

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


@pytest.mark.parametrize(("depths", "hz", "width"), [((0.05, 0.0), 0.25, 0.02), ((0.0, 0.05), 0.1, 0.01)])
def test_sinus_varies_in_the_band_asked_for(depths, hz, width):
    times, _, _ = tell(Sinus(900, rate=72, respiratory=depths[0], low_frequency=depths[1]))
    rr = np.diff(times)
    assert rr.std() == pytest.approx(0.05 / np.sqrt(2) * 60 / 72, rel=0.05)
    assert rr.mean() == pytest.approx(60 / 72, rel=0.01)
    frequencies = np.linspace(0.03, 0.5, 1000)
    power = np.abs(np.exp(-2j * np.pi * frequencies[:, None] * times[:-1]) @ (rr - rr.mean())) ** 2
    inside = np.abs(frequencies - hz) < 2 * width
    assert power[inside].sum() > 0.9 * power.sum()


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


@pytest.mark.parametrize("wrong", [{"pattern": "NX"}, {"ectopy": {"Q": 1}}, {"ectopy": {"": 1}}, {"shapes": 5}])
def test_sinus_refuses_beats_it_cannot_couple(wrong):
    with pytest.raises(ValueError, match=r"not made of N V S F|there are 1 to 4"):
        Sinus(10, **wrong)


def test_coupling_puts_the_ventricular_beat_on_the_t_wave():
    times, symbols, _ = tell(Sinus(20, rate=60, pattern="NNNV", coupling=0.4, **STEADY))
    v = symbols.index("V")
    assert times[v] - times[v - 1] == pytest.approx(0.4)


def test_aberrant_beats_are_that_share_of_the_atrial_ones():
    beats = play([Sinus(1800, ectopy={"S": 10, "V": 5}, aberrant=0.3)], np.random.default_rng(0), repeat=False)
    beats = [beat for beat in beats if isinstance(beat, Beat)]
    assert np.mean([beat.wide for beat in beats if beat.symbol == "S"]) == pytest.approx(0.3, abs=0.06)
    assert not any(beat.wide for beat in beats if beat.symbol != "S")


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
    assert min(length for symbol, length in found[:-1] if symbol == "N") >= 2  # the last may be cut short


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


def test_run_may_be_polymorphic():
    beats = play([Run(60, 180, shape=1, shapes=3)], np.random.default_rng(0), repeat=False)
    assert {beat.shape for beat in beats if isinstance(beat, Beat)} == {1, 2, 3}
    with pytest.raises(ValueError, match="shape 4 is none of 0 to 3"):
        Run(5, 180, shape=2, shapes=3)


@pytest.mark.parametrize(
    ("run", "rhythm"),
    [(Run(6, 80), "IVR"), (Run(6, 160, symbol="S"), "SVTA"), (Run(17, 150, symbol="N"), "N"), (Run(2, 150), None)],
)
def test_run_is_named_after_its_beats(run, rhythm):
    _, _, onsets = tell(run)
    assert [name for _, name in onsets] == ([] if rhythm is None else [rhythm])


@pytest.mark.parametrize(("seconds", "named"), [(2.5, False), (3.9, False), (4.1, True), (8.0, True)])
def test_silence_lasts_exactly_from_beat_to_beat(seconds, named):
    times, _, onsets = tell(Sinus(10), Silence(seconds), Sinus(10))
    assert np.diff(times).max() == pytest.approx(seconds, abs=1e-9)
    assert ("ASYS" in [name for _, name in onsets]) == named


@pytest.mark.parametrize(("kwargs", "kind"), [({"p_rate": 75}, PWave), ({"spike_rate": 80}, Spike)])
def test_silence_may_have_p_waves_or_pulses_without_an_answer(kwargs, kind):
    events = list(play([Sinus(10, **STEADY), Silence(9, **kwargs), Sinus(5)], np.random.default_rng(0), repeat=False))
    beats = [event.time for event in events if isinstance(event, Beat)]
    gap = int(np.argmax(np.diff(beats)))
    lone = [event.time for event in events if isinstance(event, kind)]
    assert 9 <= len(lone) <= 12
    assert beats[gap] + 0.5 < min(lone)
    assert max(lone) < beats[gap + 1] - 0.2
    assert beats[gap + 1] - beats[gap] == pytest.approx(9.0)
    np.testing.assert_allclose(np.diff(lone), 60 / next(iter(kwargs.values())))


def test_run_waits_for_the_end_of_a_silence():
    times, symbols, _ = tell(Sinus(5), Silence(6), Run(5, 40, symbol="E"))
    first = symbols.index("E")
    assert times[first] - times[first - 1] == pytest.approx(6.0)


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


@pytest.mark.parametrize("wrong", [(-1.0, "N"), (float("nan"), "N"), (float("inf"), "N"), (1.0, "Q"), (1.0, "V", 4)])
def test_beat_refuses_what_cannot_be_drawn(wrong):
    with pytest.raises(ValueError, match=r"beat at|none of N S V F|none of 0 to 3"):
        Beat(*wrong)
