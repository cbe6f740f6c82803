"""``wardbeat simulate``: arguments reach the player, and wrong ones are answered in one line."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

import simulators.load_command
import simulators.player
from simulators.cli import app
from simulators.scenario import scenario_names


@pytest.fixture
def played(monkeypatch):
    """What the command would have played."""
    calls = []

    async def play(beds, host, port, **options):
        calls.append((beds, host, port, options))

    monkeypatch.setattr(simulators.player, "play", play)
    return calls


def call(*arguments):
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_record_plays_the_excerpt_of_208(played, monkeypatch, tmp_path):
    monkeypatch.setenv("WARDBEAT_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert call("record", "208", "--bed", "bed-07", "--port", "1999", "--speed", "4", "--once").exit_code == 0
    [([bed], host, port, options)] = played
    assert (bed.id, bed.alias, bed.source.leads, bed.paced) == ("bed-07", "Record 208", ("MLII",), False)
    assert (host, port) == ("127.0.0.1", 1999)
    assert options == {"rate": 10.0, "speed": 4.0, "as_json": False}
    assert len(bed.source.take(200_000)) == 108_000


def test_patient_plays_its_scenario(played):
    assert call("patient", "--scenario", "vt", "--fs", "500", "--json", "--host", "broker").exit_code == 0
    [([bed], host, _, options)] = played
    assert (bed.id, bed.alias, bed.source.fs, host) == ("bed-01", "VT episodes", 500.0, "broker")
    assert options["as_json"] is True


def test_ward_fills_its_beds(played):
    assert call("ward", "--beds", "9", "--synthetic").exit_code == 0
    assert len(played[0][0]) == 9


def test_ward_plays_one_scenario_from_a_file(played, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('alias = "Mine"\n[[story]]\nrhythm = "sinus"\nseconds = 10\n', encoding="utf-8")
    assert call("ward", "--beds", "2", "--scenario", str(path)).exit_code == 0
    assert [bed.alias for bed in played[0][0]] == ["Mine", "Mine"]


@pytest.fixture
def loaded(monkeypatch):
    """What the command would have put on a broker over shared connections."""
    calls = []
    monkeypatch.setattr(simulators.load_command, "play_load", lambda *arguments: calls.append(arguments))
    return calls


def test_ward_shares_connections_for_load(loaded, played, tmp_path):
    options = ["--numbered", "--seconds", "5", "--fault", "drop:p=0.1", "--fault", "jitter:max=1", "--seed", "3"]
    words = ["ward", "--beds", "20", "--scenario", "sinus", "--rate", "4", "--truth", str(tmp_path / "t"), *options]
    assert call(*words).exit_code == 0
    [(beds, host, port, connections, seconds, faults, seed, truth, stamps)] = loaded
    assert (len(beds), beds[0].loop.rate, beds[0].loop.numbered) == (20, 4.0, True)
    assert (host, port, connections, seconds, seed, stamps) == ("127.0.0.1", 1883, 4, 5.0, 3, None)
    assert (list(faults), truth) == (["drop:p=0.1", "jitter:max=1"], tmp_path / "t")
    assert not played


def test_load_takes_no_speed(loaded):
    assert call("ward", "--connections", "2", "--speed", "2").exit_code == 2
    assert not loaded


def test_a_fault_that_is_none_is_answered_in_one_line():
    words = ["ward", "--beds", "1", "--scenario", "sinus", "--fault", "drip"]
    done = subprocess.run([sys.executable, "-m", "simulators", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("wardbeat: ")
    assert done.stderr.count("\n") == 1


def test_scenarios_are_listed():
    output = call("scenarios").output
    assert [line.split()[0] for line in output.splitlines()] == scenario_names()
    assert "vt           VT episodes\n" in output


def test_write_makes_a_record_with_its_truth(tmp_path):
    done = call("write", "--scenario", "vt", "--out", str(tmp_path / "new"), "--seconds", "30", "--fs", "250")
    assert done.exit_code == 0
    assert done.output.startswith(f"{tmp_path / 'new' / 'vt'}: 30 s at 250 Hz, ")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"vt.hea", "vt.dat", "vt.atr"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("patient", "--scenario", "waltz"), "wardbeat: waltz: no such scenario; choose one of af, "),
        (("patient", "--bed", "bed 1"), "wardbeat: bed id 'bed 1' is not"),
        (("record", "/nowhere/9"), "wardbeat: /nowhere/9: no such record; "),
    ],
)
def test_wrong_argument_is_answered_in_one_line(arguments, said):
    done = subprocess.run([sys.executable, "-m", "simulators", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [("ward", "--beds", "0"), ("patient", "--fs", "50"), ("ward", "--rate", "0")])
def test_value_out_of_range_is_refused(arguments, played):
    assert call(*arguments).exit_code == 2
    assert not played


def test_help_needs_neither_numpy_nor_aiomqtt():
    script = (
        "import sys; sys.argv = ['wardbeat', 'simulate', '--help']\n"
        "from simulators.cli import app\n"
        "try: app()\nexcept SystemExit: pass\n"
        "assert not {'numpy', 'aiomqtt'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
