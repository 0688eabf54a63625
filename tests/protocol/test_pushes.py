"""The table of uids, row by row: who gets a push, and what is answered."""

import contextlib
import json
from collections.abc import Iterator

import pytest
from websockets.sync.client import ClientConnection

from tests.protocol.back_end import FAIL, OK, BackEnd
from tests.protocol.tabs import messages, open_page, tab
from tests.server import Server

LOGINS = {
    "a": "a",
    "a, second tab": "a",
    "b": "b",
    "42": "42",
    "-1": "-1",
    "biggest": "9223372036854775807",
    "least": "-9223372036854775808",
    "zero": "0",
    "true": "true",
    "list": "[]",
    "longest": "é" * 127 + "x",
    "a of 1": '{"uid":"a","utype":1}',
    "vip": '{"uid":"a","utype":"vip"}',
}
OF_UTYPE_1, OF_VIP = {"a of 1"}, {"vip"}
OF_UTYPE_0 = LOGINS.keys() - OF_UTYPE_1 - OF_VIP
A = {"a", "a, second tab"}
NOBODY: set[str] = set()


class Audience:
    """A tab for each of LOGINS, and one that has not logged in."""

    def __init__(self, back_end: BackEnd, tabs: dict[str, ClientConnection]) -> None:
        self._back_end = back_end
        self._tabs = tabs

    def push(self, line: str) -> tuple[bytes, set[str]]:
        """The answer, and who received exactly this line once; nobody gets anything else."""
        answer = self._back_end.push(line.encode())
        received = {name: messages(page) for name, page in self._tabs.items()}
        assert all(each in ([], [line.encode()]) for each in received.values()), received
        return answer, {name for name, each in received.items() if each}


@contextlib.contextmanager
def audience(**settings: str) -> Iterator[Audience]:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(AUTH_TIMEOUT="3600", **settings))
        tabs = {name: stack.enter_context(tab(server, login)) for name, login in LOGINS.items()}
        tabs["not logged in"] = stack.enter_context(open_page(server))
        yield Audience(stack.enter_context(BackEnd(server)), tabs)


@pytest.fixture(scope="module")
def everyone() -> Iterator[Audience]:
    with audience() as everyone:
        yield everyone


@pytest.fixture(scope="module")
def without_broadcast() -> Iterator[Audience]:
    with audience(TEXT_BROADCAST="false") as without_broadcast:
        yield without_broadcast


EMPTY = ['""', "null", "0", "-0", '"0"', "[]", "false"]
"""What PHP calls empty, as JSON."""


@pytest.mark.parametrize(
    ("uid", "receivers"),
    [
        ('"a"', A),
        ('"b"', {"b"}),
        ('"42"', {"42"}),
        ("42", {"42"}),
        ("-1", {"-1"}),
        ("9223372036854775807", {"biggest"}),
        ("-9223372036854775808", {"least"}),
        ('"true"', {"true"}),
        ('"[]"', {"list"}),
        (json.dumps("é" * 127 + "x"), {"longest"}),
    ],
)
def test_a_string_or_an_integer_is_every_connection_of_that_uid(
    everyone: Audience, uid: str, receivers: set[str]
) -> None:
    assert everyone.push(f'{{"uid":{uid},"percent":"88%"}}') == (OK, receivers)


@pytest.mark.parametrize("uid", ['"nobody"', "7", '" a"', '"A"', '"00"', '"a of 1"'])
def test_a_uid_that_is_not_there_is_fail(everyone: Audience, uid: str) -> None:
    assert everyone.push(f'{{"uid":{uid}}}') == (FAIL, NOBODY)


@pytest.mark.parametrize(
    ("uid", "receivers"),
    [
        ('["a"]', A),
        ('["a","b",42]', A | {"b", "42"}),
        ('["a","nobody"]', A),
        ('["nobody","a"]', A),
        ('["a","a",42,"42"]', A | {"42"}),
        ('{"0":"a","2":42}', A | {"42"}),
        ('{"x":"b"}', {"b"}),
        ('["","b"]', {"b"}),
        ('["b",null,0,"0",false]', {"b"}),
        ('[true,42.0,1e1,"b"]', {"b"}),
        (json.dumps(["b", "é" * 128, "a\n", "\x7f", 2**63]), {"b"}),
        (json.dumps([*(f"nobody{number}" for number in range(1000)), "b"]), {"b"}),
    ],
)
def test_a_list_or_an_object_is_each_of_them_each_connection_once(
    everyone: Audience, uid: str, receivers: set[str]
) -> None:
    assert everyone.push(f'{{"uid":{uid}}}') == (OK, receivers)


