"""One node of a cluster, beside others that a test has in its own hands.

What all Commands come to is in tests/contracts.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from typing import Any

import pytest
import pytest_asyncio

from pushline.brokers.memory import Bus, MemoryBroker
from pushline.cluster.cluster import Cluster
from pushline.cluster.questions import OTHERS
from pushline.codecs import cluster_wire as wire
from pushline.codecs.cluster_wire import EVERYONE, Answer
from pushline.commands import (
    Clients,
    CountOfClients,
    IsAlive,
    IsOnline,
    JoinGroup,
    SendToAll,
    SendToGroup,
    SendToUid,
    Sent,
    SessionOfClient,
    UidsOnline,
)
from pushline.connection import Connection
from pushline.errors import ConfigError, DeadlineError, UnavailableError
from pushline.gateway import Gateway
from pushline.gateway.partial import Missing
from pushline.loop_runner import LoopRunner
from pushline.messages import Message
from pushline.node import Node
from tests.core import Keeper, text, transport_of
from tests.members import member, settle

A, B, C = "0000000000aa", "0000000000bb", "0000000000cc"
SOON = 0.05
HELLO = Message(b"hello")


class Broker(MemoryBroker):
    """Notes what is asked of it, in that order, and subscriptions in the next pass, in which one on
    Redis makes them."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus)
        self.calls: list[tuple[str, object]] = []

    def subscribe(self, channel: bytes) -> None:
        self.calls.append(("subscribe", channel))
        asyncio.get_running_loop().call_soon(self.calls.append, ("is subscribed", channel))
        super().subscribe(channel)

    def unsubscribe(self, channel: bytes) -> None:
        self.calls.append(("unsubscribe", channel))
        super().unsubscribe(channel)

    def publish(self, channel: bytes, payload: bytes) -> "asyncio.Future[int]":
        self.calls.append(("publish", channel))
        return super().publish(channel, payload)

    async def subscribers(self, channels: Sequence[bytes]) -> list[int]:
        self.calls.append(("subscribers", len(channels)))
        return await super().subscribers(channels)


class World:
    """The node A, with its connections."""

    def __init__(self, bus: Bus) -> None:
        self.keeper = Keeper(asyncio.get_running_loop())
        self.node = Node(self.keeper.hub, self.keeper.outbox, int(A, 16))
        self.broker = Broker(bus)
        self.cluster = Cluster(self.node, self.broker, SOON)

    def log_in(self, uid: str, utype: str = "0") -> Connection:
        return self.keeper.log_in(uid, utype)

    def client(self, connection: Connection) -> str:
        return self.node.client_id(connection)

    async def written(self, connection: Connection) -> bytes:
        """All that was sent to it."""
        await settle()
        return transport_of(connection).written


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest_asyncio.fixture
async def world(bus: Bus) -> AsyncIterator[World]:
    world = World(bus)
    await world.cluster.start()
    world.broker.calls.clear()
    yield world
    await settle()


@pytest.fixture(autouse=True)
def nothing_is_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    gc.collect()
    assert "never retrieved" not in caplog.text
    assert "never awaited" not in caplog.text


async def result(answer: Any) -> Any:
    return await answer if isinstance(answer, Awaitable) else answer


# --- joining --------------------------------------------------------------------------------------


async def test_a_node_can_be_asked_from_the_moment_at_which_it_has_joined(bus: Bus) -> None:
    world, b = World(bus), await member(bus, B)
    await world.cluster.start()
    assert await b.broker.nodes() == (A, B)
    assert await b.broker.subscribers([EVERYONE, wire.channel_of_node(A)]) == [1, 1]


async def test_two_nodes_of_the_same_address_are_not_in_one_cluster(world: World, bus: Bus) -> None:
    with pytest.raises(ConfigError, match=A):
        await World(bus).cluster.start()


async def test_who_was_here_before_is_known_as_well(bus: Bus) -> None:
    world, b = World(bus), await member(bus, B)
    await world.cluster.start()
    world.log_in("u")
    assert await b.broker.subscribers([wire.channel_of_uid("u", "0")]) == [1]


