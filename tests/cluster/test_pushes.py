"""A push at any node reaches the user wherever he is."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.brokers.servers import RedisServer
from tests.browser import Browser
from tests.cluster.nodes import (
    back_ends,
    log_in,
    logged_in,
    message,
    nodes,
    until_gone,
    until_reached,
)
from tests.faults.back_end import BackEnd, push_line
from tests.server import Server

IN_FLIGHT = 500
ROUNDS = 200


@pytest.fixture(scope="module")
def cluster(shared_redis: RedisServer) -> Iterator[list[Server]]:
    with nodes(shared_redis.url, 3) as servers:
        yield servers


@pytest.fixture
def doors(cluster: list[Server]) -> Iterator[list[BackEnd]]:
    """A back end at each of them."""
    with back_ends(*cluster) as doors:
        yield doors


def test_a_push_at_any_node_reaches_the_user_at_any_node(
    cluster: list[Server], doors: list[BackEnd]
) -> None:
    for number, server in enumerate(cluster):
        with logged_in(server, f"u{number}") as (browser,):
            for door in doors:
                until_reached(door, f"u{number}")
            for door, line in zip(doors, _lines(f"u{number}"), strict=False):
                assert door.push(line)
                assert message(browser) == line
        for door in doors:
            until_gone(door, f"u{number}")


def _lines(uid: object) -> Iterator[bytes]:
    return (push_line(uid, number=number) for number in itertools.count())


def test_all_tabs_of_a_user_get_it_wherever_they_are(
    cluster: list[Server], doors: list[BackEnd]
) -> None:
    with contextlib.ExitStack() as stack:
        tabs = [stack.enter_context(log_in(server, "many")) for server in cluster for _ in "12"]
        for tab in tabs:
            _comes(doors[0], "many", tab)
        for door, line in zip(doors, _lines("many"), strict=False):
            assert door.push(line)
            assert [message(tab) for tab in tabs] == [line] * len(tabs)


def _comes(door: BackEnd, uid: str, browser: Browser) -> None:
    """Wait until that browser gets what is pushed there."""
    while True:
        door.push(push_line(uid, probe=True))
        with contextlib.suppress(TimeoutError):
            browser.message(0.1)
            return


def test_a_list_reaches_those_of_it_who_are_there(
    cluster: list[Server], doors: list[BackEnd]
) -> None:
    with logged_in(cluster[0], "a") as (a,), logged_in(cluster[1], "b") as (b,):
        until_reached(doors[2], "a")
        until_reached(doors[2], "b")
        for door in doors:
            line = push_line(["a", 7, "b", "nobody"])
            assert door.push(line)
            assert message(a) == message(b) == line
            assert not door.push(push_line(["nobody", 7, None]))


def test_a_list_of_thousands_reaches_those_of_it_who_are_there(
    cluster: list[Server], doors: list[BackEnd]
) -> None:
    strangers = [f"stranger{number}" for number in range(10_000)]
    with logged_in(cluster[1], "c") as (c,):
        until_reached(doors[0], "c")
        for door in doors:
            assert not door.push(push_line(strangers))
            line = push_line([*strangers, "c"])
            assert door.push(line)
            assert message(c) == line


def test_everyone_is_everyone_and_nobody_is_no_failure(
    cluster: list[Server], doors: list[BackEnd]
) -> None:
    for door in doors:
        assert door.push(push_line(""))
    with logged_in(cluster[0], "a") as (a,), logged_in(cluster[2], "b") as (b,):
        for door, line in zip(doors, _lines(""), strict=False):
            assert door.push(line)
            assert message(a) == message(b) == line


def test_what_one_back_end_sends_to_one_user_or_to_all_arrives_in_that_order(
    cluster: list[Server], doors: list[BackEnd]
) -> None:
    uids = ["near", "far", ""]
    with logged_in(cluster[0], "near") as (near,), logged_in(cluster[1], "far") as (far,):
        until_reached(doors[0], "far")
        lines = list(itertools.islice(map(push_line, itertools.cycle(uids)), IN_FLIGHT))
        lines = [line[:-1] + b',"n":%d}' % number for number, line in enumerate(lines)]
        doors[0].send(b"\n".join(lines) + b"\n")
        assert [doors[0].answer() for _ in lines] == [True] * len(lines)
        for uid, browser in (("near", near), ("far", far)):
            mine = [line for line in lines if b'"uid":"%b"' % uid.encode() in line or b'""' in line]
            assert [_numbered(browser) for _ in mine] == mine


def _numbered(browser: Browser) -> bytes:
    """The next one that is not another test's broadcast."""
    while b'"n":' not in (received := message(browser)):
        pass
    return received


def test_pushes_that_race_logins_and_logouts_at_another_node_have_right_answers(
    cluster: list[Server], doors: list[BackEnd]
) -> None:
    """What failed came to nobody; what came was ok, in its order, once, without a gap."""
    came: list[int] = []
    answers: list[bool] = []
    numbers = itertools.count()

    def push(count: int) -> None:
        lines = [push_line("racer", n=next(numbers)) for _ in range(count)]
        doors[0].send(b"".join(line + b"\n" for line in lines))
        answers.extend(doors[0].answer() for _ in lines)

    for _ in range(ROUNDS):
        browser = log_in(cluster[1], "racer")
        push(20)
        while not answers[-1]:
            push(1)
        push(20)
        assert all(answers[-20:]), "somebody who stays has got everything"
        browser.send_frame(0x8, b"\x03\xe8")
        push(20)
        session = _numbers(browser)
        assert session == list(range(session[0], session[0] + len(session)))
        came += session
        while answers[-1]:
            push(1)
        browser.disconnect()
    assert came == sorted(set(came))
    assert all(answers[number] for number in came)
    assert Counter(answers)[False] > 0


def _numbers(browser: Browser) -> list[int]:
    """Of all messages until the close."""
    found = []
    while (frame := browser.receive())[0] == 0x1:
        found.append(int(frame[1].rpartition(b":")[2].rstrip(b"}")))
    return found
