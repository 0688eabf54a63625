"""Fault 22: a node is killed, hangs, or drains; what was its own is gone in time, nobody else's."""

import contextlib
import signal
import time
from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.brokers.servers import RedisServer
from tests.browser import CLOSE, Browser
from tests.cluster.nodes import (
    back_ends,
    logged_in,
    message,
    nodes,
    ready,
    until_gone,
    until_reached,
)
from tests.cluster.redis_view import View
from tests.cluster.traffic import Traffic, under_load
from tests.faults.back_end import BackEnd, push_line
from tests.faults.crowd import browsers
from tests.faults.unharmed import disorder, wait_until

GONE_WITHIN = 15.0
"""Seconds in which a node that says nothing any more is counted no more."""
USERS = 100


@pytest.fixture
def view(redis_server: RedisServer) -> Iterator[View]:
    with contextlib.closing(View(redis_server)) as view:
        yield view


def test_a_node_that_is_killed_and_one_that_hangs_harm_nobody_else(
    redis_server: RedisServer, view: View
) -> None:
    with (
        nodes(redis_server.url, 4, AUTH_SESSIONS="newest") as (one, two, killed, hung),
        Traffic(one, two, "there") as there,
        Traffic(two, one, "back") as back,
        logged_in(killed, "dead") as _,
        logged_in(hung, "stuck", "mover") as (stuck, left_behind),
        back_ends(one) as (door,),
        under_load(two, "dead", "nobody"),
        contextlib.ExitStack() as stack,
    ):
        for uid in ("dead", "stuck", "mover"):
            until_reached(door, uid)
        wait_until(lambda: view.all_users() == ["back", "dead", "mover", "stuck", "there"])
        killed.signal(signal.SIGKILL)
        hung.signal(signal.SIGSTOP)
        since = time.monotonic()
        until_gone(door, "dead", 1.0)
        until_gone(door, "stuck", GONE_WITHIN)
        wait_until(lambda: view.all_users() == ["back", "there"], GONE_WITHIN)
        assert time.monotonic() - since < GONE_WITHIN
        assert not any(door.push(push_line([uid])) for uid in ("dead", "stuck") * 50)
        there.goes_on()
        back.goes_on()
        (moved,) = stack.enter_context(logged_in(one, "mover"))
        wait_until(lambda: view.all_users() == ["back", "mover", "there"])
        hung.signal(signal.SIGCONT)
        until_reached(door, "stuck")
        assert left_behind.close_code() == 3503, "another has its user by now"
        wait_until(lambda: view.all_users() == ["back", "mover", "stuck", "there"])
        assert door.push(push_line("mover", last=True))
        assert b"last" in moved.message()
        assert door.push(push_line("stuck", last=True))
        while b"last" not in stuck.message():
            pass
        for server in (one, two):
            assert disorder(server) == []


def test_a_node_that_drains_hands_its_users_over_and_counts_them_nowhere_twice(
    redis_server: RedisServer, view: View
) -> None:
    """What failed has come to nobody; what came was ok, and came once."""
    uids = [f"user{number}" for number in range(USERS)]
    with (
        nodes(redis_server.url, 2, SHUTDOWN_TIME="1") as (one, two),
        browsers(one.websocket, USERS) as before,
        back_ends(two, one) as (door, its_own),
        logged_in(two, "there") as (there,),
        contextlib.ExitStack() as stack,
    ):
        until_reached(door, uids)
        until_reached(its_own, "there")
        wait_until(lambda: view.all_users() == sorted([*uids, "there"]))
        answers: dict[int, bool] = {}
        one.signal(signal.SIGTERM)
        wait_until(lambda: not ready(one))
        assert its_own.push(push_line("there", drains=True)), "its back ends are served"
        assert b"drains" in message(there)
        came: defaultdict[str, list[int]] = defaultdict(list)
        after = []
        for uid, browser in zip(uids, before, strict=True):
            answers |= _push(door, uids, len(answers))
            came[uid] += _numbers_until_the_close(browser)
            (moved,) = stack.enter_context(logged_in(two, uid))
            after.append(moved)
        assert one.wait() == 0
        answers |= _push(door, uids, len(answers))
        assert all(answers[len(answers) - 1 - number] for number in range(USERS))
        for uid, browser in zip(uids, after, strict=True):
            came[uid] += _numbers(browser, len(answers))
        numbers = [number for each in came.values() for number in each]
        assert len(numbers) == len(set(numbers))
        assert all(answers[number] for number in numbers)
        assert view.all_users() == sorted([*uids, "there"])
        assert len(view.nodes()) == 1
        assert two.metrics()["connections"] == two.metrics()["users"] == USERS + 1


def _push(door: BackEnd, uids: list[str], first: int) -> dict[int, bool]:
    """One numbered line to each of them; the answers by number."""
    numbers = range(first, first + len(uids))
    lines = [push_line(uid, n=number) for uid, number in zip(uids, numbers, strict=True)]
    door.send(b"".join(line + b"\n" for line in lines))
    return {number: door.answer() for number in numbers}


def _number(line: bytes) -> int:
    return int(line.rpartition(b":")[2].rstrip(b"}"))


def _numbers_until_the_close(browser: Browser) -> list[int]:
    found = []
    while (frame := browser.receive())[0] != CLOSE:
        found += [_number(frame[1])] if b'"n":' in frame[1] else []
    browser.send_frame(CLOSE, frame[1])
    return found


def _numbers(browser: Browser, count: int) -> list[int]:
    """Up to the last of all."""
    found = [_number(message(browser))]
    while found[-1] < count - USERS:
        found.append(_number(message(browser)))
    return found
