"""Opening ports of every kind, and what is said where that cannot be done."""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop

from pushline.address import Address
from pushline.config import Limits
from pushline.errors import ConfigError
from pushline.listeners.sockets import (
    UNACKNOWLEDGED,
    is_unix,
    listen,
    notice_the_dead,
    peer_of,
    tls_context,
)
from tests.certificates import Authority


class Greeter(asyncio.Protocol):
    """Says who is at the other end, then ends the connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        transport.write(peer_of(transport).encode())
        transport.close()


class Sized(asyncio.Protocol):
    """Says how large the kernel's send buffer of its connection is."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        plug = transport.get_extra_info("socket")
        transport.write(b"%d" % plug.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF))
        transport.close()


@contextlib.asynccontextmanager
async def listening(
    text: str,
    accept: Callable[[], asyncio.Protocol] = Greeter,
    limits: Limits | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Address]:
    """Something that listens there; its address. Raises ConfigError."""
    server, address = await listen(Address.parse(text), accept, limits or Limits(), tls=tls)
    try:
        yield address
    finally:
        server.close()


async def fails_at(text: str) -> None:
    """Raises what an attempt to listen there raises."""
    async with listening(text):
        pass


async def said_at(address: Address, tls: ssl.SSLContext | None = None) -> bytes:
    """All that whoever listens there says."""
    if address.path:
        reader, writer = await asyncio.open_unix_connection(address.path)
    else:
        reader, writer = await asyncio.open_connection(address.host, address.port, ssl=tls)
    try:
        return await reader.read()
    finally:
        writer.close()


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    uvloop.run(coroutine)


# --- TCP ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_a_free_port_is_found_and_named(host: str) -> None:
    async def main() -> None:
        async with listening(f"{host}:0") as address:
            assert address.port > 0
            assert str(address) == f"{host}:{address.port}"
            peer = (await said_at(address)).decode()
            assert peer.rpartition(":")[0] == ("::1" if host == "[::1]" else "127.0.0.1")

    run(main())


def test_a_taken_port_is_one_line_that_names_it() -> None:
    async def main() -> None:
        async with listening("127.0.0.1:0") as address:
            with pytest.raises(ConfigError) as refused:
                await fails_at(str(address))
            assert str(refused.value) == f"cannot listen at {address}: Address already in use"

    run(main())


def test_a_port_that_was_just_in_use_can_be_had_again() -> None:
    """The server ended its connections first, so they stay in TIME_WAIT for a while."""

    async def main() -> None:
        async with listening("127.0.0.1:0") as address:
            await said_at(address)
        async with listening(str(address)) as again:
            assert again == address

    run(main())


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("192.0.2.1", id="for documentation, RFC 5737"),
        pytest.param(".".join(["x" * 63] * 5), id="longer than a name can be, RFC 1035"),
    ],
)
def test_an_address_that_is_not_of_this_machine_is_one_line(host: str) -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match=rf"^cannot listen at {host}:1: [A-Z][^\n]+$"):
            await fails_at(f"{host}:1")

    run(main())


@pytest.mark.parametrize(("size", "kernels"), [(16 << 10, 32 << 10), (256 << 10, 512 << 10)])
def test_what_it_accepts_has_the_send_buffer_that_was_set(size: int, kernels: int) -> None:
    """Which the kernel doubles, for what it needs besides: socket(7)."""

    async def main() -> None:
        limits = replace(Limits(), socket_buffer=size)
        async with listening("127.0.0.1:0", Sized, limits) as address:
            assert int(await said_at(address)) == kernels

    run(main())


def test_where_none_is_set_it_is_the_systems() -> None:
    async def main() -> None:
        async with listening("127.0.0.1:0", Sized, replace(Limits(), socket_buffer=0)) as address:
            assert int(await said_at(address)) > 2 * Limits().socket_buffer

    run(main())


def test_as_many_wait_to_be_accepted_as_were_allowed() -> None:
    """While the loop does nothing at all, which would otherwise accept them."""

    async def main() -> None:
        limits = replace(Limits(), backlog=300)
        async with listening("127.0.0.1:0", limits=limits) as address:
            with contextlib.ExitStack() as stack:
                for _ in range(limits.backlog):
                    plug = socket.create_connection((address.host, address.port), timeout=5)
                    stack.enter_context(plug)

    run(main())


# --- Unix sockets -------------------------------------------------------------------------------


def test_a_unix_socket_is_opened_and_named_as_it_was_asked_for(tmp_path: Path) -> None:
    async def main() -> None:
        async with listening(f"unix:{tmp_path}/pushline") as address:
            assert str(address) == f"unix:{tmp_path}/pushline"
            assert await said_at(address) == b"unix socket"

    run(main())


def test_a_socket_that_a_dead_server_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pushline"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))

    async def main() -> None:
        async with listening(f"unix:{path}") as address:
            assert await said_at(address) == b"unix socket"

    run(main())


def test_a_socket_that_somebody_listens_on_is_left_alone(tmp_path: Path) -> None:
    async def main() -> None:
        async with listening(f"unix:{tmp_path}/pushline") as address:
            with pytest.raises(ConfigError, match=r"^cannot listen at unix:/.+/pushline: Address "):
                await fails_at(str(address))
            assert await said_at(address) == b"unix socket"

    run(main())


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("precious")

    async def main() -> None:
        with pytest.raises(ConfigError, match=r"^cannot listen at unix:/.+/precious: Address "):
            await fails_at(f"unix:{path}")

    run(main())
    assert path.read_text() == "precious"


