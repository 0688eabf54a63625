"""`auth SECRET` on the text port, and the networks that need not say it."""

import contextlib
import signal
from collections.abc import Iterator

import pytest

from tests.protocol.back_end import FAIL, OK, BackEnd
from tests.protocol.tabs import messages, tab
from tests.server import Server

PUSH = b'{"uid":"uid1"}'
SECRET = "open s3same"
RIGHT = f"auth {SECRET}\n".encode()
WRONG = [
    b"auth wrong\n",
    b"auth open s3sam\n",
    b"auth open s3same \n",
    b"auth OPEN S3SAME\n",
    b"auth \n",
    b"auth \xff\n",
    b"auth " + b"x" * 10_000 + b"\n",
    b"auth " + b"x" * 10_000,
]
NONE = [
    b"\n",
    b"AUTH open s3same\n",
    PUSH + b"\n" + RIGHT,
    b"!help\n",
    b"x" * 10_000,
]
TRUSTED, STRANGER = "127.0.0.2", "127.0.0.1"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(TEXT_SECRET=SECRET, TEXT_TRUSTED_NETWORKS=f"{TRUSTED}/32") as server:
        yield server


def wrong_secrets(server: Server) -> float:
    return server.metrics().get('bad_lines_total{kind="auth"}', 0)


@pytest.mark.parametrize("source", [STRANGER, TRUSTED])
@pytest.mark.parametrize("greeting", [RIGHT, RIGHT.replace(b"\n", b"\r\n")])
def test_the_right_secret_is_answered_ok(server: Server, greeting: bytes, source: str) -> None:
    with tab(server, "uid1") as page, BackEnd(server, source=source) as back_end:
        back_end.send(greeting)
        assert back_end.answer() == OK
        assert back_end.push(PUSH) == OK
        assert back_end.push(b'{"uid":"nobody"}') == FAIL
        assert messages(page) == [PUSH]


@pytest.mark.parametrize("source", [STRANGER, TRUSTED])
def test_the_secret_may_come_byte_by_byte(server: Server, source: str) -> None:
    with tab(server, "uid1") as page, BackEnd(server, source=source) as back_end:
        back_end.trickle(RIGHT + PUSH + b"\r\n")
        assert back_end.answers(2) == [OK, OK]
        assert messages(page) == [PUSH]


@pytest.mark.parametrize("source", [STRANGER, TRUSTED])
def test_the_secret_may_come_in_one_packet_with_pushes(server: Server, source: str) -> None:
    with tab(server, "uid1") as page, BackEnd(server, source=source) as back_end:
        back_end.send(RIGHT + (PUSH + b"\n{\n") * 1000 + PUSH[:3])
        assert back_end.answers(2001) == [OK] + [OK, FAIL] * 1000
        back_end.send(PUSH[3:] + b"\n")
        assert back_end.answer() == OK
        assert messages(page) == [PUSH] * 1001


@pytest.mark.parametrize("source", [STRANGER, TRUSTED])
@pytest.mark.parametrize("greeting", WRONG)
def test_a_wrong_secret_is_fail_and_closed_and_nothing_is_executed(
    server: Server, greeting: bytes, source: str
) -> None:
    with tab(server, "uid1") as page, BackEnd(server, source=source) as back_end:
        before = wrong_secrets(server)
        back_end.send(greeting + (PUSH + b"\n") * 1000)
        assert back_end.rest() == b"fail\n"
        assert wrong_secrets(server) == before + 1
        assert messages(page) == []


def test_who_goes_on_after_a_wrong_secret_takes_no_memory(server: Server) -> None:
    before = server.resident()
    with BackEnd(server) as back_end, contextlib.suppress(ConnectionError):
        back_end.send(b"auth wrong\n")
        for _ in range(64):
            back_end.send(b"x" * (1 << 20))
    assert server.resident() - before < 8 << 20


