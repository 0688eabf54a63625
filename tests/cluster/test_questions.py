"""Questions to nodes whose users come and go, on a real Redis, in one event loop."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from pushline.brokers.redis import RedisBroker
from pushline.cluster.cluster import Cluster
from pushline.commands import Clients, ClientsOfUids, SendToGroup, SendToUid, Sent
from pushline.messages import Message
from pushline.node import Node
from tests.brokers.servers import RedisServer
from tests.browser import DEADLINE
from tests.core import Keeper, transport_of

TIMES = 300
AT_ONCE = 1.0
"""Seconds: less than a question may take where a node that was asked does not answer."""
HELLO = Message(b"hello")


class World:
    """Two nodes; `keeper` has the connections of the second one."""

    def __init__(self, url: str) -> None:
        self._keepers = [Keeper(asyncio.get_running_loop()) for _ in range(2)]
        nodes = [Node(keeper.hub, keeper.outbox) for keeper in self._keepers]
        self.brokers = [RedisBroker([url]) for _ in nodes]
        self.clusters = [
            Cluster(node, broker, DEADLINE)
            for node, broker in zip(nodes, self.brokers, strict=True)
        ]
        self.keeper = self._keepers[1]
        self.delivered = 0

    async def come_and_go(self) -> None:
        """One user, in and out of a group, as fast as Redis hears of it."""
        while True:
            connection = self.keeper.log_in("u")
            self.keeper.hub.join(connection, "g")
            await asyncio.sleep(0.0002)
            self.keeper.outbox._pass()
            self.delivered += transport_of(connection).written.count(b"hello")
            connection.lost()
            await asyncio.sleep(0.0002)


@pytest_asyncio.fixture
async def world(shared_redis: RedisServer) -> AsyncIterator[World]:
    world = World(shared_redis.url)
    for cluster in world.clusters:
        await cluster.start()
    churn = asyncio.create_task(world.come_and_go())
    yield world
    assert not churn.done()
    churn.cancel()
    for broker in world.brokers:
        await broker.stop()


async def test_every_question_has_its_answer_whoever_leaves_meanwhile(world: World) -> None:
    """A node that is asked answers, though nobody is left there of whom it was asked."""
    ask, delivered = world.clusters[0].ask, 0
    async with asyncio.timeout(DEADLINE):
        for _ in range(TIMES):
            sent = await ask(SendToUid(("u",), "0", HELLO))
            assert sent in (Sent(1), Sent(0, ("u",)))
            delivered += sent.delivered or 0
            sent = await ask(SendToGroup(("g",), None, HELLO))
            assert sent in (Sent(1), Sent(0, ("g",)))
            delivered += sent.delivered or 0
            assert len((await ask(ClientsOfUids(("u",), "0")))["u"]) <= 1
            members = await ask(Clients("g"))
            assert len(members) <= 1
        while world.delivered < delivered:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)
    assert world.delivered == delivered > 0


async def test_a_node_that_stops_keeps_nobody_waiting(shared_redis: RedisServer) -> None:
    nobody = tuple(f"nobody{number}" for number in range(300))
    for _ in range(8):
        world = World(shared_redis.url)
        one, two = world.clusters
        await one.start()
        await two.start()
        for number in range(1000):
            world.keeper.log_in(f"u{number}")
        stopping = asyncio.create_task(world.brokers[1].stop())
        while not stopping.done():
            async with asyncio.timeout(AT_ONCE):
                assert await one.ask(SendToUid(nobody, "0", HELLO)) == Sent(0, nobody)
                assert await one.ask(ClientsOfUids(("nobody",), "0")) == {"nobody": []}
                await one.ask(Clients("g"))
        await world.brokers[0].stop()
