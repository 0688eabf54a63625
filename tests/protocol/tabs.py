"""Tabs of ordinary browsers: the `websockets` library, which answers pings by itself."""

import contextlib
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.browser import DEADLINE
from tests.server import Server


def open_page(server: Server, path: str = "/") -> ClientConnection:
    """A connection that has said nothing yet; it holds all that comes, however much."""
    return connect(
        f"ws://{server.websocket}{path}",
        proxy=None,
        ping_interval=None,
        max_queue=None,
        open_timeout=DEADLINE,
    )


@contextlib.contextmanager
def tab(server: Server, *first: str | bytes, path: str = "/") -> Iterator[ClientConnection]:
    """A page that has sent its first messages, its login among them; they have been handled."""
    with open_page(server, path) as page:
        for message in first:
            page.send(message)
        settle(page)
        yield page


def settle(page: ClientConnection) -> None:
    """Return once the server has handled all that was sent: it has answered a ping."""
    assert page.ping().wait(DEADLINE)


def messages(page: ClientConnection) -> list[bytes]:
    """The messages that have come until now, by the server's own order."""
    settle(page)
    received = []
    with contextlib.suppress(TimeoutError):
        while True:
            received.append(text_of(page.recv(timeout=0)))
    return received


def received(page: ClientConnection) -> bytes:
    """The next message."""
    return text_of(page.recv(timeout=DEADLINE))


def text_of(message: str | bytes) -> bytes:
    assert isinstance(message, str), "a push is a text message"
    return message.encode()


def close_code(page: ClientConnection) -> int:
    """The code with which the server closes the connection, which gets nothing before that."""
    with pytest.raises(ConnectionClosed) as closed:
        page.recv(timeout=DEADLINE)
    assert closed.value.rcvd is not None, "the connection ended without a Close frame"
    return closed.value.rcvd.code
