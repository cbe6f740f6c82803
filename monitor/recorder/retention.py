"""Old recordings go, whole, the oldest first: by age, and when all together have become too large."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from monitor.recorder.database import Store
from monitor.recorder.mending import read_recording

log = logging.getLogger(__name__)

AT_ONCE: Final = 20
"""Records deleted at one time, so that a tick's writing does not wait for a long clearing up."""

DAY: Final = 86_400.0


def clear_up(root: Path, store: Store, unix: float, *, days: float | None, size: int | None) -> int:
    """Delete what is too old or too much; never what is still being written.

    Args:
        root: the folder of the recordings.
        unix: now, seconds since 1970.
        days: age of a record's beginning at which it goes; None: at none.
        size: bytes that all may have together; None: any.

    Returns:
        How many records went.

    Raises:
        OSError, sqlite3.Error: something cannot be deleted.
    """
    excess = 0 if size is None else store.size() - size
    gone = 0
    for number, bed, name, length, begun in store.oldest(AT_ONCE):
        if not (excess > 0 or (days is not None and unix - begun > days * DAY)):
            break
        delete(root / bed, name)
        store.forget(number)
        excess -= length
        gone += 1
    if gone:
        log.info("%d old recordings were deleted", gone)
    return gone


def delete(folder: Path, name: str) -> None:
    """Delete a record's files, its header last: what is interrupted is taken up again.

    Raises:
        OSError: one cannot be deleted.
    """
    recording = None if folder.is_symlink() else read_recording(folder, name)
    if recording is not None:
        for file in recording.files():
            (folder / file).unlink(missing_ok=True)