# --- who is here ----------------------------------------------------------------------------------


async def test_a_user_is_subscribed_to_from_the_first_connection_to_the_last(world: World) -> None:
    channel, user = wire.channel_of_uid("u", "7"), wire.user_of("u", "7")
    one, two = world.log_in("u", "7"), world.log_in("u", "7")
    assert world.broker.channels > {channel}
    assert world.broker.users == {user: 2}
    one.lost()
    assert world.broker.channels > {channel}
    assert world.broker.users == {user: 1}
    two.lost()
    asked = [call for call in world.broker.calls if call[1] == channel]
    assert asked == [("subscribe", channel), ("unsubscribe", channel)]
    assert world.broker.users == {}


async def test_who_gets_another_uid_is_the_old_one_no_more(world: World) -> None:
    connection = world.log_in("old")
    world.keeper.hub.bind(connection, "new", "0")
    assert world.broker.users == {wire.user_of("new", "0"): 1}
    world.keeper.hub.unbind(connection)
    assert world.broker.users == {}
    assert world.broker.channels == {EVERYONE, wire.channel_of_node(A)}


async def test_a_group_is_subscribed_to_from_its_first_member_to_the_last(world: World) -> None:
    one, two = world.log_in("u"), world.log_in("v")
    channel = wire.channel_of_group("g")
    for connection in (one, two):
        world.keeper.hub.join(connection, "g")
    one.lost()
    assert ("unsubscribe", channel) not in world.broker.calls
    world.keeper.hub.leave(two, "g")
    groups = [call for call in world.broker.calls if call[1] == channel]
    assert groups == [("subscribe", channel), ("unsubscribe", channel)]


# --- what others publish --------------------------------------------------------------------------


async def test_a_message_comes_to_all_who_are_the_user(world: World, bus: Bus) -> None:
    b, tabs = await member(bus, B), [world.log_in("u", "7") for _ in range(2)]
    other = world.log_in("u", "8")
    for message in (HELLO, Message(b"\xff", binary=True)):
        await b.broker.publish(wire.channel_of_uid("u", "7"), wire.encode_message(message))
    assert [await world.written(tab) for tab in tabs] == [text(b"hello") + b"\x82\x01\xff"] * 2
    assert await world.written(other) == b""


