"""What every Broker does, tested on each kind of it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from pushline.brokers.base import Broker, Holder
from pushline.brokers.memory import Bus, MemoryBroker
from pushline.brokers.redis import RedisBroker
from pushline.errors import ConfigError, UnavailableError
from tests.brokers.nodes import QUICK, A, B, C, Node, until
from tests.brokers.servers import RedisServer

ONE, TWO = "0" * 19 + "1", "0" * 19 + "2"
"""Clients."""
NAMES = [
    b"",
    b"a",
    b"\r\n$1\r\nx\r\n",
    b"{a}",
    b"*",
    b"?[a]",
    b":",
    b"nodes",
    b"\0\xff",
    b"n" * 10_240,
]
"""Names that mean something to somebody."""

Join = Callable[[str], Awaitable[Node]]
Make = Callable[[], Broker]

_clusters = itertools.count()


@pytest.fixture(params=["memory", "redis", "two redises"])
def make(request: pytest.FixtureRequest) -> Make:
    """Brokers of one new cluster."""
    if request.param == "memory":
        bus = Bus()
        return lambda: MemoryBroker(bus)
    server: RedisServer = request.getfixturevalue("shared_redis")
    databases = range(1 if request.param == "redis" else 2)
    urls = [f"{server.url}/{number}" for number in databases]
    prefix = f"contract{next(_clusters)}:"
    return lambda: RedisBroker(urls, prefix=prefix, times=QUICK)


@pytest_asyncio.fixture
async def join(make: Make) -> AsyncIterator[Join]:
    """A node of that cluster; all are stopped in the end."""
    nodes: list[Node] = []

    async def joined(name: str) -> Node:
        node = Node(make(), name)
        await node.start()
        nodes.append(node)
        return node

    yield joined
    for node in nodes:
        await node.broker.stop()


# --- the cluster ----------------------------------------------------------------------------------


async def test_a_node_is_ready_from_start_to_stop(make: Make) -> None:
    node = Node(make(), A)
    assert not node.broker.ready
    await node.start()
    assert node.broker.ready
    await node.broker.stop()
    assert not node.broker.ready


async def test_nodes_know_of_each_other_from_start_to_stop(join: Join) -> None:
    b, a = await join(B), await join(A)
    assert await a.broker.nodes() == await b.broker.nodes() == (A, B)
    await a.broker.stop()
    assert await b.broker.nodes() == (B,)


async def test_two_nodes_cannot_have_one_name(join: Join, make: Make) -> None:
    a = await join(A)
    with pytest.raises(ConfigError, match=A):
        await make().start(A, a.take)
    assert a.broker.ready


async def test_a_name_is_free_again_after_a_stop(join: Join) -> None:
    a = await join(A)
    await a.broker.stop()
    assert (await join(A)).broker.ready


async def test_nothing_can_be_done_before_the_start_and_after_the_stop(make: Make) -> None:
    node = Node(make(), A)
    await _nothing_can_be_done(node.broker)
    await node.start()
    await node.broker.stop()
    await _nothing_can_be_done(node.broker)
    assert node.broker.counts.failed == 2


async def _nothing_can_be_done(broker: Broker) -> None:
    for attempt in (
        broker.publish(b"channel", b""),
        broker.subscribers([b"channel"]),
        broker.whereabouts([b"user"]),
        broker.nodes(),
        broker.claim(b"user", ONE, None),
        broker.seize(b"user", ONE),
    ):
        with pytest.raises(UnavailableError):
            await attempt


async def test_a_stop_before_the_start_and_a_second_stop_are_nothing(make: Make) -> None:
    node = Node(make(), A)
    await node.broker.stop()
    await node.start()
    await node.broker.stop()
    await node.broker.stop()


# --- channels -------------------------------------------------------------------------------------


async def test_who_is_subscribed_receives_what_others_publish(join: Join) -> None:
    a, b, c = await join(A), await join(B), await join(C)
    b.broker.subscribe(b"channel")
    c.broker.subscribe(b"channel")
    c.broker.subscribe(b"another")
    await a.sees(b"channel", 2)
    assert await a.broker.publish(b"channel", b"hello") == 2
    assert await b.got(1) == await c.got(1) == [(b"channel", b"hello")]


async def test_a_node_does_not_receive_what_it_has_published_itself(join: Join) -> None:
    a, b = await join(A), await join(B)
    a.broker.subscribe(b"channel")
    await b.sees(b"channel", 1)
    assert await a.broker.publish(b"channel", b"mine") == 0
    assert await b.broker.publish(b"channel", b"yours") == 1
    assert await a.got(1) == [(b"channel", b"yours")]


async def test_nobody_is_subscribed_to_a_channel_that_nobody_wants(join: Join) -> None:
    a, b = await join(A), await join(B)
    b.broker.subscribe(b"channel")
    await a.sees(b"channel", 1)
    assert await a.broker.publish(b"channel2", b"") == 0
    assert await a.broker.subscribers([b"channel2", b"channel", b""]) == [0, 1, 0]
    assert await b.broker.subscribers([b"channel"]) == [0], "a node counts itself"
    assert await b.broker.subscribers([]) == []


async def test_after_an_unsubscribe_nothing_is_received(join: Join) -> None:
    a, b = await join(A), await join(B)
    b.broker.subscribe(b"channel")
    b.broker.subscribe(b"last")
    await a.sees(b"last", 1)
    b.broker.unsubscribe(b"channel")
    await a.sees(b"channel", 0)
    assert await a.broker.publish(b"channel", b"") == 0
    assert await a.broker.publish(b"last", b"") == 1
    assert await b.got(1) == [(b"last", b"")]


async def test_what_is_counted_is_received_however_subscriptions_change(join: Join) -> None:
    """Who publishes may wait for an answer of each who was counted."""
    a, b = await join(A), await join(B)
    b.broker.subscribe(b"last")
    await a.sees(b"last", 1)
    counts = []
    for _ in range(200):
        for change in (b.broker.subscribe, b.broker.unsubscribe):
            change(b"channel")
            counts.append(a.broker.publish(b"channel", b""))
            await asyncio.sleep(0)
            counts.append(a.broker.publish(b"channel", b""))
    received = sum(await asyncio.gather(*counts))
    assert await a.broker.publish(b"last", b"") == 1
    await b.got(received + 1)
    assert b.received == [(b"channel", b"")] * received + [(b"last", b"")]


@pytest.mark.parametrize("steps", ["+-+", "+-", "-+", "++-", "+--+"])
async def test_subscriptions_of_one_pass_end_as_the_last_one_says(join: Join, steps: str) -> None:
    a, b = await join(A), await join(B)
    for step in steps:
        (b.broker.subscribe if step == "+" else b.broker.unsubscribe)(b"channel")
    b.broker.subscribe(b"last")
    await a.sees(b"last", 1)
    assert await a.broker.subscribers([b"channel"]) == [steps.endswith("+")]


async def test_the_own_subscription_is_never_counted_however_it_changes(join: Join) -> None:
    a, b = await join(A), await join(B)
    b.broker.subscribe(b"channel")
    await a.sees(b"channel", 1)
    answers = []
    for _ in range(200):
        for change in (a.broker.subscribe, a.broker.unsubscribe):
            change(b"channel")
            answers.append(a.broker.publish(b"channel", b""))
            await asyncio.sleep(0)
            answers.append(a.broker.publish(b"channel", b""))
            counts = asyncio.ensure_future(a.broker.subscribers([b"channel"]))
            await asyncio.sleep(0)
            assert await counts == [1]
    assert set(await asyncio.gather(*answers)) == {1}
    assert len(await b.got(800)) == 800
    assert a.received == []


async def test_messages_of_one_node_arrive_in_their_order(join: Join) -> None:
    a, b = await join(A), await join(B)
    b.broker.subscribe(b"channel")
    await a.sees(b"channel", 1)
    payloads = [b"%d" % number + b"x" * (number % 7 * 1000) for number in range(2000)]
    assert await asyncio.gather(*(a.broker.publish(b"channel", one) for one in payloads)) == (
        [1] * 2000
    )
    assert [payload for _, payload in await b.got(2000)] == payloads


@pytest.mark.parametrize("size", [0, 1, 8, 100, 65_536, 5_000_000])
async def test_payloads_arrive_as_they_are(join: Join, size: int) -> None:
    a, b = await join(A), await join(B)
    b.broker.subscribe(b"channel")
    await a.sees(b"channel", 1)
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    await a.broker.publish(b"channel", payload)
    assert await b.got(1) == [(b"channel", payload)]


@pytest.mark.parametrize("name", NAMES)
async def test_any_bytes_are_a_channel_and_no_other_one(join: Join, name: bytes) -> None:
    a, b = await join(A), await join(B)
    for one in NAMES:
        if one != name:
            b.broker.subscribe(one)
    b.broker.subscribe(b"last")
    await a.sees(b"last", 1)
    assert await a.broker.publish(name, b"nobody") == 0
    b.broker.subscribe(name)
    await a.sees(name, 1)
    assert await a.broker.publish(name, b"somebody") == 1
    assert await b.got(1) == [(name, b"somebody")]


async def test_a_receiver_that_raises_receives_the_next_one_all_the_same(
    join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = await join(A), await join(B)

    def take(channel: bytes, payload: bytes) -> None:
        b.received.append((channel, payload))
        raise ValueError("oh")

    await b.broker.stop()
    await b.broker.start(B, take)
    b.broker.subscribe(b"channel")
    await a.sees(b"channel", 1)
    await asyncio.gather(*(a.broker.publish(b"channel", b"") for _ in range(3)))
    assert len(await b.got(3)) == 3
    assert caplog.text.count("ValueError: oh") == 3


async def test_what_was_subscribed_and_present_before_the_start_is_in_force_after_it(
    join: Join, make: Make
) -> None:
    a, b = await join(A), Node(make(), B)
    b.broker.subscribe(b"channel")
    b.broker.present(b"user", 3)
    await b.start()
    assert await a.broker.publish(b"channel", b"") == 1
    assert await a.broker.whereabouts([b"user"]) == [{B: 3}]
    await b.broker.stop()


async def test_a_node_that_has_stopped_is_not_counted(join: Join) -> None:
    a, b = await join(A), await join(B)
    b.broker.subscribe(b"channel")
    b.broker.present(b"user", 1)
    await a.sees(b"channel", 1)
    await b.broker.stop()
    assert await a.broker.publish(b"channel", b"") == 0
    assert await a.broker.subscribers([b"channel"]) == [0]
    assert await a.broker.whereabouts([b"user"]) == [{}]


async def test_messages_are_counted(join: Join) -> None:
    a, b = await join(A), await join(B)
    b.broker.subscribe(b"channel")
    await a.sees(b"channel", 1)
    for _ in range(3):
        await a.broker.publish(b"channel", b"")
    await b.got(3)
    assert (a.broker.counts.published, a.broker.counts.received) == (3, 0)
    assert (b.broker.counts.published, b.broker.counts.received) == (0, 3)
    assert a.broker.counts.failed == b.broker.counts.gaps == 0


# --- presence -------------------------------------------------------------------------------------


async def test_everybody_knows_where_a_user_is_and_how_often(join: Join) -> None:
    a, b = await join(A), await join(B)
    a.broker.present(b"user", 1)
    b.broker.present(b"user", 2)
    await a.finds(b"user", {A: 1, B: 2})
    await b.finds(b"user", {A: 1, B: 2})
    b.broker.present(b"user", 0)
    await a.finds(b"user", {A: 1})


async def test_a_node_knows_of_its_own_users_at_once(join: Join) -> None:
    a = await join(A)
    for connections in (1, 2, 1):
        a.broker.present(b"user", connections)
        assert await a.broker.whereabouts([b"user"]) == [{A: connections}]
    a.broker.present(b"user", 0)
    a.broker.present(b"another", 0)
    assert await a.broker.whereabouts([b"user", b"another"]) == [{}, {}]


async def test_presences_of_one_pass_end_as_the_last_one_says(join: Join) -> None:
    a, b = await join(A), await join(B)
    for connections in (1, 0, 2, 0, 3):
        b.broker.present(b"comes", connections)
        b.broker.present(b"goes", 3 - connections)
    b.broker.present(b"last", 1)
    await a.finds(b"last", {B: 1})
    assert await a.broker.whereabouts([b"comes", b"goes"]) == [{B: 3}, {}]


@pytest.mark.parametrize("name", NAMES)
async def test_any_bytes_are_a_user_and_no_other_one(join: Join, name: bytes) -> None:
    a, b = await join(A), await join(B)
    for one in NAMES:
        if one != name:
            b.broker.present(one, 1)
            await b.broker.claim(one, ONE, None)
    b.broker.present(b"last", 1)
    await a.finds(b"last", {B: 1})
    assert await a.broker.whereabouts([name]) == [{}]
    assert await a.broker.claim(name, TWO, None) is None
    b.broker.present(name, 5)
    await a.finds(name, {B: 5})


async def test_many_users_are_asked_for_at_once(join: Join) -> None:
    a, b = await join(A), await join(B)
    users = [b"user%d" % number for number in range(10_500)]
    for number, user in enumerate(users):
        b.broker.present(user, number % 3)
    places = [{B: number % 3} if number % 3 else {} for number in range(10_500)]

    async def are_found() -> bool:
        return await a.broker.whereabouts(users) == places

    await until(are_found)
    assert await a.broker.whereabouts([]) == []


# --- claims ---------------------------------------------------------------------------------------


async def test_the_first_who_claims_a_user_holds_it(join: Join) -> None:
    a, b = await join(A), await join(B)
    assert await a.broker.claim(b"user", ONE, None) is None
    assert await b.broker.claim(b"user", TWO, None) == Holder(A, ONE)
    assert await a.broker.claim(b"user", TWO, None) == Holder(A, ONE)
    assert await a.broker.claim(b"user", ONE, None) is None, "it is its own"
    assert await b.broker.claim(b"another", ONE, None) is None


async def test_of_many_who_claim_a_user_at_once_one_holds_it(join: Join) -> None:
    nodes = [await join(A), await join(B), await join(C)]
    answers = await asyncio.gather(
        *(
            node.broker.claim(b"user", f"{client:020x}", None)
            for client in range(30)
            for node in nodes
        )
    )
    assert answers.count(None) == 1
    assert len(set(answers)) == 2


async def test_a_claim_takes_the_place_of_who_is_named_and_of_nobody_else(join: Join) -> None:
    a, b = await join(A), await join(B)
    await a.broker.claim(b"user", ONE, None)
    for another in (Holder(A, TWO), Holder(B, ONE)):
        assert await b.broker.claim(b"user", TWO, another) == Holder(A, ONE)
    assert await b.broker.claim(b"user", TWO, Holder(A, ONE)) is None
    assert await a.broker.claim(b"user", ONE, Holder(A, ONE)) == Holder(B, TWO)


async def test_a_user_can_be_seized_from_whoever_holds_it(join: Join) -> None:
    a, b = await join(A), await join(B)
    await a.broker.seize(b"user", ONE)
    await a.broker.seize(b"user", ONE)
    await b.broker.seize(b"user", ONE)
    await b.broker.seize(b"user", TWO)
    assert await a.broker.claim(b"user", ONE, None) == Holder(B, TWO)


async def test_who_loses_a_user_is_told(join: Join) -> None:
    """Also by a client of the same node; not who has it anyway, or had it before."""
    a, b = await join(A), await join(B)
    await a.broker.seize(b"user", ONE)
    await a.broker.seize(b"user", ONE)
    await a.broker.claim(b"another", ONE, None)
    await b.broker.seize(b"user", TWO)
    await until(lambda: a.ousted == [(b"user", ONE)])
    await b.broker.seize(b"user", ONE)
    await until(lambda: b.ousted == [(b"user", TWO)])
    assert await b.broker.claim(b"another", TWO, Holder(A, ONE)) is None
    await until(lambda: len(a.ousted) == 2)
    assert a.ousted[1] == (b"another", ONE)


async def test_only_who_holds_a_user_can_release_it(join: Join) -> None:
    a, b = await join(A), await join(B)
    await a.broker.claim(b"user", ONE, None)
    a.broker.release(b"user", TWO)
    b.broker.release(b"user", ONE)
    assert await b.broker.claim(b"user", TWO, None) == Holder(A, ONE)
    assert await a.broker.claim(b"user", TWO, None) == Holder(A, ONE)
    a.broker.release(b"user", ONE)
    assert await a.broker.claim(b"user", TWO, None) is None


async def test_a_node_that_is_gone_holds_nobody(join: Join) -> None:
    a, b = await join(A), await join(B)
    await a.broker.claim(b"claimed", ONE, None)
    await a.broker.claim(b"seized", ONE, None)
    await a.broker.stop()
    assert await b.broker.claim(b"claimed", TWO, None) is None
    await b.broker.seize(b"seized", TWO)


async def test_a_release_before_the_start_is_nothing(make: Make) -> None:
    make().release(b"user", ONE)
