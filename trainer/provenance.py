"""Where a data set or a model comes from: the front end that made the beats, and the versions that ran."""

from __future__ import annotations

import ast
import hashlib
import json
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import monitor
from monitor import judge
from monitor.classifier import front_end
from monitor.ecg import MAX_LEADS
from monitor.kernel import FRONT_END

PACKAGES: Final = ("wardbeat", "numpy", "scipy", "numba", "torch", "wfdb")


@cache
def fingerprint() -> str:
    """SHA-256, in hexadecimal, of all that decides what the front end makes of a signal.

    That is its code, constants included and comments and docstrings not, the weights of the detector's judge, and
    what a model card says of its inputs.
    """
    digest = hashlib.sha256()
    for name in FRONT_END:
        digest.update(_essence(Path(monitor.__file__).with_name(f"{name}.py")).encode())
    digest.update(judge.WEIGHTS_FILE.read_bytes())
    digest.update(json.dumps([front_end(leads) for leads in range(1, MAX_LEADS + 1)]).encode())
    return digest.hexdigest()


def _essence(file: Path) -> str:
    """A module's code in one way of writing it, without what a reader alone needs."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            code = [part for part in body if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))]
            node.body = code or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.unparse(tree)


def versions() -> dict[str, Any]:
    """The versions of Python and of the packages that matter."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
