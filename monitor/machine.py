"""What figures of speed depend on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import Any


def describe(*packages: str) -> dict[str, Any]:
    """The processor, how many cores there are, and the versions of Python and of some installed packages."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            found = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        found = []
    return found[0] if found else platform.processor() or platform.machine()
