"""Where in a cluster a Command has to be carried out, and what the answers come to."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from pushline.codecs.cluster_wire import (
    EVERYONE,
    channel_of_group,
    channel_of_node,
    channel_of_uid,
)
from pushline.commands import (
    BindUid,
    Clients,
    ClientsOfGroups,
    ClientsOfUids,
    Command,
    CountOfClients,
    CountOfUids,
    CountsOfGroups,
    Destroy,
    Groups,
    GroupsOfClient,
    IsAlive,
    IsOnline,
    JoinGroup,
    Kick,
    LeaveGroup,
    Select,
    SendToAll,
    SendToClient,
    SendToGroup,
    SendToUid,
    Sent,
    SerializedSession,
    SerializedSessions,
    SessionOfClient,
    Sessions,
    SetSession,
    UidOfClient,
    Uids,
    UidsOfGroups,
    UnbindUid,
    Ungroup,
    UpdateSession,
)

NODE = 12
"""Digits of a client_id that are its node's name."""
COPIES = 256
"""Users in a list of whom each has a copy in his own channel; of more all nodes have one copy,"""
COPIED = 1 << 20
"""and of these, where their copies would be more bytes than that."""


class Part(NamedTuple):
    """What is to be done by the nodes that are behind a channel."""

    channel: bytes
    command: Command[Any]


Answers = Sequence[tuple[Any, Any]]
"""Of all nodes that gave one, each with the Command that it was asked."""


class Route(NamedTuple):
    """`local` is this node's part, if it has one, `remote` the others'; `merge` joins answers."""

    local: Command[Any] | None
    remote: Sequence[Part]
    merge: Callable[[Answers], Any]


def route_of(command: Command[Any], node: str) -> Route:
    """For a node of this name."""
    return _ROUTES[type(command)](command, node)


def is_long(uids: Sequence[str], size: int = 0) -> bool:
    """Whether copies of so many bytes for each user are too much; all nodes have one instead."""
    return len(uids) > COPIES or len(uids) * size > COPIED


# --- sends --------------------------------------------------------------------------------------


def _to_uid(command: SendToUid, _node: str) -> Route:
    """Each user's message to the nodes that have him; that of a long list to all."""
    utype, message, exclude = command.utype, command.message, command.exclude
    if is_long(command.uids, len(message.data)):
        parts = [Part(EVERYONE, command)]
    else:
        parts = [
            Part(channel_of_uid(uid, utype), SendToUid((uid,), utype, message, exclude))
            for uid in command.uids
        ]
    return Route(command, parts, _sent_to(command.uids, lambda part: part.uids))


def _to_group(command: SendToGroup, _node: str) -> Route:
    """To the nodes that have members; of several groups to all, so that nobody gets two copies."""
    parts = [Part(_behind(command.groups), command)] if command.groups else []
    return Route(command, parts, _sent_to(command.groups, lambda part: part.groups))


def _behind(groups: Sequence[str] | None) -> bytes:
    """The channel of the nodes where their members are."""
    return channel_of_group(groups[0]) if groups and len(groups) == 1 else EVERYONE


def _to_client(command: SendToClient, node: str) -> Route:
    parts = {
        name: SendToClient(clients, command.message)
        for name, clients in _by_node(command.clients).items()
    }
    return _spread(parts, node, _sent_to(command.clients, lambda part: part.clients))


def _to_all(command: SendToAll, _node: str) -> Route:
    return Route(command, [Part(EVERYONE, command)], _sent_to((), lambda _: ()))


def _sent_to(
    names: tuple[str, ...], asked: Callable[[Any], tuple[str, ...]]
) -> Callable[[Answers], Sent]:
    """Who is offline at every node that was asked is offline."""

    def merge(answers: Answers) -> Sent:
        online: set[str] = set()
        for part, sent in answers:
            online.update(set(asked(part)).difference(sent.offline))
        delivered = sum(sent.delivered for _, sent in answers)
        return Sent(delivered, tuple(name for name in names if name not in online))

    return merge


# --- to the nodes of clients --------------------------------------------------------------------


def _by_node(clients: Iterable[str]) -> dict[str, tuple[str, ...]]:
    by_node: dict[str, list[str]] = {}
    for client in clients:
        by_node.setdefault(client[:NODE], []).append(client)
    return {name: tuple(ids) for name, ids in by_node.items()}


