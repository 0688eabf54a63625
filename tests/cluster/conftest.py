"""Nodes as processes of their own, on a real `redis-server`."""

from collections.abc import Iterator

import pytest

from tests.brokers.servers import RedisServer


@pytest.fixture(scope="module")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One that nobody harms."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server
