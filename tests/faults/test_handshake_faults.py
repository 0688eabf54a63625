"""Peers that never become users: too slow, too long, malformed, or silent."""

import contextlib
import selectors
import socket
import ssl
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
import trustme

from tests.browser import (
    BINARY,
    PING,
    PONG,
    TEXT,
    Browser,
    RefusedError,
    connect,
    dial,
    encoded,
    request,
)
from tests.faults.crowd import sockets
from tests.faults.unharmed import MEMORY, unharmed, wait_until
from tests.server import Server

SLOW_PEERS = 2000
HEAD_TIME = 5.0
"""The default of `limits.head_time`, in seconds."""
SHORT = 0.5
"""Seconds, for the deadlines that are not the default."""
TLS_PEERS = 60
TLS_BUFFER = 256 << 10
"""Bytes that uvloop allocates for each TLS connection, and that the allocator may keep."""
EARLY, LATE = 0.5, 2.0
"""Seconds that a deadline may be off on a busy machine."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(AUTH_TIMEOUT=str(SHORT), LIMITS_CLOSE_TIMEOUT=str(SHORT)) as server:
        yield server


def test_heads_that_come_a_byte_a_second_are_cut_off_after_five_seconds(server: Server) -> None:
    with unharmed(server), sockets(server.websocket, SLOW_PEERS) as slow:
        started = time.monotonic()
        ends = _drip(slow, request(server.websocket))
    assert len(ends) == SLOW_PEERS
    assert min(ends) - started > HEAD_TIME - EARLY
    assert max(ends) - started < HEAD_TIME + LATE


def test_an_answered_peer_that_does_not_go_is_dropped(server: Server) -> None:
    with unharmed(server), sockets(server.websocket, 100) as lingering:
        for each in lingering:
            each.sendall(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
        _wait_for_gauge(server, "open_sockets", 1 + len(lingering))
        started = time.monotonic()
        _wait_for_gauge(server, "open_sockets", 1)
        assert time.monotonic() - started < SHORT + LATE


def test_a_browser_that_never_logs_in_is_closed_with_3502(server: Server) -> None:
    with unharmed(server), connect(server.websocket) as browser:
        started = time.monotonic()
        assert browser.close_code() == 3502
        assert SHORT - EARLY < time.monotonic() - started < SHORT + LATE


NOISES = {
    "heartbeats": encoded(TEXT, b'{"data":"heartbeat"}'),
    "pings": encoded(PING, b"?"),
    "pongs": encoded(PONG),
    "a binary message": encoded(BINARY, b"user"),
    "half a message": encoded(TEXT, b"user", fin=False),
    "half a frame": encoded(TEXT, b"user" * 9)[:-1],
}


def test_nothing_but_a_login_puts_off_the_end_of_the_time_for_it(server: Server) -> None:
    with unharmed(server), contextlib.ExitStack() as stack:
        started = time.monotonic()
        noisy = {each: stack.enter_context(connect(server.websocket)) for each in NOISES}
        for each, browser in noisy.items():
            browser.send_raw(NOISES[each])
        assert {each: browser.close_code() for each, browser in noisy.items()} == dict.fromkeys(
            NOISES, 3502
        )
        assert time.monotonic() - started < SHORT + LATE


def test_browsers_that_neither_log_in_nor_answer_the_close_are_dropped(server: Server) -> None:
    closed = _counter(server, 'closed_total{code="3502"}')
    with unharmed(server), contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(connect(server.websocket))
        _wait_for_gauge(server, "open_sockets", 1)
        assert _counter(server, 'closed_total{code="3502"}') == closed + 200


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls_server(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path = tmp_path_factory.mktemp("tls")
    certificate = authority.issue_cert("127.0.0.1")
    chain, key = path / "chain.pem", path / "key.pem"
    certificate.private_key_pem.write_to_path(key)
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(chain, append=True)
    with _tls(chain, key) as server:
        yield server


def _tls(chain: Path, key: Path) -> Server:
    return Server(
        WEBSOCKET_CERTIFICATE=str(chain), WEBSOCKET_KEY=str(key), LIMITS_TLS_TIME=str(SHORT)
    )


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def _client_hello(context: ssl.SSLContext) -> bytes:
    sent = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="127.0.0.1").do_handshake()
    return sent.read()


def test_a_tls_peer_without_a_whole_client_hello_is_dropped(
    tls_server: Server, trusting: ssl.SSLContext
) -> None:
    hello = _client_hello(trusting)
    with (
        unharmed(tls_server, tls=trusting, memory=TLS_PEERS * TLS_BUFFER + MEMORY),
        sockets(tls_server.websocket, TLS_PEERS) as silent,
    ):
        started = time.monotonic()
        for each, said in zip(silent, cycle([b"", hello[:1], hello[:-1], hello]), strict=False):
            each.sendall(said)
        for each in silent:
            Browser(each).wait_ended()
        assert SHORT - EARLY < time.monotonic() - started < SHORT + LATE


def test_a_tls_peer_that_speaks_no_tls_is_dropped(
    tls_server: Server, trusting: ssl.SSLContext
) -> None:
    with unharmed(tls_server, tls=trusting):
        for said in (request(tls_server.websocket), b"\0" * 1000, _record_of_garbage()):
            with dial(tls_server.websocket) as plug:
                plug.sendall(said)
                assert b"HTTP/1.1" not in Browser(plug).wait_ended()


def _record_of_garbage() -> bytes:
    """A TLS record of the type handshake with nothing sensible in it."""
    return b"\x16\x03\x01\x01\x00" + b"\xff" * 256


KEY = "dGhlIHNhbXBsZSBub25jZQ=="
FIELDS = {
    "Host": "a",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def _head(line: str = "GET / HTTP/1.1", more: str = "", **other: str) -> bytes:
    """An upgrade that is right but for what is given; a field given as "" is left out."""
    fields = FIELDS | {name.replace("_", "-"): value for name, value in other.items()}
    lines = [f"{name}: {value}\r\n" for name, value in fields.items() if value]
    return f"{line}\r\n{''.join(lines)}{more}\r\n".encode()


HEADS = [
    pytest.param(414, _head(f"GET /{'a' * 9216} HTTP/1.1"), id="request line of 9 KiB"),
    pytest.param(414, b"GET /" + b"a" * 9216, id="request line without an end"),
    pytest.param(431, _head(more="a: b\r\n" * 124), id="129 headers"),
    pytest.param(431, _head(more=f"a: {'b' * 33_000}\r\n"), id="head over 32 KiB"),
    pytest.param(400, _head(Upgrade="websocketx"), id="wrong Upgrade"),
    pytest.param(400, _head(Upgrade=""), id="no Upgrade"),
    pytest.param(400, _head(Connection="keep-alive"), id="wrong Connection"),
    pytest.param(400, _head(Sec_WebSocket_Key="c2hvcnQ="), id="short Key"),
    pytest.param(400, _head(Sec_WebSocket_Key="?" * 24), id="Key that is no base64"),
    pytest.param(400, _head(Sec_WebSocket_Key=""), id="no Key"),
    pytest.param(426, _head(Sec_WebSocket_Version="12"), id="wrong Version"),
    pytest.param(426, _head(Sec_WebSocket_Version=""), id="no Version"),
    pytest.param(405, _head("POST / HTTP/1.1"), id="POST"),
    pytest.param(400, _head("GET / HTTP/1.0"), id="HTTP/1.0"),
    pytest.param(505, _head("GET / HTTP/2.0"), id="HTTP/2.0"),
    pytest.param(
        400,
        _head(more="Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
        id="Content-Length with Transfer-Encoding",
    ),
    pytest.param(
        400, _head(more="Content-Length: 0\r\nContent-Length: 4\r\n"), id="two Content-Lengths"
    ),
    pytest.param(400, _head(more="a: b\r\n c\r\n"), id="obs-fold"),
    pytest.param(400, _head().replace(b"\r\n", b"\n"), id="bare LF everywhere"),
    pytest.param(400, _head(more="a: b\nc: d\r\n"), id="one bare LF"),
]


@pytest.mark.parametrize(("status", "head"), HEADS)
def test_a_bad_head_is_refused_once_and_closed(server: Server, status: int, head: bytes) -> None:
    """What follows it, a request that could be answered, is not parsed."""
    counter = f'http_refused_total{{status="{status}"}}'
    refused = _counter(server, counter)
    with unharmed(server), dial(server.websocket) as plug:
        plug.sendall(head + b"GET /pushline.js HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = Browser(plug).wait_ended()
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert answer.count(b"HTTP/1.1 ") == 1
        assert _counter(server, counter) == refused + 1


def test_a_refused_version_is_told_the_right_one(server: Server) -> None:
    with pytest.raises(RefusedError) as refused:
        connect(server.websocket, headers={"Sec-WebSocket-Version": "8"})
    assert refused.value.status == 426
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in refused.value.answer


def test_the_head_that_the_bad_ones_are_made_of_is_good(server: Server) -> None:
    with unharmed(server), dial(server.websocket) as plug:
        plug.sendall(_head())
        Browser(plug).read_head()


def _drip(slow: list[socket.socket], head: bytes) -> list[float]:
    """Send a byte a second to each until the server ends it; when that was."""
    ends: list[float] = []
    with selectors.DefaultSelector() as alive:
        for each in slow:
            alive.register(each, selectors.EVENT_READ, each)
        for byte in head:
            for key in alive.get_map().values():
                with contextlib.suppress(ConnectionError):
                    key.data.send(bytes([byte]))
            ends += _ends_within(1.0, alive)
            if not alive.get_map():
                break
    return ends


def _ends_within(seconds: float, alive: selectors.BaseSelector) -> list[float]:
    ends: list[float] = []
    until = time.monotonic() + seconds
    while alive.get_map() and (left := until - time.monotonic()) > 0:
        for key, _ in alive.select(left):
            assert Browser(key.data).wait_ended() == b""
            alive.unregister(key.data)
            ends.append(time.monotonic())
    return ends


def _counter(server: Server, name: str) -> float:
    return server.metrics().get(name, 0)


def _wait_for_gauge(server: Server, name: str, value: float) -> None:
    wait_until(lambda: server.metrics()[name] == value)
