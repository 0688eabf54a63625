"""Opening ports: TCP, TLS and Unix sockets."""

import asyncio
import contextlib
import os
import socket
import ssl
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from pushline import sockets
from pushline.config import Address, Limits
from pushline.errors import ConfigError

UNACKNOWLEDGED = 120.0
"""Seconds; a reader that is slow, or stopped for a moment, is not dead."""

Accept = Callable[[], asyncio.Protocol]
"""Makes the protocol of a connection that was just accepted."""


class Port:
    """Something that listens, until it is closed. The file of a Unix socket goes with it, unless
    another one is there by then."""

    def __init__(self, server: asyncio.Server, path: str) -> None:
        self._server = server
        self._path = path
        self._file = _file_at(path)

    def close(self) -> None:
        """Accept nobody any more."""
        # Before the server: while that lives, no other file can have the number of its own.
        if self._file and self._file == _file_at(self._path):
            with contextlib.suppress(OSError):
                Path(self._path).unlink()
        self._server.close()


def _file_at(path: str) -> tuple[int, int] | None:
    """Which one it is: its device and its number there; None where there is none."""
    with contextlib.suppress(OSError):
        found = os.lstat(path)
        return found.st_dev, found.st_ino
    return None


async def listen(
    address: Address,
    accept: Accept,
    limits: Limits,
    *,
    tls: ssl.SSLContext | None = None,
    shared: bool = False,
) -> tuple[Port, Address]:
    """A port at `address`, and where it really is; raises ConfigError where it cannot be.

    A TCP port can be `shared` with other processes of this user that do the same: each has an equal
    part of the connections. See `hold`.
    """
    with _naming(address):
        listening = _bind(address, shared)
    if limits.socket_buffer:  # accepted sockets inherit it
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.socket_buffer)
    opened = address if address.path else replace(address, port=listening.getsockname()[1])
    return Port(await _serve(listening, accept, limits, tls), address.path), opened


def hold(address: Address) -> socket.socket:
    """Keep a TCP port for processes of this user that share it, until the socket is closed.

    Raises ConfigError where anybody listens there, sharing or not, or holds it. While it is held,
    nobody else can listen there who does not share, and nobody else can hold it: so neither another
    server nor another group of processes gets between these. What is not noticed is a stranger of
    the same user who asks for SO_REUSEPORT, as only these processes should: the kernel lets him.
    """
    with _naming(address):
        held = _bind(address)
        try:
            held.listen()  # only one socket may, without SO_REUSEPORT
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            held.shutdown(socket.SHUT_RDWR)  # it stays bound, and gets no connections
        except OSError:
            held.close()
            raise
    return held


@contextlib.contextmanager
def _naming(address: Address) -> Iterator[None]:
    """Errors of the system say where."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"cannot listen at {address}: {error.strerror or error}") from None


async def _serve(
    listening: socket.socket, accept: Accept, limits: Limits, tls: ssl.SSLContext | None
) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    if listening.family == socket.AF_UNIX:
        return await loop.create_unix_server(accept, sock=listening, backlog=limits.backlog)
    return await loop.create_server(
        accept,
        sock=listening,
        backlog=limits.backlog,
        ssl=tls,
        ssl_handshake_timeout=limits.tls_time if tls else None,
        ssl_shutdown_timeout=limits.close_timeout if tls else None,
    )


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """The server side of TLS 1.2 and 1.3; raises ConfigError for files that do not serve."""
    where = f"websocket.certificate {certificate} with websocket.key {key}"

    def password() -> str:  # without it, OpenSSL would ask for one on the terminal
        raise ConfigError(f"{where}: {_ENCRYPTED}")

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        _check_pem(Path(certificate), "certificate", "CERTIFICATE")
        _check_pem(Path(key), "key", "PRIVATE KEY")
        context.load_cert_chain(certificate, key, password)
    except ssl.SSLError as error:
        raise ConfigError(f"{where}: {_TLS_ERRORS.get(error.reason, _DAMAGED)}") from None
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None
    return context


_ENCRYPTED = (
    "the key is encrypted; it has to be a key without a password: "
    "decrypt it with `openssl pkey -in ENCRYPTED -out KEY`"
)
_NO_PAIR = "the key is not the one of the certificate; they have to be a pair, made together"
_TLS_ERRORS = {
    "KEY_VALUES_MISMATCH": _NO_PAIR,
    "KEY_TYPE_MISMATCH": _NO_PAIR,
    "NO_CERTIFICATE_ASSIGNED": _NO_PAIR,  # what OpenSSL says of an RSA and an EC one
    "EE_KEY_TOO_SMALL": "the key is too short; RSA needs 2048 bits or more",
}
_DAMAGED = "one of them is damaged, or of a kind that OpenSSL does not take; both have to be PEM"


def _check_pem(path: Path, what: str, label: str) -> None:
    """Raises ValueError for a file that cannot be read, or is not PEM (RFC 7468)."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"the {what} cannot be read: {error.strerror}") from None
    if f"{label}-----".encode() not in content:
        raise ValueError(f"the {what} is not PEM, which has a line -----BEGIN {label}-----")


def is_unix(transport: asyncio.BaseTransport) -> bool:
    """Whether it is a Unix socket's. No name of a peer proves nothing: a peer that has reset its
    TCP connection before it was accepted has none either."""
    connected = transport.get_extra_info("socket")
    return connected is not None and connected.family == socket.AF_UNIX


def peer_of(transport: asyncio.BaseTransport) -> str:
    """Who is at the other end, for a log line."""
    peer = transport.get_extra_info("peername")
    if isinstance(peer, tuple):
        return f"{peer[0]}:{peer[1]}"
    return "unix socket" if is_unix(transport) else "a peer that is gone"


def notice_the_dead(transport: asyncio.BaseTransport, *, unacknowledged: float = 0.0) -> None:
    """As sockets.notice_the_dead, for a connection that may have ended by now."""
    connected = transport.get_extra_info("socket")
    if connected is not None:
        sockets.notice_the_dead(connected, unacknowledged=unacknowledged)


def _bind(address: Address, shared: bool = False) -> socket.socket:
    if address.path:
        return _bind_unix(Path(address.path))
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    family, kind, proto, _, target = min(found, key=lambda info: info[0] != socket.AF_INET)
    listening = socket.socket(family, kind, proto)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        listening.bind(target)
    except OSError:
        listening.close()
        raise
    return listening


def _bind_unix(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_stale(path):
            path.unlink()
        listening.bind(str(path))
    except OSError:
        listening.close()
        raise
    return listening


def _is_stale(path: Path) -> bool:
    """A socket that a server left behind: nobody accepts there any more."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        if stat.S_ISSOCK(path.stat().st_mode):
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                return True
    return False
