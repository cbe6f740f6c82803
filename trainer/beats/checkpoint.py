"""What is kept of a training under way: weights as safetensors, the rest as JSON; nothing is unpickled.

A checkpoint is two files: ``checkpoint.json`` and the weights it names. The JSON file is written last and decides: a
training that was killed in between goes on from the one before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from trainer.files import whole_file, write_json

NAME: Final = "checkpoint.json"


def write(folder: Path, key: str, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Keep a checkpoint; the one before it goes.

    Args:
        folder: of this training alone; made if need be.
        key: what decides the training; another one's checkpoint is not resumed.
        facts: JSON values.
        tensors: by name.

    Raises:
        ConfigError: it cannot be written.
    """
    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    digest = sha256(data).hexdigest()
    weights = folder / f"{digest[:16]}.safetensors"
    with whole_file(weights) as beside:
        beside.write_bytes(data)
    write_json(folder / NAME, {"key": key, "weights": weights.name, "sha256": digest, **facts})
    for old in folder.glob("*.safetensors"):
        if old != weights:
            old.unlink(missing_ok=True)


def read(folder: Path, key: str) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """The checkpoint of this very training; None if there is none that is whole."""
    try:
        facts = json.loads((folder / NAME).read_text())
        if facts["key"] != key:
            return None
        data = (folder / facts["weights"]).read_bytes()
        if sha256(data).hexdigest() != facts["sha256"]:
            return None
        return facts, load(data)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None
