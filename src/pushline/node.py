"""Executes Commands on this node's connections. The one way in for every back end."""

import secrets
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from pushline.actions import Actions
from pushline.commands import (
    Command,
    Send,
    SendToAll,
    SendToClient,
    SendToGroup,
    SendToUid,
    Sent,
)
from pushline.connection import Connection
from pushline.gateway.partial import Partial
from pushline.hub import Directory, Hub
from pushline.outbox import FEW, FRAME_COST, Outbox
from pushline.queries import Queries

T = TypeVar("T")

SENT = tuple(map(Sent, range(FEW + 1)))
"""Ready-made answers: nearly every send reaches a few, and nobody that it names is offline."""


class Node:
    """A Hub, and the Outbox of its connections. `address` is the first part of its client_ids,
    48 bits: random where nobody else has to know it.

    `execute` is a plain call: a push takes no task, and its order is fixed when it returns.
    """

    def __init__(self, hub: Hub, outbox: Outbox, address: int | None = None) -> None:
        self.hub = hub
        self.outbox = outbox
        self.partial = Partial()
        address = secrets.randbits(48) if address is None else address
        self._clients = Directory(hub, address)
        self._execute: dict[type, Callable[[Any], Any]] = {
            SendToUid: self._send_to_uid,
            SendToGroup: self._send_to_group,
            SendToClient: self._send_to_client,
            SendToAll: self._send_to_all,
            **Actions(hub, outbox, self._clients).by_command,
            **Queries(hub, self._clients).by_command,
        }
        self._targets: dict[type, Callable[[Any], Collection[Connection]]] = {
            SendToUid: self._of_uids,
            SendToGroup: self._of_groups,
            SendToClient: self._of_clients,
            SendToAll: self._of_all,
        }

    def client_id(self, connection: Connection) -> str:
        """The client_id of a connection that the hub has named."""
        return self._clients.id_of(connection)

    @property
    def address(self) -> int:
        """The first part of its client_ids."""
        return self._clients.address

    def move_to(self, address: int) -> None:
        """Have all client_ids begin with `address`; before there are any."""
        self._clients.address = address

    def execute(self, command: Command[T]) -> T:
        """Carry out a Command; returns its answer."""
        return self._execute[type(command)](command)  # type: ignore[no-any-return] # as the table

    def teach(self, command: type, carry_out: Callable[[Any], Any]) -> None:
        """Have `carry_out` called for Commands of this type; it may give a future of the answer."""
        self._execute[command] = carry_out

    def find(self, client_id: str) -> Connection | None:
        """The connection, if it is here."""
        return self._clients.find(client_id)

    def must_wait(self, command: Send) -> bool:
        """Whether earlier messages have to go out before it.

        As a fan-out it waits for the earlier ones; else for readers that would be closed by it and
        have only just stopped reading.
        """
        targets = self._targets[type(command)](command)
        if len(targets) > FEW:
            return self.outbox.lane_full
        size = len(command.message.data) + FRAME_COST
        return any(target.strained(size) for target in targets)

    def _send_to_uid(self, command: SendToUid) -> Sent:
        uids = command.uids
        if len(uids) != 1 or command.exclude:
            return self._send_to_uids(command)
        members = self.hub.of_uid(uids[0], command.utype)  # nearly always
        count = self.outbox.send(members, command.message)
        if not members:
            return Sent(0, uids)
        return SENT[count] if count <= FEW else Sent(count)

    def _send_to_uids(self, command: SendToUid) -> Sent:
        offline = (uid for uid in command.uids if not self.hub.of_uid(uid, command.utype))
        return self._send(command, tuple(offline))

    def _send_to_group(self, command: SendToGroup) -> Sent:
        offline = (name for name in command.groups if not self.hub.of_group(name, command.utype))
        return self._send(command, tuple(offline))

    def _send_to_client(self, command: SendToClient) -> Sent:
        offline = (client for client in command.clients if self._clients.find(client) is None)
        return self._send(command, tuple(offline))

    def _send_to_all(self, command: SendToAll) -> Sent:
        return self._send(command)

    def _send(self, command: Send, offline: tuple[str, ...] = ()) -> Sent:
        targets = self._targets[type(command)](command)
        count = self.outbox.send(targets, command.message)
        return Sent(count, offline) if offline or count > FEW else SENT[count]

    def _of_uids(self, command: SendToUid) -> Collection[Connection]:
        return self._but(command.exclude, self.hub.of_uids(command.uids, command.utype))

    def _of_groups(self, command: SendToGroup) -> Collection[Connection]:
        groups = command.groups
        if len(groups) == 1:  # nearly always: nobody is in it twice
            members = self.hub.of_group(groups[0], command.utype)
        else:
            members = self.hub.of_groups(groups, command.utype)
        return self._but(command.exclude, members)

    def _of_clients(self, command: SendToClient) -> Collection[Connection]:
        return self._clients.find_all(command.clients)

    def _of_all(self, command: SendToAll) -> Collection[Connection]:
        utype, hub = command.utype, self.hub
        everyone = hub.connections.values() if utype is None else hub.of_utype(utype)
        return self._but(command.exclude, everyone)

    def _but(
        self, exclude: frozenset[str], connections: Collection[Connection]
    ) -> Collection[Connection]:
        if not exclude:
            return connections
        excluded = set(self._clients.find_all(exclude))
        return [connection for connection in connections if connection not in excluded]
