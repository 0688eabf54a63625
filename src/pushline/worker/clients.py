"""The live clients of one gateway, as this worker knows them, and what their events do."""

from collections.abc import Callable

from pushline.app.client import Client
from pushline.app.inbox import Desk
from pushline.app.request import Request
from pushline.codecs.gateway_frames import BINARY, Cmd, Frame
from pushline.gateway import Runner
from pushline.messages import GATEWAY_LOST, NO_STATUS
from pushline.worker.remote_inbox import OnConnect, RemoteInbox
from pushline.worker.remote_peer import Line, RemotePeer
from pushline.worker.remote_request import request_of, unknown
from pushline.worker.write_back import WriteBack

_MESSAGE = int(Cmd.MESSAGE)


class Clients:
    """Takes the events of one gateway.

    A client is new with event 1 and open with event 205, which brings its request; one without a
    WebSocket has only messages behind event 1. One that is not known with its first message or its
    end came over from a worker that is no more: its request is not known, and it is not new.
    """

    def __init__(
        self,
        desk: Desk,
        runner: Runner,
        on_connect: OnConnect | None,
        line: Line,
        write_back: WriteBack,
    ) -> None:
        self._desk = desk
        self._runner = runner
        self._on_connect = on_connect
        self._line = line
        self._write_back = write_back
        self._inboxes: dict[int, RemoteInbox] = {}
        """By connection_id."""
        self._new: set[int] = set()
        """The connection_ids of those that are not open yet."""
        self._others: dict[int, Callable[[Frame], None]] = {
            Cmd.CONNECT: self._connect,
            Cmd.WEBSOCKET_CONNECT: self._open,
            Cmd.CLOSE: self._close,
        }

    def __len__(self) -> int:
        return len(self._inboxes) + len(self._new)

    def take(self, event: Frame) -> None:
        """Handle an event, in its turn."""
        if event.cmd == _MESSAGE:
            inbox = self._inboxes.get(event.connection_id) or self._first(event)
            inbox.receive(event.ext, _message(event))
        elif take := self._others.get(event.cmd):
            take(event)

    def lose(self) -> None:
        """The link is gone, and all its clients with it."""
        inboxes = [*self._inboxes.values()]
        self._inboxes.clear()
        self._new.clear()
        for inbox in inboxes:
            inbox.lose(GATEWAY_LOST)

    def _connect(self, event: Frame) -> None:
        self._forget(event.connection_id)
        self._new.add(event.connection_id)

    def _open(self, event: Frame) -> None:
        self._forget(event.connection_id)
        self._add(event, request_of(event)).open(self._on_connect)

    def _first(self, event: Frame) -> RemoteInbox:
        """The inbox of one that has none yet."""
        inbox = self._add(event, unknown())
        if event.connection_id in self._new:
            self._new.discard(event.connection_id)
            inbox.open(self._on_connect)
        return inbox

    def _close(self, event: Frame) -> None:
        if event.connection_id in self._new:
            self._new.discard(event.connection_id)  # it never came to be one
            return
        inbox = self._inboxes.get(event.connection_id) or self._add(event, unknown())
        del self._inboxes[event.connection_id]
        inbox.end(event.ext, NO_STATUS)

    def _forget(self, number: int) -> None:
        """A gateway that gives a number again has ended what had it."""
        self._new.discard(number)
        if gone := self._inboxes.pop(number, None):
            gone.lose(NO_STATUS)

    def _add(self, event: Frame, request: Request) -> RemoteInbox:
        number = event.connection_id
        place = event.local_ip << 16 | event.local_port
        peer = RemotePeer(self._line, self._write_back, place, number, event.ext)
        client = Client(peer, request, self._runner)
        inbox = RemoteInbox(client, peer, self._desk, self._write_back)
        self._inboxes[number] = inbox
        return inbox


def _message(event: Frame) -> str | bytes:
    """Text, unless it is marked as binary or cannot be text."""
    if event.flag & BINARY:
        return event.body
    try:
        return event.body.decode()
    except UnicodeDecodeError:
        return event.body
