"""Executes Commands on this node's connections. The one way in for every back end."""

from collections.abc import Callable, Collection
from typing import Any

from pushline.commands import Command, SendToAll, SendToUid
from pushline.connection import Connection
from pushline.hub import Hub
from pushline.outbox import FEW, FRAME_COST, Outbox


class Node:
    """A Hub, and the Outbox of its connections.

    `execute` is a plain call: a push takes no task, and its order is fixed when it returns.
    """

    def __init__(self, hub: Hub, outbox: Outbox) -> None:
        self.hub = hub
        self.outbox = outbox
        self._execute: dict[type, Callable[[Any], int]] = {
            SendToUid: self._send_to_uid,
            SendToAll: self._send_to_all,
        }

    def execute(self, command: Command) -> int:
        """Carry out a Command; returns on how many live connections it was queued."""
        return self._execute[type(command)](command)

    def strained(self, command: SendToUid | SendToAll) -> bool:
        """Whether one of a few targets would be closed by it that has only just stopped reading."""
        targets = self._targets(command)
        size = len(command.message.data) + FRAME_COST
        return len(targets) <= FEW and any(target.strained(size) for target in targets)

    def _targets(self, command: SendToUid | SendToAll) -> Collection[Connection]:
        if isinstance(command, SendToAll):
            return self.hub.of_utype(command.utype)
        return self.hub.of_uids(command.uids, command.utype)

    def _send_to_uid(self, command: SendToUid) -> int:
        uids = command.uids
        if len(uids) == 1:  # nearly always
            members = self.hub.of_uid(uids[0], command.utype)
        else:
            members = self.hub.of_uids(uids, command.utype)
        return self.outbox.send(members, command.message)

    def _send_to_all(self, command: SendToAll) -> int:
        return self.outbox.send(self.hub.of_utype(command.utype), command.message)
