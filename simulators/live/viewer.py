"""A viewer that keeps time: when each frame came, and up to which sample it told of each bed."""

from __future__ import annotations

import json
import struct
import time
from array import array
from typing import Any, Final

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

_FRAME: Final = struct.Struct("<2sBBId")
_SEGMENT: Final = struct.Struct("<HBBIqfI")


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
        """Take one frame."""
        if isinstance(message, bytes):
            self._take_waves(message, now)
            return
        said = json.loads(message)
        match said["type"]:
            case "hello":
                for bed in said["beds"]:
                    self._take_bed(bed)
            case "bed":
                self._take_bed(said)
            case "events":
                self.events += [(now, event) for event in said["events"]]

    def _take_bed(self, bed: dict[str, Any]) -> None:
        self.names[bed["index"]] = bed["bed"]
        self.origins[bed["index"]] = bed["origin"]

    def _take_waves(self, frame: bytes, now: float) -> None:
        _, _, _, segments, _ = _FRAME.unpack_from(frame)
        at = _FRAME.size
        for _ in range(segments):
            bed, leads, _, n, first, _, _ = _SEGMENT.unpack_from(frame, at)
            self.wave_times.append(now)
            self.wave_beds.append(bed)
            self.wave_ends.append(first + n)
            at += _SEGMENT.size + -(-2 * n * leads // 8) * 8
