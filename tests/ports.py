"""Ports for servers that are started later, below those that the system gives to connections."""

import random
import socket

FIRST, LAST = 20_000, 32_000
PATIENCE = 15
"""Seconds."""


def free_ports(count: int) -> list[int]:
    """So many that follow one another, at which nobody listens."""
    while True:
        first = random.randrange(FIRST, LAST)
        ports = range(first, first + count)
        if all(map(_is_free, ports)):
            return [*ports]


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]


def free_address() -> str:
    """One of them, on loopback."""
    return f"127.0.0.1:{free_port()}"


def is_open(address: str) -> bool:
    """Whether somebody listens there."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except ConnectionRefusedError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as plug:
        try:
            plug.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
