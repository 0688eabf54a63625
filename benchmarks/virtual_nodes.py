"""Nodes of a cluster that have no browsers, and what they do at a given pace."""

import asyncio
import time
from collections.abc import Callable, Sequence
from random import Random

from benchmarks.processes import UnableError
from pushline.brokers.redis import RedisBroker
from pushline.codecs.cluster_wire import (
    EVERYONE,
    channel_of_node,
    channel_of_uid,
    encode_message,
    user_of,
)
from pushline.messages import Message

UTYPE = "0"
PUSH = encode_message(Message(b"x" * 100))
OWN_CHANNELS = 2
"""Of each node: for what it is asked, and for its notices. All nodes share a third, EVERYONE."""
PATIENCE = 60.0
"""Seconds that whatever we wait for may take."""


class Node:
    """One whose Broker is told what a Cluster tells it; `uids` are those of its users.

    `received` is how many messages of other nodes have come.
    """

    def __init__(self, url: str, number: int, users: int) -> None:
        self.name = f"{number:012x}"
        self.uids = [f"{10_000_000 + number * users + i}" for i in range(users)]
        self.broker = RedisBroker([url])
        self.received = 0

    async def start(self) -> None:
        """With the channels that every node has."""
        await self.broker.start(self.name, self._take)
        self.broker.subscribe(EVERYONE)
        self.broker.subscribe(channel_of_node(self.name))

    def subscribe(self, uid: str) -> None:
        """Half of what is done when a user comes."""
        self.broker.subscribe(channel_of_uid(uid, UTYPE))

    def present(self, uid: str) -> None:
        """The other half."""
        self.broker.present(user_of(uid, UTYPE), 1)

    def come(self, uid: str) -> None:
        """A user's first connection has logged in."""
        self.subscribe(uid)
        self.present(uid)

    def go(self, uid: str) -> None:
        """His last one has ended."""
        self.broker.unsubscribe(channel_of_uid(uid, UTYPE))
        self.broker.present(user_of(uid, UTYPE), 0)

    def _take(self, _channel: bytes, _payload: bytes) -> None:
        self.received += 1


class Pusher:
    """Has nodes push to users of other nodes, at random, and counts the answers."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.answered = 0
        self.taken_by_one = 0
        self._nodes = nodes
        self._random = Random(1)

    def push(self, _: int) -> None:
        """To one user."""
        node, other = self._random.sample(self._nodes, 2)
        channel = channel_of_uid(self._random.choice(other.uids), UTYPE)
        node.broker.publish(channel, PUSH).add_done_callback(self._count)

    def broadcast(self, _: int) -> None:
        """To everyone."""
        node = self._random.choice(self._nodes)
        node.broker.publish(EVERYONE, PUSH).add_done_callback(self._count)

    def _count(self, nodes: "asyncio.Future[int]") -> None:
        self.answered += 1
        self.taken_by_one += nodes.exception() is None and nodes.result() == 1


async def at_rate(rate: int, seconds: float, do: Callable[[int], object]) -> int:
    """Call `do` with 0, 1, 2 ... so many times a second; returns how often it was."""
    begun, done = time.monotonic(), 0
    while (elapsed := time.monotonic() - begun) < seconds:
        due = int(rate * elapsed)
        for number in range(done, due):
            do(number)
        done = due
        await asyncio.sleep(0.001)
    return done


async def until(condition: Callable[[], bool]) -> None:
    """Raises UnableError where it does not come true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise UnableError("Redis or the nodes do not keep up")
        await asyncio.sleep(0.005)
