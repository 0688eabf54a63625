import contextlib
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushline import commands
from pushline.codecs import cluster_wire as wire
from pushline.codecs.cluster_wire import Answer, Question
from pushline.commands import (
    Clients,
    ClientsOfGroups,
    ClientsOfUids,
    Command,
    CountOfClients,
    Groups,
    IsAlive,
    IsOnline,
    Kick,
    Select,
    Selected,
    SendToAll,
    SendToGroup,
    SendToUid,
    Sent,
    SerializedSession,
    SessionOfClient,
    Sessions,
    SetSession,
    UidOfClient,
    UpdateSession,
)
from pushline.errors import BadFrameError
from pushline.messages import KICKED, LONGEST_BETWEEN_NODES, Close, Message
from pushline.names import check_name

NODE, CLIENT = "7f00000108fc", "7f00000108fc0000002a"
DEEP: dict[str, Any] = {}
for _ in range(2000):
    DEEP = {"deeper": DEEP}

names = st.text(min_size=1, max_size=5).filter(lambda name: name.isprintable())
messages = st.builds(Message, st.binary(max_size=50), st.booleans())
sessions = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
        lambda values: (
            st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=3,
)
clients = st.integers(0, 2**80 - 1).map("{:020x}".format)
asked = st.one_of(
    st.builds(
        SendToUid, st.lists(names).map(tuple), names, messages, st.frozensets(clients, max_size=1)
    ),
    st.builds(SendToGroup, st.lists(names).map(tuple), st.none() | names, messages),
    st.builds(SendToAll, st.none() | names, messages, st.frozensets(clients, max_size=1)),
    st.builds(
        Kick,
        st.lists(clients).map(tuple),
        st.none() | messages,
        st.builds(Close, st.integers(3000, 4999), st.text(max_size=20)),
    ),
    st.builds(SetSession, clients, sessions | st.binary(max_size=20)),
    st.builds(UpdateSession, clients, sessions | st.binary(max_size=20), st.booleans()),
    st.builds(Select, st.none() | st.lists(names).map(tuple), st.none(), st.none(), st.booleans()),
    st.builds(IsAlive, clients, names, names, st.floats(0, 60)),
    st.builds(Groups),
)


def question(command: Command[Any]) -> bytes:
    return wire.encode_question(Question(7, NODE, command))


def why_not(payload: bytes) -> str:
    with pytest.raises(BadFrameError) as caught:
        wire.decode(payload)
    assert caught.value.kind == "command"
    return str(caught.value)


# --- channels -----------------------------------------------------------------------------------


@given(names, names)
def test_the_channel_of_a_user_says_who_he_is(uid: str, utype: str) -> None:
    assert wire.user_in(wire.channel_of_uid(uid, utype)) == (uid, utype)
    assert wire.node_in(wire.channel_of_uid(uid, utype)) is None


@given(st.tuples(names, names), st.tuples(names, names))
def test_different_users_have_different_channels(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert (wire.channel_of_uid(*one) == wire.channel_of_uid(*other)) == (one == other)
    assert (wire.user_of(*one) == wire.user_of(*other)) == (one == other)


@given(names)
def test_a_user_a_group_a_node_and_everyone_have_different_channels(name: str) -> None:
    channels = {
        wire.channel_of_uid(name, name),
        wire.channel_of_group(name),
        wire.channel_of_node(name),
        wire.EVERYONE,
    }
    assert len(channels) == 4
    assert wire.user_in(wire.channel_of_group(name)) is None


def test_what_parts_a_utype_from_a_uid_is_in_no_name() -> None:
    assert wire.user_of("1", "2") == b"2\x001"
    with pytest.raises(Exception, match="control character"):
        check_name("2\x001")


def test_the_channel_of_a_node_says_which_it_is() -> None:
    assert wire.node_in(wire.channel_of_node(NODE)) == NODE


# --- messages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (Message(b"text"), b"t"),
        (Message(b"\xff\0", binary=True), b"b"),
        (Message(b"\x81\x02hi", binary=True, encoded=True), b"e"),
        (Message(b""), b"t"),
    ],
)
def test_a_message_travels_as_it_is_behind_one_byte(message: Message, kind: bytes) -> None:
    payload = wire.encode_message(message)
    assert payload == kind + message.data
    came = wire.decode(payload)
    assert isinstance(came, Message)
    assert (came.data, came.binary, came.encoded) == (
        *(message.data, message.binary, message.encoded),
    )


# --- questions and answers ----------------------------------------------------------------------


@given(asked, st.integers(0, 2**32 - 1), st.integers(0, 2**48 - 1).map("{:012x}".format))
def test_a_question_arrives_as_it_was_asked(command: Command[Any], number: int, node: str) -> None:
    sent = Question(number, node, command)
    came = wire.decode(wire.encode_question(sent))
    assert isinstance(came, Question)
    assert repr(came) == repr(sent)


