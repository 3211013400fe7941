"""Free TCP ports of 127.0.0.1."""

from __future__ import annotations

import contextlib
import socket

HOST = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Ports that nobody had a moment ago; all are held until the last is found, so they differ.

    Somebody else may still take one before the service binds it; the service then ends and says so in its log.
    """
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            holder = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            holder.bind((HOST, 0))
            ports.append(int(holder.getsockname()[1]))
        return ports


def is_taken(port: int, host: str = HOST) -> bool:
    """Whether somebody accepts connections there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(2.0)
        return probe.connect_ex((host, port)) == 0
