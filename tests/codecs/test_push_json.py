import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushline.codecs.push_json import decode
from pushline.commands import SendToAll, SendToUid
from pushline.errors import BadLineError, BadNameError
from pushline.names import check_name


def uids_of(line: str | bytes) -> tuple[str, ...]:
    """Whom a push is for, that is not for everyone."""
    command = decode(line if isinstance(line, bytes) else line.encode())
    assert isinstance(command, SendToUid)
    return command.uids


def refusal(line: str | bytes) -> BadLineError:
    with pytest.raises(BadLineError) as error:
        decode(line if isinstance(line, bytes) else line.encode())
    return error.value


@pytest.mark.parametrize(
    ("uid", "uids"),
    [
        ('"uid1"', ("uid1",)),
        ('"42"', ("42",)),
        ("42", ("42",)),
        ("-1", ("-1",)),
        ("9223372036854775807", ("9223372036854775807",)),
        ("-9223372036854775808", ("-9223372036854775808",)),
        ('" "', (" ",)),
        ('"00"', ("00",)),
        ('"\\ud83d\\ude00"', ("😀",)),
        ('"Zo\u00eb"', ("Zoë",)),
        (json.dumps("x" * 255), ("x" * 255,)),
    ],
)
def test_a_string_or_a_number_is_one_user(uid: str, uids: tuple[str, ...]) -> None:
    assert uids_of(f'{{"uid":{uid},"x":1}}') == uids


@pytest.mark.parametrize(
    ("uid", "uids"),
    [
        ('["a","b"]', ("a", "b")),
        ('["a",42,"42",-1]', ("a", "42", "-1")),
        ('["b","a","b"]', ("b", "a")),
        ('{"0":"a","2":7}', ("a", "7")),
        ('{"x":"a","x":"b"}', ("b",)),
        ('["",null,0,"0",false,"a"]', ("a",)),
        ('[true,1.5,0.0,9223372036854775808,"a"]', ("a",)),
        (json.dumps(["x" * 256, "a\nb", "\x7f", "é" * 128, "a"]), ("a",)),
        ('[""]', ()),
        ("[0]", ()),
        ('{"0":null}', ()),
        ("[true]", ()),
    ],
)
def test_of_a_list_those_who_can_be_users_are_each_one_once(
    uid: str, uids: tuple[str, ...]
) -> None:
    assert uids_of(f'{{"uid":{uid}}}') == uids


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        '{"x":1}',
        '{"Uid":"a"}',
        *(f'{{"uid":{uid}}}' for uid in ('""', "null", "0", "-0", '"0"', "[]", "false")),
    ],
)
def test_what_php_calls_empty_is_everyone(line: str) -> None:
    command = decode(line.encode())
    assert isinstance(command, SendToAll)
    assert command.utype == "0"
    assert command.message.data == line.encode()


@pytest.mark.parametrize(
    "uid",
    [
        *("{}", "true", "1.0", "0.0", "1e2", "-0.0", "9223372036854775808"),
        *("-9223372036854775809", "1" * 100, '["a",[]]', '["a",{}]', '{"0":["a"]}'),
        *('["a",["b"]]', json.dumps("x" * 256), json.dumps("é" * 128), '"a\\nb"', '"\\u0000"'),
    ],
)
def test_what_can_be_no_user_is_nobody(uid: str) -> None:
    assert refusal(f'{{"uid":{uid}}}').kind == "name"


@pytest.mark.parametrize(
    ("utype", "name"),
    [("null", "0"), ("0", "0"), ('"0"', "0"), ("1", "1"), ('"1"', "1"), ('"vip"', "vip")],
)
@pytest.mark.parametrize("uid", ['"a"', "7", '["a","b"]', '{"0":"a"}', "null", '""', "false"])
def test_a_utype_is_a_name_of_its_own(uid: str, utype: str, name: str) -> None:
    assert decode(f'{{"uid":{uid},"utype":{utype}}}'.encode()).utype == name


@pytest.mark.parametrize(
    "utype",
    ['""', "false", "true", "1.0", "[]", "{}", '["1"]', "9223372036854775808", '"a\\nb"'],
)
@pytest.mark.parametrize("uid", ['"a"', "7", '["a"]', "[]", "null"])
def test_what_can_be_no_utype_is_refused(uid: str, utype: str) -> None:
    assert refusal(f'{{"uid":{uid},"utype":{utype}}}').kind == "name"


@pytest.mark.parametrize(
    "line",
    [
        '{"uid":"b","uid":"a"}',
        '{"uid":[],"utype":[],"utype":null,"uid":"a"}',
        '{"\\u0075id":"a"}',
        '{"uid":"b","\\u0075id":"a"}',
    ],
)
def test_of_duplicate_keys_the_last_wins(line: str) -> None:
    assert uids_of(line) == ("a",)


@pytest.mark.parametrize(
    "line",
    [
        '{"uid":"a"}',
        ' \t{ "uid" : "a" ,"x":[1, 2.50,1e999 ,null] }\r ',
        '{"x":"Zoë 😀 \\u00e9\\/","uid":"a"}',
        '{"uid":"a","x":"\x7f\u2028"}',
        '{"uid":"a","x":"\\ud83d\\ude00"}',
        '{"uid":"a","x":"' + "y" * 100_000 + '"}',
    ],
)
def test_the_message_is_the_line_itself(line: str) -> None:
    data = line.encode()
    message = decode(data).message
    assert message.data is data
    assert not message.binary


