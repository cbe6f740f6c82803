"""The rows of the table: for each of the standard's questions the trials, and what their answers must be.

The numbers are those of the project's list of cases. A time to alarm is counted on the sample clock, from what the row
says to the sample whose arrival raised the alarm; the heart rate is what a bed shows, read four times a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from typing import Final

import numpy as np

from simulators import standard as draw
from simulators.shapes import Floats, pacer
from trainer.standard.listen import Heard, Trial

Listen = Callable[[Iterable[Trial]], list[Heard]]
"""Shows trials to the monitor."""

PHASES: Final = 1000
"""Places within a beat at which a row's event may fall, unless asked otherwise."""

GOLDEN: Final = 0.6180339887  # successive multiples of it spread phases evenly, however many there are
SHOWN: Final = 5
"""Failures that are named, of each line."""

_LEARNT_S: Final = draw.LEARN_S
_LIMITS: Final = (60.0, 100.0)  # of row 6
_IN_RANGE: Final = (50.0, 120.0)  # the limits that a bed comes with
_UPSTROKE_S: Final = 0.03
_BEGIN_S: Final = 10.0  # from the start of a stream until its heart rate is held to what it should be


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        row: its number in the list of cases.
        what: the case.
        requirement: what must be.
        measured: what was, for people.
        passed: whether it was; None: nothing is required, it is only told.
        others: what other monitors publish, or the standard asks for.
        values: the same as figures: counts, worst, median.
        failures: what failed, the first few.
    """

    row: int
    what: str
    requirement: str
    measured: str
    passed: bool | None
    others: str = ""
    values: dict[str, float] = field(default_factory=dict)
    failures: tuple[str, ...] = ()


def phases(count: int) -> list[float]:
    """So many phases of a beat, evenly spread."""
    return [(number + 0.5) / count for number in range(count)]


def few(count: int, divisor: int, least: int = 3) -> int:
    """How many phases a row that needs fewer takes."""
    return max(count // divisor, least) if count >= least else count


def accuracy(listen: Listen, count: int) -> Iterator[Line]:
    """Row 1: the heart rate, whatever the size and width of the QRS."""
    trials: list[Trial] = []
    rates: list[float] = []
    for rate in (30.0, 60.0, 80.0, 120.0, 180.0, 200.0, 250.0):
        for mv in (0.5, 1.0, 2.0, 5.0):
            for ms in (40.0, 70.0, 100.0, 120.0):
                phase = len(trials) * GOLDEN % 1.0
                strip = draw.steady(rate, mv, ms, phase=phase)
                trials.append(Trial(strip, name=f"{rate:g} bpm, {mv:g} mV, {ms:g} ms"))
                rates.append(rate)
    heard = listen(trials)
    # The worst that was shown, in parts of what is allowed.
    shares = [_deviation(bed, rate) / max(1.0, 0.01 * rate) for bed, rate in zip(heard, rates, strict=True)]
    yield _all(
        1,
        "heart rate, 30 to 250 bpm, QRS 0.5 to 5 mV, 40 to 120 ms",
        "within 1 bpm or 1 % after 20 s",
        heard,
        [share <= 1.0 for share in shares],
        others="+-1 bpm or 1 % (Mindray)",
        values={"worst_bpm": max(share * max(1.0, 0.01 * rate) for share, rate in zip(shares, rates, strict=True))},
        told="worst {worst_bpm:.2f} bpm",
    )


def beyond(listen: Listen, count: int) -> Iterator[Line]:
    """Row 2: rates beyond what can be shown are never shown as in range."""
    cases = ((300.0, 30.0, ("TACHY", "EXTREME_TACHY")), (20.0, 45.0, ("BRADY", "EXTREME_BRADY", "ASYSTOLE")))
    for rate, seconds, codes in cases:
        sizes = ((0.5, 40.0), (1.0, 70.0), (1.0, 100.0), (5.0, 100.0))
        heard = listen(
            Trial(draw.steady(rate, mv, ms, seconds=seconds, phase=phase), name=f"{mv:g} mV, {ms:g} ms, {phase:.2f}")
            for mv, ms in sizes
            for phase in phases(few(count, 200))
        )
        low, high = _IN_RANGE
        passed = [
            not ((bed.rate >= low) & (bed.rate <= high)).any() and bed.raised(*codes) <= _LEARNT_S for bed in heard
        ]
        times = [bed.raised(*codes) for bed in heard]
        yield _all(
            2,
            f"{rate:g} bpm",
            f"never shown as {low:g} to {high:g}; alarm",
            heard,
            passed,
            values={"worst_s": max(times)},
            told="alarm {worst_s:.1f} s after the first sample",
        )


def too_small(listen: Listen, count: int) -> Iterator[Line]:
    """Row 3: what is too small or too short for a QRS complex is none.

    The standard applies such waveforms by themselves. Right after QRS complexes of 1 mV a spike is none either; but
    a small beat among larger ones is one (:data:`monitor.plausible.SMALL_AFTER`), so there small ones may be counted
    for as long as that, and the alarm is what is asked for.
    """
    small = {
        "triangle of 70 ms": draw.triangle(0.15, 70.0),
        "triangle of 100 ms": draw.triangle(0.15, 100.0),
        "R and S of 100 ms": draw.biphasic(0.15, 100.0),
    }
    spikes = {"spike": draw.triangle(1.0, 10.0)}
    for name, shapes, after, strict in (
        ("QRS of 0.15 mV", small, False, True),
        ("QRS of 0.15 mV right after QRS of 1 mV", small, True, False),
        ("spikes of 10 ms, 1 mV", spikes, False, True),
        ("spikes of 10 ms, 1 mV, right after QRS of 1 mV", spikes, True, True),
    ):
        heard = listen(
            Trial(
                draw.stop(phase=phase, residue=shape, seconds=_LEARNT_S + 15.0)
                if after
                else draw.alone(shape, phase=phase),
                name=f"{title}, {phase:.2f}",
            )
            for title, shape in shapes.items()
            for phase in phases(few(count, 200))
        )
        # Beats after the last that is one; the detector's tolerance of the place of R is 0.15 s.
        last = [_last_beat(bed) for bed in heard]
        beats = [int((bed.qrs > at + 0.15).sum()) for bed, at in zip(heard, last, strict=True)]
        times = [bed.raised("ASYSTOLE") - at for bed, at in zip(heard, last, strict=True)]
        yield _all(
            3,
            name,
            "no beat; asystole <= 10 s" if strict else "asystole <= 10 s",
            heard,
            [(beat == 0 or not strict) and time <= 10.0 for beat, time in zip(beats, times, strict=True)],
            others="0.15 mV, 10 ms (IEC 60601-2-27)",
            values={"beats": sum(beats), "worst_s": max(times)},
            told="{beats:.0f} beats; asystole {worst_s:.1f} s",
        )


def tall_t(listen: Listen, count: int) -> Iterator[Line]:
    """Row 4: T waves as tall as the QRS and taller are no beats."""
    heights = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.1, 1.2, 1.3, 1.4]
    shapes = {"of R and S": draw.biphasic(1.0, 100.0), "a triangle": draw.triangle(1.0, 100.0)}
    for name, shape in shapes.items():
        places = phases(few(count, 200))
        heard = listen(
            Trial(draw.with_t(shape, mv, phase=phase, seconds=30.0), name=f"T of {mv:g} mV, {phase:.2f}")
            for mv in heights
            for phase in places
        )
        passed = [_deviation(bed, draw.RATE, _BEGIN_S) <= 1.0 for bed in heard]
        by_height = (passed[i : i + len(places)] for i in range(0, len(passed), len(places)))
        good = [mv for mv, _ in takewhile(lambda pair: all(pair[1]), zip(heights, by_height, strict=True))]
        yield _all(
            4,
            f"T wave, QRS 1 mV, 100 ms, {name}, QT 350 ms, 80 bpm",
            "80 +-1 up to 1.4 mV",
            heard,
            passed,
            others="1.4 mV (GE), 1.2 mV (Mindray)",
            values={"good_mv": max(good, default=np.nan)},
            told="right up to {good_mv:.1f} mV",
        )


def irregular(listen: Listen, count: int) -> Iterator[Line]:
    """Row 5: the four irregular rhythms."""
    for name, (rate, _) in draw.IRREGULAR.items():
        heard = listen(
            Trial(draw.irregular(name, phase=phase), name=f"{phase:.2f}") for phase in phases(few(count, 100))
        )
        worst = [_deviation(bed, rate) for bed in heard]
        shown = np.concatenate([bed.rates(_LEARNT_S) for bed in heard])
        yield _all(
            5,
            name,
            f"{rate:g} +-1 after 20 s",
            heard,
            [deviation <= 1.0 for deviation in worst],
            others=f"{rate:g} +-{2 if rate == 90.0 else 1} (Mindray)",
            values={"lowest": float(np.min(shown)), "highest": float(np.max(shown))},
            told="{lowest:.1f} to {highest:.1f}",
        )


def changes(listen: Listen, count: int) -> Iterator[Line]:
    """Row 6: a step of the heart rate past its limit."""
    for to, codes in ((120.0, ("TACHY", "EXTREME_TACHY")), (40.0, ("BRADY", "EXTREME_BRADY"))):
        heard = listen(
            Trial(draw.change(to, phase=phase), _LIMITS, name=f"{phase:.3f}") for phase in phases(few(count, 10))
        )
        # From the beat that ends the first interval of the new length.
        starts = [bed.trial.strip.r_peaks[_first_new(bed)] / bed.trial.strip.fs for bed in heard]
        times = [bed.raised(*codes) - start for bed, start in zip(heard, starts, strict=True)]
        quiet = [bed.raised() >= start for bed, start in zip(heard, starts, strict=True)]
        yield _timed(
            6,
            f"80 to {to:g} bpm past a limit of {_LIMITS[to > draw.RATE]:g}",
            heard,
            times,
            6.0,
            quiet,
            others="6.0 to 8.2 s (Philips MP2, GE B20)",
        )


def asystole(listen: Listen, count: int) -> Iterator[Line]:
    """Row 7: no more beats."""
    heard = listen(Trial(draw.stop(phase=phase), name=f"{phase:.3f}") for phase in phases(count))
    times = [bed.raised("ASYSTOLE") - _last_beat(bed) for bed in heard]
    quiet = [time >= 4.0 for time in times]
    yield _timed(
        7, "asystole after 80 bpm, from the last QRS", heard, times, 5.0, quiet, "4.0 to 5.0 s", "10 s (IEC 60601-2-27)"
    )


def residue(listen: Listen, count: int) -> Iterator[Line]:
    """Row 8: a pacemaker's pulses are no beats."""
    cases: dict[str, tuple[bool, Sequence[tuple[float, float, float, float]]]] = {
        # mV and ms of the pulse, mV and ms of its tail
        "pulses without tail": (True, ((2.0, 2.0, 0.0, 4.0), (-2.0, 2.0, 0.0, 4.0), (5.0, 0.5, 0.0, 4.0))),
        "pulses with a small tail": (True, ((2.0, 2.0, 0.25, 4.0), (2.0, 2.0, 0.2, 20.0), (-2.0, 2.0, -0.1, 100.0))),
        "pulses with a tail of 2 mV": (False, ((5.0, 2.0, 2.0, 4.0), (5.0, 2.0, 2.0, 100.0))),
    }
    for name, (required, pulses) in cases.items():
        heard = listen(
            Trial(draw.stop(phase=phase, residue=pacer(*pulse)), name=_pulse_name(pulse, phase))
            for pulse in pulses
            for phase in phases(few(count, 200))
        )
        times = [bed.raised("ASYSTOLE") - _last_beat(bed) for bed in heard]
        what = f"asystole with pacer residue at 80 per minute: {name}"
        yield _timed(8, what, heard, times, 10.0, required=required, others="all without tail rejected (Mindray)")


