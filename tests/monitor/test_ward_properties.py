"""What holds for any stream: cuts, neighbours, restarts of the monitor and broken devices do not show.

"Equal" means equal to the last bit: events, the bed's state and the display signal (:class:`streams.Heard`).
"""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import stub_model
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import BED, SIZES, Heard, cut, finals, hostile_signals, listen, of, one_by_one, sinus, steady, story

from monitor.align import HOLD
from monitor.beats import FEATURES
from monitor.classifier import Classifier
from monitor.ecg import AAMI_CLASSES, FS
from monitor.events import Alarm, Beat, Gap, Qrs
from monitor.exceptions import ConfigError
from monitor.messages import Chunk
from monitor.sequencer import REORDER_WINDOW
from monitor.ward import Ward
from simulators.synthetic import render

RATES = (128.0, 250.0, 360.0, 500.0, 1000.0)

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A network: its rows travel through the ward in batches shared by all beds."""
    path = tmp_path_factory.mktemp("model") / "stub.pt"
    return Classifier(path, stub_model.write_model(path))


# -- cuts


@pytest.mark.parametrize("fs", RATES)
def test_sample_by_sample_is_as_the_whole_stream_at_once(classifier, fs):
    signal = story(fs)[: round(30 * fs)] if fs < 500 else story(fs)[round(8 * fs) : round(16 * fs)]
    whole = listen([cut(signal, len(signal), fs=fs)], classifier=classifier)
    assert len(whole.events) > 20
    assert listen(one_by_one(cut(signal, 1, fs=fs)), classifier=classifier) == whole


@pytest.mark.parametrize("fs", RATES)
@settings(max_examples=20, deadline=None)
@given(sizes=SIZES, together=st.integers(1, 7))
def test_no_cut_shows_in_the_story(fs, sizes, together):
    """Messages of any sizes, any number of them in a feed."""
    signal = story(fs)
    chunks = cut(signal, sizes, fs=fs)
    feeds = [chunks[i : i + together] for i in range(0, len(chunks), together)]
    assert listen(feeds) == listen([cut(signal, len(signal), fs=fs)])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from((100.0, 249.0, 250.0, 360.0, 500.0, 1000.0)), st.data())
def test_no_cut_shows_in_a_hostile_signal(fs, data):
    signal = data.draw(hostile_signals(fs))
    chunks = cut(signal, data.draw(SIZES), fs=fs)
    assert listen(one_by_one(chunks)) == listen([cut(signal, len(signal), fs=fs)])


@pytest.mark.slow
def test_a_thousand_random_cuts(classifier):
    """Sizes from one sample to ten seconds, at every rate."""
    rng = np.random.default_rng(0)
    for fs in RATES:
        signal = story(fs)
        whole = listen([cut(signal, len(signal), fs=fs)], classifier=classifier)
        for _ in range(200):
            sizes = np.exp(rng.uniform(0.0, np.log(10 * fs), 200)).astype(int).tolist()
            assert listen(one_by_one(cut(signal, sizes, fs=fs)), classifier=classifier) == whole


# -- neighbours


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_neighbours_do_not_show(classifier, data):
    """Five beds of different rates in one ward, their messages in any order: each as it is alone."""
    beds = {f"bed-{i}": (story(fs), fs) for i, fs in enumerate(RATES)}
    queues = {bed: cut(signal, data.draw(SIZES), bed=bed, fs=fs) for bed, (signal, fs) in beds.items()}
    shuffle = random.Random(data.draw(st.integers(0, 2**32 - 1)))
    ward = Ward(classifier, capacity=2)
    heard = {bed: Heard([], b"", b"") for bed in beds}
    while queues:
        feed = []
        for bed in shuffle.choices(sorted(queues), k=shuffle.randint(1, 12)):
            if queues.get(bed):
                feed.append(queues[bed].pop(0))
        for event in ward.feed(feed):
            heard[event.bed].events.append(event)
        for wave in ward.waves():
            heard[wave.bed].wave += wave.samples.tobytes()
        queues = {bed: queue for bed, queue in queues.items() if queue}
    for bed, (signal, fs) in beds.items():
        heard[bed].state = ward.snapshot(bed)
        alone = listen([cut(signal, len(signal), bed=bed, fs=fs)], bed=bed, classifier=classifier)
        assert heard[bed] == alone


class Garbage:
    """A device gone mad: its chunks are of any value, size, rate and order; some streams start anew."""

    def __init__(self, seed: int, bed: str = "mad") -> None:
        self.rng = np.random.default_rng(seed)
        self.bed = bed
        self.stream, self.seq, self.first, self.fs, self.leads = 1, 0, 0, 360.0, 2

    def values(self, n: int) -> np.ndarray:
        kind = self.rng.integers(0, 8)
        constant = (np.nan, np.inf, -np.inf, 1e30, -1e30, 1e-40)
        if kind < len(constant):
            return np.full((n, self.leads), constant[kind], np.float32)
        if kind == 6:
            return (self.rng.integers(-32768, 32768, (n, self.leads)) * 0.005).astype(np.float32)
        return (self.rng.normal(size=(n, self.leads)) * 10.0 ** self.rng.uniform(-3, 6)).astype(np.float32)

    def chunk(self) -> Chunk:
        change = self.rng.random()
        if change < 0.03:
            self.stream, self.seq, self.first = self.stream + 1, 0, 0
        elif change < 0.06:
            self.fs = float(self.rng.choice((100, 128, 249, 250, 360, 999, 1000)))
        elif change < 0.08:
            self.leads = int(self.rng.integers(1, 4))
        elif change < 0.2:
            self.first += int(10.0 ** self.rng.uniform(0, 5))
        elif change < 0.25:
            self.first = max(0, self.first - int(self.rng.integers(0, 2000)))
        n = int(self.rng.integers(1, 400))
        off = int(self.rng.integers(0, 4)) if self.rng.random() < 0.1 else 0
        chunk = Chunk(self.bed, self.stream, self.seq, self.first, self.fs, self.values(n), off)
        self.seq, self.first = self.seq + 1, self.first + n
        return chunk

    def some(self) -> list[Chunk]:
        chunks = [self.chunk() for _ in range(self.rng.integers(0, 4))]
        self.rng.shuffle(chunks)
        return chunks


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from((250.0, 360.0)))
def test_a_mad_neighbour_does_not_show(classifier, seed, fs):
    signal = story(fs)
    garbage = Garbage(seed)
    feeds = [[*garbage.some(), chunk, *garbage.some()] for chunk in cut(signal, 90, fs=fs)]
    alone = listen([cut(signal, len(signal), fs=fs)], classifier=classifier)
    assert listen(feeds, classifier=classifier) == alone


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_mad_device_leaves_its_own_bed_sound(seed):
    """No error, no number that is none; and ten seconds of a proper stream later the heart rate is right."""
    ward = Ward(capacity=1)
    garbage = Garbage(seed, BED)
    for _ in range(60):
        for event in ward.feed(garbage.some()):
            assert event.bed == BED
        for wave in ward.waves():
            assert not np.isinf(wave.samples).any()
    for chunk in cut(sinus(10.0, 90.0), 36, stream=10_000):
        ward.feed([chunk])
    rate = ward.beds()[0].heart_rate
    assert rate is not None
    assert abs(rate - 90) < 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_where_calls_end_does_not_show_whatever_a_device_does(seed, sizes):
    """Restarts, gaps, conflicts and all: one message a call, all in one, or any number."""
    device = Garbage(seed, BED)
    chunks = [device.chunk() for _ in range(60)]
    some, at = [], 0
    for size in itertools.cycle(sizes):
        some.append(chunks[at : at + size])
        at += size
        if at >= len(chunks):
            break
    assert listen([chunks]) == listen(one_by_one(chunks)) == listen(some)


# -- compiled and interpreted


class Recorder:
    """Takes down what a network would see."""

    def __init__(self):
        self.seen = []

    def classify(self, windows, features):
        self.seen.append((windows.tobytes(), features.tobytes()))
        return np.full((len(windows), 5), 0.2, np.float32)


def heard_and_seen(feeds):
    recorder = Recorder()
    return listen(feeds, classifier=recorder), recorder.seen


def test_python_computes_what_the_machine_code_does(request):
    """Kernels as plain Python, on everything that happens in the story, at a rate that is resampled and one not."""
    streams = [one_by_one(cut(story(fs), 1000, fs=fs)) for fs in (250.0, 360.0)]
    compiled = [heard_and_seen(feeds) for feeds in streams]
    request.getfixturevalue("interpreted")
    assert [heard_and_seen(feeds) for feeds in streams] == compiled


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's scalars mention an overflow, machine code does not
def test_python_computes_what_the_machine_code_does_on_garbage(request):
    devices = [Garbage(seed, BED) for seed in range(10)]
    streams = [one_by_one([device.chunk() for _ in range(30)]) for device in devices]
    compiled = [heard_and_seen(feeds) for feeds in streams]
    request.getfixturevalue("interpreted")
    assert [heard_and_seen(feeds) for feeds in streams] == compiled


DIGEST = """
import hashlib
from streams import cut, listen, story
heard = listen([cut(story()[: 10 * 360], 100)])
print(hashlib.sha256(repr(heard.events).encode() + heard.state + heard.wave).hexdigest())
"""


@pytest.mark.parametrize("disabled", ["0", "1"])
def test_numba_switched_off_computes_the_same(disabled):
    """In a process of its own, as anyone may run it."""
    ours: dict[str, object] = {}
    exec(compile(DIGEST.replace("print(", "digest = ("), "digest", "exec"), ours)
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    environment = os.environ | {"NUMBA_DISABLE_JIT": disabled, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == ours["digest"], done.stderr


# -- snapshots


@pytest.mark.parametrize("fs", [250.0, 360.0])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_bed_moved_at_any_point_goes_on_as_if_nothing_had_been(classifier, fs, data):
    """To a new ward, where it gets another row; once or several times."""
    signal = story(fs)
    chunks = cut(signal, data.draw(SIZES), fs=fs)
    moves = sorted(data.draw(st.sets(st.integers(1, len(chunks) - 1), min_size=1, max_size=3)))
    ward, heard = Ward(classifier, capacity=1), Heard([], b"", b"")
    for first, last in zip([0, *moves], [*moves, len(chunks)], strict=True):
        if first:
            snapshot = ward.snapshot(BED)
            ward = Ward(classifier, capacity=1)
            ward.feed(cut(signal[:500], 100, bed="other", fs=fs))
            assert ward.restore(snapshot) == BED
            assert ward.snapshot(BED) == snapshot
        part = listen(one_by_one(chunks[first:last]), ward=ward)
        heard = Heard(heard.events + part.events, part.state, heard.wave + part.wave)
    assert heard == listen([cut(signal, len(signal), fs=fs)], classifier=classifier)


@settings(max_examples=30, deadline=None)
@given(hostile_signals(), st.data())
def test_a_hostile_bed_can_be_moved_too(signal, data):
    at = data.draw(st.integers(0, len(signal) - 1))
    before, after = cut(signal[: at + 1], 100), cut(signal[at + 1 :], 100, first=at + 1, seq=10_000)
    ward = Ward(capacity=1)
    first = listen(one_by_one(before), ward=ward)
    ward.restore(ward.snapshot(BED))
    second = listen(one_by_one(after), ward=ward) if after else Heard([], first.state, b"")
    assert first.events + second.events == listen(one_by_one(before + after)).events
    assert second.state == listen(one_by_one(before + after)).state


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_truncated_snapshot_is_refused(data):
    ward = Ward(capacity=1)
    ward.feed(cut(story()[:3600], 360))
    snapshot = ward.snapshot(BED)
    length = data.draw(st.one_of(st.integers(0, 300), st.integers(0, len(snapshot) - 1)))
    with pytest.raises(ConfigError, match="snapshot"):
        ward.restore(snapshot[:length])
    assert ward.snapshot(BED) == snapshot, "the bed is as it was"


# -- nothing looks ahead


@pytest.mark.parametrize("fs", RATES)
def test_an_event_rests_on_the_samples_up_to_emitted_and_on_all_of_them(classifier, fs):
    """Cut there, every event is the same; cut one sample earlier, it is not there."""
    signal = story(fs)
    whole = listen([cut(signal, len(signal), fs=fs)], classifier=classifier).events
    assert {type(event).type for event in whole} == {"trigger", "qrs", "beat", "rhythm", "alarm", "quality"}
    heard = {}
    for event in whole:
        for end in (event.emitted, event.emitted + 1):
            if end not in heard:
                heard[end] = listen([cut(signal[:end], end, fs=fs)], classifier=classifier).events
        assert event in heard[event.emitted + 1]
        assert event not in heard[event.emitted]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from((128.0, 250.0, 360.0, 1000.0)), st.data())
def test_no_event_of_a_hostile_signal_looks_ahead(fs, data):
    """The events up to any sample are those of the stream cut there."""
    signal = data.draw(hostile_signals(fs))
    end = data.draw(st.integers(1, len(signal)))
    whole = listen([cut(signal, len(signal), fs=fs)]).events
    assert listen([cut(signal[:end], end, fs=fs)]).events == [event for event in whole if event.emitted < end]


# -- what the network broke or a device sent twice


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_duplicates_and_reordering_do_not_show(data):
    """Every message comes one to ten times, each up to eight messages late, alone or several in a feed."""
    signal = story()
    chunks = cut(signal, data.draw(st.lists(st.integers(20, 700), min_size=1, max_size=6)))
    shuffle = random.Random(data.draw(st.integers(0, 2**32 - 1)))
    copies = data.draw(st.integers(1, 10))
    arrivals = [
        (chunk.seq + shuffle.uniform(0, REORDER_WINDOW), number, chunk)
        for chunk in chunks
        for number in range(shuffle.randint(1, copies))
    ]
    arrived = [chunk for _, _, chunk in sorted(arrivals, key=lambda arrival: arrival[:2])]
    together = data.draw(st.integers(1, 10))
    feeds = [arrived[i : i + together] for i in range(0, len(arrived), together)]
    assert listen(feeds) == listen([chunks])


@settings(max_examples=30, deadline=None)
@given(SIZES, st.integers(0, 2**32 - 1))
def test_messages_that_overlap_do_not_show(sizes, seed):
    """A device that sends some of its last samples again with every message."""
    signal = story()
    shuffle = random.Random(seed)
    chunks = []
    for chunk in cut(signal, sizes):
        again = min(chunk.first, shuffle.randint(0, 200))
        first = chunk.first - again
        chunks.append(Chunk(BED, 1, chunk.seq, first, chunk.fs, signal[first : chunk.end]))
    assert listen(one_by_one(chunks)) == listen([cut(signal, len(signal))])


GAPS = st.one_of(st.integers(1, 40), st.integers(1, 10_000), st.sampled_from((10, 11, 1440, 10_000)))
CUT_AT = st.integers(round(12.0 * FS), round(12.75 * FS))


def with_gap(signal, at, count, fs=360.0):
    """What is heard without samples ``at .. at + count``; they are awaited for more than a second."""
    before = cut(signal[:at], 100, fs=fs)
    after = cut(signal[at + count :], 100, fs=fs, first=at + count, seq=len(before) + 1)
    return listen([*one_by_one(before), after], seconds_after=1.5)


@settings(max_examples=80, deadline=None)
@given(GAPS, CUT_AT, st.sampled_from((-3.0, 0.0, 3.0)))
def test_a_gap_is_reported_exactly_and_its_join_makes_neither_beat_nor_asystole(count, at, step):
    """Wherever in the heart's cycle it begins and ends, and though the signal returns at another level.

    A gap within HOLD is bridged at the device's own level: nothing tells such a step from a QRS.
    """
    strip = render(steady(80, 0.5, 55.0), 56.0)
    signal = strip.signal.copy()
    if count > HOLD * FS:
        signal[at + count :] += step
    events = with_gap(signal, at, count).events
    (gap,) = of(events, Gap)
    assert (gap.first, gap.count, gap.sample, gap.emitted) == (at, count, at, at + count)
    found = np.array([event.sample for event in of(events, Qrs)])
    nearest = np.abs(found[:, None] - strip.r_peaks).min(1)
    assert nearest.max() <= 0.150 * FS, "each beat found is one"
    assert {alarm.code for alarm in of(events, Alarm)} <= {"GAP"}


@pytest.mark.parametrize("fs", [250.0, 1000.0])
@settings(max_examples=15, deadline=None)
@given(count=st.integers(1, 10_000), data=st.data())
def test_a_gap_is_exact_on_the_devices_own_clock(fs, count, data):
    at = round(fs * data.draw(st.floats(5.0, 8.0)))
    events = with_gap(sinus(60.0, fs=fs), at, count, fs).events
    (gap,) = of(events, Gap)
    assert (gap.first, gap.count) == (at, count)
    assert "ASYSTOLE" not in {alarm.code for alarm in of(events, Alarm)}


@settings(max_examples=30, deadline=None)
@given(GAPS, CUT_AT)
def test_samples_that_never_came_are_as_samples_that_are_none(count, at):
    """A gap is analysed as so many NaN: it is reported besides, and what is known of it comes with its end."""
    signal = sinus(50.0)
    signal[at : at + count] = np.nan
    lost, none = with_gap(signal, at, count), listen([cut(signal, 500)])
    late = [replace(e, emitted=at + count) if at <= e.emitted < at + count else e for e in none.events]
    for event in of(lost.events + late, Alarm):
        event.history = None  # of events that are compared themselves
    assert sorted(map(repr, (e for e in lost.events if type(e) is not Gap))) == sorted(map(repr, late))
    assert (lost.state, lost.wave) == (none.state, none.wave)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5000), st.data())
def test_no_event_around_a_gap_looks_ahead(count, data):
    """An event inside the gap is emitted when the gap is known: with the sample after it."""
    at = data.draw(CUT_AT)
    signal = sinus(30.0)
    whole = with_gap(signal, at, count).events
    for event in whole[::7]:
        assert event in with_gap(signal[: event.emitted + 1], at, count).events
        assert event not in with_gap(signal[: event.emitted], at, count).events


# -- in any case


@settings(max_examples=100, deadline=None)
@given(hostile_signals())
def test_events_are_in_order_and_each_is_told_once(signal):
    events = listen([cut(signal, 500)]).events
    assert [event.emitted for event in events] == sorted(event.emitted for event in events)
    assert all(0 <= event.sample <= event.emitted < len(signal) for event in events)
    found, beats = of(events, Qrs), of(events, Beat)
    named = [beat.sample for beat in finals(events)]
    assert named == [event.sample for event in found][: len(named)]
    assert len(set(named)) == len(named)
    stages = [(beat.sample, beat.final) for beat in beats]
    assert stages == sorted(set(stages)), "of each beat first the provisional name, then the final one"
    raised = Counter(alarm.id for alarm in of(events, Alarm) if alarm.state == "raised")
    assert set(raised.values()) <= {1}, "no alarm is raised twice under one id"


class Fickle:
    """Calls most beats V, some N, and often changes its mind when the next beat is known."""

    def classify(self, windows, features):
        known = features[:, [FEATURES.index("next_known"), FEATURES.index("next_awaited")]].any(1)
        drawn = (np.abs(windows[:, 0]).sum(1).astype(np.float64) * 997 + 7 * known) % 10
        return np.eye(len(AAMI_CLASSES), dtype=np.float32)[np.where(drawn < 7, 2, 0)]


@settings(max_examples=40, deadline=None)
@given(hostile_signals(), SIZES)
def test_names_that_change_raise_no_alarm_twice_at_any_cut(signal, sizes):
    signal = np.concatenate([np.asarray(story()[: 13 * FS]), signal])
    whole = listen([cut(signal, len(signal))], classifier=Fickle())
    assert listen(one_by_one(cut(signal, sizes)), classifier=Fickle()) == whole
    told = of(whole.events, Alarm)
    assert max(Counter(alarm.id for alarm in told if alarm.state == "raised").values(), default=0) <= 1
    standing = {alarm.id for alarm in told if alarm.state == "raised"} - {a.id for a in told if a.state == "cleared"}
    assert len({name.split(":")[2] for name in standing}) == len(standing), "one alarm of a code at a time"


def test_such_names_are_revised_and_their_alarms_too():
    signal = np.concatenate([story()[: 13 * FS]] * 6)
    events = listen([cut(signal, len(signal))], classifier=Fickle()).events
    named = {(beat.sample, beat.final): beat.symbol for beat in of(events, Beat)}
    assert any(named.get((sample, False), symbol) != symbol for (sample, final), symbol in named.items() if final)
    reasons = {(alarm.state, alarm.reason) for alarm in of(events, Alarm) if alarm.code in ("VRUN", "VTACH")}
    assert {("cleared", "revised"), ("raised", "revised")} <= reasons
