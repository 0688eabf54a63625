"""The invariant: how a stream is cut into chunks never changes the events, nor the fault."""

import sys
import time
import tracemalloc
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from pushline.codecs.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Decoder,
    Event,
    close_frame,
    encode,
    frame,
)
from pushline.errors import ProtocolError
from pushline.messages import INVALID_DATA, TOO_BIG, Close, Message

LIMIT = 70_000
FIN = 0x80
MASK = b"\x37\xfa\x21\x3d"
EURO = "€".encode()


class Outcome(NamedTuple):
    events: list[Event]
    fault: Close | None


def header(first: int, size: int) -> bytes:
    if size < 126:
        return bytes((first, 0x80 | size))
    if size < 1 << 16:
        return bytes((first, 0x80 | 126)) + size.to_bytes(2)
    return bytes((first, 0x80 | 127)) + size.to_bytes(8)


def masked(first: int, payload: bytes = b"", mask: bytes = MASK) -> bytes:
    """A client's frame."""
    body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return header(first, len(payload)) + mask + body


def outcome(chunks: list[bytes], limit: int = LIMIT) -> Outcome:
    decoder = Decoder(limit)
    events: list[Event] = []
    try:
        for chunk in chunks:
            events.extend(decoder.feed(chunk))  # keeps those that came before a fault
    except ProtocolError as error:
        return Outcome(events, error.close)
    return Outcome(events, None)


def broken(reason: str) -> Close:
    return Close(1002, reason)


HELLO = masked(FIN | TEXT, b"hello")
GOOD: dict[str, tuple[bytes, list[Event]]] = {
    "text": (HELLO, [(TEXT, "hello")]),
    "empty text": (masked(FIN | TEXT), [(TEXT, "")]),
    "text beyond ASCII": (masked(FIN | TEXT, EURO), [(TEXT, "€")]),
    "empty binary": (masked(FIN | BINARY), [(BINARY, b"")]),
    "binary that is no text": (masked(FIN | BINARY, b"\xff\0"), [(BINARY, b"\xff\0")]),
    "a zero mask": (masked(FIN | TEXT, b"hello", bytes(4)), [(TEXT, "hello")]),
    "ping": (masked(FIN | PING, b"x" * 125), [(PING, b"x" * 125)]),
    "pong": (masked(FIN | PONG), [(PONG, b"")]),
    "two frames": (HELLO + HELLO, [(TEXT, "hello")] * 2),
    "two fragments": (
        masked(TEXT, b"hel") + masked(FIN | CONTINUATION, b"lo"),
        [(TEXT, "hello")],
    ),
    "empty fragments": (
        masked(BINARY) + masked(CONTINUATION) * 3 + masked(FIN | CONTINUATION),
        [(BINARY, b"")],
    ),
    "a character over three fragments": (
        masked(TEXT, EURO[:1])
        + masked(CONTINUATION, EURO[1:2])
        + masked(FIN | CONTINUATION, EURO[2:]),
        [(TEXT, "€")],
    ),
    "control frames between fragments": (
        masked(TEXT, b"hel")
        + masked(FIN | PING, b"1")
        + masked(FIN | PONG)
        + masked(FIN | CONTINUATION, b"lo")
        + HELLO,
        [(PING, b"1"), (PONG, b""), (TEXT, "hello"), (TEXT, "hello")],
    ),
    "a message after a fragmented one may be as large": (
        masked(BINARY, b"x" * LIMIT)
        + masked(FIN | CONTINUATION)
        + masked(FIN | BINARY, b"y" * LIMIT),
        [(BINARY, b"x" * LIMIT), (BINARY, b"y" * LIMIT)],
    ),
}
for size in (125, 126, 127, 16_384, 16_385, 65_535, 65_536, LIMIT):
    GOOD[f"{size} bytes"] = (masked(FIN | TEXT, b"x" * size), [(TEXT, "x" * size)])

CLOSES = {
    "without a code": (b"", Close(1005, "")),
    "with a code": ((1000).to_bytes(2), Close(1000, "")),
    "with a reason": ((4999).to_bytes(2) + EURO, Close(4999, "€")),
    "with the longest reason": ((1001).to_bytes(2) + b"x" * 123, Close(1001, "x" * 123)),
}
CODES = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]
NO_CODES = [0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535]

