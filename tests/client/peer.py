"""A text port whose every move the test decides."""

import contextlib
import queue
import socket
import threading
from collections.abc import Callable
from typing import Self

PATIENCE = 20.0
"""Seconds in which what a test waits for happens, or never."""

Answer = Callable[[bytes], bytes]
"""From a line to what is sent back; may raise HangUpError."""


class HangUpError(Exception):
    """Close the connection, after these last bytes."""

    def __init__(self, last: bytes = b"") -> None:
        self.last = last


def ok(_line: bytes) -> bytes:
    return b"ok\n"


def ok_if_even(line: bytes) -> bytes:
    """For lines that are numbers: an answer that tells which line it belongs to."""
    return b"fail\n" if int(line) % 2 else b"ok\n"


def guard(secret: str) -> Answer:
    """Asks for the secret, as the text port does, and then takes everything."""
    greeted = False

    def answer(line: bytes) -> bytes:
        nonlocal greeted
        greeted = greeted or line == b"auth " + secret.encode()
        if not greeted:
            raise HangUpError(b"fail\n")
        return b"ok\n"

    return answer


def leaving_after(peer: "Peer", count: int) -> Answer:
    """Takes so many lines, and is gone with the answer to the last of them."""
    taken = 0

    def answer(_line: bytes) -> bytes:
        nonlocal taken
        taken += 1
        if taken == count:
            peer.close_port()
            raise HangUpError(b"ok\n")
        return b"ok\n"

    return answer


class Peer:
    """Listens on a free port of 127.0.0.1 (the same one when started again), or at `path`.

    `lines` are those that have come, `chunks` in how many reads; `in_flight` is the most that had
    come on one connection without an answer. `accepted` and `ended` count connections.
    """

    def __init__(self, answer: Answer = ok, path: str = "") -> None:
        self.answer = answer
        self.reading = threading.Event()
        self.reading.set()
        self.lines: list[bytes] = []
        self.chunks = 0
        self.in_flight = 0
        self.accepted = 0
        self.ended = 0
        self._held = False
        self._let_through = threading.Semaphore(0)
        self._path = path
        self._port = 0
        self._changed = threading.Condition()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.start()

    @property
    def address(self) -> str:
        return f"unix:{self._path}" if self._path else f"127.0.0.1:{self._port}"

    def start(self) -> None:
        if self._path:
            self._listening = socket.socket(socket.AF_UNIX)
            self._listening.bind(self._path)
            self._listening.listen()
        else:
            self._listening = socket.create_server(("127.0.0.1", self._port), backlog=1024)
            self._port = self._listening.getsockname()[1]
        self._run(self._accept, self._listening)

    def stop(self) -> None:
        """Closes every connection and the port."""
        self.reading.set()
        self.let(len(self.lines) + 1)
        for sock in (self._listening, *self._sockets):
            _shut_down(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def close_port(self) -> None:
        """Takes no more connections, and keeps those that it has."""
        _shut_down(self._listening, socket.SHUT_RDWR)

    def hang_up(self) -> None:
        """Ends every connection; they count as `ended` when the client has seen it."""
        with self._changed:
            for sock in self._sockets:
                _shut_down(sock, socket.SHUT_WR)

    def hold(self) -> None:
        """Gives no more answers than it is let."""
        self._held = True

    def let(self, count: int) -> None:
        self._let_through.release(count)

    def say(self, data: bytes) -> None:
        """Sends what nobody has asked for."""
        with self._changed:
            for sock in self._sockets:
                sock.sendall(data)

    def wait(self, condition: Callable[[Self], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, work: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self, listening: socket.socket) -> None:
        with listening, contextlib.suppress(OSError):
            while True:
                sock, _ = listening.accept()
                with self._changed:
                    self._sockets.add(sock)
                    self.accepted += 1
                    self._changed.notify_all()
                self._run(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        lines = Lines()
        with sock:
            answering = self._run(self._answer, sock, lines)
            with contextlib.suppress(OSError):
                self._read(sock, lines)
            lines.put(None)
            with self._changed:
                self.ended += 1
                self._changed.notify_all()
            answering.join()
            with self._changed:
                self._sockets.discard(sock)

    def _read(self, sock: socket.socket, lines: "Lines") -> None:
        rest = b""
        while self.reading.wait(PATIENCE) and (data := sock.recv(1 << 20)):
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                lines.put(line)
            with self._changed:
                self.chunks += 1
                self.lines += whole
                self.in_flight = max(self.in_flight, lines.qsize())
                self._changed.notify_all()

    def _answer(self, sock: socket.socket, lines: "Lines") -> None:
        with contextlib.suppress(OSError):
            try:
                for line in iter(lines.get, None):
                    assert not self._held or self._let_through.acquire(timeout=PATIENCE)
                    sock.sendall(self.answer(line))
            except HangUpError as end:
                sock.sendall(end.last)
        _shut_down(sock, socket.SHUT_WR)


Lines = queue.SimpleQueue[bytes | None]


def _shut_down(sock: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(how)
