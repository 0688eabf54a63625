"""What is sent to a client: messages, and the reasons for which a connection is closed."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec


class Close(NamedTuple):
    """A WebSocket close code and its reason, under 120 bytes of UTF-8.

    After 3000-3499 a client may reconnect, after 3500-3999 it must not.
    Codes below 3000 are those of RFC 6455, section 7.4.1.
    """

    code: int
    reason: str


NORMAL = Close(1000, "")
PROTOCOL_ERROR = Close(1002, "protocol error")
INVALID_DATA = Close(1007, "invalid UTF-8")
TOO_BIG = Close(1009, "message too big")
ABNORMAL = Close(1006, "connection lost")
"""Never on the wire: the TCP connection ended without a Close frame."""

SHUTDOWN = Close(3001, "shutdown")
SLOW = Close(3008, "slow")
NO_PONG = Close(3012, "no pong")

INVALID_TOKEN = Close(3500, "invalid token")
BAD_REQUEST = Close(3501, "bad request")
NO_LOGIN = Close(3502, "no login in time")
REPLACED = Close(3503, "replaced by a newer connection")
LIMIT = Close(3504, "limit of connections reached")


class Message(msgspec.Struct, eq=False, gc=False):
    """One payload for any number of clients: text (UTF-8) or binary.

    It is encoded at most once for each way of encoding, and then the same bytes object goes to
    every connection.
    """

    data: bytes
    binary: bool = False
    encode: "Encode | None" = None
    """The first way in which it was encoded, nearly always the only one,"""
    frame: bytes = b""
    """and what came out."""
    others: "dict[Encode, bytes] | None" = None

    def encoded(self, encode: "Encode") -> bytes:
        """The bytes on the wire for every connection that has this `encode`."""
        if self.encode is encode:
            return self.frame
        if self.encode is not None:
            return self._encoded_otherwise(encode)
        self.encode = encode
        self.frame = encode(self)
        return self.frame

    def _encoded_otherwise(self, encode: "Encode") -> bytes:
        if self.others is None:
            self.others = {}
        if encode not in self.others:
            self.others[encode] = encode(self)
        return self.others[encode]


Encode = Callable[[Message], bytes]