def _pulse_name(pulse: tuple[float, float, float, float], phase: float) -> str:
    mv, ms, tail_mv, tail_ms = pulse
    tail = f", tail {tail_mv:g} mV, {tail_ms:g} ms" if tail_mv else ""
    return f"{mv:g} mV, {ms:g} ms{tail}, {phase:.2f}"


_LIFEPAK: Final = {"206 bpm, 1 mV": (4.1, 4.6, 3.1), "195 bpm, 2 mV": (2.2, 2.5, 1.5)}  # half, normal, double size, s


def tachycardia(listen: Listen, count: int) -> Iterator[Line]:
    """Row 9: ventricular tachycardia."""
    for name, limits in _LIFEPAK.items():
        for (title, size), limit in zip((("half", 0.5), ("normal", 1.0), ("double", 2.0)), limits, strict=True):
            heard = listen(
                Trial(draw.tachycardia(name, size, phase=phase), name=f"{phase:.2f}")
                for phase in phases(few(count, 50))
            )
            starts = [_start_of(bed, "VT") for bed in heard]
            times = [
                bed.raised("VTACH", "VFIB", "EXTREME_TACHY") - start for bed, start in zip(heard, starts, strict=True)
            ]
            right = [bed.raised("ASYSTOLE") == np.inf for bed in heard]
            yield _timed(
                9,
                f"ventricular tachycardia {name}, {title} size",
                heard,
                times,
                limit,
                right,
                f"<= {limit:g} s, no asystole",
                f"{limit:g} s (LIFEPAK 15)",
            )


