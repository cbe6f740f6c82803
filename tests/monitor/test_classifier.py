"""A model is run only if it is the pinned file, fits this front end and computes what it did where it was made."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import stub_model
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import classifier
from monitor.classifier import Classifier, decode_array, digest_of, encode_array, front_end
from monitor.ecg import AAMI_CLASSES
from monitor.exceptions import ModelError

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


@pytest.fixture(scope="module")
def pinned(tmp_path_factory):
    """A good model file and its digest."""
    path = tmp_path_factory.mktemp("model") / "stub.pt"
    return path, stub_model.write_model(path)


@pytest.fixture(scope="module")
def model(pinned):
    return Classifier(*pinned)


# -- what it computes


def test_rows_are_probabilities_in_the_order_of_the_classes(model):
    found = model.classify(*stub_model.beats(20))
    assert found.shape == (20, len(AAMI_CLASSES))
    assert found.dtype == np.float32
    assert np.allclose(found.sum(1), 1.0, atol=1e-6)


def test_no_beats_no_rows(model):
    assert model.classify(*stub_model.beats(0)).shape == (0, len(AAMI_CLASSES))


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(40)), st.integers(1, 40))
def test_a_row_depends_on_neither_its_neighbours_nor_its_place(model, order, count):
    """Bit-equal: any selection of beats, in any order, in one batch or across several."""
    windows, features = stub_model.beats(40)
    together = model.classify(windows, features)
    chosen = list(order[:count])
    assert np.array_equal(model.classify(windows[chosen], features[chosen]), together[chosen])


def test_garbage_in_one_row_does_not_reach_the_others(model):
    windows, features = stub_model.beats(16)
    clean = model.classify(windows, features)
    for row, value in ((0, np.nan), (7, np.inf), (15, 1e30)):
        windows[row], features[row] = value, value
    found = model.classify(windows, features)
    others = [row for row in range(16) if row not in (0, 7, 15)]
    assert np.array_equal(found[others], clean[others])


def test_arrays_survive_the_card():
    array = np.random.default_rng(0).normal(size=(3, 2, 5)).astype(np.float32)
    entry = json.loads(json.dumps(encode_array(array)))
    assert np.array_equal(decode_array(entry), array)


# -- what is refused


def refused(path, sha256, *what):
    """The refusal of a file: its text holds the path and each of `what`."""
    with pytest.raises(ModelError) as refusal:
        Classifier(path, sha256)
    text = str(refusal.value)
    for part in (str(path), *what):
        assert part in text
    assert refusal.value.remedy


def test_a_missing_file(tmp_path):
    refused(tmp_path / "none.pt", "0" * 64, "cannot be read (No such file or directory)")


def test_a_folder(tmp_path):
    refused(tmp_path, "0" * 64, "cannot be read")


def test_an_endless_file(monkeypatch, tmp_path):
    monkeypatch.setattr(classifier, "MAX_BYTES", 1000)
    path = tmp_path / "long.pt"
    path.write_bytes(bytes(1001))
    refused(path, hashlib.sha256(bytes(1001)).hexdigest(), "longer than 1000 bytes")


def test_a_file_without_a_pin(pinned):
    refused(pinned[0], None, "SHA-256 is not given", "--model-sha256")


def test_another_pin(pinned):
    refused(pinned[0], "0" * 64, "pinned is 000000000000...", "do not use this file")


def test_the_pin_may_be_in_capitals(pinned):
    assert Classifier(pinned[0], pinned[1].upper()).sha256 == pinned[1] == digest_of(pinned[0])


def test_a_thousand_flipped_bits(pinned, tmp_path):
    content = pinned[0].read_bytes()
    path = tmp_path / "flipped.pt"
    for position in np.random.default_rng(0).integers(0, 8 * len(content), 1000):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        path.write_bytes(flipped)
        refused(path, pinned[1], "do not use this file")


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_truncated_file(pinned, tmp_path_factory, data):
    content = pinned[0].read_bytes()
    path = tmp_path_factory.getbasetemp() / "truncated.pt"
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    refused(path, pinned[1], "do not use this file")


def test_a_pinned_file_that_is_no_model(tmp_path):
    path = tmp_path / "text.pt"
    path.write_text("not a model")
    refused(path, digest_of(path), "not a wardbeat model")


def test_a_model_without_a_card(tmp_path):
    path = tmp_path / "bare.pt"
    torch.jit.script(stub_model.Stub()).save(str(path))
    refused(path, digest_of(path), "not a wardbeat model")


@pytest.mark.parametrize("batch", [None, 0, -1, "many", [16]])
def test_a_card_without_a_batch_size(tmp_path, batch):
    path = tmp_path / "model.pt"
    refused(path, stub_model.write_model(path, **{"batch": 16} | {"batch": batch}), "not a wardbeat model")


@pytest.mark.parametrize("key", sorted(front_end(1)))
def test_another_front_end(tmp_path, key):
    path = tmp_path / "model.pt"
    other = {**front_end(1), key: "other"}[key]
    refused(path, stub_model.write_model(path, **{key: other}), f"made for another front end: {key} differs")
    refused(path, stub_model.write_model(path, **{key: None}), f"made for another front end: {key} differs")


class FirstFive(torch.nn.Module):
    """Probabilities from the first five features alone."""

    def forward(self, windows: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        return torch.softmax(features[:, :5], 1)


def test_a_model_is_given_the_features_that_its_card_names(tmp_path):
    """Fewer than there are, and in its own order: one that was trained before others were added goes on working."""
    names = front_end(1)["features"][::-7]
    path = tmp_path / "model.pt"
    windows, features = stub_model.beats(10)
    golden = stub_model.make_card(FirstFive().eval(), 16)["golden"]
    golden["features"] = encode_array(decode_array(golden["features"])[:, : len(names)])
    model = Classifier(path, stub_model.write_model(path, network=FirstFive(), features=names, golden=golden))
    columns = [front_end(1)["features"].index(name) for name in names[:5]]
    expected = torch.softmax(torch.from_numpy(features[:, columns]), 1).numpy()
    assert np.allclose(model.classify(windows, features), expected, atol=1e-6)
    wide = np.concatenate([features, np.ones((10, 50), np.float32)], 1)
    assert np.array_equal(model.classify(windows, wide), model.classify(windows, features))


@pytest.mark.parametrize("names", [[], ["nothing"], ["rr_to_mean8", "rr_to_mean8"], ["rr_to_mean8", 1], {"calm": 1}])
def test_a_card_whose_features_are_not_known(tmp_path, names):
    path = tmp_path / "model.pt"
    refused(path, stub_model.write_model(path, features=names), "features differs")


def test_the_order_of_classes_matters(tmp_path):
    path = tmp_path / "model.pt"
    refused(path, stub_model.write_model(path, classes=["S", "N", "V", "F", "Q"]), "classes differs")


@pytest.mark.parametrize("difference", [2e-4, -2e-4, np.nan])
def test_golden_vectors_that_do_not_come_out(tmp_path, difference):
    path = tmp_path / "model.pt"
    torch.manual_seed(0)
    golden = stub_model.make_card(stub_model.Stub().eval(), 16)["golden"]
    probabilities = decode_array(golden["probabilities"])
    probabilities[-1, -1] += difference
    golden["probabilities"] = encode_array(probabilities)
    refused(path, stub_model.write_model(path, golden=golden), "golden vectors differ by")


def test_golden_vectors_may_differ_in_the_last_bits(tmp_path):
    path = tmp_path / "model.pt"
    torch.manual_seed(0)
    golden = stub_model.make_card(stub_model.Stub().eval(), 16)["golden"]
    golden["probabilities"] = encode_array(decode_array(golden["probabilities"]) + np.float32(5e-5))
    Classifier(path, stub_model.write_model(path, golden=golden))


@pytest.mark.parametrize(
    "golden",
    [
        None,
        "none",
        {"windows": {"shape": [1], "float32": "?"}},
        {
            name: encode_array(np.zeros((0, *shape), np.float32))
            for name, shape in (("windows", (2, 5)), ("features", (3,)), ("probabilities", (5,)))
        },
    ],
    ids=["missing", "text", "damaged", "empty"],
)
def test_golden_vectors_that_cannot_be_computed(tmp_path, golden):
    path = tmp_path / "model.pt"
    refused(path, stub_model.write_model(path, golden=golden), "golden vectors cannot be computed")


def test_a_network_that_raises(tmp_path):
    class Raises(stub_model.Stub):
        def forward(self, windows: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
            if windows.shape[0] == 16:  # not while its card is made
                raise RuntimeError("broken")
            return torch.softmax(features[:, :5], 1)

    path = tmp_path / "model.pt"
    refused(path, stub_model.write_model(path, network=Raises()), "golden vectors cannot be computed")


# -- the model that comes with wardbeat


def pins(monkeypatch, tmp_path, text):
    path = tmp_path / "pins.toml"
    path.write_text(text)
    monkeypatch.setattr(classifier, "PINS", path)
    monkeypatch.setattr(classifier, "MODELS", tmp_path)


def test_default_model_is_the_pinned_one(monkeypatch, tmp_path):
    digest = stub_model.write_model(tmp_path / "stub.pt")
    pins(monkeypatch, tmp_path, f'default = "stub"\n[sha256]\nstub = "{digest}"\n')
    assert Classifier().sha256 == digest


@pytest.mark.parametrize("text", ["", "default =", 'default = "stub"', 'default = "a"\n[sha256]\nb = "0"'])
def test_damaged_list_of_pins(monkeypatch, tmp_path, text):
    pins(monkeypatch, tmp_path, text)
    with pytest.raises(ModelError, match="the list of pinned models is damaged"):
        Classifier()
