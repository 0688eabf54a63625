"""What workers are told, byte for byte as PHP's gateway tells it."""

import base64
import json
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushline.codecs import gateway_events as events
from pushline.codecs.gateway_frames import BINARY, OURS, PLAIN, Cmd, Frame, LinkReader, Place
from pushline.codecs.http_head import HeadLimits, HeadReader, Request
from pushline.codecs.php_serialize import loads
from tests.gatewayworker.recorded import in_calls, in_life

GATEWAY = 0x7F00000108FC
"""127.0.0.1:2300."""
PEER = ("127.0.0.1", 41748)
PORT = 7272
PLACE = events.place_of(GATEWAY, PEER, PORT)
SESSION = b'a:2:{s:4:"hits";i:%d;s:4:"name";s:3:"Ann";}'
UPGRADE = (
    b"GET /p?token=abc&x=1 HTTP/1.1\r\n"
    b"Host: 127.0.0.1:7272\r\n"
    b"Origin: http://example.com\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: YfPa2G3OKW2axMVYYPhW2A==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    b"Cookie: sid=42\r\n"
    b"User-Agent: Python/3.11 websockets/17.4\r\n\r\n"
)
"""Of the browser whose life was recorded."""


def request(head: bytes) -> Request:
    found = HeadReader(HeadLimits(line=8192, head=32768, headers=128)).feed(head)
    assert found is not None
    return found


def get(target: bytes, *fields: bytes) -> Any:
    """What PHP has of a request."""
    lines = [b"GET " + target + b" HTTP/1.1", b"Host: a", *fields, b"", b""]
    return loads(events.request_body(request(b"\r\n".join(lines)), PEER, PORT))


def read(event: bytes) -> Frame:
    (frame,) = LinkReader(1 << 20).feed(event)
    assert isinstance(frame, Frame)
    return frame


# --- the recordings -----------------------------------------------------------------------------


def test_the_life_of_a_client_is_told_as_recorded() -> None:
    body = events.request_body(request(UPGRADE), PEER, PORT)
    once, twice = SESSION % 1, SESSION % 2
    assert in_life("gateway", "worker") == [
        events.connect(PLACE, 1, 0),
        events.websocket_connect(PLACE, 1, 0, body),
        events.message(PLACE, 1, 0, b"", "hi"),
        events.message(PLACE, 1, 0, b"", "session"),
        events.message(PLACE, 1, 0, once, "session"),
        events.message(PLACE, 1, 0, twice, b"\0\1bin"),
        events.close(PLACE, 1, 0, twice),
    ]


def test_the_recorded_ends_are_told_as_recorded() -> None:
    third = events.place_of(GATEWAY, ("127.0.0.1", 0x9DEC), PORT)
    fourth = events.place_of(GATEWAY, ("127.0.0.1", 0x9DFC), PORT)
    assert in_calls("worker", "event") == [
        events.close(third, 3, 0, b""),
        events.close(fourth, 4, 0, b""),
    ]


def test_a_ping_is_a_frame_with_nothing_in_it() -> None:
    assert read(events.PING) == Frame(Cmd.PING, 0, 0, 0, 0, 0, PLAIN, 0, b"", b"")


# --- places -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        (("192.168.1.2", 80), (0xC0A80102, 80)),
        (("0.0.0.0", 0), (0, 0)),
        (("::1", 5000, 0, 0), (0, 5000)),
        (("fe80::1%eth0", 5000, 0, 2), (0, 5000)),
        ("", (0, 0)),
        (None, (0, 0)),
    ],
)
def test_a_place_has_an_ipv4_address_or_none(peer: object, client: tuple[int, int]) -> None:
    expected = Place(0x7F000001, 2300, *client, 7272)
    assert events.place_of(GATEWAY, peer, PORT) == expected


def test_the_highest_of_everything_fits() -> None:
    place = events.place_of(2**48 - 1, ("255.255.255.255", 65535), 65535)
    frame = read(events.message(place, 2**32 - 1, OURS, b"", "hi"))
    assert (frame.local_ip, frame.local_port) == (2**32 - 1, 65535)
    assert (frame.client_ip, frame.client_port, frame.gateway_port) == (2**32 - 1, 65535, 65535)
    assert frame.connection_id == 2**32 - 1


# --- marks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [0, OURS])
def test_every_event_tells_a_worker_of_ours_that_this_is_pushline(mark: int) -> None:
    told = [
        events.connect(PLACE, 1, mark),
        events.websocket_connect(PLACE, 1, mark, b"N;"),
        events.message(PLACE, 1, mark, b"", "hi"),
        events.close(PLACE, 1, mark, b""),
    ]
    assert [read(each).flag & OURS for each in told] == [mark] * 4
    assert [read(each).flag & PLAIN for each in told] == [1, 0, 1, 1]


