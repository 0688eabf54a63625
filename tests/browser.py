"""A browser for tests: a plain socket that speaks WebSocket as it is told to, also wrongly."""

import base64
import itertools
import json
import os
import socket
import ssl
import struct
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
DEADLINE = 15.0
"""Seconds for anything that a test waits for, unless it says otherwise."""
MASK = b"\x17\x2a\x99\x4c"


class RefusedError(Exception):
    """The answer to the upgrade was not 101: `status`, and all that came until the end."""

    def __init__(self, status: int, answer: bytes) -> None:
        super().__init__(answer.decode("latin-1"))
        self.status = status
        self.answer = answer


class EndedError(Exception):
    """The server ended the TCP connection."""


def request(host: str, path: str = "/", headers: Mapping[str, str] | None = None) -> bytes:
    """The head of an upgrade; a header given as "" is left out."""
    fields = {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
        **(headers or {}),
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode("latin-1")


def encoded(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True
) -> bytes:
    """One frame, RFC 6455 section 5.2; `rsv` is the three bits as a number, RSV1 is 4."""
    first = fin << 7 | rsv << 4 | opcode
    size, bit = len(payload), masked << 7
    if size < 126:
        head = bytes([first, bit | size])
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    return head + MASK + mask(payload) if masked else head + payload


def mask(payload: bytes) -> bytes:
    """The payload under the mask of all these browsers."""
    return bytes(a ^ b for a, b in zip(payload, itertools.cycle(MASK), strict=False))


def dial(address: str, *, receive_buffer: int = 0) -> socket.socket:
    """A TCP connection to HOST:PORT; `receive_buffer` bytes of the kernel's, where given."""
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if "[" in host else socket.AF_INET
    plug = socket.socket(family)
    plug.settimeout(DEADLINE)
    plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if receive_buffer:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    try:
        plug.connect((host.strip("[]"), int(port)))
    except OSError:
        plug.close()
        raise
    return plug


def connect(
    address: str,
    path: str = "/",
    headers: Mapping[str, str] | None = None,
    *,
    receive_buffer: int = 0,
    tls: ssl.SSLContext | None = None,
) -> "Browser":
    """A browser whose upgrade was accepted. Raises RefusedError where it was not."""
    plug = dial(address, receive_buffer=receive_buffer)
    try:
        if tls is not None:
            plug = tls.wrap_socket(plug, server_hostname=address.rpartition(":")[0].strip("[]"))
        browser = Browser(plug)
        browser.send_raw(request(address, path, headers))
        browser.read_head()
    except BaseException:
        plug.close()
        raise
    return browser


class Browser:
    """One upgraded connection. It does nothing by itself: no pong, no close, no reading.

    `socket` is there for whatever a test wants to do to it; `head` is the server's answer.
    Every wait has a deadline in seconds and raises TimeoutError after it.
    """

    def __init__(self, plug: socket.socket) -> None:
        self.socket = plug
        self.head = b""
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.disconnect()

    def disconnect(self) -> None:
        """End the TCP connection without a close handshake."""
        self.socket.close()

    def send_raw(self, data: bytes) -> None:
        self.socket.settimeout(DEADLINE)
        self.socket.sendall(data)

    def send_frame(
        self,
        opcode: int,
        payload: bytes = b"",
        *,
        fin: bool = True,
        rsv: int = 0,
        masked: bool = True,
    ) -> None:
        self.send_raw(encoded(opcode, payload, fin=fin, rsv=rsv, masked=masked))

    def send_text(self, text: str) -> None:
        self.send_frame(TEXT, text.encode())

    def login(self, uid: str, *, utype: str | int | None = None, token: str = "") -> Self:
        """Bare, or as an object where there is a type or a token; nothing is answered."""
        fields = {"uid": uid, "utype": utype, "checkToken": token}
        bare = utype is None and not token
        self.send_text(uid if bare else json.dumps({k: v for k, v in fields.items() if v}))
        return self

    def receive(self, deadline: float = DEADLINE) -> tuple[int, bytes]:
        """The next frame: opcode and payload. Raises EndedError."""
        until = time.monotonic() + deadline
        while self._missing() > 0:
            self._need_more(until)
        return self._next()

    def arrived(self) -> list[tuple[int, bytes]]:
        """The frames that one read completes: for a socket that is readable. Raises EndedError."""
        self._need_more(time.monotonic() + DEADLINE)
        frames = []
        while self._missing() <= 0:
            frames.append(self._next())
        return frames

    def message(self, deadline: float = DEADLINE) -> bytes:
        """The next text message; pings on the way are answered. Raises EndedError."""
        until = time.monotonic() + deadline
        while True:
            opcode, payload = self.receive(until - time.monotonic())
            if opcode == TEXT:
                return payload
            if opcode == CLOSE:
                raise EndedError(payload)
            if opcode == PING:
                self.send_frame(PONG, payload)

    def settle(self, deadline: float = DEADLINE) -> None:
        """Return once the server has handled all that was sent: it has answered a ping.

        Whatever came before the answer is dropped.
        """
        until = time.monotonic() + deadline
        self.send_frame(PING, b"settled?")
        while self.receive(until - time.monotonic()) != (PONG, b"settled?"):
            pass

    def close_code(self, deadline: float = DEADLINE) -> int:
        """The code of the server's Close frame, whatever came before it; 0 where it has none.

        Raises EndedError where the connection ends without one.
        """
        until = time.monotonic() + deadline
        while True:
            opcode, payload = self.receive(until - time.monotonic())
            if opcode == CLOSE:
                return int.from_bytes(payload[:2])

    def wait_ended(self, deadline: float = DEADLINE) -> bytes:
        """All bytes until the server ends the TCP connection."""
        until = time.monotonic() + deadline
        while self._more(until):
            pass
        return bytes(self._buffer)

    def read_head(self, deadline: float = DEADLINE) -> None:
        """Read the answer to the upgrade into `head`. Raises RefusedError."""
        until = time.monotonic() + deadline
        while b"\r\n\r\n" not in self._buffer:
            self._need_more(until)
        size = self._buffer.index(b"\r\n\r\n") + 4
        status = int(self._buffer[9:12])
        if status != 101:
            raise RefusedError(status, self.wait_ended(until - time.monotonic()))
        self.head = self._take(size)

    def _missing(self) -> int:
        """So many bytes at least of the next frame have not come yet."""
        data = self._buffer
        if len(data) < 2:
            return 2 - len(data)
        size = data[1] & 0x7F
        start = {126: 4, 127: 10}.get(size, 2)
        if start > 2:
            size = int.from_bytes(data[2:start])
        return start + size - len(data)

    def _next(self) -> tuple[int, bytes]:
        first, second = self._take(2)
        assert not first & 0x70, "the server set a reserved bit"
        assert first & 0x80, "the server sent a fragment"
        assert not second & 0x80, "the server masked a frame"
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(self._take(2 if size == 126 else 8))
        return first & 0x0F, self._take(size)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _need_more(self, until: float) -> None:
        if not self._more(until):
            raise EndedError(bytes(self._buffer))

    def _more(self, until: float) -> bool:
        """Read once; false at the end of the connection, orderly or not."""
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the server has not answered in time")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(1 << 18)
        except (ConnectionResetError, ssl.SSLEOFError):
            return False
        self._buffer += data
        return bool(data)
