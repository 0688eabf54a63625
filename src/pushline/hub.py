"""One node's connections: plain maps, synchronous, no I/O. Selects; cleans up what is empty."""

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from pushline.connection import Connection
from pushline.names import client_id_of, split_client_id

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


class Watcher(Protocol):
    """Hears of everyone who comes to a user or a group, or leaves, and how many there are then."""

    def user_came(self, uid: str, utype: str, connections: int) -> None: ...
    def user_left(self, uid: str, utype: str, connections: int) -> None: ...
    def group_came(self, group: str, members: int) -> None: ...
    def group_left(self, group: str, members: int) -> None: ...


class Hub:
    """Who is here. `draw` gives candidates for a connection's id.

    A connection that is not added yet may be named, be bound and join groups: `add` indexes what it
    has by then. What it had when it was removed stays readable on it.
    """

    def __init__(self, draw: Callable[[], int] = random_id) -> None:
        self.connections: dict[int, Connection] = {}
        self.groups = Index()
        self.watcher: Watcher | None = None
        self._draw = draw
        self._named: dict[int, Connection] = {}
        """Those that have an id and are not added yet."""
        self._utypes: dict[str, Index] = {}
        """By utype, then by uid."""

    def __contains__(self, connection: Connection) -> bool:
        return self.connections.get(connection.id) is connection

    def name(self, connection: Connection) -> None:
        """Give a connection its id before it is added; until `forget` it is no other's."""
        if connection.id == 0:
            while self._is_taken(connection.id):
                connection.id = self._draw()
            self._named[connection.id] = connection

    def forget(self, connection: Connection) -> None:
        """Free the id of one that was named and will not be added."""
        if self._named.get(connection.id) is connection:
            del self._named[connection.id]

    def add(self, connection: Connection) -> None:
        """Make a connection known by all that it has; it gets an id if it has none."""
        if connection in self:
            return
        self.name(connection)
        self.forget(connection)
        self.connections[connection.id] = connection
        self._index(connection)
        for group in connection.groups or ():
            self._enter(group, connection)

    def remove(self, connection: Connection) -> None:
        """Take this one connection out of every index; one that is in none is ignored."""
        self.forget(connection)
        if connection not in self:
            return
        del self.connections[connection.id]
        self._unindex(connection)
        for group in connection.groups or ():
            self._exit(group, connection)

    def bind(self, connection: Connection, uid: str, utype: str) -> None:
        """Say whose a connection is; another uid is replaced."""
        if (connection.uid, connection.utype) == (uid, utype):
            return
        self.unbind(connection)
        connection.uid, connection.utype = uid, utype
        if connection in self:
            self._index(connection)

    def unbind(self, connection: Connection, uid: str | None = None) -> bool:
        """Take a connection's uid away, or only this one; whether it had it."""
        if connection.uid is None or uid not in (None, connection.uid):
            return False
        if connection in self:
            self._unindex(connection)
        connection.uid = connection.utype = None
        return True

    def join(self, connection: Connection, group: str) -> None:
        """Put a connection into a group, if it is not in it."""
        if connection.groups is None:
            connection.groups = {}
        if group not in connection.groups:
            connection.groups[group] = None
            if connection in self:
                self._enter(group, connection)

    def leave(self, connection: Connection, group: str) -> bool:
        """Take a connection out of a group; whether it was in it."""
        if connection.groups is None or group not in connection.groups:
            return False
        if connection in self:
            self._exit(group, connection)
        del connection.groups[group]
        if not connection.groups:
            connection.groups = None
        return True

    def ungroup(self, group: str) -> int:
        """Take everybody out of a group; how many they were."""
        members = tuple(self.of_group(group))
        for member in members:
            self.leave(member, group)
        return len(members)

    def of_uid(self, uid: str, utype: str) -> Collection[Connection]:
        """The connections of one user, oldest first."""
        uids = self._utypes.get(utype)
        return uids.get(uid, ()) if uids else ()

    def of_uids(self, uids: Iterable[str], utype: str) -> Collection[Connection]:
        """Those of several users, in the order of `uids`."""
        return [connection for uid in uids for connection in self.of_uid(uid, utype)]

    def of_utype(self, utype: str) -> Collection[Connection]:
        """The connections of every user of a type."""
        return [member for members in self.users_of(utype).values() for member in members]

    def of_group(self, group: str, utype: str | None = None) -> Collection[Connection]:
        """The members of a group, of one utype or of any, in the order of joining."""
        members = self.groups.get(group, ())
        if utype is None:
            return members
        return [member for member in members if member.utype == utype]

    def of_groups(self, groups: Iterable[str], utype: str | None = None) -> Collection[Connection]:
        """Those of several groups, each once."""
        return dict.fromkeys(each for group in groups for each in self.of_group(group, utype))

    def users(self) -> int:
        """How many different users are here."""
        return sum(map(len, self._utypes.values()))

    def users_of(self, utype: str) -> Mapping[str, Collection[Connection]]:
        """The connections of each user of a type."""
        return self._utypes.get(utype, {})

    def _is_taken(self, number: int) -> bool:
        return number == 0 or number in self.connections or number in self._named

    def _index(self, connection: Connection) -> None:
        uid, utype = connection.uid, connection.utype
        if uid is None or utype is None:
            return
        uids = self._utypes.get(utype)
        if uids is None:
            uids = self._utypes[utype] = Index()
        uids.add(uid, connection)
        if self.watcher is not None:
            self.watcher.user_came(uid, utype, len(uids[uid]))

    def _unindex(self, connection: Connection) -> None:
        uid, utype = connection.uid, connection.utype
        if uid is None or utype is None:
            return
        uids = self._utypes[utype]
        uids.remove(uid, connection)
        if self.watcher is not None:
            self.watcher.user_left(uid, utype, len(uids.get(uid, ())))
        if not uids:
            del self._utypes[utype]

    def _enter(self, group: str, connection: Connection) -> None:
        self.groups.add(group, connection)
        if self.watcher is not None:
            self.watcher.group_came(group, len(self.groups[group]))

    def _exit(self, group: str, connection: Connection) -> None:
        self.groups.remove(group, connection)
        if self.watcher is not None:
            self.watcher.group_left(group, len(self.of_group(group)))


class Directory:
    """A hub's connections by their client_ids. `address` is their node's, 48 bits."""

    def __init__(self, hub: Hub, address: int) -> None:
        self._connections = hub.connections
        self.address = address

    def id_of(self, connection: Connection) -> str:
        """The client_id of a connection that has been named."""
        return client_id_of(self.address, connection.id)

    def ids_of(self, connections: Iterable[Connection]) -> list[str]:
        """Those of several."""
        return [client_id_of(self.address, connection.id) for connection in connections]

    def find(self, client_id: str) -> Connection | None:
        """The connection, if it is here; a client of another node's address is not."""
        address, number = split_client_id(client_id)
        return self._connections.get(number) if address == self.address else None

    def find_all(self, client_ids: Iterable[str]) -> list[Connection]:
        """Those of them that are here."""
        found = map(self.find, client_ids)
        return [connection for connection in found if connection is not None]
