"""The fingerprint follows what decides a beat's window and features, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor import judge
from monitor.kernel import FRONT_END
from trainer import provenance
from trainer.provenance import fingerprint, versions


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the kernels' sources and of the judge's weights that the fingerprint reads."""
    home = Path(provenance.monitor.__file__).parent
    for name in FRONT_END:
        (tmp_path / f"{name}.py").write_text((home / f"{name}.py").read_text())
    weights = tmp_path / "weights"
    weights.write_bytes(judge.WEIGHTS_FILE.read_bytes())
    monkeypatch.setattr(provenance.monitor, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.setattr(judge, "WEIGHTS_FILE", weights)
    return tmp_path


def now() -> str:
    return fingerprint.__wrapped__()


def test_comments_and_docstrings_do_not_count(copy: Path) -> None:
    before = now()
    assert before == fingerprint()
    file, docstring = copy / "window.py", '"""Points in a window, 180 Hz."""'
    assert docstring in file.read_text()
    file.write_text("# a comment\n" + file.read_text().replace(docstring, '"""Other."""'))
    assert now() == before


def test_a_constant_counts(copy: Path) -> None:
    before = now()
    text = (copy / "clusters.py").read_text()
    assert "COUNT: Final = 6" in text
    (copy / "clusters.py").write_text(text.replace("COUNT: Final = 6", "COUNT: Final = 7"))
    assert now() != before


def test_the_weights_of_the_judge_count(copy: Path) -> None:
    before = now()
    (copy / "weights").write_bytes(b"other")
    assert now() != before


def test_versions_are_told() -> None:
    assert versions()["torch"].startswith("2.")
