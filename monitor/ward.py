"""The ward: many beds, one step. Values in, values out; no clock, no await, no I/O.

    chunks -> align -> filters, losses, qrs, quality, beats -> classifier -> rhythm -> alarms -> events

:meth:`Ward.feed` takes whatever arrived since the last call and returns what it means. Signal time is the sample
index; monotonic time and operators' commands come in as values. What comes out for a bed does not depend on how its
stream was cut into messages, on the order of messages within the reordering window, nor on the other beds.
"""

from __future__ import annotations

import json
import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitor import alarms, align, beats, fibrillation_weights, frontend, judge, quality, rhythm
from monitor.alarm_states import END, ONSET
from monitor.alarm_table import CODES, INDEX, OF_REASON, detail_of
from monitor.alarms import BEAT, LAPSED, REVISED, Bedside, Happening, History
from monitor.classifier import Names
from monitor.commands import (
    Acknowledge,
    AcknowledgeAll,
    Command,
    Describe,
    PauseAudio,
    RecorderState,
    Relearn,
    Resumed,
    SetLimits,
    SetPaced,
    SetProfile,
    Shown,
)
from monitor.ecg import AAMI_CLASSES, FS, MAX_LEADS
from monitor.events import Alarm, Audio, Beat, Event, Gap, Qrs, Quality, Rhythm, Trigger
from monitor.exceptions import ConfigError
from monitor.lateness import Lateness
from monitor.messages import Chunk
from monitor.naming import FAILED, NAMED, name_rows
from monitor.profiles import ADULT, PROFILES, Limits, with_changes, write_settings
from monitor.sequencer import Run, Sequencer
from monitor.snapshot import layout_of, pack, parts, unpack
from monitor.views import BedView, Wave

log = logging.getLogger(__name__)

BED_STATE: Final = np.dtype(
    [
        ("front", frontend.STATE),
        ("rhythm", rhythm.STATE),
        ("alarms", alarms.STATE, (len(CODES),)),
        ("pause", alarms.PAUSE_STATE),
    ],
    align=True,
)
"""All that is known of a bed's signal: one row of the ward's array."""

SILENCE: Final = 2.0
"""Seconds without data after which a bed raises NO_DATA."""

MAX_DESCRIPTIONS: Final = 4096
"""Devices that may describe themselves before they send; more are not remembered."""

MAX_TABLES: Final = 64
"""Resampling tables kept; with more rates than that those no bed sends any more are dropped."""

_LAYOUT: Final = layout_of(BED_STATE, tuple(code.name for code in CODES), rhythm.CONDITIONS, rhythm.LABELS)
assert set(rhythm.CONDITIONS) <= set(INDEX), "each condition has its alarm"
_ITEM_OF_MARK: Final = np.full(frontend.FIBRILLATION + 1, -1, np.int64)
_ITEM_OF_MARK[frontend.SIGNAL] = rhythm.ITEM_QUALITY
_ITEM_OF_MARK[frontend.QRS] = rhythm.ITEM_QRS
_ITEM_OF_MARK[frontend.NOISE] = rhythm.ITEM_NOISE
_ITEM_OF_MARK[frontend.FIBRILLATION] = rhythm.ITEM_FIBRILLATION
_P_VISIBLE: Final = beats.FEATURES.index("p_visible")
_SECOND_P_VISIBLE: Final = beats.FEATURES.index("second_p_visible")
_BY_WARD: Final = ("NO_DATA", "CONFLICT", "MODEL", "RECORDER")
"""Alarms that the ward itself raises and ends."""
_BY_SIGNAL: Final = (*rhythm.CONDITIONS, "LEAD_OFF", *OF_REASON.values())
"""Alarms that end with the stream whose samples raised them."""
_ORDER: Final = {Gap: 0, Quality: 1, Trigger: 2, Qrs: 3, Beat: 4, Rhythm: 5, Alarm: 6}


_KEPT: Final = ("alias", "simulated", "stream", "origin", "position", "fs_mhz", "history", "profile", "relearn")
_KEPT_OF_SEQUENCER: Final = ("stream", "formers", "fs", "leads", "next", "joining")


