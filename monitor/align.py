"""From messages to one clean stream a bed: order, gaps, and 360 Hz.

Two halves. :class:`Sequencer` puts chunks in order on the device's sample clock: duplicates are dropped, chunks up to
eight messages out of order are put back, and what never came is a gap of known length. :func:`step` then takes the
samples one after the other, settles what is not a measurement before any recursive filter sees it, and resamples.

A sample that is not a measurement (none sent, electrode off, converter at its rail) repeats the last good one and
carries the reason as a flag. When good samples return after more than :data:`HOLD` the signal is continued without a
step, by an offset that the 0.5 Hz high-pass removes: a join cannot make a beat.

The resampler is a windowed-sinc interpolator (Kaiser, 60 dB; 45 Hz passes at rates of 120 Hz and more) on exact
integer positions, so an output sample depends on a fixed number of inputs after it and on nothing else. 360 Hz
passes through untouched.

Source: Crochiere and Rabiner, Multirate Digital Signal Processing, 1983, chapter 2; Kaiser's design formulas.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.ecg import FS, MAX_LEADS
from monitor.kernel import kernel
from monitor.messages import Chunk

REORDER_WINDOW: Final = 8
"""Messages held while an earlier one is awaited."""

REORDER_PATIENCE: Final = 1.0
"""Seconds after which a missing message is taken as lost even if nothing follows."""

FORMERS: Final = 8
"""Streams of the past that are remembered, to tell a second device from a restart."""

BEGAN_ANEW: Final = 2.0
"""Seconds of nothing but samples already known, in order, after which the device is taken to have begun anew."""

MAX_FILL: Final = 60
"""Seconds; a longer gap restarts the detector instead of being filled."""

HOLD: Final = 0.030
"""Seconds of missing signal that are bridged by repeating the last sample, at the device's own level."""

OK, LEAD_OFF, MISSING, SATURATED = 0, 1, 2, 3
REASONS: Final = ("ok", "lead_off", "missing", "saturated")
"""Why a sample cannot be analysed; index: the flag."""

TAPS: Final = 24
PHASES: Final = 360
_PASS: Final = 45.0
_ATTENUATION: Final = 60.0

STATE: Final = np.dtype(
    [
        ("fs_mhz", np.int64),  # device rate, mHz
        ("half", np.int64),  # inputs after an output's position that it depends on
        ("count_in", np.int64),  # input samples taken since the origin
        ("count_out", np.int64),  # 360 Hz samples made since the origin
        ("held", np.float64, (MAX_LEADS,)),  # last settled value, mV
        ("offset", np.float64, (MAX_LEADS,)),  # added to the device's values, mV
        ("bad_run", np.int64, (MAX_LEADS,)),  # inputs since the last good one
        ("started", np.int64, (MAX_LEADS,)),  # 1 once a good sample was seen
        ("history", np.float64, (MAX_LEADS, TAPS)),  # last inputs, a ring
        ("history_flag", np.int64, (MAX_LEADS, TAPS)),
    ],
    align=True,
)


