"""The worlds in which every test of the contract is run."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from tests.contracts.cluster import memory_cluster_world, other_memory_cluster_world
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


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loop of the server."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(params=WORLDS, ids=lambda world: world.__name__)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with request.param() as world:
        yield world
