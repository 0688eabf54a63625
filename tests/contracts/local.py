"""The world of one process: the Gateway's executor is the Node that has the connections."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator

from pushline.codecs.http_head import Request
from pushline.config import Address, load
from pushline.connection import Connection
from pushline.gateway import Executor, Gateway
from pushline.hub import Hub
from pushline.listeners.pages import Pages
from pushline.listeners.sockets import listen
from pushline.listeners.websocket import WebSocketListener
from pushline.loop_runner import LoopRunner
from pushline.messages import Close, Message
from pushline.metrics import Metrics
from pushline.node import Node
from pushline.outbox import Outbox
from pushline.wheel import Ticker, Wheel
from tests.browser import DEADLINE
from tests.contracts.world import Tab, World, open_tab

CONFIG = load(None, {}, {})


class Greeting:
    """A client protocol that tells each its client_id, and takes no notice of what it says."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def admit(self, connection: Connection, request: Request) -> None:
        """All are let in."""

    def refused(self, connection: Connection) -> None:
        """Never called."""

    def opened(self, connection: Connection) -> None:
        self._node.hub.add(connection)
        connection.send(Message(self._node.client_id(connection).encode()))

    def received(self, connection: Connection, opcode: int, payload: str | bytes) -> None:
        """Nothing is asked of it."""

    def closed(self, connection: Connection, close: Close) -> None:
        """Nothing was kept of it."""


class LocalWorld:
    """As World has it: pages of one node after the other, asked through an Executor."""

    counts = utypes = True

    def __init__(self, executor: Executor, *urls: str) -> None:
        self.ordered = len(urls) == 1
        self.gateway = Gateway()
        self.gateway.attach(executor, LoopRunner(asyncio.get_running_loop(), DEADLINE))
        self._urls = itertools.cycle(urls)
        self.tabs: list[Tab] = []

    async def connect(self) -> Tab:
        self.tabs.append(await open_tab(next(self._urls)))
        return self.tabs[-1]

    async def leave(self) -> None:
        """Close all pages."""
        for tab in self.tabs:
            await tab.leave()


def new_node() -> Node:
    """One without listeners."""
    return Node(Hub(), Outbox(asyncio.get_running_loop(), CONFIG.limits.queue, Metrics()))


@contextlib.asynccontextmanager
async def serving(node: Node) -> AsyncIterator[str]:
    """The URL of a port for browsers."""
    loop, wheel, metrics = asyncio.get_running_loop(), Wheel(), Metrics()
    pages = Pages(demo=False, text="", secret=False, auth="open")
    listener = WebSocketListener(CONFIG, node, wheel, metrics, Greeting(node), pages)
    server, address = await listen(Address("127.0.0.1"), listener.accept, CONFIG.limits)
    ticker = Ticker(wheel, loop)
    try:
        yield f"ws://{address}"
    finally:
        server.close()
        ticker.stop()


@contextlib.asynccontextmanager
async def local_world() -> AsyncIterator[World]:
    """One for a test."""
    node = new_node()
    async with serving(node) as url:
        world = LocalWorld(node, url)
        try:
            yield world
        finally:
            await world.leave()
