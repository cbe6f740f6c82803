"""High-priority events of annotated records."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.records import Annotations
from trainer.scoring.alarm_truth import Episode, episodes

FS = 100.0


def annotated(beats: list[tuple[float, str]], notes: list[tuple[float, str]] = ()) -> Annotations:  # type: ignore[assignment]
    rows = [(time, symbol, "") for time, symbol in beats] + [(time, "+", note) for time, note in notes]
    rows.sort(key=lambda row: row[0])
    samples = np.array([round(time * FS) for time, _, _ in rows], np.int64)
    return Annotations(samples, [symbol for _, symbol, _ in rows], [note for _, _, note in rows])


def steady(count: int, rate: float, symbol: str = "N", start: float = 1.0) -> list[tuple[float, str]]:
    return [(start + i * 60.0 / rate, symbol) for i in range(count)]


def found(reference: Annotations, seconds: float = 60.0) -> list[Episode]:
    return episodes(reference, FS, round(seconds * FS))


def test_asystole_is_more_than_four_seconds_between_beats() -> None:
    assert found(annotated([(1.0, "N"), (5.0, "N")])) == []
    assert found(annotated([(1.0, "N"), (5.01, "N")])) == [Episode("ASYSTOLE", 1.0, 5.01)]


@pytest.mark.parametrize(
    ("count", "rate", "code"),
    [
        (5, 39.0, "EXTREME_BRADY"),
        (4, 39.0, None),
        (5, 41.0, None),
        (17, 145.0, "EXTREME_TACHY"),
        (16, 145.0, None),
        (17, 135.0, None),
    ],
)
def test_rates_need_their_beats(count: int, rate: float, code: str | None) -> None:
    assert [episode.code for episode in found(annotated(steady(count, rate)))] == ([] if code is None else [code])


def test_stretches_that_overlap_are_one_episode() -> None:
    (episode,) = found(annotated(steady(30, 150.0)))
    assert episode.start == 1.0
    assert episode.end == pytest.approx(1.0 + 29 * 0.4)


@pytest.mark.parametrize(
    ("count", "rate", "codes"), [(5, 120.0, ["VTACH"]), (4, 120.0, []), (5, 95.0, []), (8, 99.0, [])]
)
def test_ventricular_tachycardia_is_five_fast_ventricular_beats(count: int, rate: float, codes: list[str]) -> None:
    beats = [(0.4, "N"), *steady(count, rate, "V"), (1.0 + count * 60.0 / rate + 0.3, "N")]
    assert [episode.code for episode in found(annotated(beats))] == codes


def test_a_rhythm_called_vt_counts_only_without_beats() -> None:
    notes = [(2.0, "(VT"), (9.0, "(N")]
    assert found(annotated([], notes)) == [Episode("VTACH", 2.0, 9.0)]
    assert found(annotated(steady(20, 75.0), notes)) == []


def test_flutter_is_an_episode_and_hides_the_beats_in_it() -> None:
    beats = [*steady(3, 75.0), (4.0, "["), (4.5, "V"), (5.0, "V"), (20.0, "]"), (20.5, "N")]
    assert found(annotated(beats)) == [Episode("VFIB", 4.0, 20.0)]
    assert found(annotated([*steady(3, 75.0), (4.0, "[")]))[0] == Episode("VFIB", 4.0, 60.0)


def test_a_rhythm_of_fibrillation_is_an_episode_and_no_asystole() -> None:
    reference = annotated(steady(4, 75.0) + steady(4, 75.0, start=30.0), [(4.0, "(VF"), (30.0, "(N")])
    assert [episode.code for episode in found(reference)] == ["VFIB"]
