"""Frames and answers of GatewayWorker's inner port (its GatewayProtocol). Sans-I/O.

A frame is a head of 28 bytes, big-endian, then `ext` and `body`. An answer is the length of its
payload, then the payload, which is PHP-serialized: it has no head. What comes from a gateway to a
worker is both, mixed, and told apart by the byte behind the length: a command number there is none
of the letters that serialized data begins with.

A length is judged as soon as it is there: a reader never holds more than one frame or answer that
is not whole, and only its head where that is wrong.
"""

from collections.abc import Iterator
from enum import IntEnum
from string import ascii_letters
from struct import Struct
from typing import Final, NamedTuple

import msgspec

from pushline.errors import BadFrameError, UnsupportedError

HEAD: Final = 28
"""Bytes of a frame's head."""
LARGEST: Final = 10 << 20
"""Bytes of the largest frame that gateways take: PHP's, and ours by default."""
LENGTH: Final = 4
"""Bytes of its length, and of an answer's."""

PLAIN: Final = 0x01
"""Flag: the body is a plain string, else it is PHP-serialized."""
ENCODED: Final = 0x02
"""Flag: the body is encoded for the client's protocol already: write it as it is."""
BINARY: Final = 0x04
"""Flag, ours: the plain body is a binary message. PHP ignores it."""
WHOLE_LISTS: Final = 0x08
"""Flag, ours, of UPDATE_SESSION: a list replaces what is there instead of being merged by index."""
OURS: Final = 0x08
"""Flag, ours, of events: this gateway is Pushline's, which takes PAUSE, RESUME and LEAVE."""


class Cmd(IntEnum):
    """What a frame's `cmd` is, by our names for it. A frame may have a number that is none."""

    CONNECT = 1
    MESSAGE = 3
    CLOSE = 4
    SEND_TO_ONE = 5
    SEND_TO_ALL = 6
    KICK = 7
    DESTROY = 8
    UPDATE_SESSION = 9
    ALL_SESSIONS = 10
    IS_ONLINE = 11
    BIND_UID = 12
    UNBIND_UID = 13
    SEND_TO_UID = 14
    CLIENTS_OF_UID = 15
    CLIENTS_OF_UIDS = 16
    JOIN_GROUP = 20
    LEAVE_GROUP = 21
    SEND_TO_GROUP = 22
    SESSIONS_OF_GROUP = 23
    COUNT_OF_GROUP = 24
    SELECT = 25
    GROUP_NAMES = 26
    UNGROUP = 27
    COUNTS_OF_GROUPS = 28
    WORKER_CONNECT = 200
    PING = 201
    CLIENT_CONNECT = 202
    GET_SESSION = 203
    SET_SESSION = 204
    WEBSOCKET_CONNECT = 205
    PAUSE = 230
    """Ours, between Pushline and Pushline only: stop reading this client, until RESUME."""
    RESUME = 231
    HANDED_OVER = 232
    """Ours, an event: another process has this worker's clients. Answers still come."""
    LEAVE = 233
    """Ours: give this worker's clients to others, as it stops. HANDED_OVER is the answer, and who
    has them then waits for the end of the link."""


_EVENTS: Final = frozenset(
    {
        *(Cmd.CONNECT, Cmd.MESSAGE, Cmd.CLOSE, Cmd.PING, Cmd.WEBSOCKET_CONNECT),
        Cmd.HANDED_OVER,
    }
)
_LETTERS: Final = frozenset(ascii_letters.encode())
"""What serialized data begins with. That of an object is among them: it is an answer like others,
which whoever decodes it refuses, and the link goes on."""