def _spread(parts: dict[str, Any], node: str, merge: Callable[[Answers], Any]) -> Route:
    local = parts.pop(node, None)
    return Route(local, [Part(channel_of_node(each), parts[each]) for each in parts], merge)


def _kick(command: Kick, node: str) -> Route:
    parts = {
        name: Kick(clients, command.message, command.close)
        for name, clients in _by_node(command.clients).items()
    }
    return _spread(parts, node, _sum)


def _of_client(otherwise: Callable[[], Any]) -> Callable[[Any, str], Route]:
    """To the one node that the client_id names; `otherwise` is the answer if that is not there."""

    def merge(answers: Answers) -> Any:
        return answers[0][1] if answers else otherwise()

    return lambda command, node: _spread({command.client[:NODE]: command}, node, merge)


# --- to all, or to those with members of a group ------------------------------------------------


def _everywhere(merge: Callable[[Answers], Any]) -> Callable[[Any, str], Route]:
    return lambda command, _: Route(command, [Part(EVERYONE, command)], merge)


def _of_group(merge: Callable[[Answers], Any]) -> Callable[[Any, str], Route]:
    """Of one group, or of everybody where that is None."""

    def route(command: Any, _node: str) -> Route:
        channel = EVERYONE if command.group is None else channel_of_group(command.group)
        return Route(command, [Part(channel, command)], merge)

    return route


def _counts_of_groups(command: CountsOfGroups, _node: str) -> Route:
    return Route(command, [Part(_behind(command.groups), command)], _sums)


def _clients_of_uids(command: ClientsOfUids, _node: str) -> Route:
    """Of each user at the nodes that have him; of a long list at all."""
    utype = command.utype
    if is_long(command.uids):
        parts = [Part(EVERYONE, command)]
    else:
        parts = [
            Part(channel_of_uid(uid, utype), ClientsOfUids((uid,), utype)) for uid in command.uids
        ]
    return Route(command, parts, _lists)


def _sum(answers: Answers) -> int:
    return sum(answer for _, answer in answers)


def _sums(answers: Answers) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for _, answer in answers:
        counts.update(answer)
    return dict(counts)


def _list(answers: Answers) -> list[Any]:
    return [each for _, answer in answers for each in answer]


def _distinct(answers: Answers) -> list[str]:
    return list(dict.fromkeys(_list(answers)))


def _lists(answers: Answers) -> dict[str, list[str]]:
    merged: dict[str, list[str]] = {}
    for _, answer in answers:
        for name, each in answer.items():
            merged.setdefault(name, []).extend(each)
    return merged


def _distinct_lists(answers: Answers) -> dict[str, list[str]]:
    return {name: list(dict.fromkeys(each)) for name, each in _lists(answers).items()}


def _union(answers: Answers) -> dict[str, Any]:
    return {name: each for _, answer in answers for name, each in answer.items()}


def _count_of_uids(command: CountOfUids, node: str) -> Route:
    """A user may be at several nodes: so their names are asked for."""
    route = route_of(Uids(command.group, command.utype), node)
    return route._replace(merge=lambda answers: len(_distinct(answers)))


_ROUTES: dict[type, Callable[[Any, str], Route]] = {
    SendToUid: _to_uid,
    SendToGroup: _to_group,
    SendToClient: _to_client,
    SendToAll: _to_all,
    Kick: _kick,
    Destroy: _of_client(bool),
    BindUid: _of_client(bool),
    UnbindUid: _of_client(bool),
    JoinGroup: _of_client(bool),
    LeaveGroup: _of_client(bool),
    SetSession: _of_client(bool),
    UpdateSession: _of_client(bool),
    Ungroup: _of_group(_sum),
    IsOnline: _of_client(bool),
    IsAlive: _of_client(bool),
    UidOfClient: _of_client(lambda: None),
    GroupsOfClient: _of_client(list),
    SessionOfClient: _of_client(lambda: None),
    SerializedSession: _of_client(lambda: None),
    ClientsOfUids: _clients_of_uids,
    Uids: _of_group(_distinct),
    CountOfUids: _count_of_uids,
    Clients: _of_group(_list),
    CountOfClients: _everywhere(_sum),
    CountsOfGroups: _counts_of_groups,
    Groups: _everywhere(_distinct),
    UidsOfGroups: _everywhere(_distinct_lists),
    ClientsOfGroups: _everywhere(_lists),
    Sessions: _of_group(_union),
    SerializedSessions: _of_group(_union),
    Select: _everywhere(_list),
}
