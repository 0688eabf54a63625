"""What a Command does, without any port."""

from collections.abc import Iterator

import pytest

from pushline.codecs import websocket
from pushline.commands import (
    Destroy,
    IsOnline,
    Kick,
    Select,
    Selected,
    Send,
    SendToAll,
    SendToClient,
    SendToGroup,
    SendToUid,
    Sent,
    SerializedSession,
    SerializedSessions,
    Session,
    SessionOfClient,
    SetSession,
    UpdateSession,
)
from pushline.connection import Connection
from pushline.hub import Hub
from pushline.messages import ABNORMAL, KICKED, NORMAL, Message
from pushline.names import client_id_of
from pushline.node import Node
from pushline.outbox import FEW
from tests.core import Keeper, Loop, text, transport_of

ALL = b'{"uid":""}'
TOO_MUCH = bytes((1 << 20) + 1)
CLIENT = "7f0000010bb80000002a"


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    loop = Loop()
    yield Keeper(loop)
    loop.close()


@pytest.fixture
def node(keeper: Keeper) -> Node:
    return Node(keeper.hub, keeper.outbox)


def queued(*connections: Connection) -> list[bytes]:
    """What waits for each."""
    return [b"".join(connection.pending) for connection in connections]


def send(node: Node, uids: tuple[str, ...], data: bytes = b"push", utype: str = "0") -> Sent:
    return node.execute(SendToUid(uids, utype, Message(data)))


def test_a_push_is_queued_on_every_connection_of_its_user(keeper: Keeper, node: Node) -> None:
    one, two, other = keeper.log_in("uid1"), keeper.log_in("uid1"), keeper.log_in("uid2")
    assert send(node, ("uid1",)) == Sent(2)
    assert queued(one, two, other) == [text(b"push"), text(b"push"), b""]


def test_a_push_to_several_is_queued_on_those_of_them_who_are_here(
    keeper: Keeper, node: Node
) -> None:
    one, two, other = keeper.log_in("uid1"), keeper.log_in("uid2"), keeper.log_in("uid3")
    assert send(node, ("uid2", "offline", "uid1")) == Sent(2, ("offline",))
    assert queued(one, two, other) == [text(b"push"), text(b"push"), b""]


@pytest.mark.parametrize("uids", [("offline",), ("offline", "away"), ()])
def test_a_push_to_nobody_is_queued_nowhere(
    keeper: Keeper, node: Node, uids: tuple[str, ...]
) -> None:
    connection = keeper.log_in("uid1")
    assert send(node, uids) == Sent(0, uids)
    assert queued(connection) == [b""]


def test_a_push_stays_in_its_utype(keeper: Keeper, node: Node) -> None:
    here, elsewhere = keeper.log_in("uid1", "1"), keeper.log_in("uid1", "0")
    assert send(node, ("uid1",), utype="1") == Sent(1)
    assert node.execute(SendToAll("1", Message(ALL))) == Sent(1)
    assert queued(here, elsewhere) == [text(b"push") + text(ALL), b""]


def test_a_broadcast_is_queued_on_all_who_have_logged_in(keeper: Keeper, node: Node) -> None:
    users = [keeper.log_in(f"uid{number % 50}") for number in range(2 * FEW)]
    stranger = keeper.connect()
    assert node.execute(SendToAll("0", Message(ALL))) == Sent(len(users))
    assert queued(*users) == [text(ALL)] * len(users)
    assert queued(stranger) == [b""]


def test_a_broadcast_to_nobody_is_queued_nowhere(node: Node) -> None:
    assert node.execute(SendToAll("0", Message(ALL))) == Sent(0)


def test_who_was_closed_is_not_counted(keeper: Keeper, node: Node) -> None:
    closed, _ = keeper.log_in("uid1"), keeper.log_in("uid1")
    closed.close(NORMAL)
    assert send(node, ("uid1",)) == Sent(1)
    assert node.execute(SendToAll("0", Message(ALL))) == Sent(1)


def test_the_order_is_that_of_the_commands(keeper: Keeper, node: Node) -> None:
    connection = keeper.log_in("uid1")
    for _ in range(FEW):
        keeper.log_in("uid2")
    for number in range(10):
        send(node, ("uid1",), b"%d" % number)
        node.execute(SendToAll("0", Message(ALL)))
    expected = b"".join(text(b"%d" % number) + text(ALL) for number in range(10))
    assert queued(connection) == [expected]


def test_all_who_encode_alike_get_the_same_bytes_object(keeper: Keeper, node: Node) -> None:
    users = [keeper.log_in(f"uid{number}") for number in range(2 * FEW)]
    node.execute(SendToAll("0", Message(ALL)))
    assert len({id(user.pending[0]) for user in users}) == 1


def test_a_usual_answer_is_ready_made(keeper: Keeper, node: Node) -> None:
    keeper.log_in("uid1")
    assert send(node, ("uid1",)) is send(node, ("uid1",))


