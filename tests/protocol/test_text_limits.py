"""What the text port does about a line that is too long, and answers that nobody reads."""

import contextlib
import select
import socket
import time
from collections.abc import Iterator

import pytest

from tests.browser import DEADLINE
from tests.protocol.back_end import FAIL, OK, BackEnd
from tests.protocol.tabs import messages, tab
from tests.server import Server

MAX_LINE = 4096
MEMORY = 8 << 20
"""Bytes by which a server may grow: what an allocator keeps, far less than what was sent."""
FLOOD = 64 << 20
PUSH = b'{"uid":"uid1"}'


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(
        TEXT_MAX_LINE=f"{MAX_LINE} B",
        TEXT_PIPELINE="10",
        LIMITS_SOCKET_BUFFER="4 KiB",
    ) as server:
        yield server


@pytest.fixture
def back_end(server: Server) -> Iterator[BackEnd]:
    with BackEnd(server) as back_end:
        yield back_end


def long_line(size: int) -> bytes:
    frame = b'{"uid":"uid1","x":"%b"}'
    return frame % (b"y" * (size - len(frame % b"")))


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("size", [MAX_LINE - 1, MAX_LINE])
def test_a_line_may_be_as_long_as_the_limit(
    server: Server, back_end: BackEnd, size: int, end: bytes
) -> None:
    with tab(server, "uid1") as page:
        back_end.send(long_line(size) + end + PUSH + end)
        assert back_end.answers(2) == [OK, OK]
        assert messages(page) == [long_line(size), PUSH]


@pytest.mark.parametrize(
    "line",
    [
        long_line(MAX_LINE + 1) + b"\n",
        long_line(MAX_LINE + 1) + b"\r\n",
        b"x" * (MAX_LINE + 1),
        b"POST " + b"x" * MAX_LINE,
    ],
)
def test_a_longer_one_is_fail_and_closed_and_what_is_before_it_is_answered(
    server: Server, back_end: BackEnd, line: bytes
) -> None:
    with tab(server, "uid1") as page:
        before = server.metrics().get('bad_lines_total{kind="length"}', 0)
        back_end.send(PUSH + b"\n{\n" + line + (b"" if line.endswith(b"x") else PUSH + b"\n"))
        assert back_end.rest() == b"ok\nfail\nfail\n"
        assert server.metrics()['bad_lines_total{kind="length"}'] == before + 1
        assert messages(page) == [PUSH], "what came after it was executed"


def test_the_answers_arrive_though_the_back_end_goes_on_sending(
    server: Server, back_end: BackEnd
) -> None:
    """Unread bytes would make the server's end a reset, on which a peer may drop the answers."""
    with tab(server, "uid1") as page:
        back_end.send((PUSH + b"\n") * 1000 + b"x" * (2 << 20))
        assert back_end.rest() == b"ok\n" * 1000 + b"fail\n"
        assert messages(page) == [PUSH] * 1000


def test_a_line_without_an_end_takes_no_memory(server: Server, back_end: BackEnd) -> None:
    before = server.resident()
    with contextlib.suppress(ConnectionError):
        for _ in range(FLOOD >> 20):
            back_end.send(b"x" * (1 << 20))
    assert server.resident() - before < MEMORY


def test_who_does_not_close_after_that_is_cut_off() -> None:
    with (
        Server(TEXT_MAX_LINE=f"{MAX_LINE} B", LIMITS_CLOSE_TIMEOUT="0.5") as server,
        BackEnd(server) as back_end,
    ):
        back_end.send(b"x" * (MAX_LINE + 1))
        assert back_end.rest() == b"fail\n"
        with pytest.raises(ConnectionError):
            go_on_sending(back_end)


def test_a_back_end_that_does_not_read_its_answers_is_not_read_from(server: Server) -> None:
    line = b'{"uid":"nobody","x":"%b"}\n' % (b"y" * 1000)
    with (
        BackEnd(server, receive_buffer=4096) as silent,
        BackEnd(server) as another,
        tab(server, "uid1") as page,
    ):
        before = server.resident()
        sent = send_until_stuck(silent, line * 10, another)
        assert sent < FLOOD, "all of it was read"
        assert server.resident() - before < MEMORY
        assert another.push(PUSH) == OK
        assert messages(page) == [PUSH]
        assert silent.answers(sent // len(line)) == [FAIL] * (sent // len(line))
        silent.send(line[sent % len(line) :])
        assert silent.answer() == FAIL
        assert silent.push(PUSH) == OK
        assert messages(page) == [PUSH]


def go_on_sending(back_end: BackEnd) -> None:
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        back_end.send(b"x")
        time.sleep(0.01)


def send_until_stuck(silent: BackEnd, data: bytes, another: BackEnd) -> int:
    """Send `data` again and again until nobody takes any more; returns how many bytes went out.

    The other one's pushes give the server time for each piece, so that it never stops reading
    because of the pieces that it has yet to work off.
    """
    sent = 0
    while sent < FLOOD and select.select([], [silent.socket], [], 1.0)[1]:
        sent += silent.socket.send(data[sent % len(data) :], socket.MSG_DONTWAIT)
        assert another.push(b'{"uid":"nobody"}') == FAIL
    return sent
