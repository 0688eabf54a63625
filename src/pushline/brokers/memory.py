"""A cluster within one process, for tests: the nodes share a Bus."""

import asyncio
from collections.abc import Sequence
from typing import Final

from pushline.brokers.base import Counts, Holder, Ousted, Receive, nobody
from pushline.errors import ConfigError, UnavailableError

APART: Final = "this node is in no cluster"


class Bus:
    """What the nodes of one event loop have in common."""

    def __init__(self) -> None:
        self.members: dict[str, MemoryBroker] = {}
        self.claims: dict[bytes, Holder] = {}

    def holder(self, user: bytes) -> Holder | None:
        """Who holds a user, if its node is still there."""
        holder = self.claims.get(user)
        return holder if holder is not None and holder.node in self.members else None

    def others(self, node: str, channel: bytes) -> "list[MemoryBroker]":
        """Those of the other members that are subscribed."""
        return [
            member
            for name, member in self.members.items()
            if name != node and channel in member.channels
        ]


class MemoryBroker:
    """One node's Broker; alone, unless it shares its Bus."""

    def __init__(self, bus: Bus | None = None) -> None:
        self.counts = Counts()
        self.ousted: Ousted = nobody
        self.channels: set[bytes] = set()
        self.users: dict[bytes, int] = {}
        self._bus = bus or Bus()
        self._node = ""
        self._receive: Receive = _ignore

    @property
    def ready(self) -> bool:
        """From start to stop."""
        return self._bus.members.get(self._node) is self

    async def start(self, node: str, receive: Receive) -> None:
        """Join the others on the Bus."""
        if node in self._bus.members:
            raise ConfigError(f"another node has the address {node}: give each one its own")
        self._node = node
        self._receive = receive
        self._bus.members[node] = self

    async def stop(self) -> None:
        """Leave the Bus; what is on its way to this node is not received any more."""
        if self.ready:
            del self._bus.members[self._node]

    # --- channels -------------------------------------------------------------------------------

    def subscribe(self, channel: bytes) -> None:
        """In force at once."""
        self.channels.add(channel)

    def unsubscribe(self, channel: bytes) -> None:
        """In force at once; what is on its way is still received."""
        self.channels.discard(channel)

    def publish(self, channel: bytes, payload: bytes) -> "asyncio.Future[int]":
        """Received in the loop's next pass: whoever publishes is not run into by an answer."""
        self.counts.published += 1
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self.ready:
            answer.set_result(self._publish(channel, payload))
        else:
            self.counts.failed += 1
            answer.set_exception(UnavailableError(APART))
        return answer

    def _publish(self, channel: bytes, payload: bytes) -> int:
        others = self._bus.others(self._node, channel)
        for other in others:
            asyncio.get_running_loop().call_soon(other.deliver, channel, payload)
        return len(others)

    def deliver(self, channel: bytes, payload: bytes) -> None:
        """A message of another node's has arrived."""
        if self.ready:
            self.counts.received += 1
            self._receive(channel, payload)

    async def subscribers(self, channels: Sequence[bytes]) -> list[int]:
        """Of the others."""
        self._check()
        return [len(self._bus.others(self._node, channel)) for channel in channels]

    # --- presence -------------------------------------------------------------------------------

    def present(self, user: bytes, connections: int) -> None:
        """In force at once."""
        if connections:
            self.users[user] = connections
        else:
            self.users.pop(user, None)

    async def whereabouts(self, users: Sequence[bytes]) -> list[dict[str, int]]:
        """Of all members."""
        self._check()
        return [
            {
                name: member.users[user]
                for name, member in self._bus.members.items()
                if user in member.users
            }
            for user in users
        ]

    async def nodes(self) -> tuple[str, ...]:
        """All members."""
        self._check()
        return tuple(sorted(self._bus.members))

    # --- claims ---------------------------------------------------------------------------------

    async def claim(self, user: bytes, client: str, instead_of: Holder | None) -> Holder | None:
        """Unless another holds it."""
        self._check()
        holder = self._bus.holder(user)
        if holder not in (None, instead_of, Holder(self._node, client)):
            return holder
        self._hold(user, client)
        return None

    async def seize(self, user: bytes, client: str) -> None:
        """Whoever holds it."""
        self._check()
        self._hold(user, client)

    def _hold(self, user: bytes, client: str) -> None:
        holder, mine = self._bus.holder(user), Holder(self._node, client)
        self._bus.claims[user] = mine
        if holder is not None and holder != mine:
            ousted = self._bus.members[holder.node].ousted
            asyncio.get_running_loop().call_soon(ousted, user, holder.client)

    def release(self, user: bytes, client: str) -> None:
        """If this client holds it."""
        if self._bus.claims.get(user) == Holder(self._node, client):
            del self._bus.claims[user]

    def _check(self) -> None:
        if not self.ready:
            raise UnavailableError(APART)


def _ignore(channel: bytes, payload: bytes) -> None:
    pass
