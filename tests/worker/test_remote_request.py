"""The request that a worker is told of is the one that the server's own process would see."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushline.app.request import Request
from pushline.app.request import request_of as request_here
from pushline.codecs import http_head
from pushline.codecs.gateway_events import request_body
from pushline.codecs.gateway_frames import Cmd
from pushline.codecs.http_head import HeadLimits, HeadReader
from pushline.worker.remote_request import request_of
from tests.gatewayworker.recorded import in_life
from tests.worker.world import event, frames_of

PEER = ("127.0.0.1", 41748)


def head_of(target: str, *headers: str) -> http_head.Request:
    lines = [f"GET {target} HTTP/1.1", "Host: x", *headers, "", ""]
    head = HeadReader(HeadLimits(8192, 32768, 128)).feed("\r\n".join(lines).encode("latin-1"))
    assert isinstance(head, http_head.Request)
    return head


def there(head: http_head.Request) -> Request:
    """As a worker is told of it."""
    return request_of(event(Cmd.WEBSOCKET_CONNECT, flag=0, body=request_body(head, PEER, 7272)))


@pytest.mark.parametrize("target", ["/", "/a%20b?x=1&x=2&y=&z.a=%C3%A9", "http://x/p?a=1", "/?a?b"])
def test_of_a_target(target: str) -> None:
    head = head_of(target)
    assert there(head) == request_here(head, PEER)


@pytest.mark.parametrize(
    "header",
    [
        'Cookie: a=1; b="2"; a=3; =x',
        "User-Agent: caf\xe9",
        "User-Agent: caf\xc3\xa9",
        "Content-Type: text/plain",
        "X-Empty:",
    ],
)
def test_of_a_header(header: str) -> None:
    head = head_of("/", header)
    assert there(head) == request_here(head, PEER)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")))
def test_of_any_value(value: str) -> None:
    head = head_of("/", f"X-Any: {value}")
    assert there(head) == request_here(head, PEER)


def test_of_the_recorded_browser() -> None:
    (told,) = (
        frame
        for data in in_life("gateway", "worker")
        for frame in frames_of(data)
        if frame.cmd == Cmd.WEBSOCKET_CONNECT
    )
    request = request_of(told)
    assert (request.path, request.query) == ("/p", {"token": "abc", "x": "1"})
    assert request.cookies == {"sid": "42"}
    assert request.headers["origin"] == "http://example.com"
    assert str(request.address) == "127.0.0.1:41748"
