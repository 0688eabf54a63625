"""Several connections of one uid: `auth.sessions`."""

import contextlib
import time
from collections.abc import Iterator

import pytest
from websockets.sync.client import ClientConnection

from tests.browser import DEADLINE, PING, Browser, EndedError, connect
from tests.protocol.back_end import FAIL, OK, BackEnd
from tests.protocol.tabs import close_code, messages, open_page, settle, tab
from tests.server import Server

REPLACED, REFUSED = 3503, 3504
PUSH = b'{"uid":"uid1"}'
OTHER = b'{"uid":"uid2"}'


@pytest.fixture(scope="module")
def all_stay() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(scope="module")
def newest() -> Iterator[Server]:
    with Server(AUTH_SESSIONS="newest") as server:
        yield server


@pytest.fixture(scope="module")
def patient() -> Iterator[Server]:
    """A newer connection waits as long as it takes."""
    with Server(AUTH_SESSIONS="first", AUTH_TIMEOUT="3600", AUTH_CHALLENGE="60") as server:
        yield server


@pytest.fixture(scope="module")
def impatient() -> Iterator[Server]:
    with Server(AUTH_SESSIONS="first", AUTH_CHALLENGE="1") as server:
        yield server


@contextlib.contextmanager
def stopped(server: Server, uid: str = "uid1") -> Iterator[Browser]:
    """A connection that has logged in, and from then on answers nothing."""
    with connect(server.websocket) as browser:
        browser.login(uid).settle()
        yield browser


def push_until_received(back_end: BackEnd, page: ClientConnection) -> None:
    until = time.monotonic() + DEADLINE
    while not messages(page):
        assert time.monotonic() < until, "it is not let in"
        back_end.push(PUSH)


# --- all ----------------------------------------------------------------------------------------


def test_all_of_them_receive(all_stay: Server) -> None:
    with contextlib.ExitStack() as stack:
        pages = [stack.enter_context(tab(all_stay, "uid1")) for _ in range(20)]
        back_end = stack.enter_context(BackEnd(all_stay))
        assert back_end.push(PUSH) == OK
        assert [messages(page) for page in pages] == [[PUSH]] * 20


@pytest.mark.parametrize("leaving", [0, 1, 2])
def test_a_closing_connection_removes_only_itself(all_stay: Server, leaving: int) -> None:
    with contextlib.ExitStack() as stack:
        pages = [stack.enter_context(tab(all_stay, "uid1")) for _ in range(3)]
        back_end = stack.enter_context(BackEnd(all_stay))
        pages.pop(leaving).close()
        assert back_end.push(PUSH) == OK
        assert [messages(page) for page in pages] == [[PUSH]] * 2
        pages.pop().close()
        assert back_end.push(PUSH) == OK
        assert messages(pages[0]) == [PUSH]
        pages.pop().close()
        assert back_end.push(PUSH) == FAIL


# --- newest -------------------------------------------------------------------------------------


def test_newest_closes_the_older(newest: Server) -> None:
    with BackEnd(newest) as back_end, tab(newest, "uid1") as older, tab(newest, "uid1") as newer:
        assert close_code(older) == REPLACED
        assert back_end.push(PUSH) == OK
        assert messages(newer) == [PUSH]
        older.close()
        assert back_end.push(PUSH) == OK
        assert messages(newer) == [PUSH]


def test_an_older_one_that_reads_nothing_is_out_at_once(newest: Server) -> None:
    with (
        BackEnd(newest) as back_end,
        stopped(newest) as older,
        stopped(newest) as old,
        tab(newest, "uid1") as newer,
    ):
        assert back_end.push(PUSH) == OK
        older.disconnect()
        assert back_end.push(PUSH) == OK
        assert messages(newer) == [PUSH] * 2
        with pytest.raises(EndedError):
            old.message()


def test_newest_is_the_newest_of_its_uid_and_utype(newest: Server) -> None:
    with (
        BackEnd(newest) as back_end,
        tab(newest, "uid1") as page,
        tab(newest, "uid2") as other_uid,
        tab(newest, '{"uid":"uid1","utype":1}') as other_utype,
    ):
        for line in (PUSH, OTHER, b'{"uid":"uid1","utype":1}'):
            assert back_end.push(line) == OK
        assert messages(page) == [PUSH]
        assert messages(other_uid) == [OTHER]
        assert messages(other_utype) == [b'{"uid":"uid1","utype":1}']


