"""Faults 23 and 24: Redis is killed, hangs, or is out of reach. Each node serves its own users."""

import asyncio
import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.brokers.proxy import Proxy
from tests.brokers.servers import RedisServer
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
from tests.cluster.traffic import Traffic
from tests.faults.back_end import BackEnd, push_line
from tests.faults.crowd import Readers
from tests.faults.unharmed import disorder, wait_until
from tests.server import Server

TIMEOUT = 1.0
"""Seconds: broker.timeout."""
BUSY = 1.0
"""By which a busy machine may be late."""
GONE_WITHIN, NOTICED_WITHIN = 15.0, 30.0
KIBIBYTE = "x" * 1000
BURST, PORTION = 80_000, 500
"""More than there is room for."""
UNSENT = 64 << 20
"""Bytes that wait for Redis, at most; and what the objects of all those pushes take, at most."""
OBJECTS = 100 << 20
FLAT = 16 << 20


@pytest.fixture
def view(redis_server: RedisServer) -> Iterator[View]:
    with contextlib.closing(View(redis_server)) as view:
        yield view


@pytest.fixture
def pair(redis_server: RedisServer) -> Iterator[list[Server]]:
    with nodes(redis_server.url, 2, BROKER_TIMEOUT=str(TIMEOUT)) as servers:
        yield servers
        for server in servers:
            assert disorder(server) == []


def fails_promptly(door: BackEnd, uid: str) -> None:
    """Whether he has got it is not known; that is said in time."""
    started = time.monotonic()
    assert not door.push(push_line(uid))
    assert time.monotonic() - started < TIMEOUT + BUSY


def all_is_well(pair: list[Server], view: View, doors: list[BackEnd]) -> None:
    """Each user is reached from each node, and Redis knows where they are."""
    wait_until(lambda: all(map(ready, pair)), NOTICED_WITHIN)
    for door in doors:
        for uid in ("one", "two"):
            until_reached(door, uid)
    wait_until(lambda: view.all_users() == ["one", "two"])


@pytest.mark.parametrize("seconds", [0.5, 12.0])
def test_redis_is_killed_and_comes_back_with_nothing_in_it(
    redis_server: RedisServer, pair: list[Server], view: View, seconds: float
) -> None:
    with (
        logged_in(pair[0], "one") as (one,),
        logged_in(pair[1], "two") as (two,),
        back_ends(*pair) as doors,
    ):
        all_is_well(pair, view, doors)
        reconnects = [server.metrics()["broker_reconnects_total"] for server in pair]
        redis_server.kill()
        wait_until(lambda: not any(map(ready, pair)))
        back_at = time.monotonic() + seconds
        while time.monotonic() < back_at:
            for door, far, near, browser in zip(
                doors, ("two", "one"), ("one", "two"), (one, two), strict=True
            ):
                fails_promptly(door, far)
                assert door.push(push_line(near, while_away=True))
                while b"while_away" not in browser.message():
                    pass
        redis_server.start()
        all_is_well(pair, view, doors)
        assert [server.metrics()["broker_reconnects_total"] for server in pair] == [
            before + 1 for before in reconnects
        ]
        for browser, uid, door in ((one, "one", doors[1]), (two, "two", doors[0])):
            assert door.push(push_line(uid, last=True))
            assert b"last" in message(browser)


def test_redis_hangs_and_nothing_queues_without_bound(
    redis_server: RedisServer, pair: list[Server], view: View
) -> None:
    with (
        logged_in(pair[0], "one") as (one,),
        logged_in(pair[1], "two"),
        back_ends(*pair) as doors,
        logged_in(pair[0], "reader") as readers,
        Readers(readers, lambda *_: None),
        Traffic(pair[0], pair[0], "local") as local,
    ):
        for door in doors:
            until_reached(door, "one")
            until_reached(door, "two")
        everybody = ["local", "one", "reader", "two"]
        wait_until(lambda: view.all_users() == everybody)
        redis_server.pause()
        fails_promptly(doors[0], "two")
        wait_until(lambda: not any(map(ready, pair)), NOTICED_WITHIN)
        before = pair[0].resident()
        full = _resident_after_burst(pair[0], doors[0])
        assert full < before + UNSENT + OBJECTS
        assert _resident_after_burst(pair[0], doors[0]) < full + FLAT
        local.goes_on()
        redis_server.resume()
        wait_until(lambda: all(map(ready, pair)), NOTICED_WITHIN)
        for door in doors:
            until_reached(door, "one")
            until_reached(door, "two")
        wait_until(lambda: view.all_users() == everybody)
        assert doors[1].push(push_line("one", last=True))
        while b"last" not in one.message():
            pass


def _resident_after_burst(server: Server, door: BackEnd) -> int:
    """Pushes to somebody who is at this node: each is answered at once, and published. None of them
    is sent: they have all failed when the memory is read."""
    failed = server.metrics()["broker_failed_total"]
    lines = (push_line("reader", data=KIBIBYTE) + b"\n") * PORTION
    for _ in range(BURST // PORTION):
        door.send(lines)
        assert [door.answer() for _ in range(PORTION)] == [True] * PORTION
    wait_until(lambda: server.metrics()["broker_failed_total"] >= failed + BURST)
    return server.resident()


async def test_a_node_that_is_cut_off_is_gone_in_time_and_back_by_itself(
    redis_server: RedisServer, view: View
) -> None:
    """Its users are still its own all the time."""
    async with Proxy(redis_server.port) as proxy:
        await asyncio.to_thread(_cut_off, redis_server, view, proxy, asyncio.get_running_loop())


def _cut_off(
    redis_server: RedisServer, view: View, proxy: Proxy, loop: asyncio.AbstractEventLoop
) -> None:
    with (
        nodes(redis_server.url, 1) as (one,),
        nodes(proxy.url, 1, BROKER_TIMEOUT=str(TIMEOUT)) as (two,),
        logged_in(one, "one") as (_,),
        logged_in(two, "two") as (browser,),
        back_ends(one, two) as doors,
    ):
        all_is_well([one, two], view, doors)
        loop.call_soon_threadsafe(proxy.hold)
        wait_until(lambda: not ready(two), NOTICED_WITHIN)
        assert ready(one)
        fails_promptly(doors[1], "one")
        until_gone(doors[0], "two", GONE_WITHIN)
        wait_until(lambda: view.all_users() == ["one"], GONE_WITHIN)
        assert doors[1].push(push_line("two", near=True))
        while b"near" not in browser.message():
            pass
        loop.call_soon_threadsafe(proxy.let)
        all_is_well([one, two], view, doors)
