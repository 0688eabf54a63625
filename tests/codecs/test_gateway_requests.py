"""Frames as Commands, and answers as bytes, table by table."""

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushline.codecs.gateway_frames import (
    BINARY,
    ENCODED,
    PLAIN,
    WHOLE_LISTS,
    Cmd,
    Frame,
    FrameReader,
    encode,
)
from pushline.codecs.gateway_requests import Requests, fault_of
from pushline.codecs.php_serialize import dumps, loads
from pushline.commands import (
    BindUid,
    ClientsOfUids,
    Command,
    CountOfClients,
    CountsOfGroups,
    Destroy,
    Groups,
    IsOnline,
    JoinGroup,
    Kick,
    LeaveGroup,
    Select,
    Selected,
    SendToAll,
    SendToClient,
    SendToGroup,
    SendToUid,
    SerializedSession,
    SerializedSessions,
    SetSession,
    UnbindUid,
    Ungroup,
    UpdateSession,
)
from pushline.errors import BadFrameError, BadNameError, SerializedError
from pushline.gatewayworker.role import KNOCK, KNOWN_TO_US
from pushline.messages import KICKED, Close, Message
from pushline.names import client_id_of
from tests.gatewayworker.recorded import in_calls, in_life

ADDRESS = 0x7F00000108FC
A, B, LAST = (client_id_of(ADDRESS, number) for number in (1, 2, 2**32 - 1))
REQUESTS = Requests(ADDRESS)
QUERIES = [
    *(Cmd.ALL_SESSIONS, Cmd.IS_ONLINE, Cmd.CLIENTS_OF_UID, Cmd.CLIENTS_OF_UIDS),
    *(Cmd.SESSIONS_OF_GROUP, Cmd.COUNT_OF_GROUP, Cmd.SELECT, Cmd.GROUP_NAMES),
    *(Cmd.COUNTS_OF_GROUPS, Cmd.GET_SESSION),
]
MESSAGE = Message(b"hi")


def frame(cmd: int, ext: object = b"", body: bytes = b"", *, of: int = 0, flag: int = 1) -> Frame:
    """A request; `ext` is bytes, or what becomes JSON."""
    ext_data = ext if isinstance(ext, bytes) else json.dumps(ext).encode()
    sent = encode(cmd, connection_id=of, flag=flag, ext=ext_data, body=body)
    (received,) = FrameReader(1 << 20).feed(sent)
    return received


def asked(request: Frame) -> Command[Any] | None:
    return REQUESTS.by_command[request.cmd](request)[0]


def answer(request: Frame, result: object) -> bytes:
    _, encode = REQUESTS.by_command[request.cmd](request)
    assert encode is not None
    return encode(result)


def message_in(body: bytes, flag: int) -> Message:
    command = asked(frame(Cmd.SEND_TO_ONE, body=body, flag=flag, of=1))
    assert isinstance(command, SendToClient)
    return command.message


def parts(value: object) -> object:
    """It in values that are equal where they say the same."""
    if isinstance(value, msgspec.Struct):
        return type(value), {
            key: parts(part) for key, part in msgspec.structs.asdict(value).items()
        }
    return value


def kind_of(request: Frame) -> str:
    """The kind of the fault."""
    with pytest.raises((BadFrameError, BadNameError, SerializedError)) as caught:
        asked(request)
    return fault_of(caught.value).kind


# --- every command ------------------------------------------------------------------------------

