import dataclasses
import json
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushline.client.pushes import MAX_DEPTH, MAX_LINE, Composer, Push
from pushline.codecs.push_json import decode
from pushline.commands import SendToAll, SendToUid
from pushline.errors import BadNameError, InvalidPushError, PushlineError

composer = Composer()


class Colour(StrEnum):
    RED = "red"


class Kind(IntEnum):
    BUYER = 7


class Nobody(int, Enum):
    NOBODY = 0


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5


class Order(msgspec.Struct):
    number: int


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


# --- the line ---------------------------------------------------------------------------------


def test_uid_and_utype_stand_in_front_and_data_keeps_its_order() -> None:
    data = {"z": 1, "a": [True, None], "percent": "88%"}
    rest = b'"z":1,"a":[true,null],"percent":"88%"}'
    assert composer.to_uid("u", data, None) == b'{"uid":"u",' + rest
    assert composer.to_uid("u", data, 1) == b'{"uid":"u","utype":1,' + rest
    assert composer.to_uid("u", data, "buyer") == b'{"uid":"u","utype":"buyer",' + rest
    assert composer.to_uid("u", {}, 0) == b'{"uid":"u","utype":0}'
    assert composer.to_all(data, None) == b'{"uid":"",' + rest
    assert composer.to_all({}, 2) == b'{"uid":"","utype":2}'


def test_uids_are_written_as_they_are_given() -> None:
    assert composer.to_uid(42, {}, None) == b'{"uid":42}'
    assert composer.to_uid("42", {}, None) == b'{"uid":"42"}'
    assert composer.to_uid(["a", 2], {}, None) == b'{"uid":["a",2]}'
    assert composer.to_uid((uid for uid in ("a", "b")), {}, None) == b'{"uid":["a","b"]}'
    assert composer.to_uid({"a": 1}.keys(), {}, None) == b'{"uid":["a"]}'
    assert composer.to_uid(Colour.RED, {}, Kind.BUYER) == b'{"uid":"red","utype":7}'
    assert composer.to_uid("Größe", {"š": "✓"}, None) == '{"uid":"Größe","š":"✓"}'.encode()


def test_values_that_json_does_not_have_are_written_as_strings_lists_and_objects() -> None:
    data = {
        "when": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "id": uuid.UUID(int=1),
        "price": Decimal("9.90"),
        "bytes": b"\x00\xff",
        "set": {1},
        "tuple": (1, 2),
        "colour": Colour.RED,
        "kind": Kind.BUYER,
        "point": Point(1),
        "order": Order(7),
        "proxy": {"nested": OrderedDict(a=1)},
    }
    assert json.loads(composer.to_uid("u", data, None)) == {
        "uid": "u",
        "when": "2026-01-02T03:04:05Z",
        "id": "00000000-0000-0000-0000-000000000001",
        "price": "9.90",
        "bytes": "AP8=",
        "set": [1],
        "tuple": [1, 2],
        "colour": "red",
        "kind": 7,
        "point": {"x": 1, "y": 0.5},
        "order": {"number": 7},
        "proxy": {"nested": {"a": 1}},
    }


def test_any_mapping_will_do_and_is_left_as_it_was() -> None:
    data = {"a": 1}
    assert composer.to_uid("u", MappingProxyType(data), None) == b'{"uid":"u","a":1}'
    assert data == {"a": 1}


# --- what must not go out ---------------------------------------------------------------------


NO_UIDS = ["", 0, "0", Nobody.NOBODY, False, True, None, 1.0, b"42", bytearray(b"4"), 2**63]


@pytest.mark.parametrize("uid", NO_UIDS)
@pytest.mark.parametrize("many", [False, True], ids=["alone", "in a list"])
def test_what_is_no_uid_is_never_a_broadcast(uid: Any, many: bool) -> None:
    with pytest.raises(BadNameError):
        composer.to_uid(["a", uid] if many else uid, {}, None)


@pytest.mark.parametrize("uid", ["a\n", "\x00", "x" * 256, "\ud800", {"a": 1}, [["a"]], object()])
def test_a_uid_that_cannot_be_is_refused(uid: Any) -> None:
    with pytest.raises(BadNameError):
        composer.to_uid(uid, {}, None)


@pytest.mark.parametrize("nobody", [[], (), set(), iter(())])
def test_a_push_to_no_uid_is_no_broadcast(nobody: Any) -> None:
    with pytest.raises(BadNameError, match="push_all is for everyone"):
        composer.to_uid(nobody, {}, None)


@pytest.mark.parametrize("utype", ["", True, 1.5, "\n", 2**64, [1]])
def test_a_utype_that_cannot_be_is_refused(utype: Any) -> None:
    with pytest.raises(BadNameError):
        composer.to_uid("u", {}, utype)
    with pytest.raises(BadNameError):
        composer.to_all({}, utype)


@pytest.mark.parametrize("key", ["uid", "utype"])
def test_data_cannot_say_who_gets_the_push(key: str) -> None:
    for data in ({key: "victim"}, MappingProxyType({key: ""})):
        with pytest.raises(InvalidPushError, match="would change who gets the push"):
            composer.to_uid("u", data, None)
        with pytest.raises(InvalidPushError, match="would change who gets the push"):
            composer.to_all(data, None)


