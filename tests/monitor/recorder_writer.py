"""Records a bed's numbered samples until it is killed: ``recorder_writer.py STORE FIRST``. Prints the tick kept."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from monitor.messages import Chunk
from monitor.recorder.recorder import Recorder
from monitor.sequencer import Run
from monitor.tick import Tick

FS, SIZE = 360.0, 36


def numbered(first: int, size: int = SIZE, stream: int = 7) -> Chunk:
    """Two leads: the sample's number, and minus it; in units of 5 uV."""
    at = np.arange(first, first + size) % 30000
    samples = (np.stack([at, -at], 1).astype(np.float32)) * np.float32(0.005)
    return Chunk("bed", stream, first // size, first, FS, samples, 0, 0, 5.0)


if __name__ == "__main__":
    with Recorder(Path(sys.argv[1]), rotation=20.0) as recorder:
        for i in range(int(sys.argv[2]), 1_000_000):
            now = i * 0.1
            recorder.write(Tick(i + 1, now, 1.79e9 + now, (), [("bed", Run(numbered(i * SIZE)))]))
            if i % 10 == 0:
                recorder.settle()
                print(i * SIZE, flush=True)
            time.sleep(0.0005)
