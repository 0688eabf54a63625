"""One connection over a transport that the test holds: its sends, and each way to its end."""

import gc
import weakref
from collections.abc import Callable, Iterator

import pytest

from pushline.codecs import websocket
from pushline.connection import PING, Connection
from pushline.heartbeat import Heartbeat
from pushline.messages import ABNORMAL, NORMAL, SHUTDOWN, SLOW, Message
from pushline.outbox import FEW, FRAME_COST
from tests.core import Keeper, Loop, text, transport_of


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def keeper(loop: Loop) -> Keeper:
    return Keeper(loop, limit=1000)


@pytest.fixture
def connection(keeper: Keeper) -> Connection:
    return keeper.log_in("uid1")


CLOSED = websocket.close_frame(SHUTDOWN)


# --- sending ------------------------------------------------------------------------------------


def test_what_is_sent_in_one_pass_goes_out_in_one_write(loop: Loop, connection: Connection) -> None:
    assert connection.send(Message(b"one"))
    connection.ping()
    assert connection.send(Message(b"two", binary=True))
    assert transport_of(connection).writes == []
    loop.turn()
    assert transport_of(connection).writes == [
        text(b"one") + PING + websocket.frame(websocket.BINARY, b"two")
    ]


# --- the end ------------------------------------------------------------------------------------


def test_a_close_sends_what_waits_and_then_the_reason(
    loop: Loop, keeper: Keeper, connection: Connection
) -> None:
    connection.send(Message(b"one"))
    connection.close(SHUTDOWN)
    loop.turn()
    assert transport_of(connection).writes == [text(b"one") + CLOSED]
    assert keeper.closes == [(connection, SHUTDOWN)]


def test_it_is_out_of_the_hub_before_anything_more_can_be_sent(
    keeper: Keeper, connection: Connection
) -> None:
    connection.close(SHUTDOWN)
    assert list(keeper.hub.of_uid("uid1", "0")) == []
    assert keeper.hub.connections == {}


def test_after_a_close_nothing_is_sent(loop: Loop, connection: Connection) -> None:
    connection.close(SHUTDOWN)
    assert not connection.send(Message(b"late"))
    connection.ping()
    loop.turn()
    assert transport_of(connection).written == CLOSED


def test_only_the_first_close_counts(loop: Loop, keeper: Keeper, connection: Connection) -> None:
    connection.close(SHUTDOWN)
    connection.close(NORMAL)
    connection.lost()
    loop.turn()
    assert transport_of(connection).written == CLOSED
    assert keeper.closes == [(connection, SHUTDOWN)]


def test_a_peer_that_does_not_answer_a_close_is_ended(
    keeper: Keeper, connection: Connection
) -> None:
    connection.close(SHUTDOWN)
    keeper.advance(keeper.close_ticks - 1)
    assert not transport_of(connection).aborted
    keeper.advance(1)
    assert transport_of(connection).aborted


def test_one_that_is_lost_is_counted_as_lost_and_has_no_deadline_left(
    loop: Loop, keeper: Keeper, connection: Connection
) -> None:
    Heartbeat(keeper.wheel, ping=5, pong=5, timeout=0).start(connection)
    connection.send(Message(b"never"))
    connection.lost()
    loop.turn()
    assert keeper.closes == [(connection, ABNORMAL)]
    assert transport_of(connection).writes == []
    assert keeper.wheel.items() == []


def test_one_whose_peer_sends_nothing_more_gets_what_waits_and_its_time_to_take_it(
    loop: Loop, keeper: Keeper, connection: Connection
) -> None:
    connection.send(Message(b"one"))
    connection.ended()
    assert not connection.send(Message(b"late"))
    loop.turn()
    assert transport_of(connection).writes == [text(b"one")]
    assert keeper.closes == [(connection, ABNORMAL)]
    keeper.advance(keeper.close_ticks)
    assert transport_of(connection).aborted