@lru_cache(maxsize=32)
def design(fs: float) -> tuple[NDArray[np.float64], int]:
    """The interpolation table of one device rate.

    Args:
        fs: Hz.

    Returns:
        (PHASES + 1, TAPS) weights by position between two inputs, each row's sum 1, oldest input first, and
        the number of inputs after the position that an output needs.
    """
    if round(fs * 1000) == FS * 1000:
        return np.zeros((PHASES + 1, TAPS)), 0
    stop = max(min(fs, FS) - _PASS, _PASS + 0.2 * min(fs, FS) / 2)
    width = 2 * np.pi * (stop - _PASS) / fs
    half = min(TAPS // 2, int(np.ceil((_ATTENUATION - 8) / (2.285 * width) / 2)) + 1)
    beta = 0.1102 * (_ATTENUATION - 8.7)
    cut = (stop + _PASS) / 2 / fs  # of the sinc, in cycles per input sample
    table = np.zeros((PHASES + 1, TAPS))
    distance = np.arange(-half + 1, half + 1) - np.arange(PHASES + 1)[:, None] / PHASES
    window = np.i0(beta * np.sqrt(np.maximum(0.0, 1 - (distance / half) ** 2))) / np.i0(beta)
    weights = np.sinc(2 * cut * distance) * window
    table[:, TAPS - 2 * half :] = weights / weights.sum(1, keepdims=True)
    return table, half


def emitted_input(k: int, fs_mhz: int, half: int) -> int:
    """The input, counted from the origin, whose arrival makes output sample `k`."""
    return k * fs_mhz // (FS * 1000) + half


@kernel
def step(state, samples, first, count, missing, lead_off, leads, table, out, flags):  # type: ignore[no-untyped-def]
    """Settle and resample a run of samples.

    Args:
        state: a STATE record.
        samples: (m, MAX_LEADS) float32, mV; NaN: no sample, +-inf: at the rail.
        first, count: rows of `samples` to take; with `missing` the rows are not read and count as absent.
        missing: 1 when the run is a gap.
        lead_off: bit i set when lead i's electrode is off.
        leads: leads in use.
        table: what :func:`design` made for this rate.
        out: (MAX_LEADS, capacity) float64, receives mV.
        flags: (MAX_LEADS, capacity) int64, receives OK or a reason.

    Returns:
        How many 360 Hz samples were made.
    """
    fs_mhz = state["fs_mhz"]
    unity = FS * 1000
    half = state["half"]
    hold = int(HOLD * fs_mhz / 1000)
    made = 0
    for i in range(first, first + count):
        index = state["count_in"]
        slot = index % TAPS
        for lead in range(leads):
            flag = OK
            value = 0.0
            if missing:
                flag = MISSING
            else:
                value = np.float64(samples[i, lead])
                if (lead_off >> lead) & 1:
                    flag = LEAD_OFF
                elif value != value:
                    flag = MISSING
                elif value > 1e6 or value < -1e6:
                    flag = SATURATED
            if flag == OK:
                if state["started"][lead] == 0 or state["bad_run"][lead] > hold:
                    state["offset"][lead] = state["held"][lead] - value
                    state["started"][lead] = 1
                state["bad_run"][lead] = 0
                value += state["offset"][lead]
                state["held"][lead] = value
            else:
                state["bad_run"][lead] += 1
                value = state["held"][lead]
            if half == 0:
                out[lead, made] = value
                flags[lead, made] = flag
            else:
                state["history"][lead, slot] = value
                state["history_flag"][lead, slot] = flag
        state["count_in"] = index + 1
        if half == 0:
            made += 1
            state["count_out"] += 1
            continue
        while True:
            position = state["count_out"] * fs_mhz
            base = position // unity
            if base + half > index:
                break
            rest = position % unity
            phase = rest // (unity // PHASES)
            between = (rest % (unity // PHASES)) / (unity // PHASES)
            for lead in range(leads):
                total = 0.0
                for tap in range(TAPS - 2 * half, TAPS):
                    source = base + half - (TAPS - 1 - tap)
                    if source < 0:
                        source = 0
                    weight = table[phase, tap] + between * (table[phase + 1, tap] - table[phase, tap])
                    total += weight * state["history"][lead, source % TAPS]
                out[lead, made] = total
                flags[lead, made] = state["history_flag"][lead, base % TAPS]
            made += 1
            state["count_out"] += 1
    return made


@dataclass(slots=True)
class Run:
    """What the sequencer releases: `missing` absent samples, then the samples of a chunk.

    Attributes:
        chunk: the chunk the samples come from.
        skip: leading samples of the chunk that were already taken.
        missing: samples that never came, directly before `chunk.first + skip`.
        restart: the device's stream begins anew, or so much is missing that the detector must.
    """

    chunk: Chunk
    skip: int = 0
    missing: int = 0
    restart: bool = False


@dataclass(slots=True)
class Sequencer:
    """Puts one bed's chunks in order. At most REORDER_WINDOW chunks are held.

    Attributes:
        stream: id of the running stream; None before the first.
        formers: ids of the last streams before it, oldest first; their chunks are dropped.
        fs, leads: the format of the running stream: a change of either restarts it.
        next: index of the next sample expected.
        joining: nothing of the running stream has been released yet.
        held: chunks that wait for an earlier one, with their arrival in monotonic seconds.
        since: when the running stream began, monotonic seconds.
        duplicates: chunks dropped because all their samples were known.
        stragglers: chunks dropped because they belong to a stream that had just been replaced.
        strays: chunks put aside because they lie far ahead and nothing followed them within REORDER_PATIENCE.
        conflicts: chunks dropped because they belong to a stream replaced a while ago: two devices send.
    """

    stream: int | None = None
    formers: list[int] = field(default_factory=list)
    fs: float = 0.0
    leads: int = 0
    next: int = 0
    joining: bool = False
    held: list[tuple[Chunk, float]] = field(default_factory=list)
    since: float = 0.0
    duplicates: int = 0
    stragglers: int = 0
    strays: int = 0
    conflicts: int = 0
    _known: tuple[int, float] | None = None  # a run of known samples: where it goes on, when it began
    _stray: Chunk | None = None  # the last one put aside; long messages may follow one another slowly

    def push(self, chunk: Chunk, now: float) -> list[Run]:
        """Take one chunk; return what can be analysed now, in order."""
        leads = chunk.samples.shape[1]
        if (
            chunk.first == self.next
            and chunk.stream == self.stream
            and chunk.fs == self.fs
            and leads == self.leads
            and not (self.joining or self.held)
        ):  # the usual case: the next message, and none is awaited
            self.next = chunk.end
            self._known = self._stray = None
            return [Run(chunk)]
        released: list[Run] = []
        if chunk.stream in self.formers:
            if now - self.since > REORDER_PATIENCE:
                self.conflicts += 1
            else:
                self.stragglers += 1
            return released
        # A device that measures its own rate may say 360.0001: what counts is what the header can hold.
        if chunk.stream != self.stream or leads != self.leads or round(chunk.fs * 1000) != round(self.fs * 1000):
            released += self._drain()
            if chunk.stream != self.stream:
                if self.stream is not None:
                    self.formers = [*self.formers, self.stream][-FORMERS:]
                self.since = now
            self.stream, self.fs, self.leads = chunk.stream, chunk.fs, leads
            self._join()
        if self.joining and chunk.seq == 0:
            self.next = chunk.first
        if self.next >= 0 and chunk.end <= self.next and self._began_anew(chunk, now):
            released += self._drain()
            self._join()
            self.next = chunk.first
        if chunk.end <= self.next or any(chunk.first == other.first for other, _ in self.held):
            self.duplicates += 1
            return released
        if self._stray is not None and self._stray.end == chunk.first:
            self.held.append((self._stray, now))
        self.held.append((chunk, now))
        self.held.sort(key=lambda pair: pair[0].first)
        return released + self._release(patient=True)

    def _join(self) -> None:
        """Begin a stream: the first message to arrive may not be the first in order, so wait and see."""
        self.joining = True
        self.next = -1
        self._known = self._stray = None

    def _began_anew(self, chunk: Chunk, now: float) -> bool:
        """Whether a device counts its samples from the beginning under its old stream id.

        Duplicates look the same at first; but they do not go on, one after the other, for BEGAN_ANEW seconds
        in which nothing new comes.
        """
        if self._known is None or self._known[0] != chunk.first:
            self._known = (chunk.end, now)
            return False
        self._known = (chunk.end, self._known[1])
        return now - self._known[1] >= BEGAN_ANEW

    def expire(self, now: float) -> list[Run]:
        """Give up on what has been awaited for REORDER_PATIENCE; return what can be analysed now."""
        if self.held and now - min(arrival for _, arrival in self.held) > REORDER_PATIENCE:
            return self._release(patient=False)
        return []

    def _drain(self) -> list[Run]:
        released = []
        while self.held:
            released += self._release(patient=False)
        return released

    def _release(self, patient: bool) -> list[Run]:
        """Release in order; when not `patient`, or the window is full, the first gap is taken as lost."""
        released: list[Run] = []
        while self.held:
            chunk, _ = self.held[0]
            wait = self.next < 0 or chunk.first > self.next
            if wait and patient and len(self.held) <= REORDER_WINDOW:
                break
            if wait:
                patient = True
            del self.held[0]
            if chunk.end <= self.next:
                self.duplicates += 1
                continue
            far = not self.joining and chunk.first - self.next > MAX_FILL * chunk.fs
            if far and not any(other.first == chunk.end for other, _ in self.held):
                self.strays += 1
                self._stray = chunk
                continue
            run = Run(chunk, restart=self.joining or far)
            if self.joining:
                self.joining = False
            elif chunk.first > self.next:
                run.missing = chunk.first - self.next
            else:
                run.skip = self.next - chunk.first
            self.next = chunk.end
            self._known = self._stray = None
            released.append(run)
        return released
