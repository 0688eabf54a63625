"""The text port of a node beside another one, of which it is known only later what it has got."""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pushline.brokers.memory import Bus
from pushline.cluster.pushes import Pushes
from pushline.cluster.questions import Questions
from pushline.codecs.cluster_wire import channel_of_uid
from pushline.config import Address, load
from pushline.listeners.sockets import listen
from pushline.listeners.text import TextListener
from pushline.metrics import Metrics
from pushline.node import Node
from pushline.wheel import Ticker, Wheel
from tests.browser import DEADLINE
from tests.core import Keeper
from tests.members import Member, Slow, member

A, B = "0000000000aa", "0000000000bb"
PIPELINE = 10
CLOSE_TIMEOUT = 0.2
LONGEST = 4096
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with which close() sends a RST."""


class Port(Member):
    """That of the node A, where `here` is connected."""

    broker: Slow

    def __init__(self, bus: Bus) -> None:
        super().__init__(Slow(bus), A)
        self.keeper = Keeper(asyncio.get_running_loop())
        self.keeper.log_in("here")
        self.metrics = Metrics()
        self.wheel = Wheel(0.02)
        questions = Questions(self.broker, DEADLINE)
        questions.name = A
        node = Node(self.keeper.hub, self.keeper.outbox)
        environ = {
            "PUSHLINE_TEXT_PIPELINE": str(PIPELINE),
            "PUSHLINE_TEXT_MAX_LINE": str(LONGEST),
            "PUSHLINE_LIMITS_CLOSE_TIMEOUT": str(CLOSE_TIMEOUT),
        }
        self._config = load(None, environ, {})
        self.listener = TextListener(
            self._config,
            node,
            self.wheel,
            self.metrics,
            Pushes(node, self.broker, questions),
        )

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Address]:
        server, address = await listen(
            Address("127.0.0.1"), self.listener.accept, self._config.limits
        )
        ticker = Ticker(self.wheel, asyncio.get_running_loop())
        try:
            yield address
        finally:
            server.close()
            for back_end in tuple(self.listener.back_ends):
                back_end.abort()
            ticker.stop()


class BackEnd:
    """A connection to the port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def push(self, *uids: object) -> None:
        for uid in uids:
            self.writer.write(json.dumps({"uid": uid}).encode() + b"\n")

    async def answers(self, count: int) -> str:
        """One letter for each: `o` or `f`."""
        async with asyncio.timeout(DEADLINE):
            lines = [await self._reader.readline() for _ in range(count)]
        return b"".join(line[:1] for line in lines).decode()

    async def rest(self) -> bytes:
        """All until the server ends the connection."""
        async with asyncio.timeout(DEADLINE):
            return await self._reader.read()

    async def is_told_nothing(self) -> bool:
        """However often the loop turns."""
        for _ in range(50):
            await asyncio.sleep(0.001)
        return not self._reader._buffer  # type: ignore[attr-defined] # typeshed has no such thing


@pytest_asyncio.fixture
async def port() -> AsyncIterator[Port]:
    bus = Bus()
    port = Port(bus)
    await port.start()
    await member(bus, B, channel_of_uid("there", "0"))
    yield port


@pytest_asyncio.fixture
async def back_end(port: Port) -> AsyncIterator[BackEnd]:
    async with port.open() as address:
        back_end = BackEnd(*await asyncio.open_connection("127.0.0.1", address.port))
        yield back_end
        back_end.writer.close()


async def until(port: Port, lines: int) -> None:
    """So many pushes have been published."""
    async with asyncio.timeout(DEADLINE):
        while port.broker.counts.published < lines:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)


async def test_who_is_anywhere_has_got_it(back_end: BackEnd, port: Port) -> None:
    back_end.push("here", "there", "nowhere", ["nowhere", "there"], "", ["nowhere", 7])
    assert await back_end.answers(6) == "oofoof"
    assert port.metrics.pushes == 4
    assert port.metrics.offline == 2


