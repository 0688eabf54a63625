"""deploy/nginx.conf: a real nginx with it, in front of two real nodes."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.brokers.servers import RedisServer
from tests.browser import Browser, connect
from tests.commands import called
from tests.deploy.test_containers import DEPLOY
from tests.faults.unharmed import wait_until
from tests.ports import free_port
from tests.server import Server

PROGRAM = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
BROWSERS = 6


def conf(folder: Path, port: int, nodes: Sequence[Server]) -> Path:
    """The file, with the addresses of here, and nothing outside of `folder`."""
    text = (DEPLOY / "nginx.conf").read_text("utf-8")
    for number, node in enumerate(nodes, 1):
        text = text.replace(f"node{number}:1234", node.websocket)
        text = text.replace(f"node{number}:9090", node.http)
    text = text.replace("listen 80;", f"listen 127.0.0.1:{port};")
    text = text.replace("/run/nginx.pid", str(folder / "pid"))
    paths = "".join(f"{name}_temp_path {folder / name}; " for name in TEMPORARY)
    (folder / "nginx.conf").write_text(text.replace("http {", f"http {{ {paths}"), "utf-8")
    assert not re.search(r"\bnode\d", text)
    return folder / "nginx.conf"


@contextlib.contextmanager
def nginx(path: Path, port: int) -> Iterator[str]:
    """Its address."""
    command = [PROGRAM, "-e", "stderr", "-c", str(path), "-g", "daemon off;"]
    errors = path.with_name("errors")
    with errors.open("w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            address = f"127.0.0.1:{port}"
            wait_until(lambda: process.poll() is not None or status(address) != 0)
            assert process.poll() is None, errors.read_text()
            yield address
        finally:
            process.terminate()


def status(address: str, path: str = "/ready") -> int:
    """Of the answer to a GET; 0 where there is none."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@pytest.fixture
def nodes(redis_server: RedisServer) -> Iterator[list[Server]]:
    with (
        Server("--broker", redis_server.url) as first,
        Server("--broker", redis_server.url) as second,
    ):
        yield [first, second]


@pytest.fixture
def proxy(tmp_path: Path, nodes: list[Server]) -> Iterator[str]:
    port = free_port()
    with nginx(conf(tmp_path, port, nodes), port) as address:
        yield address


def logged_in(address: str, uid: str) -> Browser:
    browser = connect(address)
    browser.send_text(uid)
    browser.settle()
    return browser


def push(node: Server, uid: str) -> str:
    return called("push", "--text", node.text, uid, '{"n": 1}').output


def test_browsers_come_to_all_nodes_and_are_reached_from_each(
    proxy: str, nodes: list[Server]
) -> None:
    with contextlib.ExitStack() as stack:
        browsers = _come(stack, proxy, "user")
        assert [node.metrics()["connections"] for node in nodes] == [BROWSERS / 2] * 2
        for uid, browser in browsers.items():
            for node in nodes:
                wait_until(lambda node=node, uid=uid: push(node, uid) == "ok\n")  # type: ignore[misc]
                assert browser.message() == f'{{"uid":"{uid}","n":1}}'.encode()


def test_who_comes_while_a_node_stops_comes_to_the_other(proxy: str, nodes: list[Server]) -> None:
    first, second = nodes
    with contextlib.ExitStack() as stack:
        before = _come(stack, proxy, "early")
        first.signal(signal.SIGTERM)
        wait_until(lambda: status(first.http) != 200)
        for browser in _come(stack, proxy, "late").values():
            browser.settle()
        gone = [browser for uid, browser in before.items() if push(second, uid) == "fail\n"]
        assert [browser.close_code() for browser in gone] == [3001] * (BROWSERS // 2)
        assert second.metrics()["connections"] == BROWSERS // 2 + BROWSERS
        assert status(proxy) == 200


def test_nobody_is_ready_without_redis(
    proxy: str, nodes: list[Server], redis_server: RedisServer
) -> None:
    assert status(proxy) == 200
    redis_server.kill()
    wait_until(lambda: [status(node.http) for node in nodes] == [503, 503])
    assert {status(proxy) for _ in range(20)} == {503}  # also when nginx has seen many of them
    redis_server.start()
    wait_until(lambda: status(proxy) == 200)


def _come(stack: contextlib.ExitStack, address: str, kind: str) -> dict[str, Browser]:
    """Some of them, by their uids."""
    uids = (f"{kind}{i}" for i in range(BROWSERS))
    return {uid: stack.enter_context(logged_in(address, uid)) for uid in uids}
