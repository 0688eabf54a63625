"""docs/back-ends.md: its programs with GatewayClient do at a Gateway what the page says."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushline.client import SyncGatewayClient
from tests.browser import connect, dial
from tests.docs.pages import blocks, page, section
from tests.docs.set_of_parts import Ports, serving
from tests.faults.unharmed import wait_until
from tests.server import Server

PAGE = page("back-ends.md")
PART = section(PAGE, "GatewayClient: every verb, from another process")
ASYNC, SYNC, PARTIAL = blocks(PART, "python")
REGISTER = "127.0.0.1:1236"
GATEWAY = (
    f"pushline serve --register {REGISTER} --gateway 127.0.0.1:2300 --join-register {REGISTER}"
)


@pytest.fixture
def ports() -> Ports:
    return Ports()


@pytest.fixture
def server(ports: Ports, tmp_path: Path) -> Iterator[Server]:
    """One whose first message is a login, and whose Gateway is known to its Register."""
    command = ports.here(GATEWAY)
    with serving(command, tmp_path, WEBSOCKET_LISTEN="127.0.0.1:0") as server:
        wait_until(lambda: server.metrics()["registered_gateways"] == 1)
        yield server


def run(program: str, ports: Ports) -> str:
    """What it prints."""
    command = [sys.executable, "-c", ports.here(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def another_gateway(register: str) -> Iterator[None]:
    """One that a Register lists, and that does not answer."""
    with dial(register) as plug:
        plug.sendall(b'{"event":"gateway_connect","address":"127.0.0.1:1","secret_key":""}\n')
        with SyncGatewayClient(register) as client, client.partial() as missing:
            wait_until(lambda: client.get_all_client_id_count() == 0 and bool(missing))
        yield


def test_with_asyncio(server: Server, ports: Ports) -> None:
    with connect(server.websocket).login("42") as tab:
        wait_until(lambda: server.metrics()["connections"] == 1)
        assert run(ASYNC, ports) == "1 are here\n"
        assert tab.message() == b"hello"


def test_in_plain_code(server: Server, ports: Ports) -> None:
    with (
        connect(server.websocket).login("42") as tab,
        SyncGatewayClient(ports.here(REGISTER)) as client,
    ):
        wait_until(lambda: client.is_uid_online("42"))
        client.join_group(client.get_client_id_by_uid("42")[0], "lobby")
        assert run(SYNC, ports) == ""
        assert tab.message() == b"the shop closes at eight"
        wait_until(lambda: client.get_client_id_count_by_group("vip") == 1)


def test_answers_in_part(server: Server, ports: Ports) -> None:
    assert run(PARTIAL, ports) == "0 are here, and [] do not answer\n"
    with another_gateway(ports.here(REGISTER)):
        assert run(PARTIAL, ports) == "0 are here, and ['127.0.0.1:1'] do not answer\n"
