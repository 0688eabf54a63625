"""The invariant: how a stream is cut into chunks never changes what comes out, nor the fault."""

import time
import tracemalloc
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import NamedTuple, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushline.codecs.gateway_frames import (
    BINARY,
    HEAD,
    LARGEST,
    PLAIN,
    AnswerReader,
    Cmd,
    Frame,
    FrameReader,
    LinkReader,
    Place,
    encode,
    encode_answer,
    encode_event,
)
from pushline.config import Config
from pushline.errors import BadFrameError, UnsupportedError
from tests.gatewayworker.recorded import in_calls, in_life

LIMIT = 200
PLACE = Place(0x7F000001, 2300, 0xC0A80102, 40980, 7272)
BIND = encode(Cmd.BIND_UID, connection_id=1, ext=b"u1")
HELLO = encode_event(Cmd.MESSAGE, PLACE, 2**32 - 1, flag=PLAIN | BINARY, ext=b"a:0:{}", body=b"hi")
ONE = encode_answer(b"i:1;")


class Reader(Protocol):
    def feed(self, data: bytes) -> Iterable[Frame | bytes]: ...


class Outcome(NamedTuple):
    units: list[Frame | bytes]
    fault: tuple[str, str] | None


def outcome(reader: Reader, chunks: list[bytes]) -> Outcome:
    units: list[Frame | bytes] = []
    try:
        for chunk in chunks:
            units.extend(reader.feed(chunk))  # keeps those that came before a fault
    except BadFrameError as error:
        return Outcome(units, (error.kind, str(error)))
    return Outcome(units, None)


def whole_and_in_bytes(start: Callable[[], Reader], data: bytes) -> Outcome:
    """What comes out, which is the same for both."""
    whole = outcome(start(), [data])
    assert outcome(start(), [bytes([byte]) for byte in data]) == whole
    return whole


def commands(limit: int = LIMIT) -> FrameReader:
    return FrameReader(limit)


def answers(limit: int = LIMIT) -> AnswerReader:
    return AnswerReader(limit)


def link(limit: int = LIMIT) -> LinkReader:
    return LinkReader(limit)


def encoded(unit: Frame | bytes) -> bytes:
    """It, as it goes over the wire."""
    if isinstance(unit, bytes):
        return encode_answer(unit)
    place = Place(
        unit.local_ip, unit.local_port, unit.client_ip, unit.client_port, unit.gateway_port
    )
    return encode_event(
        unit.cmd, place, unit.connection_id, flag=unit.flag, ext=unit.ext, body=unit.body
    )


def resized(frame: bytes, size: int) -> bytes:
    """With another length in its head."""
    return size.to_bytes(4) + frame[4:]


# --- the recordings -----------------------------------------------------------------------------

RECORDED_COMMANDS = [
    *in_calls("gateway", "request"),
    *in_life("worker", "gateway"),
    *in_life("client", "gateway"),
]
RECORDED_ANSWERS = [*in_calls("gateway", "reply"), *in_life("gateway", "client")]
RECORDED_EVENTS = [*in_calls("worker", "event"), *in_life("gateway", "worker")]


def test_the_recording_has_what_is_tested_with_it() -> None:
    assert len(RECORDED_COMMANDS) == 56
    assert len(RECORDED_ANSWERS) == 26
    assert len(RECORDED_EVENTS) == 9


@pytest.mark.parametrize("sent", RECORDED_COMMANDS)
def test_recorded_commands_are_encoded_to_the_same_bytes(sent: bytes) -> None:
    frames, fault = whole_and_in_bytes(lambda: commands(10_000), sent)
    assert fault is None
    assert b"".join(map(encoded, frames)) == sent
    assert b"".join(map(as_command, frames)) == sent


def as_command(frame: Frame | bytes) -> bytes:
    assert isinstance(frame, Frame)
    return encode(
        Cmd(frame.cmd),
        connection_id=frame.connection_id,
        flag=frame.flag,
        ext=frame.ext,
        body=frame.body,
    )


@pytest.mark.parametrize("sent", RECORDED_ANSWERS)
def test_recorded_answers_are_encoded_to_the_same_bytes(sent: bytes) -> None:
    payloads, fault = whole_and_in_bytes(lambda: answers(10_000), sent)
    assert fault is None
    assert b"".join(map(encoded, payloads)) == sent


