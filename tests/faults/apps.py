"""Applications that misbehave on request."""

import asyncio
import sys
import time

from pushline import App, Client

BLOCKED = 5.0
"""Seconds."""
BLOCKING = "the loop is blocked\n"
"""Written to standard error before it is."""
FLOOD = 1000
"""Messages of 64 KiB that are sent without a pause in between."""

asynchronous = App()
plain = App()
_released = asyncio.Event()


@asynchronous.on_message
async def do_as_told(client: Client, data: str) -> None:
    if data == "raise":
        raise LookupError("as told")
    if data == "hang":
        await client.send("hanging")
        await _released.wait()
    elif data == "release":
        _released.set()
    elif data == "flood":
        for _ in range(FLOOD):
            await client.send("x" * 65_536)
    elif data == "block the loop":
        time.sleep(1)  # noqa: ASYNC251 - as told
    elif data == "block the loop for ever":
        print(BLOCKING, end="", file=sys.stderr, flush=True)
        time.sleep(3600)  # noqa: ASYNC251 - as told
    await client.send(f"{client.id} {data}")


@plain.on_message
def block_as_told(client: Client, data: str) -> None:
    if data == "block":
        client.sync.send("blocking")
        time.sleep(BLOCKED)
    client.sync.send(data)


slow_start = App()


@slow_start.on_start
async def take_your_time() -> None:
    print("starting", file=sys.stderr, flush=True)
    await asyncio.sleep(60)


by_uid = App()


@by_uid.on_message
async def bind(client: Client, data: str) -> None:
    await client.bind(data)
    await client.send("bound")