COMMANDS: list[tuple[Frame, Command[Any] | None]] = [
    (frame(Cmd.SEND_TO_ONE, of=1, body=b"hi"), SendToClient((A,), MESSAGE)),
    (frame(Cmd.SEND_TO_ONE, of=2**32 - 1, body=b"hi"), SendToClient((LAST,), MESSAGE)),
    (frame(Cmd.SEND_TO_ALL, body=b"hi"), SendToAll(None, MESSAGE)),
    (frame(Cmd.DESTROY, of=1), Destroy(A)),
    (frame(Cmd.KICK, body=b"hi", of=1), Kick((A,), MESSAGE, KICKED)),
    (frame(Cmd.BIND_UID, b"u1", of=1), BindUid(A, "u1", "0")),
    (frame(Cmd.UNBIND_UID, b"u1", of=1), UnbindUid(A, "u1")),
    (frame(Cmd.UNBIND_UID, of=1), UnbindUid(A, None)),
    (frame(Cmd.JOIN_GROUP, b"room1", of=1), JoinGroup(A, "room1")),
    (frame(Cmd.LEAVE_GROUP, b"7", of=1), LeaveGroup(A, "7")),
    (frame(Cmd.UNGROUP, "Zoë".encode()), Ungroup("Zoë")),
    (frame(Cmd.SET_SESSION, b"any", of=1), SetSession(A, b"any")),
    (frame(Cmd.SET_SESSION, of=1), SetSession(A, b"")),
    (frame(Cmd.UPDATE_SESSION, b"any", of=1), UpdateSession(A, b"any", False)),
    (
        frame(Cmd.UPDATE_SESSION, b"any", of=1, flag=PLAIN | WHOLE_LISTS),
        UpdateSession(A, b"any", True),
    ),
    (frame(Cmd.GET_SESSION, of=1), SerializedSession(A)),
    (frame(Cmd.ALL_SESSIONS), SerializedSessions(None)),
    (frame(Cmd.SESSIONS_OF_GROUP, b"room1"), SerializedSessions("room1")),
    (frame(Cmd.IS_ONLINE, of=1), IsOnline(A)),
    (frame(Cmd.CLIENTS_OF_UID, b"u1"), ClientsOfUids(("u1",), "0")),
    (frame(Cmd.CLIENTS_OF_UIDS, ["u1", "u2"]), ClientsOfUids(("u1", "u2"), "0")),
    (frame(Cmd.COUNT_OF_GROUP), CountOfClients()),
    (frame(Cmd.COUNT_OF_GROUP, b"room1"), CountsOfGroups(("room1",))),
    (frame(Cmd.COUNTS_OF_GROUPS, ["room1", 7]), CountsOfGroups(("room1", "7"))),
    (frame(Cmd.GROUP_NAMES), Groups()),
]


@pytest.mark.parametrize(("request_", "command"), COMMANDS, ids=lambda each: repr(each)[:60])
def test_a_frame_is_a_command(request_: Frame, command: Command[Any]) -> None:
    assert parts(asked(request_)) == parts(command)


def test_every_command_to_a_gateway_is_taken() -> None:
    events = {Cmd.CONNECT, Cmd.MESSAGE, Cmd.CLOSE, Cmd.WEBSOCKET_CONNECT, Cmd.HANDED_OVER}
    greetings = {Cmd.WORKER_CONNECT, Cmd.CLIENT_CONNECT}
    of_links = {*greetings, Cmd.PING, Cmd.PAUSE, Cmd.RESUME, Cmd.LEAVE}
    assert set(REQUESTS.by_command) == set(Cmd) - events - of_links


@pytest.mark.parametrize(
    "sent",
    [*in_calls("gateway", "request"), *in_life("worker", "gateway"), *in_life("client", "gateway")],
)
def test_every_recorded_request_is_a_command_and_is_answered_where_phps_gateway_answers(
    sent: bytes,
) -> None:
    for each in FrameReader(1 << 20).feed(sent):
        if each.cmd not in (Cmd.WORKER_CONNECT, Cmd.CLIENT_CONNECT):
            command, encode = REQUESTS.by_command[each.cmd](each)
            assert command is not None
            assert (encode is not None) == (each.cmd in QUERIES)


def test_client_ids_begin_with_the_gateways_address() -> None:
    request = frame(Cmd.IS_ONLINE, of=1)
    command, _ = Requests(0xC0A8010208FC).by_command[request.cmd](request)
    assert command == IsOnline("c0a8010208fc00000001")


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"", b"0"])
@pytest.mark.parametrize("cmd", [Cmd.BIND_UID, Cmd.JOIN_GROUP, Cmd.LEAVE_GROUP, Cmd.UNGROUP])
def test_what_php_calls_empty_is_no_name(cmd: Cmd, name: bytes) -> None:
    with pytest.raises(BadNameError, match="an empty name"):
        REQUESTS.by_command[cmd](frame(cmd, name, of=1))


