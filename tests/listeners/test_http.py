"""The operators' port: readiness and metrics, by requests over TCP."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.browser import connect, dial
from tests.in_process import InProcess, configured


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def request(address: str, method: str, path: str) -> Answer:
    """All that is answered; the server ends the connection."""
    with dial(address) as plug:
        plug.sendall(f"{method} {path} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
        with plug.makefile("rb") as reader:
            head, _, body = reader.read().partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return Answer(int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body)


@pytest.fixture(scope="module")
def process() -> Iterator[InProcess]:
    with InProcess(configured()) as process:
        process.start()
        yield process


@pytest.fixture(scope="module")
def address(process: InProcess) -> str:
    return str(process.service.http[0])


def test_it_is_ready(address: str) -> None:
    status, headers, body = request(address, "GET", "/ready")
    assert (status, body) == (200, b"ready\n")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Connection"] == "close"


def test_it_is_not_ready_while_it_drains() -> None:
    """Operators are answered until the end."""
    config = configured(SHUTDOWN_TIME="60")
    with InProcess(config) as process:
        service = process.start()
        with connect(str(service.websocket[0])).login("uid1") as browser:
            browser.settle()
            draining = process.begin(service.drain())
            assert browser.close_code() == 3001
            status, _, body = request(str(service.http[0]), "GET", "/ready")
            assert (status, body) == (503, b"shutting down\n")
            assert request(str(service.http[0]), "GET", "/metrics").status == 200
            draining.cancel()


def test_metrics_are_in_the_text_format_of_prometheus(address: str) -> None:
    status, headers, body = request(address, "GET", "/metrics?any=query")
    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert headers["Content-Length"] == str(len(body))
    assert b"\npushline_open_sockets 0\n" in body


def test_operators_are_not_counted_as_browsers(address: str) -> None:
    for path in ("/ready", "/metrics", "/nothing"):
        request(address, "GET", path)
    body = request(address, "GET", "/metrics").body
    assert b"\npushline_accepted_total 0\n" in body
    assert b"pushline_http_refused_total{" not in body


@pytest.mark.parametrize("path", ["/ready", "/metrics"])
def test_a_head_has_the_headers_of_its_get_and_no_body(address: str, path: str) -> None:
    get, head = request(address, "GET", path), request(address, "HEAD", path)
    assert (head.status, head.headers.keys(), head.body) == (200, get.headers.keys(), b"")
    assert int(head.headers["Content-Length"]) > 0


@pytest.mark.parametrize("path", ["/", "/ready/", "/pushline.js", "/metrics.txt"])
def test_nothing_else_is_there(address: str, path: str) -> None:
    status, _, body = request(address, "GET", path)
    assert (status, body) == (404, b"here are /ready and /metrics\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(address: str, method: str) -> None:
    status, headers, _ = request(address, method, "/ready")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_an_upgrade_is_just_a_get(address: str) -> None:
    with dial(address) as plug:
        plug.sendall(
            f"GET /ready HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        with plug.makefile("rb") as reader:
            assert reader.read().startswith(b"HTTP/1.1 200 ")


def test_a_head_that_does_not_come_is_not_waited_for() -> None:
    with InProcess(configured(LIMITS_HEAD_TIME="0.1")) as process:
        service = process.start()
        with dial(str(service.http[0])) as plug:
            plug.sendall(b"GET /rea")
            assert plug.recv(1) == b""
