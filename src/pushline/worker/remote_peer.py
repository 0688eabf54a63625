"""A Client's connection, where a gateway holds it and this process is a worker."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Protocol, TypeVar

from pushline.codecs.gateway_call_sends import check_utype, flag_of
from pushline.codecs.gateway_calls import call_of
from pushline.codecs.gateway_frames import Cmd, encode
from pushline.commands import (
    BindUid,
    Command,
    GroupsOfClient,
    IsOnline,
    JoinGroup,
    Kick,
    LeaveGroup,
    SendToClient,
    SerializedSession,
    Session,
    SetSession,
    UidOfClient,
    UnbindUid,
)
from pushline.errors import ClientError
from pushline.messages import Close, Message
from pushline.names import DEFAULT_UTYPE, client_id_of
from pushline.worker.remote_session import RemoteSession

T = TypeVar("T")

_SEND = int(Cmd.SEND_TO_ONE)


class Line(Protocol):
    """The way to a client's gateway: what it is given goes out in this order."""

    @property
    def takes_pauses(self) -> bool: ...
    @property
    def is_overrun(self) -> bool: ...
    def write(self, frame: bytes) -> bool:
        """False where the link takes nothing any more."""

    def hand_on(self, command: Command[Any]) -> bool:
        """Do it another way then; False where there is none."""

    def execute(self, command: Command[T]) -> T | Awaitable[T]: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Notes(Protocol):
    """Of the sessions that something else than their clients' own handlers has asked for."""

    def note(self, peer: "RemotePeer") -> None: ...


class RemotePeer:
    """As Peer and Source have it, for the connection `number` of the gateway at `place`.

    No answer comes from the gateway to what is done here: it returns True until the client is
    known to be gone. `uid` and `groups` are what was set through this peer, or what `refresh` was
    told. `session` is as events have it.
    """

    __slots__ = (
        *("_changes", "_groups", "_line", "_notes", "_number", "_place"),
        *("id", "is_served", "kept", "reason", "sealed", "uid"),
    )

    def __init__(self, line: Line, notes: Notes, place: int, number: int, session: bytes) -> None:
        self._line = line
        self._notes = notes
        self._place = place
        self._number = number
        self._groups: dict[str, None] | None = None  # for memory: while there are none
        self._changes = 0
        """So that an answer does not undo what was done after the question."""
        self.id = client_id_of(place, number)
        self.uid: str | None = None
        self.kept = RemoteSession(session)
        self.is_served = False
        """Its own handler is at work."""
        self.sealed = False
        """It is gone, or closed by this app."""
        self.reason: Close | None = None
        """With which this app has closed it."""

    @property
    def utype(self) -> str | None:
        return None if self.uid is None else DEFAULT_UTYPE

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(self._groups or ())

    @property
    def session(self) -> Session:
        session = self.kept.value()
        if not self.is_served:
            self._notes.note(self)
        return session

    def send(self, message: Message) -> bool:
        if self.sealed:
            return False
        flag, body = flag_of(message), message.data
        frame = encode(_SEND, connection_id=self._number, flag=flag, body=body)
        return self._line.write(frame) or self._line.hand_on(SendToClient((self.id,), message))

    def close(self, message: Message | None, close: Close) -> bool:
        if not self._do(Kick((self.id,), message, close)):
            return False
        self.sealed = True
        self.reason = close
        return True

    def join(self, group: str) -> bool:
        if not self._do(JoinGroup(self.id, group)):
            return False
        if self._groups is None:
            self._groups = {}
        self._groups[group] = None
        return True

    def leave(self, group: str) -> bool:
        if not self._do(LeaveGroup(self.id, group)):
            return False
        if self._groups is not None:
            self._groups.pop(group, None)
        return True

    def bind(self, uid: str, utype: str) -> bool:
        check_utype(utype)
        if not self._do(BindUid(self.id, uid, utype)):
            return False
        self.uid = uid
        return True

    def unbind(self, uid: str | None) -> bool:
        if not self._do(UnbindUid(self.id, uid)):
            return False
        if uid is None or uid == self.uid:
            self.uid = None
        return True

    async def refresh(self) -> bool:
        changes = -1
        while changes != self._changes:
            changes = self._changes
            uid, groups, online = await asyncio.gather(
                self._ask(UidOfClient(self.id)),
                self._ask(GroupsOfClient(self.id)),
                self._ask(IsOnline(self.id)),
            )
        self.uid = uid
        self._groups = dict.fromkeys(groups) or None
        return online

    def keep_session(self) -> None:
        """Set it at the gateway, if the application has changed it. Raises SerializedError."""
        changed = self.kept.changed()
        if changed is not None and not self.sealed:
            frame = encode(Cmd.SET_SESSION, connection_id=self._number, ext=changed)
            self._line.write(frame) or self._line.hand_on(SetSession(self.id, self.kept.value()))

    async def ask_session(self) -> bytes | None:
        """What the gateway has, behind all that it was sent; None where that is not to be known.

        Nor is it where more has come than there is room for, which an answer would stand behind.
        """
        if self._line.is_overrun:
            return None
        try:
            return await self._ask(SerializedSession(self.id))
        except ClientError:
            return None

    def pause_reading(self) -> None:
        """Of this client's messages; where its gateway cannot do that, of the whole link."""
        if self._line.takes_pauses:
            self._line.write(encode(Cmd.PAUSE, connection_id=self._number))
        else:
            self._line.pause_reading()

    def resume_reading(self) -> None:
        if self._line.takes_pauses:
            self._line.write(encode(Cmd.RESUME, connection_id=self._number))
        else:
            self._line.resume_reading()

    def _do(self, command: Command[Any]) -> bool:
        """Raises UnsupportedError for what the wire cannot carry."""
        frame = call_of(command).parts.of(self._place)
        if self.sealed:
            return False
        self._changes += 1
        return self._line.write(frame) or self._line.hand_on(command)

    async def _ask(self, command: Command[T]) -> T:
        answer = self._line.execute(command)
        return await answer if isinstance(answer, Awaitable) else answer
