"""A back end that pushes one line at a time."""

import socket
from types import TracebackType
from typing import Self

from benchmarks.browsers import TIMEOUT
from benchmarks.servers import HOST, Server


class BackEnd:
    """A connection to the text port."""

    def __init__(self, server: Server) -> None:
        self._socket = socket.create_connection((HOST, server.text_port), TIMEOUT)
        self._answers = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._answers.close()
        self._socket.close()

    def push(self, line: bytes) -> bool:
        """Whether the line was answered with `ok`."""
        self._socket.sendall(line)
        return self._answers.readline() == b"ok\n"