def test_a_zero_is_a_name_like_others_to_unbind_to_send_to_and_to_ask_for() -> None:
    assert asked(frame(Cmd.UNBIND_UID, b"0", of=1)) == UnbindUid(A, "0")
    assert asked(frame(Cmd.CLIENTS_OF_UID, b"0")) == ClientsOfUids(("0",), "0")
    assert asked(frame(Cmd.COUNT_OF_GROUP, b"0")) == CountsOfGroups(("0",))
    assert uids_of(["0", 0]) == ("0",)


IMPOSSIBLE = [b"\xff", b"a\nb", b"\0", b"x" * 256, "\x85".encode()]


@pytest.mark.parametrize("name", IMPOSSIBLE)
@pytest.mark.parametrize(
    "cmd", [Cmd.BIND_UID, Cmd.UNBIND_UID, Cmd.JOIN_GROUP, Cmd.LEAVE_GROUP, Cmd.UNGROUP]
)
def test_nobody_is_given_a_name_that_is_none(cmd: Cmd, name: bytes) -> None:
    assert kind_of(frame(cmd, name, of=1)) == "name"


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_who_asks_for_a_name_that_is_none_is_told_that_nobody_has_it(name: bytes) -> None:
    of_uid, of_group = frame(Cmd.CLIENTS_OF_UID, name), frame(Cmd.COUNT_OF_GROUP, name)
    assert asked(of_uid) == ClientsOfUids(("",), "0")
    assert answer(of_uid, {"": []}) == b"a:0:{}"
    assert asked(of_group) == CountsOfGroups(("",))
    assert answer(of_group, {"": 0}) == b"i:0;"
    assert asked(frame(Cmd.SESSIONS_OF_GROUP, name)) == SerializedSessions("")


def test_an_empty_group_has_no_sessions_and_an_empty_uid_no_clients() -> None:
    assert asked(frame(Cmd.SESSIONS_OF_GROUP)) == SerializedSessions("")
    assert asked(frame(Cmd.CLIENTS_OF_UID)) == ClientsOfUids(("",), "0")


def uids_of(ext: object) -> tuple[str, ...]:
    command = asked(frame(Cmd.SEND_TO_UID, ext, b"hi"))
    assert isinstance(command, SendToUid)
    assert (command.utype, command.exclude) == ("0", frozenset())
    return command.uids


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["u1"], ("u1",)),
        ([42], ("42",)),
        ([0], ("0",)),
        (["u1", 42, -7, "42"], ("u1", "42", "-7")),
        ({"0": "u1", "2": 42}, ("u1", "42")),
        ({"x": "u1"}, ("u1",)),
        (["", "u1", None], ("u1",)),
        ([2**63 - 1, -(2**63)], (str(2**63 - 1), str(-(2**63)))),
        (["Zoë", "😀"], ("Zoë", "😀")),
    ],
)
def test_names_in_json_are_phps(names: object, expected: tuple[str, ...]) -> None:
    assert uids_of(names) == expected
    group = asked(frame(Cmd.SEND_TO_GROUP, {"group": names, "exclude": None}, b"hi"))
    assert parts(group) == parts(SendToGroup(expected, None, MESSAGE))
    assert asked(frame(Cmd.CLIENTS_OF_UIDS, names)) == ClientsOfUids(expected, "0")
    assert asked(frame(Cmd.COUNTS_OF_GROUPS, names)) == CountsOfGroups(expected)


@pytest.mark.parametrize("names", [[], {}, [""], [None]])
def test_who_asks_about_nobody_is_told_so_and_who_sends_to_nobody_is_wrong(names: object) -> None:
    assert asked(frame(Cmd.CLIENTS_OF_UIDS, names)) == ClientsOfUids((), "0")
    assert asked(frame(Cmd.COUNTS_OF_GROUPS, names)) == CountsOfGroups(())
    for cmd, ext in ((Cmd.SEND_TO_UID, names), (Cmd.SEND_TO_GROUP, {"group": names})):
        with pytest.raises(BadNameError, match="nobody"):
            asked(frame(cmd, ext, b"hi"))


NO_NAMES = [[True], [1.5], [["u1"]], [{"u1": 1}], ["a\nb"], ["x" * 256], [2**63], ["u1", False]]


@pytest.mark.parametrize("names", NO_NAMES)
def test_a_send_to_what_is_no_name_is_left_out(names: object) -> None:
    assert kind_of(frame(Cmd.SEND_TO_UID, names, b"hi")) == "name"
    assert kind_of(frame(Cmd.SEND_TO_GROUP, {"group": names}, b"hi")) == "name"


