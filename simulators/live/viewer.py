"""A viewer that keeps time: when each frame came, and up to which sample it told of each bed."""

from __future__ import annotations

import json
import time
from array import array
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from monitor.feed import HISTORY, decode_frame


class Viewer:
    """Takes the feed and notes it; times are monotonic seconds, samples those at 360 Hz since the bed's origin.

    Attributes:
        names: bed's index in binary frames -> its id.
        origins: bed's index -> the device's sample that is index 0.
        wave_times, wave_beds, wave_ends: of each segment of a binary frame, the sample after its last.
        events: of each event, when it came and what it says.
    """

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self.origins: dict[int, int] = {}
        self.wave_times = array("d")
        self.wave_beds = array("H")
        self.wave_ends = array("q")
        self.events: list[tuple[float, dict[str, Any]]] = []

    async def run(self, url: str) -> None:
        """Take the feed until cancelled, or until the monitor ends it."""
        address = url.replace("http", "ws", 1) + "ws"
        try:
            async with connect(address, origin=url.rstrip("/"), compression=None, max_size=None) as socket:  # type: ignore[arg-type]
                async for message in socket:
                    self.take(message, time.monotonic())
        except ConnectionClosed:
            pass

    def take(self, message: str | bytes, now: float) -> None:
        """Take one frame; what is from before the viewer came is left out."""
        if isinstance(message, str):
            said = json.loads(message)
            if said["type"] == "hello":
                for bed in said["beds"]:
                    self._take_bed(bed)
            return
        frame = decode_frame(message)
        for bed in frame.told.get("beds", ()):
            self._take_bed(bed)
        if frame.flags & HISTORY:
            return
        self.events += [(now, event) for event in frame.told.get("events", ())]
        for segment in frame.segments:
            self.wave_times.append(now)
            self.wave_beds.append(segment.index)
            self.wave_ends.append(segment.first + len(segment.units) // (2 * segment.leads))

    def _take_bed(self, bed: dict[str, Any]) -> None:
        self.names[bed["index"]] = bed["bed"]
        self.origins[bed["index"]] = bed["origin"]
