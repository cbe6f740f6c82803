"""Recipes from TOML values: what makes no sense is told, and what trains the same network has the same digest."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.exceptions import ConfigError
from trainer.beats.model import Architecture
from trainer.beats.recipes import Recipe


def test_values_find_their_places() -> None:
    recipe = Recipe.of({"rate": 1, "loss": "focal", "architecture": {"channels": [], "hidden": [8, 4]}})
    assert (recipe.rate, type(recipe.rate), recipe.loss) == (1.0, float, "focal")
    assert recipe.architecture == Architecture(channels=(), hidden=(8, 4))


def test_a_recipe_survives_the_way_through_json() -> None:
    recipe = Recipe("x", Architecture(leads=2, lstm=4), members=3, learn_from=("both",), patience=2)
    assert Recipe.of(recipe.as_dict()) == recipe


def test_the_digest_leaves_out_the_name_alone() -> None:
    assert Recipe("a").digest() == Recipe("b").digest()
    assert Recipe(rate=1e-3).digest() != Recipe().digest()
    assert Recipe().with_leads(2).digest() != Recipe().digest()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"speed": 1}, "speed: no such setting; there are name, members"),
        ({"epochs": 1.5}, "epochs: 1.5 is no int"),
        ({"epochs": True}, "epochs: True is no int"),
        ({"epochs": 0}, "epochs: 0 makes no sense"),
        ({"loss": "hinge"}, "loss: hinge makes no sense"),
        ({"learn_from": "first"}, "learn_from: 'first' is no tuple of str"),
        ({"architecture": 3}, "architecture: not a table"),
        ({"architecture": {"channels": ["soup"]}}, "architecture.channels: no soup; there are beat"),
        ({"architecture": {"hidden_features": ["soup"]}}, "architecture.hidden_features: no soup"),
        ({"architecture": {"kernels": [3]}}, "architecture.kernels: 1 kernels"),
        ({"architecture": {"widths": [1] * 7, "kernels": [3] * 7}}, "architecture.kernels: 7 kernels"),
        ({"architecture": {"dropout": 1.0}}, "architecture.dropout: 1.0"),
        ({"architecture": {"leads": 3}}, "architecture.leads: 3 leads"),
    ],
)
def test_what_makes_no_sense(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Recipe.of(values)
    assert str(caught.value).startswith(text)
