"""Commands on GatewayWorker's wire, without one: an Executor has the frames, and gives answers."""

import contextlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import decode

from pushline import commands
from pushline.codecs.gateway_call_sends import AT_A_TIME
from pushline.codecs.gateway_calls import Ask, AskThenTell, Parts, Tell, call_of
from pushline.codecs.gateway_frames import (
    BINARY,
    PLAIN,
    WHOLE_LISTS,
    Cmd,
    Frame,
    FrameReader,
    encode,
)
from pushline.codecs.gateway_requests import Requests
from pushline.codecs.php_serialize import dumps
from pushline.commands import Command, Sent
from pushline.errors import BadFrameError, SerializedError, UnsupportedError
from pushline.gateway import Gateway, actions, queries, sends
from pushline.gateway.partial import Partial
from pushline.messages import KICKED, Close, Message
from pushline.names import client_id_of
from tests.gatewayworker.recorded_calls import CALLS, PLACE, ROOMS, Ids, RecordedCall

T = TypeVar("T")

HERE, THERE, NOWHERE = PLACE, PLACE + 1, PLACE + 2
"""Two gateways that there are, and one that there is not."""
UNKNOWN = Sent(None, None)


class Wire:
    """An Executor over gateways that answer a question with a payload, and are Pushline's or not.

    `sent` is what each was sent, by its place.
    """

    def __init__(self, answers: Mapping[int, bytes], *, ours: bool = False) -> None:
        self.partial = Partial()
        self._answers = answers
        self._ours = ours
        self.sent: dict[int, bytes] = dict.fromkeys(answers, b"")

    def execute(self, command: Command[T]) -> T:
        call = call_of(command)
        if isinstance(call, Tell):
            self._send(call.parts)
            return call.answer
        if isinstance(call, Ask):
            for parts in (call.parts, *call.more):
                self._send(parts)
            read = [call.read(place, self._answers[place]) for place in self._reached(call.parts)]
            return call.merge(read)
        return self._ask_then_tell(call)

    def _ask_then_tell(self, call: AskThenTell[T]) -> T:
        if self._ours and call.ours is not None:
            self._send(call.ours)
            return call.answer
        self._send(call.parts)
        for place in self._reached(call.parts):
            self.sent[place] += call.then(place, self._answers[place])
        return call.answer

    def _reached(self, parts: Parts) -> list[int]:
        return [place for place in self.sent if parts.of(place)]

    def _send(self, parts: Parts) -> None:
        for place in self.sent:
            self.sent[place] += parts.of(place)

    def frames(self, place: int) -> list[Frame]:
        return list(FrameReader(1 << 30).feed(self.sent[place]))

    def run(self, coroutine: Any) -> Any:
        """Nobody waits for it."""
        raise NotImplementedError


def over(wire: Wire) -> Gateway:
    gateway = Gateway()
    gateway.attach(wire, wire)
    return gateway


def told(**answers: object) -> Wire:
    """Gateways whose answer is this PHP value: `here`, and `there`."""
    places = {"here": HERE, "there": THERE}
    return Wire({places[name]: dumps(value) for name, value in answers.items()})


def ids(place: int, *numbers: int) -> list[str]:
    return [client_id_of(place, number) for number in numbers]


ONE, TWO = ids(HERE, 1, 2)
FAR = client_id_of(THERE, 1)
AWAY = client_id_of(NOWHERE, 1)


# --- the recording ------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS, ids=[call.name for call in CALLS])
async def test_a_verb_sends_what_php_has_sent_and_returns_what_it_has_returned(
    call: RecordedCall,
) -> None:
    wire = Wire({PLACE: call.reply[4:]}, ours=call.name == ROOMS)
    assert await call.verb(over(wire), Ids()) == call.returned
    assert wire.sent[PLACE] == call.request


# --- sends --------------------------------------------------------------------------------------


async def test_php_s_gateways_send_to_the_members_of_several_groups_by_their_numbers() -> None:
    wire = told(here={1: {}, 3: {}, 2: {}})
    await over(wire).send_to_group(["room1", "room2"], "hello rooms", [ONE])
    where = b'{"fields":[],"where":{"groups":["room1","room2"]}}'
    to = b'{"connections":{"3":3,"2":2}}'
    question = encode(Cmd.SELECT, ext=where)
    assert wire.sent[HERE] == question + encode(Cmd.SEND_TO_ALL, ext=to, body=b"hello rooms")


