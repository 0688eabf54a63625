import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushline.codecs.lines import LineReader
from pushline.codecs.register_lines import (
    LONGEST_LIST,
    LONGEST_REQUEST,
    Addresses,
    GatewayConnect,
    Line,
    Ping,
    WorkerConnect,
    decode,
    encode,
    is_gateway_address,
)
from pushline.errors import BadFrameError
from tests.gatewayworker.recorded import in_calls, in_life

KEY = "s3cret"
ADDRESS = "127.0.0.1:2300"
LISTED = Addresses((ADDRESS,))


def why_not(line: bytes) -> str:
    with pytest.raises(BadFrameError) as caught:
        decode(line)
    assert caught.value.kind == "register"
    return str(caught.value)


# --- the recordings -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        *((sent, WorkerConnect("")) for sent in in_calls("register", "request")),
        *((sent, LISTED) for sent in in_calls("register", "reply")),
        *((sent, WorkerConnect(KEY)) for sent in in_life("worker", "register")),
        *((sent, WorkerConnect(KEY)) for sent in in_life("client", "register")),
        *((sent, LISTED) for sent in in_life("register", "worker")),
        *((sent, LISTED) for sent in in_life("register", "client")),
    ],
)
def test_recorded_lines_are_encoded_to_the_same_bytes(sent: bytes, message: Line) -> None:
    assert [decode(line) for line in LineReader(LONGEST_LIST).feed(sent)] == [message]
    assert encode(message) == sent


def test_a_recorded_gateway_has_blanks_in_its_line_that_mean_nothing() -> None:
    (sent,) = in_life("gateway", "register")
    assert decode(sent) == GatewayConnect(ADDRESS, KEY)
    assert encode(GatewayConnect(ADDRESS, KEY)) == sent.replace(b", ", b",")


# --- good lines ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"event":"ping"}', Ping()),
        (b'\t{ "event" : "ping" }\r', Ping()),
        (b'{"event":"ping","x":[{"y":null}]}', Ping()),
        (b'{"secret_key":"k","event":"worker_connect"}', WorkerConnect("k")),
        (b'{"event":"worker_connect"}', WorkerConnect("")),
        (b'{"event":"gateway_connect","address":"a"}', GatewayConnect("a", "")),
        (rb'{"event":"worker_connect","secret_key":"\u00eb\/\""}', WorkerConnect('ë/"')),
        ('{"event":"worker_connect","secret_key":"ë"}'.encode(), WorkerConnect("ë")),
        (b'{"event":"broadcast_addresses","addresses":[]}', Addresses(())),
        (b'{"event":"broadcast_addresses","addresses":{}}', Addresses(())),
    ],
)
def test_lines_that_are_taken(line: bytes, message: Line) -> None:
    assert decode(line) == message


@pytest.mark.parametrize(
    "addresses",
    [
        '["a:1","b:2"]',
        '["a:1","a:1","b:2","a:1"]',
        '{"0":"a:1","2":"b:2"}',
        '{"7":"a:1","1":"b:2"}',
    ],
)
def test_addresses_come_distinct_and_in_order_from_a_list_or_an_object(addresses: str) -> None:
    line = f'{{"event":"broadcast_addresses","addresses":{addresses}}}'
    assert decode(line.encode()) == Addresses(("a:1", "b:2"))


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    st.one_of(
        st.builds(GatewayConnect, TEXT, TEXT),
        st.builds(WorkerConnect, TEXT),
        st.builds(Addresses, st.lists(TEXT, unique=True, max_size=5).map(tuple)),
        st.just(Ping()),
    )
)
def test_any_message_comes_back_as_it_was_and_is_one_line(message: Line) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode(line) == message
    assert json.loads(line)["event"]


def test_the_longest_key_fits_into_a_request() -> None:
    key = "\N{GRINNING FACE}" * 512  # as long as register.secret may be, and as PHP would escape it
    line = json.dumps({"event": "gateway_connect", "address": ADDRESS, "secret_key": key}).encode()
    assert len(line) < LONGEST_REQUEST
    assert decode(line) == GatewayConnect(ADDRESS, key)


