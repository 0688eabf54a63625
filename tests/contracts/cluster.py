"""Worlds of two nodes that a Broker connects, asked at one of them; pages are at both."""

import contextlib
import itertools
from collections.abc import AsyncIterator

from pushline.brokers.base import Broker
from pushline.brokers.memory import Bus, MemoryBroker
from pushline.brokers.redis import RedisBroker
from pushline.cluster.cluster import Cluster
from tests.browser import DEADLINE
from tests.contracts.local import LocalWorld, new_node, serving
from tests.contracts.world import World

_clusters = itertools.count()


@contextlib.asynccontextmanager
async def cluster_of(one: Broker, two: Broker, asked: int) -> AsyncIterator[World]:
    """Two nodes, of which the one of this number is asked."""
    nodes, brokers = (new_node(), new_node()), (one, two)
    clusters = [
        Cluster(node, broker, DEADLINE) for node, broker in zip(nodes, brokers, strict=True)
    ]
    async with contextlib.AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(serving(node)) for node in nodes]
        for cluster, broker in zip(clusters, brokers, strict=True):
            await cluster.start()
            stack.push_async_callback(broker.stop)
        world = LocalWorld(clusters[asked], *urls)
        stack.push_async_callback(world.leave)
        yield world


@contextlib.asynccontextmanager
async def memory_cluster_world() -> AsyncIterator[World]:
    """In one process."""
    bus = Bus()
    async with cluster_of(MemoryBroker(bus), MemoryBroker(bus), 0) as world:
        yield world


@contextlib.asynccontextmanager
async def other_memory_cluster_world() -> AsyncIterator[World]:
    """The same, asked at the other node."""
    bus = Bus()
    async with cluster_of(MemoryBroker(bus), MemoryBroker(bus), 1) as world:
        yield world


@contextlib.asynccontextmanager
async def redis_cluster_world(url: str) -> AsyncIterator[World]:
    """On a real Redis."""
    async with cluster_of(*_on_redis(url), 0) as world:
        yield world


@contextlib.asynccontextmanager
async def other_redis_cluster_world(url: str) -> AsyncIterator[World]:
    """The same, asked at the other node."""
    async with cluster_of(*_on_redis(url), 1) as world:
        yield world


def _on_redis(url: str) -> tuple[Broker, Broker]:
    prefix = f"world{next(_clusters)}:"
    return RedisBroker([url], prefix=prefix), RedisBroker([url], prefix=prefix)
