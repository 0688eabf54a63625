"""The port for back ends, used badly or by somebody who should not."""

import hmac
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pushline.codecs.greeting import Greeting
from pushline.config import Config
from pushline.errors import BadLineError
from tests.browser import Browser, connect, dial
from tests.faults.back_end import BackEnd, push_line
from tests.faults.crowd import browsers, sockets
from tests.faults.unharmed import unharmed, wait_until
from tests.server import Server

LINE = push_line("user0", say="ä")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.mark.parametrize(
    "packets",
    [
        pytest.param([LINE + b"\r\n"] * 2, id="CRLF"),
        pytest.param([(LINE + b"\n") * 2], id="two in a packet"),
        pytest.param([bytes([byte]) for byte in (LINE + b"\n") * 2], id="byte by byte"),
    ],
)
def test_however_lines_are_cut_they_are_taken(server: Server, packets: list[bytes]) -> None:
    with (
        unharmed(server),
        browsers(server.websocket, 1) as (browser,),
        BackEnd(server.text) as back_end,
    ):
        for packet in packets:
            back_end.send(packet)
        assert [back_end.answer(), back_end.answer()] == [True, True]
        assert [browser.message(), browser.message()] == [LINE, LINE]


BAD_LINES = {
    "malformed": b'{"uid":"user0"',
    "no JSON at all": b"hello",
    "no object": b'["user0"]',
    "two objects": LINE + LINE,
    "NUL": b'{"uid":"user0","a":"\0"}',
    "nothing but NUL": b"\0",
    "BOM": b"\xef\xbb\xbf" + LINE,
    "empty": b"",
    "blank": b" ",
    "not UTF-8 in a value that nobody reads": b'{"uid":"user0","a":"\xff"}',
    "not UTF-8 in the uid": b'{"uid":"\xff"}',
    "deep lists": b'{"uid":"user0","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep uid": b'{"uid":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects without an end": b'{"uid":' * 100_000,
    "NaN": b'{"uid":"user0","a":NaN}',
    "NaN as uid": b'{"uid":NaN}',
    "Infinity": b'{"uid":"user0","a":-Infinity}',
    "lone surrogate": rb'{"uid":"user0","a":"\ud800"}',
    "lone surrogate in the uid": rb'{"uid":"\udc00"}',
    "uid over 64 bits": b'{"uid":18446744073709551616}',
    "uid of 5,000 digits": b'{"uid":' + b"9" * 5000 + b"}",
    "uid in a list over 64 bits": b'{"uid":[["user0"],18446744073709551616]}',
    "utype over 64 bits": b'{"uid":"user0","utype":18446744073709551616}',
    "utype is a fraction": b'{"uid":"user0","utype":1.5}',
    "control characters": rb'{"uid":"user0\r\n"}',
}


@pytest.mark.parametrize("line", [pytest.param(line, id=why) for why, line in BAD_LINES.items()])
def test_a_bad_line_is_one_fail_and_reaches_nobody(server: Server, line: bytes) -> None:
    with (
        unharmed(server),
        browsers(server.websocket, 1) as (browser,),
        BackEnd(server.text) as back_end,
    ):
        back_end.send(line + b"\n" + LINE + b"\n")
        assert [back_end.answer(), back_end.answer()] == [False, True]
        assert browser.message() == LINE


POST = b"POST / HTTP/1.1\r\nHost: 127.0.0.1:5678\r\nContent-Type: text/plain\r\n\r\n"


@pytest.mark.parametrize("packets", [[POST + LINE + b"\n"], [POST, LINE + b"\n"]])
def test_a_web_page_cannot_push(server: Server, packets: list[bytes]) -> None:
    """The POST is cut off before its body."""
    with unharmed(server), browsers(server.websocket, 1) as (browser,):
        with BackEnd(server.text) as back_end:
            for packet in packets:
                back_end.send(packet)
            assert b"ok" not in back_end.wait_ended()
        with BackEnd(server.text) as back_end:
            assert back_end.push(push_line("user0"))
        assert browser.message() == push_line("user0")
        assert server.metrics()['bad_lines_total{kind="http"}'] > 0


SECRET = "hunter2-ünd-mehr"
WRONG_SECRETS = [
    *(b"", b"wrong", SECRET.encode()[:-1], SECRET.encode() + b"x", SECRET.upper().encode()),
    *(SECRET.encode("latin-1"), b"\xff\xfe", b" " + SECRET.encode(), b"a" * 5000),
]
BACK_ENDS = 200
ATTEMPTS = 3000


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    with Server(
        TEXT_SECRET=SECRET,
        TEXT_CONNECTIONS=str(BACK_ENDS),
        AUTH_TIMEOUT="0.5",
        LIMITS_CLOSE_TIMEOUT="0.5",
        LOG_LEVEL="debug",
    ) as server:
        yield server


def test_a_wrong_secret_is_fail_and_closed(guarded: Server) -> None:
    with unharmed(guarded, secret=SECRET), browsers(guarded.websocket, 1) as (browser,):
        for secret in WRONG_SECRETS:
            with BackEnd(guarded.text) as back_end:
                back_end.send(b"auth " + secret + b"\n" + LINE + b"\n")
                assert back_end.wait_ended() == b"fail\n", secret
        with BackEnd(guarded.text, secret=SECRET) as back_end:
            assert back_end.push(push_line("user0"))
        assert browser.message() == push_line("user0")


def test_without_the_secret_nothing_is_a_push(guarded: Server) -> None:
    with unharmed(guarded, secret=SECRET), browsers(guarded.websocket, 1) as (browser,):
        with BackEnd(guarded.text) as back_end:
            back_end.send(LINE + b"\n" + f"auth {SECRET}\n".encode() + LINE + b"\n")
            assert back_end.wait_ended() == b"fail\n"
        with BackEnd(guarded.text, secret=SECRET) as back_end:
            assert back_end.push(push_line("user0"))
        assert browser.message() == push_line("user0")


def test_who_never_shows_the_secret_is_cut_off(guarded: Server) -> None:
    with unharmed(guarded, secret=SECRET), sockets(guarded.text, 100) as silent:
        for number, each in enumerate(silent):
            each.sendall(b"auth hunter2"[: number % 12])
        for each in silent:
            assert Browser(each).wait_ended() == b""


def test_a_crowd_of_strangers_is_bounded(guarded: Server) -> None:
    with unharmed(guarded, secret=SECRET), sockets(guarded.text, ATTEMPTS) as strangers:
        assert 0 < guarded.metrics()["back_ends"] <= BACK_ENDS
        for each in strangers:
            assert Browser(each).wait_ended() == b""
        assert guarded.metrics()['bad_lines_total{kind="limit"}'] > 0
    assert len(guarded.log) < ATTEMPTS / 10


def test_no_secret_is_ever_told(guarded: Server) -> None:
    """Neither the right one, nor those that were tried, which may be nearly right."""
    for secret in (SECRET.encode(), *WRONG_SECRETS):
        with BackEnd(guarded.text) as back_end:
            back_end.send(b"auth " + secret + b"\n")
            back_end.socket.shutdown(socket.SHUT_WR)
            back_end.wait_ended()
    wait_until(lambda: any("secret" in line for line in guarded.log))
    told = "".join([*guarded.log, *guarded.metrics()])
    assert "hunter2" not in told.lower()


def test_the_secret_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    compare = hmac.compare_digest

    def noted(left: bytes, right: bytes) -> bool:
        compared.append({left, right})
        return compare(left, right)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    for secret in WRONG_SECRETS:
        with pytest.raises(BadLineError):
            Greeting(SECRET, required=True).feed(b"auth " + secret + b"\n")
    assert compared == [{b"auth " + secret, f"auth {SECRET}".encode()} for secret in WRONG_SECRETS]


def test_by_default_only_this_machine_reaches_the_port() -> None:
    assert all(address.is_loopback for address in Config().text.listen)


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.0.2.1"])
def test_a_public_bind_without_a_secret_refuses_to_start_before_it_listens(host: str) -> None:
    """The port is in use: to try it would be another error."""
    with socket.create_server(("127.0.0.1", 0)) as used:
        address = f"{host}:{used.getsockname()[1]}"
        ended = _serve("--text", address, "--websocket", "127.0.0.1:0")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert re.fullmatch(
        rf"pushline: text\.listen = {re.escape(address)} .*text\.secret.*\n", ended.stderr
    )


def _serve(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "pushline", "serve", *arguments],
        env={name: text for name, text in os.environ.items() if not name.startswith("PUSHLINE_")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_peer_that_is_gone_before_it_was_accepted_is_in_no_trusted_network() -> None:
    """It has no name any more, but its line may still be there to be read."""
    with (
        Server(TEXT_TRUSTED_NETWORKS="10.0.0.0/8") as server,
        connect(server.websocket).login("u") as browser,
    ):
        browser.settle()
        server.signal(signal.SIGSTOP)
        for _ in range(20):
            with dial(server.text) as plug:
                plug.sendall(b'{"uid":"u","forged":true}\n')
                reset = struct.pack("ii", 1, 0)
                plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        server.signal(signal.SIGCONT)
        wait_until(lambda: server.metrics().get('bad_lines_total{kind="auth"}') == 20)
        assert server.metrics()["deliveries_total"] == 0
