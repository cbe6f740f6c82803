"""The command ``wardbeat recordings``."""

from __future__ import annotations

import json

import edfio
import numpy as np
import pytest
import wfdb
from recorder_writer import SIZE, numbered
from typer.testing import CliRunner

from monitor.cli.recordings import app
from monitor.events import Beat
from monitor.exceptions import ConfigError
from monitor.recorder.recorder import Recorder
from monitor.sequencer import Run
from monitor.settings import default_store
from monitor.tick import Tick


@pytest.fixture
def store(tmp_path):
    with Recorder(tmp_path) as recorder:
        for i in range(100):
            beat = Beat("bed", i * SIZE + 3, i * SIZE + 30, "V", "V")
            recorder.write(Tick(i + 1, 0.1 * i, 1.79e9 + 0.1 * i, [beat], [("bed", Run(numbered(i * SIZE)))]))
    return tmp_path


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def test_list(store):
    assert "bed/2026" in call("list", "--store", store).output
    (entry,) = json.loads(call("list", "--json", "--store", store).output)
    assert (entry["length"], entry["beats"], entry["whole"]) == (3600, 100, True)


def test_export_in_each_format(store):
    (entry,) = json.loads(call("list", "--json", "--store", store).output)
    name, out = f"bed/{entry['name']}", store / "out"
    wanted = np.stack([np.arange(3600), -np.arange(3600)], 1)
    base = out / f"bed_{entry['name']}"
    for form in ("wfdb", "csv", "edf"):
        assert call("export", name, "--format", form, "--out", out, "--store", store).exit_code == 0
    assert (wfdb.rdrecord(str(base), physical=False).d_signal == wanted).all()
    assert wfdb.rdann(str(base), "atr").sample[1] == SIZE + 3
    edf = edfio.read_edf(base.with_suffix(".edf"))
    assert (np.stack([signal.digital for signal in edf.signals], 1) == wanted).all()
    assert np.allclose(edf.signals[0].data, wanted[:, 0] * 0.005, atol=1e-3)
    assert len(edf.annotations) == 100
    table = np.genfromtxt(base.with_suffix(".csv"), delimiter=",", skip_header=1)
    assert np.allclose(table[:, 1], wanted[:, 0] * 0.005)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "bed/../bed/x", "bed/none", "bed"])
def test_names_that_are_none_are_refused(store, name):
    with pytest.raises(ConfigError, match="no such recording"):
        call("export", name, "--store", store)


def test_without_arguments_they_are_looked_for_where_serve_keeps_them(store, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("WARDBEAT_STORE", raising=False)
    with pytest.raises(ConfigError, match="no recordings here"):
        call("list")
    default_store().parent.mkdir(parents=True)
    default_store().symlink_to(store)
    assert "bed/2026" in call("list").output
