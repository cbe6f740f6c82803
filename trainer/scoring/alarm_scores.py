"""Alarms scored: the PhysioNet/CinC Challenge 2015, and false high-priority alarms a day of annotated records.

Challenge: a bedside monitor alarmed at 5:00 into each record, and people judged whether rightly. Here the monitor
hears the record's ECG leads up to that moment and not a sample more ("real time"). It confirms the alarm if one of its
own of the same kind was told by then and stood within the last 10 s; a ventricular tachycardia by any run of three or
more ventricular beats, for how many they were is for the bedside monitor to say, and an alarm that is wrongly refused
weighs five times one that is wrongly confirmed. The score by the same alarm alone stands beside it. The score is
(TP + TN) / (TP + TN + FP + 5 FN). Source: Clifford GD et al., "The PhysioNet/Computing in Cardiology Challenge 2015:
Reducing False Arrhythmia Alarms in the ICU", Computing in Cardiology 42:273-276 (2015).

Annotated records: an alarm is true if something of its kind (:mod:`trainer.scoring.alarm_truth`) happened between its
onset and the moment it was told; :data:`NEAR` allows for another beat that begins a run. An episode is caught by an
alarm of its kind told between its onset and :data:`LATEST` after its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from monitor.events import Alarm, Event
from monitor.exceptions import RecordError
from trainer.scoring.alarm_truth import Episode

KINDS: Final = {
    "Asystole": "ASYSTOLE",
    "Bradycardia": "EXTREME_BRADY",
    "Tachycardia": "EXTREME_TACHY",
    "Ventricular_Flutter_Fib": "VFIB",
    "Ventricular_Tachycardia": "VTACH",
}
"""The Challenge's kinds of alarm, and the code of each."""

SUPPORT: Final[Mapping[str, tuple[str, ...]]] = {"VTACH": ("VTACH", "VRUN")}
"""Alarms that confirm one besides its own."""

SOUNDED: Final = 300.0
"""When the bedside monitor alarmed, s into a record of the Challenge."""
STANDING: Final = 10.0
"""How long before that an alarm may have ended and still confirm it, s: the time within which a monitor must alarm."""

HIGH: Final = tuple(KINDS.values())
_TRUE_FOR: Final[Mapping[str, tuple[str, ...]]] = {
    "VTACH": ("VTACH", "VFIB"),
    "VFIB": ("VFIB", "VTACH"),
    "EXTREME_TACHY": ("EXTREME_TACHY", "VFIB"),
}
"""What makes an alarm true besides its own kind: where tachycardia ends and flutter begins is a matter of opinion, and
in flutter, where no beats are annotated, the ventricles go faster than an extreme rate."""

NEAR: Final = 3.0
"""Seconds around an alarm's onset in which its episode may have begun."""
LATEST: Final = 10.0
"""Seconds after an episode within which its alarm must come; those within which standard monitors promise one."""
DAY: Final = 86_400.0


class Told(NamedTuple):
    """One alarm: its onset, when it was told, and until when its condition stood, s; `end` is inf if it still did."""

    code: str
    onset: float
    told: float
    end: float


def told_alarms(events: Iterable[Event], fs: float) -> list[Told]:
    """The alarms of HIGH and SUPPORT among `events` of one bed at `fs` Hz, in the order in which they were told."""
    heard = {*HIGH, *(code for codes in SUPPORT.values() for code in codes)}
    found: dict[str, Told] = {}
    for event in events:
        if not isinstance(event, Alarm) or event.code not in heard:
            continue
        if event.state == "raised" and event.id not in found:
            found[event.id] = Told(event.code, event.sample / fs, event.emitted / fs, float("inf"))
        elif event.state in ("latched", "cleared") and found[event.id].end == float("inf"):
            found[event.id] = found[event.id]._replace(end=event.emitted / fs)
    return list(found.values())


# -- the Challenge


class Sounded(NamedTuple):
    """What a bedside monitor alarmed, a key of :data:`KINDS`, and whether rightly."""

    kind: str
    true: bool


class Verdict(NamedTuple):
    """One record of the Challenge.

    Attributes:
        record: its name.
        kind: of alarm, a key of :data:`KINDS`.
        true: whether people found it true.
        confirmed: whether the monitor confirms it.
        alike: whether it does so by the same alarm.
    """

    record: str
    kind: str
    true: bool
    confirmed: bool
    alike: bool