@pytest.mark.parametrize("names", NO_NAMES)
def test_in_a_question_what_is_no_name_is_nobodys(names: list[object]) -> None:
    expected = tuple(name for name in names if name == "u1")
    assert asked(frame(Cmd.CLIENTS_OF_UIDS, names)) == ClientsOfUids(expected, "0")
    assert asked(frame(Cmd.COUNTS_OF_GROUPS, names)) == CountsOfGroups(expected)


# --- ids ----------------------------------------------------------------------------------------


def clients_of(ext: object) -> tuple[str, ...]:
    command = asked(frame(Cmd.SEND_TO_ALL, ext, b"hi"))
    assert isinstance(command, SendToClient)
    return command.clients


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ({"1": 1, "2": 2}, (A, B)),
        ([1, 2], (A, B)),
        ({"7": 2, "9": 1}, (B, A)),
        ({"1": "1", "2": "2"}, (A, B)),
        ([1, 1, "1"], (A,)),
        ([2**32 - 1], (LAST,)),
        ([], ()),
        ({}, ()),
        ([0, -1, 2**32, "x", None, True, 1.0, [1], "9" * 5000, "٣", ""], ()),
    ],
)
def test_connections_go_by_values_and_what_is_no_id_is_nobody(
    ids: object, expected: tuple[str, ...]
) -> None:
    assert clients_of({"connections": ids}) == expected


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ({"1": 1, "2": 2}, {A, B}),
        ({"1": 7, "2": None}, {A, B}),
        ([0, 0, 0], {A, B}),
        ([1], set()),
        ([], set()),
        ({}, set()),
        (None, set()),
        ({"0": 0, "x": 1, "-1": 1, "4294967296": 1}, set()),
    ],
)
def test_who_is_excluded_goes_by_keys(ids: object, expected: set[str]) -> None:
    to_all = asked(frame(Cmd.SEND_TO_ALL, {"exclude": ids}, b"hi"))
    assert parts(to_all) == parts(SendToAll(None, MESSAGE, frozenset(expected)))
    to_group = asked(frame(Cmd.SEND_TO_GROUP, {"group": ["g"], "exclude": ids}, b"hi"))
    assert parts(to_group) == parts(SendToGroup(("g",), None, MESSAGE, frozenset(expected)))


def test_those_excluded_are_no_connections_either() -> None:
    assert clients_of({"connections": [1, 2], "exclude": {"1": 1}}) == (B,)


def test_an_empty_array_for_all_is_to_all() -> None:
    for ext in (b"[]", b"{}"):
        everyone = asked(frame(Cmd.SEND_TO_ALL, ext, b"hi"))
        assert parts(everyone) == parts(SendToAll(None, MESSAGE))


# --- messages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "body", "binary"),
    [
        (PLAIN, b"hi", False),
        (PLAIN, b"", False),
        (PLAIN, "Zoë 😀".encode(), False),
        (PLAIN, b"\0\1", False),
        (PLAIN, b"\xff", True),
        (PLAIN, b"\xed\xa0\x80", True),
        (PLAIN | BINARY, b"hi", True),
        (PLAIN | BINARY, b"", True),
        (PLAIN | 0x80, b"hi", False),
    ],
)
def test_a_plain_body_is_text_unless_it_is_marked_or_cannot_be(
    flag: int, body: bytes, binary: bool
) -> None:
    assert parts(message_in(body, flag)) == parts(Message(body, binary=binary))


