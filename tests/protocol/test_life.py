"""How long a silent connection stays: pings, pongs, and the original's rule."""

import contextlib
import select
import signal
import time
from collections.abc import Iterator

import pytest

from tests.browser import BINARY, CLOSE, PING, PONG, TEXT, Browser, connect, encoded
from tests.protocol.back_end import OK, BackEnd
from tests.protocol.tabs import messages, tab
from tests.server import Server

PUSH = b'{"uid":"uid1"}'
HEARTBEAT = b'{"data":"heartbeat"}'
NO_PONG = b"\x0b\xc4no pong"
"""3012 in two bytes, and the reason."""
PONG_TIME = 1.0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Its timeout, less than its ping, has nothing to say."""
    with Server(
        HEARTBEAT_PING="0.5", HEARTBEAT_PONG=str(PONG_TIME), HEARTBEAT_TIMEOUT="0.25"
    ) as server:
        yield server


def logged_in(server: Server) -> Browser:
    browser = connect(server.websocket).login("uid1")
    browser.settle()
    return browser


def frames_until_closed(browser: Browser) -> list[int]:
    """The opcodes of all frames before the server's Close, which is that of a missing pong."""
    opcodes = []
    while (frame := browser.receive())[0] != CLOSE:
        opcodes.append(frame[0])
    assert frame == (CLOSE, NO_PONG)
    return opcodes


def is_readable(browser: Browser) -> bool:
    return bool(select.select([browser.socket], [], [], 0.02)[0])


SIGNS_OF_LIFE = [
    encoded(PONG),
    encoded(PONG, b"unasked"),
    encoded(PING),
    encoded(TEXT, HEARTBEAT),
    encoded(TEXT),
    encoded(BINARY, b"\0"),
    encoded(TEXT, HEARTBEAT)[:1],
]


def test_who_gives_no_sign_of_life_after_a_ping_is_closed(server: Server) -> None:
    """Any byte is one: who has sent it gets a second ping, after as much silence again."""
    with contextlib.ExitStack() as stack:
        lively = [stack.enter_context(logged_in(server)) for _ in SIGNS_OF_LIFE]
        silent = stack.enter_context(logged_in(server))
        for browser, sign in zip(lively, SIGNS_OF_LIFE, strict=True):
            assert browser.receive() == (PING, b"")
            browser.send_raw(sign)
        assert frames_until_closed(silent) == [PING]
        assert [next_but_pong(browser) for browser in lively] == [(PING, b"")] * len(lively)


def next_but_pong(browser: Browser) -> tuple[int, bytes]:
    frame = browser.receive()
    return browser.receive() if frame[0] == PONG else frame


def test_a_page_that_never_speaks_again_stays(server: Server) -> None:
    """Its browser answers the pings. How long it has stayed, the silent one's end tells."""
    with (
        BackEnd(server) as back_end,
        connect(server.websocket) as before_login,
        tab(server, "uid1") as page,
        tab(server, '{"uid":"uid1"}') as another,
        logged_in(server) as silent,
    ):
        assert silent.close_code() == 3012
        assert back_end.push(PUSH) == OK
        assert messages(page) == messages(another) == [PUSH]
        before_login.send_frame(PING)
        assert before_login.receive() == (PONG, b""), "who has not logged in is not pinged"


def test_what_has_arrived_while_the_server_was_stopped_is_read_first(server: Server) -> None:
    with logged_in(server) as browser, BackEnd(server) as back_end:
        assert browser.receive() == (PING, b"")
        server.signal(signal.SIGSTOP)
        browser.send_frame(PONG)
        time.sleep(PONG_TIME + 0.5)  # it is time itself that is tested: the answer's is over
        server.signal(signal.SIGCONT)
        assert back_end.push(PUSH) == OK
        assert browser.message() == PUSH


def test_without_pings_silence_of_the_timeout_closes() -> None:
    with (
        Server(HEARTBEAT_PING="0", HEARTBEAT_TIMEOUT="1.25") as server,
        BackEnd(server) as back_end,
        logged_in(server) as silent,
        logged_in(server) as beating,
    ):
        while not is_readable(silent):
            beating.send_frame(TEXT, HEARTBEAT)
        assert frames_until_closed(silent) == []
        assert back_end.push(PUSH) == OK
        assert beating.receive() == (TEXT, PUSH)