def begins_serialized(data: bytes) -> bool:
    """Whether serialized data may begin so."""
    return bool(data) and data[0] in _LETTERS


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame: addresses are numbers, as on the wire, and zero in most commands."""

    cmd: int
    local_ip: int
    local_port: int
    client_ip: int
    client_port: int
    connection_id: int
    flag: int
    gateway_port: int
    ext: bytes
    body: bytes


class Place(NamedTuple):
    """The addresses that stand in the head of an event: of the gateway's inner port (`local`), of
    the client, and the public port that it came to. With the connection_id, the first two are the
    client_id."""

    local_ip: int
    local_port: int
    client_ip: int
    client_port: int
    gateway_port: int


_unpack: Final = Struct("!IBIHIHIBHI").unpack_from
_pack: Final = Struct("!IBIHIHIBHI").pack
_pack_command: Final = Struct("!IB12xIB2xI").pack
_number: Final = int.from_bytes


def encode(
    cmd: int, *, connection_id: int = 0, flag: int = PLAIN, ext: bytes = b"", body: bytes = b""
) -> bytes:
    """The frame of a command, whose addresses are zero. Raises UnsupportedError above LARGEST."""
    ext_size = len(ext)
    size = HEAD + ext_size + len(body)
    if size > LARGEST:
        raise UnsupportedError(
            f"a frame of {size:,} bytes: GatewayWorker's gateways take {LARGEST:,} at most, "
            "and end the connection at a longer one"
        )
    return _pack_command(size, cmd, connection_id, flag, ext_size) + ext + body


def encode_event(
    cmd: int,
    where: Place,
    connection_id: int,
    *,
    flag: int = PLAIN,
    ext: bytes = b"",
    body: bytes = b"",
) -> bytes:
    """The frame of an event of the connection that is at `where`."""
    local_ip, local_port, client_ip, client_port, gateway_port = where
    size = len(ext)
    head = _pack(
        *(HEAD + size + len(body), cmd, local_ip, local_port, client_ip, client_port),
        *(connection_id, flag, gateway_port, size),
    )
    return head + ext + body


def encode_answer(payload: bytes) -> bytes:
    """An answer; `payload` is PHP-serialized, which is never empty."""
    return len(payload).to_bytes(LENGTH) + payload


class _Reader:
    """What is not whole yet, and how much of it has to come before it is looked at again."""

    __slots__ = ("_ended", "_limit", "_needed", "_partial")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._partial: bytearray | None = None
        self._needed = 0
        self._ended = False

    def _join(self, data: bytes) -> bytes:
        """What has come so far, or nothing while that is too little; and nothing after a fault."""
        if self._partial is None:
            return b"" if self._ended else data
        self._partial += data
        if len(self._partial) < self._needed:
            return b""
        joined = bytes(self._partial)
        self._partial = None
        return joined

    def _keep(self, data: bytes, at: int) -> None:
        """Hold the rest, which is not whole."""
        if at < len(data):
            rest = data[at : at + HEAD]
            self._needed = LENGTH if len(rest) < LENGTH else self._judge(rest)
            self._partial = bytearray(data if at == 0 else data[at:])

    def _judge(self, head: bytes) -> int:
        """How many bytes it takes to see more than the first four to 28, which are `head`."""
        raise NotImplementedError

    def _fault(self, kind: str, why: str) -> BadFrameError:
        self._ended = True
        self._partial = None
        return BadFrameError(kind, why)

    def _check_frame(self, head: bytes) -> int:
        size = _number(head[:LENGTH])
        if size < HEAD:
            raise self._fault("length", f"a frame of {size} bytes: shorter than its head")
        if size > self._limit:
            raise self._fault("length", f"a frame of {size} bytes: over the limit")
        if len(head) < HEAD:
            return HEAD
        ext = _number(head[HEAD - 4 :])
        if ext > size - HEAD:
            raise self._fault("length", f"a frame of {size} bytes with ext_data of {ext}")
        return size

    def _check_answer(self, head: bytes) -> int:
        size = _number(head[:LENGTH])
        if size == 0:
            raise self._fault("length", "an answer of 0 bytes")
        if size > self._limit:
            raise self._fault("length", f"an answer of {size} bytes: over the limit")
        return LENGTH + size


class FrameReader(_Reader):
    """Commands that a gateway is sent. `limit`: bytes of the largest frame, its head included."""

    __slots__ = ()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes; to be exhausted before the next call.

        Raises BadFrameError ("length") after the frames that came before the fault. After that
        nothing more is taken.
        """
        data = self._join(data)
        at, available, limit = 0, len(data), self._limit
        last = available - HEAD
        while at <= last:  # the same as _frame_at, but a call for each frame would add a quarter
            size, cmd, ip, port, client_ip, client_port, id_, flag, gate, ext = _unpack(data, at)
            start, end = at + HEAD, at + size
            middle = start + ext
            if middle > end or end > available or size > limit:
                break
            body = data[middle:end]
            ext_data = data[start:middle]
            yield Frame(cmd, ip, port, client_ip, client_port, id_, flag, gate, ext_data, body)
            at = end
        self._keep(data, at)

    def _judge(self, head: bytes) -> int:
        return self._check_frame(head)


class AnswerReader(_Reader):
    """Answers, where nothing else comes. `limit`: bytes of the largest payload."""

    __slots__ = ()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The payloads of the answers that `data` completes, in order; else as FrameReader."""
        data = self._join(data)
        at, available, limit = 0, len(data), self._limit
        while available - at >= LENGTH:
            start = at + LENGTH
            end = start + _number(data[at:start])
            if not start < end <= min(available, start + limit):
                break
            yield data[start:end]
            at = end
        self._keep(data, at)

    def _judge(self, head: bytes) -> int:
        return self._check_answer(head)


class LinkReader(_Reader):
    """What a gateway sends to a worker: events and answers. `limit`: bytes of the largest frame,
    and of an answer's payload."""

    __slots__ = ()

    def feed(self, data: bytes) -> Iterator[Frame | bytes]:
        """Events as frames, answers as their payloads; else as FrameReader.

        Raises BadFrameError ("command") besides for what is neither.
        """
        data = self._join(data)
        at, available, limit = 0, len(data), self._limit
        while at + LENGTH < available:
            start = at + LENGTH
            size = _number(data[at:start])
            is_event = data[start] in _EVENTS
            end = (at if is_event else start) + size
            if size > limit or end > available:
                break
            unit = _frame_at(data, at, end) if is_event else _answer_at(data, start, end)
            if unit is None:
                break
            yield unit
            at = end
        self._keep(data, at)

    def _judge(self, head: bytes) -> int:
        if len(head) == LENGTH:
            return LENGTH + 1
        kind = head[LENGTH]
        if kind in _LETTERS:
            return self._check_answer(head)
        if kind not in _EVENTS:
            raise self._fault("command", f"{kind} is neither an event nor the start of an answer")
        return self._check_frame(head)


def _frame_at(data: bytes, at: int, end: int) -> Frame | None:
    """The frame there, or None where its lengths are wrong."""
    start = at + HEAD
    if start > end:
        return None
    _, cmd, ip, port, client_ip, client_port, id_, flag, gate, ext = _unpack(data, at)
    middle = start + ext
    if middle > end:
        return None
    body = data[middle:end]
    return Frame(cmd, ip, port, client_ip, client_port, id_, flag, gate, data[start:middle], body)


def _answer_at(data: bytes, start: int, end: int) -> bytes | None:
    """The payload there, or None where it cannot be one."""
    return data[start:end] if start < end and data[start] in _LETTERS else None
