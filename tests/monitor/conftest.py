"""Shared by the tests of the core: their helpers are importable, and kernels can be run as plain Python."""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # `import naive`, `import streams`


def kernel_modules() -> list[ModuleType]:
    from monitor import (
        align,
        atrial_fibrillation,
        beats,
        conditions,
        fibrillation,
        filters,
        frontend,
        judge,
        likeness,
        losses,
        measures,
        qrs,
        quality,
        rate,
        rhythm,
        supraventricular,
        ventricular,
        waves,
    )

    of_signal = [align, beats, filters, frontend, judge, likeness, losses, measures, qrs, quality]
    of_rhythm = [conditions, rate, ventricular, supraventricular, atrial_fibrillation, rhythm]
    return [*of_signal, fibrillation, waves, *of_rhythm]


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """Compile the kernels once: the first of the test processes does, the others load what it made."""
    from monitor.ward import Ward

    with (Path(tempfile.gettempdir()) / f"wardbeat-tests-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        Ward().warm_up()


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace every compiled kernel by the Python function it was made from, callees included."""
    for module in kernel_modules():
        for name, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, value.py_func)
