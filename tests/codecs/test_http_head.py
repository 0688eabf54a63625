"""The invariant: how a head is cut into chunks never changes the request, nor the refusal."""

import time
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pushline.codecs.http_head import HeadLimits, HeadReader, Request
from pushline.errors import HttpError

LIMITS = HeadLimits(line=8 * 1024, head=32 * 1024, headers=128)

FIREFOX = b"""\
GET /socket?room=1 HTTP/1.1\r
Host: 127.0.0.1:1234\r
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r
Accept: */*\r
Accept-Language: en-US,en;q=0.5\r
Accept-Encoding: gzip, deflate, br, zstd\r
Sec-WebSocket-Version: 13\r
Origin: http://localhost:8000\r
Sec-WebSocket-Extensions: permessage-deflate\r
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
Connection: keep-alive, Upgrade\r
Sec-Fetch-Dest: empty\r
Sec-Fetch-Mode: websocket\r
Sec-Fetch-Site: same-site\r
Pragma: no-cache\r
Cache-Control: no-cache\r
Upgrade: websocket\r
\r
"""
MINIMAL = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def headers(number: int) -> bytes:
    """A head with as many header lines."""
    return b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * (number - 1) + b"\r\n"


def line(size: int) -> bytes:
    """A request line of as many bytes, and its end."""
    return b"GET /" + b"a" * (size - 14) + b" HTTP/1.1\r\n"


def head(size: int) -> bytes:
    """A head of as many bytes."""
    return MINIMAL[:-2] + b"X: " + b"a" * (size - len(MINIMAL) - 5) + b"\r\n\r\n"


GOOD = {
    "minimal": MINIMAL,
    "Firefox": FIREFOX,
    "Upgrade": MINIMAL[:-2] + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "CONNECT": b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
    "HTTP/1.0 without a Host": b"GET / HTTP/1.0\r\n\r\n",
    "HTTP/1.0 with a Host": b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
    "Connection: close": MINIMAL[:-2] + b"Connection: close\r\n\r\n",
    "a body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    "a chunked body": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "an IPv6 Host": b"GET / HTTP/1.1\r\nHost: [::1]:1234\r\n\r\n",
    "an empty Host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "128 headers": headers(128),
    "a request line of the limit": line(LIMITS.line) + b"Host: a\r\n\r\n",
    "a head of the limit": head(LIMITS.head),
}

