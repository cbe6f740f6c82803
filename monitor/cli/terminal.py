"""What commands print on: a page of results, and progress that only a person sees."""

from __future__ import annotations

import sys
from typing import Final

from rich.console import Console

PAGE_WIDTH: Final = 120
"""Characters a line of output that no terminal shows."""


def page() -> Console:
    """Standard output, for tables."""
    return Console(width=None if sys.stdout.isatty() else PAGE_WIDTH, highlight=False)


def progress_console() -> Console:
    """Standard error, for progress; nothing at all where it is no terminal: errors stay the only lines there."""
    return Console(stderr=True, quiet=not sys.stderr.isatty())
