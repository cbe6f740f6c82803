"""The ward: many beds, one step. Values in, values out; no clock, no await, no I/O.

    chunks -> align -> filters, losses, qrs, quality, beats -> classifier -> rhythm -> alarms -> events

:meth:`Ward.feed` takes whatever arrived since the last call and returns what it means. Signal time is the sample
index; monotonic time and operators' commands come in as values. What comes out for a bed does not depend on how its
stream was cut into messages, on the order of messages within the reordering window, nor on the other beds.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitor import alarms, align, frontend, judge, quality, rhythm
from monitor.alarms import ACKNOWLEDGE, END, ONSET, Acknowledge, Bedside, Command, Describe, SetLimits
from monitor.align import Run, Sequencer
from monitor.classifier import Names
from monitor.ecg import AAMI_CLASSES, FS, MAX_LEADS
from monitor.events import Alarm, Beat, Event, Gap, Qrs, Quality, Rhythm, Trigger
from monitor.exceptions import ConfigError
from monitor.messages import Chunk
from monitor.naming import FAILED, NAMED, name_rows
from monitor.snapshot import layout_of, pack, unpack

log = logging.getLogger(__name__)

BED_STATE: Final = np.dtype(
    [("front", frontend.STATE), ("rhythm", rhythm.STATE), ("alarms", alarms.STATE, (len(alarms.CODES),))],
    align=True,
)
"""All that is known of a bed's signal: one row of the ward's array."""

SILENCE: Final = 2.0
"""Seconds without data after which a bed raises NO_DATA."""

MAX_DESCRIPTIONS: Final = 4096
"""Devices that may describe themselves before they send; more are not remembered."""

MAX_TABLES: Final = 64
"""Resampling tables kept; with more rates than that those no bed sends any more are dropped."""

_LAYOUT: Final = layout_of(BED_STATE, tuple(code.name for code in alarms.CODES), rhythm.CONDITIONS, rhythm.LABELS)
_BY_WARD: Final = ("NO_DATA", "CONFLICT", "MODEL")
"""Alarms that the ward itself raises and ends."""
_ORDER: Final = {Gap: 0, Quality: 1, Trigger: 2, Qrs: 3, Beat: 4, Rhythm: 5, Alarm: 6}


@dataclass(slots=True)
class Wave:
    """Display signal of one bed, 0.5-40 Hz, as analysed by the last call.

    Attributes:
        bed: id of the bed.
        first: index of the first sample at 360 Hz, counted from the stream's origin.
        samples: (n, leads) float32, mV; NaN where nothing was measured.
    """

    bed: str
    first: int
    samples: NDArray[np.float32]


@dataclass(slots=True)
class BedView:
    """A bed as others may see it.

    Attributes:
        bed: its id.
        alias: a name for people.
        simulated: whether the device says it is a simulator.
        leads: names of the leads analysed.
        stream: id of the running stream.
        fs: the device's rate, Hz.
        origin: the device's sample that is index 0 at 360 Hz.
        position: samples at 360 Hz processed.
        heart_rate: per minute; None: unknown.
        rhythm: WFDB rhythm string; None: unknown.
        pvc_per_minute: ventricular beats in the last minute; None before the first minute.
        low, high: heart-rate limits, per minute.
        alarms: every alarm that is not idle, highest priority first.
        last_data: monotonic time at which data last came.
    """

    bed: str
    alias: str
    simulated: bool
    leads: tuple[str, ...]
    stream: int
    fs: float
    origin: int
    position: int
    heart_rate: float | None
    rhythm: str | None
    pvc_per_minute: int | None
    low: float
    high: float
    alarms: tuple[Alarm, ...]
    last_data: float


@dataclass(slots=True)
class _Bed:
    """What the ward keeps of a bed beside its row."""

    name: str
    row: int
    sequencer: Sequencer = field(default_factory=Sequencer)
    alias: str = ""
    simulated: bool = False
    lead_names: tuple[str, ...] = ()
    stream: int = 0  # of what is being analysed; the sequencer may be ahead
    origin: int = 0
    position: int = 0
    fs_mhz: int = FS * 1000
    half: int = 0
    table: int = -1  # number of its resampling table; -1: no samples yet
    last_data: float = 0.0
    last_conflict: float = float("-inf")
    broken: set[int] = field(default_factory=set)  # leads whose model failed when it was last asked
    gaps: list[tuple[int, int]] = field(default_factory=list)  # of this round: first sample missing, sample after
    technical: set[str] = field(default_factory=set)  # technical alarms the ward itself raised

    def device(self, k: int) -> int:
        """The device's sample nearest to sample `k` at 360 Hz."""
        return self.origin + (2 * k * self.fs_mhz + FS * 1000) // (2 * FS * 1000)

    def emitted(self, k: int) -> int:
        """The device's sample whose arrival made sample `k` at 360 Hz.

        Nothing arrives in a gap: what was computed across one was fixed by the sample that ended it.
        """
        at = self.origin + align.emitted_input(k, self.fs_mhz, self.half)
        for first, resumed in self.gaps:
            if first <= at < resumed:
                return resumed
        return at

    def note_answers(self, answers: Sequence[int]) -> None:
        """Note which models failed and which are well again; one that was not asked may still be broken."""
        for leads, answer in enumerate(answers, 1):
            if answer == FAILED:
                self.broken.add(leads)
            elif answer == NAMED:
                self.broken.discard(leads)

    def lead_name(self, lead: int) -> str:
        return self.lead_names[lead] if lead < len(self.lead_names) else str(lead)


