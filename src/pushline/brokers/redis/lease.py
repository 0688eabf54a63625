"""That this node is there: a lease in Redis, by Redis's clock, and what becomes of those that end.

A node that stops or vanishes would still be counted by PUBLISH while its connection stays open, and
its users would be present for ever. So whoever sees that a lease has ended first ends that node's
connection (CLIENT KILL), so that nothing of it comes any more, and then buries it: takes its users
and what they hold away, and at last its name. That can be done by several nodes at once, in parts,
and again where one has died over it.

The same for a node's own connection of before: what is still open of it, as when a cable was cut,
is ended before the next one does anything. So a node never has two that are counted.
"""

import logging
import secrets
from typing import Final, NamedTuple

from pushline.brokers.redis.answers import RefusedError
from pushline.brokers.redis.chunks import CHUNK
from pushline.brokers.redis.keys import NEW, Keys
from pushline.brokers.redis.link import Link, command
from pushline.brokers.redis.scripts import NOW, Ask, Script
from pushline.errors import ConfigError, UnavailableError

log = logging.getLogger(__name__)

HOLD: Final = Script(
    NOW
    + """
local nodes, record, presence, shapes = unpack(KEYS)
local node, name, client, lease, shape, records = unpack(ARGV)
local held = redis.call('HMGET', record, 'name', 'client')
local ends = tonumber(redis.call('ZSCORE', nodes, node) or 0)
if held[1] and held[1] ~= name and ends > 0 then
    return {'taken', ends - now, held[1], held[2]}
end
local others = redis.call('GET', shapes)
if others and others ~= shape and redis.call('ZCOUNT', nodes, '(' .. now, '+inf') > 0 then
    return {'shape', others}
end
local fresh = 0
if held[1] ~= name then
    fresh = 1
    held[2] = false
    redis.call('UNLINK', presence)
    redis.call('SET', shapes, shape)
    redis.call('HSET', record, 'name', name, 'since', now)
end
if held[2] ~= client then
    redis.call('HSET', record, 'client', client)
end
redis.call('ZADD', nodes, now + lease, node)
local ended = {}
if ends == 0 or ends > now then
    for _, other in ipairs(redis.call('ZRANGEBYSCORE', nodes, '-inf', now, 'LIMIT', 0, 16)) do
        local last = redis.call('HMGET', records .. other, 'name', 'client')
        ended[#ended + 1] = {other, last[1] or '', last[2] or ''}
    end
end
return {'held', fresh, held[2] or '', ended}
"""
)
"""Take or renew a lease: `held`, whether Redis knew nothing of this node, the id of its connection
before, and the nodes whose lease has ended, each with its connection's name and id: none where ours
had ended, too, for then it was Redis that hung, and the others are about to renew theirs. Or
`taken`, the milliseconds that are left to who has it, and its connection; or `shape`, that of the
others."""

BURY: Final = Script(
    NOW
    + """
local nodes, record, presence, new = unpack(KEYS)
local node, name, claims, most = unpack(ARGV)
local ends = tonumber(redis.call('ZSCORE', nodes, node) or now + 1)
if ends > now or (redis.call('HGET', record, 'name') or '') ~= name then
    return -1
end
local users = redis.call('HRANDFIELD', presence, most)
for _, user in ipairs(users) do
    local holder = redis.call('GET', claims .. user)
    if holder and string.sub(holder, 1, #node) == node then
        redis.call('DEL', claims .. user)
    end
end
if #users > 0 then
    redis.call('HDEL', presence, unpack(users))
end
local left = redis.call('HLEN', presence)
if left == 0 then
    redis.call('UNLINK', record, new)
    redis.call('ZREM', nodes, node)
end
return left
"""
)
"""Take away a part of what a node without a lease has; how many users are left, or -1 where
there is no such node, or it has a lease."""

GIVE_UP: Final = Script(
    """
if redis.call('HGET', KEYS[2], 'name') == ARGV[2] then
    redis.call('ZADD', KEYS[1], 1, ARGV[1])
end
"""
)
"""End a lease at once."""

NODES: Final = Script(NOW + "return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')")