def fibrillation(listen: Listen, count: int) -> Iterator[Line]:
    """Row 10: ventricular fibrillation."""
    for title, mv in (("coarse, 1 mV", 1.0), ("of 0.5 mV", 0.5), ("fine, 0.2 mV", 0.2)):
        heard = listen(
            Trial(draw.fibrillation(mv, seed=seed, phase=phase), name=f"{seed}")
            for seed, phase in enumerate(phases(few(count, 20)))
        )
        times = [bed.raised("VFIB") - _start_of(bed, "VF") for bed in heard]
        right = [bed.raised("ASYSTOLE") > bed.raised("VFIB") for bed in heard]
        yield _timed(
            10,
            f"ventricular fibrillation, {title}",
            heard,
            times,
            7.0,
            right,
            "<= 7 s, not asystole first",
            "10 s (usual promise)",
        )


def interference(listen: Listen, count: int) -> Iterator[Line]:
    """Row 11: drift and mains."""
    noises: dict[str, Callable[[Floats], Floats]] = {
        "drift 4 mV, 0.1 Hz": draw.drift,
        "mains 0.1 mV, 50 Hz": lambda t: draw.mains(t, hz=50.0),
        "mains 0.1 mV, 60 Hz": lambda t: draw.mains(t, hz=60.0),
    }
    for name, noise in noises.items():
        trials = []
        for ms in (40.0, 70.0, 100.0):
            for phase in phases(few(count, 200)):
                strip = draw.steady(draw.RATE, 0.5, ms, phase=phase, seconds=60.0)
                noisy = draw.with_noise(strip, noise(np.arange(len(strip.signal)) / strip.fs))
                trials.append(Trial(noisy, name=f"{ms:g} ms, {phase:.2f}"))
        heard = listen(trials)
        worst = [_deviation(bed, draw.RATE) for bed in heard]
        alarms = sum(len(bed.alarms) for bed in heard)
        yield _all(
            11,
            f"{name}, on a QRS of 0.5 mV",
            "80 +-1, no alarm",
            heard,
            [deviation <= 1.0 and not bed.alarms for deviation, bed in zip(worst, heard, strict=True)],
            others="80 +-10 % (IEC 60601-2-27)" if name.startswith("drift") else "",
            values={"worst_bpm": max(worst), "alarms": alarms},
            told="worst {worst_bpm:.2f} bpm, {alarms:.0f} alarms",
        )


