"""Verbs that change something: connections, users, groups and sessions."""

from pushline.commands import (
    BindUid,
    Clients,
    ClientsOfUids,
    Destroy,
    JoinGroup,
    Kick,
    LeaveGroup,
    Session,
    SetSession,
    UnbindUid,
    Ungroup,
    UpdateSession,
)
from pushline.gateway.base import Verbs
from pushline.gateway.values import (
    Data,
    Name,
    Names,
    close_of,
    last_message_of,
    names_of,
    session_of,
)
from pushline.messages import KICKED, Close, Message
from pushline.names import check_client_id, name_of


class Actions(Verbs):
    """A client that is not there is left alone: False, or a count without it.

    What is None comes from a wire that has no answer to actions. Malformed values raise
    BadClientIdError, BadNameError, BadMessageError, or AppError for a close or a session.
    """

    async def close_client(
        self,
        client_id: str,
        message: Data | None = None,
        *,
        code: int = KICKED.code,
        reason: str = KICKED.reason,
    ) -> bool | None:
        """Close a connection behind a last message; whether it was there.

        After a code from 3000 to 3499 the client may reconnect, from 3500 to 3999 it does not.
        """
        client = check_client_id(client_id)
        closed = await self._kick([client], last_message_of(message), close_of(code, reason))
        return None if closed is None else closed > 0

    async def close_uid(
        self,
        uid: Names,
        message: Data | None = None,
        *,
        utype: Name = 0,
        code: int = KICKED.code,
        reason: str = KICKED.reason,
    ) -> int | None:
        """Close every connection of one user or several; how many they were."""
        last, close = last_message_of(message), close_of(code, reason)
        users = await self._ask(ClientsOfUids(names_of(uid), name_of(utype)))
        return await self._kick(
            [client for clients in users.values() for client in clients], last, close
        )

    async def close_group(
        self,
        group: Names,
        message: Data | None = None,
        *,
        code: int = KICKED.code,
        reason: str = KICKED.reason,
    ) -> int | None:
        """Close every member of one group or several; how many they were."""
        last, close = last_message_of(message), close_of(code, reason)
        clients = [client for name in names_of(group) for client in await self._ask(Clients(name))]
        return await self._kick(clients, last, close)

    async def destroy_client(self, client_id: str) -> bool | None:
        """End a connection at once, whatever still waits for it; whether it was there."""
        return await self._ask(Destroy(check_client_id(client_id)))

    async def bind_uid(self, client_id: str, uid: Name, utype: Name = 0) -> bool | None:
        """Say whose a connection is: it has one uid at most, a new one replaces the old."""
        return await self._ask(BindUid(check_client_id(client_id), name_of(uid), name_of(utype)))

    async def unbind_uid(self, client_id: str, uid: Name | None = None) -> bool | None:
        """Take away a connection's uid, or only this one; whether it had it."""
        old = None if uid is None else name_of(uid)
        return await self._ask(UnbindUid(check_client_id(client_id), old))

    async def join_group(self, client_id: str, group: Name) -> bool | None:
        """Put a connection into a group; whether it is there."""
        return await self._ask(JoinGroup(check_client_id(client_id), name_of(group)))

    async def leave_group(self, client_id: str, group: Name) -> bool | None:
        """Take a connection out of a group; whether it was in it."""
        return await self._ask(LeaveGroup(check_client_id(client_id), name_of(group)))

    async def ungroup(self, group: Name) -> int | None:
        """Take everybody out of a group, who stay connected; how many they were."""
        return await self._ask(Ungroup(name_of(group)))

    async def set_session(self, client_id: str, session: Session) -> bool | None:
        """Put a copy of `session` in place of all that was kept for a client."""
        return await self._ask(SetSession(check_client_id(client_id), session_of(session)))

    async def update_session(self, client_id: str, session: Session) -> bool | None:
        """Merge a copy of `session` into what is kept for a client, dict by dict."""
        return await self._ask(UpdateSession(check_client_id(client_id), session_of(session)))

    async def _kick(self, clients: list[str], last: Message | None, close: Close) -> int | None:
        return await self._ask(Kick(tuple(dict.fromkeys(clients)), last, close))
