"""Tables of waves: corners where asked, drawn anywhere between samples."""

import numpy as np
import pytest

from simulators.shapes import pacer, polygon


def test_polygon_keeps_its_highest_point_and_its_feet():
    shape = polygon([(-0.05, 0.0), (0.0, 1.5), (0.05, 0.0)])
    assert np.abs(shape.mv).max() == pytest.approx(1.5)
    assert abs(shape.t[shape.mv.argmax()]) < 1e-3
    assert np.abs(shape.mv[np.abs(shape.t) > 0.0532]).max() < 1e-6


@pytest.mark.parametrize("fs", [250.0, 360.0, 1000.0])
def test_shape_may_lie_between_samples_and_beyond_the_line(fs):
    shape = polygon([(-0.05, 0.0), (0.0, 1.0), (0.05, 0.0)], 0.02)
    line = np.zeros(round(fs))
    shape.add_to(line, 0.5 + 0.4 / fs, fs)
    centre = (np.arange(line.size) / fs) @ line / line.sum()
    assert centre == pytest.approx(0.5 + 0.4 / fs, abs=1e-4)
    before = line.copy()
    shape.add_to(line, -1.0, fs)
    shape.add_to(line, 3.0, fs)
    np.testing.assert_array_equal(line, before)
    shape.add_to(line, 0.0, fs)
    assert line[0] == pytest.approx(1.0, abs=0.1)


def test_pacer_is_a_pulse_and_a_tail_of_the_other_sign():
    shape = pacer(2.0, 2.0, tail_mv=0.3, tail_ms=20.0)
    assert 0.8 < shape.mv.max() < 2.0
    assert shape.mv.min() == pytest.approx(-0.3, rel=0.15)
    assert np.interp(0.042, shape.t, shape.mv) == pytest.approx(-0.3 * np.exp(-2.0), rel=0.1)
    assert pacer(-2.0, 2.0).mv.min() < -0.8