_TECHNICAL: Final = ("CANNOT_ANALYSE", "LEAD_OFF", "GAP")


def rail(listen: Listen, count: int) -> Iterator[Line]:
    """Row 12: a second at the rail."""
    heard = listen(
        Trial(draw.lost(sign * np.inf, 1.0, phase=phase), name=f"{sign:+g}, {phase:.2f}")
        for sign in (1.0, -1.0)
        for phase in phases(few(count, 50))
    )
    told = [bed.raised(*_TECHNICAL) - _LEARNT_S for bed in heard]
    back = [_right_from(bed, draw.RATE) - _LEARNT_S - 1.0 for bed in heard]
    yield _timed(12, "1 s at the rail: technical alarm", heard, told, 1.0)
    yield _timed(12, "1 s at the rail: heart rate right again, from its end", heard, back, 5.0)


def lead_lost(listen: Listen, count: int) -> Iterator[Line]:
    """Row 13: an electrode that is off is no asystole; a flat line is one."""
    places = phases(few(count, 50))
    heard = listen(
        Trial(draw.lost(value, 20.0, phase=phase), lead_off=_LEARNT_S, name=f"{value:g}, {phase:.2f}")
        for value in (np.nan, 0.0)
        for phase in places
    )
    times = [bed.raised("LEAD_OFF") - _LEARNT_S for bed in heard]
    quiet = [bed.raised("ASYSTOLE") == np.inf for bed in heard]
    yield _timed(13, "lead off, flagged", heard, times, 1.0, quiet, "technical <= 1 s, no asystole")
    heard = listen(Trial(draw.lost(0.0, 20.0, phase=phase), name=f"{phase:.2f}") for phase in places)
    # A QRS whose upstroke is still there counts: it is one to any detector.
    times = [bed.raised("ASYSTOLE") - _last_beat(bed, before=_LEARNT_S + _UPSTROKE_S) for bed in heard]
    yield _timed(13, "flat line, unflagged: asystole, from the last QRS", heard, times, 5.0)


