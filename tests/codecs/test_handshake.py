import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from pushline.codecs.deflate import negotiate
from pushline.codecs.handshake import (
    Accepted,
    accept,
    is_upgrade,
    origin_allowed,
    response,
    response_101,
)
from pushline.codecs.http_head import HeadLimits, HeadReader, Request
from pushline.errors import HttpError

LIMITS = HeadLimits(line=8 * 1024, head=32 * 1024, headers=128)
# The key and its answer of RFC 6455, section 1.3.
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ANSWER = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
UPGRADE = {
    "Host": "a",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY.decode(),
    "Sec-WebSocket-Version": "13",
}


def request(line: str = "GET / HTTP/1.1", /, **changes: str | None) -> Request:
    """An upgrade with some headers changed, or (None) left out; `a_b` stands for `A-B`."""
    named = {name.replace("_", "-").lower(): value for name, value in changes.items()}
    headers = {name.lower(): value for name, value in UPGRADE.items()} | named
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return read("\r\n".join([line, *lines, "", ""]).encode())


def read(head: bytes) -> Request:
    read = HeadReader(LIMITS).feed(head)
    assert read is not None
    return read


def refusal(refused: Request, origins: list[str] | None = None) -> HttpError:
    with pytest.raises(HttpError) as error:
        accept(refused, origins=origins)
    return error.value


def test_an_upgrade_is_accepted() -> None:
    assert accept(request()) == Accepted(KEY, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connection", "keep-alive, Upgrade"),  # Firefox
        ("connection", "upgrade,keep-alive"),
        ("connection", "close ,\tUPGRADE"),
        ("upgrade", "WebSocket"),
        ("upgrade", "h2c, websocket"),
        ("content_length", "0"),
        ("sec_websocket_key", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("sec_websocket_key", "/////////////////////w=="),
    ],
)
def test_an_upgrade_may_say_it_in_other_words(name: str, value: str) -> None:
    assert accept(request(**{name: value})).subprotocol is None


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("upgrade", None, 400),
        ("upgrade", "h2c", 400),
        ("upgrade", "websockets", 400),
        ("upgrade", "web socket", 400),
        ("connection", None, 400),
        ("connection", "keep-alive", 400),
        ("connection", "Upgraded", 400),
        ("sec_websocket_version", None, 426),
        ("sec_websocket_version", "8", 426),
        ("sec_websocket_version", "013", 426),
        ("sec_websocket_version", "13, 8", 426),
        ("sec_websocket_key", None, 400),
        ("sec_websocket_key", "", 400),
        ("sec_websocket_key", "dGhlIHNhbXBsZSBub25j", 400),  # 15 bytes
        ("sec_websocket_key", "dGhlIHNhbXBsZSBub25jZWU=", 400),  # 17 bytes
        ("sec_websocket_key", "dGhlIHNhbXBsZSBub25jZR==", 400),  # bits after the last byte
        ("sec_websocket_key", "dGhlIHNhbXBsZSBub25jZ_==", 400),
        ("sec_websocket_key", KEY.decode() + "=", 400),
        ("sec_websocket_key", f"{KEY.decode()}, {KEY.decode()}", 400),
        ("content_length", "1", 400),
        ("transfer_encoding", "chunked", 400),
    ],
)
def test_an_upgrade_that_is_wrong_is_refused(name: str, value: str | None, status: int) -> None:
    assert refusal(request(**{name: value})).status == status


def test_a_repeated_key_or_version_is_refused() -> None:
    lines = [f"{name}: {value}" for name, value in UPGRADE.items()]
    for twice, status in ((lines[3], 400), (lines[4], 426)):
        head = "\r\n".join(["GET / HTTP/1.1", *lines, twice, "", ""])
        assert refusal(read(head.encode())).status == status


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "OPTIONS"])
def test_an_upgrade_starts_with_get(method: str) -> None:
    error = refusal(request(f"{method} / HTTP/1.1", content_length="3", upgrade="h2c"))
    assert (error.status, error.headers) == (405, (("Allow", "GET"),))


def test_an_upgrade_starts_with_http_1_1() -> None:
    assert refusal(request("GET / HTTP/1.0")).status == 400


def test_another_version_is_told_which_one_is_spoken() -> None:
    error = refusal(request(sec_websocket_version="8", sec_websocket_key="bad"))
    assert error.headers == (("Sec-WebSocket-Version", "13"),)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"upgrade": None}, True),  # a proxy that does not pass it on
        ({"sec_websocket_key": None}, True),
        ({"upgrade": None, "sec_websocket_key": None}, False),
        ({"upgrade": "h2c", "sec_websocket_key": None}, False),  # curl --http2
    ],
)
def test_an_attempt_to_upgrade_is_told_from_plain_http(
    changes: dict[str, str | None], expected: bool
) -> None:
    assert is_upgrade(request(**changes)) is expected


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (None, None),
        ("", None),
        ("b", "b"),
        ("c, a ,b", "a"),
        ("b,a", "b"),
        ("c, d", None),
        ("A, B", None),
    ],
)
def test_the_first_subprotocol_of_the_client_that_is_spoken_is_chosen(
    offered: str | None, chosen: str | None
) -> None:
    accepted = accept(request(sec_websocket_protocol=offered), ["a", "b"])
    assert accepted.subprotocol == chosen


