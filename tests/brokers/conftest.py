"""Brokers run on the event loop that nodes have."""

import asyncio
import gc
from collections.abc import Callable, Iterator

import pytest
import uvloop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def no_error_is_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A future whose error nobody takes says so when it is collected."""
    yield
    gc.collect()
    assert "never retrieved" not in caplog.text
