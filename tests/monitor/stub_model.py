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

from monitor.beats import channels_of, features_of
from monitor.classifier import CARD_FILE, encode_array, front_end
from monitor.ecg import AAMI_CLASSES
from monitor.window import WIDTH


class Stub(nn.Module):
    """Untrained: a convolution over the window, a dense layer over its means and the features.

    So few inputs, because the last bits of a longer sum may depend on a row's place in the batch.
    """

    def __init__(self, leads: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(len(channels_of(leads)), 8, 7)
        self.hidden = nn.Linear(8 + len(features_of(leads)), 32)
        self.dense = nn.Linear(32, len(AAMI_CLASSES))

    def forward(self, windows: Tensor, features: Tensor) -> Tensor:
        shape = torch.relu(self.convolution(windows)).mean(2)
        hidden = torch.relu(self.hidden(torch.cat([shape, features], 1)))
        return torch.softmax(self.dense(hidden), 1)


def beats(count: int, seed: int = 0, leads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Random windows and features."""
    rng = np.random.default_rng(seed)
    windows = rng.normal(0.0, 0.5, (count, len(channels_of(leads)), WIDTH)).astype(np.float32)
    return windows, rng.normal(0.0, 1.0, (count, len(features_of(leads)))).astype(np.float32)


def make_card(network: nn.Module, batch: int, leads: int = 1) -> dict[str, Any]:
    """A card that is right for a network."""
    windows, features = beats(10, seed=1, leads=leads)
    with torch.inference_mode():
        probabilities = network(torch.from_numpy(windows), torch.from_numpy(features)).numpy()
    golden = {"windows": windows, "features": features, "probabilities": probabilities}
    card = copy.deepcopy(front_end(leads)) | {"batch": batch}
    return card | {"golden": {name: encode_array(array) for name, array in golden.items()}}


def write_model(
    path: Path, *, batch: int = 16, leads_named_from: int = 1, network: nn.Module | None = None, **changes: Any
) -> str:
    """Write a model file; return its SHA-256.

    Args:
        path: where.
        batch: rows a call.
        leads_named_from: what the card says under ``leads``, unless that is among the changes.
        network: what to write; None: a :class:`Stub`.
        changes: entries of the card to replace; None takes one out.
    """
    torch.manual_seed(leads_named_from - 1)
    network = (network or Stub(leads_named_from)).eval()
    card = make_card(network, batch, leads_named_from) | changes
    card = {key: value for key, value in card.items() if value is not None}
    frozen = torch.jit.freeze(torch.jit.script(network))
    frozen.save(str(path), _extra_files={CARD_FILE: json.dumps(card)})
    return hashlib.sha256(path.read_bytes()).hexdigest()