BAD: dict[str, tuple[bytes, Close]] = {
    "unmasked": (b"\x81\x05hello", broken("frame is not masked")),
    "unmasked and empty": (b"\x81\0", broken("frame is not masked")),
    "ping over 125 bytes": (header(FIN | PING, 126)[:2], broken("control frame over 125 bytes")),
    "close over 125 bytes": (
        header(FIN | CLOSE, 1 << 16)[:2],
        broken("control frame over 125 bytes"),
    ),
    "continuation of nothing": (masked(CONTINUATION)[:2], broken("continuation of no message")),
    "last continuation of nothing": (
        masked(FIN | CONTINUATION)[:2],
        broken("continuation of no message"),
    ),
    "text inside a message": (
        masked(BINARY, b"x") + masked(FIN | TEXT)[:2],
        broken("new message inside another"),
    ),
    "fragment of binary inside a message": (
        masked(TEXT, b"x") + masked(BINARY)[:2],
        broken("new message inside another"),
    ),
    "RSV1 in a continuation": (
        masked(TEXT, b"x") + masked(FIN | 0x40 | CONTINUATION)[:2],
        broken("reserved bit"),
    ),
    "125 bytes as a length of two bytes": (
        b"\x81\xfe" + (125).to_bytes(2),
        broken("length not in its shortest form"),
    ),
    "65535 bytes as a length of eight bytes": (
        b"\x81\xff" + (65_535).to_bytes(8),
        broken("length not in its shortest form"),
    ),
    "a length of 64 bits": (b"\x81\xff" + (1 << 63).to_bytes(8), broken("length over 63 bits")),
    "over the limit": (header(FIN | TEXT, LIMIT + 1), TOO_BIG),
    "far over the limit": (header(FIN | BINARY, (1 << 63) - 1), TOO_BIG),
    "fragments over the limit": (
        masked(BINARY, b"x" * (LIMIT - 1)) + masked(CONTINUATION, b"x") + header(CONTINUATION, 1),
        TOO_BIG,
    ),
    "invalid UTF-8": (masked(FIN | TEXT, b"a\xff"), INVALID_DATA),
    "text that ends inside a character": (masked(FIN | TEXT, EURO[:2]), INVALID_DATA),
    "a lone surrogate": (masked(FIN | TEXT, b"\xed\xa0\x80"), INVALID_DATA),
    "over U+10FFFF": (masked(FIN | TEXT, b"\xf4\x90\x80\x80"), INVALID_DATA),
    "overlong": (masked(FIN | TEXT, b"\xc0\xaf"), INVALID_DATA),
    "invalid UTF-8 in a first fragment": (masked(TEXT, b"a\xff"), INVALID_DATA),
    "a character broken off by a fragment": (
        masked(TEXT, EURO[:2]) + masked(CONTINUATION, b"x"),
        INVALID_DATA,
    ),
    "a surrogate in a fragment": (masked(TEXT, b"\xed\xa0\x80"), INVALID_DATA),
    "fragments that end inside a character": (
        masked(TEXT, b"ab" + EURO[:1]) + masked(FIN | CONTINUATION, EURO[1:2]),
        INVALID_DATA,
    ),
    "a close of one byte": (masked(FIN | CLOSE, b"\x03"), broken("invalid close code")),
    "invalid UTF-8 in a close reason": (
        masked(FIN | CLOSE, (1000).to_bytes(2) + b"\xff"),
        INVALID_DATA,
    ),
}
for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
    BAD[f"opcode {opcode}"] = (masked(FIN | opcode)[:2], broken("reserved opcode"))
for opcode in (CLOSE, PING, PONG):
    BAD[f"fragment of control frame {opcode}"] = (
        masked(opcode)[:2],
        broken("fragmented control frame"),
    )
for bit in (0x40, 0x20, 0x10, 0x70):
    for opcode in (TEXT, BINARY, CLOSE, PING, PONG):
        BAD[f"opcode {opcode} with bits {bit:#x}"] = (
            masked(FIN | bit | opcode)[:2],
            broken("reserved bit"),
        )
for code in NO_CODES:
    BAD[f"close code {code}"] = (
        masked(FIN | CLOSE, code.to_bytes(2)),
        broken("invalid close code"),
    )

