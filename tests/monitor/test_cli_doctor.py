"""`wardbeat doctor`: what it finds, and that it finds what is wrong."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
from collections import namedtuple

import numba
import pytest
import typer
from typer.testing import CliRunner

from monitor.cli import doctor
from monitor.exceptions import ModelError

app = typer.Typer()
app.command()(doctor.doctor)


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """No settings of whoever runs the tests; no model is loaded but where a test wants it."""
    for name in [name for name in os.environ if name.startswith("WARDBEAT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(doctor, "_models", lambda: doctor.Finding("models", "ok", "not looked at"))


def findings():
    return {finding.what: finding for finding in doctor.examine()}


def test_a_machine_that_can_run_these_tests_has_nothing_wrong():
    assert [finding for finding in doctor.examine() if finding.state == "wrong"] == []
    result = CliRunner().invoke(app, ["--json"])
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert {"Python", "packages", "settings", "embedded broker", "models", "mitdb"} <= {each["what"] for each in told}
    assert all(set(each) == {"what", "state", "found", "remedy"} for each in told)


def test_a_wrong_setting_is_told_with_its_place_and_fails(monkeypatch):
    monkeypatch.setenv("WARDBEAT_TICK", "soon")
    assert findings()["settings"].found.startswith("WARDBEAT_TICK: ")
    result = CliRunner().invoke(app)
    assert result.exit_code == 1
    assert "WRONG" in result.stdout


def test_packages_that_are_missing_or_of_another_version(monkeypatch):
    versions = {"torch": "2.14.0", "gmqtt": None}
    real = importlib.metadata.version

    def version(name):
        if name not in versions:
            return real(name)
        if versions[name] is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = findings()["packages"]
    assert found.state == "wrong"
    assert found.found == "torch 2.14.0 is not ==2.13.*; gmqtt is not installed"


def test_a_local_version_of_torch_is_the_version(monkeypatch):
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.13.0+cpu" if name == "torch" else real(name))
    assert findings()["packages"].state == "ok"


def test_programs_and_databases_one_can_do_without(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    found = findings()
    assert (found["mosquitto"].state, found["mosquitto"].remedy) == ("optional", "apt install mosquitto")
    assert (found["mitdb"].state, found["mitdb"].remedy) == ("optional", "wardbeat data get mitdb")


def test_kernels_compiled_anew_each_time_and_a_full_disk(monkeypatch):
    monkeypatch.setattr(numba.core.config, "CACHE_DIR", "")
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1 << 20))
    found = findings()
    assert found["kernels"].state == found["store"].state == "wrong"
    assert found["store"].remedy == "make room"


def test_less_room_than_recordings_may_take(monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(40_000_000_000))
    assert findings()["store"].state == "optional"
    assert "recordings may take 50 GB" in findings()["store"].found
    monkeypatch.setenv("WARDBEAT_KEEP_GB", "30")
    assert findings()["store"].state == "ok"


def test_a_model_that_is_not_the_pinned_one(monkeypatch):
    def refuse():
        raise ModelError("not the pinned file", where="beats.pt", remedy="install wardbeat again")

    monkeypatch.setattr(doctor, "_models", refuse)
    assert findings()["models"] == doctor.Finding(
        "models", "wrong", "beats.pt: not the pinned file", "install wardbeat again"
    )