@pytest.mark.parametrize("sent", RECORDED_EVENTS)
def test_recorded_events_are_encoded_to_the_same_bytes(sent: bytes) -> None:
    frames, fault = whole_and_in_bytes(lambda: link(10_000), sent)
    assert fault is None
    assert b"".join(map(encoded, frames)) == sent
    assert all(isinstance(frame, Frame) and frame.cmd in tuple(Cmd) for frame in frames)


def test_recorded_events_and_answers_are_told_apart_however_they_are_mixed() -> None:
    sent = [
        piece for pair in zip(RECORDED_EVENTS, RECORDED_ANSWERS, strict=False) for piece in pair
    ]
    units, fault = whole_and_in_bytes(lambda: link(10_000), b"".join(sent))
    assert fault is None
    assert [encoded(unit) for unit in units] == sent
    assert [type(unit) for unit in units] == [Frame, bytes] * len(RECORDED_EVENTS)


def test_a_recorded_frame_is_read_as_the_page_says() -> None:
    (frame,) = link(10_000).feed(RECORDED_EVENTS[-2])
    assert frame == Frame(
        cmd=Cmd.MESSAGE,
        local_ip=0x7F000001,
        local_port=2300,
        client_ip=0x7F000001,
        client_port=41748,
        connection_id=1,
        flag=PLAIN,
        gateway_port=7272,
        ext=b'a:2:{s:4:"hits";i:2;s:4:"name";s:3:"Ann";}',
        body=b"\0\1bin",
    )


# --- good streams -------------------------------------------------------------------------------


def test_fields_come_back_as_they_were_given() -> None:
    assert list(commands().feed(BIND + HELLO)) == [
        Frame(Cmd.BIND_UID, 0, 0, 0, 0, 1, PLAIN, 0, b"u1", b""),
        Frame(
            *(Cmd.MESSAGE, 0x7F000001, 2300, 0xC0A80102, 40980, 2**32 - 1, PLAIN | BINARY, 7272),
            *(b"a:0:{}", b"hi"),
        ),
    ]


@pytest.mark.parametrize("cmd", [0, 2, 99, 255])
def test_an_unknown_command_is_a_frame_like_others(cmd: int) -> None:
    assert [frame.cmd for frame in commands().feed(encode(cmd) + BIND)] == [cmd, Cmd.BIND_UID]


@pytest.mark.parametrize("flag", range(16))
def test_every_flag_is_handed_on(flag: int) -> None:
    assert [frame.flag for frame in commands().feed(encode(5, flag=flag))] == [flag]


def test_a_frame_may_be_as_long_as_the_limit() -> None:
    longest = encode(Cmd.SEND_TO_ONE, body=b"x" * (LIMIT - HEAD))
    assert len(whole_and_in_bytes(commands, longest + BIND).units) == 2
    event = encode_event(Cmd.MESSAGE, PLACE, 1, ext=b"x" * (LIMIT - HEAD))
    assert len(whole_and_in_bytes(link, event + HELLO).units) == 2
    longest_answer = encode_answer(b"s" * LIMIT)
    assert whole_and_in_bytes(answers, longest_answer + ONE).units == [b"s" * LIMIT, b"i:1;"]
    assert whole_and_in_bytes(link, longest_answer + ONE).units == [b"s" * LIMIT, b"i:1;"]


@pytest.mark.parametrize("start", [commands, answers, link])
@pytest.mark.parametrize("size", range(4))
def test_what_has_just_begun_is_waited_for(start: Callable[[], Reader], size: int) -> None:
    assert outcome(start(), [BIND[:size]]) == ([], None)


def test_an_empty_chunk_changes_nothing() -> None:
    assert outcome(commands(), [b"", BIND[:9], b"", BIND[9:], b""]).units == [
        *commands().feed(BIND)
    ]


@pytest.mark.parametrize("letter", b"NabdisOCrREz")
def test_any_letter_behind_the_length_makes_it_an_answer(letter: int) -> None:
    payload = bytes([letter]) + b":whatever;"
    assert whole_and_in_bytes(link, HELLO + encode_answer(payload) + HELLO).units[1] == payload


