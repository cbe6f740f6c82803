"""Several networks of one architecture computed side by side, for the monitor: the same numbers in fewer steps.

Their convolutions, which take most of the time, become one with a group a network, batch normalisation folded in. Dense
layers stay one a network: as a batched product a beat's last bits would depend on its place in the batch.
"""

# Annotations are evaluated here: TorchScript reads them.

import torch
from torch import Tensor, nn

from trainer.beats.model import BeatNet, Encoder, Named


class Stacked(nn.Module):
    """The probabilities of :class:`trainer.beats.model.Named`, for evaluation alone."""

    picked: list[int]

    def __init__(self, nets: list[BeatNet]) -> None:
        super().__init__()
        first = nets[0]
        self.members, self.views, self.per_view, self.picked = len(nets), first.views, first.per_view, first.picked
        self.shared = first.shared
        self.convolutions = nn.ModuleList(
            _stack([_encoder(net, number) for net in nets]) for number in range(len(first.encoders))
        )
        self.heads = nn.ModuleList(_Head(net) for net in nets)

    def forward(self, windows: Tensor, features: Tensor) -> Tensor:
        """(n, classes) probabilities; the arguments are those of :class:`trainer.beats.model.BeatNet`."""
        n = windows.shape[0]
        by_lead = windows.reshape(n, self.views, self.per_view, windows.shape[2])[:, :, self.picked]
        found: list[Tensor] = []
        for number, convolutions in enumerate(self.convolutions):
            window = by_lead.flatten(0, 1) if self.shared else by_lead[:, number]
            found.append(convolutions(window).reshape(window.shape[0], self.members, -1))
        total = torch.zeros(1, device=windows.device)
        for member, head in enumerate(self.heads):
            total = total + head([part[:, member] for part in found], features)
        return total / self.members


class _Head(nn.Module):
    """What comes after the convolutions, of one member."""

    def __init__(self, net: BeatNet) -> None:
        super().__init__()
        self.spread = net.spread
        self.embeddings = nn.ModuleList(_encoder(net, number).embedding for number in range(len(net.encoders)))
        self.dense = net.dense

    def forward(self, shapes: list[Tensor], features: Tensor) -> Tensor:
        """(n, classes) probabilities.

        Args:
            shapes: (n or n x leads, inputs), what the convolutions of each encoder give.
            features: (n, features).
        """
        parts = [self.spread(features).flatten(1)]
        for number, embedding in enumerate(self.embeddings):
            parts.append(embedding(shapes[number]).reshape(features.shape[0], -1))
        return torch.softmax(self.dense(torch.cat(parts, 1)), 1)


def _encoder(net: BeatNet, number: int) -> Encoder:
    found = net.encoders[number]
    assert isinstance(found, Encoder)
    return found


def _stack(encoders: list[Encoder]) -> nn.Sequential:
    """The convolutions of several encoders as one: (n, channels, width) to (n, members x outputs, width)."""
    members = len(encoders)
    layers: list[nn.Module] = []
    for place in range(0, len(encoders[0].convolutions), 4):
        folded = [_fold(encoder.convolutions[place], encoder.convolutions[place + 1]) for encoder in encoders]
        weight, bias = (torch.cat(part) for part in zip(*folded, strict=True))
        groups = members if place else 1  # all see the same window first, then each its own
        outputs, inputs, length = weight.shape
        stacked = nn.Conv1d(inputs * groups, outputs, length, padding=length // 2, groups=groups)
        stacked.load_state_dict({"weight": weight, "bias": bias})
        layers += [stacked, nn.ReLU(), nn.MaxPool1d(2)]
    return nn.Sequential(*layers)


def _fold(convolution: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that does what this one and the batch normalisation after it do."""
    assert isinstance(convolution, nn.Conv1d)
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
    bias = (norm.bias - norm.running_mean * scale).detach()
    return convolution.weight.detach() * scale[:, None, None], bias


def for_the_monitor(nets: Named) -> nn.Module:
    """The fastest module that computes what these networks do."""
    members = [net for net in nets.nets if isinstance(net, BeatNet)]
    architecture = members[0].architecture
    if len(members) == 1 or architecture.lstm or architecture.fusion == "late" or not members[0].encoders:
        return nets
    return Stacked(members).eval()
