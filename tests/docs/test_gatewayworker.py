"""docs/gatewayworker.md: its commands are run as they stand, but for the ports, beside real PHP."""

import contextlib
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from pushline.client import SyncGatewayClient
from pushline.config import Config, load
from pushline.errors import RejectedError
from tests.browser import Browser, connect
from tests.commands import called
from tests.docs.pages import blocks, codes, commands, page, section
from tests.docs.set_of_parts import PHP, Ports, php, serving, working
from tests.faults.unharmed import wait_until
from tests.server import Server

PAGE = page("gatewayworker.md")
PROSE = " ".join(PAGE.split())
REGISTER = "127.0.0.1:1236"
WORKER = """
require $argv[1] . '/wire.php';
[$gateway] = gateways($argv[2], '');
$socket = connect($gateway, WORKER_CONNECT, ['worker_key' => 'Php:0', 'secret_key' => '']);
while (($event = event($socket))['cmd'] !== 205);
echo json_encode($event['body']['get']);
"""
"""It tells what the first browser has in its query."""


@pytest.fixture
def ports() -> Ports:
    return Ports()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the page's application in it."""
    (source,) = blocks(PAGE, "python")
    (tmp_path / "events.py").write_text(source, "utf-8")
    return tmp_path


def command(heading: str, ports: Ports) -> str:
    """The first one of that part of the page."""
    return ports.here(commands(section(PAGE, heading))[0])


def listed(register: Server, gateways: int = 1) -> None:
    """Wait until its Register has so many."""
    wait_until(lambda: register.metrics()["registered_gateways"] == gateways)


def workers(gateway: Server, count: int) -> None:
    """Wait until it has so many."""
    wait_until(lambda: gateway.metrics()["workers"] == count)


def said(browser: Browser) -> str:
    return browser.message().decode()


@pytest.fixture
def gateway(folder: Path, ports: Ports) -> Iterator[Server]:
    """The page's Gateway, known to the page's Register."""
    with (
        serving(command("The Register", ports), folder, WEBSOCKET_LISTEN="127.0.0.1:0") as register,
        serving(command("A Gateway", ports), folder) as gateway,
    ):
        listed(register)
        yield gateway


def test_php_s_workers_are_replaced_under_browsers_that_stay(
    gateway: Server, folder: Path, ports: Ports
) -> None:
    register = ports.here(REGISTER)
    with (
        php("worker.php", register, "") as theirs,
        connect(gateway.websocket, "/?room=tea", {"Cookie": "sid=42"}) as browser,
        SyncGatewayClient(register) as client,
    ):
        assert said(browser) == "hello /?room=tea tea 42"
        (client_id,) = client.get_all_client_id_list()
        client.join_group(client_id, "tea")
        with working(command("The workers", ports), folder):
            browser.send_text("end")
            assert said(browser) == "1: end"
            theirs.wait()
            workers(gateway, 1)
            with connect(gateway.websocket, "/?room=tea") as other:
                wait_until(lambda: client.get_client_id_count_by_group("tea") == 2)
                browser.send_text("and now to Python")
                assert said(browser) == said(other) == "and now to Python"
            assert client.get_session(client_id) == {"said": 1}


def test_a_gateway_without_workers_asks_browsers_to_come_again(gateway: Server) -> None:
    code, reason = re.findall(r'closed with (\d+) "([\w ]+)"', PROSE)[0]
    with connect(gateway.websocket) as browser:
        opcode, payload = browser.receive()
    assert (opcode, payload) == (8, int(code).to_bytes(2) + reason.encode())


def test_a_query_with_an_array_is_what_the_page_says(gateway: Server, ports: Ports) -> None:
    query, name, value = re.findall(r"`/\?(\S+)` is `\$data\['get'\]\['(.+)'\] === '(.+)'`", PROSE)[
        0
    ]
    with subprocess.Popen(
        ["php", "-r", WORKER, "--", str(PHP), ports.here(REGISTER)], stdout=subprocess.PIPE
    ) as process:
        workers(gateway, 1)
        connect(gateway.websocket, f"/?{query}").disconnect()
        told, _ = process.communicate(timeout=15)
    assert json.loads(told) == {name: value}


def test_php_s_lists_are_merged_by_index_and_python_s_are_not(
    gateway: Server, folder: Path, ports: Ports
) -> None:
    with (
        working(command("The workers", ports), folder),
        connect(gateway.websocket) as browser,
        SyncGatewayClient(ports.here(REGISTER)) as client,
    ):
        wait_until(lambda: client.get_all_group_id_list() == ["lobby"])
        browser.settle()
        (client_id,) = client.get_all_client_id_list()
        client.set_session(client_id, {"list": [1, 2]})
        client.update_session(client_id, {"list": [3]})
        assert client.get_session(client_id) == {"list": [3]}


