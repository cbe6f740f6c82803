"""The notebooks run on made-up records, and are stored as they came out: small, and without this machine's paths."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "trainer" / "notebooks").glob("*.ipynb"))


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown_by(cell: Any) -> str:
    """Whether a cell showed a picture, text, or nothing."""
    kinds = [
        "picture" if "image/png" in output.get("data", {}) else "text"
        for output in cell.outputs
        if output.get("name") != "stderr"
    ]
    return " ".join(dict.fromkeys(kinds))


def test_there_are_three() -> None:
    assert [path.name[0] for path in NOTEBOOKS] == ["1", "2", "3"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTEBOOK_DATABASE", raising=False)
    notebook = nbformat.read(path, as_version=4)
    stored = [shown_by(cell) for cell in code(notebook)]
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=240, kernel_name="python3", resources=resources).execute()
    assert [shown_by(cell) for cell in code(notebook)] == stored


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_stored_as_it_ran(path: Path) -> None:
    text = path.read_text()
    assert len(text) < 200_000
    assert not re.search(r"/(home|root|tmp|Users|work)/", text)
    cells = code(nbformat.read(path, as_version=4))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)
    assert json.loads(text)["nbformat"] == 4
