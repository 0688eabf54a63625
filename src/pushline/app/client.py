"""The handle of one live client, which an application's handlers are given."""

from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from pushline.app.request import Request
from pushline.commands import Session
from pushline.gateway import Runner, close_of, message_of
from pushline.messages import KICKED, Close, Message
from pushline.names import name_of, utype_of


class Peer(Protocol):
    """What a Client stands for: a connection of this process, or one behind a wire.

    What is done to one that is not there any more does nothing and returns False.
    """

    @property
    def id(self) -> str: ...
    @property
    def uid(self) -> str | None: ...
    @property
    def utype(self) -> str | None: ...
    @property
    def groups(self) -> tuple[str, ...]: ...
    @property
    def session(self) -> Session: ...
    def send(self, message: Message) -> bool: ...
    def close(self, message: Message | None, close: Close) -> bool: ...
    def join(self, group: str) -> bool: ...
    def leave(self, group: str) -> bool: ...
    def bind(self, uid: str, utype: str) -> bool: ...
    def unbind(self, uid: str | None) -> bool: ...
    async def refresh(self) -> bool: ...


class Client:
    """One live client: a tab, a phone.

    What it does to the connection returns whether that was still there. Names are checked as the
    Gateway's verbs check them: BadNameError, BadMessageError.
    """

    __slots__ = ("_peer", "_runner", "request")

    def __init__(self, peer: Peer, request: Request, runner: Runner) -> None:
        self._peer = peer
        self._runner = runner
        self.request = request

    @property
    def id(self) -> str:
        """Its client_id: 20 hexadecimal digits."""
        return self._peer.id

    @property
    def uid(self) -> str | None:
        """Whose it is, once a login or the application has said so."""
        return self._peer.uid

    @property
    def utype(self) -> str | None:
        """The type of that user."""
        return self._peer.utype

    @property
    def groups(self) -> tuple[str, ...]:
        """In the order of joining."""
        return self._peer.groups

    @property
    def session(self) -> Session:
        """The application's own, to read and to change; still there in `on_close`."""
        return self._peer.session

    @property
    def sync(self) -> "SyncClient":
        """The same for plain functions, which run in threads."""
        return SyncClient(self, self._runner)

    async def send(self, data: str | bytes) -> bool:
        """Queue a message: text, or bytes as a binary one."""
        return self._peer.send(message_of(data))

    async def close(
        self,
        message: str | bytes | None = None,
        *,
        code: int = KICKED.code,
        reason: str = KICKED.reason,
    ) -> bool:
        """Close it behind a last message. After 3000-3499 it may reconnect, after 3500 not."""
        last = None if message is None else message_of(message)
        return self._peer.close(last, close_of(code, reason))

    async def join(self, group: str | int) -> bool:
        """Put it into a group."""
        return self._peer.join(name_of(group))

    async def leave(self, group: str | int) -> bool:
        """Take it out of a group; whether it was in it."""
        return self._peer.leave(name_of(group))

    async def bind(self, uid: str | int, utype: str | int = 0) -> bool:
        """Say whose it is; another uid is replaced."""
        return self._peer.bind(name_of(uid), utype_of(utype))

    async def unbind(self, uid: str | int | None = None) -> bool:
        """Take its uid away, or only this one; whether there was one."""
        return self._peer.unbind(None if uid is None else name_of(uid))

    async def refresh(self) -> bool:
        """Ask the gateway for `uid`, `utype` and `groups`; whether the client was still there.

        In a worker those are what this process has set through this client, until then: others may
        have set them too. In the server's own process they are always right.
        """
        return await self._peer.refresh()

    def __repr__(self) -> str:
        return f"<Client {self.id} uid={self.uid!r}>"


P = ParamSpec("P")
T = TypeVar("T")


def _plain(
    verb: Callable[Concatenate[Client, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["SyncClient", P], T]:
    def plain(self: "SyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._runner.run(verb(self._client, *args, **kwargs))

    update_wrapper(plain, verb)
    return plain


class SyncClient:
    """A Client's verbs as plain methods: each runs in the event loop, and waits for it.

    DeadlineError after `app.sync_timeout`; AppError in the event loop itself.
    """

    __slots__ = ("_client", "_runner")

    def __init__(self, client: Client, runner: Runner) -> None:
        self._client = client
        self._runner = runner

    send = _plain(Client.send)
    close = _plain(Client.close)
    join = _plain(Client.join)
    leave = _plain(Client.leave)
    bind = _plain(Client.bind)
    unbind = _plain(Client.unbind)
    refresh = _plain(Client.refresh)
