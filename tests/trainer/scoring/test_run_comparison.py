"""Run-by-run comparison: small cases, and the counts of WFDB's ``rxr`` on all MIT-BIH records."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from monitor.records import Annotations, read_annotations
from trainer.scoring.ec57 import LEARNING_PERIOD
from trainer.scoring.run_comparison import LENGTHS, SUPRAVENTRICULAR, VENTRICULAR, RunScore, compare_runs

FS = 360.0
DATA = Path(os.environ.get("WARDBEAT_DATA", "/nowhere"))
GOLDEN = DATA / "golden"


def annotated(text: str, *, step: int = 300, first: int = 1000) -> Annotations:
    """A beat a letter; ``(`` begins atrial fibrillation and ``)`` a normal rhythm."""
    symbols = ["+" if letter in "()" else letter for letter in text]
    notes = [{"(": "(AFIB", ")": "(N"}.get(letter, "") for letter in text]
    return Annotations(np.arange(len(text)) * step + first, symbols, notes)


def counts(reference: str, test: str, kind: str = VENTRICULAR, **options: int) -> tuple[int, ...]:
    """All counts that are not 0, by name."""
    scores = compare_runs(annotated(reference), annotated(test), kind, fs=FS, **options)
    return {name: tuple(score) for name, score in scores.items() if any(score)}


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("NVVN", {"couplets": (1, 0, 1, 0)}),
        ("NVNN", {"couplets": (0, 1, 0, 0)}),
        ("NVVV", {"couplets": (1, 0, 0, 0), "short runs": (0, 0, 0, 1)}),
        ("NNNN", {"couplets": (0, 1, 0, 0)}),
        ("NFVN", {"couplets": (1, 0, 1, 0)}),
    ],
)
def test_a_couplet(test, expected):
    assert counts("NVVN", test) == expected


@pytest.mark.parametrize(
    ("beats", "name"), [(2, "couplets"), (3, "short runs"), (5, "short runs"), (6, "long runs"), (9, "long runs")]
)
def test_lengths_of_runs(beats, name):
    text = f"N{'V' * beats}N"
    assert counts(text, text) == {name: (1, 0, 1, 0)}
    assert counts(text.replace("V", "S"), text.replace("V", "A"), SUPRAVENTRICULAR) == {name: (1, 0, 1, 0)}


def test_a_long_run_is_found_by_six_beats_and_a_short_one_by_three():
    assert counts("N" + 8 * "V", "N" + 5 * "V" + "NVV")["long runs"] == (0, 1, 0, 0)
    assert counts("N" + 8 * "V", "NVVVVVVNN")["long runs"] == (1, 0, 1, 0)
    assert counts("NVVVVVN", "NVVVNNN")["short runs"] == (1, 0, 1, 0)
    assert counts("NVVVVVN", "NVVNVVN")["short runs"] == (0, 1, 0, 0)


def test_flutter_is_a_long_run_and_so_is_the_beginning_of_atrial_fibrillation():
    assert counts("N[NN]N", "NNVVVN")["long runs"] == (0, 1, 0, 0)
    assert counts("N[NN]N", "NNVVVN")["short runs"] == (0, 0, 1, 0), "whatever is told in flutter is right"
    found = counts("NN(NVNN)N", "NNNNNNNNN", SUPRAVENTRICULAR)
    assert found == {"long runs": (0, 1, 0, 0), "couplets": (0, 1, 0, 0)}, "after V comes a run of N"


def test_what_begins_with_the_record_is_found():
    reference, test = annotated("VVN", first=40), annotated("NNN", first=40)
    assert compare_runs(reference, test, VENTRICULAR, fs=FS)["couplets"] == RunScore(1, 0, 0, 0)


def test_beats_before_the_start_do_not_count():
    assert counts("VVNVVN", "NNNNNN", start=1700) == {"couplets": (0, 1, 0, 0)}


def golden(file: Path) -> dict[str, tuple[int, ...]]:
    """The counts in a table of ``rxr``, by record."""
    words = (line.split() for line in file.read_text().splitlines())
    return {line[0]: tuple(map(int, line[1:13])) for line in words if line and line[0].isdigit()}


@pytest.mark.database
@pytest.mark.skipif(not GOLDEN.is_dir(), reason="needs golden tables in WARDBEAT_DATA")
@pytest.mark.parametrize("annotator", ["osea", "rnd"])
@pytest.mark.parametrize(("letter", "kind"), [("v", VENTRICULAR), ("s", SUPRAVENTRICULAR)])
def test_counts_are_those_of_rxr(annotator, letter, kind):
    tables = {0: golden(GOLDEN / f"rxr_{letter}_{annotator}_t0.txt")}
    tables[round(LEARNING_PERIOD * FS)] = golden(GOLDEN / f"rxr_{letter}_{annotator}_t5.txt")
    for record in tables[0]:
        reference = read_annotations(DATA / "mitdb" / record)
        test = read_annotations(GOLDEN / "ann" / record, annotator)
        for start, table in tables.items():
            scores = compare_runs(reference, test, kind, fs=FS, start=start)
            assert tuple(n for name in LENGTHS for n in scores[name]) == table[record], (record, start)