def test_one_process_is_everything(folder: Path, ports: Ports) -> None:
    with serving(command("Without PHP", ports), folder, HTTP_LISTEN="127.0.0.1:0") as server:
        listed(server)
        with (
            connect(server.websocket, "/?room=tea") as browser,
            SyncGatewayClient(ports.here(REGISTER)) as client,
        ):
            browser.send_text("hi")
            assert said(browser) == "hi"
            client.send_to_group("tea", "from outside")
            assert said(browser) == "from outside"
            names = {name for name in codes(PAGE) if name.startswith("pushline_")}
            assert len(names) == 5
            with pytest.raises(RejectedError):
                SyncGatewayClient(ports.here(REGISTER), secret="another").get_all_uid_list()
            there = {f"pushline_{name.partition('{')[0]}" for name in server.metrics()}
            assert names <= there


def test_its_servers_stand_side_by_side(folder: Path) -> None:
    taken: list[str] = []
    with contextlib.chdir(folder):
        for heading in ("The Register", "A Gateway", "Several Gateways"):
            line = commands(section(PAGE, heading))[0]
            shown = tomllib.loads(called("config", *shlex.split(line)[2:]).output)
            found = [table["listen"] for table in shown.values() if table.get("listen")]
            taken += chain(*([each] if isinstance(each, str) else each for each in found))
    assert {REGISTER, "127.0.0.1:5678", "127.0.0.1:2300", "127.0.0.1:2301"} < {*taken}
    assert len({*taken}) == len(taken)


def test_the_keys_are_asked_for(folder: Path, ports: Ports) -> None:
    _, *pairs = shlex.split(command("Keys", ports))
    keys = {
        name.removeprefix("PUSHLINE_"): key for name, _, key in (p.partition("=") for p in pairs)
    }
    assert set(keys) == {"REGISTER_SECRET", "GATEWAY_SECRET"}
    with serving(command("Without PHP", ports), folder, **keys) as server:
        listed(server)
        with SyncGatewayClient(ports.here(REGISTER), secret="s3cret") as client:
            assert client.get_all_client_id_count() == 0
        with SyncGatewayClient(ports.here(REGISTER)) as client, pytest.raises(RejectedError):
            client.get_all_client_id_count()
        assert not any("s3cret" in line for line in server.log)


def test_a_gateway_joins_several_registers(folder: Path, ports: Ports) -> None:
    first = command("The Register", ports)
    second = first.replace(ports.here(REGISTER), ports.here("127.0.0.1:1237"))
    with (
        serving(first, folder, WEBSOCKET_LISTEN="127.0.0.1:0") as one,
        serving(second, folder, WEBSOCKET_LISTEN="127.0.0.1:0") as two,
        serving(command("Several Gateways", ports), folder),
    ):
        listed(one)
        listed(two)


def config(folder: Path, **environ: str) -> Config:
    (source,) = blocks(PAGE, "toml")
    (folder / "gateway.toml").write_text(source, "utf-8")
    keys = {"PUSHLINE_GATEWAY_SECRET": "s3cret", "PUSHLINE_REGISTER_SECRET": "s3cret"}
    return load(folder / "gateway.toml", keys | environ, {})


def test_where_it_listens_and_what_it_tells_are_two_settings(tmp_path: Path) -> None:
    found = config(tmp_path)
    assert str(found.gateway.listen[0]) == "0.0.0.0:2300"
    assert str(found.gateway_address) == "10.0.0.5:2300"
    assert found.auth_mode == "app"
    _, container = commands(section(PAGE, "Addresses"))
    variable, _, _ = container.partition("=")
    assert str(config(tmp_path, **{variable: "10.0.0.9:2300"}).gateway_address) == "10.0.0.9:2300"


def test_every_way_to_serve_is_a_configuration(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    serve = [line for line in commands(PAGE) if line.startswith("pushline serve")]
    for line in serve:
        if "--config" not in line:
            assert called("config", *shlex.split(line)[2:]).code == 0, line


@pytest.mark.parametrize("name", ["gatewayworker.md", "from-gatewayworker.md", "back-ends.md"])
def test_php_is_php(name: str) -> None:
    for block in blocks(page(name), "php"):
        lint = ["php", "-l"]
        checked = subprocess.run(lint, input=f"<?php\n{block}", capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout
