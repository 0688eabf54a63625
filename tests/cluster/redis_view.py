"""What a Redis knows of the nodes and their users."""

from redis import Redis

from tests.brokers.servers import RedisServer


class View:
    """Asked whenever a test wants to know, over a connection that does not mind restarts."""

    def __init__(self, server: RedisServer, prefix: str = "pushline:") -> None:
        self._redis = Redis(host="127.0.0.1", port=server.port, decode_responses=True)
        self._prefix = prefix

    def close(self) -> None:
        self._redis.close()

    def nodes(self) -> list[str]:
        """Those that have, or had, a lease."""
        return [str(node) for node in self._redis.zrange(f"{self._prefix}nodes", 0, -1)]

    def users(self) -> dict[str, dict[str, int]]:
        """Of each node that is known the users of utype 0, with their connections."""
        return {node: self._users_of(node) for node in self.nodes()}

    def _users_of(self, node: str) -> dict[str, int]:
        held = self._redis.hgetall(f"{self._prefix}presence:{node}")
        assert isinstance(held, dict)
        return {str(user).removeprefix("0\0"): int(count) for user, count in held.items()}

    def all_users(self) -> list[str]:
        """Each as often as nodes have him."""
        return sorted(user for users in self.users().values() for user in users)

    def keys(self) -> list[str]:
        """All there are, of whomever."""
        return sorted(str(key) for key in self._redis.scan_iter("*"))
