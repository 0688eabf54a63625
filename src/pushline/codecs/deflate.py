"""permessage-deflate, the server's side (RFC 7692), without context takeover in either direction.

Without a context a compressed message depends on the window size alone, so that one encoder for
each size serves every connection, and a broadcast is compressed once.
"""

import zlib
from functools import partial
from typing import Final, NamedTuple

from pushline.codecs.websocket import BINARY, TEXT, encode, frame
from pushline.errors import ProtocolError
from pushline.messages import TOO_BIG, Close, Encode, Message

EXTENSION: Final = "permessage-deflate"
INVALID_DEFLATE: Final = Close(1007, "invalid compressed data")

_FLUSHED: Final = b"\x00\x00\xff\xff"
"""What a sync flush ends in, which is not sent (RFC 7692, section 7.2.1)."""
_FINAL_BLOCK: Final = b"\x03\x00"
"""An empty last block: fed after the message, it shows whether that ended between two blocks."""
_AFTER_FINAL: Final = b"\x00" + _FLUSHED + _FINAL_BLOCK
"""What is left over where the peer itself ended in a last block (RFC 7692, section 7.2.3.4)."""


class Params(NamedTuple):
    """What was agreed on: the extension's part of the 101 answer, and how to encode for it."""

    answer: str
    encode: Encode


def negotiate(extensions: str | None) -> Params | None:
    """The first of the offers in a Sec-WebSocket-Extensions header that we can take.

    What is malformed or unknown is declined, never an error (RFC 7692, section 7).
    """
    offers = map(_offered, extensions.split(",") if extensions else ())
    return next((params for params in offers if params), None)


class Inflate:
    """Starts the inflation of a message to at most `limit` bytes; has no state of its own."""

    __slots__ = ("_limit",)

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def __call__(self) -> "_Inflation":
        return _Inflation(self._limit)


class _Inflation:
    """One message. A window of 2**15 bytes inflates what was deflated with any smaller one."""

    __slots__ = ("_room", "_stream")

    def __init__(self, limit: int) -> None:
        self._room = limit
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)

    def feed(self, payload: bytes, last: bool) -> bytes:
        """What these bytes inflate to; raises ProtocolError with 1009 over the limit, or 1007."""
        if last:
            payload += _FLUSHED + _FINAL_BLOCK
        try:
            data = self._stream.decompress(payload, self._room + 1)
        except zlib.error:
            raise ProtocolError(INVALID_DEFLATE) from None
        self._room -= len(data)
        if self._room < 0:
            raise ProtocolError(TOO_BIG)
        self._check_end(last)
        return data

    def _check_end(self, last: bool) -> None:
        left = self._stream.unused_data
        whole = self._stream.eof and left in (b"", _AFTER_FINAL)
        if not (whole if last else _AFTER_FINAL.startswith(left)):
            raise ProtocolError(INVALID_DEFLATE)


def _deflated(bits: int, message: Message) -> bytes:
    """One compressed frame, or the plain one where that is no longer."""
    if message.encoded:
        return message.data
    stream = zlib.compressobj(wbits=-bits)
    data = stream.compress(message.data) + stream.flush(zlib.Z_SYNC_FLUSH)
    data = data.removesuffix(_FLUSHED)
    if len(data) >= len(message.data):
        return encode(message)
    return frame(BINARY if message.binary else TEXT, data, rsv1=True)


_BITS: Final = {str(bits) for bits in range(8, 16)}
_VALUES: Final[dict[str, set[str] | set[None] | set[str | None]]] = {
    "server_no_context_takeover": {None},
    "client_no_context_takeover": {None},
    "server_max_window_bits": _BITS,
    "client_max_window_bits": {None, *_BITS},
}
"""The parameters of an offer and what each may be; None is to have no value (section 7.1)."""

_ANSWER: Final = f"{EXTENSION}; server_no_context_takeover; client_no_context_takeover"
_ENCODERS: Final = {bits: partial(_deflated, bits) for bits in range(9, 16)}
_PARAMS: Final[dict[str | None, Params]] = {
    None: Params(_ANSWER, _ENCODERS[zlib.MAX_WBITS]),
    **{
        str(bits): Params(f"{_ANSWER}; server_max_window_bits={bits}", encoder)
        for bits, encoder in _ENCODERS.items()
    },
}
"""By the window that the client asks of us. zlib has none of 2**8 bytes for raw deflate, so that
an offer with it is declined (section 7.1.2.1)."""


def _offered(offer: str) -> Params | None:
    name, *parameters = (part.strip(" \t") for part in offer.split(";"))
    pairs = [_parameter(text) for text in parameters]
    values = dict(pairs)
    valid = all(value in _VALUES.get(key, ()) for key, value in pairs)
    if name != EXTENSION or not valid or len(values) < len(pairs):
        return None
    return _PARAMS.get(values.get("server_max_window_bits"))


def _parameter(text: str) -> tuple[str, str | None]:
    """Its name and value, which may stand in quotes (RFC 6455, section 9.1)."""
    name, equals, value = text.partition("=")
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return name, value if equals else None
