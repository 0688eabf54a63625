"""Handlers of an application that raise, hang or block: nobody else is touched."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from pushline.ending import GRACE, LAST_MOMENT
from pushline.service import AFTER
from tests.browser import Browser, connect
from tests.faults.apps import BLOCKED, BLOCKING
from tests.faults.back_end import BackEnd, push_line
from tests.faults.crowd import browsers
from tests.faults.unharmed import IN_TIME, unharmed, wait_until
from tests.server import Server

MANY = 20
SLACK = 1.0
"""Seconds within which what is due is seen to have happened."""
LOGGED = 8
"""Fewer than are logged of one kind in a second."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server("tests.faults.apps:asynchronous") as server:
        yield server


def ask(browser: Browser, what: str) -> str:
    """The answer to a message; its client_id, if that is in it, is left out."""
    browser.send_text(what)
    return browser.message().decode().rpartition(" ")[2]


def seconds_of(browser: Browser, what: str) -> float:
    began = time.monotonic()
    assert ask(browser, what) == what
    return time.monotonic() - began


def test_a_handler_that_raises_is_logged_with_its_client_and_closes_nothing(server: Server) -> None:
    with unharmed(server, orderly=False), browsers(server.websocket, LOGGED) as crowd:
        for browser in crowd:
            browser.send_text("raise")
            browser.send_text("still")
        ids = [browser.message().decode().split()[0] for browser in crowd]
        assert server.metrics()['app_errors_total{event="on_message"}'] == LOGGED
        wait_until(lambda: all(any(each in line for line in server.log) for each in ids))
        assert sum("LookupError: as told" in line for line in server.log) == LOGGED


def test_a_client_that_reads_nothing_of_a_flood_is_closed_as_slow(server: Server) -> None:
    with unharmed(server), connect(server.websocket, receive_buffer=4096) as browser:
        browser.login("flooded").send_text("flood")
        wait_until(lambda: server.metrics().get('closed_total{code="3008"}') == 1)


def test_handlers_that_hang_hold_up_their_own_clients_only(server: Server) -> None:
    with (
        unharmed(server),
        browsers(server.websocket, MANY) as crowd,
        connect(server.websocket) as other,
    ):
        other.login("other")
        for browser in crowd:
            assert ask(browser, "hang") == "hanging"
        assert max(seconds_of(other, "well") for _ in range(100)) < IN_TIME
        assert server.metrics()["app_handlers"] == MANY
        other.send_text("release")
        assert all(browser.message().endswith(b" hang") for browser in crowd)
        wait_until(lambda: server.metrics()["app_handlers"] == 0)


def test_a_plain_function_that_blocks_stops_nobody_else() -> None:
    with (
        Server("tests.faults.apps:plain") as server,
        unharmed(server),
        browsers(server.websocket, 2) as (one, other),
        BackEnd(server.text) as back_end,
    ):
        began = time.monotonic()
        assert ask(one, "block") == "blocking"
        assert max(seconds_of(other, "well") for _ in range(100)) < IN_TIME
        assert back_end.push(push_line("user0"))
        assert one.message() == push_line("user0")  # to the blocked client itself as well
        assert time.monotonic() - began < BLOCKED
        wait_until(lambda: server.metrics()["app_longest_handler_seconds"] >= 1)
        assert one.message() == b"block"
        assert time.monotonic() - began >= BLOCKED


def test_an_async_handler_that_blocks_the_loop_shows_in_the_metrics(server: Server) -> None:
    with unharmed(server), browsers(server.websocket, 1) as (browser,):
        assert ask(browser, "block the loop") == "loop"
        wait_until(lambda: server.metrics()["loop_lag_max_seconds"] >= 0.7)


def test_a_thread_that_blocks_does_not_hold_up_the_end() -> None:
    with Server("tests.faults.apps:plain") as server, connect(server.websocket) as browser:
        browser.login("alice")
        assert ask(browser, "block") == "blocking"
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        assert browser.close_code() == 3001
        browser.disconnect()
        assert server.wait() == 0
        assert time.monotonic() - began < BLOCKED - 1


@contextlib.contextmanager
def blocked(**settings: str) -> Iterator[Server]:
    """A server whose event loop does nothing any more."""
    with (
        Server("tests.faults.apps:asynchronous", **settings) as server,
        connect(server.websocket) as browser,
    ):
        browser.login("alice")
        browser.send_text("block the loop for ever")
        wait_until(lambda: BLOCKING in server.log)
        yield server


def test_a_loop_that_is_blocked_does_not_hold_up_the_end_for_long() -> None:
    with blocked(SHUTDOWN_TIME="1") as server:
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert 1 < time.monotonic() - began < 1 + AFTER + GRACE + SLACK
        assert any("the application still runs" in line for line in server.log)


def test_a_second_signal_ends_a_blocked_loop_at_once() -> None:
    with blocked() as server:
        before = server.threads()
        server.signal(signal.SIGTERM)
        wait_until(lambda: server.threads() > before)  # it has been seen
        began = time.monotonic()
        server.signal(signal.SIGINT)
        assert server.wait() == 0
        assert time.monotonic() - began < LAST_MOMENT + SLACK


def test_a_server_can_be_stopped_while_its_application_starts() -> None:
    command = [sys.executable, "-m", "pushline", "serve", "tests.faults.apps:slow_start"]
    ports = ["--websocket", "127.0.0.1:0", "--text", "127.0.0.1:0"]
    with subprocess.Popen([*command, *ports], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "starting\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


def test_the_end_of_an_older_connection_does_not_touch_a_newer_one_of_its_uid() -> None:
    with (
        Server("tests.faults.apps:by_uid", AUTH_MODE="app") as server,
        BackEnd(server.text) as back_end,
        connect(server.websocket) as older,
        connect(server.websocket) as newer,
    ):
        assert ask(older, "alice") == ask(newer, "alice") == "bound"
        assert back_end.push(push_line("alice"))
        assert older.message() == newer.message() == push_line("alice")
        older.disconnect()
        wait_until(lambda: server.metrics()["connections"] == 1)
        assert back_end.push(push_line("alice"))
        assert newer.message() == push_line("alice")
