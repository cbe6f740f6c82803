"""Nothing from the future: a beat's name is the same when the record ends with the sample that fixed it.

A record is played in pieces that end exactly there, at the `emitted` of every beat: when the ward names the beat, it
has heard nothing later. What it says is compared with what it says of the whole record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from monitor.beats import channels_of, features_of
from monitor.classifier import Classifier, Names
from monitor.events import Beat, Event
from monitor.exceptions import RecordError
from monitor.messages import Chunk
from monitor.records import Record, find_database, read_annotations, read_record
from monitor.replay import analyse
from monitor.ward import Ward
from monitor.window import WIDTH
from trainer.beats.labelled import Collector, labelled_beats
from trainer.scoring.conditions import Resampled
from trainer.splits import DS2

LEADS = [pytest.param((0,), id="one lead"), pytest.param((0, 1), id="two leads")]


class Projection:
    """A network whose probabilities depend on every number it is shown, row by row."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.windows = rng.normal(size=(len(channels_of(2)) * WIDTH, 5))
        self.features = rng.normal(size=(len(features_of(2)), 5))

    def classify(self, windows: np.ndarray, features: np.ndarray) -> np.ndarray:
        found = np.empty((len(windows), 5), np.float32)
        for i in range(len(windows)):  # one by one: sums of a matrix product depend on its size
            w, f = windows[i].ravel().astype(float), features[i].astype(float)
            logits = 3.0 * np.sin(
                w @ self.windows[: w.size] * 0.1 + f @ self.features[: f.size]
            )  # no class always wins
            found[i] = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        return found


def pieces(record: Record, ends: Iterable[int], ward: Ward) -> Iterable[tuple[int, list[Event]]]:
    """Play a record in pieces that end before the given samples; each end, and the events of its piece."""
    first = 0
    for seq, end in enumerate(sorted({*ends, len(record.signal)})):
        yield end, ward.feed([Chunk("made", 1, seq, first, record.fs, record.signal[first:end])], (), end / record.fs)
        first = end


def beats_of(record: Record, names: Names | None) -> list[Beat]:
    """Every naming of a beat that a sample of the record fixed."""
    events = [event for batch in analyse(record, names, bed="made") for event in batch]
    return [event for event in events if isinstance(event, Beat) and event.emitted < len(record.signal)]


def check_causal(record: Record, beats: Sequence[Beat], ward: Ward) -> None:
    """Assert that each beat is named as soon as the ward has heard the sample that fixed it, and just so."""
    expected: dict[int, list[Beat]] = {}
    for beat in beats:
        expected.setdefault(beat.emitted + 1, []).append(beat)
    for end, events in pieces(record, expected, ward):
        assert [event for event in events if isinstance(event, Beat)] == expected.get(end, [])


def check_cut(record: Record, beats: Sequence[Beat], names: Names | None) -> None:
    """The same of a few beats, each with a ward that hears only a record cut off there."""
    for beat in beats:
        cut = Record(record.name, record.fs, record.leads, record.signal[: beat.emitted + 1])
        assert beat in [event for _, events in pieces(cut, (), Ward(names)) for event in events]


def a_few(beats: Sequence[Beat], count: int = 5, seed: int = 0) -> list[Beat]:
    return [beats[i] for i in np.random.default_rng(seed).choice(len(beats), count, replace=False)]


@pytest.mark.parametrize("leads", LEADS)
def test_names_are_the_same_when_the_record_ends_there(database: Path, leads: tuple[int, ...]) -> None:
    record, names = read_record(database / "106", leads), Projection()
    beats = beats_of(record, names)
    assert len(beats) > 100
    assert len({beat.symbol for beat in beats}) > 1
    first, last = ({beat.sample: beat.p for beat in beats if beat.final == final} for final in (False, True))
    assert any(first[sample] != last[sample] for sample in first.keys() & last.keys())
    check_causal(record, beats, Ward(names))
    check_cut(record, a_few(beats), names)


@pytest.mark.parametrize("fs", [128.0, 250.0, 500.0])
def test_names_at_other_rates_are_the_same_when_the_record_ends_there(database: Path, fs: float) -> None:
    plain = read_record(database / "106", (0, 1))
    record, _ = Resampled(fs).apply(plain, read_annotations(database / "106"), (0, 1))
    names = Projection()
    beats = beats_of(record, names)
    assert len(beats) > 50
    check_causal(record, beats, Ward(names))
    check_cut(record, a_few(beats, 2), names)


def test_names_with_a_lead_lost_in_between_are_the_same_when_the_record_ends_there(database: Path) -> None:
    plain = read_record(database / "106", (0, 1))
    signal = plain.signal.copy()
    signal[15 * 360 : 25 * 360, 1] = np.nan
    signal[35 * 360 : 45 * 360, 0] = np.nan
    record, names = Record("106", plain.fs, plain.leads, signal), Projection()
    beats = beats_of(record, names)
    assert len(beats) > 50
    check_causal(record, beats, Ward(names))


# --- that the check can fail


