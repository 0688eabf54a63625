"""Blocking WebSocket clients for what wsload cannot do: TLS, readers that stop, exact order."""

import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import ExitStack

from benchmarks.processes import UnableError
from benchmarks.servers import HOST, Server

TIMEOUT = 10.0
"""Seconds without a byte after which a message counts as lost."""
SETTLE = 0.7
"""Seconds for the last login to be done: nothing answers it."""
_MASK = b"\1\2\3\4"
_UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Browser:
    """One connection that is logged in, and reads only when asked to. `login` is its message."""

    def __init__(self, port: int, login: str, tls: ssl.SSLContext | None = None) -> None:
        plain = socket.create_connection((HOST, port), TIMEOUT)
        self._socket = tls.wrap_socket(plain, server_hostname=HOST) if tls else plain
        self._stream = self._socket.makefile("rb")
        self._socket.sendall(_UPGRADE)
        if not self._stream.readline().startswith(b"HTTP/1.1 101 "):
            raise UnableError("the server refuses a WebSocket handshake")
        while self._stream.readline().strip():
            pass
        if login:
            self.send(login)

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def send(self, text: str) -> None:
        self._socket.sendall(_masked_text(text.encode()))

    def message(self) -> bytes:
        """The next text message; TimeoutError or ConnectionError if there is none."""
        _, size = self._take(2)
        if size == 126:
            size = int.from_bytes(self._take(2), "big")
        return self._take(size)

    def _take(self, size: int) -> bytes:
        taken = self._stream.read(size)
        if len(taken) < size:
            raise ConnectionError("the server closed the connection")
        return taken


def open_browsers(
    stack: ExitStack, server: Server, logins: Sequence[str], tls: ssl.SSLContext | None = None
) -> list[Browser]:
    """One for each of `logins`, in that order; they are closed with the `stack`."""
    browsers = []
    for login in logins:
        browsers.append(Browser(server.websocket_port, login, tls))
        stack.callback(browsers[-1].close)
    time.sleep(SETTLE)
    return browsers


def _masked_text(payload: bytes) -> bytes:
    """A text frame of a client, of less than 64 KiB (RFC 6455, section 5.2)."""
    masked = bytes(byte ^ _MASK[i % 4] for i, byte in enumerate(payload))
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    return b"\x81" + length + _MASK + masked
