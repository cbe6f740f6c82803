"""`wardbeat config show`: every value with where it comes from."""

from __future__ import annotations

import json
import os

import pytest
from typer.testing import CliRunner

from monitor.cli.config import app
from monitor.exceptions import ConfigError
from monitor.settings import Settings, explain


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    """No settings of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("WARDBEAT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def shown(*arguments):
    result = CliRunner().invoke(app, ["show", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_every_setting_is_told_and_each_origin_is_right(tmp_path, monkeypatch):
    path = tmp_path / "w.toml"
    path.write_text('port = 1\ntick = 0.1\n[beds.bed-01]\nlow = 50\nprofile = "neonatal"\n')
    monkeypatch.setenv("WARDBEAT_PORT", "2")
    monkeypatch.setenv("WARDBEAT_BEDS__BED-01__HIGH", "220")
    monkeypatch.setenv("WARDBEAT_BEDS", '{"bed-02": {"paced": true}}')
    told = json.loads(shown("--config", str(path), "--json"))
    assert (told["file"], told["exists"]) == (str(path), True)
    settings = {each["name"]: (each["value"], each["origin"]) for each in told["settings"]}
    assert set(Settings.model_fields) - {"beds"} == {name for name in settings if not name.startswith("beds.")}
    assert settings["port"] == (2, "WARDBEAT_PORT"), "a variable counts before the file"
    assert settings["tick"] == (0.1, str(path))
    assert settings["host"] == ("127.0.0.1", "default")
    assert {name: found for name, found in settings.items() if name.startswith("beds.")} == {
        "beds.bed-01.low": (50.0, str(path)),
        "beds.bed-01.profile": ("neonatal", str(path)),
        "beds.bed-01.high": (220.0, "WARDBEAT_BEDS__BED-01__HIGH"),
        "beds.bed-02.paced": (True, "WARDBEAT_BEDS"),
    }


def test_table_names_the_file_that_is_looked_for(tmp_path):
    page = shown()
    assert "8765" in page
    assert "(there is none)" in page
    assert page.splitlines()[-1].startswith(f"file: {tmp_path}")


def test_a_wrong_setting_is_refused_by_its_own_name_and_not_by_one_that_begins_alike(tmp_path, monkeypatch):
    path = tmp_path / "w.toml"
    path.write_text("broker_port = 0\n")
    monkeypatch.setenv("WARDBEAT_BROKER_PORT_X", "")
    monkeypatch.setenv("WARDBEAT_BROKER", "")
    with pytest.raises(ConfigError, match=f"{path}: broker_port"):
        explain(path)
