"""The head of an HTTP/1.x request (RFC 9112), read as it arrives; httptools has the syntax.

Bytes are judged in the order in which they come, each limit at its place, so that a head is taken
or refused in the same way however it was cut up. Nothing after a fault, or over a limit, is
parsed. httptools checks syntax only, and is lenient about the request line: that line, the
version, the Host and the sizes are checked here.
"""

import re
from typing import Final, NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from pushline.errors import HttpError


class HeadLimits(NamedTuple):
    """Bytes of the request line without its end, bytes of the whole head, number of headers."""

    line: int
    head: int
    headers: int


class Request:
    """A request without its body, and what the parser tells while it reads one."""

    __slots__ = ("fields", "method", "target", "version")

    def __init__(self) -> None:
        self.method = self.target = self.version = ""
        self.fields: dict[bytes, bytes] = {}
        """The headers by lower-case name, as bytes; see `header`."""

    def header(self, name: str) -> str | None:
        """A header by its lower-case name; a repeated one is joined (RFC 9110, section 5.3)."""
        value = self.fields.get(name.encode())
        return None if value is None else value.decode("latin-1")

    @property
    def headers(self) -> dict[str, str]:
        """All of them."""
        return {name.decode(): value.decode("latin-1") for name, value in self.fields.items()}

    @property
    def path(self) -> str:
        return self._split()[0]

    @property
    def query(self) -> str:
        """What follows the question mark, as it came."""
        return self._split()[1]

    def set_line(self, line: bytes) -> None:
        """Take the request line, which ends in CR; raises HttpError."""
        match = _REQUEST_LINE.match(line)
        if not match:
            raise HttpError(400, "malformed request line")
        method, target, version = match.groups()
        self.method, self.target, self.version = method.decode(), target.decode(), version.decode()
        if version not in _VERSIONS:
            raise HttpError(505, "HTTP version not supported")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by httptools."""
        name, value = name.lower(), value.strip()
        if name in self.fields:
            value = b"%b, %b" % (self.fields[name], value)
        self.fields[name] = value

    def check_host(self) -> None:
        """Raises HttpError unless there is exactly one, which HTTP/1.0 may leave out."""
        host = self.fields.get(b"host")
        if host is None:
            if self.version != "1.0":
                raise HttpError(400, "no Host")
        elif not _HOST.fullmatch(host):  # two joined ones have a blank between them
            raise HttpError(400, "not exactly one Host")

    def _split(self) -> tuple[str, str]:
        target = _AUTHORITY.sub("", self.target)
        path, _, query = target.partition("?")
        return path or "/", query


_AUTHORITY: Final = re.compile("^[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")
"""The front of a target in absolute form (RFC 9112, section 3.2.2)."""
_REQUEST_LINE: Final = re.compile(rb'([A-Z-]+) ([!"$-~]+) HTTP/([0-9][.][0-9])\r(?:\n|\Z)')
_HOST: Final = re.compile(rb"[\w.~!$&'()*+,;=%:\[\]-]*")
_VERSIONS: Final = (b"1.1", b"1.0")
_LINE_END: Final = b"\r\n"
_HEAD_END: Final = _LINE_END + _LINE_END
_BODY: Final = frozenset((b"content-length", b"transfer-encoding"))
_NOBODY: Final = object()
"""Wants to hear of nothing: the parser then only checks."""
_SHORTEST_HEADER: Final = len(b"a:\r\n")
_LINE_TOO_LONG: Final = (414, "request line too long")
_HEAD_TOO_LARGE: Final = (431, "head too large")


class HeadReader:
    """Reads one head. It is done once it has returned a Request or raised HttpError."""

    __slots__ = ("_limits", "_steps", "rest")

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._steps: _Steps | None = None
        self.rest = b""
        """What followed the head in the chunk that completed it."""

    def feed(self, data: bytes) -> Request | None:
        """The request once its head is whole; raises HttpError at the first fault."""
        if self._steps is None:
            request = self._read_whole(data)
            if request is not None:
                return request
            self._steps = _Steps(self._limits)
        request = self._steps.feed(data)
        self.rest = self._steps.rest
        return request

    def _read_whole(self, data: bytes) -> Request | None:
        """The request, where `data` is all of a head without fault: most are."""
        end = data.find(_HEAD_END) + len(_HEAD_END)
        limits = self._limits
        if not len(_HEAD_END) <= end <= limits.line or end > limits.head:
            return None
        if end > _SHORTEST_HEADER * limits.headers and data.count(b"\n", 0, end) > limits.headers:
            return None
        head = data[: end - len(_LINE_END)]
        request = Request()
        try:
            request.set_line(data)
            HttpRequestParser(_NOBODY).feed_data(head)
        except (HttpError, HttpParserError):
            return None  # read again step by step, for the first fault
        for line in head.split(_LINE_END)[1:-1]:
            name, _, value = line.partition(b":")
            request.on_header(name, value)
        if not _BODY.isdisjoint(request.fields):
            return None  # its headers are judged together, at the end of the head
        request.check_host()
        self.rest = data[end:]
        return request


class _Steps:
    """A head in pieces, or one with a fault: each limit and fault in the order of the bytes."""

    __slots__ = ("_limits", "_line", "_lines", "_parser", "_request", "_seen", "_size", "rest")

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._request = Request()
        self._parser = HttpRequestParser(self._request)
        self._line = b""
        self._lines = 0
        self._size = 0
        self._seen = b""
        self.rest = b""

    def feed(self, data: bytes) -> Request | None:
        if not self._request.version:
            data = self._read_line(data)
        return self._read_headers(data) if data else None

    def _read_line(self, data: bytes) -> bytes:
        """What follows the request line, from its LF on; empty while it is not whole."""
        end = data.find(b"\n")
        piece = data if end < 0 else data[:end]
        self._parse(piece, self._limits.line + len(b"\r"), _LINE_TOO_LONG)
        self._line += piece
        if end < 0:
            return b""
        self._request.set_line(self._line)
        self._seen = b"\r"
        return data[end:]

    def _read_headers(self, data: bytes) -> Request | None:
        seen = self._seen + data
        found = seen.find(_HEAD_END)
        whole = found >= 0
        end = found + len(_HEAD_END) - len(self._seen) if whole else len(data)
        self._count(data[:end], whole)
        self._parse(data[:end], self._limits.head, _HEAD_TOO_LARGE)
        self._seen = seen[1 - len(_HEAD_END) :]
        self.rest = data[end:]
        if not whole:
            return None
        self._request.check_host()
        return self._request

    def _count(self, piece: bytes, whole: bool) -> None:
        """Refuses the line after the last header that may be; what comes before it goes first."""
        room = 1 + self._limits.headers - self._lines  # 1 for the request line
        lines = piece.count(b"\n")
        self._lines += lines
        if lines - whole > room:
            over = piece.split(b"\n", room + 1)[-1]
            self._parse(piece[: len(piece) - len(over)], self._limits.head, _HEAD_TOO_LARGE)
            raise HttpError(431, "too many headers")

    def _parse(self, piece: bytes, limit: int, refusal: tuple[int, str]) -> None:
        """Parses `piece` as far as the limit goes, which counts from the head's first byte."""
        room = limit - self._size
        self._size += len(piece)
        try:
            self._parser.feed_data(piece[:room])
        except HttpParserUpgrade:
            pass  # the head is whole
        except HttpParserError as error:
            raise HttpError(400, f"malformed request: {error}") from None
        if len(piece) > room:
            raise HttpError(*refusal)