@pytest.mark.parametrize(
    "uid",
    [
        *('["nobody"]', '[""]', "[null]", "[0]", '["0"]', "[false]", '["",0,null]', "[true]"),
        *('{"0":""}', '{"1":0}', "[42.0]", json.dumps(["x" * 256])),
    ],
)
def test_a_list_of_nobody_is_fail_and_never_a_broadcast(everyone: Audience, uid: str) -> None:
    assert everyone.push(f'{{"uid":{uid}}}') == (FAIL, NOBODY)


@pytest.mark.parametrize(
    "uid", ['["a",[]]', '["a",["b"]]', '[{},"a"]', '{"0":"a","1":{"2":"b"}}', "[[]]", '{"0":[]}']
)
def test_a_list_or_an_object_inside_a_list_makes_the_line_fail(
    everyone: Audience, uid: str
) -> None:
    assert everyone.push(f'{{"uid":{uid}}}') == (FAIL, NOBODY)


@pytest.mark.parametrize("line", ["{}", '{"percent":"88%"}', '{"UID":"a"}', '{"utype":0}'])
def test_without_a_uid_it_is_a_broadcast(everyone: Audience, line: str) -> None:
    assert everyone.push(line) == (OK, OF_UTYPE_0)


@pytest.mark.parametrize("uid", EMPTY)
@pytest.mark.parametrize(
    ("utype", "receivers"),
    [
        ("null", OF_UTYPE_0),
        ("0", OF_UTYPE_0),
        ("1", OF_UTYPE_1),
        ('"1"', OF_UTYPE_1),
        ('"vip"', OF_VIP),
        ('"of nobody"', NOBODY),
    ],
)
def test_an_empty_uid_is_everyone_of_the_utype_even_if_nobody_is_there(
    everyone: Audience, uid: str, utype: str, receivers: set[str]
) -> None:
    assert everyone.push(f'{{"uid":{uid},"utype":{utype}}}') == (OK, receivers)


@pytest.mark.parametrize(
    "uid",
    [
        *("{}", "true", "42.0", "0.0", "4.2e1", "9223372036854775808", "-9223372036854775809"),
        *("1" * 100, "1" * 5000, "1e999", '"a\\u0000"', '"a\\n"', '"\\u007f"', '"\\u0085"'),
        *(json.dumps("x" * 256), json.dumps("é" * 128)),
    ],
)
def test_what_can_be_no_uid_is_nobody(everyone: Audience, uid: str) -> None:
    assert everyone.push(f'{{"uid":{uid}}}') == (FAIL, NOBODY)


@pytest.mark.parametrize(
    ("utype", "receivers"),
    [("null", A), ("0", A), ('"0"', A), ("1", OF_UTYPE_1), ('"1"', OF_UTYPE_1), ('"vip"', OF_VIP)],
)
@pytest.mark.parametrize("uid", ['"a"', '["a"]', '{"0":"a"}'])
def test_a_uid_is_that_of_its_utype(
    everyone: Audience, uid: str, utype: str, receivers: set[str]
) -> None:
    assert everyone.push(f'{{"utype":{utype},"uid":{uid}}}') == (OK, receivers)


@pytest.mark.parametrize(
    "utype", ['""', "false", "true", "1.0", "[]", "[1]", "{}", "9223372036854775808", '"1\\n"']
)
@pytest.mark.parametrize("uid", ['"a"', '["a"]', '""', "null"])
def test_what_can_be_no_utype_is_fail(everyone: Audience, uid: str, utype: str) -> None:
    assert everyone.push(f'{{"uid":{uid},"utype":{utype}}}') == (FAIL, NOBODY)


@pytest.mark.parametrize(
    ("line", "receivers"),
    [
        ('{"uid":"b","uid":"a"}', A),
        ('{"uid":"a","uid":"nobody","uid":"b"}', {"b"}),
        ('{"uid":"","uid":"b"}', {"b"}),
        ('{"utype":1,"uid":"a","utype":0}', A),
        ('{"uid":"b","\\u0075id":"a"}', A),
    ],
)
def test_of_duplicate_keys_the_last_wins(
    everyone: Audience, line: str, receivers: set[str]
) -> None:
    assert everyone.push(line) == (OK, receivers)


@pytest.mark.parametrize("uid", EMPTY)
def test_broadcasts_can_be_forbidden(without_broadcast: Audience, uid: str) -> None:
    assert without_broadcast.push(f'{{"uid":{uid}}}') == (FAIL, NOBODY)
    assert without_broadcast.push(f'{{"uid":{uid},"utype":1}}') == (FAIL, NOBODY)


def test_without_broadcasts_a_line_without_a_uid_is_fail(without_broadcast: Audience) -> None:
    assert without_broadcast.push('{"percent":"88%"}') == (FAIL, NOBODY)


@pytest.mark.parametrize("uid", ['"a"', '["a"]', '["a",""]', '{"1":"a"}'])
def test_without_broadcasts_users_are_still_pushed_to(
    without_broadcast: Audience, uid: str
) -> None:
    assert without_broadcast.push(f'{{"uid":{uid}}}') == (OK, A)
