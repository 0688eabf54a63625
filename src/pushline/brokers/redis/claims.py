"""Whose a user is, where one connection at a time may have it: decided in Redis, atomically.

Who loses a user to another is told by Redis itself, in the step in which that happens: so it does
not matter what becomes of the one who has it now. A node that has no connection then hears it when
it claims again what it holds, as each one does that comes back.
"""

import asyncio
from typing import Final

from pushline.brokers.base import Holder, Ousted
from pushline.brokers.redis.channels import NOTICE
from pushline.brokers.redis.chunks import SLICE, chunks
from pushline.brokers.redis.keys import Keys
from pushline.brokers.redis.scripts import Ask, Script

CLAIM: Final = Script(
    """
local holder = redis.call('GET', KEYS[1])
local mine, instead, user, notices, notice = unpack(ARGV)
if not redis.call('ZSCORE', KEYS[2], string.sub(mine, 1, 12)) then
    return redis.error_reply('UNKNOWN Redis does not know this node yet')
end
if holder and holder ~= mine then
    local node, client = string.sub(holder, 1, 12), string.sub(holder, 14)
    if instead ~= '*' and instead ~= holder and redis.call('ZSCORE', KEYS[2], node) then
        return holder
    end
    redis.call('PUBLISH', notices .. node, notice .. client .. user)
end
redis.call('SET', KEYS[1], mine)
return false
"""
)
"""Make `mine` the holder unless there is one whose node is there, and that is not `instead`; `*` is
anyone. The answer is who holds it still, or nil; who held it is told, by its node's notices. A node
that Redis has forgotten claims nothing until it is there again: others would take it for dead."""

RELEASE: Final = Script(
    """
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('DEL', KEYS[1])
end
"""
)
CLIENT: Final = 20
"""Digits of a client_id."""


def channel_of_notices(node: str) -> bytes:
    """Where a node is told of what its clients have lost; other channels begin with a letter."""
    return b"." + node.encode()


class Claims:
    """Those of this node; `held` is which client of it holds a user, as far as we know."""

    def __init__(self, keys: Keys, ousted: Ousted) -> None:
        self.held: dict[bytes, str] = {}
        self._given_up: set[tuple[bytes, str]] = set()
        """What Redis may still take for ours."""
        self._keys = keys
        self._ousted = ousted
        self._notices = keys.channel + channel_of_notices("")
        self._node = ""

    def start(self, node: str) -> None:
        """From now on we are this node."""
        self._node = node

    async def claim(
        self, ask: Ask, user: bytes, client: str, instead_of: Holder | None
    ) -> Holder | None:
        """See the contract."""
        return await self._claim(ask, user, client, " ".join(instead_of or ()))

    async def seize(self, ask: Ask, user: bytes, client: str) -> None:
        """See the contract."""
        await self._claim(ask, user, client, "*")

    async def _claim(self, ask: Ask, user: bytes, client: str, instead: str) -> Holder | None:
        try:
            holder = await self._ask(ask, user, client, instead)
        except BaseException:
            if self.held.get(user) != client:
                self.release(ask, user, client)  # it may have been done, or still be
            raise
        if holder is None:
            self.held[user] = client
            self._given_up.discard((user, client))
        return holder

    async def _ask(self, ask: Ask, user: bytes, client: str, instead: str) -> Holder | None:
        keys = [self._keys.claim + user, self._keys.nodes]
        answer = await CLAIM.call(
            ask, keys, self._mine(client), instead, user, self._notices, NOTICE
        )
        return Holder(*answer.decode().split(" ", 1)) if answer is not None else None

    def release(self, ask: Ask, user: bytes, client: str) -> None:
        """See the contract."""
        if self.held.get(user) == client:
            del self.held[user]
        self._given_up.add((user, client))
        self._release(ask, user, client)

    def _release(self, ask: Ask, user: bytes, client: str) -> None:
        RELEASE.tell(
            ask,
            [self._keys.claim + user],
            self._mine(client),
            done=lambda: self._given_up.discard((user, client)),
        )

    def _mine(self, client: str) -> str:
        return f"{self._node} {client}"

    # --- what others do, and what could not be said ---------------------------------------------

    def noticed(self, notice: bytes) -> None:
        """A user of ours is another's."""
        self._lose(notice[CLIENT:], notice[:CLIENT].decode())

    def _lose(self, user: bytes, client: str) -> None:
        if self.held.get(user) == client:
            del self.held[user]
        self._ousted(user, client)

    def release_again(self, ask: Ask) -> None:
        """What Redis has not taken."""
        for user, client in self._given_up:
            self._release(ask, user, client)

    async def claim_again(self, ask: Ask) -> None:
        """What we hold: Redis may have forgotten it, or another may have it by now.

        Raises UnavailableError.
        """
        for held in chunks(list(self.held.items()), SLICE):
            await asyncio.gather(*(self._claim_still(ask, *each) for each in held))

    async def _claim_still(self, ask: Ask, user: bytes, client: str) -> None:
        holder = await self._ask(ask, user, client, "")
        if holder is not None:
            self._lose(user, client)
        elif self.held.get(user) != client:
            self.release(ask, user, client)  # it has been given up in the meantime
