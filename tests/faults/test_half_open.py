"""Peers that are gone without a FIN, and a server that was stopped: the heartbeat decides."""

import asyncio
import ctypes
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from pushline.codecs import websocket
from pushline.config import Config
from pushline.connection import Connection
from pushline.heartbeat import Heartbeat
from pushline.messages import Close
from pushline.metrics import Metrics
from pushline.outbox import Outbox
from pushline.wheel import Wheel
from tests.browser import CLOSE, DEADLINE, PING, PONG, Browser
from tests.faults.back_end import BackEnd, push_line
from tests.faults.crowd import Frames, Readers, browsers
from tests.faults.unharmed import unharmed, wait_until
from tests.server import Server

PING_AFTER, PONG_WITHIN = 0.5, 1.0
"""Seconds."""
SLACK = 2.0
"""Seconds that a deadline may be off on a busy machine."""
CLOSED = 'closed_total{code="3012"}'
SO_ATTACH_FILTER = 26
"""Linux, asm-generic/socket.h."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(HEARTBEAT_PING=str(PING_AFTER), HEARTBEAT_PONG=str(PONG_WITHIN)) as server:
        yield server


def cut_off(browser: Browser) -> None:
    """From now on all that comes to this socket is lost: nothing is read, nor acknowledged.

    The server sees what it sees of a machine that was unplugged: no FIN, no RST, no ACK.
    """
    program = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: return 0
    head = struct.pack("HP", 1, ctypes.addressof(program))
    browser.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, head)


def test_half_open_connections_are_gone_after_ping_and_pong(server: Server) -> None:
    with (
        unharmed(server),
        browsers(server.websocket, 100) as dead,
        BackEnd(server.text) as back_end,
    ):
        for browser in dead:
            cut_off(browser)
        started = time.monotonic()
        wait_until(lambda: server.metrics()["connections"] == 1)
        assert time.monotonic() - started < PING_AFTER + PONG_WITHIN + SLACK
        metrics = server.metrics()
        assert metrics[CLOSED] == len(dead)
        assert metrics["users"] == 1
        assert not back_end.push(push_line([f"user{number}" for number in range(len(dead))]))
        wait_until(lambda: server.metrics()["open_sockets"] == 1)
        for browser in dead:
            _assert_it_heard_nothing(browser)


def _assert_it_heard_nothing(browser: Browser) -> None:
    """Neither the ping nor the end: it was really cut off."""
    browser.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        browser.socket.recv(1)


def test_pushes_to_a_half_open_connection_do_not_prolong_it(server: Server) -> None:
    """Only bytes from the peer are a sign of life."""
    closed = server.metrics().get(CLOSED, 0)
    with (
        unharmed(server),
        browsers(server.websocket, 1) as (dead,),
        BackEnd(server.text) as back_end,
    ):
        cut_off(dead)
        limit = PING_AFTER + PONG_WITHIN + SLACK
        wait_until(lambda: not back_end.push(push_line("user0")), limit)
        assert server.metrics()[CLOSED] == closed + 1


def test_one_that_does_not_answer_pings_is_told_so(server: Server) -> None:
    with unharmed(server), browsers(server.websocket, 1) as (mute,):
        assert mute.close_code() == 3012


def test_nobody_who_answers_pings_is_lost_when_the_server_was_stopped_for_longer(
    server: Server,
) -> None:
    """The worst moment: its pings are out, and the answers come while it is stopped."""
    pinged, stopped = threading.Event(), threading.Event()
    lost: list[Browser] = []

    def answer(browser: Browser, frames: Frames) -> None:
        for opcode, payload in frames:
            if opcode == PING:
                pinged.set()
                assert stopped.wait(DEADLINE)
                browser.send_frame(PONG, payload)
            elif opcode == CLOSE:
                lost.append(browser)

    with browsers(server.websocket, 100) as alive, Readers(alive, answer):
        assert pinged.wait(DEADLINE)
        server.signal(signal.SIGSTOP)
        stopped.set()
        time.sleep(2 * (PING_AFTER + PONG_WITHIN))  # what it is stopped for
        server.signal(signal.SIGCONT)
        with unharmed(server), browsers(server.websocket, 1) as (mute,):
            assert mute.close_code() == 3012  # the heartbeat goes on
        assert server.metrics()["connections"] == len(alive)
        assert lost == []


class _Keeper:
    """What a connection needs; notes the tick of its end."""

    def __init__(self) -> None:
        self.wheel = Wheel()
        self.outbox = Outbox(asyncio.get_running_loop(), Config().limits.queue, Metrics())
        self.close_ticks = self.wheel.ticks(Config().limits.close_timeout)
        self.ends: list[tuple[int, int]] = []

    def closed(self, connection: Connection, close: Close, *, by_peer: bool) -> None:
        self.ends.append((close.code, self.wheel.now))


@pytest.mark.parametrize("said_at", [0, 1, 99, 100, 101, 1000])
async def test_by_default_a_dead_peer_is_gone_33_seconds_and_a_tick_after_its_last_byte(
    said_at: int,
) -> None:
    """The last byte comes at tick `said_at` of the wheel."""
    keeper = _Keeper()
    wheel, beat = keeper.wheel, Config().heartbeat
    near, far = socket.socketpair()
    with far:
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, sock=near
        )
        connection = Connection(transport, keeper, websocket.encode)
        heartbeat = Heartbeat(wheel, ping=beat.ping, pong=beat.pong, timeout=beat.timeout)
        heartbeat.start(connection)
        for tick in range(said_at + wheel.ticks(33) + 1):
            if tick <= said_at:
                connection.seen = wheel.now
            wheel.advance()
        assert keeper.ends == [(3012, said_at + wheel.ticks(33))]
        assert transport.is_closing()  # aborted: it would not answer the Close
        assert wheel.items() == []
