"""Where settings come from, and what is said about wrong ones."""

import os
from pathlib import Path

import pytest

from monitor.commands import SetLimits, SetPaced, SetProfile
from monitor.exceptions import ConfigError
from monitor.profiles import PROFILES
from monitor.settings import BedSettings, load_settings

SHA = "0" * 64


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    """No settings of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("WARDBEAT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def toml(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "settings.toml"
        path.write_text(text)
        return path

    return write


def test_defaults():
    settings = load_settings()
    assert (settings.host, settings.port, settings.broker_port, settings.tick) == ("127.0.0.1", 8765, 1883, 0.05)


def test_flags_beat_variables_beat_the_file_beats_defaults(toml, monkeypatch):
    path = toml('port = 1\ntick = 0.1\nbroker_host = "file"\n')
    monkeypatch.setenv("WARDBEAT_PORT", "2")
    monkeypatch.setenv("WARDBEAT_TICK", "0.2")
    settings = load_settings(path, port=3, host=None)
    assert (settings.port, settings.tick, settings.broker_host, settings.host) == (3, 0.2, "file", "127.0.0.1")


def test_file_named_by_variable_and_file_of_the_user(toml, monkeypatch, tmp_path):
    folder = tmp_path / "config" / "wardbeat"
    folder.mkdir(parents=True)
    (folder / "wardbeat.toml").write_text("port = 5")
    assert load_settings().port == 5
    monkeypatch.setenv("WARDBEAT_CONFIG", str(toml("port = 6")))
    assert load_settings().port == 6


def test_beds(toml):
    settings = load_settings(toml("[beds.bed-01]\nlow = 50\n[beds.bed-02]\nlow = 40\nhigh = 120\n"))
    assert settings.beds == {"bed-01": BedSettings(low=50), "bed-02": BedSettings(low=40, high=120)}


def test_a_bed_with_a_preset_and_a_limit_of_its_own(toml):
    text = '[beds.a]\nprofile = "neonatal"\nlow = 90\nvt_count = 4\npaced = true\n[beds.b]\n[beds.c]\nhigh = 150\n'
    beds = load_settings(toml(text)).beds
    assert beds["a"].commands("a") == [
        SetProfile("a", "neonatal", "settings"),
        SetLimits("a", 90.0, by="settings", vt_count=4),
        SetPaced("a", True, "settings"),
    ]
    assert beds["b"].commands("b") == []
    assert beds["c"].commands("c") == [SetLimits("c", high=150.0, by="settings")]


def test_every_preset_can_be_set():
    for profile in PROFILES:
        assert BedSettings(profile=profile).commands("a") == [SetProfile("a", profile, "settings")]


def test_limits_of_a_bed_go_with_its_preset(toml):
    assert load_settings(toml('[beds.a]\nprofile = "neonatal"\nlow = 130')).beds["a"].low == 130
    with pytest.raises(ConfigError, match="low 130 is not below high 120"):
        load_settings(toml("[beds.a]\nlow = 130"))


def test_alarm_log(toml, tmp_path):
    assert load_settings().alarm_log is None
    assert load_settings(toml('alarm_log = "x/alarms.jsonl"')).alarm_log == Path("x/alarms.jsonl")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("port = 99999", "port: input should be less than or equal to 65535"),
        ("prot = 1", "prot: extra inputs are not permitted"),
        ("port = ", "not TOML"),
        ('[beds."a b"]\nlow = 50', "beds: bed id 'a b' is not"),
        ("[beds.a]\nlow = 90\nhigh = 60", "beds.a: low 90 is not below high 60"),
        ("[beds.a]\nlow = 3", "beds.a: low is not a number from 15 to 300"),
        ("[beds.a]\nvt_count = 4.5", "beds.a.vt_count: input should be a valid integer"),
        ('[beds.a]\nprofile = "old"', "beds.a.profile: input should be 'adult', 'paediatric' or 'neonatal'"),
        ('model = "x.pt"', "model and model_sha256 go together"),
        ('other_model_sha256 = "' + "0" * 64 + '"', "other_model and other_model_sha256 go together"),
        (f'other_model = "y.pt"\nother_model_sha256 = "{"0" * 64}"', "other_model is a second one: give model first"),
    ],
)
def test_wrong_file(toml, text, says):
    path = toml(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_wrong_flag_and_variable(monkeypatch):
    with pytest.raises(ConfigError, match="--tick: input should be less than"):
        load_settings(tick=7)
    monkeypatch.setenv("WARDBEAT_PORT", "web")
    with pytest.raises(ConfigError, match="WARDBEAT_PORT: input should be a valid integer"):
        load_settings()


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        load_settings(tmp_path / "none.toml")


def test_model_with_its_digest():
    assert load_settings(model="x.pt", model_sha256=SHA).model == Path("x.pt")
    assert load_settings(model="x.pt", model_sha256=SHA).models == [(Path("x.pt"), SHA)]
    assert load_settings().models == []


def test_two_models_with_their_digests():
    two = load_settings(model="x.pt", model_sha256=SHA, other_model="y.pt", other_model_sha256=SHA)
    assert two.models == [(Path("x.pt"), SHA), (Path("y.pt"), SHA)]
