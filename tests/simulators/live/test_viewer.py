"""What the bench's viewer reads out of the feed is what the hub wrote."""

import numpy as np

from monitor.feed import dumps, encode_waves
from monitor.views import Wave
from simulators.live.viewer import Viewer


def test_frames_are_noted_with_their_time_and_last_sample():
    viewer = Viewer()
    waves = [(3, Wave("a", 100, np.zeros((7, 1), np.float32))), (4, Wave("b", 0, np.zeros((36, 2), np.float32)))]
    viewer.take(encode_waves(waves, 0.0), 1.5)
    viewer.take(encode_waves(waves[1:], 0.0), 2.5)
    assert (list(viewer.wave_times), list(viewer.wave_beds)) == ([1.5, 1.5, 2.5], [3, 4, 4])
    assert list(viewer.wave_ends) == [107, 36, 36]


def test_beds_and_events_are_noted():
    viewer = Viewer()
    viewer.take(dumps({"type": "hello", "beds": [{"index": 0, "bed": "a", "origin": 5}]}), 1.0)
    viewer.take(dumps({"type": "bed", "index": 1, "bed": "b", "origin": 0}), 1.0)
    viewer.take(dumps({"type": "vitals", "beds": []}), 1.0)
    viewer.take(dumps({"type": "events", "events": [{"type": "beat"}, {"type": "gap"}]}), 2.0)
    assert (viewer.names, viewer.origins) == ({0: "a", 1: "b"}, {0: 5, 1: 0})
    assert viewer.events == [(2.0, {"type": "beat"}), (2.0, {"type": "gap"})]
