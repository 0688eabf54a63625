"""Registers and gateways that do what a test says, in its own event loop."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Self

from pushline.codecs.gateway_frames import (
    OURS,
    PLAIN,
    Cmd,
    Frame,
    FrameReader,
    Place,
    encode,
    encode_answer,
    encode_event,
)
from pushline.codecs.php_serialize import dumps
from tests.worker.world import LIMIT, request

PATIENCE = 20.0
"""Seconds in which what a test waits for happens, or never."""


async def until(condition: Callable[[], object]) -> None:
    """Wait for it."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - of what a process does too
            await asyncio.sleep(0.002)


class Register:
    """Tells everybody `addresses`, and notes what it was told."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.lines: list[bytes] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> str:
        """Its address."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return _address(self._server)

    def tell(self) -> None:
        for writer in self._writers:
            said = {"event": "broadcast_addresses", "addresses": self.addresses}
            writer.write(json.dumps(said).encode() + b"\n")

    def stop(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with suppress(ConnectionError):
            self.lines.append(await reader.readline())
            self.tell()
            await reader.read()
        self._writers.remove(writer)
        writer.close()


class Wire:
    """One connection to the gateway. `bytes` is all that came, `frames` what stands in it."""

    def __init__(self, gateway: "Gateway", writer: asyncio.StreamWriter) -> None:
        self.gateway = gateway
        self.writer = writer
        self.bytes = b""
        self.frames: list[Frame] = []
        self.ended = False
        """By the other side."""

    @property
    def greeting(self) -> dict[str, object]:
        first: dict[str, object] = json.loads(self.frames[0].body)
        return first

    @property
    def is_worker(self) -> bool:
        return bool(self.frames) and self.frames[0].cmd == Cmd.WORKER_CONNECT

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    def tell(
        self,
        cmd: int,
        number: int = 1,
        *,
        flag: int = PLAIN,
        body: bytes = b"",
    ) -> None:
        """An event; it is marked as ours if the gateway is."""
        flag |= OURS if self.gateway.ours else 0
        place, session = self.gateway.place, self.gateway.sessions.get(number, b"")
        self.write(encode_event(cmd, place, number, flag=flag, ext=session, body=body))

    def connect(self, number: int = 1, target: str = "/") -> None:
        """A browser comes."""
        self.tell(Cmd.CONNECT, number)
        self.tell(Cmd.WEBSOCKET_CONNECT, number, flag=0, body=request(target))

    def say(self, text: str, number: int = 1) -> None:
        """A browser sends a message."""
        self.tell(Cmd.MESSAGE, number, body=text.encode())

    def said(self, number: int = 1) -> list[str]:
        """What a browser was sent."""
        return [
            frame.body.decode()
            for frame in self.frames
            if (frame.cmd, frame.connection_id) == (Cmd.SEND_TO_ONE, number)
        ]

    def end(self) -> None:
        """Our side of it; the other may still write."""
        self.writer.write_eof()


class Gateway:
    """Notes who connects in `wires`, and answers IS_ONLINE with `answer`; keeps `sessions`."""

    def __init__(self, *, ours: bool = True) -> None:
        self.ours = ours
        self.answer = b"i:0;"
        self.sessions: dict[int, bytes] = {}
        """By the numbers of browsers."""
        self.silent: set[Wire] = set()
        """Who gets no answers."""
        self.at_once: Callable[[Wire], object] | None = None
        """Called with each connection, before anything has come from it."""
        self.wires: list[Wire] = []
        self.port = 0

    async def start(self) -> str:
        """Its address."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        address = _address(self._server)
        self.port = int(address.rpartition(":")[2])
        return address

    @property
    def place(self) -> Place:
        return Place(0x7F000001, self.port, 0x7F000001, 41748, 7272)

    @property
    def workers(self) -> list[Wire]:
        """All that have greeted as such, the newest last."""
        return [wire for wire in self.wires if wire.is_worker]

    async def worker(self, count: int = 1) -> Wire:
        """The newest, once there have been so many."""
        await until(lambda: len(self.workers) >= count)
        return self.workers[-1]

    def stop(self) -> None:
        """It is gone, and all connections with it."""
        self._server.close()
        for wire in self.wires:
            wire.writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(self, writer)
        self.wires.append(wire)
        if self.at_once is not None:
            self.at_once(wire)
        frames = FrameReader(LIMIT)
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                wire.bytes += data
                for frame in frames.feed(data):
                    wire.frames.append(frame)
                    self._take(wire, frame)
        wire.ended = True
        writer.close()

    def _take(self, wire: Wire, frame: Frame) -> None:
        if frame.cmd == Cmd.SET_SESSION:
            self.sessions[frame.connection_id] = frame.ext
        if wire in self.silent:
            return
        if frame.cmd == Cmd.IS_ONLINE:
            wire.write(encode_answer(self.answer))
        if frame.cmd == Cmd.GET_SESSION:
            wire.write(encode_answer(self.sessions.get(frame.connection_id, dumps({}))))
        if frame.cmd == Cmd.LEAVE:
            wire.write(encode(Cmd.HANDED_OVER))


class Cluster:
    """One Register at `register`, and the gateways that it lists."""

    def __init__(self) -> None:
        self._register = Register()
        self.gateways: list[Gateway] = []
        self.register = ""

    async def __aenter__(self) -> Self:
        self.register = await self._register.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._register.stop()
        for gateway in self.gateways:
            gateway.stop()
        await asyncio.sleep(0)

    @property
    def lines(self) -> list[bytes]:
        """What the Register was told."""
        return self._register.lines

    def lose_register(self) -> None:
        """It is gone."""
        self._register.stop()

    async def add(self, *, ours: bool = True) -> Gateway:
        """One gateway more."""
        gateway = Gateway(ours=ours)
        self.gateways.append(gateway)
        self._register.addresses.append(await gateway.start())
        self._register.tell()
        return gateway

    async def remove(self, gateway: Gateway) -> None:
        """It dies, and the Register sees that."""
        gateway.stop()
        self.gateways.remove(gateway)
        self._register.addresses.remove(f"127.0.0.1:{gateway.port}")
        self._register.tell()


@asynccontextmanager
async def cluster(gateways: int = 1, *, ours: bool = True) -> AsyncIterator[Cluster]:
    """With so many gateways."""
    async with Cluster() as made:
        for _ in range(gateways):
            await made.add(ours=ours)
        yield made


def _address(server: asyncio.Server) -> str:
    host, port = server.sockets[0].getsockname()
    return f"{host}:{port}"
