"""The broker that stands between: mosquitto, as in a hospital, or the one that comes with wardbeat."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from monitor.broker import HOST, IN_FLIGHT, Broker
from monitor.child import Child
from monitor.exceptions import ConfigError

KINDS: Final = ("mosquitto", "nats")

_SBIN: Final = ":/usr/sbin:/usr/local/sbin"  # where Debian puts it, which is not on everybody's path
_CONFIG: Final = """
listener {port} {host}
allow_anonymous true
max_queued_messages 0
max_inflight_messages 0
set_tcp_nodelay true
"""


class Running(NamedTuple):
    """A broker that runs.

    Attributes:
        host, port: where.
        pid: its process.
        in_flight: messages it sends ahead of acknowledgements in MQTT 3.1.1.
    """

    host: str
    port: int
    pid: int
    in_flight: int


@asynccontextmanager
async def broker(kind: str) -> AsyncIterator[Running]:
    """Run a broker on the loopback for as long as the block lasts.

    Raises:
        ConfigError: there is no such broker, or it is not installed.
    """
    if kind == "nats":
        async with Broker() as nats:
            yield Running(nats.host, nats.port, nats.pid, IN_FLIGHT)
        return
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + _SBIN)
    if kind not in KINDS or program is None:
        remedy = "install it (Debian: apt-get install mosquitto) or choose --broker nats"
        raise ConfigError("there is no such broker", where=kind, remedy=remedy)
    with tempfile.TemporaryDirectory(prefix="wardbeat-bench-") as folder, socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
        free.close()
        config = Path(folder) / "mosquitto.conf"
        config.write_text(_CONFIG.format(port=port, host=HOST), encoding="utf-8")
        async with Child("mosquitto", [program, "-c", str(config)]) as child:
            await child.wait_for_line(r"mosquitto version \S+ running", 10.0)
            yield Running(HOST, port, child.pid, IN_FLIGHT)
