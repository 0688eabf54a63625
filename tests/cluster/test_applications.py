"""Applications at several nodes: their verbs are for the clients of all."""

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.brokers.servers import RedisServer
from tests.browser import Browser, connect
from tests.cluster.nodes import nodes
from tests.faults.unharmed import wait_until
from tests.server import Server


@pytest.fixture(scope="module")
def cluster(shared_redis: RedisServer) -> Iterator[list[Server]]:
    settings = {"APP_LOAD": "tests.cluster.apps:app", "AUTH_MODE": "app", "BROKER_TIMEOUT": "0.5"}
    with nodes(shared_redis.url, 3, **settings) as servers:
        yield servers


@pytest.fixture
def tabs(cluster: list[Server]) -> Iterator[list[Browser]]:
    """One at each node."""
    browsers = [connect(server.websocket) for server in cluster]
    yield browsers
    for browser in browsers:
        browser.disconnect()


def do(browser: Browser, *what: object) -> Any:
    """What came of it."""
    browser.send_text(json.dumps(what))
    answer = json.loads(browser.message())
    assert answer.get("missing") == [], answer
    return answer["result"]


def test_groups_have_members_of_all_nodes(tabs: list[Browser]) -> None:
    a, b, c = tabs
    for browser in (a, b):
        do(browser, "join", "g")
    wait_until(lambda: do(c, "get_client_id_count_by_group", "g") == 2)
    assert len(do(a, "get_client_id_list_by_group", "g")) == 2
    assert "delivered=2" in do(c, "send_to_group", "g", "hello")
    assert a.message() == b.message() == b"hello"
    assert "delivered=2" in do(c, "send_to_group", ["g", "nobody"], "all")
    assert a.message() == b.message() == b"all"
    assert do(c, "ungroup", "g") == 2
    assert do(c, "get_all_group_id_list") == []


def test_users_and_clients_of_all_nodes_are_found_from_any(tabs: list[Browser]) -> None:
    for number, browser in enumerate(tabs):
        do(browser, "bind", f"u{number}")
    for browser in tabs:
        wait_until(lambda: do(browser, "get_all_uid_count") == 3)  # noqa: B023 - called at once
        uids = ["u0", "u1", "u2", "u3"]
        wait_until(lambda: sum(do(browser, "is_uids_online", uids).values()) == 3)  # noqa: B023
        clients = do(browser, "batch_get_client_id_by_uid", uids)
        assert [len(clients[uid]) for uid in uids] == [1, 1, 1, 0]
        assert do(browser, "get_uid_by_client_id", clients["u2"][0]) == "u2"
    (client,) = do(tabs[0], "get_client_id_by_uid", "u2")
    assert do(tabs[0], "update_session", client, {"name": "张", "seen": [1, 2.5, None]})
    assert do(tabs[1], "get_session", client) == {"name": "张", "seen": [1, 2.5, None]}
    assert do(tabs[1], "close_client", client, "bye")
    assert tabs[2].message() == b"bye"
    assert tabs[2].close_code() == 3503
    assert not do(tabs[0], "is_online", client)


def test_an_answer_without_a_node_that_hangs_says_so_and_names_it(
    cluster: list[Server], tabs: list[Browser]
) -> None:
    a, _, c = tabs
    mine, theirs = do(a, "id"), do(c, "id")
    cluster[2].signal(signal.SIGSTOP)
    try:
        a.send_text(json.dumps(["get_all_client_id_list"]))
        answer = json.loads(a.message())
        assert mine in answer["result"]
        assert theirs not in answer["result"]
        assert answer["missing"] == [[theirs[:12], "no answer within 0.5 s"]]
    finally:
        cluster[2].signal(signal.SIGCONT)
    wait_until(lambda: len(do(a, "get_all_client_id_list")) == 3)
    assert do(c, "is_online", mine)
