"""What a back end can ask for, as frozen values. Every door for back ends ends in one of these.

Clients are named by their client_id (20 hexadecimal digits, `pushline.names`), checked before a
Command is made; names of uids, utypes and groups as well. Each Command says what its answer is;
an action on a client that is not there does nothing, and says so.
"""

from typing import Any, Generic, TypeVar

import msgspec

from pushline.messages import Close, Message

T = TypeVar("T")

Session = dict[str, Any]
"""What an application keeps for a client: text keys, and values that JSON has too."""


class Command(msgspec.Struct, Generic[T], frozen=True, gc=False, tag=True, array_like=True):
    """Something to be done; the answer to it is a T."""


class Sent(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What became of a send.

    `delivered` is on how many connections it was queued, `offline` which of the targets that it
    named have no connection. Both are None where the wire to the server has no answer to sends.
    """

    delivered: int | None
    offline: tuple[str, ...] | None = ()


# --- sends --------------------------------------------------------------------------------------


class SendToUid(Command[Sent], frozen=True, gc=False):
    """`message` to every connection of each of `uids` (distinct) in `utype`."""

    uids: tuple[str, ...]
    utype: str
    message: Message
    exclude: frozenset[str] = frozenset()


class SendToGroup(Command[Sent], frozen=True, gc=False):
    """`message` to every member of each of `groups` (distinct), once; of one `utype`, or of any."""

    groups: tuple[str, ...]
    utype: str | None
    message: Message
    exclude: frozenset[str] = frozenset()


class SendToClient(Command[Sent], frozen=True, gc=False):
    """`message` to each of `clients` (distinct)."""

    clients: tuple[str, ...]
    message: Message


class SendToAll(Command[Sent], frozen=True, gc=False):
    """`message` to every connection of `utype`, or to every one there is."""

    utype: str | None
    message: Message
    exclude: frozenset[str] = frozenset()


Send = SendToUid | SendToGroup | SendToClient | SendToAll


# --- actions ------------------------------------------------------------------------------------


class Kick(Command[int | None], frozen=True, gc=False):
    """Close `clients` behind a last `message`; the answer is how many were there."""

    clients: tuple[str, ...]
    message: Message | None
    close: Close


class Destroy(Command[bool | None], frozen=True, gc=False):
    """End a client's connection at once, whatever still waits for it."""

    client: str


class BindUid(Command[bool | None], frozen=True, gc=False):
    """A connection has one uid at most: a new one replaces the old."""

    client: str
    uid: str
    utype: str


class UnbindUid(Command[bool | None], frozen=True, gc=False):
    """Only this `uid`, or whatever is bound; the answer is whether one was unbound."""

    client: str
    uid: str | None


class JoinGroup(Command[bool | None], frozen=True, gc=False):
    client: str
    group: str


class LeaveGroup(Command[bool | None], frozen=True, gc=False):
    client: str
    group: str


class Ungroup(Command[int | None], frozen=True, gc=False):
    """The group is gone, its members stay connected; the answer is how many they were."""

    group: str


class SetSession(Command[bool | None], frozen=True, gc=False):
    """Serialized data is kept as it is."""

    client: str
    session: Session | bytes


class UpdateSession(Command[bool | None], frozen=True, gc=False):
    """Merged into what is there, dict by dict; a list in it replaces what is there.

    In serialized data, unless `whole_lists`, lists are merged by index, as PHP does.
    """

    client: str
    session: Session | bytes
    whole_lists: bool = False


# --- queries ------------------------------------------------------------------------------------
# Orders are those of coming, binding and joining.


class IsOnline(Command[bool], frozen=True, gc=False):
    client: str


class UidsOnline(Command[dict[str, bool]], frozen=True, gc=False):
    """For each of `uids`."""

    uids: tuple[str, ...]
    utype: str


class ClientsOfUids(Command[dict[str, list[str]]], frozen=True, gc=False):
    """For each of `uids`, empty where nobody is."""

    uids: tuple[str, ...]
    utype: str


class UidOfClient(Command[str | None], frozen=True, gc=False):
    client: str


class GroupsOfClient(Command[list[str]], frozen=True, gc=False):
    client: str


class SessionOfClient(Command[Session | None], frozen=True, gc=False):
    """A copy; empty where none was set, None where the client is not there."""

    client: str


class Uids(Command[list[str]], frozen=True, gc=False):
    """The different uids of a utype, in `group` or at all."""

    group: str | None
    utype: str


class CountOfUids(Command[int], frozen=True, gc=False):
    """How many `Uids` would give."""

    group: str | None
    utype: str


class Clients(Command[list[str]], frozen=True, gc=False):
    """The members of `group`, or everyone."""

    group: str | None


class CountOfClients(Command[int], frozen=True, gc=False):
    """Everyone."""


class CountsOfGroups(Command[dict[str, int]], frozen=True, gc=False):
    """How many members each of `groups` has, or each group there is."""

    groups: tuple[str, ...] | None


class Groups(Command[list[str]], frozen=True, gc=False):
    """Those that have members."""


class UidsOfGroups(Command[dict[str, list[str]]], frozen=True, gc=False):
    """The different uids of a utype, for each group there is."""

    utype: str


class ClientsOfGroups(Command[dict[str, list[str]]], frozen=True, gc=False):
    """The members, for each group there is."""


class Sessions(Command[dict[str, Session]], frozen=True, gc=False):
    """Copies, by client, of the members of `group` or of everyone."""

    group: str | None


# --- between the nodes of a cluster -------------------------------------------------------------
# Over how many connections a user may have, `auth.sessions`.


class IsAlive(Command[bool], frozen=True, gc=False):
    """Whether a client that is still this user's gives a sign of life within `seconds`.

    It is asked for one.
    """

    client: str
    uid: str
    utype: str
    seconds: float


# --- queries of a wire --------------------------------------------------------------------------
# Sessions as serialized data, empty where none was ever set.


class SerializedSession(Command[bytes | None], frozen=True, gc=False):
    """None where the client is not there."""

    client: str


class SerializedSessions(Command[dict[str, bytes]], frozen=True, gc=False):
    """By client, of the members of `group` or of everyone."""

    group: str | None


class Selected(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """`uid` is one of the default utype; `session` is None where it was not asked for."""

    client: str
    uid: str | None
    groups: tuple[str, ...]
    session: bytes | None


class Select(Command[list[Selected]], frozen=True, gc=False):
    """What is known of everyone who is in one of `groups`, has one of `uids`, or is in `clients`.

    Of everyone at all where all three are None.
    """

    groups: tuple[str, ...] | None
    uids: tuple[str, ...] | None
    clients: tuple[str, ...] | None
    sessions: bool
