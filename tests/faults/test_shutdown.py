"""SIGTERM, Ctrl-C, and once more of them: polite, complete, in time, and quiet."""

import contextlib
import re
import signal
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from tests.browser import (
    CLOSE,
    DEADLINE,
    PING,
    TEXT,
    Browser,
    RefusedError,
    connect,
    request,
)
from tests.faults.back_end import BackEnd, push_line
from tests.faults.crowd import Frames, Readers, browsers, sockets
from tests.faults.unharmed import wait_until
from tests.server import Server

BROWSERS = 600
IN_FLIGHT = 50
BEHIND = 45
"""Pushes of 16 KiB: more than the kernels hold, less than `limits.queue`."""
SLOW = 2.5
"""Seconds in which a slow reader takes these."""
GONE_WITHIN = 5.0
"""Seconds that the end may take in all,"""
BUSY = 1.5
"""and by which a busy machine may be late with it."""
AT_ONCE = 1.0
ORDERLY = re.compile(r"[-0-9]{10} [:,0-9]{12} (INFO|WARNING) +\S.*")

signals = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server
        lines = "".join(server.log).partition("Ctrl-C stops it.\n\n")[2].splitlines()
    assert [line for line in lines if not ORDERLY.fullmatch(line)] == []


class Audience:
    """Notes the messages of each browser, and when it was closed with which code."""

    def __init__(self) -> None:
        self.messages: defaultdict[Browser, list[bytes]] = defaultdict(list)
        self.closes: dict[Browser, tuple[int, float]] = {}

    def note(self, browser: Browser, frames: Frames) -> None:
        for opcode, payload in frames:
            if opcode == TEXT:
                self.messages[browser].append(payload)
            elif opcode == CLOSE:
                self.closes[browser] = int.from_bytes(payload[:2]), time.monotonic()

    def spread(self) -> float:
        """Seconds between the first close and the last."""
        moments = [moment for _, moment in self.closes.values()]
        return max(moments) - min(moments)


@contextlib.contextmanager
def pushing(server: Server) -> Iterator[dict[int, list[bytes]]]:
    """Push numbered lines to all browsers in turn, until the server ends; those taken, by user."""
    taken: dict[int, list[bytes]] = defaultdict(list)

    def push(back_end: BackEnd) -> None:
        for first in count(step=IN_FLIGHT):
            numbers = range(first, first + IN_FLIGHT)
            lines = {each: push_line(f"user{each % BROWSERS}", number=each) for each in numbers}
            back_end.send(b"".join(line + b"\n" for line in lines.values()))
            for number, line in lines.items():
                if back_end.answer():
                    taken[number % BROWSERS].append(line)

    with BackEnd(server.text) as back_end, ThreadPoolExecutor(1) as pool:
        pushes = pool.submit(push, back_end)
        yield taken
        assert isinstance(pushes.exception(DEADLINE), ConnectionError)


@signals
def test_under_load_all_are_told_to_reconnect_and_have_all_that_was_taken(
    server: Server, number: signal.Signals
) -> None:
    audience = Audience()
    with (
        browsers(server.websocket, BROWSERS) as many,
        Readers(many, audience.note) as readers,
        pushing(server) as taken,
    ):
        wait_until(lambda: all(audience.messages[each] for each in many))
        server.signal(number)
        started = time.monotonic()
        wait_until(lambda: ready(server) == 503)
        readers.wait_all_ended(GONE_WITHIN + BUSY)
        assert server.wait() == 0
        assert time.monotonic() - started < GONE_WITHIN + BUSY
    assert [code for code, _ in audience.closes.values()] == [3001] * BROWSERS
    assert audience.spread() > 0.5
    assert [audience.messages[each] for each in many] == [taken[user] for user in range(BROWSERS)]


def ready(server: Server) -> int:
    """The status of `/ready`."""
    try:
        with urllib.request.urlopen(f"http://{server.http}/ready", timeout=DEADLINE) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_reader_that_was_behind_gets_all_that_was_taken_and_then_the_close(
    server: Server,
) -> None:
    with (
        browsers(server.websocket, 5, receive_buffer=64 << 10) as behind,
        BackEnd(server.text) as back_end,
    ):
        lines = [push_line("", number=number).ljust(16 << 10) for number in range(BEHIND)]
        for line in lines:
            assert back_end.push(line)
        server.signal(signal.SIGTERM)
        wait_until(lambda: ready(server) == 503)
        for browser in behind:
            assert [browser.receive() for _ in lines] == [(TEXT, line) for line in lines]
            assert browser.close_code() == 3001
        assert server.wait() == 0