@dataclass(slots=True)
class _Bed:
    """What the ward keeps of a bed beside its row."""

    name: str
    row: int
    sequencer: Sequencer = field(default_factory=Sequencer)
    lateness: Lateness = field(default_factory=Lateness)
    late: set[str] = field(default_factory=set)  # alarms last told out of late data, by id
    retell: bool = False  # those of them that stand, when the data is live again
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
    history: History = field(default_factory=dict)  # of its active alarms
    profile: str = ADULT
    limits: Limits = PROFILES[ADULT]
    relearn: bool = False  # begin anew with the next samples
    holds: bool = False  # an alarm whose condition is over
    counts_down: bool = False  # maybe: an alarm's silence, or the audio pause
    view: BedView | None = None  # as it was last asked for; None: it is another one now

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

    @property
    def last_sample(self) -> int:
        """The device's last sample that was released."""
        return max(self.sequencer.next - 1, 0)

    def note_answers(self, answers: Sequence[int]) -> None:
        """Note which models failed and which are well again; one that was not asked may still be broken."""
        for leads, answer in enumerate(answers, 1):
            if answer == FAILED:
                self.broken.add(leads)
            elif answer == NAMED:
                self.broken.discard(leads)

    def lead_name(self, lead: int) -> str:
        return self.lead_names[lead] if lead < len(self.lead_names) else str(lead)

    def as_dict(self) -> dict[str, Any]:
        """What goes with the bed wherever it goes, as JSON values."""
        s = self.sequencer
        return {
            "bed": self.name,
            **{name: getattr(self, name) for name in _KEPT},
            "lead_names": list(self.lead_names),
            "broken": sorted(self.broken),
            "limits": self.limits.as_dict(),
            "sequencer": {name: getattr(s, name) for name in _KEPT_OF_SEQUENCER},
        }

    def take(self, told: dict[str, Any]) -> None:
        """Be what :meth:`as_dict` told."""
        for name in _KEPT:
            setattr(self, name, told[name])
        self.lead_names, self.broken = tuple(told["lead_names"]), set(told["broken"])
        self.limits = Limits(**told["limits"])
        self.sequencer = Sequencer(**told["sequencer"])

    def clocks(self) -> dict[str, Any]:
        """What makes sense on this ward's clock only, as JSON values: the rest of what there is."""
        return {
            "last_data": self.last_data,
            "last_conflict": self.last_conflict if math.isfinite(self.last_conflict) else None,
            "gaps": self.gaps,
            "holds": self.holds,
            "counts_down": self.counts_down,
            "waiting": self.sequencer.waiting(),
            "lateness": self.lateness.as_dict(),
            "late": sorted(self.late),
        }

    def set_clocks(self, told: dict[str, Any]) -> None:
        """Go on by what :meth:`clocks` told."""
        self.last_data = told["last_data"]
        self.last_conflict = -math.inf if told["last_conflict"] is None else told["last_conflict"]
        self.gaps = [(first, resumed) for first, resumed in told["gaps"]]
        self.holds, self.counts_down = told["holds"], told["counts_down"]
        self.sequencer.wait_for(self.name, told["waiting"])
        self.lateness, self.late = Lateness(**told["lateness"]), set(told["late"])
        self.retell = bool(self.late)


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


def _poor_signal(at: int, sample: int, reason: str) -> list[Happening]:
    """What it means for the alarms that no lead can be analysed for this reason, or that one can."""
    return [
        Happening(at, 0, code, ONSET if reason == why else END, sample, detail=detail_of(why))
        for why, code in OF_REASON.items()
    ]


def _p_waves(found: NDArray[np.void], features: NDArray[np.float32]) -> NDArray[np.float32]:
    """How well each beat shows P waves, on the lead that shows them best: log of their size over what varies there."""
    first, second = features[:, _P_VISIBLE], features[:, _SECOND_P_VISIBLE]
    visible: NDArray[np.float32] = np.where(found["leads"] > 1, np.maximum(first, second), first)
    return visible


