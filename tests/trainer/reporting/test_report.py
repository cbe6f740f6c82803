"""Reports: what is written, and that nothing is needed from elsewhere."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from monitor.exceptions import ConfigError
from trainer.reporting.report import Block, Heading, Paragraph, Picture, to_html, to_markdown, write_report
from trainer.reporting.tables import Table

PNG = b"\x89PNG made up"
BLOCKS: list[Block] = [
    Heading("A <title>", 1),
    Paragraph("Text & more."),
    Table("Scores", ("record", "F1 %"), [("1<0", "99.90")]),
    Picture("bars", PNG, 'each "record"'),
]


def test_markdown_names_its_figures() -> None:
    assert to_markdown(BLOCKS) == (
        "# A <title>\n\nText & more.\n\n**Scores**\n\n| record | F1 % |\n| --- | ---: |\n| 1<0 | 99.90 |\n\n"
        '![each "record"](figures/bars.png)\n'
    )


def test_html_holds_everything_and_escapes_it() -> None:
    page = to_html(BLOCKS)
    assert "<title>A &lt;title&gt;</title>" in page
    assert "<p>Text &amp; more.</p>" in page
    assert '<td class="name">1&lt;0</td><td>99.90</td>' in page
    assert base64.b64encode(PNG).decode() in page
    assert 'alt="each &quot;record&quot;"' in page


def test_html_is_well_formed_and_asks_for_nothing() -> None:
    open_tags: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            for name, value in attributes:
                assert name not in ("href", "srcset")
                assert name != "src" or str(value).startswith("data:image/png;")
            if tag not in ("meta", "img"):
                open_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

    page = to_html(BLOCKS)
    Checker().feed(page)
    assert open_tags == []
    assert not re.search(r"https?:|<script|url\(|@import", page)


def test_writing_replaces_an_earlier_report(tmp_path: Path) -> None:
    write_report(tmp_path, [Heading("Old", 1), Picture("old", PNG, "old")])
    write_report(tmp_path, BLOCKS)
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert found == ["figures/bars.png", "report.html", "report.md"]
    assert (tmp_path / "figures" / "bars.png").read_bytes() == PNG
    assert "Old" not in (tmp_path / "report.md").read_text()


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(ConfigError) as caught:
        write_report(tmp_path, BLOCKS)
    assert caught.value.where == str(tmp_path / "report.html")
