"""Silence, pings and the end, on a wheel that the test turns; one tick is one second."""

import socket
from collections.abc import Iterator

import pytest

from pushline.connection import PING, Connection
from pushline.heartbeat import Heartbeat
from pushline.messages import NO_PONG, NORMAL, Message
from tests.core import Keeper, Loop, transport_of

SILENCE, PONG, TIMEOUT = 25, 8, 80


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    loop = Loop()
    yield Keeper(loop)
    loop.close()


@pytest.fixture
def heartbeat(keeper: Keeper) -> Heartbeat:
    return Heartbeat(keeper.wheel, ping=SILENCE, pong=PONG, timeout=TIMEOUT)


@pytest.fixture
def watched(keeper: Keeper, heartbeat: Heartbeat) -> Connection:
    connection = keeper.log_in("uid1")
    heartbeat.start(connection)
    return connection


@pytest.fixture
def far(watched: Connection) -> Iterator[socket.socket]:
    """The other end of its socket, to which ten times ten bytes are on their way."""
    near, far = socket.socketpair()
    with near, far:
        transport_of(watched).plug = near
        for _ in range(10):
            near.sendall(bytes(10))
        yield far


def pings(connection: Connection) -> int:
    """How many were sent to it, or wait to be."""
    return (transport_of(connection).written + b"".join(connection.pending)).count(PING)


def speak(connection: Connection) -> None:
    """As when a byte came from it."""
    connection.seen = connection.keeper.wheel.now


def test_who_rests_is_pinged_and_not_closed(
    keeper: Keeper, heartbeat: Heartbeat, watched: Connection
) -> None:
    heartbeat.rest(watched)
    keeper.advance(3 * SILENCE)
    assert pings(watched) == 3
    assert keeper.closes == []
    heartbeat.start(watched)
    keeper.advance(SILENCE + PONG)
    assert keeper.closes == [(watched, NO_PONG)]


def test_who_rests_and_is_not_pinged_is_left_alone(keeper: Keeper) -> None:
    heartbeat = Heartbeat(keeper.wheel, ping=0, pong=PONG, timeout=TIMEOUT)
    connection = keeper.log_in("uid1")
    heartbeat.start(connection)
    heartbeat.rest(connection)
    keeper.advance(3 * TIMEOUT)
    assert (pings(connection), keeper.closes, keeper.wheel.items()) == (0, [], [])


def test_the_silent_is_pinged_then_closed_then_gone(keeper: Keeper, watched: Connection) -> None:
    """A dead peer is gone after `heartbeat.ping` + `heartbeat.pong` and a tick."""
    keeper.advance(SILENCE - 1)
    assert pings(watched) == 0
    keeper.advance(1)
    assert pings(watched) == 1
    keeper.advance(PONG - 1)
    assert keeper.closes == []
    keeper.advance(1)
    assert keeper.closes == [(watched, NO_PONG)]
    assert not transport_of(watched).aborted
    keeper.advance(1)
    assert transport_of(watched).aborted
    assert pings(watched) == 1
    assert keeper.wheel.items() == []


def test_the_shortest_times_are_one_tick(keeper: Keeper) -> None:
    silent, answering = keeper.log_in("uid1"), keeper.log_in("uid2")
    heartbeat = Heartbeat(keeper.wheel, ping=1, pong=1, timeout=0)
    for connection in (silent, answering):
        heartbeat.start(connection)
    for _ in range(2):
        assert keeper.closes == []
        keeper.advance(1)
        speak(answering)
    assert keeper.closes == [(silent, NO_PONG)]
    for _ in range(5):
        keeper.advance(1)
        speak(answering)
    assert keeper.closes == [(silent, NO_PONG)]


def test_who_speaks_is_not_pinged(keeper: Keeper, watched: Connection) -> None:
    for _ in range(20):
        keeper.advance(SILENCE - 1)
        speak(watched)
    assert pings(watched) == 0


@pytest.mark.parametrize("after", [1, 10, SILENCE - 1])
def test_the_ping_comes_when_the_silence_was_long_enough(
    keeper: Keeper, watched: Connection, after: int
) -> None:
    keeper.advance(after)
    speak(watched)
    keeper.advance(SILENCE - 1)
    assert pings(watched) == 0
    keeper.advance(1)
    assert pings(watched) == 1


@pytest.mark.parametrize("after", range(PONG))
def test_an_answer_in_time_keeps_it_and_the_next_ping_follows_by_the_same_rule(
    keeper: Keeper, watched: Connection, after: int
) -> None:
    keeper.advance(SILENCE + after)
    speak(watched)
    keeper.advance(SILENCE - 1)
    assert (pings(watched), keeper.closes) == (1, [])
    keeper.advance(1)
    assert pings(watched) == 2
    keeper.advance(PONG)
    assert keeper.closes == [(watched, NO_PONG)]


