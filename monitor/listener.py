"""The socket that is served, bound to the first port that is free."""

from __future__ import annotations

import errno
import socket
from typing import Final

from monitor.exceptions import ConfigError

PORTS_TRIED: Final = 20
"""Ports after the one wanted."""

_SEND_BUFFER: Final = 128 * 1024


def listen(host: str, port: int, close_after: float) -> socket.socket:
    """Bind `port`, or the first free one of those that follow.

    Args:
        close_after: seconds after which the kernel ends a connection whose peer took nothing, where it can.

    Raises:
        ConfigError: the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    last = min(port + PORTS_TRIED, 65535) if port else 0
    for candidate in range(port, last + 1):
        try:
            listener = socket.create_server((host, candidate), family=family, backlog=128)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            raise ConfigError(
                f"cannot listen: {error.strerror}",
                where=f"{host}:{candidate}",
                remedy="choose another port",
            ) from error
        # Accepted connections inherit these. A deep kernel buffer would hide for long that a viewer does not read.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(close_after * 1000))
        return listener
    raise ConfigError(
        f"ports {port} to {last} are all in use",
        where=host,
        remedy="stop what uses them or choose another port",
    )
