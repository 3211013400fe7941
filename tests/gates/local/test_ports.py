"""Free ports."""

from __future__ import annotations

import socket

from ci_scripts.gates.local.ports import HOST, free_ports, is_taken


def test_ports_differ_and_are_free() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports[:3]:
        with socket.socket() as holder:
            holder.bind((HOST, port))
    assert free_ports(0) == []


def test_a_port_is_taken_while_somebody_listens() -> None:
    with socket.socket() as holder:
        holder.bind((HOST, 0))
        port = holder.getsockname()[1]
        assert not is_taken(port)
        holder.listen()
        assert is_taken(port)
    assert not is_taken(port)
