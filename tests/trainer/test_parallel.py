"""The same results whatever the number of processes; the first failure ends it all."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from monitor.exceptions import RecordError
from monitor.records import read_annotations
from trainer.parallel import each


@pytest.mark.parametrize("processes", [1, 2])
def test_results_are_in_the_order_of_the_jobs(processes: int) -> None:
    told: list[int] = []
    assert each(math.factorial, [3, 1, 4], processes, told.append) == [6, 1, 24]
    assert sorted(told) == [1, 3, 4]
    assert each(math.factorial, [], processes) == []


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_comes_out_as_it_was(processes: int, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"one\.atr: no such annotation file"):
        each(read_annotations, [tmp_path / "one", tmp_path / "one"], processes)
