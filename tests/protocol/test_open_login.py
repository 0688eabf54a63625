"""Generation 1: the first text message is the uid, and the page never speaks again."""

import json
from collections.abc import Iterator

import pytest

from tests.protocol.back_end import FAIL, OK, BackEnd
from tests.protocol.tabs import close_code, messages, open_page, received, settle, tab
from tests.server import Server

HEARTBEAT = '{"data":"heartbeat"}'


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(AUTH_MODE="open") as server:
        yield server


@pytest.fixture
def back_end(server: Server) -> Iterator[BackEnd]:
    with BackEnd(server) as back_end:
        yield back_end


def push_to(uid: object, utype: object = None) -> bytes:
    return json.dumps({"uid": uid, "utype": utype}).encode()


@pytest.mark.parametrize(
    "uid",
    [
        *("uid1", '"uid1"', "42", "-1.5", " padded ", "Zoë 😀", "a,b;c", "null", "true", "[1]"),
        *("{}", '{"name":"uid1"}', '{"uid":null}', '{"uid":"cut', '{"data":"other"}', "heartbeat"),
    ],
)
def test_the_first_text_message_is_the_uid_as_it_is(
    server: Server, back_end: BackEnd, uid: str
) -> None:
    with tab(server, uid) as page:
        assert messages(page) == [], "a login was answered"
        assert back_end.push(push_to(uid)) == OK
        assert received(page) == push_to(uid)
    with tab(server, "somebody"):
        assert back_end.push(push_to(uid)) == FAIL


def test_the_quotes_belong_to_the_uid(server: Server, back_end: BackEnd) -> None:
    with tab(server, '"uid1"') as page:
        assert back_end.push(push_to("uid1")) == FAIL
        assert messages(page) == []


def test_a_bare_uid_of_digits_is_the_user_of_that_number(server: Server, back_end: BackEnd) -> None:
    with tab(server, "42") as page:
        assert back_end.push(b'{"uid":42}') == OK
        assert received(page) == b'{"uid":42}'


@pytest.mark.parametrize("path", ["/", "/any/path", "/?uid=x", "/pushline.js"])
def test_a_browser_may_connect_at_any_path(server: Server, back_end: BackEnd, path: str) -> None:
    with tab(server, "uid1", path=path) as page:
        assert back_end.push(push_to("uid1")) == OK
        assert received(page) == push_to("uid1")


@pytest.mark.parametrize(
    ("login", "utype"),
    [
        ('{"uid":"42"}', None),
        ('{"uid":42,"utype":null}', 0),
        ('{"uid":"42","utype":1}', "1"),
        ('{"checkToken":"of nobody","utype":"vip","uid":"42"}', "vip"),
    ],
)
def test_an_object_with_a_uid_is_a_login_and_no_proof_is_asked(
    server: Server, back_end: BackEnd, login: str, utype: object
) -> None:
    with tab(server, login) as page:
        assert messages(page) == []
        assert back_end.push(push_to(login)) == FAIL
        assert back_end.push(push_to("42", "another")) == FAIL
        assert back_end.push(push_to("42", utype)) == OK
        assert messages(page) == [push_to("42", utype)]


@pytest.mark.parametrize("heartbeat", [HEARTBEAT, ' { "data" : "heartbeat" } '])
def test_a_heartbeat_is_never_a_uid(server: Server, back_end: BackEnd, heartbeat: str) -> None:
    with tab(server, heartbeat, heartbeat, "uid1", heartbeat) as page:
        assert back_end.push(push_to(heartbeat)) == FAIL
        assert back_end.push(push_to("uid1")) == OK
        assert messages(page) == [push_to("uid1")]


def test_a_binary_message_is_never_a_login(server: Server, back_end: BackEnd) -> None:
    with tab(server, b"uid1", b'{"uid":"uid2"}', b"", "uid3") as page:
        assert back_end.push(push_to(["uid1", "uid2"])) == FAIL
        assert back_end.push(push_to("uid3")) == OK
        assert messages(page) == [push_to("uid3")]


def test_what_follows_the_login_is_ignored(server: Server, back_end: BackEnd) -> None:
    with tab(server, "uid1") as page:
        for message in ("uid2", '{"uid":"uid3","utype":1}', b"uid4", "", "x" * 60_000, "\0"):
            page.send(message)
        settle(page)
        assert back_end.push(push_to(["uid2", "uid3", "uid4"])) == FAIL
        assert back_end.push(push_to("uid3", 1)) == FAIL
        assert back_end.push(push_to("uid1")) == OK
        assert messages(page) == [push_to("uid1")]


def test_who_has_not_logged_in_is_not_there(server: Server, back_end: BackEnd) -> None:
    with open_page(server) as silent, tab(server, "uid1") as page:
        assert back_end.push(b'{"uid":""}') == OK
        assert received(page) == b'{"uid":""}'
        assert messages(silent) == []


def test_who_does_not_log_in_in_time_is_closed() -> None:
    with (
        Server(AUTH_TIMEOUT="1", HEARTBEAT_PING="0", HEARTBEAT_TIMEOUT="0") as server,
        BackEnd(server) as back_end,
        tab(server, "uid1") as page,
        open_page(server) as silent,
        tab(server, HEARTBEAT) as beating,
        tab(server, b"uid2") as binary,
    ):
        assert [close_code(each) for each in (silent, beating, binary)] == [3502] * 3
        assert back_end.push(push_to("uid1")) == OK
        assert messages(page) == [push_to("uid1")]