@pytest.mark.parametrize("flag", [ENCODED, ENCODED | PLAIN, ENCODED | PLAIN | BINARY])
@pytest.mark.parametrize("body", [b"\x81\x02hi", b"", b"\xff"])
def test_an_encoded_body_goes_to_clients_as_it_is(flag: int, body: bytes) -> None:
    assert parts(message_in(body, flag)) == parts(Message(body, binary=True, encoded=True))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'a:2:{s:4:"name";s:4:"Zo\xc3\xab";s:1:"n";d:1.5;}', '{"name":"Zoë","n":1.5}'),
        (b'a:2:{i:0;s:1:"a";i:1;N;}', '["a",null]'),
        (b'a:1:{i:1;s:1:"a";}', '{"1":"a"}'),
        (b"a:0:{}", "[]"),
        (b"b:1;", "true"),
        (b"N;", "null"),
        (b's:2:"hi";', "hi"),
        (b's:0:"";', ""),
    ],
)
def test_a_serialized_array_is_json_and_a_string_is_itself(body: bytes, text: str) -> None:
    assert parts(message_in(body, 0)) == parts(Message(text.encode()))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hi",
        b's:1:"\xff";',
        b'a:1:{i:0;s:1:"\xff";}',
        b"d:NAN;",
        b"a:1:{i:0;d:INF;}",
        b'O:8:"stdClass":0:{}',
        b"a:1:{i:0;R:1;}",
        b"a:1:{i:0;" * 100,
        b"a:999999999:{",
    ],
)
@pytest.mark.parametrize("cmd", [Cmd.SEND_TO_ONE, Cmd.SEND_TO_ALL, Cmd.KICK])
def test_a_serialized_body_that_cannot_be_a_message_is_left_out(cmd: Cmd, body: bytes) -> None:
    assert kind_of(frame(cmd, b"", body, of=1, flag=0)) == "serialized"


# --- kicks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "body", "last"),
    [
        (PLAIN, b"bye", Message(b"bye")),
        (PLAIN, b"", Message(b"")),
        (PLAIN, b"N;", Message(b"N;")),
        (0, b"N;", None),
        (0, b's:0:"";', Message(b"")),
        (0, b"a:0:{}", Message(b"[]")),
        (PLAIN | BINARY, b"bye", Message(b"bye", binary=True)),
        (PLAIN | ENCODED, b"\x81\x03bye", Message(b"\x81\x03bye", binary=True, encoded=True)),
    ],
)
def test_a_kick_has_a_last_message_or_none(flag: int, body: bytes, last: Message | None) -> None:
    assert parts(asked(frame(Cmd.KICK, b"", body, of=1, flag=flag))) == parts(
        Kick((A,), last, KICKED)
    )


@pytest.mark.parametrize(
    ("ext", "close"),
    [
        (b"", KICKED),
        ({}, KICKED),
        ([], KICKED),
        ({"code": 3001, "reason": "later"}, Close(3001, "later")),
        ({"code": 4999}, Close(4999, KICKED.reason)),
        ({"reason": "Zoë"}, Close(KICKED.code, "Zoë")),
        ({"code": 1000, "reason": ""}, Close(1000, "")),
    ],
)
def test_a_kick_of_ours_says_how_to_close(ext: object, close: Close) -> None:
    assert parts(asked(frame(Cmd.KICK, ext, b"N;", of=1, flag=0))) == parts(Kick((A,), None, close))


@pytest.mark.parametrize(
    "ext",
    [
        *(b"x", b"7", b"[1]", b"\xff", b'{"code":'),
        *({"code": 1006}, {"code": "3001"}, {"code": 5000}, {"code": None}, {"code": True}),
        *({"reason": 7}, {"reason": "x" * 120}, {"reason": None}),
    ],
)
def test_a_kick_that_says_it_wrongly_is_left_out(ext: object) -> None:
    assert kind_of(frame(Cmd.KICK, ext, b"N;", of=1, flag=0)) == "json"


# --- select -------------------------------------------------------------------------------------

EVERYONE = (None, None, None)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ([], EVERYONE),
        ({}, EVERYONE),
        (None, EVERYONE),
        ({"groups": ["room1", 7]}, (("room1", "7"), (), ())),
        ({"uid": {"0": "u1", "3": 42}}, ((), ("u1", "42"), ())),
        ({"connection_id": {"1": 1, "2": 2}}, ((), (), (A, B))),
        ({"connection_id": [1, 2]}, ((), (), (A, B))),
        ({"groups": ["a"], "uid": ["u1"], "connection_id": [1]}, (("a",), ("u1",), (A,))),
        ({"groups": []}, ((), (), ())),
        ({"uid": None}, ((), (), ())),
        ({"uid": [None, True, "a\nb", "", "u1"]}, ((), ("u1",), ())),
        ({"connection_id": [0, "x"]}, ((), (), ())),
        ({"unknown": ["a"]}, ((), (), ())),
    ],
)
@pytest.mark.parametrize("fields", [["uid"], ["session", "groups"]])
def test_a_select_is_of_everyone_or_of_whom_one_thing_holds(
    fields: list[str], where: object, expected: tuple[tuple[str, ...] | None, ...]
) -> None:
    groups, uids, clients = expected
    command = asked(frame(Cmd.SELECT, {"fields": fields, "where": where}))
    assert command == Select(groups, uids, clients, "session" in fields)


