"""The contract between a cluster's nodes and what connects them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

Receive = Callable[[bytes, bytes], object]
"""Called with the channel and the payload of what another node has published."""


Ousted = Callable[[bytes, str], object]
"""Called with a user and the client of this node that held it, when another has it."""


class Holder(NamedTuple):
    """Whose a user is, where one connection at a time may have it."""

    node: str
    client: str


@dataclass(slots=True)
class Counts:
    """What a broker has counted since it was made."""

    published: int = 0
    """Messages that were to be sent to the other nodes."""
    failed: int = 0
    """Those of which it is not known whether they were."""
    received: int = 0
    """Messages of other nodes."""
    strange: int = 0
    """Messages that no node of this version sends: dropped."""
    reconnects: int = 0
    gaps: int = 0
    """Times in which what others published may have been missed."""


class Broker(Protocol):
    """Channels, presence and claims, as one node has them.

    Nodes are named by 12 hexadecimal digits: the address that their client_ids begin with. Channels
    and users are bytes, of any kind. What cannot be done raises UnavailableError within `timeout`
    seconds, and whether it was done is then not known. Belongs to the event loop of `start`.
    """

    counts: Counts
    ousted: Ousted

    @property
    def ready(self) -> bool:
        """Connected and answered in time, the lease in force, and every subscription and presence
        that was there when the connection was made; what came later is on its way."""

    async def start(self, node: str, receive: Receive) -> None:
        """Join the cluster under this name.

        Raises ConfigError where that can never be, as when another node has the name, and
        UnavailableError where it could not be done in half a minute. May be called before or after
        the first `subscribe` and `present`.
        """

    async def stop(self) -> None:
        """Leave it: from now on this node counts nowhere. Raises nothing."""

    # --- channels -------------------------------------------------------------------------------

    def subscribe(self, channel: bytes) -> None:
        """Have what others publish there received; it goes out with all else of this pass."""

    def unsubscribe(self, channel: bytes) -> None:
        """No more; what others have published before that was in force is still received.

        They have been told that this node receives it, and may wait for its answer.
        """

    def publish(self, channel: bytes, payload: bytes) -> "asyncio.Future[int]":
        """Send to the other nodes that are subscribed; the answer is how many they were.

        What one node publishes arrives in that order, in each channel. Where it cannot be sent the
        future has failed already; it is never raised here.
        """

    async def subscribers(self, channels: Sequence[bytes]) -> list[int]:
        """How many other nodes are subscribed to each, in one round trip."""

    # --- presence -------------------------------------------------------------------------------

    def present(self, user: bytes, connections: int) -> None:
        """How many connections of a user this node has now; it goes out with all of this pass."""

    async def whereabouts(self, users: Sequence[bytes]) -> list[dict[str, int]]:
        """For each user how many connections each node has, this one too; in one round trip."""

    async def nodes(self) -> tuple[str, ...]:
        """Those whose lease is in force, this one too; in alphabetical order."""

    # --- claims: who loses one to another is told so, and a node that was cut off when it is back

    async def claim(self, user: bytes, client: str, instead_of: Holder | None) -> Holder | None:
        """Make `client` of this node the holder of a user, atomically.

        Only where nobody holds it, or nobody but `instead_of` or `client` itself, or a node that is
        gone. None where that was done, else the holder.
        """

    async def seize(self, user: bytes, client: str) -> None:
        """Make `client` of this node the holder, whoever it was."""

    def release(self, user: bytes, client: str) -> None:
        """Give a user up, if this node's `client` still holds it: now, or when it can be said."""


def nobody(user: bytes, client: str) -> None:
    """`ousted`, where nobody is to be told."""