# Each ends with the byte that must be refused: no head here is ever whole.
BAD = {
    "bare LF after the request line": (b"GET / HTTP/1.1\n", 400),
    "bare LF after a header": (b"GET / HTTP/1.1\r\nHost: a\n", 400),
    "bare LF as the end of the head": (b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    "bare CR in a header": (b"GET / HTTP/1.1\r\nHost: a\rX", 400),
    "bare CR in the request line": (b"GET /\r ", 400),
    "CR as the end of the head": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\r", 400),
    "obs-fold with a space": (b"GET / HTTP/1.1\r\nHost: a\r\n ", 400),
    "obs-fold with a tab": (b"GET / HTTP/1.1\r\nHost: a\r\n\t", 400),
    "a space before the first header": (b"GET / HTTP/1.1\r\n ", 400),
    "a space before the colon": (b"GET / HTTP/1.1\r\nHost ", 400),
    "a tab before the colon": (b"GET / HTTP/1.1\r\nHost\t", 400),
    "a header without a colon": (b"GET / HTTP/1.1\r\nHost\r", 400),
    "a header without a name": (b"GET / HTTP/1.1\r\n:", 400),
    "a name beyond ASCII": (b"GET / HTTP/1.1\r\nH\xf6", 400),
    "NUL in a value": (b"GET / HTTP/1.1\r\nHost: a\0", 400),
    "NUL in a name": (b"GET / HTTP/1.1\r\nHo\0", 400),
    "NUL in the target": (b"GET /\0", 400),
    "a control character in a value": (b"GET / HTTP/1.1\r\nHost: a\x01", 400),
    "a line end before the head": (b"\r\n", 400),
    "LF before the head": (b"\n", 400),
    "two spaces before the target": (b"GET  / HTTP/1.1\r\n", 400),
    "a space in the target": (b"GET /a b", 400),
    "a target beyond ASCII": (b"GET /\xc3", 400),
    "a fragment in the target": (b"GET /#a HTTP/1.1\r\n", 400),
    "an unknown method": (b"FE", 400),
    "a method in lower case": (b"g", 400),
    "TLS": (b"\x16", 400),
    "HTTP/0.9": (b"GET /\r\n", 400),
    "HTTP/0.9 by name": (b"GET / HTTP/0.9\r\n", 505),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\n", 505),
    "HTTP/2's preface": (b"PRI * HTTP/2.0\r\n", 505),
    "HTTP/1.2": (b"GET / HTTP/1.2", 400),
    "RTSP": (b"DESCRIBE / RTSP/1.0\r\n", 400),
    "two Content-Lengths": (MINIMAL[:-2] + b"Content-Length: 1\r\nContent-Length: 1", 400),
    "a Content-Length of two numbers": (MINIMAL[:-2] + b"Content-Length: 1,", 400),
    "a Content-Length with a sign": (MINIMAL[:-2] + b"Content-Length: +", 400),
    "a Content-Length without end": (MINIMAL[:-2] + b"Content-Length: " + b"9" * 20, 400),
    "Content-Length, then Transfer-Encoding": (
        MINIMAL[:-2] + b"Content-Length: 1\r\nTransfer-Encoding:",
        400,
    ),
    "Transfer-Encoding, then Content-Length": (
        MINIMAL[:-2] + b"Transfer-Encoding: chunked\r\nContent-Length:",
        400,
    ),
    "a Transfer-Encoding that ends elsewhere": (
        MINIMAL[:-2] + b"Transfer-Encoding: chunked,",
        400,
    ),
    "no Host": (b"GET / HTTP/1.1\r\nX: 1\r\n\r\n", 400),
    "no header": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "two Hosts in HTTP/1.0": (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "a Host that is none": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "a Host with a path": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "a request line over the limit": (line(LIMITS.line + 1)[:-1], 414),
    "a target without end": (b"GET /" + b"a" * (LIMITS.line - 3), 414),
    "a head over the limit": (head(LIMITS.head + 2)[: LIMITS.head + 1], 431),
    "129 headers": (headers(129)[:-2], 431),
}


class Parts(NamedTuple):
    method: str
    target: str
    version: str
    headers: dict[str, str]


class Outcome(NamedTuple):
    request: Parts | None
    status: int
    rest: bytes
    """What was behind the head: the rest, and the chunks that were not fed."""


def outcome(chunks: list[bytes], limits: HeadLimits = LIMITS) -> Outcome:
    reader = HeadReader(limits)
    for index, chunk in enumerate(chunks, 1):
        try:
            request = reader.feed(chunk)
        except HttpError as error:
            return Outcome(None, error.status, b"")
        if request is not None:
            parts = Parts(request.method, request.target, request.version, request.headers)
            return Outcome(parts, 0, reader.rest + b"".join(chunks[index:]))
    return Outcome(None, 0, b"")


def single(data: bytes) -> list[bytes]:
    return [bytes((byte,)) for byte in data]


good = pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
bad = pytest.mark.parametrize(("data", "status"), BAD.values(), ids=BAD)


@good
def test_a_head_is_read_whole_and_byte_by_byte(data: bytes) -> None:
    whole = outcome([data])
    assert whole.request is not None
    assert outcome(single(data)) == whole
    assert outcome([b"", data[:9], b"", data[9:]]) == whole


@good
def test_nothing_is_read_before_the_end_of_the_head(data: bytes) -> None:
    assert outcome([data[:-1]]) == Outcome(None, 0, b"")


@good
@pytest.mark.parametrize("more", [b"\r\n\r\n", b"\x81\x85", b"\n \0", MINIMAL, b"x" * 100_000])
def test_what_follows_the_head_is_left_as_it_is(data: bytes, more: bytes) -> None:
    alone = outcome([data])
    assert outcome([data + more]) == alone._replace(rest=more)
    assert outcome([data[:20], data[20:] + more]) == alone._replace(rest=more)


@bad
def test_a_bad_head_is_refused_at_its_fault_whole_and_byte_by_byte(
    data: bytes, status: int
) -> None:
    assert outcome([data]).status == status
    assert outcome(single(data)).status == status


@bad
def test_a_bad_head_is_not_refused_before_its_fault(data: bytes, status: int) -> None:
    assert status
    assert outcome([data[:-1]]) == Outcome(None, 0, b"")


@bad
def test_what_follows_a_fault_changes_nothing(data: bytes, status: int) -> None:
    for more in (MINIMAL, b"\n\n", b"\r\n\r\n", b"\0" * 40_000):
        assert outcome([data + more]).status == status


SAMPLES = sorted([*GOOD.values(), *(data for data, _ in BAD.values())])
PIECES = [
    b"GET ",
    b"/",
    b" HTTP/1.1",
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\0",
    b"Host: a",
    b"X:1",
    b"\r\n",
]


@given(
    st.sampled_from(SAMPLES) | st.lists(st.sampled_from(PIECES)).map(b"".join),
    st.lists(st.integers(0, LIMITS.head + 100), max_size=20),
)
@example(b"GET / HTTP/1.1\r\n" + b"X:1\r\n" * 8 + b"\0", [])
def test_cutting_a_head_elsewhere_changes_nothing(data: bytes, places: list[int]) -> None:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    chunks = [data[start:end] for start, end in pairwise(edges)]
    for limits in (LIMITS, HeadLimits(line=20, head=60, headers=5)):
        whole = outcome([data], limits)
        assert outcome(chunks, limits) == whole
        assert outcome(single(data), limits) == whole


def test_the_first_of_two_faults_is_the_answer_however_cut() -> None:
    limits = HeadLimits(line=100, head=1000, headers=3)
    for data, status in {
        headers(3)[:-2] + b"\0" + b"X: 1\r\n" * 9: 400,
        headers(4)[:-2] + b"Y: 1\r\n\0": 431,
        b"GET /" + b"a" * 100 + b"\0": 414,
        b"GET /\0" + b"a" * 100: 400,
    }.items():
        assert outcome([data], limits).status == status
        assert outcome(single(data), limits).status == status


def test_a_head_that_comes_whole_is_held_to_each_limit() -> None:
    for limits, status in {
        HeadLimits(line=len(b"GET / HTTP/1.1"), head=len(MINIMAL), headers=1): 0,
        HeadLimits(line=len(b"GET / HTTP/1.1") - 1, head=99, headers=9): 414,
        HeadLimits(line=99, head=len(MINIMAL) - 1, headers=9): 431,
        HeadLimits(line=99, head=99, headers=0): 431,
    }.items():
        assert outcome([MINIMAL], limits).status == status
        assert outcome(single(MINIMAL), limits).status == status


def read(data: bytes) -> Request:
    request = HeadReader(LIMITS).feed(data)
    assert request is not None
    return request


def test_a_request_has_its_parts() -> None:
    request = read(FIREFOX)
    assert (request.method, request.version) == ("GET", "1.1")
    assert (request.target, request.path, request.query) == ("/socket?room=1", "/socket", "room=1")
    assert request.header("connection") == "keep-alive, Upgrade"
    assert request.header("authorization") is None


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/a?b?c", "/a", "b?c"),
        ("/?", "/", ""),
        ("//a/b", "//a/b", ""),
        ("/a:b//c", "/a:b//c", ""),
        ("http://a.example:80/b/c?d=http://e/f", "/b/c", "d=http://e/f"),
        ("http://a.example", "/", ""),
        ("http://a.example?b", "/", "b"),
        ("*", "*", ""),
    ],
)
def test_a_target_has_a_path_and_a_query(target: str, path: str, query: str) -> None:
    request = read(f"OPTIONS {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert (request.target, request.path, request.query) == (target, path, query)


def test_header_values_come_without_the_space_around_them() -> None:
    request = read(MINIMAL[:-2] + b"A:b\r\nC: \t d e \t \r\nF:\r\nG: \xe4\xa0\r\n\r\n")
    assert [request.header(name) for name in "acfg"] == ["b", "d e", "", "ä\xa0"]


def test_repeated_headers_are_joined() -> None:
    request = read(MINIMAL[:-2] + b"A: 1\r\nB: 2\r\na: 3\r\nA: 4\r\n\r\n")
    assert request.header("a") == "1, 3, 4"


def test_a_refusal_says_why() -> None:
    with pytest.raises(HttpError, match="no Host"):
        HeadReader(LIMITS).feed(b"GET / HTTP/1.1\r\n\r\n")


def test_a_head_that_comes_in_single_bytes_takes_linear_time() -> None:
    data = single(head(LIMITS.head))
    start = time.process_time()
    assert outcome(data).request is not None
    assert time.process_time() - start < 1  # read again at each byte it is 512 MB to parse
