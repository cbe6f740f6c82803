"""The demo as a user runs it: a process of its own, ended by Ctrl-C."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

START = 120
"""Seconds a cold start may take: the kernels' first compilation is in it."""


class Demo:
    """A running ``wardbeat demo``."""

    def __init__(self, folder, *options):
        self.folder = folder
        settings = [name for name in os.environ if name.startswith("WARDBEAT_") and name != "WARDBEAT_DATA"]
        environment = {name: value for name, value in os.environ.items() if name not in settings}
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from monitor.cli import main; main()", "demo", "--no-browser", *options],
            stdout=subprocess.PIPE,
            stderr=(folder / "stderr").open("w"),
            text=True,
            start_new_session=True,
            env={**environment, "TMPDIR": str(folder), "NO_COLOR": "1"},
        )

    @property
    def stderr(self):
        return (self.folder / "stderr").read_text()

    def children(self):
        """Process id -> command line."""
        pid = self.process.pid
        with contextlib.suppress(FileNotFoundError):
            pids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            return {int(child): Path(f"/proc/{child}/cmdline").read_text() for child in pids}
        return {}

    def interrupt(self):
        """Press Ctrl-C, which a terminal sends to the whole process group; return seconds until the end."""
        start = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(10)
        return time.monotonic() - start


@pytest.fixture
def demo(tmp_path):
    """Start demos that are gone when the test ends, whatever happened."""
    started = []

    def start(*options):
        started.append(Demo(tmp_path, *options))
        return started[-1]

    yield start
    for running in started:
        children = running.children()
        running.process.kill()
        running.process.wait(10)
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


def test_demo_serves_the_page_and_ends_on_ctrl_c(demo, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        running = demo("--beds", "3", "--port", str(port))
        said = running.process.stdout.readline()
        assert said.startswith("3 beds live at http://127.0.0.1:"), running.stderr
        url = said.split()[4]
        assert f":{port}/" not in url
        assert f"port {port} is busy" in running.stderr
    with urllib.request.urlopen(url, timeout=10) as page:
        assert page.status == 200
        assert "not for clinical use" in page.read().decode().lower()
    with urllib.request.urlopen(url + "healthz", timeout=10) as health:
        assert health.status == 200
    children = running.children()
    assert len(children) == 2, children
    assert running.interrupt() < 2.0
    assert running.process.returncode == 0
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert "Traceback" not in running.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["stderr"], "temporary folders are gone"


def test_demo_ends_on_ctrl_c_while_it_warms_up(demo):
    running = demo("--beds", "2", "--port", "0")
    until(lambda: "loading the model" in running.stderr, START)
    children = running.children()
    assert running.interrupt() < 2.0
    assert running.process.returncode == 0
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert "Traceback" not in running.stderr


@pytest.mark.parametrize(("program", "name"), [("simulators", "simulated ward"), ("nats-server", "embedded broker")])
def test_demo_says_when_a_child_dies(demo, program, name):
    running = demo("--beds", "2", "--port", "0")
    until(lambda: any(program in line for line in running.children().values()), START)
    (victim,) = [pid for pid, line in running.children().items() if program in line]
    os.kill(victim, signal.SIGKILL)
    assert running.process.wait(START) == 2
    last = running.stderr.splitlines()[-1]
    assert last.startswith(f"wardbeat: the {name} was ended by signal 9")
    assert "Traceback" not in running.stderr
    assert running.children() == {}