ALL = {
    **{name: (data, Outcome(events, None)) for name, (data, events) in GOOD.items()},
    **{name: (data, Outcome([], fault)) for name, (data, fault) in BAD.items()},
    "continuation after the last": (
        masked(TEXT) + masked(FIN | CONTINUATION) + masked(FIN | CONTINUATION)[:2],
        Outcome([(TEXT, "")], broken("continuation of no message")),
    ),
    **{
        f"close {name}": (masked(FIN | CLOSE, payload), Outcome([(CLOSE, close)], None))
        for name, (payload, close) in CLOSES.items()
    },
}
each = pytest.mark.parametrize(("data", "expected"), ALL.values(), ids=ALL)
places = st.lists(st.integers(0, 2 * LIMIT + 1000), max_size=20)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in at), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@each
def test_a_stream_is_decoded_whole(data: bytes, expected: Outcome) -> None:
    assert outcome([data]) == expected


@each
def test_a_stream_is_decoded_byte_by_byte(data: bytes, expected: Outcome) -> None:
    assert outcome([bytes((byte,)) for byte in data]) == expected


@each
def test_what_follows_a_stream_is_decoded_unless_it_has_ended(
    data: bytes, expected: Outcome
) -> None:
    ended = expected.fault or (expected.events and expected.events[-1][0] == CLOSE)
    more: list[Event] = [] if ended else [(TEXT, "hello")]
    assert outcome([data + HELLO]) == Outcome(expected.events + more, expected.fault)


@each
def test_what_comes_before_a_stream_is_not_lost(data: bytes, expected: Outcome) -> None:
    before: list[Event] = [(TEXT, "hello")]
    assert outcome([HELLO + data]) == Outcome(before + expected.events, expected.fault)


@given(st.lists(st.sampled_from(sorted(ALL)), max_size=4), places)
def test_cutting_a_stream_elsewhere_changes_nothing(names: list[str], at: list[int]) -> None:
    data = b"".join(ALL[name][0] for name in names)
    assert outcome(cut(data, at)) == outcome([data])


@given(st.binary(max_size=60), places)
def test_random_bytes_are_decoded_or_refused_in_the_same_way_however_cut(
    data: bytes, at: list[int]
) -> None:
    assert outcome(cut(data, at), limit=20) == outcome([data], limit=20)


@given(
    st.lists(
        st.tuples(st.text() | st.binary(), st.lists(st.integers(0, 40), max_size=3)), max_size=5
    ),
    st.binary(min_size=4, max_size=4),
    places,
)
def test_messages_come_out_as_they_went_in(
    messages: list[tuple[str | bytes, list[int]]], mask: bytes, at: list[int]
) -> None:
    stream = b"".join(fragmented(message, edges, mask) for message, edges in messages)
    events = [(TEXT if isinstance(message, str) else BINARY, message) for message, _ in messages]
    assert outcome(cut(stream, at)) == Outcome(list(events), None)


def fragmented(message: str | bytes, edges: list[int], mask: bytes) -> bytes:
    """A message in as many fragments, with a mask."""
    data = message.encode() if isinstance(message, str) else message
    first, *rest = cut(data, edges)
    opcode = TEXT if isinstance(message, str) else BINARY
    opcodes = [opcode, *[CONTINUATION] * len(rest)]
    opcodes[-1] |= FIN
    return b"".join(map(masked, opcodes, [first, *rest], [mask] * len(opcodes)))


@pytest.mark.parametrize("code", CODES)
def test_a_peer_may_close_with_each_code_that_is_one(code: int) -> None:
    close = masked(FIN | CLOSE, code.to_bytes(2) + b"bye")
    assert outcome([close]) == Outcome([(CLOSE, Close(code, "bye"))], None)


@pytest.mark.parametrize("end", [masked(FIN | CLOSE), b"\x81\0"], ids=["close", "fault"])
def test_nothing_is_decoded_or_kept_after_the_end(end: bytes) -> None:
    decoder = Decoder(LIMIT)
    try:
        assert len(list(decoder.feed(end))) == 1
    except ProtocolError:
        assert end == b"\x81\0"
    size = held(decoder)
    assert list(decoder.feed(HELLO)) == []
    assert list(decoder.feed(masked(FIN | BINARY, b"x" * LIMIT)[:-1])) == []
    assert held(decoder) == size


def test_a_message_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    for size in (0, 10, 125, 126, 65_536):
        assert outcome([masked(FIN | BINARY, b"x" * size)], size).fault is None
        assert outcome([header(FIN | BINARY, size + 1)], size) == Outcome([], TOO_BIG)


