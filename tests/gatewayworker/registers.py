"""A Register, ours, that goes and comes back when a test says so, and peers of it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Self, cast

from pushline.address import Address
from pushline.codecs import register_lines
from pushline.codecs.register_lines import Addresses, GatewayConnect, Line, WorkerConnect
from pushline.config import Limits
from pushline.listeners.register import RegisterListener
from pushline.listeners.sockets import listen
from pushline.metrics import Metrics
from pushline.wheel import Wheel

PATIENCE = 20.0
"""Seconds in which what a test waits for happens, or never."""
SECRET = "s3cret"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)


class Register:
    """Listens at `address`, the same one when it is started again. Its wheel turns by hand."""

    listener: RegisterListener

    def __init__(
        self,
        secret: str = SECRET,
        *,
        connections: int = 1000,
        host: str = "127.0.0.1",
        limits: Limits | None = None,
    ) -> None:
        self.secret = secret
        self.connections = connections
        self.wheel = Wheel()
        self.metrics = Metrics()
        self.address = Address(host)
        self.limits = limits or Limits()

    async def start(self) -> None:
        self.listener = RegisterListener(
            self.secret, self.wheel, self.metrics, connections=self.connections
        )
        self._server, self.address = await listen(self.address, self.listener.accept, self.limits)

    async def stop(self) -> None:
        self._server.close()
        self.listener.close()
        await until(lambda: not self.listener.peers)

    def advance(self, seconds: float) -> None:
        for _ in range(round(seconds / self.wheel.tick)):
            self.wheel.advance()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        assert self.wheel.items() == []
        assert self.listener.gateways == ()
        assert self.listener.workers == 0


class Peer:
    """A plain connection to a Register."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._transport = cast(asyncio.Transport, writer.transport)

    def say(self, said: Line | bytes) -> None:
        self._writer.write(said if isinstance(said, bytes) else register_lines.encode(said))

    def stop_reading(self) -> None:
        self._transport.pause_reading()

    def go_on_reading(self) -> None:
        self._transport.resume_reading()

    async def told(self) -> tuple[str, ...]:
        """The next list."""
        message = register_lines.decode(await self._line())
        assert isinstance(message, Addresses)
        return message.addresses

    async def ended(self) -> bool:
        """The other side ends it without another word."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                return await self._reader.read() == b""
        return True

    async def _line(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return (await self._reader.readline()).removesuffix(b"\n")

    async def leave(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


@contextlib.asynccontextmanager
async def peer(
    address: Address, said: Line | bytes = b"", *, receive_buffer: int = 0
) -> AsyncIterator[Peer]:
    """One that begins by saying this."""
    plug = socket.socket()
    plug.setblocking(False)
    if receive_buffer:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(plug, (address.host, address.port))
    connected = Peer(*await asyncio.open_connection(sock=plug))
    connected.say(said)
    try:
        yield connected
    finally:
        await connected.leave()


@contextlib.asynccontextmanager
async def gateway(register: Register, address: str) -> AsyncIterator[Peer]:
    """One that is on the list."""
    async with peer(register.address, GatewayConnect(address, register.secret)) as connected:
        await until(lambda: address in register.listener.gateways)
        yield connected


@contextlib.asynccontextmanager
async def worker(register: Register, *expected: str) -> AsyncIterator[Peer]:
    """One that has been told these."""
    async with peer(register.address, WorkerConnect(register.secret)) as connected:
        assert await connected.told() == expected
        yield connected
