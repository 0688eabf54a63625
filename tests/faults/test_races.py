"""Users who are not here, come and go while they are pushed to, or are here several times."""

import contextlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.browser import CLOSE, TEXT, Browser, connect
from tests.faults.back_end import BackEnd, push_line
from tests.faults.crowd import browsers
from tests.faults.unharmed import unharmed, wait_until
from tests.server import Server

ROUNDS = 100
IN_FLIGHT = 10
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with which close() sends a RST."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def say_goodbye(browser: Browser) -> None:
    browser.send_frame(CLOSE, struct.pack("!H", 1000))


def half_close(browser: Browser) -> None:
    browser.socket.shutdown(socket.SHUT_WR)


def vanish(browser: Browser) -> None:
    browser.disconnect()


def reset(browser: Browser) -> None:
    browser.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    browser.disconnect()


Leave = Callable[[Browser], None]
every_way_to_leave = pytest.mark.parametrize("leave", [say_goodbye, half_close, vanish, reset])


def test_a_push_to_nobody_is_answered_with_fail_and_counted(server: Server) -> None:
    before = server.metrics()["pushes_offline_total"]
    with unharmed(server), BackEnd(server.text) as back_end:
        assert not back_end.push(push_line("nobody"))
        assert not back_end.push(push_line(["nobody", "no one"]))
        assert not back_end.push(push_line("healthy", 7))
        assert server.metrics()["pushes_offline_total"] == before + 3


@every_way_to_leave
def test_a_user_is_offline_once_the_end_was_seen(server: Server, leave: Leave) -> None:
    with (
        unharmed(server),
        browsers(server.websocket, 1) as (browser,),
        BackEnd(server.text) as back_end,
    ):
        assert back_end.push(push_line("user0"))
        leave(browser)
        wait_until(lambda: server.metrics()["connections"] == 1)
        assert not back_end.push(push_line("user0"))


@every_way_to_leave
def test_pushes_that_race_a_disconnect_have_a_clear_answer(server: Server, leave: Leave) -> None:
    with unharmed(server), pushing(server, push_line("racer")) as answers:
        for _ in range(ROUNDS):
            with connect(server.websocket) as browser:
                browser.login("racer")
                assert browser.message() == push_line("racer")
                leave(browser)
    assert answers[True] >= ROUNDS
    assert answers[False] > 0


def test_every_ok_is_a_message_also_while_browsers_close(server: Server) -> None:
    """Whoever says goodbye and reads to the end has had all that was answered with ok."""
    taken = 0
    with unharmed(server), pushing(server, push_line("racer")) as answers:
        for _ in range(ROUNDS):
            with connect(server.websocket) as browser:
                browser.login("racer")
                browser.message()
                say_goodbye(browser)
                taken += 1 + _messages_until_the_close(browser)
    assert answers[True] == taken
    assert answers[False] > 0


def _messages_until_the_close(browser: Browser) -> int:
    count = 0
    while browser.receive()[0] == TEXT:
        count += 1
    return count


@contextlib.contextmanager
def pushing(server: Server, line: bytes) -> Iterator[Counter[bool]]:
    """Push the same line without a pause; counts the answers, and raises for any but those two."""
    answers: Counter[bool] = Counter()
    stopped = threading.Event()

    def push() -> None:
        with BackEnd(server.text) as back_end:
            while not stopped.is_set():
                back_end.send((line + b"\n") * IN_FLIGHT)
                answers.update([back_end.answer() for _ in range(IN_FLIGHT)])

    with ThreadPoolExecutor(1) as pool:
        pushes = pool.submit(push)
        try:
            yield answers
        finally:
            stopped.set()
            pushes.result()


def test_all_tabs_of_a_user_get_a_push(server: Server) -> None:
    with (
        unharmed(server),
        browsers(server.websocket, 20, uid="user") as tabs,
        BackEnd(server.text) as back_end,
    ):
        assert back_end.push(push_line("user"))
        assert [tab.message() for tab in tabs] == [push_line("user")] * len(tabs)
        assert server.metrics()["users"] == 2


@every_way_to_leave
def test_the_end_of_an_old_connection_does_not_touch_a_new_one(
    server: Server, leave: Leave
) -> None:
    with (
        unharmed(server),
        browsers(server.websocket, 1, uid="user") as (old,),
        browsers(server.websocket, 1, uid="user") as (new,),
        BackEnd(server.text) as back_end,
    ):
        leave(old)
        wait_until(lambda: server.metrics()["connections"] == 2)
        assert back_end.push(push_line("user"))
        assert new.message() == push_line("user")


def test_a_replaced_connection_does_not_take_the_newer_one_with_it() -> None:
    with (
        Server(AUTH_SESSIONS="newest") as server,
        unharmed(server),
        browsers(server.websocket, 1, uid="user") as (old,),
        browsers(server.websocket, 1, uid="user") as (new,),
        BackEnd(server.text) as back_end,
    ):
        assert old.close_code() == 3503
        say_goodbye(old)
        old.wait_ended()
        assert back_end.push(push_line("user"))
        assert new.message() == push_line("user")


def test_reconnecting_over_and_over_leaves_one_connection(server: Server) -> None:
    with unharmed(server), contextlib.ExitStack() as stack, BackEnd(server.text) as back_end:
        old = stack.enter_context(connect(server.websocket).login("user"))
        for _ in range(ROUNDS):
            new = stack.enter_context(connect(server.websocket).login("user"))
            vanish(old)
            old = new
        wait_until(lambda: server.metrics()["connections"] == 2)
        assert back_end.push(push_line("user"))
        assert old.message() == push_line("user")