def test_whoever_ended_first_is_told_apart(keeper: Keeper) -> None:
    ours, theirs, vanished, half_closed, answered = (keeper.log_in("uid1") for _ in range(5))
    ours.close(SHUTDOWN)
    theirs.close(NORMAL, by_peer=True)
    vanished.lost()
    half_closed.ended()
    answered.close(SHUTDOWN)
    answered.close(NORMAL, by_peer=True)
    for connection in (ours, theirs, half_closed, answered):
        connection.ended()
        connection.lost()
    assert len(keeper.closes) == 5
    assert keeper.left == [theirs, vanished, half_closed]


def test_a_lost_one_that_was_closing_has_no_deadline_left(
    keeper: Keeper, connection: Connection
) -> None:
    connection.close(SHUTDOWN)
    connection.lost()
    assert keeper.wheel.items() == []
    keeper.advance(keeper.close_ticks)
    assert not transport_of(connection).aborted


def test_the_queue_of_a_slow_reader_is_dropped(
    loop: Loop, keeper: Keeper, connection: Connection
) -> None:
    connection.pause()
    frame = text(b"x" * 400)
    assert 2 * (len(frame) + FRAME_COST) <= keeper.outbox.limit
    taken = [connection.send(Message(b"x" * 400)) for _ in range(4)]
    connection.resume()
    loop.turn()
    assert taken == [True, True, False, False]
    assert transport_of(connection).writes == [websocket.close_frame(SLOW)]
    assert keeper.closes == [(connection, SLOW)]
    assert keeper.outbox.overflows == 1
    assert keeper.hub.connections == {}
    keeper.advance(keeper.close_ticks)
    assert transport_of(connection).aborted


def test_of_many_one_that_overflows_is_left_out_of_the_count(
    keeper: Keeper, connection: Connection
) -> None:
    """It leaves its index while that is sent to."""
    others = [keeper.log_in("uid1") for _ in range(9)]
    connection.pause()
    transport_of(connection).buffered = keeper.outbox.limit
    assert keeper.outbox.send(keeper.hub.of_uid("uid1", "0"), Message(b"all")) == len(others)
    assert list(keeper.hub.of_uid("uid1", "0")) == others
    assert all(b"".join(other.pending) == text(b"all") for other in others)


# --- memory -------------------------------------------------------------------------------------


class Watched(Connection):
    """One of which it can be seen when it is gone."""

    __slots__ = ("__weakref__",)


def nothing(connection: Connection) -> None:
    pass


def something_to_send(connection: Connection) -> None:
    connection.ping()


def in_the_lane_of_a_fan_out(connection: Connection) -> None:
    connection.outbox.send([connection] * (FEW + 1), Message(b"all"))


def behind(connection: Connection) -> None:
    connection.ping()
    connection.pause()
    connection.ping()


def caught_up(connection: Connection) -> None:
    behind(connection)
    connection.resume()


def closed_as_slow(connection: Connection) -> None:
    connection.pause()
    transport_of(connection).buffered = connection.outbox.limit
    connection.ping()


def closed(connection: Connection) -> None:
    connection.close(SHUTDOWN)


def ended_by_its_peer(connection: Connection) -> None:
    connection.ping()
    connection.ended()


@pytest.mark.parametrize(
    "live",
    [
        *(nothing, something_to_send, in_the_lane_of_a_fan_out),
        *(behind, caught_up, closed_as_slow, closed, ended_by_its_peer),
    ],
)
def test_a_lost_connection_leaves_no_work_to_the_garbage_collector(
    loop: Loop, keeper: Keeper, live: Callable[[Connection], None]
) -> None:
    gc.disable()
    try:
        connection = keeper.log_in("uid1", kind=Watched)
        Heartbeat(keeper.wheel, ping=5, pong=5, timeout=0).start(connection)
        live(connection)
        connection.lost()
        loop.turn(2)
        keeper.closes.clear()
        keeper.left.clear()
        gone = weakref.ref(connection)
        del connection
        assert gone() is None
    finally:
        gc.enable()
