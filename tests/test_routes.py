"""Where a Command is carried out, and what the answers come to."""

from typing import Any

import pytest

from pushline import commands
from pushline.cluster import routes
from pushline.cluster.routes import COPIED, COPIES, Part, route_of
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
    Groups,
    GroupsOfClient,
    IsAlive,
    IsOnline,
    JoinGroup,
    Kick,
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
    UidOfClient,
    Uids,
    UidsOfGroups,
    UidsOnline,
    Ungroup,
)
from pushline.messages import KICKED, Message

HERE, THERE, ELSEWHERE = "0000000000aa", "0000000000bb", "0000000000cc"
"""Nodes; the first is asked."""
MINE, YOURS, THEIRS = HERE + "0" * 8, THERE + "0" * 8, ELSEWHERE + "0" * 8
"""Clients."""
HELLO = Message(b"hello")


def merged(command: Command[Any], here: Any, *others: tuple[Any, Any]) -> Any:
    """What comes of this node's answer and those of others to their parts."""
    route = route_of(command, HERE)
    return route.merge(([(route.local, here)] if route.local is not None else []) + [*others])


def test_every_command_has_a_way() -> None:
    """But UidsOnline, for which no node is asked: see Cluster."""
    all_of_them = {
        each
        for each in vars(commands).values()
        if isinstance(each, type) and issubclass(each, Command)
    }
    assert set(routes._ROUTES) == all_of_them - {Command, UidsOnline}


# --- sends --------------------------------------------------------------------------------------


def test_a_message_to_users_goes_to_the_nodes_that_have_them() -> None:
    command = SendToUid(("u1", "u2"), "7", HELLO, frozenset({MINE}))
    route = route_of(command, HERE)
    assert route.local is command
    assert [part.channel for part in route.remote] == [
        channel_of_uid("u1", "7"),
        channel_of_uid("u2", "7"),
    ]
    for part, uid in zip(route.remote, command.uids, strict=True):
        assert isinstance(part.command, SendToUid)
        assert part.command.uids == (uid,)
        assert (part.command.utype, part.command.message) == ("7", HELLO)
        assert part.command.exclude == command.exclude


def test_who_was_reached_nowhere_is_offline() -> None:
    command = SendToUid(("u1", "u2", "u3", "u4"), "0", HELLO)
    one, two = (SendToUid((uid,), "0", HELLO) for uid in ("u1", "u3"))
    here = Sent(1, ("u1", "u3", "u4"))
    assert merged(command, here) == Sent(1, ("u1", "u3", "u4"))
    assert merged(command, here, (one, Sent(2))) == Sent(3, ("u3", "u4"))
    others = (one, Sent(2)), (one, Sent(0, ("u1",))), (two, Sent(0))
    assert merged(command, here, *others) == Sent(3, ("u4",))


@pytest.mark.parametrize(
    ("count", "size", "parts"),
    [
        (COPIES, 1, COPIES),
        (COPIES + 1, 1, 1),
        (2, COPIED // 2, 2),
        (2, COPIED // 2 + 1, 1),
        (1, COPIED, 1),
    ],
)
def test_of_a_long_list_all_nodes_have_one_copy(count: int, size: int, parts: int) -> None:
    """However few of its users are anywhere: a copy for each may be a gigabyte."""
    uids = tuple(map(str, range(count)))
    command = SendToUid(uids, "0", Message(bytes(size)))
    remote = route_of(command, HERE).remote
    assert len(remote) == parts
    if count > 1:
        assert (remote[0].channel == EVERYONE) == (parts == 1)


def test_the_answers_to_a_long_list_are_joined_as_well() -> None:
    uids = tuple(map(str, range(COPIES + 1)))
    command = SendToUid(uids, "0", HELLO)
    answers = (command, Sent(1, uids[1:])), (command, Sent(2, uids[:1] + uids[3:]))
    assert merged(command, Sent(0, uids), *answers) == Sent(3, uids[3:])


def test_a_message_to_a_group_goes_to_the_nodes_with_members() -> None:
    command = SendToGroup(("g",), None, HELLO)
    assert route_of(command, HERE)[:2] == (command, [Part(channel_of_group("g"), command)])
    assert merged(command, Sent(0, ("g",)), (command, Sent(2))) == Sent(2)
    assert merged(command, Sent(0, ("g",))) == Sent(0, ("g",))


def test_a_message_to_several_groups_is_one_so_that_nobody_gets_two() -> None:
    command = SendToGroup(("g", "h"), None, HELLO)
    assert route_of(command, HERE)[:2] == (command, [Part(EVERYONE, command)])
    assert merged(command, Sent(1, ("g",)), (command, Sent(2, ("g", "h")))) == Sent(3, ("g",))


def test_a_message_to_no_group_goes_nowhere() -> None:
    command = SendToGroup((), None, HELLO)
    assert route_of(command, HERE)[:2] == (command, [])
    assert route_of(SendToUid((), "0", HELLO), HERE).remote == []


def test_a_message_to_everyone_goes_everywhere() -> None:
    command = SendToAll(None, HELLO)
    assert route_of(command, HERE)[:2] == (command, [Part(EVERYONE, command)])
    assert merged(command, Sent(1), (command, Sent(0)), (command, Sent(5))) == Sent(6)


def test_a_message_to_clients_goes_to_the_nodes_that_they_name() -> None:
    command = SendToClient((YOURS, MINE, THEIRS), HELLO)
    route = route_of(command, HERE)
    assert route.local == SendToClient((MINE,), HELLO)
    parts = [SendToClient((each,), HELLO) for each in (YOURS, THEIRS)]
    nodes = [channel_of_node(each) for each in (THERE, ELSEWHERE)]
    assert route.remote == [Part(*each) for each in zip(nodes, parts, strict=True)]
    answers = (parts[0], Sent(1)), (parts[1], Sent(0, (THEIRS,)))
    assert merged(command, Sent(1), *answers) == Sent(2, (THEIRS,))
    assert merged(command, Sent(0, (MINE,))) == Sent(0, (YOURS, MINE, THEIRS))


# --- clients ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "answer", "otherwise"),
    [
        (BindUid(YOURS, "u", "0"), True, False),
        (JoinGroup(YOURS, "g"), True, False),
        (IsOnline(YOURS), True, False),
        (IsAlive(YOURS, "u", "0", 1.0), True, False),
        (UidOfClient(YOURS), "u", None),
        (GroupsOfClient(YOURS), ["g"], []),
        (SessionOfClient(YOURS), {"a": 1}, None),
        (SerializedSession(YOURS), b"", None),
    ],
)
def test_what_is_for_one_client_goes_to_its_node_alone(
    command: Command[Any], answer: Any, otherwise: Any
) -> None:
    assert route_of(command, HERE)[:2] == (None, [Part(channel_of_node(THERE), command)])
    assert route_of(command, THERE)[:2] == (command, [])
    assert merged(command, None, (command, answer)) == answer
    assert merged(command, None) == otherwise, "where no such node is there"


def test_a_kick_goes_to_the_nodes_that_its_clients_name() -> None:
    command = Kick((MINE, YOURS, MINE[:-1] + "1"), HELLO, KICKED)
    route = route_of(command, HERE)
    assert route.local == Kick((MINE, MINE[:-1] + "1"), HELLO, KICKED)
    part = Kick((YOURS,), HELLO, KICKED)
    assert route.remote == [Part(channel_of_node(THERE), part)]
    assert merged(command, 2, (part, 1)) == 3


# --- questions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        *(Ungroup("g"), Uids("g", "0"), CountOfUids("g", "0"), Clients("g"), Sessions("g")),
        *(SerializedSessions("g"), CountsOfGroups(("g",))),
    ],
)
def test_what_is_asked_of_one_group_goes_to_the_nodes_with_members(command: Command[Any]) -> None:
    local, ((channel, remote),), _ = route_of(command, HERE)
    assert channel == channel_of_group("g")
    assert local is remote