def test_who_is_excluded_gets_nothing_and_is_not_offline(keeper: Keeper, node: Node) -> None:
    one, two = keeper.log_in("uid1"), keeper.log_in("uid1")
    but = frozenset({node.client_id(one)})
    assert node.execute(SendToUid(("uid1",), "0", Message(b"m"), but)) == Sent(1)
    but = frozenset(map(node.client_id, (one, two)))
    assert node.execute(SendToUid(("uid1",), "0", Message(b"m"), but)) == Sent(0)
    assert node.execute(SendToAll(None, Message(b"m"), but)) == Sent(0)
    assert queued(one, two) == [b"", text(b"m")]


def test_one_whose_limit_a_push_exceeds_has_not_got_it(keeper: Keeper, node: Node) -> None:
    keeper.log_in("uid1").pause()
    assert send(node, ("uid1",), TOO_MUCH).delivered == 0
    assert keeper.hub.connections == {}


def test_to_all_without_a_utype_is_to_every_connection(keeper: Keeper, node: Node) -> None:
    strangers = [keeper.connect() for _ in range(2 * FEW)]
    for stranger in strangers:
        keeper.hub.add(stranger)
    strangers.append(keeper.log_in("uid1", "1"))
    assert node.execute(SendToAll(None, Message(ALL))) == Sent(len(strangers))
    assert queued(*strangers) == [text(ALL)] * len(strangers)


# --- clients ------------------------------------------------------------------------------------


def test_a_node_draws_its_address_unless_it_is_given(keeper: Keeper) -> None:
    connection = keeper.log_in("uid1")
    node = Node(keeper.hub, keeper.outbox, 0x7F0000010BB8)
    assert node.client_id(connection) == f"7f0000010bb8{connection.id:08x}"
    addresses = {Node(keeper.hub, keeper.outbox).client_id(connection)[:12] for _ in range(10)}
    assert len(addresses) == 10


def test_a_client_of_another_node_is_not_here(keeper: Keeper, node: Node) -> None:
    connection = keeper.log_in("uid1")
    other = Node(keeper.hub, keeper.outbox).client_id(connection)
    assert node.execute(IsOnline(node.client_id(connection)))
    assert not node.execute(IsOnline(other))
    assert node.execute(SendToClient((other,), Message(b"m"))) == Sent(0, (other,))
    assert node.execute(Kick((other,), None, NORMAL)) == 0
    assert node.execute(SendToAll(None, Message(b"m"), frozenset({other}))) == Sent(1)


def test_one_that_is_not_added_yet_is_not_here(keeper: Keeper, node: Node) -> None:
    keeper.hub.name(pending := keeper.connect())
    client = node.client_id(pending)
    assert not node.execute(IsOnline(client))
    assert node.execute(SendToClient((client,), Message(b"m"))) == Sent(0, (client,))


def test_a_last_message_to_many_is_encoded_once(keeper: Keeper, node: Node) -> None:
    connections = [keeper.log_in(f"uid{number}") for number in range(2 * FEW)]
    clients = tuple(map(node.client_id, connections))
    end = text(b"bye") + websocket.close_frame(KICKED)
    assert node.execute(Kick(clients, Message(b"bye"), KICKED)) == len(connections)
    assert [transport_of(each).written for each in connections] == [end] * len(connections)
    assert keeper.closes == [(each, KICKED) for each in connections]


def test_one_that_is_destroyed_gets_nothing_more(keeper: Keeper, node: Node) -> None:
    connection = keeper.log_in("uid1")
    connection.send(Message(b"waits"))
    assert node.execute(Destroy(node.client_id(connection)))
    assert (transport_of(connection).written, transport_of(connection).aborted) == (b"", True)
    connection.lost()
    assert (keeper.closes, keeper.left) == ([(connection, ABNORMAL)], [])


def test_a_session_is_one_object_that_handlers_may_hold(keeper: Keeper, node: Node) -> None:
    connection = keeper.log_in("uid1")
    client = node.client_id(connection)
    held: Session = {"old": 1}
    connection.session = held
    assert node.execute(SetSession(client, {"new": {"a": 1}}))
    assert node.execute(UpdateSession(client, {"new": {"b": 2}}))
    assert connection.session is held
    assert node.execute(SetSession(client, held))
    assert held == {"new": {"a": 1, "b": 2}} == node.execute(SessionOfClient(client))


# --- what a wire asks ---------------------------------------------------------------------------


def test_a_serialized_session_is_given_as_it_came(keeper: Keeper, node: Node) -> None:
    set_, never, ours = (keeper.log_in(f"uid{number}") for number in range(3))
    data = b'a:1:{i:0;O:8:"stdClass":0:{}}'
    assert node.execute(SetSession(node.client_id(set_), data))
    assert node.execute(SetSession(node.client_id(ours), {"n": 1}))
    keeper.hub.join(ours, "a")
    clients = [node.client_id(each) for each in (set_, never, ours)]
    expected = dict(zip(clients, (data, b"", b'a:1:{s:1:"n";i:1;}'), strict=True))
    assert {each: node.execute(SerializedSession(each)) for each in clients} == expected
    assert node.execute(SerializedSessions(None)) == expected
    assert node.execute(SerializedSessions("a")) == {clients[2]: expected[clients[2]]}
    assert node.execute(SerializedSessions("")) == {}
    assert node.execute(SerializedSession(CLIENT)) is None


