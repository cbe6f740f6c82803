"""How kernels are compiled and where the result is kept.

Numba's cache knows a function's own file but not the files of the functions it calls, nor where its constants come
from. The folder's name therefore holds a digest of every kernel module and of the libraries that compute their tables:
a change to any of them starts a new cache. What lies in the folder is run as it is, so it must be the user's own.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np
import platformdirs
import scipy
from numba.core import config

log = logging.getLogger(__name__)

FRONT_END: Final = (
    "ecg",
    "align",
    "filters",
    "losses",
    "ordered",
    "judge",
    "plausible",
    "qrs",
    "timing",
    "window",
    "clusters",
    "atrial",
    "shapes",
    "beats",
    "frontend",
)
"""Modules that a sample passes on its way to a beat's window and features."""
RHYTHM: Final = ("conditions", "rate", "ventricular", "supraventricular", "atrial_fibrillation", "rhythm")
"""Modules that what was found passes on its way to conditions and rhythms."""
MODULES: Final = ("kernel", *FRONT_END, "likeness", "measures", "quality", "waves", "fibrillation", *RHYTHM)
"""All that kernels rest on."""
WEIGHTS: Final = ("qrs-1.safetensors", "quality-1.safetensors")
"""Those in ``models`` that are compiled into the kernels as constants."""


def _cache_folder(sources: Path) -> Path:
    """Where the kernels of the modules in `sources` are kept."""
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__} {scipy.__version__}".encode())
    for name in MODULES:
        digest.update((sources / f"{name}.py").read_bytes())
    for name in WEIGHTS:
        digest.update((sources / "models" / name).read_bytes())
    return Path(platformdirs.user_cache_dir("wardbeat")) / "kernels" / digest.hexdigest()[:16]


def _prepare(folder: Path) -> bool:
    """Make the folder if need be; tell whether this user can write to it and nobody else can."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        log.warning("kernels are compiled anew at each start: %s", error)
        return False
    if found.st_uid != os.getuid() or found.st_mode & 0o022 or not os.access(folder, os.W_OK):
        log.warning("kernels are compiled anew at each start: %s is not this user's alone to write", folder)
        return False
    return True


_cached = True
if "NUMBA_CACHE_DIR" not in os.environ:
    _folder = _cache_folder(Path(__file__).parent)
    _cached = _prepare(_folder)
    if _cached:
        config.CACHE_DIR = str(_folder)  # type: ignore[attr-defined]  # numba makes its settings while it is imported


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function to machine code, cached on disk; ``.py_func`` keeps the Python original.

    No ``fastmath``: it would delete the NaN checks and let results depend on the machine.
    """
    return numba.njit(cache=_cached)(function)
