"""The invariant: how a stream is cut into chunks never changes the events, nor the fault."""

import random
import tracemalloc
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode

from pushline.codecs.deflate import INVALID_DEFLATE, Inflate, Params, negotiate
from pushline.codecs.websocket import BINARY, CONTINUATION, PING, TEXT, Decoder, Event, encode
from pushline.errors import ProtocolError
from pushline.messages import INVALID_DATA, PROTOCOL_ERROR, TOO_BIG, Close, Message

Outcome = tuple[list[Event], Close | None]

LIMIT = 1 << 16
FIN, RSV1 = 0x80, 0x40
# RFC 7692, section 7.2.3: "Hello" in the four ways of its examples.
HELLO = bytes.fromhex("f248cdc9c90700")
STORED = bytes.fromhex("000500faff48656c6c6f00")
LAST_BLOCK = bytes.fromhex("f348cdc9c9070000")
TWO_BLOCKS = bytes.fromhex("f24805000000ffffcac9c90700")

PLAIN = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


def agreed(offer: str | None) -> Params:
    params = negotiate(offer)
    assert params is not None
    return params


def deflated(data: bytes, bits: int = 15) -> bytes:
    """What a client makes of a message."""
    stream = zlib.compressobj(wbits=-bits)
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


def masked(first: int, payload: bytes) -> bytes:
    """A client's frame, with a mask of zeros."""
    size = len(payload)
    if size < 126:
        return bytes((first, 0x80 | size)) + bytes(4) + payload
    if size < 1 << 16:
        return bytes((first, 0xFE)) + size.to_bytes(2) + bytes(4) + payload
    return bytes((first, 0xFF)) + size.to_bytes(8) + bytes(4) + payload


def outcome(*chunks: bytes, limit: int = LIMIT) -> Outcome:
    decoder = Decoder(limit, Inflate(limit))
    events: list[Event] = []
    try:
        for chunk in chunks:
            events.extend(decoder.feed(chunk))  # keeps those that came before a fault
    except ProtocolError as error:
        return events, error.close
    return events, None


def test_the_answer_never_keeps_a_context() -> None:
    assert agreed("permessage-deflate").answer == PLAIN
    assert agreed("permessage-deflate; client_max_window_bits").answer == PLAIN


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate;server_no_context_takeover;client_no_context_takeover",
        "permessage-deflate\t;  client_max_window_bits=8",
        'permessage-deflate; client_max_window_bits="10"',
        "x-webkit-deflate-frame, permessage-deflate",
        "foo; bar=1; baz, permessage-deflate; client_max_window_bits",
        "permessage-deflate; unknown, permessage-deflate",
        "permessage-deflate; server_max_window_bits=8, permessage-deflate",
        ",, permessage-deflate,",
    ],
)
def test_an_offer_that_can_be_taken_is_taken(offer: str) -> None:
    assert agreed(offer).answer == PLAIN


@pytest.mark.parametrize("bits", range(9, 16))
def test_the_window_that_the_client_asks_for_is_confirmed(bits: int) -> None:
    offer = f"permessage-deflate; server_max_window_bits={bits}"
    assert agreed(offer).answer == f"{PLAIN}; server_max_window_bits={bits}"


@pytest.mark.parametrize(
    "offer",
    [
        None,
        "",
        "x-webkit-deflate-frame",
        "permessage-deflate-2",
        "permessage-deflate; unknown",
        "permessage-deflate;",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=",
        'permessage-deflate; server_max_window_bits="',
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=09",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; server_max_window_bits=x",
        "permessage-deflate; client_max_window_bits=0",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=10",
        # zlib has no such window, and a larger one would break the client's
        "permessage-deflate; server_max_window_bits=8",
    ],
)
def test_any_other_offer_is_declined(offer: str | None) -> None:
    assert negotiate(offer) is None


