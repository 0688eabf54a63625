"""Fault 28: a uid may hold what means something to Redis, and is nobody else's name for that."""

import contextlib
import json
from collections.abc import Iterator

import pytest

from tests.brokers.servers import RedisServer
from tests.browser import connect
from tests.cluster.nodes import back_ends, logged_in, message, nodes, until_reached
from tests.cluster.redis_view import View
from tests.faults.back_end import push_line
from tests.faults.unharmed import disorder, wait_until
from tests.server import Server

ODD = [
    *(":", "*", "?", "[a-z]", "{}", "{u}", "\\", "$1", "u", "a", "g", "n", "nodes", "shape", "!"),
    *("presence:", "node:", "claim:0", "pushline:nodes", "0:u0", "张 😀", "x" * 255, " ", "%0d%0a"),
]
"""Names that are some."""
BAD = ["a\r\nSET pushline:nodes x\r\n", "a\nb", "a\0b", "0\0u", "\x85", "x" * 256, "x" * 10_240]
"""Names that are none."""


@pytest.fixture
def cluster(redis_server: RedisServer) -> Iterator[list[Server]]:
    with nodes(redis_server.url, 2, AUTH_SESSIONS="newest") as servers:
        yield servers


def test_odd_names_are_names_like_others_and_bad_ones_come_nowhere(
    cluster: list[Server], redis_server: RedisServer
) -> None:
    with (
        contextlib.closing(View(redis_server)) as view,
        logged_in(cluster[0], *ODD) as browsers,
        back_ends(*cluster) as doors,
    ):
        names = [f"pushline:node:{node}" for node in view.nodes()] + ["pushline:nodes"]
        names += ["pushline:shape", f"pushline:presence:{_node_with_users(view)}"]
        names += [f"pushline:claim:0\0{uid}" for uid in ODD]
        for uid in ODD:
            until_reached(doors[1], uid)
        wait_until(lambda: view.all_users() == sorted(ODD))
        assert view.keys() == sorted(names)
        for bad in BAD:
            assert not any(door.push(push_line(bad)) for door in doors)
            assert not any(door.push(push_line("u", bad)) for door in doors)
            with connect(cluster[1].websocket) as browser:
                browser.send_text(json.dumps({"uid": bad}))
                assert browser.close_code() == 3501
        assert view.keys() == sorted(names)
        for number, (uid, browser) in enumerate(zip(ODD, browsers, strict=True)):
            line = push_line(uid, number=number)
            assert doors[1].push(line)
            assert message(browser) == line, "and nothing that was for another"
    for server in cluster:
        assert disorder(server) == []
        assert not any(line.startswith("SET") for line in server.log)


def _node_with_users(view: View) -> str:
    wait_until(lambda: any(view.users().values()))
    (node,) = (node for node, users in view.users().items() if users)
    return node
