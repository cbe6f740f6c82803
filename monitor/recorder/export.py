"""A part of a recording in another place and form: WFDB, CSV or EDF+."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.exceptions import ConfigError
from monitor.messages import NO_SAMPLE
from monitor.recorder.annotations import encode
from monitor.recorder.catalogue import Entry, beats_and_rhythms, recording_of
from monitor.recorder.headers import Recording, signal_header

FORMATS: Final = ("wfdb", "csv", "edf")
_LARGEST_UNIT: Final = 32767

Marks = list[tuple[int, str, str]]
"""Sample in the part, symbol, note."""


def read_units(folder: Path, recording: Recording) -> NDArray[np.int16]:
    """All samples of a recording, (n, leads) units; gaps are :data:`NO_SAMPLE`."""
    leads = len(recording.leads)
    parts: list[NDArray[np.int16]] = []
    at = 0
    for i, start in enumerate(recording.segments):
        data = (folder / recording.signal_file(i)).read_bytes()
        part = np.frombuffer(data[: len(data) // (2 * leads) * 2 * leads], "<i2").reshape(-1, leads)
        parts += [np.full((start - at, leads), NO_SAMPLE, "<i2"), part]
        at = start + len(part)
    return np.concatenate(parts)


def export(store: Path, entry: Entry, form: str, out: Path, start: float | None, end: float | None) -> list[Path]:
    """Write a recording, or the part between two times (seconds since 1970).

    Returns:
        The files written; none if nothing of it lies between the times.

    Raises:
        ConfigError: something cannot be read, written, or said in the format.
    """
    recording = recording_of(store, entry)
    try:
        units = read_units(store / "recordings" / entry.bed, recording)
        first = 0 if start is None else max(round((start - recording.begun) * recording.fs), 0)
        last = len(units) if end is None else min(round((end - recording.begun) * recording.fs), len(units))
        if first >= last:
            return []
        beats, rhythms = beats_and_rhythms(store, entry)
        found = [(at, "+", f"({label}") for at, label in rhythms] + [(at, symbol, "") for at, symbol in beats]
        marks = sorted((at - recording.first - first, symbol, note) for at, symbol, note in found)
        marks = [mark for mark in marks if 0 <= mark[0] < last - first]
        begun = recording.begun + first / recording.fs
        name = f"{entry.bed}_{entry.name}"
        part = Recording(entry.bed, name, recording.stream, recording.first + first, recording.fs, recording.uv,
                         recording.leads, begun, begun, 0, recording.alias, recording.simulated)  # fmt: skip
        out.mkdir(parents=True, exist_ok=True)
        return {"wfdb": _wfdb, "csv": _csv, "edf": _edf}[form](part, units[first:last], marks, out)
    except OSError as error:
        raise ConfigError(f"cannot be read or written ({error.strerror})", where=str(error.filename or out)) from None


def _wfdb(part: Recording, units: NDArray[np.int16], marks: Marks, out: Path) -> list[Path]:
    files = [out / f"{part.name}.{suffix}" for suffix in ("hea", "dat", "atr")]
    files[1].write_bytes(units.tobytes())
    files[2].write_bytes(encode(marks, part.fs))
    files[0].write_text(signal_header(part, 0, len(units)), encoding="ascii")
    return files


def _csv(part: Recording, units: NDArray[np.int16], marks: Marks, out: Path) -> list[Path]:
    """Seconds and millivolts, empty where there is no sample; annotations in a file of their own."""
    files = [out / f"{part.name}.csv", out / f"{part.name}_annotations.csv"]
    with files[0].open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["s", *(f"{lead} (mV)" for lead in part.leads)])
        for i, row in enumerate(units.tolist()):
            values = ["" if unit == NO_SAMPLE else f"{unit * part.uv / 1000:.6g}" for unit in row]
            writer.writerow([f"{i / part.fs:.6f}", *values])
    with files[1].open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["s", "symbol", "note"])
        writer.writerows((f"{at / part.fs:.6f}", symbol, note) for at, symbol, note in marks)
    return files


def _edf(part: Recording, units: NDArray[np.int16], marks: Marks, out: Path) -> list[Path]:
    """Units as they are; a missing sample is the smallest unit, as in WFDB."""
    from edfio import Edf, EdfAnnotation, EdfSignal, Recording as EdfRecording  # noqa: I001

    if part.fs != round(part.fs):
        raise ConfigError(f"EDF has no place for {part.fs:g} Hz", where=part.name, remedy="export it as wfdb or csv")
    fs = round(part.fs)
    rest = -len(units) % fs  # a data record is a second
    whole = np.concatenate([units, np.full((rest, units.shape[1]), NO_SAMPLE, "<i2")]).astype(np.int16)
    low, high = NO_SAMPLE * part.uv / 1000, _LARGEST_UNIT * part.uv / 1000
    span = (float(f"{low:.7g}"[:8]), float(f"{high:.7g}"[:8]))
    signals = [
        EdfSignal.from_digital(
            np.ascontiguousarray(whole[:, i]), fs, label=lead[:16], physical_dimension="mV", physical_range=span
        )
        for i, lead in enumerate(part.leads)
    ]
    begun = datetime.fromtimestamp(part.begun, UTC)
    notes = [EdfAnnotation(at / part.fs, None, f"{symbol}{note}") for at, symbol, note in marks]
    edf = Edf(
        signals,
        recording=EdfRecording(startdate=begun.date()),
        starttime=begun.time(),
        data_record_duration=1,
        annotations=notes,
    )
    file = out / f"{part.name}.edf"
    edf.write(file)
    return [file]