async def test_a_binary_message_is_marked() -> None:
    wire = Wire({HERE: b""})
    await over(wire).send_to_client(ONE, b"\x00\xff")
    await over(wire).send_to_client(ONE, "text")
    frames = wire.frames(HERE)
    assert [(frame.flag, frame.body) for frame in frames] == [
        (PLAIN | BINARY, b"\x00\xff"),
        (PLAIN, b"text"),
    ]


async def test_what_is_excluded_is_told_to_its_gateway_only() -> None:
    wire, exclude = told(here=0, there=0), [ONE, TWO, AWAY]
    await over(wire).send_to_all("all", exclude=exclude)
    await over(wire).send_to_group("a", "group", exclude)
    assert [frame.ext for frame in wire.frames(HERE)] == [
        b'{"exclude":{"1":1,"2":2}}',
        b'{"group":["a"],"exclude":{"1":1,"2":2}}',
    ]
    assert [frame.ext for frame in wire.frames(THERE)] == [b"", b'{"group":["a"],"exclude":null}']


async def test_exclusion_from_a_user_s_connections_asks_for_them() -> None:
    wire = told(here={"u1": [1, 2], 7: [3]}, there={"u1": [], 7: []})
    assert await over(wire).send_to_uid(["u1", 7], "hello", exclude=[TWO, FAR]) == UNKNOWN
    question, to = wire.frames(HERE)
    assert (question.cmd, question.ext) == (Cmd.CLIENTS_OF_UIDS, b'["u1","7"]')
    assert (to.cmd, to.ext, to.body) == (6, b'{"connections":{"1":1,"3":3}}', b"hello")
    assert [frame.cmd for frame in wire.frames(THERE)] == [Cmd.CLIENTS_OF_UIDS]


async def test_what_is_for_users_of_utype_0_goes_to_all_that_are_bound() -> None:
    wire = told(here={1: {"uid": "u1"}, 2: {"uid": None}}, there={1: {"uid": None}})
    await over(wire).send_to_all("all", utype=0)
    await over(wire).send_to_group("a", "group", utype="0")
    assert [frame.ext for frame in wire.frames(HERE)] == [
        b'{"fields":["uid"],"where":[]}',
        b'{"connections":{"1":1}}',
        b'{"fields":["uid"],"where":{"groups":["a"]}}',
        b'{"connections":{"1":1}}',
    ]
    assert [frame.cmd for frame in wire.frames(THERE)] == [Cmd.SELECT, Cmd.SELECT]


async def test_very_many_are_named_in_several_frames_each_in_one() -> None:
    numbers = range(1, 2 * AT_A_TIME + 2)
    wire = Wire({HERE: b""})
    await over(wire).send_to_client(ids(HERE, *numbers), "hello")
    await over(wire).send_to_uid(numbers, "hello")
    named = [decode(frame.ext) for frame in wire.frames(HERE)]
    connections = [list(each["connections"].values()) for each in named[:3]]
    assert [len(each) for each in connections] == [AT_A_TIME, AT_A_TIME, 1]
    assert [number for each in connections for number in each] == list(numbers)
    assert [name for each in named[3:] for name in each] == list(map(str, numbers))


@pytest.mark.parametrize(
    "send",
    [
        lambda g: g.send_to_all("hello", []),
        lambda g: g.send_to_client([], "hello"),
        lambda g: g.send_to_uid([], "hello"),
        lambda g: g.send_to_group([], "hello"),
    ],
)
async def test_a_send_to_nobody_sends_nothing(send: Callable[[Gateway], Awaitable[Sent]]) -> None:
    wire = told(here=0)
    assert await send(over(wire)) == UNKNOWN
    assert wire.sent[HERE] == b""


# --- actions ------------------------------------------------------------------------------------


async def test_a_kick_says_how_to_close_where_that_is_not_the_usual_way() -> None:
    wire = told(here=0)
    gateway = over(wire)
    await gateway.close_client(ONE)
    await gateway.close_client(ONE, "", code=1000, reason="")
    await gateway.close_client(ONE, b"", code=3011, reason="moved")
    assert [(frame.flag, frame.ext, frame.body) for frame in wire.frames(HERE)] == [
        (0, b"", b"N;"),
        (PLAIN, b'{"code":1000,"reason":""}', b""),
        (PLAIN | BINARY, b'{"code":3011,"reason":"moved"}', b""),
    ]


