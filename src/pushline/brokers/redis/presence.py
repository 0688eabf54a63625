"""Which users this node has, with how many connections, as all nodes can ask."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pushline.brokers.redis.answers import Answer
from pushline.brokers.redis.chunks import SLICE, chunks, some_of
from pushline.brokers.redis.keys import NEW, Keys
from pushline.brokers.redis.link import Link, command
from pushline.brokers.redis.scripts import NOW, Ask, Script
from pushline.errors import UnavailableError

ASKED: Final = 250
"""Users that one script is asked for: while it runs, Redis does nothing else, and it takes nearly a
microsecond for each user and each node."""

WHEREABOUTS: Final = Script(
    NOW
    + """
local answer = {}
for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')) do
    local found = {}
    for i, connections in ipairs(redis.call('HMGET', ARGV[1] .. node, unpack(ARGV, 2))) do
        if connections then
            found[#found + 1] = i
            found[#found + 1] = tonumber(connections)
        end
    end
    answer[#answer + 1] = node
    answer[#answer + 1] = found
end
return answer
"""
)
"""Of each node with a lease the users that it has, each by its number among those asked for, and
the connections."""


class Presence:
    """`users` is what is true; where `is_whole`, Redis has all of it but what is `stale`."""

    def __init__(self, keys: Keys) -> None:
        self.users: dict[bytes, int] = {}
        self.is_whole = False
        self.stale: set[bytes] = set()
        self._keys = keys
        self._node = ""
        self._key = b""

    def start(self, node: str) -> None:
        """From now on we are this node."""
        self._node = node
        self._key = self._keys.presence + node.encode()

    def set(self, user: bytes, connections: int) -> None:
        """With the next `flush`."""
        if connections:
            self.users[user] = connections
        else:
            self.users.pop(user, None)
        self.stale.add(user)

    def flush(self, link: Link) -> Answer | None:
        """Write a slice of what is stale; done when Redis has done it, None where nothing was."""
        if not self.is_whole:
            return None
        users = some_of(self.stale)
        answers = [
            link.ask(command("HDEL", self._key, *chunk))
            for chunk in chunks([user for user in users if user not in self.users])
        ]
        answers += self._put(link, self._key, users)
        for answer in answers:
            answer.add_done_callback(self._written)
        return answers[-1] if answers else None

    def _put(self, link: Link, key: bytes, users: Sequence[bytes]) -> list[Answer]:
        """Those of the users that are there."""
        here = [user for user in users if user in self.users]
        return [link.ask(command("HSET", key, *self._pairs(chunk))) for chunk in chunks(here)]

    def _pairs(self, users: Sequence[bytes]) -> Iterator[bytes | int]:
        return (part for user in users for part in (user, self.users[user]))

    def _written(self, answer: Answer) -> None:
        if answer.cancelled() or answer.exception():
            self.is_whole = False

    async def rewrite(self, link: Link) -> None:
        """Have Redis forget what it has of this node, and write everything.

        It is written beside and put in place at the end, so that nobody is missing meanwhile.
        Raises UnavailableError.
        """
        self.is_whole = False
        self.stale.clear()
        new = self._key + NEW
        written = [link.ask(command("UNLINK", new))]
        for users in chunks(list(self.users), SLICE):
            written += self._put(link, new, users)
            await asyncio.gather(*written)
        placed = ("RENAME", new, self._key) if written[1:] else ("UNLINK", self._key)
        written.append(link.ask(command(*placed)))
        self.is_whole = True  # what changes from now on goes out behind it
        try:
            await asyncio.gather(*written)
        except UnavailableError:
            self.is_whole = False
            raise

    # --- where users are ------------------------------------------------------------------------

    async def whereabouts(self, ask: Ask, users: Sequence[bytes]) -> list[dict[str, int]]:
        """For each user the nodes where it is; of this one, what is true now."""
        parts = list(chunks(users, ASKED))
        answers = await asyncio.gather(
            *(
                WHEREABOUTS.call(ask, [self._keys.nodes], self._keys.presence, *part)
                for part in parts
            )
        )
        return [
            place
            for part, answer in zip(parts, answers, strict=True)
            for place in self._places(part, answer)
        ]

    def _places(self, users: Sequence[bytes], answer: list[Any]) -> list[dict[str, int]]:
        places: list[dict[str, int]] = [
            {self._node: self.users[user]} if user in self.users else {} for user in users
        ]
        for name, found in zip(answer[::2], answer[1::2], strict=True):
            node = name.decode()
            if node != self._node:
                for number, connections in zip(found[::2], found[1::2], strict=True):
                    places[number - 1][node] = connections
        return places
