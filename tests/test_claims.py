"""Who may stay when a user comes again, at whichever node: on a Bus, on wheels that a test turns.

One tick is one second.
"""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from pushline.brokers.base import Holder
from pushline.brokers.memory import Bus, MemoryBroker
from pushline.cluster.claims import ClaimedSessions
from pushline.cluster.cluster import Cluster
from pushline.codecs.cluster_wire import user_of
from pushline.connection import PING, Connection
from pushline.heartbeat import Heartbeat
from pushline.messages import LIMIT, NORMAL, REPLACED, UNDECIDED, Close
from pushline.metrics import Metrics
from pushline.node import Node
from tests.core import Keeper, transport_of
from tests.members import member, settle

A, B, C = "0000000000aa", "0000000000bb", "0000000000cc"
SOON = 0.05
CHALLENGE = 3
USER = user_of("u", "0")


class Lobby(Keeper):
    """Tells the sessions of who has gone, as a client protocol does."""

    sessions: ClaimedSessions

    def closed(self, connection: Connection, close: Close, *, by_peer: bool) -> None:
        super().closed(connection, close, by_peer=by_peer)
        self.sessions.left(connection)


class Broker(MemoryBroker):
    """One whose answers to claims come when they `may`."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus)
        self.may = asyncio.Event()
        self.may.set()

    async def claim(self, user: bytes, client: str, instead_of: Holder | None) -> Holder | None:
        holder = await super().claim(user, client, instead_of)
        await self.may.wait()
        return holder

    async def seize(self, user: bytes, client: str) -> None:
        await super().seize(user, client)
        await self.may.wait()


class Door:
    """Logs in new connections at one node, by one policy."""

    def __init__(self, bus: Bus, name: str, policy: str) -> None:
        self.keeper = Lobby(asyncio.get_running_loop())
        self.metrics = Metrics()
        self.broker = Broker(bus)
        self.node = Node(self.keeper.hub, self.keeper.outbox, int(name, 16))
        self.cluster = Cluster(self.node, self.broker, SOON)
        self.sessions = self.keeper.sessions = ClaimedSessions(
            self.node,
            self.cluster,
            self.broker,
            self.keeper.wheel,
            Heartbeat(self.keeper.wheel, ping=25, pong=8, timeout=0),
            self.metrics,
            policy=policy,
            challenge=CHALLENGE,
        )

    def begin(self, uid: str = "u", utype: str = "0") -> Connection:
        """A login; it is decided a little later."""
        connection = self.keeper.connect()
        self.sessions.login(connection, uid, utype)
        return connection

    async def log_in(self, uid: str = "u", utype: str = "0") -> Connection:
        connection = self.begin(uid, utype)
        await settle()
        return connection

    async def pass_by(self, seconds: int) -> None:
        """Time goes by."""
        for _ in range(seconds):
            self.keeper.advance(1)
            await settle()

    def speak(self, connection: Connection) -> None:
        """As when a byte came from it."""
        connection.seen = self.keeper.wheel.now

    @property
    def inside(self) -> list[Connection]:
        return list(self.keeper.hub.of_uid("u", "0"))

    @property
    def closes(self) -> list[tuple[Connection, Close]]:
        return self.keeper.closes


async def doors(policy: str) -> tuple[Bus, Door, Door]:
    """Two nodes of one cluster."""
    bus = Bus()
    one, two = Door(bus, A, policy), Door(bus, B, policy)
    await one.cluster.start()
    await two.cluster.start()
    return bus, one, two


@pytest.fixture(autouse=True)
def nothing_is_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    gc.collect()
    assert "never retrieved" not in caplog.text


def pinged(connection: Connection) -> bool:
    return PING in transport_of(connection).written + b"".join(connection.pending)


def idle(*several: Door) -> bool:
    """Nobody waits for anything."""
    return not any(
        each.sessions.challengers or each.sessions._deciding or each.sessions._tasks
        for each in several
    )


# --- every policy ---------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["newest", "first"])
async def test_the_first_of_a_user_is_in_watched_and_counted(policy: str) -> None:
    bus, one, two = await doors(policy)
    connection = await one.log_in()
    assert one.inside == [connection]
    assert (connection.uid, connection.utype) == ("u", "0")
    assert connection in one.keeper.wheel.items()
    assert one.metrics.logins == 1
    assert bus.holder(USER) == Holder(A, one.node.client_id(connection))
    assert idle(one, two)


@pytest.mark.parametrize("policy", ["newest", "first"])
async def test_other_users_are_none_of_its_business(policy: str) -> None:
    _, one, two = await doors(policy)
    await one.log_in("u")
    await two.log_in("v")
    await two.log_in("u", "1")
    assert one.closes == two.closes == []


@pytest.mark.parametrize("policy", ["newest", "first"])
async def test_who_has_left_is_nobody_s_older(policy: str) -> None:
    bus, one, two = await doors(policy)
    older = await one.log_in()
    older.lost()
    assert bus.holder(USER) is None
    newer = await two.log_in()
    assert two.inside == [newer]
    assert two.closes == []


@pytest.mark.parametrize("policy", ["newest", "first"])
async def test_a_login_that_cannot_be_decided_is_asked_to_come_again(policy: str) -> None:
    """Who is in stays in."""
    _, one, _ = await doors(policy)
    inside = await one.log_in()
    await one.broker.stop()
    newer = await one.log_in()
    assert one.closes == [(newer, UNDECIDED)]
    assert one.inside == [inside]
    assert UNDECIDED.code < 3500, "it may reconnect"
    assert idle(one)


@pytest.mark.parametrize("policy", ["newest", "first"])
async def test_who_leaves_while_it_is_decided_has_nothing(policy: str) -> None:
    bus, one, two = await doors(policy)
    newer = one.begin()
    assert one.sessions.challengers == {newer}
    newer.close(NORMAL, by_peer=True)
    await settle()
    assert bus.holder(USER) is None
    assert one.keeper.hub.connections == {}
    assert idle(one, two)


@pytest.mark.parametrize("policy", ["newest", "first"])
async def test_whoever_waits_is_known_to_wait_and_has_an_id(policy: str) -> None:
    """So that another login of it is not taken, and a shutdown and other nodes can reach it."""
    _, one, _ = await doors(policy)
    newer = one.begin()
    assert one.sessions.challengers == {newer}
    assert newer.id != 0
    await settle()
    assert idle(one)


# --- newest ---------------------------------------------------------------------------------------


async def test_newest_closes_the_older_wherever_it_is() -> None:
    bus, one, two = await doors("newest")
    first = await one.log_in()
    second = await two.log_in()
    assert (one.inside, one.closes) == ([], [(first, REPLACED)])
    assert two.inside == [second]
    third = await two.log_in()
    assert (two.inside, two.closes) == ([third], [(second, REPLACED)])
    assert bus.holder(USER) == Holder(B, two.node.client_id(third))
    assert idle(one, two)


async def test_the_end_of_a_replaced_one_does_not_touch_the_newer() -> None:
    bus, one, two = await doors("newest")
    older = await one.log_in()
    newer = two.begin()
    older.lost()
    await settle()
    older.lost()
    assert bus.holder(USER) == Holder(B, two.node.client_id(newer))


async def test_of_many_newest_at_once_the_last_one_to_claim_stays() -> None:
    bus, one, two = await doors("newest")
    connections = [door.begin() for _ in range(10) for door in (one, two)]
    await settle()
    await settle()
    (inside,) = one.inside + two.inside
    assert not inside.sealed
    assert [each.sealed for each in connections].count(False) == 1
    assert bus.holder(USER) == Holder(B, two.node.client_id(inside))
    assert idle(one, two)


async def test_one_that_is_replaced_before_it_knows_that_it_may_come_in_stays_out() -> None:
    bus, one, two = await doors("newest")
    one.broker.may.clear()
    older = await one.log_in()
    newer = await two.log_in()
    assert one.closes == [(older, REPLACED)]
    one.broker.may.set()
    await settle()
    assert (one.inside, two.inside) == ([], [newer])
    assert bus.holder(USER) == Holder(B, two.node.client_id(newer))


async def test_who_has_another_uid_by_now_is_not_replaced() -> None:
    _, one, two = await doors("newest")
    renamed = await one.log_in()
    one.keeper.hub.bind(renamed, "another", "0")
    newer = await two.log_in()
    assert not renamed.sealed
    assert two.inside == [newer]


# --- first ----------------------------------------------------------------------------------------


async def test_first_asks_the_older_for_a_sign_of_life_wherever_it_is() -> None:
    _, one, two = await doors("first")
    older, newer = await one.log_in(), await two.log_in()
    assert pinged(older)
    await one.pass_by(1)
    one.speak(older)
    await one.pass_by(1)
    assert (one.inside, two.closes) == ([older], [(newer, LIMIT)])
    assert two.metrics.logins == 0
    assert idle(one, two)


async def test_an_older_that_gives_none_is_replaced() -> None:
    bus, one, two = await doors("first")
    older, newer = await one.log_in(), await two.log_in()
    await one.pass_by(CHALLENGE - 1)
    assert (one.inside, two.inside) == ([older], [])
    await one.pass_by(1)
    assert (two.inside, one.closes) == ([newer], [(older, REPLACED)])
    assert bus.holder(USER) == Holder(B, two.node.client_id(newer))
    await settle()
    assert idle(one, two)


async def test_the_older_may_be_here_as_well() -> None:
    _, one, _ = await doors("first")
    older, newer = await one.log_in(), await one.log_in()
    assert pinged(older)
    await one.pass_by(CHALLENGE)
    assert (one.inside, one.closes) == ([newer], [(older, REPLACED)])


async def test_the_newer_is_in_as_soon_as_the_older_has_gone() -> None:
    _, one, two = await doors("first")
    older, newer = await one.log_in(), await two.log_in()
    older.lost()
    await one.pass_by(1)
    assert two.inside == [newer]
    assert two.closes == []


async def test_of_many_first_at_once_one_is_let_in() -> None:
    """Who is let in has only just come: nobody has to wait for a sign of its life."""
    _, one, two = await doors("first")
    connections = [door.begin() for _ in range(10) for door in (one, two)]
    for _ in range(3):
        await settle()
    (inside,) = one.inside + two.inside
    for door in (one, two):
        door.speak(inside)
        await door.pass_by(1)
        door.speak(inside)
        await door.pass_by(1)
    assert one.inside + two.inside == [inside]
    assert [each.sealed for each in connections].count(False) == 1
    assert {close for door in (one, two) for _, close in door.closes} == {LIMIT}
    assert idle(one, two)


async def test_one_that_is_just_being_let_in_lives() -> None:
    _, one, two = await doors("first")
    one.broker.may.clear()
    older = await one.log_in()
    refused = await two.log_in()
    assert two.closes == [(refused, LIMIT)]
    older.close(NORMAL, by_peer=True)
    newer = await two.log_in()
    assert two.inside == [newer]
    one.broker.may.set()
    await settle()
    assert (one.inside, two.inside) == ([], [newer])


async def test_an_older_on_a_node_that_is_gone_is_none() -> None:
    bus, one, _ = await doors("first")
    gone = await member(bus, C)
    await gone.broker.claim(USER, C + "0" * 8, None)
    await gone.broker.stop()
    newer = await one.log_in()
    assert one.inside == [newer]


async def test_an_older_on_a_node_that_does_not_answer_has_the_newer_come_again() -> None:
    """Until its lease is over: then it is gone."""
    bus, one, _ = await doors("first")
    silent = await member(bus, C)
    await silent.broker.claim(USER, C + "0" * 8, None)
    one.sessions._seconds = 0.0
    newer = one.begin()
    while not newer.sealed:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(SOON / 5)
    assert one.closes == [(newer, UNDECIDED)]
    await silent.broker.stop()
    newer = await one.log_in()
    assert one.inside == [newer]


async def test_who_has_another_uid_by_now_keeps_nobody_out() -> None:
    _, one, two = await doors("first")
    renamed = await one.log_in()
    one.keeper.hub.bind(renamed, "another", "0")
    newer = await two.log_in()
    assert two.inside == [newer]
    assert not renamed.sealed


async def test_a_newer_that_leaves_replaces_nobody() -> None:
    bus, one, two = await doors("first")
    older, newer = await one.log_in(), await two.log_in()
    newer.lost()
    await one.pass_by(CHALLENGE)
    assert (one.inside, two.inside) == ([older], [])
    assert bus.holder(USER) == Holder(A, one.node.client_id(older))
    assert idle(one, two)


# --- what the broker says -------------------------------------------------------------------------


async def test_only_who_has_the_user_that_was_lost_is_closed() -> None:
    _, one, _ = await doors("newest")
    tab, other = await one.log_in("u"), await one.log_in("v")
    client = one.node.client_id(tab)
    one.broker.ousted(user_of("v", "0"), client)
    one.broker.ousted(USER, A + "0" * 8)
    one.broker.ousted(USER, C + "0" * 8)
    assert one.closes == []
    one.broker.ousted(USER, client)
    one.broker.ousted(USER, client)
    assert one.closes == [(tab, REPLACED)]
    assert one.inside == []
    assert not other.sealed
