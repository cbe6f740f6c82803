"""Finding databases and reading WFDB records."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import AAMI_OF_SYMBOL, FS_MAX, FS_MIN, MAX_LEADS, is_ecg_lead
from monitor.exceptions import RecordError

DATA_VARIABLE: Final = "WARDBEAT_DATA"
_UNIT_MV: Final = {"mv": 1.0, "uv": 1e-3, "v": 1e3}


@dataclass(slots=True, eq=False)
class Record:
    """The ECG leads of a WFDB record.

    Attributes:
        name: the record's name, without its folder.
        fs: Hz.
        leads: names of the columns of `signal`.
        signal: (n, leads) float32, mV; NaN where the record has no sample.
    """

    name: str
    fs: float
    leads: tuple[str, ...]
    signal: NDArray[np.float32]


@dataclass(slots=True, eq=False)
class Annotations:
    """The annotations of one annotator.

    Attributes:
        samples: (n,) int64, increasing, at the record's rate.
        symbols: (n,) list of annotation symbols, beats and others.
        notes: (n,) list of auxiliary strings, ``(VT`` and the like.
    """

    samples: NDArray[np.int64]
    symbols: list[str]
    notes: list[str]

    def beats(self) -> tuple[NDArray[np.int64], list[str]]:
        """Samples and symbols of the beats alone."""
        keep = [i for i, symbol in enumerate(self.symbols) if symbol in AAMI_OF_SYMBOL]
        return self.samples[keep], [self.symbols[i] for i in keep]


def cache_folder() -> Path:
    """Where ``wardbeat data get`` puts databases."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("wardbeat")) / "data"


def find_database(name_or_path: str | Path) -> Path:
    """The folder of a database.

    Looked for in this order: a path, ``$WARDBEAT_DATA/<name>``, the user's cache folder.

    Raises:
        RecordError: it is in none of them.
    """
    path = Path(name_or_path)
    candidates = [path]
    if path.name == str(name_or_path):
        root = os.environ.get(DATA_VARIABLE)
        if root:
            candidates.append(Path(root) / path.name)
        candidates.append(cache_folder() / path.name)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise RecordError(
        "no such database",
        where=str(name_or_path),
        remedy=f"give its folder, set {DATA_VARIABLE} to the folder above it, or run: wardbeat data get {path.name}",
    )


def record_names(database: Path) -> list[str]:
    """Names of the records in a database's folder, sorted.

    Raises:
        RecordError: the folder holds no WFDB header.
    """
    names = sorted(path.stem for path in database.glob("*.hea"))
    if not names:
        raise RecordError(
            "no WFDB records here", where=str(database), remedy="name the folder that holds the .hea files"
        )
    return names


def read_record(path: str | Path, leads: Sequence[str | int] | None = None) -> Record:
    """Read a WFDB record's ECG leads.

    Args:
        path: the record's path, with or without ``.hea``.
        leads: names or column numbers; None takes the first two ECG leads by name and unit.

    Raises:
        RecordError: the record is missing, truncated or damaged, has no ECG, or has no such lead.
    """
    import wfdb

    base = Path(path).with_suffix("") if str(path).endswith((".hea", ".dat")) else Path(path)
    header_path = base.with_name(base.name + ".hea")
    if not header_path.is_file():
        raise RecordError(
            "no such record",
            where=str(base),
            remedy=f"give the path of a WFDB record; {header_path.name} is not there",
        )
    try:
        header = wfdb.rdheader(str(base))
        columns = _choose(header, leads, str(base))
        # The reader stops quietly at the end of a short signal file: only the header knows the length.
        data = wfdb.rdrecord(str(base), channels=columns, return_res=64)
    except RecordError:
        raise
    except Exception as error:  # wfdb raises whatever its parsing met
        raise RecordError(
            f"damaged or truncated ({type(error).__name__}: {str(error)[:120]})",
            where=str(base),
            remedy="fetch the record again",
        ) from None
    if header.sig_len and data.p_signal.shape[0] < header.sig_len:
        raise RecordError(
            f"truncated: {data.p_signal.shape[0]} of {header.sig_len} samples",
            where=str(base),
            remedy="fetch the record again",
        )
    fs = float(header.fs)
    if not FS_MIN <= fs <= FS_MAX:
        raise RecordError(
            f"sampled at {fs:g} Hz", where=str(base), remedy=f"{FS_MIN:g} to {FS_MAX:g} Hz can be analysed"
        )
    scale = np.array([_UNIT_MV.get(unit.lower(), 1.0) for unit in data.units])
    return Record(base.name, fs, tuple(data.sig_name), (data.p_signal * scale).astype(np.float32))


def _choose(header: Any, leads: Sequence[str | int] | None, where: str) -> list[int]:
    names: list[str] = list(header.sig_name or [])
    if leads is None:
        found = [i for i, name in enumerate(names) if is_ecg_lead(name, header.units[i])][:MAX_LEADS]
        if not found:
            raise RecordError(
                "no ECG lead",
                where=where,
                remedy=f"it has {', '.join(names) or 'no signal'}; name one with --leads",
            )
        return found
    if not 1 <= len(leads) <= MAX_LEADS:
        raise RecordError(f"{len(leads)} leads asked for", where=where, remedy=f"name one to {MAX_LEADS}")
    columns = []
    for lead in leads:
        text = str(lead)
        if text in names:
            columns.append(names.index(text))
        elif text.isdigit() and int(text) < len(names):
            columns.append(int(text))
        else:
            raise RecordError(f"no lead {text}", where=where, remedy=f"its leads are {', '.join(names)}")
    if len(set(columns)) != len(columns):
        raise RecordError("the same lead twice", where=where, remedy="name each lead once")
    return columns


def read_annotations(path: str | Path, annotator: str = "atr") -> Annotations:
    """Read one annotator's file of a record.

    Raises:
        RecordError: the file is missing or damaged.
    """
    import wfdb

    file = Path(f"{path}.{annotator}")
    if not file.is_file():
        raise RecordError("no such annotation file", where=str(file), remedy="reference annotations end in .atr")
    try:
        found = wfdb.rdann(str(path), annotator)
    except Exception as error:  # wfdb raises whatever its parsing met
        raise RecordError(
            f"damaged ({type(error).__name__}: {str(error)[:120]})", where=str(file), remedy="fetch it again"
        ) from None
    notes = [note.rstrip("\x00") for note in found.aux_note]
    return Annotations(np.asarray(found.sample, np.int64), list(found.symbol), notes)
