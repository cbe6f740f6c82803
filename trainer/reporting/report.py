"""A report of tables and figures, once as Markdown with its figures beside it and once as a single page of HTML.

Neither needs anything from elsewhere: the figures are part of the page, and there is no script.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from monitor.exceptions import ConfigError
from trainer.reporting.tables import Table

MARKDOWN, HTML, FIGURES = "report.md", "report.html", "figures"
"""Names of the two files, and of the folder of figures, inside a report's folder."""

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 1100px; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; font-size: 13px; margin: 0.5em 0 1.5em; }
caption { text-align: left; font-weight: 600; padding: 0.4em 0; }
th, td { padding: 0.15em 0.7em; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
th { border-bottom: 1px solid #888; font-weight: 600; }
th.name, td.name { text-align: left; }
figure { margin: 1em 0 2em; }
img { max-width: 100%; }
figcaption { font-size: 13px; color: #555; }
"""


@dataclass(frozen=True, slots=True)
class Heading:
    """A title; level 1 is the report's own."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure.

    Attributes:
        name: of its file, without folder and ending; each once in a report.
        png: the file's contents.
        caption: what it shows.
    """

    name: str
    png: bytes
    caption: str


Block = Heading | Paragraph | Table | Picture


def file_name(*parts: str) -> str:
    """A file's name from what it holds.

    >>> file_name("DS2", "after 5 min", "reliability")
    'DS2-after-5-min-reliability'
    """
    return re.sub(r"[^A-Za-z0-9.]+", "-", " ".join(part for part in parts if part)).strip("-")


def to_markdown(blocks: Sequence[Block]) -> str:
    """The report as Markdown; its figures are files in :data:`FIGURES`."""
    parts = []
    for block in blocks:
        match block:
            case Heading(text, level):
                parts.append(f"{'#' * level} {text}\n")
            case Paragraph(text):
                parts.append(f"{text}\n")
            case Picture(name, _, caption):
                parts.append(f"![{caption}]({FIGURES}/{name}.png)\n")
            case Table():
                parts.append(block.to_markdown())
    return "\n".join(parts)


def to_html(blocks: Sequence[Block]) -> str:
    """The report as one page of HTML."""
    title = next((block.text for block in blocks if isinstance(block, Heading)), "")
    head = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
    )
    return head + "".join(map(_html_of, blocks)) + "</body>\n</html>\n"


def _html_of(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{escape(text)}</h{level}>\n"
        case Paragraph(text):
            return f"<p>{escape(text)}</p>\n"
        case Picture(_, png, caption):
            data = base64.b64encode(png).decode()
            return (
                f'<figure><img src="data:image/png;base64,{data}" alt="{escape(caption)}">'
                f"<figcaption>{escape(caption)}</figcaption></figure>\n"
            )
        case Table():
            rows = [_row("th", block.columns, block.names), *(_row("td", row, block.names) for row in block.rows)]
            return f"<table><caption>{escape(block.title)}</caption>\n{''.join(rows)}</table>\n"


def _row(cell: str, texts: Iterable[str], names: int) -> str:
    cells = (
        f'<{cell} class="name">{escape(text)}</{cell}>' if k < names else f"<{cell}>{escape(text)}</{cell}>"
        for k, text in enumerate(texts)
    )
    return f"<tr>{''.join(cells)}</tr>\n"


def write_report(folder: Path, blocks: Sequence[Block]) -> None:
    """Write both files and the figures; an earlier report in that folder is replaced.

    Args:
        folder: it exists.
        blocks: the first one is the report's title.

    Raises:
        ConfigError: something cannot be written.
    """
    figures = folder / FIGURES
    path = figures
    try:
        figures.mkdir(exist_ok=True)
        for old in figures.glob("*.png"):
            old.unlink()
        for block in blocks:
            if isinstance(block, Picture):
                path = figures / f"{block.name}.png"
                path.write_bytes(block.png)
        for path, text in ((folder / MARKDOWN, to_markdown(blocks)), (folder / HTML, to_html(blocks))):
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        remedy = "see that the folder is there, may be written to, and has room"
        raise ConfigError(f"cannot be written ({error.strerror})", where=str(path), remedy=remedy) from None
