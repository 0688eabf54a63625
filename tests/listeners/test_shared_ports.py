"""Ports that processes share: who may listen there, and who may not."""

import contextlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from pushline.address import Address
from pushline.errors import ConfigError
from pushline.listeners.sockets import hold
from tests.ports import free_port


@pytest.fixture
def address() -> Address:
    return Address("127.0.0.1", free_port())


@contextlib.contextmanager
def listening(address: Address, *, shared: bool) -> Iterator[socket.socket]:
    """A socket that does; raises OSError where it may not."""
    with socket.socket() as plug:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        plug.bind((address.host, address.port))
        plug.listen()
        yield plug


def dialled(address: Address) -> socket.socket:
    return socket.create_connection((address.host, address.port))


def test_who_shares_it_may_listen_while_it_is_held(address: Address) -> None:
    with (
        hold(address),
        listening(address, shared=True) as one,
        listening(address, shared=True) as other,
        contextlib.ExitStack() as connections,
    ):
        for _ in range(40):
            connections.enter_context(dialled(address))
        for plug in (one, other):
            plug.setblocking(False)
            plug.accept()[0].close()


def test_who_holds_it_gets_no_connections(address: Address) -> None:
    with hold(address), pytest.raises(ConnectionRefusedError):
        dialled(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_nobody_else_may_listen_there_or_hold_it(address: Address, host: str) -> None:
    same = Address(host, address.port)
    taken = f"cannot listen at {same}: Address already in use"
    with hold(address):
        with pytest.raises(OSError, match="in use"), listening(same, shared=False):
            pass
        with pytest.raises(ConfigError, match=taken):
            hold(same)
        with listening(address, shared=True), pytest.raises(ConfigError, match=taken):
            hold(same)


@pytest.mark.parametrize("shared", [True, False])
def test_a_port_where_a_stranger_listens_is_not_held(address: Address, shared: bool) -> None:
    with listening(address, shared=shared), pytest.raises(ConfigError, match="in use"):
        hold(address)


def test_it_can_be_held_again_while_old_connections_last(address: Address) -> None:
    with hold(address), listening(address, shared=True) as plug:
        client = dialled(address)
        accepted = plug.accept()[0]
    with client, accepted, hold(address), listening(address, shared=True):
        client.sendall(b"still here")
        assert accepted.recv(10) == b"still here"


def test_of_several_at_once_one_holds_it(address: Address) -> None:
    count, rounds = 4, 50
    together = Barrier(count)

    def attempt(_: int) -> int:
        together.wait()
        held = None
        with contextlib.suppress(ConfigError):
            held = hold(address)
        together.wait()
        if held is None:
            return 0
        held.close()
        return 1

    with ThreadPoolExecutor(count) as threads:
        for _ in range(rounds):
            assert sum(threads.map(attempt, range(count))) == 1
