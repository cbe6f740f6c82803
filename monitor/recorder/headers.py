"""WFDB headers of a recording: while it grows, when it is whole, and with holes in it. Values in, text out.

A recording is one signal file and its header, which has no sample count while it grows: readers take the length of
the file. Without a count the format has no place for a base time, which is in a comment until the record is whole.
A gap longer than some seconds begins a new signal file; the record then is a *variable-layout multi-segment* record,
whose header lists the layout, the segments and the null segments (``~``) between them.

Source: WFDB manual, header(5) and signal(5).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

_MARK: Final = "wardbeat "
_YEARS: Final = (datetime(2000, 1, 1, tzinfo=UTC).timestamp(), datetime(2100, 1, 1, tzinfo=UTC).timestamp())
_LONGEST_NAME: Final = 40


@dataclass(slots=True)
class Recording:
    """What a recording is; all that its header says, and so all that is needed to go on with it.

    Attributes:
        bed: id of the bed.
        name: of the record, within the bed's folder; sorts by time.
        stream: id of the device's stream.
        first: the device's index of the record's sample 0.
        fs: Hz.
        uv: microvolts per unit.
        leads: names, as many as leads were sent.
        begun: time of sample 0, seconds since 1970: the device's own where it told one.
        unix: the same by the monitor's clock.
        tick: number of the tick that began it.
        alias: a name for people.
        simulated: whether the device says it is a simulator.
        segments: where in the record each signal file begins, samples; one for each file.
    """

    bed: str
    name: str
    stream: int
    first: int
    fs: float
    uv: float
    leads: list[str]
    begun: float
    unix: float
    tick: int = 0
    alias: str = ""
    simulated: bool = False
    segments: list[int] = field(default_factory=lambda: [0])

    def signal_file(self, segment: int) -> str:
        """Name of a segment's signal file, in the bed's folder."""
        return f"{self.name}.dat" if segment == 0 else f"{self.name}_{segment + 1}.dat"

    def files(self) -> list[str]:
        """Names of all files that may belong to the record, its main header last."""
        parts = range(len(self.segments))
        signals = [self.signal_file(i) for i in parts]
        headers = [f"{self.segment_name(i)}.hea" for i in parts] + [f"{self.name}_layout.hea"]
        return [*signals, *(headers if len(self.segments) > 1 else []), f"{self.name}.atr", f"{self.name}.hea"]

    def segment_name(self, segment: int) -> str:
        """Name of a segment of a record that has several."""
        return f"{self.name}_{segment + 1}"


def name_of(unix: float) -> str:
    """A record's name from the time it begins: it sorts, and is a WFDB record name.

    >>> name_of(1790000000.25)
    '20260921T142640250'
    """
    moment = datetime.fromtimestamp(round(unix, 3), UTC)
    return f"{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03}"


def begun_of(time_us: int, unix: float) -> float:
    """When a sample was taken, s since 1970: by the device's clock if it tells a sane time, else by ours."""
    return time_us / 1e6 if _YEARS[0] <= time_us / 1e6 < _YEARS[1] else unix


def lead_names(described: Sequence[str], count: int) -> list[str]:
    """Names for a header: printable ASCII, no two alike, one for each lead.

    >>> lead_names(["II", "V1 ", "II"], 4)
    ['II', 'V1', 'II 2', 'lead 4']
    """
    names: list[str] = []
    for i in range(count):
        given = described[i] if i < len(described) else ""
        name = " ".join(re.sub(r"[^\x21-\x7e]+", " ", given).split())[:_LONGEST_NAME]
        if not name or name.isdigit():  # a number is what the ward calls a lead that nobody described
            name = f"lead {i + 1}"
        base, number = name, 2
        while name in names:
            name, number = f"{base} {number}", number + 1
        names.append(name)
    return names


def signal_header(recording: Recording, segment: int, count: int | None, *, name: str | None = None) -> str:
    """The header of one signal file.

    Args:
        segment: which of the record's.
        count: samples; None: it grows.
        name: of the header; None: the record's own, with all that is known of it.
    """
    known = "" if count is None else f" {count}"
    if known and name is None:
        known += _clock(recording)
    lines = [f"{name or recording.name} {len(recording.leads)} {recording.fs:.12g}{known}"]
    lines += _signal_lines(recording, f"{recording.signal_file(segment)} 16")
    return _text([*lines, *(_comments(recording) if name is None else [])])


def layout_header(recording: Recording) -> str:
    """The header that says which signals the segments have."""
    first = f"{recording.name}_layout {len(recording.leads)} {recording.fs:.12g} 0"
    return _text([first, *_signal_lines(recording, "~ 0")])


def master_header(recording: Recording, lengths: Sequence[int]) -> str:
    """The header of a record of several segments.

    Args:
        lengths: samples in each of them.
    """
    rows = [f"{recording.name}_layout 0"]
    at = 0
    for i, (start, length) in enumerate(zip(recording.segments, lengths, strict=True)):
        if start > at:
            rows.append(f"~ {start - at}")
        rows.append(f"{recording.segment_name(i)} {length}")
        at = start + length
    first = f"{recording.name}/{len(rows)} {len(recording.leads)} {recording.fs:.12g} {at}{_clock(recording)}"
    return _text([first, *rows, *_comments(recording)])


def parse(text: str) -> Recording | None:
    """What a main header says of its recording; None: it is not one of ours, or damaged."""
    for line in text.splitlines():
        said = line.lstrip("# ")
        if line.startswith("#") and said.startswith(_MARK):
            try:
                return _from_json(json.loads(said[len(_MARK) :]))
            except (ValueError, TypeError, KeyError):
                return None
    return None


def _from_json(fields: dict[str, Any]) -> Recording:
    recording = Recording(**{**fields, "stream": int(fields["stream"], 16)})
    plain = recording.segments and all(isinstance(at, int) and at >= 0 for at in recording.segments)
    if not (plain and math.isfinite(recording.fs) and recording.fs > 0 and recording.leads):
        raise ValueError("not a recording")
    return recording


def _signal_lines(recording: Recording, file: str) -> list[str]:
    gain = f"{1000.0 / recording.uv:.17g}"
    return [f"{file} {gain}(0)/mV 16 0 0 0 0 {name}" for name in recording.leads]


def _comments(recording: Recording) -> list[str]:
    fields = {**asdict(recording), "stream": f"{recording.stream:x}"}
    begun = datetime.fromtimestamp(recording.begun, UTC).isoformat(timespec="milliseconds")
    told = [f"# bed: {recording.bed}", f"# begun: {begun}", f"# simulated: {'yes' if recording.simulated else 'no'}"]
    if recording.alias:
        told.insert(1, f"# alias: {json.dumps(recording.alias)[1:-1]}")
    return [*told, f"# {_MARK}{json.dumps(fields, separators=(',', ':'))}"]


def _clock(recording: Recording) -> str:
    moment = datetime.fromtimestamp(recording.begun, UTC)
    return f" {moment:%H:%M:%S}.{moment.microsecond // 1000:03} {moment:%d/%m/%Y}"


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
