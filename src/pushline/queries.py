"""What Commands ask about this node's connections. Answers share nothing with the connections."""

from collections.abc import Callable, Collection, Iterable
from typing import Any

from pushline.commands import (
    Clients,
    ClientsOfGroups,
    ClientsOfUids,
    CountOfClients,
    CountOfUids,
    CountsOfGroups,
    Groups,
    GroupsOfClient,
    IsOnline,
    Select,
    Selected,
    SerializedSession,
    SerializedSessions,
    Session,
    SessionOfClient,
    Sessions,
    UidOfClient,
    Uids,
    UidsOfGroups,
    UidsOnline,
)
from pushline.connection import Connection
from pushline.hub import Directory, Hub
from pushline.names import DEFAULT_UTYPE
from pushline.session import copy_of, for_wire


class Queries:
    """`by_command` has the function for each type of Command."""

    def __init__(self, hub: Hub, clients: Directory) -> None:
        self._hub = hub
        self._clients = clients
        self.by_command: dict[type, Callable[[Any], Any]] = {
            IsOnline: self._is_online,
            UidsOnline: self._uids_online,
            ClientsOfUids: self._clients_of_uids,
            UidOfClient: self._uid_of_client,
            GroupsOfClient: self._groups_of_client,
            SessionOfClient: self._session_of_client,
            Uids: self._uids,
            CountOfUids: self._count_of_uids,
            Clients: self._clients_of_group,
            CountOfClients: self._count_of_clients,
            CountsOfGroups: self._counts_of_groups,
            Groups: self._groups,
            UidsOfGroups: self._uids_of_groups,
            ClientsOfGroups: self._clients_of_groups,
            Sessions: self._sessions,
            SerializedSession: self._serialized_session,
            SerializedSessions: self._serialized_sessions,
            Select: self._select,
        }

    def _is_online(self, command: IsOnline) -> bool:
        return self._clients.find(command.client) is not None

    def _uids_online(self, command: UidsOnline) -> dict[str, bool]:
        return {uid: bool(self._hub.of_uid(uid, command.utype)) for uid in command.uids}

    def _clients_of_uids(self, command: ClientsOfUids) -> dict[str, list[str]]:
        of_uid, ids_of = self._hub.of_uid, self._clients.ids_of
        return {uid: ids_of(of_uid(uid, command.utype)) for uid in command.uids}

    def _uid_of_client(self, command: UidOfClient) -> str | None:
        connection = self._clients.find(command.client)
        return connection.uid if connection is not None else None

    def _groups_of_client(self, command: GroupsOfClient) -> list[str]:
        connection = self._clients.find(command.client)
        return list(connection.groups or ()) if connection is not None else []

    def _session_of_client(self, command: SessionOfClient) -> Session | None:
        connection = self._clients.find(command.client)
        return copy_of(connection) if connection is not None else None

    def _uids(self, command: Uids) -> list[str]:
        return list(self._users(command.group, command.utype))

    def _count_of_uids(self, command: CountOfUids) -> int:
        return len(self._users(command.group, command.utype))

    def _clients_of_group(self, command: Clients) -> list[str]:
        return self._clients.ids_of(self._members(command.group))

    def _count_of_clients(self, command: CountOfClients) -> int:
        return len(self._hub.connections)

    def _counts_of_groups(self, command: CountsOfGroups) -> dict[str, int]:
        groups = self._hub.groups if command.groups is None else command.groups
        return {group: len(self._hub.of_group(group)) for group in groups}

    def _groups(self, command: Groups) -> list[str]:
        return list(self._hub.groups)

    def _uids_of_groups(self, command: UidsOfGroups) -> dict[str, list[str]]:
        return {group: list(self._users(group, command.utype)) for group in self._hub.groups}

    def _clients_of_groups(self, command: ClientsOfGroups) -> dict[str, list[str]]:
        ids_of = self._clients.ids_of
        return {group: ids_of(members) for group, members in self._hub.groups.items()}

    def _sessions(self, command: Sessions) -> dict[str, Session]:
        id_of = self._clients.id_of
        return {id_of(each): copy_of(each) for each in self._members(command.group)}

    def _serialized_session(self, command: SerializedSession) -> bytes | None:
        connection = self._clients.find(command.client)
        return for_wire(connection) if connection is not None else None

    def _serialized_sessions(self, command: SerializedSessions) -> dict[str, bytes]:
        id_of = self._clients.id_of
        return {id_of(each): for_wire(each) for each in self._members(command.group)}

    def _select(self, command: Select) -> list[Selected]:
        return [self._selected(each, command.sessions) for each in self._wanted(command)]

    def _selected(self, connection: Connection, sessions: bool) -> Selected:
        return Selected(
            self._clients.id_of(connection),
            connection.uid if connection.utype == DEFAULT_UTYPE else None,
            tuple(connection.groups or ()),
            for_wire(connection) if sessions else None,
        )

    def _wanted(self, command: Select) -> Iterable[Connection]:
        groups, uids, clients = command.groups, command.uids, command.clients
        if groups is None and uids is None and clients is None:
            return self._hub.connections.values()
        return dict.fromkeys(
            (
                *self._hub.of_groups(groups or ()),
                *self._hub.of_uids(uids or (), DEFAULT_UTYPE),
                *self._clients.find_all(clients or ()),
            )
        )

    def _members(self, group: str | None) -> Iterable[Connection]:
        return self._hub.connections.values() if group is None else self._hub.of_group(group)

    def _users(self, group: str | None, utype: str) -> Collection[str]:
        if group is None:
            return self._hub.users_of(utype)
        members = self._hub.of_group(group, utype)
        return dict.fromkeys(member.uid for member in members if member.uid is not None)
