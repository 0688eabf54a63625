"""Browsers on slow links: a ping comes to them behind all that was sent before it."""

import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import DEADLINE, PING, Browser, dial, request
from tests.certificates import Authority
from tests.faults.back_end import BackEnd, push_line
from tests.faults.crowd import browsers
from tests.faults.unharmed import wait_until
from tests.server import Server

PING_AFTER, PONG_WITHIN = 0.5, 1.0
"""Seconds."""
SLACK = 2.0
"""Seconds that a deadline may be off on a busy machine."""
RATE = 125_000
"""Bytes a second."""
LONG = 500_000
"""Bytes of a push, which take four times as long as an answer to a ping may."""
CHUNK = 4096
CLOSED = 'closed_total{code="3012"}'


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


def serving(**settings: str) -> Server:
    return Server(HEARTBEAT_PING=str(PING_AFTER), HEARTBEAT_PONG=str(PONG_WITHIN), **settings)


class SlowLink:
    """A socket that is read at RATE."""

    def __init__(self, plug: socket.socket) -> None:
        self._plug = plug
        self._free_at = time.monotonic()
        self.settimeout, self.sendall, self.close = plug.settimeout, plug.sendall, plug.close

    def recv(self, _size: int) -> bytes:
        time.sleep(max(0, self._free_at - time.monotonic()))
        data = self._plug.recv(CHUNK)
        self._free_at = time.monotonic() + len(data) / RATE
        return data


def opened(plug: socket.socket) -> Browser:
    browser = Browser(SlowLink(plug))  # type: ignore[arg-type] # it has what a Browser calls
    browser.send_raw(request("localhost"))
    browser.read_head()
    browser.login("user0").settle()
    return browser


def assert_it_gets_all_and_stays(server: Server, browser: Browser) -> None:
    """Also what comes while it is at the first."""
    lines = [push_line("user0", number=number).ljust(LONG >> number) for number in range(2)]
    with browser, BackEnd(server.text) as back_end:
        for line in lines:
            assert back_end.push(line)
        for line in lines:
            assert browser.message(2 * DEADLINE) == line
        assert CLOSED not in server.metrics()
        assert back_end.push(push_line("user0"))
        assert browser.message() == push_line("user0")


def test_over_tcp_who_reads_on_stays() -> None:
    with serving() as server:
        assert_it_gets_all_and_stays(
            server, opened(dial(server.websocket, receive_buffer=4 * CHUNK))
        )


def test_over_tls_who_reads_on_stays(authority: Authority) -> None:
    files = {"WEBSOCKET_CERTIFICATE": authority.certificate, "WEBSOCKET_KEY": authority.key}
    with serving(**files) as server:
        plug = dial(server.websocket, receive_buffer=4 * CHUNK)
        secure: ssl.SSLSocket = authority.client().wrap_socket(plug, server_hostname="127.0.0.1")
        assert_it_gets_all_and_stays(server, opened(secure))


def test_over_a_unix_socket_who_reads_on_stays(tmp_path: Path) -> None:
    with serving(WEBSOCKET_LISTEN=f"unix:{tmp_path}/ws") as server:
        plug = socket.socket(socket.AF_UNIX)
        plug.connect(f"{tmp_path}/ws")
        assert_it_gets_all_and_stays(server, opened(plug))


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def test_who_stops_reading_is_closed_in_time(server: Server) -> None:
    """The kernels are full, and the ping does not come through."""
    with (
        browsers(server.websocket, 1, receive_buffer=CHUNK),
        BackEnd(server.text) as back_end,
    ):
        assert back_end.push(push_line("user0").ljust(LONG))
        wait_until(lambda: CLOSED in server.metrics(), PING_AFTER + PONG_WITHIN + SLACK)


def test_who_stops_reading_halfway_is_closed_in_time(server: Server) -> None:
    """It has taken something since the ping, and takes nothing more."""
    with (
        browsers(server.websocket, 1, receive_buffer=CHUNK) as (stopped,),
        BackEnd(server.text) as back_end,
    ):
        assert stopped.receive() == (PING, b"")
        assert back_end.push(push_line("user0").ljust(LONG))
        assert stopped.socket.recv(CHUNK)
        wait_until(lambda: CLOSED in server.metrics(), 2 * PONG_WITHIN + SLACK)