def test_the_limit_is_for_messages_not_for_control_frames() -> None:
    assert outcome([masked(FIN | PING, b"x" * 100)], 10).events == [(PING, b"x" * 100)]


def held(decoder: Decoder) -> int:
    """Bytes of the decoder and of what it alone refers to."""
    own = [getattr(decoder, name) for name in ("_partial", "_message")]
    return sys.getsizeof(decoder) + sum(sys.getsizeof(value) for value in own if value is not None)


def test_an_idle_decoder_is_tiny_and_becomes_so_again() -> None:
    decoder = Decoder(LIMIT)
    assert held(decoder) <= 120
    stream = masked(TEXT, b"x" * 1000) + masked(FIN | CONTINUATION, b"y" * 1000)
    for byte in stream:
        list(decoder.feed(bytes((byte,))))
    assert held(decoder) <= 120


@pytest.mark.parametrize(
    ("stream", "idle"),
    [
        (b"", True),
        (HELLO, True),
        (masked(TEXT, b"x") + masked(FIN | CONTINUATION), True),
        (HELLO[:1], False),
        (HELLO + HELLO[:-1], False),
        (masked(TEXT), False),
        (masked(TEXT) + masked(FIN | PING), False),
        (masked(FIN | CLOSE), False),
    ],
)
def test_a_decoder_is_idle_between_messages_until_its_end(stream: bytes, idle: bool) -> None:
    decoder = Decoder(LIMIT)
    for byte in stream:
        list(decoder.feed(bytes((byte,))))
    assert decoder.idle is idle


def test_a_message_in_many_small_chunks_takes_little_more_than_its_own_size() -> None:
    size = 1 << 20
    chunks = sliced(masked(FIN | BINARY, bytes(size), bytes(4))[:-1], 1000)
    decoder = Decoder(size)
    tracemalloc.start()
    for chunk in chunks:
        assert list(decoder.feed(chunk)) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * size


def test_a_message_in_many_small_chunks_takes_linear_time() -> None:
    size = 1 << 21
    chunks = sliced(masked(FIN | BINARY, bytes(size), bytes(4)), 16)
    decoder = Decoder(size)
    start = time.process_time()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    assert events == [(BINARY, bytes(size))]
    assert time.process_time() - start < 3  # joined again at each chunk it is 137 GB to copy


def sliced(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def test_endless_empty_fragments_take_no_memory() -> None:
    decoder = Decoder(LIMIT)
    list(decoder.feed(masked(TEXT, b"x")))
    tracemalloc.start()
    for _ in range(2_000):
        assert list(decoder.feed(masked(CONTINUATION))) == []
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 2_000


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 100_000])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_frame_is_read_by_another_implementation(size: int, opcode: int) -> None:
    reader = StreamReader()
    reader.feed_data(frame(opcode, b"x" * size))
    parsing = Frame.parse(reader.read_exact, mask=False)
    with pytest.raises(StopIteration) as parsed:
        next(parsing)
    assert parsed.value.value == Frame(Opcode(opcode), b"x" * size)


def test_a_frame_can_say_that_it_is_compressed() -> None:
    assert frame(TEXT, b"x" * 126, rsv1=True)[:4] == b"\xc1\x7e\0\x7e"
    assert frame(BINARY, b"x", rsv1=True) == b"\xc2\x01x"


@pytest.mark.parametrize("size", [0, 5, 125, 126, 1023, 1024, 65535, 65536])
def test_a_message_is_encoded_by_its_kind(size: int) -> None:
    data = b"x" * size
    assert encode(Message(data)) == frame(TEXT, data)
    assert encode(Message(data, binary=True)) == frame(BINARY, data)


def test_a_close_frame_holds_code_and_reason_or_nothing() -> None:
    assert close_frame(Close(1005, "")) == b"\x88\0"
    assert close_frame(Close(3001, "shutdown")) == b"\x88\x0a\x0b\xb9shutdown"


def test_a_close_reason_is_cut_between_two_characters() -> None:
    assert close_frame(Close(1000, "x" * 200)) == b"\x88\x7d\x03\xe8" + b"x" * 123
    assert close_frame(Close(1000, "xx" + "€" * 60)) == b"\x88\x7c\x03\xe8xx" + EURO * 40
