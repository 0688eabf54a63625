"""An application in this process, as a client protocol: its handlers get what clients do."""

from collections.abc import Coroutine
from typing import Any

from pushline.app.client import Client
from pushline.app.faults import FAULTS, is_being_cancelled
from pushline.app.handlers import Call
from pushline.app.inbox import Inbox
from pushline.app.request import request_of
from pushline.app.running import Running
from pushline.codecs import http_head
from pushline.connection import Connection
from pushline.errors import BadNameError, HttpError
from pushline.heartbeat import Heartbeat
from pushline.listeners.local_peer import LocalPeer
from pushline.listeners.protocol import ClientProtocol
from pushline.messages import Close
from pushline.node import Node


class Application:
    """The ClientProtocol where there is an App.

    Without a `login` protocol the application is in charge: every connection is in the Hub from
    its acceptance, every message goes to `on_message`. With one, what follows the login does; a
    uid that `on_connect` has bound is as good as a login.
    """

    def __init__(
        self, running: Running, node: Node, heartbeat: Heartbeat, login: ClientProtocol | None
    ) -> None:
        on_connect = running.app.handlers.get("on_connect")
        self._on_connect: Call | None = running.handlers.call(on_connect) if on_connect else None
        self._desk = running.desk
        self._runner = running.runner
        self._node = node
        self._heartbeat = heartbeat
        self._login = login

    def admit(
        self, connection: Connection, request: http_head.Request
    ) -> Coroutine[Any, Any, None] | None:
        peer = connection.state = LocalPeer(connection, self._node, self._heartbeat)
        peername = connection.transport.get_extra_info("peername")
        client = Client(peer, request_of(request, peername), self._runner)
        peer.inbox = Inbox(client, peer, self._desk)
        self._node.hub.name(connection)
        if self._on_connect is None:
            return None
        peer.early = []
        return self._decide(self._on_connect, client)

    def refused(self, connection: Connection) -> None:
        self._node.hub.forget(connection)

    def opened(self, connection: Connection) -> None:
        if self._login is None or connection.uid is not None:
            self._node.hub.add(connection)
            self._heartbeat.start(connection)
        else:
            self._login.opened(connection)
        connection.state.opened()

    def received(self, connection: Connection, opcode: int, payload: str | bytes) -> None:
        if self._login is None or connection in self._node.hub:
            connection.state.inbox.put(payload)
        else:
            self._login.received(connection, opcode, payload)

    def closed(self, connection: Connection, close: Close) -> None:
        if self._login is not None:
            self._login.closed(connection, close)
        connection.state.inbox.close(close)
        connection.resume_reading()  # what it answers to a Close must be seen

    async def _decide(self, on_connect: Call, client: Client) -> None:
        try:
            await on_connect(client)
        except HttpError:
            raise
        except BadNameError as error:  # in what the client says of itself
            raise HttpError(400, str(error)) from None
        except FAULTS:
            if is_being_cancelled():
                raise
            self._desk.failed("on_connect", client)
            raise HttpError(500, "internal error") from None
