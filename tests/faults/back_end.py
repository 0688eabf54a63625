"""A back end for tests: a plain socket to the text port."""

import contextlib
import json
from types import TracebackType
from typing import Self

from tests.browser import DEADLINE, dial


class BackEnd:
    """One connection; raises ConnectionError where the server has ended it."""

    def __init__(self, address: str, *, secret: str = "", receive_buffer: int = 0) -> None:
        self.socket = dial(address, receive_buffer=receive_buffer)
        self._answers = self.socket.makefile("rb")
        if secret:
            self.send(f"auth {secret}\n".encode())
            assert self.answer(), "the secret was not taken"

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
        self._answers.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> bool:
        """The next answer: whether it is `ok`."""
        line = self._answers.readline()
        if line not in (b"ok\n", b"fail\n"):
            raise ConnectionError(f"no answer: {line!r}")
        return line == b"ok\n"

    def push(self, line: bytes) -> bool:
        """Send one line and return its answer."""
        self.send(line + b"\n")
        return self.answer()

    def wait_ended(self, deadline: float = DEADLINE) -> bytes:
        """All bytes until the server ends the TCP connection."""
        self.socket.settimeout(deadline)
        rest = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while data := self._answers.read1():
                rest += data
        return bytes(rest)


def push_line(uid: object, utype: object = None, **more: object) -> bytes:
    """A push without its line end, as compact as it can be."""
    fields = {"uid": uid} | ({} if utype is None else {"utype": utype}) | more
    return json.dumps(fields, separators=(",", ":")).encode()
