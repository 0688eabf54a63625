"""Users who are not here, come and go while they are pushed to, or are here several times."""

import itertools
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.browser import CLOSE, Browser, EndedError, connect
from tests.faults.back_end import BackEnd, push_line
from tests.faults.crowd import browsers
from tests.faults.unharmed import unharmed, wait_until
from tests.server import Server

ROUNDS = 100
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with which close() sends a RST."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def test_a_push_to_nobody_is_answered_with_fail_and_counted(server: Server) -> None:
    before = server.metrics()["pushes_offline_total"]
    with unharmed(server), BackEnd(server.text) as back_end:
        for line in (push_line("nobody"), push_line(["nobody", "no one"]), push_line("healthy", 7)):
            assert not back_end.push(line)
        assert server.metrics()["pushes_offline_total"] == before + 3


def test_a_user_is_offline_as_soon_as_the_server_has_seen_the_end(server: Server) -> None:
    with unharmed(server), BackEnd(server.text) as back_end:
        for leave in LEAVE.values():
            with browsers(server.websocket, 1) as (browser,):
                assert back_end.push(push_line("user0"))
                leave(browser)
                wait_until(lambda: server.metrics()["connections"] == 1)
                assert not back_end.push(push_line("user0"))


def _say_goodbye(browser: Browser) -> None:
    browser.send_frame(CLOSE, struct.pack("!H", 1000))


def _vanish(browser: Browser) -> None:
    browser.disconnect()


def _reset(browser: Browser) -> None:
    browser.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    browser.disconnect()


def _finish(browser: Browser) -> None:
    browser.socket.shutdown(socket.SHUT_WR)


LEAVE: dict[str, Callable[[Browser], None]] = {
    "with a Close": _say_goodbye,
    "with a FIN": _vanish,
    "with a RST": _reset,
    "half-closing": _finish,
}


@pytest.mark.parametrize("way", LEAVE)
def test_pushes_that_race_a_disconnect_each_get_a_clear_answer(server: Server, way: str) -> None:
    """`BackEnd.answer` raises for anything but `ok` and `fail`."""
    with unharmed(server), _pushing(server, push_line("racer")) as answers:
        for _ in range(ROUNDS):
            with connect(server.websocket) as browser:
                browser.login("racer")
                assert browser.message() == push_line("racer")
                LEAVE[way](browser)
    assert answers.keys() == {True, False}
