"""The text port: a request is a line, its answer comes in the order of the requests."""

import json
import random
import signal
import socket
from collections.abc import Iterator

import pytest

from tests.protocol.back_end import FAIL, OK, BackEnd
from tests.protocol.tabs import messages, tab
from tests.server import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def back_end(server: Server) -> Iterator[BackEnd]:
    with BackEnd(server) as back_end:
        yield back_end


PUSH = b'{"uid":"uid1"}'
DEEP = 100_000
# Each with the name of its counter.
BAD_LINES = [
    ("json", b""),
    ("json", b" "),
    ("json", b"hello"),
    ("json", b"{"),
    ("json", b'{"uid":"uid1"'),
    ("json", b'{"uid":"uid1"}}'),
    ("json", b'{"uid":"uid1"}{"uid":"uid1"}'),
    ("json", b'{"uid":"uid1",}'),
    ("json", b"{'uid':'uid1'}"),
    ("json", b'{"uid":"uid1","x":NaN}'),
    ("json", b'{"uid":"uid1","x":"\t"}'),
    ("json", b'{"uid":"uid1","x":01}'),
    ("json", b'[{"uid":"uid1"}]'),
    ("json", b'"uid1"'),
    ("json", b"42"),
    ("json", b"null"),
    ("json", b"true"),
    ("json", b"\0"),
    ("json", b'{"uid":"uid1"}\0'),
    ("json", b'{"uid":"uid1","x":"\0"}'),
    ("json", b'\xef\xbb\xbf{"uid":"uid1"}'),
    ("utf8", b'\xff\xfe{"uid":"uid1"}'),
    ("utf8", b'{"uid":"uid1\xff"}'),
    ("utf8", b'{"uid":"uid1","x":"\xff"}'),
    ("utf8", b'{"uid":"uid1","\xc3":1}'),
    ("utf8", b'{"uid":"uid1","x":"\xed\xa0\x80"}'),
    ("json", b'{"uid":"\\ud800"}'),
    ("json", b'{"uid":"uid1","x":"\\ud800"}'),
    ("json", b'{"uid":"uid1","x":"\\udc00\\ud800"}'),
    ("json", b'{"uid":"uid1","\\udfff":1}'),
    ("json", b'{"uid":"uid1","x":' + b"[" * DEEP + b"]" * DEEP + b"}"),
    ("json", b'{"uid":' + b"[" * DEEP + b"]" * DEEP + b"}"),
    ("json", b"[" * DEEP),
    ("name", b'{"uid":true}'),
    ("name", b'{"uid":"uid1","utype":""}'),
    ("json", b"!"),
    ("json", b"!help"),
    ("json", b'!{"uid":"uid1"}'),
    ("json", b"auth s3"),
    ("json", b"auth "),
    ("json", b"get / HTTP/1.1"),
    ("json", b"GETTING"),
    ("json", b"POST"),
    ("json", b"X-Forwarded-Host: a"),
]


@pytest.mark.parametrize(("kind", "line"), BAD_LINES)
def test_a_bad_line_is_fail_and_nothing_is_sent_to_anyone(
    server: Server, back_end: BackEnd, kind: str, line: bytes
) -> None:
    with tab(server, "uid1") as page:
        before = bad_lines(server, kind)
        assert back_end.push(line) == FAIL
        assert bad_lines(server, kind) == before + 1
        assert back_end.push(PUSH) == OK, "the connection is kept"
        assert messages(page) == [PUSH]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_each_bad_line_gets_one_fail_in_its_place(
    server: Server, back_end: BackEnd, end: bytes
) -> None:
    with tab(server, "uid1") as page:
        for _, line in BAD_LINES:
            back_end.send(PUSH + end + line + end)
        assert back_end.answers(2 * len(BAD_LINES)) == [OK, FAIL] * len(BAD_LINES)
        assert back_end.push(PUSH) == OK
        assert messages(page) == [PUSH] * (len(BAD_LINES) + 1)


def bad_lines(server: Server, kind: str) -> float:
    return server.metrics().get(f'bad_lines_total{{kind="{kind}"}}', 0)


