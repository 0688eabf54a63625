"""What the fuzzing client talks to: an echo in place of the plain client protocol.

Everything below it is Pushline's own: the listener, the codecs, the connection. Prints its URL.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import uvloop

from pushline.codecs.http_head import Request
from pushline.codecs.websocket import BINARY
from pushline.config import Address, load
from pushline.connection import Connection
from pushline.hub import Hub
from pushline.listeners.pages import Pages
from pushline.listeners.sockets import listen
from pushline.listeners.websocket import WebSocketListener
from pushline.messages import Close, Message
from pushline.metrics import Metrics
from pushline.node import Node
from pushline.outbox import Outbox
from pushline.wheel import Ticker, Wheel

CONFIG = load(
    None,
    {
        "PUSHLINE_WEBSOCKET_COMPRESSION": "true",
        "PUSHLINE_LIMITS_MESSAGE": "16 MiB",  # the longest of any case, 9.1.6 and 9.2.6
        "PUSHLINE_LIMITS_QUEUE": "32 MiB",
    },
    {},
)


class Echo:
    """A client protocol that sends every message back, before the next frame is looked at.

    An application would do it a moment later: behind the Close, where the next frame is broken.
    """

    def admit(self, connection: Connection, request: Request) -> Coroutine[Any, Any, None] | None:
        return None

    def refused(self, connection: Connection) -> None:
        """Never called: all are admitted."""

    def opened(self, connection: Connection) -> None:
        """Nothing to do: there is no login."""

    def closed(self, connection: Connection, close: Close) -> None:
        """Nothing was kept of it."""

    def received(self, connection: Connection, opcode: int, payload: str | bytes) -> None:
        data = payload.encode() if isinstance(payload, str) else payload
        connection.send(Message(data, binary=opcode == BINARY))


def listener(wheel: Wheel) -> WebSocketListener:
    metrics = Metrics()
    outbox = Outbox(asyncio.get_running_loop(), CONFIG.limits.queue, metrics)
    pages = Pages(demo=False, text="", secret=False, auth="open")
    return WebSocketListener(CONFIG, Node(Hub(), outbox), wheel, metrics, Echo(), pages)


async def main() -> None:
    wheel = Wheel()
    ticker = Ticker(wheel, asyncio.get_running_loop())
    port, address = await listen(Address("127.0.0.1"), listener(wheel).accept, CONFIG.limits)
    print(f"ws://{address}", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        port.close()
        ticker.stop()


if __name__ == "__main__":
    uvloop.run(main())
