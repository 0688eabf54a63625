"""What other nodes send waits where the connections of this one do not keep up."""

from collections.abc import Iterator

import pytest

from pushline.cluster import backlog
from pushline.cluster.backlog import OVERHEAD, Backlog, What
from pushline.codecs.cluster_wire import EVERYONE, Question, channel_of_group, channel_of_uid
from pushline.commands import CountOfClients, JoinGroup, SendToAll, SendToUid
from pushline.connection import Connection
from pushline.messages import Message
from pushline.node import Node
from pushline.outbox import FEW, LANE_BYTES, PASS_CREDIT, PATIENCE
from tests.core import Keeper, Loop, transport_of

USER = channel_of_uid("u", "0")
HELLO = Message(b"hello")
NODE = "0000000000bb"
LIMIT = 1 << 20


class World:
    """`done` is what was carried out."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.keeper = Keeper(self.loop, LIMIT)
        self.node = Node(self.keeper.hub, self.keeper.outbox)
        self.backlog = Backlog(self.node, self._carry_out)
        self.done: list[What] = []

    def _carry_out(self, channel: bytes, what: What) -> None:
        self.done.append(what)
        if isinstance(what, Question):
            self.node.execute(what.command)
        else:
            self.keeper.outbox.send(self.keeper.hub.of_uid("u", "0"), what)

    def send(self, size: int = 5, channel: bytes = USER) -> Message:
        """A message of so many bytes has come."""
        message = Message(bytes(size))
        self.backlog.take(channel, message, size + 1)
        return message

    def ask(self, command: "SendToAll | SendToUid | JoinGroup | CountOfClients") -> Question:
        question = Question(7, NODE, command)
        self.backlog.take(EVERYONE, question, 100)
        return question

    def stop_reading(self, connection: Connection, waiting: int) -> None:
        """Its kernel takes no more, so many bytes wait for it."""
        transport_of(connection).buffered = waiting
        connection.pause()


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.loop.close()


def test_what_can_be_carried_out_is_at_once(world: World) -> None:
    world.keeper.log_in("u")
    came = [world.send(), world.send(channel=EVERYONE), world.ask(CountOfClients())]
    assert world.done == came
    assert len(world.backlog) == 0


def test_in_one_pass_there_is_no_more_than_a_connection_can_be_given(world: World) -> None:
    """Else a fast reader that many push to at once would be taken for a slow one."""
    world.keeper.log_in("u")
    size = PASS_CREDIT // 4
    came = [world.send(size) for _ in range(11)]
    assert world.done == came[:4]
    assert len(world.backlog) == 7
    world.loop.turn(2)
    assert world.done == came[:8]
    world.loop.turn(2)
    assert world.done == came
    assert len(world.backlog) == 0
    assert world.backlog.dropped == 0


def test_nothing_overtakes_what_waits(world: World) -> None:
    connection = world.keeper.log_in("u")
    came: list[What] = [world.send(PASS_CREDIT), world.send()]
    came += [world.ask(JoinGroup(world.node.client_id(connection), "g")), world.send()]
    assert world.done == came[:1]
    world.loop.turn(2)
    assert world.done == came


def test_one_over_which_it_stumbles_holds_up_nothing(world: World) -> None:
    """No node sends such; but what waits behind it would wait for ever."""
    errors: list[object] = []
    world.loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))
    world.keeper.log_in("u")
    first = world.send(PASS_CREDIT)
    world.ask(JoinGroup("not a client", "g"))
    last = world.send()
    world.loop.turn(4)
    assert [type(error) for error in errors] == [ValueError]
    assert (world.done[0], world.done[-1]) == (first, last)
    assert len(world.backlog) == 0


def test_a_broadcast_waits_for_those_before_it(world: World) -> None:
    tabs = [world.keeper.log_in(str(number)) for number in range(FEW + 1)]
    first = world.ask(SendToAll(None, Message(bytes(LANE_BYTES + 1))))
    world.loop.turn()
    assert world.keeper.outbox.lane_full
    second = world.ask(SendToAll(None, HELLO))
    assert world.done == [first]
    world.loop.turn(FEW)
    assert world.done == [first, second]
    assert all(transport_of(tab).written.endswith(b"\x81\x05hello") for tab in tabs)


def test_a_message_that_would_cut_off_who_has_only_just_stopped_reading_waits(
    world: World,
) -> None:
    connection = world.keeper.log_in("u")
    world.stop_reading(connection, LIMIT - 100)
    came = world.send(200)
    assert world.done == []
    transport_of(connection).buffered = 0
    connection.resume()
    world.loop.turn(2)
    assert world.done == [came]
    assert not connection.sealed


def test_who_has_stopped_for_longer_is_waited_for_by_nobody(world: World) -> None:
    connection = world.keeper.log_in("u")
    world.stop_reading(connection, LIMIT - 100)
    came = [world.send(200), world.ask(SendToUid(("u",), "0", HELLO))]
    world.loop.turn(4)
    assert world.done == []
    world.loop.now += PATIENCE
    world.loop.turn(4)
    assert world.done == came
    assert connection.sealed


def test_others_do_not_wait_for_who_has_stopped_reading(world: World) -> None:
    world.stop_reading(world.keeper.log_in("slow"), LIMIT - 100)
    world.keeper.log_in("u")
    came = [world.send(200), world.send(channel=channel_of_group("g")), world.ask(CountOfClients())]
    assert world.done == came


def test_what_there_is_no_room_for_is_dropped_counted_and_said_once(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backlog, "ROOM", 2 * (100 + OVERHEAD))
    small = World()
    first = small.send(PASS_CREDIT)
    came = [small.send(99) for _ in range(5)]
    assert (len(small.backlog), small.backlog.dropped) == (2, 3)
    assert caplog.text.count("it is dropped") == 1
    small.loop.turn(2)
    assert small.done == [first, *came[:2]]
    second = small.send(PASS_CREDIT)
    came = [small.send(99) for _ in range(3)]
    assert (len(small.backlog), small.backlog.dropped) == (2, 4)
    assert caplog.text.count("it is dropped") == 2
    small.loop.turn(2)
    assert small.done[3:] == [second, *came[:2]]
    small.loop.close()