def test_a_select_without_a_where_is_of_everyone() -> None:
    assert asked(frame(Cmd.SELECT, {"fields": ["uid"]})) == Select(*EVERYONE, False)


SELECTED = [
    Selected(A, "u1", ("room1", "7"), b"a:0:{}"),
    Selected(B, None, (), b""),
]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["uid"], {1: {"uid": "u1"}, 2: {"uid": None}}),
        (["groups"], {1: {"groups": {"room1": "room1", 7: "7"}}, 2: {"groups": None}}),
        (
            ["session", "uid"],
            {1: {"session": "a:0:{}", "uid": "u1"}, 2: {"session": "", "uid": None}},
        ),
        ({"0": "uid", "2": "uid"}, {1: {"uid": "u1"}, 2: {"uid": None}}),
        ([], {1: {}, 2: {}}),
        (["id", ["uid"], None, 7, {"uid": 1}, "uid"], {1: {"uid": "u1"}, 2: {"uid": None}}),
    ],
)
def test_a_selection_has_the_fields_that_were_asked_for_in_that_order(
    fields: object, expected: dict[int, dict[str, object]]
) -> None:
    request = frame(Cmd.SELECT, {"fields": fields, "where": []})
    assert answer(request, SELECTED) == dumps(expected)


# --- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "result", "expected"),
    [
        (frame(Cmd.IS_ONLINE, of=1), True, b"i:1;"),
        (frame(Cmd.IS_ONLINE, of=1), False, b"i:0;"),
        (frame(Cmd.IS_ONLINE), False, b"i:0;"),
        (frame(Cmd.GET_SESSION, of=1), None, b"N;"),
        (frame(Cmd.GET_SESSION, of=1), b"", b"a:0:{}"),
        (frame(Cmd.GET_SESSION, of=1), b"just as it came", b"just as it came"),
        (frame(Cmd.ALL_SESSIONS), {A: b"a:0:{}", B: b""}, b'a:2:{i:1;s:6:"a:0:{}";i:2;s:0:"";}'),
        (frame(Cmd.SESSIONS_OF_GROUP, b"g"), {LAST: b"\xff"}, b'a:1:{i:4294967295;s:1:"\xff";}'),
        (frame(Cmd.CLIENTS_OF_UID, b"u1"), {"u1": [B, A]}, b"a:2:{i:0;i:2;i:1;i:1;}"),
        (
            frame(Cmd.CLIENTS_OF_UIDS, ["u1", 7]),
            {"u1": [A], "7": []},
            b'a:2:{s:2:"u1";a:1:{i:0;i:1;}i:7;a:0:{}}',
        ),
        (frame(Cmd.COUNT_OF_GROUP), 4, b"i:4;"),
        (frame(Cmd.COUNT_OF_GROUP, b"7"), {"7": 2}, b"i:2;"),
        (frame(Cmd.COUNTS_OF_GROUPS, [7]), {"7": 2}, b"a:1:{i:7;i:2;}"),
        (
            frame(Cmd.GROUP_NAMES),
            ["room1", "7", "007", "-7", "Zoë"],
            b'a:5:{i:0;s:5:"room1";i:1;i:7;i:2;s:3:"007";i:3;i:-7;i:4;s:4:"Zo\xc3\xab";}',
        ),
        (frame(Cmd.GROUP_NAMES), [], b"a:0:{}"),
    ],
    ids=lambda each: repr(each)[:40],
)
def test_an_answer_is_what_php_writes(request_: Frame, result: object, expected: bytes) -> None:
    assert answer(request_, result) == expected


def test_who_knocks_as_pushline_does_hears_that_this_is_pushline() -> None:
    (knock,) = FrameReader(1 << 10).feed(KNOCK)
    assert answer(knock, False) == KNOWN_TO_US
    assert answer(frame(Cmd.IS_ONLINE, b"pushline", of=1), False) == b"i:0;"
    assert answer(frame(Cmd.IS_ONLINE, b"other"), False) == b"i:0;"