def test_a_log_line_says_why_and_nothing_that_stood_in_the_line() -> None:
    reasons = {
        b"hello secret": "malformed",
        b"": "json: empty",
        b'{"secret': "truncated",
        b'{"secret":"\\ud800"}': "half of a surrogate pair",
        b'["secret"]': "Expected `object`, got `array`",
        b'{"uid":"secret\xff"}': "not UTF-8",
        b'{"uid":"secret\\n"}': "control character",
        b'{"uid":"' + b"secret" * 50 + b'"}': "1 to 255 bytes",
        b'{"secret":' + b"[" * DEEP: "nested too deep",
    }
    with Server() as server, BackEnd(server) as back_end:
        host, port = back_end.socket.getsockname()
        for line in reasons:
            assert back_end.push(line) == FAIL
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    log = [line for line in server.log if f"{host}:{port}" in line]
    assert len(log) == len(reasons)
    assert [why for why, line in zip(reasons.values(), log, strict=True) if why not in line] == []
    assert "secret" not in "".join(server.log)


def test_answers_come_in_the_order_of_thousands_of_mixed_lines(
    server: Server, back_end: BackEnd
) -> None:
    chance = random.Random(2)  # the same on every run
    kinds = {
        PUSH: OK,
        b'{"uid":"nobody"}': FAIL,
        b'{"uid":["nobody","uid1"]}': OK,
        b"": FAIL,
        b'{"uid":""}': OK,
        b"{": FAIL,
        b'{"uid":"uid1","x":"\xff"}': FAIL,
    }
    lines = chance.choices(list(kinds), k=8000)
    with tab(server, "uid1") as page:
        back_end.send(b"".join(line + chance.choice([b"\n", b"\r\n"]) for line in lines))
        assert back_end.answers(len(lines)) == [kinds[line] for line in lines]
        assert messages(page) == [line for line in lines if kinds[line] == OK]


def test_half_a_line_waits_for_its_end(server: Server, back_end: BackEnd) -> None:
    with tab(server, "uid1") as page, BackEnd(server) as another:
        for half in (b'{"uid":', b'"ui', b'd1"}', b"\r"):
            back_end.send(half)
            assert another.push(b'{"uid":"nobody"}') == FAIL
            assert messages(page) == []
        back_end.send(b"\n" + PUSH[:5])
        assert back_end.answer() == OK
        back_end.send(PUSH[5:] + b"\n")
        assert back_end.answer() == OK
        assert messages(page) == [PUSH] * 2


def test_a_thousand_lines_may_come_in_one_packet(server: Server, back_end: BackEnd) -> None:
    lines = [b'{"uid":"uid1","n":%d}' % number for number in range(1000)]
    packet = b"\n".join(lines) + b"\n"
    with tab(server, "uid1") as page:
        assert back_end.socket.send(packet) == len(packet)
        assert back_end.answers(1000) == [OK] * 1000
        assert messages(page) == lines


def test_a_line_may_come_byte_by_byte(server: Server, back_end: BackEnd) -> None:
    lines = ['{"uid":"uid1","x":"Zoë 😀"}'.encode(), b'{"uid":["uid1"]}', PUSH]
    with tab(server, "uid1") as page:
        back_end.trickle(b"\r\n".join(lines) + b"\n")
        assert back_end.answers(3) == [OK] * 3
        assert messages(page) == lines


def test_a_last_line_without_an_end_is_no_line(server: Server, back_end: BackEnd) -> None:
    with tab(server, "uid1") as page:
        back_end.send(PUSH + b"\n" + PUSH)
        back_end.socket.shutdown(socket.SHUT_WR)
        assert back_end.rest() == b"ok\n"
        assert messages(page) == [PUSH]


def test_all_lines_before_the_end_of_a_back_end_are_answered(
    server: Server, back_end: BackEnd
) -> None:
    """As `printf … | nc -N` does."""
    with tab(server, "uid1") as page:
        back_end.send((PUSH + b"\n") * 8000)
        back_end.socket.shutdown(socket.SHUT_WR)
        assert back_end.rest() == b"ok\n" * 8000
        assert messages(page) == [PUSH] * 8000


def test_what_a_back_end_wrote_before_it_went_away_is_delivered(server: Server) -> None:
    """The originals' clients do not wait for the answer."""
    lines = [b'{"uid":"uid1","n":%d}' % number for number in range(50)]
    with tab(server, "uid1") as page:
        for line in lines:
            with BackEnd(server) as hasty:
                hasty.send(line + b"\n")
        received = [page.recv(timeout=15) for _ in lines]
    assert sorted(json.loads(each)["n"] for each in received) == list(range(50))
