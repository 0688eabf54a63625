"""The inner port of a real service, by plain sockets: commands, keys, faults, flow."""

import contextlib
import hmac
import json
import logging
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from pushline.codecs.gateway_frames import BINARY, ENCODED, HEAD, PLAIN, Cmd, encode
from pushline.codecs.php_serialize import dumps, loads
from pushline.gatewayworker.role import KNOCK, KNOWN_TO_US
from pushline.listeners.gateway import LONGEST_GREETING
from pushline.messages import SLOW
from pushline.outbox import PASS_CREDIT
from tests.browser import BINARY as BINARY_FRAME
from tests.browser import CLOSE, TEXT, Browser, EndedError, connect
from tests.listeners.inner_port import (
    SECRET,
    Gateway,
    Peer,
    client_greeting,
    read_from,
    serving,
    taken,
    wait_until,
    worker_greeting,
)

COUNT = encode(Cmd.COUNT_OF_GROUP)
"""How many are here."""


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """Where logins are open, and nobody waits for workers."""
    with serving() as gateway:
        yield gateway


@pytest.fixture
def client(gateway: Gateway) -> Iterator[Peer]:
    with Peer(gateway.address) as client:
        yield client


def to_uid(uid: str, body: bytes = b"hi") -> bytes:
    return encode(Cmd.SEND_TO_UID, ext=json.dumps([uid]).encode(), body=body)


def to_all(body: bytes = b"hi") -> bytes:
    return encode(Cmd.SEND_TO_ALL, body=body)


def log_in(gateway: Gateway, uid: str = "u1") -> Browser:
    browser = gateway.browse().login(uid)
    browser.settle()
    return browser


def number_of(client: Peer, uid: str) -> int:
    """The connection_id of a user who has one."""
    (number,) = client.ask(encode(Cmd.CLIENTS_OF_UID, ext=uid.encode())).values()
    assert isinstance(number, int)
    return number


# --- commands -----------------------------------------------------------------------------------


def test_a_message_reaches_its_user_and_nobody_else(gateway: Gateway, client: Peer) -> None:
    with log_in(gateway, "u1") as browser, log_in(gateway, "u2") as other:
        client.send(to_uid("u1", b"text"), to_uid("u1", b"\xff"), to_uid("ghost"))
        client.settle()
        assert [browser.receive(), browser.receive()] == [(TEXT, b"text"), (BINARY_FRAME, b"\xff")]
        assert taken(other) == []


def test_numbers_are_names_and_arrays_have_gaps_as_php_has_them(
    gateway: Gateway, client: Peer
) -> None:
    with log_in(gateway, "42") as browser:
        ext = b'{"0":"ghost","3":42}'
        client.send(encode(Cmd.SEND_TO_UID, ext=ext, body=b"hi"))
        assert browser.message() == b"hi"


def test_a_frame_that_is_encoded_reaches_browsers_as_it_is() -> None:
    """Also those with permessage-deflate: it is ready for every client."""
    ready = b"\x81\x02hi"
    deflate = {"Sec_WebSocket_Extensions": "permessage-deflate"}
    with (
        serving(WEBSOCKET_COMPRESSION="true") as gateway,
        Peer(gateway.address) as client,
        gateway.browse(**deflate).login("u1") as compressed,
        log_in(gateway) as plain,
    ):
        assert b"permessage-deflate" in compressed.head
        assert b"permessage-deflate" not in plain.head
        compressed.settle()
        flag = ENCODED | PLAIN
        client.send(encode(Cmd.SEND_TO_UID, ext=b'["u1"]', body=ready * 2, flag=flag))
        for browser in (compressed, plain):
            assert [browser.receive(), browser.receive()] == [(TEXT, b"hi")] * 2


