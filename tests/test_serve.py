"""What a terminal shows of a server: the banner, the warning, and how it ends."""

import contextlib
import os
import re
import resource
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from pushline import __version__
from pushline.config import Config
from pushline.serve.banner import banner, opened
from pushline.serve.descriptors import FEW, OWN, raise_limit
from tests.brokers.servers import RedisServer
from tests.browser import CLOSE, connect
from tests.certificates import Authority
from tests.commands import PATIENCE, PROGRAM
from tests.faults.unharmed import wait_until
from tests.in_process import InProcess, configured
from tests.ports import free_address, free_ports, is_open
from tests.server import Server

MANY = FEW * 10


def shown(config: Config, descriptors: int = MANY) -> list[str]:
    """The banner's lines, with every port as PORT."""
    with InProcess(config) as process:
        lines = banner(opened(process.start()), descriptors)
    return [re.sub(r":\d{4,5}(?!\d)", ":PORT", line) for line in lines]


def line_of(lines: list[str], what: str) -> list[str]:
    """What is said about something, line by line."""
    found = (re.match(rf"  {what}  +(.*)", line) for line in lines)
    return [match[1] for match in found if match]


# --- the banner ---------------------------------------------------------------------------------


def test_it_says_what_listens_where_and_at_what_limits() -> None:
    lines = shown(configured())
    assert lines[0] == f"Pushline {__version__}"
    assert line_of(lines, "browsers") == ["ws://127.0.0.1:PORT"]
    assert line_of(lines, "back ends") == ["127.0.0.1:PORT   one line of JSON, one push"]
    assert line_of(lines, "operators") == [
        "http://127.0.0.1:PORT/ready  http://127.0.0.1:PORT/metrics"
    ]
    assert line_of(lines, "demo page") == ["http://127.0.0.1:PORT/"]
    assert line_of(lines, "login") == ["open, every uid is believed; sessions of one uid: all"]
    assert line_of(lines, "limits") == [
        f"{MANY - OWN} connections, 64 KiB a message, 1 MiB waiting for a slow reader"
    ]
    assert lines[-2:] == ["  Ctrl-C stops it.", ""]


def test_it_says_every_address(tmp_path: Path) -> None:
    some = f"127.0.0.1:0,[::1]:0,unix:{tmp_path}/"
    lines = shown(configured(WEBSOCKET_LISTEN=f"{some}ws", TEXT_LISTEN=f"{some}text"))
    unix = f"unix:{tmp_path}/"
    assert line_of(lines, "browsers") == ["ws://127.0.0.1:PORT", "ws://[::1]:PORT", f"{unix}ws"]
    assert [line.split("  ")[0] for line in line_of(lines, "back ends")] == [
        *("127.0.0.1:PORT", "[::1]:PORT", f"{unix}text")
    ]
    assert line_of(lines, "demo page") == ["http://127.0.0.1:PORT/", "http://[::1]:PORT/"]


def test_what_is_not_there_is_not_named() -> None:
    lines = shown(configured(HTTP_LISTEN="", TEXT_LISTEN="", WEBSOCKET_DEMO="off"))
    assert line_of(lines, "operators") == line_of(lines, "back ends") == []
    assert line_of(lines, "demo page") == []


def test_with_tls_the_addresses_say_so(tmp_path: Path) -> None:
    files = Authority(tmp_path)
    lines = shown(configured(WEBSOCKET_CERTIFICATE=files.certificate, WEBSOCKET_KEY=files.key))
    assert line_of(lines, "browsers") == ["wss://127.0.0.1:PORT"]
    assert line_of(lines, "demo page") == ["https://127.0.0.1:PORT/"]


def test_it_says_who_may_log_in_and_no_secret() -> None:
    lines = shown(configured(AUTH_SECRET="s3-s3-s3", AUTH_SESSIONS="newest", TEXT_SECRET="s4-s4"))
    assert line_of(lines, "login") == ["a token is needed; sessions of one uid: newest"]
    assert [line for line in lines if "s3" in line or "s4" in line] == []


@pytest.mark.parametrize(
    ("limit", "descriptors", "connections"),
    [(0, MANY, MANY - OWN), (50, MANY, 50), (MANY, 200, 180), (0, 10, 0)],
)
def test_it_says_how_many_there_can_be(limit: int, descriptors: int, connections: int) -> None:
    lines = shown(configured(LIMITS_CONNECTIONS=str(limit)), descriptors)
    assert line_of(lines, "limits")[0].startswith(f"{connections} connections, ")


def test_it_warns_where_descriptors_are_few() -> None:
    lines = shown(configured(), FEW - 1)
    (warning,) = (line for line in lines if "warning" in line)
    assert f"only {FEW - 1} descriptors" in warning
    assert "ulimit" in warning
    assert not any("warning" in line for line in shown(configured(), FEW))


