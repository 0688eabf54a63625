"""GatewayWorker's inner port and Register, used by somebody who should not, or badly."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pushline.codecs import register_lines
from pushline.codecs.gateway_frames import Cmd, encode
from pushline.codecs.register_lines import GatewayConnect, WorkerConnect
from pushline.config import Config
from tests.browser import Browser, connect
from tests.faults.crowd import browsers, sockets
from tests.faults.unharmed import unharmed, wait_until
from tests.listeners.inner_port import Peer, client_greeting, worker_greeting
from tests.server import Server

SECRET = "hunter2-ünd-mehr"
WRONG = [
    *("", "wrong", SECRET[:-1], SECRET + "x", SECRET.upper(), " " + SECRET, "hunter2" * 1000),
]
LINKS = 200
ATTEMPTS = 3000
TO_ALL = encode(Cmd.SEND_TO_ALL, body=b"forged")
COUNT = encode(Cmd.COUNT_OF_GROUP)


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    with Server(
        GATEWAY_LISTEN="127.0.0.1:0",
        GATEWAY_SECRET=SECRET,
        GATEWAY_CONNECTIONS=str(LINKS),
        GATEWAY_MAX_FRAME="1 GiB",
        REGISTER_LISTEN="127.0.0.1:0",
        REGISTER_SECRET=SECRET,
        REGISTER_CONNECTIONS=str(LINKS),
        AUTH_TIMEOUT="0.5",
        LIMITS_CLOSE_TIMEOUT="0.5",
        LOG_LEVEL="debug",
    ) as server:
        yield server


def ended(plug: socket.socket) -> bytes:
    """All that comes until the end."""
    return Browser(plug).wait_ended()


def links(server: Server) -> int:
    return int(server.metrics()["gateway_links"])


@pytest.mark.parametrize("greeting", ["a client's", "a worker's"])
def test_a_wrong_key_ends_the_link_without_a_word(guarded: Server, greeting: str) -> None:
    with unharmed(guarded), browsers(guarded.websocket, 1) as (browser,):
        for key in WRONG:
            greet = client_greeting(key)
            if greeting == "a worker's":
                greet = worker_greeting("App:0", secret=key)
            with Peer(guarded.gateway) as stranger:
                stranger.send(greet, TO_ALL, COUNT)
                assert stranger.rest() == b"", key
        with Peer(guarded.gateway, secret=SECRET) as client:
            assert client.ask(COUNT) == 2
            client.send(encode(Cmd.SEND_TO_UID, ext=b'["user0"]', body=b"hi"))
            assert browser.message() == b"hi"
        wait_until(lambda: links(guarded) == 0)


def test_without_the_key_nothing_is_a_command(guarded: Server) -> None:
    with unharmed(guarded), browsers(guarded.websocket, 1) as (browser,):
        for first in (
            TO_ALL,
            COUNT,
            encode(Cmd.PING),
            encode(99),
            bytes(28),
            b"GET / HTTP/1.1\r\n",
        ):
            with Peer(guarded.gateway) as stranger:
                stranger.send(first, client_greeting(SECRET), TO_ALL, COUNT)
                assert stranger.rest() == b""
        with Peer(guarded.gateway, secret=SECRET) as client:
            client.send(encode(Cmd.SEND_TO_UID, ext=b'["user0"]', body=b"hi"))
            assert browser.message() == b"hi"  # the first that comes to it


def test_who_never_shows_the_key_is_cut_off(guarded: Server) -> None:
    with unharmed(guarded), sockets(guarded.gateway, 100) as silent:
        for number, each in enumerate(silent):
            each.sendall(client_greeting(SECRET)[: number % 50])
        for each in silent:
            assert ended(each) == b""
        wait_until(lambda: links(guarded) == 0)


def test_before_the_key_the_longest_frame_takes_no_memory(guarded: Server) -> None:
    """It may have a gibibyte: two hundred strangers may not."""
    announced = (1 << 30).to_bytes(4) + client_greeting(SECRET)[4:] + bytes(1 << 20)
    with unharmed(guarded), sockets(guarded.gateway, LINKS) as strangers:
        for each in strangers:
            with contextlib.suppress(ConnectionError):
                each.sendall(announced)
        for each in strangers:
            assert ended(each) == b""


def test_a_crowd_of_strangers_is_bounded(guarded: Server) -> None:
    before = len(guarded.log)
    with unharmed(guarded), sockets(guarded.gateway, ATTEMPTS) as strangers:
        assert 0 < links(guarded) <= LINKS
        for each in strangers:
            assert ended(each) == b""
        assert guarded.metrics()['refused_links_total{kind="limit"}'] > 0
        wait_until(lambda: links(guarded) == 0)
    assert len(guarded.log) - before < ATTEMPTS / 10


def test_no_key_is_ever_told(guarded: Server) -> None:
    """Neither the right one, nor those that were tried, which may be nearly right."""
    for key in (SECRET, *WRONG):
        for greet in (client_greeting(key), worker_greeting(f"App:{key}", secret=key + "?")):
            with Peer(guarded.gateway) as stranger:
                stranger.send(greet)
                stranger.say_last()
                stranger.rest()
        for line in (WorkerConnect(key), GatewayConnect("127.0.0.1:1", key)):
            with Peer(guarded.register) as stranger:
                stranger.send(register_lines.encode(line))
                stranger.say_last()
                stranger.rest()
    wait_until(lambda: any("a wrong key, or none" in line for line in guarded.log))
    assert "hunter2" not in "".join([*guarded.log, *guarded.metrics()]).lower()


def test_a_register_lets_nobody_in_who_has_not_the_key(guarded: Server) -> None:
    with unharmed(guarded), sockets(guarded.register, LINKS) as strangers:
        for number, each in enumerate(strangers):
            key = WRONG[number % len(WRONG)]
            line = GatewayConnect("10.0.0.1:1", key) if number % 2 else WorkerConnect(key)
            with contextlib.suppress(ConnectionError):
                each.sendall(register_lines.encode(line))
        for each in strangers:
            assert ended(each) == b""
        assert guarded.metrics()["registered_gateways"] == 0


def test_by_default_there_is_no_such_port() -> None:
    assert Config().gateway.listen == Config().register.listen == ()


@pytest.mark.parametrize("port", ["gateway", "register"])
@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])
def test_a_public_bind_without_a_key_refuses_to_start_before_it_listens(
    port: str, host: str
) -> None:
    """The port is in use: to try it would be another error."""
    with socket.create_server(("127.0.0.1", 0)) as used:
        address = f"{host}:{used.getsockname()[1]}"
        done = serve(f"--{port}", address, "--websocket", "127.0.0.1:0", "--text", "127.0.0.1:0")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        rf"pushline: {port}\.listen = {re.escape(address)} .*{port}\.secret.*\n", done.stderr
    )


def serve(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "pushline", "serve", *arguments],
        env={name: text for name, text in os.environ.items() if not name.startswith("PUSHLINE_")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


# --- workers that are gone or hang --------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(GATEWAY_LISTEN="127.0.0.1:0", GATEWAY_WORKER_WAIT="0.5") as server:
        yield server


def test_a_worker_that_reads_nothing_while_browsers_come_and_go_takes_bounded_memory(
    server: Server,
) -> None:
    """What it is told is held for it up to a bound; then it is ended."""
    padding = {"X-Padding": "x" * 20_000}
    with (
        unharmed(server, memory=96 << 20) as healthy,
        Peer(server.gateway, receive_buffer=4096) as hung,
    ):
        hung.send(worker_greeting("App:0"))
        wait_until(lambda: server.metrics()["workers"] == 1)
        come_and_gone = 0
        while server.metrics()["workers"] == 1:
            for _ in range(100):
                connect(server.websocket, headers=padding).disconnect()
            come_and_gone += 100
            assert come_and_gone < 5000
        healthy.serve_more()
    assert any("limit: does not take what it is told" in line for line in server.log)


def test_a_peer_that_is_gone_before_it_was_accepted_is_let_go(server: Server) -> None:
    with unharmed(server):
        server.signal(signal.SIGSTOP)
        for _ in range(20):
            with Peer(server.gateway) as peer:
                peer.send(worker_greeting("App:0"), COUNT)
        server.signal(signal.SIGCONT)
        wait_until(lambda: links(server) == 0)