# --- first --------------------------------------------------------------------------------------


def test_first_refuses_the_newer_where_the_older_answers(patient: Server) -> None:
    with (
        BackEnd(patient) as back_end,
        tab(patient, "uid1") as older,
        open_page(patient) as newer,
    ):
        newer.send("uid1")
        assert close_code(newer) == REFUSED
        assert back_end.push(PUSH) == OK
        assert messages(older) == [PUSH]


def test_the_older_is_pinged_and_receives_while_the_newer_waits(patient: Server) -> None:
    with BackEnd(patient) as back_end, stopped(patient) as older, tab(patient, "uid1") as newer:
        assert older.receive() == (PING, b"")
        assert back_end.push(PUSH) == OK
        assert messages(newer) == []
        assert older.message() == PUSH
        older.settle()
        assert close_code(newer) == REFUSED
        assert back_end.push(PUSH) == OK
        assert older.message() == PUSH


def test_the_newer_is_let_in_as_soon_as_the_older_has_closed(patient: Server) -> None:
    with BackEnd(patient) as back_end, stopped(patient) as older, tab(patient, "uid1") as newer:
        assert older.receive() == (PING, b"")
        older.disconnect()
        push_until_received(back_end, newer)


def test_a_newer_that_waits_cannot_become_another(patient: Server) -> None:
    with BackEnd(patient) as back_end, stopped(patient), tab(patient, "uid1", "uid2") as newer:
        assert back_end.push(OTHER) == FAIL
        assert messages(newer) == []


def test_two_that_wait_are_both_refused_where_the_older_answers(patient: Server) -> None:
    with (
        BackEnd(patient) as back_end,
        stopped(patient) as older,
        tab(patient, "uid1") as second,
        tab(patient, "uid1") as third,
    ):
        older.settle()
        assert close_code(second) == close_code(third) == REFUSED
        assert back_end.push(PUSH) == OK
        assert older.message() == PUSH


def test_first_is_the_first_of_its_uid_and_utype(patient: Server) -> None:
    with (
        BackEnd(patient) as back_end,
        stopped(patient),
        tab(patient, "uid2") as other_uid,
        tab(patient, '{"uid":"uid1","utype":1}') as other_utype,
    ):
        assert back_end.push(OTHER) == OK
        assert back_end.push(b'{"uid":"uid1","utype":1}') == OK
        assert messages(other_uid) == [OTHER]
        assert messages(other_utype) == [b'{"uid":"uid1","utype":1}']


def test_the_newer_is_let_in_where_no_answer_comes(impatient: Server) -> None:
    with (
        BackEnd(impatient) as back_end,
        stopped(impatient) as older,
        tab(impatient, "uid1") as newer,
    ):
        assert older.close_code() == REPLACED
        older.disconnect()
        assert back_end.push(PUSH) == OK
        assert messages(newer) == [PUSH]


def test_of_two_that_wait_one_is_let_in_where_no_answer_comes(impatient: Server) -> None:
    with (
        BackEnd(impatient) as back_end,
        stopped(impatient) as older,
        tab(impatient, "uid1") as second,
        tab(impatient, "uid1") as third,
    ):
        assert older.close_code() == REPLACED
        refused, let_in = refused_and_let_in(second, third)
        assert close_code(refused) == REFUSED
        assert back_end.push(PUSH) == OK
        assert messages(let_in) == [PUSH]


def refused_and_let_in(
    second: ClientConnection, third: ClientConnection
) -> tuple[ClientConnection, ClientConnection]:
    """As it turns out."""
    until = time.monotonic() + DEADLINE
    while second.close_code is None and third.close_code is None:
        assert time.monotonic() < until, "nobody is refused"
        time.sleep(0.01)
    return (third, second) if second.close_code is None else (second, third)


def test_a_newer_that_leaves_takes_nobodys_place(impatient: Server) -> None:
    """Another newer one, which came after it and is let in, shows that its time is over."""
    with (
        BackEnd(impatient) as back_end,
        stopped(impatient) as older,
        stopped(impatient, "uid2") as another,
        open_page(impatient) as leaving,
    ):
        leaving.send("uid1")
        settle(leaving)
        leaving.close()
        with tab(impatient, "uid2"):
            assert another.close_code() == REPLACED
        assert back_end.push(PUSH) == OK
        assert older.message() == PUSH
