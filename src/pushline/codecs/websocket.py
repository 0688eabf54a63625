"""WebSocket frames, the server's side (RFC 6455, section 5): frames out, and bytes in, events out.

Which first bytes a frame may have depends on two things only, whether a message is open and
whether permessage-deflate is on, so it is one set for each state. A frame is judged by its header,
before its payload is waited for: a Decoder never holds more than one frame that is not whole and
the message whose fragments have not all come.
"""

from codecs import utf_8_decode
from collections.abc import Callable, Iterator
from struct import Struct
from typing import Final, Protocol

from pushline.errors import ProtocolError
from pushline.messages import INVALID_DATA, PROTOCOL_ERROR, TOO_BIG, Close, Message

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

NO_CODE: Final = 1005
"""Stands for a Close frame without a code; never on the wire (RFC 6455, section 7.4.1)."""

Event = tuple[int, str | bytes | Close]

_FIN: Final = 0x80
_RSV1: Final = 0x40
_MASKED: Final = 0x80
_LONGEST_SHORT: Final = 125
"""The largest payload that a control frame, or a length of one byte, can have."""
_LONGEST_REASON: Final = _LONGEST_SHORT - 2

_TEXT_WHOLE: Final = _FIN | TEXT
_BINARY_WHOLE: Final = _FIN | BINARY
_CONTROL: Final = frozenset({_FIN | CLOSE, _FIN | PING, _FIN | PONG})
_STARTING: Final = _CONTROL | {_TEXT_WHOLE, _BINARY_WHOLE, TEXT, BINARY}
_STARTING_DEFLATE: Final = _STARTING | {first | _RSV1 for first in _STARTING - _CONTROL}
_CONTINUING: Final = _CONTROL | {_FIN | CONTINUATION, CONTINUATION}
_ENDED: Final[frozenset[int]] = frozenset()

_OPCODES: Final = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
_CLOSE_CODES: Final = frozenset(range(1000, 1015)) - {1004, NO_CODE, 1006} | set(range(3000, 5000))
"""What a peer may send: RFC 6455, section 7.4, with IANA's 1012 to 1014."""

_number: Final = int.from_bytes
_XOR_BLOCK: Final = 16 * 1024
"""Bytes, a multiple of the mask's four. An int of this size and its copies stay in the cache."""

_MEDIUM: Final = Struct("!BBH").pack
_LONG: Final = Struct("!BBQ").pack


def _head(first: int, size: int) -> bytes:
    if size <= _LONGEST_SHORT:
        return bytes((first, size))
    if size < 1 << 16:
        return _MEDIUM(first, 126, size)
    return _LONG(first, 127, size)


_USUAL: Final = 1024
"""Bytes under which nearly every payload stays: the heads of such frames are at hand."""
_TEXT_HEADS: Final = [_head(_TEXT_WHOLE, size) for size in range(_USUAL)]


def frame(opcode: int, payload: bytes, rsv1: bool = False) -> bytes:
    """One final, unmasked frame: what a server sends."""
    return _head(_FIN | _RSV1 | opcode if rsv1 else _FIN | opcode, len(payload)) + payload


def encode(message: Message) -> bytes:
    """The message in one frame, as it is."""
    data = message.data
    size = len(data)
    if size < _USUAL and not message.binary:
        return _TEXT_HEADS[size] + data
    if message.encoded:
        return data
    return frame(BINARY if message.binary else TEXT, data)


def close_frame(close: Close) -> bytes:
    """A Close frame; the reason is cut where a control frame ends, between two characters."""
    if close.code == NO_CODE:
        return frame(CLOSE, b"")
    reason = close.reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
    return frame(CLOSE, close.code.to_bytes(2) + reason.encode())


class Inflation(Protocol):
    """One compressed message on its way."""

    def feed(self, payload: bytes, last: bool) -> bytes:
        """What these bytes inflate to; raises ProtocolError beyond the message limit."""


