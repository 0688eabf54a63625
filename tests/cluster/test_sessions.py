"""`auth.sessions` holds over all nodes."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.brokers.servers import RedisServer
from tests.browser import PING, PONG, Browser, EndedError, connect
from tests.cluster.nodes import back_ends, log_in, logged_in, nodes, until_reached
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


def is_in(server: Server, logins: int) -> None:
    """Wait until there were so many logins."""
    wait_until(lambda: server.metrics()["logins_total"] == logins)


def test_the_newest_stays_and_of_the_first_one_that_lives(
    cluster: list[Server], policy: str
) -> None:
    one, two, _ = cluster
    logins = one.metrics()["logins_total"]
    with contextlib.closing(_Closing(log_in(one, "u"))) as older:
        is_in(one, logins + 1)
        with logged_in(two, "u") as (newer,):
            if policy == "newest":
                assert older.browser.close_code() == REPLACED
            else:
                assert older.browser.receive() == (PING, b"")
                older.browser.send_frame(PONG)
                assert newer.close_code() == LIMIT


class _Closing:
    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    def close(self) -> None:
        self.browser.disconnect()


def test_one_that_gives_no_sign_of_life_is_replaced_in_any_case(cluster: list[Server]) -> None:
    one, two, _ = cluster
    logins = one.metrics()["logins_total"], two.metrics()["logins_total"]
    with logged_in(one, "mute") as (older,):
        is_in(one, int(logins[0]) + 1)
        with logged_in(two, "mute"):
            assert older.close_code() == REPLACED
            is_in(two, int(logins[1]) + 1)


def test_of_many_who_come_at_once_one_stays(cluster: list[Server], policy: str) -> None:
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(AT_ONCE) as pool:
        browsers = [
            stack.enter_context(connect(cluster[number % 3].websocket)) for number in range(AT_ONCE)
        ]
        for browser in browsers:
            browser.login("crowd")
        codes = list(pool.map(_code, browsers))
        stays = [browser for browser, code in zip(browsers, codes, strict=True) if not code]
        assert len(stays) == 1
        assert {*codes} == {0, REPLACED if policy == "newest" else LIMIT}
        assert sum(server.metrics()["connections"] for server in cluster) == 1


def _code(browser: Browser) -> int:
    """How it is closed; 0 where it is not, though it answers pings."""
    with contextlib.suppress(TimeoutError):
        try:
            browser.message(3.0)
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
        is_in(three, int(logins) + 1)
        until_reached(door, "widow")
        three.kill()
        with logged_in(two, "widow") as (newer,):
            until_reached(door, "widow")
            assert b"widow" in newer.message()
