"""What Commands do to this node's connections, besides sending."""

from collections.abc import Callable
from typing import Any

from pushline import session
from pushline.commands import (
    BindUid,
    Destroy,
    JoinGroup,
    Kick,
    LeaveGroup,
    SetSession,
    UnbindUid,
    Ungroup,
    UpdateSession,
)
from pushline.hub import Directory, Hub
from pushline.outbox import Outbox


class Actions:
    """`by_command` has the function for each type of Command."""

    def __init__(self, hub: Hub, outbox: Outbox, clients: Directory) -> None:
        self._hub = hub
        self._outbox = outbox
        self._clients = clients
        self.by_command: dict[type, Callable[[Any], Any]] = {
            Kick: self._kick,
            Destroy: self._destroy,
            BindUid: self._bind_uid,
            UnbindUid: self._unbind_uid,
            JoinGroup: self._join_group,
            LeaveGroup: self._leave_group,
            Ungroup: self._ungroup,
            SetSession: self._set_session,
            UpdateSession: self._update_session,
        }

    def _kick(self, command: Kick) -> int:
        connections = self._clients.find_all(command.clients)
        if command.message is not None:
            self._outbox.send(connections, command.message)
        for connection in connections:
            connection.close(command.close)
        return len(connections)

    def _destroy(self, command: Destroy) -> bool:
        connection = self._clients.find(command.client)
        if connection is not None:
            connection.destroy()
        return connection is not None

    def _bind_uid(self, command: BindUid) -> bool:
        connection = self._clients.find(command.client)
        if connection is not None:
            self._hub.bind(connection, command.uid, command.utype)
        return connection is not None

    def _unbind_uid(self, command: UnbindUid) -> bool:
        connection = self._clients.find(command.client)
        return connection is not None and self._hub.unbind(connection, command.uid)

    def _join_group(self, command: JoinGroup) -> bool:
        connection = self._clients.find(command.client)
        if connection is not None:
            self._hub.join(connection, command.group)
        return connection is not None

    def _leave_group(self, command: LeaveGroup) -> bool:
        connection = self._clients.find(command.client)
        return connection is not None and self._hub.leave(connection, command.group)

    def _ungroup(self, command: Ungroup) -> int:
        return self._hub.ungroup(command.group)

    def _set_session(self, command: SetSession) -> bool:
        connection = self._clients.find(command.client)
        if connection is not None:
            session.put(connection, command.session)
        return connection is not None

    def _update_session(self, command: UpdateSession) -> bool:
        connection = self._clients.find(command.client)
        if connection is not None:
            session.merge(connection, command.session, whole_lists=command.whole_lists)
        return connection is not None
