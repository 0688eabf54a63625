"""One live client: who it is, its write side, and its end."""

import asyncio
import socket
from typing import Any, Protocol

from pushline import sockets
from pushline.codecs import websocket
from pushline.commands import Session
from pushline.messages import ABNORMAL, SLOW, Close, Encode, Message
from pushline.outbox import Outbox, Writer
from pushline.wheel import Wheel


class Keeper(Protocol):
    """What every connection of a listener shares."""

    wheel: Wheel
    outbox: Outbox
    close_ticks: int
    """How long the peer has for its side of a close, in ticks."""

    def closed(self, connection: "Connection", close: Close, *, by_peer: bool) -> None:
        """The connection is over: called exactly once, before anything more can be sent to it."""


class Connection(Writer):
    """One live client: a tab, a phone.

    `id` is its number on this node (0 while it has none), `uid` and `utype` are None before its
    login, `groups` and `session` before they are first used, `seen` is the tick of the last byte
    that came from it, `state` what its client protocol keeps for it. All but `seen` can still be
    read when it is over.
    """

    __slots__ = ("groups", "id", "keeper", "seen", "session", "state", "uid", "utype")

    transport: asyncio.Transport

    def __init__(self, transport: asyncio.Transport, keeper: Keeper, encode: Encode) -> None:
        super().__init__(transport, keeper.outbox, encode)
        self.keeper = keeper
        self.id = 0
        self.uid: str | None = None
        self.utype: str | None = None
        self.groups: dict[str, None] | None = None
        self.session: Session | bytes | None = None
        self.state: Any = None
        self.seen = keeper.wheel.now

    def send(self, message: Message) -> bool:
        """Enqueue a message; false where the connection is over."""
        return self.outbox.send((self,), message) == 1

    def ping(self) -> None:
        """Ask for a sign of life."""
        self.outbox.post(self, PING)

    def unconfirmed(self) -> int:
        """Bytes that are on their way to the peer; those that still wait for it do not count."""
        return sockets.unconfirmed(self.transport)

    def taken(self) -> int | None:
        """A number that grows when the peer takes of what is on its way; None if nothing is.

        Of TCP it is what was acknowledged, which no later push hides. The kernel does not count
        that of a Unix socket: there it is what has not been taken, below 0.
        """
        unconfirmed = self.unconfirmed()
        if not unconfirmed:
            return None
        connected = self.transport.get_extra_info("socket")
        if connected.family == socket.AF_UNIX:
            return -unconfirmed - sum(map(len, self.pending))
        return sockets.acknowledged(connected)

    @property
    def is_read(self) -> bool:
        """What the client sends is seen at once: it is not paused."""
        return self.transport.is_reading()

    def pause_reading(self) -> None:
        """Take nothing more from the client."""
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on where it was paused."""
        self.transport.resume_reading()

    def close(self, close: Close, *, by_peer: bool = False) -> None:
        """Send what waits and a Close frame, then end; once only."""
        if not self.sealed:
            self._finish(self.seal(), close, by_peer)

    def overflow(self) -> None:
        """A slow reader's own queue is dropped: it would not read that either."""
        self.seal()
        self._finish(b"", SLOW, by_peer=False)

    def destroy(self) -> None:
        """End it at once: no Close frame, and nothing of what still waits."""
        if not self.sealed:
            self.seal()
            self.keeper.closed(self, ABNORMAL, by_peer=False)
        self.abort()

    def ended(self) -> None:
        """The peer has ended its side without a word; what still waits may be written."""
        if not self.sealed:
            self.transport.write(self.seal())
            self.keeper.closed(self, ABNORMAL, by_peer=True)
        self.keeper.wheel.schedule(self, self.keeper.close_ticks, Connection.abort)

    def lost(self) -> None:
        """The transport has ended, by whomever."""
        self.keeper.wheel.cancel(self)
        if not self.sealed:
            self.seal()
            self.keeper.closed(self, ABNORMAL, by_peer=True)

    def abort(self) -> None:
        """End the transport now, whatever it still holds."""
        self.transport.abort()

    def _finish(self, waiting: bytes, close: Close, by_peer: bool) -> None:
        self.transport.write(waiting + websocket.close_frame(close))
        self.keeper.wheel.schedule(self, self.keeper.close_ticks, Connection.abort)
        self.keeper.closed(self, close, by_peer=by_peer)


PING = websocket.frame(websocket.PING, b"")
