"""How everything of one cluster is called in a Redis.

What a client or a back end can choose, a user or a channel, is the last part of a name, and only of
names in which no other part follows: whatever it holds, it is nobody else's name.
"""

from typing import Final

from pushline.errors import ConfigError

LONGEST_PREFIX: Final = 64
NEW: Final = b":new"
"""Behind a node's presence, while it is written; nodes are hexadecimal digits."""


class Keys:
    """The names that begin with `prefix`, in one database.

    Channels, unlike keys, are the same in all databases of a Redis (PUBLISH); so theirs have the
    number in them.
    """

    def __init__(self, prefix: str, database: int) -> None:
        if not (prefix.isascii() and prefix.isprintable() and " " not in prefix):
            raise ConfigError("broker.prefix holds something else than ASCII letters and signs")
        if not 0 < len(prefix) <= LONGEST_PREFIX:
            raise ConfigError(f"broker.prefix has 1 to {LONGEST_PREFIX} characters")
        begin = prefix.encode()
        self.channel = begin + b"%d:" % database
        """What every channel begins with."""
        self.nodes = begin + b"nodes"
        """A sorted set: each node by the end of its lease, in milliseconds of Redis's clock."""
        self.shape = begin + b"shape"
        """Which of how many Redises this is, as in `0/1`."""
        self.presence = begin + b"presence:"
        """With a node behind it a hash: each of its users with the number of connections."""
        self.claim = begin + b"claim:"
        """With a user behind it: the node and the client that hold it, with a blank between."""
        self._node = begin + b"node:"

    def node(self, node: bytes) -> bytes:
        """A hash: the name and id of a node's connection, and since when it is there."""
        return self._node + node
