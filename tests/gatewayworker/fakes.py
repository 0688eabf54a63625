"""Gateways whose every move a test decides, listed at a Register of ours."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Self, cast

from pushline.codecs.gateway_frames import Cmd, Frame, FrameReader, encode_answer
from pushline.codecs.php_serialize import dumps
from pushline.gatewayworker.role import KNOCK, KNOWN_TO_US, place_of
from tests.gatewayworker.registers import Register, gateway, until

Answer = Callable[[Frame], bytes | None]
"""The payload of a frame's answer; None where there is none."""

KNOCKING = next(iter(FrameReader(1000).feed(KNOCK)))
ASKING = frozenset(
    {
        *(Cmd.ALL_SESSIONS, Cmd.IS_ONLINE, Cmd.CLIENTS_OF_UID, Cmd.CLIENTS_OF_UIDS),
        *(Cmd.SESSIONS_OF_GROUP, Cmd.COUNT_OF_GROUP, Cmd.SELECT, Cmd.GROUP_NAMES),
        *(Cmd.COUNTS_OF_GROUPS, Cmd.GET_SESSION),
    }
)


def always(value: object) -> Answer:
    """This PHP value, to every question."""
    return lambda frame: dumps(value) if frame.cmd in ASKING else None


class Connection(asyncio.Protocol):
    """One link, as a gateway sees it. `data` is all that came, `frames` what it holds."""

    transport: asyncio.Transport

    def __init__(self, gateway: "FakeGateway") -> None:
        self.gateway = gateway
        self.data = b""
        self.frames: list[Frame] = []
        self.chunks = 0
        self.eof = False
        self.lost = False
        self._reader = FrameReader(1 << 30)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.gateway.connections.append(self)
        if not self.gateway.reading:
            self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.chunks += 1
        for frame in self._reader.feed(data):
            self.gateway.take(self, frame)

    def eof_received(self) -> bool:
        self.eof = True
        return self.gateway.half_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True

    def say(self, data: bytes) -> None:
        self.transport.write(data)


class FakeGateway:
    """Listens on a free port of 127.0.0.1, the same one when it is started again.

    `frames` are those that came, without greetings and knocks. `secret` and `ours` are as a
    gateway has them. It ends its side when the other is ended, unless it is `half_open`.
    What is not answered while it is held is answered when it is let go.
    """

    def __init__(self, *, secret: str = "", ours: bool = False) -> None:
        self.secret = secret
        self.ours = ours
        self.answer: Answer = always(0)
        self.frames: list[Frame] = []
        self.greetings: list[Frame] = []
        self.connections: list[Connection] = []
        self.reading = True
        self.half_open = False
        self.port = 0
        self._held: list[tuple[Connection, bytes]] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def place(self) -> int:
        return place_of(self.address)

    @property
    def connection(self) -> Connection:
        """The newest."""
        return self.connections[-1]

    async def start(self) -> None:
        listening = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        self.port = listening.getsockname()[1]
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), sock=listening)

    async def stop(self) -> None:
        """The process is no more."""
        self._server.close()
        await self.hang_up()

    async def hang_up(self) -> None:
        """End every connection."""
        for connection in self.connections:
            connection.transport.abort()
        await until(lambda: all(connection.lost for connection in self.connections))

    def take(self, connection: Connection, frame: Frame) -> None:
        if frame.cmd in (Cmd.CLIENT_CONNECT, Cmd.WORKER_CONNECT):
            self.greetings.append(frame)
            if self.secret.encode() not in frame.body or not self.secret:
                connection.transport.close()
        elif self.secret and not self.greetings:
            connection.transport.close()
        elif frame == KNOCKING:
            self._say(connection, KNOWN_TO_US if self.ours else dumps(0))
        else:
            self.frames.append(frame)
            if (payload := self.answer(frame)) is not None:
                self._say(connection, payload)

    def _say(self, connection: Connection, payload: bytes) -> None:
        if self._held is None:
            connection.say(encode_answer(payload))
        else:
            self._held.append((connection, payload))

    def hold(self) -> None:
        """Reads, and does not answer."""
        self._held = []

    def let(self) -> None:
        """Answers all, and goes on."""
        held, self._held = self._held or [], None
        for connection, payload in held:
            connection.say(encode_answer(payload))

    def stop_reading(self) -> None:
        self.reading = False
        for connection in self.connections:
            if not connection.lost:
                connection.transport.pause_reading()

    def go_on_reading(self) -> None:
        self.reading = True
        for connection in self.connections:
            if not connection.lost:
                connection.transport.resume_reading()

    async def got(self, count: int) -> list[Frame]:
        """The frames, when there are so many."""
        await until(lambda: len(self.frames) >= count)
        return self.frames

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


@contextlib.asynccontextmanager
async def listed(
    register: Register, *, secret: str = "", ours: bool = False
) -> AsyncIterator[FakeGateway]:
    """A gateway that is there, and on the list."""
    async with (
        FakeGateway(secret=secret, ours=ours) as fake,
        gateway(register, fake.address),
    ):
        yield fake
