"""Whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from monitor.exceptions import ConfigError
from trainer.files import whole_file, whole_folder, write_json


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def interrupted(file: Path) -> None:
    file.write_text("half")
    raise KeyboardInterrupt


def test_a_file_takes_its_place_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x"
    with whole_file(path) as beside:
        beside.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"
    assert [file.name for file in path.parent.iterdir()] == ["x"]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), whole_file(path) as beside:
        interrupted(beside)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_a_full_disk_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match=r"No space left on device.*make room") as caught:
        write_json(tmp_path / "x", {})
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "set"
    for text in ("one", "two"):
        with whole_folder(path) as beside:
            (beside / text).write_text(text)
    assert [file.name for file in path.iterdir()] == ["two"]
    assert [file.name for file in tmp_path.iterdir()] == ["set"]


def test_an_interrupted_folder_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "set"
    with pytest.raises(KeyboardInterrupt), whole_folder(path) as beside:
        interrupted(beside / "half")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    dead, alive = tmp_path / ".set.partial-4194304", tmp_path / f".set.partial-{os.getppid()}"
    for left in (dead, alive):
        left.mkdir()
        (left / "half").write_text("half")
    with whole_folder(tmp_path / "set") as beside:
        (beside / "x").write_text("x")
    assert not dead.exists()
    assert alive.exists()


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"), whole_folder(tmp_path / "file" / "set"):
        pass
