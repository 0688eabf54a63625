"""Peers that do not read what is sent to them: bounded, closed alone, noticed by nobody."""

import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.browser import CLOSE, DEADLINE, PING, PONG, TEXT, Browser, connect, encoded
from tests.faults.back_end import BackEnd, push_line
from tests.faults.crowd import Frames, Readers, browsers
from tests.faults.unharmed import MEMORY, unharmed, wait_until
from tests.server import Server

READERS = 1000
BROADCAST = 4096
"""Bytes of one broadcast."""
QUEUE = 128 << 10
BATCH = 256 << 10
"""Bytes of pushes between two looks at the server's memory."""
KERNEL = 64 << 10
"""Bytes that both ends' kernels may hold of what a stopped reader was sent, and some more."""
STOPPED_KERNEL = 4096
EACH = 1_200_000
"""Bytes of memory that one stopped reader may take at the default limits."""


@pytest.fixture(scope="module")
def small_server() -> Iterator[Server]:
    """A queue that is soon full."""
    with Server(
        LIMITS_QUEUE=str(QUEUE), TEXT_MAX_LINE=str(BROADCAST * 2), LIMITS_SOCKET_BUFFER="16 KiB"
    ) as server:
        yield server


class Broadcaster:
    """Sends numbered broadcasts, each when all readers have the one before; notes the delays.

    `p99` is, for each broadcast, after how many seconds 99 of 100 readers had it.
    """

    def __init__(self, back_end: BackEnd, readers: int) -> None:
        self.p99: list[float] = []
        self.sent: list[bytes] = []
        self._back_end = back_end
        self._readers = readers
        self._started = 0.0
        self._delays: list[float] = []
        self._arrived = threading.Condition()

    def note(self, _browser: Browser, frames: Frames) -> None:
        now = time.monotonic()
        with self._arrived:
            for opcode, payload in frames:
                assert (opcode, payload) == (TEXT, self.sent[-1])
                self._delays.append(now - self._started)
            self._arrived.notify()

    def send(self) -> None:
        line = push_line("", number=len(self.sent)).ljust(BROADCAST)
        self.sent.append(line)
        self._delays.clear()
        self._started = time.monotonic()
        assert self._back_end.push(line)
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self._delays) == self._readers, DEADLINE)
        self.p99.append(statistics.quantiles(self._delays, n=100)[98])


def test_one_that_stops_reading_is_closed_at_its_limit_and_no_other_notices(
    small_server: Server,
) -> None:
    server = small_server
    with (
        unharmed(server),
        browsers(server.websocket, 1, uid="stopped", receive_buffer=STOPPED_KERNEL) as (stopped,),
        browsers(server.websocket, READERS - 1) as reading,
        BackEnd(server.text) as back_end,
    ):
        broadcaster = Broadcaster(back_end, len(reading))
        with Readers(reading, broadcaster.note):
            for _ in range(40):
                broadcaster.send()
                assert stopped.message() == broadcaster.sent[-1]
            first = len(broadcaster.sent)
            while 'closed_total{code="3008"}' not in server.metrics():
                broadcaster.send()
                assert len(broadcaster.sent) < 1000
            taken = (len(broadcaster.sent) - first) * BROADCAST
            assert QUEUE < taken < QUEUE + 2 * KERNEL
            before = statistics.median(broadcaster.p99[:first])
            assert statistics.median(broadcaster.p99[first:]) < 2 * before + 0.02
            _assert_it_had_the_first(broadcaster.sent[first:], stopped)
            broadcaster.send()
        metrics = server.metrics()
        assert metrics['closed_total{code="3008"}'] == 1
        assert metrics["connections"] == 1 + len(reading)


def _assert_it_had_the_first(sent: Sequence[bytes], stopped: Browser) -> None:
    """In their order and whole, and then the reason of its end; its queue is dropped."""
    for line in sent:
        opcode, payload = stopped.receive()
        if opcode == CLOSE:
            assert int.from_bytes(payload[:2]) == 3008
            return
        assert (opcode, payload) == (TEXT, line)
    raise AssertionError("nothing was dropped")


