"""What a simulated device measures: a :class:`Source` of samples, from a record or a synthetic patient."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.exceptions import RecordError
from monitor.records import TOY, Record, find_database, read_record, toy_record

PACED: Final = frozenset({"102", "104", "107", "217"})
"""MIT-BIH records of patients with a pacemaker."""


class Source(Protocol):
    """Samples in order; :class:`simulators.synthetic.Patient` is one."""

    @property
    def fs(self) -> float:
        """Hz."""

    @property
    def leads(self) -> tuple[str, ...]:
        """Names of the leads."""

    def take(self, n: int) -> NDArray[np.float32]:
        """Return the next `n` samples, (n, leads) mV, NaN: no sample; fewer only at the end of the source."""


class RecordSource:
    """Plays a record.

    Args:
        record: what to play.
        repeat: start over at the end; sample counting goes on, the signal jumps.
        start_s: where in the record to begin, s.

    Raises:
        RecordError: the record has no samples.
    """

    def __init__(self, record: Record, *, repeat: bool = True, start_s: float = 0.0) -> None:
        if len(record.signal) == 0:
            raise RecordError("no samples", where=record.name, remedy="choose another record")
        self.fs = record.fs
        self.leads = record.leads
        self._signal = record.signal
        self._repeat = repeat
        self._position = round(start_s * record.fs)

    def take(self, n: int) -> NDArray[np.float32]:
        start, length = self._position, len(self._signal)
        end = start + n if self._repeat else min(start + n, length)
        self._position = end
        return self._signal[np.arange(start, end) % length]


def find_mitdb() -> Path | None:
    """The folder of the MIT-BIH Arrhythmia Database, None where there is none."""
    try:
        return find_database("mitdb")
    except RecordError:
        return None


def open_record(name: str, leads: Sequence[str] | None = None) -> Record:
    """Read a record by its path, or by its bare name from the MIT-BIH database; ``208`` always works.

    Args:
        name: path or bare name.
        leads: as for :func:`monitor.records.read_record`.

    Raises:
        RecordError: there is no such record, or it is damaged.
    """
    bare = Path(name).name == name
    if bare and not Path(f"{name}.hea").exists():
        database = find_mitdb()
        if database is not None and (database / f"{name}.hea").exists():
            return read_record(database / name, leads)
        if name == TOY:
            record = toy_record()
            if leads is not None and list(leads) not in (["0"], list(record.leads)):
                raise RecordError(
                    f"no lead {','.join(leads)}",
                    where=f"the excerpt of {TOY}",
                    remedy="its only lead is MLII",
                )
            return record
    return read_record(name, leads)