def test_a_page_that_only_answers_pings_stays_for_days(keeper: Keeper, watched: Connection) -> None:
    answers = 3 * 24 * 3600 // SILENCE
    for _ in range(answers):
        keeper.advance(SILENCE + PONG - 1)
        speak(watched)
    assert (pings(watched), keeper.closes) == (answers, [])


def test_without_pings_silence_of_the_timeout_closes(keeper: Keeper) -> None:
    silent, beating = keeper.log_in("uid1"), keeper.log_in("uid2")
    heartbeat = Heartbeat(keeper.wheel, ping=0, pong=PONG, timeout=TIMEOUT)
    heartbeat.start(silent)
    heartbeat.start(beating)
    keeper.advance(TIMEOUT - 1)
    speak(beating)
    assert keeper.closes == []
    keeper.advance(1)
    assert keeper.closes == [(silent, NO_PONG)]
    keeper.advance(TIMEOUT - 2)
    assert len(keeper.closes) == 1
    keeper.advance(1)
    assert keeper.closes[1:] == [(beating, NO_PONG)]
    assert pings(silent) == pings(beating) == 0


def test_with_pings_the_timeout_says_nothing(keeper: Keeper) -> None:
    connection = keeper.log_in("uid1")
    Heartbeat(keeper.wheel, ping=SILENCE, pong=PONG, timeout=1).start(connection)
    keeper.advance(SILENCE)
    assert keeper.closes == []


def test_with_neither_nobody_is_watched(keeper: Keeper) -> None:
    connection = keeper.log_in("uid1")
    Heartbeat(keeper.wheel, ping=0, pong=PONG, timeout=0).start(connection)
    assert keeper.wheel.items() == []
    keeper.advance(1000)
    assert (pings(connection), keeper.closes) == (0, [])


def test_who_takes_what_stands_before_the_ping_has_the_time_for_it(
    keeper: Keeper, watched: Connection, far: socket.socket
) -> None:
    """However long that takes."""
    keeper.advance(SILENCE + PONG - 1)
    for _ in range(10):
        far.recv(10)
        keeper.advance(PONG)
    assert (pings(watched), keeper.closes) == (1, [])
    speak(watched)
    keeper.advance(SILENCE - 1)
    assert (pings(watched), keeper.closes) == (1, [])
    keeper.advance(1)
    assert pings(watched) == 2


def test_who_has_taken_all_has_to_answer(
    keeper: Keeper, watched: Connection, far: socket.socket
) -> None:
    keeper.advance(SILENCE + PONG - 1)
    far.recv(100)
    keeper.advance(PONG)
    assert keeper.closes == []
    keeper.advance(1)
    assert keeper.closes == [(watched, NO_PONG)]


def test_who_takes_nothing_more_is_closed_whatever_is_sent_to_it(
    keeper: Keeper, watched: Connection, far: socket.socket
) -> None:
    keeper.advance(SILENCE + PONG - 1)
    assert keeper.closes == []
    watched.send(Message(b"more"))
    keeper.advance(1)
    assert keeper.closes == [(watched, NO_PONG)]


def test_what_the_transport_and_the_queue_hold_counts_as_well(
    keeper: Keeper, watched: Connection, far: socket.socket
) -> None:
    """What only goes from one to another was not taken."""
    transport = transport_of(watched)
    transport.buffered = 5000
    watched.pause()
    watched.pending.append(bytes(5000))
    keeper.advance(SILENCE + PONG - 1)
    watched.pending.remove(bytes(5000))
    transport.buffered = 10_000
    keeper.advance(1)
    assert keeper.closes == [(watched, NO_PONG)]


@pytest.mark.parametrize("when", [1, SILENCE, SILENCE + 1])
def test_who_has_been_closed_is_watched_no_more(
    keeper: Keeper, watched: Connection, when: int
) -> None:
    keeper.advance(when)
    before = pings(watched)
    watched.close(NORMAL)
    watched.lost()
    assert keeper.wheel.items() == []
    keeper.advance(SILENCE + PONG)
    assert (pings(watched), keeper.closes) == (before, [(watched, NORMAL)])


def test_it_costs_one_deadline_a_connection_and_no_closure(
    keeper: Keeper, heartbeat: Heartbeat
) -> None:
    """What is called when it is due is one object for all, instead of 64 bytes for each."""
    connections = [keeper.log_in(f"uid{number}") for number in range(10)]
    for connection in connections:
        heartbeat.start(connection)
    assert len(keeper.wheel.items()) == len(connections)
    assert len({id(connection.due) for connection in connections}) == 1