async def test_users_and_groups_are_closed_client_by_client() -> None:
    wire = told(here=[1, 2], there=[1])
    assert await over(wire).close_uid("u1") is None
    kicks = [frame for place in (HERE, THERE) for frame in wire.frames(place)[1:]]
    assert [(kick.cmd, kick.connection_id) for kick in kicks] == [(7, 1), (7, 2), (7, 1)]
    wire = told(here={1: {"uid": None}}, there={})
    assert await over(wire).close_group("a") is None
    assert [frame.cmd for frame in wire.frames(HERE)] == [Cmd.SELECT, Cmd.KICK]
    assert [frame.cmd for frame in wire.frames(THERE)] == [Cmd.SELECT]


async def test_whatever_is_bound_is_unbound_by_no_uid() -> None:
    wire = told(here=0)
    await over(wire).unbind_uid(ONE)
    assert wire.sent[HERE] == encode(Cmd.UNBIND_UID, connection_id=1)


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"a": {"b": 1}}, PLAIN),
        ({"a": {}}, PLAIN),
        ({"a": [1]}, PLAIN | WHOLE_LISTS),
        ({"a": {"b": [{"c": 1}]}}, PLAIN | WHOLE_LISTS),
        ({"a": ()}, PLAIN | WHOLE_LISTS),
    ],
)
async def test_lists_in_a_change_of_a_session_replace(change: dict[str, Any], flag: int) -> None:
    wire = told(here=0)
    await over(wire).update_session(ONE, change)
    [frame] = wire.frames(HERE)
    assert (frame.flag, frame.ext) == (flag, dumps(change))


def test_serialized_sessions_go_as_they_are() -> None:
    wire = told(here=0)
    wire.execute(commands.SetSession(ONE, b"O:1:..."))
    wire.execute(commands.UpdateSession(ONE, b"a:0:{}"))
    wire.execute(commands.UpdateSession(ONE, b"a:0:{}", whole_lists=True))
    assert [(frame.flag, frame.ext) for frame in wire.frames(HERE)] == [
        (PLAIN, b"O:1:..."),
        (PLAIN, b"a:0:{}"),
        (PLAIN | WHOLE_LISTS, b"a:0:{}"),
    ]


# --- what is refused ----------------------------------------------------------------------------

Refused = Callable[[Gateway, Any], Awaitable[object]]
UTYPES: list[Refused] = [
    lambda g, utype: g.send_to_uid("u1", "m", utype=utype),
    lambda g, utype: g.send_to_uid([], "m", utype=utype),
    lambda g, utype: g.send_to_uid("u1", "m", utype=utype, exclude=ONE),
    lambda g, utype: g.send_to_group("a", "m", utype=utype),
    lambda g, utype: g.send_to_group([], "m", utype=utype),
    lambda g, utype: g.send_to_all("m", utype=utype),
    lambda g, utype: g.close_uid("u1", utype=utype),
    lambda g, utype: g.bind_uid(ONE, "u1", utype),
    lambda g, utype: g.is_uid_online("u1", utype),
    lambda g, utype: g.is_uids_online([], utype),
    lambda g, utype: g.get_client_id_by_uid("u1", utype),
    lambda g, utype: g.batch_get_client_id_by_uid(["u1"], utype),
    lambda g, utype: g.get_uid_list_by_group("a", utype),
    lambda g, utype: g.get_uid_count_by_group("a", utype),
    lambda g, utype: g.get_all_uid_list(utype),
    lambda g, utype: g.get_all_uid_count(utype),
    lambda g, utype: g.get_all_group_uid_list(utype),
    lambda g, utype: g.get_all_group_uid_count(utype),
]


@pytest.mark.parametrize("call", UTYPES)
async def test_there_are_no_other_utypes_than_0(call: Refused) -> None:
    wire = told(here=[])
    for utype in (1, "00", "x"):
        with pytest.raises(UnsupportedError, match="has no utypes"):
            await call(over(wire), utype)
    assert wire.sent[HERE] == b""


@pytest.mark.parametrize(
    "call",
    [
        lambda g, name: g.bind_uid(ONE, name),
        lambda g, name: g.unbind_uid(ONE, name),
        lambda g, name: g.join_group(ONE, name),
        lambda g, name: g.leave_group(ONE, name),
        lambda g, name: g.ungroup(name),
    ],
)
async def test_the_name_that_php_takes_for_none_is_refused(call: Refused) -> None:
    wire = told(here=0)
    for name in (0, "0"):
        with pytest.raises(UnsupportedError, match="take the name 0 for none"):
            await call(over(wire), name)
    await call(over(wire), "00")
    assert len(wire.frames(HERE)) == 1


