"""Logs an object a line, and no patient in them."""

from __future__ import annotations

import ast
import json
import logging
import sys
from pathlib import Path

import pytest

import monitor
from monitor.cli.serve import LogFormat, LogLevel, configure_logging
from monitor.logs import JsonLines


def line(*args: object, error: bool = False) -> dict[str, str]:
    """What becomes of a warning with this message and these arguments."""
    message, *values = args
    exc_info = sys.exc_info() if error else None
    record = logging.LogRecord("monitor.mqtt", logging.WARNING, "", 1, str(message), tuple(values), exc_info)
    text = JsonLines().format(record)
    assert "\n" not in text
    loaded: dict[str, str] = json.loads(text)
    return loaded


def test_a_record_is_an_object() -> None:
    told = line('the "broker"\nat %s is away', "ä:1883")
    assert list(told) == ["time", "level", "logger", "message"]
    assert told["time"].endswith("+00:00")
    assert (told["level"], told["logger"]) == ("warning", "monitor.mqtt")
    assert told["message"] == 'the "broker"\nat ä:1883 is away'


def test_a_record_about_a_bed_names_it() -> None:
    assert line("bed %s: its device is offline", "bed-01")["bed"] == "bed-01"
    assert line("bed %.40r: message refused (%s)", "bed-02", "json")["bed"] == "bed-02"


def test_a_caught_error_keeps_its_traceback() -> None:
    try:
        raise ZeroDivisionError("x")
    except ZeroDivisionError:
        assert "ZeroDivisionError: x" in line("it failed", error=True)["error"]


def test_no_log_line_is_given_an_alias() -> None:
    """An alias may be a patient's name."""
    for path in Path(monitor.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if isinstance(node.func.value, ast.Name) and node.func.value.id == "log":
                assert "alias" not in ast.dump(node), f"{path}:{node.lineno}"


def test_serve_can_log_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        configure_logging(LogLevel.INFO, LogFormat.JSON)
        logging.getLogger("monitor.app").info("bed %s: its device is back", "bed-07")
        told = json.loads(capsys.readouterr().err)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert (told["bed"], told["message"]) == ("bed-07", "bed bed-07: its device is back")