@pytest.mark.parametrize(
    "command",
    [
        *(Uids(None, "0"), CountOfUids(None, "0"), Clients(None), Sessions(None)),
        *(SerializedSessions(None), CountsOfGroups(None), CountsOfGroups(("g", "h"))),
        *(CountOfClients(), Groups(), UidsOfGroups("0"), ClientsOfGroups()),
        Select(None, ("u",), None, False),
    ],
)
def test_what_is_asked_of_all_goes_everywhere(command: Command[Any]) -> None:
    local, ((channel, remote),), _ = route_of(command, HERE)
    assert channel == EVERYONE
    assert local is remote


def test_the_clients_of_users_are_asked_for_where_they_are() -> None:
    command = ClientsOfUids(("u1", "u2"), "7")
    route = route_of(command, HERE)
    parts = [ClientsOfUids((uid,), "7") for uid in command.uids]
    channels = [channel_of_uid(uid, "7") for uid in command.uids]
    assert route.remote == [Part(*each) for each in zip(channels, parts, strict=True)]
    here: dict[str, list[str]] = {"u1": [MINE], "u2": []}
    found = merged(command, here, (parts[0], {"u1": [YOURS]}), (parts[0], {"u1": [THEIRS]}))
    assert found == {"u1": [MINE, YOURS, THEIRS], "u2": []}


def test_those_of_very_many_are_asked_for_everywhere() -> None:
    command = ClientsOfUids(tuple(map(str, range(COPIES + 1))), "0")
    assert route_of(command, HERE).remote == [Part(EVERYONE, command)]


def test_users_and_groups_of_several_nodes_are_counted_once() -> None:
    uids = Uids(None, "0")
    assert merged(uids, ["a", "b"], (uids, ["b", "c"])) == ["a", "b", "c"]
    assert merged(CountOfUids(None, "0"), ["a", "b"], (uids, ["b", "c"])) == 3
    assert merged(Groups(), ["g", "h"], (Groups(), ["h", "i"])) == ["g", "h", "i"]
    people = {"g": ["a"], "h": ["b"]}, {"g": ["a", "c"], "i": ["b"]}
    joined = {"g": ["a", "c"], "h": ["b"], "i": ["b"]}
    assert merged(UidsOfGroups("0"), people[0], (UidsOfGroups("0"), people[1])) == joined


def test_clients_are_counted_wherever_they_are() -> None:
    assert merged(CountOfClients(), 2, (CountOfClients(), 3)) == 5
    assert merged(Clients(None), [MINE], (Clients(None), [YOURS])) == [MINE, YOURS]
    assert merged(Ungroup("g"), 2, (Ungroup("g"), 3)) == 5
    counts = CountsOfGroups(("g", "h"))
    assert merged(counts, {"g": 1, "h": 0}, (counts, {"g": 2, "h": 0})) == {"g": 3, "h": 0}
    members = {"g": [MINE]}, {"g": [YOURS], "h": [YOURS]}
    joined = {"g": [MINE, YOURS], "h": [YOURS]}
    assert merged(ClientsOfGroups(), members[0], (ClientsOfGroups(), members[1])) == joined
    mine, yours = {MINE: {"a": 1}}, {YOURS: {"b": 2}}
    assert merged(Sessions(None), mine, (Sessions(None), yours)) == mine | yours
