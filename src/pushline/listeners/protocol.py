"""The contract between the websocket listener and what a WebSocket connection speaks."""

from collections.abc import Coroutine
from typing import Any, Protocol

from pushline.codecs.http_head import Request
from pushline.connection import Connection
from pushline.messages import Close


class ClientProtocol(Protocol):
    """What a WebSocket connection speaks. One object serves all connections that speak it."""

    def admit(self, connection: Connection, request: Request) -> Coroutine[Any, Any, None] | None:
        """Before an upgrade is accepted: None lets it in, else what is awaited decides.

        Both may raise HttpError, which refuses.
        """

    def refused(self, connection: Connection) -> None:
        """What was awaited did not let it in: it is sealed, and will not be opened."""

    def opened(self, connection: Connection) -> None:
        """The upgrade is done."""

    def received(self, connection: Connection, opcode: int, payload: str | bytes) -> None:
        """A whole message came: TEXT as str, BINARY as bytes."""

    def closed(self, connection: Connection, close: Close) -> None:
        """The connection is over, and was opened."""
