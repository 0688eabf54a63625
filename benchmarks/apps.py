"""The applications that are measured, besides the chat in `examples/`."""

import time

from pushline import App, Client

VERBS = 5000
"""Calls of a verb for each run."""

echo = App()
verb = App()


@echo.on_message
async def send_back(client: Client, data: str | bytes) -> None:
    await client.send(data)


@verb.on_message
async def send_many(client: Client, data: str) -> None:
    """Ends with the µs of CPU that each call took, the bytes' way to the kernel not counted."""
    began = time.process_time()
    for _ in range(VERBS):
        await verb.gateway.send_to_client(client.id, data)
    took = (time.process_time() - began) / VERBS * 1e6
    await client.send(str(took))
