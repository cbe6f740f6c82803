"""A child process that is watched while it runs and ended by its pid.

The child gets a session of its own, so that Ctrl-C in the terminal reaches wardbeat alone, which then ends
its children in order. What the child writes is kept for its last words only.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, NoReturn, Self

from monitor.exceptions import WardbeatError

GRACE: Final = 0.7
"""Seconds between the polite signal (SIGTERM) and SIGKILL."""


class Child:
    """One child process; an async context manager that starts and ends it.

    Attributes:
        name: what it is, for messages to people.
        command: program and arguments.
    """

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.command = tuple(command)
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        # The last lines the child wrote; the rest is dropped as it comes, so the pipe never fills.
        self._lines: deque[str] = deque(maxlen=20)
        self._wrote = asyncio.Event()

    @property
    def pid(self) -> int:
        """Process id of the running child."""
        if self._process is None:
            raise RuntimeError(f"{self.name} is not started")
        return self._process.pid

    async def start(self) -> None:
        """Start the process; it may take longer to be ready, see :meth:`wait_for_line`."""
        self._lines.clear()
        self._process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._reader = asyncio.create_task(self._read(self._process.stdout), name=f"{self.name} output")

    async def wait_for_line(self, pattern: str, within: float) -> re.Match[str]:
        """Wait until the child has written a line in which `pattern` (a regular expression) is found.

        Raises:
            WardbeatError: it ended, or `within` seconds passed, before it wrote one.
        """
        assert self._reader is not None
        try:
            async with asyncio.timeout(within):
                while True:
                    self._wrote.clear()
                    for line in self._lines:
                        if found := re.search(pattern, line):
                            return found
                    if self._reader.done():
                        break
                    await self._wrote.wait()
        except TimeoutError:
            raise WardbeatError(
                f"{self.name} was not ready after {within:g} s{self._last_words()}",
                remedy="see whether the machine is overloaded, then start again",
            ) from None
        raise await self._death()

    async def watch(self) -> NoReturn:
        """Wait for the child to end, which it should not do by itself.

        Raises:
            WardbeatError: always, once it has ended.
        """
        assert self._process is not None
        await self._process.wait()
        raise await self._death()

    async def stop(self) -> None:
        """End the child and return when it is gone, :data:`GRACE` seconds and a moment later at most."""
        if self._process is None or self._reader is None:
            return
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(GRACE):
                await self._process.wait()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self._process.wait()
        finally:
            # A grandchild may hold the pipe open; nobody reads it from here on.
            self._reader.cancel()
            self._process = self._reader = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _signal(self, number: signal.Signals) -> None:
        # Not Process.send_signal: that collects the exit code of a child which has just died, and asyncio, which
        # waits for it too, then knows only that it is gone.
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    async def _read(self, output: asyncio.StreamReader) -> None:
        while not output.at_eof():
            with suppress(ValueError):  # a line beyond the reader's limit, which the reader then drops
                self._lines.append((await output.readline()).decode(errors="replace").rstrip())
            self._wrote.set()

    async def _death(self) -> WardbeatError:
        assert self._process is not None
        assert self._reader is not None
        code = await self._process.wait()
        await asyncio.wait({self._reader}, timeout=0.2)  # its last lines may still be in the pipe
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return WardbeatError(f"{self.name} {how}{self._last_words()}", remedy="start wardbeat again")

    def _last_words(self) -> str:
        said = next((line for line in reversed(self._lines) if line), "")
        return f" after it wrote {said[:200]!r}" if said else ""
