"""The weights with which fibrillation is told, and those that have not seen a record.

A weights file holds the network that a ward uses and, beside it, one network for each fold of the cross-validation with
the list of records it was not trained on: so that a whole monitor can be scored on the very records that were learnt
from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from monitor import fibrillation, waves
from monitor.exceptions import ConfigError
from monitor.fibrillation import WEIGHTS

WEIGHTS_FILE: Final = Path(__file__).parent / "models" / "vf-1.safetensors"

FINAL: Final = "final"
"""What tensors of the network that a ward uses begin with; those of fold 0 begin with ``fold0``."""

MADE_FOR: Final = {
    "features": list(waves.FEATURES),
    "window": waves.WINDOW,
    "rate": waves.RATE,
    "smallest_mv": fibrillation.SMALLEST_MV,
}
"""What a weights file must say it was made for."""

_REMEDY: Final = "install wardbeat anew, or make weights with wardbeat train-vf"


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """What a weights file holds.

    Attributes:
        card: how the networks were made and what cross-validation said.
        final: WEIGHTS record of the network that has learnt from all records.
        folds: WEIGHTS records of the networks that have not.
        left_out: for each of those, the records it has not seen, as ``database/record``.
    """

    card: Mapping[str, Any]
    final: np.void
    folds: tuple[np.void, ...]
    left_out: tuple[frozenset[str], ...]

    def unseen(self, record: str) -> np.void:
        """Weights that have not learnt from a record, named ``database/record``: the final ones if it is in no fold."""
        for weights, names in zip(self.folds, self.left_out, strict=True):
            if record in names:
                return weights
        return self.final


def load(path: Path) -> Networks:
    """The networks of a weights file.

    Raises:
        ConfigError: it cannot be read, or was made for other features.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            card = json.loads((file.metadata() or {}).get("card", "{}"))
            made_for = {name: card.get(name) for name in MADE_FOR} if isinstance(card, dict) else None
            if made_for != MADE_FOR:
                raise ConfigError("weights for fibrillation made for other features", where=str(path), remedy=_REMEDY)
            left_out = tuple(frozenset(names) for names in card["folds"])
            networks = [_record(file, name) for name in (FINAL, *(f"fold{i}" for i in range(len(left_out))))]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"weights for fibrillation cannot be read ({error})", where=str(path), remedy=_REMEDY
        ) from None
    return Networks(card, networks[0], tuple(networks[1:]), left_out)


@cache
def shipped() -> Networks:
    """Those of WEIGHTS_FILE; it is read once.

    Raises:
        ConfigError: as :func:`load` does.
    """
    return load(WEIGHTS_FILE)


def _record(file: Any, name: str) -> np.void:
    """A WEIGHTS record of the tensors that begin with `name`."""
    return record({part: file.get_tensor(f"{name}.{part}") for part in parts()})


def parts() -> tuple[str, ...]:
    """Names of a network's tensors."""
    assert WEIGHTS.names is not None
    return WEIGHTS.names


def record(tensors: Mapping[str, NDArray[np.float32]]) -> np.void:
    """A WEIGHTS record.

    Raises:
        ValueError: a tensor has another shape, or is not finite.
    """
    made: NDArray[np.void] = np.zeros(1, WEIGHTS)
    for part in parts():
        values = tensors[part]
        if values.shape != made[part].shape[1:] or not np.isfinite(values).all():
            raise ValueError(f"tensor {part} does not fit")
        made[part][0] = values
    found: np.void = made[0]
    return found
