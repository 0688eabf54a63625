"""`auth.sessions` holds over all nodes."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.brokers.servers import RedisServer
from tests.browser import DEADLINE, PING, PONG, Browser, EndedError, connect
from tests.cluster.nodes import back_ends, logged_in, nodes, until_reached
from tests.faults.unharmed import wait_until
from tests.server import Server

AT_ONCE = 16
REPLACED, LIMIT = 3503, 3504


@pytest.fixture(params=["newest", "first"], scope="module")
def policy(request: pytest.FixtureRequest) -> str:
    policy: str = request.param
    return policy


@pytest.fixture(scope="module")
def cluster(shared_redis: RedisServer, policy: str) -> Iterator[list[Server]]:
    settings = {"AUTH_SESSIONS": policy, "BROKER_PREFIX": f"{policy}:", "AUTH_CHALLENGE": "1"}
    with nodes(shared_redis.url, 3, **settings) as servers:
        yield servers


def is_in(server: Server, logins: float) -> None:
    """Wait until there were so many logins."""
    wait_until(lambda: server.metrics()["logins_total"] == logins)


def test_the_newest_stays_and_of_the_first_one_that_lives(
    cluster: list[Server], policy: str
) -> None:
    one, two, _ = cluster
    logins = one.metrics()["logins_total"]
    with logged_in(one, "u") as (older,):
        is_in(one, logins + 1)
        with logged_in(two, "u") as (newer,):
            if policy == "newest":
                assert older.close_code() == REPLACED
            else:
                assert older.receive() == (PING, b"")
                older.send_frame(PONG)
                assert newer.close_code() == LIMIT


def test_one_that_gives_no_sign_of_life_is_replaced_in_any_case(cluster: list[Server]) -> None:
    one, two, _ = cluster
    logins = one.metrics()["logins_total"], two.metrics()["logins_total"]
    with logged_in(one, "mute") as (older,):
        is_in(one, logins[0] + 1)
        with logged_in(two, "mute"):
            assert older.close_code() == REPLACED
            is_in(two, logins[1] + 1)


def test_of_many_who_come_at_once_one_stays(cluster: list[Server], policy: str) -> None:
    with (
        contextlib.ExitStack() as stack,
        ThreadPoolExecutor(AT_ONCE) as pool,
        back_ends(cluster[0]) as (door,),
    ):
        browsers = [
            stack.enter_context(connect(cluster[number % 3].websocket)) for number in range(AT_ONCE)
        ]
        for browser in browsers:
            browser.login("crowd")
        ends = [pool.submit(_end_of, browser) for browser in browsers]
        wait_until(lambda: sum(end.done() for end in ends) == AT_ONCE - 1)
        until_reached(door, "crowd")
        codes = [end.result(DEADLINE) for end in ends]
        assert sorted(codes) == [0] + [REPLACED if policy == "newest" else LIMIT] * (AT_ONCE - 1)
        assert sum(server.metrics()["connections"] for server in cluster) == 1


def _end_of(browser: Browser) -> int:
    """How it is closed, though it answers pings; 0 where it gets a message."""
    try:
        browser.message()
    except EndedError as ended:
        return int.from_bytes(ended.args[0][:2])
    return 0


def test_an_older_on_a_node_that_was_killed_does_not_stand_in_the_way(
    cluster: list[Server],
) -> None:
    """Last: it costs the cluster a node."""
    _, two, three = cluster
    logins = three.metrics()["logins_total"]
    with logged_in(three, "widow"), back_ends(two) as (door,):
        is_in(three, logins + 1)
        until_reached(door, "widow")
        three.kill()
        with logged_in(two, "widow") as (newer,):
            until_reached(door, "widow")
            assert b"widow" in newer.message()
