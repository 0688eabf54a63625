"""The worlds in which every test of the contract is run."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import uvloop

from tests.brokers.servers import RedisServer
from tests.contracts.cluster import (
    memory_cluster_world,
    other_memory_cluster_world,
    other_redis_cluster_world,
    redis_cluster_world,
)
from tests.contracts.gateways import gateway_world, gateways_world
from tests.contracts.local import local_world
from tests.contracts.world import World

WORLDS: list[Callable[[], contextlib.AbstractAsyncContextManager[World]]] = [
    local_world,
    gateway_world,
    gateways_world,
    memory_cluster_world,
    other_memory_cluster_world,
]
ON_REDIS: list[Callable[[str], contextlib.AbstractAsyncContextManager[World]]] = [
    redis_cluster_world,
    other_redis_cluster_world,
]
"""These are given the URL of one."""


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loop of the server."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def redis_of_worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One for all worlds, each of which has a prefix of its own there."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=[*WORLDS, *ON_REDIS], ids=lambda world: world.__name__)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    on_redis = request.param in ON_REDIS
    url = [request.getfixturevalue("redis_of_worlds").url] if on_redis else []
    async with request.param(*url) as world:
        yield world