async def test_a_message_for_nobody_or_that_is_none_is_dropped_and_logged(
    world: World, bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    b, tab = await member(bus, B), world.log_in("u")
    for payload in (wire.encode_message(HELLO), b"", b"?!", b"!\r\n{}"):
        await b.broker.publish(EVERYONE, payload)
    await b.broker.publish(wire.channel_of_uid("u", "0"), wire.encode_message(HELLO))
    assert await world.written(tab) == text(b"hello")
    assert caplog.text.count("not what a node publishes") == 3


async def test_a_question_is_answered_to_who_has_asked(world: World, bus: Bus) -> None:
    b, c = await member(bus, B), await member(bus, C)
    world.log_in("u")
    await b.ask(EVERYONE, CountOfClients(), 9)
    assert b.came == [(wire.channel_of_node(B), Answer(9, A, b"\x01", False))]
    assert all(channel == EVERYONE for channel, _ in c.came)


async def test_what_wants_no_answer_gets_none(world: World, bus: Bus) -> None:
    b, tab = await member(bus, B), world.log_in("u")
    await b.ask(EVERYONE, SendToAll(None, HELLO), 0)
    assert await world.written(tab) == text(b"hello")
    assert b.came == []


async def test_a_question_that_cannot_be_answered_is_answered_with_the_reason(
    world: World, bus: Bus
) -> None:
    b, connection = await member(bus, B), world.log_in("u")
    connection.session = {"lock": asyncio.Lock()}
    channel = wire.channel_of_node(A)
    await b.ask(channel, SessionOfClient(world.client(connection)))
    connection.session = b"i:1;"
    await b.ask(channel, SessionOfClient(world.client(connection)))
    whys = [answer.result.decode() for _, answer in b.came if isinstance(answer, Answer)]
    assert ["unsupported" in whys[0], "array" in whys[1]] == [True, True]


async def test_a_question_over_which_a_node_stumbles_is_answered_and_logged(
    world: World, bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    """No node asks so; but nobody is to wait for an answer that never comes."""
    b = await member(bus, B)
    await b.ask(wire.channel_of_node(A), IsOnline("not a client"))
    ((_, answer),) = b.came
    assert isinstance(answer, Answer)
    assert answer.failed
    assert f"what the node {B} has asked for could not be done" in caplog.text


async def test_who_has_asked_and_gone_is_not_waited_for(world: World, bus: Bus) -> None:
    b = await member(bus, B)
    question = wire.Question(7, B, CountOfClients())
    b.broker.publish(EVERYONE, wire.encode_question(question))
    await asyncio.sleep(0)
    await world.broker.stop()
    await settle()
    assert world.broker.counts.failed == 1


async def test_an_answer_goes_out_behind_the_subscriptions_of_what_was_asked(
    world: World, bus: Bus
) -> None:
    """So who has it reaches the client in that group."""
    b, connection = await member(bus, B), world.log_in("u")
    await b.ask(wire.channel_of_node(A), JoinGroup(world.client(connection), "g"))
    made = ("is subscribed", wire.channel_of_group("g"))
    answered = ("publish", wire.channel_of_node(B))
    assert world.broker.calls.index(made) < world.broker.calls.index(answered)


async def test_an_answer_may_take_its_time(world: World, bus: Bus) -> None:
    b, connection = await member(bus, B), world.log_in("u")
    alive: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    world.node.teach(IsAlive, lambda _: alive)
    await b.ask(wire.channel_of_node(A), IsAlive(world.client(connection), "u", "0", 1.0))
    assert b.came == []
    alive.set_result(True)
    await settle()
    assert b.came == [(wire.channel_of_node(B), Answer(7, A, b"\xc3", False))]


# --- what is asked here ---------------------------------------------------------------------------


async def test_what_concerns_this_node_alone_has_its_answer_at_once(world: World) -> None:
    client = world.client(world.log_in("u"))
    assert world.cluster.execute(IsOnline(client)) is True
    assert world.cluster.execute(JoinGroup(client, "g")) is True
    assert "publish" not in dict(world.broker.calls)


async def test_a_client_of_no_node_is_not_there(world: World) -> None:
    assert await world.cluster.ask(IsOnline(C + "0" * 8)) is False


async def test_those_here_have_it_before_the_others_are_asked(world: World, bus: Bus) -> None:
    """And what is called next goes out behind it, whether anybody waits for the answers or not."""
    b, tab = await member(bus, B, wire.channel_of_uid("u", "0")), world.log_in("u")
    first = world.cluster.execute(SendToUid(("u",), "0", HELLO))
    second = world.cluster.execute(SendToUid(("u",), "0", Message(b"again")))
    assert tab.pending == [text(b"hello"), text(b"again")]
    await settle()
    for question in b.questions:
        await b.answer(question, Sent(1))
    assert await result(second) == await result(first) == Sent(2)
    sent = [
        each.command.message.data for each in b.questions if isinstance(each.command, SendToUid)
    ]
    assert sent == [b"hello", b"again"]


async def test_a_list_of_ten_thousand_users_is_one_question(world: World, bus: Bus) -> None:
    b, uids = await member(bus, B), tuple(map(str, range(10_000)))
    world.log_in("7")
    answer = world.cluster.execute(SendToUid(uids, "0", HELLO))
    await settle()
    (question,) = b.questions
    await b.answer(question, Sent(1, uids[1:]))
    assert await result(answer) == Sent(2, tuple(uid for uid in uids if uid not in ("0", "7")))


async def test_a_caller_who_gives_up_leaves_nothing_behind(world: World, bus: Bus) -> None:
    await member(bus, B)
    asked = asyncio.ensure_future(world.cluster.ask(CountOfClients()))
    await settle()
    asked.cancel()
    await asyncio.wait((asked,))
    assert len(world.cluster._questions) == 0


async def test_an_answer_that_is_missing_is_an_error_that_names_the_node(
    world: World, bus: Bus
) -> None:
    await member(bus, B, wire.channel_of_group("g"))
    world.keeper.hub.join(world.log_in("u"), "g")
    with pytest.raises(DeadlineError, match=B):
        await world.cluster.ask(SendToGroup(("g",), None, HELLO))
    with pytest.raises(DeadlineError, match=B):
        await world.cluster.ask(Clients(None))


# --- who of many is online ------------------------------------------------------------------------


async def test_ten_thousand_users_are_asked_for_at_once(world: World, bus: Bus) -> None:
    uids = tuple(map(str, range(10_000)))
    await member(bus, B, wire.channel_of_uid("5", "0"), wire.channel_of_uid("6", "7"))
    world.log_in("3")
    online = await world.cluster.ask(UidsOnline(uids, "0"))
    assert list(online) == list(uids)
    assert [uid for uid in uids if online[uid]] == ["3", "5"]
    assert world.broker.calls[-1] == ("subscribers", 9_999)
    assert await world.cluster.ask(UidsOnline(("6",), "7")) == {"6": True}


async def test_who_is_here_is_not_asked_for(world: World) -> None:
    world.log_in("3")
    assert world.cluster.execute(UidsOnline(("3",), "0")) == {"3": True}
    assert world.cluster.execute(UidsOnline((), "0")) == {}


async def test_who_is_elsewhere_is_not_known_without_a_broker(world: World) -> None:
    world.log_in("3")
    await world.broker.stop()
    assert world.cluster.execute(UidsOnline(("3",), "0")) == {"3": True}
    with pytest.raises(UnavailableError):
        await world.cluster.ask(UidsOnline(("3", "4"), "0"))


# --- answers in part ------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def gateway(world: World) -> Gateway:
    gateway = Gateway()
    gateway.attach(world.cluster, LoopRunner(asyncio.get_running_loop(), 5.0))
    return gateway


async def test_an_answer_in_part_says_that_it_is_one_and_who_is_missing(
    world: World, bus: Bus, gateway: Gateway
) -> None:
    await member(bus, B)
    client = world.client(world.log_in("u"))
    with gateway.partial() as missing:
        assert await gateway.get_all_client_id_list() == [client]
        assert missing == [Missing(B, f"no answer within {SOON:g} s")]
        assert not await gateway.is_online(B + "0" * 8)
        assert len(missing) == 2
    with pytest.raises(DeadlineError):
        await gateway.get_all_client_id_list()


async def test_a_whole_answer_says_that_nobody_is_missing(world: World, gateway: Gateway) -> None:
    with gateway.partial() as missing:
        assert await gateway.get_all_client_id_count() == 0
    assert missing == []


async def test_plain_code_can_do_with_a_part_as_well(
    world: World, bus: Bus, gateway: Gateway
) -> None:
    await member(bus, B)

    def plain() -> tuple[int, list[Missing]]:
        with gateway.sync.partial() as missing:
            return gateway.sync.get_all_client_id_count(), missing

    count, missing = await asyncio.to_thread(plain)
    assert (count, [each.address for each in missing]) == (0, [B])


async def test_without_a_broker_the_part_is_what_this_node_knows(
    world: World, gateway: Gateway
) -> None:
    world.log_in("u")
    await world.broker.stop()
    with gateway.partial() as missing:
        assert await gateway.get_all_uid_list() == ["u"]
        assert await gateway.is_uids_online(["u", "v"]) == {"u": True, "v": False}
        assert (await gateway.send_to_uid("u", "hello")).delivered == 1
    assert {each.address for each in missing} == {OTHERS}
    assert len(missing) == 3


async def test_of_a_single_node_nothing_is_ever_missing(world: World) -> None:
    gateway = Gateway()
    gateway.attach(world.node, LoopRunner(asyncio.get_running_loop(), 5.0))
    with gateway.partial() as missing:
        assert await gateway.get_all_client_id_count() == 0
    assert missing == []
