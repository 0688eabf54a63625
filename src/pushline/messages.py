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
NO_STATUS = Close(1005, "closed")
"""Never on the wire: it has ended, and who knows how has not said so."""
GATEWAY_LOST = Close(1006, "gateway lost")
"""Never on the wire: a worker's link to the gateway that holds the client has ended."""

SHUTDOWN = Close(3001, "shutdown")
SLOW = Close(3008, "slow")
INTERNAL_ERROR = Close(3011, "internal error")
UNDECIDED = Close(3011, "try again")
NO_WORKER = Close(3011, "no worker")
NO_PONG = Close(3012, "no pong")

INVALID_TOKEN = Close(3500, "invalid token")
BAD_REQUEST = Close(3501, "bad request")
NO_LOGIN = Close(3502, "no login in time")
KICKED = Close(3503, "kicked")
REPLACED = Close(3503, "replaced by a newer connection")
LIMIT = Close(3504, "limit of connections reached")


class Message(msgspec.Struct, frozen=True, eq=False, gc=False, array_like=True):
    """One payload for any number of clients: text (UTF-8) or binary.

    One that is `encoded` is a whole frame already, ready for every client; it is `binary` too, so
    that nobody takes it for text.
    """

    data: bytes
    binary: bool = False
    encoded: bool = False


LONGEST_BETWEEN_NODES = 16 << 20
"""Bytes that one node of a cluster sends another at once: Redis disconnects a node for which more
than 32 MiB wait, where nobody has told it otherwise (client-output-buffer-limit)."""


Encode = Callable[[Message], bytes]
"""A client protocol's way to put a message into bytes: the same for all who speak it alike."""


class Frames(dict[Encode, bytes]):
    """A message's bytes on the wire by the way of encoding, each made when it is first needed.

    Every connection that has the same `encode` gets the same bytes object.
    """

    def __init__(self, message: Message) -> None:
        self._message = message

    def __missing__(self, encode: Encode) -> bytes:
        frame = self[encode] = encode(self._message)
        return frame
