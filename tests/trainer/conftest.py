"""Small annotated records, made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb

from simulators.synthetic import render
from trainer.beats.dataset import DataSet, build, plan

SECONDS = 60.0


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records called 101, 106 and 119, a minute each: normal beats, and after the first eight some V and S."""
    folder = tmp_path_factory.mktemp("database")
    for seed, name in enumerate(("101", "106", "119")):
        rng = np.random.default_rng(seed)
        beats: list[tuple[float, str]] = []
        time = 0.5
        while time < SECONDS - 1.5:
            kind = str(rng.choice(["N", "N", "N", "N", "V", "S"])) if len(beats) > 8 else "N"
            early = 0.25 if kind in "VS" else 0.0
            beats.append((time - early, kind))
            time += 0.85
        strip = render(beats, SECONDS, seed=seed)
        signal = strip.signal.astype(float)
        wfdb.wrsamp(name, 360, ["mV", "mV"], ["MLII", "V1"], signal, fmt=["16", "16"], write_dir=str(folder))
        wfdb.wrann(name, "atr", strip.r_peaks, np.array(strip.symbols), fs=360, write_dir=str(folder))
    return folder


@pytest.fixture(scope="session")
def data(database: Path, tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """A data set of those records: first lead, second lead, both."""
    folder = tmp_path_factory.mktemp("data") / "set"
    return build(plan([database]), folder, without=("F", "Q"))
