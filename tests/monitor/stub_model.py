"""A small network with a proper card, for the tests that need a model but not a good one."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from monitor.beats import CHANNELS, FEATURES, WIDTH
from monitor.classifier import CARD_FILE, FRONT_END, encode_array
from monitor.ecg import AAMI_CLASSES


class Stub(nn.Module):
    """Untrained: a convolution over the window, a dense layer over that and the features."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(len(CHANNELS), 8, 7)
        self.dense = nn.Linear(8 * (WIDTH - 6) + len(FEATURES), len(AAMI_CLASSES))

    def forward(self, windows: Tensor, features: Tensor) -> Tensor:
        shape = torch.relu(self.convolution(windows)).flatten(1)
        return torch.softmax(self.dense(torch.cat([shape, features], 1)), 1)


def beats(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random windows and features."""
    rng = np.random.default_rng(seed)
    windows = rng.normal(0.0, 0.5, (count, len(CHANNELS), WIDTH)).astype(np.float32)
    return windows, rng.normal(0.0, 1.0, (count, len(FEATURES))).astype(np.float32)


def make_card(network: nn.Module, batch: int) -> dict[str, Any]:
    """A card that is right for a network."""
    windows, features = beats(10, seed=1)
    with torch.inference_mode():
        probabilities = network(torch.from_numpy(windows), torch.from_numpy(features)).numpy()
    golden = {"windows": windows, "features": features, "probabilities": probabilities}
    card = copy.deepcopy(FRONT_END) | {"batch": batch}
    return card | {"golden": {name: encode_array(array) for name, array in golden.items()}}


def write_model(path: Path, *, batch: int = 16, network: nn.Module | None = None, **changes: Any) -> str:
    """Write a model file; return its SHA-256.

    Args:
        path: where.
        batch: rows a call.
        network: what to write; None: a :class:`Stub`.
        changes: entries of the card to replace; None takes one out.
    """
    torch.manual_seed(0)
    network = (network or Stub()).eval()
    card = make_card(network, batch) | changes
    card = {key: value for key, value in card.items() if value is not None}
    frozen = torch.jit.freeze(torch.jit.script(network))
    frozen.save(str(path), _extra_files={CARD_FILE: json.dumps(card)})
    return hashlib.sha256(path.read_bytes()).hexdigest()
