"""Whether anybody in a cluster got a push: here, or at nodes that a test has in its own hands."""

import asyncio
import gc
from collections.abc import Iterator

import pytest
import pytest_asyncio

from pushline.brokers.memory import Bus, MemoryBroker
from pushline.cluster.pushes import Pending, Pushes
from pushline.cluster.questions import Questions
from pushline.cluster.routes import COPIED, COPIES
from pushline.codecs import cluster_wire as wire
from pushline.codecs.cluster_wire import EVERYONE, Answer
from pushline.commands import SendToAll, SendToUid, Sent
from pushline.errors import UnavailableError
from pushline.messages import Message
from pushline.node import Node
from tests.core import Keeper, transport_of
from tests.members import Member, member, settle

A, B, C = "0000000000aa", "0000000000bb", "0000000000cc"
SOON = 0.05
HELLO = Message(b"hello")
ALL = SendToAll("0", HELLO)
MANY = tuple(map(str, range(COPIES + 1)))


class Broker(MemoryBroker):
    """One that does not take what is published in one of its `bad` channels."""

    bad: tuple[bytes, ...] = ()

    def publish(self, channel: bytes, payload: bytes) -> "asyncio.Future[int]":
        if channel not in self.bad:
            return super().publish(channel, payload)
        failed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        failed.set_exception(UnavailableError("it does not answer"))
        return failed


class Pusher(Member):
    """The node A, with connections."""

    broker: Broker

    def __init__(self, bus: Bus) -> None:
        super().__init__(Broker(bus), A)
        self.keeper = Keeper(asyncio.get_running_loop())
        self.outbox = self.keeper.outbox
        self.questions_of_ours = Questions(self.broker, SOON)
        self.questions_of_ours.name = A
        node = Node(self.keeper.hub, self.outbox)
        self.pushes = Pushes(node, self.broker, self.questions_of_ours)

    def _take(self, channel: bytes, payload: bytes) -> None:
        answer = wire.decode(payload)
        assert isinstance(answer, Answer)
        self.questions_of_ours.take(answer)

    def push(self, *uids: str, message: Message = HELLO) -> Sent | Pending:
        return self.pushes.push(SendToUid(uids, "0", message))

    async def ask(self, *uids: str) -> Sent:  # type: ignore[override] # a pusher asks so
        """What becomes of a push that nobody here has got."""
        pending = self.push(*uids)
        assert isinstance(pending, Pending)
        return await pending


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest_asyncio.fixture
async def pusher(bus: Bus) -> Pusher:
    pusher = Pusher(bus)
    await pusher.start()
    return pusher


@pytest.fixture(autouse=True)
def nothing_is_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    gc.collect()
    assert "never retrieved" not in caplog.text


def of(uid: str) -> bytes:
    return wire.channel_of_uid(uid, "0")


def data_of(node: Member) -> list[bytes]:
    """The messages that have come to it, as they are."""
    return [each.data for _, each in node.came if isinstance(each, Message)]


# --- one user -------------------------------------------------------------------------------------


async def test_somebody_here_is_enough_and_the_others_have_it_too(pusher: Pusher, bus: Bus) -> None:
    b, tab = await member(bus, B, of("u")), pusher.keeper.log_in("u")
    assert pusher.push("u") == Sent(1)
    await settle()
    assert data_of(b) == [b"hello"]
    assert transport_of(tab).written == b"\x81\x05hello"


async def test_a_user_of_other_nodes_is_one_whom_they_have_taken_it_for(
    pusher: Pusher, bus: Bus
) -> None:
    b, c = await member(bus, B, of("u")), await member(bus, C, of("u"))
    assert await pusher.ask("u") == Sent(2)
    await settle()
    assert data_of(b) == data_of(c) == [b"hello"]


async def test_a_user_of_no_node_has_not_got_it(pusher: Pusher, bus: Bus) -> None:
    await member(bus, B, of("v"))
    assert await pusher.ask("u") == Sent(0)
    assert pusher.pushes.doubtful == 0


async def test_pushes_to_one_user_arrive_in_their_order(pusher: Pusher, bus: Bus) -> None:
    b = await member(bus, B, of("u"))
    for number in range(100):
        pusher.push("u", message=Message(b"%d" % number))
    await settle()
    assert data_of(b) == [b"%d" % number for number in range(100)]


async def test_whether_others_got_it_is_not_known_without_a_broker(pusher: Pusher) -> None:
    await pusher.broker.stop()
    with pytest.raises(UnavailableError):
        await pusher.ask("u")
    assert pusher.pushes.doubtful == 0


async def test_somebody_here_is_enough_also_without_a_broker(pusher: Pusher) -> None:
    pusher.keeper.log_in("u")
    await pusher.broker.stop()
    assert pusher.push("u") == Sent(1)
    await settle()
    assert pusher.pushes.doubtful == 1


async def test_nobody_has_to_ask_what_has_become_of_it(pusher: Pusher) -> None:
    await pusher.broker.stop()
    pusher.push("u")
    await settle()