@pytest.mark.parametrize(
    ("mark", "payload", "body", "flag"),
    [
        (0, "Zoë", "Zoë".encode(), PLAIN),
        (0, b"\xff", b"\xff", PLAIN),
        (0, b"text", b"text", PLAIN),
        (OURS, "Zoë", "Zoë".encode(), PLAIN | OURS),
        (OURS, b"text", b"text", PLAIN | OURS | BINARY),
        (OURS, b"", b"", PLAIN | OURS | BINARY),
    ],
)
def test_only_a_worker_of_ours_is_told_what_was_binary(
    mark: int, payload: str | bytes, body: bytes, flag: int
) -> None:
    frame = read(events.message(PLACE, 7, mark, b"N;", payload))
    assert (frame.body, frame.flag, frame.ext, frame.connection_id) == (body, flag, b"N;", 7)


# --- requests -----------------------------------------------------------------------------------

QUERIES = [
    "",
    "token=abc&x=1",
    "a=1&a=2&b",
    "a=%E9%00&b=1;2&=x&c&d=%zz&e=a+b&g=%C3%A9&f%2Eg=1",
    "a%20b=1&q.r=5&7=x&-1=y&007=z&a[b=3",
    "a=b=c&&&d=&%C3%A9=1&e=%",
]


def test_the_query_is_read_as_php_reads_it() -> None:
    script = (
        "foreach (json_decode($argv[1]) as $query) {parse_str($query, $got);"
        "$of[] = base64_encode(serialize($got));} echo json_encode($of);"
    )
    command = ["php", "-d", "display_errors=stderr", "-r", script, "--", json.dumps(QUERIES)]
    ran = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert ran.stderr == b""
    by_php = [loads(base64.b64decode(each)) for each in json.loads(ran.stdout)]
    ours = [
        get(f"/?{query}".encode(), b"X: 1")["get"] if query else get(b"/")["get"]
        for query in QUERIES
    ]
    assert ours == by_php


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        (b"sid=42", {"sid": "42"}),
        (b"a=1; b=2;c=3", {"a": "1", "b": "2", "c": "3"}),
        (b"a=b=c; d=", {"a": "b=c", "d": ""}),
        (b"a; =b; ; x=1", {"x": "1"}),
        (b"a=1; a=2", {"a": "2"}),
        (b"7=x", {7: "x"}),
        ("n=Zoë".encode(), {"n": "Zoë"}),
        (b"n=\xe9", {"n": b"\xe9"}),
        (b"\xe9=n", {b"\xe9": "n"}),
        (b"n=%C3%A9+", {"n": "%C3%A9+"}),
        (b"", {}),
    ],
)
def test_cookies_are_the_bytes_that_came(header: bytes, cookies: dict[object, object]) -> None:
    assert get(b"/", b"Cookie: " + header)["cookie"] == cookies


def test_a_header_field_with_an_underscore_does_not_pass_for_another() -> None:
    server = get(b"/", b"X-Real-IP: 10.0.0.1", b"X_Real_IP: 6.6.6.6", b"X_Real-IP: 7.7.7.7")[
        "server"
    ]
    assert server["HTTP_X_REAL_IP"] == "10.0.0.1"


def test_header_fields_are_the_bytes_that_came_and_repeated_ones_are_joined() -> None:
    server = get(b"/", b"X-A: Zo\xc3\xab", b"x-b: \xe9", b"X-B: 2", b"Content-Type: \xe9")["server"]
    assert (server["HTTP_X_A"], server["HTTP_X_B"]) == ("Zoë", b"\xe9, 2")
    assert (server["CONTENT_TYPE"], server["SERVER_NAME"]) == (b"\xe9", "a")


def test_there_may_be_no_query_no_cookie_no_host_and_no_peer() -> None:
    body = events.request_body(request(b"GET / HTTP/1.0\r\nX: 1\r\n\r\n"), "", 0)
    value: Any = loads(body)
    assert (value["get"], value["cookie"]) == ({}, {})
    server = value["server"]
    assert (server["QUERY_STRING"], server["REQUEST_URI"], server["SERVER_NAME"]) == ("", "/", None)
    assert (server["REMOTE_ADDR"], server["REMOTE_PORT"], server["SERVER_PORT"]) == ("", 0, 0)
    assert server["SERVER_PROTOCOL"] == "HTTP/1.0"


@given(st.binary(max_size=60), st.lists(st.binary(max_size=20), max_size=4))
def test_any_head_that_is_one_can_be_told(target: bytes, values: list[bytes]) -> None:
    path = b"/?" + bytes(33 + byte % 94 for byte in target)
    fields = [
        name + bytes(byte for byte in value if byte >= 0x20 and byte != 0x7F)
        for name, value in zip(
            [b"Cookie: ", b"X: ", b"Content-Type: ", b"Y: "], values, strict=False
        )
    ]
    assert set(get(path.replace(b"#", b"x"), *fields)) == {"get", "server", "cookie"}
