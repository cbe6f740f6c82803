"""The files of one recording while it grows.

Every step leaves on the disk what :func:`wfdb.rdrecord` reads: samples before the header that counts them, headers
replaced as a whole. A step that fails has changed nothing that is known here and can be tried again.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from monitor.messages import NO_SAMPLE
from monitor.recorder.headers import Recording, layout_header, master_header, signal_header

FILL: Final = 10.0
"""Seconds; a longer gap is not written, it stands in the header."""

REFRESH: Final = 10.0
"""Seconds of signal after which a header with counts is brought up to date."""

KEPT_OPEN: Final = 256
"""Files that stay open between two writes: a process may have 1024. Opening and closing costs as much as a write."""

_SAMPLE: Final = np.dtype("<i2")
_PART: Final = ".part"
"""Ends the name of a file that is not complete."""

FOLDER_MODE, FILE_MODE = 0o750, 0o640  # patients' data


class Growing:
    """One recording that is being written.

    Attributes:
        recording: what it is.
        lengths: samples in each of its signal files.
        number: of its row in the database.
        created: whether its files are there.
        whole: whether it is finished.
    """

    _open_files: ClassVar[int] = 0

    def __init__(self, folder: Path, recording: Recording, number: int) -> None:
        self.recording = recording
        self.number = number
        self.created = False
        self.whole = False
        self.lengths = [0]
        self._folder = folder
        self._descriptor: int | None = None
        self._open_file = ""
        self._counted = 0  # of the last segment, as the headers say

    @classmethod
    def reopen(cls, folder: Path, recording: Recording, number: int) -> Growing:
        """Go on with what another process left.

        Raises:
            OSError: a file cannot be read.
        """
        growing = cls(folder, recording, number)
        frame = growing._frame
        sizes = [(folder / recording.signal_file(i)).stat().st_size for i in range(len(recording.segments))]
        growing.lengths = [size // frame for size in sizes]
        growing.created = True
        return growing

    @property
    def end(self) -> int:
        """The device's index of the sample that comes next."""
        return self.recording.first + self.recording.segments[-1] + self.lengths[-1]

    @property
    def samples(self) -> int:
        """Samples a lead that are written, gaps that are filled included."""
        return sum(self.lengths)

    @property
    def size(self) -> int:
        """Bytes of signal."""
        return self.samples * self._frame

    @property
    def _frame(self) -> int:
        return _SAMPLE.itemsize * len(self.recording.leads)

    def append(self, index: int, units: NDArray[np.int16]) -> None:
        """Write samples.

        Args:
            index: of the first of them, at the device; at least :attr:`end`.
            units: (n, leads).

        Raises:
            OSError: they cannot be written; nothing has changed.
        """
        if not self.created:
            self._create(index, units)
            return
        gap = index - self.end
        if gap > FILL * self.recording.fs:
            self._begin_segment(index, units)
            return
        if gap:
            units = np.concatenate([np.full((gap, units.shape[1]), NO_SAMPLE, _SAMPLE), units])
        segment = len(self.lengths) - 1
        self._put(self.recording.signal_file(segment), self.lengths[-1] * self._frame, units)
        self.lengths[-1] += len(units)
        if segment and self.lengths[-1] - self._counted >= REFRESH * self.recording.fs:
            self._write_headers(self.recording, self.lengths)

    def describe(self, alias: str, leads: list[str], simulated: bool) -> None:
        """Take over what the device now says of itself.

        Raises:
            OSError: the header cannot be written.
        """
        self.recording.alias, self.recording.leads, self.recording.simulated = alias, leads, simulated
        if self.created:
            self._write_headers(self.recording, self.lengths)

    def finish(self) -> None:
        """Write the headers of a record that is whole.

        Raises:
            OSError: they cannot be written.
        """
        self.release()
        if self.created:
            self._write_headers(self.recording, self.lengths, whole=True)
        self.whole = True

    def annotate(self, data: bytes) -> None:
        """Write the annotations.

        Raises:
            OSError: they cannot be written.
        """
        if self.created:
            replace(self._folder / f"{self.recording.name}.atr", data)

    def _create(self, index: int, units: NDArray[np.int16]) -> None:
        recording = self.recording
        lost, recording.first = index - recording.first, index
        recording.begun += lost / recording.fs
        self._folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        if self._folder.is_symlink():
            raise OSError(errno.ELOOP, "the bed's folder is a link", str(self._folder))
        self._put(recording.signal_file(0), 0, units)
        self._write_headers(recording, [len(units)])
        self.lengths, self.created = [len(units)], True

    def _begin_segment(self, index: int, units: NDArray[np.int16]) -> None:
        recording = self.recording
        segments, lengths = [*recording.segments, index - recording.first], [*self.lengths, len(units)]
        before = recording.segments
        recording.segments = segments
        try:
            self._put(recording.signal_file(len(before)), 0, units)
            self._write_headers(recording, lengths)
        except OSError:
            recording.segments = before
            raise
        self.lengths = lengths

    def _write_headers(self, recording: Recording, lengths: list[int], whole: bool = False) -> None:
        """A header is written after those that it refers to."""
        texts = {}
        if len(recording.segments) == 1:
            main = signal_header(recording, 0, lengths[0] if whole else None)
        else:
            for i, length in enumerate(lengths):
                texts[recording.segment_name(i)] = signal_header(recording, i, length, name=recording.segment_name(i))
            texts[f"{recording.name}_layout"] = layout_header(recording)
            main = master_header(recording, lengths)
        for name, text in [*texts.items(), (recording.name, main)]:
            replace(self._folder / f"{name}.hea", text.encode("ascii"))
        self._counted = lengths[-1]

    def _put(self, file: str, offset: int, units: NDArray[np.int16]) -> None:
        """Write at a place, over whatever a failed attempt left there."""
        descriptor = self._descriptor
        if descriptor is None or file != self._open_file:
            self.release()
            flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | (0 if offset else os.O_CREAT)
            descriptor = self._descriptor = os.open(f"{self._folder}/{file}", flags, FILE_MODE)
            self._open_file = file
            Growing._open_files += 1
        try:
            if not os.fstat(descriptor).st_nlink:
                raise FileNotFoundError(errno.ENOENT, "the recording was deleted", file)
            data = np.ascontiguousarray(units).data.cast("B")
            while data:
                written = os.pwrite(descriptor, data, offset)
                data, offset = data[written:], offset + written
        except OSError:
            self.release()
            raise
        if Growing._open_files > KEPT_OPEN:
            self.release()

    def release(self) -> None:
        """Close its file; what is written next opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            Growing._open_files -= 1


def replace(file: Path, data: bytes) -> None:
    """Write a file whole or not at all, never through a link.

    Raises:
        OSError: it cannot be written.
    """
    part = file.with_name(file.name + _PART)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(part, flags, FILE_MODE), "wb", buffering=0) as out:
            rest = memoryview(data)
            while rest:
                rest = rest[out.write(rest) :]
        os.replace(part, file)
    except OSError:
        part.unlink(missing_ok=True)
        raise