def test_one_encoder_serves_all_who_have_the_same_window() -> None:
    first, second = (
        agreed("permessage-deflate"),
        agreed("permessage-deflate; client_max_window_bits"),
    )
    third = agreed("permessage-deflate; server_max_window_bits=15")
    assert first.encode is second.encode is third.encode
    assert first.encode is not agreed("permessage-deflate; server_max_window_bits=9").encode
    assert len({first, second, third}) == 2


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("binary", [False, True])
def test_the_window_is_never_larger_than_agreed(bits: int, binary: bool) -> None:
    block = random.Random(1).randbytes(1 << 9)
    data = b"".join(block + bytes(1 << size) for size in range(16)) + block
    params = agreed(f"permessage-deflate; server_max_window_bits={bits}")
    frame = params.encode(Message(data, binary=binary))
    assert frame[0] == FIN | RSV1 | (BINARY if binary else TEXT)
    stream = zlib.decompressobj(-bits)
    assert stream.decompress(payload_of(frame) + b"\0\0\xff\xff") == data


def payload_of(frame: bytes) -> bytes:
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


def test_what_compression_would_not_make_smaller_is_sent_plain() -> None:
    for data in (b"", b"x", b"uid1", random.Random(1).randbytes(1000)):
        message = Message(data, binary=True)
        assert agreed("permessage-deflate").encode(message) == encode(message)


@given(st.text(max_size=3000) | st.binary(max_size=3000).map(lambda data: data * 3))
def test_another_implementation_understands_us_and_we_it(message: str | bytes) -> None:
    params = agreed("permessage-deflate; client_max_window_bits")
    pairs = [tuple(part.strip().partition("=")[::2]) for part in params.answer.split(";")[1:]]
    client = ClientPerMessageDeflateFactory(client_max_window_bits=True).process_response_params(
        [(name, value or None) for name, value in pairs], []
    )
    text = isinstance(message, str)
    data = message.encode() if isinstance(message, str) else message
    sent = params.encode(Message(data, binary=not text))
    other = Frame(Opcode(sent[0] & 0x0F), payload_of(sent), rsv1=bool(sent[0] & RSV1))
    assert client.decode(other).data == data

    for _ in range(2):
        reply = client.encode(Frame(Opcode.TEXT if text else Opcode.BINARY, data))
        stream = masked(FIN | RSV1 | reply.opcode, bytes(reply.data))
        assert outcome(stream) == ([(reply.opcode, message)], None)


@pytest.mark.parametrize("payload", [HELLO, STORED, LAST_BLOCK, TWO_BLOCKS])
def test_the_examples_of_the_rfc_are_inflated_whole_and_at_each_split(payload: bytes) -> None:
    expected: Outcome = [(TEXT, "Hello")], None
    assert outcome(masked(FIN | RSV1 | TEXT, payload)) == expected
    for at in range(len(payload) + 1):
        first = masked(RSV1 | TEXT, payload[:at])
        last = masked(FIN | CONTINUATION, payload[at:])
        assert outcome(first + last) == expected
        assert outcome(first, last) == expected
    fragments = [masked(CONTINUATION, bytes((byte,))) for byte in payload]
    assert (
        outcome(masked(RSV1 | TEXT, b""), *fragments, masked(FIN | CONTINUATION, b"")) == expected
    )


def test_each_message_starts_anew_and_may_be_plain() -> None:
    compressed = masked(FIN | RSV1 | TEXT, HELLO)
    plain = (
        masked(FIN | TEXT, b"Hello") + masked(BINARY, b"Hel") + masked(FIN | CONTINUATION, b"lo")
    )
    events = [(TEXT, "Hello"), (TEXT, "Hello"), (BINARY, b"Hello"), (TEXT, "Hello")]
    assert outcome(compressed + plain + compressed) == (events, None)


def test_an_empty_message_may_be_compressed() -> None:
    assert outcome(masked(FIN | RSV1 | BINARY, b"\0")) == ([(BINARY, b"")], None)


