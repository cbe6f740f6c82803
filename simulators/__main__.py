"""``python -m simulators``: the command ``wardbeat simulate``, for child processes."""

from __future__ import annotations

import sys

from monitor.exceptions import WardbeatError
from simulators.cli import app

if __name__ == "__main__":
    try:
        app(prog_name="python -m simulators")
    except WardbeatError as error:
        print(f"wardbeat: {error}", file=sys.stderr)
        sys.exit(2)