def test_a_reader_that_is_slow_has_the_whole_time_for_it(server: Server) -> None:
    """However few are connected."""
    with (
        browsers(server.websocket, 1, receive_buffer=64 << 10) as (slow,),
        BackEnd(server.text) as back_end,
    ):
        lines = [push_line("", number=number).ljust(16 << 10) for number in range(BEHIND)]
        for line in lines:
            assert back_end.push(line)
        server.signal(signal.SIGTERM)
        started = time.monotonic()
        for number, line in enumerate(lines):
            time.sleep(max(0, started + SLOW * number / BEHIND - time.monotonic()))  # its pace
            assert slow.receive() == (TEXT, line)
        answer_close(slow)
        answered = time.monotonic()
        assert server.wait() == 0
        assert time.monotonic() - answered < AT_ONCE


def answer_close(browser: Browser) -> None:
    assert browser.close_code() == 3001
    browser.send_frame(CLOSE, (3001).to_bytes(2))


def test_where_all_answer_at_once_it_ends_at_once(server: Server) -> None:
    with browsers(server.websocket, 5) as prompt:
        server.signal(signal.SIGTERM)
        started = time.monotonic()
        for browser in prompt:
            answer_close(browser)
        assert server.wait() == 0
        assert time.monotonic() - started < AT_ONCE


def test_who_has_everything_and_does_not_answer_is_not_waited_for_much_longer(
    server: Server,
) -> None:
    with browsers(server.websocket, 5):
        server.signal(signal.SIGTERM)
        started = time.monotonic()
        assert server.wait() == 0
        assert time.monotonic() - started < AT_ONCE + BUSY


def test_nobody_new_comes_in_while_it_drains(server: Server) -> None:
    """Neither a new connection, nor one whose head is not whole yet."""
    with browsers(server.websocket, BROWSERS), sockets(server.websocket, 50) as heads:
        head = request(server.websocket)
        for each in heads:
            each.sendall(head[:-1])
        wait_until(lambda: server.metrics()["open_sockets"] == BROWSERS + len(heads))
        server.signal(signal.SIGTERM)
        wait_until(lambda: ready(server) == 503)
        with pytest.raises(ConnectionRefusedError):
            connect(server.websocket)
        for each in heads:
            each.sendall(head[-1:])
            with pytest.raises(RefusedError) as refused:
                Browser(each).read_head()
            assert refused.value.status == 503
            assert b"\r\nRetry-After: " in refused.value.answer
        assert server.wait() == 0


@signals
def test_a_second_signal_ends_at_once(server: Server, number: signal.Signals) -> None:
    """Browsers that do not answer the Close are waited for, but for that."""
    with browsers(server.websocket, BROWSERS) as mute:
        server.signal(signal.SIGTERM)
        assert mute[0].close_code() == 3001
        server.signal(number)
        started = time.monotonic()
        assert server.wait() == 0
        assert time.monotonic() - started < AT_ONCE


def test_without_anybody_it_ends_at_once(server: Server) -> None:
    started = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert time.monotonic() - started < AT_ONCE


def test_whoever_does_not_read_or_say_anything_does_not_delay_the_end(server: Server) -> None:
    with (
        browsers(server.websocket, 200, receive_buffer=4096) as stopped,
        sockets(server.websocket, 50) as heads,
        sockets(server.text, 50) as lines,
        BackEnd(server.text) as back_end,
        BackEnd(server.text, receive_buffer=4096) as deaf,
    ):
        for number, peer in enumerate((*heads, *lines)):
            peer.sendall(b"GET / HTTP"[: number % 10])
        for _ in range(40):
            assert back_end.push(push_line("").ljust(16 << 10))
        deaf.send(b"\n" * 100_000)
        wait_until(lambda: server.metrics()['bad_lines_total{kind="json"}'] > 0)
        assert server.metrics()["connections"] == len(stopped)
        server.signal(signal.SIGTERM)
        started = time.monotonic()
        assert server.wait() == 0
        assert time.monotonic() - started < GONE_WITHIN + BUSY


def test_a_connection_that_waits_for_an_older_one_to_answer_is_told_as_well() -> None:
    with (
        Server(AUTH_SESSIONS="first", AUTH_CHALLENGE="9") as server,
        connect(server.websocket) as older,
        connect(server.websocket) as newer,
    ):
        older.login("u").settle()
        newer.login("u")
        assert older.receive() == (PING, b"")  # from now on the newer one waits
        server.signal(signal.SIGTERM)
        assert newer.close_code() == 3001
        assert older.close_code() == 3001
