"""deploy/compose.yaml and deploy/Dockerfile: what they say of Pushline is right."""

import re
from typing import Any

import yaml

from pushline.config import load
from tests.docs.pages import DOCS

ROOT = DOCS.parent
DEPLOY = ROOT / "deploy"
SECRET = re.compile(r"\$\{(\w+):\?[^}]+\}")
NODES = ("node1", "node2")


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
    return found


def environment(node: str) -> dict[str, str]:
    """What a node is given, with secrets as a user would set them."""
    given: dict[str, str] = services()[node]["environment"]
    return {name: SECRET.sub(r"\1", value) for name, value in given.items()}


def test_the_settings_of_each_node_start_a_server() -> None:
    for node in NODES:
        config = load(None, environment(node), {})
        assert config.broker.urls == ("redis://redis:6379",)
        assert config.auth_mode == "token"


def test_secrets_have_to_be_set() -> None:
    given = services()["node1"]["environment"]
    required = {name for name, value in given.items() if SECRET.fullmatch(value)}
    assert required == {"PUSHLINE_AUTH_SECRET", "PUSHLINE_TEXT_SECRET"}


def test_nginx_knows_the_ports_of_the_nodes() -> None:
    conf = (DEPLOY / "nginx.conf").read_text("utf-8")
    named = set(re.findall(r"server (\w+:\d+)", conf))
    for node in NODES:
        config = load(None, environment(node), {})
        ports = (config.websocket.listen[0].port, config.http.listen[0].port)
        assert {f"{node}:{port}" for port in ports} <= named
    assert len(named) == 2 * len(NODES)


def test_a_node_is_healthy_when_it_is_ready() -> None:
    config = load(None, environment("node1"), {})
    asked = services()["node1"]["healthcheck"]["test"][-1]
    assert f"http://127.0.0.1:{config.http.listen[0].port}/ready" in asked
    compile(asked, "healthcheck", "exec")


def test_a_node_has_longer_to_stop_than_it_takes() -> None:
    config = load(None, environment("node1"), {})
    assert int(services()["node1"]["stop_grace_period"].rstrip("s")) > config.shutdown.time + 1


def test_what_the_image_is_made_of_is_there_and_sent_to_the_builder() -> None:
    lines = (DEPLOY / "Dockerfile").read_text("utf-8").splitlines()
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    copied = [name for line in lines if line.startswith("COPY") for name in line.split()[1:-1]]
    assert all((ROOT / name).exists() for name in copied)
    assert {line.lstrip("!") for line in ignore if line.startswith("!")} == set(copied)


def test_the_image_opens_the_ports_of_the_nodes() -> None:
    (line,) = re.findall(r"^EXPOSE (.*)$", (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    config = load(None, environment("node1"), {})
    listened = (config.websocket.listen, config.text.listen, config.http.listen)
    assert line.split() == [str(addresses[0].port) for addresses in listened]
