"""From messages to one clean stream: order and gaps (Sequencer), then settling and resampling (step)."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal as scipy_signal
from streams import SIZES, cut

from monitor import align
from monitor.align import LEAD_OFF, MISSING, OK, REASONS, REORDER_WINDOW, SATURATED, Sequencer
from monitor.ecg import FS, MAX_LEADS
from monitor.messages import Chunk

RATES = (100.0, 128.0, 249.0, 250.0, 359.999, 360.0, 361.0, 500.0, 1000.0)


# -- order, duplicates, gaps


def message(number, *, n=10, first=None, stream=1, fs=360.0, leads=2):
    """Message `number` of a stream of n samples each."""
    first = number * n if first is None else first
    return Chunk("bed", stream, number, first, fs, np.zeros((n, leads), np.float32))


def push(sequencer, *messages, now=0.0):
    """The runs that messages release, as (number, skip, missing, restart)."""
    runs = [run for m in messages for run in sequencer.push(m, now)]
    return [(run.chunk.seq, run.skip, run.missing, run.restart) for run in runs]


def started():
    """A sequencer that has released message 0: samples 0-9."""
    sequencer = Sequencer()
    assert push(sequencer, message(0)) == [(0, 0, 0, True)]
    return sequencer


def test_messages_in_order_pass():
    assert push(started(), message(1), message(2)) == [(1, 0, 0, False), (2, 0, 0, False)]


def test_a_duplicate_is_dropped_and_counted():
    sequencer = started()
    assert push(sequencer, message(0), message(1), message(1)) == [(1, 0, 0, False)]
    assert sequencer.duplicates == 2


def test_a_duplicate_of_a_waiting_message_is_dropped():
    sequencer = started()
    assert push(sequencer, message(2), message(2)) == []
    assert push(sequencer, message(1)) == [(1, 0, 0, False), (2, 0, 0, False)]
    assert sequencer.duplicates == 1


def test_of_an_overlap_only_the_new_samples_are_taken():
    assert push(started(), message(1, first=6)) == [(1, 4, 0, False)]


def test_messages_eight_late_are_put_back():
    later = [message(number) for number in range(2, 2 + REORDER_WINDOW)]
    sequencer = started()
    assert push(sequencer, *later) == []
    assert [run[0] for run in push(sequencer, message(1))] == list(range(1, 2 + REORDER_WINDOW))


def test_the_ninth_later_message_turns_the_missing_one_into_a_gap():
    later = [message(number) for number in range(2, 3 + REORDER_WINDOW)]
    sequencer = started()
    runs = push(sequencer, *later)
    assert runs[0] == (2, 0, 10, False)
    assert [run[2] for run in runs[1:]] == [0] * REORDER_WINDOW
    assert push(sequencer, message(1)) == [], "it is too late now"


def test_only_the_first_of_two_gaps_is_given_up():
    sequencer = started()
    assert push(sequencer, *map(message, (2, 4, 5, 6, 7, 8, 9, 10))) == []
    assert push(sequencer, message(11)) == [(2, 0, 10, False)]
    assert [run[0] for run in push(sequencer, message(3))] == list(range(3, 12))


def test_a_missing_message_is_awaited_for_a_second():
    sequencer = started()
    assert push(sequencer, message(2), now=5.0) == []
    assert sequencer.expire(6.0) == []
    (run,) = sequencer.expire(6.001)
    assert (run.chunk.seq, run.missing) == (2, 10)


def test_joining_under_way_waits_for_the_first_in_order():
    sequencer = Sequencer()
    assert push(sequencer, message(7), message(6), message(8), now=1.0) == []
    runs = sequencer.expire(2.001)
    assert [(run.chunk.seq, run.missing, run.restart) for run in runs] == [
        (6, 0, True),
        (7, 0, False),
        (8, 0, False),
    ]


def test_a_gap_of_a_minute_is_filled_and_a_longer_one_restarts():
    for extra, restart in ((0, False), (1, True)):
        first = 10 + 60 * 360 + extra
        sequencer = started()
        push(sequencer, message(1, first=first), message(2, first=first + 10))
        run, after = sequencer.expire(2.0)
        assert (run.missing, run.restart) == (60 * 360 + extra, restart)
        assert (after.missing, after.restart) == (0, False)


def test_a_lone_message_from_far_ahead_is_dropped():
    sequencer = started()
    push(sequencer, message(1, first=1 << 50))
    assert sequencer.expire(2.0) == []
    assert sequencer.strays == 1
    assert push(sequencer, message(1)) == [(1, 0, 0, False)]


def test_long_messages_far_ahead_follow_one_another_slowly():
    """After a gap of minutes, from a device that sends every eleven seconds: two messages, and it is heard again."""
    sequencer = started()
    first = 10_000_000
    assert push(sequencer, message(1, n=4000, first=first)) == []
    assert sequencer.expire(1.1) == []
    assert push(sequencer, message(2, n=4000, first=first + 4000), now=11.0) == []
    run, after = sequencer.expire(12.1)
    assert (run.chunk.seq, run.missing, run.restart) == (1, first - 10, True)
    assert (after.chunk.seq, after.missing, after.restart) == (2, 0, False)


def test_a_stray_is_forgotten_once_the_stream_goes_on():
    """What lies where it lay, hours later, does not bring it back."""
    sequencer = started()
    assert push(sequencer, message(7, first=10_000_000)) == []
    assert sequencer.expire(1.1) == []
    assert push(sequencer, message(1), now=2.0) == [(1, 0, 0, False)]
    assert push(sequencer, message(8, first=10_000_010), message(9, first=10_000_020), now=3.0) == []
    assert [run.chunk.seq for run in sequencer.expire(4.1)] == [8, 9]


def test_a_device_that_begins_anew_under_its_old_stream_id_is_heard_after_two_seconds():
    sequencer = Sequencer()
    for i in range(50):
        assert sequencer.push(message(i), now=i * 0.1)
    again = [bool(sequencer.push(message(i), now=10 + i * 0.1)) for i in range(40)]
    assert again == [False] * 20 + [True] * 20
    assert sequencer.duplicates == 20


def test_many_duplicates_at_once_are_no_new_beginning():
    sequencer = Sequencer()
    for i in range(50):
        sequencer.push(message(i), now=i * 0.1)
    assert not any(sequencer.push(message(i), now=10.0) for i in range(50))
    assert sequencer.push(message(50), now=13.0)


@pytest.mark.parametrize("change", [{"stream": 2}, {"fs": 250.0}, {"leads": 3}])
def test_a_new_stream_or_format_restarts_after_what_was_held(change):
    sequencer = started()
    push(sequencer, message(2))
    assert push(sequencer, message(0, **change)) == [(2, 0, 10, False), (0, 0, 0, True)]


def test_a_straggler_of_the_stream_before_is_dropped_quietly():
    sequencer = started()
    push(sequencer, message(0, stream=2))
    assert push(sequencer, message(1, stream=1), message(1, stream=2)) == [(1, 0, 0, False)]
    assert (sequencer.stragglers, sequencer.conflicts) == (1, 0)


def test_two_devices_that_send_as_one_bed_are_a_conflict_and_never_mixed():
    sequencer = started()
    push(sequencer, message(0, stream=2), now=1.0)
    push(sequencer, message(0, stream=3), now=2.0)
    for stream in (1, 2):
        assert push(sequencer, message(1, stream=stream), now=4.0) == []
    assert sequencer.conflicts == 2
    assert push(sequencer, message(1, stream=3), now=4.0) == [(1, 0, 0, False)]


def test_a_rate_that_differs_by_less_than_the_header_can_say_is_the_same():
    assert push(started(), message(1, fs=360.0001)) == [(1, 0, 0, False)]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_every_sample_is_released_once_in_order_or_reported_missing(data):
    """Messages of random sizes; some are lost, some come again, each up to eight messages late."""
    sizes = data.draw(st.lists(st.integers(1, 50), min_size=1, max_size=40))
    firsts = np.concatenate([[0], np.cumsum(sizes)])
    sent = [message(i, n=n, first=int(first)) for i, (n, first) in enumerate(zip(sizes, firsts[:-1], strict=True))]
    lost = data.draw(st.sets(st.integers(1, len(sent)), max_size=10))
    arrivals = []
    for m in sent:
        if m.seq not in lost:
            delays = data.draw(st.lists(st.floats(0, REORDER_WINDOW), min_size=1, max_size=4))
            arrivals += [(m.seq + min(delay, REORDER_WINDOW), m) for delay in delays]
    arrivals.sort(key=lambda pair: pair[0])
    sequencer = Sequencer()
    runs = [run for _, m in arrivals for run in sequencer.push(m, 0.0)]
    while sequencer.held:
        runs += sequencer.expire(10.0)
    at = 0
    missing = set()
    for run in runs:
        first = run.chunk.first + run.skip
        assert first == at + run.missing
        missing |= set(range(at, first))
        at = run.chunk.end
    arrived = {k for m in sent if m.seq not in lost for k in range(m.first, m.end)}
    assert missing == set(range(at)) - arrived
    assert at == max(arrived) + 1


# -- settling


def align_all(samples, fs=360.0, *, sizes=100, lead_off=0):
    """Run a whole signal through `step` in blocks; return mV and flags of each lead at 360 Hz."""
    state = np.zeros(1, align.STATE)
    table, half = align.design(fs)
    state["fs_mhz"], state["half"] = round(fs * 1000), half
    leads = samples.shape[1]
    padded = np.zeros((len(samples), MAX_LEADS), np.float32)
    padded[:, :leads] = samples
    made = [(np.empty((leads, 0)), np.empty((leads, 0), np.int64))]
    for chunk in cut(padded, sizes):
        n = len(chunk.samples)
        room = int(n * FS / fs) + 2
        out, flags = np.empty((MAX_LEADS, room)), np.empty((MAX_LEADS, room), np.int64)
        count = align.step(state[0], chunk.samples, 0, n, 0, lead_off, leads, table, out, flags)
        made.append((out[:leads, :count], flags[:leads, :count]))
    return np.concatenate([out for out, _ in made], 1), np.concatenate([flags for _, flags in made], 1)


HOLD = int(align.HOLD * FS)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.5, -3.0, np.nan, np.inf, -np.inf, 2e6, 1e30, 1e-40]), st.integers(1, 30)),
        min_size=1,
        max_size=12,
    ),
    SIZES,
)
def test_what_is_no_measurement_is_settled_as_the_rules_say(stretches, sizes):
    values = np.concatenate([np.full(n, value) for value, n in stretches]).astype(np.float32)
    values[::3] += np.float32(0.1)
    out, flags = align_all(values[:, None], sizes=sizes)
    expected, reasons = naive.settle(values.astype(np.float64), HOLD)
    assert np.array_equal(out[0], expected)
    assert [REASONS[flag] for flag in flags[0]] == reasons
    assert np.isfinite(out).all()


def test_a_stream_starts_at_zero_wherever_its_baseline_is():
    out, _ = align_all(np.full((5, 2), 7.25, np.float32))
    assert not out.any()


def test_a_signal_returns_at_the_level_where_it_was_lost():
    values = np.zeros((300, 1), np.float32)
    values[:100] = np.linspace(0, 1, 100)[:, None]
    values[100:200] = np.nan
    values[200:] = 40.0
    out, flags = align_all(values)
    assert np.all(out[0, 100:] == out[0, 99])
    assert flags[0, 99:201].tolist() == [OK] + [MISSING] * 100 + [OK]


def test_a_glitch_is_bridged_at_the_devices_own_level():
    """Shifting the level for a lost sample or two would add a random walk to the baseline."""
    values = np.zeros((60, 1), np.float32)
    values[20:30] = np.nan
    values[30:] = 0.5
    out, _ = align_all(values)
    assert out[0, 29] == 0.0
    assert np.all(out[0, 30:] == 0.5)


def test_an_electrode_off_outweighs_whatever_the_lead_sends():
    values = np.array([[1.0, 1.0], [np.inf, np.inf]], np.float32)
    _, flags = align_all(values, lead_off=0b10)
    assert flags.tolist() == [[OK, SATURATED], [LEAD_OFF, LEAD_OFF]]


# -- resampling


def tone(hz, fs, seconds=4.0):
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * fs)) / fs).astype(np.float32)[:, None]


@pytest.mark.parametrize("fs", RATES)
def test_resampling_agrees_with_the_obvious_way(fs):
    rng = np.random.default_rng(1)
    values = rng.normal(0.0, 1.0, (round(fs), 1)).astype(np.float32)
    values[0] = 0.0  # the first sample is the zero of a stream
    out, _ = align_all(values, fs)
    if fs == FS:
        assert np.array_equal(out[0], values[:, 0]), "360 Hz passes untouched"
        return
    expected = naive.resample(values[:, 0].astype(np.float64), fs)
    assert len(out[0]) == len(expected)
    assert np.abs(out[0] - expected).max() < 1e-4


@pytest.mark.parametrize(
    ("fs", "hz"),
    [(fs, hz) for fs in RATES for hz in (0.5, 5.0, 17.0, 30.0, 40.0) if fs >= 120 or hz <= 30],
)
def test_the_pass_band_comes_through_with_no_delay_at_all(fs, hz):
    """Sample k at 360 Hz is the signal at k / 360 s, to 1 %: a phase error of 1 % at 40 Hz were 40 us."""
    out, _ = align_all(tone(hz, fs), fs)
    k = np.arange(len(out[0]))
    expected = np.sin(2 * np.pi * hz * k / FS)
    assert np.abs(out[0] - expected)[36:].max() < 0.01  # the first 100 ms have no past


@pytest.mark.parametrize("fs", [720.0, 1000.0])
def test_what_would_alias_into_the_band_is_taken_out(fs):
    for hz in (320.0, 340.0, 355.0):
        out, _ = align_all(tone(hz, fs), fs)
        assert np.abs(out[0, 36:]).max() < 0.003, f"{hz} Hz"


@pytest.mark.parametrize("fs", [180.0, 720.0])
def test_resampling_by_two_agrees_with_scipy(fs):
    """Two ways of band-limited interpolation agree where both pass: below 30 Hz."""
    rng = np.random.default_rng(2)
    band = scipy_signal.butter(6, 30.0, fs=fs, output="sos")
    values = scipy_signal.sosfilt(band, rng.normal(size=round(4 * fs))).astype(np.float32)
    values -= values[0]
    up, down = (2, 1) if fs < FS else (1, 2)
    expected = scipy_signal.resample_poly(values.astype(np.float64), up, down)
    out, _ = align_all(values[:, None], fs)
    middle = slice(FS, len(out[0]) - FS)
    assert np.abs(out[0, middle] - expected[middle]).max() < 0.01 * np.abs(expected).max()


@pytest.mark.parametrize("fs", RATES)
def test_an_output_sample_comes_with_its_last_input_and_not_before(fs):
    """`emitted_input` names the input whose arrival makes an output; half as many more would be a longer delay."""
    state = np.zeros(1, align.STATE)
    table, half = align.design(fs)
    fs_mhz = round(fs * 1000)
    state["fs_mhz"], state["half"] = fs_mhz, half
    out, flags = np.empty((MAX_LEADS, 8)), np.empty((MAX_LEADS, 8), np.int64)
    samples = np.zeros((1, MAX_LEADS), np.float32)
    k = 0
    for index in range(1500):
        for _ in range(align.step(state[0], samples, 0, 1, 0, 0, 1, table, out, flags)):
            assert align.emitted_input(k, fs_mhz, half) == index
            k += 1
    assert k > 1490 * min(1.0, FS / fs) - 50


@pytest.mark.parametrize("fs", RATES)
@settings(max_examples=15, deadline=None)
@given(sizes=SIZES, seed=st.integers(0, 1000))
def test_blocks_do_not_show(fs, sizes, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(0.0, 1.0, (700, 2)).astype(np.float32)
    values[rng.random((700, 2)) < 0.1] = np.nan
    for one, other in zip(align_all(values, fs, sizes=len(values)), align_all(values, fs, sizes=sizes), strict=True):
        assert np.array_equal(one, other)


def test_no_rate_needs_more_than_a_ring_of_inputs():
    for fs in np.arange(100.0, 1000.5, 2.5):
        table, half = align.design(float(fs))
        assert half <= align.TAPS // 2
        if half:
            assert np.allclose(table.sum(1), 1.0)
            assert not table[:, : align.TAPS - 2 * half].any()
