"""The cache of compiled kernels: whose it is, when it is stale, and life without it."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from monitor import judge, kernel, quality

SOURCES = Path(kernel.__file__).parent
TABLES_AND_TYPES = {"exceptions", "messages"}
"""Modules that kernel modules import but whose text no kernel depends on."""

ANALYSE = """
import numpy as np
from monitor import align, kernel, losses
state = np.zeros(1, losses.STATE)
changes = np.zeros(4, losses.CHANGE)
flags = np.full(500, align.MISSING, np.int64)
flags[100:] = align.OK
print(losses.step(state[0], flags, 500, 0, np.zeros(500, np.int64), changes, 0), kernel._cached)
"""


def analyse(**environment: str) -> subprocess.Popen[str]:
    """Run a small kernel in a process of its own."""
    kept = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    return subprocess.Popen(
        [sys.executable, "-c", ANALYSE],
        env=kept | environment,
        cwd=SOURCES.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the kernel modules, and of the weights compiled into them."""
    for name in kernel.MODULES:
        shutil.copy(SOURCES / f"{name}.py", tmp_path)
    (tmp_path / "models").mkdir()
    for name in kernel.WEIGHTS:
        shutil.copy(SOURCES / "models" / name, tmp_path / "models")
    return tmp_path


def test_folder_is_the_same_for_the_same_text(sources):
    assert kernel._cache_folder(sources) == kernel._cache_folder(SOURCES)


@pytest.mark.parametrize("name", kernel.MODULES)
def test_folder_changes_with_the_text_of_any_kernel_module(sources, name):
    with (sources / f"{name}.py").open("a") as file:
        file.write("#")
    assert kernel._cache_folder(sources) != kernel._cache_folder(SOURCES)


def test_the_weights_are_those_that_are_read():
    assert {SOURCES / "models" / name for name in kernel.WEIGHTS} == {judge.WEIGHTS_FILE, quality.WEIGHTS_FILE}


@pytest.mark.parametrize("name", kernel.WEIGHTS)
def test_folder_changes_with_the_weights(sources, name):
    with (sources / "models" / name).open("ab") as file:
        file.write(b"#")
    assert kernel._cache_folder(sources) != kernel._cache_folder(SOURCES)


@pytest.mark.parametrize("library", ["numba", "np", "scipy"])
def test_folder_changes_with_the_libraries(monkeypatch, library):
    """A filter's coefficients are computed by scipy and compiled into the kernel."""
    before = kernel._cache_folder(SOURCES)
    monkeypatch.setattr(getattr(kernel, library), "__version__", "0.0")
    assert kernel._cache_folder(SOURCES) != before


def test_every_module_that_a_kernel_rests_on_is_part_of_the_digest():
    rests_on = set()
    for path in SOURCES.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        decorators = {
            node.id
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef)
            for node in function.decorator_list
            if isinstance(node, ast.Name)
        }
        if "kernel" not in decorators:
            continue
        rests_on.add(path.stem)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "monitor":
                rests_on |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("monitor."):
                rests_on.add(node.module.removeprefix("monitor."))
    assert rests_on - TABLES_AND_TYPES == set(kernel.MODULES)


def test_folder_is_made_private(tmp_path):
    folder = tmp_path / "a" / "b"
    assert kernel._prepare(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert kernel._prepare(folder), "it is there already"


@pytest.mark.parametrize("mode", [0o777, 0o720])
def test_folder_that_others_can_write_is_not_used(tmp_path, mode, caplog):
    tmp_path.chmod(mode)
    assert not kernel._prepare(tmp_path)
    assert "compiled anew" in caplog.text


def test_folder_of_another_user_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    assert not kernel._prepare(tmp_path)


def test_folder_that_cannot_be_made_is_done_without(tmp_path):
    """The user's cache folder is a file: no directory can be made below it, even by root."""
    blocked = tmp_path / "file"
    blocked.touch()
    process = analyse(XDG_CACHE_HOME=str(blocked))
    output, errors = process.communicate(timeout=120)
    assert output == "2 False\n", errors


def test_processes_that_start_together_share_the_cache(tmp_path):
    processes = [analyse(XDG_CACHE_HOME=str(tmp_path)) for _ in range(3)]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert outputs == ["2 True\n"] * 3
    folder = tmp_path / "wardbeat" / "kernels" / kernel._cache_folder(SOURCES).name
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(folder.rglob("losses.step*.nbc"))
    assert not list(folder.rglob("*.tmp.*"))
