"""Coroutines are tested on both event loops: a back end may run on either."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
import uvloop

from tests.client.peer import Peer


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer
