"""What is written down of events."""

from __future__ import annotations

import io
import itertools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.events import Alarm, Beat, Event, Rhythm, Trigger
from monitor.exceptions import ConfigError
from monitor.output import annotations_of, event_lines, line_of, take_rhythm, write_annotations
from monitor.records import Annotations, read_annotations


def beat(sample: int, symbol: str = "N", final: bool = True) -> Beat:
    return Beat("b", sample, sample + 200, symbol, symbol, final)


def rhythm(sample: int, label: str, emitted: int = 0) -> Rhythm:
    return Rhythm("b", sample, emitted or sample + 300, label)


def marks(*events: Event) -> list[tuple[int, str, str]]:
    found = annotations_of(events)
    return list(zip(found.samples.tolist(), found.symbols, found.notes, strict=True))


# -- lines


def test_line_is_the_event_in_one_line() -> None:
    event = Beat("b", 5, 9, p={"N": 0.25, "V": 0.75})
    assert json.loads(line_of(event)) == event.as_dict()
    assert line_of(Alarm("b", 1, 2, text="*** HR\n156>150")).count("\n") == 0


def test_lines_go_to_a_file_as_they_come(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    with event_lines(str(file)) as lines:
        assert not lines.on_terminal
        lines.write([beat(5), Trigger("b", 9, 10)])
        assert [json.loads(line)["sample"] for line in file.read_text().splitlines()] == [5, 9]
        lines.write([])
        lines.write([beat(20)])
    assert [json.loads(line)["sample"] for line in file.read_text().splitlines()] == [5, 9, 20]


def test_lines_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with event_lines("-") as lines:
        lines.write([beat(5)])
    assert json.loads(capsys.readouterr().out)["sample"] == 5
    assert not sys.stdout.closed


def test_lines_to_a_place_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught, event_lines(str(tmp_path / "none" / "x")):
        pass
    assert caught.value.what == "cannot be written (No such file or directory)"
    assert caught.value.where == str(tmp_path / "none" / "x")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="NOT TESTED: a full disk; there is no /dev/full here")
def test_lines_to_a_full_disk() -> None:
    with pytest.raises(ConfigError, match="No space left on device"), event_lines("/dev/full") as lines:
        lines.write([beat(5)])


def test_nobody_reads_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line ends quietly on it."""

    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(BrokenPipeError), event_lines("-") as lines:
        lines.write([beat(5)])


# -- annotations


def test_only_final_beats_and_rhythms_are_annotated() -> None:
    assert marks(beat(10, "V", final=False), Trigger("b", 10, 20), beat(10, "N"), Alarm("b", 12, 13)) == [(10, "N", "")]


def test_a_rhythm_stands_before_the_beat_it_begins_with() -> None:
    events = [beat(100), beat(200, "V"), beat(300, "V"), rhythm(200, "VT")]
    assert marks(*events) == [(100, "N", ""), (199, "+", "(VT"), (200, "V", ""), (300, "V", "")]


def test_a_rhythm_where_no_beat_stands_is_in_its_place() -> None:
    assert marks(beat(100), rhythm(150, "ASYS")) == [(100, "N", ""), (150, "+", "(ASYS")]


def test_a_rhythm_at_the_very_start_stands_after_the_beat() -> None:
    assert marks(beat(0), beat(1), rhythm(0, "N")) == [(0, "N", ""), (1, "N", ""), (2, "+", "(N")]


def test_a_rhythm_known_later_replaces_what_it_overtakes() -> None:
    told: list[Rhythm] = []
    for label, sample in [("N", 10), ("VT", 300), ("N", 500), ("B", 250)]:
        take_rhythm(told, rhythm(sample, label))
    assert [(event.label, event.sample) for event in told] == [("N", 10), ("B", 250)]
    take_rhythm(told, rhythm(700, "B"))
    assert len(told) == 2, "the same rhythm goes on"


@given(
    st.sets(st.integers(0, 30), max_size=25),
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["N", "B", "T"])), max_size=12),
)
def test_samples_increase_and_no_beat_is_lost(beats: set[int], rhythms: list[tuple[int, str]]) -> None:
    events = [beat(sample) for sample in beats] + [rhythm(sample, label) for sample, label in rhythms]
    found = annotations_of(events)
    assert (np.diff(found.samples) > 0).all()
    assert set(found.beats()[0].tolist()) == beats
    notes = [note for note in found.notes if note]
    assert all(a != b for a, b in itertools.pairwise(notes))
    assert bool(notes) == bool(rhythms)


@pytest.mark.parametrize("name", ["100", "rec.1 (old)"])
@pytest.mark.parametrize("fs", [360.0, 257.5])
def test_annotations_round_trip(tmp_path: Path, name: str, fs: float) -> None:
    written = annotations_of([beat(0), beat(2_000_000_000, "V"), rhythm(0, "N"), rhythm(500, "VT"), beat(500, "F")])
    write_annotations(tmp_path / f"{name}.wb", written, fs)
    found = read_annotations(tmp_path / name, "wb")
    np.testing.assert_array_equal(found.samples, written.samples)
    assert (found.symbols, found.notes) == (written.symbols, written.notes)
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.wb"]


@pytest.mark.parametrize("events", [[], [beat(7)], [rhythm(7, "ASYS")]], ids=["none", "one beat", "one rhythm"])
def test_few_annotations_round_trip(tmp_path: Path, events: list[Event]) -> None:
    written = annotations_of(events)
    write_annotations(tmp_path / "r.wb", written, 250.0)
    found = read_annotations(tmp_path / "r", "wb")
    assert found.samples.tolist() == written.samples.tolist()
    assert found.notes == written.notes


def test_annotations_are_replaced(tmp_path: Path) -> None:
    for sample in (5, 9):
        write_annotations(tmp_path / "r.wb", annotations_of([beat(sample)]), 250.0)
    assert read_annotations(tmp_path / "r", "wb").samples.tolist() == [9]


def test_annotations_to_a_folder_that_is_not_there(tmp_path: Path) -> None:
    empty = Annotations(np.empty(0, np.int64), [], [])
    with pytest.raises(ConfigError, match="cannot be written"):
        write_annotations(tmp_path / "none" / "r.wb", empty, 250.0)
