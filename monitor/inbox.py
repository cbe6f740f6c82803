"""Messages between the broker and the ward, each withheld from acknowledgement until the ward has it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from monitor.commands import Describe
from monitor.messages import Chunk


@dataclass(frozen=True, slots=True)
class Presence:
    """What the retained status of a bed's device says; its last will says offline."""

    bed: str
    online: bool


Inbound = Chunk | Describe | Presence
"""What a valid message becomes."""


@dataclass(slots=True, eq=False)
class Batch:
    """The messages of one tick, in order of arrival.

    Attributes:
        values: the valid ones.
        messages: how many messages it is of, refused ones included.
        arrived: monotonic time at which the first one came, s; None: there is none.
        done: set when all of them may be acknowledged.
    """

    values: list[Inbound] = field(default_factory=list)
    messages: int = 0
    arrived: float | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def acknowledge(self) -> None:
        """Let every message of the batch be acknowledged, in order of arrival."""
        self.done.set()


class Inbox:
    """A bounded queue that is emptied whole, once a tick, and acknowledged whole.

    What happens when it is full: a message of QoS 1 waits in :meth:`hold`, unacknowledged, so the broker
    stops sending once its limit of messages in flight is reached, and keeps the rest; a message of QoS 0,
    which no broker would keep, is shed by :meth:`offer` and shows as a gap.

    Attributes:
        capacity: messages it holds.
        eager: with this many in it, it is to be emptied at once. The broker's limit of messages in flight:
            when that many wait here, no more will come.
        withheld: messages of QoS 1 received and not acknowledged.
    """

    def __init__(self, capacity: int = 4096) -> None:
        self.capacity = capacity
        self.eager = capacity
        self.withheld = 0
        self._room = asyncio.Semaphore(capacity)  # fair: those who wait for room get it in order of arrival
        self._open = Batch()
        self._taken: Batch | None = None
        self._enough = asyncio.Event()  # there are `eager` messages

    async def offer(self, value: Inbound) -> bool:
        """Put a message that needs no acknowledgement; False, at once, if there is no room for it."""
        if self._room.locked():
            return False
        await self._room.acquire()
        self._add(value)
        return True

    async def hold(self, value: Inbound | None) -> None:
        """Put a message and wait until it may be acknowledged.

        Args:
            value: None for a message that was refused: its acknowledgement too keeps its place.
        """
        self.withheld += 1
        try:
            await self._room.acquire()
            await self._add(value).done.wait()
        finally:
            self.withheld -= 1

    async def take(self, within: float) -> Batch:
        """Take all messages after `within` seconds, or as soon as there are :attr:`eager` of them.

        The batch taken before must have been acknowledged.
        """
        try:
            async with asyncio.timeout(within):
                await self._enough.wait()
        except TimeoutError:
            pass
        return self._swap()

    async def abandon(self) -> None:
        """Release every waiting callback; call it once no acknowledgement can be sent any more."""
        while self.withheld:
            for batch in (self._taken, self._swap()):
                if batch is not None:
                    batch.acknowledge()
            await asyncio.sleep(0)

    def _add(self, value: Inbound | None) -> Batch:
        batch = self._open
        if batch.arrived is None:
            batch.arrived = time.monotonic()
        batch.messages += 1
        if value is not None:
            batch.values.append(value)
        if batch.messages >= min(self.eager, self.capacity):
            self._enough.set()
        return batch

    def _swap(self) -> Batch:
        self._taken, self._open = self._open, Batch()
        self._enough.clear()
        for _ in range(self._taken.messages):
            self._room.release()
        return self._taken
