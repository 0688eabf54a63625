"""The core without sockets: a loop, its time and a transport that a test has in its own hands."""

import asyncio
import socket
from collections.abc import Callable
from contextvars import Context
from typing import TypeVarTuple

from pushline.codecs import websocket
from pushline.connection import Connection
from pushline.hub import Hub
from pushline.messages import Close, Message
from pushline.metrics import Metrics
from pushline.outbox import Outbox
from pushline.wheel import Wheel

Arguments = TypeVarTuple("Arguments")


class Loop(asyncio.SelectorEventLoop):
    """An event loop that makes one pass when it is told to; `now` is its time in seconds.

    `wakes` counts the calls that were asked for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.wakes = 0

    def time(self) -> float:
        return self.now

    def call_soon(
        self,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.Handle:
        self.wakes += 1
        return super().call_soon(callback, *args, context=context)

    def turn(self, passes: int = 1) -> None:
        """Make so many passes: each runs what was due when it began."""
        for _ in range(passes):
            self.stop()
            self.run_forever()


class Transport(asyncio.Transport):
    """Notes what is written to it; `buffered` is how much of that it says is still unsent, `plug`
    the socket that it says it has."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.buffered = 0
        self.plug: socket.socket | None = None
        self.aborted = self.paused = False
        self.when_written: Callable[[], object] | None = None
        """Called within every write."""

    @property
    def written(self) -> bytes:
        """All of it."""
        return b"".join(self.writes)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))
        if self.when_written is not None:
            self.when_written()

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self.plug if name == "socket" else default

    def is_reading(self) -> bool:
        return not self.paused

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def abort(self) -> None:
        self.aborted = True


class Keeper:
    """What connections share; a tick is a second.

    `closes` notes which ended, and how, `left` those of them that ended by themselves.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int = 1 << 20) -> None:
        self.wheel = Wheel(1.0)
        self.outbox = Outbox(loop, limit, Metrics())
        self.hub = Hub()
        self.close_ticks = 5
        self.closes: list[tuple[Connection, Close]] = []
        self.left: list[Connection] = []

    def closed(self, connection: Connection, close: Close, *, by_peer: bool) -> None:
        self.hub.remove(connection)
        self.closes.append((connection, close))
        self.left += [connection] if by_peer else []

    def connect(self, kind: type[Connection] = Connection) -> Connection:
        """A connection that has not logged in."""
        return kind(Transport(), self, websocket.encode)

    def log_in(self, uid: str, utype: str = "0", kind: type[Connection] = Connection) -> Connection:
        """One that has, in the hub and not watched by any heartbeat."""
        connection = self.connect(kind)
        self.hub.add(connection)
        self.hub.bind(connection, uid, utype)
        return connection

    def advance(self, ticks: int) -> None:
        for _ in range(ticks):
            self.wheel.advance()


def transport_of(connection: Connection) -> Transport:
    """Where its writes are noted."""
    assert isinstance(connection.transport, Transport)
    return connection.transport


def text(data: bytes) -> bytes:
    """The frame that a push of `data` becomes."""
    return websocket.encode(Message(data))
