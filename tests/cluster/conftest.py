"""Nodes as processes of their own, on a real `redis-server`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers.servers import RedisServer


@pytest.fixture(scope="module")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One that nobody harms."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """One that a test may kill."""
    with RedisServer(tmp_path) as server:
        yield server
