"""A cluster on one Redis, or on several that know nothing of each other."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar
from zlib import crc32

from pushline.brokers.base import Counts, Holder, Ousted, Receive, nobody
from pushline.brokers.redis.endpoint import parse
from pushline.brokers.redis.shard import Shard
from pushline.brokers.redis.times import Times
from pushline.errors import ConfigError, UnavailableError

T = TypeVar("T")


class RedisBroker:
    """The Broker of one node.

    Each channel, and each user, has its Redis, by a checksum of the name: so every node needs the
    same `urls` in the same order. `prefix` is what all its keys and channels begin with: another
    cluster on the same Redis needs another one, with which neither begins. `timeout` is in seconds.
    Raises ConfigError.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        prefix: str = "pushline:",
        timeout: float = 2.0,
        times: Times = Times(),  # noqa: B008 - cannot be changed
    ) -> None:
        if not urls:
            raise ConfigError("there is no URL of a Redis")
        endpoints = [parse(url) for url in urls]
        for endpoint in endpoints:
            if endpoints.count(endpoint) > 1:
                raise ConfigError(f"{endpoint} is named twice: each Redis has a part of its own")
        self.counts = Counts()
        self.ousted: Ousted = nobody
        self.shards = [
            Shard(
                endpoint,
                f"{number}/{len(urls)}",
                prefix=prefix,
                timeout=timeout,
                times=times,
                counts=self.counts,
                ousted=lambda user, client: self.ousted(user, client),
            )
            for number, endpoint in enumerate(endpoints)
        ]

    @property
    def ready(self) -> bool:
        """All of them are; for all that follow see the contract."""
        return all(shard.ready for shard in self.shards)

    async def start(self, node: str, receive: Receive) -> None:
        try:
            await _all(shard.start(node, receive) for shard in self.shards)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        await _all(shard.stop() for shard in self.shards)

    # --- channels -------------------------------------------------------------------------------

    def subscribe(self, channel: bytes) -> None:
        self._of(channel).subscribe(channel)

    def unsubscribe(self, channel: bytes) -> None:
        self._of(channel).unsubscribe(channel)

    def publish(self, channel: bytes, payload: bytes) -> "asyncio.Future[int]":
        return self._of(channel).publish(channel, payload)

    async def subscribers(self, channels: Sequence[bytes]) -> list[int]:
        return await self._spread(channels, Shard.subscribers)

    # --- presence -------------------------------------------------------------------------------

    def present(self, user: bytes, connections: int) -> None:
        self._of(user).present(user, connections)

    async def whereabouts(self, users: Sequence[bytes]) -> list[dict[str, int]]:
        return await self._spread(users, Shard.whereabouts)

    async def nodes(self) -> tuple[str, ...]:
        """Of any Redis that answers: each node has a lease at every one."""
        asked = (shard.nodes() for shard in self.shards)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        found = [answer for answer in answers if not isinstance(answer, BaseException)]
        if not found:
            raise UnavailableError(str(answers[0]))
        return tuple(sorted({node for nodes in found for node in nodes}))

    # --- claims ---------------------------------------------------------------------------------

    async def claim(self, user: bytes, client: str, instead_of: Holder | None) -> Holder | None:
        return await self._of(user).claim(user, client, instead_of)

    async def seize(self, user: bytes, client: str) -> None:
        await self._of(user).seize(user, client)

    def release(self, user: bytes, client: str) -> None:
        self._of(user).release(user, client)

    # --- which Redis ----------------------------------------------------------------------------

    def _of(self, name: bytes) -> Shard:
        shards = self.shards
        return shards[crc32(name) % len(shards)] if len(shards) > 1 else shards[0]

    async def _spread(
        self,
        names: Sequence[bytes],
        ask: Callable[[Shard, Sequence[bytes]], Coroutine[Any, Any, list[T]]],
    ) -> list[T]:
        """What each Redis answers about its names, in the order of `names`."""
        if len(self.shards) == 1:
            return await ask(self.shards[0], names)
        parts: defaultdict[Shard, list[int]] = defaultdict(list)
        for place, name in enumerate(names):
            parts[self._of(name)].append(place)
        answers = await _all(
            ask(shard, [names[place] for place in places]) for shard, places in parts.items()
        )
        found = {
            place: one
            for places, answer in zip(parts.values(), answers, strict=True)
            for place, one in zip(places, answer, strict=True)
        }
        return [found[place] for place in range(len(names))]


async def _all(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What they return; where one raises, the others are ended first."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raise