@pytest.fixture
def server() -> Iterator[Server]:
    """The default limits, but for the kernel's buffers, which only take time to fill."""
    with Server(LIMITS_SOCKET_BUFFER="4 KiB", LIMITS_CLOSE_TIMEOUT="0.5") as server:
        yield server


@pytest.mark.parametrize(
    ("count", "size"),
    [
        pytest.param(100, 16 << 10, id="long pushes"),
        pytest.param(10, 500, id="short pushes"),
    ],
)
def test_stopped_readers_take_little_memory_and_leave_all_of_it(
    server: Server, count: int, size: int
) -> None:
    """The second time takes no more than the first: the allocator keeps it, but nobody uses it."""
    lines = [push_line(f"user{number}").ljust(size) for number in range(count)]
    memory = MEMORY + count * EACH
    most = server.resident() + memory
    with unharmed(server, memory=memory):
        for _ in range(2):
            _flood(server, lines, count, most)


def test_a_broadcast_is_kept_once_for_all_stopped_readers(server: Server) -> None:
    """What was written before one is seen to be behind is its own; what is held is shared."""
    count = 100
    memory = MEMORY + count * EACH // 3
    most = server.resident() + memory
    with unharmed(server, memory=memory):
        _flood(server, [push_line("").ljust(16 << 10)], count, most)


def _flood(server: Server, lines: Sequence[bytes], count: int, most: int) -> None:
    """Push until all `count` readers that have stopped are closed; `most` is the memory allowed."""
    batch = list(lines) * max(1, BATCH // sum(map(len, lines)))
    with (
        browsers(server.websocket, count, receive_buffer=STOPPED_KERNEL),
        BackEnd(server.text) as back_end,
    ):
        while server.metrics()["connections"] > 1:
            back_end.send(b"".join(line + b"\n" for line in batch))
            for _ in batch:
                back_end.answer()
            assert server.resident() < most
        assert server.metrics()['closed_total{code="3008"}'] % count == 0


def test_a_ping_flood_whose_pongs_are_not_read_is_bounded_and_closed(server: Server) -> None:
    """Short pongs, of which each takes more memory than it has bytes."""
    flood = encoded(PING, b"!") * 1000
    closed = server.metrics().get('closed_total{code="3008"}', 0)
    with (
        unharmed(server),
        browsers(server.websocket, 10, receive_buffer=STOPPED_KERNEL) as flooding,
    ):
        most = server.resident() + len(flooding) * EACH + MEMORY
        while server.metrics()["connections"] > 1:
            for browser in flooding:
                browser.send_raw(flood)
            assert server.resident() < most
        assert server.metrics()['closed_total{code="3008"}'] == closed + len(flooding)
        wait_until(lambda: server.metrics()["open_sockets"] == 1)


def test_a_ping_flood_that_is_read_is_answered(server: Server) -> None:
    with unharmed(server), browsers(server.websocket, 1) as (browser,):
        for _ in range(100):
            browser.send_raw(encoded(PING, b"!") * 100)
            assert [browser.receive() for _ in range(100)] == [(PONG, b"!")] * 100


@pytest.mark.parametrize(("size", "count"), [(1_040_000, 10), (300_000, 40), (100_000, 100)])
def test_a_reader_that_keeps_up_is_not_closed_by_bursts_of_long_lines(
    size: int, count: int
) -> None:
    """A back end that writes faster than anyone can read has to wait for it."""
    line = b'{"uid":"reader","data":"%b"}' % (b"x" * size)
    expected = count * (10 + len(line))  # each with the head of a long frame
    with (
        Server() as server,
        connect(server.websocket).login("reader") as reader,
        BackEnd(server.text) as back_end,
    ):
        reader.settle()
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(back_end.send, (line + b"\n") * count)
            while expected > 0:
                received = len(reader.socket.recv(1 << 20))
                assert received, "closed"
                expected -= received
            sending.result()
        assert all(back_end.answer() for _ in range(count))