class Ward:
    """The beds of a ward and everything known about them.

    Attributes:
        state: (capacity,) BED_STATE, a row a bed.
    """

    def __init__(
        self,
        classifier: Names | None = None,
        *,
        two_leads: Names | None = None,
        capacity: int = 16,
        fibrillation: np.void | None = None,
    ) -> None:
        """Make an empty ward.

        Args:
            classifier: names the beats; without one the kernel's own rule does (N, S or V).
            two_leads: names those that two leads show; without one `classifier` does. Where it fails, too.
            capacity: beds to make room for; more are admitted as they come.
            fibrillation: weights that tell it from the signal, a WEIGHTS record; without them those that ship.

        Raises:
            ConfigError: weights cannot be read, or were made for another detector.
        """
        judge.check_weights()
        quality.check_weights()
        self._fibrillation = fibrillation_weights.shipped().final if fibrillation is None else fibrillation
        self._classifier = classifier
        self._two_leads = two_leads
        self.state: NDArray[np.void] = np.zeros(max(capacity, 1), BED_STATE)
        self._beds: dict[str, _Bed] = {}
        self._descriptions: dict[str, Describe] = {}
        self._tables: list[int] = []  # rates of the rows of _table_array, mHz
        self._table_array = np.zeros((1, align.PHASES + 1, align.TAPS))
        self._waves: list[Wave] = []
        self._taken: list[tuple[str, Run]] = []
        self._now = 0.0  # of the last call
        self._recorder = RecorderState(True)
        self._pause: PauseAudio | None = None  # of the whole ward: also for beds that come while it lasts
        self._pause_until = 0.0

    # -- feeding

    def feed(self, chunks: Iterable[Chunk] = (), commands: Iterable[Command] = (), now: float = 0.0) -> list[Event]:
        """Take what arrived and say what it means.

        Args:
            chunks: messages in the order of arrival; a bed's first one admits it.
            commands: what operators and devices said.
            now: monotonic time, s; it tells silence, how long a missing message has been awaited, and how long alarms
                are silenced.

        Returns:
            Events; those of one bed in the order of `emitted`.
        """
        events: list[Event] = []
        self._waves = []
        self._taken = []
        self._now = now
        for command in commands:
            events += self._obey(command)
        round_: list[tuple[_Bed, Run]] = []
        advanced: set[int] = set()
        for bed, run in self._released(chunks, now):
            bed.last_data = now  # what is dropped is not data: a bed that sends only such is silent
            if run.restart or bed.relearn:
                if bed.row in advanced:
                    events += self._analyse(round_)
                    round_, advanced = [], set()
                events += self._restart(bed, run)
            bed.view = None
            chunk = run.chunk
            bed.lateness.take(chunk.stream, chunk.fs, chunk.first, chunk.end, now)
            round_.append((bed, run))
            self._taken.append((bed.name, run))
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
            if bed.sequencer.held:
                for run in bed.sequencer.expire(now):
                    yield bed, run

    def waves(self) -> list[Wave]:
        """The display signal that the last :meth:`feed` analysed."""
        return self._waves

    def released(self) -> list[tuple[str, Run]]:
        """What the last :meth:`feed` analysed, as the devices sent it: each bed's samples in order, each once."""
        return self._taken

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
        write_settings(self.state[row]["rhythm"]["settings"], bed.limits)
        if self._pause is not None and self._now < self._pause_until:
            left = replace(self._pause, seconds=self._pause_until - self._now)
            list(self._pause_audio(bed, left))  # nobody knows the bed yet: its view says so
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
        events += self._bedside(bed).end_all(_BY_SIGNAL, bed.origin, "relearn" if bed.relearn else "restart")
        bed.relearn = False
        self.state["front"][bed.row] = np.zeros((), frontend.STATE)
        self.state["rhythm"][bed.row] = np.zeros((), rhythm.STATE)
        write_settings(row["rhythm"]["settings"], bed.limits)
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
        mark_count, beat_count = frontend.tick(
            self.state["front"], segments, samples, self._table_array, *room, self._fibrillation
        )
        self._keep_waves(runs, segments, room.wave)
        marks, found = room.marks[:mark_count], room.found[:beat_count]
        features = room.features[:beat_count]
        labels, probabilities, answers = self._name(found, room.windows[:beat_count], features)
        changes = self._rhythm(runs, marks, found, labels, features)
        return self._tell(runs, marks, found, labels, probabilities, answers, changes)

    def _stage(self, runs: Sequence[tuple[_Bed, Run]]) -> tuple[NDArray[np.void], NDArray[np.float32], int]:
        """Lay the samples of all runs side by side."""
        parts = [run.chunk.samples[run.skip :, :MAX_LEADS] for _, run in runs]
        samples = np.empty((sum(map(len, parts)), MAX_LEADS), np.float32)
        whole = all(part.shape[1] == MAX_LEADS for part in parts)
        if whole:
            np.concatenate(parts, out=samples)
        rows = []
        first = wave = 0
        for (bed, run), part in zip(runs, parts, strict=True):
            count = len(part)
            if not whole:
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
        features: NDArray[np.float32],
    ) -> NDArray[np.void]:
        kinds = _ITEM_OF_MARK[marks["kind"]]
        marks, kinds = marks[kinds >= 0], kinds[kinds >= 0]
        items = np.empty(len(marks) + len(found), rhythm.ITEM)
        n = len(marks)
        stage = np.where(found["first"], rhythm.ITEM_BEAT, rhythm.ITEM_REVISION)
        for name, of_mark, of_beat in (
            ("row", marks["row"], found["row"]),
            ("kind", kinds, stage),
            ("sample", marks["sample"], found["sample"]),
            ("emitted", marks["emitted"], found["emitted"]),
            ("value", marks["value"], labels),
            ("p", 0.0, _p_waves(found, features)),
        ):
            items[name][:n], items[name][n:] = of_mark, of_beat
        items = items[np.lexsort((items["kind"], items["emitted"], items["row"]))]
        ends = np.array(sorted({(bed.row, bed.position) for bed, _ in runs}), np.int64)
        changes = np.empty(rhythm.room(len(items), len(ends)), rhythm.CHANGE)
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
        happenings: defaultdict[int, list[Happening]] = defaultdict(list)
        beats: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)  # when known, R peak
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
                    beats[row].append((emitted, sample))
                case frontend.QUALITY:
                    ok = value == align.OK
                    reason = None if ok else quality.REASONS[value]
                    events.append(Quality(bed.name, bed.device(sample), at, bed.lead_name(lead), ok, reason))
                case frontend.LEAD_OFF:
                    cause = ONSET if value else END
                    happenings[row].append(Happening(emitted, 0, "LEAD_OFF", cause, bed.device(sample)))
                case frontend.SIGNAL:
                    happenings[row] += _poor_signal(emitted, bed.device(sample), align.REASONS[value])
                case frontend.NOISE:
                    cause, detail = ONSET if value else END, detail_of(quality.REASONS[value])
                    noisy = Happening(emitted, 0, "CANNOT_ANALYSE", cause, bed.device(sample), source=1, detail=detail)
                    happenings[row].append(noisy)
        for bed, emitted, beat, answer in _beats(by_row, found, labels, probabilities, answers):
            events.append(beat)
            bed.note_answers(answer)
            if bool(bed.broken) != ("MODEL" in bed.technical):
                bed.technical ^= {"MODEL"}
                why = "beats are named by rule" if beat.p is None else "beats of two leads are named from one"
                cause, reason = (ONSET, why) if bed.broken else (END, None)
                happenings[bed.row].append(Happening(emitted, 2, "MODEL", cause, beat.sample, reason=reason))
        for row, code, on, sample, emitted, value, limit, revised, lapsed in changes.tolist():
            bed = by_row[row]
            at = bed.emitted(emitted)
            if code == rhythm.RHYTHM:
                events.append(Rhythm(bed.name, bed.device(sample), at, rhythm.LABELS[on]))
            else:
                cause, reason = ONSET if on else END, REVISED if revised else LAPSED if lapsed else None
                step = (rhythm.CONDITIONS[code], cause, bed.device(sample), value or None, limit, reason)
                happenings[row].append(Happening(emitted, 1, *step))
        for row, bed in by_row.items():
            if bed.holds or row in happenings:
                taken = [*happenings[row], *(Happening(at, 3, "", BEAT, r) for at, r in beats[row])]
                bedside = self._bedside(bed)
                told = bedside.take(taken, bed.position - 1, bed.emitted)
                events += self._with_lateness(bed, told)
                bed.holds = bedside.holds()
        events.sort(key=lambda event: (event.emitted, _ORDER[type(event)]))
        return events

    def _with_lateness(self, bed: _Bed, told: Iterable[Event]) -> Iterator[Event]:
        """Mark the alarms that late data changed."""
        for event in told:
            if isinstance(event, Alarm):
                event.late = event.emitted < bed.lateness.late_before
                if event.late and event.state != "cleared":
                    bed.late.add(event.id)
                    bed.retell = True
                else:
                    bed.late.discard(event.id)
            yield event

    def _live_again(self, bed: _Bed) -> Iterator[Alarm]:
        """Tell those alarms of late data that still stand, now that the data is live; those that are over stay told."""
        bed.retell, bed.view = False, None
        standing = self._bedside(bed).active(bed.last_sample)
        bed.late &= {alarm.id for alarm in standing}
        for alarm in standing:
            if alarm.id in bed.late and alarm.state == "raised":
                bed.late.discard(alarm.id)
                yield replace(alarm, history=None, reason="live")

    # -- time and people

    def _watch(self, now: float) -> list[Event]:
        """Technical alarms that no sample can raise, and count-downs that are over."""
        events: list[Event] = []
        for bed in self._beds.values():
            if bed.retell and not bed.lateness.late_s:
                events += self._live_again(bed)
            silent, conflicting = now - bed.last_data > SILENCE, now - bed.last_conflict <= SILENCE
            if not (silent or conflicting or bed.technical or bed.counts_down) and self._recorder.ok:
                continue  # nearly always
            bed.view = None
            emitted = bed.last_sample
            for name, on in (("NO_DATA", silent), ("CONFLICT", conflicting)):
                if on != (name in bed.technical):
                    bed.technical ^= {name}
                    events += self._bedside(bed).apply(name, ONSET if on else END, emitted + 1, emitted)
            if self._recorder.ok == ("RECORDER" in bed.technical):
                bed.technical ^= {"RECORDER"}
                cause, reason = (END, None) if self._recorder.ok else (ONSET, self._recorder.reason)
                events += self._bedside(bed).apply("RECORDER", cause, emitted + 1, emitted, reason=reason)
            if bed.counts_down:
                bedside = self._bedside(bed)
                events += bedside.tick(emitted)
                bed.counts_down = bedside.counts_down()
        return events

    def _obey(self, command: Command) -> list[Event]:
        if isinstance(command, Describe):
            self._describe(command)
            return []
        if isinstance(command, RecorderState):
            self._recorder = command  # _watch tells the beds
            return []
        if isinstance(command, Resumed):
            for one in self._beds.values():
                one.last_data = self._now
                one.sequencer.be_patient(self._now)
            return []
        if isinstance(command, PauseAudio) and command.bed is None:
            self._pause = command if command.on else None
            self._pause_until = self._now + command.seconds
            return [event for bed in self._beds.values() for event in self._pause_audio(bed, command)]
        bed = self._beds.get(command.bed or "")
        if bed is None:
            log.warning("command for unknown bed %s ignored", command.bed)
            return []
        bed.view = None
        emitted = bed.last_sample
        match command:
            case Acknowledge() | AcknowledgeAll():
                bed.counts_down = True
                alarm_id = command.alarm_id if isinstance(command, Acknowledge) else None
                return list(self._bedside(bed).acknowledge(alarm_id, emitted, command.by))
            case Shown():
                return list(self._bedside(bed).show(command.alarm_id, emitted, command.by))
            case PauseAudio():
                return list(self._pause_audio(bed, command))
            case SetLimits() | SetProfile() | SetPaced():
                self._set(bed, command)
            case Relearn():
                bed.relearn = True
        return []

    def _pause_audio(self, bed: _Bed, command: PauseAudio) -> Iterator[Audio]:
        bed.view = None
        bedside, bed.counts_down = self._bedside(bed), True
        if command.on:
            return bedside.pause_audio(command.seconds, bed.last_sample, command.by)
        return bedside.resume_audio(bed.last_sample, command.by)

    def _set(self, bed: _Bed, command: SetLimits | SetProfile | SetPaced) -> None:
        """Change what a bed is set to; what makes no sense is refused and logged."""
        try:
            match command:
                case SetLimits():
                    bed.limits = with_changes(bed.limits, **command.changes)
                case SetProfile():
                    bed.limits = replace(PROFILES[command.profile], paced=bed.limits.paced)
                    bed.profile = command.profile
                case SetPaced():
                    bed.limits = replace(bed.limits, paced=command.paced)
        except (ValueError, KeyError) as error:
            log.warning("settings for bed %s refused: %s", bed.name, error)
            return
        write_settings(self.state[bed.row]["rhythm"]["settings"], bed.limits)
        log.info("bed %s is set to %s by %s", bed.name, bed.limits, command.by or "nobody known")

    def _describe(self, said: Describe) -> None:
        """Note what a device says of itself; it may say so before its first sample."""
        bed = self._beds.get(said.bed)
        if bed is not None:
            bed.view = None
            bed.lead_names, bed.alias, bed.simulated = said.leads, said.alias, said.simulated
        elif len(self._descriptions) < MAX_DESCRIPTIONS:
            self._descriptions[said.bed] = said

    def _bedside(self, bed: _Bed) -> Bedside:
        row = self.state[bed.row]
        return Bedside(bed.name, bed.stream, row["alarms"], row["pause"], bed.history, self._now)

    # -- looking

    def beds(self) -> list[BedView]:
        """Every bed, in the order of admission."""
        return [bed.view or self._view(bed) for bed in self._beds.values()]

    def _view(self, bed: _Bed) -> BedView:
        """Look at a bed anew: it costs as much as a tenth of a second of its analysis."""
        row = self.state[bed.row]
        state = row["rhythm"]
        bedside = self._bedside(bed)
        active = [replace(alarm, late=alarm.id in bed.late) for alarm in bedside.active(bed.last_sample)]
        quiet = any(alarm.code == "NO_DATA" for alarm in active)
        rate = float(state["rate"]["shown"])
        recent = state["named"]["ventricular"]["ventricular_at"]
        pvc = int(np.count_nonzero(recent > bed.position - 60 * FS)) if bed.position >= 60 * FS else None
        leads = tuple(bed.lead_name(lead) for lead in range(int(row["front"]["leads"])))
        bed.view = BedView(
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
            bed.limits.low,
            bed.limits.high,
            tuple(active),
            bed.last_data,
            bed.profile,
            bed.limits,
            bedside.pause_left(),
            bed.lead_names,
            bed.lateness.late_s,
        )
        return bed.view

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
        rows = self.state[bed.row : bed.row + 1].copy()
        alarms.stop_clock(rows, self._now)
        return pack(bed.as_dict(), rows, _LAYOUT)

    def restore(self, data: bytes, now: float = 0.0) -> str:
        """Put a bed back as it was; its stream goes on at the next sample. A bed of that name is replaced.

        Count-downs go on with what was left of them.

        Returns:
            The bed's id.

        Raises:
            ConfigError: the snapshot is damaged or was made by a version with another layout.
        """
        head, packed = unpack(data, BED_STATE, _LAYOUT)
        if len(packed) != 1:
            raise ConfigError("the snapshot is not of one bed", where="restore")
        rows = packed.copy()
        alarms.start_clock(rows, now)
        bed = self._beds.get(head["bed"]) or self._admit(head["bed"])
        bed.last_data = now
        self._now = max(self._now, now)
        self._put_back(bed, head, rows[0])
        return bed.name

    def _put_back(self, bed: _Bed, head: dict[str, Any], row: np.void) -> None:
        bed.view = None
        bed.take(head)
        bed.table, bed.half = self._table_of(bed.fs_mhz) if bed.fs_mhz else (-1, 0)
        self.state[bed.row] = row
        bed.holds, bed.counts_down = self._bedside(bed).holds(), True
        standing = row["alarms"]["condition"]
        bed.technical = {name for name in _BY_WARD if standing[INDEX[name]]}

    def snapshot_all(self, **also: Any) -> tuple[bytes, NDArray[np.void]]:
        """The ward as it is, to the bit: what :meth:`restore_all` puts back, on the same clock.

        Args:
            also: JSON values to be kept with it.

        Returns:
            JSON, and (beds,) rows of the state: a view, to be copied or packed before the next :meth:`feed`.
        """
        head = also | {
            "now": self._now,
            "pause": None if self._pause is None else asdict(self._pause),
            "pause_until": self._pause_until,
            "store": asdict(self._recorder),
            "descriptions": [asdict(said) for said in self._descriptions.values()],
            "beds": [bed.as_dict() | bed.clocks() for bed in self._beds.values()],
        }
        return json.dumps(head).encode(), self.state[: len(self._beds)]

    @staticmethod
    def pack_all(text: bytes, rows: NDArray[np.void]) -> tuple[bytes, memoryview]:
        """What :meth:`snapshot_all` gave, or a copy of it, as two pieces of a snapshot: the second is not copied."""
        return parts(text, rows, _LAYOUT)

    def restore_all(self, data: bytes) -> dict[str, Any]:
        """Become the ward that a snapshot is of. What is fed next gives what it would have given then.

        Args:
            data: packed with :meth:`pack_all`.

        Returns:
            The head that was packed.

        Raises:
            ConfigError: the snapshot is damaged or was made by a version with another layout.
        """
        head, rows = unpack(data, BED_STATE, _LAYOUT)
        self._now, self._pause_until = head["now"], head["pause_until"]
        self._pause = None if head["pause"] is None else PauseAudio(**head["pause"])
        self._recorder = RecorderState(**head["store"])
        self._descriptions = {
            said["bed"]: Describe(**said | {"leads": tuple(said["leads"])}) for said in head["descriptions"]
        }
        self.state = np.zeros(max(len(self.state), len(rows)), BED_STATE)
        self._beds = {}
        for number, (told, row) in enumerate(zip(head["beds"], rows, strict=True)):
            bed = self._beds[told["bed"]] = _Bed(told["bed"], number)
            self._put_back(bed, told, row)
            bed.set_clocks(told)
        return head