def test_serialized_changes_are_merged_by_index_unless_lists_are_whole(
    keeper: Keeper, node: Node
) -> None:
    client = node.client_id(keeper.log_in("uid1"))
    one, two = b'a:1:{s:1:"l";a:1:{i:0;i:3;}}', b'a:1:{s:1:"l";a:2:{i:0;i:1;i:1;i:2;}}'
    for whole_lists, expected in ((False, [3, 2]), (True, [3])):
        node.execute(SetSession(client, two))
        assert node.execute(UpdateSession(client, one, whole_lists))
        assert node.execute(SessionOfClient(client)) == {"l": expected}
    assert not node.execute(UpdateSession(CLIENT, one))
    assert not node.execute(SetSession(CLIENT, one))


def ids(selected: list[Selected]) -> list[int]:
    return [int(each.client[12:], 16) for each in selected]


@pytest.fixture
def selected(keeper: Keeper) -> Node:
    """Four: two of one user, one of another utype, one of nobody's; three groups."""
    keeper.hub = Hub(iter([4, 3, 2, 1]).__next__)
    first, second, third = (
        keeper.log_in(*who) for who in (("u1", "0"), ("u1", "0"), ("u1", "vip"))
    )
    keeper.hub.add(keeper.connect())
    for connection, group in ((second, "a"), (first, "a"), (first, "b"), (third, "7")):
        keeper.hub.join(connection, group)
    first.session = b"a:0:{}"
    return Node(keeper.hub, keeper.outbox)


@pytest.mark.parametrize(
    ("groups", "uids", "numbers", "expected"),
    [
        (None, None, None, [4, 3, 2, 1]),
        (("a",), None, None, [3, 4]),
        (("b", "7", "none"), (), (), [4, 2]),
        (None, ("u1", "u2"), None, [4, 3]),
        (None, None, (1, 2, 77), [1, 2]),
        (("a",), ("u1",), (1, 3), [3, 4, 1]),
        ((), (), (), []),
        (None, (), None, []),
    ],
)
def test_those_are_selected_of_whom_one_thing_holds_each_once(
    selected: Node,
    groups: tuple[str, ...] | None,
    uids: tuple[str, ...] | None,
    numbers: tuple[int, ...] | None,
    expected: list[int],
) -> None:
    clients = None
    if numbers is not None:
        clients = tuple(client_id_of(selected.address, number) for number in numbers)
    assert ids(selected.execute(Select(groups, uids, clients, False))) == expected


def test_a_selection_says_whose_they_are_by_the_default_utype_only(selected: Node) -> None:
    everyone = selected.execute(Select(None, None, None, True))
    assert [(each.uid, each.groups, each.session) for each in everyone] == [
        ("u1", ("a", "b"), b"a:0:{}"),
        ("u1", ("a",), b""),
        (None, ("7",), b""),
        (None, (), b""),
    ]
    without = selected.execute(Select(None, None, None, False))
    assert {each.session for each in without} == {None}


# --- whether to wait ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        SendToUid(("uid1",), "0", Message(TOO_MUCH)),
        SendToUid(("uid2", "uid1"), "0", Message(TOO_MUCH)),
        SendToGroup(("a",), None, Message(TOO_MUCH)),
        SendToGroup(("b", "a"), "0", Message(TOO_MUCH)),
        SendToClient((CLIENT,), Message(TOO_MUCH)),
        SendToAll("0", Message(TOO_MUCH)),
        SendToAll(None, Message(TOO_MUCH)),
    ],
)
def test_a_push_waits_while_one_of_a_few_has_only_just_stopped_reading(
    keeper: Keeper, command: Send
) -> None:
    keeper.hub = Hub(iter([0x2A, 0x2B]).__next__)
    node = Node(keeper.hub, keeper.outbox, 0x7F0000010BB8)
    connection, _ = keeper.log_in("uid1"), keeper.log_in("uid2")
    keeper.hub.join(connection, "a")
    assert not node.must_wait(command)
    connection.pause()
    assert node.must_wait(command)
    assert not node.must_wait(SendToUid(("uid2",), "0", command.message))
    assert not node.must_wait(SendToUid(("uid1",), "0", Message(b"short")))
    assert not node.must_wait(SendToAll(None, command.message, frozenset({CLIENT})))


def test_a_push_to_many_waits_for_earlier_ones_and_no_reader(keeper: Keeper, node: Node) -> None:
    for _ in range(FEW + 1):
        keeper.log_in("uid1").pause()
    assert not node.must_wait(SendToAll("0", Message(TOO_MUCH)))
    keeper.outbox.lane_full = True
    assert node.must_wait(SendToAll("0", Message(b"short")))


def test_a_push_to_few_does_not_wait_for_fan_outs(keeper: Keeper, node: Node) -> None:
    keeper.log_in("uid1")
    keeper.outbox.lane_full = True
    assert not node.must_wait(SendToAll("0", Message(b"short")))