# --- JSON that is none --------------------------------------------------------------------------

OF_JSON = [
    *(Cmd.SEND_TO_UID, Cmd.SEND_TO_GROUP, Cmd.CLIENTS_OF_UIDS, Cmd.COUNTS_OF_GROUPS, Cmd.SELECT),
    Cmd.SEND_TO_ALL,
]
NO_JSON = [
    *(b"{", b"[", b"]", b"u1", b"'u1'", b'["a",]', b"\xff", b'["\xff"]', rb'["\ud800"]', b"\0"),
    *(b"nan", b'{"a":1}{"a":1}', b"\xef\xbb\xbf[]", b"[" * 100_000, b'{"a":' * 100_000),
]


@pytest.mark.parametrize("cmd", OF_JSON)
@pytest.mark.parametrize("ext", NO_JSON, ids=lambda ext: repr(ext)[:30])
def test_what_is_not_json_is_a_fault(cmd: Cmd, ext: bytes) -> None:
    assert kind_of(frame(cmd, ext, b"hi")) == "json"


@pytest.mark.parametrize("cmd", OF_JSON)
@pytest.mark.parametrize("ext", [b"7", b"null", b"true", b'"u1"', b"1.5"])
def test_json_of_another_kind_is_a_fault_too(cmd: Cmd, ext: bytes) -> None:
    assert kind_of(frame(cmd, ext, b"hi")) == "json"


@pytest.mark.parametrize(
    ("cmd", "ext"),
    [
        (Cmd.SEND_TO_ALL, {"connections": 1}),
        (Cmd.SEND_TO_ALL, {"exclude": "1"}),
        (Cmd.SEND_TO_ALL, [1, 2]),
        (Cmd.SEND_TO_GROUP, {"group": "room1"}),
        (Cmd.SEND_TO_GROUP, {"exclude": {}}),
        (Cmd.SEND_TO_GROUP, ["room1"]),
        (Cmd.SEND_TO_GROUP, {"group": ["a"], "exclude": 1}),
        (Cmd.SELECT, {"where": []}),
        (Cmd.SELECT, {"fields": "uid", "where": []}),
        (Cmd.SELECT, {"fields": ["uid"], "where": ["u1"]}),
        (Cmd.SELECT, {"fields": ["uid"], "where": "u1"}),
        (Cmd.SELECT, {"fields": ["uid"], "where": {"uid": "u1"}}),
        (Cmd.SELECT, {"fields": ["uid"], "where": {"connection_id": 1}}),
        (Cmd.SELECT, ["uid"]),
    ],
)
def test_an_array_where_none_belongs_or_none_where_one_does_is_a_fault(
    cmd: Cmd, ext: object
) -> None:
    assert kind_of(frame(cmd, ext, b"hi")) == "json"


# --- anything -----------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)
KEYS = st.sampled_from(["group", "exclude", "connections", "fields", "where", "uid", "code"])


@given(
    st.sampled_from(sorted(REQUESTS.by_command)),
    st.one_of(
        st.binary(max_size=40),
        JSON,
        st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON)),
    ),
    st.binary(max_size=40) | st.sampled_from([b"N;", dumps([1]), dumps("x")]),
    st.integers(0, 255),
    st.integers(0, 2**32 - 1),
)
def test_any_frame_is_a_request_or_a_fault_of_a_known_kind(
    cmd: int, ext: object, body: bytes, flag: int, number: int
) -> None:
    request = frame(cmd, ext, body, of=number, flag=flag)
    with contextlib.suppress(BadFrameError, BadNameError, SerializedError):
        command, encode = REQUESTS.by_command[cmd](request)
        assert command is None or isinstance(command, Command)
        assert (encode is not None) == (cmd in QUERIES)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BadFrameError("json", "x"), "json"),
        (BadNameError("x"), "name"),
        (SerializedError("x"), "serialized"),
    ],
)
def test_a_fault_has_a_kind(error: Any, kind: str) -> None:
    assert (fault_of(error).kind, str(fault_of(error))) == (kind, "x")


def test_names_survive_the_way_there_and_back() -> None:
    names = ["room1", "7", "x y", "é"]
    assert loads(answer(frame(Cmd.GROUP_NAMES), names)) == dict(enumerate(["room1", 7, "x y", "é"]))
