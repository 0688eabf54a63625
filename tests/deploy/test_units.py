"""deploy/*.service: systemd takes them, and Pushline what they start it with."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from pushline.config import load
from tests.commands import PROGRAM
from tests.deploy.test_containers import DEPLOY
from tests.docs.pages import DOCS

UNITS = sorted(path.name for path in DEPLOY.glob("*.service"))
INSTALLED = "/opt/pushline/bin/pushline"
INSTANCE = "3"


def values(unit: str, key: str) -> list[str]:
    """Of each line of that name, as the instance INSTANCE has it."""
    text = (DEPLOY / unit).read_text("utf-8").replace("%i", INSTANCE)
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def environment(unit: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in values(unit, "Environment"))


def test_systemd_takes_them(tmp_path: Path) -> None:
    for unit in UNITS:
        text = (DEPLOY / unit).read_text("utf-8")
        (tmp_path / unit).write_text(text.replace(INSTALLED, PROGRAM), "utf-8")
    found = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / unit) for unit in UNITS)],
        capture_output=True,
        text=True,
    )
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS)
def test_what_they_run_is_a_command(unit: str) -> None:
    for line in values(unit, "ExecStart") + values(unit, "ExecReload"):
        program, verb, *arguments = shlex.split(line)
        assert program == INSTALLED
        shown = subprocess.run(
            [PROGRAM, verb, *arguments, "--help"], capture_output=True, text=True, check=True
        )
        assert "--config" in shown.stdout


@pytest.mark.parametrize("unit", UNITS)
def test_their_settings_exist(unit: str) -> None:
    settings = environment(unit) | {"PUSHLINE_BROKER_URLS": "redis://127.0.0.1:6379"}
    config = load(None, settings, {})
    if unit == "pushline@.service":
        assert str(config.websocket.listen[0]).endswith(f"123{INSTANCE}")


@pytest.mark.parametrize("unit", UNITS)
def test_they_are_given_the_time_that_they_need_to_stop(unit: str) -> None:
    config = load(None, {}, {})
    needed = max(config.shutdown.time, config.worker.stop_time if "worker" in unit else 0.0)
    assert float(values(unit, "TimeoutStopSec")[0]) > needed + 1


def test_they_are_hardened_alike() -> None:
    own = ("AmbientCapabilities=", "CapabilityBoundingSet=", "RuntimeDirectory=")
    hardening = [
        [
            line
            for line in (DEPLOY / unit).read_text("utf-8").partition("DynamicUser=")[2].splitlines()
            if not line.startswith(("#", *own))
        ]
        for unit in UNITS
    ]
    assert all(each == hardening[0] for each in hardening)


def test_the_page_restarts_the_nodes_of_the_template() -> None:
    page = (DOCS / "cluster.md").read_text("utf-8")
    (listen,) = [value for key, value in environment("pushline@.service").items() if "HTTP" in key]
    assert f"http://{listen.removesuffix(INSTANCE)}$i/ready" in page
    assert "systemctl restart pushline@$i" in page
