"""The networks: shapes, what they may see, and that TorchScript and stacking compute the same."""

from __future__ import annotations

import pytest
import torch

import trainer.model
from monitor.beats import channels_of, features_of
from monitor.ecg import AAMI_CLASSES
from monitor.shapes import CHANNELS
from monitor.window import WIDTH
from trainer.model import Architecture, BeatNet, Named
from trainer.stacked import Stacked, for_the_monitor

FAMILY = (
    Architecture(),
    Architecture(channels=CHANNELS),
    Architecture(channels=()),
    Architecture(lstm=6),
    Architecture(leads=2),
    Architecture(leads=2, shared=False, widths=(4, 8), kernels=(6, 3)),
    Architecture(leads=2, channels=(), hidden=()),
)


@pytest.fixture(params=["as it is", "two leads of their own"])
def wide(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run on this front end, and on one whose second lead has window and features of its own."""
    if request.param != "as it is":
        names = ("a", "b", "c")
        monkeypatch.setattr(trainer.model, "channels_of", lambda leads: CHANNELS * leads)
        monkeypatch.setattr(trainer.model, "features_of", lambda leads: names + ("d", "e") * (leads - 1))


def inputs(leads: int, n: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    channels, features = len(trainer.model.channels_of(leads)), len(trainer.model.features_of(leads))
    windows = torch.randn(n, channels, WIDTH, generator=generator)
    return windows, torch.randn(n, features, generator=generator)


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("architecture", FAMILY)
def test_probabilities_and_gradients(architecture: Architecture) -> None:
    nets = Named([BeatNet(architecture), BeatNet(architecture)]).eval()
    p = nets(*inputs(architecture.leads))
    assert p.shape == (5, len(AAMI_CLASSES))
    assert torch.allclose(p.sum(1), torch.ones(5))
    assert (p >= 0).all()
    net = BeatNet(architecture).train()
    net(*inputs(architecture.leads, 64)).square().sum().backward()
    used = [w for name, w in net.named_parameters() if "lstm" not in name or architecture.lstm]
    assert all(w.grad is not None for w in used)


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("architecture", FAMILY)
@pytest.mark.parametrize("members", [1, 3])
def test_torchscript_computes_the_same(architecture: Architecture, members: int) -> None:
    torch.manual_seed(0)
    nets = Named([BeatNet(architecture) for _ in range(members)])
    nets.train()
    for _ in range(3):
        nets(*inputs(architecture.leads, 32))  # batch normalisation learns its means
    nets.eval()
    module = for_the_monitor(nets)
    assert isinstance(module, Stacked) == (members > 1 and bool(architecture.channels) and not architecture.lstm)
    scripted = torch.jit.freeze(torch.jit.script(module))
    with torch.inference_mode():
        expected = nets(*inputs(architecture.leads))
        assert torch.allclose(expected, scripted(*inputs(architecture.leads)), atol=1e-6)
        single = torch.stack([torch.softmax(net(*inputs(architecture.leads)), 1) for net in nets.nets]).mean(0)
    assert torch.allclose(expected, single, atol=1e-6)


def test_channels_that_are_not_named_are_not_seen() -> None:
    net = BeatNet(Architecture(channels=("difference",))).eval()
    windows, features = inputs(1)
    changed = windows.clone()
    changed[:, CHANNELS.index("beat")] += 1.0
    assert torch.equal(net(windows, features), net(changed, features))
    changed[:, CHANNELS.index("difference"), 50:] += 3.0
    assert not torch.equal(net(windows, features), net(changed, features))


def test_features_that_are_hidden_are_not_seen() -> None:
    name = features_of(1)[3]
    net = BeatNet(Architecture(hidden_features=(name,))).eval()
    windows, features = inputs(1)
    net.standardise(features)
    changed = features.clone()
    changed[:, 3] += 1.0
    assert torch.equal(net(windows, features), net(windows, changed))
    changed[:, 4] += 1.0
    assert not torch.equal(net(windows, features), net(windows, changed))


def test_the_second_lead_is_hidden_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer.model, "channels_of", lambda leads: CHANNELS * leads)
    monkeypatch.setattr(trainer.model, "features_of", lambda leads: ("a", "b") * leads)
    quiet = {"dropout": 0.0, "window_dropout": 0.0, "blindness": 0.0}
    net = BeatNet(Architecture(leads=2, lead_dropout=0.5, **quiet)).train()
    windows, features = inputs(2, 200)
    other_windows, other_features = windows.clone(), features.clone()
    other_windows[:, len(CHANNELS) :] *= -2.0
    other_features[:, 2:] += 1.0
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.eval()  # in training its means join all beats
    torch.manual_seed(0)
    first = net(windows, features)
    torch.manual_seed(0)
    second = net(other_windows, other_features)
    same = (first == second).all(1)
    assert 60 < int(same.sum()) < 140


def test_a_network_that_is_not_training_is_not_blind() -> None:
    net = BeatNet(Architecture(blindness=0.9, feature_dropout=0.9)).eval()
    assert torch.equal(net(*inputs(1)), net(*inputs(1)))


def test_extreme_features_are_clamped() -> None:
    net = BeatNet(Architecture()).eval()
    windows, features = inputs(1)
    features[:, 0] = 1e9
    far = net(windows, features)
    features[:, 0] = 5.0
    assert torch.equal(far, net(windows, features))


def test_one_lead_is_the_beginning_of_two() -> None:
    assert channels_of(2)[: len(channels_of(1))] == channels_of(1)
    assert features_of(2)[: len(features_of(1))] == features_of(1)