def test_every_command_has_a_question_and_an_answer() -> None:
    """Also those that somebody adds."""
    all_of_them = {
        each
        for each in vars(commands).values()
        if isinstance(each, type) and issubclass(each, Command) and each is not Command
    }
    assert set(wire._decode_result) == all_of_them


@pytest.mark.parametrize(
    ("command", "result"),
    [
        (SendToAll(None, Message(b"")), Sent(7, ("a", "b"))),
        (IsOnline(CLIENT), True),
        (Kick((CLIENT,), None, KICKED), 2),
        (UidOfClient(CLIENT), None),
        (UidOfClient(CLIENT), "张"),
        (ClientsOfUids(("a", "b"), "0"), {"a": [CLIENT], "b": []}),
        (CountOfClients(), 2**40),
        (SessionOfClient(CLIENT), {"a": [1, {"b": None}], "c": 1.5}),
        (SerializedSession(CLIENT), b"a:0:{}"),
        (Sessions(None), {CLIENT: {"a": 1}}),
        (ClientsOfGroups(), {"g": [CLIENT]}),
        (Select(None, None, None, True), [Selected(CLIENT, "u", ("g",), b"\xff")]),
    ],
)
def test_an_answer_arrives_as_it_was_given(command: Command[Any], result: object) -> None:
    answer = wire.decode(wire.encode_answer(9, NODE, result))
    assert isinstance(answer, Answer)
    assert answer[:2] == (9, NODE)
    assert not answer.failed
    assert wire.decode_result(command, answer.result) == result


def test_why_there_is_no_answer_arrives_whatever_it_is() -> None:
    why = "a lone \ud800, " + "and much more " * 1000
    answer = wire.decode(wire.encode_failure(9, NODE, why))
    assert isinstance(answer, Answer)
    assert (answer.number, answer.node, answer.failed) == (9, NODE, True)
    assert answer.result.startswith(b"a lone ?, and much more")
    assert len(answer.result) == wire.LONGEST_WHY


@pytest.mark.parametrize("value", [object(), {1, object()}, 2**64, -(2**63) - 1, "\ud800", DEEP])
def test_what_cannot_travel_is_refused_where_it_is_sent(value: object) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError, RecursionError)):
        question(SetSession(CLIENT, {"key": value}))
    with pytest.raises((TypeError, ValueError, OverflowError, RecursionError)):
        wire.encode_answer(1, NODE, {"key": value})


def test_what_redis_would_cut_a_node_off_for_is_refused_where_it_is_sent() -> None:
    most = b"x" * (LONGEST_BETWEEN_NODES - 100)
    for data in (most, most + bytes(200)):
        with contextlib.nullcontext() if data is most else pytest.raises(ValueError, match="bytes"):
            question(SetSession(CLIENT, data))
        with contextlib.nullcontext() if data is most else pytest.raises(ValueError, match="bytes"):
            wire.encode_answer(1, NODE, data)


def test_numbers_that_are_none_travel() -> None:
    came = wire.decode(question(SetSession(CLIENT, {"a": math.inf, "b": math.nan})))
    assert isinstance(came, Question)
    assert isinstance(came.command, SetSession)
    assert repr(came.command.session) == "{'a': inf, 'b': nan}"


# --- what no node publishes ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"x",
        b"?",
        b"=",
        b"?\0\0\0\7\x7f\0\0\1\x08",
        b"?\0\0\0\7\x7f\0\0\1\x08\xfc",
        b"?\0\0\0\7\x7f\0\0\1\x08\xfc\xc1",
        question(Groups()) + b"\0",
        question(IsOnline(CLIENT))[:-1],
        b"?\0\0\0\7\x7f\0\0\1\x08\xfc" + msgspec.msgpack.encode(["Groupies"]),
        b"?\0\0\0\7\x7f\0\0\1\x08\xfc" + msgspec.msgpack.encode(["IsOnline", 7]),
        b"?\0\0\0\7\x7f\0\0\1\x08\xfc" + msgspec.msgpack.encode(["IsOnline"]),
        b"?\0\0\0\7\x7f\0\0\1\x08\xfc" + b"\x91" * 100_000,
        b"?\0\0\0\7\x7f\0\0\1\x08\xfc\x92\xa8IsOnline\xa2\xff\xff",
        b"T\0\0\0\7\x7f\0\0\1\x08\xfc\x00",
    ],
    ids=range(15),
)
def test_anything_else_is_refused(payload: bytes) -> None:
    assert "not what a node publishes" in why_not(payload)


@given(st.binary(max_size=60))
def test_any_bytes_are_something_or_refused(payload: bytes) -> None:
    with contextlib.suppress(BadFrameError):
        wire.decode(payload)


@pytest.mark.parametrize(
    "result", [b"", b"\xc1", b"\x01", b"\xa1x", b"\x91\xa2\xff\xff", b"\x91" * 100_000]
)
def test_an_answer_that_is_none_of_its_question_is_refused(result: bytes) -> None:
    with pytest.raises(BadFrameError, match="not an answer to Clients"):
        wire.decode_result(Clients(None), result)