@pytest.mark.parametrize(("mode", "warnings"), [("open", 1), ("token", 0), ("", 0)])
def test_it_warns_of_a_secret_that_nobody_is_asked_for(mode: str, warnings: int) -> None:
    lines = shown(configured(AUTH_SECRET="s3", AUTH_MODE=mode))
    assert sum("warning: auth.secret is set" in line for line in lines) == warnings


# --- descriptors --------------------------------------------------------------------------------


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    """This process's, given back as they were found."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_process_takes_all_the_descriptors_that_it_may_have(limits: tuple[int, int]) -> None:
    _, hard = limits
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard // 2, hard))
    assert raise_limit() == hard
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


def test_a_server_with_few_descriptors_warns_and_serves() -> None:
    """Below the soft limit that the shell that starts it has."""
    limited = 'ulimit -Sn 64; ulimit -Hn 256; exec "$0" serve "$@"'
    ports = ["--websocket", "127.0.0.1:0", "--text", "127.0.0.1:0", "--auth", "open"]
    with subprocess.Popen(
        ["sh", "-c", limited, PROGRAM, *ports], stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        told = "".join(iter(server.stderr.readline, "  Ctrl-C stops it.\n"))
        (address,) = re.findall(r"ws://(\S+)", told)
        browsers = [connect(address) for _ in range(100)]
        for browser in browsers:
            browser.disconnect()
        server.terminate()
        assert server.wait(PATIENCE) == 0
    assert "warning: only 256 descriptors" in told
    assert "236 connections" in told


# --- where it is started ------------------------------------------------------------------------


@contextlib.contextmanager
def starting(closed: str, *arguments: str) -> "Iterator[subprocess.Popen[bytes]]":
    """A server on its way, with standard streams that a shell has closed; ended in any case."""
    with subprocess.Popen(
        ["sh", "-c", f'exec "$0" serve "$@" {closed}', PROGRAM, "--auth", "open", *arguments],
        stdout=subprocess.PIPE,
    ) as server:
        try:
            yield server
        finally:
            server.kill()


def leads(pid: int) -> list[str]:
    """What the standard streams of a process are."""
    return [str(Path(f"/proc/{pid}/fd/{number}").readlink()) for number in range(3)]


@pytest.mark.parametrize("closed", ["2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_without_a_standard_error_it_says_nothing_and_serves(closed: str) -> None:
    """Nor does any socket get the number of what is closed."""
    address = free_address()
    with starting(closed, "--websocket", address, "--text", "127.0.0.1:0") as server:
        wait_until(lambda: is_open(address))
        streams = leads(server.pid)
        with connect(address) as browser:
            browser.login("uid1").settle()
            server.terminate()
            assert browser.close_code() == 3001
        output, _ = server.communicate(timeout=PATIENCE)
        assert (server.returncode, output) == (0, b"")
    assert streams[2] == os.devnull
    assert not any(stream.startswith("socket:") for stream in streams)


def test_its_processes_have_no_standard_error_either(shared_redis: RedisServer) -> None:
    websocket, text = (f"127.0.0.1:{port}" for port in free_ports(2))
    several = ["--workers", "2", "--broker", shared_redis.url]
    with starting("2>&-", "--websocket", websocket, "--text", text, *several) as server:
        wait_until(lambda: is_open(websocket))
        listed = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
        assert {leads(int(pid))[2] for pid in listed.split()} == {os.devnull}
        server.terminate()
        output, _ = server.communicate(timeout=PATIENCE)
        assert (server.returncode, output) == (0, b"")


def test_it_serves_where_the_directory_is_no_more(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    ports = ["--websocket", "127.0.0.1:0", "--text", "127.0.0.1:0"]
    with subprocess.Popen(
        ["sh", "-c", 'rmdir "$PWD"; exec "$0" serve "$@"', PROGRAM, *ports],
        stderr=subprocess.PIPE,
        cwd=gone,
        env={**os.environ, "PATH": os.defpath},
        text=True,
    ) as server:
        assert server.stderr is not None
        told = "".join(takewhile(lambda line: "Ctrl-C" not in line, server.stderr))
        (address,) = re.findall(r"demo page +(\S+)", told)
        with urllib.request.urlopen(address, timeout=PATIENCE) as page:
            assert f'data-command="{PROGRAM}"' in page.read().decode()
        server.terminate()
        assert server.wait(PATIENCE) == 0


# --- the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "said"), [("info", True), ("warning", False)])
def test_it_says_that_it_stops_and_how_many_have_to_reconnect(level: str, said: bool) -> None:
    with Server(LOG_LEVEL=level) as server, connect(server.websocket) as browser:
        browser.login("uid1").settle()
        server.signal(signal.SIGTERM)
        assert browser.close_code() == 3001
        browser.send_frame(CLOSE)
        assert server.wait() == 0
    lines = "".join(server.log).partition("Ctrl-C stops it.\n\n")[2].splitlines()
    texts = [re.sub(r"^\S+ \S+ ", "", line) for line in lines]
    expected = ["INFO    stopping: 1 connections are asked to reconnect", "INFO    stopped"]
    assert texts == (expected if said else [])
