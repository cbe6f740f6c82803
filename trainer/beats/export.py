"""From trained networks to the file that the monitor runs: TorchScript, with the card inside."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from monitor.classifier import CARD_FILE, TOLERANCE, Classifier, check_rows, digest_of, encode_array, front_end
from monitor.exceptions import ModelError
from monitor.timing import LONGEST_WAIT
from trainer.beats.golden import golden_inputs
from trainer.beats.model import BeatNet, Named
from trainer.beats.stacked import for_the_monitor
from trainer.files import whole_file, write_json
from trainer.provenance import fingerprint, versions

BATCH: Final = 16
"""Beats a call when the monitor runs the network."""

ATTRIBUTIONS: Final = {
    "mitdb": "the MIT-BIH Arrhythmia Database (Moody GB, Mark RG, IEEE Eng Med Biol 20(3):45-50, 2001)",
    "qtdb": "the QT Database (Laguna P, Mark RG, Goldberger AL, Moody GB, Computers in Cardiology 24:673-676, 1997)",
    "nstdb": "the MIT-BIH Noise Stress Test Database (Moody GB, Muldrow WE, Mark RG, Computers in Cardiology "
    "11:381-384, 1984)",
}
"""By a database's name, what its licence asks to be said."""


def attribution(databases: Mapping[str, Any] | set[str]) -> str:
    """What a card says of the data that weights were made with."""
    named = [ATTRIBUTIONS.get(name, name) for name in sorted(databases)]
    source = "PhysioNet, ODC-By 1.0: Goldberger AL et al., Circulation 101(23):e215, 2000"
    return f"Weights trained on {' and '.join(named)}; {source}."


def export(nets: Named, folder: Path, name: str, facts: Mapping[str, Any]) -> tuple[Path, str]:
    """Write ``<name>.pt`` and a readable copy of its card, ``<name>.json``.

    Args:
        nets: trained networks of one number of leads, in evaluation mode.
        folder: where to; made if need be.
        name: of the model.
        facts: what else the card says: training records, attribution, recipe, validation scores.

    Returns:
        The model's path and its SHA-256. The file has been loaded and verified as the monitor does before it took
        its place.

    Raises:
        ConfigError: it cannot be written.
        ModelError: the networks were made for another front end, TorchScript computes something else than they do, or
            a beat's name would depend on its neighbours.
    """
    first = nets.nets[0]
    assert isinstance(first, BeatNet)
    leads = first.architecture.leads
    if len(first.spread.low) != len(front_end(leads)["features"]):
        raise ModelError("made for another front end: features differ", where=name, remedy="train it again")
    inputs = golden_inputs(leads, BATCH)
    windows, features = (torch.from_numpy(part) for part in inputs)
    module = torch.jit.freeze(torch.jit.script(for_the_monitor(nets.eval())))
    with torch.inference_mode():
        expected = nets(windows, features).numpy()
        for _ in range(3):  # TorchScript optimises during the first calls
            probabilities = module(windows, features).numpy()
    worst = float(np.abs(probabilities - expected).max())
    if not worst <= TOLERANCE:
        raise ModelError(f"TorchScript differs by {worst:.2g}", where=name, remedy="use the pinned version of torch")
    card = {
        "name": name,
        "batch": BATCH,
        **front_end(leads),
        "look_ahead_s": front_end(leads)["after"] / front_end(leads)["fs"],
        "final_look_ahead_s": LONGEST_WAIT,
        "front_end": fingerprint(),
        "versions": versions(),
        **facts,
    }
    golden = {
        "windows": encode_array(inputs[0]),
        "features": encode_array(inputs[1]),
        "probabilities": encode_array(probabilities),
    }
    buffer = io.BytesIO()
    torch.jit.save(module, buffer, _extra_files={CARD_FILE: json.dumps({**card, "golden": golden})})
    path = folder / f"{name}.pt"
    with whole_file(path) as beside:
        beside.write_bytes(buffer.getvalue())
        digest = digest_of(beside)
        check_rows(Classifier(beside, digest))
    write_json(path.with_suffix(".json"), {**card, "sha256": digest})
    return path, digest
