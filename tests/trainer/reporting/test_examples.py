"""Wrong beats: which there are, which are shown, and that they stand out on the page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.text import Text

from monitor.records import Record
from trainer.reporting.examples import NONE, Example, Pair, chosen_examples, draw_examples, named_marks, wrong_beats
from trainer.reporting.plots import EXTRA, FOUND, MISSED
from trainer.scoring.outcome import Outcome

FS = 100.0
SECONDS = 60


def outcome(record: str = "made", *, symbols: str = "N" * 9, found: str = "NNNNNNNNN") -> Outcome:
    """A beat every five seconds; a name that is ``-`` stands for a beat missed."""
    reference = np.arange(1, 1 + len(symbols), dtype=np.int64) * 500
    kept = [k for k, name in enumerate(found) if name != "-"]
    samples = reference[kept]
    names = [found[k] for k in kept]
    return Outcome(
        record, FS, SECONDS * 100, reference, list(symbols), samples, names, samples + 30, samples + 40, samples + 40,
        names, np.full((samples.size, 5), 0.2, np.float32), np.zeros(samples.size, np.bool_), samples, samples + 20,
    )  # fmt: skip


def read(number: int) -> Record:
    return Record(f"record-{number}", FS, ("MLII",), np.zeros((SECONDS * 100, 1), np.float32))


def test_every_way_to_be_wrong_is_found() -> None:
    one = outcome(symbols="NNVLaF/NN", found="NSVV-VN-N")
    extra = replace(
        one, samples=np.append(one.samples, 5800), symbols=[*one.symbols, "V"],
        probabilities=np.full((8, 5), np.nan, np.float32),
    )  # fmt: skip
    wrong = wrong_beats([extra, outcome(found="NNNNNNNNS")])
    places = {pair: [(e.record, e.sample) for e in examples] for pair, examples in wrong.items()}
    assert places == {
        Pair("N", "S"): [(0, 1000), (1, 4500)],
        Pair("N", "V"): [(0, 2000)],
        Pair("N", NONE): [(0, 4000)],
        Pair("S", NONE): [(0, 2500)],
        Pair("F", "V"): [(0, 3000)],
        Pair("Q", "N"): [(0, 3500)],
        Pair(NONE, "V"): [(0, 5800)],
    }
    assert list(wrong) == list(places)  # in the order of the classes
    assert wrong[Pair(NONE, "V")][0].p == ()
    assert len(wrong[Pair("N", "S")][1].p) == 5


def test_right_names_are_no_examples() -> None:
    assert wrong_beats([outcome(symbols="NVSFLRejA", found="NVSFNNNNS")]) == {}
    assert draw_examples([outcome()], read) == []


def test_examples_come_from_several_records() -> None:
    many = [Example(0, at, ()) for at in range(9)] + [Example(1, at, ()) for at in range(20)] + [Example(2, 5, ())]
    assert [(e.record, e.sample) for e in chosen_examples(many, 3)] == [(1, 10), (0, 4), (2, 5)]
    assert [(e.record, e.sample) for e in chosen_examples(many, 5)] == [(1, 10), (0, 4), (2, 5), (1, 0), (0, 0)]
    assert chosen_examples(many[:2], 3) == [Example(0, 1, ()), Example(0, 0, ())]


def test_wrong_names_stand_out() -> None:
    marks = named_marks(outcome(symbols="NVV", found="NN-"))
    assert marks.reference_colours[1:] == [MISSED, MISSED]
    assert marks.reference_colours[0] not in (MISSED, EXTRA)
    assert (marks.found_colours, marks.found_symbols) == ([FOUND, EXTRA], ["N", "N"])


def test_a_page_for_each_way_to_be_wrong() -> None:
    pages = draw_examples([outcome(found="NNNNSNNNN"), outcome(symbols="NNNNVNNNN")], read)
    assert [(pair, count) for pair, count, _ in pages] == [(Pair("N", "S"), 1), (Pair("V", "N"), 1)]
    said = [text.get_text() for text in pages[1][2].findobj(Text)]
    assert "Annotated V, named N: 1 beat" in said
    assert "record record-1, 0:25, 4.0 s from the left; p: N 0.20, S 0.20, V 0.20, F 0.20, Q 0.20" in said
    assert "V" in said