async def nodes_with_lease(ask: Ask, keys: Keys) -> tuple[str, ...]:
    """In alphabetical order. Raises UnavailableError."""
    return tuple(sorted(node.decode() for node in await NODES.call(ask, [keys.nodes])))


PARTS: Final = 20
"""Of a burial, in one go: what is left can wait, nobody sees it any more."""


class TakenError(UnavailableError):
    """Another node has the name, for `left` more seconds unless it renews its lease."""

    def __init__(self, text: str, left: float) -> None:
        super().__init__(text)
        self.left = left


class _Body(NamedTuple):
    """A node without a lease, and its connection's name and id."""

    node: str
    name: bytes
    client: bytes


class Lease:
    """The lease of one node, from one start of it to its stop.

    `shape` is which of how many Redises this is: a node that has them in another order, or not all
    of them, would look for a channel where it is not.
    """

    def __init__(self, keys: Keys, node: str, seconds: float, shape: str) -> None:
        self.name = f"pushline-{node}-{secrets.token_hex(6)}"
        """Of its connections, as CLIENT LIST has it."""
        self._keys = keys
        self.node = node
        self._milliseconds = round(seconds * 1000)
        self._shape = shape
        self._keys_of_ours = self._keys_of(node)

    def _keys_of(self, node: str) -> list[bytes]:
        name = node.encode()
        return [self._keys.nodes, self._keys.node(name), self._keys.presence + name]

    async def take(self, link: Link) -> bool:
        """Have it, or renew it; whether Redis knew nothing of us, and all is to be written anew.

        Raises TakenError, ConfigError where the others have another shape, UnavailableError.
        """
        while True:
            state, *said = await HOLD.call(
                link.ask,
                [*self._keys_of_ours, self._keys.shape],
                *(self.node, self.name, link.id, self._milliseconds, self._shape),
                self._keys.node(b""),
            )
            if state == b"held":
                fresh, before, ended = said
                await self._end_mine(link, before)
                for node, name, client in ended:
                    await self._bury(link, _Body(node.decode(), name, client))
                return bool(fresh)
            if state == b"shape":
                raise ConfigError(self._misshapen(link, said[0].decode()))
            left, name, client = said
            if left > 0:
                raise TakenError(f"another node has the address {self.node}", left / 1000)
            await self._bury(link, _Body(self.node, name, client))

    def _misshapen(self, link: Link, shape: str) -> str:
        number, _, count = shape.partition("/")
        return (
            f"{link} is number {int(number) + 1} of {count} for the other nodes: each needs the "
            "same Redises in the same order"
        )

    async def give_up(self, link: Link) -> None:
        """From now on this node is not there. Raises UnavailableError."""
        await GIVE_UP.call(link.ask, self._keys_of_ours[:2], self.node, self.name)
        while await self._bury_parts(link, _Body(self.node, self.name.encode(), b"")) > 0:
            pass

    # --- those that have gone -------------------------------------------------------------------

    async def _end_mine(self, link: Link, before: bytes) -> None:
        if before and int(before) != link.id:
            await self._end(link, self.name.encode(), before)

    async def _bury(self, link: Link, body: _Body) -> None:
        await self._end(link, body.name, body.client)
        if await self._bury_parts(link, body) == 0:
            log.info("%s: the node %s has gone", link, body.node)

    async def _bury_parts(self, link: Link, body: _Body) -> int:
        keys = self._keys_of(body.node)
        left = 1
        for _ in range(PARTS):
            left = await BURY.call(
                link.ask,
                [*keys, keys[-1] + NEW],
                *(body.node, body.name, self._keys.claim, CHUNK),
            )
            if left <= 0:
                break
        return left

    async def _end(self, link: Link, name: bytes, client: bytes) -> None:
        """End a connection, if it has this name: after a restart Redis counts from 1 again."""
        if not client:
            return
        try:
            found = await link.ask(command("CLIENT", "LIST", "ID", client))
            if b" name=" + name + b" " in found:
                await link.ask(command("CLIENT", "KILL", "ID", client))
        except RefusedError as error:
            log.warning(
                "%s does not let us end the connection of a node that is gone (%s)", link, error
            )
