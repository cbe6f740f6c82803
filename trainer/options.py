"""What the trainer's commands share: options, and what they print on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from rich.console import Console

PAGE_WIDTH: Final = 160
"""Characters a line of output that no terminal shows."""

Seed = Annotated[int, typer.Option(min=0, help="Of everything random.")]
Processes = Annotated[int, typer.Option(min=1, help="Processes at the same time.")]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where networks are trained.")]


def page() -> Console:
    """Standard output, for tables."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PAGE_WIDTH, highlight=False)


def console() -> Console:
    """Standard error, for progress."""
    from rich.console import Console

    return Console(stderr=True)


def words(text: str) -> list[str]:
    """The parts of an option's text between commas."""
    return [word for word in (part.strip() for part in text.split(",")) if word]
