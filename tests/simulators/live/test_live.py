"""The bench itself, whole: a few beds for a few seconds through the broker that comes along."""

import json

import pytest
from typer.testing import CliRunner

from monitor.cli import app


@pytest.mark.slow
def test_a_few_beds_are_measured_and_nothing_is_lost(tmp_path, monkeypatch):
    file = tmp_path / "live.json"
    words = ["bench", "live", "--beds", "4", "--seconds", "8", "--broker", "nats", "--json", str(file)]
    monkeypatch.setattr("sys.argv", ["wardbeat", *words])
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    [run] = json.loads(file.read_text())["runs"]
    assert (run["published"], run["lost"], run["gaps"]) == (4 * 160, 0, 0)
    assert run["delays"]["beats"]["count"] > 4 * 4
    assert run["delays"]["beats"]["p50"] > 0
    assert {"core", "MQTT and decoding"} <= set(run["stages"])
    assert run["cpu_us"] > 0
