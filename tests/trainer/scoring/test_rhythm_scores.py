"""Rhythms by duration and episode: small cases, and the command over records made here."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import wfdb
from typer.testing import CliRunner

from monitor.events import Beat, Rhythm
from monitor.records import Annotations
from simulators.synthetic import render
from trainer.scoring.evaluate import evaluate
from trainer.scoring.rhythm_scores import GROUPS, RhythmScore, Span, score, score_sets, spans, told_of

AF = GROUPS["AFIB and AFL"]


def told(text: str) -> list[Span]:
    """A letter a sample: A is AFIB, F AFL, ~ NOISE, all else N."""
    labels = {"A": "AFIB", "F": "AFL", "~": "NOISE"}
    return spans([(i, labels.get(letter, "N")) for i, letter in enumerate(text)], len(text))


def compared(reference: str, test: str, group: str = "AFIB and AFL", start: int = 0) -> RhythmScore:
    return score(told(reference), told(test), GROUPS[group], fs=1.0, start=start, end=len(reference))


def test_durations_and_episodes():
    found = compared("NNAAAANNNN", "NNNAAAANNN")
    assert tuple(found) == (3, 1, 1, 5, 1, 1, 1, 1)
    assert (found.se, found.ppv, found.sp) == (3 / 4, 3 / 4, 5 / 6)


def test_an_episode_is_found_by_any_overlap_and_not_by_a_neighbour():
    assert compared("NAANNAAN", "NANNNNNA")[4:] == (1, 2, 1, 2)
    assert compared("NAANNNNN", "NNNAANNN")[4:] == (0, 1, 0, 1)
    found = compared("NAAAAAAN", "NANANANN")
    assert (found.found, found.episodes, found.right, found.told) == (1, 1, 3, 3)


def test_flutter_counts_or_is_left_out():
    assert compared("NAAFFN", "NAAANN").both == 3
    apart = compared("NAAFFN", "NAAANN", "AFIB (AFL left out)")
    assert (apart.both, apart.missed, apart.extra, apart.neither) == (2, 0, 0, 2)


def test_noise_of_the_reference_is_left_out_and_so_is_what_comes_before_the_start():
    assert tuple(compared("NA~~AN", "NAAAAN")[:4]) == (2, 0, 0, 2)
    assert tuple(compared("AAAANN", "NNAAAN", start=3)[:4]) == (1, 0, 1, 1)


def test_nothing_to_find_gives_no_share():
    found = compared("NNNN", "NNNN")
    assert math.isnan(found.se)
    assert math.isnan(found.ppv)
    assert found.sp == 1.0


def test_scores_add_up():
    one, other = compared("NNAA", "NNNA"), compared("AANN", "AAAN")
    assert tuple(one + other) == tuple(a + b for a, b in zip(one, other, strict=True))


def test_a_record_told_by_events():
    reference = Annotations(np.array([0, 50, 300]), ["+", "N", "+"], ["(N", "", "(AFIB"])
    events = [
        Rhythm("b", 0, 10, "N"),
        Beat("b", 50, 90, "V", "V", final=False),
        Beat("b", 50, 120, "N", "N"),
        Rhythm("b", 400, 500, "B"),
        Rhythm("b", 350, 520, "AFIB"),
    ]
    one = told_of("x", 100.0, 1000, reference, events)
    assert one.rhythms == [Span(0, 350, "N"), Span(350, 1000, "AFIB")]
    assert one.reference_rhythms() == [Span(0, 300, "N"), Span(300, 1000, "AFIB")]
    assert (one.test.samples.tolist(), one.test.symbols) == ([50], ["N"])
    (first, later) = score_sets([one])
    assert (first.period, first.rhythms["AFIB and AFL"].both) == ("from t = 0", 6.5)
    assert later.rhythms["AFIB and AFL"].both == 0.0


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of 90 s: sinus rhythm, 30 s of bigeminy, sinus rhythm; a couplet in the last."""
    folder = tmp_path_factory.mktemp("rhythms")
    beats, t = [], 0.5
    while t < 89:
        beats.append((t, "N"))
        if 30 < t < 60 or 75 < t < 76:
            beats.append((t + 0.5, "V"))
            if t > 70:
                beats.append((t + 0.95, "V"))
                t += 0.6
            t += 0.6
        t += 0.8
    strip = render(beats, 90.0)
    wfdb.wrsamp(
        "one", 360, ["mV"] * 2, ["MLII", "V1"], strip.signal.astype(float), fmt=["16"] * 2, write_dir=str(folder)
    )
    marks = [(1, "+", "(N"), (30 * 360, "+", "(B"), (60 * 360, "+", "(N")]
    marks += [(int(r), symbol, "") for r, symbol in zip(strip.r_peaks, strip.symbols, strict=True)]
    marks.sort()
    samples, symbols, notes = zip(*marks, strict=True)
    wfdb.wrann("one", "atr", np.array(samples), np.array(symbols), aux_note=list(notes), fs=360, write_dir=str(folder))
    return folder


def test_the_command_prints_tables_and_writes_scores(database: Path, tmp_path: Path):
    file = tmp_path / "scores.json"
    arguments = ["rhythm", "--db", str(database), "--processes", "1", "--json", str(file)]
    result = CliRunner().invoke(evaluate, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "Rhythms, from t = 0" in result.output
    found = json.loads(file.read_text())["periods"]["from t = 0"]["all"]
    assert found["records"] == 1
    assert found["rhythms"]["B"]["se"] > 0.85
    assert found["rhythms"]["B"]["sp"] > 0.9
    assert found["rhythms"]["VT"]["se"] is None
    assert found["runs"]["ventricular"]["couplets"]["found"] == 1