class Decoder:
    """One peer's frames.

    `limit` is the largest message in bytes, and the largest that a compressed one may have on the
    wire; `inflate` starts a compressed message where permessage-deflate was agreed on.
    """

    __slots__ = ("_expected", "_inflate", "_limit", "_message", "_missing", "_partial", "_room")

    def __init__(self, limit: int, inflate: Callable[[], Inflation] | None = None) -> None:
        self._limit = limit
        self._inflate = inflate
        self._partial: bytearray | None = None
        self._missing = 0
        self._message: _Fragments | None = None
        self._expected = _STARTING_DEFLATE if inflate else _STARTING
        self._room = limit

    @property
    def idle(self) -> bool:
        """Nothing has been begun: a new Decoder would go on as well as this one."""
        return self._partial is None and self._message is None and self._expected is not _ENDED

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that `data` completes; to be exhausted before the next call.

        TEXT comes with a str, BINARY, PING and PONG with bytes, CLOSE with a Close (of code 1005
        where the peer gave none). Raises ProtocolError, whose `close` is the answer, after the
        events that came before the fault. After that, or a CLOSE, nothing more is decoded.
        """
        if self._partial is not None:
            data = self._join(self._partial, data)
        try:
            at, available = 0, len(data)
            while self._expected and at < available:
                start, end = self._header(data, at)
                if end > available:
                    self._partial, self._missing = bytearray(data[at:]), end - available
                    return
                payload = _unmask(data[start - 4 : start], data[start:end])
                first = data[at]
                at = end
                if first == _TEXT_WHOLE:
                    yield TEXT, str(payload, "utf-8")
                elif first == _BINARY_WHOLE:
                    yield BINARY, payload
                elif first in _CONTROL:
                    yield self._control(first, payload)
                else:
                    yield from self._fragment(first, payload)
        except ProtocolError:
            self._end()
            raise
        except UnicodeDecodeError:
            self._end()
            raise ProtocolError(INVALID_DATA) from None

    def _join(self, partial: bytearray, data: bytes) -> bytes:
        """All that is there, or nothing while it cannot be a step further."""
        partial += data
        self._missing -= len(data)
        if self._missing > 0:
            return b""
        self._partial = None
        return bytes(partial)

    def _header(self, data: bytes, at: int) -> tuple[int, int]:
        """Where the payload starts and ends; the end lies beyond `data` while more must come."""
        if len(data) < at + 2:
            return at, at + 2
        first, size = data[at], data[at + 1] - _MASKED
        if first not in self._expected or size < 0:
            raise self._refusal(first, size)
        if size <= _LONGEST_SHORT:
            start = at + 6
        else:
            width = 2 if size == 126 else 8
            start = at + 6 + width
            if first in _CONTROL:
                raise _broken("control frame over 125 bytes")
            if len(data) < start - 4:
                return start, start - 4
            size = _long_size(data[at + 2 : start - 4])
        if size > self._room and first not in _CONTROL:
            raise ProtocolError(TOO_BIG)
        return start, start + size

    def _fragment(self, first: int, payload: bytes) -> Iterator[Event]:
        message = self._message or self._open(first)
        last = first >= _FIN
        message.add(payload, last)
        if last:
            self._await_message()
            yield message.event()
        else:
            self._message = message
            self._expected = _CONTINUING
            self._room -= len(payload)

    def _open(self, first: int) -> "_Fragments":
        inflation = self._inflate() if self._inflate and first & _RSV1 else None
        return _Fragments(first & 0x0F, inflation)

    def _await_message(self) -> None:
        self._message = None
        self._expected = _STARTING_DEFLATE if self._inflate else _STARTING
        self._room = self._limit

    def _control(self, first: int, payload: bytes) -> Event:
        opcode = first & 0x0F
        if opcode != CLOSE:
            return opcode, payload
        self._end()
        return CLOSE, _close(payload)

    def _end(self) -> None:
        self._message = None
        self._expected = _ENDED

    def _refusal(self, first: int, size: int) -> ProtocolError:
        opcode = first & 0x0F
        if size < 0:
            return _broken("frame is not masked")
        if opcode not in _OPCODES:
            return _broken("reserved opcode")
        if opcode >= CLOSE and first < _FIN:
            return _broken("fragmented control frame")
        if opcode == CONTINUATION and self._message is None:
            return _broken("continuation of no message")
        if opcode in (TEXT, BINARY) and self._message is not None:
            return _broken("new message inside another")
        return _broken("reserved bit")


class _Fragments:
    """A message whose fragments have not all come, or are compressed."""

    __slots__ = ("_checked", "_data", "_inflation", "_opcode")

    def __init__(self, opcode: int, inflation: Inflation | None) -> None:
        self._opcode = opcode
        self._inflation = inflation
        self._data = bytearray()
        self._checked = 0

    def add(self, payload: bytes, last: bool) -> None:
        self._data += self._inflation.feed(payload, last) if self._inflation else payload
        if self._opcode == TEXT:
            self._check(last)

    def event(self) -> Event:
        return self._opcode, self._data.decode() if self._opcode == TEXT else bytes(self._data)

    def _check(self, last: bool) -> None:
        """UTF-8 up to here, but for a character that the next fragment may complete."""
        self._checked += utf_8_decode(self._data[self._checked :], "strict", last)[1]


def _unmask(mask: bytes, data: bytes) -> bytes:
    """RFC 6455, section 5.3; one XOR of two numbers takes all bytes of a block together."""
    size = len(data)
    if size > _XOR_BLOCK:
        blocks = range(0, size, _XOR_BLOCK)
        return b"".join([_unmask(mask, data[at : at + _XOR_BLOCK]) for at in blocks])
    key = (mask * (size // 4 + 1))[:size]
    return (_number(data) ^ _number(key)).to_bytes(size)


def _long_size(digits: bytes) -> int:
    """A length of two or eight bytes, which must be the shortest form and under 2**63."""
    size = _number(digits)
    if size <= (_LONGEST_SHORT if len(digits) == 2 else 0xFFFF):
        raise _broken("length not in its shortest form")
    if size >> 63:
        raise _broken("length over 63 bits")
    return size


def _close(payload: bytes) -> Close:
    if not payload:
        return Close(NO_CODE, "")
    code = _number(payload[:2])
    if code not in _CLOSE_CODES:  # nor is what one byte alone makes
        raise _broken("invalid close code")
    return Close(code, str(payload[2:], "utf-8"))


def _broken(reason: str) -> ProtocolError:
    return ProtocolError(Close(PROTOCOL_ERROR.code, reason))