def test_a_link_to_a_file_is_left_alone(tmp_path: Path) -> None:
    precious, link = tmp_path / "precious", tmp_path / "link"
    precious.write_text("precious")
    link.symlink_to(precious)

    async def main() -> None:
        with pytest.raises(ConfigError):
            await fails_at(f"unix:{link}")

    run(main())
    assert link.is_symlink()
    assert precious.read_text() == "precious"


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match=r"/pushline: No such file or directory$"):
            await fails_at(f"unix:{tmp_path}/missing/pushline")

    run(main())


def test_the_socket_of_one_that_was_stopped_can_be_had_again(tmp_path: Path) -> None:
    async def main() -> None:
        for _ in range(2):
            async with listening(f"unix:{tmp_path}/pushline") as address:
                assert await said_at(address) == b"unix socket"

    run(main())
    assert list(tmp_path.iterdir()) == []


def test_a_socket_that_has_replaced_ours_is_left_alone(tmp_path: Path) -> None:
    """As where a new server takes over from one that still runs."""
    path, new = tmp_path / "pushline", tmp_path / "new"

    async def main() -> None:
        async with listening(f"unix:{new}") as address:
            async with listening(f"unix:{path}"):
                os.rename(new, path)  # noqa: PTH104 - a Path is not for async functions
            assert await said_at(replace(address, path=str(path))) == b"unix socket"

    run(main())


def test_a_socket_that_somebody_has_removed_is_no_error(tmp_path: Path) -> None:
    async def main() -> None:
        async with listening(f"unix:{tmp_path}/pushline"):
            os.unlink(tmp_path / "pushline")  # noqa: PTH108 - as above

    run(main())


# --- who is at the other end --------------------------------------------------------------------


class Noticing(asyncio.Protocol):
    """Says whether the kernel asks for a sign of life, and how."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        notice_the_dead(transport)
        plug = transport.get_extra_info("socket")
        tcp = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        how = [] if is_unix(transport) else [plug.getsockopt(socket.SOL_TCP, each) for each in tcp]
        transport.write(b"%d %a" % (plug.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), how))
        transport.close()


def test_a_dead_peer_is_noticed_within_two_minutes(tmp_path: Path) -> None:
    async def main() -> None:
        async with listening("127.0.0.1:0", Noticing) as address:
            assert await said_at(address) == b"1 [60, 15, 4]"
        async with listening(f"unix:{tmp_path}/pushline", Noticing) as address:
            assert await said_at(address) == b"0 []"

    run(main())


class NoticingTheHung(asyncio.Protocol):
    """Says how long the other end may take nothing, in milliseconds."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        notice_the_dead(transport, unacknowledged=UNACKNOWLEDGED)
        plug = transport.get_extra_info("socket")
        transport.write(b"%d" % plug.getsockopt(socket.SOL_TCP, socket.TCP_USER_TIMEOUT))
        transport.close()


def test_a_peer_that_takes_nothing_is_given_up_after_two_minutes() -> None:
    async def main() -> None:
        async with listening("127.0.0.1:0", NoticingTheHung) as address:
            assert await said_at(address) == b"120000"

    run(main())


class Gone(asyncio.Transport):
    """Of a peer that had reset its connection before it was accepted: it has no name."""

    def __init__(self, plug: socket.socket) -> None:
        super().__init__({"socket": plug, "peername": None})


def test_one_that_is_gone_is_not_taken_for_a_unix_socket() -> None:
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        assert not is_unix(Gone(tcp))
        assert is_unix(Gone(unix))
        assert peer_of(Gone(tcp)) == "a peer that is gone"
        assert peer_of(Gone(unix)) == "unix socket"


# --- TLS ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


class Offered(asyncio.Protocol):
    """Says which TLS version and which application protocol were agreed on."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        tls = transport.get_extra_info("ssl_object")
        transport.write(f"{tls.version()} {tls.selected_alpn_protocol()}".encode())
        transport.close()


async def agreed(authority: Authority, client: ssl.SSLContext) -> bytes:
    context = tls_context(authority.certificate, authority.key)
    async with listening("127.0.0.1:0", Offered, tls=context) as address:
        return await said_at(address, client)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (ssl.TLSVersion.TLSv1_2, b"TLSv1.2 http/1.1"),
        (ssl.TLSVersion.TLSv1_3, b"TLSv1.3 http/1.1"),
    ],
)
def test_it_speaks_tls_1_2_and_1_3_and_http_1(
    authority: Authority, version: ssl.TLSVersion, said: bytes
) -> None:
    async def main() -> None:
        client = authority.client()
        client.minimum_version = client.maximum_version = version
        client.set_alpn_protocols(["h2", "http/1.1"])
        assert await agreed(authority, client) == said

    run(main())


def test_older_tls_is_not_even_offered(authority: Authority) -> None:
    """A client that would take it is not asked: many systems forbid it to their own clients."""
    context = tls_context(authority.certificate, authority.key)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_files_that_do_not_serve_are_one_line_that_names_both(
    authority: Authority, tmp_path: Path
) -> None:
    certificate, key, missing = authority.certificate, authority.key, str(tmp_path / "missing.pem")
    for files in (
        (missing, key),
        (certificate, missing),
        (certificate, Authority(tmp_path).key),
        (key, certificate),
    ):
        _assert_one_line(*files)


def _assert_one_line(certificate: str, key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        tls_context(certificate, key)
    line = str(refused.value)
    assert line.startswith(f"websocket.certificate {certificate} with websocket.key {key}: ")
    assert "\n" not in line
