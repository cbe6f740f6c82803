"""The monitor over records, for its alarms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trainer.scoring.alarm_scores import AlarmOutcome, Sounded, Told, Verdict, told_alarms, verdict_of
from trainer.scoring.runs import Model, events_of


@dataclass(frozen=True, slots=True)
class AlarmJob:
    """One record to hear.

    Attributes:
        path: of the record.
        leads: names or numbers; None: its first two ECG leads.
        until: s into the record at which the monitor hears no more; None: its end.
        sounded: what a bedside monitor alarmed at that moment, if it is to be judged.
    """

    path: Path
    leads: tuple[str, ...] | None = None
    until: float | None = None
    sounded: Sounded | None = None


def hear(job: AlarmJob) -> tuple[list[Told], float, int]:
    """High-priority alarms of the shipped monitor over a record; its rate, Hz, and how many samples were heard.

    Raises:
        RecordError: the record cannot be read, or it has no such lead.
    """
    from monitor.records import read_record

    record = read_record(job.path, job.leads)
    if job.until is not None:
        record.signal = record.signal[: round(job.until * record.fs)]
    told = told_alarms(events_of(job.path, record, Model(None, None)), record.fs)
    return told, record.fs, len(record.signal)


def challenge(job: AlarmJob) -> Verdict:
    """Whether the monitor confirms what the bedside monitor alarmed.

    Raises:
        RecordError: the record cannot be read, or it has no such lead.
    """
    assert job.sounded is not None
    told, _, _ = hear(job)
    return verdict_of(job.path.name, job.sounded, told)


def judge(job: AlarmJob) -> AlarmOutcome:
    """High-priority alarms of a record beside what happened in it.

    Raises:
        RecordError: the record or its reference annotations cannot be read, or it has no such lead.
    """
    from monitor.records import read_annotations
    from trainer.scoring.alarm_truth import episodes

    reference = read_annotations(job.path)
    alarms, fs, length = hear(job)
    return AlarmOutcome(job.path.name, length / fs, alarms, episodes(reference, fs, length))
