"""Streams for the tests of the core: signals, the many ways to cut them, and what a ward made of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.classifier import Names
from monitor.events import Beat, Event
from monitor.messages import Chunk
from monitor.ward import Ward
from simulators.morphology import Heart
from simulators.noise import Baseline, Muscle
from simulators.synthetic import render

BED = "bed"

Signal = NDArray[np.float32]


def steady(rate: float, start: float, end: float, symbol: str = "N") -> list[tuple[float, str]]:
    """Beats at `rate` per minute from `start` (s) on, before `end`."""
    return [(float(t), symbol) for t in np.arange(start, end - 1e-9, 60.0 / rate)]


def sinus(seconds: float, rate: float = 80.0, *, fs: float = 360.0, heart: Heart | None = None) -> Signal:
    """A clean sinus rhythm, (n, 2) mV; the first beat comes after half a second."""
    return render(steady(rate, 0.5, seconds), seconds, fs=fs, heart=heart).signal


@lru_cache
def story(fs: float = 360.0) -> Signal:
    """36 s in which nearly everything happens; see the comments. (n, 2) mV, read-only."""
    beats = [
        *steady(80, 0.5, 7.9),
        (7.75, "V"),  # one ventricular beat,
        *[(8.8 + 0.4 * i, "V") for i in range(6)],  # a tachycardia of six at 150 per minute,
        *steady(80, 12.0, 22.1),
        # an asystole from 22 s to 28 s,
        *steady(110, 28.0, 35.9),
    ]
    noise = [Baseline(0.3, 0.2), Muscle(0.02)]
    signal = render(beats, 36.0, fs=fs, disturbances=noise, seed=1).signal.copy()
    at = np.arange(len(signal)) / fs
    signal[(at >= 13.0) & (at < 14.2)] = np.nan  # both electrodes off,
    signal[(at >= 16.0) & (at < 16.02)] = np.nan  # a glitch of 20 ms,
    signal[(at >= 17.5) & (at < 18.0), 0] = np.inf  # the first lead at the rail,
    signal[at >= 18.0, 0] += 2.5  # from where it returns at another level,
    signal[(at >= 20.0) & (at < 21.0), 1] = np.nan  # and the second lead off alone.
    signal.flags.writeable = False
    return signal


def cut(
    signal: Signal,
    sizes: int | Sequence[int],
    *,
    bed: str = BED,
    fs: float = 360.0,
    stream: int = 1,
    first: int = 0,
    seq: int = 0,
) -> list[Chunk]:
    """Cut a signal into chunks of the given sizes, which are taken round and round."""
    pieces: list[Chunk] = []
    sizes = itertools.cycle([sizes] if isinstance(sizes, int) else sizes)
    at = 0
    while at < len(signal):
        piece = signal[at : at + next(sizes)]
        pieces.append(Chunk(bed, stream, seq + len(pieces), first + at, fs, piece))
        at += len(piece)
    return pieces


@dataclass
class Heard:
    """What a ward made of one bed's stream; equal when equal to the last bit.

    Attributes:
        events: in order.
        state: the bed's snapshot at the end.
        wave: (n, leads) the display signal, as bytes (NaN equals NaN).
    """

    events: list[Event]
    state: bytes
    wave: bytes


def listen(
    feeds: Iterable[Sequence[Chunk]],
    *,
    bed: str = BED,
    ward: Ward | None = None,
    classifier: Names | None = None,
    seconds_after: float = 0.0,
) -> Heard:
    """Feed a ward, and keep what concerns one bed. The clock stands at 0.

    Args:
        feeds: the chunks of each call of ``feed``.
        bed: id of the bed.
        ward: where to feed; None: a new one with `classifier`.
        seconds_after: what the clock shows in a last call, without chunks.
    """
    ward = ward or Ward(classifier, capacity=1)
    events: list[Event] = []
    waves: list[bytes] = []
    for chunks, now in [*((chunks, 0.0) for chunks in feeds), ((), seconds_after)]:
        events += [event for event in ward.feed(chunks, now=now) if event.bed == bed]
        waves += [wave.samples.tobytes() for wave in ward.waves() if wave.bed == bed]
    return Heard(events, ward.snapshot(bed), b"".join(waves))


def one_by_one(chunks: Iterable[Chunk]) -> list[list[Chunk]]:
    """Every chunk in a feed of its own."""
    return [[chunk] for chunk in chunks]


def of(events: Iterable[Event], kind: type[Event] | tuple[type[Event], ...]) -> list[Event]:
    """The events of one kind, or of several."""
    return [event for event in events if isinstance(event, kind)]


def finals(events: Iterable[Event]) -> list[Beat]:
    """The final names of beats."""
    return [event for event in events if isinstance(event, Beat) and event.final]


SIZES = st.lists(st.integers(1, 700), min_size=1, max_size=6)
"""Sizes to cut by."""


@st.composite
def hostile_signals(draw: st.DrawFn, fs: float = 360.0) -> Signal:
    """Two leads of stretches that a device, a patient or a broken cable may send."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    stretches = []
    for kind in draw(st.lists(st.sampled_from(sorted(_STRETCHES)), min_size=1, max_size=7)):
        n = draw(st.integers(1, round(draw(st.sampled_from((0.1, 1.0, 6.0))) * fs)))
        stretches.append(_STRETCHES[kind](rng, n, fs))
    with np.errstate(over="ignore"):
        return np.concatenate(stretches).astype(np.float32)


def _beating(rng: np.random.Generator, n: int, fs: float) -> NDArray[np.float64]:
    """Sinus rhythm of any rate and size."""
    beats = steady(rng.uniform(40, 200), 0.1, n / fs)
    heart = Heart(qrs_mv=rng.uniform(0.3, 4.0), t_mv=rng.uniform(0.0, 0.5))
    return render(beats, n / fs, fs=fs, heart=heart).signal[:n].astype(np.float64)


def _losing(rng: np.random.Generator, n: int, fs: float) -> NDArray[np.float64]:
    """Sinus rhythm whose leads are lost and back, each at times of its own."""
    signal = _beating(rng, n, fs)
    for lead in range(signal.shape[1]):
        first, last = np.sort(rng.integers(0, n + 1, 2))
        signal[first:last, lead] = rng.choice((np.nan, np.inf, -np.inf, 1e30))
    return signal


def _constant(value: float, n: int) -> NDArray[np.float64]:
    return np.full((n, 2), value)


_STRETCHES = {
    "beats": _beating,
    "flat": lambda rng, n, fs: _constant(rng.normal(), n),
    "missing": lambda rng, n, fs: _constant(np.nan, n),
    "rail": lambda rng, n, fs: _constant(np.inf * rng.choice((-1, 1)), n),
    "huge": lambda rng, n, fs: _constant(1e30, n),
    "denormal": lambda rng, n, fs: _constant(1e-40, n),
    "noise": lambda rng, n, fs: rng.normal(0.0, 10.0 ** rng.uniform(-2, 3), (n, 2)),
    "random int16": lambda rng, n, fs: rng.integers(-32768, 32768, (n, 2)) * 0.005,
    "flicker": lambda rng, n, fs: rng.choice((0.1, -0.2, np.nan, np.inf), (n, 2)),
    "leads lost": _losing,
    "one lead": lambda rng, n, fs: np.stack([rng.normal(0, 0.1, n), np.full(n, np.nan)], 1),
}
