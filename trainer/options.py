"""What the trainer's commands share: options, and what they print on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from rich.console import Console

PAGE_WIDTH: Final = 160
"""Characters a line of output that no terminal shows."""

Seed = Annotated[int, typer.Option(min=0, help="Of everything random.")]
Processes = Annotated[int, typer.Option(min=1, help="Processes at the same time.")]
Noise = Annotated[str, typer.Option(metavar="NAME_OR_PATH", help="Noise Stress Test Database; minutes 0-15.")]
WeightsFile = Annotated[Path, typer.Option(metavar="FILE", help="Where the weights go.")]
WeightsSeed = Annotated[int, typer.Option(help="Seed of weights, order and noise.")]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where networks are trained.")]


def group(help: str) -> typer.Typer:
    """A command that has commands of its own."""
    return typer.Typer(
        help=help,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def page() -> Console:
    """Standard output, for tables."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PAGE_WIDTH, highlight=False)


def console() -> Console:
    """Standard error, for progress."""
    from rich.console import Console

    return Console(stderr=True)


def words(text: str) -> list[str]:
    """The parts of an option's text between commas.

    >>> words("100, 101,")
    ['100', '101']
    """
    return [word for word in (part.strip() for part in text.split(",")) if word]
