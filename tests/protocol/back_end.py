"""A back end: a plain socket to the text port."""

import socket
from types import TracebackType
from typing import Self

from tests.browser import DEADLINE
from tests.server import Server

OK, FAIL = b"ok", b"fail"


class BackEnd:
    """One connection to the text port; `source` is the address that it comes from."""

    def __init__(
        self, server: Server, *, source: str = "127.0.0.1", receive_buffer: int = 0
    ) -> None:
        host, _, port = server.text.rpartition(":")
        self.socket = socket.socket()
        self.socket.settimeout(DEADLINE)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self.socket.bind((source, 0))
        self.socket.connect((host, int(port)))
        self._reader = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._reader.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def trickle(self, data: bytes) -> None:
        """Send it in packets of one byte."""
        for byte in data:
            self.send(bytes([byte]))

    def push(self, line: bytes) -> bytes:
        """Send one line, and its answer."""
        self.send(line + b"\n")
        return self.answer()

    def answer(self) -> bytes:
        """The next answer without its line end; empty where the connection has ended."""
        return self._reader.readline().removesuffix(b"\n")

    def answers(self, count: int) -> list[bytes]:
        return [self.answer() for _ in range(count)]

    def rest(self) -> bytes:
        """All that comes until the server ends the connection; a reset is an error."""
        return self._reader.read()
