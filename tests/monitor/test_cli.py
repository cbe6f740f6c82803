"""The root of the command line: what it lists, how it fails, how fast it is."""

import os
import subprocess
import sys

import pytest

import monitor.cli
from monitor.cli.serve import _make_state_folder, parse_address
from monitor.exceptions import ConfigError, WardbeatError


def wardbeat(*arguments, **environment):
    """Run the command as a user would, without the settings of whoever runs the tests."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("WARDBEAT_")}
    return subprocess.run(
        [sys.executable, "-c", "from monitor.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**ours, "COLUMNS": "100", "NO_COLOR": "1", **environment},
    )


def test_help_lists_every_command():
    done = wardbeat("--help")
    assert done.returncode == 0
    for name in monitor.cli._COMMANDS:
        assert f" {name} " in done.stdout


def test_a_group_lists_the_commands_that_live_elsewhere():
    done = wardbeat("bench", "--help")
    assert done.returncode == 0
    for name in ("ward", "kernel"):
        assert f" {name} " in done.stdout
    assert " bench kernel [OPTIONS]" in wardbeat("bench", "kernel", "--help").stdout


def test_help_needs_no_heavy_import():
    heavy = "{'torch', 'numba', 'numpy', 'scipy', 'wfdb', 'pydantic', 'websockets', 'matplotlib'}"
    code = (
        "import sys, atexit; from monitor.cli import main\n"
        f"atexit.register(lambda: print('HEAVY', sorted({heavy} & set(sys.modules))))\n"
        "sys.argv = ['wardbeat', '--help']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "HEAVY []" in done.stdout


def test_version():
    done = wardbeat("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("wardbeat 0.")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("serve", "--host", "0.0.0.0"), "127.0.0.1"),
        (("serve", "--broker", "nowhere"), "--broker: 'nowhere' is not HOST:PORT"),
        (("serve", "--config", "/no/such.toml"), "/no/such.toml: there is no such file"),
        (("serve", "--port", "70000"), "--port: input should be less than or equal to 65535"),
        (("serve", "--model", "x.pt"), "model and model_sha256 go together"),
        (
            ("serve", "--port", "0", "--model", "/no/such.pt", "--model-sha256", "0" * 64),
            "/no/such.pt: cannot be read",
        ),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(arguments, says):
    done = wardbeat(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if " INFO " not in line]
    assert len(errors) == 1, done.stderr
    assert errors[0].startswith("wardbeat: ")
    assert says in errors[0]


def test_unknown_command():
    done = wardbeat("nonsense")
    assert done.returncode == 2
    assert "No such command 'nonsense'" in done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [(WardbeatError("it broke", where="here", remedy="mend it"), 2), (KeyboardInterrupt(), 130)],
)
def test_main_exit_codes(monkeypatch, capsys, error, code):
    def fail(**_):
        raise error

    monkeypatch.setattr(monitor.cli, "app", fail)
    with pytest.raises(SystemExit) as caught:
        monitor.cli.main()
    assert caught.value.code == code
    assert capsys.readouterr().err == ("wardbeat: here: it broke; mend it\n" if code == 2 else "")


@pytest.mark.parametrize("text", ["", "x", ":1", "x:", "x:0", "x:65536", "x:-1", "x:1e3", "x:²"])
def test_parse_address_refuses(text):
    with pytest.raises(ConfigError, match="HOST:PORT"):
        parse_address(text)


def test_parse_address():
    assert parse_address("10.0.0.7:1883") == ("10.0.0.7", 1883)
    assert parse_address("[::1]:1884") == ("::1", 1884)


def test_what_is_kept_is_in_the_users_state_folder(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert _make_state_folder()
    assert (tmp_path / "wardbeat").is_dir()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert not _make_state_folder()
    assert "nothing is kept" in caplog.text
