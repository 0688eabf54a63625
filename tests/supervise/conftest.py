"""Processes of one server reach each other over a Redis of the tests' own."""

from collections.abc import Iterator

import pytest

from tests.brokers.servers import RedisServer


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server
