"""The opening handshake of WebSocket (RFC 6455, section 4.2), and answers in plain HTTP/1.1."""

import re
from binascii import b2a_base64
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from hashlib import sha1
from http import HTTPStatus
from typing import Final, NamedTuple

from pushline.codecs.http_head import Request
from pushline.errors import HttpError

VERSION: Final = b"13"
TEXT_PLAIN: Final = "text/plain; charset=utf-8"

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY: Final = re.compile(b"[A-Za-z0-9+/]{21}[AQgw]==")
"""Base64 of exactly 16 bytes: the last character has four bits that are zero."""
_ORIGIN: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[^\s/?#@:\[\]]+)(?::([0-9]+))?"
)
_SWITCHING: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
)
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_BREAKS: Final = re.compile("[\r\n\0]")


Fields = Mapping[bytes, bytes]


class Accepted(NamedTuple):
    """What the 101 answer is made of."""

    key: bytes
    subprotocol: str | None


def is_upgrade(request: Request) -> bool:
    """Whether it tries to become a WebSocket, well or badly; else it is plain HTTP."""
    fields = request.fields
    return b"sec-websocket-key" in fields or _lists(fields, b"upgrade", b"websocket")


def accept(
    request: Request,
    subprotocols: Sequence[str] = (),
    origins: Collection[str] | None = None,
) -> Accepted:
    """Checks an upgrade; raises HttpError with 405, 400, 426 or 403.

    The sub-protocol is the first of the client's that is in `subprotocols`, or none. With
    `origins` given, a page from any other origin is refused.
    """
    _check_upgrade(request)
    key = _check_key(request.fields)
    _check_body(request.fields)
    if origins is not None and not origin_allowed(request.header("origin"), origins):
        raise HttpError(403, "origin not allowed")
    return Accepted(key, _choose(request, subprotocols))


def origin_allowed(origin: str | None, allowed: Collection[str]) -> bool:
    """Whether scheme, host and port are those of one of `allowed`.

    True without an Origin: every browser sends one, and whoever else could send any.
    """
    if origin is None:
        return True
    wanted = _normal_origin(origin)
    return wanted is not None and any(_configured(each) == wanted for each in allowed)


def response_101(
    key: bytes, subprotocol: str | None = None, extensions: str | None = None
) -> bytes:
    """The answer that makes the connection a WebSocket (RFC 6455, section 4.2.2)."""
    digest = b2a_base64(sha1(key + _GUID).digest())  # noqa: S324 - it hides nothing
    answer = b"%b%b" % (_SWITCHING, digest[:-1])
    if subprotocol is not None:
        answer += _line("Sec-WebSocket-Protocol", subprotocol)
    if extensions is not None:
        answer += _line("Sec-WebSocket-Extensions", extensions)
    return answer + b"\r\n\r\n"


def response(
    status: int,
    body: bytes = b"",
    content_type: str = TEXT_PLAIN,
    headers: Iterable[tuple[str, str]] = (),
    head_only: bool = False,
) -> bytes:
    """A whole answer, the last on its connection; `head_only` answers a HEAD.

    Raises ValueError for a header that would break out of its line.
    """
    answer = head(
        status,
        [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            *headers,
        ],
    )
    return answer if head_only else answer + body


def head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """The head of an answer. Raises ValueError for a header that would break out of its line."""
    lines = [_line(name, value) for name, value in headers]
    return b"".join([_status_line(status), *lines, b"\r\n\r\n"])


def _lists(fields: Fields, name: bytes, token: bytes) -> bool:
    """Whether a header's list of tokens, whose case means nothing, has this one."""
    value = fields.get(name, b"").lower()
    return value == token or token in [each.strip(b" \t") for each in value.split(b",")]


def _check_upgrade(request: Request) -> None:
    fields = request.fields
    if request.method != "GET":
        raise HttpError(405, "a WebSocket starts with GET", (("Allow", "GET"),))
    if request.version != "1.1":
        raise HttpError(400, "a WebSocket starts with HTTP/1.1")
    if not _lists(fields, b"upgrade", b"websocket"):
        raise HttpError(400, "Upgrade is not websocket")
    if not _lists(fields, b"connection", b"upgrade"):
        raise HttpError(400, "Connection is not upgrade")
    if fields.get(b"sec-websocket-version") != VERSION:
        raise HttpError(426, "unknown version", (("Sec-WebSocket-Version", VERSION.decode()),))


def _check_key(fields: Fields) -> bytes:
    key = fields.get(b"sec-websocket-key", b"")
    if not _KEY.fullmatch(key):
        raise HttpError(400, "Sec-WebSocket-Key is not one key of 16 bytes")
    return key


def _check_body(fields: Fields) -> None:
    if fields.get(b"content-length", b"0") != b"0" or fields.get(b"transfer-encoding"):
        raise HttpError(400, "an upgrade has no body")


def _choose(request: Request, subprotocols: Sequence[str]) -> str | None:
    offered = request.header("sec-websocket-protocol")
    if offered is None:
        return None
    names = (name.strip(" \t") for name in offered.split(","))
    return next((name for name in names if name in subprotocols), None)


def _normal_origin(origin: str) -> tuple[str, str, str] | None:
    """Scheme, host and port (RFC 6454); None for `null` and what is no origin."""
    match = _ORIGIN.fullmatch(origin.lower())
    if match is None:
        return None
    scheme, host, port = match.groups()
    return scheme, host, port or _DEFAULT_PORTS.get(scheme, "")


_configured = lru_cache(maxsize=1024)(_normal_origin)
"""The same; never for what a client says, which would be kept."""


def _line(name: str, value: str) -> bytes:
    """A header with the line end before it."""
    field = f"{name}: {value}"
    if _BREAKS.search(field):
        raise ValueError("a header holds a line break or NUL")
    return b"\r\n" + field.encode("latin-1")


@cache
def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()
