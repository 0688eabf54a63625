"""The codecs to fuzz: one line for each."""

import zlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from pushline.codecs.deflate import Inflate, negotiate
from pushline.codecs.handshake import accept, response_101
from pushline.codecs.http_head import HeadLimits, HeadReader
from pushline.codecs.lines import LineReader
from pushline.codecs.websocket import Decoder

Feed = Callable[[bytes], Iterable[object]]


class Target(NamedTuple):
    """`start` gives a fresh codec's `feed`; `memory` is the most that it may take, in bytes."""

    name: str
    start: Callable[[], Feed]
    seeds: tuple[bytes, ...]
    memory: int


HEAD_LIMITS = HeadLimits(line=60, head=400, headers=10)


def handshake() -> Feed:
    """A head, and the answer to its upgrade."""
    reader = HeadReader(HEAD_LIMITS)
    answers: list[bytes] = []

    def feed(data: bytes) -> list[object]:
        request = None if answers else reader.feed(data)
        if request is None:
            return []
        accepted = accept(request, ["chat"], ["http://a", "https://b:1"])
        params = negotiate(request.header("sec-websocket-extensions"))
        answers.append(response_101(*accepted, params and params.answer))
        return [
            request.method,
            request.target,
            request.version,
            request.headers,
            request.path,
            request.query,
            *answers,
        ]

    return feed


HEADS = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a?b HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Origin: http://a\r\nSec-WebSocket-Protocol: chat\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n\r\n",
    b"X: xxxxxxxxxxxxxxxxxxxxxx\r\n",
    b"GET / HTTP/1.1\r\n",
    b"POST http://a/ HTTP/1.0\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)
# Masked with zeros.
FRAMES = (
    b"\x81\x85\0\0\0\0hello",
    b"\x01\x82\0\0\0\0\xe2\x82\x00\x80\0\0\0\0\x80\x81\0\0\0\0\xac",
    b"\x82\xfe\x00\x7e\0\0\0\0" + b"x" * 126,
    b"\x82\xff" + (1 << 16).to_bytes(8) + bytes(4),
    b"\x02\x80\0\0\0\0",
    b"\x00\x8a\0\0\0\0xxxxxxxxxx",
    b"\x89\x80\0\0\0\0\x8a\x81\0\0\0\0x\x88\x85\0\0\0\0\x03\xe8bye",
)
BOMB = zlib.compress(bytes(1 << 20), wbits=-15)
DEFLATED = (
    b"\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\0",
    b"\x41\x83\0\0\0\0\xf3\x48\xcd\x80\x85\0\0\0\0\xc9\xc9\x07\0\0",
    b"\xc2\x8b\0\0\0\0\0\x05\0\xfa\xffHello\0",
    b"\x42\xfe" + len(BOMB).to_bytes(2) + bytes(4) + BOMB,
)

TARGETS = (
    Target("websocket", lambda: Decoder(200).feed, FRAMES, 8_000),
    Target("deflate", lambda: Decoder(2_000, Inflate(2_000)).feed, FRAMES + DEFLATED, 100_000),
    Target("handshake", handshake, HEADS, 16_000),
    Target("lines", lambda: LineReader(50).feed, (b'{"uid":"uid1"}\r\n\n', b"x" * 50), 8_000),
)