def test_who_is_kicked_has_its_last_message_and_is_told_why(gateway: Gateway, client: Peer) -> None:
    why = b'{"code":3001,"reason":"later"}'
    marked = PLAIN | BINARY
    kicks: dict[str, tuple[int, bytes, bytes, list[tuple[int, bytes]], bytes]] = {
        "as PHP does": (PLAIN, b"bye", b"", [(TEXT, b"bye")], b"\x0d\xafkicked"),
        "without one": (0, b"N;", b"", [], b"\x0d\xafkicked"),
        "with an empty one": (PLAIN, b"", b"", [(TEXT, b"")], b"\x0d\xafkicked"),
        "with bytes": (marked, b"x", b"", [(BINARY_FRAME, b"x")], b"\x0d\xafkicked"),
        "as ours does": (0, b"N;", why, [], b"\x0b\xb9later"),
    }
    for name, (flag, body, ext, messages, close) in kicks.items():
        with log_in(gateway, name) as browser:
            number = number_of(client, name)
            client.send(encode(Cmd.KICK, connection_id=number, flag=flag, ext=ext, body=body))
            frames = [browser.receive() for _ in range(len(messages) + 1)]
            assert frames == [*messages, (CLOSE, close)], name
        gateway.wait(lambda service: not service.hub.connections)


def test_who_is_destroyed_is_gone_without_a_word(gateway: Gateway, client: Peer) -> None:
    with log_in(gateway) as browser:
        client.send(encode(Cmd.DESTROY, connection_id=number_of(client, "u1")))
        with pytest.raises(EndedError):
            browser.receive()


def test_whom_nobody_has_is_nobody(gateway: Gateway, client: Peer) -> None:
    for cmd in (5, 7, 8, 12, 13, 20, 21):
        client.send(encode(cmd, connection_id=77, ext=b"{}"))
    for cmd in (Cmd.SET_SESSION, Cmd.UPDATE_SESSION):
        client.send(encode(cmd, connection_id=77, ext=b"a:0:{}"))
    assert client.ask(encode(Cmd.IS_ONLINE, connection_id=77)) == 0
    assert client.ask(encode(Cmd.GET_SESSION, connection_id=77)) is None
    assert gateway.refused() == {}


def test_a_session_is_given_back_as_it_came(gateway: Gateway, client: Peer) -> None:
    with log_in(gateway):
        number = number_of(client, "u1")
        get = encode(Cmd.GET_SESSION, connection_id=number)
        for data in (b'a:1:{i:0;O:8:"stdClass":0:{}}', b"no session", b"d:0.10000000000000000000;"):
            client.send(encode(Cmd.SET_SESSION, connection_id=number, ext=data), get)
            assert client.answer() == data