def test_the_gateways_of_a_full_register_fit_into_a_list() -> None:
    many = tuple(f"255.255.{number >> 8}.{number & 255}:65535" for number in range(40_000))
    assert len(encode(Addresses(many))) < LONGEST_LIST


# --- bad lines ----------------------------------------------------------------------------------

NOT_JSON = "not JSON"
NOTHING_KNOWN = "nothing that a Register or its peers say"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b"{",
        b"ping",
        b"GET / HTTP/1.1",
        b"\xff\xfe",
        b'\xef\xbb\xbf{"event":"ping"}',
        b'{"event":"ping"}\0',
        b'{"event":"ping"}{"event":"ping"}',
        b'{"event":"worker_connect","secret_key":"\xff"}',
        rb'{"event":"worker_connect","secret_key":"\ud800"}',
        rb'{"event":"worker_connect","secret_key":"\udc00"}',
    ],
)
def test_lines_that_are_not_json(line: bytes) -> None:
    assert why_not(line) == NOT_JSON


@pytest.mark.parametrize(
    "line",
    [
        b"null",
        b"1",
        b"[]",
        b"{}",
        b'"ping"',
        b'{"event":null}',
        b'{"event":7}',
        b'{"event":"Ping"}',
        b'{"event":"shutdown"}',
        b'{"secret_key":"k"}',
        b'{"event":"gateway_connect","secret_key":"k"}',
        b'{"event":"gateway_connect","address":["a"]}',
        b'{"event":"worker_connect","secret_key":null}',
        b'{"event":"worker_connect","secret_key":["k"]}',
        b'{"event":"broadcast_addresses"}',
        b'{"event":"broadcast_addresses","addresses":"a:1"}',
        b'{"event":"broadcast_addresses","addresses":[1]}',
        b'{"event":"broadcast_addresses","addresses":{"0":null}}',
    ],
)
def test_lines_that_say_nothing_known(line: bytes) -> None:
    assert why_not(line) == NOTHING_KNOWN


@pytest.mark.parametrize(
    "where", ['"event":"ping","x":', '"event":"broadcast_addresses","addresses":']
)
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_line_that_is_nested_too_deep_is_a_bad_one(where: str, opening: str) -> None:
    deep = f"{{{where}{opening * 100_000}".encode()
    assert why_not(deep)


@pytest.mark.parametrize(
    "line",
    [
        b'{"event":"s3cret"}',
        b'{"event":"worker_connect","secret_key":["s3cret"]}',
        b'{"event":"worker_connect","secret_key":"s3cret"',
        b'{"event":"gateway_connect","s3cret":1}',
        b'{"event":"broadcast_addresses","addresses":{"s3cret":1}}',
        b"s3cret",
    ],
)
def test_no_error_shows_what_could_be_a_key(line: bytes) -> None:
    with pytest.raises(BadFrameError) as caught:
        decode(line)
    assert KEY not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_message_does_not_show_its_key() -> None:
    shown = f"{GatewayConnect(ADDRESS, KEY)} {WorkerConnect(KEY)!r}"
    assert shown == "GatewayConnect('127.0.0.1:2300') WorkerConnect()"


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_a_bad_line(line: bytes) -> None:
    with contextlib.suppress(BadFrameError):
        decode(line)


# --- addresses ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [ADDRESS, "10.0.0.1:1", "255.255.255.255:65535"])
def test_a_gateway_has_an_ipv4_address_and_a_port(text: str) -> None:
    assert is_gateway_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:02300",
        "127.0.0.1:+80",
        "127.0.0.1:٢٣",
        "127.0.0.1:2300\n",
        " 127.0.0.1:2300",
        "127.0.0.01:2300",
        "127.1:2300",
        "0.0.0.0:2300",
        "256.0.0.1:2300",
        "[::1]:2300",
        "[::ffff:127.0.0.1]:2300",
        "localhost:2300",
        "unix:/run/gateway",
        "tcp://127.0.0.1:2300",
    ],
)
def test_nothing_else_is_a_gateways_address(text: str) -> None:
    assert not is_gateway_address(text)
