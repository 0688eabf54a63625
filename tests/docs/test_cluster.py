"""docs/cluster.md: its commands are run as they stand, but for the ports; what it names exists."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from pushline.brokers.redis.endpoint import parse
from pushline.config import KEYS, load
from pushline.errors import ConfigError
from tests.brokers.servers import RedisServer
from tests.browser import connect
from tests.commands import called
from tests.docs.pages import blocks, codes, commands, page, rows, section
from tests.docs.set_of_parts import Ports, serving
from tests.faults.unharmed import wait_until
from tests.ports import free_address
from tests.server import Server

PAGE = page("cluster.md")
REDIS = "redis://127.0.0.1:6379"


def serve(command: str, folder: Path, redis_server: RedisServer, **settings: str) -> Server:
    """A node as the page starts it, on this Redis."""
    return serving(command.replace(REDIS, redis_server.url), folder, **settings)


def pushed(command: str) -> str:
    """What a `pushline push` of the page says."""
    return called(*shlex.split(command)[1:]).output.strip()


# --- it is run ----------------------------------------------------------------------------------


def test_two_nodes_on_one_machine_act_as_one(tmp_path: Path, redis_server: RedisServer) -> None:
    ports = Ports()
    lines = map(ports.here, commands(section(PAGE, "Two nodes on one machine")))
    _, *nodes, to_alice, to_all = (line.replace(ports.here(REDIS), REDIS) for line in lines)
    first, second = (serve(node, tmp_path, redis_server) for node in nodes)
    with first, second:
        with connect(first.websocket) as browser:
            browser.send_text("alice")
            browser.settle()
            wait_until(lambda: pushed(to_alice) == "ok")
            assert browser.message() == b'{"uid":"alice","text":"Hello!"}'
            assert pushed(to_all) == "ok"
            assert browser.message() == b'{"uid":"","text":"Hello, everyone!"}'
        wait_until(lambda: pushed(to_alice) == "fail")


def test_several_processes_share_the_ports(tmp_path: Path, redis_server: RedisServer) -> None:
    (command,) = commands(section(PAGE, "Several processes on one machine"))
    text = free_address()
    settings = {
        "WEBSOCKET_LISTEN": free_address(),
        "TEXT_LISTEN": text,
        "HTTP_LISTEN": "",
        "SERVE_CONTROL": str(tmp_path / "control"),
    }
    with (
        serve(command, tmp_path, redis_server, **settings) as server,
        connect(server.websocket) as browser,
    ):
        browser.send_text("alice")
        browser.settle()
        for _ in range(8):  # at any of the processes
            wait_until(lambda: pushed(f"pushline push --text {text} alice '{{}}'") == "ok")
            assert browser.message() == b'{"uid":"alice"}'


def test_an_application_asks_all_nodes(tmp_path: Path, redis_server: RedisServer) -> None:
    partial, _ = blocks(PAGE, "python")
    (tmp_path / "chat.py").write_text(partial, "utf-8")
    command = f"pushline serve chat:app --broker {REDIS}"
    with (
        serve(command, tmp_path, redis_server) as node,
        serve(command, tmp_path, redis_server) as other,
        connect(node.websocket) as browser,
        connect(other.websocket),
    ):
        browser.send_text("how many?")
        assert browser.message() == b"2 are here"


def test_the_timers_of_one_node_are_an_application(tmp_path: Path) -> None:
    _, timers = blocks(PAGE, "python")
    (tmp_path / "strike.py").write_text(timers, "utf-8")
    with serving("pushline serve strike:app", tmp_path) as server:
        assert any("strike:app" in line for line in server.log)


# --- it names what there is ---------------------------------------------------------------------


def test_the_file_for_all_nodes_is_a_configuration(tmp_path: Path) -> None:
    (toml,) = blocks(PAGE, "toml")
    assert tomllib.loads(toml)
    path = tmp_path / "pushline.toml"
    path.write_text(toml, "utf-8")
    (secrets,) = (block for block in blocks(PAGE, "sh") if block.startswith("# /etc/"))
    environ = dict(line.split("=") for line in secrets.splitlines()[1:])
    with pytest.raises(ConfigError):
        load(path, {}, {})
    found = load(path, environ, {})
    assert found.broker.urls == ("redis://redis.internal:6379",)
    assert (found.auth_mode, found.text.secret) == ("token", environ["PUSHLINE_TEXT_SECRET"])


def test_every_url_is_one() -> None:
    endpoints = [parse(url) for url in re.findall(r'`"([a-z+]+://[^"]+)"', PAGE)]
    schemes = {endpoint.scheme for endpoint in endpoints}
    assert schemes == {"redis", "rediss", "unix", "redis+sentinel"}


@pytest.mark.parametrize("name", ["cluster.md", "guarantees.md"])
def test_every_setting_that_is_named_exists(name: str) -> None:
    settings = {f"{section}.{key}" for section, key in KEYS}
    sections = "|".join({section for section, _ in KEYS} - {"app"})
    named = {
        match[0]
        for code in codes(page(name))
        for match in re.finditer(rf"(?<![\w./-])(?:{sections})\.[a-z_]+\b(?!\()", code)
        if not match[0].endswith((".md", ".toml", ".conf", ".service"))
    }
    assert named
    assert named <= settings


def test_every_gauge_of_the_broker_is_named(tmp_path: Path, redis_server: RedisServer) -> None:
    named = {cells[0].strip("`") for cells in rows(section(PAGE, "What to watch"))} - {"pushline_"}
    command = f"pushline serve --broker {REDIS}"
    with serve(command, tmp_path, redis_server) as node:
        assert {name for name in node.metrics() if name.startswith("broker_")} == named
