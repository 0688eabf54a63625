"""Nodes of a cluster, as their brokers have them."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable

from pushline.brokers.base import Broker
from pushline.brokers.redis import RedisBroker, Times

A, B, C = "0000000000aa", "0000000000bb", "0000000000cc"
"""Names of nodes."""
PATIENCE = 20.0
"""Seconds in which what a test waits for happens, or never."""
QUICK = Times(lease=1.0, renew=0.25, patience=0.8, retry=0.01, retry_most=0.1, join=5.0)
"""About a tenth of what is usual."""
PATIENT = QUICK._replace(patience=PATIENCE)


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await _true(condition()):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)


async def _true(result: bool | Awaitable[bool]) -> bool:
    return await result if inspect.isawaitable(result) else bool(result)


class Node:
    """`received` is what came of other nodes: channels and payloads; `ousted` are the users that
    they have taken, and the clients that had them."""

    def __init__(self, broker: Broker, name: str) -> None:
        self.broker = broker
        self.name = name
        self.received: list[tuple[bytes, bytes]] = []
        self.ousted: list[tuple[bytes, str]] = []
        broker.ousted = lambda user, client: self.ousted.append((user, client))

    async def start(self) -> None:
        await self.broker.start(self.name, self.take)

    def take(self, channel: bytes, payload: bytes) -> None:
        self.received.append((channel, payload))

    async def got(self, count: int) -> list[tuple[bytes, bytes]]:
        """All that came, when it is at least so many."""
        await until(lambda: len(self.received) >= count)
        return self.received

    async def sees(self, channel: bytes, others: int) -> None:
        """Wait until so many other nodes are subscribed."""

        async def counted() -> bool:
            return await self.broker.subscribers([channel]) == [others]

        await until(counted)

    async def finds(self, user: bytes, places: dict[str, int]) -> None:
        """Wait until a user is there."""

        async def found() -> bool:
            return await self.broker.whereabouts([user]) == [places]

        await until(found)


def on_redis(
    name: str, *urls: str, prefix: str = "test:", timeout: float = 0.4, times: Times = QUICK
) -> Node:
    """One whose broker is on Redis, not started yet."""
    return Node(RedisBroker(urls, prefix=prefix, timeout=timeout, times=times), name)


@contextlib.asynccontextmanager
async def started(*nodes: Node) -> AsyncIterator[None]:
    """They are started one after the other, and stopped in the end."""
    try:
        for node in nodes:
            await node.start()
        yield
    finally:
        for node in nodes:
            await node.broker.stop()
