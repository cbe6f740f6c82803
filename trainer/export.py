"""From a trained network to the file that the monitor runs: TorchScript, with the card inside."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.beats import CHANNELS, FEATURES, WIDTH
from monitor.classifier import CARD_FILE, FRONT_END, Classifier, digest_of, encode_array
from trainer.model import BeatNet, Exported

BATCH: Final = 16
"""Beats a call when the monitor runs the network."""

ATTRIBUTION: Final = (
    "Weights trained on the MIT-BIH Arrhythmia Database (PhysioNet, ODC-By 1.0): Moody GB, Mark RG, IEEE Eng Med Biol "
    "20(3):45-50 (2001); Goldberger AL et al., Circulation 101(23):e215 (2000)."
)


def golden_inputs(seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Made-up beats to check a model with: (BATCH, channels, WIDTH) windows and (BATCH, features)."""
    rng = np.random.default_rng(seed)
    t = np.linspace(-1, 1, WIDTH)
    width = rng.uniform(0.02, 0.2, (BATCH, len(CHANNELS), 1))
    windows = rng.normal(0, 1, (BATCH, len(CHANNELS), 1)) * np.exp(-((t / width) ** 2))
    windows += 0.05 * rng.normal(size=windows.shape)
    return windows.astype(np.float32), rng.normal(0, 0.5, (BATCH, len(FEATURES))).astype(np.float32)


def export(net: BeatNet, folder: Path, name: str, facts: Mapping[str, Any]) -> tuple[Path, str]:
    """Write ``<name>.pt`` and a readable copy of its card, ``<name>.json``.

    Args:
        net: a trained network in evaluation mode.
        folder: where to; made if need be.
        name: of the model.
        facts: what else the card says: training records, recipe, validation scores.

    Returns:
        The model's path and its SHA-256. The file has been loaded and verified as the monitor does.
    """
    windows, features = golden_inputs()
    module = torch.jit.freeze(torch.jit.script(Exported(net).eval()))
    with torch.inference_mode():
        for _ in range(3):  # TorchScript optimises during the first calls
            probabilities = module(torch.from_numpy(windows), torch.from_numpy(features)).numpy()
    golden = {
        "windows": encode_array(windows),
        "features": encode_array(features),
        "probabilities": encode_array(probabilities),
    }
    card = {
        "name": name,
        "batch": BATCH,
        **FRONT_END,
        "leads": 1,
        "look_ahead_s": FRONT_END["after"] / FRONT_END["fs"],
        "attribution": ATTRIBUTION,
        **facts,
    }
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.jit.save(module, buffer, _extra_files={CARD_FILE: json.dumps({**card, "golden": golden})})
    path = folder / f"{name}.pt"
    path.write_bytes(buffer.getvalue())
    digest = digest_of(path)
    Classifier(path, digest)
    path.with_suffix(".json").write_text(json.dumps({**card, "sha256": digest}, indent=2) + "\n")
    return path, digest