@pytest.mark.parametrize("bits", range(9, 16))
def test_a_client_may_use_any_window(bits: int) -> None:
    data = random.Random(1).randbytes(1 << 14) * 2
    assert outcome(masked(FIN | RSV1 | BINARY, deflated(data, bits))) == ([(BINARY, data)], None)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xff\xff",
        HELLO[:-1],
        HELLO[:3],
        STORED[:-3],
        HELLO + b"\x07",
        LAST_BLOCK[:-1],
        LAST_BLOCK + b"\0",
        LAST_BLOCK[:-1] + HELLO,
        bytes.fromhex("f2480501"),  # refers to what was never there
    ],
    ids=bytes.hex,
)
def test_what_is_no_deflate_is_refused_whole_and_at_each_split(payload: bytes) -> None:
    expected: Outcome = [], INVALID_DEFLATE
    assert outcome(masked(FIN | RSV1 | BINARY, payload)) == expected
    for at in range(len(payload) + 1):
        first = masked(RSV1 | BINARY, payload[:at])
        assert outcome(first, masked(FIN | CONTINUATION, payload[at:])) == expected


def test_what_follows_a_last_block_is_not_collected() -> None:
    flood = [masked(CONTINUATION, b"x" * 100)] * 3
    assert outcome(masked(RSV1 | TEXT, LAST_BLOCK), *flood) == ([], INVALID_DEFLATE)


def test_utf_8_is_checked_in_what_was_inflated() -> None:
    assert outcome(masked(FIN | RSV1 | TEXT, deflated(b"a\xff"))) == ([], INVALID_DATA)
    early = zlib.compressobj(wbits=-15)
    first = early.compress(b"a\xff") + early.flush(zlib.Z_SYNC_FLUSH)
    assert outcome(masked(RSV1 | TEXT, first)) == ([], INVALID_DATA)


@pytest.mark.parametrize("first", [RSV1 | CONTINUATION, FIN | RSV1 | CONTINUATION])
def test_only_the_first_fragment_says_that_it_is_compressed(first: int) -> None:
    events, fault = outcome(masked(RSV1 | TEXT, HELLO[:3]) + masked(first, HELLO[3:]))
    assert events == []
    assert fault == Close(PROTOCOL_ERROR.code, "reserved bit")


@pytest.mark.parametrize("first", [FIN | RSV1 | PING, FIN | 0x20 | TEXT, FIN | 0x10 | TEXT])
def test_no_other_bit_is_free_with_the_extension(first: int) -> None:
    assert outcome(masked(first, b"")) == ([], Close(PROTOCOL_ERROR.code, "reserved bit"))


@pytest.mark.parametrize("fragments", [1, 7])
def test_a_bomb_is_inflated_to_the_limit_and_no_further(fragments: int) -> None:
    bomb = deflated(bytes(64 << 20))
    assert len(bomb) <= LIMIT
    step = -(-len(bomb) // fragments)
    parts = [bomb[at : at + step] for at in range(0, len(bomb), step)]
    firsts = [RSV1 | BINARY, *[CONTINUATION] * (len(parts) - 1)]
    firsts[-1] |= FIN
    stream = b"".join(map(masked, firsts, parts))
    decoder = Decoder(LIMIT, Inflate(LIMIT))
    tracemalloc.start()
    with pytest.raises(ProtocolError) as refused:
        list(decoder.feed(stream))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.close == TOO_BIG
    assert peak < 8 * LIMIT


def test_fragments_are_inflated_to_the_limit_together() -> None:
    for size, expected in ((1000, None), (1001, TOO_BIG)):
        payload = deflated(bytes(size))
        first, last = masked(RSV1 | BINARY, payload[:4]), masked(FIN | CONTINUATION, payload[4:])
        assert outcome(first, last, limit=1000)[1] == expected


def test_a_compressed_frame_is_held_to_the_limit_by_its_header() -> None:
    header = masked(FIN | RSV1 | BINARY, bytes(1001))[:4]
    assert outcome(header, limit=1000) == ([], TOO_BIG)


@given(st.binary(max_size=40), st.lists(st.integers(0, 60), max_size=8))
def test_random_payloads_are_inflated_or_refused_in_the_same_way_however_cut(
    payload: bytes, places: list[int]
) -> None:
    stream = masked(RSV1 | TEXT, payload[:9]) + masked(FIN | CONTINUATION, payload[9:])
    edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    chunks = [stream[start:end] for start, end in pairwise(edges)]
    assert outcome(*chunks, limit=100) == outcome(stream, limit=100)