def _beats(
    by_row: Mapping[int, _Bed],
    found: NDArray[np.void],
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float32] | None,
    answers: NDArray[np.int8],
) -> Iterator[tuple[_Bed, int, Beat, list[int]]]:
    """The rows of beats as events; with each its bed, its `emitted` at 360 Hz, and what the models said."""
    shown = [None] * len(found) if probabilities is None else np.round(probabilities, 4).tolist()
    told = zip(
        *(found[name].tolist() for name in ("row", "sample", "emitted", "search_back", "leads", "final")),
        labels.tolist(),
        shown,
        answers.tolist(),
        strict=True,
    )
    for row, sample, emitted, back, leads, final, label, p, answer in told:
        bed, name = by_row[row], AAMI_CLASSES[label]
        spread = dict(zip(AAMI_CLASSES, p, strict=True)) if NAMED in answer else None
        at = bed.emitted(emitted)
        beat = Beat(bed.name, bed.device(sample), at, name, name, bool(final), spread, bool(back), leads)
        yield bed, emitted, beat, answer


class Ward:
    """The beds of a ward and everything known about them.

    Attributes:
        state: (capacity,) BED_STATE, a row a bed.
    """

    def __init__(self, classifier: Names | None = None, *, two_leads: Names | None = None, capacity: int = 16) -> None:
        """Make an empty ward.

        Args:
            classifier: names the beats; without one the kernel's own rule does (N, S or V).
            two_leads: names those that two leads show; without one `classifier` does. Where it fails, too.
            capacity: beds to make room for; more are admitted as they come.

        Raises:
            ConfigError: the weights of the detector or of signal quality were made for others.
        """
        judge.check_weights()
        quality.check_weights()
        self._classifier = classifier
        self._two_leads = two_leads
        self.state: NDArray[np.void] = np.zeros(max(capacity, 1), BED_STATE)
        self._beds: dict[str, _Bed] = {}
        self._descriptions: dict[str, Describe] = {}
        self._tables: list[int] = []  # rates of the rows of _table_array, mHz
        self._table_array = np.zeros((1, align.PHASES + 1, align.TAPS))
        self._waves: list[Wave] = []

    # -- feeding

    def feed(self, chunks: Iterable[Chunk] = (), commands: Iterable[Command] = (), now: float = 0.0) -> list[Event]:
        """Take what arrived and say what it means.

        Args:
            chunks: messages in the order of arrival; a bed's first one admits it.
            commands: what operators and devices said.
            now: monotonic time, s; it only tells silence, and how long a missing message has been awaited.

        Returns:
            Events; those of one bed in the order of `emitted`.
        """
        events: list[Event] = []
        self._waves = []
        for command in commands:
            events += self._obey(command)
        round_: list[tuple[_Bed, Run]] = []
        advanced: set[int] = set()
        for bed, run in self._released(chunks, now):
            bed.last_data = now  # what is dropped is not data: a bed that sends only such is silent
            if run.restart:
                if bed.row in advanced:
                    events += self._analyse(round_)
                    round_, advanced = [], set()
                events += self._restart(bed, run)
            round_.append((bed, run))
            advanced.add(bed.row)
        events += self._analyse(round_)
        events += self._watch(now)
        return events

    def _released(self, chunks: Iterable[Chunk], now: float) -> Iterator[tuple[_Bed, Run]]:
        """What the sequencers let go: as messages arrive, then what has been awaited for too long."""
        for chunk in chunks:
            bed = self._beds.get(chunk.bed) or self._admit(chunk.bed, now)
            conflicts = bed.sequencer.conflicts
            ready = bed.sequencer.push(chunk, now)
            if bed.sequencer.conflicts > conflicts:
                bed.last_conflict = now
            for run in ready:
                yield bed, run
        for bed in self._beds.values():
            for run in bed.sequencer.expire(now):
                yield bed, run

    def waves(self) -> list[Wave]:
        """The display signal that the last :meth:`feed` analysed."""
        return self._waves

    def warm_up(self) -> None:
        """Compile or load every kernel and run the model once, so that no later call stalls."""
        ward = Ward(self._classifier, two_leads=self._two_leads, capacity=1)
        t = np.arange(10 * FS) / FS
        pulses = np.exp(-(((t % 0.8) - 0.4) ** 2) / 2e-4)
        signal = np.stack([pulses, pulses], 1).astype(np.float32)
        for fs in (float(FS), 250.0):
            ward.feed([Chunk("warm-up", int(fs), 0, 0, fs, signal)])

    def _admit(self, name: str, now: float = 0.0) -> _Bed:
        row = len(self._beds)
        if row == len(self.state):
            self.state = np.concatenate([self.state, np.zeros(len(self.state), BED_STATE)])
        bed = self._beds[name] = _Bed(name, row, last_data=now)
        if name in self._descriptions:
            self._describe(self._descriptions.pop(name))
        self.state[row]["rhythm"]["low"], self.state[row]["rhythm"]["high"] = rhythm.LOW, rhythm.HIGH
        return bed

    def _restart(self, bed: _Bed, run: Run) -> list[Event]:
        """Begin a bed's detector anew at the run; alarms and limits stay."""
        chunk = run.chunk
        events: list[Event] = []
        if run.missing:
            first = chunk.first - run.missing
            events.append(Gap(bed.name, first, chunk.first, first, run.missing))
            run.missing = 0
        events += self._abandon(bed)
        bed.stream = chunk.stream
        bed.origin, bed.position, bed.gaps = chunk.first + run.skip, 0, []
        bed.fs_mhz = round(chunk.fs * 1000)
        bed.table, bed.half = self._table_of(bed.fs_mhz)
        row = self.state[bed.row]
        low, high = float(row["rhythm"]["low"]), float(row["rhythm"]["high"])
        for name in rhythm.CONDITIONS:  # the conditions' history is gone: what stood must not stand for ever
            events += self._bedside(bed).apply(name, END, 0, bed.origin, reason="restart")
        for name in ("LEAD_OFF", *alarms.OF_REASON.values()):
            events += self._bedside(bed).apply(name, END, 0, bed.origin, reason="restart")
        self.state["front"][bed.row] = np.zeros((), frontend.STATE)
        self.state["rhythm"][bed.row] = np.zeros((), rhythm.STATE)
        row["rhythm"]["low"], row["rhythm"]["high"] = low, high
        frontend.start(row["front"], min(chunk.samples.shape[1], MAX_LEADS), bed.fs_mhz, bed.half)
        rhythm.start(row["rhythm"])
        return events

    def _abandon(self, bed: _Bed) -> list[Event]:
        """Name for good the beats that wait: as they were named, or Q where the window will never be complete."""
        state = self.state["front"]["beats"][bed.row : bed.row + 1]
        last = max(bed.position - 1, 0)
        waiting = state["waiting"][state["waiting"]["waits"] == 1]
        found = waiting["beat"].copy()  # asked again, the same model says the same of the same row
        found["row"], found["emitted"], found["final"] = bed.row, last, 1
        names = self._name(found, waiting["window"], waiting["features"])
        events: list[Event] = [beat for _, _, beat, _ in _beats({bed.row: bed}, found, *names)]
        pending = state["pending"]["r"][0, : int(state["pending_count"][0])].tolist()
        return events + [Beat(bed.name, bed.device(r), bed.emitted(last), "Q", "Q") for r in pending]

    def _table_of(self, fs_mhz: int) -> tuple[int, int]:
        """Number of the resampling table of a rate, mHz, and its look-ahead."""
        table, half = align.design(fs_mhz / 1000)
        if fs_mhz not in self._tables:
            if len(self._tables) >= MAX_TABLES:
                self._drop_tables()
            self._tables.append(fs_mhz)
            self._table_array = np.concatenate([self._table_array[: len(self._tables) - 1], table[np.newaxis]])
        return self._tables.index(fs_mhz), half

    def _drop_tables(self) -> None:
        """Keep only the tables of rates that beds send."""
        used = sorted({bed.table for bed in self._beds.values()} - {-1})
        self._tables = [self._tables[i] for i in used]
        self._table_array = self._table_array[used]
        for bed in self._beds.values():
            bed.table = used.index(bed.table) if bed.table >= 0 else -1

    # -- one round: every bed's stream goes on without a restart

    def _analyse(self, runs: Sequence[tuple[_Bed, Run]]) -> list[Event]:
        if not runs:
            return []
        for bed, _ in runs:
            bed.gaps = []
        for bed, run in runs:
            if run.missing:
                resumed = run.chunk.first + run.skip
                bed.gaps.append((resumed - run.missing, resumed))
        segments, samples, wave_size = self._stage(runs)
        room = frontend.room(wave_size, len(segments))
        mark_count, beat_count = frontend.tick(self.state["front"], segments, samples, self._table_array, *room)
        self._keep_waves(runs, segments, room.wave)
        marks, found = room.marks[:mark_count], room.found[:beat_count]
        labels, probabilities, answers = self._name(found, room.windows[:beat_count], room.features[:beat_count])
        changes = self._rhythm(runs, marks, found, labels)
        return self._tell(runs, marks, found, labels, probabilities, answers, changes)

    def _stage(self, runs: Sequence[tuple[_Bed, Run]]) -> tuple[NDArray[np.void], NDArray[np.float32], int]:
        """Lay the samples of all runs side by side."""
        total = sum(run.chunk.samples.shape[0] - run.skip for _, run in runs)
        samples = np.empty((total, MAX_LEADS), np.float32)
        rows = []
        first = wave = 0
        for bed, run in runs:
            part = run.chunk.samples[run.skip :, :MAX_LEADS]
            count = len(part)
            samples[first : first + count, : part.shape[1]] = part
            rows.append((bed.row, first, count, run.missing, run.chunk.lead_off, bed.table, wave, 0))
            first += count
            wave += (count + run.missing) * FS * 1000 // bed.fs_mhz + 2
        return np.array(rows, frontend.SEGMENT), samples, wave

    def _keep_waves(
        self, runs: Sequence[tuple[_Bed, Run]], segments: NDArray[np.void], wave: NDArray[np.float32]
    ) -> None:
        for (bed, run), first, made in zip(runs, segments["wave"].tolist(), segments["made"].tolist(), strict=True):
            leads = min(run.chunk.samples.shape[1], MAX_LEADS)
            self._waves.append(Wave(bed.name, bed.position, wave[first : first + made, :leads]))
            bed.position += made

    def _name(
        self, found: NDArray[np.void], windows: NDArray[np.float32], features: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32] | None, NDArray[np.int8]]:
        """Name rows of beats; see :func:`monitor.naming.name_rows`."""
        return name_rows(self._classifier, self._two_leads, found, windows, features)

    def _rhythm(
        self,
        runs: Sequence[tuple[_Bed, Run]],
        marks: NDArray[np.void],
        found: NDArray[np.void],
        labels: NDArray[np.int64],
    ) -> NDArray[np.void]:
        marks = marks[(marks["kind"] == frontend.QRS) | (marks["kind"] == frontend.SIGNAL)]
        items = np.empty(len(marks) + len(found), rhythm.ITEM)
        n = len(marks)
        kind = np.where(marks["kind"] == frontend.QRS, rhythm.ITEM_QRS, rhythm.ITEM_QUALITY)
        stage = np.where(found["first"], rhythm.ITEM_BEAT, rhythm.ITEM_REVISION)
        for name, of_mark, of_beat in (
            ("row", marks["row"], found["row"]),
            ("kind", kind, stage),
            ("sample", marks["sample"], found["sample"]),
            ("emitted", marks["emitted"], found["emitted"]),
            ("value", marks["value"], labels),
        ):
            items[name][:n], items[name][n:] = of_mark, of_beat
        items = items[np.lexsort((items["kind"], items["emitted"], items["row"]))]
        ends = np.array(sorted({(bed.row, bed.position) for bed, _ in runs}), np.int64)
        changes = np.empty(8 * len(items) + 4 * len(ends), rhythm.CHANGE)
        count = rhythm.step(self.state["rhythm"], items, ends, changes)
        return changes[:count]

    def _tell(
        self,
        runs: Sequence[tuple[_Bed, Run]],
        marks: NDArray[np.void],
        found: NDArray[np.void],
        labels: NDArray[np.int64],
        probabilities: NDArray[np.float32] | None,
        answers: NDArray[np.int8],
        changes: NDArray[np.void],
    ) -> list[Event]:
        by_row = {bed.row: bed for bed, _ in runs}
        events: list[Event] = []
        alarm_causes: list[tuple[int, int, _Bed, tuple[Any, ...]]] = []
        for bed in by_row.values():
            events += [Gap(bed.name, first, resumed, first, resumed - first) for first, resumed in bed.gaps]
        for row, kind, sample, emitted, lead, value in marks.tolist():
            bed = by_row[row]
            at = bed.emitted(emitted)
            match kind:
                case frontend.TRIGGER:
                    events.append(Trigger(bed.name, bed.device(sample), at))
                case frontend.QRS:
                    events.append(Qrs(bed.name, bed.device(sample), at, bool(value)))
                case frontend.QUALITY:
                    ok = value == align.OK
                    reason = None if ok else quality.REASONS[value]
                    events.append(Quality(bed.name, bed.device(sample), at, bed.lead_name(lead), ok, reason))
                case frontend.LEAD_OFF:
                    cause = ONSET if value else END
                    alarm_causes.append((emitted, 0, bed, ("LEAD_OFF", cause, bed.device(sample), at)))
                case frontend.SIGNAL:
                    for why, code in alarms.OF_REASON.items():
                        cause = ONSET if align.REASONS[value] == why else END
                        alarm_causes.append((emitted, 0, bed, (code, cause, bed.device(sample), at)))
        for bed, emitted, beat, answer in _beats(by_row, found, labels, probabilities, answers):
            events.append(beat)
            bed.note_answers(answer)
            if bool(bed.broken) != ("MODEL" in bed.technical):
                bed.technical ^= {"MODEL"}
                why = "beats are named by rule" if beat.p is None else "beats of two leads are named from one"
                cause = ONSET if bed.broken else END
                failure = ("MODEL", cause, beat.sample, beat.emitted, None, None, why if bed.broken else None)
                alarm_causes.append((emitted, 2, bed, failure))
        for row, code, on, sample, emitted, value, limit, revised in changes.tolist():
            bed = by_row[row]
            at = bed.emitted(emitted)
            if code == rhythm.RHYTHM:
                events.append(Rhythm(bed.name, bed.device(sample), at, rhythm.LABELS[on]))
            else:
                cause = ONSET if on else END
                reason = "revised" if revised else None
                step = (rhythm.CONDITIONS[code], cause, bed.device(sample), at, value, limit, reason)
                alarm_causes.append((emitted, 1, bed, step))
        for _, _, bed, arguments in sorted(alarm_causes, key=lambda cause: cause[:2]):
            events += self._bedside(bed).apply(*arguments)
        events.sort(key=lambda event: (event.emitted, _ORDER[type(event)]))
        return events

    # -- time and people

    def _watch(self, now: float) -> list[Event]:
        """Technical alarms that no sample can raise."""
        events: list[Event] = []
        for bed in self._beds.values():
            emitted = max(bed.sequencer.next - 1, 0)
            for name, since, reverse in (("NO_DATA", bed.last_data, False), ("CONFLICT", bed.last_conflict, True)):
                on = (now - since <= SILENCE) if reverse else (now - since > SILENCE)
                if on != (name in bed.technical):
                    bed.technical ^= {name}
                    events += self._bedside(bed).apply(name, ONSET if on else END, emitted + 1, emitted)
        return events

    def _obey(self, command: Command) -> list[Event]:
        if isinstance(command, Describe):
            self._describe(command)
            return []
        bed = self._beds.get(command.bed)
        if bed is None:
            log.warning("command for unknown bed %s ignored", command.bed)
            return []
        bedside = self._bedside(bed)
        emitted = max(bed.sequencer.next - 1, 0)
        if isinstance(command, Acknowledge):
            for alarm in bedside.active(emitted):
                if alarm.id == command.alarm_id:
                    who = f"acknowledged by {command.by}" if command.by else "acknowledged"
                    return list(bedside.apply(alarm.code, ACKNOWLEDGE, alarm.sample, emitted, reason=who))
            return []
        assert isinstance(command, SetLimits)
        settings = self.state[bed.row]["rhythm"]
        low = float(settings["low"]) if command.low is None else command.low
        high = float(settings["high"]) if command.high is None else command.high
        if not 15 <= low < high <= 300:
            log.warning("limits %g-%g for bed %s refused: 15 <= low < high <= 300", low, high, bed.name)
            return []
        settings["low"], settings["high"] = low, high
        return []

    def _describe(self, said: Describe) -> None:
        """Note what a device says of itself; it may say so before its first sample."""
        bed = self._beds.get(said.bed)
        if bed is not None:
            bed.lead_names, bed.alias, bed.simulated = said.leads, said.alias, said.simulated
        elif len(self._descriptions) < MAX_DESCRIPTIONS:
            self._descriptions[said.bed] = said

    def _bedside(self, bed: _Bed) -> Bedside:
        return Bedside(bed.name, bed.stream, self.state[bed.row]["alarms"])

    # -- looking

    def beds(self) -> list[BedView]:
        """Every bed, in the order of admission."""
        return [self._view(bed) for bed in self._beds.values()]

    def _view(self, bed: _Bed) -> BedView:
        row = self.state[bed.row]
        state = row["rhythm"]
        emitted = max(bed.sequencer.next - 1, 0)
        active = self._bedside(bed).active(emitted)
        active.sort(key=lambda alarm: alarms.INDEX[alarm.code])
        quiet = any(alarm.code == "NO_DATA" for alarm in active)
        rate = float(state["heart_rate"])
        recent = state["ventricular_at"][: int(min(state["ventricular_count"], len(state["ventricular_at"])))]
        pvc = int(np.count_nonzero(recent > bed.position - 60 * FS)) if bed.position >= 60 * FS else None
        leads = tuple(bed.lead_name(lead) for lead in range(int(row["front"]["leads"])))
        return BedView(
            bed.name,
            bed.alias,
            bed.simulated,
            leads,
            bed.stream,
            bed.fs_mhz / 1000,
            bed.origin,
            bed.position,
            rate if rate > 0 and not quiet else None,
            rhythm.LABELS[int(state["told"]["label"])] or None,
            pvc,
            float(state["low"]),
            float(state["high"]),
            tuple(active),
            bed.last_data,
        )

    # -- snapshots

    def snapshot(self, name: str) -> bytes:
        """A bed's whole state, to be restored here or elsewhere.

        Messages held back because an earlier one is missing are not part of it.

        Raises:
            ConfigError: there is no such bed.
        """
        bed = self._beds.get(name)
        if bed is None:
            raise ConfigError("no such bed", where=name)
        s = bed.sequencer
        head = {
            "bed": bed.name,
            "alias": bed.alias,
            "simulated": bed.simulated,
            "lead_names": list(bed.lead_names),
            "stream": bed.stream,
            "origin": bed.origin,
            "position": bed.position,
            "fs_mhz": bed.fs_mhz,
            "broken": sorted(bed.broken),
            "sequencer": {
                "stream": s.stream,
                "formers": s.formers,
                "fs": s.fs,
                "leads": s.leads,
                "next": s.next,
                "joining": s.joining,
            },
        }
        return pack(head, self.state[bed.row], _LAYOUT)

    def restore(self, data: bytes, now: float = 0.0) -> str:
        """Put a bed back as it was; its stream goes on at the next sample. A bed of that name is replaced.

        Returns:
            The bed's id.

        Raises:
            ConfigError: the snapshot is damaged or was made by a version with another layout.
        """
        head, rows = unpack(data, BED_STATE, _LAYOUT)
        bed = self._beds.get(head["bed"]) or self._admit(head["bed"])
        bed.sequencer = Sequencer(**head["sequencer"])
        bed.alias, bed.simulated, bed.lead_names = head["alias"], head["simulated"], tuple(head["lead_names"])
        bed.stream, bed.origin, bed.position = head["stream"], head["origin"], head["position"]
        bed.last_data = now
        bed.fs_mhz = head["fs_mhz"]
        bed.broken = set(head["broken"])
        bed.table, bed.half = self._table_of(bed.fs_mhz)
        self.state[bed.row] = rows[0]
        standing = rows[0]["alarms"]["state"]
        bed.technical = {name for name in _BY_WARD if standing[alarms.INDEX[name]] != alarms.IDLE}
        return bed.name
