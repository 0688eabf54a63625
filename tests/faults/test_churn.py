"""Very many connect, log in and leave again: nothing of them stays. A million, in small."""

import socket
import struct
from collections.abc import Iterator

import pytest

from tests.browser import CLOSE, dial, encoded, request
from tests.faults.unharmed import unharmed, wait_until
from tests.server import Server

CYCLES = 20_000
AT_ONCE = 100
GROWTH = 1 << 20
"""Bytes that the second half may add."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with which close() sends a RST, which leaves no port behind in TIME_WAIT."""
GOODBYE = encoded(CLOSE, struct.pack("!H", 1001))


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def come_and_go(address: str, cycles: int) -> None:
    """Upgrade and log in as one of 1,000 users; one in ten says goodbye, the others are reset."""
    head = request(address)
    logins = [head + encoded(1, b"user%d" % number) for number in range(1000)]
    for start in range(0, cycles, AT_ONCE):
        sockets = [dial(address) for _ in range(AT_ONCE)]
        for number, each in enumerate(sockets, start):
            each.sendall(logins[number % len(logins)] + (GOODBYE if number % 10 == 0 else b""))
        for each in sockets:
            assert each.recv(4096).startswith(b"HTTP/1.1 101 ")
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            each.close()


def test_many_thousands_who_come_and_go_leave_nothing_behind(server: Server) -> None:
    with unharmed(server):
        before = server.metrics()
        come_and_go(server.websocket, CYCLES // 2)
        half = resident_when_empty(server)
        come_and_go(server.websocket, CYCLES // 2)
        assert resident_when_empty(server) - half < GROWTH
        after = server.metrics()
    for name in ("accepted_total", "logins_total", 'closed_total{code="client"}'):
        assert after[name] - before.get(name, 0) == CYCLES


def resident_when_empty(server: Server) -> int:
    """Bytes, when all but the healthy client have gone."""
    wait_until(lambda: server.metrics()["open_sockets"] == 1)
    return server.resident()
