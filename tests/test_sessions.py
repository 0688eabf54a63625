"""Who may stay when a user comes again, on a wheel that the test turns; one tick is one second."""

from collections.abc import Callable, Iterator

import pytest

from pushline.connection import PING, Connection
from pushline.heartbeat import Heartbeat
from pushline.messages import LIMIT, NORMAL, REPLACED
from pushline.metrics import Metrics
from pushline.sessions import Sessions
from tests.core import Keeper, Loop, transport_of

CHALLENGE = 3


class Door:
    """Logs in new connections by one policy."""

    def __init__(self, keeper: Keeper, policy: str) -> None:
        self.keeper = keeper
        self.metrics = Metrics()
        self._sessions = Sessions(
            keeper.hub,
            keeper.wheel,
            Heartbeat(keeper.wheel, ping=25, pong=8, timeout=0),
            self.metrics,
            policy=policy,
            challenge=CHALLENGE,
        )

    def log_in(self, uid: str = "uid1", utype: str = "0") -> Connection:
        connection = self.keeper.connect()
        self._sessions.login(connection, uid, utype)
        return connection

    @property
    def challengers(self) -> set[Connection]:
        return self._sessions.challengers

    def inside(self, uid: str = "uid1", utype: str = "0") -> list[Connection]:
        return list(self.keeper.hub.of_uid(uid, utype))


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    loop = Loop()
    yield Keeper(loop)
    loop.close()


def speak(connection: Connection) -> None:
    """As when a byte came from it."""
    connection.seen = connection.keeper.wheel.now


def pinged(connection: Connection) -> bool:
    return PING in transport_of(connection).written + b"".join(connection.pending)


# --- every policy -------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["all", "newest", "first"])
def test_the_first_of_a_user_is_in_at_once_watched_and_counted(keeper: Keeper, policy: str) -> None:
    door = Door(keeper, policy)
    connection = door.log_in("uid1", "7")
    assert door.inside("uid1", "7") == [connection]
    assert (connection.uid, connection.utype) == ("uid1", "7")
    assert keeper.hub.connections == {connection.id: connection}
    assert keeper.wheel.items() == [connection]
    assert door.metrics.logins == 1


@pytest.mark.parametrize("policy", ["newest", "first"])
def test_other_users_are_none_of_its_business(keeper: Keeper, policy: str) -> None:
    door = Door(keeper, policy)
    others = [door.log_in("uid1"), door.log_in("uid2"), door.log_in("uid1", "1")]
    assert [each.sealed for each in others] == [False] * 3
    assert (door.metrics.logins, keeper.closes) == (3, [])


# --- all and newest -----------------------------------------------------------------------------


def test_all_stay(keeper: Keeper) -> None:
    door = Door(keeper, "all")
    connections = [door.log_in() for _ in range(20)]
    assert door.inside() == connections
    assert keeper.closes == []


def test_newest_closes_the_older_before_the_newer_is_in(keeper: Keeper) -> None:
    door = Door(keeper, "newest")
    first = door.log_in()
    second = door.log_in()
    assert (door.inside(), keeper.closes) == ([second], [(first, REPLACED)])
    third = door.log_in()
    assert (door.inside(), keeper.closes[1:]) == ([third], [(second, REPLACED)])


def test_the_end_of_a_replaced_one_does_not_touch_the_newer(keeper: Keeper) -> None:
    door = Door(keeper, "newest")
    older, newer = door.log_in(), door.log_in()
    older.lost()
    assert door.inside() == [newer]


# --- first --------------------------------------------------------------------------------------


@pytest.fixture
def door(keeper: Keeper) -> Door:
    return Door(keeper, "first")


def test_the_older_is_pinged_and_the_newer_waits_outside(keeper: Keeper, door: Door) -> None:
    older, newer = door.log_in(), door.log_in()
    keeper.advance(CHALLENGE - 1)
    assert pinged(older)
    assert door.inside() == [older]
    assert (newer.uid, newer.id) == (None, 0)
    assert keeper.closes == []


