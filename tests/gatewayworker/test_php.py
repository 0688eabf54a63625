"""Real PHP on either side of the wire: what it serializes we read, and it reads what we do."""

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.browser import Browser, connect
from tests.faults.unharmed import wait_until
from tests.server import Server

SCRIPTS = Path(__file__).parent / "php"
KEY = "s3cret"


def serving(register: str, **settings: str) -> Server:
    return Server(
        GATEWAY_LISTEN="127.0.0.1:0",
        GATEWAY_SECRET=KEY,
        REGISTER_LISTEN=register,
        REGISTER_JOIN=register,
        REGISTER_SECRET=KEY,
        **settings,
    )


@pytest.fixture
def register() -> str:
    """An address that is free."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def listed(server: Server) -> bool:
    """Whether its Register knows its gateway."""
    return server.metrics()["registered_gateways"] == 1


@contextmanager
def php(script: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A script at work; a warning or an error of PHP's fails."""
    command = ["php", "-d", "display_errors=stderr", str(SCRIPTS / script), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert (errors, process.returncode) == ("", 0)


def texts(browser: Browser, count: int) -> list[str]:
    return [browser.message().decode() for _ in range(count)]


def test_a_php_back_end_drives_the_gateway(register: str) -> None:
    with (
        serving(register) as server,
        connect(server.websocket).login("one") as one,
        connect(server.websocket).login("two") as two,
    ):
        wait_until(lambda: listed(server) and server.metrics()["connections"] == 2)
        with php("client.php", register, KEY) as process:
            assert texts(one, 2) == ["to both", '{"list":[1,"zwei"],"map":{"ü":null}}']
            assert texts(two, 4) == [
                "to both",
                "to the second",
                '{"list":[1,"zwei"],"map":{"ü":null}}',
                "bye",
            ]
            assert (one.close_code(), two.close_code()) == (3503, 3503)
            assert process.stdout is not None
            told = json.loads(process.stdout.read())
    assert told == {
        "session": {
            "name": "Zoë",
            "n": [3, 2, 0.1],
            "deep": {"x": True, "y": None},
            "bytes": "ff00",
        },
        "known": [
            {"uid": "Zoë", "groups": {"7": "7"}},
            {"uid": "42", "groups": {"7": "7", "room": "room"}},
        ],
        "online": [1, 0],
        "ids": True,
        "counts": [2, 2],
        "sessions": True,
    }


def test_a_php_worker_gets_what_browsers_do(register: str) -> None:
    with serving(register, AUTH_MODE="app") as server:
        wait_until(lambda: listed(server))
        with (
            php("worker.php", register, KEY),
            connect(server.websocket, "/page?room=7", {"Cookie": "sid=42"}) as one,
            connect(server.websocket, "/other?room=8", {"Cookie": "sid=43"}) as two,
        ):
            assert texts(one, 1) == ["hello /page?room=7 7 42"]
            assert texts(two, 1) == ["hello /other?room=8 8 43"]
            for text in ("ä", "two"):
                one.send_text(text)
                answers = texts(one, 1)
            assert answers == ["2: two"]
            one.disconnect()
            assert texts(two, 1) == ["gone after 2"]
            two.send_text("end")
            assert texts(two, 1) == ["1: end"]
