"""The recipes that cross-validation chooses from. What each was meant to show is in trainer/LOG.md."""

from __future__ import annotations

from typing import Final

from monitor.exceptions import ConfigError
from trainer.model import Architecture
from trainer.training import Recipe

RECIPES: Final = (
    Recipe("difference"),
    Recipe("difference-long", epochs=8),
    Recipe("both-channels", Architecture(channels=("beat", "difference"))),
    Recipe("unbalanced", balance=0.0),
)


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        ConfigError: there is none.
    """
    for recipe in RECIPES:
        if recipe.name == name:
            return recipe
    known = ", ".join(recipe.name for recipe in RECIPES)
    raise ConfigError("no such recipe", where=name, remedy=f"there are {known}")
