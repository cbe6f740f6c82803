"""The alarms of a bed against what a nurse expects of them: one path after the other, then any path against a model."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from monitor import alarms
from monitor.alarm_states import END, ONSET, SILENCE
from monitor.alarm_table import CODES, HOLD, INDEX, detail_of
from monitor.alarms import BEAT, REVISED, Bedside, Happening
from monitor.ecg import FS
from monitor.events import Audio

NAMES = tuple(code.name for code in CODES)
HELD = round(HOLD * FS)


@pytest.fixture
def bedside():
    return Bedside("bed-1", 0xAB, np.zeros(len(CODES), alarms.STATE))


def begins(at, name, value=None, limit=None, **more):
    return Happening(at, 1, name, ONSET, more.pop("sample", at), value, limit, **more)


def ends(at, name, value=None, limit=None, **more):
    return Happening(at, 1, name, END, at, value, limit, **more)


def beats(rate, first, last):
    """QRS complexes at a rate per minute, each found 60 samples after its R peak."""
    return [Happening(r + 60, 3, "", BEAT, r) for r in range(first, last, round(60 * FS / rate))]


def take(bedside, *happenings, last=0):
    """(emitted, code, state) of what follows; device samples are those of 360 Hz."""
    last = max([last, *(one.at for one in happenings)])
    return [(e.emitted, e.code, e.state) for e in bedside.take(happenings, last, lambda k: k)]


def states(events):
    return [event.state for event in events]


def shown(bedside):
    return {alarm.code: alarm.state for alarm in bedside.active(0)}


def audio(bedside):
    return {alarm.code: alarm.audio for alarm in bedside.active(0)}


# -- events


def test_an_event_says_what_why_and_how_much(bedside):
    (event,) = bedside.apply("TACHY", ONSET, 1000, 1234, 156.04, 140.0)
    assert event.as_dict() == {
        "type": "alarm",
        "bed": "bed-1",
        "sample": 1000,
        "emitted": 1234,
        "code": "TACHY",
        "priority": "medium",
        "kind": "physiological",
        "state": "raised",
        "id": "bed-1:ab:TACHY:1000",
        "value": 156.0,
        "limit": 140.0,
        "text": "** HR 156>140",
        "reason": "onset",
        "audio": "on",
    }


def test_an_alarm_without_a_value_has_none(bedside):
    (event,) = bedside.apply("LEAD_OFF", ONSET, 5, 6)
    assert (event.value, event.limit, event.text, event.kind) == (None, None, "** LEAD OFF", "technical")


@pytest.mark.parametrize(
    ("name", "value", "limit", "text"),
    [
        ("TACHY", 120.4, 120.0, "** HR 121>120"),
        ("TACHY", 120.04, 120.0, "** HR 121>120"),
        ("TACHY", 121.6, 120.0, "** HR 122>120"),
        ("BRADY", 49.97, 50.0, "** HR 49<50"),
        ("EXTREME_BRADY", 20.0, 40.0, "*** EXTREME BRADY 20<40"),
        ("ASYSTOLE", 4.0, 4.0, "*** ASYSTOLE"),
        ("PAUSE", 2.04, 2.0, "** PAUSE 2.1>2.0 s"),
        ("PVC_RATE", 11, 10, "* PVC/min 11>10"),
    ],
)
def test_a_value_reads_beyond_its_limit(bedside, name, value, limit, text):
    (event,) = bedside.apply(name, ONSET, 1, 2, value, limit)
    assert event.text == text


def test_poor_signal_says_why(bedside):
    take(bedside, begins(5, "CANNOT_ANALYSE", detail=detail_of("muscle")))
    assert bedside.active(6)[0].text == "** CANNOT ANALYSE: MUSCLE NOISE"


def test_later_events_of_an_alarm_keep_its_identity(bedside):
    """Whatever sample the end comes with, and whatever stream runs by then."""
    (raised,) = bedside.apply("VTACH", ONSET, 1000, 1200, 150.0, 100.0)
    bedside.stream = 0xCD
    (cleared,) = bedside.apply("VTACH", END, 3000, 3100, reason=REVISED)
    assert (cleared.id, cleared.sample, cleared.emitted) == (raised.id, 1000, 3100)
    assert (cleared.value, cleared.text) == (raised.value, raised.text)


def test_the_id_is_made_of_bed_stream_code_and_onset():
    def raised(name, stream, onset):
        other = Bedside("bed-1", stream, np.zeros(len(CODES), alarms.STATE))
        return next(iter(other.apply(name, ONSET, onset, 10))).id

    ids = [raised(*what) for what in (("VTACH", 1, 5), ("TACHY", 1, 5), ("VTACH", 2, 5), ("VTACH", 1, 6))]
    assert len(set(ids)) == 4
    assert raised("VTACH", 1, 5) == ids[0]
    assert raised("VTACH", (1 << 64) - 1, 5) == "bed-1:ffffffffffffffff:VTACH:5"


def test_the_history_tells_who_saw_it_and_the_last_event_carries_it(bedside):
    (raised,) = bedside.apply("ASYSTOLE", ONSET, 10, 20)
    (told,) = bedside.show(raised.id, 30, "wall")
    assert (told.type, told.code, told.id, told.by) == ("shown", "ASYSTOLE", raised.id, "wall")
    assert list(bedside.show(raised.id, 31, "desk")) == [], "once"
    (seen,) = bedside.acknowledge(raised.id, 40, "Ada")
    assert (seen.by, seen.reason) == ("Ada", "acknowledged by Ada")
    assert bedside.active(41)[0].by == "Ada"
    steps = [
        {"what": "raised", "emitted": 20, "why": "onset"},
        {"what": "shown", "emitted": 30, "by": "wall"},
        {"what": "acknowledged", "emitted": 40, "why": "acknowledged by Ada", "by": "Ada"},
    ]
    assert bedside.active(41)[0].history == steps
    (cleared,) = bedside.apply("ASYSTOLE", END, 0, 50)
    assert cleared.history == [*steps, {"what": "cleared", "emitted": 50, "why": "end"}]
    assert bedside.history == {}


def test_a_long_history_keeps_its_beginning_and_its_end(bedside):
    (raised,) = bedside.apply("TACHY", ONSET, 1, 2)
    for i in range(100):
        list(bedside.acknowledge(raised.id, 10 + 2 * i, "Ada"))
        bedside.now += SILENCE
        list(bedside.tick(11 + 2 * i))
    history = bedside.active(0)[0].history
    assert len(history) == 32
    assert (history[0]["what"], history[-1]["why"], history[-1]["emitted"]) == ("raised", "reminder", 209)


# -- latching and acknowledging


def test_an_alarm_clears_when_its_condition_is_over_and_has_been_held(bedside):
    assert take(bedside, begins(1, "AF"), ends(50, "AF"), last=49 + HELD) == [(1, "AF", "raised")]
    assert take(bedside, last=50 + HELD) == [(50 + HELD, "AF", "cleared")]


@pytest.mark.parametrize("name", [code.name for code in CODES if not code.hold and not code.latching])
def test_a_technical_alarm_clears_with_its_condition(bedside, name):
    assert take(bedside, begins(1, name), ends(50, name)) == [(1, name, "raised"), (50, name, "cleared")]


@pytest.mark.parametrize("name", ["ASYSTOLE", "VFIB"])
def test_what_latches_and_ended_unseen_stays_until_seen(bedside, name):
    assert take(bedside, begins(1, name), ends(50, name)) == [(1, name, "raised"), (50, name, "latched")]
    assert shown(bedside) == {name: "latched"}
    assert states(bedside.acknowledge(None, 60, "Ada")) == ["cleared"]
    assert shown(bedside) == {}


def test_what_latches_and_was_seen_ends_with_its_condition(bedside):
    take(bedside, begins(1, "ASYSTOLE"))
    assert states(bedside.acknowledge(None, 3, "")) == ["acknowledged"]
    assert take(bedside, ends(50, "ASYSTOLE")) == [(50, "ASYSTOLE", "cleared")]


def test_an_asystole_that_is_over_when_it_is_found_latches(bedside):
    """The beat that ends it is what it was found by."""
    assert [state for _, _, state in take(bedside, begins(9, "ASYSTOLE", sample=1), ends(9, "ASYSTOLE"))] == [
        "raised",
        "latched",
    ]


def test_a_new_asystole_takes_the_place_of_a_latched_one(bedside):
    (first,) = bedside.apply("ASYSTOLE", ONSET, 10, 20)
    list(bedside.apply("ASYSTOLE", END, 1, 30))
    cleared, raised = bedside.apply("ASYSTOLE", ONSET, 40, 50)
    assert (cleared.id, cleared.state, cleared.reason) == (first.id, "cleared", "superseded")
    assert (raised.state, raised.sample) == ("raised", 40)
    assert raised.id != first.id


def test_an_acknowledged_alarm_is_silent_for_two_minutes_and_then_calls_again(bedside):
    bedside.now = 1000.0
    (raised,) = bedside.apply("TACHY", ONSET, 1, 2)
    (seen,) = bedside.acknowledge(raised.id, 3, "Ada")
    assert (seen.state, seen.audio, seen.silence) == ("acknowledged", "silenced", 120.0)
    bedside.now = 1090.0
    assert bedside.active(4)[0].silence == 30.0
    assert list(bedside.tick(4)) == []
    assert list(bedside.acknowledge(raised.id, 4, "Bob")) == [], "it is, already"
    bedside.now = 1120.0
    (again,) = bedside.tick(5)
    assert (again.id, again.state, again.audio, again.reason) == (raised.id, "raised", "on", "reminder")
    (seen,) = bedside.acknowledge(raised.id, 6, "Bob")
    assert (seen.state, seen.silence) == ("acknowledged", 120.0)


def test_what_is_merely_held_does_not_call_again(bedside):
    """A rate that is just back within its limit was seen to; above it again, it calls."""
    take(bedside, begins(1, "TACHY", 121.0, 120.0))
    list(bedside.acknowledge(None, 2, "Ada"))
    take(bedside, ends(50, "TACHY", 119.0, 120.0))
    bedside.now = SILENCE + 1
    assert list(bedside.tick(60)) == []
    assert take(bedside, begins(70, "TACHY", 121.0, 120.0)) == []
    assert states(bedside.tick(80)) == ["raised"]


def test_a_revision_clears_at_once_whether_it_was_seen_or_not(bedside):
    for see in (False, True):
        (raised,) = bedside.apply("VTACH", ONSET, 1, 2, 150.0, 100.0)
        if see:
            list(bedside.acknowledge(raised.id, 3, ""))
        (cleared,) = bedside.apply("VTACH", END, 1, 4, reason=REVISED)
        assert (cleared.id, cleared.state, cleared.reason) == (raised.id, "cleared", "revised")


def test_a_condition_of_two_sources_stands_while_one_says_so(bedside):
    took = take(
        bedside,
        begins(1, "CANNOT_ANALYSE", source=0),
        begins(2, "CANNOT_ANALYSE", source=1),
        ends(3, "CANNOT_ANALYSE", source=0),
        ends(4, "CANNOT_ANALYSE", source=1),
    )
    assert took == [(1, "CANNOT_ANALYSE", "raised"), (4, "CANNOT_ANALYSE", "cleared")]


# -- holding


def test_a_condition_that_comes_back_while_held_is_the_same_alarm(bedside):
    took = take(bedside, begins(1, "AF"), ends(50, "AF"), begins(50 + HELD, "AF"), last=10 * HELD)
    assert took == [(1, "AF", "raised")]


def test_a_second_run_is_a_new_alarm_once_the_first_was_seen(bedside):
    take(bedside, begins(1, "VTACH"), ends(500, "VTACH"))
    assert take(bedside, begins(600, "VTACH"), ends(700, "VTACH")) == [], "nobody has seen the first"
    list(bedside.acknowledge(None, 800, "Ada"))
    assert take(bedside, begins(900, "VTACH")) == [(900, "VTACH", "cleared"), (900, "VTACH", "raised")]


@pytest.mark.parametrize(("name", "limit", "at", "back"), [("TACHY", 120.0, 119.0, 117.0), ("BRADY", 50.0, 51.0, 53.0)])
def test_a_rate_at_its_limit_is_not_back(bedside, name, limit, at, back):
    """It ends once the mean rate of the time held is back by the margin."""
    take(bedside, begins(100, name, limit + 1, limit), ends(200, name, at, limit))
    rate_at = beats(at, 140, 200 + 9 * HELD)
    assert take(bedside, *rate_at, last=200 + 9 * HELD - 1) == []
    rate_back = beats(back, 200 + 9 * HELD, 200 + 12 * HELD)
    ((emitted, *what),) = take(bedside, *rate_back)
    assert what == [name, "cleared"]
    assert emitted in (200 + 10 * HELD, 200 + 11 * HELD), "the interval between the two rates is of neither"


def test_a_limit_that_was_moved_lets_the_rate_go(bedside):
    """What the rate must be back by goes by the limit that it no longer breaks."""
    take(bedside, begins(100, "TACHY", 125.0, 120.0), ends(200, "TACHY", 125.0, 130.0))
    assert take(bedside, *beats(125, 140, 200 + 2 * HELD)) == [(200 + HELD, "TACHY", "cleared")]


def test_without_beats_a_rate_does_not_stand_for_ever(bedside):
    take(bedside, begins(100, "TACHY", 125.0, 120.0), ends(200, "TACHY", 119.0, 120.0))
    assert take(bedside, last=9 * HELD) == [(200 + HELD, "TACHY", "cleared")]


def test_what_a_restart_ends_is_not_held(bedside):
    take(
        bedside, begins(1, "AF"), begins(1, "ASYSTOLE"), begins(1, "NO_DATA"), begins(2, "COUPLET"), ends(3, "COUPLET")
    )
    ended = bedside.end_all([code.name for code in CODES if code.kind == "physiological"], 10, "restart")
    assert [(e.code, e.state, e.reason) for e in ended] == [
        ("ASYSTOLE", "latched", "restart"),
        ("AF", "cleared", "restart"),
        ("COUPLET", "cleared", "restart"),
    ]
    assert take(bedside, last=9 * HELD) == []
    assert shown(bedside) == {"ASYSTOLE": "latched", "NO_DATA": "raised"}


# -- chains


def test_a_graver_alarm_takes_the_place_of_a_lesser_one_and_gives_it_back(bedside):
    take(bedside, begins(1, "TACHY", 130.0, 120.0))
    events = list(bedside.take([begins(100, "VTACH", 150.0, 100.0)], 100, lambda k: k))
    assert [(e.code, e.state, e.reason) for e in events] == [
        ("VTACH", "raised", "onset"),
        ("TACHY", "cleared", "hidden by VTACH"),
    ]
    assert take(bedside, ends(500, "VTACH"), last=499 + HELD) == []
    raised = list(bedside.take([], 500 + HELD, lambda k: k))
    assert [(e.emitted, e.code, e.state, e.reason, e.value) for e in raised] == [
        (500 + HELD, "VTACH", "cleared", "end", 150.0),
        (500 + HELD, "TACHY", "raised", "no longer hidden", 130.0),
    ]
    assert raised[1].id != "bed-1:ab:TACHY:1", "a new alarm"


def test_what_is_hidden_from_the_beginning_is_raised_when_it_is_uncovered(bedside):
    assert take(bedside, begins(1, "VFIB"), begins(1, "VTACH"), begins(2, "TACHY", 200.0, 120.0)) == [
        (1, "VFIB", "raised")
    ]
    took = take(bedside, ends(900, "VFIB"), ends(1000, "VTACH"), last=1000 + HELD)
    assert took == [
        (900, "VFIB", "latched"),
        (900, "VTACH", "raised"),
        (1000 + HELD, "VTACH", "cleared"),
        (1000 + HELD, "TACHY", "raised"),
    ]
    assert bedside.active(0)[1].text == "** HR 200>120"


def test_what_is_over_when_it_is_uncovered_is_not_raised(bedside):
    take(bedside, begins(1, "ASYSTOLE"), begins(1, "PAUSE", 2.1, 2.0))
    assert take(bedside, ends(500, "PAUSE"), ends(600, "ASYSTOLE")) == [(600, "ASYSTOLE", "latched")]


def test_what_latches_hides_only_while_its_condition_stands(bedside):
    take(bedside, begins(1, "ASYSTOLE"), ends(600, "ASYSTOLE"))
    assert take(bedside, begins(900, "BRADY", 45.0, 50.0)) == [(900, "BRADY", "raised")]


def test_nothing_hides_an_asystole(bedside):
    take(bedside, begins(1, "VFIB"), begins(1, "VTACH"))
    assert take(bedside, begins(90, "ASYSTOLE")) == [(90, "ASYSTOLE", "raised")]


# -- sound


def test_a_pause_silences_what_stands_and_what_is_not_graver(bedside):
    take(bedside, begins(1, "TACHY"), begins(1, "COUPLET"))
    (event,) = bedside.pause_audio(120.0, 5, "Ada")
    assert (event.type, event.paused, event.seconds, event.by, event.reason) == (
        "audio",
        True,
        120.0,
        "Ada",
        "audio paused by Ada",
    )
    take(bedside, begins(10, "BIGEMINY"), begins(10, "AF"))
    assert audio(bedside) == dict.fromkeys(("TACHY", "AF", "COUPLET", "BIGEMINY"), "paused")
    assert bedside.pause_left() == 120.0


@pytest.mark.parametrize("earlier", [(), ("COUPLET",), ("TACHY",), ("EXTREME_BRADY",), ("VTACH", "TACHY")])
def test_a_new_high_alarm_breaks_through(bedside, earlier):
    """Whether others are paused or acknowledged."""
    take(bedside, *(begins(1, name) for name in earlier))
    list(bedside.acknowledge(None, 2, "Ada"))
    list(bedside.pause_audio(120.0, 5, "Ada"))
    take(bedside, begins(9, "ASYSTOLE"))
    sounding = {name for name, sound in audio(bedside).items() if sound == "on"}
    assert sounding == {"ASYSTOLE"}
    list(bedside.pause_audio(120.0, 12, "Ada"))
    assert audio(bedside)["ASYSTOLE"] == "paused", "asked for again, with it there"


def test_a_medium_alarm_breaks_through_a_pause_of_low_ones(bedside):
    take(bedside, begins(1, "COUPLET"))
    list(bedside.pause_audio(120.0, 5, ""))
    take(bedside, begins(9, "LEAD_OFF"), begins(9, "BIGEMINY"))
    assert audio(bedside) == {"COUPLET": "paused", "BIGEMINY": "paused", "LEAD_OFF": "on"}


def test_a_pause_ends_by_itself_or_is_cancelled(bedside):
    take(bedside, begins(1, "TACHY"))
    list(bedside.pause_audio(120.0, 5, ""))
    bedside.now = 119.9
    assert list(bedside.tick(6)) == []
    bedside.now = 120.0
    (event,) = bedside.tick(7)
    assert (event.paused, event.reason, audio(bedside)) == (False, "audio pause over", {"TACHY": "on"})
    assert list(bedside.resume_audio(8)) == [], "there is none"
    list(bedside.pause_audio(120.0, 9, ""))
    (event,) = bedside.resume_audio(10, "Ada")
    assert (event.paused, event.reason, audio(bedside)) == (False, "audio pause cancelled by Ada", {"TACHY": "on"})


def test_an_alarm_raised_after_the_pause_is_not_covered_though_nobody_has_looked_at_the_clock(bedside):
    list(bedside.pause_audio(120.0, 5, ""))
    bedside.now = 121.0
    take(bedside, begins(9, "TACHY"))
    assert audio(bedside) == {"TACHY": "on"}


def test_a_reminder_waits_for_the_end_of_a_pause(bedside):
    take(bedside, begins(1, "TACHY"))
    list(bedside.acknowledge(None, 2, ""))
    bedside.now = 60.0
    list(bedside.pause_audio(120.0, 3, ""))
    bedside.now = 121.0
    (event,) = bedside.tick(4)
    assert (event.state, event.audio) == ("raised", "paused")
    bedside.now = 180.0
    list(bedside.tick(5))
    assert audio(bedside) == {"TACHY": "on"}


# -- all paths, against a model


class Nurse(RuleBasedStateMachine):
    """Conditions begin and end, beats come, people and clocks do what they like: always as the model has it.

    What happens in the signal is handed over in batches that end anywhere.
    """

    def __init__(self) -> None:
        super().__init__()
        self.row = np.zeros(1, [("alarms", alarms.STATE, (len(CODES),)), ("pause", alarms.PAUSE_STATE)])
        self.bedside = Bedside("bed", 7, self.row["alarms"][0], self.row["pause"][0])
        self.model = naive.BedsideModel()
        self.at = 1
        self.onset = 1_000_000_000  # of the next condition: no two begin at one sample
        self.coming: list[Happening] = []
        self.told: dict[str, str] = {}  # alarm id -> last state

    def hear(self, events) -> list[naive.Told]:
        """Check what holds for every event, whatever the model says."""
        heard = []
        for event in events:
            if isinstance(event, Audio):
                heard.append(("", "paused" if event.paused else "sounds", 0, ""))
                continue
            assert event.id == f"bed:7:{event.code}:{event.sample}"
            assert self.told.get(event.id) != "cleared", "nothing comes after cleared"
            assert event.id in self.told or event.state == "raised", "raised comes first"
            assert event.id not in self.told or event.state != "raised" or event.reason == "reminder"
            self.told[event.id] = event.state
            heard.append((event.code, event.state, event.sample, event.audio))
        return heard

    def hand_over(self) -> None:
        """Give the bed what has come since the last batch; the model takes it sample by sample."""
        heard = self.hear(self.bedside.take(self.coming, self.at, lambda k: k))
        for at in sorted({one.at for one in self.coming}):
            self.model.sample(at, [one for one in self.coming if one.at == at])
        self.model.run_to(self.at)
        assert heard == self.model.take_told()
        self.coming = []
        self.at += 1

    @initialize(names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=5))
    def is_about_a_few_alarms(self, names: list[str]) -> None:
        """They meet more often than all would."""
        self.names = names

    @rule(
        which=st.integers(0, 4),
        cause=st.sampled_from((ONSET, ONSET, END)),
        reason=st.sampled_from((None, None, REVISED)),
        source=st.sampled_from((0, 0, 0, 1)),
        later=st.sampled_from((0, 1, 100)),
    )
    def happens(self, which: int, cause: str, reason: str | None, source: int, later: int) -> None:
        name = self.names[which % len(self.names)]
        self.at += later
        self.onset += 1
        self.coming.append(Happening(self.at, 1, name, cause, self.onset, 90.0, 100.0, reason, source))

    @rule(which=st.integers(0, 4), lasts=st.sampled_from((0, 1, 900)))
    def comes_and_goes(self, which: int, lasts: int) -> None:
        self.happens(which, ONSET, None, 0, 1)
        self.happens(which, END, None, 0, lasts)

    @rule(rate=st.sampled_from((60, 97, 98, 99, 101, 102, 103, 150)), seconds=st.sampled_from((1, 4, 10, 25)))
    def the_heart_beats(self, rate: int, seconds: int) -> None:
        last = self.at + seconds * FS
        while self.at < last:
            self.at += round(60 * FS / rate)
            self.coming.append(Happening(self.at, 3, "", BEAT, self.at - 60))

    @rule(samples=st.sampled_from((0, 1, 359, HELD - 1, HELD, 2 * HELD)))
    def time_goes_by(self, samples: int) -> None:
        self.at += samples
        self.hand_over()

    @rule(seconds=st.sampled_from((0.0, 1.0, 60.0, 119.0, 120.0, 300.0)))
    def the_clock_goes_on(self, seconds: float) -> None:
        self.hand_over()
        self.bedside.now += seconds
        heard = self.hear(self.bedside.tick(self.at))
        self.model.wait(seconds)
        assert heard == self.model.take_told()

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def one_is_acknowledged(self, data: st.DataObject) -> None:
        self.hand_over()
        name = data.draw(st.sampled_from(sorted({id_.split(":")[2] for id_ in self.told})))
        (id_,) = {alarm.id for alarm in self.bedside.active(0) if alarm.code == name} or {"nothing"}
        heard = self.hear(self.bedside.acknowledge(id_, self.at, "Ada"))
        self.model.acknowledge(name)
        assert heard == self.model.take_told()

    @rule()
    def all_are_acknowledged(self) -> None:
        self.hand_over()
        heard = self.hear(self.bedside.acknowledge(None, self.at, "Ada"))
        for name in NAMES:
            self.model.acknowledge(name)
        assert heard == self.model.take_told()

    @rule(seconds=st.sampled_from((1.0, 120.0, 600.0)))
    def the_audio_is_paused(self, seconds: float) -> None:
        self.hand_over()
        heard = self.hear(self.bedside.pause_audio(seconds, self.at, "Ada"))
        self.model.pause(seconds)
        assert heard == self.model.take_told()

    @rule()
    def the_audio_goes_on(self) -> None:
        self.hand_over()
        heard = self.hear(self.bedside.resume_audio(self.at, "Ada"))
        self.model.resume()
        assert heard == self.model.take_told()

    @rule(now=st.sampled_from((0.0, 5.0, 1e6)))
    def moves_to_another_machine(self, now: float) -> None:
        """One whose clock shows something else."""
        row = self.row.copy()
        alarms.stop_clock(row, self.bedside.now)
        self.row = np.frombuffer(row.tobytes(), row.dtype).copy()
        alarms.start_clock(self.row, now)
        self.bedside = Bedside("bed", 7, self.row["alarms"][0], self.row["pause"][0], self.bedside.history, now)
        for alarm in self.model.alarms.values():
            alarm.call_again += now - self.model.now
        left = self.model.pause_until - self.model.now
        self.model.pause_until = now + left if left > 0 else 0.0
        self.model.now = now

    @invariant()
    def shows_what_the_model_shows(self) -> None:
        if self.coming:
            return
        shown = {alarm.code: (alarm.state, alarm.audio) for alarm in self.bedside.active(self.at)}
        assert shown == {name: (a.state, a.audio) for name, a in self.model.alarms.items() if a.state}
        assert [INDEX[name] for name in shown] == sorted(INDEX[name] for name in shown)


def test_any_sequence_gives_what_the_model_gives():
    run_state_machine_as_test(Nurse, settings=settings(max_examples=150, stateful_step_count=40, deadline=None))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_sequences():
    run_state_machine_as_test(Nurse, settings=settings(max_examples=10_000, stateful_step_count=40, deadline=None))
