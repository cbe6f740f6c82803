"""The network: a small 1-D CNN over the beat window, joined by the RR and shape features.

    window -> 3 x [Conv1D, BatchNorm, ReLU, MaxPool] -> Dropout, dense ┐
    features -> standardise -------------------------------------------┴-> 2 x [dense, ReLU, Dropout], dense -> softmax

The window passes through a narrow embedding on purpose: a few hundred convolution outputs beside a couple of dozen
features taught the network the training patients (see trainer/LOG.md).
"""

# Annotations are evaluated here: TorchScript reads them.

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from monitor.beats import CHANNELS, FEATURES, WIDTH
from monitor.ecg import AAMI_CLASSES


@dataclass(frozen=True, slots=True)
class Architecture:
    """Sizes of the network.

    Attributes:
        channels: window channels that the convolutions see, by name.
        widths: output channels of the three convolutions.
        kernels: their lengths, points.
        embedding: numbers that the window is reduced to.
        hidden: units of each dense layer.
        dropout: share of units dropped after each dense layer while training.
        blindness: share of beats whose window is hidden while training, so that the features stand alone too.
    """

    channels: tuple[str, ...] = ("difference",)
    widths: tuple[int, int, int] = (16, 16, 16)
    kernels: tuple[int, int, int] = (7, 5, 5)
    embedding: int = 8
    hidden: int = 32
    dropout: float = 0.2
    blindness: float = 0.3


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
        channels, width = len(architecture.channels), WIDTH
        for out, length in zip(architecture.widths, architecture.kernels, strict=True):
            layers += [nn.Conv1d(channels, out, length, padding=length // 2, bias=False)]
            layers += [nn.BatchNorm1d(out), nn.ReLU(), nn.MaxPool1d(2)]
            channels, width = out, width // 2
        layers += [nn.Flatten(), nn.Dropout(0.5), nn.Linear(channels * width, architecture.embedding), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        dense: list[nn.Module] = []
        width = architecture.embedding + len(FEATURES)
        for _ in range(2):
            dense += [nn.Linear(width, architecture.hidden), nn.ReLU(), nn.Dropout(architecture.dropout)]
            width = architecture.hidden
        self.dense = nn.Sequential(*dense, nn.Linear(width, len(AAMI_CLASSES)))
        self.first = CHANNELS.index(architecture.channels[0])
        self.last = CHANNELS.index(architecture.channels[-1]) + 1
        self.blindness = architecture.blindness
        self.register_buffer("feature_mean", torch.zeros(len(FEATURES)))
        self.register_buffer("feature_scale", torch.ones(len(FEATURES)))

    def forward(self, windows: Tensor, features: Tensor) -> Tensor:
        """Logits.

        Args:
            windows: (n, len(CHANNELS), width).
            features: (n, features).

        Returns:
            (n, classes).
        """
        shape = self.convolutions(windows[:, self.first : self.last])
        if self.training:
            seen = torch.rand(shape.shape[0], 1, device=shape.device) >= self.blindness
            shape = shape * seen / (1.0 - self.blindness)
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
