"""What other nodes have sent, and has to wait until this one's connections have caught up.

Back ends of this node wait where the Outbox is full: they are not read from. What comes from the
other nodes cannot wait in Redis, behind which would stand the answers to our own questions; so it
waits here, in its order, and as long as there is room for it.
"""

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from pushline.codecs.cluster_wire import Question, user_in
from pushline.commands import SendToAll, SendToClient, SendToGroup, SendToUid
from pushline.messages import Message
from pushline.node import Node

log = logging.getLogger(__name__)

ROOM: Final = 1 << 26
"""Bytes that may wait."""
OVERHEAD: Final = 400
"""Of them, for each message: its objects."""

What = Message | Question
CarryOut = Callable[[bytes, What], object]
_SENDS = (SendToUid, SendToGroup, SendToClient, SendToAll)


class Backlog:
    """Has `carry_out` called with a channel and what was published there, now or when it may be.

    `dropped` counts what there was no room for: a node that is sent more than it can deliver, for
    long, loses the latest of it.
    """

    def __init__(self, node: Node, carry_out: CarryOut) -> None:
        self.dropped = 0
        self._node = node
        self._outbox = node.outbox
        self._carry_out = carry_out
        self._waiting: deque[tuple[bytes, What, int]] = deque()
        self._room = ROOM
        self._is_dropping = False

    def __len__(self) -> int:
        """How much waits."""
        return len(self._waiting)

    def take(self, channel: bytes, what: What, size: int) -> None:
        """Something of so many bytes has come."""
        outbox = self._outbox
        is_strained = outbox.lane_full or outbox.held
        if self._waiting or outbox.credit <= 0 or (is_strained and self._must_wait(channel, what)):
            self._hold(channel, what, size + OVERHEAD)
        else:
            self._carry_out(channel, what)

    def _must_wait(self, channel: bytes, what: What) -> bool:
        """Because of whom it is for."""
        if isinstance(what, Question):
            command = what.command
            return isinstance(command, _SENDS) and self._node.must_wait(command)
        user = user_in(channel)
        if user is None:
            return False
        uid, utype = user
        return self._node.must_wait(SendToUid((uid,), utype, what))

    def _hold(self, channel: bytes, what: What, size: int) -> None:
        if size > self._room:
            self._drop()
            return
        if not self._waiting:
            self._outbox.after_pass(self._work, starved=self._outbox.credit <= 0)
        self._waiting.append((channel, what, size))
        self._room -= size

    def _drop(self) -> None:
        self.dropped += 1
        if not self._is_dropping:
            self._is_dropping = True
            log.warning(
                "other nodes send more than the connections of this one can take: it is dropped"
            )

    def _work(self) -> None:
        starved = self._outbox.credit <= 0  # others were before it
        try:
            while self._waiting and self._outbox.credit > 0 and self._work_off():
                pass
        finally:
            if self._waiting:
                self._outbox.after_pass(self._work, starved=starved)
            else:
                self._is_dropping = False

    def _work_off(self) -> bool:
        """The first, unless it has to wait; it is taken out in any case where it fails."""
        first = self._waiting.popleft()
        channel, what, size = first
        self._room += size
        if self._must_wait(channel, what):
            self._room -= size
            self._waiting.appendleft(first)
            return False
        self._carry_out(channel, what)
        return True
