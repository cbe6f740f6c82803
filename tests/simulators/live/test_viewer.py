"""What the bench's viewer reads out of the feed is what the hub wrote."""

import numpy as np

from monitor.feed import HISTORY, dumps, encode_frame, to_segments
from monitor.views import Wave
from simulators.live.viewer import Viewer


def test_frames_are_noted_with_their_time_and_last_sample():
    viewer = Viewer()
    waves = [(3, Wave("a", 100, np.zeros((7, 1), np.float32))), (4, Wave("b", 0, np.zeros((36, 2), np.float32)))]
    viewer.take(encode_frame(to_segments(waves)), 1.5)
    viewer.take(encode_frame(to_segments(waves[1:])), 2.5)
    viewer.take(encode_frame(to_segments(waves), flags=HISTORY), 3.5)
    assert (list(viewer.wave_times), list(viewer.wave_beds)) == ([1.5, 1.5, 2.5], [3, 4, 4])
    assert list(viewer.wave_ends) == [107, 36, 36]


def test_beds_and_events_are_noted():
    viewer = Viewer()
    viewer.take(dumps({"type": "hello", "beds": [{"index": 0, "bed": "a", "origin": 5}]}), 1.0)
    beds = [{"index": 1, "bed": "b", "origin": 0}]
    viewer.take(encode_frame([], dumps({"beds": beds, "events": [{"type": "beat"}, {"type": "gap"}]}).encode()), 2.0)
    viewer.take(encode_frame([], dumps({"events": [{"type": "beat"}]}).encode(), flags=HISTORY), 3.0)
    assert (viewer.names, viewer.origins) == ({0: "a", 1: "b"}, {0: 5, 1: 0})
    assert viewer.events == [(2.0, {"type": "beat"}), (2.0, {"type": "gap"})]
