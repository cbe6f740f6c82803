"""The networks: shapes, what they may see, and that TorchScript and stacking compute the same."""

from __future__ import annotations

import pytest
import torch

import trainer.beats.model
from monitor.beats import channels_of, features_of
from monitor.ecg import AAMI_CLASSES
from monitor.shapes import CHANNELS
from monitor.window import WIDTH
from trainer.beats.model import Architecture, BeatNet, Named, Spread
from trainer.beats.stacked import Stacked, for_the_monitor

FAMILY = (
    Architecture(),
    Architecture(channels=CHANNELS),
    Architecture(channels=()),
    Architecture(lstm=6),
    Architecture(leads=2),
    Architecture(leads=2, shared=False, widths=(4, 8), kernels=(6, 3)),
    Architecture(leads=2, channels=(), hidden=()),
    Architecture(pieces=4),
    Architecture(leads=2, channels=(), pieces=3),
)


@pytest.fixture(params=["as it is", "two leads of their own"])
def wide(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run on this front end, and on one whose second lead has window and features of its own."""
    if request.param != "as it is":
        names = ("a", "b", "c")
        monkeypatch.setattr(trainer.beats.model, "channels_of", lambda leads: CHANNELS * leads)
        monkeypatch.setattr(trainer.beats.model, "features_of", lambda leads: names + ("d", "e") * (leads - 1))


def inputs(leads: int, n: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    channels, features = len(trainer.beats.model.channels_of(leads)), len(trainer.beats.model.features_of(leads))
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


@pytest.mark.parametrize("pieces", [1, 4])
def test_features_that_are_hidden_are_not_seen(pieces: int) -> None:
    name = features_of(1)[3]
    net = BeatNet(Architecture(hidden_features=(name,), pieces=pieces)).eval()
    windows, features = inputs(1)
    net.standardise(features)
    changed = features.clone()
    changed[:, 3] += 1.0
    assert torch.equal(net(windows, features), net(windows, changed))
    changed[:, 4] += 1.0
    assert not torch.equal(net(windows, features), net(windows, changed))


def test_pieces_tell_how_far_a_feature_has_come() -> None:
    spread = Spread(2, 4)
    skewed = torch.linspace(0.0, 1.0, 1001) ** 3
    spread.set_range(slice(0, 2), torch.stack([skewed, -2.0 * skewed], 1))
    edges = torch.cat([spread.low, (spread.low + spread.step)[:, -1:]], 1)
    assert torch.allclose(edges[0, [0, -1]], torch.tensor([0.0, 1.0]), atol=0.01)
    assert torch.allclose(edges[:, 1:-1], spread.low[:, 1:])
    quantiles = torch.tensor([0.25, 0.5, 0.75]) ** 3
    assert torch.allclose(edges[0, 1:4], 0.5 * (quantiles + torch.tensor([0.25, 0.5, 0.75])), atol=0.01), "halfway"
    at = 0.5 * (edges[0, 1] + edges[0, 2])
    assert torch.allclose(spread(torch.tensor([[at, at]]))[0, 0], torch.tensor([1.0, 0.0, -1.0, -1.0]), atol=1e-5)
    far = spread(torch.tensor([[1e9, -1e9]]))[0]
    assert torch.equal(far, torch.tensor([[1.0] * 4, [-1.0] * 4])), "what lies beyond the range is its end"
    values = spread(torch.stack([skewed, skewed], 1))[:, 0].sum(1)
    assert (values.diff() >= 0.0).all()


def test_a_feature_that_never_changes_spreads_to_finite_numbers() -> None:
    spread = Spread(1, 8)
    spread.set_range(slice(0, 1), torch.full((100, 1), 3.0))
    assert torch.isfinite(spread(torch.tensor([[3.0], [3.1], [2.9]]))).all()


def test_of_many_beats_a_part_tells_the_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer.beats.model, "_ENOUGH", 100)
    spread = Spread(1, 2)
    spread.set_range(slice(0, 1), torch.arange(1000.0)[:, None])
    assert spread.low[0, 1] == pytest.approx(500, abs=10)


@pytest.mark.parametrize("pieces", [1, 4])
def test_both_leads_have_the_same_range_where_one_network_names_from_each(pieces: int) -> None:
    net = BeatNet(Architecture(leads=2, channels=(), pieces=pieces, fusion="late"))
    _, features = inputs(2, 100)
    net.standardise(features)
    first, second = net.spread.low[net.context : net.first_lead], net.spread.low[net.first_lead :]
    assert torch.equal(first, second)
    assert not torch.equal(net.spread.low[: net.context], torch.zeros(net.context, pieces))


def test_the_second_lead_is_hidden_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer.beats.model, "channels_of", lambda leads: CHANNELS * leads)
    monkeypatch.setattr(trainer.beats.model, "features_of", lambda leads: ("a", "b") * leads)
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