ALLOWED = [
    "https://good.com",
    "http://localhost:8000",
    "HTTPS://Shop.Example:443",
    "http://[::1]:80",
]


@pytest.mark.parametrize(
    "origin",
    [
        "https://good.com",
        "https://good.com:443",
        "https://GOOD.com",
        "http://localhost:8000",
        "https://shop.example",
        "http://[::1]",
        None,  # no browser
    ],
)
def test_an_origin_that_is_listed_is_allowed(origin: str | None) -> None:
    assert origin_allowed(origin, ALLOWED)
    assert accept(request(origin=origin), origins=ALLOWED).key == KEY


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "good.com",
        "https://evil.com",
        "https://good.com.evil.com",
        "https://evilgood.com",
        "https://good.com:8443",
        "https://good.com:",
        "https://good.com/",
        "https://good.com@evil.com",
        "https://good.com#",
        "https://good.com\\@evil.com",
        "https://good.com https://evil.com",
        "https://good.com, https://evil.com",
        "http://good.com",
        "http://good.com:443",
        "wss://good.com",
        "http://localhost",
        "http://localhost:80000",
    ],
)
def test_any_other_origin_is_forbidden(origin: str) -> None:
    assert not origin_allowed(origin, ALLOWED)
    assert refusal(request(origin=origin), ALLOWED).status == 403


def test_nothing_is_kept_of_origins_that_clients_bring() -> None:
    tracemalloc.start()
    try:
        for number in range(1000):
            assert not origin_allowed(f"https://{'x' * 10_000}.{number}", ALLOWED)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000


def test_no_origin_is_allowed_by_what_is_none_itself() -> None:
    assert not origin_allowed("null", ["null", "", "*"])


def test_every_origin_is_welcome_where_none_is_listed() -> None:
    assert accept(request(origin="null")).key == KEY


def test_the_answer_of_the_rfc() -> None:
    assert response_101(KEY) == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + ANSWER + b"\r\n\r\n"
    )


def test_the_answer_names_what_was_agreed_on() -> None:
    lines = response_101(KEY, "chat", "permessage-deflate").split(b"\r\n")
    assert b"Sec-WebSocket-Protocol: chat" in lines
    assert b"Sec-WebSocket-Extensions: permessage-deflate" in lines


@pytest.mark.parametrize("compression", [False, True])
def test_another_implementation_shakes_hands(compression: bool) -> None:
    extensions = [ClientPerMessageDeflateFactory(client_max_window_bits=True)]
    client = ClientProtocol(
        parse_uri("ws://127.0.0.1:1234/a?b"),
        subprotocols=[Subprotocol("x"), Subprotocol("chat")],
        extensions=extensions if compression else None,
    )
    client.send_request(client.connect())
    [head] = client.data_to_send()
    asked = read(head)
    accepted = accept(asked, ["chat"])
    params = negotiate(asked.header("sec-websocket-extensions"))
    client.receive_data(response_101(*accepted, params and params.answer))
    assert client.state is State.OPEN
    assert client.handshake_exc is None
    assert client.subprotocol == "chat"
    assert len(client.extensions) == compression


def test_a_response_is_whole_and_the_last() -> None:
    assert (
        response(404, "nö".encode())
        == (
            "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "Content-Length: 3\r\nConnection: close\r\n\r\nnö"
        ).encode()
    )


def test_a_response_to_head_has_all_but_the_body() -> None:
    whole = response(200, b"<p>", "text/html", [("X", "1")])
    assert response(200, b"<p>", "text/html", [("X", "1")], head_only=True) == whole[:-3]
    assert b"\r\nContent-Type: text/html\r\n" in whole
    assert b"\r\nX: 1\r\n" in whole


@pytest.mark.parametrize(
    "status", [101, 200, 400, 403, 404, 405, 408, 414, 426, 429, 431, 500, 503, 505]
)
def test_each_status_has_its_phrase(status: int) -> None:
    line = response(status).split(b"\r\n")[0]
    assert line.startswith(f"HTTP/1.1 {status} ".encode())
    assert line[-1:].isalpha()


@given(st.text(), st.sampled_from("\r\n\0"), st.text())
def test_no_header_breaks_out_of_its_line(before: str, middle: str, after: str) -> None:
    value = before + middle + after
    with pytest.raises(ValueError, match="line break"):
        response(200, headers=[("X", value)])
    with pytest.raises(ValueError, match="line break"):
        response(200, headers=[(value, "x")])
    with pytest.raises(ValueError, match="line break"):
        response(200, content_type=value)
    with pytest.raises(ValueError, match="line break"):
        response_101(KEY, value)
    with pytest.raises(ValueError, match="line break"):
        response_101(KEY, None, value)
