"""What a Command does, without any port."""

from collections.abc import Iterator

import pytest

from pushline.commands import Command, SendToAll, SendToUid
from pushline.connection import Connection
from pushline.messages import NORMAL, Message
from pushline.node import Node
from pushline.outbox import FEW
from tests.core import Keeper, Loop, text

ALL = b'{"uid":""}'


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


def send(node: Node, uids: tuple[str, ...], data: bytes = b"push", utype: str = "0") -> int:
    return node.execute(SendToUid(uids, utype, Message(data)))


def test_a_push_is_queued_on_every_connection_of_its_user(keeper: Keeper, node: Node) -> None:
    one, two, other = keeper.log_in("uid1"), keeper.log_in("uid1"), keeper.log_in("uid2")
    assert send(node, ("uid1",)) == 2
    assert queued(one, two, other) == [text(b"push"), text(b"push"), b""]


def test_a_push_to_several_is_queued_on_those_of_them_who_are_here(
    keeper: Keeper, node: Node
) -> None:
    one, two, other = keeper.log_in("uid1"), keeper.log_in("uid2"), keeper.log_in("uid3")
    assert send(node, ("uid2", "offline", "uid1")) == 2
    assert queued(one, two, other) == [text(b"push"), text(b"push"), b""]


@pytest.mark.parametrize("uids", [("offline",), ("offline", "away"), ()])
def test_a_push_to_nobody_is_queued_nowhere(
    keeper: Keeper, node: Node, uids: tuple[str, ...]
) -> None:
    connection = keeper.log_in("uid1")
    assert send(node, uids) == 0
    assert queued(connection) == [b""]


def test_a_push_stays_in_its_utype(keeper: Keeper, node: Node) -> None:
    here, elsewhere = keeper.log_in("uid1", "1"), keeper.log_in("uid1", "0")
    assert send(node, ("uid1",), utype="1") == 1
    assert node.execute(SendToAll("1", Message(ALL))) == 1
    assert queued(here, elsewhere) == [text(b"push") + text(ALL), b""]


def test_a_broadcast_is_queued_on_all_who_have_logged_in(keeper: Keeper, node: Node) -> None:
    users = [keeper.log_in(f"uid{number % 50}") for number in range(2 * FEW)]
    stranger = keeper.connect()
    assert node.execute(SendToAll("0", Message(ALL))) == len(users)
    assert queued(*users) == [text(ALL)] * len(users)
    assert queued(stranger) == [b""]


def test_a_broadcast_to_nobody_is_queued_nowhere(node: Node) -> None:
    assert node.execute(SendToAll("0", Message(ALL))) == 0


def test_who_was_closed_is_not_counted(keeper: Keeper, node: Node) -> None:
    closed, _ = keeper.log_in("uid1"), keeper.log_in("uid1")
    closed.close(NORMAL)
    assert send(node, ("uid1",)) == 1
    assert node.execute(SendToAll("0", Message(ALL))) == 1


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


# --- whether to wait ----------------------------------------------------------------------------

TOO_MUCH = bytes((1 << 20) + 1)


@pytest.mark.parametrize(
    "command",
    [
        SendToUid(("uid1",), "0", Message(TOO_MUCH)),
        SendToUid(("uid2", "uid1"), "0", Message(TOO_MUCH)),
        SendToAll("0", Message(TOO_MUCH)),
    ],
)
def test_a_push_waits_while_one_of_a_few_has_only_just_stopped_reading(
    keeper: Keeper, node: Node, command: Command
) -> None:
    connection, _ = keeper.log_in("uid1"), keeper.log_in("uid2")
    assert not node.strained(command)
    connection.pause()
    assert node.strained(command)
    assert not node.strained(SendToUid(("uid2",), "0", command.message))
    assert not node.strained(SendToUid(("uid1",), "0", Message(b"short")))


def test_a_push_to_many_waits_for_nobody(keeper: Keeper, node: Node) -> None:
    for _ in range(FEW + 1):
        keeper.log_in("uid1").pause()
    assert not node.strained(SendToAll("0", Message(TOO_MUCH)))