@pytest.mark.parametrize("final", [False, True])
def test_a_name_that_needs_one_sample_more_than_it_says_is_found_out(database: Path, final: bool) -> None:
    record, names = read_record(database / "106", (0,)), Projection()
    beats = beats_of(record, names)
    early = [beat for beat in beats if beat.final == final][30]
    early.emitted -= 1
    with pytest.raises(AssertionError):
        check_causal(record, beats, Ward(names))
    with pytest.raises(AssertionError):
        check_cut(record, [early], names)


def test_a_ward_that_looks_at_one_sample_more_where_it_can_is_found_out(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant adds to the features the sample after the one that completed the window, if it is there yet."""
    record = read_record(database / "106", (0,))
    name = Ward._name

    def peek(self: Ward, found: np.ndarray, windows: np.ndarray, features: np.ndarray, *rest: object) -> object:
        heard = self._beds["made"].position
        for i, at in enumerate(found["emitted"].tolist()):
            if at + 1 < heard:
                features[i, 0] += record.signal[at + 1, 0]
        return name(self, found, windows, features, *rest)

    monkeypatch.setattr(Ward, "_name", peek)
    names = Projection()
    beats = beats_of(record, names)
    with pytest.raises(AssertionError):
        check_causal(record, beats, Ward(names))
    monkeypatch.undo()
    check_causal(record, beats_of(record, names), Ward(names))


# --- what is stored is what is computed live


def live(record: Record, cut: Callable[[int], int]) -> tuple[list[Beat], np.ndarray, np.ndarray]:
    """The beats of a record played in pieces of `cut` samples each, and what a network was shown of them."""
    collector = Collector()
    ward = Ward(collector)
    ends = []
    while not ends or ends[-1] < len(record.signal):
        ends.append((ends[-1] if ends else 0) + cut(len(ends)))
    events = [
        event for _, events in pieces(record, (e for e in ends if e < len(record.signal)), ward) for event in events
    ]
    beats = [event for event in events if isinstance(event, Beat)]
    leads = len(record.leads)
    windows = np.concatenate(collector.windows)[:, : len(channels_of(leads))]
    return beats, windows, np.concatenate(collector.features)[:, : len(features_of(leads))]


def check_stored(path: Path, leads: tuple[int, ...], seed: int, longest: int) -> int:
    """Assert that the stored beats are those of a ward that is fed pieces of random lengths; how many there were."""
    rng = np.random.default_rng(seed)
    beats, windows, features = live(read_record(path, leads), lambda number: int(rng.integers(1, longest)))
    at = {(beat.sample, beat.final): i for i, beat in enumerate(beats)}
    stored = labelled_beats(path, list(leads))
    compared = 0
    for i, row in enumerate(stored.rows):
        k = at.get((int(row["sample"]), True))
        if k is None:
            assert row["emitted"] >= len(read_record(path, leads).signal)  # its window ends after the record
            continue
        assert stored.windows[i].tobytes() == windows[k].tobytes()
        assert stored.features[i].tobytes() == features[k].tobytes()
        assert row["emitted"] == beats[k].emitted
        compared += 1
    return compared


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("leads", LEADS)
def test_stored_beats_are_those_of_a_live_ward_whatever_its_messages(
    database: Path, leads: tuple[int, ...], seed: int
) -> None:
    assert check_stored(database / "119", leads, seed, longest=(2, 60, 3000)[seed]) > 50


def test_another_feature_would_be_noticed(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classify = Collector.classify
    calls = iter(range(10**6))

    def changed(self: Collector, windows: np.ndarray, features: np.ndarray) -> np.ndarray:
        if next(calls) in (5, 6):  # a beat's two rows, or the one of a beat and the other of the next
            features = np.nextafter(features, np.float32(9))
        return classify(self, windows, features)

    monkeypatch.setattr(Collector, "classify", changed)
    with pytest.raises(AssertionError):
        check_stored(database / "119", (0,), 0, longest=60)


# --- the database


def mitdb() -> Path:
    try:
        return find_database("mitdb")
    except RecordError as error:
        pytest.skip(f"CAUSALITY NOT CHECKED ON RECORDS: {error}")


@pytest.mark.database
def test_a_few_beats_of_a_test_record() -> None:
    record = read_record(mitdb() / "210", (0,))
    minute = Record(record.name, record.fs, record.leads, record.signal[: 60 * 360])
    model = Classifier()
    beats = beats_of(minute, model)
    assert {beat.symbol for beat in beats} >= {"N", "V"}
    check_causal(minute, beats, Ward(model))
    check_cut(minute, a_few(beats), model)


@pytest.mark.slow
@pytest.mark.database
@pytest.mark.parametrize("leads", LEADS)
@pytest.mark.parametrize("name", DS2)
def test_every_beat_of_every_test_record(name: str, leads: tuple[int, ...]) -> None:
    record, model = read_record(mitdb() / name, leads), Classifier()
    beats = beats_of(record, model)
    assert len(beats) > 1000
    check_causal(record, beats, Ward(model))
    check_cut(record, a_few(beats, 2, seed=int(name)), model)


@pytest.mark.slow
@pytest.mark.database
@pytest.mark.parametrize("leads", LEADS)
@pytest.mark.parametrize("name", ["108", "116", "207"])
def test_stored_beats_of_records_are_those_of_a_live_ward(name: str, leads: tuple[int, ...]) -> None:
    assert check_stored(mitdb() / name, leads, int(name), longest=500) > 1000