def test_a_session_with_an_object_is_not_merged_and_that_is_logged(
    gateway: Gateway, client: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    an_object, changes = b'a:1:{i:0;O:8:"stdClass":0:{}}', b'a:1:{s:1:"n";i:1;}'
    with log_in(gateway):
        number = number_of(client, "u1")
        get = encode(Cmd.GET_SESSION, connection_id=number)

        def update(ext: bytes) -> bytes:
            return encode(Cmd.UPDATE_SESSION, connection_id=number, ext=ext)

        client.send(update(changes), update(an_object), get)
        assert client.answer() == changes
        client.send(encode(Cmd.SET_SESSION, connection_id=number), update(an_object), get)
        assert client.answer() == an_object  # an empty one takes it unread
        client.send(update(changes), get)
        assert client.answer() == an_object
    assert gateway.refused() == {"serialized": 2}
    assert "serialized: an object, at byte" in caplog.text


# --- answers, in their order --------------------------------------------------------------------

MANY = 5000


def questions(many: int) -> tuple[list[bytes], list[dict[str, dict[int, int]]]]:
    """Each of a name of its own, and its answer."""
    names = [f"uid-{number}" for number in range(many)]
    asked = [encode(Cmd.CLIENTS_OF_UIDS, ext=json.dumps([name]).encode()) for name in names]
    return asked, [{name: {}} for name in names]


def test_thousands_of_questions_in_a_packet_are_answered_in_order(client: Peer) -> None:
    asked, expected = questions(MANY)
    client.flood(*asked)
    assert [loads(client.answer()) for _ in expected] == expected


def test_questions_are_answered_however_they_are_cut(client: Peer) -> None:
    asked, expected = questions(5)
    client.trickle(*asked)
    assert [loads(client.answer()) for _ in expected] == expected


def test_questions_see_what_was_commanded_before_them(gateway: Gateway, client: Peer) -> None:
    with log_in(gateway):
        number = number_of(client, "u1")
        join = encode(Cmd.JOIN_GROUP, connection_id=number, ext=b"g")
        leave = encode(Cmd.LEAVE_GROUP, connection_id=number, ext=b"g")
        many = encode(Cmd.COUNT_OF_GROUP, ext=b"g")
        client.send(*(join, many, leave, many) * 100)
        assert [loads(client.answer()) for _ in range(200)] == [1, 0] * 100


def test_one_that_has_sent_its_last_word_gets_its_answers_and_then_the_end(
    gateway: Gateway, client: Peer
) -> None:
    asked, expected = questions(MANY)
    with log_in(gateway) as browser:
        client.flood(*asked, to_uid("u1")).join()
        client.say_last()
        assert [loads(client.answer()) for _ in expected] == expected
        assert client.rest() == b""
        assert browser.message() == b"hi"
        gateway.wait(lambda service: not service._gateway.links)


def test_who_leaves_without_reading_its_answers_has_commanded_all_the_same(
    gateway: Gateway,
) -> None:
    with log_in(gateway) as browser:
        with Peer(gateway.address) as client:
            client.send(COUNT * 100, to_uid("u1"))
        assert browser.message() == b"hi"


def test_what_a_gateway_is_is_told_to_who_knocks(client: Peer) -> None:
    client.send(KNOCK)
    assert client.answer() == KNOWN_TO_US


# --- keys ---------------------------------------------------------------------------------------


@pytest.fixture
def guarded() -> Iterator[Gateway]:
    with serving(GATEWAY_SECRET=SECRET) as gateway:
        yield gateway


KEYLESS = {
    "a wrong key": client_greeting("s3cres"),
    "a part of it": client_greeting("s3cre"),
    "more than it": client_greeting("s3crets"),
    "another case": client_greeting("S3CRET"),
    "an empty one": client_greeting(""),
    "beyond ASCII": client_greeting("s3crét"),
    "a wrong one of a worker": worker_greeting("App:0", secret="s3cres"),
    "none of a worker": worker_greeting("App:0"),
    "no key": encode(Cmd.CLIENT_CONNECT, body=b"{}"),
    "null": encode(Cmd.CLIENT_CONNECT, body=b'{"secret_key":null}'),
    "a list": encode(Cmd.CLIENT_CONNECT, body=b'{"secret_key":["s3cret"]}'),
    "a lone surrogate": encode(Cmd.CLIENT_CONNECT, body=rb'{"secret_key":"s3cr\ud800"}'),
    "no JSON": encode(Cmd.CLIENT_CONNECT, body=b"s3cret"),
    "nothing": encode(Cmd.CLIENT_CONNECT),
    "in the wrong place": encode(Cmd.CLIENT_CONNECT, ext=b'{"secret_key":"s3cret"}'),
    "deep JSON": encode(Cmd.CLIENT_CONNECT, body=b'{"secret_key":' + b"[" * 10_000),
    "a command first": COUNT + client_greeting(SECRET),
    "a ping first": encode(Cmd.PING) + client_greeting(SECRET),
    "what is no command": encode(99) + client_greeting(SECRET),
    "a bad frame": b"\0\0\0\1" + client_greeting(SECRET),
}


@pytest.mark.parametrize("name", KEYLESS)
def test_who_has_not_the_key_is_ended_without_a_word_and_has_done_nothing(
    guarded: Gateway, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with log_in(guarded) as browser, Peer(guarded.address) as stranger:
        stranger.send(KEYLESS[name], to_uid("u1", b"forged"), KNOCK)
        assert stranger.rest() == b""
        assert taken(browser) == []
    kind = "length" if name == "a bad frame" else "auth"
    assert guarded.refused() == {kind: 1}
    assert f"{kind}: " in caplog.text
    assert "s3cr" not in caplog.text.lower()


def test_without_a_key_who_sends_one_is_ended_too(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    for greeting in (client_greeting(SECRET), worker_greeting("App:0", secret=SECRET)):
        with Peer(gateway.address) as stranger:
            stranger.send(greeting, KNOCK)
            assert stranger.rest() == b""
    assert gateway.refused() == {"auth": 2}
    assert SECRET not in caplog.text
    with Peer(gateway.address) as known:
        known.send(client_greeting(""))
        assert known.ask(COUNT) == 0


def test_a_wrong_key_ends_one_that_had_the_right_one(guarded: Gateway) -> None:
    with Peer(guarded.address, secret=SECRET) as client:
        assert client.ask(COUNT) == 0
        client.send(client_greeting(SECRET), COUNT, client_greeting("wrong"), COUNT)
        assert loads(client.answer()) == 0
        assert client.rest() == b""


def test_keys_are_compared_in_constant_time(
    guarded: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[set[bytes]] = []
    compare = hmac.compare_digest

    def noted(left: bytes, right: bytes) -> bool:
        compared.append({left, right})
        return compare(left, right)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    for key in ("s3cres", "s3crét", ""):
        with Peer(guarded.address) as stranger:
            stranger.send(client_greeting(key))
            assert stranger.rest() == b""
    assert compared == [{SECRET.encode(), key} for key in (b"s3cres", "s3crét".encode(), b"")]


def test_the_key_may_come_with_what_follows_it_and_in_any_pieces(guarded: Gateway) -> None:
    with log_in(guarded) as browser, Peer(guarded.address) as client:
        large = bytes(2 * LONGEST_GREETING)
        client.send(client_greeting(SECRET), to_uid("u1", large))
        assert browser.receive() == (TEXT, large)
    with Peer(guarded.address) as client:
        client.trickle(client_greeting(SECRET), COUNT)
        assert client.answer() == b"i:0;"


def test_one_that_never_shows_the_key_is_ended() -> None:
    with serving(GATEWAY_SECRET=SECRET, AUTH_TIMEOUT="0.3") as gateway:
        with Peer(gateway.address, secret=SECRET) as client:
            strangers = [Peer(gateway.address) for _ in range(3)]
            strangers[1].send(client_greeting(SECRET)[:-1])
            started = time.monotonic()
            assert [stranger.rest() for stranger in strangers] == [b""] * 3
            assert time.monotonic() - started > 0.2
            for stranger in strangers:
                stranger.leave()
            assert client.ask(COUNT) == 0
        assert gateway.refused() == {"auth": 3}


def test_what_comes_before_the_key_is_bounded(guarded: Gateway) -> None:
    with Peer(guarded.address) as stranger:
        whole = client_greeting(SECRET)
        frame = (9 << 20).to_bytes(4) + whole[4:]
        stranger.send(frame, bytes(LONGEST_GREETING - len(frame)))
        guarded.wait(lambda service: len(service._gateway.links) == 1)
        assert guarded.refused() == {}
        stranger.send(b"\0")
        assert stranger.rest() == b""
    assert guarded.refused() == {"auth": 1}


def test_over_the_limit_nobody_is_let_in_until_somebody_leaves() -> None:
    with serving(GATEWAY_CONNECTIONS="2") as gateway, Peer(gateway.address) as client:
        with Peer(gateway.address) as other:
            assert [client.ask(COUNT), other.ask(COUNT)] == [0, 0]
            with Peer(gateway.address) as third:
                assert third.rest() == b""
            assert gateway.refused() == {"limit": 1}
            assert gateway.metric("gateway_links") == 2
        gateway.wait(lambda service: len(service._gateway.links) == 1)
        with Peer(gateway.address) as other:
            assert other.ask(COUNT) == 0


# --- faults -------------------------------------------------------------------------------------

FAULTY = {
    "too short": b"\0\0\0\x1b" + COUNT[4:],
    "no length": bytes(HEAD),
    "over the limit": struct.pack("!I", (64 << 10) + 1) + COUNT[4:],
    "as long as can be": b"\xff\xff\xff\xff" + COUNT[4:],
    "its parts longer than it": COUNT[:24] + b"\0\0\0\1",
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_frame_that_cannot_be_one_ends_its_link_and_no_other(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        serving(GATEWAY_MAX_FRAME="64 KiB") as gateway,
        log_in(gateway) as browser,
        Peer(gateway.address) as other,
    ):
        with Peer(gateway.address) as client:
            client.send(COUNT, to_uid("u1"), FAULTY[name], to_uid("u1", b"too late"), COUNT)
            assert client.answer() == b"i:1;"
            assert client.rest() == b""
        assert (other.ask(COUNT), taken(browser)) == (1, [b"hi"])
        assert gateway.refused() == {"length": 1}
        assert gateway.metric('refused_links_total{kind="length"}') == 1
    assert "length: a frame of " in caplog.text


def test_the_longest_frame_is_taken() -> None:
    with serving(GATEWAY_MAX_FRAME="64 KiB") as gateway, Peer(gateway.address) as client:
        client.send(to_all(bytes((64 << 10) - HEAD)))
        assert client.ask(COUNT) == 0


@pytest.mark.parametrize("cmd", [0, 1, 2, 3, 4, 19, 29, 99, 206, 255])
def test_a_command_that_is_none_is_counted_and_the_link_kept(
    gateway: Gateway, client: Peer, cmd: int, caplog: pytest.LogCaptureFixture
) -> None:
    client.send(encode(cmd, ext=b"x", body=b"y") * 2)
    assert client.ask(COUNT) == 0
    assert gateway.refused() == {"command": 2}
    assert f"there is no command {cmd}" in caplog.text


@pytest.mark.parametrize(
    ("cmd", "ext"),
    [
        (Cmd.CLIENTS_OF_UIDS, b"{"),
        (Cmd.COUNTS_OF_GROUPS, b"7"),
        (Cmd.SELECT, b"{}"),
        (Cmd.SELECT, b'{"fields":["uid"],"where":7}'),
    ],
)
def test_a_question_that_cannot_be_answered_ends_its_link_behind_earlier_answers(
    gateway: Gateway, cmd: Cmd, ext: bytes
) -> None:
    with Peer(gateway.address) as client:
        client.send(COUNT, encode(cmd, ext=ext), COUNT)
        assert client.answer() == b"i:0;"
        assert client.rest() == b""
    assert gateway.refused() == {"json": 1}


def test_of_two_faults_in_a_packet_the_first_ends_the_link(gateway: Gateway) -> None:
    with Peer(gateway.address) as client:
        client.send(COUNT, encode(Cmd.SELECT, ext=b"{}"), bytes(HEAD))
        assert client.answer() == b"i:0;"
        assert client.rest() == b""
    assert gateway.refused() == {"json": 1}


LEFT_OUT = [
    (encode(Cmd.SEND_TO_UID, ext=b"u1", body=b"hi"), "json"),
    (encode(Cmd.SEND_TO_ALL, ext=b"{", body=b"hi"), "json"),
    (encode(Cmd.SEND_TO_GROUP, ext=b"{}", body=b"hi"), "json"),
    (encode(Cmd.KICK, ext=b"{", body=b"hi", connection_id=1), "json"),
    (encode(Cmd.SEND_TO_UID, ext=b'["a\\nb"]', body=b"hi"), "name"),
    (encode(Cmd.BIND_UID, ext=b"\xff", connection_id=1), "name"),
    (encode(Cmd.JOIN_GROUP, ext=b"a\nb", connection_id=1), "name"),
    (encode(Cmd.SEND_TO_ALL, body=b'O:8:"stdClass":0:{}', flag=0), "serialized"),
    (encode(Cmd.SEND_TO_ALL, body=b"a:9:{", flag=0), "serialized"),
    *(
        (encode(cmd, ext=ext, connection_id=1), "serialized")
        for cmd in (Cmd.SET_SESSION, Cmd.UPDATE_SESSION)
        for ext in (b"123", b"\x03garbage", b"\xc9", b"{}")
    ),
]


@pytest.mark.parametrize(("frame", "kind"), LEFT_OUT, ids=lambda each: repr(each)[-30:])
def test_a_command_that_cannot_be_carried_out_is_left_out_and_the_link_kept(
    gateway: Gateway, client: Peer, frame: bytes, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with log_in(gateway) as browser:
        client.send(frame, to_uid("u1", b"next"))
        assert client.ask(COUNT) == 1
        assert taken(browser) == [b"next"]
    assert gateway.refused() == {kind: 1}
    assert caplog.text.count("\n") == len(caplog.records)  # one line each: nothing is forged


def test_names_that_are_empty_are_left_out_and_counted(gateway: Gateway, client: Peer) -> None:
    with log_in(gateway) as browser:
        number = number_of(client, "u1")
        for cmd in (Cmd.BIND_UID, Cmd.JOIN_GROUP, Cmd.LEAVE_GROUP, Cmd.UNGROUP):
            client.send(*(encode(cmd, connection_id=number, ext=name) for name in (b"", b"0")))
        client.send(to_uid("u1"))
        assert browser.message() == b"hi"
        assert client.ask(encode(Cmd.GROUP_NAMES)) == {}
        assert number_of(client, "u1") == number
    assert gateway.refused() == {"name": 8}


def test_a_peer_that_is_gone_before_it_was_looked_at_is_let_go(gateway: Gateway) -> None:
    for _ in range(20):
        peer = Peer(gateway.address)
        peer.send(COUNT)
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.leave()
    gateway.wait(lambda service: not service._gateway.links)


# --- flow ---------------------------------------------------------------------------------------


def test_one_that_does_not_read_its_answers_is_not_read_from(gateway: Gateway) -> None:
    """And has them all, in their order, once it reads."""
    many, size = 400, 100_000
    session = dumps({"x": "x" * size})
    with log_in(gateway), Peer(gateway.address, receive_buffer=4096) as client:
        number = number_of(client, "u1")
        client.send(encode(Cmd.SET_SESSION, connection_id=number, ext=session))
        asked, expected = questions(many)
        get = encode(Cmd.GET_SESSION, connection_id=number)
        flood = client.flood(*(frame for question in asked for frame in (question, get)))
        wait_until(lambda: gateway.unsent() > 0)
        for _ in range(20):
            assert gateway.unsent() < 2 * PASS_CREDIT + size
        with Peer(gateway.address) as other:
            assert other.ask(COUNT) == 1
        for answer in expected:
            assert loads(client.answer()) == answer
            assert client.answer() == session
        flood.join()
        assert client.ask(COUNT) == 1


FLOODS = {
    "messages": to_uid("u1", bytes(1000)) * 10_000,
    "broadcasts": to_all(bytes(100)) * 15_000,
    "questions": encode(Cmd.SELECT, ext=b'{"fields":["uid","groups"],"where":[]}') * 3000,
    "names": encode(Cmd.CLIENTS_OF_UIDS, ext=json.dumps([*range(1000)]).encode()) * 300,
}
IN_TIME = 1.0
"""Seconds for an answer on a busy machine; it takes less than one millisecond."""


@pytest.mark.parametrize("name", FLOODS)
def test_a_link_that_floods_delays_nobody(gateway: Gateway, name: str) -> None:
    with (
        contextlib.ExitStack() as stack,
        Peer(gateway.address) as other,
        Peer(gateway.address) as flooding,
    ):
        uids = ["u1", *["u2"] * 99]
        crowd = [stack.enter_context(connect(gateway.browsers).login(uid)) for uid in uids]
        gateway.wait(lambda service: len(service.hub.connections) == 100)
        with read_from(flooding, *crowd):
            flood = flooding.flood(FLOODS[name])
            worst, asked = 0.0, 0
            while flood.is_alive() or asked < 50:
                started = time.monotonic()
                assert other.ask(COUNT) > 0
                worst, asked = max(worst, time.monotonic() - started), asked + 1
        assert worst < IN_TIME


def test_a_browser_that_does_not_read_is_closed_alone() -> None:
    with (
        serving(
            LIMITS_QUEUE="64 KiB", TEXT_MAX_LINE="64 KiB", LIMITS_SOCKET_BUFFER="4 KiB"
        ) as gateway,
        connect(gateway.browsers, receive_buffer=4096).login("u1") as stopped,
        log_in(gateway, "u2") as reading,
        Peer(gateway.address) as client,
    ):
        stopped.settle()
        both, messages = b'["u1","u2"]', [b"%05d" % number * 1000 for number in range(100)]
        client.flood(*(encode(Cmd.SEND_TO_UID, ext=both, body=message) for message in messages))
        assert [reading.message() for _ in messages] == messages
        gateway.wait(lambda service: service.metrics.closed[SLOW.code] == 1)
        assert client.ask(COUNT) == 1
        assert gateway.refused() == {}
