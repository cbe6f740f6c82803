"""Scenario files: those that come along show what they promise, wrong ones are answered with part and key."""

import tomllib

import numpy as np
import pytest

from monitor.exceptions import ConfigError
from simulators.noise import LeadOff, When
from simulators.rhythms import Sinus
from simulators.scenario import FOLDER, RESTING, find_scenario, parse_scenario, scenario_names

PART = """
[[story]]
rhythm = "sinus"
seconds = 30
"""


def tell(name, seconds, seed=0):
    return find_scenario(name).patient(seed=seed).strip(round(seconds * 360))


def rate(strip):
    return 60.0 * 360.0 / np.diff(strip.r_peaks).mean()


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_plays_within_range(name):
    strip = tell(name, 200)
    assert np.abs(strip.signal[np.isfinite(strip.signal)]).max() < 4.0
    assert len(strip.r_peaks) > 100
    assert np.isnan(strip.signal).any() == (name == "noise")


@pytest.mark.parametrize(
    ("name", "rhythms"),
    [
        ("af", {"AFIB", "N"}),
        ("bigeminy", {"B"}),
        ("trigeminy", {"T"}),
        ("flutter", {"AFL"}),
        ("block", {"BI", "BII", "B3", "ASYS"}),
        ("paced", {"P", "ASYS"}),
        ("torsades", {"VT", "VFL"}),
        ("vf", {"VF", "ASYS", "IVR"}),
        ("story", {"VT", "VF", "ASYS", "N"}),
    ],
)
def test_scenario_has_its_rhythms(name, rhythms):
    assert rhythms <= {span.rhythm for span in tell(name, 260).rhythms}


def test_vt_shows_in_the_first_half_minute_and_every_90_seconds_after():
    strip = tell("vt", 400)
    runs = [span for span in strip.rhythms if span.rhythm == "VT"]
    assert runs[0].start < 25 * 360
    assert np.diff([span.start for span in runs]).max() < 90 * 360
    for span in runs:
        inside = strip.r_peaks[(strip.r_peaks >= span.start) & (strip.r_peaks < span.end)]
        assert 8 <= len(inside) <= 12
        assert 159 < 60 * 360 / np.diff(inside).mean() < 181


def test_asystole_lasts_longer_than_its_alarm_needs():
    strip = tell("asystole", 60)
    assert np.diff(strip.r_peaks).max() == 7.5 * 360
    assert "ASYS" in [span.rhythm for span in strip.rhythms]


@pytest.mark.parametrize(
    ("name", "low", "high"), [("sinus", 70, 74), ("tachycardia", 110, 126), ("bradycardia", 48, 54)]
)
def test_rate_is_what_the_name_says(name, low, high):
    assert low < rate(tell(name, 180)) < high


def test_ectopy_has_couplets():
    symbols = "".join(tell("ectopy", 180).symbols)
    assert symbols.count("VV") >= 3
    assert symbols.count("V") > 15


def test_seeds_make_different_patients():
    assert tell("ectopy", 60, seed=1).r_peaks.tolist() != tell("ectopy", 60, seed=2).r_peaks.tolist()


def test_a_file_says_everything():
    scenario = parse_scenario(
        """
alias = "Mrs Example"
paced = true
repeat = false
resting = false
[heart]
qrs_mv = 0.7
[[story]]
rhythm = "sinus"
seconds = 30
ectopy = { VV = 2 }
[[disturbance]]
kind = "lead_off"
leads = [1]
at = 5
seconds = 2
"""
    )
    assert (scenario.alias, scenario.paced, scenario.repeat) == ("Mrs Example", True, False)
    assert (scenario.heart.qrs_mv, scenario.heart.breathing) == (0.7, 0.05)
    assert scenario.story == [Sinus(30, ectopy={"VV": 2})]
    assert scenario.disturbances == (LeadOff((1,), When(at=5, seconds=2)),)


def test_a_file_that_says_little_repeats_with_the_noise_of_rest():
    scenario = parse_scenario(PART, name="little")
    assert (scenario.alias, scenario.repeat, scenario.paced) == ("little", True, False)
    assert scenario.disturbances == RESTING


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = [", "not TOML: "),
        ("alias = 1" + PART, "alias: should be a string"),
        ("repeat = 1" + PART, "repeat: should be true or false"),
        ("story = 3", "story: should be tables of their own: [[...]]"),
        ("alias = 'nothing'", "story: there is no [[story]] part"),
        ("tempo = 3" + PART, "the file: no key tempo; there are alias, "),
        ("[heart]\nqrs = 1" + PART, "heart: no key qrs; did you mean qrs_mv?"),
        ("[heart]\nqrs_mv = 0" + PART, "heart, qrs_mv: Input should be greater than 0, not 0"),
        (PART + "rte = 3", "story part 1 (sinus): no key rte; did you mean rate?"),
        (PART + PART + "rate = -1", "story part 2 (sinus), rate: Input should be greater than 0, not -1"),
        (PART + 'pattern = "VN"', "story part 1 (sinus): pattern 'VN' does not begin with N"),
        (PART + "ectopy = { V = 'often' }", "story part 1 (sinus), ectopy.V: Input should be a valid number"),
        ('[[story]]\nrhythm = "sinus"', "story part 1 (sinus), seconds: Field required"),
        ('[[story]]\nrhythm = "waltz"', "story part 1: no rhythm 'waltz'; there are sinus, run, "),
        ("[[story]]\nseconds = 3", "story part 1: rhythm is missing; there are sinus, run, "),
        ('[[story]]\nrhythm = "silence"\nseconds = 5', "story: silences alone cannot repeat"),
        (PART + '[[disturbance]]\nkind = "muscle"', "disturbance 1 (muscle), mv: Field required"),
        (PART + '[[disturbance]]\nkind = "flat"\nat = -1', "disturbance 1 (flat), at: Input should be greater than"),
        (PART + '[[disturbance]]\nkind = "flat"\nwhen = 3', "disturbance 1 (flat): no key when; there are leads, at, "),
        (PART + '[[disturbance]]\nkind = "flat"\nleads = [2]', "disturbance 1 (flat), leads.0: Input should be less"),
    ],
)
def test_what_is_wrong_is_named(text, said):
    with pytest.raises(ConfigError) as caught:
        parse_scenario(text, "my.toml")
    assert str(caught.value).startswith(f"my.toml: {said}")


def test_unknown_scenario_is_answered_with_the_list():
    with pytest.raises(ConfigError, match=r"waltz: no such scenario; choose one of af, .*, or name a \.toml file"):
        find_scenario("waltz")


def test_own_file_is_found_by_its_path(tmp_path):
    (tmp_path / "own.toml").write_text(PART, encoding="utf-8")
    assert find_scenario(tmp_path / "own.toml").alias == "own"
    with pytest.raises(ConfigError, match=r"gone\.toml: cannot be read \(No such file"):
        find_scenario(tmp_path / "gone.toml")


def test_every_file_has_an_alias_of_its_own():
    aliases = [tomllib.loads(path.read_text(encoding="utf-8"))["alias"] for path in FOLDER.glob("*.toml")]
    assert len(set(aliases)) == len(aliases) == len(scenario_names())
