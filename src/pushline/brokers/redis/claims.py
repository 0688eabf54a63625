"""Whose a user is, where one connection at a time may have it: decided in Redis, atomically."""

from typing import Final

from pushline.brokers.base import Holder
from pushline.brokers.redis.chunks import SLICE, chunks
from pushline.brokers.redis.keys import Keys
from pushline.brokers.redis.scripts import NOW, Ask, Script

CLAIM: Final = Script(
    NOW
    + """
local holder = redis.call('GET', KEYS[1])
local mine, instead = unpack(ARGV)
local ends = holder and redis.call('ZSCORE', KEYS[2], string.sub(holder, 1, 12)) or 0
local other = tonumber(ends) > now and holder ~= mine
if other and instead ~= '*' and instead ~= holder then
    return holder
end
redis.call('SET', KEYS[1], mine)
return other and instead == '*' and holder
"""
)
"""Make `mine` the holder unless there is one whose node has a lease, and that is not `instead`; `*`
is anyone. The answer is who holds it still, or for `*` held it; nil where that is nobody."""

RELEASE: Final = Script(
    """
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('DEL', KEYS[1])
end
"""
)


class Claims:
    """Those of this node; `held` is which client of it holds a user, as far as we know."""

    def __init__(self, keys: Keys) -> None:
        self.held: dict[bytes, str] = {}
        self._keys = keys
        self._node = ""

    def start(self, node: str) -> None:
        """From now on we are this node."""
        self._node = node

    async def claim(
        self, ask: Ask, user: bytes, client: str, instead_of: Holder | None
    ) -> Holder | None:
        """See the contract."""
        return await self._claim(ask, user, client, " ".join(instead_of or ()))

    async def seize(self, ask: Ask, user: bytes, client: str) -> Holder | None:
        """See the contract."""
        return await self._claim(ask, user, client, "*")

    async def _claim(self, ask: Ask, user: bytes, client: str, instead: str) -> Holder | None:
        try:
            answer = await CLAIM.call(ask, self._keys_of(user), self._mine(client), instead)
        except BaseException:
            if self.held.get(user) != client:
                self._release(ask, user, client)  # it may have been done, or still be
            raise
        if answer is None or instead == "*":
            self.held[user] = client
        return Holder(*answer.decode().split(" ", 1)) if answer is not None else None

    def release(self, ask: Ask, user: bytes, client: str) -> None:
        """See the contract."""
        if self.held.get(user) == client:
            del self.held[user]
        self._release(ask, user, client)

    def _keys_of(self, user: bytes) -> list[bytes]:
        return [self._keys.claim + user, self._keys.nodes]

    def _mine(self, client: str) -> str:
        return f"{self._node} {client}"

    def _release(self, ask: Ask, user: bytes, client: str) -> None:
        RELEASE.tell(ask, [self._keys.claim + user], self._mine(client))

    async def restore(self, ask: Ask) -> None:
        """Claim again what we hold: Redis has forgotten it. Not where another has it by now.

        Raises UnavailableError.
        """
        for held in chunks(list(self.held.items()), SLICE):
            *others, (last, client) = held
            for user, holder in others:
                CLAIM.tell(ask, self._keys_of(user), self._mine(holder), "")
            await CLAIM.call(ask, self._keys_of(last), self._mine(client), "")
