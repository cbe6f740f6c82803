"""Pages of wrong beats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monitor.exceptions import ConfigError
from monitor.records import Record
from trainer.reporting import plots
from trainer.reporting.plots import (
    MARGIN_S,
    PAGES,
    STRIP_S,
    STRIPS_A_PAGE,
    Strip,
    chosen_strips,
    draw_distributions,
    draw_errors,
    strips_of,
)
from trainer.scoring.outcome import Outcome

FS = 100.0
SECONDS = 60


def outcome(found: np.ndarray, seconds: int = SECONDS, record: str = "made") -> Outcome:
    """Beats annotated each second, the first after one."""
    reference = np.arange(1, seconds, dtype=np.int64) * 100
    return Outcome(
        record, FS, seconds * 100, reference, ["N"] * reference.size, found, ["N"] * found.size, found + 30,
        found + 40, found + 35, ["N"] * found.size, np.full((found.size, 5), np.nan, np.float32),
        np.zeros(found.size, np.bool_), found, found + 20,
    )  # fmt: skip


def record(seconds: int = SECONDS, leads: tuple[str, ...] = ("MLII", "V1")) -> Record:
    t = np.arange(seconds * 100)
    peaks = np.exp(-(((t % 100) / 4.0) ** 2)) + np.exp(-((((t % 100) - 100) / 4.0) ** 2))
    return Record("made", FS, leads, np.repeat(peaks[:, None], len(leads), 1).astype(np.float32))


EVERY = np.arange(1, SECONDS, dtype=np.int64) * 100


# --- strips


def test_neighbours_share_a_strip() -> None:
    room = round((STRIP_S - 2 * MARGIN_S) * FS)
    errors = np.array([2000, 2000 + room, 2001 + room])
    first, second = strips_of(errors, FS, 10_000)
    assert first == Strip(2000 + room // 2 - 400, 2000 + room // 2 + 400)
    assert second == Strip(2001 + room - 400, 2001 + room + 400)


def test_every_error_is_well_inside_a_strip() -> None:
    rng = np.random.default_rng(0)
    errors = np.unique(rng.integers(1000, 59_000, 200))
    strips = strips_of(errors, FS, 60_000)
    for error in errors:
        assert any(s.first + MARGIN_S * FS - 1 <= error <= s.stop - MARGIN_S * FS + 1 for s in strips)
    assert {s.stop - s.first for s in strips} == {800}
    assert len(strips) < errors.size


def test_strips_stay_inside_the_record() -> None:
    assert strips_of(np.array([3, 5997]), FS, 6000) == [Strip(0, 800), Strip(5200, 6000)]
    assert strips_of(np.array([100]), FS, 500) == [Strip(0, 500)]


def test_no_errors_no_strips() -> None:
    assert strips_of(np.zeros(0, np.int64), FS, 6000) == []


def test_too_many_strips_are_thinned_evenly() -> None:
    strips = [Strip(i, i + 800) for i in range(100)]
    chosen = chosen_strips(strips, 12)
    assert (len(chosen), chosen[0], chosen[-1]) == (12, strips[0], strips[-1])
    assert set(np.diff([s.first for s in chosen])) == {9}
    assert chosen_strips(strips[:5], 12) == strips[:5]


# --- pages


def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the pages say, collected as they are saved."""
    from matplotlib.text import Text

    said: list[str] = []
    save = plots._save

    def listen(figure, path):  # type: ignore[no-untyped-def]
        said.extend(text.get_text() for text in figure.findobj(Text))
        return save(figure, path)

    monkeypatch.setattr(plots, "_save", listen)
    return said


def colours(path: Path) -> set[str]:
    pixels = np.unique(np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3), axis=0)
    return {f"#{r:02x}{g:02x}{b:02x}" for r, g, b in pixels.tolist()}


def test_a_page_shows_what_was_missed_and_what_is_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = texts(monkeypatch)
    found = np.sort(np.append(np.delete(EVERY, 20), 2550))
    (page,) = draw_errors(record(), outcome(found), tmp_path)
    assert page == tmp_path / "made.png"
    assert "Record made, leads MLII, V1: 59 beats, 1 missed, 1 extra" in said
    assert {"MLII, mV", "V1, mV", "0:21", "missed beat", "extra beat", "reference", "found"} <= set(said)
    assert {plots.MISSED, plots.EXTRA, plots.FOUND} <= colours(page)


def test_a_page_of_missed_beats_alone_has_no_mark_of_an_extra_one(tmp_path: Path) -> None:
    wrong = outcome(np.delete(EVERY, 20))
    marks = plots.Marks.of(wrong)
    assert [i for i, colour in enumerate(marks.reference_colours) if colour == plots.MISSED] == [20]
    assert plots.EXTRA not in marks.found_colours
    assert len(draw_errors(record(leads=("MLII",)), wrong, tmp_path)) == 1


def test_beats_left_out_of_the_score_are_marked_as_such() -> None:
    base = outcome(EVERY)
    base.reference_symbols[10], base.reference_symbols[14] = "[", "]"
    marks = plots.Marks.of(base)
    assert marks.reference_colours[10:13] == [plots.LEFT_OUT] * 3  # the brackets themselves are no beats
    assert marks.found_colours[9:16] == [plots.FOUND, *[plots.LEFT_OUT] * 5, plots.FOUND]


def test_a_record_without_errors_has_no_page_and_loses_its_old_ones(tmp_path: Path) -> None:
    for name in ("made.png", f"made-{PAGES}.png", "made2.png"):
        (tmp_path / name).touch()
    assert draw_errors(record(), outcome(EVERY), tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["made2.png"]


def test_pages_are_limited_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "PAGES", 2)
    monkeypatch.setattr(plots, "STRIPS_A_PAGE", 1)
    said = texts(monkeypatch)
    found = np.delete(EVERY, [5, 25, 45])
    assert [p.name for p in draw_errors(record(), outcome(found), tmp_path)] == ["made.png", "made-2.png"]
    assert "page 1 of 2; 2 of 3 strips, evenly over the record" in said
    assert STRIPS_A_PAGE > 1


def test_a_lead_without_samples_and_a_short_record_can_be_drawn(tmp_path: Path) -> None:
    short = record(4)
    short.signal[:, 1] = np.nan
    assert len(draw_errors(short, outcome(np.array([100, 150]), 4), tmp_path)) == 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [([-0.2, 0.9], (-1.0, 1.0, 0.5)), ([-2.0, 1.7], (-2.0, 2.0, 0.5)), ([0.0, 7.0], (0.0, 7.0, 1.0)),
     ([-12.0, 26.0], (-15.0, 30.0, 5.0)), ([np.nan, np.nan], (-1.0, 1.0, 0.5))],
)  # fmt: skip
def test_millivolts_shown_hold_the_signal_in_whole_steps(values: list, expected: tuple) -> None:
    assert plots._range(np.array(values, np.float32)) == expected


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        draw_errors(record(), outcome(EVERY[1:]), tmp_path / "none")


def test_the_page_of_distributions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = texts(monkeypatch)
    page = draw_distributions([outcome(EVERY, record="100"), outcome(EVERY[1:] + 1, record="101")], tmp_path)
    assert page == tmp_path / "distributions.png"
    assert {"2 records, 117 matched beats, from t = 0", "100", "101"} <= set(said)
    assert "R to trigger: 117 beats, median 200, p99 200 ms" in said


def test_the_page_of_distributions_of_a_silent_detector(tmp_path: Path) -> None:
    assert draw_distributions([outcome(np.zeros(0, np.int64))], tmp_path).is_file()
