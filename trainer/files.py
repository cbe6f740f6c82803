"""Files and folders that are there whole or not at all, whatever happens while they are made."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monitor.exceptions import ConfigError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give another path beside `path` to write to; it takes the place of `path` when the block ends well.

    Raises:
        ConfigError: it cannot be written; what was at `path` is as it was.
    """
    beside = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        _flush(beside)
        os.replace(beside, path)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file.

    Raises:
        ConfigError: it cannot be written.
    """
    with whole_file(path) as beside:
        beside.write_text(text)


def write_json(path: Path, value: Any) -> None:
    """Write a value as a whole JSON file.

    Raises:
        ConfigError: it cannot be written.
    """
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path`; it takes the place of `path` when the block ends well.

    What killed processes left there is removed.

    Raises:
        ConfigError: it cannot be written; what was at `path` is as it was.
    """
    beside = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        _remove_left(path)
        beside.mkdir(parents=True)
        yield beside
        for file in beside.iterdir():
            _flush(file)
        old = path.with_name(f".{path.name}.old-{os.getpid()}")
        if path.exists():
            os.replace(path, old)
        os.replace(beside, path)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def unwritable(path: Path, error: OSError, remedy: str = "") -> ConfigError:
    """The error that says so; without a remedy it names one by what went wrong."""
    if not remedy:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "make room on that disk" if full else "name a place that may be written to"
    return ConfigError(f"cannot be written ({error.strerror or error})", where=str(path), remedy=remedy)


def _flush(path: Path) -> None:
    if path.is_file():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _remove_left(path: Path) -> None:
    for kind in ("partial", "old"):
        for left in path.parent.glob(f".{path.name}.{kind}-*"):
            pid = left.name.rpartition("-")[2]
            if pid.isdecimal() and not _runs(int(pid)):
                shutil.rmtree(left, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
