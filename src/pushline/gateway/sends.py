"""Verbs that send."""

from pushline.commands import SendToAll, SendToClient, SendToGroup, SendToUid, Sent
from pushline.errors import AppError
from pushline.gateway.base import Verbs
from pushline.gateway.values import (
    ClientIds,
    Data,
    Name,
    Names,
    client_ids_of,
    excluded,
    message_of,
    names_of,
)
from pushline.names import name_of


class Sends(Verbs):
    """A message is text as str, or binary as bytes; each raises BadMessageError.

    `exclude` is a client_id, or several, that get nothing. A connection gets one copy, by however
    many of the targets it is meant. All return what became of it.
    """

    async def send_to_all(
        self,
        message: Data,
        client_ids: ClientIds | None = None,
        exclude: ClientIds | None = None,
        *,
        utype: Name | None = None,
    ) -> Sent:
        """To every connection, bound or not; to every one of a utype; or only to these clients.

        Raises AppError where both `client_ids` and `utype` are given.
        """
        but, body = excluded(exclude), message_of(message)
        of_type = None if utype is None else name_of(utype)
        if client_ids is None:
            return await self._ask(SendToAll(of_type, body, but))
        if of_type is not None:
            raise AppError("send_to_all is for the clients of a list or of a utype, not of both")
        clients = (client for client in client_ids_of(client_ids) if client not in but)
        return await self._ask(SendToClient(tuple(clients), body))

    async def send_to_client(self, client_id: ClientIds, message: Data) -> Sent:
        """To one client or several. Raises BadClientIdError."""
        return await self._ask(SendToClient(client_ids_of(client_id), message_of(message)))

    async def send_to_uid(
        self,
        uid: Names,
        message: Data,
        *,
        utype: Name = 0,
        exclude: ClientIds | None = None,
    ) -> Sent:
        """To every connection of one user or several. Raises BadNameError."""
        command = SendToUid(names_of(uid), name_of(utype), message_of(message), excluded(exclude))
        return await self._ask(command)

    async def send_to_group(
        self,
        group: Names,
        message: Data,
        exclude: ClientIds | None = None,
        *,
        utype: Name | None = None,
    ) -> Sent:
        """To every member of one group or several, or to those of a utype. Raises BadNameError."""
        of_type = None if utype is None else name_of(utype)
        command = SendToGroup(names_of(group), of_type, message_of(message), excluded(exclude))
        return await self._ask(command)
