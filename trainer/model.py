"""The network: a small 1-D CNN over the beat window, joined by the RR and shape features.

window (channels, width) -> 3 x [Conv1D, BatchNorm, ReLU, MaxPool] -> flatten ┐
features -> standardise ------------------------------------------------------┴-> Dropout, dense, ReLU, Dropout,
                                                                                  dense -> softmax over classes
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from monitor.beats import CHANNELS, FEATURES, WIDTH
from monitor.ecg import AAMI_CLASSES


@dataclass(frozen=True, slots=True)
class Architecture:
    """Sizes of the network.

    Attributes:
        widths: output channels of the three convolutions.
        kernels: their lengths, points.
        hidden: units of the dense layer.
        dropout: share of units dropped before each dense layer while training.
    """

    widths: tuple[int, int, int] = (16, 32, 32)
    kernels: tuple[int, int, int] = (7, 5, 5)
    hidden: int = 64
    dropout: float = 0.3


class BeatNet(nn.Module):
    """Windows and features in, class logits out.

    Attributes:
        feature_mean, feature_scale: buffers that standardise the features; set from the training beats.
    """

    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, width = len(CHANNELS), WIDTH
        for out, length in zip(architecture.widths, architecture.kernels, strict=True):
            layers += [nn.Conv1d(channels, out, length, padding=length // 2, bias=False)]
            layers += [nn.BatchNorm1d(out), nn.ReLU(), nn.MaxPool1d(2)]
            channels, width = out, width // 2
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            nn.Dropout(architecture.dropout),
            nn.Linear(channels * width + len(FEATURES), architecture.hidden),
            nn.ReLU(),
            nn.Dropout(architecture.dropout),
            nn.Linear(architecture.hidden, len(AAMI_CLASSES)),
        )
        self.register_buffer("feature_mean", torch.zeros(len(FEATURES)))
        self.register_buffer("feature_scale", torch.ones(len(FEATURES)))

    def forward(self, windows: Tensor, features: Tensor) -> Tensor:
        """Logits.

        Args:
            windows: (n, channels, width).
            features: (n, features).

        Returns:
            (n, classes).
        """
        shape = self.convolutions(windows).flatten(1)
        context = torch.clamp((features - self.feature_mean) / self.feature_scale, -5.0, 5.0)
        logits: Tensor = self.dense(torch.cat([shape, context], 1))
        return logits


class Exported(nn.Module):
    """The network as the monitor runs it: probabilities instead of logits."""

    def __init__(self, net: BeatNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, windows: Tensor, features: Tensor) -> Tensor:
        """(n, classes) probabilities; the arguments are those of :class:`BeatNet`."""
        return torch.softmax(self.net(windows, features), 1)
