"""A client's events in a worker: on_connect is one of them, and each brings the session."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from pushline.app.client import Client
from pushline.app.faults import FAULTS, is_being_cancelled
from pushline.app.inbox import Desk, Event, Inbox
from pushline.errors import BadNameError, HttpError
from pushline.gateway.values import LONGEST_REASON
from pushline.messages import BAD_REQUEST, INTERNAL_ERROR, KICKED, Close
from pushline.worker.remote_peer import RemotePeer
from pushline.worker.write_back import WriteBack

OnConnect = Callable[[Client], Awaitable[object]]


class Opened(NamedTuple):
    """The event of a client that came: it is decided over by `decide`."""

    decide: OnConnect


class NewSession(NamedTuple):
    """The event of a session that has to be looked at; `number` is RemoteSession's."""

    number: int
    serialized: bytes


class RemoteInbox(Inbox):
    """After each handler sessions that have changed go back to the gateway.

    The upgrade has been accepted long since: who is refused by on_connect is closed, none of its
    events is handled any more.
    """

    __slots__ = ("_peer", "_refused", "_write_back")

    def __init__(self, client: Client, peer: RemotePeer, desk: Desk, write_back: WriteBack) -> None:
        super().__init__(client, peer, desk)
        self._peer = peer
        self._refused = False
        self._write_back = write_back

    def open(self, on_connect: OnConnect | None) -> None:
        """It has come, and is new."""
        if on_connect is not None:
            self._add(Opened(on_connect))

    def receive(self, session: bytes, message: str | bytes) -> None:
        """A message came, with the session."""
        self._bring(session)
        if not self._peer.sealed:
            self.put(message)

    def end(self, session: bytes, reason: Close) -> None:
        """It is gone, by what the gateway says for `reason`; what this app has closed it with is
        known better."""
        self._bring(session)
        self.lose(reason)

    def lose(self, reason: Close) -> None:
        """The link to its gateway is gone, and the client with it."""
        self._peer.sealed = True
        self.close(self._peer.reason or reason)

    def _bring(self, session: bytes) -> None:
        number = self._peer.kept.arrived(session)
        if number is not None:  # in its turn: a handler may still work with the one before
            self._add(NewSession(number, session))

    async def _handle(self, event: Event | NewSession | Opened) -> None:
        if isinstance(event, NewSession):
            await self._see(event)
        elif not self._refused:
            await self._serve(event)
            self._write_back.keep(self._peer)
            self._write_back.look()

    async def _see(self, came: NewSession) -> None:
        kept = self._peer.kept
        self._write_back.keep(self._peer)  # what was changed until now is newer
        if kept.seen(came.number, came.serialized) or self._peer.sealed:
            return
        question = kept.ask()
        answer = await self._peer.ask_session()
        self._write_back.keep(self._peer)
        if answer is not None:
            kept.answered(question, answer)

    async def _serve(self, event: Event | Opened) -> None:
        self._peer.is_served = True
        try:
            await (self._decide(event) if isinstance(event, Opened) else super()._handle(event))
        finally:
            self._peer.is_served = False

    async def _decide(self, event: Opened) -> None:
        try:
            await event.decide(self.client)
        except HttpError as error:
            self._refuse(Close(KICKED.code, _short(error.reason)))
        except BadNameError as error:  # in what the client says of itself
            self._refuse(Close(BAD_REQUEST.code, _short(str(error))))
        except FAULTS:
            if is_being_cancelled():
                raise
            self._desk.failed("on_connect", self.client)
            self._refuse(INTERNAL_ERROR)

    def _refuse(self, close: Close) -> None:
        self._refused = True
        self._peer.close(None, close)


def _short(reason: str) -> str:
    """As much of it as a Close frame takes."""
    return reason.encode(errors="replace")[:LONGEST_REASON].decode(errors="ignore")
