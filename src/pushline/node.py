"""Executes Commands on this node's connections. The one way in for every back end."""

from collections.abc import Callable
from typing import Any

from pushline.commands import Command, SendToAll, SendToUid
from pushline.hub import Hub
from pushline.outbox import Outbox


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

    def _send_to_uid(self, command: SendToUid) -> int:
        of_uid, utype = self.hub.of_uid, command.utype
        if len(command.uids) == 1:
            return self.outbox.send(of_uid(command.uids[0], utype), command.message)
        connections = [member for uid in command.uids for member in of_uid(uid, utype)]
        return self.outbox.send(connections, command.message)

    def _send_to_all(self, command: SendToAll) -> int:
        return self.outbox.send(self.hub.of_utype(command.utype), command.message)
