"""The networks: a family of small 1-D CNNs over the beat window, joined by the RR and shape features.

    window of each lead -> k x [Conv1D, BatchNorm, ReLU, MaxPool], BiLSTM or not, Dropout, dense ┐
    features -> standardise, or spread over pieces ----------------------------------------------┴-> dense -> softmax

The window passes through a narrow embedding on purpose: a few hundred convolution outputs beside a couple of dozen
features taught the network the training patients (see trainer/LOG.md). Without channels there is no window at all: the
features alone are named. Several networks are one: their probabilities are averaged.

A feature spread over pieces is as many numbers, each of which says how far it has come through its own part of the
feature's range, so that a dense layer can bend where the feature's quantiles lie, as the thresholds of a tree do.

Source: piecewise linear encoding of numbers: Gorishniy 2022, arXiv:2203.05556.
"""

# Annotations are evaluated here: TorchScript reads them.

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from monitor.beats import channels_of, features_of
from monitor.ecg import AAMI_CLASSES
from monitor.exceptions import ConfigError
from monitor.shapes import CHANNELS
from monitor.timing import CONTEXT
from monitor.window import WIDTH

FUSIONS: Final = ("early", "late")

_ENOUGH: Final = 50_000
"""Beats that tell the quantiles of a feature."""
_EXTREME: Final = 0.002
"""Share of beats beyond either end of the pieces."""
_SHORTEST: Final = 1e-3
"""Shortest piece, in units of the feature."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """Sizes of a network.

    Attributes:
        leads: how many leads it names beats from.
        channels: window channels of each lead that the convolutions see, by name; none: features alone.
        widths: output channels of the convolutions.
        kernels: their lengths, points.
        lstm: units each way of an LSTM over what the convolutions give; 0: none, a dense layer takes it all.
        embedding: numbers that the window of a lead is reduced to.
        shared: whether the windows of all leads pass through the same convolutions.
        fusion: ``early``: the leads meet before the dense layers; ``late``: the same network names the beat from each
            lead alone, and the logits are averaged.
        pieces: numbers that each feature is spread over; 1: itself, standardised.
        hidden: units of the dense layers.
        hidden_features: features that the network never sees, by name.
        dropout: share of units dropped after each dense layer while training.
        window_dropout: the same before the embedding.
        blindness: share of beats whose window is hidden while training, so that the features stand alone too.
        feature_dropout: share of the features hidden while training, each by itself.
        lead_dropout: share of beats whose second lead is hidden while training; with late fusion one or the other.
    """

    leads: int = 1
    channels: tuple[str, ...] = ("difference",)
    widths: tuple[int, ...] = (16, 16, 16)
    kernels: tuple[int, ...] = (7, 5, 5)
    lstm: int = 0
    embedding: int = 8
    shared: bool = True
    fusion: str = "early"
    pieces: int = 1
    hidden: tuple[int, ...] = (32, 32)
    hidden_features: tuple[str, ...] = ()
    dropout: float = 0.2
    window_dropout: float = 0.5
    blindness: float = 0.3
    feature_dropout: float = 0.0
    lead_dropout: float = 0.0

    def __post_init__(self) -> None:
        """See that it can be built.

        Raises:
            ConfigError: it cannot.
        """
        if self.leads not in (1, 2):
            raise ConfigError(f"{self.leads} leads", where="architecture.leads", remedy="1 or 2")
        if self.pieces < 1:
            raise ConfigError(f"{self.pieces} pieces", where="architecture.pieces", remedy="1 or more")
        if self.fusion not in FUSIONS or (self.fusion == "late" and not (self.shared and self.leads == 2)):
            remedy = f"there are {', '.join(FUSIONS)}; late needs two leads and shared convolutions"
            raise ConfigError(f"no fusion {self.fusion}", where="architecture.fusion", remedy=remedy)
        for name, given, known in (
            ("channels", self.channels, CHANNELS),
            ("hidden_features", self.hidden_features, features_of(self.leads)),
        ):
            unknown = [word for word in given if word not in known]
            if unknown:
                remedy = f"there are {', '.join(known)}"
                raise ConfigError(f"no {', '.join(unknown)}", where=f"architecture.{name}", remedy=remedy)
        if self.channels and (len(self.widths) != len(self.kernels) or WIDTH >> len(self.widths) < 1):
            remedy = "as many as widths, at most six"
            raise ConfigError(f"{len(self.kernels)} kernels", where="architecture.kernels", remedy=remedy)
        for name in ("dropout", "window_dropout", "blindness", "feature_dropout", "lead_dropout"):
            if not 0.0 <= getattr(self, name) < 1.0:
                remedy = "0 or more, and below 1"
                raise ConfigError(f"{getattr(self, name)}", where=f"architecture.{name}", remedy=remedy)


class Encoder(nn.Module):
    """The window of one lead as a few numbers."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, width = len(architecture.channels), WIDTH
        for out, length in zip(architecture.widths, architecture.kernels, strict=True):
            layers += [nn.Conv1d(channels, out, length, padding=length // 2, bias=False)]
            layers += [nn.BatchNorm1d(out), nn.ReLU(), nn.MaxPool1d(2)]
            channels, width = out, (width + 2 * (length // 2) - length + 1) // 2
        self.convolutions = nn.Sequential(*layers)
        self.recurrent = bool(architecture.lstm)
        self.lstm = nn.LSTM(channels, max(architecture.lstm, 1), batch_first=True, bidirectional=True)
        inputs = 2 * architecture.lstm if self.recurrent else channels * width
        if not self.recurrent:
            self.lstm.requires_grad_(False)
        self.embedding = nn.Sequential(
            nn.Dropout(architecture.window_dropout), nn.Linear(inputs, architecture.embedding), nn.ReLU()
        )

    def forward(self, window: Tensor) -> Tensor:
        """(n, channels, width) to (n, embedding)."""
        found: Tensor = self.convolutions(window)
        if self.recurrent:
            _, (last, _) = self.lstm(found.transpose(1, 2))
            found = last.transpose(0, 1)
        numbers: Tensor = self.embedding(found.flatten(1))
        return numbers


class Spread(nn.Module):
    """Features in, each as so many pieces of its range; one piece is the feature itself, standardised.

    Attributes:
        low, step: (features, pieces) buffers, where each piece begins and how long it is. A feature that the network
            never sees has an infinite step.
    """

    low: Tensor
    step: Tensor

    def __init__(self, features: int, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces
        self.register_buffer("low", torch.zeros(features, pieces))
        self.register_buffer("step", torch.ones(features, pieces))

    def set_range(self, columns: slice, features: Tensor) -> None:
        """Set the range of some columns from their values, (n, columns), in the training beats.

        Mean and standard deviation; or pieces halfway between equally long ones and such with equally many beats.
        """
        if self.pieces == 1:
            self.low[columns] = features.mean(0)[:, None]
            self.step[columns] = features.std(0).clamp_min(_SHORTEST)[:, None]
            return
        few = features[:: max(len(features) // _ENOUGH, 1)].double()
        shares = torch.linspace(0.0, 1.0, self.pieces + 1, dtype=torch.float64)
        low, high = torch.quantile(few, torch.tensor([_EXTREME, 1.0 - _EXTREME], dtype=torch.float64), dim=0)
        quantiles = torch.quantile(few, shares, dim=0).clamp(low, high)
        edges = 0.5 * (quantiles + low + (high - low) * shares[:, None])
        self.low[columns] = edges[:-1].T.float()
        self.step[columns] = edges.diff(dim=0).clamp_min(_SHORTEST).T.float()

    def forward(self, features: Tensor) -> Tensor:
        """(n, features) to (n, features, pieces)."""
        parts = (features.unsqueeze(2) - self.low) / self.step
        if self.pieces == 1:
            return torch.clamp(parts, -5.0, 5.0)
        return 2.0 * torch.clamp(parts, 0.0, 1.0) - torch.isfinite(self.step).float()


class BeatNet(nn.Module):
    """Windows and features in, class logits out.

    Attributes:
        spread: of the features; set from the training beats.
    """

    picked: list[int]

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        names = features_of(architecture.leads)
        self.views = len(channels_of(architecture.leads)) // len(CHANNELS)
        self.per_view = len(CHANNELS)
        self.picked = [CHANNELS.index(name) for name in architecture.channels]
        self.first_lead = len(features_of(1))
        count = 0 if not architecture.channels else 1 if architecture.shared else self.views
        self.shared = architecture.shared
        self.encoders = nn.ModuleList(Encoder(architecture) for _ in range(count))
        dense: list[nn.Module] = []
        self.late = architecture.fusion == "late"
        self.context = CONTEXT
        self.spread = Spread(len(names), architecture.pieces)
        width = (self.views * architecture.embedding if count else 0) + len(names) * architecture.pieces
        if self.late:
            width = (architecture.embedding if count else 0) + self.first_lead * architecture.pieces
        for hidden in architecture.hidden:
            dense += [nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(architecture.dropout)]
            width = hidden
        self.dense = nn.Sequential(*dense, nn.Linear(width, len(AAMI_CLASSES)))
        self.blindness = architecture.blindness
        self.feature_dropout = architecture.feature_dropout
        self.lead_dropout = architecture.lead_dropout

    def standardise(self, features: Tensor) -> None:
        """Set the range of each feature from (n, features) training beats."""
        names = features_of(self.architecture.leads)
        self.spread.set_range(slice(0, len(names)), features)
        if self.late:  # both leads go through the same network
            first, second = slice(self.context, self.first_lead), slice(self.first_lead, len(names))
            both = torch.cat([features[:, first], features[:, second]])
            self.spread.set_range(first, both)
            self.spread.set_range(second, both)
        for name in self.architecture.hidden_features:
            self.spread.step[names.index(name)] = torch.inf

    def forward(self, windows: Tensor, features: Tensor) -> Tensor:
        """Logits.

        Args:
            windows: (n, channels, width); those of the first lead come first.
            features: (n, features).

        Returns:
            (n, classes).
        """
        n = windows.shape[0]
        context = self.spread(features)
        if self.training:
            seen = torch.rand(n, context.shape[1], 1, device=windows.device) >= self.feature_dropout
            context = context * seen / (1.0 - self.feature_dropout)
        shape = torch.zeros(n, self.views, 0, device=windows.device)
        if len(self.encoders) > 0:
            by_lead = windows.reshape(n, self.views, self.per_view, windows.shape[2])[:, :, self.picked]
            shape = self.encode(by_lead)
            if self.training:
                known = torch.rand(n, 1, 1, device=windows.device) >= self.blindness
                shape = shape * known / (1.0 - self.blindness)
        if self.late:
            return self.name_late(context, shape)
        if self.training:
            second = (torch.rand(n, 1, 1, device=windows.device) >= self.lead_dropout).float()
            context = torch.cat([context[:, : self.first_lead], context[:, self.first_lead :] * second], 1)
            shape = torch.cat([shape[:, :1], shape[:, 1:] * second], 1)
        logits: Tensor = self.dense(torch.cat([context.flatten(1), shape.flatten(1)], 1))
        return logits

    def name_late(self, context: Tensor, shape: Tensor) -> Tensor:
        """Logits from each lead alone, averaged; while training one lead or the other is hidden from some beats."""
        timing, first = context[:, : self.context], context[:, self.context : self.first_lead]
        one = self.dense(torch.cat([timing.flatten(1), first.flatten(1), shape[:, 0]], 1))
        other = self.dense(torch.cat([timing.flatten(1), context[:, self.first_lead :].flatten(1), shape[:, 1]], 1))
        weight = torch.full((context.shape[0], 1), 0.5, device=context.device)
        if self.training:
            draw = torch.rand(context.shape[0], 1, device=context.device)
            weight = torch.where(draw < self.lead_dropout, (draw < 0.5 * self.lead_dropout).float(), weight)
        logits: Tensor = weight * one + (1.0 - weight) * other
        return logits

    def encode(self, by_lead: Tensor) -> Tensor:
        """(n, leads, channels, width) to (n, leads, embedding)."""
        found: list[Tensor] = []
        for number, encoder in enumerate(self.encoders):
            if self.shared:
                found.append(encoder(by_lead.flatten(0, 1)).unflatten(0, (by_lead.shape[0], self.views)))
            else:
                found.append(encoder(by_lead[:, number]).unsqueeze(1))
        return torch.cat(found, 1)


class Named(nn.Module):
    """One network or several as the monitor runs them: probabilities, averaged over the networks."""

    def __init__(self, nets: list[BeatNet]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)

    def forward(self, windows: Tensor, features: Tensor) -> Tensor:
        """(n, classes) probabilities; the arguments are those of :class:`BeatNet`."""
        # One after the other: a mean over a stack adds in an order that depends on where a beat stands in the batch.
        total = torch.zeros(1, device=windows.device)
        for net in self.nets:
            total = total + torch.softmax(net(windows, features), 1)
        return total / len(self.nets)