# --- several --------------------------------------------------------------------------------------


async def test_of_several_users_one_is_enough(pusher: Pusher, bus: Bus) -> None:
    b = await member(bus, B, of("v"), of("w"))
    assert await pusher.ask("u", "v", "w") == Sent(2)
    assert await pusher.ask("u", "x") == Sent(0)
    await settle()
    assert data_of(b) == [b"hello"] * 2
    pusher.keeper.log_in("u")
    assert pusher.push("u", "v") == Sent(1, ("v",)), "of this node alone"


async def test_a_list_of_nobody_is_for_nobody(pusher: Pusher) -> None:
    assert pusher.push() == Sent(0)


async def test_of_several_one_who_has_got_it_is_enough_where_others_are_not_known(
    pusher: Pusher, bus: Bus
) -> None:
    await member(bus, B, of("u"), of("v"))
    pusher.broker.bad = (of("u"),)
    assert await pusher.ask("u", "v") == Sent(1)
    assert pusher.pushes.doubtful == 1
    with pytest.raises(UnavailableError):
        await pusher.ask("u", "w")


async def test_copies_are_paid_for_by_who_has_them_made(pusher: Pusher) -> None:
    """So a back end is not read from while Redis is written to."""
    before = pusher.outbox.credit
    await pusher.ask("u")
    one = before - pusher.outbox.credit
    await settle()
    before = pusher.outbox.credit
    await pusher.ask(*map(str, range(100)))
    assert before - pusher.outbox.credit > 100 * one


# --- very many ------------------------------------------------------------------------------------


async def test_of_a_long_list_every_node_says_whether_anybody_got_it(
    pusher: Pusher, bus: Bus
) -> None:
    b, c = await member(bus, B), await member(bus, C)
    pending = pusher.push(*MANY)
    assert isinstance(pending, Pending)
    await settle()
    await b.answer(b.questions[0], Sent(0, MANY))
    assert not pending.done()
    await c.answer(c.questions[0], Sent(2, MANY[2:]))
    assert await pending == Sent(1)
    assert len(pusher.questions_of_ours) == 0


async def test_a_long_list_of_nobody_is_for_nobody(pusher: Pusher, bus: Bus) -> None:
    b = await member(bus, B)
    pending = pusher.push(*MANY)
    assert isinstance(pending, Pending)
    await settle()
    await b.answer(b.questions[0], Sent(0, MANY))
    assert await pending == Sent(0)


async def test_somebody_here_is_enough_for_a_long_list(pusher: Pusher, bus: Bus) -> None:
    b = await member(bus, B)
    pusher.keeper.log_in("7")
    assert pusher.push(*MANY) == Sent(1, MANY[:7] + MANY[8:])
    await settle()
    (question,) = b.questions
    assert question.number == 0, "it wants no answer"


async def test_a_list_is_long_by_what_its_copies_would_weigh(pusher: Pusher, bus: Bus) -> None:
    b = await member(bus, B, of("u"))
    pusher.push("u", "v", message=Message(bytes(COPIED // 2)))
    pusher.push("u", "v", message=Message(bytes(COPIED // 2 + 1)))
    await settle()
    assert [channel for channel, _ in b.came] == [of("u"), EVERYONE]


async def test_a_node_that_does_not_answer_is_not_taken_for_one_that_has_nobody(
    pusher: Pusher, bus: Bus
) -> None:
    b, _ = await member(bus, B), await member(bus, C)
    pending = pusher.push(*MANY)
    assert isinstance(pending, Pending)
    await settle()
    await b.answer(b.questions[0], Sent(0, MANY))
    with pytest.raises(UnavailableError, match="no answer within"):
        await pending


async def test_a_node_that_does_not_answer_changes_nothing_where_another_has_somebody(
    pusher: Pusher, bus: Bus
) -> None:
    b, _ = await member(bus, B), await member(bus, C)
    pending = pusher.push(*MANY)
    assert isinstance(pending, Pending)
    await settle()
    await b.answer(b.questions[0], Sent(1, MANY[1:]))
    assert await pending == Sent(1)
    assert pusher.pushes.doubtful == 1


# --- everyone -------------------------------------------------------------------------------------


async def test_everyone_is_at_all_nodes(pusher: Pusher, bus: Bus) -> None:
    b = await member(bus, B)
    pending = pusher.pushes.push(ALL)
    assert isinstance(pending, Pending)
    assert await pending == Sent(1)
    pusher.keeper.log_in("u")
    assert pusher.pushes.push(ALL) == Sent(1)
    await settle()
    first, second = b.questions
    assert isinstance(first.command, SendToAll)
    assert (first.number, first.command.utype, first.command.message.data) == (0, "0", b"hello")
    assert second.number == 0


async def test_a_node_that_is_alone_has_told_everyone(pusher: Pusher) -> None:
    pending = pusher.pushes.push(ALL)
    assert isinstance(pending, Pending)
    assert await pending == Sent(0)
