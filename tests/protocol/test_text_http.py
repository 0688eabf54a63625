"""A web page can make a browser send HTTP to the text port: none of it may become a push."""

import contextlib
import http.client
from collections.abc import Iterator

import pytest

from tests.protocol.back_end import FAIL, OK, BackEnd
from tests.protocol.tabs import messages, tab
from tests.server import Server

PUSH = b'{"uid":"uid1"}'
EVERYONE = b'{"uid":""}'
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "CONNECT", "OPTIONS", "TRACE"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def back_end(server: Server) -> Iterator[BackEnd]:
    with BackEnd(server) as back_end:
        yield back_end


@pytest.mark.parametrize(
    "line",
    [
        *(f"{method} / HTTP/1.1" for method in METHODS),
        *("GET http://127.0.0.1:5678/ HTTP/1.0", "POST ", 'PUT {"uid":"uid1"}'),
        *("Host: 127.0.0.1:5678", "Host:", "host: a"),
    ],
)
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_nothing_after_such_a_line_is_executed(
    server: Server, back_end: BackEnd, line: str, end: bytes
) -> None:
    with tab(server, "uid1") as page:
        before = refused(server)
        after = (b"Accept: */*", b"", EVERYONE, PUSH)
        back_end.send(end.join((PUSH, b"{", line.encode(), *after)) + end)
        assert back_end.rest() == b"ok\nfail\n", "what was before it is answered, nothing else"
        assert refused(server) == before + 1
        assert messages(page) == [PUSH]


@pytest.mark.parametrize("method", METHODS)
def test_a_request_is_cut_off_before_its_body(server: Server, method: str) -> None:
    host, _, port = server.text.rpartition(":")
    client = http.client.HTTPConnection(host, int(port), timeout=15)
    with tab(server, "uid1") as page, contextlib.closing(client):
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            exchange(client, method, (EVERYONE + b"\n") * 1000)
        assert messages(page) == []


def test_a_method_that_no_table_knows_is_cut_off_at_its_host(
    server: Server, back_end: BackEnd
) -> None:
    with tab(server, "uid1") as page:
        back_end.send(b"QUERY / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + EVERYONE + b"\r\n")
        assert back_end.rest() == b"fail\n"
        assert messages(page) == []


@pytest.mark.parametrize("line", [b"GET", b"GETTING / HTTP/1.1", b" GET / HTTP/1.1", b"get /"])
def test_a_line_that_only_resembles_one_is_a_bad_line(
    server: Server, back_end: BackEnd, line: bytes
) -> None:
    with tab(server, "uid1"):
        assert back_end.push(line) == FAIL
        assert back_end.push(PUSH) == OK


def exchange(client: http.client.HTTPConnection, method: str, body: bytes) -> None:
    client.request(method, "/", body, {"Content-Type": "text/plain"})
    client.getresponse()


def refused(server: Server) -> float:
    return server.metrics().get('bad_lines_total{kind="http"}', 0)