async def test_answers_keep_the_order_of_the_pushes(back_end: BackEnd, port: Port) -> None:
    port.broker.is_silent = True
    back_end.push("there", "here", "nowhere", "here")
    back_end.writer.write(b"!\n")
    await until(port, 4)
    assert await back_end.is_told_nothing()
    port.broker.tell(2)
    assert await back_end.answers(2) == "oo"
    assert await back_end.is_told_nothing()
    port.broker.tell()
    assert await back_end.answers(3) == "fof"


async def test_what_is_not_known_to_be_delivered_is_a_fail_and_nobody_is_called_offline(
    back_end: BackEnd, port: Port
) -> None:
    await port.broker.stop()
    back_end.push("there", "here", "")
    assert await back_end.answers(3) == "foo", "a broadcast has come to those here"
    assert (port.metrics.pushes, port.metrics.offline) == (2, 0)


async def test_everyone_is_nobody_s_failure_but_the_broker_s(back_end: BackEnd, port: Port) -> None:
    (here,) = port.keeper.hub.of_uid("here", "0")
    here.lost()
    back_end.push("")
    assert await back_end.answers(1) == "o"
    await port.broker.stop()
    back_end.push("")
    assert await back_end.answers(1) == "f"


async def test_a_back_end_that_sends_nothing_more_gets_all_its_answers(
    back_end: BackEnd, port: Port
) -> None:
    """As `printf … | nc` does."""
    port.broker.is_silent = True
    back_end.push("there", "here", "nowhere")
    back_end.writer.write_eof()
    await until(port, 3)
    assert await back_end.is_told_nothing()
    await asyncio.sleep(2 * CLOSE_TIMEOUT)
    port.broker.tell()
    assert await back_end.rest() == b"ok\nok\nfail\n"


async def test_a_back_end_that_knows_all_is_let_go_when_it_sends_nothing_more(
    back_end: BackEnd,
) -> None:
    back_end.push("here")
    back_end.writer.write_eof()
    assert await back_end.rest() == b"ok\n"


@pytest.mark.parametrize("last", [b"x" * (LONGEST + 1), b"GET / HTTP/1.1\r\n\r\n"])
async def test_the_end_because_of_a_line_comes_behind_the_answers_before_it(
    back_end: BackEnd, port: Port, last: bytes
) -> None:
    port.broker.is_silent = True
    back_end.push("there", "nowhere")
    back_end.writer.write(last)
    await until(port, 2)
    assert await back_end.is_told_nothing()
    port.broker.tell()
    end = b"" if b"HTTP" in last else b"fail\n"
    assert await back_end.rest() == b"ok\nfail\n" + end


async def test_a_back_end_is_not_read_from_while_so_many_answers_are_awaited(
    back_end: BackEnd, port: Port
) -> None:
    port.broker.is_silent = True
    back_end.push(*["there"] * PIPELINE)
    await until(port, PIPELINE)
    back_end.push(*["there"] * PIPELINE)
    assert await back_end.is_told_nothing()
    assert port.broker.counts.published == PIPELINE
    port.broker.tell()
    await until(port, 2 * PIPELINE)
    port.broker.tell()
    assert await back_end.answers(2 * PIPELINE) == "o" * 2 * PIPELINE


async def test_a_back_end_that_has_gone_leaves_nothing_behind(
    back_end: BackEnd, port: Port
) -> None:
    port.broker.is_silent = True
    back_end.push("there", "nowhere", "there")
    await until(port, 3)
    plug = back_end.writer.get_extra_info("socket")
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    back_end.writer.transport.abort()
    async with asyncio.timeout(DEADLINE):
        while port.listener.back_ends:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)
    port.broker.tell()
    await asyncio.sleep(0.01)
    assert (port.metrics.pushes, port.metrics.offline) == (0, 0)
    assert port.wheel.items() == []
