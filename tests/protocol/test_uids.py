"""What a uid may be, for both generations."""

import hashlib
import json
from collections.abc import Iterator

import pytest

from tests.protocol.back_end import FAIL, OK, BackEnd
from tests.protocol.tabs import close_code, messages, open_page, received, tab
from tests.server import Server

SECRET = "s3"
LONGEST = ["x" * 255, "é" * 127 + "x", "張" * 85, "😀" * 63 + "xyz"]
TOO_LONG = ["x" * 256, "é" * 128, "張" * 85 + "x", "😀" * 64, "x" * 60_000]
CONTROLS = [f"a{control}b" for control in "\0\b\t\n\r\x1b\x1f\x7f\x80\x9f"]
NO_UIDS = [True, False, 1.5, [], {}, ["a"], {"0": "a"}, 2**63, -(2**63) - 1]
NO_UTYPES = ["", True, False, 1.5, [], {}, 2**63, "a\nb", "x" * 256]


@pytest.fixture(scope="module")
def open_server() -> Iterator[Server]:
    with Server(AUTH_MODE="open") as server:
        yield server


@pytest.fixture(scope="module")
def token_server() -> Iterator[Server]:
    with Server(AUTH_MODE="token", AUTH_SECRET=SECRET) as server:
        yield server


def proven(uid: object, utype: object = 0) -> str:
    """A login with the right token, as far as there is one."""
    token = hashlib.md5(f"{uid}{utype}{SECRET}".encode()).hexdigest()
    return json.dumps({"uid": uid, "utype": utype, "checkToken": token})


def refusal(server: Server, login: str) -> int:
    with open_page(server) as page:
        page.send(login)
        return close_code(page)


def is_reached(server: Server, uid: str, login: str) -> bool:
    line = json.dumps({"uid": uid}).encode()
    with tab(server, login) as page, BackEnd(server) as back_end:
        return back_end.push(line) == OK and messages(page) == [line]


@pytest.mark.parametrize("uid", LONGEST)
def test_a_uid_may_have_255_bytes(open_server: Server, token_server: Server, uid: str) -> None:
    assert is_reached(open_server, uid, uid)
    assert is_reached(open_server, uid, json.dumps({"uid": uid}))
    assert is_reached(token_server, uid, proven(uid))


@pytest.mark.parametrize("uid", ["", *TOO_LONG, *CONTROLS])
def test_a_uid_that_is_none_is_closed(open_server: Server, token_server: Server, uid: str) -> None:
    assert refusal(open_server, uid) == 3501
    assert refusal(open_server, json.dumps({"uid": uid})) == 3501
    assert refusal(token_server, proven(uid)) == 3501


@pytest.mark.parametrize("uid", NO_UIDS)
def test_a_value_that_is_no_uid_is_closed(
    open_server: Server, token_server: Server, uid: object
) -> None:
    assert refusal(open_server, json.dumps({"uid": uid})) == 3501
    assert refusal(token_server, proven(uid)) == 3501


@pytest.mark.parametrize("utype", NO_UTYPES)
def test_a_value_that_is_no_utype_is_closed(
    open_server: Server, token_server: Server, utype: object
) -> None:
    assert refusal(open_server, json.dumps({"uid": "a", "utype": utype})) == 3501
    assert refusal(token_server, proven("a", utype)) == 3501


@pytest.mark.parametrize("login", ["0", '{"uid":0}', '{"uid":"0"}'])
def test_uid_0_may_log_in_but_cannot_be_addressed(open_server: Server, login: str) -> None:
    with (
        tab(open_server, login) as zero,
        tab(open_server, "uid1") as another,
        BackEnd(open_server) as back_end,
    ):
        for uid in (b'["0"]', b"[0]", b'{"1":"0"}'):
            assert back_end.push(b'{"uid":%b}' % uid) == FAIL
        for uid in (b'"0"', b"0"):
            assert back_end.push(b'{"uid":%b}' % uid) == OK
            assert received(zero) == received(another) == b'{"uid":%b}' % uid
        assert messages(zero) == messages(another) == []
