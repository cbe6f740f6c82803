"""What a killed process left below ``recordings/``, found again at start."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from monitor.ecg import BED_PATTERN
from monitor.recorder.database import Store
from monitor.recorder.growing import Growing
from monitor.recorder.headers import Recording, parse

log = logging.getLogger(__name__)

_NAME = re.compile(r"(\d{8}T\d{9})(_\d+|_layout)?\.(dat|hea|atr)")


def read_recording(folder: Path, name: str) -> Recording | None:
    """A recording of a bed's folder, by its header; None: there is none of ours."""
    try:
        recording = parse((folder / f"{name}.hea").read_text(encoding="ascii", errors="replace"))
    except OSError:
        return None
    return recording if recording and (recording.bed, recording.name) == (folder.name, name) else None


def unfinished(root: Path, store: Store) -> dict[str, list[Growing]]:
    """Recordings that nobody closed, by bed, in the order in which they began.

    Drafts and signals without a header are deleted: what was in them was not told to be kept.
    """
    known = store.numbers()
    found: dict[str, list[Growing]] = {}
    for folder in sorted(root.iterdir()):
        if not BED_PATTERN.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
            continue
        files = sorted(os.listdir(folder))
        headers = {name.removesuffix(".hea") for name in files if name.endswith(".hea")}
        for name in files:
            match = _NAME.fullmatch(name)
            if name.endswith(".part") or (match and match[1] not in headers):
                (folder / name).unlink(missing_ok=True)
            elif match and not match[2] and match[3] == "hea" and not known.get((folder.name, match[1]), (0, False))[1]:
                growing = _reopen(folder, match[1], known, store)
                if growing is not None:
                    found.setdefault(folder.name, []).append(growing)
    return found


def _reopen(folder: Path, name: str, known: dict[tuple[str, str], tuple[int, bool]], store: Store) -> Growing | None:
    recording = read_recording(folder, name)
    if recording is None:
        log.warning("%s is not a recording of wardbeat's and is left alone", folder / f"{name}.hea")
        return None
    number = known[folder.name, name][0] if (folder.name, name) in known else store.next_number()
    try:
        return Growing.reopen(folder, recording, number)
    except OSError as error:
        log.warning("recording %s cannot be gone on with: %s", folder / name, error.strerror)
        return None
