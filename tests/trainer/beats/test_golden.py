"""Golden beats are made up, always the same, and like those a monitor meets."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.beats import FEATURES, channels_of, features_of
from monitor.window import WIDTH
from trainer.beats.golden import golden_inputs, made_up_ecg
from trainer.beats.labelled import inputs_of


@pytest.mark.parametrize("leads", [1, 2])
def test_they_are_the_same_every_time(leads: int) -> None:
    windows, features = golden_inputs(leads, 16)
    assert windows.shape == (16, len(channels_of(leads)), WIDTH)
    assert features.shape == (16, len(features_of(leads)))
    again = golden_inputs(leads, 16)
    assert (windows.tobytes(), features.tobytes()) == (again[0].tobytes(), again[1].tobytes())
    assert windows.tobytes() != golden_inputs(leads, 16, seed=1)[0].tobytes()


def test_there_are_normal_early_and_wide_beats_among_them() -> None:
    rule = {name: golden_inputs(1, 16)[1][:, FEATURES.index(name)].sum() for name in ("rule_n", "rule_s", "rule_v")}
    assert all(count >= 1 for count in rule.values()), rule
    assert sum(rule.values()) == 16


def test_the_monitor_finds_the_beats() -> None:
    record, r_peaks, kinds = made_up_ecg(1)
    _, _, beats = inputs_of(record)
    assert len(r_peaks) == len(kinds)
    assert abs(len(beats) - len(kinds)) <= 2
    assert 60 < len(beats) < 90
    assert np.all(np.diff([beat.sample for beat in beats]) > 100)
