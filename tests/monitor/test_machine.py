"""What figures of speed depend on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import pytest

from monitor import machine


def test_describe() -> None:
    found = machine.describe("numpy", "wardbeat")
    assert list(found) == ["processor", "cores", "python", "numpy", "wardbeat"]
    assert found["processor"]
    assert (found["cores"], found["python"]) == (os.cpu_count(), platform.python_version())
    assert (found["numpy"], found["wardbeat"]) == (version("numpy"), version("wardbeat"))


def test_a_package_that_is_not_installed() -> None:
    with pytest.raises(PackageNotFoundError):
        machine.describe("no-such-package")


def test_a_system_that_tells_nothing_of_its_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError

    monkeypatch.setattr(machine, "open", refuse, raising=False)
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert machine.describe()["processor"] == platform.machine()
