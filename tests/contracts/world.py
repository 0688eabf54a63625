"""Where the verbs' contract is tried: a server with browsers, and a Gateway that reaches it."""

import asyncio
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from pushline.gateway import Gateway
from pushline.messages import ABNORMAL, Close
from tests.browser import DEADLINE


class Tab:
    """One page of a browser. `client_id` is the first message that its server has sent it."""

    def __init__(self, socket: ClientConnection, client_id: str) -> None:
        self.client_id = client_id
        self._socket = socket

    async def received(self) -> str | bytes:
        """The next message: text as str, binary as bytes."""
        async with asyncio.timeout(DEADLINE):
            return await self._socket.recv()

    async def closed(self) -> Close:
        """How the server closes it, which sends nothing more before that."""
        try:
            message = await self.received()
        except ConnectionClosed as closed:
            frame = closed.rcvd
            return Close(frame.code, frame.reason) if frame is not None else ABNORMAL
        raise AssertionError(f"a message in place of the end: {message!r}")

    async def leave(self) -> None:
        """Close the page; the server knows of it afterwards."""
        async with asyncio.timeout(DEADLINE):
            await self._socket.close()


class World(Protocol):
    """`counts` is whether sends and actions have answers there, `ordered` whether lists are in the
    order of coming (where there are several nodes they are in each of them only), `utypes` whether
    there are others than 0."""

    gateway: Gateway
    counts: bool
    ordered: bool
    utypes: bool

    async def connect(self) -> Tab:
        """A new page: nobody's, in no group, and with no session."""


async def open_tab(url: str) -> Tab:
    """A page of a server that tells each its client_id at once."""
    socket = await connect(url, proxy=None, ping_interval=None, open_timeout=DEADLINE)
    async with asyncio.timeout(DEADLINE):
        client_id = await socket.recv()
    assert isinstance(client_id, str)
    return Tab(socket, client_id)