@pytest.mark.parametrize("value", [object(), 1 << 64, "\ud800", {1, 2}])
async def test_a_session_that_php_cannot_have_is_refused(value: object) -> None:
    wire = told(here=0)
    for call in (over(wire).set_session, over(wire).update_session):
        with pytest.raises(UnsupportedError, match="a session over GatewayWorker's wire: "):
            await call(ONE, {"value": value})
    assert wire.sent[HERE] == b""


# --- questions ----------------------------------------------------------------------------------


async def test_the_answers_of_several_gateways_are_one() -> None:
    lists = over(told(here=[1, 2], there=[1]))
    assert await lists.get_client_id_by_uid("u1") == [ONE, TWO, FAR]
    assert await lists.is_uid_online("u1")
    batch = over(told(here={"u1": [1], 7: []}, there={"u1": [1], 7: [2]}))
    assert await batch.batch_get_client_id_by_uid(["u1", 7]) == {
        "u1": [ONE, FAR],
        "7": ids(THERE, 2),
    }
    assert await batch.is_uids_online([7, "u1"]) == {"7": True, "u1": True}
    counts = over(told(here={"a": 1, 7: 0}, there={"a": 2, 7: 3}))
    assert await counts.batch_get_client_id_count_by_group(["a", 7]) == {"a": 3, "7": 3}
    numbers = over(told(here=2, there=3))
    assert await numbers.get_client_id_count_by_group("a") == 5
    assert await numbers.get_all_client_id_count() == 5
    groups = over(told(here=["a", 7], there=["b", "a"]))
    assert await groups.get_all_group_id_list() == ["a", "7", "b"]


async def test_a_user_at_two_gateways_is_one() -> None:
    users = {1: {"uid": "u2", "groups": {"a": "a"}}, 2: {"uid": "u1", "groups": {"a": "a", 7: "7"}}}
    others = {1: {"uid": "u1", "groups": {"b": "b"}}, 2: {"uid": None, "groups": {"b": "b"}}}
    gateway = over(told(here=users, there=others))
    assert await gateway.get_all_uid_list() == ["u2", "u1"]
    assert await gateway.get_all_uid_count() == 2
    assert await gateway.get_all_group_uid_list() == {"a": ["u2", "u1"], "7": ["u1"], "b": ["u1"]}
    assert await gateway.get_all_group_client_id_list() == {
        "a": [ONE, TWO],
        "7": [TWO],
        "b": ids(THERE, 1, 2),
    }
    assert await gateway.get_all_group_client_id_count() == {"a": 2, "7": 1, "b": 2}


async def test_a_group_of_nobody_s_connections_has_no_users() -> None:
    gateway = over(told(here={1: {"uid": None, "groups": {"a": "a"}}}))
    assert await gateway.get_all_group_uid_list() == {"a": []}


async def test_sessions_are_python_s() -> None:
    sessions = {1: dumps({"list": [1, 2], "n": 1.5}), 2: ""}
    gateway = over(told(here=sessions, there={1: b"a:0:{}"}))
    expected: dict[str, Any] = {ONE: {"list": [1, 2], "n": 1.5}, TWO: {}, FAR: {}}
    assert await gateway.get_all_client_sessions() == expected
    assert await gateway.get_client_sessions_by_group("a") == expected
    assert await over(told(here=None)).get_session(ONE) is None


async def test_a_client_that_is_not_there_or_whose_gateway_is_not_is_none() -> None:
    for gateway, client in ((over(told(here={}, there=0)), ONE), (over(told(here={})), AWAY)):
        assert await gateway.get_uid_by_client_id(client) is None
        assert await gateway.groups_of_client(client) == []
    away = over(told(here=1))
    assert not await away.is_online(AWAY)
    assert await away.get_session(AWAY) is None


async def test_questions_about_nobody_ask_nothing() -> None:
    wire = told(here=0)
    assert await over(wire).is_uids_online([]) == {}
    assert await over(wire).batch_get_client_id_by_uid([]) == {}
    assert await over(wire).batch_get_client_id_count_by_group([]) == {}
    assert wire.sent[HERE] == b""


