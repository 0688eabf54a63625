"""A Client's connection, where that is in this process."""

from pushline.app.inbox import Inbox
from pushline.commands import Session
from pushline.connection import Connection
from pushline.errors import AppError
from pushline.heartbeat import Heartbeat
from pushline.messages import Close, Message
from pushline.node import Node
from pushline.session import session_of

MOST_EARLY = 1000
"""Messages that may be sent to a client before it is accepted."""


class LocalPeer:
    """As Peer and Source have it. `inbox` is the client's; while it is being decided over,
    `early` has what is sent to it."""

    __slots__ = ("_connection", "_heartbeat", "_id", "_node", "early", "inbox")

    inbox: Inbox

    def __init__(self, connection: Connection, node: Node, heartbeat: Heartbeat) -> None:
        self._connection = connection
        self._node = node
        self._heartbeat = heartbeat
        self.early: list[Message] | None = None
        self._id = ""

    @property
    def id(self) -> str:
        if not self._id and self._connection.id:
            self._id = self._node.client_id(self._connection)
        return self._id

    @property
    def uid(self) -> str | None:
        return self._connection.uid

    @property
    def utype(self) -> str | None:
        return self._connection.utype

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(self._connection.groups or ())

    @property
    def session(self) -> Session:
        return session_of(self._connection)

    def opened(self) -> None:
        """The upgrade is accepted: what was sent so far goes out."""
        early, self.early = self.early, None
        for message in early or ():
            self._connection.send(message)

    def send(self, message: Message) -> bool:
        if self.early is None:
            return self._connection.send(message)
        if len(self.early) >= MOST_EARLY:
            raise AppError(f"more than {MOST_EARLY} messages to a client that is not accepted yet")
        self.early.append(message)
        return not self._connection.sealed

    def close(self, message: Message | None, close: Close) -> bool:
        if self.early is not None:
            raise AppError("not accepted yet: raise HttpError(403, ...) to refuse it")
        if self._connection.sealed:
            return False
        if message is not None:
            self._connection.send(message)
        self._connection.close(close)
        return True

    def join(self, group: str) -> bool:
        if self._connection.sealed:
            return False
        self._node.hub.join(self._connection, group)
        return True

    def leave(self, group: str) -> bool:
        return not self._connection.sealed and self._node.hub.leave(self._connection, group)

    def bind(self, uid: str, utype: str) -> bool:
        if self._connection.sealed:
            return False
        self._node.hub.bind(self._connection, uid, utype)
        return True

    def unbind(self, uid: str | None) -> bool:
        return not self._connection.sealed and self._node.hub.unbind(self._connection, uid)

    async def refresh(self) -> bool:
        return not self._connection.sealed

    def pause_reading(self) -> None:
        """Read nothing more from it, and expect no sign of life."""
        self._connection.pause_reading()
        self._heartbeat.rest(self._connection)

    def resume_reading(self) -> None:
        if not self._connection.sealed:
            self._heartbeat.start(self._connection)
        self._connection.resume_reading()