@pytest.mark.parametrize("after", range(CHALLENGE))
def test_an_older_that_answers_in_time_stays_and_the_newer_is_refused(
    keeper: Keeper, door: Door, after: int
) -> None:
    older, newer = door.log_in(), door.log_in()
    keeper.advance(after)
    speak(older)
    keeper.advance(1)
    assert (door.inside(), keeper.closes) == ([older], [(newer, LIMIT)])
    assert door.metrics.logins == 1


def test_an_older_whose_answer_is_not_read_stays(keeper: Keeper, door: Door) -> None:
    older = door.log_in()
    older.pause_reading()
    newer = door.log_in()
    keeper.advance(1)
    assert (door.inside(), keeper.closes) == ([older], [(newer, LIMIT)])


def test_what_it_said_just_before_is_no_answer(keeper: Keeper, door: Door) -> None:
    """It may have died since, in that same tick."""
    older = door.log_in()
    speak(older)
    newer = door.log_in()
    keeper.advance(CHALLENGE)
    assert (door.inside(), keeper.closes) == ([newer], [(older, REPLACED)])


def test_one_that_gives_no_answer_is_replaced_when_its_time_is_over(
    keeper: Keeper, door: Door
) -> None:
    older, newer = door.log_in(), door.log_in()
    keeper.advance(CHALLENGE - 1)
    assert door.inside() == [older]
    keeper.advance(1)
    assert (door.inside(), keeper.closes) == ([newer], [(older, REPLACED)])
    assert door.metrics.logins == 2


def test_the_newer_is_in_as_soon_as_the_older_has_gone(keeper: Keeper, door: Door) -> None:
    older, newer = door.log_in(), door.log_in()
    older.lost()
    keeper.advance(1)
    assert door.inside() == [newer]


def test_an_older_whose_last_bytes_were_its_goodbye_has_not_answered(
    keeper: Keeper, door: Door
) -> None:
    older, newer = door.log_in(), door.log_in()
    speak(older)
    older.close(NORMAL, by_peer=True)
    keeper.advance(1)
    assert (door.inside(), keeper.closes) == ([newer], [(older, NORMAL)])


@pytest.mark.parametrize("leaving", [Connection.lost, lambda newer: newer.close(NORMAL)])
def test_a_newer_that_leaves_replaces_nobody(
    keeper: Keeper, door: Door, leaving: Callable[[Connection], None]
) -> None:
    older, newer = door.log_in(), door.log_in()
    leaving(newer)
    keeper.advance(CHALLENGE)
    assert door.inside() == [older]
    assert not older.sealed


def test_of_two_that_wait_one_is_let_in_and_is_then_the_older(keeper: Keeper, door: Door) -> None:
    older, second, third = (door.log_in() for _ in range(3))
    keeper.advance(CHALLENGE)
    (inside,) = door.inside()
    assert inside in (second, third)
    assert pinged(inside)
    assert keeper.closes == [(older, REPLACED)]
    speak(inside)
    keeper.advance(1)
    refused = third if inside is second else second
    assert keeper.closes[1:] == [(refused, LIMIT)]
    assert door.inside() == [inside]


def test_whoever_waits_is_known_to_wait(keeper: Keeper, door: Door) -> None:
    """So that another login of it is not taken, and a shutdown tells it too."""
    older, second, third = (door.log_in() for _ in range(3))
    assert door.challengers == {second, third}
    third.lost()
    keeper.advance(1)
    assert door.challengers == {second}
    speak(older)
    keeper.advance(1)
    assert door.challengers == set()


def test_the_challenged_are_watched_as_before(keeper: Keeper, door: Door) -> None:
    """The ping of a challenge takes nothing from the time that an older one has."""
    older, newer = door.log_in(), door.log_in()
    speak(older)
    keeper.advance(24)
    assert [connection for connection, _ in keeper.closes] == [newer]
    speak(older)
    keeper.advance(24)
    assert door.inside() == [older]


def test_a_decided_challenge_leaves_nothing_behind(keeper: Keeper, door: Door) -> None:
    connections = [door.log_in() for _ in range(5)]
    keeper.advance(100)
    for connection in connections:
        connection.lost()
    keeper.advance(1)
    assert keeper.wheel.items() == []
    assert keeper.hub.connections == {}
    assert door.challengers == set()
