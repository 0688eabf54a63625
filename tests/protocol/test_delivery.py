"""What a browser receives, and what `ok` means."""

import contextlib
import json
import random
from collections.abc import Iterator

import pytest

from tests.browser import CLOSE, PING, PONG, TEXT, connect
from tests.protocol.back_end import FAIL, OK, BackEnd
from tests.protocol.tabs import messages, tab
from tests.server import Server

MAX_LINE = 64 * 1024


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(TEXT_MAX_LINE=f"{MAX_LINE} B") as server:
        yield server


@pytest.fixture
def back_end(server: Server) -> Iterator[BackEnd]:
    with BackEnd(server) as back_end:
        yield back_end


LINES = [
    '{"uid":"uid1","percent":"88%"}',
    '  {\t"uid" :   "uid1" , "x":[ 1,2 , 3 ] }   ',
    '{"uid":"uid1","x":"Zoë 張 😀 \\u00e9 \\/ \\ud83d\\ude00"}',
    '{"uid":"uid1","x":"\u2028\u2029\u007f\ufeff"}',
    '{"x":1,"uid":"nobody","x":2,"uid":"uid1"}',
    '{"uid":["uid1",0],"utype":null,"data":"heartbeat"}',
    '{"uid":"uid1","x":[1.50,1E5,-0,1e999,123456789012345678901234567890]}',
    '{"uid":"uid1","":{"uid":[[[]]]},"close":1000}',
    '{"uid":"uid1"}\r',
    '{"uid":""}',
]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_it_is_exactly_the_bytes_of_the_line_without_its_end(
    server: Server, back_end: BackEnd, line: str, end: bytes
) -> None:
    data = line.encode().removesuffix(b"\r") if end == b"\n" else line.encode()
    with tab(server, "uid1") as page:
        back_end.send(data + end)
        assert back_end.answer() == OK
        assert messages(page) == [data]


def test_it_is_one_text_message_for_each_push(server: Server, back_end: BackEnd) -> None:
    with connect(server.websocket) as browser:
        browser.login("uid1").settle()
        for _ in range(3):
            assert back_end.push(b'{"uid":"uid1"}') == OK
        assert [browser.receive() for _ in range(3)] == [(TEXT, b'{"uid":"uid1"}')] * 3
        browser.send_frame(PING)
        assert browser.receive() == (PONG, b"")


@pytest.mark.parametrize("size", [125, 126, 127, 65_535, MAX_LINE])
def test_a_line_of_any_length_is_one_message(server: Server, back_end: BackEnd, size: int) -> None:
    frame = b'{"uid":"uid1","x":"%b"}'
    line = frame % (b"y" * (size - len(frame % b"")))
    assert len(line) == size
    with tab(server, "uid1") as page:
        assert back_end.push(line) == OK
        assert messages(page) == [line]


def test_several_back_ends_are_served_side_by_side(server: Server, back_end: BackEnd) -> None:
    with tab(server, "uid1") as page, BackEnd(server) as second:
        assert back_end.push(b'{"uid":"uid1","from":1}') == OK
        assert second.push(b'{"uid":"uid1","from":2}') == OK
        assert messages(page) == [b'{"uid":"uid1","from":1}', b'{"uid":"uid1","from":2}']


def mixed_lines(count: int) -> list[tuple[object, bytes]]:
    """Uids and their lines: one user, several, everyone, nobody."""
    chance = random.Random(1)  # the same on every run
    uids: list[object] = ["a", "b", "leaver", ["a", "b"], ["b", "nobody"], ["leaver", "a"], ""]
    chosen = [chance.choice([*uids, "nobody"]) for _ in range(count)]
    return [(uid, json.dumps({"uid": uid, "n": n}).encode()) for n, uid in enumerate(chosen)]


def is_for(uid: object, name: str) -> bool:
    return uid in (name, "") or (isinstance(uid, list) and name in uid)


def test_ok_is_delivered_in_order_to_each_connection_that_stays(
    server: Server, back_end: BackEnd
) -> None:
    lines = mixed_lines(6000)
    with (
        tab(server, "a") as a,
        tab(server, "a") as second_a,
        tab(server, "b") as b,
        connect(server.websocket) as leaver,
    ):
        leaver.login("leaver").settle()
        back_end.send(b"".join(line + b"\n" for _, line in lines[:3000]))
        assert leaver.message() == next(line for uid, line in lines if is_for(uid, "leaver"))
        leaver.disconnect()
        back_end.send(b"".join(line + b"\n" for _, line in lines[3000:]))
        answers = back_end.answers(len(lines))
        assert (
            messages(a) == messages(second_a) == [line for uid, line in lines if is_for(uid, "a")]
        )
        assert messages(b) == [line for uid, line in lines if is_for(uid, "b")]
    for_those_who_stay = [is_for(uid, "a") or is_for(uid, "b") for uid, _ in lines]
    staying = [answer for answer, stays in zip(answers, for_those_who_stay, strict=True) if stays]
    assert set(staying) == {OK}
    nobody = [answer for answer, (uid, _) in zip(answers, lines, strict=True) if uid == "nobody"]
    assert set(nobody) == {FAIL}
    left = [answer for answer, (uid, _) in zip(answers, lines, strict=True) if uid == "leaver"]
    assert left == sorted(left, reverse=True), "the leaver came back"


def test_who_has_closed_is_no_longer_there(server: Server, back_end: BackEnd) -> None:
    with tab(server, "uid1"):
        assert back_end.push(b'{"uid":"uid1"}') == OK
    assert back_end.push(b'{"uid":"uid1"}') == FAIL


def test_what_was_ok_before_the_browser_closed_comes_before_the_answer_to_its_close(
    server: Server, back_end: BackEnd
) -> None:
    with connect(server.websocket) as browser:
        browser.login("uid1").settle()
        back_end.send(b'{"uid":"uid1"}\n' * 500)
        assert back_end.answers(500) == [OK] * 500
        browser.send_frame(CLOSE, b"\x03\xe8")
        assert [browser.receive() for _ in range(500)] == [(TEXT, b'{"uid":"uid1"}')] * 500
        assert browser.receive() == (CLOSE, b"\x03\xe8")


def test_many_broadcasts_to_many_come_to_each_in_order(server: Server, back_end: BackEnd) -> None:
    """More of them than the server lets wait; those to one user are not to overtake any."""
    to_all = [b'{"x":"%b","n":%d}' % (b"y" * 2000, number) for number in range(300)]
    to_one = [b'{"uid":"uid1","n":%d}' % number for number in range(300)]
    lines = [line for pair in zip(to_all, to_one, strict=True) for line in pair]
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(connect(server.websocket)) for _ in range(70)]
        for browser in crowd:
            browser.login("somebody").settle()
        page = stack.enter_context(tab(server, "uid1"))
        back_end.send(b"\n".join(lines) + b"\n")
        assert back_end.answers(len(lines)) == [OK] * len(lines)
        assert messages(page) == lines
        for browser in crowd:
            assert [browser.message() for _ in to_all] == to_all