DEEP = 100_000
NOT_JSON = [
    *("", " ", "x", "{", "}", "{}}", '{"uid":"a"', '{"uid":"a"}x', '{"uid":"a"}{}', "{uid:1}"),
    *("{'uid':'a'}", '{"uid":"a",}', '{"uid":"a" "x":1}', "auth s3", "!help", "GET / HTTP/1.1"),
    *("[]", '["a"]', '"uid1"', "5", "null", "true"),
    *('{"uid":"a"}\0', '\0{"uid":"a"}', '\ufeff{"uid":"a"}', '{"uid":"a\0"}'),
    *(f'{{"uid":"a","x":{x}}}' for x in ("NaN", "Infinity", "-", "+1", "01", "1.", ".5", "1e")),
    *(f'{{"uid":"a","x":{x}}}' for x in ("nul", "[1,]", "0x1", "'y'", '"\\q"', '"\\u12"')),
    *(f'{{"uid":"a","x":"{x}"}}' for x in ("\0", "\t", "\n", "\x1f", '"')),
    *('{"uid":NaN}', '{"uid":1e999}', f'{{"uid":{"1" * 5000}}}', f'{{"utype":{"1" * 5000}}}'),
]


@pytest.mark.parametrize("line", NOT_JSON)
def test_what_is_no_json_object_is_refused(line: str) -> None:
    assert refusal(line).kind == "json"


@pytest.mark.parametrize(
    "escape", ["\\ud800", "\\udfff", "\\udc00\\ud800", "\\ud800x", "\\ud800\\n"]
)
@pytest.mark.parametrize(
    "line", ['{"uid":"%s"}', '{"uid":"a","x":"%s"}', '{"uid":"a","%s":1}', '{"uid":["a","%s"]}']
)
def test_a_lone_surrogate_is_refused_wherever_it_is(line: str, escape: str) -> None:
    assert refusal(line % escape).kind == "json"


@pytest.mark.parametrize(
    "bad", [b"\xff", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"]
)
@pytest.mark.parametrize(
    "line", [b'{"uid":"%b"}', b'{"uid":"a","x":"%b"}', b'{"uid":"a","%b":1}', b'{"uid":"a"}%b']
)
def test_what_is_not_utf8_is_refused_wherever_it_is(line: bytes, bad: bytes) -> None:
    assert refusal(line % bad).kind == "utf8"


@pytest.mark.parametrize(
    "line",
    [
        '{"uid":"a","x":' + "[" * DEEP + "]" * DEEP + "}",
        '{"uid":' + "[" * DEEP + "]" * DEEP + "}",
        '{"uid":' + "[" * DEEP,
        '{"uid":"a","x":' + '{"x":' * DEEP + "1" + "}" * DEEP + "}",
    ],
)
def test_what_is_nested_too_deep_is_refused(line: str) -> None:
    error = refusal(line)
    assert (error.kind, str(error)) == ("json", "nested too deep")


def test_a_refusal_tells_nothing_that_stands_in_the_line() -> None:
    lines = (
        '{"secret":"secret}',
        '{"uid":"secret\\n"}',
        "auth secret",
        '{"uid":["a",{"secret":1}]}',
    )
    assert not [line for line in lines if "secret" in str(refusal(line))]


@given(st.binary(max_size=60) | st.sampled_from(NOT_JSON).map(str.encode))
def test_any_bytes_are_a_push_or_refused(line: bytes) -> None:
    with contextlib.suppress(BadLineError):
        assert decode(line).message.data is line


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(JSON, JSON)
def test_the_table_of_uids(uid: object, other: object) -> None:
    line = json.dumps({"uid": uid, "other": other}, ensure_ascii=False).encode()
    assert outcome(line) == row(uid)


def outcome(line: bytes) -> object:
    try:
        command = decode(line)
    except BadLineError:
        return "nobody"
    return command.uids if isinstance(command, SendToUid) else "everyone"


def row(uid: object) -> object:
    """The table of the protocol page, as prose."""
    match uid:
        case None | "" | "0" | [] | False:
            return "everyone"
        case int() if not isinstance(uid, bool):
            return ("everyone" if uid == 0 else named(uid)) or "nobody"
        case str():
            return named(uid) or "nobody"
        case [*members]:
            return of_members(members)
        case dict() if uid:
            return of_members([*uid.values()])
        case _:
            return "nobody"


def of_members(members: list[object]) -> object:
    if any(isinstance(member, list | dict) for member in members):
        return "nobody"
    return tuple(dict.fromkeys(name for member in members for name in named(member)))


def named(member: object) -> tuple[str, ...]:
    """The one user that a string or a number is, or none."""
    if isinstance(member, bool | float | None) or member in ("", "0", 0):
        return ()
    name = str(member)
    if isinstance(member, int) and not -(2**63) <= member < 2**63:
        return ()
    try:
        return (check_name(name),)
    except BadNameError:
        return ()
