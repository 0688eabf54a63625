"""Generation 2: every message is JSON, and a login has to prove its uid."""

import hashlib
import json
from collections.abc import Iterator

import pytest

from tests.protocol.back_end import FAIL, OK, BackEnd
from tests.protocol.tabs import close_code, messages, open_page, received, settle, tab
from tests.server import Server

SECRET = "s3"
EXAMPLE = '{"uid":"42","utype":1,"checkToken":"c6dc8f189e84d57322ff1f6d30e24c01"}'
"""The protocol page's own."""
TOKEN = "c6dc8f189e84d57322ff1f6d30e24c01"
HEARTBEAT = '{"data":"heartbeat"}'


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(AUTH_MODE="token", AUTH_SECRET=SECRET) as server:
        yield server


@pytest.fixture
def back_end(server: Server) -> Iterator[BackEnd]:
    with BackEnd(server) as back_end:
        yield back_end


def token(proven: str) -> str:
    return hashlib.md5(f"{proven}{SECRET}".encode()).hexdigest()


def login(uid: str, utype: str = "", proven: str = "") -> str:
    """`uid` and `utype` are JSON; `proven` is what the token is made of, in front of the secret."""
    fields = [f'"uid":{uid}', *([f'"utype":{utype}'] if utype else [])]
    return f'{{{",".join(fields)},"checkToken":"{token(proven)}"}}'


def push_to(uid: str, utype: str = "") -> bytes:
    """`uid` and `utype` are JSON."""
    fields = [f'"uid":{uid}', *([f'"utype":{utype}'] if utype else [])]
    return f"{{{','.join(fields)}}}".encode()


def test_the_pages_example_logs_in_and_nothing_is_answered(
    server: Server, back_end: BackEnd
) -> None:
    with tab(server, EXAMPLE) as page:
        assert messages(page) == []
        assert back_end.push(b'{"uid":"42","utype":1,"percent":"88%"}') == OK
        assert received(page) == b'{"uid":"42","utype":1,"percent":"88%"}'


@pytest.mark.parametrize("pushed", ["", "null", "0", '"0"'])
@pytest.mark.parametrize("logged_in", ["", "null", "0", '"0"'])
def test_a_utype_that_is_missing_is_0(
    server: Server, back_end: BackEnd, logged_in: str, pushed: str
) -> None:
    with tab(server, login('"42"', logged_in, "420")) as page:
        assert back_end.push(push_to('"42"', pushed)) == OK
        assert back_end.push(push_to('"42"', "1")) == FAIL
        assert messages(page) == [push_to('"42"', pushed)]


@pytest.mark.parametrize("pushed", ["1", '"1"'])
@pytest.mark.parametrize("logged_in", ["1", '"1"'])
def test_a_utype_is_the_same_as_a_number_and_as_a_string(
    server: Server, back_end: BackEnd, logged_in: str, pushed: str
) -> None:
    with tab(server, login('"42"', logged_in, "421")) as page:
        assert back_end.push(push_to('"42"')) == FAIL
        assert back_end.push(push_to('"42"', '"01"')) == FAIL
        assert back_end.push(push_to('"42"', pushed)) == OK
        assert messages(page) == [push_to('"42"', pushed)]


@pytest.mark.parametrize("pushed", ["42", '"42"', '["42"]', "[42]"])
@pytest.mark.parametrize("logged_in", ["42", '"42"'])
def test_a_uid_is_the_same_as_a_number_and_as_a_string(
    server: Server, back_end: BackEnd, logged_in: str, pushed: str
) -> None:
    with tab(server, login(logged_in, "1", "421")) as page:
        assert back_end.push(push_to(pushed, "1")) == OK
        assert messages(page) == [push_to(pushed, "1")]


def test_a_utype_may_be_a_word(server: Server, back_end: BackEnd) -> None:
    with tab(server, login('"Zoë"', '"vip"', "Zoëvip")) as page:
        assert back_end.push(push_to('"Zoë"')) == FAIL
        assert back_end.push(push_to('"Zoë"', '"vip"')) == OK
        assert messages(page) == [push_to('"Zoë"', '"vip"')]


@pytest.mark.parametrize(
    "check_token",
    [
        *("", TOKEN.upper(), TOKEN[:-1], f"{TOKEN}0", f" {TOKEN}", token("42"), token("431")),
        *(token("42\x001"), hashlib.md5(b"421").hexdigest(), "Zoë", 7, None, True, [TOKEN]),
    ],
)
def test_a_wrong_token_is_closed(server: Server, back_end: BackEnd, check_token: object) -> None:
    with open_page(server) as page:
        page.send(json.dumps({"uid": "42", "utype": 1, "checkToken": check_token}))
        assert close_code(page) == 3500
        assert back_end.push(push_to('"42"', "1")) == FAIL


def test_a_login_without_a_token_is_closed(server: Server) -> None:
    with open_page(server) as page:
        page.send('{"uid":"42","utype":1}')
        assert close_code(page) == 3500


GARBAGE: list[str | bytes] = [
    *("42", '"42"', "", "\0", "x" * 60_000, "null", "[]", "{}", '{"uid":null}', '{"utype":1}'),
    *(f'{{"checkToken":"{TOKEN}"}}', f"[{EXAMPLE}]", EXAMPLE[:-1], f"{EXAMPLE}x", "[" * 60_000),
    *(f"\ufeff{EXAMPLE}", EXAMPLE.encode(), b"\xff", HEARTBEAT),
]


def test_before_the_login_garbage_is_ignored_and_counted(server: Server, back_end: BackEnd) -> None:
    before = server.metrics()["ignored_messages_total"]
    with tab(server, *GARBAGE) as page:
        assert server.metrics()["ignored_messages_total"] == before + len(GARBAGE)
        assert back_end.push(push_to('"42"', "1")) == FAIL
        page.send(EXAMPLE)
        settle(page)
        assert back_end.push(push_to('"42"', "1")) == OK
        assert messages(page) == [push_to('"42"', "1")]


def test_a_binary_message_is_never_a_login(server: Server, back_end: BackEnd) -> None:
    with tab(server, EXAMPLE.encode()) as page:
        assert back_end.push(push_to('"42"', "1")) == FAIL
        assert messages(page) == []


@pytest.mark.parametrize("second", [login('"43"', "1", "431"), '{"uid":"43","utype":1}', "43"])
def test_a_second_login_changes_nothing(server: Server, back_end: BackEnd, second: str) -> None:
    with tab(server, EXAMPLE, second) as page:
        assert back_end.push(push_to('"43"', "1")) == FAIL
        assert back_end.push(push_to('"42"', "1")) == OK
        assert messages(page) == [push_to('"42"', "1")]


def test_a_heartbeat_is_answered_with_nothing(server: Server, back_end: BackEnd) -> None:
    with tab(server, HEARTBEAT, EXAMPLE, HEARTBEAT, HEARTBEAT) as page:
        assert messages(page) == []
        assert back_end.push(push_to('"42"', "1")) == OK
        assert messages(page) == [push_to('"42"', "1")]


def test_who_does_not_log_in_in_time_is_closed() -> None:
    with (
        Server(AUTH_MODE="token", AUTH_SECRET=SECRET, AUTH_TIMEOUT="1") as server,
        BackEnd(server) as back_end,
        tab(server, EXAMPLE) as page,
        open_page(server) as silent,
        tab(server, HEARTBEAT) as beating,
        tab(server, *GARBAGE) as talking,
    ):
        assert [close_code(each) for each in (silent, beating, talking)] == [3502] * 3
        assert back_end.push(push_to('"42"', "1")) == OK
        assert messages(page) == [push_to('"42"', "1")]