@dataclass(frozen=True, slots=True)
class ChallengeCounts:
    """Verdicts, counted."""

    tp: int = 0
    fn: int = 0
    fp: int = 0
    tn: int = 0

    @classmethod
    def of(cls, verdicts: Iterable[Verdict], *, alike: bool = False) -> ChallengeCounts:
        """Count verdicts, or those by the same alarm alone."""
        cells = [(v.true, v.alike if alike else v.confirmed) for v in verdicts]
        return cls(*(cells.count(cell) for cell in ((True, True), (True, False), (False, True), (False, False))))

    @property
    def score(self) -> float:
        """The Challenge's score, 0 to 1; NaN of nothing."""
        weighed = self.tp + self.tn + self.fp + 5 * self.fn
        return (self.tp + self.tn) / weighed if weighed else float("nan")


def read_alarms(database: Path) -> dict[str, Sounded]:
    """What the Challenge's file ``ALARMS`` says: record -> kind of alarm, and whether it was true.

    Raises:
        RecordError: the file cannot be read, or a line of it makes no sense.
    """
    file = database / "ALARMS"
    try:
        lines = file.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"cannot be read: {error}", where=str(file)) from None
    found = {}
    for number, line in enumerate(lines, 1):
        record, _, rest = line.partition(",")
        kind, _, true = rest.partition(",")
        if kind not in KINDS or true not in ("0", "1"):
            raise RecordError(f"line {number}: {line[:60]!r} is not RECORD,KIND,0|1", where=str(file))
        found[record] = Sounded(kind, true == "1")
    return found


def verdict_of(record: str, sounded: Sounded, alarms: Sequence[Told]) -> Verdict:
    """What the monitor's own alarms say of the bedside monitor's."""
    code = KINDS[sounded.kind]
    standing = {a.code for a in alarms if a.told <= SOUNDED and a.end >= SOUNDED - STANDING}
    confirmed = not standing.isdisjoint(SUPPORT.get(code, (code,)))
    return Verdict(record, sounded.kind, sounded.true, confirmed, code in standing)


# -- annotated records


class DayCounts(NamedTuple):
    """High-priority alarms of one code over some time.

    Attributes:
        seconds: how long was listened.
        alarms: how many were told; `false` of them without an episode.
        episodes: how many there were; `caught` of them were alarmed.
        quiet: seconds of the records in which nothing of the kind happened; `quiet_false`: alarms in them.
    """

    seconds: float = 0.0
    alarms: int = 0
    false: int = 0
    episodes: int = 0
    caught: int = 0
    quiet: float = 0.0
    quiet_false: int = 0

    @classmethod
    def sum(cls, counts: Iterable[DayCounts]) -> DayCounts:
        """Of several records."""
        return cls(*map(sum, zip(cls(), *counts, strict=True)))

    @property
    def false_a_day(self) -> float:
        """False alarms a day."""
        return self.false * DAY / self.seconds if self.seconds else float("nan")

    @property
    def quiet_a_day(self) -> float:
        """False alarms a day of the records without such an event."""
        return self.quiet_false * DAY / self.quiet if self.quiet else float("nan")


@dataclass(frozen=True, slots=True)
class AlarmOutcome:
    """What the monitor alarmed in one annotated record, and what happened.

    Attributes:
        record: its name.
        seconds: how long it is.
        alarms: those told; only HIGH ones are scored.
        truth: high-priority events.
        false: the alarms without an event.
        missed: the events without an alarm.
    """

    record: str
    seconds: float
    alarms: list[Told]
    truth: list[Episode]
    false: list[Told] = field(init=False)
    missed: list[Episode] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "false", [a for a in self.alarms if a.code in HIGH and not self._is_true(a)])
        object.__setattr__(self, "missed", [episode for episode in self.truth if not self._is_caught(episode)])

    def counts(self, code: str) -> DayCounts:
        """Those of one code."""
        return self._counted((code,), _TRUE_FOR.get(code, (code,)))

    def all_counts(self) -> DayCounts:
        """Those of all codes; only a record without any event is without such an event."""
        return self._counted(HIGH, HIGH)

    def _counted(self, codes: Sequence[str], kinds: Sequence[str]) -> DayCounts:
        alarms, false = (sum(alarm.code in codes for alarm in told) for told in (self.alarms, self.false))
        happened, missed = (sum(episode.code in codes for episode in these) for these in (self.truth, self.missed))
        quiet = not any(episode.code in kinds for episode in self.truth)
        kept = (self.seconds, false) if quiet else (0.0, 0)
        return DayCounts(self.seconds, alarms, false, happened, happened - missed, *kept)

    def _is_true(self, alarm: Told) -> bool:
        kinds = _TRUE_FOR.get(alarm.code, (alarm.code,))
        return any(e.code in kinds and e.start <= alarm.told and e.end >= alarm.onset - NEAR for e in self.truth)

    def _is_caught(self, episode: Episode) -> bool:
        """An alarm that already stands when the episode begins catches it, too."""
        kinds = _TRUE_FOR.get(episode.code, (episode.code,))
        return any(a.code in kinds and a.told <= episode.end + LATEST and a.end >= episode.start for a in self.alarms)
