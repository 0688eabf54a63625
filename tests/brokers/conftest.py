"""Brokers run on the event loop that nodes have."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from tests.brokers.servers import RedisServer


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def no_error_is_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A future whose error nobody takes says so when it is collected."""
    yield
    gc.collect()
    assert "never retrieved" not in caplog.text


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One that nobody harms; each test has a prefix of its own there."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """One that a test may kill."""
    with RedisServer(tmp_path) as server:
        yield server