@pytest.mark.parametrize("first", NONE)
def test_without_the_secret_it_is_fail_and_closed_on_loopback_too(
    server: Server, first: bytes
) -> None:
    with tab(server, "uid1") as page, BackEnd(server, source=STRANGER) as back_end:
        before = wrong_secrets(server)
        back_end.send(first + RIGHT + PUSH + b"\n")
        assert back_end.rest() == b"fail\n"
        assert wrong_secrets(server) == before + 1
        assert messages(page) == []


@pytest.mark.parametrize("first", [0, 3])
def test_an_http_request_without_the_secret_is_cut_off_without_a_word(
    server: Server, first: int
) -> None:
    """Also one of which the first bytes come alone."""
    request = b"POST / HTTP/1.1\r\n" + RIGHT + PUSH + b"\n"
    before = server.metrics().get('bad_lines_total{kind="http"}', 0)
    with tab(server, "uid1") as page, BackEnd(server, source=STRANGER) as back_end:
        back_end.trickle(request[:first])
        back_end.send(request[first:])
        assert back_end.rest() == b""
        assert server.metrics()['bad_lines_total{kind="http"}'] == before + 1
        assert messages(page) == []


def test_a_trusted_back_end_need_not_send_it(server: Server) -> None:
    with tab(server, "uid1") as page, BackEnd(server, source=TRUSTED) as back_end:
        assert back_end.push(PUSH) == OK
        assert messages(page) == [PUSH]


def test_a_trusted_back_end_may_begin_with_a_bad_line(server: Server) -> None:
    with tab(server, "uid1"), BackEnd(server, source=TRUSTED) as back_end:
        assert [back_end.push(line) for line in (b"auth", b"", b"aut", PUSH)] == [*[FAIL] * 3, OK]


def test_only_the_first_line_can_be_the_secret(server: Server) -> None:
    with tab(server, "uid1"), BackEnd(server, source=STRANGER) as back_end:
        assert back_end.push(RIGHT.strip()) == OK
        assert back_end.push(RIGHT.strip()) == FAIL
        assert back_end.push(PUSH) == OK


def test_who_never_sends_it_is_cut_off_but_a_trusted_back_end_may_wait() -> None:
    with (
        Server(
            TEXT_SECRET=SECRET, TEXT_TRUSTED_NETWORKS=f"{TRUSTED}/32", AUTH_TIMEOUT="0.5"
        ) as server,
        BackEnd(server, source=TRUSTED) as trusted,
        BackEnd(server, source=TRUSTED) as half_trusted,
        BackEnd(server, source=STRANGER) as silent,
        BackEnd(server, source=STRANGER) as half,
    ):
        half_trusted.send(RIGHT[:3])
        assert is_cut_off(half, RIGHT[:-1])
        assert is_cut_off(silent)
        assert trusted.push(PUSH) == FAIL
        half_trusted.send(RIGHT[3:])
        assert half_trusted.answer() == OK


def is_cut_off(back_end: BackEnd, first: bytes = b"") -> bool:
    """It gets nothing but its end, whatever it sends first."""
    try:
        back_end.send(first)
        return back_end.rest() == b""
    except ConnectionError:
        return True


def test_the_secret_stands_in_no_log() -> None:
    with Server(TEXT_SECRET=SECRET) as server:
        for greeting in (RIGHT + RIGHT, *WRONG, *NONE):
            with BackEnd(server) as back_end:
                back_end.send(greeting + b"{\n")
                back_end.answer()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    log = "".join(server.log)
    assert "a wrong secret, or none" in log
    assert "s3same" not in log.lower()


def test_without_a_secret_it_is_a_bad_line() -> None:
    with Server() as server, tab(server, "uid1"), BackEnd(server) as back_end:
        assert back_end.push(b"auth anything") == FAIL
        assert back_end.push(b"auth ") == FAIL
        assert back_end.push(PUSH) == OK


def test_without_a_secret_only_the_trusted_networks_may_be_here() -> None:
    with (
        Server(TEXT_TRUSTED_NETWORKS=f"{TRUSTED}/32") as server,
        BackEnd(server, source=TRUSTED) as trusted,
        BackEnd(server, source=STRANGER) as stranger,
    ):
        assert is_cut_off(stranger)
        assert trusted.push(PUSH) == FAIL
        assert wrong_secrets(server) == 1
