"""The figures of the bench, from frames whose delays and losses are known."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from simulators.live import probe
from simulators.live.measure import Plan, _delay, _Frames
from simulators.live.sampled import LOOP, Sampler, stage_of
from simulators.live.viewer import Viewer
from simulators.load import load_of
from simulators.player import Bed
from simulators.scenario import find_scenario

BEDS = load_of([Bed("bed-01", find_scenario("sinus").patient(seed=1), "", False)], 2, rate=10.0)


def frames(lost=(), waves_late=0.03, event_late=0.05):
    """Two beds, 100 messages each sent at 0.1 s, shown `waves_late` later two at a time; a beat in each message."""
    viewer = Viewer()
    viewer.names, viewer.origins = {0: "bed-02", 1: "bed-01"}, {0: 0, 1: 36}
    times = np.tile(np.arange(1, 101) / 10, (2, 1))
    for index, place, origin in ((0, 1, 0), (1, 0, 36)):
        for m in range(1, 100, 2):
            if m in lost:
                continue
            viewer.wave_times.append(times[place, m] + waves_late)
            viewer.wave_beds.append(index)
            viewer.wave_ends.append(36 * (m + 1) - origin)
        for m in range(100):
            event = {"type": "beat", "bed": viewer.names[index], "emitted": 36 * m + 35}
            viewer.events.append((times[place, m] + event_late, event))
    return _Frames(viewer, BEDS, times, Plan(2, 8.0))


def test_delays_are_counted_from_the_message_that_an_event_needs():
    delays = frames().delays(1.0, 9.0)
    assert (delays["beats"].count, delays["waveforms"].count, delays["alarms raised"].count) == (160, 80, 0)
    assert [delays["beats"].p50, delays["beats"].p99, delays["beats"].worst] == pytest.approx([50.0] * 3)
    assert delays["waveforms"].worst == pytest.approx(30.0)
    assert np.isnan(delays["alarms raised"].p99)


def test_a_steady_monitor_has_no_growing_backlog_and_no_loss():
    counted = frames().counted(1.0, 9.0)
    assert (counted["published"], counted["shown"], counted["lost"]) == (200, 200, 0)
    assert abs(counted["backlog_slope"]) < 0.2


def test_what_was_never_shown_is_lost():
    """Of both beds the last four messages."""
    assert frames(lost=(97, 99)).counted(1.0, 9.0)["lost"] == 8


def test_delays_outside_the_time_do_not_count():
    pairs = np.array([(1.1, 1.0), (2.5, 2.0), (9.0, 3.0), (5.0, np.nan)])
    assert _delay(pairs, 1.5, 3.0).worst == pytest.approx(500.0)


def test_functions_belong_to_the_stage_of_the_nearest_module_that_has_one():
    sampler = Sampler(None)
    space = {"__name__": "numpy.somewhere", "look": lambda: sampler.look(0, sys._getframe(1))}
    exec("def leaf(): look()", space)
    caller = {"__name__": "monitor.feed", "leaf": space["leaf"]}
    exec("def encode(): leaf()", caller)
    caller["encode"]()
    assert dict(sampler.stages) == {"hub": 1}
    assert dict(sampler.functions) == {"hub: numpy.somewhere.leaf": 1}
    space["leaf"]()
    assert sampler.stages[LOOP] == 1
    assert stage_of("monitor.recorder.files") == "recorder"


def test_processor_time_and_memory_are_read():
    before, busy = probe.used_s(os.getpid()), probe.busy_s({0})
    while probe.used_s(os.getpid()) == before:  # two ticks of the clock at most
        sum(range(100_000))
    assert probe.busy_s({0}) >= busy
    assert 1 < probe.resident_mb(os.getpid()) < 100_000
    assert probe.used_s(2**22 + 1) == 0.0


def test_the_probe_tells_when_it_is_told_to_stop():
    core = min(os.sched_getaffinity(0))
    run = subprocess.Popen(
        [sys.executable, "-m", "simulators.live.probe", str(core)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    out, _ = run.communicate(b"\n", timeout=60)
    found = json.loads(out)
    assert 0 <= found["p50_ms"] <= found["p99_ms"] <= found["max_ms"]