async def test_names_that_are_no_utf_8_are_shown_as_they_can_be() -> None:
    gateway = over(told(here={1: {"uid": b"\xff", "groups": {b"\xfe": b"\xfe"}}}))
    assert await gateway.get_all_uid_list() == ["\\xff"]
    assert await gateway.get_all_group_client_id_count() == {"\\xfe": 1}


def test_serialized_sessions_come_as_they_are() -> None:
    data = {1: b"O:1:...", 2: b""}
    found = told(here=data, there={}).execute(commands.SerializedSessions("a"))
    assert found == {ONE: b"O:1:...", TWO: b""}
    one = Wire({HERE: b"O:1:..."})
    assert one.execute(commands.SerializedSession(ONE)) == b"O:1:..."
    assert one.execute(commands.SerializedSession(AWAY)) is None
    assert told(here=None).execute(commands.SerializedSession(ONE)) is None


def test_a_select_asks_each_gateway_for_its_own() -> None:
    row = {"uid": "u1", "groups": {7: "7"}, "session": b"\xff"}
    wire = told(here={1: row}, there={})
    found = wire.execute(commands.Select(("a",), ("u1",), (ONE, AWAY), True))
    assert found == [commands.Selected(ONE, "u1", ("7",), b"\xff")]
    fields = b'{"fields":["uid","groups","session"],"where":{"groups":["a"],"uid":["u1"]'
    assert wire.sent[HERE] == encode(25, ext=fields + b',"connection_id":{"1":1}}}')
    assert wire.sent[THERE] == encode(25, ext=fields + b"}}")
    of_clients = told(here={1: {"uid": None, "groups": None}}, there={})
    found = of_clients.execute(commands.Select(None, None, (ONE,), False))
    assert found == [commands.Selected(ONE, None, (), None)]
    assert of_clients.sent[THERE] == b""
    everyone = told(here={}, there={})
    assert everyone.execute(commands.Select(None, None, None, False)) == []
    assert everyone.sent[HERE] == encode(25, ext=b'{"fields":["uid","groups"],"where":[]}')


# --- answers that are none ----------------------------------------------------------------------

QUERIES: list[Command[Any]] = [
    commands.IsOnline(ONE),
    commands.UidsOnline(("u1",), "0"),
    commands.UidsOnline(("u1", "u2"), "0"),
    commands.ClientsOfUids(("u1",), "0"),
    commands.ClientsOfUids(("u1", "u2"), "0"),
    commands.UidOfClient(ONE),
    commands.GroupsOfClient(ONE),
    commands.SessionOfClient(ONE),
    commands.Uids(None, "0"),
    commands.Uids("a", "0"),
    commands.CountOfUids("a", "0"),
    commands.Clients(None),
    commands.CountOfClients(),
    commands.CountsOfGroups(None),
    commands.CountsOfGroups(("a",)),
    commands.CountsOfGroups(("a", "b")),
    commands.Groups(),
    commands.UidsOfGroups("0"),
    commands.ClientsOfGroups(),
    commands.Sessions(None),
    commands.Sessions("a"),
    commands.SerializedSessions(None),
    commands.Select(None, None, None, True),
    commands.SendToAll("0", Message(b"m")),
    commands.SendToGroup(("a", "b"), None, Message(b"m")),
    commands.SendToUid(("u1",), "0", Message(b"m"), frozenset([ONE])),
]
ODD_VALUES: list[object] = [
    *([], {}, ["a"], [[]], {"a": 1}, {"a": ["b"]}, {"u1": [0], "u2": []}, {"u1": [1 << 32]}),
    *({1: 1}, {1: "a:"}, {1: {"uid": []}}, {1: {"groups": 1}}, {1: {"groups": [[]]}}),
    *({0: {}}, {-1: {}}, {1 << 32: {}}),
]
ODD = [
    *(b"", b"x", b"i:1", b"O:1:{}", b"R:1;", b"N;", b"b:1;", b"d:1.5;", b's:1:"a";', b"i:-1;"),
    *map(dumps, ODD_VALUES),
]


@pytest.mark.parametrize("query", QUERIES, ids=repr)
def test_an_answer_that_is_none_is_said_to_be_none(query: Command[Any]) -> None:
    for payload in ODD:
        with contextlib.suppress(BadFrameError, SerializedError):
            Wire({HERE: payload}).execute(query)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.integers(-1, 3) | st.text(), inner),
    max_leaves=20,
)


