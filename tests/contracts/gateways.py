"""Worlds of gateways on GatewayWorker's wire, driven by a GatewayClient."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from pushline.client import GatewayClient
from pushline.config import Address
from pushline.gatewayworker.register_client import RegisterClient
from pushline.listeners.gateway import GatewayListener
from pushline.listeners.register import RegisterListener
from pushline.listeners.sockets import listen
from pushline.metrics import Metrics
from pushline.node import Node
from pushline.wheel import Ticker, Wheel
from tests.browser import DEADLINE
from tests.contracts.local import CONFIG, LocalWorld, new_node, serving
from tests.contracts.world import World

POLL = 0.01
HERE = Address("127.0.0.1")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - a listener has no event for it
            await asyncio.sleep(POLL)


@contextlib.asynccontextmanager
async def registered(node: Node, register: Address) -> AsyncIterator[None]:
    """A gateway's inner port, which the Register knows."""
    loop, wheel = asyncio.get_running_loop(), Wheel()
    listener = GatewayListener(CONFIG, node, wheel, Metrics(), None)
    server, address = await listen(HERE, listener.accept, CONFIG.limits)
    listener.open_at(0x7F000001 << 16 | address.port)
    ticker, client = Ticker(wheel, loop), RegisterClient(register, "", gateway=str(address))
    client.start()
    try:
        yield
    finally:
        await client.stop()
        server.close()
        for link in tuple(listener.links):
            link.abort()
        ticker.stop()


class GatewaysWorld(LocalWorld):
    """As World has it: pages of one gateway after the other."""

    counts = utypes = False

    def __init__(self, gateway: GatewayClient, *urls: str) -> None:
        super().__init__(gateway.executor, *urls)
        self.gateway.attach(gateway.executor, self.gateway.runner)


@contextlib.asynccontextmanager
async def gateways_of(count: int) -> AsyncIterator[World]:
    """So many gateways that one Register knows."""
    wheel = Wheel()
    listener = RegisterListener("", wheel, Metrics(), connections=100)
    async with contextlib.AsyncExitStack() as stack:
        server, register = await listen(HERE, listener.accept, CONFIG.limits)
        stack.callback(server.close)
        stack.callback(listener.close)
        urls = []
        for _ in range(count):
            node = new_node()
            await stack.enter_async_context(registered(node, register))
            urls.append(await stack.enter_async_context(serving(node)))
        client = await stack.enter_async_context(GatewayClient(str(register)))
        await until(lambda: len(listener.gateways) == count)
        world = GatewaysWorld(client, *urls)
        stack.push_async_callback(world.leave)
        yield world


@contextlib.asynccontextmanager
async def gateway_world() -> AsyncIterator[World]:
    """One gateway."""
    async with gateways_of(1) as world:
        yield world


@contextlib.asynccontextmanager
async def gateways_world() -> AsyncIterator[World]:
    """Two of them."""
    async with gateways_of(2) as world:
        yield world
