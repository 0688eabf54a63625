"""One Redis of a cluster: its part of the channels, of presence and of the claims."""

import asyncio
from collections.abc import Sequence

from pushline.brokers.base import Counts, Holder, Ousted, Receive
from pushline.brokers.redis.answers import Answer
from pushline.brokers.redis.channels import Channels
from pushline.brokers.redis.claims import Claims, channel_of_notices
from pushline.brokers.redis.endpoint import Endpoint
from pushline.brokers.redis.keys import Keys
from pushline.brokers.redis.lease import Lease, nodes_with_lease
from pushline.brokers.redis.link import Link
from pushline.brokers.redis.membership import Membership
from pushline.brokers.redis.presence import Presence
from pushline.brokers.redis.times import Times
from pushline.errors import UnavailableError


class Shard:
    """A Broker on one Redis. `shape` says which of how many it is, as in `0/1`."""

    def __init__(
        self,
        endpoint: Endpoint,
        shape: str,
        *,
        prefix: str,
        timeout: float,
        times: Times,
        counts: Counts,
        ousted: Ousted,
    ) -> None:
        self.counts = counts
        self._endpoint = endpoint
        self._shape = shape
        self._times = times
        self._keys = Keys(prefix, endpoint.database)
        self._presence = Presence(self._keys)
        self._claims = Claims(self._keys, ousted)
        self._channels = Channels(self._keys.channel, counts, self._claims.noticed)
        self._membership = Membership(endpoint, timeout, times, counts, self)
        self._is_to_flush = False
        self._are_doubtful = False
        """Our claims: others may have them by now, or Redis has forgotten them."""
        self.received = self._channels.received

    def __str__(self) -> str:
        return str(self._endpoint)

    @property
    def ready(self) -> bool:
        """See the contract, as for all that follow."""
        return self._membership.is_ready

    async def start(self, node: str, receive: Receive) -> None:
        self._channels.start(node, receive)
        self._channels.subscribe(channel_of_notices(node))
        self._presence.start(node)
        self._claims.start(node)
        lease = Lease(self._keys, node, self._times.lease, self._shape)
        await self._membership.start(lease)

    async def stop(self) -> None:
        await self._membership.stop()

    def ask(self, command: bytes) -> Answer:
        """Send a command; its answer."""
        link = self._membership.link
        return link.ask(command) if link is not None else self._no_link()

    def _no_link(self) -> Answer:
        answer = asyncio.get_running_loop().create_future()
        answer.set_exception(self._not_connected())
        return answer

    def _not_connected(self) -> UnavailableError:
        return UnavailableError(f"{self} is not connected")

    # --- channels -------------------------------------------------------------------------------

    def subscribe(self, channel: bytes) -> None:
        self._channels.subscribe(channel)
        self._changed()

    def unsubscribe(self, channel: bytes) -> None:
        self._channels.unsubscribe(channel)
        self._changed()

    def publish(self, channel: bytes, payload: bytes) -> "asyncio.Future[int]":
        self.counts.published += 1
        link = self._membership.link
        if link is None:
            self.counts.failed += 1
            return self._no_link()
        return self._channels.publish(link, channel, payload)

    async def subscribers(self, channels: Sequence[bytes]) -> list[int]:
        return await self._channels.subscribers(self.ask, channels)

    # --- presence -------------------------------------------------------------------------------

    def present(self, user: bytes, connections: int) -> None:
        self._presence.set(user, connections)
        self._changed()

    async def whereabouts(self, users: Sequence[bytes]) -> list[dict[str, int]]:
        return await self._presence.whereabouts(self.ask, users)

    async def nodes(self) -> tuple[str, ...]:
        return await nodes_with_lease(self.ask, self._keys)

    # --- claims ---------------------------------------------------------------------------------

    async def claim(self, user: bytes, client: str, instead_of: Holder | None) -> Holder | None:
        self._check_link()
        return await self._claims.claim(self.ask, user, client, instead_of)

    async def seize(self, user: bytes, client: str) -> None:
        self._check_link()
        await self._claims.seize(self.ask, user, client)

    def _check_link(self) -> None:
        """What is never sent need not be taken back."""
        if self._membership.link is None:
            raise self._not_connected()

    def release(self, user: bytes, client: str) -> None:
        self._claims.release(self.ask, user, client)

    # --- what has changed goes out with all else of the pass ------------------------------------

    def _changed(self) -> None:
        if not self._is_to_flush and self._membership.link is not None:
            self._is_to_flush = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_to_flush = False
        link = self._membership.link
        if link is not None:
            for last in (self._channels.flush(link), self._presence.flush(link)):
                if last is not None:
                    last.add_done_callback(self._go_on)

    def _go_on(self, _: Answer) -> None:
        """There may have been more than one slice."""
        if self._channels.stale or self._presence.stale:
            self._changed()

    # --- what Membership says -------------------------------------------------------------------

    async def settle(self, link: Link, fresh: bool) -> None:
        """Subscribe to everything and write everything anew; raises UnavailableError.

        First the subscriptions: a claim that is lost from then on is told.
        """
        self._channels.forget()
        self._presence.is_whole = False
        self._are_doubtful = True
        while (done := self._channels.flush(link)) is not None:
            await done
        await self.check(link, fresh)

    async def leave(self, link: Link) -> None:
        """Be counted no more. What was asked before can still be answered."""
        self._channels.unsubscribe_all()
        while (done := self._channels.flush(link)) is not None:
            await done

    async def check(self, link: Link, fresh: bool) -> None:
        """Write anew what Redis has forgotten or not taken; whose users are seen has them held."""
        self._presence.is_whole &= not fresh
        self._are_doubtful |= fresh
        self._claims.release_again(link.ask)
        if self._are_doubtful:
            await self._claims.claim_again(link.ask)
            self._are_doubtful = False
        if not self._presence.is_whole:
            await self._presence.rewrite(link)
        self._changed()

    def missed(self) -> int:
        """The channels that we are subscribed to, but that of the notices."""
        return len(self._channels.wanted) - 1
