"""How kernels are compiled and where the result is kept.

Numba's cache knows a function's own file but not the files of the functions it calls. The folder's name therefore
holds a digest of every kernel module: a change to any of them starts a new cache. The folder is private to the user.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numba
import platformdirs
from numba.core import config

_MODULES: Final = ("ecg", "align", "filters", "quality", "qrs", "beats", "frontend", "rhythm")


def _cache_folder() -> Path:
    digest = hashlib.sha256(numba.__version__.encode())
    for name in _MODULES:
        digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    return Path(platformdirs.user_cache_dir("wardbeat")) / "kernels" / digest.hexdigest()[:16]


if "NUMBA_CACHE_DIR" not in os.environ:
    _folder = _cache_folder()
    _folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config.CACHE_DIR = str(_folder)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function to machine code, cached on disk; ``.py_func`` keeps the Python original.

    No ``fastmath``: it would delete the NaN checks and let results depend on the machine.
    """
    return numba.njit(cache=True)(function)
