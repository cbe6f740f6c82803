"""The network: shapes, what it may see, and that TorchScript computes the same."""

from __future__ import annotations

import pytest
import torch

from monitor.beats import CHANNELS, FEATURES, WIDTH
from monitor.ecg import AAMI_CLASSES
from trainer.model import Architecture, BeatNet, Exported


def inputs(n: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    windows = torch.randn(n, len(CHANNELS), WIDTH, generator=generator)
    return windows, torch.randn(n, len(FEATURES), generator=generator)


@pytest.mark.parametrize("channels", [("difference",), ("beat", "difference")])
def test_the_exported_network_gives_probabilities(channels: tuple[str, ...]) -> None:
    net = Exported(BeatNet(Architecture(channels=channels))).eval()
    p = net(*inputs())
    assert p.shape == (5, len(AAMI_CLASSES))
    assert torch.allclose(p.sum(1), torch.ones(5))
    assert (p >= 0).all()


def test_channels_that_are_not_named_are_not_seen() -> None:
    net = BeatNet(Architecture(channels=("difference",))).eval()
    windows, features = inputs()
    changed = windows.clone()
    changed[:, CHANNELS.index("beat")] += 1.0
    assert torch.equal(net(windows, features), net(changed, features))
    changed[:, CHANNELS.index("difference")] += 1.0
    assert not torch.equal(net(windows, features), net(changed, features))


def test_torchscript_computes_the_same() -> None:
    net = Exported(BeatNet(Architecture())).eval()
    scripted = torch.jit.freeze(torch.jit.script(net))
    with torch.inference_mode():
        assert torch.allclose(net(*inputs()), scripted(*inputs()), atol=1e-6)


def test_a_network_that_is_not_training_is_not_blind() -> None:
    net = BeatNet(Architecture(blindness=0.9)).eval()
    assert torch.equal(net(*inputs()), net(*inputs()))


def test_extreme_features_are_clamped() -> None:
    net = BeatNet(Architecture()).eval()
    windows, features = inputs()
    features[:, 0] = 1e9
    far = net(windows, features)
    features[:, 0] = 5.0
    assert torch.equal(far, net(windows, features))
