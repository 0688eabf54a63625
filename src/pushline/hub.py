"""One node's connections: plain maps, synchronous, no I/O. Selects; cleans up what is empty."""

import secrets
from collections.abc import Callable, Collection, Iterable

from pushline.connection import Connection

FEW = 8
"""Up to so many connections of one key stand in a tuple: one takes 48 bytes, in a dict 224."""


def random_id() -> int:
    """A connection's number on its node: 32 bits, never 0, not to be guessed."""
    return secrets.randbelow(2**32 - 1) + 1


class Index(dict[str, tuple[Connection, ...] | dict[Connection, None]]):
    """Connections by key, each key's in the order in which they came."""

    def add(self, key: str, connection: Connection) -> None:
        """Put a connection that is not there yet behind the others of `key`."""
        members = self.get(key, ())
        if isinstance(members, dict):
            members[connection] = None
        elif len(members) < FEW:
            self[key] = (*members, connection)
        else:
            self[key] = dict.fromkeys((*members, connection))

    def remove(self, key: str, connection: Connection) -> None:
        """Take out this one connection, and the key with its last one."""
        members = self[key]
        if isinstance(members, dict):
            del members[connection]
        else:
            members = tuple(member for member in members if member is not connection)
            self[key] = members
        if not members:
            del self[key]


class Hub:
    """Who is here. `draw` gives candidates for a connection's id."""

    def __init__(self, draw: Callable[[], int] = random_id) -> None:
        self.connections: dict[int, Connection] = {}
        self._draw = draw
        self._utypes: dict[str, Index] = {}
        """By utype, then by uid."""

    def add(self, connection: Connection) -> None:
        """Give a connection its id and make it known."""
        while connection.id == 0 or connection.id in self.connections:
            connection.id = self._draw()
        self.connections[connection.id] = connection

    def bind(self, connection: Connection, uid: str, utype: str) -> None:
        """Index an added connection that has no uid yet by its uid."""
        connection.uid, connection.utype = uid, utype
        uids = self._utypes.get(utype)
        if uids is None:
            uids = self._utypes[utype] = Index()
        uids.add(uid, connection)

    def remove(self, connection: Connection) -> None:
        """Take this one connection out of every index; one that is in none is ignored."""
        if self.connections.pop(connection.id, None) is None:
            return
        uid, utype = connection.uid, connection.utype
        if uid is not None and utype is not None:
            self._unbind(connection, uid, utype)

    def of_uid(self, uid: str, utype: str) -> Collection[Connection]:
        """The connections of one user, oldest first."""
        uids = self._utypes.get(utype)
        return uids.get(uid, ()) if uids else ()

    def of_uids(self, uids: Iterable[str], utype: str) -> Collection[Connection]:
        """Those of several users, in the order of `uids`."""
        return [connection for uid in uids for connection in self.of_uid(uid, utype)]

    def of_utype(self, utype: str) -> Collection[Connection]:
        """The connections of every user of a type."""
        uids = self._utypes.get(utype) or Index()
        return [connection for members in uids.values() for connection in members]

    def users(self) -> int:
        """How many different users are here."""
        return sum(map(len, self._utypes.values()))

    def _unbind(self, connection: Connection, uid: str, utype: str) -> None:
        uids = self._utypes[utype]
        uids.remove(uid, connection)
        if not uids:
            del self._utypes[utype]
