"""Logged-in peers that break the WebSocket protocol (RFC 6455), each with its close code."""

import contextlib
import struct
from collections.abc import Iterator

import pytest

from tests.browser import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    Browser,
    connect,
    encoded,
)
from tests.faults.back_end import BackEnd
from tests.faults.unharmed import MEMORY, unharmed, wait_until
from tests.server import Server

LIMIT = 64 << 10
"""The default of `limits.message`, in bytes."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(LIMITS_CLOSE_TIMEOUT="0.5") as server:
        yield server


def _close(code: int, reason: bytes = b"") -> bytes:
    return encoded(CLOSE, struct.pack("!H", code) + reason)


def _announced(opcode: int, size: int) -> bytes:
    """The header, and nothing of the payload, of a frame of 64 KiB or more."""
    return struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size) + bytes(4)


OPEN = encoded(TEXT, b"a", fin=False)
"""The first fragment of a message."""

PROTOCOL_ERRORS = {
    "unmasked frame": encoded(TEXT, b"a", masked=False),
    "reserved opcode of data": encoded(0x3, b"a"),
    "reserved opcode of control": encoded(0xB),
    "RSV1 without compression": encoded(TEXT, b"a", rsv=4),
    "RSV2": encoded(TEXT, b"a", rsv=2),
    "RSV3": encoded(BINARY, b"a", rsv=1),
    "RSV1 on a ping": encoded(PING, rsv=4),
    "fragmented ping": encoded(PING, fin=False),
    "fragmented close": encoded(CLOSE, fin=False),
    "long ping": encoded(PING, b"a" * 126),
    "long close": encoded(CLOSE, struct.pack("!H", 1000) + b"a" * 124),
    "orphan continuation": encoded(CONTINUATION, b"a"),
    "orphan continuation, not the last": encoded(CONTINUATION, b"a", fin=False),
    "continuation after the end": OPEN + encoded(CONTINUATION, b"b") + encoded(CONTINUATION, b"c"),
    "new message inside another": OPEN + encoded(TEXT, b"b"),
    "new binary message inside another": OPEN + encoded(BINARY, b"b", fin=False),
    "close of one byte": encoded(CLOSE, b"\x03"),
    "close with a reserved code": _close(1005),
    "close with a code of nobody": _close(2999),
    "length not in its shortest form": b"\x81\xfe\x00\x01" + bytes(4) + b"a",
    "length over 63 bits": b"\x82\xff" + b"\xff" * 8 + bytes(4),
}

INVALID_TEXTS = {
    "whole": encoded(TEXT, b"a\xffb"),
    "a surrogate": encoded(TEXT, b"\xed\xa0\x80"),
    "an overlong slash": encoded(TEXT, b"\xc0\xaf"),
    "beyond Unicode": encoded(TEXT, b"\xf4\x90\x80\x80"),
    "cut off at the end": encoded(TEXT, "a€".encode()[:-1]),
    "in a first fragment": encoded(TEXT, b"a\xff", fin=False),
    "split over fragments": encoded(TEXT, b"a\xe2", fin=False) + encoded(CONTINUATION, b"\x28\xa1"),
    "cut off in the last fragment": OPEN + encoded(CONTINUATION, b"\xe2\x82"),
    "in a close reason": _close(1000, b"\xff"),
}

TOO_BIG = {
    "a text of a byte too much": _announced(TEXT, LIMIT + 1),
    "a binary message of 2**40 bytes": _announced(BINARY, 1 << 40),
    "the last fragment of a byte too much": OPEN + _announced(CONTINUATION, LIMIT),
    "fragments without an end": OPEN + encoded(CONTINUATION, b"a" * 40_000, fin=False) * 2,
}

FAULTS = [
    *(pytest.param(1002, data, id=name) for name, data in PROTOCOL_ERRORS.items()),
    *(pytest.param(1007, data, id=f"not UTF-8: {name}") for name, data in INVALID_TEXTS.items()),
    *(pytest.param(1009, data, id=name) for name, data in TOO_BIG.items()),
]


@pytest.mark.parametrize(("code", "data"), FAULTS)
def test_a_broken_frame_is_answered_with_its_close_code(
    server: Server, code: int, data: bytes
) -> None:
    """The server ends TCP too, reads nothing behind the fault, and the user is gone."""
    with unharmed(server), BackEnd(server.text) as back_end, _user(server) as browser:
        browser.send_raw(data + encoded(PING, b"behind the fault"))
        opcode, payload = browser.receive()
        assert (opcode, int.from_bytes(payload[:2])) == (CLOSE, code)
        assert browser.wait_ended() == b""
        assert not back_end.push(b'{"uid":"user"}')


@contextlib.contextmanager
def _user(server: Server) -> Iterator[Browser]:
    with connect(server.websocket) as browser:
        browser.login("user").settle()
        yield browser


def test_the_fragments_that_the_broken_ones_are_made_of_are_good(server: Server) -> None:
    whole = "a€".encode()
    with unharmed(server), _user(server) as browser:
        browser.send_raw(OPEN + encoded(PING) + encoded(CONTINUATION, b"b"))
        browser.send_raw(encoded(TEXT, whole[:-1], fin=False) + encoded(CONTINUATION, whole[-1:]))
        browser.send_frame(BINARY, b"a" * LIMIT)
        browser.settle()


def test_a_peer_that_goes_on_after_its_fault_is_neither_kept_nor_buffered(server: Server) -> None:
    with unharmed(server), _user(server) as browser:
        resident = server.resident()
        browser.send_raw(_announced(BINARY, 1 << 40))
        assert browser.close_code() == 1009
        with contextlib.suppress(ConnectionError):
            while True:
                browser.send_raw(b"a" * (1 << 20))
                assert server.resident() < resident + MEMORY


def test_a_peer_that_stays_after_its_fault_is_dropped(server: Server) -> None:
    with unharmed(server), contextlib.ExitStack() as stack:
        for data in PROTOCOL_ERRORS.values():
            stack.enter_context(_user(server)).send_raw(data)
        wait_until(lambda: server.metrics()["open_sockets"] == 1)


def test_each_fault_is_counted_by_its_close_code(server: Server) -> None:
    before = server.metrics()
    with unharmed(server):
        for faults in (PROTOCOL_ERRORS, INVALID_TEXTS, TOO_BIG):
            with _user(server) as browser:
                browser.send_raw(next(iter(faults.values())))
                browser.close_code()
    after = server.metrics()
    for code in (1002, 1007, 1009):
        name = f'closed_total{{code="{code}"}}'
        assert after[name] == before.get(name, 0) + 1


def test_a_thousand_faults_leave_no_memory_behind(server: Server) -> None:
    """The first hundred are the warm-up."""
    _break_many(server, 100)
    with unharmed(server, memory=1 << 20):
        _break_many(server, 1000)


def _break_many(server: Server, count: int) -> None:
    faults = list((PROTOCOL_ERRORS | INVALID_TEXTS | TOO_BIG).values())
    for number in range(count):
        with _user(server) as browser:
            browser.send_raw(faults[number % len(faults)])
            browser.close_code()


def test_a_close_by_the_client_is_not_counted_as_the_servers(server: Server) -> None:
    before = server.metrics().get('closed_total{code="client"}', 0)
    with connect(server.websocket).login("u") as browser:
        browser.send_frame(CLOSE, (3008).to_bytes(2, "big"))
        browser.wait_ended()
    after = server.metrics()
    assert after['closed_total{code="client"}'] == before + 1
    assert 'closed_total{code="3008"}' not in after
