"""A user's tab: a browser that is logged in at the real server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection, connect

from pushline.client import AsyncClient
from pushline.client.pushes import MAX_LINE
from tests.client.peer import PATIENCE
from tests.server import Server

Uid = str | int


async def received(browser: ClientConnection) -> str:
    message = await asyncio.wait_for(browser.recv(), PATIENCE)
    assert isinstance(message, str)
    return message


@asynccontextmanager
async def browser(running: Server, uid: Uid, utype: Uid = 0) -> AsyncIterator[ClientConnection]:
    """A browser that is logged in: a push to it has come back."""
    async with connect(f"ws://{running.websocket}/", max_size=2 * MAX_LINE) as socket:
        await socket.send(json.dumps({"uid": uid, "utype": utype}))
        async with AsyncClient(running.text) as client, asyncio.timeout(PATIENCE):
            while not await client.push(uid, {"hello": 1}, utype=utype):
                pass
        await received(socket)
        yield socket
