"""Worker processes, as a client protocol: they get what clients do, over GatewayWorker's wire."""

from collections.abc import Coroutine
from typing import Any

from pushline.codecs.gateway_events import place_of, request_body
from pushline.codecs.http_head import Request
from pushline.connection import Connection
from pushline.heartbeat import Heartbeat
from pushline.listeners.protocol import ClientProtocol
from pushline.listeners.roster import Roster, Route
from pushline.messages import Close
from pushline.node import Node


class Workers:
    """The ClientProtocol where workers have the application.

    Without a `login` protocol they are in charge, as an application would be. With one they are
    told who is here, and what follows the login.
    """

    def __init__(
        self, roster: Roster, node: Node, heartbeat: Heartbeat, login: ClientProtocol | None
    ) -> None:
        self._roster = roster
        self._node = node
        self._heartbeat = heartbeat
        self._login = login

    def admit(self, connection: Connection, request: Request) -> Coroutine[Any, Any, None] | None:
        peer = connection.transport.get_extra_info("peername")
        here = connection.transport.get_extra_info("sockname")
        port = here[1] if isinstance(here, tuple) else 0
        place = place_of(self._node.address, peer, port)
        connection.state = Route(connection, place, request_body(request, peer, port))
        return None

    def refused(self, connection: Connection) -> None:
        """Never called: all are admitted."""

    def opened(self, connection: Connection) -> None:
        if self._login is None:
            self._node.hub.add(connection)
            self._heartbeat.start(connection)
        else:
            self._node.hub.name(connection)
            self._login.opened(connection)
        self._roster.arrived(connection.state)

    def received(self, connection: Connection, opcode: int, payload: str | bytes) -> None:
        if self._login is None or connection in self._node.hub:
            self._roster.said(connection.state, payload)
        else:
            self._login.received(connection, opcode, payload)

    def closed(self, connection: Connection, close: Close) -> None:
        if self._login is not None:
            self._login.closed(connection, close)
        self._roster.left(connection.state)
        connection.resume_reading()  # what it answers to a Close must be seen