@given(st.sampled_from(QUERIES), VALUES.map(dumps) | st.binary())
def test_no_answer_raises_anything_else(query: Command[Any], payload: bytes) -> None:
    with contextlib.suppress(BadFrameError, SerializedError):
        Wire({HERE: payload}).execute(query)


@pytest.mark.parametrize(
    ("query", "payload"),
    [
        (commands.IsOnline(ONE), b"a:0:{}"),
        (commands.CountOfClients(), b"N;"),
        (commands.Groups(), b"i:1;"),
        (commands.Clients(None), b"a:1:{i:0;a:0:{}}"),
        (commands.ClientsOfUids(("u1",), "0"), b'a:1:{i:0;s:1:"1";}'),
        (commands.ClientsOfUids(("u1",), "0"), b"a:1:{i:0;i:4294967296;}"),
        (commands.Uids(None, "0"), b'a:1:{i:1;a:1:{s:3:"uid";a:0:{}}}'),
        (commands.Sessions(None), b"a:1:{i:1;i:2;}"),
    ],
)
def test_an_answer_to_another_question_is_a_fault_of_the_link(
    query: Command[Any], payload: bytes
) -> None:
    with pytest.raises(BadFrameError, match="an answer to another question") as error:
        Wire({HERE: payload}).execute(query)
    assert error.value.kind == "serialized"


def test_a_session_that_python_cannot_have_is_named() -> None:
    sessions = dumps({1: "", 2: b"O:1:{}"})
    with pytest.raises(SerializedError, match=f"the session of {TWO}: an object"):
        Wire({HERE: sessions}).execute(commands.Sessions(None))
    with pytest.raises(SerializedError, match="an object"):
        Wire({HERE: b'O:8:"stdClass":0:{}'}).execute(commands.SessionOfClient(ONE))


# --- every Command ------------------------------------------------------------------------------

TEXT, BYTES = Message(b"text"), Message(b"\xff", binary=True)
SAME: list[Command[Any]] = [
    commands.SendToUid(("u1", "7"), "0", TEXT),
    commands.SendToGroup(("a",), None, TEXT),
    commands.SendToGroup(("a",), None, BYTES, frozenset([ONE])),
    commands.SendToClient((ONE,), BYTES),
    commands.SendToClient((ONE, TWO), TEXT),
    commands.SendToAll(None, TEXT),
    commands.SendToAll(None, Message(b"", binary=True), frozenset([TWO])),
    commands.Kick((ONE,), None, KICKED),
    commands.Kick((ONE,), TEXT, Close(4999, "x")),
    commands.Kick((ONE,), BYTES, Close(1000, "")),
    commands.Destroy(ONE),
    commands.BindUid(ONE, "7", "0"),
    commands.UnbindUid(ONE, None),
    commands.UnbindUid(ONE, "u1"),
    commands.JoinGroup(ONE, "a"),
    commands.LeaveGroup(ONE, "a"),
    commands.Ungroup("a"),
    commands.SetSession(ONE, b"a:0:{}"),
    commands.UpdateSession(ONE, b"a:0:{}"),
    commands.UpdateSession(ONE, b"a:0:{}", whole_lists=True),
    commands.IsOnline(ONE),
    commands.ClientsOfUids(("u1",), "0"),
    commands.ClientsOfUids(("u1", "7"), "0"),
    commands.CountOfClients(),
    commands.CountsOfGroups(("7",)),
    commands.CountsOfGroups(("a", "7")),
    commands.Groups(),
    commands.SerializedSession(ONE),
    commands.SerializedSessions(None),
    commands.SerializedSessions("a"),
    commands.Select(None, None, None, True),
    commands.Select(("a",), ("u1",), (ONE,), False),
]


@pytest.mark.parametrize("command", SAME, ids=repr)
def test_our_own_gateway_takes_it_for_the_same_command(command: Command[Any]) -> None:
    [frame] = FrameReader(1 << 20).feed(call_of(command).parts.of(HERE))
    taken, _ = Requests(HERE).by_command[frame.cmd](frame)
    assert repr(taken) == repr(command)  # messages are equal to none but themselves


def test_there_is_a_way_for_every_command_of_the_verbs() -> None:
    used = {
        kind
        for verbs in (sends, actions, queries)
        for _, kind in inspect.getmembers(verbs, inspect.isclass)
        if issubclass(kind, Command)
    }
    assert len(used) > 25
    assert used <= {type(command) for command in (*SAME, *QUERIES)}