def test_frames_are_given_while_the_rest_of_the_chunk_is_unread() -> None:
    frames = iter(commands().feed(BIND + HELLO + resized(BIND, 3)))
    assert next(frames).cmd == Cmd.BIND_UID
    assert next(frames).cmd == Cmd.MESSAGE
    with pytest.raises(BadFrameError):
        next(frames)


# --- faults -------------------------------------------------------------------------------------

TOO_SHORT = "a frame of {} bytes: shorter than its head"
TOO_LONG = "a frame of {} bytes: over the limit"
BAD_FRAMES: dict[str, tuple[bytes, str]] = {
    "no length": (resized(BIND, 0), TOO_SHORT.format(0)),
    "shorter than its head": (resized(BIND, HEAD - 1), TOO_SHORT.format(HEAD - 1)),
    "over the limit": (resized(BIND, LIMIT + 1), TOO_LONG.format(LIMIT + 1)),
    "the longest": (resized(BIND, 2**32 - 1), TOO_LONG.format(2**32 - 1)),
    "more ext_data than there is": (
        resized(BIND, HEAD + 1),
        "a frame of 29 bytes with ext_data of 2",
    ),
    "ext_data without an end": (
        encode(Cmd.BIND_UID)[:-4] + b"\xff" * 4,
        "a frame of 28 bytes with ext_data of 4294967295",
    ),
    "an HTTP request": (b"GET / HTTP/1.1\r\n\r\n", TOO_LONG.format(0x47455420)),
    "a line of JSON": (b'{"event":"ping"}\n', TOO_LONG.format(0x7B226576)),
    "TLS": (b"\x16\x03\x01\x02\x00\x01", TOO_LONG.format(0x16030102)),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_frame_with_wrong_lengths_is_a_fault_after_what_came_before(name: str) -> None:
    data, why = BAD_FRAMES[name]
    units, fault = whole_and_in_bytes(commands, BIND + HELLO + data)
    assert [encoded(unit) for unit in units] == [BIND, HELLO]
    assert fault == ("length", why)


@pytest.mark.parametrize(
    "name", ["no length", "more ext_data than there is", "ext_data without an end"]
)
def test_an_event_with_wrong_lengths_is_one_too(name: str) -> None:
    data, why = BAD_FRAMES[name]
    event = data[:4] + bytes([Cmd.MESSAGE]) + data[5:]
    units, fault = whole_and_in_bytes(link, HELLO + ONE + event)
    assert [encoded(unit) for unit in units] == [HELLO, ONE]
    assert fault == ("length", why)


@pytest.mark.parametrize("size", [HEAD - 1, LIMIT + 1, 2**32 - 1])
def test_an_event_that_is_too_short_or_too_long_is_a_fault(size: int) -> None:
    units, fault = whole_and_in_bytes(link, HELLO + resized(HELLO, size) + b"x" * LIMIT)
    assert len(units) == 1
    assert fault is not None
    assert fault[0] == "length"


@pytest.mark.parametrize("start", [answers, link])
@pytest.mark.parametrize("size", [0, LIMIT + 1, 2**32 - 1])
def test_an_answer_that_is_empty_or_too_long_is_a_fault(
    start: Callable[[], Reader], size: int
) -> None:
    units, fault = whole_and_in_bytes(start, ONE + size.to_bytes(4) + b"i:1;" + b"x" * LIMIT)
    assert units == [b"i:1;"]
    assert fault is not None
    assert fault[0] == "length"


@pytest.mark.parametrize("kind", [0, 2, 5, 200, 202, 230, 231, 255, *b"0{ \n\x7f"])
def test_what_is_neither_an_event_nor_an_answer_is_a_fault(kind: int) -> None:
    data = ONE + (40).to_bytes(4) + bytes([kind]) + bytes(35)
    assert whole_and_in_bytes(link, data) == (
        [b"i:1;"],
        ("command", f"{kind} is neither an event nor the start of an answer"),
    )


@pytest.mark.parametrize("start", [commands, answers, link])
def test_nothing_is_taken_after_a_fault(start: Callable[[], Reader]) -> None:
    reader = start()
    assert outcome(reader, [b"\xff" * 5]).fault is not None
    assert outcome(reader, [BIND, HELLO, ONE, b"\xff" * 99]) == ([], None)


@pytest.mark.parametrize(
    ("data", "judged_at"),
    [(resized(BIND, 27), 4), (resized(BIND, LIMIT + 1), 4), (resized(BIND, HEAD + 1), HEAD)],
)
def test_a_length_is_judged_as_soon_as_it_is_there(data: bytes, judged_at: int) -> None:
    assert outcome(commands(), [data[: judged_at - 1]]).fault is None
    assert outcome(commands(), [data[:judged_at]]).fault is not None


# --- slices -------------------------------------------------------------------------------------

PIECES = st.one_of(
    st.sampled_from([BIND, HELLO, ONE, *(data for data, _ in BAD_FRAMES.values())]),
    st.sampled_from([piece for piece in RECORDED_EVENTS + RECORDED_COMMANDS if len(piece) < LIMIT]),
    st.builds(lambda body: encode(5, ext=body, body=body), st.binary(max_size=70)),
    st.binary(max_size=40),
)


def slices(data: bytes) -> st.SearchStrategy[list[bytes]]:
    places = st.lists(st.integers(0, len(data)), max_size=6).map(sorted)
    return places.map(lambda cuts: [data[a:b] for a, b in pairwise([0, *cuts, len(data)])])


@pytest.mark.parametrize("start", [commands, answers, link])
@given(data=st.lists(PIECES, max_size=8).map(b"".join), draw=st.data())
def test_what_comes_out_is_the_same_however_the_bytes_are_cut(
    start: Callable[[], Reader], data: bytes, draw: st.DataObject
) -> None:
    chunks = draw.draw(slices(data))
    assert outcome(start(), chunks) == whole_and_in_bytes(start, data)


NUMBERS = st.integers(0, 2**32 - 1)
PORTS = st.integers(0, 2**16 - 1)
BYTES = st.integers(0, 255)


@given(
    st.builds(
        Frame,
        cmd=BYTES,
        local_ip=NUMBERS,
        local_port=PORTS,
        client_ip=NUMBERS,
        client_port=PORTS,
        connection_id=NUMBERS,
        flag=BYTES,
        gateway_port=PORTS,
        ext=st.binary(max_size=80),
        body=st.binary(max_size=80),
    )
)
def test_any_frame_comes_back_as_it_was(frame: Frame) -> None:
    assert list(commands().feed(encoded(frame))) == [frame]


# --- cost ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "begun"),
    [
        (commands, resized(BIND, LIMIT)),
        (commands, resized(BIND, 2**32 - 1)),
        (answers, LIMIT.to_bytes(4)),
        (answers, b"\xff" * 4),
        (link, resized(HELLO, LIMIT)),
        (link, LIMIT.to_bytes(4) + b"a"),
        (link, b"\xff" * 4 + b"a"),
    ],
)
def test_what_does_not_end_takes_no_memory(start: Callable[[], Reader], begun: bytes) -> None:
    reader = start()
    chunk = b"\xff" * 90  # no beginning of anything
    tracemalloc.start()
    try:
        assert outcome(reader, [begun]).units == []
        for _ in range(1000):
            outcome(reader, [chunk])
        assert tracemalloc.get_traced_memory()[1] < 20_000
    finally:
        tracemalloc.stop()


def test_a_large_frame_in_small_chunks_takes_time_by_its_size_only() -> None:
    large = encode(Cmd.SEND_TO_ALL, body=bytes(8 << 20))
    chunks = [large[at : at + 1000] for at in range(0, len(large), 1000)]
    started = time.process_time()
    assert len(outcome(commands(16 << 20), chunks).units) == 1
    assert time.process_time() - started < 1  # 0.02; joined at each chunk, it would take 30


def test_a_command_is_never_longer_than_gateways_take() -> None:
    ext = b"x" * 100
    most = LARGEST - HEAD - len(ext)
    largest = encode(Cmd.SEND_TO_ALL, ext=ext, body=bytes(most))
    assert len([*FrameReader(LARGEST).feed(largest)]) == 1
    with pytest.raises(UnsupportedError, match="10,485,761 bytes"):
        encode(Cmd.SEND_TO_ALL, ext=ext, body=bytes(most + 1))


def test_the_largest_frame_is_what_a_gateway_takes_by_default() -> None:
    assert Config().gateway.max_frame == LARGEST