NOT_NUMBERS: list[Any] = [
    float("nan"),
    float("-inf"),
    Point(1, float("nan")),
    1j,
    pytest.param(10**5000, id="long"),
]
NOT_JSON = [object(), {("a",): 1}, {b"a": 1}, "\ud800", {"\udfff": 1}, nested(5000)]


@pytest.mark.parametrize("value", NOT_NUMBERS + NOT_JSON)
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(InvalidPushError):
        composer.to_uid("u", {"value": value}, None)


def test_data_that_holds_itself_is_refused() -> None:
    data: dict[str, object] = {}
    data["data"] = data
    with pytest.raises(InvalidPushError, match="Circular"):
        composer.to_uid("u", data, None)


def test_what_any_server_can_read_is_not_too_deep() -> None:
    wide = {"text": '[{"' * 1000, "list": [[{}] for _ in range(1000)]}
    composer.to_uid("u", {**wide, "deep": nested(MAX_DEPTH - 2)}, None)
    with pytest.raises(InvalidPushError, match="nested too deep: more than 500"):
        composer.to_uid("u", {**wide, "deep": nested(MAX_DEPTH - 1)}, None)
    composer.ready(b'{"\\\\":"\\"' + b"[" * 600 + b'\\\\"}')


@pytest.mark.parametrize("data", [None, [], "text", b"{}", 1, Point(1), [("a", 1)]])
def test_data_that_is_no_mapping_is_refused(data: Any) -> None:
    with pytest.raises(InvalidPushError, match="is a mapping, not"):
        composer.to_uid("u", data, None)


def test_a_line_may_have_as_many_bytes_as_the_server_takes() -> None:
    room = MAX_LINE - len(b'{"uid":"u","t":""}')
    assert len(composer.to_uid("u", {"t": "x" * room}, None)) == MAX_LINE
    with pytest.raises(InvalidPushError, match=f"more than {MAX_LINE} bytes, .*max_l"):
        composer.to_uid("u", {"t": "x" * (room + 1)}, None)
    with pytest.raises(InvalidPushError, match="more than 20 bytes"):
        Composer(20).to_uid("u", {"t": "✓✓"}, None)


# --- ready lines ------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_ready_line_goes_as_it_is_but_for_its_end(end: str) -> None:
    line = ' {"percent" : "88%", "uid":"", "ü": 1.0} '
    assert composer.ready(line + end) == line.encode()
    assert composer.ready((line + end).encode()) == line.encode()


NOT_PUSHES: list[Any] = [
    "",
    "\n",
    "[]",
    "ping",
    "!stats",
    "auth s3cret",
    "GET / HTTP/1.1",
    "\ufeff{}",
]
SEVERAL = ['{"uid":1}\n\n', '{"uid":1}\n{"uid":2}']
BAD_UIDS = ['{"uid":{}}', '{"uid":1.5}', '{"uid":"\ud800"}', b'{"uid":"a\x00"}']
BAD_BYTES: list[Any] = [b'{"a":"\xff"}', pytest.param("x" * (MAX_LINE + 1), id="long")]


@pytest.mark.parametrize("line", NOT_PUSHES + SEVERAL + BAD_UIDS + BAD_BYTES)
def test_a_ready_line_that_the_server_would_not_take_is_refused(line: Any) -> None:
    with pytest.raises(InvalidPushError):
        composer.ready(line)


def test_pushes_are_lines_or_tuples() -> None:
    assert composer.any_of('{"uid":1}', 5) == b'{"uid":1}'
    assert composer.any_of(b'{"uid":1}\n', 5) == b'{"uid":1}'
    assert composer.any_of(("u", {"a": 1}), 5) == b'{"uid":"u","utype":5,"a":1}'


# --- for all pushes ---------------------------------------------------------------------------

names = st.text(max_size=8) | st.integers() | st.booleans() | st.none() | st.binary(max_size=3)
values = st.recursive(
    names | st.floats(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
keys = st.text(max_size=4) | st.sampled_from(["uid", "utype"])


@given(uid=names | st.lists(names), data=st.dictionaries(keys, values), utype=names)
def test_a_push_goes_to_those_named_as_one_line_or_not_at_all(
    uid: Any, data: Mapping[str, object], utype: Any
) -> None:
    try:
        line = composer.to_uid(uid, data, utype)
    except PushlineError:
        return
    assert b"\n" not in line
    command = decode(line)
    assert isinstance(command, SendToUid)
    named = uid if isinstance(uid, list) else [uid]
    assert command.uids == tuple(dict.fromkeys(map(str, named)))
    assert command.utype == ("0" if utype is None else str(utype))
    assert next(iter(json.loads(line))) == "uid"


@given(data=st.dictionaries(keys, values), utype=names)
def test_push_all_is_a_broadcast_or_nothing(data: Mapping[str, object], utype: Any) -> None:
    try:
        line = composer.to_all(data, utype)
    except PushlineError:
        return
    assert isinstance(decode(line), SendToAll)


@given(push=st.text() | st.binary())
def test_any_text_is_a_line_or_refused(push: Push) -> None:
    try:
        assert decode(composer.any_of(push, None))
    except InvalidPushError:
        return