def edges(listen: Listen, count: int) -> Iterator[Line]:
    """Row 14: each definition at its edge."""
    places = phases(few(count, 200))
    cases = (
        ("pause of 3.9 and 4.1 s", "ASYSTOLE", [partial(draw.pause, seconds) for seconds in (3.9, 4.1)]),
        ("4 and 5 ventricular beats at 110 bpm", "VTACH", [partial(draw.burst, n, 110.0, "V") for n in (4, 5)]),
        ("4 and 5 ventricular beats at 180 bpm", "VTACH", [partial(draw.burst, n, 180.0, "V") for n in (4, 5)]),
        ("16 and 17 beats at 145 bpm", "EXTREME_TACHY", [partial(draw.burst, n, 145.0) for n in (16, 17)]),
        ("4 and 5 beats at 36 bpm", "EXTREME_BRADY", [partial(draw.burst, n, 36.0) for n in (4, 5)]),
    )
    for name, code, (below, above) in cases:
        asked = [(make, phase, alarm) for make, alarm in ((below, False), (above, True)) for phase in places]
        heard = listen(Trial(make(phase=phase), name=f"{make.args}, {phase:.2f}") for make, phase, _ in asked)
        passed = [(bed.raised(code) < np.inf) == alarm for bed, (_, _, alarm) in zip(heard, asked, strict=True)]
        yield _all(14, f"{name}: {code}", "only the second", heard, passed)


ROWS: Final[dict[int, Callable[[Listen, int], Iterator[Line]]]] = {
    1: accuracy,
    2: beyond,
    3: too_small,
    4: tall_t,
    5: irregular,
    6: changes,
    7: asystole,
    8: residue,
    9: tachycardia,
    10: fibrillation,
    11: interference,
    12: rail,
    13: lead_lost,
    14: edges,
}
"""What there is, by number."""


def _deviation(bed: Heard, rate: float, after: float = _LEARNT_S) -> float:
    """How far the heart rate was from `rate` at most; inf: unknown at some time."""
    deviations = np.abs(bed.rates(after) - rate)
    return np.inf if not deviations.size or np.isnan(deviations).any() else float(deviations.max())


def _right_from(bed: Heard, rate: float) -> float:
    """Since when (s) the heart rate has been within 1 of `rate` to the end; inf: it is not."""
    wrong = np.flatnonzero(~(np.abs(bed.rate - rate) <= 1.0))
    if not wrong.size:
        return float(bed.at[0])
    return float(bed.at[wrong[-1] + 1]) if wrong[-1] + 1 < bed.at.size else np.inf


def _last_beat(bed: Heard, before: float = np.inf) -> float:
    """Time (s) of the strip's last true beat before `before`; 0: there is none."""
    times = bed.trial.strip.r_peaks / bed.trial.strip.fs
    return float(np.max(times[times < before], initial=0.0))


def _first_new(bed: Heard) -> int:
    """Which beat is the first at another interval than the one before."""
    intervals = np.diff(bed.trial.strip.r_peaks)
    return int(np.flatnonzero(np.abs(intervals - intervals[0]) > 0.05 * intervals[0])[0]) + 1


def _start_of(bed: Heard, rhythm: str) -> float:
    """Since when (s) the strip has this rhythm."""
    return next(span.start for span in bed.trial.strip.rhythms if span.rhythm == rhythm) / bed.trial.strip.fs


def _timed(
    row: int,
    what: str,
    heard: Sequence[Heard],
    times: Sequence[float],
    limit: float,
    right: Sequence[bool] | None = None,
    requirement: str = "",
    others: str = "",
    *,
    required: bool = True,
) -> Line:
    """A line about times that must not be beyond a limit, and about whether all was right otherwise."""
    ok = [time <= limit for time in times]
    passed = ok if right is None else [a and b for a, b in zip(ok, right, strict=True)]
    values = {"lowest_s": min(times), "median_s": float(np.median(times)), "worst_s": max(times)}
    told = "{lowest_s:.2f} to {worst_s:.2f} s, median {median_s:.2f}" if min(times) < np.inf else "never"
    requirement = requirement or f"<= {limit:g} s"
    return _all(row, what, requirement, heard, passed, others=others, values=values, told=told, required=required)


def _all(
    row: int,
    what: str,
    requirement: str,
    heard: Sequence[Heard],
    passed: Sequence[bool],
    *,
    others: str = "",
    values: dict[str, float] | None = None,
    told: str = "",
    required: bool = True,
) -> Line:
    """A line that passes when each of its trials does."""
    bad = [bed.trial.name for bed, good in zip(heard, passed, strict=True) if not good]
    figures = {"trials": float(len(heard)), "passed": float(sum(passed)), **(values or {})}
    parts = [told.format(**figures).replace("inf s", "never").replace("inf", "never")] if told else []
    parts.append(f"{sum(passed)} of {len(heard)}")
    verdict = not bad if required else None
    return Line(row, what, requirement, ", ".join(parts), verdict, others, figures, tuple(bad[:SHOWN]))
